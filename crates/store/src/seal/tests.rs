use proptest::prelude::*;
use secrecy::{ExposeSecret as _, SecretString};
use tradepost_marketplace::doors::SystemEntropy;

use super::*;

const OLD: &str = "old:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const NEW: &str = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

fn ring(text: &str) -> KeyRing {
    KeyRing::parse(text).unwrap()
}

fn sealed(ring: &KeyRing, plaintext: &[u8]) -> Sealed {
    ring.seal("table", "icfg_1", "token", plaintext, &SystemEntropy).unwrap()
}

#[test]
fn opens_only_where_it_belongs() {
    let ring = ring(OLD);
    let value = sealed(&ring, b"secret");
    assert_eq!(*ring.open("table", "icfg_1", "token", &value).unwrap(), b"secret");
    for (table, owner, field) in [
        ("other", "icfg_1", "token"),
        ("table", "icfg_2", "token"),
        ("table", "icfg_1", "secret"),
        ("tablei", "cfg_1", "token"),
    ] {
        let refused = ring.open(table, owner, field, &value).unwrap_err();
        assert_eq!(refused, SealError::Tampered { field: field.to_owned() }, "{table} {owner} {field}");
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let ring = ring(OLD);
    let value = sealed(&ring, b"secret");
    for index in 0..value.bytes.len() {
        let mut changed = value.clone();
        changed.bytes[index] ^= 1;
        assert!(matches!(ring.open("table", "icfg_1", "token", &changed), Err(SealError::Tampered { .. })));
    }
}

#[test]
fn a_new_first_key_seals_and_the_old_one_still_opens() {
    let before = sealed(&ring(OLD), b"secret");
    let both = ring(&format!("{NEW},{OLD}"));
    assert_eq!(*both.open("table", "icfg_1", "token", &before).unwrap(), b"secret");
    let after = sealed(&both, b"secret");
    assert_eq!((before.kid(), after.kid(), both.first_kid()), ("old", "new", "new"));
    let gone = ring(NEW).open("table", "icfg_1", "token", &before).unwrap_err();
    assert_eq!(gone, SealError::UnknownKey { kid: "old".to_owned() });
    // The id is no way around: another key under the same id does not open it.
    let impostor = ring(&NEW.replace("new:", "old:"));
    assert!(matches!(impostor.open("table", "icfg_1", "token", &before), Err(SealError::Tampered { .. })));
}

#[test]
fn a_bad_ring_is_refused_without_showing_it() {
    let key = OLD.split_once(':').unwrap().1;
    let short = "AAAAAAAAAAAAAAAAAAAAAA==";
    let duplicate = format!("{OLD},{OLD}");
    let many = (0..=KEYS_MAX).map(|n| format!("k{n}:{key}")).collect::<Vec<_>>().join(",");
    let bad = [
        "",
        key,
        &format!(":{key}"),
        &format!("a b:{key}"),
        &format!("{}:{key}", "k".repeat(33)),
        &format!("kid:{short}"),
        "kid:not base64!",
        &duplicate,
        &format!("{OLD},"),
        &many,
    ];
    for text in bad {
        let error = KeyRing::parse(text).unwrap_err();
        let message = format!("{error} {error:?}");
        assert!(message.contains("TRADEPOST_KEY_RING"), "{message}");
        assert!(!message.contains("AAAA") && !message.contains("not base64!"), "{message}");
    }
    assert!(!format!("{:?}", ring(OLD)).contains("AAAA"));
    assert!(KeyRing::parse(&format!(" {} , {NEW} ", OLD.trim_end_matches('='))).is_ok());
}

#[test]
fn malformed_text_is_no_sealed_value() {
    for text in ["", "kid", "kid:", "kid:AAAA", ":AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "kid:%%%"] {
        assert_eq!(Sealed::from_text(text).unwrap_err(), SealError::Malformed, "{text}");
    }
    let large = vec![0; PLAINTEXT_BYTES_MAX + 1];
    let refused = ring(OLD).seal("t", "o", "f", &large, &SystemEntropy).unwrap_err();
    assert_eq!(refused, SealError::TooLarge { size: large.len() });
}

#[test]
fn a_secret_text_comes_back_and_bytes_that_are_none_do_not() {
    let ring = ring(OLD);
    let secret = SecretString::from("tökén");
    let value = ring.seal_secret("t", "o", "f", &secret, &SystemEntropy).unwrap();
    assert_eq!(ring.open_secret("t", "o", "f", &value).unwrap().expose_secret(), "tökén");
    let value = ring.seal("t", "o", "f", &[0xff], &SystemEntropy).unwrap();
    assert_eq!(ring.open_secret("t", "o", "f", &value).unwrap_err(), SealError::Malformed);
}

proptest! {
    #[test]
    fn whatever_is_sealed_opens_after_serialising(
        plaintext in prop::collection::vec(any::<u8>(), 0..600),
        owner in "\\PC{0,20}",
        field in "\\PC{0,20}",
    ) {
        let ring = ring(NEW);
        let value = ring.seal("table", &owner, &field, &plaintext, &SystemEntropy).unwrap();
        let text = serde_json::to_string(&value).unwrap();
        let read: Sealed = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &value);
        let opened = ring.open("table", &owner, &field, &read).unwrap();
        prop_assert_eq!(&*opened, &plaintext);
        let again = ring.seal("table", &owner, &field, &plaintext, &SystemEntropy).unwrap();
        prop_assert_ne!(again, value, "a nonce was used twice");
    }
}
