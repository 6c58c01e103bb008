//! Draws of what the client sends and is answered (spec A), beyond what it shares with the Partner API.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use tradepost_marketplace::ids::{ClientId, InternalResourceId, ProjectId, UserId};
use tradepost_marketplace::wire::webhook::MemberRole;
use tradepost_marketplace::wire::{
    ActionOutcome, ActionSecret, ActionStatus, ActionUpdate, AppUrl, AuthenticationSettings, Config, ConfigDigest,
    ConfigPurpose, ConfigUpdate, EnvironmentTarget, EventRequest, ExperimentItem, ExperimentationSettings,
    ImportResource, InstallationPatch, InvoiceAnswer, ItemBatch, ItemCategory, ItemFields, ItemId, ItemUpdate, Member,
    NamedResource, ProjectConnection, RawObject, ResourcePatch, ResourceSettings, RevokeCredential, RevokedCredential,
    RotateCredential, RotatedCredential, SecretsPatch, SecretsUpdate, SsoExchange, SsoRefresh, SsoTokenRequest,
    SsoTokens, VercelResource, VercelResources,
};

use super::{
    billing_plan, change, event, invoice_id, link, metadata, notification, number, ownership, plan_id, product_id,
    resource_id, secret, secret_text, status, text, timestamp,
};

pub fn client_id() -> impl Strategy<Value = ClientId> {
    "oac_[a-zA-Z0-9]{1,20}".prop_map(|id| ClientId::new(id).unwrap())
}

/// A JSON object with numbers that a float would change.
pub fn object() -> impl Strategy<Value = RawObject> {
    (metadata(), of(number()), of(metadata())).prop_map(|(map, number, inner)| {
        let mut fields: Vec<String> =
            map.iter().map(|(key, value)| format!("{}:{value}", serde_json::to_string(key).unwrap())).collect();
        fields.extend(number.map(|number| format!("\"~number\": {number}")));
        fields.extend(inner.map(|inner| format!("\"~inner\":{}", serde_json::to_string(&inner).unwrap())));
        RawObject::new(format!("{{{}}}", fields.join(","))).unwrap()
    })
}

/// The free-form fields of a resource: no objects in them (spec A.8).
pub fn form() -> impl Strategy<Value = RawObject> {
    metadata().prop_map(|map| RawObject::try_from(map).unwrap())
}

prop_compose! {
    pub fn installation_patch()(
        status in of(status()), external_id in of(text()), billing_plan in of(billing_plan()),
        notification in change(notification()),
    ) -> InstallationPatch {
        InstallationPatch { status, external_id, billing_plan, notification }
    }
}

prop_compose! {
    pub fn member()(
        id in "[a-zA-Z0-9]{1,24}", role in prop_oneof![Just(MemberRole::Admin), Just(MemberRole::User)],
        global_user_id in of(text()), user_email in of("[a-z]{1,8}@[a-z]{1,8}\\.example"),
    ) -> Member {
        Member { id: UserId::new(id).unwrap(), role, global_user_id, user_email }
    }
}

pub fn event_request() -> impl Strategy<Value = EventRequest> {
    event().prop_map(|event| EventRequest { event })
}

prop_compose! {
    pub fn rotate_credential()(client_secret in secret_text(), client_id in of(client_id())) -> RotateCredential {
        RotateCredential { client_secret, client_id }
    }
}

prop_compose! {
    pub fn rotated_credential()(
        access_token in secret_text(), scope in text(), expires_in in number(),
    ) -> RotatedCredential {
        RotatedCredential { access_token, token_type: "oauth2-token".to_owned(), scope, expires_in }
    }
}

prop_compose! {
    pub fn revoke_credential()(
        token in secret_text(), client_secret in secret_text(), client_id in of(client_id()),
    ) -> RevokeCredential {
        RevokeCredential { token, client_secret, client_id }
    }
}

prop_compose! {
    pub fn revoked_credential()(revoked: bool, already_revoked: bool) -> RevokedCredential {
        RevokedCredential { revoked, already_revoked }
    }
}

pub fn environment_target() -> impl Strategy<Value = EnvironmentTarget> {
    let known = ["development", "preview", "production"];
    proptest::sample::select(known.to_vec()).prop_map(EnvironmentTarget::from)
}

prop_compose! {
    pub fn app_url()(target in environment_target(), url in "https://[a-z]{1,12}\\.example") -> AppUrl {
        AppUrl { target, url }
    }
}

pub fn authentication_settings() -> impl Strategy<Value = AuthenticationSettings> {
    of(vec(app_url(), 0..3)).prop_map(|app_urls| AuthenticationSettings { app_urls })
}

prop_compose! {
    pub fn experimentation_settings()(
        edge_config_id in of(text()), global_config_id in of(text()), edge_config_syncing_enabled in of(any::<bool>()),
        global_config_syncing_enabled in of(any::<bool>()), edge_config_token_id in of(text()),
    ) -> ExperimentationSettings {
        ExperimentationSettings {
            edge_config_id, global_config_id, edge_config_syncing_enabled, global_config_syncing_enabled,
            edge_config_token_id,
        }
    }
}

prop_compose! {
    pub fn resource_settings()(
        authentication in of(authentication_settings()), experimentation in of(experimentation_settings()),
    ) -> ResourceSettings {
        ResourceSettings { authentication, experimentation }
    }
}

prop_compose! {
    pub fn vercel_resource()(
        id in resource_id(), internal_id in "[a-z0-9_]{1,24}", product_id in product_id(), name in text(),
        status in of(status()), billing_plan_id in of(plan_id()), metadata in of(form()),
        notification in of(notification()), protocol_settings in of(resource_settings()),
    ) -> VercelResource {
        let internal_id = InternalResourceId::new(internal_id).unwrap();
        VercelResource {
            id, internal_id, product_id, name, status, billing_plan_id, metadata, notification, protocol_settings,
        }
    }
}

pub fn vercel_resources() -> impl Strategy<Value = VercelResources> {
    vec(vercel_resource(), 0..3).prop_map(|resources| VercelResources { resources })
}

pub fn named_resource() -> impl Strategy<Value = NamedResource> {
    text().prop_map(|name| NamedResource { name })
}

prop_compose! {
    pub fn import_resource()(
        product_id in product_id(), name in text(), status in status(), ownership in of(ownership()),
        metadata in of(form()), billing_plan in of(billing_plan()), notification in of(notification()),
        extras in of(object()), secrets in of(vec(secret(), 0..3)),
    ) -> ImportResource {
        ImportResource { product_id, name, status, ownership, metadata, billing_plan, notification, extras, secrets }
    }
}

prop_compose! {
    pub fn secrets_update()(secrets in vec(secret(), 0..3), partial in of(any::<bool>())) -> SecretsUpdate {
        SecretsUpdate { secrets, partial }
    }
}

pub fn secrets_patch() -> impl Strategy<Value = SecretsPatch> {
    prop_oneof![vec(secret(), 0..3).prop_map(SecretsPatch::List), secrets_update().prop_map(SecretsPatch::Update),]
}

prop_compose! {
    pub fn resource_patch()(
        ownership in of(ownership()), name in of(text()), status in of(status()), metadata in of(form()),
        billing_plan in of(billing_plan()), notification in change(notification()), extras in of(object()),
        secrets in of(secrets_patch()),
    ) -> ResourcePatch {
        ResourcePatch { ownership, name, status, metadata, billing_plan, notification, extras, secrets }
    }
}

prop_compose! {
    pub fn invoice_answer()(
        invoice_id in of(invoice_id()), test in of(any::<bool>()), validation_errors in of(vec(text(), 0..3)),
    ) -> InvoiceAnswer {
        InvoiceAnswer { invoice_id, test, validation_errors }
    }
}

prop_compose! {
    pub fn sso_exchange()(
        code in secret_text(), client_id in client_id(), client_secret in secret_text(), state in of(text()),
        redirect_uri in of(text()),
    ) -> SsoExchange {
        SsoExchange { code, client_id, client_secret, state, redirect_uri }
    }
}

prop_compose! {
    pub fn sso_refresh()(
        refresh_token in secret_text(), client_id in client_id(), client_secret in secret_text(),
    ) -> SsoRefresh {
        SsoRefresh { refresh_token, client_id, client_secret }
    }
}

pub fn sso_token_request() -> impl Strategy<Value = SsoTokenRequest> {
    prop_oneof![sso_exchange().prop_map(SsoTokenRequest::Exchange), sso_refresh().prop_map(SsoTokenRequest::Refresh),]
}

prop_compose! {
    pub fn sso_tokens()(
        id_token in secret_text(), access_token in of(secret_text()), token_type in of(text()),
        expires_in in of(number()), refresh_token in of(secret_text()),
    ) -> SsoTokens {
        SsoTokens { id_token, access_token, token_type, expires_in, refresh_token }
    }
}

pub fn item_id() -> impl Strategy<Value = ItemId> {
    prop_oneof!["[a-z0-9/:.-]{1,24}x", "é{1000,1024}"].prop_map(|id| ItemId::new(id).unwrap())
}

pub fn item_category() -> impl Strategy<Value = ItemCategory> {
    prop_oneof![Just(ItemCategory::Experiment), Just(ItemCategory::Flag)]
}

prop_compose! {
    pub fn item_fields()(
        slug in prop_oneof![text(), "é{1024}"], origin in prop_oneof![text(), "é{2048}"],
        category in of(item_category()),
        name in of(text()), description in of(prop_oneof![text(), "é{1024}"]), is_archived in of(any::<bool>()),
        created_at in of(timestamp()), updated_at in of(timestamp()),
    ) -> ItemFields {
        ItemFields { slug, origin, category, name, description, is_archived, created_at, updated_at }
    }
}

pub fn experiment_item() -> impl Strategy<Value = ExperimentItem> {
    (item_id(), item_fields()).prop_map(|(id, fields)| ExperimentItem::new(id, fields).unwrap())
}

pub fn item_update() -> impl Strategy<Value = ItemUpdate> {
    item_fields().prop_map(|fields| ItemUpdate::new(fields).unwrap())
}

pub fn item_batch() -> impl Strategy<Value = ItemBatch> {
    vec(experiment_item(), 0..4).prop_map(|items| ItemBatch::new(items).unwrap())
}

pub fn config_digest() -> impl Strategy<Value = ConfigDigest> {
    "[a-zA-Z0-9+/=]{1,64}".prop_map(|digest| ConfigDigest::new(digest).unwrap())
}

prop_compose! {
    pub fn config()(
        items in object(), updated_at in timestamp(), digest in config_digest(),
        purpose in of(prop_oneof![Just(ConfigPurpose::Experimentation), Just(ConfigPurpose::Flags)]),
    ) -> Config {
        Config { items, updated_at, digest, purpose }
    }
}

pub fn config_update() -> impl Strategy<Value = ConfigUpdate> {
    object().prop_map(|data| ConfigUpdate { data })
}

pub fn action_status() -> impl Strategy<Value = ActionStatus> {
    let known = ["running", "succeeded", "failed"];
    proptest::sample::select(known.to_vec()).prop_map(ActionStatus::from)
}

pub fn action_secret() -> impl Strategy<Value = ActionSecret> {
    ("[A-Z][A-Z0-9_]{0,19}", secret_text()).prop_map(|(name, value)| ActionSecret::new(name, value).unwrap())
}

pub fn action_outcome() -> impl Strategy<Value = ActionOutcome> {
    vec(action_secret(), 0..3).prop_map(ActionOutcome::ResourceSecrets)
}

prop_compose! {
    pub fn action_update()(
        status in of(action_status()), status_text in of(text()), status_url in of(link()),
        outcomes in of(vec(action_outcome(), 0..3)),
    ) -> ActionUpdate {
        ActionUpdate { status, status_text, status_url, outcomes }
    }
}

pub fn project_connection() -> impl Strategy<Value = ProjectConnection> {
    "prj_[a-zA-Z0-9]{1,20}".prop_map(|id| ProjectConnection { project_id: ProjectId::new(id).unwrap() })
}
