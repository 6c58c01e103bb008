//! A token of Vercel's.
//!
//! A first byte `0`: the rest is a token, which the issuer did not sign. `1`: the rest is claims, which it did. `2`: a
//! header, a line feed, claims, and it signed both. Other first bytes are as `0`.

use serde_json::Value;
use tokio::runtime::Runtime;
use tradepost_marketplace::doors::LeaseTime;
use tradepost_marketplace::endpoint;
use tradepost_marketplace::ids::{ClientId, InstallationId};
use tradepost_marketplace::oidc::{AuthHeader, Claims, LEEWAY_SECONDS, TokenError, Verifier};

use super::issuer::{self, AUDIENCE, ISSUER, Issuer, KEY_ID};
use super::world::now;

thread_local! {
    static VERIFIER: (Verifier, Runtime) = {
        let issuer = endpoint::checked(ISSUER).unwrap();
        let verifier = Verifier::new(std::sync::Arc::new(Issuer), issuer, ClientId::new(AUDIENCE).unwrap());
        (verifier, tokio::runtime::Builder::new_current_thread().build().unwrap())
    };
}

fn verify(token: &str, style: AuthHeader) -> Result<Claims, TokenError> {
    VERIFIER.with(|(verifier, runtime)| runtime.block_on(verifier.verify(token, style, now(), LeaseTime::of(now()))))
}

/// Runs the target.
pub fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    match first {
        b'1' => signed(&issuer::header(), rest),
        b'2' => {
            let cut = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let (header, claims) = rest.split_at(cut);
            signed(header, claims.get(1..).unwrap_or_default());
        }
        _ => {
            let Ok(token) = std::str::from_utf8(rest) else { return };
            let refused = verify(token, AuthHeader::Missing).expect_err("nobody signed it");
            assert!(!refused.is_unavailable());
            // Nor with the middle, or the end, of a good one.
            let good = issuer::good(true, now().as_second());
            let parts: Vec<&str> = good.split('.').collect();
            for forged in [format!("{token}.{}", parts[2]), format!("{}.{token}.{}", parts[0], parts[2])] {
                assert!(forged == good || verify(&forged, AuthHeader::Missing).is_err(), "{forged}");
            }
        }
    }
}

/// What was signed is judged once more, by the plain reading of its JSON.
fn signed(header: &[u8], claims: &[u8]) {
    let token = issuer::sign(header, claims);
    let styles = [AuthHeader::Missing, AuthHeader::User, AuthHeader::System];
    let [read, as_person, as_system] = styles.map(|style| verify(&token, style));
    let Ok(read) = read else {
        assert!(as_person.is_err() && as_system.is_err(), "the header only ever narrows");
        return;
    };
    let is_person = matches!(read, Claims::User(_));
    assert_eq!((as_person.is_ok(), as_system.is_ok()), (is_person, !is_person));
    let header: Value = serde_json::from_slice(header).unwrap();
    assert_eq!((&header["alg"], &header["kid"]), (&Value::from("RS256"), &Value::from(KEY_ID)));
    assert!(header.get("crit").is_none());
    let claims: Value = serde_json::from_slice(claims).unwrap();
    assert_eq!(claims["iss"], ISSUER);
    let audiences = claims["aud"].as_array().cloned().unwrap_or_else(|| vec![claims["aud"].clone()]);
    assert!(!audiences.is_empty() && audiences.iter().all(|one| one == AUDIENCE), "{claims}");
    let Claims::User(person) = &read else {
        assert!(claims["user_id"].is_null() && claims["user_role"].is_null());
        let system = read.installation_id().map(InstallationId::as_str);
        assert_eq!(claims["installation_id"].as_str(), system);
        return;
    };
    assert!(person.expires_at.as_second() + LEEWAY_SECONDS > now().as_second());
    assert_eq!(claims["user_id"], person.user_id.as_str());
    assert_eq!(claims["user_role"], person.role.as_str());
    assert_eq!(claims["installation_id"].as_str(), person.installation_id.as_ref().map(InstallationId::as_str));
    // An installation of the token's, and of no other path.
    assert!(read.require_installation("icfg_another").is_err() || claims["installation_id"] == "icfg_another");
}
