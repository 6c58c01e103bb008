//! How a story ended, as far as an outsider could tell: our table, Vercel's state and the provisioner's. Two stories
//! that should come to the same are compared by it.

use serde_json::Value;

use super::World;
use super::acts::live;

/// How an act ended.
#[derive(Debug, PartialEq)]
pub struct End {
    /// What each item of our table says.
    table: Vec<String>,
    vercel: Value,
    /// Which versions of secrets each resource has at the provisioner.
    provisioner: Vec<(String, Vec<u64>)>,
}

impl End {
    /// Of a world as it is.
    pub async fn of(world: &World) -> Self {
        let items = world.dump().await;
        let resources = items.iter().filter(|item| item["kind"]["S"] == "resource");
        let resources = resources.filter_map(|item| item["data"]["M"]["id"]["S"].as_str());
        let provisioner = resources.map(|id| (id.to_owned(), live(world, id))).collect();
        // Lines are written before the invoice that names them: those of a close that lost a race are nobody's.
        let named = |what: &str| {
            items
                .iter()
                .filter(|item| item["kind"]["S"] == "invoice")
                .any(|item| item["data"]["M"]["lines"]["M"]["digest"]["S"] == what)
        };
        let is_told = |item: &&Value| {
            item["kind"]["S"] != "invoice_lines" || item["data"]["M"]["digest"]["S"].as_str().is_some_and(named)
        };
        let mut table: Vec<_> = items.iter().filter(is_told).cloned().map(told).collect();
        table.sort();
        let mut vercel = plain(world.control("GET", "/_sim/state", Value::Null).await.expect(200).body);
        for part in UNTOLD_PARTS {
            vercel[part] = Value::Null;
        }
        // Told once or twice, Vercel reads again.
        vercel["events"].as_array_mut().unwrap().dedup();
        Self { table, vercel, provisioner }
    }
}

/// What an item tells. A webhook is told by its type: its id is Vercel's, and another if it was sent at another time.
/// Of a request's record it does not matter who answered it: the one who came with it, or one who met it on the way.
fn told(item: Value) -> String {
    let mut item = plain(item);
    if item["kind"]["S"] == "idempotency" {
        item["data"]["M"]["operation"] = Value::Null;
    }
    if item["kind"]["S"] == "webhook" {
        item["pk"] = Value::Null;
        item["data"]["M"]["id"] = Value::Null;
    }
    item.to_string()
}

/// Fields that may differ: what counts writes and tries; what is sealed, under a nonce of its own; when something was
/// noted down, as what the sweeper delivers comes an hour later. Periods, segments and what is billed are not among them.
const UNTOLD: [&str; 24] = [
    "v",
    "w",
    "ttl",
    "sealed",
    "token",
    "fence",
    "at",
    "created",
    "updated",
    "paidAt",
    "refundedAt",
    "refunded_at",
    "tried_at",
    "invoicedAt",
    "nextAt",
    "updatedAt",
    "setAt",
    "finalizedAt",
    "deletedAt",
    "to",
    "due",
    "look_at",
    "confirmed_at",
    "interimCount",
];

/// Parts of Vercel's state that only say what was told to whom and when.
const UNTOLD_PARTS: [&str; 2] = ["webhooks", "now"];

fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(name, _)| !UNTOLD.contains(&name.as_str()));
            Value::Object(fields.map(|(name, value)| (name, plain(value))).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(plain).collect()),
        other => other,
    }
}

impl End {
    /// Not to be compared: a part of Vercel's state.
    pub fn leave_out(&mut self, part: &str) {
        self.vercel[part] = Value::Null;
    }

    /// The same end, with Vercel's `resources` as they were last read in another.
    pub fn reads_like(&mut self, other: &Self) {
        self.vercel["resources"] = other.vercel["resources"].clone();
    }

    /// What another end has and this has not, and the reverse, a line each.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let mut lines = Vec::new();
        lines.extend(self.table.iter().filter(|item| !other.table.contains(item)).map(|item| format!("- {item}")));
        lines.extend(other.table.iter().filter(|item| !self.table.contains(item)).map(|item| format!("+ {item}")));
        for (part, was) in self.vercel.as_object().into_iter().flatten() {
            if *was != other.vercel[part] {
                lines.push(format!("- Vercel's {part} {was}\n+ Vercel's {part} {}", other.vercel[part]));
            }
        }
        if self.provisioner != other.provisioner {
            lines.push(format!("- {:?}\n+ {:?}", self.provisioner, other.provisioner));
        }
        (self != other).then(|| lines.join("\n"))
    }
}
