//! `POST /_sim/installations/{id}/purchases`: a customer buys prepaid credit.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::control::installations::live;
use crate::control::{Act, Answer, Passing};
use crate::engine::purchases::{self, Order, plan_cents, plan_of};
use crate::model::Payment;
use crate::partner::ReplyView;
use crate::refusal::{Refusal, json_response};
use crate::wire::Decimal;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PurchaseBody {
    /// Without one, credit for the whole installation.
    resource_id: Option<String>,
    /// In USD.
    amount: Decimal,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bought {
    invoice_id: String,
    partner: Option<ReplyView>,
}

/// Makes and collects the invoice, then B.14 as the installer. A provider that cannot act is asked again, by
/// the clock and by a repeat, under the same key; one that refuses leaves a paid invoice behind, to be
/// refunded.
pub(crate) async fn buy(act: &Act<'_>, id: &str, body: PurchaseBody) -> Answer {
    let simulator = act.simulator;
    let row = live(simulator, id)?;
    if row.payment != Payment::Paid {
        return Err(Refusal::conflict("this customer does not pay; see /payment"));
    }
    let resource_id = body.resource_id.as_deref();
    let (key, invoice_id) = simulator.store.write(|world| {
        let none = || Refusal::bad_request("there is no such resource on a prepayment plan, or no such plan");
        let plan = plan_of(world, id, resource_id).ok_or_else(none)?;
        let amount = body.amount.cents().filter(|cents| *cents > 0);
        let amount = amount.ok_or_else(|| Refusal::bad_request("amount is above zero, with two decimals at most"))?;
        let is_low = plan_cents(&plan, "minimumAmount").is_some_and(|least| amount < least);
        let is_high = plan_cents(&plan, "maximumAmount").is_some_and(|most| amount > most);
        if is_low || is_high {
            return Err(Refusal::bad_request("amount is not between the plan's minimumAmount and maximumAmount"));
        }
        let order = Order { resource_id, plan: &plan, amount, automatic: false, name: &act.name };
        let key = purchases::buy(world, id, &order, simulator.now())?;
        let invoice_id = world.purchases.get(&key).map(|row| row.invoice_id.clone()).unwrap_or_default();
        Ok((key, invoice_id))
    })?;
    let reply = simulator.provision_purchase(&key).await?;
    let bought = Bought { invoice_id, partner: reply.as_ref().map(crate::partner::Reply::view) };
    let mut response = json_response(StatusCode::CREATED, &bought);
    if reply.is_none_or(|reply| reply.is_passing()) {
        response.extensions_mut().insert(Passing);
    }
    Ok(response)
}
