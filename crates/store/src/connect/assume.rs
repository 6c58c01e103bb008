//! One call of the Security Token Service: `AssumeRoleWithWebIdentity`, through the same network door as every
//! other call of ours. The call is not signed and has four fields: the service's own SDK would be in every
//! function for it.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use tradepost_marketplace::doors::LeaseTime;
use tradepost_marketplace::http_door::HttpDoor;
use url::form_urlencoded::Serializer;

use super::identity::IdentityError;
use super::xml::{self, DOCUMENT_BYTES_MAX, Leaves};
use super::{DynamoCredentials, Role};

/// How long the exchange may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the credentials are asked for: what every role allows.
const LIFETIME_SECONDS: u32 = 3_600;
/// The longest life that is believed.
const LIFETIME_MAX: SignedDuration = SignedDuration::from_hours(12);
/// The name that AWS's own log has for us.
const SESSION_NAME: &str = "tradepost";
/// The longest code of a refusal that is passed on.
const CODE_CHARS_MAX: usize = 64;

/// Takes the role with a token. The credentials, and until when they are good.
pub(super) async fn assume(
    http: &HttpDoor,
    role: &Role,
    token: &SecretString,
    now: LeaseTime,
) -> Result<(DynamoCredentials, LeaseTime), IdentityError> {
    let form = Serializer::new(String::new())
        .append_pair("Action", "AssumeRoleWithWebIdentity")
        .append_pair("Version", "2011-06-15")
        .append_pair("RoleArn", &role.arn)
        .append_pair("RoleSessionName", SESSION_NAME)
        .append_pair("DurationSeconds", &LIFETIME_SECONDS.to_string())
        .append_pair("WebIdentityToken", token.expose_secret())
        .finish();
    let request = Request::builder()
        .method(Method::POST)
        .uri(&role.sts)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from(form))
        .map_err(|_| IdentityError::Answer)?;
    let answer = http.send(request, TIMEOUT).await.map_err(|_| IdentityError::NoAnswer)?;
    read(&answer, now)
}

fn read(answer: &Response<Bytes>, now: LeaseTime) -> Result<(DynamoCredentials, LeaseTime), IdentityError> {
    let leaves = text(answer).map(xml::read);
    if !answer.status().is_success() {
        // Without a readable body the status alone says whether a later try may do.
        let code = leaves.and_then(Result::ok).and_then(|leaves| code(&leaves)).unwrap_or_default();
        let passes = matches!(code.as_str(), "Throttling" | "ThrottlingException" | "IDPCommunicationError");
        let is_refusal = answer.status().is_client_error() && answer.status().as_u16() != 429 && !passes;
        return Err(if is_refusal { IdentityError::Refused { code } } else { IdentityError::NoAnswer });
    }
    let leaves = leaves.and_then(Result::ok).ok_or(IdentityError::Answer)?;
    let field = |name: &str| {
        let path = ["AssumeRoleWithWebIdentityResponse", "AssumeRoleWithWebIdentityResult", "Credentials", name];
        leaves.get(&path).map(str::to_owned).ok_or(IdentityError::Answer)
    };
    let expires_at: Timestamp = field("Expiration")?.parse().map_err(|_| IdentityError::Answer)?;
    let credentials = DynamoCredentials {
        access_key_id: field("AccessKeyId")?,
        secret_access_key: field("SecretAccessKey")?.into(),
        session_token: Some(field("SessionToken")?.into()),
    };
    // Of the wall's clock, as lease time is.
    Ok((credentials, LeaseTime::of(expires_at).min(now.after(LIFETIME_MAX))))
}

fn text(answer: &Response<Bytes>) -> Option<&str> {
    let body = answer.body();
    (body.len() <= DOCUMENT_BYTES_MAX).then(|| std::str::from_utf8(body).ok()).flatten()
}

/// The service's code, such as `ExpiredTokenException`. Its message is left out: nobody promised what is in it.
fn code(leaves: &Leaves<'_>) -> Option<String> {
    let code = leaves.get(&["ErrorResponse", "Error", "Code"])?;
    Some(code.chars().filter(char::is_ascii_alphanumeric).take(CODE_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-21T08:00:00Z";
    const GOOD: &str = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
        <AssumeRoleWithWebIdentityResult><Audience>https://vercel.com/team</Audience><AssumedRoleUser>\
        <Arn>arn:aws:sts::111122223333:assumed-role/r/tradepost</Arn></AssumedRoleUser><Credentials>\
        <AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>the/secret+</SecretAccessKey>\
        <SessionToken>the&amp;token==</SessionToken><Expiration>2026-11-21T09:00:00Z</Expiration>\
        </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";

    fn told(status: u16, body: &str) -> Result<(DynamoCredentials, Timestamp), IdentityError> {
        let answer = Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let (credentials, expires_at) = read(&answer, LeaseTime::of(NOW.parse().unwrap()))?;
        Ok((credentials, expires_at.instant()))
    }

    fn refusal(code: &str) -> String {
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>"
        )
    }

    #[test]
    fn credentials_are_read_whole_or_not_at_all() {
        let (credentials, expires_at) = told(200, GOOD).unwrap();
        assert_eq!((credentials.access_key_id.as_str(), expires_at.to_string().as_str()), {
            ("ASIAEXAMPLE", "2026-11-21T09:00:00Z")
        });
        assert_eq!(credentials.secret_access_key.expose_secret(), "the/secret+");
        assert_eq!(credentials.session_token.unwrap().expose_secret(), "the&token==");
        for (part, instead) in [
            ("SessionToken>", "Token>"),
            ("AccessKeyId>", "Id>"),
            ("SecretAccessKey>", "Key>"),
            ("Expiration>", "Until>"),
            ("2026-11-21T09:00:00Z", "soon"),
            ("Credentials>", "Others>"),
        ] {
            assert_eq!(told(200, &GOOD.replace(part, instead)).unwrap_err(), IdentityError::Answer, "{part}");
        }
        assert_eq!(told(200, "{}").unwrap_err(), IdentityError::Answer);
        assert_eq!(told(200, &"x".repeat(DOCUMENT_BYTES_MAX + 1)).unwrap_err(), IdentityError::Answer);
    }

    #[test]
    fn a_life_beyond_all_limits_is_cut() {
        let (_, expires_at) = told(200, &GOOD.replace("2026-11-21T09", "2036-11-21T09")).unwrap();
        assert_eq!(expires_at, "2026-11-21T20:00:00Z".parse().unwrap());
    }

    #[test]
    fn a_refusal_is_told_from_an_outage() {
        for code in ["ExpiredTokenException", "AccessDenied", "InvalidIdentityToken"] {
            assert_eq!(told(400, &refusal(code)).unwrap_err(), IdentityError::Refused { code: code.to_owned() });
        }
        let strange = told(403, &refusal("a b\u{e9}&lt;/")).unwrap_err();
        assert_eq!(strange, IdentityError::Refused { code: "ab".to_owned() });
        assert_eq!(told(403, "nonsense").unwrap_err(), IdentityError::Refused { code: String::new() });
        for (status, body) in
            [(500, ""), (503, "<ErrorResponse/>"), (429, ""), (400, &refusal("Throttling")), (302, "")]
        {
            assert_eq!(told(status, body).unwrap_err(), IdentityError::NoAnswer, "{status} {body}");
        }
        assert_eq!(told(400, &refusal("IDPCommunicationError")).unwrap_err(), IdentityError::NoAnswer);
    }
}
