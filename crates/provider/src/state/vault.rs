//! Sealing and opening secrets at rest: the key ring bound to a table, an owner and a field.
//!
//! The table is named as it was when its first value was sealed (`TRADEPOST_SEALED_AS`): a restore makes a table of
//! another name, and its values must open there.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tradepost_marketplace::doors::Entropy;
use tradepost_store::StoreError;
use tradepost_store::seal::{KeyRing, SealError, Sealed};

/// The key ring, the table's name and randomness for nonces.
#[derive(Clone)]
pub struct Vault {
    ring: Arc<KeyRing>,
    table: String,
    entropy: Arc<dyn Entropy>,
}

impl Vault {
    /// A vault for the values that were sealed for the table of this name.
    pub fn new(ring: KeyRing, table: impl Into<String>, entropy: Arc<dyn Entropy>) -> Self {
        Self { ring: Arc::new(ring), table: table.into(), entropy }
    }

    /// Seals a secret of `owner` (an installation or resource id) for one field.
    pub async fn seal(&self, owner: &str, field: &str, secret: &SecretString) -> Result<Sealed, StoreError> {
        let plain = secret.expose_secret().as_bytes();
        self.ring.unlock(None).await.map_err(broken)?;
        self.ring.seal(&self.table, owner, field, plain, self.entropy.as_ref()).map_err(broken)
    }

    /// Opens what was sealed for the same owner and field.
    pub async fn open(&self, owner: &str, field: &str, sealed: &Sealed) -> Result<SecretString, StoreError> {
        self.ring.unlock(Some(sealed)).await.map_err(broken)?;
        let plain = self.ring.open(&self.table, owner, field, sealed).map_err(broken)?;
        String::from_utf8(plain.to_vec()).map(SecretString::from).map_err(|_| broken(SealError::Malformed))
    }
}

fn broken(error: SealError) -> StoreError {
    match error {
        SealError::Unwrap { error, .. } => StoreError::Unwrap(error),
        other => StoreError::Backend(other.to_string()),
    }
}
