//! The exchange of a sign-on code for tokens, and their refresh (spec A.20). Neither has a bearer.

use super::Client;
use super::error::ClientError;
use super::operations::{self, OperationInfo};
use super::send::Operation;
use crate::doors::LeaseTime;
use crate::wire::{Exposed, SsoExchange, SsoRefresh, SsoTokenRequest, SsoTokens};

impl Client {
    /// SSO Token Exchange of a code (spec A.20). [`Never`](super::RetryClass::Never) repeated: a code works once, so
    /// after a lost answer ([`ClientError::NoAnswer`]) a repeat can only fail; the person signs on again.
    pub async fn exchange_code(&self, exchange: &SsoExchange, deadline: LeaseTime) -> Result<SsoTokens, ClientError> {
        let request = SsoTokenRequest::Exchange(exchange.clone());
        self.request_tokens(&operations::EXCHANGE_CODE, &request, deadline).await
    }

    /// SSO Token Exchange of a refresh token (spec A.20, since 2026). Keep the refresh token that comes back, if one
    /// does. [`Never`](super::RetryClass::Never) repeated: after a lost answer ([`ClientError::NoAnswer`]) the token
    /// may be used up; the person signs on again.
    pub async fn refresh_tokens(&self, refresh: &SsoRefresh, deadline: LeaseTime) -> Result<SsoTokens, ClientError> {
        let request = SsoTokenRequest::Refresh(refresh.clone());
        self.request_tokens(&operations::REFRESH_TOKENS, &request, deadline).await
    }

    async fn request_tokens(
        &self,
        info: &'static OperationInfo,
        request: &SsoTokenRequest,
        deadline: LeaseTime,
    ) -> Result<SsoTokens, ClientError> {
        let operation = Operation::anonymous(self, deadline, info, None, &[])?.secretive();
        self.fetch(operation.with_body(&Exposed(request))?).await
    }
}
