//! `template.yaml` as `CloudFormation` reads it, and who may do what with the table by it.
//!
//! Short tags become their long forms (`!Ref X` is `{"Ref": "X"}`, `!GetAtt X.Arn` is `{"Fn::GetAtt": "X.Arn"}`), so
//! that everything here is JSON. Used by the tests of the templates and by the world, which lets each function do only
//! what its policy allows. Fails loudly on whatever it was not made for: a policy that it cannot read is no policy.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking, and this is only for tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value, json};

/// A file of the repository.
pub fn file(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(name)
}

/// The template.
pub fn template() -> Value {
    parse(&std::fs::read_to_string(file("template.yaml")).expect("template.yaml"))
}

/// A YAML document.
pub fn parse(text: &str) -> Value {
    let mut events = Parser::new_from_str(text).map(|event| event.expect("YAML").0);
    let root = events.find(|event| !matches!(event, Event::StreamStart | Event::DocumentStart(_)));
    node(root.expect("a document"), &mut events)
}

fn node<'a>(event: Event<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> Value {
    let (value, tag) = match event {
        Event::Scalar(text, style, _, tag) => (scalar(&text, style), tag),
        Event::SequenceStart(_, tag) => {
            let mut items = Vec::new();
            loop {
                match events.next().expect("the end of a list") {
                    Event::SequenceEnd => break (Value::Array(items), tag),
                    item => items.push(node(item, events)),
                }
            }
        }
        Event::MappingStart(_, tag) => {
            let mut fields = Map::new();
            loop {
                let name = match events.next().expect("the end of a mapping") {
                    Event::MappingEnd => break (Value::Object(fields), tag),
                    Event::Scalar(name, ..) => name.into_owned(),
                    other => panic!("a key that is {other:?}"),
                };
                let value = events.next().expect("a value");
                let before = fields.insert(name.clone(), node(value, events));
                assert!(before.is_none(), "{name} is there twice");
            }
        }
        other => panic!("YAML with {other:?}"),
    };
    match tag {
        Some(tag) => json!({ long(&tag): value }),
        None => value,
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match (style, text) {
        (ScalarStyle::Plain, "" | "~" | "null") => Value::Null,
        (ScalarStyle::Plain, "true") => json!(true),
        (ScalarStyle::Plain, "false") => json!(false),
        (ScalarStyle::Plain, _) => text.parse::<i64>().map_or(json!(text), |number| json!(number)),
        _ => json!(text),
    }
}

/// The long form of a tag's name.
fn long(tag: &Tag) -> String {
    assert_eq!(tag.handle, "!", "a tag that is not of the template language: {tag:?}");
    if tag.suffix == "Ref" { "Ref".to_owned() } else { format!("Fn::{}", tag.suffix) }
}

/// The logical id of a function's resource: `BillingFunction`.
pub fn logical(function: &str) -> String {
    let (first, rest) = function.split_at(1);
    format!("{}{rest}Function", first.to_uppercase())
}

/// A text, or nothing.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// One text or several.
pub fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        one => vec![text(one)],
    }
}

/// A call of DynamoDB, as a policy sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// `GetItem`.
    pub action: String,
    /// An index, or the table itself.
    pub index: Option<String>,
    /// The partition key.
    pub key: String,
}

/// What a function may do: for each index (none: the table) and action, the partition keys as patterns.
pub type Grants = BTreeMap<(Option<String>, String), BTreeSet<String>>;

/// The grants of each function.
#[derive(Debug, Clone)]
pub struct Policies(pub BTreeMap<String, Grants>);

impl Policies {
    /// By the roles of the template.
    pub fn read(template: &Value, functions: &[&str]) -> Self {
        let grants = |function: &&str| ((*function).to_owned(), grants(template, function));
        Self(functions.iter().map(grants).collect())
    }

    /// Whether a function may do this.
    pub fn allow(&self, function: &str, call: &Call) -> bool {
        let grants = &self.0[function];
        let patterns = grants.get(&(call.index.clone(), call.action.clone()));
        patterns.is_some_and(|patterns| patterns.iter().any(|pattern| like(pattern, &call.key)))
    }
}

/// The statements of a function's role.
pub fn statements<'a>(template: &'a Value, function: &str) -> Vec<&'a Value> {
    let resources = &template["Resources"];
    let role = text(&resources[logical(function)]["Properties"]["Role"]["Fn::GetAtt"]);
    let role = role.strip_suffix(".Arn").unwrap_or_else(|| panic!("{function} has no role of its own"));
    let properties = &resources[role]["Properties"];
    assert_eq!(properties.get("ManagedPolicyArns"), None, "{role} has policies that are not in the template");
    let policies = properties["Policies"].as_array().unwrap_or_else(|| panic!("{role} has no policies"));
    policies.iter().flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().expect("a list")).collect()
}

fn grants(template: &Value, function: &str) -> Grants {
    let mut all = Grants::new();
    for statement in statements(template, function) {
        let of_table: Vec<_> =
            texts(&statement["Action"]).into_iter().filter_map(|action| action.strip_prefix("dynamodb:")).collect();
        if of_table.is_empty() {
            continue;
        }
        assert_eq!(statement["Effect"], "Allow", "{function}");
        let condition = &statement["Condition"];
        let keys = &condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
        assert_eq!(
            *condition,
            json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": keys } }),
            "{function}: a statement on the table has this condition and no other"
        );
        for action in of_table {
            let patterns = texts(keys).into_iter().map(str::to_owned).collect();
            // In one statement: a transaction shows all its leading keys at once, and one statement must take them all.
            let before = all.insert((index(&statement["Resource"]), action.to_owned()), patterns);
            assert!(before.is_none(), "{function} has {action} in two statements");
        }
    }
    all
}

fn index(resource: &Value) -> Option<String> {
    if *resource == json!({ "Fn::GetAtt": "Table.Arn" }) {
        return None;
    }
    let index = text(&resource["Fn::Sub"]).strip_prefix("${Table.Arn}/index/");
    Some(index.unwrap_or_else(|| panic!("not the table, nor an index of it: {resource}")).to_owned())
}

/// IAM's `StringLike`: `*` is anything, `?` one character.
pub fn like(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    match first {
        '*' => text.char_indices().any(|(at, _)| like(rest, &text[at..])) || like(rest, ""),
        _ => text.strip_prefix(|c| first == '?' || c == first).is_some_and(|text| like(rest, text)),
    }
}
