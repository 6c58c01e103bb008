//! The emulator without a socket: the SDK's client, its connector a call of a function.
//!
//! For simulations that make a million calls. Everything of the product is as it is: the backend, the SDK with its
//! serialization, signatures and errors. What is left out is HTTP and the second task. Operations that the store does
//! not make are refused as unknown.

use std::fmt;

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;
use dynoxide::errors::DynoxideError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{EmbeddedError, TABLE_NAME, config_for};
use crate::connect::IdentityError;
use crate::dynamo::DynamoBackend;
use crate::table;

/// The most pages that [`InProcess::dump`] reads.
const PAGES_MAX: usize = 64;

/// An emulator in memory, with the table in it. Clones share it.
#[derive(Clone)]
pub struct InProcess {
    database: Database,
    backend: DynamoBackend,
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

impl InProcess {
    /// An empty table.
    pub async fn open() -> Result<Self, EmbeddedError> {
        let database = Database::memory().map_err(|error| EmbeddedError::Database(error.to_string()))?;
        let config = config_for("http://127.0.0.1:1");
        let connector = SharedHttpConnector::new(Connector(database.clone()));
        let unknown = |error: IdentityError| EmbeddedError::Database(error.to_string());
        let credentials = config.identity.credentials().await.map_err(unknown)?;
        let client = config.client_through(&credentials, http_client_fn(move |_, _| connector.clone()));
        table::create_if_missing(&client, TABLE_NAME).await?;
        Ok(Self { database, backend: DynamoBackend::with_client(config, credentials, client) })
    }

    /// The way to it.
    pub fn backend(&self) -> DynamoBackend {
        self.backend.clone()
    }

    /// Every item as DynamoDB's JSON, in order of their keys.
    pub fn dump(&self) -> Result<Vec<serde_json::Value>, EmbeddedError> {
        let failed = |error: String| EmbeddedError::Database(error);
        let mut items = Vec::new();
        let mut start = serde_json::Value::Null;
        for _ in 0..PAGES_MAX {
            let mut scan = serde_json::json!({ "TableName": TABLE_NAME, "ConsistentRead": true });
            if !start.is_null() {
                scan["ExclusiveStartKey"] = start;
            }
            let page = answer(&self.database, "Scan", scan.to_string().as_bytes());
            let page = page.map_err(|error| failed(error.to_string()))?;
            let mut page: serde_json::Value =
                serde_json::from_slice(&page).map_err(|error| failed(error.to_string()))?;
            if let Some(serde_json::Value::Array(found)) = page.get_mut("Items").map(serde_json::Value::take) {
                items.extend(found);
            }
            start = page.get("LastEvaluatedKey").cloned().unwrap_or_default();
            if start.is_null() {
                items.sort_by_cached_key(|item| (text(&item["pk"]["S"]), text(&item["sk"]["S"])));
                return Ok(items);
            }
        }
        Err(failed(format!("the table has more than {PAGES_MAX} pages")))
    }
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

struct Connector(Database);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let answered = answer(&self.0, operation, request.body().bytes().unwrap_or_default());
        let (status, body) = match answered {
            Ok(body) => (200, body),
            Err(error) => (error.status_code(), error.to_json().into_bytes()),
        };
        HttpConnectorFuture::ready(match StatusCode::try_from(status) {
            Ok(status) => Ok(HttpResponse::new(status, SdkBody::from(body))),
            Err(error) => Err(ConnectorError::other(error.into(), None)),
        })
    }
}

fn answer(database: &Database, operation: &str, body: &[u8]) -> Result<Vec<u8>, DynoxideError> {
    match operation {
        "GetItem" => call(body, |request| database.get_item(request)),
        "Query" => call(body, |request| database.query(request)),
        "PutItem" => call(body, |request| database.put_item(request)),
        "DeleteItem" => call(body, |request| database.delete_item(request)),
        "TransactWriteItems" => call(body, |request| database.transact_write_items(request)),
        "Scan" => call(body, |request| database.scan(request)),
        "CreateTable" => call(body, |request| database.create_table(request)),
        "DescribeTable" => call(body, |request| database.describe_table(request)),
        "DescribeTimeToLive" => call(body, |request| database.describe_time_to_live(request)),
        "UpdateTimeToLive" => call(body, |request| database.update_time_to_live(request)),
        other => Err(DynoxideError::ValidationException(format!("{other} is not served in the process"))),
    }
}

fn call<Request: DeserializeOwned, Response: Serialize>(
    body: &[u8],
    act: impl FnOnce(Request) -> Result<Response, DynoxideError>,
) -> Result<Vec<u8>, DynoxideError> {
    let request =
        serde_json::from_slice(body).map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    let response = act(request)?;
    serde_json::to_vec(&response).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
