//! Every operation, one by one, when the answer to its first try is lost.
//!
//! Driven by [`OPERATIONS`]: an operation that is not performed here fails the tests.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::ids::{ActionId, DeploymentId, ProductId, ProjectId, UserId};
use crate::wire::{
    ActionUpdate, Balances, BillingData, Change, ConfigDigest, ConfigUpdate, ImportResource, InstallationPatch,
    ItemBatch, ItemFields, ItemId, ItemUpdate, ProjectConnection, RawObject, ResourcePatch, ResourceStatus,
    RevokeCredential, RotateCredential, SsoRefresh,
};

/// Performs an operation by its name; says how it ended.
#[allow(clippy::too_many_lines, reason = "one line or two for each operation")]
async fn perform(b: &Bench, name: &str) -> Result<&'static str, ClientError> {
    let call = &b.call();
    let (client, resource) = (&b.client, &resource());
    let client_secret = || SecretString::from("cl1ent");
    let item = ItemId::new("exp/1").unwrap();
    let fields = || ItemFields { slug: "s".to_owned(), origin: "o".to_owned(), ..<_>::default() };
    let digest = ConfigDigest::new("d1").unwrap();
    let path = if name.contains("edge") { ConfigPath::Edge } else { ConfigPath::Global };
    let removal = |removal| match removal {
        Removal::Removed => "done",
        Removal::AlreadyGone => "already gone",
    };
    match name {
        "update_installation" => client.update_installation(call, &InstallationPatch::default()).await.map(|()| "done"),
        "finalize_installation" => client.finalize_installation(call).await.map(|()| "done"),
        "account" => client.account(call).await.map(|_| "done"),
        "member" => client.member(call, &UserId::new("usr_1").unwrap()).await.map(|_| "done"),
        "rotate_credential" => {
            let proof = RotateCredential { client_secret: client_secret(), client_id: None };
            client.rotate_credential(call, &proof).await.map(|_| "done")
        }
        "revoke_credential" => {
            let revoke = RevokeCredential { token: "old".into(), client_secret: client_secret(), client_id: None };
            client.revoke_credential(call, &revoke).await.map(|_| "done")
        }
        "create_event" => b.event().await.map(|()| "done"),
        "list_resources" => client.list_resources(call).await.map(|_| "done"),
        "get_resource" => client.get_resource(call, resource).await.map(|_| "done"),
        "import_resource" => {
            let import = ImportResource::new(ProductId::new("db").unwrap(), "Main", ResourceStatus::Ready);
            client.import_resource(call, resource, &import).await.map(|_| "done")
        }
        "update_resource" => {
            let changes = ResourcePatch { notification: Change::Clear, ..<_>::default() };
            client.update_resource(call, resource, &changes).await.map(|_| "done")
        }
        "delete_resource" => client.delete_resource(call, resource).await.map(removal),
        "submit_billing_data" => {
            let data: BillingData = serde_json::from_str(super::requests::DATA).unwrap();
            client.submit_billing_data(call, &data).await.map(|()| "done")
        }
        "submit_invoice" => b.submit().await.map(|_| "done"),
        "get_invoice" => client.get_invoice(call, &InvoiceId::new("mi_1").unwrap()).await.map(|_| "done"),
        "refund_invoice" => b.refund().await.map(|()| "done"),
        "submit_balances" => {
            let balances = Balances { timestamp: jiff::Timestamp::UNIX_EPOCH, balances: Vec::new() };
            client.submit_balances(call, &balances).await.map(|()| "done")
        }
        "update_secrets" => {
            client.update_secrets(call, resource, &SecretsUpdate::all(secrets())).await.map(|()| "done")
        }
        "update_secrets_by_product" => {
            let (product, update) = (ProductId::new("db").unwrap(), SecretsUpdate::all(secrets()));
            #[allow(deprecated, reason = "it is there, and must do what it says")]
            let updated = client.update_secrets_by_product(call, &product, resource, &update);
            updated.await.map(|()| "done")
        }
        "exchange_code" => b.exchange().await.map(|_| "done"),
        "refresh_tokens" => {
            let client_id = ClientId::new("oac_1").unwrap();
            let refresh = SsoRefresh { refresh_token: "r0ll".into(), client_id, client_secret: client_secret() };
            client.refresh_tokens(&refresh, b.deadline).await.map(|_| "done")
        }
        "create_items" => {
            let items = vec![crate::wire::ExperimentItem::new(item, fields()).unwrap()];
            client.create_items(call, resource, &ItemBatch::new(items).unwrap()).await.map(|()| "done")
        }
        "update_item" => {
            let update = ItemUpdate::new(fields()).unwrap();
            client.update_item(call, resource, &item, &update).await.map(|()| "done")
        }
        "delete_item" => client.delete_item(call, resource, &item).await.map(removal),
        "get_global_config" | "get_edge_config" => {
            client.get_config(call, resource, path, Some(&digest)).await.map(|read| match read {
                ConfigRead::Config(_) => "done",
                ConfigRead::NotModified => "not modified",
            })
        }
        "head_global_config" | "head_edge_config" => {
            client.head_config(call, resource, path, Some(&digest)).await.map(|head| match head {
                ConfigHead::Present(_) => "done",
                ConfigHead::NotModified => "not modified",
            })
        }
        "put_global_config" | "put_edge_config" => {
            let update = ConfigUpdate { data: RawObject::new("{}").unwrap() };
            client.put_config(call, resource, path, &update, Some(&digest)).await.map(|write| match write {
                ConfigWrite::Written(_) => "done",
                ConfigWrite::Outdated => "outdated",
            })
        }
        "update_deployment_action" => {
            let (deployment, action) = (DeploymentId::new("dpl_1").unwrap(), ActionId::new("branch").unwrap());
            let update = ActionUpdate::default();
            client.update_deployment_action(call, &deployment, resource, &action, &update).await.map(|()| "done")
        }
        "connect_resource_to_project" => {
            let connection = ProjectConnection { project_id: ProjectId::new("prj_1").unwrap() };
            client.connect_resource_to_project(call, resource, &connection).await.map(|()| "done")
        }
        other => panic!("{other} is not performed here"),
    }
}

/// An answer that the operation takes for a success.
fn success(name: &str) -> Step {
    const CONFIG: &str = r#"{"items":{},"updatedAt":1801461600000,"digest":"d2"}"#;
    const TOKENS: &str = r#"{"id_token":"a.b.c","access_token":null,"token_type":null}"#;
    let (status, body) = match name {
        "account" => (200, r#"{"url":"https://vercel.com/x","contact":null}"#),
        "member" => (200, r#"{"id":"usr_1","role":"USER"}"#),
        "rotate_credential" => {
            (200, r#"{"access_token":"n3w","token_type":"oauth2-token","scope":"s","expires_in":1}"#)
        }
        "revoke_credential" => (200, r#"{"revoked":true,"alreadyRevoked":true}"#),
        "list_resources" => (200, r#"{"resources":[]}"#),
        "get_resource" => (200, r#"{"id":"r1","internalId":"i","productId":"p","name":"n"}"#),
        "import_resource" | "update_resource" => (200, r#"{"name":"other"}"#),
        "submit_invoice" => (200, SUBMITTED),
        "get_invoice" => (200, super::answers::INVOICE_READ),
        "exchange_code" | "refresh_tokens" => (200, TOKENS),
        name if name.ends_with("_config") && !name.starts_with("head") => (200, CONFIG),
        _ => (204, ""),
    };
    answer(status, body)
}

fn said(result: Result<&'static str, ClientError>) -> String {
    result.map_or_else(|error| name_of(&error), str::to_owned)
}

async fn played(name: &str, script: Vec<Step>) -> (String, usize) {
    let bench = Bench::new(script);
    let result = said(perform(&bench, name).await);
    (result, bench.tries())
}

const REFUSALS: [u16; 9] = [400, 401, 403, 404, 409, 410, 412, 422, 302];

/// What a refusal of the repeat says, a second time: not by the class's own predicate.
fn repeat_refused(class: RetryClass, status: u16) -> &'static str {
    match (class, status) {
        (_, 410) => "Gone",
        (RetryClass::ByExternalId, 409)
        | (RetryClass::Conditional, 409 | 412)
        | (RetryClass::Last, 401 | 403 | 404 | 409) => "MaybeDuplicate",
        (RetryClass::Removal, 404) => "already gone",
        _ => "Rejected",
    }
}

#[tokio::test]
async fn a_lost_answer_as_a_table_over_all_operations() {
    for operation in OPERATIONS {
        let (name, class) = (operation.name, operation.class);
        for lose in [no_answer, || refused(500), || refused(408)] {
            let lost = played(name, vec![lose(), success(name)]).await;
            if class == RetryClass::Never {
                let claims = if matches!(lose(), Step::Fail(_)) { "NoAnswer" } else { "Server" };
                assert_eq!(lost, (claims.to_owned(), 1), "{name}");
                continue;
            }
            assert_eq!(lost, ("done".to_owned(), 2), "{name}");
            for status in REFUSALS {
                let got = played(name, vec![lose(), refused(status)]).await;
                assert_eq!(got, (repeat_refused(class, status).to_owned(), 2), "{name} {status}");
            }
            let out_of_tries = played(name, vec![lose(), refused(429), not_sent(), not_sent(), refused(429)]).await;
            assert_eq!(out_of_tries, ("NoAnswer".to_owned(), 5), "{name}");
        }
    }
}

#[tokio::test]
async fn without_a_lost_answer_a_refusal_is_a_refusal() {
    for operation in OPERATIONS {
        let (name, class) = (operation.name, operation.class);
        assert_eq!(played(name, vec![success(name)]).await, ("done".to_owned(), 1), "{name}");
        // What surely was not carried out is repeated in every class, and leaves no doubt.
        assert_eq!(played(name, vec![not_sent(), refused(429), success(name)]).await, ("done".to_owned(), 3), "{name}");
        for status in REFUSALS {
            let expected = match (class, status) {
                (_, 410) => "Gone",
                (RetryClass::Conditional, 412) => "outdated",
                _ => "Rejected",
            };
            assert_eq!(played(name, vec![refused(status)]).await, (expected.to_owned(), 1), "{name} {status}");
            assert_eq!(
                played(name, vec![not_sent(), refused(status)]).await,
                (expected.to_owned(), 2),
                "{name} {status}"
            );
        }
        let conditional_read = name.ends_with("_config") && !name.starts_with("put");
        let not_modified = if conditional_read { "not modified" } else { "Rejected" };
        if class != RetryClass::Conditional {
            assert_eq!(played(name, vec![refused(304)]).await, (not_modified.to_owned(), 1), "{name}");
        }
    }
}

#[tokio::test]
async fn each_operation_is_sent_as_listed_and_repeated_to_the_byte() {
    for operation in OPERATIONS {
        let bench = Bench::new(vec![not_sent(), success(operation.name)]);
        perform(&bench, operation.name).await.unwrap();
        let requests = bench.world.requests.lock().unwrap();
        let [(first, _), (second, _)] = requests.as_slice() else { panic!("{}", operation.name) };
        let sent = |request: &http::Request<bytes::Bytes>| {
            (request.method().clone(), request.uri().clone(), request.headers().clone(), request.body().clone())
        };
        assert_eq!(sent(first), sent(second), "{}", operation.name);
        assert_eq!(first.method(), operation.method, "{}", operation.name);
        let (theirs, ours): (Vec<_>, Vec<_>) =
            (operation.path.split('/').collect(), first.uri().path()["/api".len()..].split('/').collect());
        assert_eq!(theirs.len(), ours.len(), "{}", operation.name);
        for (theirs, ours) in theirs.into_iter().zip(ours) {
            match theirs {
                "{integrationConfigurationId}" => assert_eq!(ours, "icfg_1"),
                "{resourceId}" => assert_eq!(ours, "r%5C1"),
                "{itemId}" => assert_eq!(ours, "exp%2F1"),
                "{memberId}" => assert_eq!(ours, "usr_1"),
                "{invoiceId}" => assert_eq!(ours, "mi_1"),
                "{integrationProductIdOrSlug}" => assert_eq!(ours, "db"),
                "{deploymentId}" => assert_eq!(ours, "dpl_1"),
                "{action}" => assert_eq!(ours, "branch"),
                literal => assert_eq!(ours, literal),
            }
        }
        let bearer = first.headers().contains_key("authorization");
        assert_eq!(bearer, operation.spec != "A.20", "{}", operation.name);
        let has_body = !first.body().is_empty();
        assert_eq!(first.headers().contains_key("content-type"), has_body, "{}", operation.name);
        let reads =
            matches!(first.method().as_str(), "GET" | "HEAD" | "DELETE") || operation.name.starts_with("finalize");
        assert_eq!(has_body, !reads, "{}", operation.name);
    }
}

#[test]
fn the_readme_lists_them_all() {
    let mut table = String::new();
    for operation in OPERATIONS {
        let (name, spec, class) = (operation.name, operation.spec, operation.class.name());
        let _ = writeln!(table, "| `{name}` | {spec} | `{}` | {class} | {} |", operation.function, operation.when_lost);
    }
    let readme = include_str!("../../../README.md");
    let rows = readme.split("\n\n").find(|part| part.starts_with("| operation |")).unwrap();
    let rows = rows.lines().skip(2).fold(String::new(), |text, line| text + line + "\n");
    assert_eq!(rows, table, "the README's table must be:\n{table}");
}

/// The documentation comment of every public function of the client, by its name.
fn documented() -> std::collections::BTreeMap<String, String> {
    let mut found = std::collections::BTreeMap::new();
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/client")).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let mut comment = String::new();
        for line in std::fs::read_to_string(path).unwrap().lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("///") {
                comment += text;
            } else if let Some(rest) = line.strip_prefix("pub async fn ") {
                let name = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                found.insert(name, std::mem::take(&mut comment));
            } else if !line.starts_with("#[") {
                comment.clear();
            }
        }
    }
    found
}

#[test]
fn every_function_says_what_happens_when_the_answer_is_lost() {
    let documented = documented();
    for operation in OPERATIONS {
        let comment = &documented[operation.function];
        let class = format!("(super::RetryClass::{:?})", operation.class);
        for wanted in [&format!("(spec {}", operation.spec), &class, "after a lost answer"] {
            let found = comment.to_lowercase().contains(&wanted.to_lowercase());
            assert!(found, "{} does not say {wanted:?}: {comment}", operation.function);
        }
    }
    let listed: std::collections::BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.function).collect();
    let extra: Vec<_> = documented.keys().filter(|name| !listed.contains(name.as_str())).collect();
    assert!(extra.is_empty(), "functions that are not in OPERATIONS: {extra:?}");
}
