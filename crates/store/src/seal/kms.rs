//! Keys of the ring that a key of AWS KMS has wrapped: one call of `Decrypt` a key and process, at its first use.
//!
//! The call is signed with the SDK's own signer and sent through the network door; the service's SDK would be in
//! every function for one call. The encryption context names the key's id, so that a wrapped key does not open under
//! another id. What fails: no permission, another id (refused, a person must act); no answer (503, tried again).

use std::time::{Duration, SystemTime};

use aws_lc_rs::aead::LessSafeKey;
use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tokio::sync::OnceCell;
use tradepost_marketplace::doors::LeaseClock;
use tradepost_marketplace::http_door::HttpDoor;
use zeroize::Zeroizing;

use super::UnwrapError;
use super::ring::{KEY_BYTES, STANDARD_ANY_PADDING, aead_key};
use crate::connect::{DynamoCredentials, Identity};

/// The longest wrapped key, in bytes (KMS: `CiphertextBlob`).
pub const WRAPPED_BYTES_MAX: usize = 6_144;
/// The name under which the encryption context has the key's id.
pub const CONTEXT_NAME: &str = "tradepost-kid";
/// How long the call may take.
pub const TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 16 * 1024;
const CODE_CHARS_MAX: usize = 64;

/// A wrapped key, and the key once it was unwrapped.
pub(super) struct Wrapped {
    blob: String,
    key: OnceCell<LessSafeKey>,
}

impl Wrapped {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let blob = STANDARD_ANY_PADDING.decode(text).map_err(|_| "is not base64 behind kms:")?;
        if blob.is_empty() || blob.len() > WRAPPED_BYTES_MAX {
            return Err(format!("has {} bytes behind kms:, it must be 1 to {WRAPPED_BYTES_MAX}", blob.len()));
        }
        Ok(Self { blob: STANDARD.encode(blob), key: OnceCell::new() })
    }

    pub(super) fn key(&self) -> Option<&LessSafeKey> {
        self.key.get()
    }

    /// While several wait, one asks.
    pub(super) async fn unwrap_by(&self, kms: &Kms, kid: &str) -> Result<(), UnwrapError> {
        let unwrap = async {
            let bytes = kms.decrypt(&self.blob, kid).await?;
            aead_key(&bytes).ok_or(UnwrapError::Answer)
        };
        self.key.get_or_try_init(|| unwrap).await.map(|_| ())
    }
}

/// Where KMS is and who we are there.
pub struct Kms {
    /// The network.
    pub http: HttpDoor,
    /// Who we are.
    pub identity: Identity,
    /// The region of the key.
    pub region: String,
    /// The service's address.
    pub endpoint: String,
    /// The time of signatures.
    pub clock: LeaseClock,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypted {
    plaintext: String,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "__type")]
    kind: String,
}

impl Kms {
    async fn decrypt(&self, blob: &str, kid: &str) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
        let credentials = self.identity.credentials().await?;
        let body = serde_json::json!({ "CiphertextBlob": blob, "EncryptionContext": { CONTEXT_NAME: kid } });
        let request = self.signed(&body.to_string(), &credentials).ok_or(UnwrapError::Answer)?;
        let answer = self.http.send(request, TIMEOUT).await.map_err(|_| UnwrapError::NoAnswer);
        let outcome = answer.and_then(|answer| read(&answer));
        if let Err(error) = &outcome {
            if error.is_retryable() {
                tracing::warn!(key.id = kid, error.cause = %error, "a key could not be unwrapped");
            } else {
                tracing::error!(key.id = kid, error.cause = %error, "a key could not be unwrapped");
            }
        }
        outcome
    }

    fn signed(&self, body: &str, credentials: &DynamoCredentials) -> Option<Request<Bytes>> {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "TrentService.Decrypt")];
        let DynamoCredentials { access_key_id, secret_access_key, session_token } = credentials;
        let session_token = session_token.as_ref().map(|token| token.expose_secret().to_owned());
        let secret = secret_access_key.expose_secret();
        let identity = Credentials::new(access_key_id, secret, session_token, None, "tradepost").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("kms")
            .time(SystemTime::from(self.clock.now().instant()))
            .settings(SigningSettings::default())
            .build()
            .ok()?;
        let content = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new("POST", self.endpoint.as_str(), headers.into_iter(), content).ok()?;
        let (signature, _) = sign(signable, &params.into()).ok()?.into_parts();
        let mut request = Request::builder().method(Method::POST).uri(&self.endpoint);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Bytes::copy_from_slice(body.as_bytes())).ok()?;
        signature.apply_to_request_http1x(&mut request);
        for (_, value) in request.headers_mut().iter_mut().filter(|(name, _)| *name == header::AUTHORIZATION) {
            value.set_sensitive(true);
        }
        Some(request)
    }
}

fn read(answer: &Response<Bytes>) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
    let body = answer.body();
    if body.len() > ANSWER_BYTES_MAX {
        return Err(UnwrapError::Answer);
    }
    if !answer.status().is_success() {
        let kind = serde_json::from_slice::<Refusal>(body).map(|refusal| refusal.kind).unwrap_or_default();
        let code = kind.rsplit('#').next().unwrap_or_default();
        let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(CODE_CHARS_MAX).collect();
        let passes =
            matches!(code.as_str(), "ThrottlingException" | "DependencyTimeoutException" | "KMSInternalException");
        let is_refusal = answer.status().is_client_error() && answer.status().as_u16() != 429 && !passes;
        return Err(if is_refusal { UnwrapError::Refused { code } } else { UnwrapError::NoAnswer });
    }
    // The text of a JSON error may quote the answer: it is dropped.
    let decrypted: Decrypted = serde_json::from_slice(body).map_err(|_| UnwrapError::Answer)?;
    let text = Zeroizing::new(decrypted.plaintext);
    let bytes = STANDARD.decode(text.as_bytes()).map(Zeroizing::new);
    bytes.ok().filter(|bytes| bytes.len() == KEY_BYTES).ok_or(UnwrapError::Answer)
}
