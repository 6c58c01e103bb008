//! The table, Vercel and the history's own memory against each other.
//!
//! [`look`] is done now and then while the history goes on: the totals are the sums of what was accepted, every entry
//! of the ledger balances, nothing lies in another's collection. [`judge`] is done after the calm: everything is
//! delivered, and every cent is where it belongs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tradepost_marketplace::ids::InstallationId;
use tradepost_provider::effects::Effect;
use tradepost_provider::ledger::{Account, Balances, Entry};
use tradepost_provider::outbox::Owed as _;
use tradepost_provider::state::segments::pending;
use tradepost_provider::state::{
    Installation, InstallationStatus, InvoiceRecord, LedgerEntry, Life, MeterTotal, Resource, UsageBatch, keys,
};
use tradepost_store::{Key, Raw, Record, Write};

use super::bill::{bill, figure};
use super::check::{cents, invoices, rows, state, text};
use super::model::{Customer, Fate, Period, Reading, Segment};
use super::play::Play;
use super::sabotage::Sabotage;
use crate::demo::readings::{Meter, decimal, parse_decimal};

/// The most pages of a collection that are read.
const PAGES_MAX: usize = 64;

/// What waits on purpose and is due later than this is not owed yet.
const SOON: SignedDuration = SignedDuration::from_hours(6);

/// What the table has of one installation.
struct Held {
    installation: Installation,
    resources: Vec<Resource>,
    totals: Vec<MeterTotal>,
    batches: Vec<UsageBatch>,
    invoices: Vec<InvoiceRecord>,
    /// Entries as they lie there, whether they balance or not.
    ledger: Vec<Raw>,
    effects: Vec<Effect>,
}

impl Held {
    async fn of(play: &Play, id: &str) -> anyhow::Result<Option<Self>> {
        let collection = keys::collection(&InstallationId::new(id)?);
        let raws = play.stage.bare.query(&collection, "", PAGES_MAX).await?;
        let mut installation = None;
        let (mut resources, mut totals, mut batches) = (Vec::new(), Vec::new(), Vec::new());
        let (mut invoices, mut ledger, mut effects) = (Vec::new(), Vec::new(), Vec::new());
        for raw in raws {
            match raw.kind.as_str() {
                Installation::KIND => installation = Some(raw.into_record::<Installation>()?.item),
                Resource::KIND => resources.push(raw.into_record::<Resource>()?.item),
                MeterTotal::KIND => totals.push(raw.into_record::<MeterTotal>()?.item),
                UsageBatch::KIND => batches.push(raw.into_record::<UsageBatch>()?.item),
                InvoiceRecord::KIND => invoices.push(raw.into_record::<InvoiceRecord>()?.item),
                LedgerEntry::KIND => ledger.push(raw),
                Effect::KIND => effects.push(raw.into_record::<Effect>()?.item),
                _ => {}
            }
        }
        Ok(installation.map(|installation| Self {
            installation,
            resources,
            totals,
            batches,
            invoices,
            ledger,
            effects,
        }))
    }

    /// Every entry; those that do not balance are violations.
    fn entries(&self, wrong: &mut Vec<String>) -> Vec<Entry> {
        let mut entries = Vec::new();
        for raw in &self.ledger {
            match raw.decode::<LedgerEntry>() {
                Ok(stored) => entries.push(stored.item.entry),
                Err(error) => wrong.push(format!("debits equal credits: {} does not: {error}", raw.key.sk)),
            }
        }
        entries
    }

    /// Remembers what the table will forget.
    fn show(&self, customer: &mut Customer) {
        for resource in self.resources.iter().filter(|resource| resource.life != Life::Reserved) {
            if resource.life.is_void() {
                // Vercel never knew it: nobody pays for it.
                customer.segments.remove(resource.id.as_str());
                continue;
            }
            let segment = |it: &tradepost_provider::period::Segment| Segment {
                plan: it.plan.to_string(),
                start: it.start,
                end: it.end,
            };
            let segments = resource.segments.iter().map(segment).collect();
            customer.segments.insert(resource.id.to_string(), segments);
        }
        let closed = self.installation.closed_periods.iter();
        customer.closed.extend(closed.map(|period| Period { start: period.start, end: period.end }));
        for batch in &mut customer.batches {
            // Nobody was told: the table says whether it got in.
            if batch.fate == Fate::Unknown
                && let Some(kept) = self.batches.iter().find(|kept| kept.batch == batch.id)
            {
                let answer: Value = serde_json::from_str(&kept.answer).unwrap_or_default();
                let refused = rows(&answer, "refused").iter();
                batch.refused = refused.map(|refused| text(refused, "id").to_owned()).collect();
                batch.fate = Fate::Done;
            }
        }
    }
}

/// Looks into the table while the history goes on.
pub(super) async fn look(play: &mut Play) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for at in 0..play.customers.len() {
        let Some(customer) = play.customers.get(at) else { continue };
        let Some(held) = Held::of(play, &customer.id).await? else { continue };
        if let Some(customer) = play.customers.get_mut(at) {
            held.show(customer);
            metered(&held, customer, &mut wrong);
        }
        held.entries(&mut wrong);
    }
    for what in wrong {
        play.wrong(what);
    }
    Ok(())
}

/// What is metered is what was accepted, to the last digit; and whoever was told that it was, was told the truth.
fn metered(held: &Held, customer: &Customer, wrong: &mut Vec<String>) {
    for batch in customer.batches.iter().filter(|batch| batch.fate == Fate::Done) {
        if !held.batches.iter().any(|kept| kept.batch == batch.id) {
            wrong.push(format!("what is billed equals what was metered: {} was acknowledged and is gone", batch.id));
        }
    }
    let mut totals: BTreeMap<(String, String, jiff::Timestamp), i128> = BTreeMap::new();
    let meters: BTreeMap<&str, Meter> = Meter::ALL.into_iter().map(|meter| (meter.id(), meter)).collect();
    for total in &held.totals {
        let nano = total.aggregate.period_value().nano();
        let sum = totals.entry((total.resource.to_string(), total.meter.clone(), total.period_start)).or_default();
        *sum = meters.get(total.meter.as_str()).map_or(*sum, |meter| meter.join(*sum, nano));
    }
    let counted = customer.counted();
    let mut periods = customer.closed.clone();
    let now = held.installation.period_end.max(held.installation.period_start);
    periods.extend(held.installation.open_periods(now).iter().map(|it| Period { start: it.start, end: it.end }));
    for ((resource, meter, start), found) in totals {
        let Some(period) = periods.iter().find(|period| period.start == start) else { continue };
        let is_own = |reading: &&&Reading| reading.resource == resource && period.contains(reading.at);
        let Some(kind) = meters.get(meter.as_str()) else { continue };
        let wanted = figure(*kind, counted.iter().filter(is_own).copied());
        if wanted != found {
            let (wanted, found) = (decimal(wanted), decimal(found));
            wrong.push(format!(
                "what is billed equals what was metered: {meter} of {resource} from {start} is {found}, accepted was {wanted}"
            ));
        }
    }
}

/// Every item in a collection names only the collection's own installation.
fn foreign(play: &Play, wrong: &mut Vec<String>) -> anyhow::Result<()> {
    let ids: Vec<&str> = play.customers.iter().map(|customer| customer.id.as_str()).collect();
    for item in play.stage.table.dump()? {
        let Some(owner) = item["pk"]["S"].as_str().and_then(|pk| pk.strip_prefix("I#")) else { continue };
        let shown = item.to_string();
        for other in ids.iter().filter(|id| **id != owner && shown.contains(**id)) {
            wrong.push(format!("no tenant sees another: {} of {owner} names {other}", item["sk"]["S"]));
        }
    }
    Ok(())
}

/// What is still owed to anybody: effects, dead letters, commands in progress.
pub(super) async fn owed(play: &Play) -> anyhow::Result<Vec<String>> {
    let mut owed = Vec::new();
    // What is to happen later, such as a plan that begins with the next month, is not owed yet.
    let soon = play.stage.now().saturating_add(SOON)?;
    for customer in &play.customers {
        let Some(held) = Held::of(play, &customer.id).await? else { continue };
        for effect in held.effects.iter().filter(|effect| effect.owed_since() <= soon) {
            let why = effect.last_failure.as_ref().map_or_else(|| "never tried".to_owned(), ToString::to_string);
            let dead = if effect.dead { "dead" } else { "waiting" };
            let (name, tries) = (effect.what.name(), effect.attempts);
            owed.push(format!("{name} of {}, {dead} after {tries} tries: {why}", customer.id));
        }
        let busy = held.resources.iter().filter(|resource| resource.operation.is_some());
        owed.extend(busy.map(|resource| format!("a command in progress on {}", resource.id)));
        if held.installation.closing.is_some() {
            owed.push(format!("a close of {}", customer.id));
        }
        let leaving = customer.leaves.is_some() && held.installation.status != InstallationStatus::Finalized;
        if leaving && held.installation.status != InstallationStatus::Active {
            owed.push(format!("the end of {}, which is {:?}", customer.id, held.installation.status));
        }
    }
    Ok(owed)
}

/// The judgement.
pub(super) async fn judge(play: &mut Play) -> anyhow::Result<()> {
    look(play).await?;
    let state = state(&play.stage).await?;
    let mut wrong = super::check::all(&play.stage, &play.customers, &state);
    foreign(play, &mut wrong)?;
    wrong.extend(owed(play).await?.into_iter().map(|what| format!("the outbox drains: left is {what}")));
    let known: BTreeSet<&str> = rows(&state, "installations").iter().map(|row| text(row, "id")).collect();
    let mut there = 0;
    for customer in &play.customers {
        let Some(held) = Held::of(play, &customer.id).await? else { continue };
        there += held.resources.iter().filter(|resource| resource.life.is_there()).count();
        if !known.contains(customer.id.as_str()) {
            continue;
        }
        books(&held, customer, &state, &mut wrong);
        money(&held, customer, &state, &mut wrong);
        agreed(play, &held, customer, &state, &mut wrong);
        if held.installation.status == InstallationStatus::Active {
            interim(&held, customer, &state, &mut wrong);
        }
        let own: Vec<&Value> = invoices(&state, &customer.id).collect();
        play.stage.fate.count("invoices", u64::try_from(own.len())?);
        let refunded = own.iter().filter(|row| cents(&row["refundTotal"]) > 0).count();
        play.stage.fate.count("invoices refunded", u64::try_from(refunded)?);
        let months: BTreeSet<_> = customer.closed.iter().map(|period| Play::month_after(period.start)).collect();
        play.stage.fate.count("months billed", u64::try_from(months.len())?);
        let void = held.resources.iter().filter(|resource| resource.life.is_void()).count();
        play.stage.fate.count("resources taken back", u64::try_from(void)?);
        let revised = held.invoices.iter().filter(|record| record.refused.is_some_and(|refused| refused.is_revised));
        play.stage.fate.count("invoices revised", u64::try_from(revised.count())?);
    }
    // With what `agreed` says of each, so it is the other way round: the provisioner has nothing that nobody has.
    let made = play.stage.provisioner.resources();
    if made != there {
        wrong.push(format!("what exists is somebody's: the provisioner has {made} resources, the table {there}"));
    }
    for delivery in rows(&state, "webhooks").iter().filter(|row| text(row, "state") == "dropped") {
        wrong.push(format!("webhooks get through in 24 hours: {} was dropped", text(delivery, "type")));
    }
    for what in wrong {
        play.wrong(what);
    }
    Ok(())
}

/// The ledger balances, and says of every invoice what Vercel says.
fn books(held: &Held, customer: &Customer, state: &Value, wrong: &mut Vec<String>) {
    let entries = held.entries(wrong);
    let Ok(balances) = Balances::of(&entries) else {
        return wrong.push(format!("debits equal credits: the ledger of {} does not add up", customer.id));
    };
    let sum: i64 = balances.iter().map(|(_, balance)| balance.cents()).sum();
    if sum != 0 {
        wrong.push(format!("debits equal credits: {} of {sum} cents in {}", "a difference", customer.id));
    }
    let (mut settled, mut receivable, mut refunds) = (0, 0, 0);
    for invoice in invoices(state, &customer.id) {
        let back = cents(&invoice["refundTotal"]);
        let side = if invoice["paidAt"].is_null() { &mut receivable } else { &mut settled };
        *side += cents(&invoice["total"]) - back;
        refunds += back;
    }
    let waiting = held.invoices.iter().filter(|record| !record.booked_issued && !record.is_test);
    let carried: i64 = held.installation.carried.iter().map(|carried| carried.amount.cents()).sum::<i64>()
        + waiting.map(|record| record.carried_in.cents()).sum::<i64>();
    for (account, wanted) in [
        (Account::Settled, settled),
        (Account::Receivable, receivable),
        (Account::Refunds, refunds),
        (Account::Carried, i128::from(carried)),
    ] {
        let found = i128::from(balances.debit(account).cents());
        if found != wanted {
            wrong.push(format!(
                "the ledger says what Vercel says: {account} of {} is {found} cents, at Vercel it is {wanted}",
                customer.id
            ));
        }
    }
}

/// Every cent that was metered, fixed or adjusted is on an invoice, carried to the next one, or written off.
fn money(held: &Held, customer: &Customer, state: &Value, wrong: &mut Vec<String>) {
    let counted = customer.counted();
    let mut wanted = 0;
    let mut parts = Vec::new();
    for period in &customer.closed {
        let mut of_period = 0;
        for (resource, segments) in &customer.segments {
            let own: Vec<&Reading> = counted.iter().filter(|reading| reading.resource == *resource).copied().collect();
            of_period += bill(segments, &own, *period);
        }
        wanted += of_period;
        parts.push(format!("{} to {}: {of_period}", period.start, period.end));
    }
    let entries = held.entries(&mut Vec::new());
    for adjustment in &customer.adjustments {
        let times = entries.iter().filter(|entry| entry.memo == adjustment.name).count();
        if times > 1 || (adjustment.fate == Fate::Done && times == 0) {
            wrong
                .push(format!("what is acknowledged happens once: {} is {times} times in the ledger", adjustment.name));
        }
        if times > 0 {
            wanted += adjustment.cents;
            parts.push(format!("{}: {}", adjustment.name, adjustment.cents));
        }
    }
    let invoiced: i128 = invoices(state, &customer.id).map(|row| cents(&row["total"])).sum();
    let carried: i128 = held.installation.carried.iter().map(|it| i128::from(it.amount.cents())).sum();
    let written_off = Balances::of(&entries).map_or(0, |it| i128::from(it.debit(Account::WriteOff).cents()));
    if invoiced + carried + written_off != wanted {
        wrong.push(format!(
            "what is billed equals what was metered: {} must pay {wanted} cents ({}), invoiced are {invoiced}, carried \
             {carried}, written off {written_off}",
            customer.id,
            parts.join(", ")
        ));
    }
    let mut before: Option<Period> = None;
    for period in &customer.closed {
        if before.is_some_and(|before| before.end != period.start) {
            wrong.push(format!("every instant is in one period: {} has a gap before {}", customer.id, period.start));
        }
        before = Some(*period);
    }
}

/// The plan that Vercel is shown: one that begins later, with the day on which it does.
fn plan_of(resource: &Resource, now: jiff::Timestamp) -> String {
    let pending = pending(resource, now).map(|segment| &segment.plan);
    pending.or_else(|| resource.plan_at(now)).map(ToString::to_string).unwrap_or_default()
}

/// Vercel, the table and the provisioner know the same resources, names and plans.
fn agreed(play: &Play, held: &Held, customer: &Customer, state: &Value, wrong: &mut Vec<String>) {
    if held.installation.status != InstallationStatus::Active {
        return;
    }
    let now = play.stage.now();
    let mut ours: BTreeMap<String, (String, String)> = BTreeMap::new();
    for resource in held.resources.iter().filter(|resource| resource.life.is_there()) {
        ours.insert(resource.id.to_string(), (resource.name.clone(), plan_of(resource, now)));
        if play.stage.provisioner.live_versions(&resource.id).is_empty() {
            wrong.push(format!("what is live exists: the provisioner has no {}", resource.id));
        }
    }
    let mut theirs = BTreeMap::new();
    for row in rows(state, "resources").iter().filter(|row| text(row, "installationId") == customer.id) {
        if row["deletedAt"].is_null() {
            let shown = text(&row["billingPlan"], "id").to_owned();
            theirs.insert(text(row, "id").to_owned(), (text(row, "name").to_owned(), shown));
        }
    }
    if ours != theirs {
        wrong.push(format!("Vercel knows what we know: ours {ours:?}, theirs {theirs:?}"));
    }
}

/// What the customer watches is what was metered.
fn interim(held: &Held, customer: &Customer, state: &Value, wrong: &mut Vec<String>) {
    let open = held.installation.open_period();
    let is_own = |row: &&Value| {
        text(row, "installationId") == customer.id
            && text(&row["period"], "start").parse().is_ok_and(|start: jiff::Timestamp| start == open.start)
    };
    let pushes = rows(state, "interim").iter().filter(is_own);
    let Some(last) = pushes.max_by_key(|row| text(row, "timestamp").parse::<jiff::Timestamp>().ok()) else { return };
    let counted = customer.counted();
    for usage in rows(last, "usage") {
        let resource = text(usage, "resourceId");
        let Some(meter) = Meter::ALL.into_iter().find(|meter| meter.name() == text(usage, "name")) else { continue };
        let own = counted.iter().filter(|reading| reading.resource == resource && open.contains(reading.at));
        let wanted = figure(meter, own.copied());
        let found = parse_decimal(&usage["periodValue"].to_string());
        if found != Ok(wanted) {
            wrong.push(format!(
                "what is watched is what was metered: {} of {resource} is {}, accepted was {}",
                meter.id(),
                usage["periodValue"],
                decimal(wanted)
            ));
        }
    }
}

/// What a wrong provider would have left in the table.
pub(super) async fn sabotage(play: &Play, sabotage: Option<Sabotage>) -> anyhow::Result<()> {
    let ids: Vec<&str> = play.customers.iter().map(|customer| customer.id.as_str()).collect();
    let Some(first) = ids.first() else { return Ok(()) };
    let forged = match sabotage {
        Some(Sabotage::ForgedEntry) => Forged {
            pk: format!("I#{first}"),
            installation: (*first).to_owned(),
            entry: serde_json::json!({
                "id": "forged",
                "at": "2027-01-01T00:00:00Z",
                "memo": "forged",
                "postings": [{ "account": "revenue", "side": "credit", "amount": "1.00" }],
            }),
        },
        Some(Sabotage::ForeignItem) => {
            Forged { pk: "I#icfg_another".to_owned(), installation: (*first).to_owned(), entry: Value::Null }
        }
        _ => return Ok(()),
    };
    play.stage.bare.commit(vec![Write::create(&forged)?]).await?;
    Ok(())
}

/// An item in the form of an entry of the ledger.
#[derive(Serialize, Deserialize)]
struct Forged {
    #[serde(skip)]
    pk: String,
    installation: String,
    entry: Value,
}

impl Record for Forged {
    const KIND: &'static str = "ledger_entry";

    fn key(&self) -> Key {
        Key::new(&self.pk, "J#forged")
    }
}
