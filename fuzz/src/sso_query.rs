//! The query of a sign-on.

use secrecy::ExposeSecret as _;
use tradepost_marketplace::sso::{
    AllowedOrigin, CODE_BYTES_MAX, PARAMETERS_MAX, QUERY_BYTES_MAX, STATE_BYTES_MAX, SsoParams, VALUE_BYTES_MAX,
};
use url::{Url, form_urlencoded};

const ALLOWED: [&str; 3] = ["https://app.example.com", "https://b.example.com:8443", "http://localhost:3000"];

/// Runs the target.
pub fn run(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    let Ok(params) = SsoParams::parse(query) else { return };
    assert!(query.len() <= QUERY_BYTES_MAX);
    assert!(form_urlencoded::parse(query.as_bytes()).count() <= PARAMETERS_MAX);
    let code = params.code.expose_secret();
    assert!(!code.is_empty() && code.len() <= CODE_BYTES_MAX);
    assert!(params.state.as_ref().is_none_or(|state| !state.is_empty() && state.len() <= STATE_BYTES_MAX));
    for value in [&params.invoice_id, &params.experimentation_item_id, &params.pr].into_iter().flatten() {
        assert!(!value.is_empty() && value.len() <= VALUE_BYTES_MAX);
    }
    let shown = format!("{params:?}");
    assert!(code.len() < 8 || query.matches(code).count() > 1 || !shown.contains(code), "the code is shown");
    // Written again, it is read as the same.
    assert_eq!(format!("{:?}", SsoParams::parse(&written(query)).unwrap()), shown);
    let origins = ALLOWED.map(|origin| AllowedOrigin::new(origin).unwrap());
    assert!(params.target(&[]).ok().flatten().is_none());
    if let Ok(Some(target)) = params.target(&origins) {
        // Whoever reads the address that is followed sees an allowed origin and nobody before the host.
        let text = target.to_string();
        assert!(ALLOWED.iter().any(|origin| text.starts_with(&format!("{origin}/"))), "{text}");
        let read = Url::parse(&text).unwrap();
        assert!(read == target && read.username().is_empty() && read.password().is_none(), "{text}");
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{text}");
    }
}

fn written(query: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form_urlencoded::parse(query.as_bytes())).finish()
}
