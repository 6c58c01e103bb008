//! What must hold after every step, by Vercel's state and the provisioner's alone.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde_json::Value;
use tradepost_marketplace::ids::ResourceId;
use tradepost_provider::state::keys::hex;

use super::model::Customer;
use super::stage::Stage;

/// Reads Vercel's state.
pub(super) async fn state(stage: &Stage) -> anyhow::Result<Value> {
    let got = stage.control("GET", "/_sim/state", None, &Value::Null).await?;
    anyhow::ensure!(got.is_good() && got.body["next"].is_null(), "Vercel's state has more than one page");
    Ok(got.body)
}

pub(super) fn rows<'a>(state: &'a Value, section: &str) -> &'a [Value] {
    state[section].as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Cents of a decimal amount.
pub(super) fn cents(value: &Value) -> i128 {
    let text = value.as_str().unwrap_or("0");
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction:0<2}");
    sign * digits.parse::<i128>().unwrap_or_default()
}

/// The invoices that charge.
pub(super) fn invoices<'a>(state: &'a Value, installation: &'a str) -> impl Iterator<Item = &'a Value> {
    let own = move |row: &&Value| text(row, "installationId") == installation && row["isTest"] != true;
    rows(state, "invoices").iter().filter(own)
}

/// Everything that must hold after a step.
pub(super) fn all(stage: &Stage, customers: &[Customer], vercel: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let by_id: BTreeMap<&str, &Customer> = customers.iter().map(|customer| (customer.id.as_str(), customer)).collect();
    secrets(stage, &by_id, vercel, &mut wrong);
    refunds(customers, vercel, &mut wrong);
    bills(customers, vercel, &mut wrong);
    tenants(vercel, &mut wrong);
    let errors = stage.fate.counts().of("internal errors");
    if errors > 0 {
        wrong.push(format!("no request fails for a reason of its own: {errors} were answered 500"));
    }
    wrong
}

/// Secrets that Vercel holds are good at the provisioner.
fn secrets(stage: &Stage, customers: &BTreeMap<&str, &Customer>, vercel: &Value, wrong: &mut Vec<String>) {
    for row in rows(vercel, "secrets") {
        let (installation, resource, name) = (text(row, "installationId"), text(row, "resourceId"), text(row, "name"));
        let Some(customer) = customers.get(installation) else { continue };
        if !customer.staying().iter().any(|bought| bought.id == resource) {
            continue;
        }
        let Ok(id) = ResourceId::new(resource) else { continue };
        let live = stage.provisioner.live_versions(&id);
        let held = |version: &u64| {
            let made = stage.provisioner.secrets(&id, *version);
            let value = made.into_iter().find(|(made, _)| *made == name).map(|(_, value)| value).unwrap_or_default();
            hex(digest(&SHA256, value.as_bytes()).as_ref()) == text(row, "sha256")
        };
        if !live.iter().any(held) {
            wrong.push(format!(
                "secrets that Vercel holds are never revoked: {name} of {resource} is; good are the versions {live:?}"
            ));
        }
    }
}

/// Nothing is refunded beyond what was invoiced, nor beyond what was asked for.
fn refunds(customers: &[Customer], state: &Value, wrong: &mut Vec<String>) {
    for customer in customers {
        for invoice in invoices(state, &customer.id) {
            let id = text(invoice, "externalId");
            let back = cents(&invoice["refundTotal"]) + cents(&invoice["refundRequested"]);
            let asked: i128 =
                customer.refunds.iter().filter(|asked| asked.invoice == id).map(|asked| asked.cents).sum();
            if back > cents(&invoice["total"]) {
                wrong.push(format!("refunded ≤ invoiced: of {id} over {} are {back} cents", invoice["total"]));
            }
            if back > asked {
                wrong.push(format!("refunded ≤ asked for: of {id} {back} cents are, {asked} were asked for"));
            }
        }
    }
}

/// One invoice per resource, plan and period; no two periods overlap.
fn bills(customers: &[Customer], state: &Value, wrong: &mut Vec<String>) {
    for customer in customers {
        let at = |row: &Value, name: &str| text(&row["period"], name).parse::<Timestamp>().unwrap_or_default();
        let mut periods: Vec<_> = invoices(state, &customer.id)
            .map(|row| (at(row, "start"), at(row, "end"), text(row, "externalId")))
            .collect();
        periods.sort_unstable();
        for pair in periods.windows(2) {
            if let [(_, end, one), (start, _, other)] = pair
                && start < end
            {
                wrong.push(format!("one invoice per resource, plan and period: {one} and {other} overlap"));
            }
        }
    }
}

/// What is of one installation names no other.
fn tenants(state: &Value, wrong: &mut Vec<String>) {
    for section in ["resources", "secrets", "interim", "invoices"] {
        for row in rows(state, section) {
            let owner = text(row, "installationId");
            let mut named = vec![row["id"].as_str(), row["resourceId"].as_str()];
            for lines in ["items", "discounts", "usage"] {
                named.extend(rows(row, lines).iter().map(|line| line["resourceId"].as_str()));
            }
            for id in named.into_iter().flatten().filter(|id| id.starts_with("icfg_")) {
                if !id.starts_with(owner) {
                    wrong.push(format!("no tenant sees another: a row of {section} of {owner} names {id}"));
                }
            }
        }
    }
}
