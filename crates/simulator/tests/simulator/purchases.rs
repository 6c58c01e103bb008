//! Prepaid credit: bought by a customer, and by itself.

use serde_json::{Value, json};

use crate::stage::{Customer, Stage};

async fn buy(stage: &Stage, it: &Customer, amount: &str) -> (u16, Value) {
    let body = json!({ "resourceId": it.resource, "amount": amount });
    stage.control("POST", &format!("/_sim/installations/{}/purchases", it.id), body).await
}

fn balances(it: &Customer, at: &str, cents: i64) -> Value {
    let balance = json!({ "currencyValueInCents": cents, "resourceId": it.resource });
    json!({ "timestamp": at, "balances": [balance] })
}

async fn report(stage: &Stage, it: &Customer, at: &str, cents: i64) {
    let (status, body) = stage.vercel(&it.token, "POST", &it.path("/billing/balance"), balances(it, at, cents)).await;
    assert_eq!(status, 201, "{body}");
}

#[tokio::test]
async fn a_purchase_is_a_paid_invoice_that_the_provider_is_told_of() {
    let stage = Stage::new().await;
    let it = stage.customer("credit-1").await;
    stage.partner.answer_next("POST", "/provision", 200, balances(&it, "2027-01-01T00:00:00Z", 2_550));
    let (status, body) = buy(&stage, &it, "25.50").await;
    assert_eq!((status, &body["partner"]["status"]), (201, &json!(200)), "{body}");
    let invoice = it.read(&stage, body["invoiceId"].as_str().unwrap()).await;
    assert_eq!((&invoice["state"], &invoice["total"]), (&json!("paid"), &json!("25.50")));
    let item = &invoice["items"][0];
    assert_eq!(
        (&item["resourceId"], &item["billingPlanId"], &item["total"]),
        (&json!(it.resource), &json!("credit-1"), &json!("25.50"))
    );
    let told = &stage.partner.seen_of("POST", "/billing/provision")[0];
    assert_eq!((told.header("x-vercel-auth"), told.json()), ("user", json!({ "invoiceId": body["invoiceId"] })));
    assert_eq!(told.header("idempotency-key").len(), 32);
    let state = stage.state().await;
    assert_eq!(state["balances"][0]["balance"]["currencyValueInCents"], 2_550);
    assert_eq!(
        (&state["purchases"][0]["automatic"], &state["purchases"][0]["lastStatus"]),
        (&json!(false), &json!(200))
    );
    assert_eq!(stage.partner.webhooks("marketplace.invoice.created").len(), 1);
    let paid = stage.partner.webhooks("marketplace.invoice.paid")[0].json();
    assert_eq!(
        (&paid["payload"]["invoiceTotal"], &paid["payload"]["externalInvoiceId"]),
        (&json!("25.50"), &Value::Null)
    );
    // A refund is a refund.
    let refund = json!({ "action": "refund", "reason": "r", "total": "25.50" });
    let path = it.path(&format!("/billing/invoices/{}/actions", body["invoiceId"].as_str().unwrap()));
    assert_eq!(stage.vercel(&it.token, "POST", &path, refund).await.0, 204);
}

#[tokio::test]
async fn a_purchase_that_makes_no_sense_is_refused() {
    let stage = Stage::new().await;
    let it = stage.customer("credit-auto").await;
    let other = Customer { resource: stage.provision(&it.id, "pro").await, id: it.id.clone(), token: it.token.clone() };
    for amount in ["0", "0.00", "9.99", "100.01", "10.001"] {
        assert_eq!(buy(&stage, &it, amount).await.0, 400, "{amount}");
    }
    assert_eq!(buy(&stage, &other, "10").await.0, 400);
    stage.control("POST", &format!("/_sim/installations/{}/payment", it.id), json!({ "result": "notpaid" })).await;
    assert_eq!(buy(&stage, &it, "10").await.0, 409);
    assert_eq!(stage.state().await["invoices"], json!([]));
    assert_eq!(stage.partner.seen_of("POST", "/provision").len(), 0);
}

#[tokio::test]
async fn a_provider_that_cannot_act_is_asked_again_and_one_that_refuses_is_not() {
    let stage = Stage::new().await;
    let it = stage.customer("credit-1").await;
    for status in [503, 500] {
        stage.partner.answer_next("POST", "/provision", status, Value::Null);
    }
    let path = format!("/_sim/installations/{}/purchases", it.id);
    let body = json!({ "resourceId": it.resource, "amount": "5" });
    let (status, first) = stage.keyed("k", "POST", &path, body.clone()).await;
    assert_eq!((status, &first["partner"]["status"]), (201, &json!(503)));
    stage.advance("59s").await;
    assert_eq!(stage.partner.seen_of("POST", "/provision").len(), 1);
    stage.advance("1s").await;
    assert_eq!(stage.partner.seen_of("POST", "/provision").len(), 2);
    // A repeat of the call tells again of the same purchase.
    let (_, again) = stage.keyed("k", "POST", &path, body).await;
    assert_eq!((&again["invoiceId"], &again["partner"]["status"]), (&first["invoiceId"], &json!(200)));
    assert_eq!(stage.state().await["purchases"][0]["at"], "2027-01-01T00:00:00Z");
    assert_eq!(stage.partner.webhooks("marketplace.invoice.paid").len(), 1);
    stage.advance("1d").await;
    let told = stage.partner.seen_of("POST", "/provision");
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|seen| seen.header("idempotency-key") == told[0].header("idempotency-key")));

    stage.partner.answer_next("POST", "/provision", 422, json!({ "error": { "code": "x", "message": "no" } }));
    let (status, body) = buy(&stage, &it, "5").await;
    assert_eq!((status, &body["partner"]["status"]), (201, &json!(422)));
    stage.advance("1d").await;
    assert_eq!(stage.partner.seen_of("POST", "/provision").len(), 4);
    assert_eq!(stage.state().await["invoices"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_low_balance_buys_by_itself_up_to_the_months_limit() {
    let stage = Stage::new().await;
    let it = stage.customer("credit-auto").await;
    report(&stage, &it, "2027-01-01T00:00:00Z", 1_000).await;
    assert_eq!(stage.state().await["purchases"], json!([]));
    stage.partner.answer_next("POST", "/provision", 200, balances(&it, "2027-01-01T02:00:00Z", 1_999));
    report(&stage, &it, "2027-01-01T01:00:00Z", 999).await;
    let state = stage.state().await;
    assert_eq!(
        (&state["purchases"][0]["amount"], &state["purchases"][0]["automatic"]),
        (&json!("10.00"), &json!(true))
    );
    assert_eq!(state["balances"][0]["balance"]["currencyValueInCents"], 1_999);
    let told = &stage.partner.seen_of("POST", "/provision")[0];
    assert_eq!(
        (told.header("x-vercel-auth"), &told.json()["invoiceId"]),
        ("system", &state["invoices"][0]["invoiceId"])
    );
    // An older report is none, a second purchase fits into 25.00, a third does not.
    report(&stage, &it, "2027-01-01T01:30:00Z", 0).await;
    assert_eq!(stage.state().await["purchases"].as_array().unwrap().len(), 1);
    for hour in ["03", "04", "05"] {
        report(&stage, &it, &format!("2027-01-01T{hour}:00:00Z"), -5).await;
        stage.state().await;
    }
    assert_eq!(stage.partner.seen_of("POST", "/provision").len(), 2);
    // The next month has a limit of its own; a customer who does not pay buys nothing.
    stage.control("POST", "/_sim/clock", json!({ "to": "2027-02-01T00:00:00Z" })).await;
    stage.control("POST", &format!("/_sim/installations/{}/payment", it.id), json!({ "result": "notpaid" })).await;
    report(&stage, &it, "2027-02-01T00:00:00Z", 1).await;
    stage.control("POST", &format!("/_sim/installations/{}/payment", it.id), json!({ "result": "paid" })).await;
    assert_eq!(stage.state().await["purchases"].as_array().unwrap().len(), 2);
    report(&stage, &it, "2027-02-01T01:00:00Z", 1).await;
    assert_eq!(stage.state().await["purchases"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn an_automatic_purchase_waits_for_the_one_before() {
    let stage = Stage::new().await;
    let it = stage.customer("credit-auto").await;
    stage.partner.answer_next("POST", "/provision", 503, Value::Null);
    report(&stage, &it, "2027-01-01T00:00:00Z", 5).await;
    stage.state().await;
    report(&stage, &it, "2027-01-01T00:01:00Z", 4).await;
    assert_eq!(stage.state().await["purchases"].as_array().unwrap().len(), 1);
    stage.advance("1m").await;
    let state = stage.state().await;
    assert_eq!((&state["purchases"][0]["attempts"], &state["purchases"][0]["lastStatus"]), (&json!(2), &json!(200)));
    let plain = stage.customer("credit-1").await;
    report(&stage, &plain, "2027-01-01T00:00:00Z", 0).await;
    assert_eq!(stage.state().await["purchases"].as_array().unwrap().len(), 1);
}
