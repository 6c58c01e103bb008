//! Draws of the bodies of the Partner API (spec B).

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use tradepost_marketplace::ids::TransferClaimId;
use tradepost_marketplace::money::Number;
use tradepost_marketplace::partner::{
    CreateTransfer, Credentials, DeleteInstallation, ErrorBody, ErrorEnvelope, Experimentation, FieldError,
    Installation, InstallationDeleted, PlanList, ProtocolSettings, ProvisionPurchase, ProvisionResource, PutTransfer,
    ReplBlock, ReplInput, ReplOutput, ReplText, Resource, ResourceList, RotateSecrets, RotationAnswer, TransferCreated,
    TransferVerified, UpdateInstallation, UpdateResource, UpsertInstallation, UserMessage,
};
use tradepost_marketplace::wire::Raw;

use super::{
    account, billing_plan, invoice_id, metadata, notification, plan_id, policies, product_id, resource_id, secret,
    secret_text, status, text, timestamp,
};

prop_compose! {
    pub fn credentials()(access_token in secret_text(), token_type in text()) -> Credentials {
        Credentials { access_token, token_type }
    }
}

prop_compose! {
    pub fn upsert_installation()(
        scopes in vec(text(), 1..4), accepted_policies in policies(), credentials in credentials(),
        account in of(account()),
    ) -> UpsertInstallation {
        UpsertInstallation { scopes, accepted_policies, credentials, account }
    }
}

prop_compose! {
    pub fn update_installation()(billing_plan_id in of(plan_id())) -> UpdateInstallation {
        UpdateInstallation { billing_plan_id }
    }
}

prop_compose! {
    pub fn delete_installation()(
        cascade_resource_deletion in of(any::<bool>()), reason in of(text()),
    ) -> DeleteInstallation {
        DeleteInstallation { cascade_resource_deletion, reason }
    }
}

prop_compose! {
    pub fn installation()(billing_plan in of(billing_plan()), notification in of(notification())) -> Installation {
        Installation { billing_plan, notification }
    }
}

prop_compose! {
    pub fn installation_deleted()(finalized: bool) -> InstallationDeleted {
        InstallationDeleted { finalized }
    }
}

prop_compose! {
    pub fn plan_list()(plans in vec(billing_plan(), 0..3)) -> PlanList {
        PlanList { plans }
    }
}

prop_compose! {
    pub fn experimentation()(
        edge_config_id in of(text()), edge_config_syncing_enabled in of(any::<bool>()),
        edge_config_token_id in of(text()), global_config_id in of(text()),
    ) -> Experimentation {
        Experimentation { edge_config_id, edge_config_syncing_enabled, edge_config_token_id, global_config_id }
    }
}

prop_compose! {
    pub fn protocol_settings()(experimentation in of(experimentation())) -> ProtocolSettings {
        ProtocolSettings { experimentation }
    }
}

prop_compose! {
    pub fn provision_resource()(
        product_id in product_id(), name in text(), metadata in metadata(), billing_plan_id in plan_id(),
        external_id in of(text()), protocol_settings in of(protocol_settings()),
    ) -> ProvisionResource {
        ProvisionResource { product_id, name, metadata, billing_plan_id, external_id, protocol_settings }
    }
}

prop_compose! {
    pub fn update_resource()(
        name in of(text()), metadata in of(metadata()), billing_plan_id in of(plan_id()), status in of(status()),
        protocol_settings in of(protocol_settings()),
    ) -> UpdateResource {
        UpdateResource { name, metadata, billing_plan_id, status, protocol_settings }
    }
}

prop_compose! {
    pub fn resource()(
        id in resource_id(), product_id in product_id(), name in text(), metadata in metadata(), status in status(),
        billing_plan in of(billing_plan()), notification in of(notification()),
        protocol_settings in of(protocol_settings()), secrets in of(vec(secret(), 0..3)),
    ) -> Resource {
        Resource { id, product_id, name, metadata, status, billing_plan, notification, protocol_settings, secrets }
    }
}

prop_compose! {
    pub fn resource_list()(mut resources in vec(resource(), 0..3)) -> ResourceList {
        // Only the answer to Provision Resource carries secrets.
        for resource in &mut resources {
            resource.secrets = None;
        }
        ResourceList { resources }
    }
}

prop_compose! {
    pub fn rotate_secrets()(
        reason in of(text()), hours in of("(0|[1-6]?[0-9]{1,2})(\\.[0-9]{1,9})?"),
    ) -> RotateSecrets {
        let hours = hours.map(|text| text.trim_start_matches('0').to_owned());
        let hours = hours.map(|text| if text.is_empty() || text.starts_with('.') { format!("0{text}") } else { text });
        let delay_old_secrets_expiration_hours = hours.map(|text| Number::new(text).unwrap());
        RotateSecrets { reason, delay_old_secrets_expiration_hours }
    }
}

pub fn rotation_answer() -> impl Strategy<Value = RotationAnswer> {
    let now = (vec(secret(), 0..3), of(any::<bool>()));
    prop_oneof![
        now.prop_map(|(secrets, partial)| RotationAnswer::Now { secrets, partial }),
        Just(RotationAnswer::Later),
    ]
}

prop_compose! {
    pub fn repl_input()(input in text(), read_only in of(any::<bool>())) -> ReplInput {
        ReplInput { input, read_only }
    }
}

prop_compose! {
    pub fn repl_text()(
        text in text(), color in of("#[0-9a-f]{6}"), bold in of(any::<bool>()), italic in of(any::<bool>()),
        href in of(super::href()),
    ) -> ReplText {
        ReplText { text, color, bold, italic, href }
    }
}

pub fn repl_block() -> impl Strategy<Value = ReplBlock> {
    prop_oneof![
        vec(repl_text(), 0..3).prop_map(|children| ReplBlock::Paragraph { children }),
        (of(vec(repl_text(), 0..3)), vec(vec(repl_text(), 0..3), 0..3))
            .prop_map(|(header, rows)| ReplBlock::Table { header, rows }),
        Just(ReplBlock::Other(Raw::new(r#"{"type":"chart","points":[1.50,2e3]}"#).unwrap())),
    ]
}

prop_compose! {
    pub fn repl_output()(blocks in vec(repl_block(), 0..4)) -> ReplOutput {
        ReplOutput(blocks)
    }
}

prop_compose! {
    pub fn provision_purchase()(invoice_id in invoice_id()) -> ProvisionPurchase {
        ProvisionPurchase { invoice_id }
    }
}

pub fn transfer_claim_id() -> impl Strategy<Value = TransferClaimId> {
    "[a-zA-Z][a-zA-Z0-9_-]{0,23}".prop_map(|id| TransferClaimId::new(id).unwrap())
}

prop_compose! {
    pub fn create_transfer()(resource_ids in vec(resource_id(), 1..4), expires_at in timestamp()) -> CreateTransfer {
        CreateTransfer { resource_ids, expires_at }
    }
}

prop_compose! {
    pub fn transfer_created()(provider_claim_id in transfer_claim_id()) -> TransferCreated {
        TransferCreated { provider_claim_id }
    }
}

prop_compose! {
    pub fn transfer_verified()(new_billing_plan in of(billing_plan())) -> TransferVerified {
        TransferVerified { new_billing_plan }
    }
}

prop_compose! {
    pub fn put_transfer()(
        claim_id in of(transfer_claim_id()), resource_ids in vec(resource_id(), 1..4), expiration in timestamp(),
    ) -> PutTransfer {
        PutTransfer { claim_id, resource_ids, expiration }
    }
}

prop_compose! {
    pub fn user_message()(message in of(text()), url in of(super::href())) -> UserMessage {
        UserMessage { message, url }
    }
}

prop_compose! {
    pub fn field_error()(key in text(), message in of(text())) -> FieldError {
        FieldError { key, message }
    }
}

prop_compose! {
    pub fn error_body()(
        code in text(), message in text(), user in of(user_message()), fields in vec(field_error(), 0..3),
    ) -> ErrorBody {
        ErrorBody { user, fields, ..ErrorBody::new(code, message) }
    }
}

prop_compose! {
    pub fn error_envelope()(error in error_body()) -> ErrorEnvelope {
        ErrorEnvelope { error }
    }
}
