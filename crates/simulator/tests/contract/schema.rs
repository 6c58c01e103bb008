//! Vercel's `OpenAPI` documents as validators: one for each request body and each documented answer.
//!
//! The documents are `OpenAPI` 3.0, the validator speaks JSON Schema. The differences that they use are removed here:
//! `nullable`; `oneOf` (its branches overlap, so what fits two of them is right); the one reference that leads nowhere.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// Where the documents lie, as far as tests need them.
pub(crate) const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/protocol");

/// What Vercel's document refers to and does not define: any value.
const UNDEFINED: &str = "#/components/schemas/EdgeConfigItemValue";

/// The document of that name.
pub(crate) fn load(name: &str) -> Value {
    let text =
        std::fs::read(format!("{FOLDER}/{name}")).unwrap_or_else(|error| panic!("tests/protocol/{name}: {error}"));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("tests/protocol/{name}: {error}"))
}

/// Whether a path of Vercel's API is one that a provider calls, and the client must have.
pub(crate) fn is_a_providers(path: &str) -> bool {
    path.starts_with("/v1/installations/")
        || path.starts_with("/v1/integrations/sso/")
        || path.starts_with("/v1/deployments/")
        || path.ends_with("/connections")
}

/// One operation of a document.
pub(crate) struct Operation {
    pub(crate) method: String,
    /// The path as the document has it, with its parameters in braces.
    pub(crate) path: String,
    request: Option<Validator>,
    members: BTreeSet<String>,
    answers: BTreeMap<u16, Option<Validator>>,
}

/// A document, read.
pub(crate) struct Document {
    pub(crate) operations: Vec<Operation>,
}

impl Document {
    /// The document of that name.
    pub(crate) fn open(name: &str) -> Self {
        Self::read(&load(name))
    }

    fn read(document: &Value) -> Self {
        let components = plain(document["components"].clone(), document);
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let compile = |body: &Value| {
                    let schema = body.pointer("/content/application~1json/schema")?;
                    Some(validator(plain(schema.clone(), document), &components))
                };
                let answers = operation["responses"].as_object().unwrap();
                let answers = answers.iter().map(|(status, answer)| (status.parse().unwrap(), compile(answer)));
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    request: compile(&operation["requestBody"]),
                    members: members(&operation["requestBody"]["content"]["application/json"]["schema"]),
                    answers: answers.collect(),
                });
            }
        }
        Self { operations }
    }

    /// The operation that a request is meant for; a literal segment counts before a parameter.
    pub(crate) fn find(&self, method: &str, path: &str) -> Option<usize> {
        let fits = |it: &Operation| it.method == method && fits(&it.path, path);
        let mut found: Vec<usize> = (0..self.operations.len()).filter(|n| fits(&self.operations[*n])).collect();
        found.sort_by_key(|n| self.operations[*n].path.matches('{').count());
        found.first().copied()
    }
}

impl Operation {
    /// What is wrong with a request's body.
    pub(crate) fn request_faults(&self, body: &[u8]) -> Vec<String> {
        match (&self.request, body) {
            (None, []) => Vec::new(),
            (None, _) => vec!["there is a body where none is documented".to_owned()],
            (Some(validator), body) => faults(validator, body),
        }
    }

    /// What is wrong with an answer.
    pub(crate) fn answer_faults(&self, status: u16, body: &[u8]) -> Vec<String> {
        match self.answers.get(&status) {
            None => vec![format!("the status {status} is not documented")],
            // HEAD has the headers of an answer and no body.
            Some(Some(_)) if self.method == "HEAD" && body.is_empty() => Vec::new(),
            Some(Some(validator)) => faults(validator, body),
            Some(None) if (200..400).contains(&status) && !body.is_empty() => {
                vec!["there is a body where none is documented".to_owned()]
            }
            Some(None) => Vec::new(),
        }
    }

    /// The members that a request may have, at the top level.
    pub(crate) fn members(&self) -> &BTreeSet<String> {
        &self.members
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

fn members(schema: &Value) -> BTreeSet<String> {
    let branches = ["oneOf", "anyOf"].into_iter().filter_map(|name| schema[name].as_array()).flatten();
    let own = schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned());
    own.chain(branches.flat_map(members)).collect()
}

fn faults(validator: &Validator, body: &[u8]) -> Vec<String> {
    match serde_json::from_slice::<Value>(body) {
        Ok(body) => validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect(),
        Err(error) => vec![format!("the body is not JSON: {error}")],
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let is_parameter = |text: &str| text.starts_with('{') && text.ends_with('}');
    template.len() == path.len()
        && template
            .iter()
            .zip(&path)
            .all(|(wanted, got)| if is_parameter(wanted) { !got.is_empty() } else { wanted == got })
}

fn validator(mut schema: Value, components: &Value) -> Validator {
    schema["components"] = components.clone();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// The schema in JSON Schema's own words.
fn plain(schema: Value, document: &Value) -> Value {
    match schema {
        Value::Array(list) => list.into_iter().map(|it| plain(it, document)).collect(),
        Value::Object(fields) => plain_object(fields, document),
        other => other,
    }
}

fn plain_object(mut fields: Map<String, Value>, document: &Value) -> Value {
    if let Some(Value::String(reference)) = fields.get("$ref") {
        if reference == UNDEFINED {
            return json!({});
        }
        let is_there = document.pointer(reference.trim_start_matches('#')).is_some();
        assert!(is_there, "tests/protocol: there is no {reference}");
        return Value::Object(fields);
    }
    let is_nullable = fields.remove("nullable") == Some(json!(true));
    let mut fields: Map<String, Value> = fields.into_iter().map(|(key, it)| (key, plain(it, document))).collect();
    if let Some(branches) = fields.remove("oneOf") {
        fields.insert("anyOf".to_owned(), branches);
    }
    if is_nullable { json!({ "anyOf": [{ "type": "null" }, fields] }) } else { Value::Object(fields) }
}
