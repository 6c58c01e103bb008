//! The table, described once: for the embedded emulator, and to be compared with `template.yaml`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};

use crate::error::StoreError;

/// Names of the attributes that are ours; a record's own fields lie in [`DATA`](attribute::DATA).
pub mod attribute {
    /// Partition key (S).
    pub const PK: &str = "pk";
    /// Sort key (S).
    pub const SK: &str = "sk";
    /// `Record::KIND` (S).
    pub const KIND: &str = "kind";
    /// Version (N), 1 after a create.
    pub const VERSION: &str = "v";
    /// Format of the release that wrote it ([`crate::format`]) (N); none is 0.
    pub const FORMAT: &str = "fmt";
    /// Id of the write that made the item (S).
    pub const WRITE_ID: &str = "w";
    /// The record's own fields (M).
    pub const DATA: &str = "data";
    /// Kind of work due (S), partition of the due index.
    pub const WORK: &str = "work";
    /// When the work is due (S), sort key of the due index.
    pub const DUE: &str = "due";
    /// Shard (S), partition of the shard index.
    pub const SHARD: &str = "shard";
    /// When DynamoDB may remove the item (N, epoch seconds).
    pub const TTL: &str = "ttl";
}

/// A sparse index: only items that have both its attributes are in it. It projects keys only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// Its partition key (S).
    pub partition: &'static str,
    /// Its sort key (S).
    pub sort: &'static str,
}

/// Work by due time.
pub const DUE_INDEX: Index = Index { name: "due", partition: attribute::WORK, sort: attribute::DUE };
/// Members by shard, in order of their partition key.
pub const SHARD_INDEX: Index = Index { name: "shard", partition: attribute::SHARD, sort: attribute::PK };

/// What the table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// Partition key (S).
    pub partition: &'static str,
    /// Sort key (S).
    pub sort: &'static str,
    /// All indexes.
    pub indexes: [Index; 2],
    /// `PAY_PER_REQUEST`: no capacity to plan.
    pub on_demand: bool,
    /// The TTL attribute (N).
    pub ttl: &'static str,
    /// Point-in-time recovery. A matter of the deployment: [`create_if_missing`] does not switch it on.
    pub point_in_time_recovery: bool,
}

/// The one table of Tradepost.
pub const TABLE: Description = Description {
    partition: attribute::PK,
    sort: attribute::SK,
    indexes: [DUE_INDEX, SHARD_INDEX],
    on_demand: true,
    ttl: attribute::TTL,
    point_in_time_recovery: true,
};

/// Creates the table as described, if it is not there: for the embedded emulator and other local ones.
///
/// A deployment creates its table by `template.yaml`; here a table that is not active at once is an error.
pub async fn create_if_missing(client: &Client, name: &str) -> Result<(), StoreError> {
    match client.describe_table().table_name(name).send().await {
        Ok(_) => return Ok(()),
        Err(error) if code(&error) == Some("ResourceNotFoundException") => {}
        Err(error) => return Err(failed("DescribeTable", &error)),
    }
    let created = create(client, name)?.send().await;
    let status = match created {
        Ok(answer) => answer.table_description.and_then(|table| table.table_status),
        // Somebody else was quicker.
        Err(error) if code(&error) == Some("ResourceInUseException") => return Ok(()),
        Err(error) => return Err(failed("CreateTable", &error)),
    };
    if status != Some(TableStatus::Active) {
        let answer = client.describe_table().table_name(name).send().await;
        let status =
            answer.map_err(|error| failed("DescribeTable", &error))?.table.and_then(|table| table.table_status);
        if status != Some(TableStatus::Active) {
            return Err(StoreError::Backend(format!(
                "table {name} is being created; start again once it is active, or create it with template.yaml"
            )));
        }
    }
    enable_ttl(client, name).await
}

async fn enable_ttl(client: &Client, name: &str) -> Result<(), StoreError> {
    let answer = client.describe_time_to_live().table_name(name).send().await;
    let answer = answer.map_err(|error| failed("DescribeTimeToLive", &error))?;
    let status = answer.time_to_live_description.and_then(|ttl| ttl.time_to_live_status);
    if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name(TABLE.ttl).build();
    let ttl = ttl.map_err(|error| StoreError::Backend(error.to_string()))?;
    let answer = client.update_time_to_live().table_name(name).time_to_live_specification(ttl).send().await;
    answer.map(|_| ()).map_err(|error| failed("UpdateTimeToLive", &error))
}

fn create(client: &Client, name: &str) -> Result<CreateTableFluentBuilder, StoreError> {
    let mut names = vec![TABLE.partition, TABLE.sort];
    let mut request = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key(TABLE.partition, KeyType::Hash)?)
        .key_schema(key(TABLE.sort, KeyType::Range)?);
    for index in TABLE.indexes {
        names.extend([index.partition, index.sort]);
        let index = GlobalSecondaryIndex::builder()
            .index_name(index.name)
            .key_schema(key(index.partition, KeyType::Hash)?)
            .key_schema(key(index.sort, KeyType::Range)?)
            .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
            .build()
            .map_err(|error| StoreError::Backend(error.to_string()))?;
        request = request.global_secondary_indexes(index);
    }
    names.sort_unstable();
    names.dedup();
    for name in names {
        let definition =
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
        request = request.attribute_definitions(definition.map_err(|error| StoreError::Backend(error.to_string()))?);
    }
    Ok(request)
}

fn key(name: &str, key_type: KeyType) -> Result<KeySchemaElement, StoreError> {
    let element = KeySchemaElement::builder().attribute_name(name).key_type(key_type).build();
    element.map_err(|error| StoreError::Backend(error.to_string()))
}

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error().and_then(|error| error.code())
}

fn failed<E: ProvideErrorMetadata, R>(call: &str, error: &SdkError<E, R>) -> StoreError {
    let why = error.as_service_error().and_then(|error| error.message()).unwrap_or("no answer; is the endpoint right?");
    StoreError::Backend(format!("{call}: {} {why}", code(error).unwrap_or_default()))
}
