//! A simulator in which every rule of Vercel's face can be broken: installations in all their states, on one
//! stage, on 2 February 2027.

use serde_json::{Value, json};

use crate::stage::{CLIENT_ID, CLIENT_SECRET, Customer, Stage};

pub(crate) struct Scene {
    pub(crate) stage: Stage,
    /// Everything is in order.
    pub(crate) live: Customer,
    pub(crate) synced: String,
    pub(crate) prepaid: String,
    pub(crate) deleted: String,
    /// A paid invoice of 20.00, under the externalId `paid`, for 1 February to 1 March.
    pub(crate) paid: String,
    /// An invoice that is being refunded.
    pub(crate) refunding: String,
    /// Has 100 live credentials and 10,000 balances, and a token that was revoked.
    pub(crate) full: Customer,
    pub(crate) revoked: String,
    pub(crate) uninstalling: Customer,
    /// Declared that no more invoices will come; an open one holds it.
    pub(crate) declared: Customer,
    /// Uninstalled for more than a day; an open invoice holds it.
    pub(crate) late: Customer,
    pub(crate) finalized: Customer,
    pub(crate) code: Code,
    pub(crate) used: Code,
    pub(crate) expired: Code,
    pub(crate) finalized_code: Code,
    pub(crate) old_refresh: String,
}

/// A sign-on code and its state.
pub(crate) struct Code {
    pub(crate) code: String,
    pub(crate) state: String,
}

impl Code {
    pub(crate) fn body(&self) -> Value {
        json!({
            "code": self.code, "state": self.state, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
            "grant_type": "authorization_code",
        })
    }
}

async fn sign_on(stage: &Stage, id: &str) -> Code {
    let (status, body) = stage.control("POST", "/_sim/sso", json!({ "installationId": id })).await;
    assert_eq!(status, 200, "{body}");
    let url = url::Url::parse(body["url"].as_str().unwrap()).unwrap();
    let of = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    Code { code: of("code"), state: of("state") }
}

async fn must(stage: &Stage, it: &Customer, method: &str, rest: &str, body: Value) -> Value {
    let (status, answer) = stage.vercel(&it.token, method, &it.path(rest), body).await;
    assert!((200..300).contains(&status), "{method} {rest}: {status} {answer}");
    answer
}

async fn control(stage: &Stage, method: &str, path: &str, body: Value) -> Value {
    let (status, answer) = stage.control(method, path, body).await;
    assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    answer
}

/// An invoice of 20.00 over a period of whole days of 2027.
pub(crate) fn invoice(it: &Customer, external_id: &str, start: &str, end: &str) -> Value {
    json!({
        "externalId": external_id,
        "invoiceDate": format!("2027-{start}T00:00:00Z"),
        "period": { "start": format!("2027-{start}T00:00:00Z"), "end": format!("2027-{end}T00:00:00Z") },
        "items": [{
            "billingPlanId": "pro", "resourceId": it.resource, "name": "Pro", "price": "20.00", "quantity": 1,
            "units": "month", "total": "20.00",
        }],
    })
}

/// A customer who does not pay an invoice, and uninstalls.
async fn debtor(stage: &Stage) -> Customer {
    let it = stage.customer("pro").await;
    control(stage, "POST", &format!("/_sim/installations/{}/payment", it.id), json!({ "result": "notpaid" })).await;
    must(stage, &it, "POST", "/billing/invoices", invoice(&it, "open", "01-01", "03-01")).await;
    control(stage, "DELETE", &format!("/_sim/installations/{}", it.id), json!({})).await;
    it
}

async fn crowded(stage: &Stage) -> (Customer, String) {
    let mut it = stage.customer("pro").await;
    let secret = json!({ "client_secret": CLIENT_SECRET });
    let mut tokens = vec![it.token.clone()];
    for _ in 0..100 {
        if tokens.len() == 100 {
            // The first of them is one too many.
            let revoke = json!({ "client_secret": CLIENT_SECRET, "token": tokens[0] });
            it.token.clone_from(&tokens[1]);
            must(stage, &it, "POST", "/credentials/revoke", revoke).await;
        }
        let answer = must(stage, &it, "POST", "/credentials/rotate", secret.clone()).await;
        tokens.push(answer["access_token"].as_str().unwrap().to_owned());
    }
    let balance = |n: u32| json!({ "currencyValueInCents": 1, "resourceId": format!("r{n}") });
    let balances: Vec<Value> = (0..10_000).map(balance).collect();
    let body = json!({ "timestamp": "2027-02-01T00:00:00Z", "balances": balances });
    must(stage, &it, "POST", "/billing/balance", body).await;
    (it, tokens.remove(0))
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let stage = Stage::new().await;
        let finalized = stage.customer("pro").await;
        let (expired, early) = (sign_on(&stage, &finalized.id).await, sign_on(&stage, &finalized.id).await);
        let answer = control(&stage, "POST", "/v1/integrations/sso/token", early.body()).await;
        let old_refresh = answer["refresh_token"].as_str().unwrap().to_owned();
        let late = debtor(&stage).await;
        control(&stage, "POST", "/_sim/clock", json!({ "to": "2027-02-02T00:00:00Z" })).await;

        let uninstalling = stage.customer("pro").await;
        control(&stage, "DELETE", &format!("/_sim/installations/{}", uninstalling.id), json!({})).await;
        let declared = debtor(&stage).await;
        must(&stage, &declared, "POST", "/billing/finalize", Value::Null).await;
        let (full, revoked) = crowded(&stage).await;

        let live = stage.customer("pro").await;
        let synced = stage.synced(&live.id).await;
        let prepaid = stage.provision(&live.id, "credit-1").await;
        let deleted = stage.provision(&live.id, "pro").await;
        must(&stage, &live, "DELETE", &format!("/resources/{deleted}"), Value::Null).await;
        let linked = json!({ "productId": "product", "name": "linked", "status": "ready", "ownership": "linked" });
        must(&stage, &live, "PUT", "/resources/linked", linked).await;
        let submit = async |external_id: &str, end: &str| {
            let body = invoice(&live, external_id, "02-01", end);
            must(&stage, &live, "POST", "/billing/invoices", body).await["invoiceId"].as_str().unwrap().to_owned()
        };
        let (paid, refunding) = (submit("paid", "03-01").await, submit("refunding", "02-20").await);
        stage.advance("2h").await;
        let refund = json!({ "action": "refund", "reason": "r", "total": "1.00" });
        must(&stage, &live, "POST", &format!("/billing/invoices/{refunding}/actions"), refund).await;
        let (code, used) = (sign_on(&stage, &live.id).await, sign_on(&stage, &live.id).await);
        control(&stage, "POST", "/v1/integrations/sso/token", used.body()).await;
        let finalized_code = sign_on(&stage, &finalized.id).await;
        stage.partner.answer_next("DELETE", &finalized.id, 200, json!({ "finalized": true }));
        control(&stage, "DELETE", &format!("/_sim/installations/{}", finalized.id), json!({})).await;
        Self {
            stage,
            live,
            synced,
            prepaid,
            deleted,
            paid,
            refunding,
            full,
            revoked,
            uninstalling,
            declared,
            late,
            finalized,
            code,
            used,
            expired,
            finalized_code,
            old_refresh,
        }
    }
}
