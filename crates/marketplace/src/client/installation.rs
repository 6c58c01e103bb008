//! Calls about an installation (spec A.1, A.2, A.3, A.4, A.7).

use super::error::ClientError;
use super::send::Operation;
use super::{Call, Client, operations};
use crate::ids::UserId;
use crate::wire::{Account, EventRequest, InstallationPatch, MarketplaceEvent, Member};

impl Client {
    /// Update Installation (spec A.1). [`Repeatable`](super::RetryClass::Repeatable): after a lost answer it is sent
    /// again; the last write wins.
    pub async fn update_installation(&self, call: &Call<'_>, patch: &InstallationPatch) -> Result<(), ClientError> {
        let operation = Operation::on(self, call, &operations::UPDATE_INSTALLATION, &[])?;
        self.send(operation.with_body(patch)?).await
    }

    /// Finalize Installation (spec A.2): no more invoices will come. [`Last`](super::RetryClass::Last): after a lost
    /// answer it is sent again. It ends the life of the token, so the repeat may be refused *because* the first one
    /// counted; that is [`ClientError::MaybeDuplicate`], and [`ClientError::Gone`] means that it is finalized, whoever
    /// did it.
    pub async fn finalize_installation(&self, call: &Call<'_>) -> Result<(), ClientError> {
        self.send(Operation::on(self, call, &operations::FINALIZE_INSTALLATION, &[])?).await
    }

    /// Get Account Info (spec A.3): who the customer is now. [`Repeatable`](super::RetryClass::Repeatable): after a
    /// lost answer it is read again.
    pub async fn account(&self, call: &Call<'_>) -> Result<Account, ClientError> {
        self.fetch(Operation::on(self, call, &operations::ACCOUNT, &[])?).await
    }

    /// Get Member (spec A.4): a person of the customer's team, by the `user_id` claim.
    /// [`Repeatable`](super::RetryClass::Repeatable): after a lost answer it is read again.
    pub async fn member(&self, call: &Call<'_>, member: &UserId) -> Result<Member, ClientError> {
        self.fetch(Operation::on(self, call, &operations::MEMBER, &[member.as_str()])?).await
    }

    /// Create Event (spec A.7): Vercel reads the installation or the resource again.
    /// [`Repeatable`](super::RetryClass::Repeatable): after a lost answer it is sent again; at worst Vercel reads
    /// twice.
    pub async fn create_event(&self, call: &Call<'_>, event: &MarketplaceEvent) -> Result<(), ClientError> {
        let operation = Operation::on(self, call, &operations::CREATE_EVENT, &[])?;
        self.send(operation.with_body(&EventRequest { event: event.clone() })?).await
    }
}
