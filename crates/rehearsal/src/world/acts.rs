//! What can happen to a customer, each as one function that is the same request whenever it is made: what it needs, and
//! the act itself. The tables of crash points and of races are made of these.

use crate::development;
use http::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use tradepost_marketplace::webhook_signature;
use tradepost_provider::state::Resource;
use tradepost_store::Write;

use super::got::Got;
use super::partner::{self as partners, usage};
use super::table::resource_id;
use super::vercel::{Call, sha256};
use super::{BEGIN, FREE, PRODUCT, SCALE, TEAM, World};

/// What acts work with: an installation on [`TEAM`] and its resource.
pub struct Stage {
    pub installation: String,
    pub resource: String,
}

pub fn nothing(_: &World, _: &Stage) -> std::future::Ready<()> {
    std::future::ready(())
}

/// An invoice of January, paid.
pub async fn a_paid_invoice(world: &World, _: &Stage) {
    world.advance_to("2027-02-01T06:05:00Z").await;
    world.cron("/cron/invoices").await;
    world.advance("2h").await;
}

/// The same partner call, signed anew.
pub async fn partner(world: &World, kind: &str, route: &str, installation: &str, data: Value) -> Got {
    partner_as(world, "the_same", kind, route, installation, data).await
}

/// The same, by another name.
async fn partner_as(world: &World, name: &str, kind: &str, route: &str, installation: &str, data: Value) -> Got {
    let call = world.partner_call(kind, route, installation, &data);
    world.send_partner(&partners::Call { id: format!("msg_{name}_{kind}"), ..call }).await
}

/// The scheduler's call, which may fail.
pub async fn cron(world: &World, path: &str) -> Got {
    let bearer = format!("Bearer {}", development::CRON_SECRET);
    world.send(world.request(Method::GET, path).header("authorization", bearer), "").await
}

pub fn resources(stage: &Stage) -> String {
    format!("/v1/installations/{}/resources", stage.installation)
}

pub fn digests(world: &World, resource: &str, version: u64) -> Vec<(String, String)> {
    let made = world.local.provisioner.secrets(&resource_id(resource), version).into_iter();
    let mut digests: Vec<_> = made.map(|(name, value)| (name.to_owned(), sha256(&value))).collect();
    digests.sort();
    digests
}

pub fn live(world: &World, resource: &str) -> Vec<u64> {
    world.local.provisioner.live_versions(&resource_id(resource)).into_iter().collect()
}

/// As a customer buys: Vercel knows what it got an answer for.
pub async fn buy(world: &World, stage: &Stage) -> Got {
    let url = format!("{}/_sim/installations/{}/resources", world.local.simulator_url, stage.installation);
    let request = http::Request::builder().method(Method::POST).uri(url).header("content-type", "application/json");
    let body = json!({ "productId": PRODUCT, "name": "more", "planId": TEAM });
    world.send(request.header("idempotency-key", "k"), &body.to_string()).await
}

/// A resource that Vercel was asked for once, and did not know; about to be asked for again.
pub async fn unknown_to_vercel(world: &World, stage: &Stage) {
    provision(world, stage).await.expect(200);
    world.sweep().await;
    world.advance("1h").await;
}

pub async fn run_outbox(world: &World, _: &Stage) -> Got {
    cron(world, "/cron/outbox").await
}

/// As Vercel asks, but Vercel does not keep the answer.
pub async fn provision(world: &World, stage: &Stage) -> Got {
    let body = json!({ "productId": PRODUCT, "name": "more", "billingPlanId": TEAM, "metadata": {} });
    world.vercel(Call::new("POST", resources(stage)).of(&stage.installation).body(body).key("k")).await
}

pub async fn rename(world: &World, stage: &Stage) -> Got {
    let path = format!("{}/{}", resources(stage), stage.resource);
    world.vercel(Call::new("PATCH", path).of(&stage.installation).body(json!({ "name": "renamed" })).key("k")).await
}

pub async fn rotate(world: &World, stage: &Stage) -> Got {
    let path = format!("{}/{}/secrets/rotate", resources(stage), stage.resource);
    world.vercel(Call::new("POST", path).of(&stage.installation).body(json!({})).key("k")).await
}

pub async fn delete(world: &World, stage: &Stage) -> Got {
    let path = format!("{}/{}", resources(stage), stage.resource);
    world.vercel(Call::new("DELETE", path).of(&stage.installation).key("k")).await
}

pub async fn uninstall(world: &World, stage: &Stage) -> Got {
    let path = format!("/v1/installations/{}", stage.installation);
    world.vercel(Call::new("DELETE", path).of(&stage.installation).key("k")).await
}

pub async fn a_month_of_scale(world: &World, stage: &Stage) {
    let path = format!("/_sim/installations/{}/resources/{}", stage.installation, stage.resource);
    world.control("PATCH", &path, json!({ "planId": SCALE })).await.expect(200);
    world.report(&stage.installation, "b0", &[(&stage.resource, "queries", BEGIN, "100000")]).await.expect(200);
    a_paid_invoice(world, stage).await;
}

pub async fn report_late(world: &World, stage: &Stage) -> Got {
    let data = usage("b1", &[(&stage.resource, "queries", "2027-01-31T00:00:00Z", "40000")]);
    partner(world, "usage.recorded", "/partner/usage", &stage.installation, data).await
}

pub async fn tell(world: &World, stage: &Stage) -> Got {
    let data = json!({ "resourceId": stage.resource, "name": "renamed" });
    partner(world, "resource.updated", "/partner/events", &stage.installation, data).await
}

pub async fn adjust(world: &World, stage: &Stage) -> Got {
    let data = json!({ "lines": [{ "name": "Sorry", "amount": "5.00", "credit": true }] });
    partner(world, "invoice.adjust", "/partner/invoices", &stage.installation, data).await
}

pub async fn close(world: &World, stage: &Stage) -> Got {
    partner(world, "invoice.close", "/partner/invoices", &stage.installation, json!({})).await
}

pub async fn refund(world: &World, stage: &Stage) -> Got {
    let invoice = format!("{}.i1", stage.installation);
    let data = json!({ "invoiceId": invoice, "total": "5.00", "reason": "an outage" });
    let route = format!("/partner/invoices/{invoice}/refund");
    partner(world, "invoice.refund", &route, &stage.installation, data).await
}

pub async fn install(world: &World, stage: &Stage) -> Got {
    let credentials = json!({ "access_token": "another-token", "token_type": "Bearer" });
    let body = json!({ "scopes": [], "credentials": credentials });
    let path = format!("/v1/installations/{}", stage.installation);
    world.vercel(Call::new("PUT", path).of(&stage.installation).body(body).key("k")).await
}

/// A rotation whose old secrets are over.
pub async fn rotated(world: &World, stage: &Stage) {
    let route = format!("/partner/resources/{}/secrets", stage.resource);
    let data = json!({ "resourceId": stage.resource, "delayHours": 0 });
    world.partner("secrets.rotate", &route, &stage.installation, data).await.expect(202);
    world.advance("2m").await;
}

pub async fn expire(world: &World, _: &Stage) -> Got {
    cron(world, "/cron/secrets").await
}

pub async fn some_usage(world: &World, stage: &Stage) -> Got {
    let data = usage("b1", &[(&stage.resource, "queries", BEGIN, "10")]);
    partner(world, "usage.recorded", "/partner/usage", &stage.installation, data).await
}

pub async fn at_the_next_month(world: &World, _: &Stage) {
    world.advance_to("2027-02-01T06:05:00Z").await;
}

pub async fn run_invoices(world: &World, _: &Stage) -> Got {
    cron(world, "/cron/invoices").await
}

pub async fn ten_days(world: &World, _: &Stage) {
    world.advance_to("2027-01-11T00:00:00Z").await;
}

/// Uninstalled, and past the time of grace for late readings.
pub async fn at_the_end(world: &World, stage: &Stage) {
    world.advance("10d").await;
    world.uninstall(&stage.installation).await;
    world.advance("6h").await;
}

pub async fn invoiced(world: &World, stage: &Stage) {
    at_the_next_month(world, stage).await;
    world.cron("/cron/invoices").await;
}

/// January's invoice, whose submission fails once, the way that the fault says.
pub async fn an_invoice_that_fails(world: &World, fault: Value) {
    world.advance_to("2027-02-01T06:05:00Z").await;
    let path = "*/billing/invoices";
    world.vercel_fails(json!([{ "match": { "method": "POST", "path": path }, "fault": fault, "times": 1 }])).await;
    world.cron("/cron/invoices").await;
}

/// Vercel has it, and we do not know.
pub async fn a_doubtful_invoice(world: &World, _: &Stage) {
    an_invoice_that_fails(world, json!("reset_after")).await;
}

pub async fn a_refused_invoice(world: &World, _: &Stage) {
    an_invoice_that_fails(world, json!({ "kind": "status", "status": 404 })).await;
}

pub async fn settle(world: &World, stage: &Stage, mut data: Value) -> Got {
    let name = super::got::text(&data["outcome"]);
    data["invoiceId"] = json!(format!("{}.i1", stage.installation));
    partner_as(world, &name, "invoice.settle", "/partner/invoices", &stage.installation, data).await
}

pub async fn give_up(world: &World, stage: &Stage) -> Got {
    settle(world, stage, json!({ "outcome": "abandon", "reason": "billed by hand" })).await
}

pub async fn submit_again(world: &World, stage: &Stage) -> Got {
    settle(world, stage, json!({ "outcome": "resubmit" })).await
}

pub async fn declare_submitted(world: &World, stage: &Stage) -> Got {
    let id = world.invoices(&stage.installation).await.remove(0)["invoiceId"].clone();
    settle(world, stage, json!({ "outcome": "submitted", "vercelInvoiceId": id })).await
}

/// Vercel refused to hear of a change.
pub async fn dead_news(world: &World, stage: &Stage) {
    let fault = json!({ "kind": "status", "status": 400 });
    world.vercel_fails(json!([{ "match": { "path": "*/events" }, "fault": fault, "times": 1 }])).await;
    let data = json!({ "resourceId": stage.resource, "name": "renamed" });
    world.partner("resource.updated", "/partner/events", &stage.installation, data).await.expect(202);
}

pub async fn try_again(world: &World, stage: &Stage) -> Got {
    let id = format!("{}/state/{}/resource_updated/1", stage.installation, stage.resource);
    let data = json!({ "effectId": id, "outcome": "retry" });
    partner(world, "effect.settle", "/partner/invoices", &stage.installation, data).await
}

/// The table was restored to before changes that the provisioner has seen.
pub async fn forgotten_fences(world: &World, stage: &Stage) {
    for _ in 0..3 {
        let path = format!("{}/{}", resources(stage), stage.resource);
        let body = json!({ "name": "renamed" });
        world.vercel(Call::new("PATCH", path).of(&stage.installation).body(body)).await.expect(200);
    }
    let stored = world.stored_resource(&stage.installation, &stage.resource).await.unwrap();
    let forgot = Resource { fence: 0, ..stored.item };
    world.local.bare.commit(vec![Write::replace(&forgot, stored.version).unwrap()]).await.unwrap();
}

/// The last period is over and cost nothing, and Vercel knows the token no more.
pub async fn gone(world: &World, stage: &Stage) {
    let path = format!("/_sim/installations/{}/resources/{}", stage.installation, stage.resource);
    world.control("PATCH", &path, json!({ "planId": FREE })).await.expect(200);
    at_the_end(world, stage).await;
    let fault = json!({ "kind": "status", "status": 401 });
    let refused = |path: &str| json!({ "match": { "path": path }, "fault": fault });
    world.vercel_fails(json!([refused("*/billing/finalize"), refused("*/account")])).await;
}

/// Time enough for Vercel to collect, and to say so.
pub async fn two_hours_pass(world: &World, _: &Stage) -> Got {
    world.advance("2h").await;
    world.control("GET", "/_sim/health", Value::Null).await
}

/// Some usage, and the next day begun.
pub async fn at_the_second_day(world: &World, stage: &Stage) {
    world.report(&stage.installation, "b1", &[(&stage.resource, "queries", BEGIN, "10")]).await.expect(200);
    world.advance_to("2027-01-02T00:59:00Z").await;
}

pub async fn push(world: &World, _: &Stage) -> Got {
    cron(world, "/cron/billing").await
}

/// An installation of which nobody knows yet.
pub async fn install_first(world: &World, stage: &Stage) -> Got {
    let credentials = json!({ "access_token": "a-first-token", "token_type": "Bearer" });
    let body = json!({ "scopes": [], "credentials": credentials });
    let claims = json!({ "claims": { "installation_id": "icfg_another" } });
    let call = Call::new("PUT", "/v1/installations/icfg_another").of(&stage.installation).body(body).key("k");
    world.vercel(call.and(&claims)).await
}

pub async fn change_installation(world: &World, stage: &Stage) -> Got {
    let path = format!("/v1/installations/{}", stage.installation);
    world.vercel(Call::new("PATCH", path).of(&stage.installation).body(json!({})).key("k")).await
}

/// A webhook as Vercel signs it, the same delivery whenever it comes.
pub async fn webhook(world: &World, kind: &str, payload: Value) -> Got {
    let event = json!({ "id": "wh_the_same", "type": kind, "createdAt": 1, "region": null, "payload": payload });
    let (secret, body) = (SecretString::from(development::CLIENT_SECRET), event.to_string());
    let signature = webhook_signature::sign(&secret, body.as_bytes());
    let request = world.request(Method::POST, "/webhooks/vercel").header("x-vercel-signature", signature);
    world.send(request, &body).await
}

pub async fn hear_of_the_invoice(world: &World, stage: &Stage) -> Got {
    let invoice = world.invoices(&stage.installation).await.remove(0);
    let payload = json!({
        "installationId": stage.installation,
        "invoiceId": invoice["invoiceId"],
        "externalInvoiceId": invoice["externalId"],
        "period": invoice["period"],
        "invoiceDate": invoice["invoiceDate"],
        "invoiceTotal": invoice["total"],
    });
    webhook(world, "marketplace.invoice.created", payload).await
}

pub async fn hear_of_removal(world: &World, stage: &Stage) -> Got {
    let payload = json!({ "configuration": { "id": stage.installation, "projects": [] } });
    webhook(world, "integration-configuration.removed", payload).await
}

pub async fn tell_installation(world: &World, stage: &Stage) -> Got {
    let notification = json!({ "level": "info", "title": "Maintenance tonight" });
    let data = json!({ "notification": notification });
    partner(world, "installation.updated", "/partner/events", &stage.installation, data).await
}

/// Of the create, which a later command overtakes.
pub async fn report(world: &World, stage: &Stage) -> Got {
    let data = json!({ "operationId": "op_1", "fence": 1, "resourceId": stage.resource, "status": "suspended" });
    partner(world, "provisioner.report", "/partner/provisioner/reports", &stage.installation, data).await
}

pub async fn rotate_for_partner(world: &World, stage: &Stage) -> Got {
    let data = json!({ "resourceId": stage.resource });
    let route = format!("/partner/resources/{}/secrets", stage.resource);
    partner(world, "secrets.rotate", &route, &stage.installation, data).await
}

/// News that Vercel could not take, and can now.
pub async fn owed_news(world: &World, stage: &Stage) {
    let fault = json!({ "kind": "status", "status": 500 });
    world.vercel_fails(json!([{ "match": { "path": "*/events" }, "fault": fault }])).await;
    tell(world, stage).await.expect(202);
    world.vercel_heals().await;
    world.advance("1m").await;
}

pub async fn sweep_now(world: &World, _: &Stage) -> Got {
    cron(world, "/cron/outbox").await
}

pub async fn another_provision(world: &World, stage: &Stage) -> Got {
    let body = json!({ "productId": PRODUCT, "name": "another", "billingPlanId": FREE, "metadata": {} });
    world.vercel(Call::new("POST", resources(stage)).of(&stage.installation).body(body).key("another")).await
}

pub async fn change_plan(world: &World, stage: &Stage) -> Got {
    let path = format!("{}/{}", resources(stage), stage.resource);
    world
        .vercel(Call::new("PATCH", path).of(&stage.installation).body(json!({ "billingPlanId": SCALE })).key("p"))
        .await
}

pub async fn more_usage(world: &World, stage: &Stage) -> Got {
    let data = usage("b2", &[(&stage.resource, "queries", BEGIN, "5")]);
    partner_as(world, "more", "usage.recorded", "/partner/usage", &stage.installation, data).await
}

pub async fn another_close(world: &World, stage: &Stage) -> Got {
    partner_as(world, "another", "invoice.close", "/partner/invoices", &stage.installation, json!({})).await
}

pub async fn another_refund(world: &World, stage: &Stage) -> Got {
    let invoice = format!("{}.i1", stage.installation);
    let data = json!({ "invoiceId": invoice, "total": "7.00", "reason": "another outage" });
    let route = format!("/partner/invoices/{invoice}/refund");
    partner_as(world, "another", "invoice.refund", &route, &stage.installation, data).await
}

pub async fn another_rotation(world: &World, stage: &Stage) -> Got {
    let path = format!("{}/{}/secrets/rotate", resources(stage), stage.resource);
    world.vercel(Call::new("POST", path).of(&stage.installation).body(json!({})).key("another")).await
}
