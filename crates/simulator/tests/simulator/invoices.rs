//! Invoices over time, and the end of an installation.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use crate::stage::{CLIENT_SECRET, Stage};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[tokio::test]
async fn an_invoice_is_sent_after_an_hour_and_paid_after_another() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let invoice = it.submit(&stage, "a").await;
    let read = it.read(&stage, &invoice).await;
    assert_eq!(
        (&read["state"], &read["total"], &read["externalId"]),
        (&json!("pending"), &json!("20.00"), &json!("a"))
    );
    stage.advance("59m").await;
    assert_eq!(it.read(&stage, &invoice).await["state"], "pending");
    stage.advance("1m").await;
    assert_eq!(it.read(&stage, &invoice).await["state"], "invoiced");
    let created = stage.partner.webhooks("marketplace.invoice.created");
    assert_eq!(created.len(), 1);
    let event = created[0].json();
    assert_eq!(event["createdAt"], 1_798_761_600_000_i64 + 3_600_000);
    assert_eq!(
        event["payload"],
        json!({
            "configuration": { "id": it.id }, "installationId": it.id, "invoiceId": invoice, "externalInvoiceId": "a",
            "period": { "start": "2027-01-01T00:00:00Z", "end": "2027-02-01T00:00:00Z" },
            "invoiceDate": "2027-01-31T23:59:59.999Z", "invoiceTotal": "20.00",
        })
    );
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, CLIENT_SECRET.as_bytes());
    assert_eq!(created[0].header("x-vercel-signature"), hex(hmac::sign(&key, &created[0].body).as_ref()));
    stage.advance("1h").await;
    let read = it.read(&stage, &invoice).await;
    assert_eq!((&read["state"], &read["paidAt"]), (&json!("paid"), &json!("2027-01-01T02:00:00Z")));
    assert_eq!(stage.partner.webhooks("marketplace.invoice.paid").len(), 1);
}

#[tokio::test]
async fn a_refund_takes_an_hour() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let invoice = it.submit(&stage, "a").await;
    stage.advance("1d").await;
    let refund = json!({ "action": "refund", "reason": "unhappy", "total": "7.50" });
    stage.vercel(&it.token, "POST", &it.path(&format!("/billing/invoices/{invoice}/actions")), refund).await;
    assert_eq!(it.read(&stage, &invoice).await["state"], "refund_requested");
    stage.advance("1h").await;
    let read = it.read(&stage, &invoice).await;
    assert_eq!((&read["state"], &read["refundTotal"]), (&json!("refunded"), &json!("7.50")));
    assert_eq!((&read["refundReason"], &read["refundedAt"]), (&json!("unhappy"), &json!("2027-01-02T01:00:00Z")));
    let payload = stage.partner.webhooks("marketplace.invoice.refunded")[0].json()["payload"].clone();
    assert_eq!((&payload["amount"], &payload["reason"]), (&json!("7.50"), &json!("unhappy")));
    assert!(payload.get("invoiceTotal").is_none());
}

#[tokio::test]
async fn a_customer_who_does_not_pay_is_tried_nine_times_and_becomes_overdue() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let invoice = it.submit(&stage, "a").await;
    let payment = format!("/_sim/installations/{}/payment", it.id);
    stage.control("POST", &payment, json!({ "result": "notpaid" })).await;
    stage.advance("2h").await;
    assert_eq!(it.read(&stage, &invoice).await["state"], "notpaid");
    stage.advance("14d").await;
    assert_eq!(stage.partner.webhooks("marketplace.invoice.notpaid").len(), 9);
    assert_eq!(it.read(&stage, &invoice).await["state"], "notpaid");
    stage.advance("1d").await;
    assert_eq!(it.read(&stage, &invoice).await["state"], "overdue");
    assert_eq!(stage.partner.webhooks("marketplace.invoice.overdue").len(), 1);
    stage.control("POST", &payment, json!({ "result": "paid" })).await;
    assert_eq!(it.read(&stage, &invoice).await["state"], "paid");
    let ids: std::collections::BTreeSet<String> =
        stage.partner.seen_of("POST", "/webhooks/vercel").iter().map(|seen| seen.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 12);
}

#[tokio::test]
async fn a_payment_can_be_overdue_at_once() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let invoice = it.submit(&stage, "a").await;
    stage.control("POST", &format!("/_sim/installations/{}/payment", it.id), json!({ "result": "overdue" })).await;
    stage.advance("2h").await;
    assert_eq!(it.read(&stage, &invoice).await["state"], "overdue");
}

#[tokio::test]
async fn an_invoice_under_half_a_dollar_is_not_sent() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let mut small = it.invoice("a");
    small["items"][0]["total"] = json!("0.49");
    let (_, body) = stage.vercel(&it.token, "POST", &it.path("/billing/invoices"), small).await;
    stage.advance("1d").await;
    let state = stage.state().await;
    assert_eq!((&state["invoices"][0]["sent"], &state["invoices"][0]["state"]), (&json!(false), &json!("paid")));
    assert_eq!(state["webhooks"], json!([]), "{body}");
}

async fn uninstall(stage: &Stage, id: &str) -> (u16, Value) {
    stage.control("DELETE", &format!("/_sim/installations/{id}"), json!({})).await
}

#[tokio::test]
async fn an_uninstalled_customer_has_24_hours_for_final_invoices() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    assert_eq!(stage.vercel(&it.token, "POST", &it.path("/billing/finalize"), Value::Null).await.0, 409);
    let (status, body) = uninstall(&stage, &it.id).await;
    assert_eq!((status, &body["partner"]["status"]), (200, &json!(204)));
    let delete = &stage.partner.seen_of("DELETE", &it.id)[0];
    assert_eq!((delete.header("x-vercel-auth"), delete.json()), ("user", json!({ "cascadeResourceDeletion": true })));
    let removed = stage.partner.webhooks("integration-configuration.removed")[0].json();
    assert_eq!(removed["payload"]["configuration"]["id"], it.id);
    assert_eq!(uninstall(&stage, &it.id).await.0, 409);

    stage.advance("6h").await;
    let mut last = it.invoice("final");
    last["final"] = json!(true);
    let (status, body) = stage.vercel(&it.token, "POST", &it.path("/billing/invoices"), last).await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = stage.vercel(&it.token, "POST", &it.path("/billing/invoices"), it.invoice("more")).await;
    assert_eq!(
        (status, &body["error"]["message"]),
        (409, &json!("spec A.2: the provider declared that no more invoices will come"))
    );
    stage.advance("1h").await;
    assert_eq!(stage.state().await["installations"][0]["life"], "uninstalling");
    stage.advance("1h").await;
    let row = stage.state().await["installations"][0].clone();
    assert_eq!((&row["life"], &row["finalizedAt"]), (&json!("finalized"), &json!("2027-01-01T08:00:00Z")));
    let (status, body) = stage.vercel(&it.token, "GET", &it.path("/account"), Value::Null).await;
    assert_eq!((status, &body["error"]["code"]), (410, &json!("gone")));
    assert_eq!(stage.state().await["secrets"], json!([]));
}

#[tokio::test]
async fn the_window_closes_by_itself_unless_an_invoice_is_open() {
    let stage = Stage::new().await;
    let (idle, busy) = (stage.customer("pro").await, stage.customer("pro").await);
    stage.control("POST", &format!("/_sim/installations/{}/payment", busy.id), json!({ "result": "notpaid" })).await;
    busy.submit(&stage, "a").await;
    uninstall(&stage, &idle.id).await;
    uninstall(&stage, &busy.id).await;
    stage.advance("23h").await;
    assert_eq!(stage.vercel(&idle.token, "GET", &idle.path("/account"), Value::Null).await.0, 200);
    stage.advance("1h").await;
    assert_eq!(stage.vercel(&idle.token, "GET", &idle.path("/account"), Value::Null).await.0, 410);
    assert_eq!(stage.vercel(&busy.token, "GET", &busy.path("/account"), Value::Null).await.0, 200);
    let late = busy.invoice("late");
    let (status, body) = stage.vercel(&busy.token, "POST", &busy.path("/billing/invoices"), late).await;
    assert!(status == 409 && body.to_string().contains("24 h window for final invoices is over"), "{body}");
    stage.control("POST", &format!("/_sim/installations/{}/payment", busy.id), json!({ "result": "paid" })).await;
    assert_eq!(stage.vercel(&busy.token, "GET", &busy.path("/account"), Value::Null).await.0, 410);
}

#[tokio::test]
async fn a_provider_can_finalize_at_once_or_refuse() {
    let stage = Stage::new().await;
    let (one, two, three) = (stage.customer("pro").await, stage.customer("pro").await, stage.customer("pro").await);
    stage.partner.answer_next("DELETE", &one.id, 200, json!({ "finalized": true }));
    uninstall(&stage, &one.id).await;
    assert_eq!(stage.vercel(&one.token, "GET", &one.path("/account"), Value::Null).await.0, 410);
    uninstall(&stage, &two.id).await;
    assert_eq!(stage.vercel(&two.token, "POST", &two.path("/billing/finalize"), Value::Null).await.0, 204);
    assert_eq!(stage.vercel(&two.token, "GET", &two.path("/account"), Value::Null).await.0, 410);
    stage.partner.answer_next("DELETE", &three.id, 409, json!({ "error": { "code": "conflict", "message": "busy" } }));
    let (status, body) = uninstall(&stage, &three.id).await;
    assert_eq!((status, &body["partner"]["status"]), (200, &json!(409)));
    assert_eq!(stage.vercel(&three.token, "GET", &three.path("/account"), Value::Null).await.0, 200);
}
