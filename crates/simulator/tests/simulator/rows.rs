//! For every rule of Vercel's face one call that breaks it, and nothing else.

use serde_json::{Value, json};

use crate::rules::with;
use crate::scene::{Scene, invoice};
use crate::stage::{CLIENT_ID, CLIENT_SECRET, Customer};

/// One call that breaks one rule.
pub(crate) struct Row {
    pub(crate) rule: &'static str,
    pub(crate) token: Option<String>,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) header: Option<(&'static str, String)>,
    pub(crate) body: Value,
}

/// Rows of one customer.
pub(crate) struct By<'a>(pub(crate) &'a Customer);

impl By<'_> {
    pub(crate) fn row(&self, rule: &'static str, method: &'static str, rest: &str, body: Value) -> Row {
        let token = Some(self.0.token.clone());
        Row { rule, token, method, path: self.0.path(rest), header: None, body }
    }
}

pub(crate) fn interim(it: &Customer) -> Value {
    json!({
        "timestamp": "2027-02-02T00:00:00Z",
        "eod": "2027-02-02T23:59:59.999Z",
        "period": { "start": "2027-02-01T00:00:00Z", "end": "2027-03-01T00:00:00Z" },
        "billing": [{
            "billingPlanId": "pro", "resourceId": it.resource, "name": "n", "price": "1", "quantity": 1, "units": "u",
            "total": "1",
        }],
        "usage": [],
    })
}

pub(crate) fn import() -> Value {
    json!({ "productId": "product", "name": "imported", "status": "ready" })
}

pub(crate) fn item() -> Value {
    json!({ "id": "i", "slug": "s", "origin": "https://example.com/i" })
}

fn revoke(token: &str) -> Value {
    json!({ "client_secret": CLIENT_SECRET, "token": token })
}

pub(crate) fn refund() -> Value {
    json!({ "action": "refund", "reason": "r", "total": "1.00" })
}

/// What any call may break.
fn at_the_door(scene: &Scene) -> Vec<Row> {
    let live = By(&scene.live);
    let account = |token: Option<&str>, rule| Row {
        token: token.map(str::to_owned),
        ..live.row(rule, "GET", "/account", Value::Null)
    };
    let long = json!({ "externalId": "x".repeat(1024 * 1024) });
    let plan = json!({ "billingPlan": { "id": "p", "type": "free", "name": "n" } });
    let notice = json!({ "notification": { "level": "info", "title": "t", "href": "ftp://x" } });
    let secrets = |list: Value| json!({ "secrets": list });
    let path = format!("/resources/{}/secrets", scene.live.resource);
    let many: Vec<Value> = (0..10_001).map(|n| json!({ "name": format!("S{n}"), "value": "" })).collect();
    let balance = json!({ "timestamp": "2027-02-02T00:00:00Z", "balances": [{ "currencyValueInCents": 1 }] });
    let decimal = with(&interim(&scene.live), "/billing/0/total", json!("1e3"));
    let datetime = with(&interim(&scene.live), "/timestamp", json!("2027-02-02"));
    vec![
        live.row("spec A: there is no such path", "GET", "/nothing", Value::Null),
        live.row("spec A: the path does not take this method", "POST", "/account", Value::Null),
        account(None, "spec A: the call has no bearer token"),
        account(Some("nonsense"), "spec A: the bearer token is unknown"),
        account(Some(&scene.revoked), "spec A.6: the bearer token is revoked"),
        account(Some(&scene.full.token), "spec A: the bearer token is another installation's"),
        By(&scene.finalized).row(
            "spec F: the installation is finalized and its token is dead",
            "GET",
            "/account",
            Value::Null,
        ),
        live.row("spec A: the installation has no such resource", "GET", "/resources/unknown", Value::Null),
        live.row(r"spec A, Decimal: a decimal string matches ^[0-9]+(\.[0-9]+)?$", "POST", "/billing", decimal),
        live.row("spec A: a time is an RFC 3339 date-time", "POST", "/billing", datetime),
        live.row("spec A, VercelSidePlan: the billing plan is not as documented", "PATCH", "", plan),
        live.row("spec A, Notification: a link matches ^https?://|^sso:", "PATCH", "", notice),
        live.row("spec A, Secret: a name is empty", "PUT", &path, secrets(json!([{ "name": "", "value": "v" }]))),
        live.row(
            "spec A, Secret: a name is there twice",
            "PUT",
            &path,
            secrets(json!([{ "name": "A", "value": "v" }, { "name": "A", "value": "w" }])),
        ),
        live.row("simulator: a body has at most 1048576 bytes", "PATCH", "", long),
        live.row("simulator: a list has at most 10000 entries", "PUT", &path, secrets(json!(many))),
        By(&scene.full).row(
            "simulator: an installation has at most 10000 rows of a kind",
            "POST",
            "/billing/balance",
            balance,
        ),
    ]
}

/// A.1 to A.7.
fn of_installations(scene: &Scene) -> Vec<Row> {
    let live = By(&scene.live);
    let wrong = json!({ "client_secret": "wrong" });
    let event = |fields: Value| json!({ "event": fields });
    vec![
        live.row("spec A.1: the body is not as documented", "PATCH", "", json!({ "name": "x" })),
        live.row("spec A.2: the installation is not being uninstalled", "POST", "/billing/finalize", Value::Null),
        live.row("spec A.4: the installation has no such member", "GET", "/member/nobody", Value::Null),
        live.row("spec A.5: the body is not as documented", "POST", "/credentials/rotate", json!({})),
        live.row("spec A.5: client_id or client_secret is wrong", "POST", "/credentials/rotate", wrong.clone()),
        By(&scene.full).row(
            "spec A.5: 100 credentials are alive, revoke some first",
            "POST",
            "/credentials/rotate",
            json!({ "client_secret": CLIENT_SECRET }),
        ),
        live.row("spec A.6: the body is not as documented", "POST", "/credentials/revoke", wrong),
        live.row(
            "spec A.6: client_id or client_secret is wrong",
            "POST",
            "/credentials/revoke",
            with(&revoke(&scene.live.token), "/client_id", json!("oac_other")),
        ),
        live.row(
            "spec A.6: the token is none of this installation's",
            "POST",
            "/credentials/revoke",
            revoke(&scene.full.token),
        ),
        live.row(
            "spec A.6: the last live credential cannot be revoked",
            "POST",
            "/credentials/revoke",
            revoke(&scene.live.token),
        ),
        live.row("spec A.7: the body is not as documented", "POST", "/events", event(json!({ "type": 1 }))),
        live.row(
            "spec A.7: the only types are installation.updated and resource.updated",
            "POST",
            "/events",
            event(json!({ "type": "resource.created", "resourceId": scene.live.resource })),
        ),
        live.row(
            "spec A.7: the fields do not go with the event's type",
            "POST",
            "/events",
            event(json!({ "type": "resource.updated" })),
        ),
        live.row(
            "spec A.7: Vercel knows no such resource in this installation",
            "POST",
            "/events",
            event(json!({ "type": "resource.updated", "resourceId": scene.deleted })),
        ),
    ]
}

/// A.10, A.11, A.18 and A.19.
fn of_resources(scene: &Scene) -> Vec<Row> {
    let live = By(&scene.live);
    let mine = format!("/resources/{}", scene.live.resource);
    let gone = format!("/resources/{}", scene.deleted);
    let other = format!("/products/other/resources/{}/secrets", scene.live.resource);
    let own = format!("/products/product/resources/{}/secrets", scene.live.resource);
    vec![
        live.row(
            "spec A.10: the body is not as documented",
            "PUT",
            "/resources/new",
            with(&import(), "/status", json!("live")),
        ),
        live.row(
            "spec A.10: the resource id is not 1 to 256 printable ASCII characters without # / ? %",
            "PUT",
            "/resources/a%2Fb",
            import(),
        ),
        live.row(
            "spec A.10: the resource is of another product",
            "PUT",
            &mine,
            with(&import(), "/productId", json!("p")),
        ),
        live.row("spec A.10: the resource was deleted, its id is not used again", "PUT", &gone, import()),
        By(&scene.uninstalling).row(
            "spec A.10: the installation is being uninstalled, it takes no resource",
            "PUT",
            "/resources/new",
            import(),
        ),
        live.row("spec A.11: the body is not as documented", "PATCH", &mine, json!({ "productId": "product" })),
        live.row(
            "spec A.18: the body is not as documented",
            "PUT",
            &format!("{mine}/secrets"),
            json!({ "secrets": {} }),
        ),
        live.row("spec A.19: the body is not as documented", "PUT", &own, json!({ "secrets": {} })),
        live.row("spec A.19: the resource is not of that product", "PUT", &other, json!({ "secrets": [] })),
    ]
}

/// A.13 to A.17.
fn of_billing(scene: &Scene) -> Vec<Row> {
    let live = By(&scene.live);
    let good = interim(&scene.live);
    let shown = |rule, pointer: &str, value: Value| live.row(rule, "POST", "/billing", with(&good, pointer, value));
    let long = json!({ "start": "2027-01-01T00:00:00Z", "end": "2027-02-01T00:00:00Z" });
    let old = with(&with(&good, "/period", long), "/eod", json!("2027-02-01T00:00:00Z"));
    let refund_of = |id: &str| format!("/billing/invoices/{id}/actions");
    let back = |rule, pointer: &str, value: Value| {
        live.row(rule, "POST", &refund_of(&scene.paid), with(&refund(), pointer, value))
    };
    vec![
        shown("spec A.13: the body is not as documented", "/usage", Value::Null),
        shown("spec A.13: period.start is not before period.end", "/period/end", json!("2027-02-01T00:00:00Z")),
        shown("spec A.13: eod is not within the period", "/eod", json!("2027-03-01T00:00:01Z")),
        shown("spec A.13: eod is older than 24 h", "/eod", json!("2027-02-01T01:59:59Z")),
        live.row("spec A.13: period.end is older than 24 h", "POST", "/billing", old),
        live.row("spec A.15: the installation has no such invoice", "GET", "/billing/invoices/mi_x", Value::Null),
        back("spec A.16: the body is not as documented", "/action", json!(1)),
        live.row("spec A.16: the installation has no such invoice", "POST", &refund_of("mi_x"), refund()),
        back("spec A.16: the only action is refund", "/action", json!("cancel")),
        back("spec A.16: a refund needs a reason, of at most 1024 characters", "/reason", json!(" ")),
        back("spec A.16: total has more than two decimals", "/total", json!("1.001")),
        back("spec A.16: the refunds are more than the invoice's total", "/total", json!("20.01")),
        live.row(
            "spec A.16: a refund of this invoice is already requested",
            "POST",
            &refund_of(&scene.refunding),
            refund(),
        ),
        live.row("spec A.17: the body is not as documented", "POST", "/billing/balance", json!({ "balances": [] })),
    ]
}

/// A.14.
fn of_invoices(scene: &Scene) -> Vec<Row> {
    let live = By(&scene.live);
    let good = invoice(&scene.live, "new", "02-01", "02-28");
    let bill =
        |rule, pointer: &str, value: Value| live.row(rule, "POST", "/billing/invoices", with(&good, pointer, value));
    let late =
        |rule, it: &Customer| By(it).row(rule, "POST", "/billing/invoices", invoice(it, "new", "01-01", "02-10"));
    let discount = json!([{ "billingPlanId": "pro", "name": "d", "amount": "20.01" }]);
    let prepaid = with(&good, "/items/0/billingPlanId", json!("credit-1"));
    let prepaid = with(&prepaid, "/items/0/resourceId", json!(scene.prepaid));
    vec![
        bill("spec A.14: the body is not as documented", "/items/0/quantity", json!("1")),
        bill("spec A.14: period.start is not before period.end", "/period/end", json!("2027-02-01T00:00:00Z")),
        bill("spec A.14: invoiceDate is not within the period", "/invoiceDate", json!("2027-02-28T00:00:01Z")),
        bill("spec A.14: externalId is empty or longer than 1024 characters", "/externalId", json!("x".repeat(1_025))),
        bill("spec A.14: a total or discount has more than two decimals", "/items/0/total", json!("0.001")),
        bill("spec A.14: the discounts are more than the items, and a total is not negative", "/discounts", discount),
        bill("spec A.14: final is allowed only while the installation is being uninstalled", "/final", json!(true)),
        bill(
            "spec A.14 rule 1: the resource is billed already for this plan and period",
            "/period/end",
            json!("2027-03-01T00:00:00Z"),
        ),
        bill("spec A.14 rule 2: the plan was not active in the period", "/items/0/billingPlanId", json!("max")),
        live.row("spec A.14 rule 3: the plan is not a subscription", "POST", "/billing/invoices", prepaid),
        bill("spec A.14 rule 5: the externalId is already used", "/externalId", json!("paid")),
        bill("spec D.6: a linked resource is not billed through Vercel", "/items/0/resourceId", json!("linked")),
        late("spec F: the 24 h window for final invoices is over", &scene.late),
        late("spec A.2: the provider declared that no more invoices will come", &scene.declared),
    ]
}

/// A.20.
fn of_sign_on(scene: &Scene) -> Vec<Row> {
    let by = |rule, body: Value| Row {
        rule,
        token: None,
        method: "POST",
        path: "/v1/integrations/sso/token".to_owned(),
        header: None,
        body,
    };
    let good = scene.code.body();
    let refresh = |token: &str| {
        json!({
            "refresh_token": token, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
            "grant_type": "refresh_token",
        })
    };
    vec![
        by("spec A.20: the body is not as documented", with(&good, "/client_id", Value::Null)),
        by(
            "spec A.20: grant_type is authorization_code or refresh_token",
            with(&good, "/grant_type", json!("password")),
        ),
        by("spec A.20: client_id or client_secret is wrong", with(&good, "/client_secret", json!("wrong"))),
        by("spec A.20: the code is unknown", with(&good, "/code", json!("unknown"))),
        by("spec A.20: the code was used already", scene.used.body()),
        by("spec A.20: the code has expired", scene.expired.body()),
        by("spec A.20: the state is not the one that came with the code", with(&good, "/state", json!("wrong"))),
        by("spec A.20: the refresh token is unknown", refresh("unknown")),
        by("spec A.20: the refresh token has expired", refresh(&scene.old_refresh)),
        by("spec A.20: the installation is finalized", scene.finalized_code.body()),
    ]
}

/// A.21 to A.23.
fn of_the_rest(scene: &Scene) -> Vec<Row> {
    let live = By(&scene.live);
    let at = |rest: &str| format!("/resources/{}/experimentation/{rest}", scene.live.resource);
    let items = |list: Vec<Value>| json!({ "items": list });
    let config = format!("/resources/{}/experimentation/global-config", scene.synced);
    let id = &scene.live.id;
    let action = format!("/v1/deployments/dpl_1/integrations/{id}/resources/{}/actions/build", scene.live.resource);
    let connection = format!("/v1/integrations/installations/{id}/resources/{}/connections", scene.live.resource);
    let to = |rule, method, path: &str, body: Value| Row { path: path.to_owned(), ..live.row(rule, method, "", body) };
    vec![
        live.row("spec A.21: the body is not as documented", "POST", &at("items"), items(vec![json!({ "id": "i" })])),
        live.row("spec A.21: a batch has more than 50 items", "POST", &at("items"), items(vec![item(); 51])),
        live.row(
            "spec A.21: a text is longer than allowed",
            "POST",
            &at("items"),
            items(vec![with(&item(), "/origin", json!("x".repeat(2_049)))]),
        ),
        live.row("spec A.21: the resource has no such item", "DELETE", &at("items/unknown"), Value::Null),
        live.row("spec A.22: the body is not as documented", "PUT", &config, json!({ "data": [] })),
        live.row(
            "spec A.22: the customer has not enabled syncing, there is nothing to read",
            "GET",
            &at("edge-config"),
            Value::Null,
        ),
        live.row(
            "spec A.22: the customer has not enabled syncing, nothing can be written",
            "PUT",
            &at("global-config"),
            json!({ "data": {} }),
        ),
        Row {
            header: Some(("if-match", "\"other\"".to_owned())),
            ..live.row("spec A.22: If-Match is not the digest of what is there", "PUT", &config, json!({ "data": {} }))
        },
        to("spec A.23: the body is not as documented", "PATCH", &action, json!({ "status": "queued" })),
        to(
            "spec A.23: the only kind of outcome is resource-secrets",
            "PATCH",
            &action,
            json!({ "outcomes": [{ "kind": "other", "secrets": [] }] }),
        ),
        to("spec A.23, connections: the body is not as documented", "POST", &connection, json!({ "project": "p" })),
        to("spec A.23, connections: projectId is empty", "POST", &connection, json!({ "projectId": "" })),
    ]
}

/// All of them.
pub(crate) fn rows(scene: &Scene) -> Vec<Row> {
    let parts = [at_the_door, of_installations, of_resources, of_billing, of_invoices, of_sign_on, of_the_rest];
    parts.into_iter().flat_map(|rows| rows(scene)).collect()
}
