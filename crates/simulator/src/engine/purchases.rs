//! Prepaid credit: balances as the provider reports them, and what is bought of it (spec A.17, B.14, F).
//!
//! Vercel makes and collects the invoice itself, then tells the provider, which credits it. Not documented,
//! and decided here: a plan's `minimumAmount` is the threshold, and what is bought when a balance is below it;
//! nothing buys itself without `maximumAmountAutoPurchasePerPeriod`, which bounds a calendar month (UTC), nor
//! while the customer does not pay. A call that fails is made again under the same key, like a webhook.

use http::Method;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::Deserialize;
use serde_json::json;

use crate::Inner;
use crate::clock::later;
use crate::engine::next_try;
use crate::engine::webhooks::queue_invoice;
use crate::keys::Speaker;
use crate::model::{Installation, Invoice, InvoiceState, Life, Payment, Purchase, ROWS_EACH_MAX, StoredBalance};
use crate::partner::{PartnerCall, Reply, installer};
use crate::refusal::Refusal;
use crate::rules::LIMIT_ROWS;
use crate::wire::{Balance, Datetime, Decimal, LineItem, Number, Period, Plan};
use crate::world::World;

/// When a call is made again if the simulator died during the first one.
const CALL_AGAIN: SignedDuration = SignedDuration::from_mins(2);

/// The plan that credit for a resource, or for the installation, is bought on.
pub(crate) fn plan_of(world: &World, id: &str, resource_id: Option<&str>) -> Option<Plan> {
    let of_installation = || world.installations.get(id)?.billing_plan.clone();
    let plan = match resource_id {
        None => of_installation(),
        Some(resource_id) => {
            let row = world.resources.get(&format!("{id}/{resource_id}")).filter(|row| row.deleted_at.is_none())?;
            row.billing_plan.clone().or_else(of_installation)
        }
    };
    plan.filter(|plan| plan.kind() == "prepayment")
}

/// An amount of a plan, in cents.
pub(crate) fn plan_cents(plan: &Plan, key: &str) -> Option<i128> {
    Decimal::new(&plan.text(key)?).ok()?.cents()
}

/// Keeps the newest balances (spec A.17), and buys where one is too low.
pub(crate) fn record_balances(
    world: &mut World,
    id: &str,
    timestamp: Datetime,
    balances: Vec<Balance>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let key = |balance: &Balance| format!("{id}/{}", balance.resource_id.as_deref().unwrap_or_default());
    let new = balances.iter().filter(|balance| world.balances.get(&key(balance)).is_none()).count();
    if world.balances.under(&format!("{id}/")).count() + new > ROWS_EACH_MAX {
        return Err(LIMIT_ROWS.because("balances"));
    }
    for balance in balances {
        let key = key(&balance);
        if world.balances.get(&key).is_none_or(|row| row.timestamp <= timestamp) {
            let (resource_id, cents) = (balance.resource_id.clone(), balance.currency_value_in_cents.floor());
            world.balances.put(&key, StoredBalance { installation_id: id.to_owned(), timestamp, balance });
            if let Some(cents) = cents {
                buy_if_low(world, id, resource_id.as_deref(), i128::from(cents), now)?;
            }
        }
    }
    Ok(())
}

/// Buys if a balance is below its plan's threshold, and the month's limit allows it.
fn buy_if_low(
    world: &mut World,
    id: &str,
    resource_id: Option<&str>,
    cents: i128,
    now: Timestamp,
) -> Result<(), Refusal> {
    let Some(row) = world.installations.get(id) else { return Ok(()) };
    if row.life != Life::Active || row.payment != Payment::Paid {
        return Ok(());
    }
    let Some(plan) = plan_of(world, id, resource_id) else { return Ok(()) };
    let threshold = plan_cents(&plan, "minimumAmount").filter(|least| *least > 0 && cents < *least);
    let most = plan_cents(&plan, "maximumAmountAutoPurchasePerPeriod");
    let (Some(amount), Some(most)) = (threshold, most) else { return Ok(()) };
    let month = month_of(now);
    let ours = |row: &Purchase| row.automatic && row.resource_id.as_deref() == resource_id;
    let mut bought = 0;
    for (_, row) in world.purchases.under(&format!("{id}/")).filter(|(_, row)| ours(row)) {
        if row.due.is_some() {
            return Ok(());
        }
        if row.at >= month.start.0 && row.at < month.end.0 {
            bought += row.amount.cents().unwrap_or_default();
        }
    }
    if bought + amount > most {
        return Ok(());
    }
    if is_full(world, id) {
        return Ok(());
    }
    let name = format!("automatic/{}", world.count(&format!("automatic/{id}")));
    let order = Order { resource_id, plan: &plan, amount, automatic: true, name: &name };
    buy(world, id, &order, now).map(|_| ())
}

/// Whether an installation has as many invoices as it may; it never has more purchases than invoices.
fn is_full(world: &World, id: &str) -> bool {
    world.invoices.under(&format!("{id}/")).count() >= ROWS_EACH_MAX
}

/// The calendar month (UTC) that an instant lies in.
fn month_of(now: Timestamp) -> Period {
    let first = now.to_zoned(TimeZone::UTC).date().first_of_month();
    let at = |date: jiff::civil::Date| date.to_zoned(TimeZone::UTC).map_or(now, |it| it.timestamp());
    let next = first.checked_add(1.month()).unwrap_or(first);
    Period { start: Datetime(at(first)), end: Datetime(at(next)) }
}

/// What is bought.
pub(crate) struct Order<'a> {
    pub(crate) resource_id: Option<&'a str>,
    pub(crate) plan: &'a Plan,
    /// In cents.
    pub(crate) amount: i128,
    pub(crate) automatic: bool,
    /// What the invoice's id is derived from.
    pub(crate) name: &'a str,
}

/// Makes and collects the invoice, and leaves the provider to be told: at once if it is automatic, else by
/// whoever asked. Gives the purchase's key. The same name again is the same purchase.
pub(crate) fn buy(world: &mut World, id: &str, order: &Order<'_>, now: Timestamp) -> Result<String, Refusal> {
    let key = format!("{id}/{}", order.name);
    if world.purchases.get(&key).is_some() {
        return Ok(key);
    }
    if is_full(world, id) {
        return Err(LIMIT_ROWS.because("invoices"));
    }
    let invoice_id = format!("mi_{}", world.seed.letters(&format!("purchase/{key}"), 24));
    let amount = Decimal::from_cents(order.amount);
    let invoice = paid_invoice(id, &invoice_id, order, &amount, now)?;
    queue_invoice(world, &invoice, "created", now)?;
    queue_invoice(world, &invoice, "paid", now)?;
    world.invoices.put(&format!("{id}/{invoice_id}"), invoice);
    let purchase = Purchase {
        installation_id: id.to_owned(),
        resource_id: order.resource_id.map(str::to_owned),
        plan_id: order.plan.id().to_owned(),
        invoice_id,
        amount,
        automatic: order.automatic,
        at: now,
        attempts: 0,
        last_status: None,
        provisioned_at: None,
        due: Some(if order.automatic { now } else { later(now, CALL_AGAIN) }),
    };
    world.purchases.put(&key, purchase);
    Ok(key)
}

fn paid_invoice(
    id: &str,
    invoice_id: &str,
    order: &Order<'_>,
    amount: &Decimal,
    now: Timestamp,
) -> Result<Invoice, Refusal> {
    let one = serde_json::from_str::<Number>("1").map_err(|error| Refusal::internal(error.to_string()))?;
    let item = LineItem {
        billing_plan_id: order.plan.id().to_owned(),
        resource_id: order.resource_id.map(str::to_owned),
        start: None,
        end: None,
        name: order.plan.text("name").unwrap_or_default(),
        details: None,
        price: amount.clone(),
        quantity: one,
        units: "purchase".to_owned(),
        total: amount.clone(),
    };
    Ok(Invoice {
        invoice_id: invoice_id.to_owned(),
        installation_id: id.to_owned(),
        external_id: None,
        state: InvoiceState::Paid,
        invoice_date: Datetime(now),
        memo: None,
        period: month_of(now),
        items: vec![item],
        discounts: Vec::new(),
        total: amount.clone(),
        created: now,
        updated: now,
        is_final: false,
        is_test: false,
        test_result: None,
        sent: true,
        invoiced_at: Some(now),
        paid_at: Some(now),
        failed_attempts: 0,
        refund_requested: None,
        refund_total: None,
        refund_last: None,
        refund_reason: None,
        refunded_at: None,
        due: None,
    })
}

/// What the provider answers (spec B.14). Unknown keys are tolerated.
#[derive(Deserialize)]
struct Provisioned {
    timestamp: Datetime,
    balances: Vec<Balance>,
}

impl Inner {
    /// Tells the provider of a purchase (spec B.14), and keeps the balances it answers with.
    pub(crate) async fn provision_purchase(&self, key: &str) -> Result<Option<Reply>, Refusal> {
        let row = self.store.read(|world| {
            let row = world.purchases.get(key)?.clone();
            Some((world.installations.get(&row.installation_id)?.clone(), row))
        });
        let Some((installation, row)) = row else { return Ok(None) };
        if installation.life == Life::Finalized {
            self.note(key, None, false)?;
            return Ok(None);
        }
        let speaker = if row.automatic { Speaker::System } else { installer(&installation) };
        let path = format!("/v1/installations/{}/billing/provision", installation.id);
        let body = Some(json!({ "invoiceId": row.invoice_id }).to_string());
        let (method, name) = (Method::POST, format!("purchase/{key}"));
        let call = PartnerCall { method, path, body, installation: Some(&installation), speaker, name: &name };
        let reply = self.call_partner(call).await;
        let Ok(reply) = reply else {
            self.note(key, None, true)?;
            return reply.map(Some);
        };
        self.note(key, Some(&reply), reply.is_passing())?;
        if reply.is_success() {
            self.credit(&installation, &reply)?;
        }
        Ok(Some(reply))
    }

    fn credit(&self, installation: &Installation, reply: &Reply) -> Result<(), Refusal> {
        let answer: Provisioned = reply.read("spec B.14")?;
        let now = self.now();
        self.store.write(|world| record_balances(world, &installation.id, answer.timestamp, answer.balances, now))
    }

    /// Notes how a call went, and when it is made again.
    fn note(&self, key: &str, reply: Option<&Reply>, again: bool) -> Result<(), Refusal> {
        let now = self.now();
        self.store.write(|world| {
            world.purchases.update(key, |row| {
                if row.provisioned_at.is_some() {
                    // Told again, because whoever asked was not answered.
                    return;
                }
                row.attempts += 1;
                row.last_status = reply.and_then(|reply| reply.status);
                let is_done = reply.is_some_and(Reply::is_success);
                row.provisioned_at = is_done.then_some(now);
                row.due = if again { next_try(row.at, now, row.attempts) } else { None };
            });
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_a_calendar_month() {
        for (now, start, end) in [
            ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"),
            ("2028-02-29T23:59:59.999Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            ("2027-12-31T12:00:00Z", "2027-12-01T00:00:00Z", "2028-01-01T00:00:00Z"),
        ] {
            let month = month_of(now.parse().unwrap());
            assert_eq!((month.start.to_string(), month.end.to_string()), (start.to_owned(), end.to_owned()));
        }
    }
}
