//! A list of every secret of a run, for tests that then look for them in logs and files.
//!
//! The only place where secrets are written in clear, and only because `--canaries` asked for it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tradepost_simulator::SecretHook;

use crate::development;

/// Appends secrets to a file, one a line. Without a file it forgets them.
#[derive(Clone, Default)]
pub struct Canaries(Option<Arc<Mutex<File>>>);

impl Canaries {
    /// Appends to `path`, beginning with the fixed secrets of development.
    pub fn to(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("the canaries' file {} cannot be opened", path.display()))?;
        let canaries = Self(Some(Arc::new(Mutex::new(file))));
        for secret in development::secrets() {
            canaries.tell(secret);
        }
        Ok(canaries)
    }

    /// Takes a secret down.
    pub fn tell(&self, secret: &str) {
        let Some(file) = &self.0 else { return };
        let line = format!("{secret}\n");
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::error!(error = %error, "a canary cannot be written");
        }
    }

    /// As the simulator wants it.
    pub fn hook(&self) -> SecretHook {
        let canaries = self.clone();
        Arc::new(move |secret: &str| canaries.tell(secret))
    }
}
