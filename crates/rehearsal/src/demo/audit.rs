//! The final judgement: the referee's bills, Vercel's state and our ledger against each other, to the cent.
//!
//! Reads the table past the door that injects faults. Whatever does not fit is a sentence in the list of differences.

use std::collections::BTreeMap;
use std::fmt::Display;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use tradepost_marketplace::ids::InstallationId;
use tradepost_provider::ledger::{Account, Balances, Entry, Side};
use tradepost_provider::state::{Installation, InstallationStatus, LedgerEntry, keys};

use super::readings::{Meter, Reading, decimal};
use super::referee::{Line, Period, Segment, bill, figure, money, total};
use super::script::{
    CHANGED, DAYS, HOURS, REFUND_CENTS, RESOURCES, SCALE, end, instant, plan_change, reported_at, start, uninstall,
};
use super::site::Site;
use super::vercel::{InterimRow, InvoiceRow, ItemRow, PeriodRow, State, cents, lines, number};

/// The most pages of any part of the collection that are read.
const PAGES_MAX: usize = 50;
/// By how much a push may be stamped back.
const STAMP_BACK: SignedDuration = SignedDuration::from_secs(1);
/// The fewest pushes in the month: hourly, but for what faults may cost.
const PUSHES_MIN: i64 = HOURS * 9 / 10;
/// What must be gone at the end, and what it is.
const GONE: [(&str, &str); 4] =
    [("E#", "effects"), ("Q#", "dead letters"), ("R#", "rotations"), ("C#", "sealed secrets")];

/// Our ledger.
pub(super) struct Books {
    pub(super) balances: Balances,
    pub(super) entries: usize,
    pub(super) debits: i128,
    pub(super) credits: i128,
}

impl Books {
    /// Reads all entries.
    pub(super) async fn of(site: &Site, installation: &str) -> anyhow::Result<Self> {
        let id = InstallationId::new(installation)?;
        let mut entries: Vec<Entry> = Vec::new();
        for raw in site.bare.query(&keys::collection(&id), "J#", PAGES_MAX).await? {
            entries.push(raw.decode::<LedgerEntry>()?.item.entry);
        }
        let sum = |side: Side| -> i128 {
            let postings = entries.iter().flat_map(Entry::postings).filter(|posting| posting.side == side);
            postings.map(|posting| i128::from(posting.amount.cents())).sum()
        };
        let balances = Balances::of(&entries).context("the ledger")?;
        Ok(Self { balances, entries: entries.len(), debits: sum(Side::Debit), credits: sum(Side::Credit) })
    }

    pub(super) fn debit(&self, account: Account) -> i128 {
        i128::from(self.balances.debit(account).cents())
    }
}

/// Whether the ledger has an entry.
pub(super) async fn is_booked(site: &Site, installation: &str, entry: &str) -> anyhow::Result<bool> {
    let id = InstallationId::new(installation)?;
    Ok(site.bare.get::<LedgerEntry>(&LedgerEntry::key_of(&id, entry)).await?.is_some())
}

/// Whether nothing is owed any more, to anybody.
pub(super) async fn settled(site: &Site, installation: &str) -> anyhow::Result<Result<(), String>> {
    let id = InstallationId::new(installation)?;
    let collection = keys::collection(&id);
    for (prefix, what) in GONE {
        let left = site.bare.query(&collection, prefix, PAGES_MAX).await?;
        if let Some(first) = left.first() {
            return Ok(Err(format!("{} {what} are left, such as {}", left.len(), first.key.sk)));
        }
    }
    let resources = site.provisioner.resources();
    if resources > 0 {
        return Ok(Err(format!("{resources} resources are left at the provisioner")));
    }
    let stored = site.bare.get::<Installation>(&Installation::key_of(&id)).await?;
    let status = stored.map(|stored| stored.status);
    if status != Some(InstallationStatus::Finalized) {
        return Ok(Err(format!("our installation is {status:?}, not finalized")));
    }
    Ok(Ok(()))
}

/// The plans of the resources, as they were known at an instant.
fn segments(at: Timestamp) -> Vec<Segment> {
    let mut segments = Vec::new();
    for (resource, spec) in RESOURCES.iter().enumerate() {
        let change = (resource == CHANGED && at >= plan_change()).then(plan_change);
        let leaves = (at >= uninstall()).then(uninstall);
        segments.push(Segment { resource, plan: spec.plan, start: start(), end: change.or(leaves) });
        segments.extend(change.map(|start| Segment { resource, plan: SCALE, start, end: leaves }));
    }
    segments
}

/// January.
fn january() -> Period {
    Period { start: start(), end: end(), whole_end: end() }
}

/// From February's start to the uninstall.
fn last() -> Period {
    Period { start: end(), end: uninstall(), whole_end: instant((DAYS + 28) * 24, SignedDuration::ZERO) }
}

/// What the month must cost: the regular bill and the final one.
pub(super) fn expected(readings: &[Reading]) -> [Vec<Line>; 2] {
    let segments = segments(uninstall());
    [bill(&segments, readings, january()), bill(&segments, readings, last())]
}

/// Everything that was measured, by resource and meter.
pub(super) fn usage(readings: &[Reading]) -> BTreeMap<&'static str, BTreeMap<&'static str, String>> {
    let of_resource = |resource: usize| {
        let mine = || readings.iter().filter(move |reading| reading.resource == resource);
        Meter::ALL.into_iter().map(|meter| (meter.id(), decimal(figure(meter, mine())))).collect()
    };
    RESOURCES.iter().enumerate().map(|(resource, spec)| (spec.name, of_resource(resource))).collect()
}

/// Judges the end of the month.
pub(super) struct Judge<'a> {
    pub(super) state: &'a State,
    pub(super) books: &'a Books,
    pub(super) readings: &'a [Reading],
    pub(super) resources: &'a [String],
    pub(super) differences: Vec<String>,
}

impl Judge<'_> {
    /// Everything.
    pub(super) fn judge(mut self) -> Vec<String> {
        self.interim();
        let [regular, last_bill] = expected(self.readings);
        self.invoice(false, january(), &regular);
        self.invoice(true, last(), &last_bill);
        self.ledger(total(&regular) + total(&last_bill));
        let counted = self.state.invoices.iter().filter(|invoice| !invoice.is_test).count();
        self.same("the number of invoices", &2, &counted);
        let pushes = self.state.installations.first().map_or(0, |row| row.interim_count);
        if pushes < PUSHES_MIN {
            self.differences.push(format!("Vercel took {pushes} pushes of interim data in {HOURS} hours"));
        }
        let late = self.state.webhooks.iter().find(|webhook| webhook.state != "delivered");
        if let Some(webhook) = late {
            self.differences.push(format!("the webhook {} is {}, not delivered", webhook.kind, webhook.state));
        }
        self.differences
    }

    fn same(&mut self, what: &str, expected: &dyn Display, found: &dyn Display) {
        let (expected, found) = (expected.to_string(), found.to_string());
        if expected != found {
            self.differences.push(format!("{what}: expected {expected}, found {found}"));
        }
    }

    fn lines(&mut self, what: &str, expected: &[Line], items: &[ItemRow]) {
        let found = match lines(items, self.resources) {
            Ok(found) => found,
            Err(why) => return self.differences.push(format!("{what}: {why}")),
        };
        for line in expected.iter().filter(|line| !found.contains(line)) {
            self.differences.push(format!("{what}: expected and not there: {}", shown(line)));
        }
        for line in found.iter().filter(|line| !expected.contains(line)) {
            self.differences.push(format!("{what}: there and not expected: {}", shown(line)));
        }
        self.same(&format!("{what}: the number of lines"), &expected.len(), &found.len());
    }

    /// The last push of each day of January: what the customer watched. A push knows what was reported before its
    /// own timestamp, and the day's last one is made after the day's end.
    fn interim(&mut self) {
        for day in 1..=DAYS {
            let day_end = instant(day * 24, SignedDuration::ZERO);
            let eod = day_end.saturating_sub(SignedDuration::from_millis(1)).unwrap_or(day_end);
            let what = format!("the last push of {}", eod.to_string().get(..10).unwrap_or_default());
            let is_it = |row: &&InterimRow| row.eod == eod && row.period == (PeriodRow { start: start(), end: end() });
            let Some(row) = self.state.interim.iter().find(is_it) else {
                self.differences.push(format!("{what} is missing"));
                continue;
            };
            // Final figures bear timestamps a few milliseconds back, so that they go before those of the new day.
            if row.timestamp.saturating_add(STAMP_BACK).is_ok_and(|at| at < day_end) {
                self.differences.push(format!("{what} was made at {}, before the day's end", row.timestamp));
            }
            let until = self.readings.partition_point(|reading| reported_at(reading.at) <= row.timestamp);
            let known = &self.readings[..until];
            self.lines(&what, &bill(&segments(row.timestamp), known, january()), &row.items);
            self.same(&format!("{what}: the number of discounts"), &0, &row.discounts.len());
            self.usage(&what, row, known, [instant((day - 1) * 24, SignedDuration::ZERO), day_end]);
        }
    }

    fn usage(&mut self, what: &str, row: &InterimRow, known: &[Reading], day: [Timestamp; 2]) {
        for (resource, spec) in RESOURCES.iter().enumerate() {
            for meter in Meter::ALL {
                let what = format!("{what}: {} of {}", meter.id(), spec.name);
                let id = self.resources.get(resource);
                let Some(shown) = row.usage.iter().find(|it| it.resource_id.as_ref() == id && it.name == meter.name())
                else {
                    self.differences.push(format!("{what} is missing"));
                    continue;
                };
                let mine = || known.iter().filter(|reading| reading.resource == resource && reading.meter == meter);
                let period = number(&shown.period_value).map_or_else(|error| error.to_string(), decimal);
                self.same(&what, &decimal(figure(meter, mine())), &period);
                let today = || mine().filter(|reading| reading.at >= day[0] && reading.at < day[1]);
                if today().next().is_some() {
                    let day = number(&shown.day_value).map_or_else(|error| error.to_string(), decimal);
                    self.same(&format!("{what} that day"), &decimal(figure(meter, today())), &day);
                }
            }
        }
    }

    fn invoice(&mut self, is_final: bool, period: Period, expected: &[Line]) {
        let what = if is_final { "the final invoice" } else { "the invoice" };
        let Some(invoice) = self.state.invoice(is_final) else {
            return self.differences.push(format!("{what} is missing"));
        };
        self.lines(what, expected, &invoice.items);
        self.same(&format!("{what}: the number of discounts"), &0, &invoice.discounts.len());
        self.same(&format!("{what}: total"), &money(total(expected)), &invoice.total);
        self.same(&format!("{what}: start"), &period.start, &invoice.period.start);
        self.same(&format!("{what}: end"), &period.end, &invoice.period.end);
        let (state, refund) = if is_final { ("paid", 0) } else { ("refunded", REFUND_CENTS) };
        self.same(&format!("{what}: state"), &state, &invoice.state);
        self.same(&format!("{what}: refunded"), &money(refund), &money(refunded(invoice)));
    }

    /// Our ledger: balanced in itself, and equal to what Vercel says and what the referee expects.
    fn ledger(&mut self, expected: i128) {
        let books = self.books;
        self.same("the ledger: debits and credits", &money(books.debits), &money(books.credits));
        let figures = Figures::of(self.state);
        let account = |account| books.debit(account);
        for (what, ours, theirs) in [
            ("revenue against what Vercel was invoiced", -account(Account::Revenue), figures.invoiced),
            ("revenue against the referee", -account(Account::Revenue), expected),
            (
                "settled against what Vercel collected less refunds",
                account(Account::Settled),
                figures.collected - figures.refunded,
            ),
            ("refunds against Vercel's", account(Account::Refunds), figures.refunded),
            ("receivable", account(Account::Receivable), figures.invoiced - figures.collected),
            ("carried", account(Account::Carried), 0),
            ("write-off", account(Account::WriteOff), 0),
            ("rounding", account(Account::Rounding), 0),
        ] {
            self.same(&format!("the ledger: {what}"), &money(theirs), &money(ours));
        }
    }
}

fn shown(line: &Line) -> String {
    let shown = line.shown();
    format!("{} on {}: {} × {} = {}", shown.resource, shown.plan, shown.quantity, shown.price, shown.total)
}

fn refunded(invoice: &InvoiceRow) -> i128 {
    invoice.refund_total.as_deref().and_then(|text| cents(text).ok()).unwrap_or_default()
}

/// Vercel's side of the money, in cents.
pub(super) struct Figures {
    pub(super) invoiced: i128,
    pub(super) collected: i128,
    pub(super) refunded: i128,
}

impl Figures {
    pub(super) fn of(state: &State) -> Self {
        let counted = || state.invoices.iter().filter(|invoice| !invoice.is_test);
        let total = |invoice: &InvoiceRow| cents(&invoice.total).unwrap_or_default();
        Self {
            invoiced: counted().map(total).sum(),
            collected: counted().filter(|invoice| invoice.paid_at.is_some()).map(total).sum(),
            refunded: counted().map(refunded).sum(),
        }
    }
}
