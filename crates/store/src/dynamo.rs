//! The way through the door: one try of one DynamoDB call, its failure named as [`BackendError`].
//!
//! The SDK's own retries are off: [`crate::Store`] has the retries, one policy for each kind of failure. The SDK
//! keeps the wall clock, for signatures, whatever the business clock says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem,
};

use crate::backend::{Backend, BackendError, IndexQuery, IndexRange, Item, Page, SliceQuery};
use crate::connect::{DynamoConfig, DynamoCredentials};
use crate::format;
use crate::key::Key;
use crate::table::{DUE_INDEX, SHARD_INDEX, attribute};
use crate::write::{Action, Guard, Write};

const CONDITION_FAILED: &str = "ConditionalCheckFailed";
/// A guard that fails says what it met: a newer release's item is another matter than a lost race.
const MET: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// The backend that speaks to DynamoDB, real or emulated.
#[derive(Clone)]
pub struct DynamoBackend {
    config: Arc<DynamoConfig>,
    client: Arc<Mutex<Option<Signed>>>,
}

/// A client, and the credentials that it signs with.
type Signed = (Arc<DynamoCredentials>, Client);

impl DynamoBackend {
    /// Connects nothing yet: the client is built at the first call, its connection too.
    pub fn new(config: DynamoConfig) -> Self {
        Self { config: Arc::new(config), client: Arc::default() }
    }

    /// With a client of the caller's, for as long as the credentials are these.
    #[cfg(feature = "embedded")]
    pub(crate) fn with_client(config: DynamoConfig, credentials: Arc<DynamoCredentials>, client: Client) -> Self {
        Self { config: Arc::new(config), client: Arc::new(Mutex::new(Some((credentials, client)))) }
    }

    /// A client with the credentials of now: the same one for as long as those are the same.
    async fn client(&self) -> Result<Client, BackendError> {
        let credentials = self.config.identity.credentials().await?;
        let mut held = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some((of, client)) if Arc::ptr_eq(of, &credentials) => Ok(client.clone()),
            _ => {
                let client = self.config.client(&credentials);
                *held = Some((credentials, client.clone()));
                Ok(client)
            }
        }
    }
}

#[async_trait]
impl Backend for DynamoBackend {
    async fn get(&self, key: &Key) -> Result<Option<Item>, BackendError> {
        let call = self.client().await?.get_item().table_name(&self.config.table).set_key(Some(key_item(key)));
        let answer = call.consistent_read(true).send().await;
        answer.map(|answer| answer.item).map_err(|error| classify(&error))
    }

    async fn query(&self, query: &SliceQuery) -> Result<Page, BackendError> {
        let mut call = self
            .client()
            .await?
            .query()
            .table_name(&self.config.table)
            .consistent_read(true)
            .expression_attribute_names("#pk", attribute::PK)
            .expression_attribute_values(":pk", AttributeValue::S(query.pk.clone()))
            .set_limit(limit(query.limit));
        let mut condition = "#pk = :pk";
        if !query.sk_prefix.is_empty() {
            condition = "#pk = :pk AND begins_with(#sk, :sk)";
            call = call
                .expression_attribute_names("#sk", attribute::SK)
                .expression_attribute_values(":sk", AttributeValue::S(query.sk_prefix.clone()));
        }
        let start = query.after.as_ref().map(|after| key_item(&Key::new(&query.pk, after)));
        let answer = call.key_condition_expression(condition).set_exclusive_start_key(start).send().await;
        let answer = answer.map_err(|error| classify(&error))?;
        Ok(Page { items: answer.items.unwrap_or_default(), next: answer.last_evaluated_key })
    }

    async fn query_index(&self, query: &IndexQuery) -> Result<Page, BackendError> {
        let (index, partition, bound) = match &query.range {
            IndexRange::Due { work, below } => (DUE_INDEX, work, Some(("#p = :p AND #s < :s", below))),
            IndexRange::Shard { shard, after } => {
                (SHARD_INDEX, shard, after.as_ref().map(|after| ("#p = :p AND #s > :s", after)))
            }
        };
        let mut call = self
            .client()
            .await?
            .query()
            .table_name(&self.config.table)
            .index_name(index.name)
            .expression_attribute_names("#p", index.partition)
            .expression_attribute_values(":p", AttributeValue::S(partition.clone()))
            .set_limit(limit(Some(query.limit)))
            .set_exclusive_start_key(query.start.clone());
        let mut condition = "#p = :p";
        if let Some((bounded, bound)) = bound {
            condition = bounded;
            call = call
                .expression_attribute_names("#s", index.sort)
                .expression_attribute_values(":s", AttributeValue::S(bound.clone()));
        }
        let answer = call.key_condition_expression(condition).send().await.map_err(|error| classify(&error))?;
        Ok(Page { items: answer.items.unwrap_or_default(), next: answer.last_evaluated_key })
    }

    async fn write(&self, write: &Write) -> Result<(), BackendError> {
        let condition = Condition::of(write.guard);
        match &write.action {
            Action::Put(item) => {
                let call = self.client().await?.put_item().table_name(&self.config.table).set_item(Some(item.clone()));
                let call = call
                    .set_condition_expression(condition.expression)
                    .set_expression_attribute_names(condition.names)
                    .set_expression_attribute_values(condition.values)
                    .return_values_on_condition_check_failure(MET);
                call.send().await.map(|_| ()).map_err(|error| match error.as_service_error() {
                    Some(PutItemError::ConditionalCheckFailedException(failed)) => refused(&write.key, failed.item()),
                    _ => classify(&error),
                })
            }
            Action::Delete => {
                let call = self.client().await?.delete_item().table_name(&self.config.table);
                let call = call
                    .set_key(Some(key_item(&write.key)))
                    .set_condition_expression(condition.expression)
                    .set_expression_attribute_names(condition.names)
                    .set_expression_attribute_values(condition.values)
                    .return_values_on_condition_check_failure(MET);
                call.send().await.map(|_| ()).map_err(|error| match error.as_service_error() {
                    Some(DeleteItemError::ConditionalCheckFailedException(failed)) => {
                        refused(&write.key, failed.item())
                    }
                    _ => classify(&error),
                })
            }
            Action::Check => Err(BackendError::Other("a check alone is a transaction".to_owned())),
        }
    }

    async fn transact(&self, writes: &[Write], token: &str) -> Result<(), BackendError> {
        let items = writes.iter().map(|write| transact_item(&self.config.table, write));
        let items: Result<Vec<_>, _> = items.collect();
        let items = items.map_err(|error| BackendError::Other(error.to_string()))?;
        let call =
            self.client().await?.transact_write_items().set_transact_items(Some(items)).client_request_token(token);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    Err(cancellation(writes, cancelled.cancellation_reasons(), cancelled.message()))
                }
                Some(TransactWriteItemsError::IdempotentParameterMismatchException(_)) => {
                    Err(BackendError::TokenMismatch)
                }
                _ => Err(classify(&error)),
            },
        }
    }
}

fn limit(limit: Option<usize>) -> Option<i32> {
    limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX))
}

fn key_item(key: &Key) -> Item {
    Item::from([
        (attribute::PK.to_owned(), AttributeValue::S(key.pk.clone())),
        (attribute::SK.to_owned(), AttributeValue::S(key.sk.clone())),
    ])
}

/// A guard in DynamoDB's words. None lets a write through to an item that a newer release wrote.
struct Condition {
    expression: Option<String>,
    names: Option<HashMap<String, String>>,
    values: Option<Item>,
}

/// What must be true of an item that is replaced or removed, whatever the guard.
const NOT_NEWER: &str = "(attribute_not_exists(#fmt) OR #fmt <= :fmt)";

impl Condition {
    fn of(guard: Guard) -> Self {
        let (expression, names, values) = match guard {
            // There is nothing that could be newer.
            Guard::Absent => ("attribute_not_exists(#pk)".to_owned(), vec![("#pk", attribute::PK)], None),
            Guard::Any => {
                (NOT_NEWER.to_owned(), vec![("#fmt", attribute::FORMAT)], Some(vec![(":fmt", format::stored())]))
            }
            Guard::Version(seen) => (
                format!("#v = :seen AND {NOT_NEWER}"),
                vec![("#v", attribute::VERSION), ("#fmt", attribute::FORMAT)],
                Some(vec![(":seen", AttributeValue::N(seen.to_string())), (":fmt", format::stored())]),
            ),
        };
        Self {
            expression: Some(expression),
            names: Some(names.into_iter().map(|(short, name)| (short.to_owned(), name.to_owned())).collect()),
            values: values.map(|values| values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        }
    }
}

fn transact_item(table: &str, write: &Write) -> Result<TransactWriteItem, BuildError> {
    let condition = Condition::of(write.guard);
    let item = TransactWriteItem::builder();
    Ok(match &write.action {
        Action::Put(put) => item.put(
            Put::builder()
                .table_name(table)
                .set_item(Some(put.clone()))
                .set_condition_expression(condition.expression)
                .set_expression_attribute_names(condition.names)
                .set_expression_attribute_values(condition.values)
                .return_values_on_condition_check_failure(MET)
                .build()?,
        ),
        Action::Delete => item.delete(
            Delete::builder()
                .table_name(table)
                .set_key(Some(key_item(&write.key)))
                .set_condition_expression(condition.expression)
                .set_expression_attribute_names(condition.names)
                .set_expression_attribute_values(condition.values)
                .return_values_on_condition_check_failure(MET)
                .build()?,
        ),
        Action::Check => item.condition_check(
            ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key_item(&write.key)))
                .set_condition_expression(condition.expression)
                .set_expression_attribute_names(condition.names)
                .set_expression_attribute_values(condition.values)
                .return_values_on_condition_check_failure(MET)
                .build()?,
        ),
    }
    .build())
}

/// Why a single write was refused.
fn refused(key: &Key, met: Option<&Item>) -> BackendError {
    format::newer(key, met).map_or(BackendError::Condition { failed: vec![0] }, BackendError::Format)
}

/// Why a transaction was cancelled. A newer release's item outweighs a failed guard, and that the rest: no retry would
/// mend it.
fn cancellation(writes: &[Write], reasons: &[CancellationReason], message: Option<&str>) -> BackendError {
    let newer = writes.iter().zip(reasons).find_map(|(write, reason)| format::newer(&write.key, reason.item()));
    if let Some(newer) = newer {
        return BackendError::Format(newer);
    }
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code().unwrap_or_default()).collect();
    let failed: Vec<usize> =
        codes.iter().enumerate().filter(|(_, code)| **code == CONDITION_FAILED).map(|(index, _)| index).collect();
    let any = |wanted: &[&str]| codes.iter().any(|code| wanted.contains(code));
    if !failed.is_empty() {
        BackendError::Condition { failed }
    } else if any(&["TransactionConflict"]) {
        BackendError::Conflict
    } else if any(&["ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"]) {
        BackendError::Throttled
    } else {
        BackendError::Other(format!("the transaction was cancelled: {}", message.unwrap_or("no reason given")))
    }
}

fn classify<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> BackendError {
    match error {
        SdkError::ServiceError(service) => by_code(service.err().code().unwrap_or_default(), service.err().message()),
        SdkError::DispatchFailure(failure) => {
            if failure.is_user() {
                return BackendError::Other("the request could not be built; is the endpoint a URL?".to_owned());
            }
            // Refused means that nothing was sent; any other break may have come after the request.
            let refused = failure.as_connector_error().is_some_and(|error| is_refused(error));
            BackendError::Timeout { maybe_done: !refused }
        }
        SdkError::ConstructionFailure(_) => BackendError::Other("the request could not be built".to_owned()),
        _ => BackendError::Timeout { maybe_done: true },
    }
}

fn by_code(code: &str, message: Option<&str>) -> BackendError {
    match code {
        "ConditionalCheckFailedException" => BackendError::Condition { failed: vec![0] },
        // In progress: our own first try still runs, or its answer is not known yet.
        "TransactionConflictException" | "TransactionInProgressException" => BackendError::Conflict,
        "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "ThrottlingException"
        | "LimitExceededException" => BackendError::Throttled,
        "InternalServerError" | "InternalFailure" | "ServiceUnavailable" | "ServiceUnavailableException" => {
            BackendError::Timeout { maybe_done: true }
        }
        _ => BackendError::Other(format!("{code}: {}", message.unwrap_or("no message"))),
    }
}

fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::ConnectionRefused;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: &[&str]) -> Vec<CancellationReason> {
        codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect()
    }

    #[test]
    fn a_failed_guard_outweighs_a_conflict() {
        let of = |codes: &[&str]| cancellation(&[], &reasons(codes), None);
        assert_eq!(of(&["None", CONDITION_FAILED, "TransactionConflict", CONDITION_FAILED]), {
            BackendError::Condition { failed: vec![1, 3] }
        });
        assert_eq!(of(&["None", "TransactionConflict", "ThrottlingError"]), BackendError::Conflict);
        assert_eq!(of(&["ThrottlingError", "None"]), BackendError::Throttled);
        assert!(matches!(of(&["ValidationError"]), BackendError::Other(_)));
    }

    #[test]
    fn an_item_of_a_newer_release_outweighs_a_failed_guard() {
        let item = |format: &str| {
            let number = AttributeValue::N(format.to_owned());
            Item::from([
                (attribute::FORMAT.to_owned(), number),
                (attribute::KIND.to_owned(), AttributeValue::S("task".to_owned())),
            ])
        };
        let reason = |format| CancellationReason::builder().code(CONDITION_FAILED).set_item(Some(item(format))).build();
        let writes = ["1", "2"].map(|sk| Write::delete_any(Key::new("p", sk)));
        assert_eq!(
            cancellation(&writes, &[reason("1"), reason("0")], None),
            BackendError::Condition { failed: vec![0, 1] }
        );
        let BackendError::Format(met) = cancellation(&writes, &[reason("1"), reason("2")], None) else { panic!() };
        assert_eq!((met.key, met.format), (Key::new("p", "2"), 2));
    }

    #[test]
    fn codes_are_told_apart() {
        assert_eq!(by_code("ConditionalCheckFailedException", None), BackendError::Condition { failed: vec![0] });
        assert_eq!(by_code("TransactionInProgressException", None), BackendError::Conflict);
        assert_eq!(by_code("ThrottlingException", None), BackendError::Throttled);
        assert_eq!(by_code("InternalServerError", None), BackendError::Timeout { maybe_done: true });
        assert_eq!(by_code("ValidationException", Some("no")), BackendError::Other("ValidationException: no".into()));
    }
}
