//! Calls about the config of experiments and flags (spec A.22).
//!
//! The conditional headers are not in Vercel's schema, their answers (304, 412) are: a digest is sent as an entity
//! tag, as HTTP has it (RFC 9110, section 13).

use bytes::Bytes;
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{Response, StatusCode};

use super::error::ClientError;
use super::operations::{self, OperationInfo};
use super::send::{Operation, read};
use super::{Call, Client};
use crate::ids::ResourceId;
use crate::wire::{Config, ConfigDigest, ConfigUpdate};

/// By which of its two paths a config is reached; Vercel renamed it in mid-2026.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConfigPath {
    /// `…/experimentation/global-config`.
    #[default]
    Global,
    /// `…/experimentation/edge-config`, the name until then, kept as an alias.
    Edge,
}

impl ConfigPath {
    const fn of(self, global: &'static OperationInfo, edge: &'static OperationInfo) -> &'static OperationInfo {
        match self {
            Self::Global => global,
            Self::Edge => edge,
        }
    }
}

/// What reading a config gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigRead {
    /// It.
    Config(Config),
    /// It is still the version that was named (304).
    NotModified,
}

/// What asking for a config's version gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigHead {
    /// It is there; with its version, if Vercel's `etag` says one.
    Present(Option<ConfigDigest>),
    /// It is still the version that was named (304).
    NotModified,
}

/// What writing a config gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigWrite {
    /// It was written, and is this now.
    Written(Config),
    /// It is no longer the version that was named (412); nothing was written. Read it, and decide again.
    Outdated,
}

impl Client {
    /// Get Config (spec A.22). With `known`, only if it is another version.
    /// [`Repeatable`](super::RetryClass::Repeatable): after a lost answer it is read again.
    pub async fn get_config(
        &self,
        call: &Call<'_>,
        resource: &ResourceId,
        path: ConfigPath,
        known: Option<&ConfigDigest>,
    ) -> Result<ConfigRead, ClientError> {
        let info = path.of(&operations::GET_GLOBAL_CONFIG, &operations::GET_EDGE_CONFIG);
        let answer = self.look(call, resource, info, known).await?;
        if answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(ConfigRead::NotModified);
        }
        read(&answer).map(ConfigRead::Config)
    }

    /// Head Config (spec A.22): its version alone. With `known`, only if it is another one.
    /// [`Repeatable`](super::RetryClass::Repeatable): after a lost answer it is asked again.
    pub async fn head_config(
        &self,
        call: &Call<'_>,
        resource: &ResourceId,
        path: ConfigPath,
        known: Option<&ConfigDigest>,
    ) -> Result<ConfigHead, ClientError> {
        let info = path.of(&operations::HEAD_GLOBAL_CONFIG, &operations::HEAD_EDGE_CONFIG);
        let answer = self.look(call, resource, info, known).await?;
        if answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(ConfigHead::NotModified);
        }
        let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
        Ok(ConfigHead::Present(tag.and_then(|tag| ConfigDigest::of_tag(tag).ok())))
    }

    async fn look(
        &self,
        call: &Call<'_>,
        resource: &ResourceId,
        info: &'static OperationInfo,
        known: Option<&ConfigDigest>,
    ) -> Result<Response<Bytes>, ClientError> {
        let operation = Operation::on(self, call, info, &[resource.as_str()])?;
        self.carry_out(&operation.on_condition(IF_NONE_MATCH, known.map(ConfigDigest::to_tag))?).await
    }

    /// Put Config (spec A.22): replaces its contents. With `replaces`, only that version.
    /// [`Conditional`](super::RetryClass::Conditional): after a lost answer it is sent again; a 409 or 412 to the
    /// repeat is [`ClientError::MaybeDuplicate`], since the first try may be what changed it: read it and compare. A
    /// 412 to the first try is [`ConfigWrite::Outdated`].
    pub async fn put_config(
        &self,
        call: &Call<'_>,
        resource: &ResourceId,
        path: ConfigPath,
        update: &ConfigUpdate,
        replaces: Option<&ConfigDigest>,
    ) -> Result<ConfigWrite, ClientError> {
        let info = path.of(&operations::PUT_GLOBAL_CONFIG, &operations::PUT_EDGE_CONFIG);
        let operation = Operation::on(self, call, info, &[resource.as_str()])?;
        let operation = operation.on_condition(IF_MATCH, replaces.map(ConfigDigest::to_tag))?;
        match self.fetch(operation.with_body(update)?).await {
            Ok(config) => Ok(ConfigWrite::Written(config)),
            Err(ClientError::Rejected(refusal)) if refusal.status == 412 => Ok(ConfigWrite::Outdated),
            Err(error) => Err(error),
        }
    }
}
