//! The `data` of a partner system's call, signed, through the router of the function that takes it.
//!
//! The first byte names the type, the rest is `data`; `{resource}` in it stands for the id of the one resource.

use axum::body::Body;
use http::Request;
use secrecy::SecretString;
use tradepost_provider::signing::{ID_HEADER, KEY_ID_HEADER, SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER, sign};

use super::issuer::INSTALLATION;
use super::world::{self, Got, PARTNER_KEY, PARTNER_SECRET, World};

/// Every type, and its route.
pub const TYPES: [(&str, &str); 13] = [
    ("usage.recorded", "/partner/usage"),
    ("resource.updated", "/partner/events"),
    ("installation.updated", "/partner/events"),
    ("effects.query", "/partner/effects/query"),
    ("provisioner.report", "/partner/provisioner/reports"),
    ("invoice.close", "/partner/invoices"),
    ("invoice.adjust", "/partner/invoices"),
    ("invoice.settle", "/partner/invoices"),
    ("effect.settle", "/partner/invoices"),
    ("invoice.query", "/partner/invoices/query"),
    ("invoice.refund", "/partner/invoices/icfg_fuzz.i1/refund"),
    ("secrets.rotate", "/partner/resources/{resource}/secrets"),
    ("sessions.redeem", "/partner/sessions/redeem"),
];

/// Runs the target.
pub fn run(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let (kind, route) = TYPES[usize::from(*first) % TYPES.len()];
    world::with(|world| {
        let body = body(world, kind, data);
        let before = world.table.copy();
        let forged = call(world, route, &body, &[&body[..], b" "].concat());
        assert_eq!(forged.status, 401, "{forged:?}");
        let got = call(world, route, &body, &body);
        got.must_be_ours("/code");
        world.must_be_readable();
        let after = world.table.copy();
        if got.status == 400 {
            assert!(before == after, "a refused call changed something: {got:?}");
        }
        let repeated = call(world, route, &body, &body);
        if got.status < 400 {
            assert_eq!(got, repeated, "a repeat has another answer");
            assert!(after == world.table.copy(), "a repeat changed something: {got:?}");
        } else {
            assert_eq!(got.status, repeated.status, "a repeat has another status");
        }
    });
}

fn body(world: &World, kind: &str, data: &[u8]) -> Vec<u8> {
    let head = format!(r#"{{"type":"{kind}","installationId":"{INSTALLATION}","data":"#);
    let data = match std::str::from_utf8(data) {
        Ok(text) => text.replace("{resource}", &world.resource).into_bytes(),
        Err(_) => data.to_vec(),
    };
    [head.as_bytes(), &data, b"}"].concat()
}

/// Sends a body under the signature of another, or of itself.
fn call(world: &World, route: &str, body: &[u8], signed: &[u8]) -> Got {
    let secret = SigningSecret::parse("fuzz", &SecretString::from(PARTNER_SECRET)).unwrap();
    let request = Request::post(route.replace("{resource}", &world.resource))
        .header(KEY_ID_HEADER, PARTNER_KEY)
        .header(ID_HEADER, "msg_1")
        .header(TIMESTAMP_HEADER, world::now().as_second().to_string())
        .header(SIGNATURE_HEADER, sign(&secret, "msg_1", world::now(), signed));
    world.send(request.body(Body::from(body.to_vec())).unwrap())
}
