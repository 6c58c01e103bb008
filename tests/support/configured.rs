//! The functions' configuration for tests (`formats.md`, "Environment"), with an embedded DynamoDB that
//! lives as long as the test process. The addresses of everything else lead nowhere. Apart from [`crate::support`],
//! because it needs the store: `#[path = "support/configured.rs"] mod configured;`.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of the bench")]
#![allow(clippy::expect_used, reason = "a test fails by panicking, and this is only for tests")]

use std::sync::OnceLock;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tradepost_store::embedded::{Embedded, TABLE_NAME, Where};

use crate::support::process::{Environment, environment};

pub const CRON_SECRET: &str = "cron-secret-of-the-tests-0123456789";

/// As the owner of a deployment on AWS sets it up: no cron secret, the standard AWS variables.
pub fn on_lambda() -> Environment {
    let mut variables = everywhere();
    variables.extend(environment([
        ("AWS_ACCESS_KEY_ID", "embedded"),
        ("AWS_SECRET_ACCESS_KEY", "embedded"),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb()),
    ]));
    variables
}

/// As in a Vercel project: our own names for AWS, beside credentials of Vercel's that are not ours to use.
pub fn on_vercel() -> Environment {
    let mut variables = everywhere();
    variables.extend(environment([
        ("CRON_SECRET", CRON_SECRET),
        ("TRADEPOST_AWS_REGION", "us-east-1"),
        ("TRADEPOST_AWS_ACCESS_KEY_ID", "embedded"),
        ("TRADEPOST_AWS_SECRET_ACCESS_KEY", "embedded"),
        ("TRADEPOST_AWS_ENDPOINT_URL", dynamodb()),
        ("AWS_ACCESS_KEY_ID", "vercels-own"),
        ("AWS_SECRET_ACCESS_KEY", "vercels-own"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"),
    ]));
    variables
}

/// As for a plain process.
pub fn on_localhost() -> Environment {
    let mut variables = on_lambda();
    variables.extend(environment([("CRON_SECRET", CRON_SECRET), ("AWS_REGION", "us-east-1")]));
    variables
}

/// Without one variable.
pub fn without(mut variables: Environment, name: &str) -> Environment {
    variables.retain(|(key, _)| key != name);
    variables
}

fn everywhere() -> Environment {
    let secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
    environment([
        ("INTEGRATION_CLIENT_ID", "oac_0123456789abcdef"),
        ("INTEGRATION_CLIENT_SECRET", "client-secret-of-the-tests"),
        ("VERCEL_API_URL", "http://127.0.0.1:1"),
        ("VERCEL_OIDC_ISSUER", "http://127.0.0.1:1"),
        ("TRADEPOST_TABLE", TABLE_NAME),
        ("TRADEPOST_KEY_RING", "test:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ("TRADEPOST_PARTNER_KEYS", &format!(r#"[{{"id":"tests","secrets":["{secret}"],"scopes":["usage"]}}]"#)),
        ("TRADEPOST_PROVISIONER_URL", "http://127.0.0.1:1"),
        ("TRADEPOST_PROVISIONER_SECRET", secret),
        ("TRADEPOST_DASHBOARD_URL", "https://dashboard.example.com"),
    ])
}

/// The URL of the embedded DynamoDB, with the table in it.
fn dynamodb() -> &'static str {
    static STARTED: OnceLock<(Embedded, Runtime)> = OnceLock::new();
    let (embedded, _) = STARTED.get_or_init(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let embedded = runtime.block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
            Embedded::start(Where::Memory, listener).await.expect("an embedded DynamoDB")
        });
        (embedded, runtime)
    });
    &embedded.url
}
