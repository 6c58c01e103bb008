//! The report of a month: one JSON object with sorted keys.
//!
//! Nothing in the JSON depends on addresses, on how long anything took, or on how often it was tried: the same seed
//! gives the same bytes. Fields are declared in the order of their names, which is the order they are written in.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::audit::{Books, Figures};
use super::referee::{Line, ShownLine, money, total};
use super::repeats::Counts;
use super::vercel::{State, lines};

/// One act of the month.
#[derive(Debug, Clone, Serialize)]
pub struct Act {
    /// When it was due.
    pub at: Timestamp,
    /// Counts from 1.
    pub n: usize,
    /// What it is.
    pub name: String,
    /// What came of it, if nothing is said against it.
    pub outcome: String,
}

/// What a period must cost.
#[derive(Debug, Clone, Serialize)]
pub struct Charge {
    /// The lines.
    pub lines: Vec<ShownLine>,
    /// Which period.
    pub period: &'static str,
    /// Their sum.
    pub total: String,
}

/// An invoice at Vercel.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    /// Our id of it.
    pub external_id: String,
    /// Whether it is the last.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Its lines.
    pub lines: Vec<ShownLine>,
    /// `[start, end)`.
    pub period: [Timestamp; 2],
    /// What was given back of it.
    pub refunded: String,
    /// Vercel's word for where it is.
    pub state: String,
    /// What it is over.
    pub total: String,
}

/// A refund at Vercel.
#[derive(Debug, Clone, Serialize)]
pub struct Refund {
    /// Our id of the invoice.
    pub invoice: String,
    /// Why.
    pub reason: String,
    /// How much.
    pub total: String,
}

/// Our ledger.
#[derive(Debug, Clone, Serialize)]
pub struct Ledger {
    /// Debits less credits of each account.
    pub accounts: BTreeMap<String, String>,
    /// The sum of all credits.
    pub credits: String,
    /// The sum of all debits.
    pub debits: String,
    /// How many entries.
    pub entries: usize,
}

/// Vercel's side.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Vercel {
    /// What customers paid.
    pub collected: String,
    /// Where the installation is in its life.
    pub installation: String,
    /// On how many days interim data were pushed.
    pub interim_days: usize,
    /// What was invoiced.
    pub invoiced: String,
    /// What was given back.
    pub refunded: String,
}

/// What came of a month.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What happened.
    pub acts: Vec<Act>,
    /// Whether nothing differs.
    pub balanced: bool,
    /// What the month must cost, by the referee.
    pub charges: Vec<Charge>,
    /// What Vercel invoiced.
    pub invoices: Vec<Invoice>,
    /// Our ledger.
    pub ledger: Ledger,
    /// What Vercel gave back.
    pub refunds: Vec<Refund>,
    /// Second sends, if there were to be any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Counts>,
    /// What all was drawn from.
    pub seed: u64,
    /// What was measured, by resource and meter.
    pub usage: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
    /// Vercel's side of the money.
    pub vercel: Vercel,
    /// What differs; empty if it balances.
    #[serde(skip)]
    pub differences: Vec<String>,
    /// How many faults were injected, at Vercel's side and at the store. Not the same every time.
    #[serde(skip)]
    pub faults: Faults,
}

/// How many faults were injected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// On calls to Vercel.
    pub vercel: u64,
    /// On calls to Vercel about invoices and refunds, among them.
    pub money: u64,
    /// On the exchange of a sign-on code, among them.
    pub codes: u64,
    /// On calls to the store.
    pub store: u64,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vercel, money, codes, store } = self;
        write!(f, "{vercel} on calls to Vercel, {money} of them on invoices, {codes} of them on sign-on codes, ")?;
        write!(f, "{store} on calls to the store")
    }
}

pub(super) fn charges(bills: &[Vec<Line>; 2]) -> Vec<Charge> {
    let charge = |(period, lines): (&'static str, &Vec<Line>)| Charge {
        lines: lines.iter().map(Line::shown).collect(),
        period,
        total: money(total(lines)),
    };
    ["2027-01", "final"].into_iter().zip(bills).map(charge).collect()
}

pub(super) fn invoices(state: &State, resources: &[String]) -> Vec<Invoice> {
    let mut invoices: Vec<Invoice> = state
        .invoices
        .iter()
        .filter(|invoice| !invoice.is_test)
        .map(|invoice| Invoice {
            external_id: invoice.external_id.clone().unwrap_or_default(),
            is_final: invoice.is_final,
            lines: lines(&invoice.items, resources).unwrap_or_default().iter().map(Line::shown).collect(),
            period: [invoice.period.start, invoice.period.end],
            refunded: invoice.refund_total.clone().unwrap_or_else(|| money(0)),
            state: invoice.state.clone(),
            total: invoice.total.clone(),
        })
        .collect();
    invoices.sort_by_key(|invoice| invoice.period);
    invoices
}

pub(super) fn refunds(state: &State) -> Vec<Refund> {
    let refund = |invoice: &super::vercel::InvoiceRow| {
        Some(Refund {
            invoice: invoice.external_id.clone()?,
            reason: invoice.refund_reason.clone().unwrap_or_default(),
            total: invoice.refund_total.clone()?,
        })
    };
    state.invoices.iter().filter_map(refund).collect()
}

pub(super) fn ledger(books: &Books) -> Ledger {
    let accounts = books.balances.iter().map(|(account, balance)| (account.to_string(), balance.to_string()));
    Ledger {
        accounts: accounts.collect(),
        credits: money(books.credits),
        debits: money(books.debits),
        entries: books.entries,
    }
}

pub(super) fn vercel(state: &State) -> Vercel {
    let figures = Figures::of(state);
    Vercel {
        collected: money(figures.collected),
        installation: state.life().to_owned(),
        interim_days: state.interim.len(),
        invoiced: money(figures.invoiced),
        refunded: money(figures.refunded),
    }
}

impl Report {
    /// The JSON object, on one line.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

impl Vercel {
    /// What was invoiced and is not paid.
    pub fn to_collect(&self) -> String {
        difference(&self.invoiced, &self.collected)
    }

    /// What was paid and not given back.
    pub fn kept(&self) -> String {
        difference(&self.collected, &self.refunded)
    }
}

fn difference(one: &str, other: &str) -> String {
    let cents = |text: &str| super::vercel::cents(text).unwrap_or_default();
    money(cents(one) - cents(other))
}
