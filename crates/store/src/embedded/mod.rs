//! DynamoDB inside the process, for `cargo run` and for tests: `dynoxide` on SQLite, served on a socket.
//!
//! The product speaks to it through the same client as to AWS. On a file it survives being killed: SQLite's
//! write-ahead log is written before a call is answered.

mod in_process;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::connect::{DynamoConfig, DynamoCredentials, Identity};
use crate::error::StoreError;
use crate::table;

pub use in_process::InProcess;

/// The name of the table in the emulator.
pub const TABLE_NAME: &str = "tradepost";

/// Where the emulator keeps the items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// In memory, gone with the process.
    Memory,
    /// In a file; beside it lie its log and `FILE.lock`.
    File(PathBuf),
}

/// Why the emulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Another process has the file.
    #[error("{path} is in use by another process; stop it or name another file")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened.
    #[error("{path} cannot be opened")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The emulator refuses the file, or cannot start.
    #[error("the embedded DynamoDB cannot start: {0}")]
    Database(String),
    /// The listener has no address.
    #[error("the listener of the embedded DynamoDB has no address")]
    Listener(#[source] io::Error),
    /// The table cannot be created.
    #[error("the table cannot be created in the embedded DynamoDB")]
    Table(#[from] StoreError),
}

/// A running emulator with the table in it. Stops when dropped.
#[derive(Debug)]
pub struct Embedded {
    /// Where it is served.
    pub url: String,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    // Held for as long as the server may write; the system releases it when the process is killed.
    lock: Option<File>,
}

impl Embedded {
    /// Opens the store, serves it on `listener` and creates the table if it is missing.
    pub async fn start(place: Where, listener: TcpListener) -> Result<Self, EmbeddedError> {
        let (database, lock) = open(place)?;
        let address: SocketAddr = listener.local_addr().map_err(EmbeddedError::Listener)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let stopped = async {
                // A dropped sender means stop, too.
                let _ = stopped.await;
            };
            if let Err(error) = dynoxide::server::serve_with_shutdown(listener, database, stopped).await {
                tracing::error!(error, "embedded DynamoDB stopped");
            }
        });
        let embedded = Self { url: format!("http://{address}"), stop: Some(stop), server, lock };
        table::create_if_missing(&embedded.client(), TABLE_NAME).await?;
        Ok(embedded)
    }

    /// How to reach it. The emulator accepts any credentials.
    pub fn config(&self) -> DynamoConfig {
        config_for(&self.url)
    }

    /// The SDK's own client, for what the store does not do.
    pub fn client(&self) -> aws_sdk_dynamodb::Client {
        self.config().client(&credentials())
    }

    /// Stops serving, after the calls in progress, and releases the file.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Err(error) = (&mut self.server).await {
            tracing::error!(error = %error, "embedded DynamoDB failed");
        }
    }
}

fn config_for(url: &str) -> DynamoConfig {
    DynamoConfig {
        table: TABLE_NAME.to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(url.to_owned()),
        identity: Identity::fixed(credentials()),
    }
}

fn credentials() -> DynamoCredentials {
    DynamoCredentials {
        access_key_id: "embedded".to_owned(),
        secret_access_key: "embedded".to_owned().into(),
        session_token: None,
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.server.abort();
        if let Some(lock) = &self.lock {
            // Closing the file would do, were it not for a child that is just being spawned and still holds it.
            let _ = lock.unlock();
        }
    }
}

fn open(place: Where) -> Result<(Database, Option<File>), EmbeddedError> {
    let failed = |error: dynoxide::DynoxideError| EmbeddedError::Database(error.to_string());
    match place {
        Where::Memory => Ok((Database::memory().map_err(failed)?, None)),
        Where::File(path) => {
            let lock = lock(&path)?;
            let text = path.to_str().ok_or_else(|| EmbeddedError::File {
                path: path.clone(),
                source: io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"),
            })?;
            Ok((Database::new(text).map_err(failed)?, Some(lock)))
        }
    }
}

fn lock(path: &Path) -> Result<File, EmbeddedError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let failed = |source| EmbeddedError::File { path: path.to_owned(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&name).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EmbeddedError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
