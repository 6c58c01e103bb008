//! Every model of the wire survives being written and read again, to the byte.
//!
//! A test reads the models from the source: one that has no row here fails.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod strategies;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde::Serialize;
use serde::de::DeserializeOwned;
use strategies::{client, partner};
use tradepost_marketplace::wire::Exposed;

/// How often each model is drawn.
const CASES: u32 = 128;

/// Draws values of a model, writes, reads, and writes again.
fn survives<T: Debug + DeserializeOwned>(model: impl Strategy<Value = T>, write: impl Fn(&T) -> String) {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) };
    let run = TestRunner::new(config).run(&model, |value| {
        let written = write(&value);
        let read: T =
            serde_json::from_str(&written).map_err(|error| TestCaseError::fail(format!("{error}: {written}")))?;
        prop_assert_eq!(&write(&read), &written);
        // What is read with room around it and fields that we do not know is the same.
        let spread = spread(&written);
        let read: T =
            serde_json::from_str(&spread).map_err(|error| TestCaseError::fail(format!("{error}: {spread}")))?;
        prop_assert_eq!(&write(&read), &written);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{}: {error}", std::any::type_name::<T>()));
}

/// The same JSON with a field of tomorrow in the outermost object.
fn spread(json: &str) -> String {
    match json.strip_prefix('{') {
        Some(rest) if rest.starts_with('}') => format!(" {{ \"fieldOfTomorrow\": [1] {rest}"),
        Some(rest) => format!(" {{ \"fieldOfTomorrow\": {{\"a\": null}}, {rest} \n"),
        None => format!(" {json} "),
    }
}

fn plain<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

fn exposed<T>(value: &T) -> String
where
    for<'a> Exposed<'a, T>: Serialize,
{
    serde_json::to_string(&Exposed(value)).unwrap()
}

macro_rules! models {
    ($($name:ident: $write:ident $draw:expr;)+) => {
        $(
            #[test]
            #[allow(non_snake_case, reason = "the model's own name")]
            fn $name() {
                survives($draw, $write);
            }
        )+

        /// The models that have a row.
        const MODELS: &[&str] = &[$(stringify!($name)),+];
    };
}

models! {
    LineItem: plain strategies::line_item();
    Discount: plain strategies::discount();
    Period: plain strategies::period();
    Usage: plain strategies::usage();
    UsageKind: plain strategies::usage_kind();
    Billing: plain strategies::billing();
    BillingData: plain strategies::billing_data();
    Balance: plain strategies::balance();
    Balances: plain strategies::balances();
    TestInvoice: plain strategies::test_invoice();
    TestResult: plain strategies::test_result();
    InvoiceRequest: plain strategies::invoice_request();
    InvoiceState: plain strategies::invoice_state();
    Invoice: plain strategies::invoice();
    PlanKind: plain strategies::plan_kind();
    PlanScope: plain strategies::plan_scope();
    PlanDetail: plain strategies::plan_detail();
    BillingPlan: plain strategies::billing_plan();
    ResourceStatus: plain strategies::status();
    Ownership: plain strategies::ownership();
    Notification: plain strategies::notification();
    Contact: plain strategies::contact();
    Account: plain strategies::account();
    MarketplaceEvent: plain strategies::event();
    Secret: exposed strategies::secret();
    Refund: plain strategies::refund();
    InstallationPatch: plain client::installation_patch();
    Member: plain client::member();
    EventRequest: plain client::event_request();
    RotateCredential: exposed client::rotate_credential();
    RotatedCredential: exposed client::rotated_credential();
    RevokeCredential: exposed client::revoke_credential();
    RevokedCredential: plain client::revoked_credential();
    EnvironmentTarget: plain client::environment_target();
    AppUrl: plain client::app_url();
    AuthenticationSettings: plain client::authentication_settings();
    ExperimentationSettings: plain client::experimentation_settings();
    ResourceSettings: plain client::resource_settings();
    VercelResource: plain client::vercel_resource();
    VercelResources: plain client::vercel_resources();
    NamedResource: plain client::named_resource();
    ImportResource: exposed client::import_resource();
    SecretsUpdate: exposed client::secrets_update();
    ResourcePatch: exposed client::resource_patch();
    InvoiceAnswer: plain client::invoice_answer();
    SsoTokenRequest: exposed client::sso_token_request();
    SsoTokens: exposed client::sso_tokens();
    ItemId: plain client::item_id();
    ItemCategory: plain client::item_category();
    ItemFields: plain client::item_fields();
    ExperimentItem: plain client::experiment_item();
    ItemUpdate: plain client::item_update();
    ItemBatch: plain client::item_batch();
    ConfigDigest: plain client::config_digest();
    Config: plain client::config();
    ConfigUpdate: plain client::config_update();
    ActionStatus: plain client::action_status();
    ActionSecret: exposed client::action_secret();
    ActionOutcome: exposed client::action_outcome();
    ActionUpdate: exposed client::action_update();
    ProjectConnection: plain client::project_connection();
    UpsertInstallation: exposed partner::upsert_installation();
    Credentials: exposed partner::credentials();
    UpdateInstallation: plain partner::update_installation();
    DeleteInstallation: plain partner::delete_installation();
    Installation: plain partner::installation();
    InstallationDeleted: plain partner::installation_deleted();
    PlanList: plain partner::plan_list();
    Experimentation: plain partner::experimentation();
    ProtocolSettings: plain partner::protocol_settings();
    ProvisionResource: plain partner::provision_resource();
    UpdateResource: plain partner::update_resource();
    Resource: exposed partner::resource();
    ResourceList: plain partner::resource_list();
    RotateSecrets: plain partner::rotate_secrets();
    RotationAnswer: exposed partner::rotation_answer();
    ReplInput: plain partner::repl_input();
    ReplText: plain partner::repl_text();
    ReplOutput: plain partner::repl_output();
    ProvisionPurchase: plain partner::provision_purchase();
    CreateTransfer: plain partner::create_transfer();
    TransferCreated: plain partner::transfer_created();
    TransferVerified: plain partner::transfer_verified();
    PutTransfer: plain partner::put_transfer();
    ErrorEnvelope: plain partner::error_envelope();
    ErrorBody: plain partner::error_body();
    UserMessage: plain partner::user_message();
    FieldError: plain partner::field_error();
}

/// Models that are only part of another's row, with the model that they are part of.
const PARTS: &[(&str, &str)] = &[
    ("NotificationLevel", "Notification"),
    ("EnvironmentOverrides", "Secret"),
    // One of an unknown type keeps every field, also those of tomorrow.
    ("ReplBlock", "ReplOutput"),
    ("Raw", "ReplOutput"),
    ("RawObject", "ConfigUpdate"),
    ("ConfigPurpose", "Config"),
    ("Link", "Notification"),
    // Its bare list has no room for a field of tomorrow.
    ("SecretsPatch", "ResourcePatch"),
];

#[test]
fn every_model_has_a_row() {
    let mut found = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wire"), &mut found);
    assert!(found.len() > 30, "the source is read: {found:?}");
    let known: BTreeSet<String> =
        MODELS.iter().chain(PARTS.iter().map(|(part, _)| part)).map(ToString::to_string).collect();
    let missing: Vec<_> = found.difference(&known).collect();
    assert!(missing.is_empty(), "models without a row: {missing:?}");
    let stale: Vec<_> = known.difference(&found).collect();
    assert!(stale.is_empty(), "rows without a model: {stale:?}");
}

/// The names of the public types that can be read from JSON.
fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // The payloads of events have their round trips beside them.
            if !path.ends_with("webhook") {
                collect(&path, found);
            }
        } else if !path.file_name().is_some_and(|name| name == "tests.rs" || name == "open_enum.rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            // Unit tests stand last in a file.
            scan(source.split("#[cfg(test)]").next().unwrap(), found);
        }
    }
}

fn scan(source: &str, found: &mut BTreeSet<String>) {
    let mut derives = false;
    let mut opens = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[derive(") {
            derives = line.contains("Deserialize");
        } else if line.starts_with("open_enum! {") {
            opens = true;
        } else if let Some(rest) = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum ")) {
            if derives {
                found.insert(name(rest));
            }
            derives = false;
        } else if let Some(rest) = line.strip_prefix("impl<'de> Deserialize<'de> for ") {
            found.insert(name(rest));
        } else if let Some(rest) = line.strip_prefix("exposed!(") {
            found.insert(name(rest));
        } else if opens && !line.starts_with("//") && line.ends_with('{') {
            found.insert(name(line));
            opens = false;
        }
    }
}

fn name(text: &str) -> String {
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}
