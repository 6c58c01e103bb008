//! The table as it is, past the door that injects faults.

use http::Method;
use serde_json::{Value, json};
use tradepost_marketplace::ids::{InstallationId, ResourceId};
use tradepost_provider::effects::Effect;
use tradepost_provider::outbox::Owed as _;
use tradepost_provider::state::{Installation, InvoiceRecord, Resource, keys};
use tradepost_store::embedded::TABLE_NAME;
use tradepost_store::{Record, Stored};

use super::World;

/// The most pages of a slice or of the table that are read.
const PAGES_MAX: usize = 50;

pub fn installation_id(text: &str) -> InstallationId {
    InstallationId::new(text).unwrap()
}

pub fn resource_id(text: &str) -> ResourceId {
    ResourceId::new(text).unwrap()
}

impl World {
    /// One call of DynamoDB's API, past the store.
    pub async fn dynamodb(&self, operation: &str, body: &Value) -> Value {
        // Any signature does, but there must be one.
        let authorization = "AWS4-HMAC-SHA256 Credential=any/20270101/us-east-1/dynamodb/aws4_request, \
                             SignedHeaders=host, Signature=any";
        let request = http::Request::builder()
            .method(Method::POST)
            .uri(&self.local.dynamodb_url)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20270101T000000Z")
            .header("authorization", authorization);
        self.send(request, &body.to_string()).await.expect(200).body
    }

    /// Puts an item as it is, whatever is there.
    pub async fn put_item(&self, item: &Value) {
        self.dynamodb("PutItem", &json!({ "TableName": TABLE_NAME, "Item": item })).await;
    }

    /// Every item of the table, every attribute of it, in order of their keys.
    pub async fn dump(&self) -> Vec<Value> {
        let mut items = Vec::new();
        let mut start = Value::Null;
        for _ in 0..PAGES_MAX {
            let mut scan = json!({ "TableName": TABLE_NAME, "ConsistentRead": true });
            if !start.is_null() {
                scan["ExclusiveStartKey"] = start;
            }
            let page = self.dynamodb("Scan", &scan).await;
            items.extend(page["Items"].as_array().unwrap().iter().cloned());
            start = page.get("LastEvaluatedKey").cloned().unwrap_or_default();
            if start.is_null() {
                items.sort_by_key(|item| (item["pk"].to_string(), item["sk"].to_string()));
                return items;
            }
        }
        panic!("the table has more than {PAGES_MAX} pages");
    }

    /// The records of one kind in an installation's collection.
    pub async fn records<T: Record>(&self, installation: &str, prefix: &str) -> Vec<Stored<T>> {
        let collection = keys::collection(&installation_id(installation));
        let raws = self.local.bare.query(&collection, prefix, PAGES_MAX).await.unwrap();
        raws.iter().filter(|raw| raw.kind == T::KIND).map(|raw| raw.decode().unwrap()).collect()
    }

    pub async fn installation(&self, id: &str) -> Stored<Installation> {
        self.local.bare.get(&Installation::key_of(&installation_id(id))).await.unwrap().unwrap()
    }

    pub async fn stored_resource(&self, installation: &str, resource: &str) -> Option<Stored<Resource>> {
        let key = Resource::key_of(&installation_id(installation), &resource_id(resource));
        self.local.bare.get(&key).await.unwrap()
    }

    pub async fn stored_invoice(&self, installation: &str, number: u32) -> Stored<InvoiceRecord> {
        let key = InvoiceRecord::key_of(&installation_id(installation), number);
        self.local.bare.get(&key).await.unwrap().unwrap()
    }

    /// What waits in an installation's outbox, as (kind, attempts, dead); not what waits on purpose from the start
    /// and was not tried yet.
    pub async fn waiting(&self, installation: &str) -> Vec<(&'static str, u32, bool)> {
        let mut all = self.records::<Effect>(installation, "E#").await;
        all.extend(self.records::<Effect>(installation, "Q#").await);
        all.retain(|effect| effect.owed_since.is_none() || effect.last_failure.is_some());
        all.iter().map(|effect| (effect.what.name(), effect.attempts, effect.dead)).collect()
    }

    /// How many writes were committed so far.
    pub fn committed(&self) -> u64 {
        self.local.faulty.committed()
    }
}
