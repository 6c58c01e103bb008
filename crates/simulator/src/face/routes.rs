//! Which operation a call is: one table of methods and paths.
//!
//! The older paths are aliases (spec L, 2024-05-30; spec A, base URL): `/api` before any path, and
//! `/v1/integrations/marketplace/installations` for `/v1/installations`.

use http::{Method, StatusCode};

use crate::Inner;
use crate::face::{
    Answer, Call, billing, config, credentials, deployments, experimentation, import, installations, invoices,
    resources, sso,
};
use crate::keys;
use crate::refusal::json_response;
use crate::rules::{A18_BODY, NO_METHOD, NO_PATH};

/// What the `{}` of a path stood for, percent-decoded.
pub(crate) struct Ids(Vec<String>);

impl Ids {
    /// The `n`-th, from 0; empty if the path has fewer.
    pub(crate) fn at(&self, n: usize) -> &str {
        self.0.get(n).map_or("", String::as_str)
    }
}

type Handler = fn(&Inner, &Call, &Ids) -> Answer;

const OPERATIONS: &[(&str, &str, Handler)] = &[
    ("PATCH", "v1/installations/{}", |s, c, p| installations::update(s, c, p.at(0))),
    ("GET", "v1/installations/{}", |s, c, p| installations::probe(s, c, p.at(0))),
    ("POST", "v1/installations/{}/billing/finalize", |s, c, p| billing::finalize(s, c, p.at(0))),
    ("GET", "v1/installations/{}/account", |s, c, p| installations::account(s, c, p.at(0))),
    ("GET", "v1/installations/{}/member/{}", |s, c, p| installations::member(s, c, p.at(0), p.at(1))),
    ("POST", "v1/installations/{}/credentials/rotate", |s, c, p| credentials::rotate(s, c, p.at(0))),
    ("POST", "v1/installations/{}/credentials/revoke", |s, c, p| credentials::revoke(s, c, p.at(0))),
    ("POST", "v1/installations/{}/events", |s, c, p| installations::event(s, c, p.at(0))),
    ("GET", "v1/installations/{}/resources", |s, c, p| resources::list(s, c, p.at(0))),
    ("GET", "v1/installations/{}/resources/{}", |s, c, p| resources::get(s, c, p.at(0), p.at(1))),
    ("PUT", "v1/installations/{}/resources/{}", |s, c, p| import::import(s, c, p.at(0), p.at(1))),
    ("PATCH", "v1/installations/{}/resources/{}", |s, c, p| resources::update(s, c, p.at(0), p.at(1))),
    ("DELETE", "v1/installations/{}/resources/{}", |s, c, p| resources::delete(s, c, p.at(0), p.at(1))),
    ("POST", "v1/installations/{}/billing", |s, c, p| billing::interim(s, c, p.at(0))),
    ("POST", "v1/installations/{}/billing/invoices", |s, c, p| invoices::submit(s, c, p.at(0))),
    ("GET", "v1/installations/{}/billing/invoices/{}", |s, c, p| invoices::get(s, c, p.at(0), p.at(1))),
    ("POST", "v1/installations/{}/billing/invoices/{}/actions", |s, c, p| invoices::refund(s, c, p.at(0), p.at(1))),
    ("POST", "v1/installations/{}/billing/balance", |s, c, p| billing::balance(s, c, p.at(0))),
    ("PUT", "v1/installations/{}/resources/{}/secrets", |s, c, p| {
        resources::secrets(s, c, (p.at(0), p.at(1)), A18_BODY, None)
    }),
    ("PUT", "v1/installations/{}/products/{}/resources/{}/secrets", resources::secrets_by_product),
    ("POST", "v1/integrations/sso/token", |s, c, _| Ok(sso::exchange(s, c))),
    ("POST", "v1/installations/{}/resources/{}/experimentation/items", |s, c, p| {
        experimentation::create(s, c, p.at(0), p.at(1))
    }),
    ("PATCH", "v1/installations/{}/resources/{}/experimentation/items/{}", experimentation::update),
    ("DELETE", "v1/installations/{}/resources/{}/experimentation/items/{}", experimentation::delete),
    ("GET", "v1/installations/{}/resources/{}/experimentation/global-config", config::get),
    ("HEAD", "v1/installations/{}/resources/{}/experimentation/global-config", config::get),
    ("PUT", "v1/installations/{}/resources/{}/experimentation/global-config", config::put),
    ("GET", "v1/installations/{}/resources/{}/experimentation/edge-config", config::get),
    ("HEAD", "v1/installations/{}/resources/{}/experimentation/edge-config", config::get),
    ("PUT", "v1/installations/{}/resources/{}/experimentation/edge-config", config::put),
    ("PATCH", "v1/deployments/{}/integrations/{}/resources/{}/actions/{}", deployments::act),
    ("POST", "v1/integrations/installations/{}/resources/{}/connections", |s, c, p| {
        deployments::connect(s, c, p.at(0), p.at(1))
    }),
];

/// Answers a call: the issuer's documents, or the operation that its method and path name.
pub(crate) fn dispatch(simulator: &Inner, call: &Call) -> Answer {
    let path = call.path.trim_matches('/');
    let path = path.strip_prefix("api/").unwrap_or(path);
    let document = match path {
        ".well-known/openid-configuration" => Some(keys::discovery(&simulator.issuer())),
        ".well-known/jwks" | ".well-known/jwks.json" => Some(keys::key_set()),
        _ => None,
    };
    if let Some(document) = document.as_ref().filter(|_| call.method == Method::GET || call.method == Method::HEAD) {
        return Ok(json_response(StatusCode::OK, document));
    }
    let modern = path.strip_prefix("v1/integrations/marketplace/installations/");
    let path = modern.map_or_else(|| path.to_owned(), |rest| format!("v1/installations/{rest}"));
    let mut is_known = document.is_some();
    for (method, pattern, handle) in OPERATIONS {
        let Some(ids) = captures(pattern, &path) else { continue };
        if call.method == *method {
            return handle(simulator, call, &ids);
        }
        is_known = true;
    }
    Err(if is_known { NO_METHOD.because(&call.method) } else { NO_PATH.because(format!("/{path}")) })
}

fn captures(pattern: &str, path: &str) -> Option<Ids> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut ids = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(Ids(ids)),
            (Some("{}"), Some(given)) => ids.push(decoded(given)),
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

/// Percent-decodes a segment; what is no UTF-8 is replaced, and names nothing.
fn decoded(segment: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (mut bytes, mut out) = (segment.as_bytes(), Vec::new());
    while let Some((first, rest)) = bytes.split_first() {
        let pair = (digit(rest.first()), digit(rest.get(1)));
        if let (b'%', (Some(high), Some(low))) = (first, pair) {
            out.extend(u8::try_from(high * 16 + low));
            bytes = &rest[2..];
        } else {
            out.push(*first);
            bytes = rest;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_decoded() {
        for (given, wanted) in
            [("a%2Fb", "a/b"), ("%C3%bC", "ü"), ("100%", "100%"), ("%zz%2", "%zz%2"), ("%ff", "\u{fffd}")]
        {
            assert_eq!(decoded(given), wanted);
        }
    }

    #[test]
    fn a_path_is_captured_whole_or_not_at_all() {
        let ids = captures("v1/installations/{}/resources/{}", "v1/installations/i/resources/a%3Ab").unwrap();
        assert_eq!((ids.at(0), ids.at(1), ids.at(2)), ("i", "a:b", ""));
        for path in ["v1/installations/i", "v1/installations/i/resources/r/x", "v1/installation/i/resources/r"] {
            assert!(captures("v1/installations/{}/resources/{}", path).is_none(), "{path}");
        }
        for (n, (method, path, _)) in OPERATIONS.iter().enumerate() {
            let twins = OPERATIONS.iter().filter(|(m, p, _)| (m, p) == (method, path)).count();
            assert_eq!(twins, 1, "{n}: {method} {path}");
        }
    }
}
