use std::collections::BTreeSet;
use std::sync::Mutex;

use super::*;

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";

/// Variables that note who is asked for.
#[derive(Default)]
struct Noted {
    set: Vec<(&'static str, String)>,
    asked: Mutex<BTreeSet<String>>,
}

impl Environment for Noted {
    fn var(&self, name: &str) -> Option<String> {
        self.asked.lock().unwrap().insert(name.to_owned());
        self.set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }
}

fn all() -> Vec<(&'static str, String)> {
    let text = |name: &'static str, value: &str| (name, value.to_owned());
    vec![
        text("TRADEPOST_TABLE", "tradepost"),
        text("AWS_REGION", "eu-central-1"),
        text("AWS_ACCESS_KEY_ID", "id"),
        text("AWS_SECRET_ACCESS_KEY", "key"),
        text("TRADEPOST_AWS_REGION", "eu-central-1"),
        text("TRADEPOST_AWS_ACCESS_KEY_ID", "id"),
        text("TRADEPOST_AWS_SECRET_ACCESS_KEY", "key"),
        text("TRADEPOST_KEY_RING", "test:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        text("INTEGRATION_CLIENT_ID", "oac_0123456789abcdef"),
        text("INTEGRATION_CLIENT_SECRET", "client-secret-of-the-tests"),
        text("CRON_SECRET", "cron-secret-of-the-tests"),
        ("TRADEPOST_PARTNER_KEYS", format!(r#"[{{"id":"t","secrets":["{SECRET}"],"scopes":["usage"]}}]"#)),
        text("TRADEPOST_PROVISIONER_URL", "https://provisioner.example.com/orders"),
        text("TRADEPOST_PROVISIONER_SECRET", SECRET),
    ]
}

fn with(changes: &[(&'static str, Option<&str>)]) -> Noted {
    let mut set = all();
    for (name, value) in changes {
        set.retain(|(known, _)| known != name);
        set.extend(value.map(|value| (*name, value.to_owned())));
    }
    Noted { set, ..Noted::default() }
}

fn wrong(environment: &Noted, platform: Platform, function: Function) -> Vec<&'static str> {
    match Settings::read(environment, platform, function) {
        Ok(_) => Vec::new(),
        Err(Problems(problems)) => problems.into_iter().map(|problem| problem.variable).collect(),
    }
}

/// What the host reads by itself.
const OF_THE_HOST: [&str; 4] = ["TRADEPOST_LOG", "TRADEPOST_STACK", "PORT", "VERCEL_DEV_PORT"];

#[test]
fn what_is_read_is_what_the_table_says() {
    for platform in Platform::ALL {
        for function in Function::ALL {
            let mut asked = BTreeSet::new();
            // With keys and with a role: each way asks for variables of its own.
            let role = [
                ("TRADEPOST_AWS_ROLE_ARN", Some("arn:aws:iam::111122223333:role/r")),
                ("TRADEPOST_AWS_ACCESS_KEY_ID", None),
                ("TRADEPOST_AWS_SECRET_ACCESS_KEY", None),
                ("AWS_REGION", None),
                ("AWS_DEFAULT_REGION", Some("eu-central-1")),
            ];
            for environment in [with(&[]), with(&role)] {
                assert_eq!(wrong(&environment, platform, function), [""; 0], "{function} on {platform:?}");
                asked.extend(environment.asked.into_inner().unwrap());
            }
            let table = VARIABLES.iter().filter(|variable| variable.is_read_by(function, platform));
            let table: BTreeSet<String> = table.map(|variable| variable.name.to_owned()).collect();
            let read = asked
                .iter()
                .cloned()
                .chain(OF_THE_HOST.map(str::to_owned))
                .filter(|name| !OF_THE_HOST.contains(&name.as_str()) || table.contains(name));
            assert_eq!(read.collect::<BTreeSet<_>>(), table, "{function} on {platform:?}");
        }
    }
}

#[test]
fn every_problem_is_told_at_once_one_line_each() {
    let environment = with(&[
        ("TRADEPOST_TABLE", None),
        ("TRADEPOST_KEY_RING", Some("kid:secret-material")),
        ("CRON_SECRET", Some("short")),
        ("TRADEPOST_PROVISIONER_SECRET", Some("plain-secret")),
        ("TRADEPOST_PARTNER_KEYS", Some("[{\"id\":\"secret-material\"}]")),
        ("TRADEPOST_DEADLINE_SECONDS", Some("1m")),
    ]);
    let problems = Settings::read(&environment, Platform::Vercel, Function::Secrets).unwrap_err();
    let text = problems.to_string();
    let named: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(
        named,
        [
            "TRADEPOST_TABLE",
            "TRADEPOST_KEY_RING",
            "CRON_SECRET",
            "TRADEPOST_PARTNER_KEYS",
            "TRADEPOST_PROVISIONER_SECRET",
            "TRADEPOST_DEADLINE_SECONDS",
        ]
    );
    assert!(text.lines().all(|line| line.contains("the secrets function")), "{text}");
    assert!(!text.contains("secret-material") && !text.contains("plain-secret"), "{text}");
    assert_eq!(
        text.lines().next().unwrap(),
        "TRADEPOST_TABLE is not set; the secrets function cannot start without it: set it to the name of the DynamoDB \
         table"
    );
}

/// A value that cannot be right, for every variable that has a form.
const MALFORMED: [(&str, &str); 21] = [
    ("TRADEPOST_TABLE", "a b"),
    ("AWS_REGION", "Frankfurt"),
    ("AWS_ACCESS_KEY_ID", "a\n"),
    ("AWS_SECRET_ACCESS_KEY", "a b"),
    ("AWS_ENDPOINT_URL_DYNAMODB", "db"),
    ("TRADEPOST_AWS_REGION", "Frankfurt"),
    ("TRADEPOST_AWS_ROLE_ARN", "role"),
    ("TRADEPOST_AWS_SECRET_ACCESS_KEY", "a b"),
    ("TRADEPOST_AWS_ENDPOINT_URL", "http://db"),
    ("TRADEPOST_KEY_RING", "k:short"),
    ("INTEGRATION_CLIENT_ID", "oac 1"),
    ("INTEGRATION_CLIENT_SECRET", "client-secret-of-the-tests\n"),
    ("INTEGRATION_CLIENT_SECRET_PREVIOUS", "short"),
    ("CRON_SECRET", "short"),
    ("CRON_SECRET_PREVIOUS", "short"),
    ("TRADEPOST_PARTNER_KEYS", "{}"),
    ("TRADEPOST_PROVISIONER_URL", "http://provisioner.example.com"),
    ("TRADEPOST_PROVISIONER_SECRET", "whsec_c2hvcnQ="),
    ("TRADEPOST_DASHBOARD_URL", "http://dashboard.example.com"),
    ("VERCEL_API_URL", "http://api.example.com"),
    ("VERCEL_OIDC_ISSUER", "issuer"),
];

#[test]
fn a_malformed_value_stops_who_needs_it_and_nobody_else() {
    for (name, value) in MALFORMED.iter().chain(&[("TRADEPOST_CATALOG", "x"), ("TRADEPOST_DEADLINE_SECONDS", "5")]) {
        let environment = with(&[(name, Some(value))]);
        let variable = Variable::named(name).unwrap();
        for platform in Platform::ALL {
            for function in Function::ALL {
                let wanted = if variable.is_read_by(function, platform) { vec![*name] } else { Vec::new() };
                let mut got = wrong(&environment, platform, function);
                // A role beside keys is a problem of its own.
                got.dedup();
                assert_eq!(got, wanted, "{name} for {function} on {platform:?}");
            }
        }
    }
}

#[test]
fn what_cannot_be_billed_is_not_served() {
    assert!(served_catalog(DEMO_CATALOG).is_ok());
    let prepaid = DEMO_CATALOG.replacen("type = \"subscription\"", "type = \"prepayment\"", 1);
    assert_ne!(prepaid, DEMO_CATALOG);
    assert!(served_catalog(&prepaid).unwrap_err().contains("not served yet"));
}

#[test]
fn a_function_gets_nothing_that_it_does_not_need() {
    let read = |function| Settings::read(&with(&[]), Platform::Vercel, function).unwrap();
    for function in Function::ALL {
        let settings = read(function);
        for (concern, has) in [
            (Concern::Keys, settings.configured.keys.is_some()),
            (Concern::Vercel, settings.configured.vercel.is_some()),
            (Concern::Tokens, settings.configured.tokens.is_some()),
            (Concern::SignOn, settings.configured.sign_on.is_some()),
            (Concern::Webhooks, settings.configured.webhooks.is_some()),
            (Concern::Partners, settings.configured.partners.is_some()),
            (Concern::Cron, settings.configured.cron.is_some()),
            (Concern::Provisioner, settings.configured.provisioner.is_some()),
            (Concern::Catalog, settings.configured.catalog.is_some()),
        ] {
            assert_eq!(has, function.needs(concern), "{function} {concern:?}");
        }
    }
}

#[test]
fn on_aws_no_cron_secret_opens_anything() {
    let lambda = Settings::read(&with(&[]), Platform::Lambda, Function::Billing).unwrap();
    assert!(lambda.configured.cron.is_some_and(|secrets| secrets.0.is_empty()));
    let vercel = Settings::read(
        &with(&[("CRON_SECRET_PREVIOUS", Some("0123456789abcdef"))]),
        Platform::Vercel,
        Function::Billing,
    );
    assert!(vercel.unwrap().configured.cron.is_some_and(|secrets| secrets.0.len() == 2));
}

/// A restore makes a table of another name: what was sealed for the first opens where that is said, and only there.
#[tokio::test]
async fn a_restored_table_opens_what_was_sealed_for_the_first() {
    let start = |changes: &[(&'static str, Option<&str>)]| {
        let settings = Settings::read(&with(changes), Platform::Localhost, Function::Installations);
        settings.unwrap().provider().unwrap()
    };
    let first = start(&[]);
    let restored = start(&[("TRADEPOST_TABLE", Some("copy"))]);
    let told = start(&[("TRADEPOST_TABLE", Some("copy")), ("TRADEPOST_SEALED_AS", Some("tradepost"))]);
    let token = secrecy::SecretString::from("a token");
    let sealed = first.keys().unwrap().seal("icfg_1", "access_token", &token).await.unwrap();
    assert!(restored.keys().unwrap().open("icfg_1", "access_token", &sealed).await.is_err());
    assert!(told.keys().unwrap().open("icfg_1", "access_token", &sealed).await.is_ok());
    let anew = told.keys().unwrap().seal("icfg_1", "access_token", &token).await.unwrap();
    assert!(first.keys().unwrap().open("icfg_1", "access_token", &anew).await.is_ok());
}
