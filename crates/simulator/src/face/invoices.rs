//! A.14, A.15 and A.16: invoices, with Vercel's own validation.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Inner;
use crate::clock::later;
use crate::engine::finalize::{finalize_if_over, window_end};
use crate::engine::invoices::STEP;
use crate::engine::plans::active;
use crate::face::installations::installation;
use crate::face::{Answer, Call, authorize};
use crate::model::{Invoice, InvoiceState, Life, Ownership, Payment, ROWS_EACH_MAX};
use crate::refusal::{Refusal, empty_response, json_response};
use crate::rules::{
    A2_DECLARED, A14_BODY, A14_CENTS, A14_DATE, A14_EXTERNAL_ID, A14_FINAL, A14_LINKED, A14_NEGATIVE, A14_PERIOD,
    A14_RULE_1, A14_RULE_2, A14_RULE_3, A14_RULE_5, A14_WINDOW, A15_INVOICE, A16_ACTION, A16_BODY, A16_CENTS,
    A16_INVOICE, A16_REASON, A16_REQUESTED, A16_TOTAL, LIMIT_ROWS, Rule,
};
use crate::switches::RefundTotal;
use crate::wire::{Datetime, Decimal, Discount, LineItem, Period, bounded, read};
use crate::world::World;

/// The most characters of an invoice's `externalId` and of a refund's reason.
pub(crate) const TEXT_CHARS_MAX: usize = 1_024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SubmitBody {
    external_id: Option<String>,
    invoice_date: Datetime,
    memo: Option<String>,
    period: Period,
    items: Vec<LineItem>,
    #[serde(default)]
    discounts: Vec<Discount>,
    #[serde(default, rename = "final")]
    is_final: bool,
    test: Option<TestBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestBody {
    validate: Option<bool>,
    result: Option<Payment>,
}

impl SubmitBody {
    /// sum(items.total) - sum(discounts.amount), in cents (spec F, Totals).
    fn total_cents(&self) -> Result<i128, Refusal> {
        let cents = |amount: &Decimal| amount.cents().ok_or_else(|| A14_CENTS.refuse());
        let items = self.items.iter().map(|item| cents(&item.total)).sum::<Result<i128, _>>()?;
        let discounts = self.discounts.iter().map(|discount| cents(&discount.amount)).sum::<Result<i128, _>>()?;
        if discounts > items { Err(A14_NEGATIVE.refuse()) } else { Ok(items - discounts) }
    }

    fn check_shape(&self) -> Result<(), Refusal> {
        bounded("items", &self.items)?;
        bounded("discounts", &self.discounts)?;
        if self.period.start >= self.period.end {
            return Err(A14_PERIOD.refuse());
        }
        if self.invoice_date < self.period.start || self.invoice_date > self.period.end {
            return Err(A14_DATE.refuse());
        }
        let is_long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX);
        if is_long(&self.external_id) || self.external_id.as_deref() == Some("") {
            return Err(A14_EXTERNAL_ID.refuse());
        }
        self.total_cents().map(|_| ())
    }

    /// Rule 5: `externalId` is unique in the installation.
    fn check_external_id(&self, world: &World, id: &str) -> Result<(), Refusal> {
        let Some(wanted) = &self.external_id else { return Ok(()) };
        let mut invoices = world.invoices.under(&format!("{id}/"));
        if invoices.any(|(_, invoice)| !invoice.is_test && invoice.external_id.as_ref() == Some(wanted)) {
            return Err(A14_RULE_5.because(format!("{wanted:?}")));
        }
        Ok(())
    }

    /// Whether the installation takes an invoice now, and `final` makes sense (spec F, Uninstall).
    fn check_life(&self, world: &World, call: &Call, id: &str) -> Result<(), Refusal> {
        let row = installation(world, id)?;
        let is_uninstalling = row.life == Life::Uninstalling;
        if self.is_final && !is_uninstalling {
            return Err(A14_FINAL.refuse());
        }
        if is_uninstalling && row.no_more_invoices {
            return Err(A2_DECLARED.refuse());
        }
        if is_uninstalling && window_end(row).is_some_and(|end| call.now >= end) {
            return Err(A14_WINDOW.refuse());
        }
        Ok(())
    }

    /// Rules 1 to 3, for every line.
    fn check_lines(&self, world: &World, id: &str) -> Result<(), Refusal> {
        let items = self.items.iter().map(|item| (item.resource_id.as_deref(), item.billing_plan_id.as_str()));
        let discounts = self.discounts.iter().map(|it| (it.resource_id.as_deref(), it.billing_plan_id.as_str()));
        for (resource_id, plan_id) in items.clone().chain(discounts) {
            self.check_plan(world, id, resource_id, plan_id)?;
        }
        for (resource_id, plan_id) in items {
            self.check_first_bill(world, id, resource_id, plan_id)?;
        }
        Ok(())
    }

    /// Rules 2 and 3: the plan was active in the period, and is a subscription.
    fn check_plan(&self, world: &World, id: &str, resource_id: Option<&str>, plan_id: &str) -> Result<(), Refusal> {
        let span = if let Some(resource_id) = resource_id {
            let Some(resource) = world.resources.get(&format!("{id}/{resource_id}")) else {
                return Err(A14_RULE_2.because(format!("the installation has no resource {resource_id:?}")));
            };
            if resource.ownership == Ownership::Linked {
                return Err(A14_LINKED.because(format!("{resource_id:?}")));
            }
            let of_installation = &installation(world, id)?.plans;
            active(&resource.plans, plan_id, &self.period).or_else(|| active(of_installation, plan_id, &self.period))
        } else {
            // An installation-wide line may name any plan that the installation or one of its resources had.
            let resources = world.resources.under(&format!("{id}/")).map(|(_, row)| row.plans.as_slice());
            let all = std::iter::once(installation(world, id)?.plans.as_slice()).chain(resources);
            all.flatten().find(|span| span.plan_id == plan_id)
        };
        let subject = resource_id.map_or_else(|| "this installation".to_owned(), |id| format!("resource {id:?}"));
        match span {
            None => Err(A14_RULE_2.because(format!("plan {plan_id:?} on {subject}"))),
            Some(span) if span.plan_type != "subscription" => Err(A14_RULE_3.because(format!("{plan_id:?}"))),
            Some(_) => Ok(()),
        }
    }

    /// Rule 1: one bill per resource, plan and period.
    fn check_first_bill(
        &self,
        world: &World,
        id: &str,
        resource_id: Option<&str>,
        plan_id: &str,
    ) -> Result<(), Refusal> {
        let is_same = |item: &LineItem| item.resource_id.as_deref() == resource_id && item.billing_plan_id == plan_id;
        let billed =
            |invoice: &Invoice| !invoice.is_test && invoice.period == self.period && invoice.items.iter().any(is_same);
        if resource_id.is_some() && world.invoices.under(&format!("{id}/")).any(|(_, invoice)| billed(invoice)) {
            let subject = resource_id.unwrap_or_default();
            return Err(A14_RULE_1.because(format!("resource {subject:?}, plan {plan_id:?}")));
        }
        Ok(())
    }

    fn check(&self, world: &World, call: &Call, id: &str) -> Result<(), Refusal> {
        self.check_shape()?;
        self.check_external_id(world, id)?;
        self.check_life(world, call, id)?;
        self.check_lines(world, id)
    }

    fn into_invoice(self, invoice_id: String, installation_id: &str, total: Decimal, now: jiff::Timestamp) -> Invoice {
        Invoice {
            invoice_id,
            installation_id: installation_id.to_owned(),
            external_id: self.external_id,
            state: InvoiceState::Pending,
            invoice_date: self.invoice_date,
            memo: self.memo,
            period: self.period,
            items: self.items,
            discounts: self.discounts,
            total,
            created: now,
            updated: now,
            is_final: self.is_final,
            is_test: self.test.is_some(),
            test_result: self.test.and_then(|test| test.result),
            sent: false,
            invoiced_at: None,
            paid_at: None,
            failed_attempts: 0,
            refund_requested: None,
            refund_total: None,
            refund_last: None,
            refund_reason: None,
            refunded_at: None,
            due: Some(later(now, STEP)),
        }
    }
}

/// A.14.
pub(crate) fn submit(simulator: &Inner, call: &Call, id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        let body: SubmitBody = read(A14_BODY, &call.body)?;
        let checked = body.check(world, call, id);
        match (&body.test, checked) {
            (Some(TestBody { validate: Some(false), .. }), _) | (_, Ok(())) => {}
            // A 200 can carry validationErrors and no invoiceId, in test mode.
            (Some(_), Err(refusal)) => {
                let answer = json!({ "test": true, "validationErrors": [refusal.message] });
                return Ok(json_response(StatusCode::OK, &answer));
            }
            (None, Err(refusal)) => return Err(refusal),
        }
        if world.invoices.under(&format!("{id}/")).count() >= ROWS_EACH_MAX {
            return Err(LIMIT_ROWS.because("invoices"));
        }
        let total = Decimal::from_cents(body.total_cents()?);
        let (is_final, is_test) = (body.is_final, body.test.is_some());
        // Named by the externalId where there is one, so that parallel submissions get the same ids again.
        let name = match &body.external_id {
            Some(external_id) if !is_test => format!("invoice/{id}/external/{external_id}"),
            _ => format!("invoice/{id}/{}", world.count(&format!("invoice/{id}"))),
        };
        let invoice_id = format!("mi_{}", world.seed.letters(&name, 24));
        let invoice = body.into_invoice(invoice_id.clone(), id, total, call.now);
        world.invoices.put(&format!("{id}/{invoice_id}"), invoice);
        if is_final && !is_test {
            world.installations.update(id, |row| row.no_more_invoices = true);
            finalize_if_over(world, id, call.now);
        }
        let answer =
            if is_test { json!({ "invoiceId": invoice_id, "test": true }) } else { json!({ "invoiceId": invoice_id }) };
        Ok(json_response(StatusCode::OK, &answer))
    })
}

/// An invoice as A.15 shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InvoiceView<'a> {
    invoice_id: &'a str,
    state: InvoiceState,
    invoice_date: Datetime,
    period: Period,
    total: &'a Decimal,
    items: &'a [LineItem],
    created: jiff::Timestamp,
    updated: jiff::Timestamp,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    test: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memo: &'a Option<String>,
    #[serde(skip_serializing_if = "<[Discount]>::is_empty")]
    discounts: &'a [Discount],
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_total: &'a Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_reason: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refunded_at: Option<jiff::Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_at: Option<jiff::Timestamp>,
}

fn find<'a>(world: &'a World, rule: Rule, id: &str, invoice_id: &str) -> Result<&'a Invoice, Refusal> {
    world.invoices.get(&format!("{id}/{invoice_id}")).ok_or_else(|| rule.refuse())
}

/// A.15.
pub(crate) fn get(simulator: &Inner, call: &Call, id: &str, invoice_id: &str) -> Answer {
    simulator.store.read(|world| {
        authorize(world, call, id)?;
        let row = find(world, A15_INVOICE, id, invoice_id)?;
        let switches = world.switches();
        let refund_total = match switches.refund_total {
            // A journal of an earlier release has no last one.
            RefundTotal::Last if row.refund_last.is_some() => &row.refund_last,
            RefundTotal::Cumulative | RefundTotal::Last => &row.refund_total,
            RefundTotal::Absent => &None,
        };
        let view = InvoiceView {
            invoice_id,
            state: row.state,
            invoice_date: row.invoice_date,
            period: row.period,
            total: &switches.taxed(&row.total),
            items: &row.items,
            created: row.created,
            updated: row.updated,
            test: row.is_test,
            external_id: &row.external_id,
            memo: &row.memo,
            discounts: &row.discounts,
            refund_total: &switches.given_back(refund_total.as_ref()),
            refund_reason: &row.refund_reason,
            refunded_at: row.refunded_at,
            paid_at: row.paid_at,
        };
        Ok(json_response(StatusCode::OK, &view))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundBody {
    action: String,
    reason: String,
    total: Decimal,
}

/// A.16. Only a refund under way blocks another one; all of them together stay within the invoice.
pub(crate) fn refund(simulator: &Inner, call: &Call, id: &str, invoice_id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        let body: RefundBody = read(A16_BODY, &call.body)?;
        let row = find(world, A16_INVOICE, id, invoice_id)?;
        if body.action != "refund" {
            return Err(A16_ACTION.because(format!("{:?}", body.action)));
        }
        if body.reason.trim().is_empty() || body.reason.chars().count() > TEXT_CHARS_MAX {
            return Err(A16_REASON.refuse());
        }
        if row.state == InvoiceState::RefundRequested {
            return Err(A16_REQUESTED.refuse());
        }
        let cents = body.total.cents().ok_or_else(|| A16_CENTS.refuse())?;
        let given = row.refund_total.as_ref().and_then(Decimal::cents).unwrap_or_default();
        if given + cents > world.switches().taxed(&row.total).cents().unwrap_or_default() {
            return Err(A16_TOTAL.refuse());
        }
        world.invoices.update(&format!("{id}/{invoice_id}"), |row| {
            row.state = InvoiceState::RefundRequested;
            row.refund_requested = Some(Decimal::from_cents(cents));
            row.refund_reason = Some(body.reason);
            row.updated = call.now;
            row.due = Some(later(call.now, STEP));
        });
        Ok(empty_response(StatusCode::NO_CONTENT))
    })
}
