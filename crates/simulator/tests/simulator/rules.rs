//! Billing data, invoices and refunds, broken in many ways. (`table.rs` breaks every rule of all operations once.)

use serde_json::{Value, json};

use crate::stage::{Customer, Stage};

/// Changes one place of a body, by JSON pointer; `Null` removes a key.
pub(crate) fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap();
    if value.is_null() {
        parent.as_object_mut().unwrap().remove(key);
    } else if let Some(list) = parent.as_array_mut() {
        list[key.parse::<usize>().unwrap()] = value;
    } else {
        parent[key] = value;
    }
    body
}

async fn refused(stage: &Stage, it: &Customer, path: &str, body: Value, status: u16, why: &str) {
    let (got, answer) = stage.vercel(&it.token, "POST", &it.path(path), body.clone()).await;
    let message = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("accepted: {body}: {answer}"));
    assert!(got == status && message.contains(why), "wanted {status} {why:?}, got {got} {message:?}");
    assert!(message.starts_with("spec "), "{message:?} names no rule");
}

#[tokio::test]
async fn an_invoice_that_breaks_a_rule_is_refused() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let free = stage.provision(&it.id, "credit-1").await;
    let good = it.invoice("a");
    let discount = json!([{ "billingPlanId": "pro", "resourceId": it.resource, "name": "d", "amount": "20.01" }]);
    for (pointer, value, why) in [
        ("/extra", json!(1), "spec A.14: the body is not as documented: unknown field `extra`"),
        ("/items/0/extra", json!(1), "unknown field `extra`"),
        ("/period/extra", json!(1), "unknown field `extra`"),
        ("/invoiceDate", Value::Null, "missing field `invoiceDate`"),
        ("/items", Value::Null, "missing field `items`"),
        ("/items/0/units", Value::Null, "missing field `units`"),
        ("/items/0/quantity", json!("1"), "is not a number"),
        ("/items/0/price", json!(20), "expected a string"),
        ("/items/0/total", json!("-1"), "spec A, Decimal"),
        ("/items/0/total", json!("1e3"), "spec A, Decimal"),
        ("/items/0/total", json!("20.001"), "more than two decimals"),
        ("/invoiceDate", json!("2027-02-01"), "an RFC 3339 date-time"),
        ("/invoiceDate", json!("2027-02-01T00:00:00.001Z"), "invoiceDate is not within the period"),
        ("/period/end", json!("2027-01-01T00:00:00Z"), "period.start is not before period.end"),
        ("/discounts", discount, "and a total is not negative"),
        ("/final", json!(true), "final is allowed only while"),
        (
            "/items/0/resourceId",
            json!("unknown"),
            "rule 2: the plan was not active in the period: the installation has no resource",
        ),
        (
            "/items/0/billingPlanId",
            json!("max"),
            "rule 2: the plan was not active in the period: plan \"max\" on resource",
        ),
        ("/externalId", json!(""), "externalId is empty"),
    ] {
        refused(&stage, &it, "/billing/invoices", with(&good, pointer, value), 400, why).await;
    }
    let prepaid = with(&with(&good, "/items/0/resourceId", json!(free)), "/items/0/billingPlanId", json!("credit-1"));
    refused(&stage, &it, "/billing/invoices", prepaid, 400, "rule 3: the plan is not a subscription: \"credit-1\"")
        .await;
    let wide = with(&with(&good, "/items/0/resourceId", Value::Null), "/items/0/billingPlanId", json!("max"));
    refused(&stage, &it, "/billing/invoices", wide, 400, "plan \"max\" on this installation").await;
    assert_eq!(stage.state().await["invoices"], json!([]));
}

#[tokio::test]
async fn one_bill_per_resource_plan_and_period_and_one_external_id() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    it.submit(&stage, "a").await;
    refused(&stage, &it, "/billing/invoices", it.invoice("a"), 409, "rule 5: the externalId is already used: \"a\"")
        .await;
    refused(&stage, &it, "/billing/invoices", it.invoice("b"), 409, "rule 1: the resource is billed already").await;
    // Another period, and an installation-wide line, are other bills.
    let sign_up = with(&it.invoice("c"), "/period/end", json!("2027-01-02T00:00:00Z"));
    let sign_up = with(&sign_up, "/invoiceDate", json!("2027-01-01T00:00:00Z"));
    let path = it.path("/billing/invoices");
    assert_eq!(stage.vercel(&it.token, "POST", &path, sign_up).await.0, 200);
    let wide = with(&it.invoice("d"), "/items/0/resourceId", Value::Null);
    assert_eq!(stage.vercel(&it.token, "POST", &path, wide).await.0, 200);
}

#[tokio::test]
async fn a_plan_is_billed_for_the_periods_it_was_active_in() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    stage.advance("20d").await;
    let path = format!("/_sim/installations/{}/resources/{}", it.id, it.resource);
    stage.control("PATCH", &path, json!({ "planId": "max" })).await;
    let over = |plan: &str, start: &str, end: &str| {
        let body = with(&it.invoice(&format!("{plan}{start}")), "/items/0/billingPlanId", json!(plan));
        let body = with(&body, "/period", json!({ "start": start, "end": end }));
        with(&body, "/invoiceDate", json!(start))
    };
    let (january, change, february, march) =
        ("2027-01-01T00:00:00Z", "2027-01-21T00:00:00Z", "2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z");
    let path = "/billing/invoices";
    refused(&stage, &it, path, over("pro", february, march), 400, "rule 2").await;
    refused(&stage, &it, path, over("max", january, change), 400, "rule 2").await;
    for (plan, start, end) in [("pro", january, february), ("max", january, february), ("max", february, march)] {
        let (status, body) = stage.vercel(&it.token, "POST", &it.path(path), over(plan, start, end)).await;
        assert_eq!(status, 200, "{plan} from {start}: {body}");
    }
}

#[tokio::test]
async fn a_test_invoice_reports_its_errors_in_a_200() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let bad = with(&it.invoice("t"), "/items/0/billingPlanId", json!("max"));
    let path = it.path("/billing/invoices");
    let (status, body) = stage.vercel(&it.token, "POST", &path, with(&bad, "/test", json!({ "validate": true }))).await;
    assert_eq!((status, &body["invoiceId"], &body["test"]), (200, &Value::Null, &json!(true)));
    assert!(body["validationErrors"][0].as_str().unwrap().contains("rule 2"), "{body}");
    let unchecked = with(&bad, "/test", json!({ "validate": false, "result": "notpaid" }));
    let (status, body) = stage.vercel(&it.token, "POST", &path, unchecked).await;
    assert!(status == 200 && body["invoiceId"].is_string(), "{body}");
    stage.advance("2h").await;
    assert_eq!(stage.state().await["invoices"][0]["state"], "notpaid");
    // A test invoice takes neither the bill nor the way out.
    it.submit(&stage, "real").await;
}

fn interim(it: &Customer) -> Value {
    json!({
        "timestamp": "2027-01-01T00:00:00Z",
        "eod": "2027-01-01T23:59:59.999Z",
        "period": { "start": "2027-01-01T00:00:00Z", "end": "2027-02-01T00:00:00Z" },
        "billing": [{
            "billingPlanId": "pro", "resourceId": it.resource, "name": "Requests", "price": "0.000025",
            "quantity": 123_600.123_456_789, "units": "requests", "total": "3.09",
        }],
        "usage": [{
            "resourceId": it.resource, "name": "requests", "type": "interval", "units": "requests", "dayValue": 1,
            "periodValue": 1.5,
        }],
    })
}

#[tokio::test]
async fn interim_data_that_breaks_a_rule_is_refused() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let good = interim(&it);
    for (pointer, value, why) in [
        ("/extra", json!(1), "spec A.13: the body is not as documented: unknown field `extra`"),
        ("/timestamp", Value::Null, "missing field `timestamp`"),
        ("/usage", Value::Null, "missing field `usage`"),
        ("/usage/0/type", json!("count"), "unknown variant `count`"),
        ("/usage/0/dayValue", json!("1"), "is not a number"),
        ("/billing/0/price", json!("0,1"), "spec A, Decimal"),
        ("/billing", json!({ "items": [], "credits": [] }), "unknown field `credits`"),
        ("/eod", json!("2027-02-01T00:00:00.001Z"), "eod is not within the period"),
        ("/eod", json!("2026-12-31T23:59:59Z"), "eod is not within the period"),
        ("/period/end", json!("2026-12-31T00:00:00Z"), "period.start is not before period.end"),
    ] {
        refused(&stage, &it, "/billing", with(&good, pointer, value), 400, why).await;
    }
    stage.advance("2d").await;
    refused(&stage, &it, "/billing", good.clone(), 400, "spec A.13: eod is older than 24 h").await;
    assert_eq!(stage.state().await["interim"], json!([]));
}

#[tokio::test]
async fn a_period_is_closed_for_interim_data_a_day_after_its_end() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let last = with(&interim(&it), "/eod", json!("2027-02-01T00:00:00Z"));
    let path = it.path("/billing");
    stage.control("POST", "/_sim/clock", json!({ "to": "2027-02-02T00:00:00Z" })).await;
    assert_eq!(stage.vercel(&it.token, "POST", &path, last.clone()).await.0, 201);
    stage.control("POST", "/_sim/clock", json!({ "to": "2027-02-02T00:00:01Z" })).await;
    refused(&stage, &it, "/billing", last, 400, "older than 24 h").await;
}

#[tokio::test]
async fn interim_data_keeps_the_newest_of_each_day_with_its_digits() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let path = it.path("/billing");
    let at = |hour: &str, name: &str| {
        let body = with(&interim(&it), "/timestamp", json!(format!("2027-01-01T{hour}:00:00Z")));
        with(&body, "/billing/0/name", json!(name))
    };
    for (hour, name) in [("10", "first"), ("12", "second"), ("11", "late")] {
        assert_eq!(stage.vercel(&it.token, "POST", &path, at(hour, name)).await, (201, Value::Null));
    }
    let object = json!({ "items": [], "discounts": [{ "billingPlanId": "pro", "name": "d", "amount": "1.00" }] });
    let next_day = with(&with(&interim(&it), "/eod", json!("2027-01-02T23:59:59Z")), "/billing", object);
    assert_eq!(stage.vercel(&it.token, "POST", &path, next_day).await.0, 201);
    let state = stage.state().await;
    let days = state["interim"].as_array().unwrap();
    assert_eq!((days.len(), &days[0]["items"][0]["name"]), (2, &json!("second")));
    assert_eq!(days[1]["discounts"][0]["amount"], "1.00");
    assert_eq!(state["installations"][0]["interimCount"], 4);
    assert!(stage.text("/_sim/state").await.contains("\"quantity\":123600.123456789,"));
}

#[tokio::test]
async fn a_refund_follows_the_invoice() {
    let stage = Stage::new().await;
    let it = stage.customer("pro").await;
    let invoice = it.submit(&stage, "a").await;
    stage.advance("2h").await;
    let path = format!("/billing/invoices/{invoice}/actions");
    let refund = |total: &str| json!({ "action": "refund", "reason": "r", "total": total });
    refused(&stage, &it, &path, refund("20.01"), 400, "spec A.16: the refunds are more than").await;
    refused(&stage, &it, &path, refund("-1"), 400, "spec A, Decimal").await;
    refused(&stage, &it, &path, with(&refund("1"), "/action", json!("cancel")), 400, "only action is refund").await;
    refused(&stage, &it, &path, with(&refund("1"), "/reason", Value::Null), 400, "missing field `reason`").await;
    refused(&stage, &it, &path, with(&refund("1"), "/invoiceId", json!("x")), 400, "unknown field").await;
    let unknown = "/billing/invoices/mi_unknown/actions";
    refused(&stage, &it, unknown, refund("1"), 404, "spec A.16: the installation has no such invoice").await;
    assert_eq!(stage.vercel(&it.token, "POST", &it.path(&path), refund("5.00")).await, (204, Value::Null));
    refused(&stage, &it, &path, refund("1.00"), 409, "spec A.16: a refund of this invoice is already requested").await;
    stage.advance("1h").await;
    refused(&stage, &it, &path, refund("15.01"), 400, "the refunds are more than").await;
    assert_eq!(stage.vercel(&it.token, "POST", &it.path(&path), refund("15.00")).await.0, 204);
    stage.advance("1h").await;
    assert_eq!(it.read(&stage, &invoice).await["refundTotal"], "20.00");
}
