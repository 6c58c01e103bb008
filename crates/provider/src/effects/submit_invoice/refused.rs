//! An invoice that Vercel refuses (A.14: 400, 422).
//!
//! Most often it names a plan that Vercel has never seen on the resource in the period (rule 2): a change of which the
//! answer was lost or the news have not been read, and the period ended before they were. To be told of the plan now
//! does not make it one of that period, so it would be refused for ever. Therefore:
//!
//! 1. It is tried again as it is, for as long as news of the installation's resources wait, up to [`NEWS_WAIT`], or it
//!    is not clear whether Vercel knows a resource at all (`installations::confirm`).
//! 2. Then its lines are put under the plans that the resources were made with, for the whole installation: those Vercel
//!    has seen. Lines of no resource, and of one that Vercel was never seen to know, go under one of these. What the
//!    customer pays stays the same, each line says what it is of. Lines of a resource that was taken back meanwhile go;
//!    if too little is left, that is carried on instead.
//! 3. If that is refused too, it is tried again until [`REFUSED_FOR`] is over; then it is a dead letter.
//!
//! A 400 or 422 without Vercel's envelope is an outage, and no invoice is dead for it. But if it stays for
//! [`NEWS_WAIT`] it may well be such a refusal: then 2. is done, which harms nobody, and the invoice is tried for as
//! long as it takes.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use tradepost_marketplace::client::ClientError;
use tradepost_marketplace::ids::{InstallationId, PlanId, ResourceId};
use tradepost_marketplace::money::Money;
use tradepost_marketplace::wire::{Discount, INVOICE_MIN, LineItem};
use tradepost_store::{Stored, Write};

use crate::delivery::Outcome;
use crate::edge::ApiError;
use crate::effects::what::{Effect, What};
use crate::installed;
use crate::invoice::{CARRIED_NAME, entry_write, lines};
use crate::outbox::{Class, Reason};
use crate::provider::Provider;
use crate::slice;
use crate::state::{
    CarriedAmount, Installation, InvoicePhase, InvoiceRecord, Known, Refused, Resource, SignedMoney, keys,
};
use tradepost_pricing::catalog::PlanType;
use tradepost_pricing::ledger::Entry;

/// For how long a refused invoice waits for news that Vercel has yet to be told.
const NEWS_WAIT: SignedDuration = SignedDuration::from_hours(2);
/// For how long a refused invoice is tried again.
const REFUSED_FOR: SignedDuration = SignedDuration::from_hours(24);
/// How many effects are looked through for news.
const LOOK_MAX: usize = 100;

/// Refused for good: a person must act.
pub(super) fn rejected(mut stored: Stored<InvoiceRecord>, reason: Reason) -> Result<Outcome, ApiError> {
    stored.item.phase = InvoicePhase::Rejected;
    Ok(Outcome::Dead { reason, writes: vec![Write::replace(&stored.item, stored.version)?] })
}

/// What is done after a refusal.
pub(super) async fn again(
    provider: &Provider,
    installation: &Installation,
    mut stored: Stored<InvoiceRecord>,
    error: &ClientError,
) -> Result<Outcome, ApiError> {
    let now = provider.clock.now();
    let before = stored.item.refused.unwrap_or(Refused { since: now, times: 0, is_revised: false });
    let mut refused = Refused { times: before.times + 1, ..before };
    let age = now.duration_since(refused.since);
    let reason = Reason::said(error);
    let is_answer = !matches!(error, ClientError::Foreign(_));
    if refused.is_revised && age > REFUSED_FOR && is_answer {
        return rejected(stored, reason);
    }
    let id = stored.installation.clone();
    // After an uninstall it has 24 h, and so has what waits behind it.
    let patience = if installation.uninstalled_at.is_some() { NEWS_WAIT } else { REFUSED_FOR };
    let is_young = refused.times < 2 || (!is_answer && age < NEWS_WAIT);
    let waits = is_young || (age < patience && has_news(provider, &id, age).await?);
    let mut after = None;
    if refused.is_revised {
        tracing::error!(invoice.id = %stored.external_id, refused.times, reason = %reason, "an invoice is refused again and again");
    } else if !waits {
        let (items, discounts) = revised(provider, &stored).await?;
        let cents = items
            .iter()
            .map(|line| line.total.money())
            .chain(discounts.iter().map(|it| it.amount.money().map(|amount| -amount)));
        let total: Money = cents.sum::<Result<_, _>>().map_err(ApiError::internal)?;
        // Without an answer it may be there already, as it is: no other amount goes out, nor on to the next invoice.
        if is_answer || total == stored.total {
            let message = "an invoice goes out under the resources' first plans";
            tracing::warn!(invoice.id = %stored.external_id, reason = %reason, "{message}");
            if total < INVOICE_MIN {
                return carried(provider, stored, total).await;
            }
            refused.is_revised = true;
            stored.item.total = total;
            stored.item.lines = lines::write(provider, &id, stored.number, &items, &discounts).await?;
            after = Some(SignedDuration::ZERO);
        }
    }
    stored.item.refused = Some(refused);
    Ok(Outcome::Later { reason, after, writes: vec![Write::replace(&stored.item, stored.version)?] })
}

/// Whether Vercel has yet to be told of a resource, or to say whether it knows one.
async fn has_news(provider: &Provider, id: &InstallationId, age: SignedDuration) -> Result<bool, ApiError> {
    let now = provider.clock.now();
    let raws =
        provider.store.query_after(&keys::collection(id), &Class::State.effects_prefix(), None, LOOK_MAX).await?;
    for raw in raws {
        let effect = raw.decode::<Effect>()?.item;
        let waits = match effect.what {
            What::ResourceUpdated { .. } => age < NEWS_WAIT && effect.owed_since() <= now,
            What::ConfirmResource { .. } => true,
            _ => false,
        };
        if waits {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The same lines, for the whole installation, under the first plan of each resource.
async fn revised(provider: &Provider, stored: &InvoiceRecord) -> Result<(Vec<LineItem>, Vec<Discount>), ApiError> {
    let (mut items, mut discounts) = lines::read(provider, stored).await?;
    let named = items.iter().map(|line| &line.resource_id).chain(discounts.iter().map(|it| &it.resource_id));
    let mut first: BTreeMap<ResourceId, First> =
        named.flatten().map(|resource| (resource.clone(), First::default())).collect();
    for (resource, plan) in &mut first {
        let key = Resource::key_of(&stored.installation, resource);
        let Some(held) = provider.store.get::<Resource>(&key).await? else { continue };
        if held.life.is_void() {
            items.retain(|line| line.resource_id.as_ref() != Some(resource));
            discounts.retain(|discount| discount.resource_id.as_ref() != Some(resource));
            continue;
        }
        *plan = First { plan: first_plan(provider, &held)?, is_seen: is_seen(&held) };
    }
    let seen = first.values().find(|first| first.is_seen).and_then(|first| first.plan.clone());
    let (mut some, mut perhaps) = (seen, None);
    if some.is_none() {
        (some, perhaps) = any_plans(provider, &stored.installation).await?;
    }
    let place = |resource: &mut Option<ResourceId>, plan: &mut PlanId, details: &mut Option<String>| {
        let of = resource.as_ref().and_then(|id| first.get_key_value(id));
        let of_own =
            |is_seen| of.filter(|(_, first)| first.is_seen == is_seen).and_then(|(_, first)| first.plan.as_ref());
        // If Vercel was seen to know nothing at all, there is nothing better than what it may know.
        let known = of_own(true).or(some.as_ref()).or_else(|| of_own(false)).or(perhaps.as_ref());
        let Some(known) = known else { return };
        if let Some((id, _)) = of {
            let said = details.take().map_or_else(String::new, |said| format!("{said}, "));
            *details = Some(format!("{said}{plan} on {id}"));
        }
        plan.clone_from(known);
        *resource = None;
    };
    for line in &mut items {
        place(&mut line.resource_id, &mut line.billing_plan_id, &mut line.details);
    }
    for discount in &mut discounts {
        place(&mut discount.resource_id, &mut discount.billing_plan_id, &mut discount.details);
    }
    Ok((items, discounts))
}

/// Too little is left for an invoice: it is not submitted, and what is left is carried on, or written off after the last.
async fn carried(provider: &Provider, mut stored: Stored<InvoiceRecord>, total: Money) -> Result<Outcome, ApiError> {
    let now = provider.clock.now();
    let (id, cause) = (stored.installation.clone(), stored.external_id.to_string());
    let earned = total - stored.carried_in.money();
    let memo = "not invoiced: Vercel does not know the resource";
    let mut entries = vec![Entry::carried(&cause, now, earned, memo)];
    let mut writes = Vec::new();
    if stored.is_final {
        entries.push(Entry::written_off(&cause, now, total, memo));
    } else {
        let mut installation = installed::installation(provider, &id).await?;
        installation.item.carry(CarriedAmount { amount: total.into(), resource: None, name: CARRIED_NAME.to_owned() });
        writes.push(Write::replace(&installation.item, installation.version)?);
    }
    for entry in entries {
        writes.extend(entry_write(&id, entry.map_err(ApiError::internal)?)?);
    }
    stored.item.phase = InvoicePhase::Abandoned;
    stored.item.carried_in = SignedMoney::ZERO;
    writes.push(Write::replace(&stored.item, stored.version)?);
    Ok(Outcome::Done(writes))
}

/// What a resource's lines may go under.
#[derive(Default)]
struct First {
    plan: Option<PlanId>,
    /// Whether Vercel was seen to know the resource.
    is_seen: bool,
}

fn is_seen(resource: &Resource) -> bool {
    resource.life.known_to_vercel() == Some(Known::Yes)
}

/// A plan of a resource that Vercel was seen to know, and one of a resource that it may know.
async fn any_plans(provider: &Provider, id: &InstallationId) -> Result<(Option<PlanId>, Option<PlanId>), ApiError> {
    let (mut some, mut perhaps) = (None, None);
    let slice = slice::read(provider, id).await?;
    let resources = slice.iter().flat_map(|slice| &slice.resources).filter(|resource| !resource.life.is_void());
    for resource in resources {
        let found = if is_seen(resource) { &mut some } else { &mut perhaps };
        if found.is_none() {
            *found = first_plan(provider, resource)?;
        }
    }
    Ok((some, perhaps))
}

/// The plan that a resource was made with, or had next, if that is one to be invoiced.
fn first_plan(provider: &Provider, resource: &Resource) -> Result<Option<PlanId>, ApiError> {
    let catalog = provider.catalog()?;
    let is_invoiced = |plan: &&PlanId| catalog.plan(plan).is_some_and(|plan| plan.kind == PlanType::Subscription);
    Ok(resource.segments.iter().map(|segment| &segment.plan).find(is_invoiced).cloned())
}
