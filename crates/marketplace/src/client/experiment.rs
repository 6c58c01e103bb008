//! Calls about experiments and flags (spec A.21).

use super::error::ClientError;
use super::send::Operation;
use super::{Call, Client, Removal, operations};
use crate::ids::ResourceId;
use crate::wire::{ItemBatch, ItemId, ItemUpdate};

impl Client {
    /// Create Items (spec A.21), at most 50. [`ByExternalId`](super::RetryClass::ByExternalId): after a lost answer the
    /// same items are sent again, with the same ids; a 409 to the repeat is [`ClientError::MaybeDuplicate`].
    pub async fn create_items(
        &self,
        call: &Call<'_>,
        resource: &ResourceId,
        items: &ItemBatch,
    ) -> Result<(), ClientError> {
        let operation = Operation::on(self, call, &operations::CREATE_ITEMS, &[resource.as_str()])?;
        self.send(operation.with_body(items)?).await
    }

    /// Update Item (spec A.21). [`Repeatable`](super::RetryClass::Repeatable): after a lost answer it is sent again;
    /// the last write wins.
    pub async fn update_item(
        &self,
        call: &Call<'_>,
        resource: &ResourceId,
        item: &ItemId,
        update: &ItemUpdate,
    ) -> Result<(), ClientError> {
        let operation = Operation::on(self, call, &operations::UPDATE_ITEM, &[resource.as_str(), item.as_str()])?;
        self.send(operation.with_body(update)?).await
    }

    /// Delete Item (spec A.21). [`Removal`](super::RetryClass::Removal): after a lost answer it is sent again; a 404 to
    /// the repeat is [`Removal::AlreadyGone`], a 404 to the first try [`ClientError::Rejected`].
    pub async fn delete_item(
        &self,
        call: &Call<'_>,
        resource: &ResourceId,
        item: &ItemId,
    ) -> Result<Removal, ClientError> {
        self.remove(call, &operations::DELETE_ITEM, &[resource.as_str(), item.as_str()]).await
    }
}
