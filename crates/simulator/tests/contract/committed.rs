//! The schemas under `tests/protocol/` against the documents that they were taken from, where those are at hand.

use std::io::Write as _;

use serde_json::{Map, Value};

use crate::schema;

/// Where the documents lie, on machines that have them.
const DOCUMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/spec");

const SCHEMAS: [&str; 3] = ["marketplace.json", "partner.json", "webhooks.json"];

/// Words for readers. They are Vercel's, and no rule is in them.
const WORDS: &[&str] = &["contact", "description", "example", "examples", "externalDocs", "summary", "tags", "title"];

/// What is kept of a document: facts. See `tests/protocol/README.md`.
fn facts(name: &str, document: &Value) -> Value {
    let kept: &[(&str, &str)] = match name {
        "webhooks.json" => &[("payloads", "payloads"), ("all_event_types_in_sdk_1_28_35", "event_types")],
        _ => &[("openapi", "openapi"), ("paths", "paths"), ("components", "components")],
    };
    let mut facts = Map::new();
    for (theirs, ours) in kept {
        facts.insert((*ours).to_owned(), document[theirs].clone());
    }
    match name {
        "webhooks.json" => return Value::Object(facts),
        "marketplace.json" => {
            facts.remove("components"); // How to sign in, and nothing that an operation refers to.
            facts["paths"].as_object_mut().unwrap().retain(|path, _| schema::is_a_providers(path));
        }
        _ => {}
    }
    without_words(&Value::Object(facts))
}

fn without_words(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(without_words).collect(),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(key, _)| !WORDS.contains(&key.as_str()) && !key.starts_with("x-"));
            kept.map(|(key, it)| (key.clone(), if key == "properties" { fields_of(it) } else { without_words(it) }))
                .collect()
        }
        other => other.clone(),
    }
}

/// The fields of an object, which may have the names of the words above.
fn fields_of(properties: &Value) -> Value {
    properties.as_object().unwrap().iter().map(|(name, it)| (name.clone(), without_words(it))).collect()
}

/// The facts of the document of that name, or nothing, said aloud, where it is not beside the checkout.
fn wanted(name: &str) -> Option<Value> {
    let path = format!("{DOCUMENTS}/{name}");
    let Ok(text) = std::fs::read(&path) else {
        let line = format!("\nSKIPPED: tests/protocol/{name} is not compared with its source, which is not here\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    };
    Some(facts(name, &serde_json::from_slice(&text).unwrap()))
}

#[test]
fn the_schemas_are_the_facts_of_vercels_documents() {
    for name in SCHEMAS {
        let committed = schema::load(name);
        let Some(wanted) = wanted(name) else { continue };
        let rewrite = "cargo test -p tradepost-simulator --test contract -- --ignored write_the_schemas";
        assert!(committed == wanted, "tests/protocol/{name} is not what its source says: {rewrite}");
    }
}

#[test]
#[ignore = "writes tests/protocol/*.json"]
fn write_the_schemas() {
    for name in SCHEMAS {
        let wanted = wanted(name).expect("needs the documents beside the checkout");
        let text = format!("{}\n", serde_json::to_string_pretty(&wanted).unwrap());
        std::fs::write(format!("{}/{name}", schema::FOLDER), text).unwrap();
    }
}

/// What is kept has no word in it, so that a schema written by hand is found as well.
#[test]
fn the_schemas_are_facts_only() {
    for name in ["marketplace.json", "partner.json"] {
        let committed = schema::load(name);
        assert!(without_words(&committed) == committed, "tests/protocol/{name} has words in it: {WORDS:?}");
    }
}
