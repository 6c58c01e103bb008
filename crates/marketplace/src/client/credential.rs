//! Calls that replace the token of an installation (spec A.5, A.6).

use super::error::ClientError;
use super::send::Operation;
use super::{Call, Client, operations};
use crate::wire::{Exposed, RevokeCredential, RevokedCredential, RotateCredential, RotatedCredential};

impl Client {
    /// Rotate Installation Credential (spec A.5), with the token that is to be replaced: it works until it is revoked.
    /// [`Never`](super::RetryClass::Never) repeated: each call makes a token. After a lost answer
    /// ([`ClientError::NoAnswer`]) a token may live that nobody knows; the old one still works, so rotate again with
    /// it. A 409 is [`ClientError::Rejected`].
    pub async fn rotate_credential(
        &self,
        call: &Call<'_>,
        proof: &RotateCredential,
    ) -> Result<RotatedCredential, ClientError> {
        let operation = Operation::on(self, call, &operations::ROTATE_CREDENTIAL, &[])?.secretive();
        self.fetch(operation.with_body(&Exposed(proof))?).await
    }

    /// Revoke Installation Credential (spec A.6), with another token that is alive: rotate, store the new one, call
    /// with it, revoke the old one. [`Repeatable`](super::RetryClass::Repeatable): after a lost answer it is sent
    /// again, and `already_revoked` says that the first one counted. Vercel refuses to revoke the last one (409).
    pub async fn revoke_credential(
        &self,
        call: &Call<'_>,
        revoke: &RevokeCredential,
    ) -> Result<RevokedCredential, ClientError> {
        let operation = Operation::on(self, call, &operations::REVOKE_CREDENTIAL, &[])?.secretive();
        self.fetch(operation.with_body(&Exposed(revoke))?).await
    }
}
