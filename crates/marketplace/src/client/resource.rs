//! Calls about a resource (spec A.8 to A.12, A.18, A.19).

use super::error::ClientError;
use super::operations::OperationInfo;
use super::send::Operation;
use super::{Call, Client, operations};
use crate::ids::{ProductId, ResourceId};
use crate::wire::{
    Exposed, ImportResource, NamedResource, ResourcePatch, SecretsUpdate, VercelResource, VercelResources,
};

/// What became of something that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Vercel has removed it.
    Removed,
    /// An answer was lost, and the repeat found nothing (404): it is gone, by the first try or before it.
    AlreadyGone,
}

impl Client {
    /// List Resources (spec A.8): all of the installation, without pages.
    /// [`Repeatable`](super::RetryClass::Repeatable): after a lost answer it is read again.
    pub async fn list_resources(&self, call: &Call<'_>) -> Result<VercelResources, ClientError> {
        self.fetch(Operation::on(self, call, &operations::LIST_RESOURCES, &[])?).await
    }

    /// Get Resource (spec A.9), as Vercel knows it. [`Repeatable`](super::RetryClass::Repeatable): after a lost answer
    /// it is read again.
    pub async fn get_resource(&self, call: &Call<'_>, resource: &ResourceId) -> Result<VercelResource, ClientError> {
        self.fetch(Operation::on(self, call, &operations::GET_RESOURCE, &[resource.as_str()])?).await
    }

    /// Import Resource (spec A.10): makes Vercel know a resource, or replaces what it knows. The name that comes back
    /// may differ from the one sent: store that one. A 409 and a 422 are [`ClientError::Rejected`].
    /// [`Repeatable`](super::RetryClass::Repeatable): after a lost answer it is sent again and replaces what the first
    /// made.
    pub async fn import_resource(
        &self,
        call: &Call<'_>,
        resource: &ResourceId,
        import: &ImportResource,
    ) -> Result<NamedResource, ClientError> {
        let operation = Operation::on(self, call, &operations::IMPORT_RESOURCE, &[resource.as_str()])?;
        let operation = if import.secrets.is_some() { operation.secretive() } else { operation };
        self.fetch(operation.with_body(&Exposed(import))?).await
    }

    /// Update Resource (spec A.11). The name that comes back may differ from the one sent: store that one.
    /// [`Repeatable`](super::RetryClass::Repeatable): after a lost answer it is sent again; the last write wins, so
    /// writes to one resource must be sent one after the other.
    pub async fn update_resource(
        &self,
        call: &Call<'_>,
        resource: &ResourceId,
        changes: &ResourcePatch,
    ) -> Result<NamedResource, ClientError> {
        let operation = Operation::on(self, call, &operations::UPDATE_RESOURCE, &[resource.as_str()])?;
        let operation = if changes.secrets.is_some() { operation.secretive() } else { operation };
        self.fetch(operation.with_body(&Exposed(changes))?).await
    }

    /// Delete Resource (spec A.12). [`Removal`](super::RetryClass::Removal): after a lost answer it is sent again; a
    /// 404 to the repeat is [`Removal::AlreadyGone`], a 404 to the first try [`ClientError::Rejected`].
    pub async fn delete_resource(&self, call: &Call<'_>, resource: &ResourceId) -> Result<Removal, ClientError> {
        self.remove(call, &operations::DELETE_RESOURCE, &[resource.as_str()]).await
    }

    /// Any operation of the class [`Removal`](super::RetryClass::Removal).
    pub(super) async fn remove(
        &self,
        call: &Call<'_>,
        info: &'static OperationInfo,
        parameters: &[&str],
    ) -> Result<Removal, ClientError> {
        match self.send(Operation::on(self, call, info, parameters)?).await {
            Ok(()) => Ok(Removal::Removed),
            Err(ClientError::MaybeDuplicate(_)) => Ok(Removal::AlreadyGone),
            Err(error) => Err(error),
        }
    }

    /// Update Resource Secrets (spec A.18), which also completes a rotation that was answered 202. A 409 and a 422 are
    /// [`ClientError::Rejected`]. [`Repeatable`](super::RetryClass::Repeatable): after a lost answer the same values
    /// are sent again; revoke the old ones only after a success.
    pub async fn update_secrets(
        &self,
        call: &Call<'_>,
        resource: &ResourceId,
        update: &SecretsUpdate,
    ) -> Result<(), ClientError> {
        self.put_secrets(call, &operations::UPDATE_SECRETS, &[resource.as_str()], update).await
    }

    /// Update Resource Secrets by product (spec A.19), which Vercel has deprecated.
    /// [`Repeatable`](super::RetryClass::Repeatable), with the same as [`Client::update_secrets`] after a lost answer.
    #[deprecated = "Vercel has dropped it from its reference: use update_secrets (spec A.19)"]
    pub async fn update_secrets_by_product(
        &self,
        call: &Call<'_>,
        product: &ProductId,
        resource: &ResourceId,
        update: &SecretsUpdate,
    ) -> Result<(), ClientError> {
        let parameters = [product.as_str(), resource.as_str()];
        self.put_secrets(call, &operations::UPDATE_SECRETS_BY_PRODUCT, &parameters, update).await
    }

    async fn put_secrets(
        &self,
        call: &Call<'_>,
        info: &'static OperationInfo,
        parameters: &[&str],
        update: &SecretsUpdate,
    ) -> Result<(), ClientError> {
        let operation = Operation::on(self, call, info, parameters)?.secretive();
        self.send(operation.with_body(&Exposed(update))?).await
    }
}
