//! What is kept of Vercel's answers, and of what cannot be sent.

use super::*;
use crate::wire::{InstallationPatch, ResourceStatus};

pub(super) const INVOICE_READ: &str = r#"{"invoiceId":"mi_1","state":"refunded","invoiceDate":"2027-01-31T23:59:59.999Z","period":{"start":"2027-01-01T00:00:00Z","end":"2027-02-01T00:00:00Z"},"total":"13.00","items":[],"created":"2027-02-01T06:00:00Z","updated":"2027-02-01T06:00:00Z","externalId":"inv-1","refundTotal":"2.50"}"#;

#[tokio::test]
async fn a_refusal_is_kept_as_data_and_its_words_only_where_they_quote_no_secret() {
    let body = r#"{"error":{"code":"bad_request","message":"eod is older than 24 h"}}"#;
    let with_id = || vec![Step::Answer(400, &[("x-vercel-id", "fra1::x")], body.to_owned())];
    let refusal = Bench::new(with_id()).event().await.unwrap_err().refusal().unwrap().clone();
    assert_eq!(refusal.to_string(), "400 bad_request: eod is older than 24 h");
    assert_eq!(refusal.vercel_id.as_deref(), Some("fra1::x"));

    let bench = Bench::new(vec![answer(422, r#"{"error":{"code":"bad_request","message":"v4lue is bad"}}"#)]);
    let update = SecretsUpdate::all(secrets());
    let error = bench.client.update_secrets(&bench.call(), &resource(), &update).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("v4lue") && error.status() == Some(422), "{error:?}");

    let bench = Bench::new(vec![answer(400, r#"{"error":"invalid_grant","error_description":"c0de was used"}"#)]);
    let error = bench.exchange().await.unwrap_err();
    assert_eq!(error.refusal().unwrap().code, "invalid_grant");
    assert!(!format!("{error} {error:?}").contains("c0de"));

    let long = format!(r#"{{"error":{{"code":"c","message":"{}"}}}}"#, "é".repeat(600));
    let error = Bench::new(vec![answer(400, &long)]).event().await.unwrap_err();
    assert_eq!(error.refusal().unwrap().message.chars().count(), REFUSAL_TEXT_CHARS_MAX);
    let error = Bench::new((0..5).map(|_| answer(404, "<html>")).collect()).event().await.unwrap_err();
    assert_eq!((error.status(), error.refusal(), &error), (None, None, &ClientError::Foreign(404)));
}

#[tokio::test]
async fn what_cannot_be_written_is_not_sent() {
    let bench = Bench::new(vec![]);
    let odd = InstallationPatch { status: Some(ResourceStatus::from("asleep")), ..<_>::default() };
    let error = bench.client.update_installation(&bench.call(), &odd).await.unwrap_err();
    assert!(matches!(&error, ClientError::Unwritable(why) if why.contains("\"asleep\"")), "{error:?}");
    let bench = Bench { token: "a\nb".into(), ..Bench::new(vec![]) };
    assert!(matches!(bench.event().await, Err(ClientError::Unwritable(_))));
}

#[tokio::test]
async fn an_invoice_is_read() {
    let bench = Bench::new(vec![no_answer(), answer(200, INVOICE_READ)]);
    let invoice = bench.client.get_invoice(&bench.call(), &InvoiceId::new("mi_1").unwrap()).await.unwrap();
    assert_eq!(invoice.refund_total.unwrap().money(), Ok(Money::from_cents(250)));
}
