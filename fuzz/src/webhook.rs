//! A delivery of Vercel's, through the router of the function.
//!
//! The bytes are the body. It comes unsigned, under a signature of other bytes, and rightly signed, twice.

use axum::body::Body;
use http::Request;
use secrecy::SecretString;
use tradepost_marketplace::webhook_signature::{SIGNATURE_HEADER, sign};
use tradepost_marketplace::wire::webhook::Event;

use super::world::{self, CLIENT_SECRET, Got, World};

/// Runs the target.
pub fn run(body: &[u8]) {
    world::with(|world| {
        let before = world.table.copy();
        let secret = SecretString::from(CLIENT_SECRET);
        let of_others = sign(&secret, &[body, b" "].concat());
        let by_others = sign(&SecretString::from("another secret"), body);
        // Its own bytes as a signature, as far as they can stand in a header.
        let own = String::from_utf8_lossy(body).chars().filter(char::is_ascii_graphic).take(64).collect::<String>();
        for wrong in [None, Some(&of_others), Some(&by_others), Some(&own)] {
            let got = deliver(world, body, wrong.map(String::as_str));
            assert_eq!(got.status, 403, "{got:?}");
        }
        assert!(before == world.table.copy(), "an unsigned delivery changed something");
        let right = sign(&secret, body);
        let got = deliver(world, body, Some(&right));
        got.must_be_ours("/code");
        world.must_be_readable();
        match Event::parse(body) {
            Ok(event) => {
                assert!(matches!(got.status, 200 | 400), "{got:?}");
                let composed = event.compose().unwrap();
                assert_eq!(Event::parse(&composed).unwrap(), event, "it is not read again as it was written");
            }
            Err(_) => assert_eq!(got.status, 400, "{got:?}"),
        }
        let after = world.table.copy();
        let repeated = deliver(world, body, Some(&right));
        assert_eq!(got.status, repeated.status);
        assert!(after == world.table.copy(), "a repeat changed something");
    });
}

fn deliver(world: &World, body: &[u8], signature: Option<&str>) -> Got {
    let mut request = Request::post("/webhooks/vercel");
    if let Some(signature) = signature {
        request = request.header(SIGNATURE_HEADER, signature);
    }
    world.send(request.body(Body::from(body.to_vec())).unwrap())
}
