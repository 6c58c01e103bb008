//! What a command owes that never owes anything.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::ResourceId;

use super::outcome::{Deliver, Outcome};
use crate::deadline::Deadline;
use crate::edge::ApiError;
use crate::outbox::{Class, Effect, Owed};
use crate::provider::Provider;

/// No effect: no value of it exists.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Nothing {}

impl Owed for Nothing {
    fn name(&self) -> &'static str {
        match *self {}
    }

    fn class(&self) -> Class {
        match *self {}
    }

    fn resource(&self) -> Option<&ResourceId> {
        match *self {}
    }

    fn slot(&self) -> String {
        match *self {}
    }

    fn due(&self, _: Timestamp) -> Timestamp {
        match *self {}
    }
}

#[async_trait]
impl Deliver for Nothing {
    async fn deliver(_: &Provider, effect: &Effect<Self>, _: Deadline) -> Result<Outcome, ApiError> {
        match effect.what {}
    }
}
