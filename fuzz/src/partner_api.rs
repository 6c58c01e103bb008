//! A body of Vercel's (spec B), through the router of the function that takes it.
//!
//! The first byte names the route, the rest is the body.

use http::Method;
use tradepost_provider::edge::canonical;

use super::world;

/// The routes that read a body: method, path behind the installation's, and whether a person calls.
pub const ROUTES: [(Method, &str, bool); 7] = [
    (Method::PUT, "", true),
    (Method::PATCH, "", true),
    (Method::DELETE, "", true),
    (Method::POST, "/resources", true),
    (Method::PATCH, "/resources/{resource}", true),
    (Method::DELETE, "/resources/{resource}", true),
    (Method::POST, "/resources/{resource}/secrets/rotate", false),
];

/// Runs the target.
pub fn run(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let (method, path, is_person) = ROUTES[usize::from(*first) % ROUTES.len()].clone();
    world::with(|world| {
        let before = world.table.copy();
        let got = world.vercel(is_person, method.clone(), path, Some("fuzz"), body);
        got.must_be_ours("/error/code");
        world.must_be_readable();
        let after = world.table.copy();
        if got.status == 400 {
            assert!(before == after, "a refused body changed something: {got:?}");
        }
        // The same once more, written otherwise where that is possible.
        let again = spaced(body).unwrap_or_else(|| body.to_vec());
        let repeated = world.vercel(is_person, method.clone(), path, Some("fuzz"), &again);
        if got.status < 400 {
            assert_eq!(got, repeated, "a repeat has another answer");
            assert!(after == world.table.copy(), "a repeat changed something: {got:?}");
            // Another body under the same key is refused.
            let other = world.vercel(is_person, method, path, Some("fuzz"), br#"{"other":1}"#);
            let is_same = canonical::digest(body) == canonical::digest(br#"{"other":1}"#);
            assert!(is_same || matches!(other.status, 400 | 409), "{other:?}");
        } else {
            assert_eq!(got.status, repeated.status, "a repeat has another status");
        }
    });
}

/// The same JSON with a space before and after it.
fn spaced(body: &[u8]) -> Option<Vec<u8>> {
    serde_json::from_slice::<&serde_json::value::RawValue>(body).ok()?;
    let digest = canonical::digest(body);
    let spaced = [b" ", body, b" "].concat();
    (canonical::digest(&spaced) == digest).then_some(spaced)
}
