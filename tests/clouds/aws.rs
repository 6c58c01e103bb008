//! `template.yaml`: routes, schedules, the table, and the variables of each function. (What the functions may do with
//! the table: `tests/permissions.rs`.)

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde_json::{Value, json};
use tradepost_marketplace::doors::Environment;
use tradepost_provider::settings::{Function, Platform, Settings};
use tradepost_store::table::TABLE;

use crate::routes;
use crate::template::{file, logical, statements, template, text, texts};
use crate::{FUNCTIONS, SCHEDULED, vercel};

/// An HTTP API's route: method and path, as the template has them.
struct Event {
    function: &'static str,
    method: String,
    path: String,
}

impl Event {
    /// As API Gateway compares: a part in braces is any one part, with `+` it is all that is left.
    fn takes(&self, method: &str, path: &str) -> bool {
        let (mut own, mut asked) = (self.path.split('/'), path.split('/'));
        let path_fits = loop {
            match (own.next(), asked.next()) {
                (Some(part), Some(_)) if part.ends_with("+}") => break true,
                (Some(part), Some(given)) if part == given || (part.starts_with('{') && !given.is_empty()) => {}
                (None, None) => break true,
                _ => break false,
            }
        };
        path_fits && (self.method == "ANY" || self.method == method)
    }
}

fn properties(template: &Value, function: &str) -> Value {
    template["Resources"][logical(function)]["Properties"].clone()
}

/// A function's events of one type: their properties.
fn of_type(template: &Value, function: &str, kind: &str) -> Vec<Value> {
    let properties = properties(template, function);
    let events = properties["Events"].as_object().unwrap().values();
    events.filter(|event| event["Type"] == kind).map(|event| event["Properties"].clone()).collect()
}

fn http_events(template: &Value) -> Vec<Event> {
    let events = |function: &'static str| {
        of_type(template, function, "HttpApi").into_iter().map(move |event| {
            assert_eq!(event["ApiId"], json!({ "Ref": "Api" }), "{function} has an API of its own");
            Event { function, method: text(&event["Method"]).to_owned(), path: text(&event["Path"]).to_owned() }
        })
    };
    FUNCTIONS.into_iter().flat_map(events).collect()
}

#[test]
fn every_route_is_an_event_of_its_function_and_only_its() {
    let events = http_events(&template());
    for route in routes::all().iter().filter(|route| !route.is_scheduled()) {
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
            let taken: BTreeSet<_> = events
                .iter()
                .filter(|event| event.takes(method, &route.sample()))
                .map(|event| event.function)
                .collect();
            // All of `/v1` is one function's: it answers 405 itself.
            let wanted = route.methods.contains(method) || route.function == "installations" && taken.len() == 1;
            let wanted = if wanted { BTreeSet::from([route.function]) } else { BTreeSet::new() };
            assert_eq!(taken, wanted, "{method} {}", route.path);
        }
    }
}

#[test]
fn every_event_is_a_route() {
    for event in http_events(&template()) {
        let is_route = |route: &routes::Route| {
            route.function == event.function
                && (event.method == "ANY" || route.methods.contains(&event.method))
                && event.takes(&event.method, &route.sample())
        };
        assert!(
            routes::all().iter().any(is_route),
            "{} {} is no route of {}",
            event.method,
            event.path,
            event.function
        );
    }
}

/// Nothing of the template opens another way to a function: no route with `/cron` or for everything, no function URL,
/// no second API, no permission beyond those that SAM derives from the events.
#[test]
fn the_scheduled_paths_are_not_reachable_from_outside() {
    let template = template();
    for event in http_events(&template) {
        let part = event.path.split('/').nth(1).unwrap();
        assert!(event.path.starts_with('/') && !part.starts_with('{') && part != "cron", "{}", event.path);
        for route in routes::all().iter().filter(|route| route.is_scheduled()) {
            for method in &route.methods {
                assert!(!event.takes(method, &route.path), "{} {} takes {}", event.method, event.path, route.path);
            }
        }
    }
    let api = &template["Resources"]["Api"]["Properties"];
    for hole in ["DefinitionBody", "DefinitionUri"] {
        assert_eq!(api.get(hole), None, "the API's routes come from the functions' events");
    }
    for function in FUNCTIONS {
        let properties = properties(&template, function);
        assert_eq!(properties.get("FunctionUrlConfig"), None, "{function} has a URL of its own");
        let kinds: BTreeSet<_> =
            properties["Events"].as_object().unwrap().values().map(|event| text(&event["Type"]).to_owned()).collect();
        assert!(kinds.is_subset(&["HttpApi", "Schedule"].map(str::to_owned).into()), "{function}: {kinds:?}");
    }
    assert_eq!(template["Globals"]["Function"].get("FunctionUrlConfig"), None);
    let known = [
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::DynamoDB::Table",
        "AWS::IAM::Role",
        "AWS::Logs::LogGroup",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::SQS::QueuePolicy",
        "AWS::Serverless::Function",
        "AWS::Serverless::HttpApi",
    ];
    let kinds: BTreeSet<_> = template["Resources"].as_object().unwrap().values().map(|it| text(&it["Type"])).collect();
    assert_eq!(kinds, known.into(), "a resource of another kind: does it open a way to a function?");
}

/// The scheduler invokes each scheduled function with the constant input that the host knows, as often as Vercel's
/// does, and what fails twice is kept.
#[test]
fn the_schedules_are_those_of_vercel() {
    let template = template();
    let mut by_path = BTreeMap::new();
    for function in FUNCTIONS {
        let schedules = of_type(&template, function, "Schedule");
        assert_eq!(schedules.len(), usize::from(SCHEDULED.contains(&function)), "{function}");
        for schedule in schedules {
            assert_eq!(schedule["Input"], r#"{"tradepost": "cron"}"#, "{function}");
            let dead_letters = json!({ "Fn::GetAtt": "DeadLetters.Arn" });
            assert_eq!(schedule["DeadLetterConfig"]["Arn"], dead_letters, "{function}");
            let failed = &properties(&template, function)["EventInvokeConfig"]["DestinationConfig"]["OnFailure"];
            assert_eq!(failed["Destination"], dead_letters, "{function}");
            let sends = |statement: &&Value| statement["Action"] == "sqs:SendMessage";
            let to: Vec<_> =
                statements(&template, function).into_iter().filter(sends).map(|it| &it["Resource"]).collect();
            assert_eq!(to, [&dead_letters], "{function}");
            by_path.insert(format!("/cron/{function}"), cron(text(&schedule["Schedule"])));
        }
    }
    assert_eq!(by_path, vercel::schedules());
}

/// An AWS schedule in the words of cron. AWS has a sixth field, the year, and a `?` for one of the days.
fn cron(schedule: &str) -> String {
    let Some(fields) = schedule.strip_prefix("cron(").and_then(|rest| rest.strip_suffix(")")) else {
        assert_eq!(schedule, "rate(1 minute)");
        return "* * * * *".to_owned();
    };
    let fields: Vec<_> = fields.split(' ').collect();
    assert_eq!((fields.len(), fields[5]), (6, "*"), "{schedule}");
    fields[..5].join(" ").replace('?', "*")
}

#[test]
fn every_function_is_built_for_arm_with_a_log_that_ends_and_a_role_of_its_own() {
    let template = template();
    let resources = template["Resources"].as_object().unwrap();
    let functions = resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function");
    let functions: BTreeSet<_> = functions.map(|(name, _)| name.clone()).collect();
    assert_eq!(functions, FUNCTIONS.map(logical).into());
    let globals = &template["Globals"]["Function"];
    assert_eq!((&globals["Architectures"], &globals["Runtime"]), (&json!(["arm64"]), &json!("provided.al2023")));
    let mut roles = BTreeSet::new();
    for function in FUNCTIONS {
        let metadata = &resources[&logical(function)]["Metadata"];
        let built = json!({ "BuildMethod": "rust-cargolambda", "BuildProperties": { "Binary": function } });
        assert_eq!(*metadata, built);
        let properties = properties(&template, function);
        let log = text(&properties["LoggingConfig"]["LogGroup"]["Ref"]);
        assert_eq!(resources[log]["Properties"]["RetentionInDays"], json!({ "Ref": "LogRetentionDays" }));
        assert!(roles.insert(text(&properties["Role"]["Fn::GetAtt"]).to_owned()), "{function} shares its role");
        for statement in statements(&template, function) {
            for action in texts(&statement["Action"]) {
                let service = action.split(':').next().unwrap();
                let own = match service {
                    "logs" => statement["Resource"] == json!({ "Fn::GetAtt": format!("{log}.Arn") }),
                    "sqs" => SCHEDULED.contains(&function),
                    "dynamodb" => true,
                    _ => false,
                };
                assert!(own && !action.contains('*'), "{function}: {statement}");
            }
        }
    }
}

/// The table of the deployment is the one that the embedded store creates, and what a deployment adds to it.
#[test]
fn the_table_is_the_stores_own() {
    let template = template();
    let resource = &template["Resources"]["Table"];
    let table = &resource["Properties"];
    let keys = |partition: &str, sort: &str| {
        json!([
            { "AttributeName": partition, "KeyType": "HASH" },
            { "AttributeName": sort, "KeyType": "RANGE" },
        ])
    };
    assert_eq!(table["KeySchema"], keys(TABLE.partition, TABLE.sort));
    let index = |index: &tradepost_store::table::Index| {
        let projection = json!({ "ProjectionType": "KEYS_ONLY" });
        json!({ "IndexName": index.name, "KeySchema": keys(index.partition, index.sort), "Projection": projection })
    };
    assert_eq!(table["GlobalSecondaryIndexes"], json!(TABLE.indexes.iter().map(index).collect::<Vec<_>>()));
    let mut names = BTreeSet::from([TABLE.partition, TABLE.sort]);
    names.extend(TABLE.indexes.iter().flat_map(|index| [index.partition, index.sort]));
    let typed: BTreeSet<_> = table["AttributeDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attribute| (text(&attribute["AttributeName"]), text(&attribute["AttributeType"])))
        .collect();
    assert_eq!(typed, names.into_iter().map(|name| (name, "S")).collect());
    assert_eq!(table["BillingMode"] == "PAY_PER_REQUEST", TABLE.on_demand);
    assert_eq!(table["TimeToLiveSpecification"], json!({ "AttributeName": TABLE.ttl, "Enabled": true }));
    let recovery = json!({ "PointInTimeRecoveryEnabled": TABLE.point_in_time_recovery });
    assert_eq!(table["PointInTimeRecoverySpecification"], recovery);
    assert_eq!(table["DeletionProtectionEnabled"], true);
    assert_eq!((&resource["DeletionPolicy"], &resource["UpdateReplacePolicy"]), (&json!("Retain"), &json!("Retain")));
    assert_eq!(table.get("TableName"), None, "a name of ours would forbid a second deployment beside the first");
}

/// A usable value of every variable.
pub const SAMPLES: [(&str, &str); 14] = [
    ("INTEGRATION_CLIENT_ID", "oac_0123456789abcdef"),
    ("INTEGRATION_CLIENT_SECRET", "client-secret-of-the-tests"),
    ("INTEGRATION_CLIENT_SECRET_PREVIOUS", "client-secret-of-the-tests-before"),
    ("TRADEPOST_TABLE", "tradepost"),
    ("TRADEPOST_KEY_RING", "test:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
    (
        "TRADEPOST_PARTNER_KEYS",
        r#"[{"id":"tests","secrets":["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"],"scopes":["usage"]}]"#,
    ),
    ("TRADEPOST_PROVISIONER_URL", "https://provisioner.example.com/"),
    ("TRADEPOST_PROVISIONER_SECRET", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"),
    ("TRADEPOST_DASHBOARD_URL", "https://dashboard.example.com/"),
    ("TRADEPOST_STACK", "tradepost-prod"),
    // Lambda's own.
    ("AWS_REGION", "eu-central-1"),
    ("AWS_ACCESS_KEY_ID", "role"),
    ("AWS_SECRET_ACCESS_KEY", "role"),
    ("AWS_SESSION_TOKEN", "role"),
];

/// What the template gives a function, and Lambda; writes down what is asked for.
struct Given {
    names: BTreeSet<String>,
    asked: Mutex<BTreeSet<String>>,
}

impl Environment for Given {
    fn var(&self, name: &str) -> Option<String> {
        self.asked.lock().unwrap().insert(name.to_owned());
        let own = self.names.contains(name) || name.starts_with("AWS_");
        let sample = SAMPLES.into_iter().find(|(known, _)| *known == name);
        sample.filter(|_| own).map(|(_, value)| value.to_owned())
    }
}

fn start(names: &BTreeSet<String>, function: Function) -> Result<BTreeSet<String>, String> {
    let given = Given { names: names.clone(), asked: Mutex::default() };
    // What the host reads by itself, as in every function's start.
    assert_eq!(tradepost_host::problems(&given, tradepost_host::Place::Lambda), []);
    match Settings::read(&given, Platform::Lambda, function) {
        Ok(_) => Ok(given.asked.into_inner().unwrap()),
        Err(problems) => Err(problems.to_string()),
    }
}

/// Each function has the variables with which it starts, none that it does not read, and no secret without which it
/// would start, too; but for one that is being replaced.
#[test]
fn each_function_is_given_the_variables_that_it_needs_and_no_other() {
    let template = template();
    let shared = template["Globals"]["Function"]["Environment"]["Variables"].as_object().unwrap();
    for needy in Function::ALL {
        let function = needy.name();
        let properties = properties(&template, function);
        let own = properties["Environment"]["Variables"].as_object().cloned().unwrap_or_default();
        let names: BTreeSet<String> = shared.keys().chain(own.keys()).cloned().collect();
        let asked = start(&names, needy).unwrap_or_else(|error| panic!("{function} does not start on AWS: {error}"));
        for name in &names {
            assert!(SAMPLES.iter().any(|(known, _)| known == name), "{name} is new here: what is a usable value?");
            assert!(asked.contains(name), "{function} never reads {name}");
        }
        for (name, value) in own.iter().chain(shared) {
            let is_secret = value.to_string().contains("{{resolve:secretsmanager:");
            let looks_secret = ["SECRET", "KEY"].iter().any(|word| name.contains(word));
            assert_eq!(is_secret, looks_secret, "{function}: {name} is a secret and comes by reference, or neither");
            let mut without = names.clone();
            without.remove(name);
            let starts = start(&without, needy).is_ok();
            assert!(
                !starts || !is_secret || is_replaced(name, value),
                "{function} starts without {name}, so it must not have it"
            );
        }
    }
}

/// Whether a secret is the previous one, there only while the parameter says that it is being replaced.
fn is_replaced(name: &str, value: &Value) -> bool {
    let there = json!({ "Fn::Sub": "{{resolve:secretsmanager:${SecretArn}:SecretString:client_secret_previous}}" });
    name.ends_with("_PREVIOUS")
        && *value == json!({ "Fn::If": ["ClientSecretRotates", there, { "Ref": "AWS::NoValue" }] })
}

/// The template's parts that SAM reads are the repository's: one manifest, one lock.
#[test]
fn what_is_built_is_this_repository() {
    assert_eq!(template()["Globals"]["Function"]["CodeUri"], ".");
    assert!(file("Cargo.lock").exists());
}
