//! Who we are at AWS, asked before each call of the store.
//!
//! Fixed keys are what the environment gave. On Vercel a role can be taken instead: the platform gives each
//! request a token ([`TOKEN_HEADER`]), which the Security Token Service exchanges for credentials that are good
//! for an hour. They belong to the role, not to the request, so they are kept until shortly before they expire,
//! and while several requests wait, one exchanges.
//!
//! How the token gets here: whoever serves a request runs it inside of [`with_request_token`]; the task carries
//! it, so no flow can forget to pass it on, and nothing but this module can read it.
//!
//! What fails: there is no header (the project's setting is off), the role refuses the token (its trust policy),
//! the service does not answer (old credentials serve as long as they are good; else 503, and after a failure
//! nobody tries again for [`OUTAGE_PAUSE`]).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use secrecy::SecretString;
use tradepost_marketplace::doors::{LeaseClock, LeaseTime};
use tradepost_marketplace::http_door::HttpDoor;

use super::{DynamoCredentials, Role, assume};

/// The header in which Vercel gives a request its token.
pub const TOKEN_HEADER: &str = "x-vercel-oidc-token";
/// The longest token that is taken, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How long before they expire the credentials are exchanged for new ones.
pub const REFRESH_AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// Credentials with less than this left are not used: the call must arrive, too.
pub const LAST_USE: SignedDuration = SignedDuration::from_secs(30);
/// How long nobody tries again after the service did not answer.
pub const OUTAGE_PAUSE: SignedDuration = SignedDuration::from_secs(2);

/// Why there are no credentials for a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The request brought no token.
    #[error(
        "the request has no {TOKEN_HEADER} header; turn on OIDC federation in the Vercel project's settings, or set \
         TRADEPOST_AWS_ACCESS_KEY_ID and TRADEPOST_AWS_SECRET_ACCESS_KEY in place of TRADEPOST_AWS_ROLE_ARN"
    )]
    NoToken,
    /// The service refused the token or the role.
    #[error("AWS refused the role of TRADEPOST_AWS_ROLE_ARN to the request's token: {code}; see its trust policy")]
    Refused {
        /// The service's code, as far as it is letters and digits.
        code: String,
    },
    /// The service did not answer, or asked to come back.
    #[error("the Security Token Service does not answer")]
    NoAnswer,
    /// The service's answer is not what its documentation says.
    #[error("the Security Token Service gave an answer that cannot be read")]
    Answer,
}

impl IdentityError {
    /// An outage passes; what was refused, a person must set right.
    fn log(&self) {
        if *self == Self::NoAnswer {
            tracing::warn!(error.cause = %self, "no credentials for the store");
        } else {
            tracing::error!(error.cause = %self, "no credentials for the store");
        }
    }
}

tokio::task_local! {
    static REQUEST_TOKEN: Option<SecretString>;
}

/// Serves a request whose store calls may use its token.
pub async fn with_request_token<F: Future>(token: Option<SecretString>, serve: F) -> F::Output {
    REQUEST_TOKEN.scope(token, serve).await
}

fn request_token() -> Option<SecretString> {
    REQUEST_TOKEN.try_with(Clone::clone).ok().flatten()
}

/// Who we are. Cheap to clone; clones share what they hold.
#[derive(Clone)]
pub struct Identity(Kind);

#[derive(Clone)]
enum Kind {
    Fixed(Arc<DynamoCredentials>),
    ByRequest(Arc<ByRequest>),
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Fixed(_) => "Identity(keys)",
            Kind::ByRequest(_) => "Identity(role)",
        })
    }
}

impl Identity {
    /// Always these.
    pub fn fixed(credentials: DynamoCredentials) -> Self {
        Self(Kind::Fixed(Arc::new(credentials)))
    }

    /// A role, taken with the tokens of requests.
    pub fn by_request(role: Role, http: HttpDoor, clock: LeaseClock) -> Self {
        let (state, exchange) = (Mutex::default(), tokio::sync::Mutex::default());
        Self(Kind::ByRequest(Arc::new(ByRequest { role, http, clock, state, exchange })))
    }

    /// The credentials for a call now. The same `Arc` as long as they are the same.
    pub async fn credentials(&self) -> Result<Arc<DynamoCredentials>, IdentityError> {
        match &self.0 {
            Kind::Fixed(credentials) => Ok(credentials.clone()),
            Kind::ByRequest(role) => role.credentials().await,
        }
    }
}

struct ByRequest {
    role: Role,
    http: HttpDoor,
    clock: LeaseClock,
    state: Mutex<State>,
    /// Held by the one that exchanges.
    exchange: tokio::sync::Mutex<()>,
}

#[derive(Default, Clone)]
struct State {
    held: Option<(Arc<DynamoCredentials>, LeaseTime)>,
    no_answer_at: Option<LeaseTime>,
}

impl State {
    /// What is held and still good for `ahead`.
    fn good_for(&self, ahead: SignedDuration, now: LeaseTime) -> Option<Arc<DynamoCredentials>> {
        let (credentials, expires_at) = self.held.as_ref()?;
        (expires_at.since(now) > ahead).then(|| credentials.clone())
    }
}

impl ByRequest {
    async fn credentials(&self) -> Result<Arc<DynamoCredentials>, IdentityError> {
        let state = self.state();
        let now = self.clock.now();
        if let Some(fresh) = state.good_for(REFRESH_AHEAD, now) {
            return Ok(fresh);
        }
        let Some(old) = state.good_for(LAST_USE, now) else {
            let _one = self.exchange.lock().await;
            // Whoever was first may have exchanged already.
            let fresh = self.state().good_for(REFRESH_AHEAD, self.clock.now());
            if let Some(fresh) = fresh {
                return Ok(fresh);
            }
            return self.exchanged().await.inspect_err(IdentityError::log);
        };
        // Somebody exchanges: these are still good.
        let Ok(_one) = self.exchange.try_lock() else { return Ok(old) };
        Ok(self.exchanged().await.unwrap_or_else(|error| {
            tracing::warn!(error.cause = %error, "the store's credentials could not be renewed yet");
            old
        }))
    }

    /// Exchanges the request's token. Only with the lock.
    async fn exchanged(&self) -> Result<Arc<DynamoCredentials>, IdentityError> {
        let now = self.clock.now();
        let rests = |at: LeaseTime| now.since(at) < OUTAGE_PAUSE;
        if self.state().no_answer_at.is_some_and(rests) {
            return Err(IdentityError::NoAnswer);
        }
        let taken = match request_token() {
            Some(token) => assume::assume(&self.http, &self.role, &token, now).await,
            None => Err(IdentityError::NoToken),
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match taken {
            Ok((credentials, expires_at)) => {
                let credentials = Arc::new(credentials);
                *state = State { held: Some((credentials.clone(), expires_at)), no_answer_at: None };
                Ok(credentials)
            }
            Err(error) => {
                if error == IdentityError::NoAnswer {
                    state.no_answer_at = Some(self.clock.now());
                }
                Err(error)
            }
        }
    }

    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
