//! The ledger: double entry over money, as a pure model. Usage is not money and stays out.
//!
//! Used by invoices (issue, carry, write off) and webhooks (paid, refunded). Entries are written once, under
//! an id derived from what happened, so that the same event booked twice is one entry. What fails:
//! [`LedgerError`], when an entry does not balance.
//!
//! | event | debit | credit |
//! | --- | --- | --- |
//! | invoice issued: total `t`, of which `c` was carried in | receivable `t` | carried `c`, revenue `t - c` |
//! | earned, but carried instead of invoiced | carried | revenue |
//! | Vercel collected an invoice | settled | receivable |
//! | refund of a paid invoice | refunds | settled |
//! | refund of an unpaid one, which cancels so much of it | refunds | receivable |
//! | written off | write-off | carried |
//! | an invoice that Vercel never had is given up | write-off | receivable |
//! | Vercel has it after all | receivable | write-off |
//!
//! Negative amounts stand on the other side. So receivable is what Vercel still has to collect, invoice by
//! invoice, and carried is what the installation carries to its next invoice, to the cent.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tradepost_marketplace::ids::ExternalInvoiceId;
use tradepost_marketplace::money::Money;

/// The longest memo, in characters; a longer one is cut.
pub const MEMO_CHARS_MAX: usize = 200;

/// An account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// Invoiced and not yet collected.
    Receivable,
    /// Earned.
    Revenue,
    /// Credit that customers bought and have not used.
    PrepaidLiability,
    /// Given back: what revenue is less by.
    Refunds,
    /// Used beyond prepaid credit.
    Overdraft,
    /// Earned and given up.
    WriteOff,
    /// Differences of rounding.
    Rounding,
    /// Collected by Vercel for us.
    Settled,
    /// Earned and waiting for the next invoice; negative where we owe the customer.
    Carried,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receivable => "receivable",
            Self::Revenue => "revenue",
            Self::PrepaidLiability => "prepaid_liability",
            Self::Refunds => "refunds",
            Self::Overdraft => "overdraft",
            Self::WriteOff => "write_off",
            Self::Rounding => "rounding",
            Self::Settled => "settled",
            Self::Carried => "carried",
        })
    }
}

/// A side of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// More of what we have, less of what we owe or earned.
    Debit,
    /// The other way round.
    Credit,
}

/// One side of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// On which account.
    pub account: Account,
    /// On which side.
    pub side: Side,
    /// How much; above zero.
    pub amount: Money,
}

/// Why something is not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Debits and credits differ.
    #[error("entry {id:?} does not balance: debits {debits}, credits {credits}")]
    Unbalanced {
        /// Which.
        id: String,
        /// The sum of one side.
        debits: Money,
        /// The sum of the other.
        credits: Money,
    },
    /// It moves nothing.
    #[error("entry {id:?} has no postings")]
    Empty {
        /// Which.
        id: String,
    },
    /// A posting is zero or negative.
    #[error("entry {id:?} has a posting that is not above zero")]
    NotPositive {
        /// Which.
        id: String,
    },
    /// A sum is beyond the range of [`Money`].
    #[error("the ledger's sums are out of range")]
    OutOfRange,
}

#[derive(Deserialize)]
struct Unchecked {
    id: String,
    at: Timestamp,
    memo: String,
    postings: Vec<Posting>,
}

/// An entry: what happened, on which accounts. Balanced by construction, also when read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Entry {
    /// Derived from what happened; unique in an installation.
    pub id: String,
    /// When, in business time.
    pub at: Timestamp,
    /// Why, for people.
    pub memo: String,
    postings: Vec<Posting>,
}

impl TryFrom<Unchecked> for Entry {
    type Error = LedgerError;
    fn try_from(read: Unchecked) -> Result<Self, LedgerError> {
        Self::new(read.id, read.at, read.memo, read.postings)
    }
}

impl Entry {
    /// Refuses what does not balance.
    pub fn new(
        id: impl Into<String>,
        at: Timestamp,
        memo: impl Into<String>,
        postings: Vec<Posting>,
    ) -> Result<Self, LedgerError> {
        let (id, memo) = (id.into(), memo.into());
        if postings.is_empty() {
            return Err(LedgerError::Empty { id });
        }
        if postings.iter().any(|posting| posting.amount <= Money::ZERO) {
            return Err(LedgerError::NotPositive { id });
        }
        let sum = |side: Side| {
            let amounts = postings.iter().filter(|posting| posting.side == side).map(|posting| posting.amount);
            amounts.into_iter().try_fold(Money::ZERO, Money::checked_add).ok_or(LedgerError::OutOfRange)
        };
        let (debits, credits) = (sum(Side::Debit)?, sum(Side::Credit)?);
        if debits != credits {
            return Err(LedgerError::Unbalanced { id, debits, credits });
        }
        Ok(Self { id, at, memo: memo.chars().take(MEMO_CHARS_MAX).collect(), postings })
    }

    /// What moves, where.
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }

    /// An invoice was made over `total`, of which `carried_in` (negative: a credit) comes from before. `None`
    /// if there is nothing to book.
    pub fn invoice_issued(
        invoice: &ExternalInvoiceId,
        at: Timestamp,
        total: Money,
        carried_in: Money,
    ) -> Result<Option<Self>, LedgerError> {
        let earned = difference(total, carried_in)?;
        let moves =
            [debit(Account::Receivable, total), credit(Account::Carried, carried_in), credit(Account::Revenue, earned)];
        Self::of(format!("issued-{invoice}"), at, format!("invoice {invoice} issued"), moves)
    }

    /// Vercel collected an invoice.
    pub fn invoice_paid(invoice: &ExternalInvoiceId, at: Timestamp, total: Money) -> Result<Option<Self>, LedgerError> {
        let moves = [debit(Account::Settled, total), credit(Account::Receivable, total)];
        Self::of(format!("paid-{invoice}"), at, format!("invoice {invoice} paid"), moves)
    }

    /// `amount` of an invoice was given back; `refunded_before` is what had been before, and makes the id of
    /// each refund of the same invoice its own. `paid` says whether it had been collected.
    pub fn refunded(
        invoice: &ExternalInvoiceId,
        at: Timestamp,
        amount: Money,
        refunded_before: Money,
        paid: bool,
    ) -> Result<Option<Self>, LedgerError> {
        let from = if paid { Account::Settled } else { Account::Receivable };
        let moves = [debit(Account::Refunds, amount), credit(from, amount)];
        let id = format!("refunded-{invoice}-{}", refunded_before.cents());
        Self::of(id, at, format!("{amount} of invoice {invoice} refunded"), moves)
    }

    /// `earned` (negative: given) waits for the next invoice. `cause` is what makes the id: the period that
    /// closed without an invoice, or the batch that came late.
    pub fn carried(cause: &str, at: Timestamp, earned: Money, memo: &str) -> Result<Option<Self>, LedgerError> {
        let moves = [debit(Account::Carried, earned), credit(Account::Revenue, earned)];
        Self::of(format!("carried-{cause}"), at, memo.to_owned(), moves)
    }

    /// `amount` (negative: owed to the customer) that was carried is given up; `reason` says why.
    pub fn written_off(cause: &str, at: Timestamp, amount: Money, reason: &str) -> Result<Option<Self>, LedgerError> {
        let moves = [debit(Account::WriteOff, amount), credit(Account::Carried, amount)];
        Self::of(format!("written_off-{cause}"), at, format!("written off: {reason}"), moves)
    }

    /// An invoice that is booked as issued is given up: Vercel will not collect it. `reason` says why.
    pub fn invoice_abandoned(
        invoice: &ExternalInvoiceId,
        at: Timestamp,
        total: Money,
        reason: &str,
    ) -> Result<Option<Self>, LedgerError> {
        let moves = [debit(Account::WriteOff, total), credit(Account::Receivable, total)];
        Self::of(format!("abandoned-{invoice}"), at, format!("written off: invoice {invoice}: {reason}"), moves)
    }

    /// Vercel has an invoice that was given up.
    pub fn invoice_reinstated(
        invoice: &ExternalInvoiceId,
        at: Timestamp,
        total: Money,
    ) -> Result<Option<Self>, LedgerError> {
        let moves = [debit(Account::Receivable, total), credit(Account::WriteOff, total)];
        let memo = format!("invoice {invoice}, written off before, is at Vercel");
        Self::of(format!("reinstated-{invoice}"), at, memo, moves)
    }

    /// An entry of signed moves: zeros are left out, negative amounts change sides.
    fn of<const N: usize>(
        id: String,
        at: Timestamp,
        memo: String,
        moves: [(Account, Side, Money); N],
    ) -> Result<Option<Self>, LedgerError> {
        let postings: Vec<_> = moves
            .into_iter()
            .filter(|(.., amount)| *amount != Money::ZERO)
            .map(|(account, side, amount)| match (side, amount.is_negative()) {
                (side, false) => Posting { account, side, amount },
                (Side::Debit, true) => Posting { account, side: Side::Credit, amount: -amount },
                (Side::Credit, true) => Posting { account, side: Side::Debit, amount: -amount },
            })
            .collect();
        if postings.is_empty() { Ok(None) } else { Self::new(id, at, memo, postings).map(Some) }
    }
}

const fn debit(account: Account, amount: Money) -> (Account, Side, Money) {
    (account, Side::Debit, amount)
}

const fn credit(account: Account, amount: Money) -> (Account, Side, Money) {
    (account, Side::Credit, amount)
}

fn difference(whole: Money, part: Money) -> Result<Money, LedgerError> {
    whole.cents().checked_sub(part.cents()).map(Money::from_cents).ok_or(LedgerError::OutOfRange)
}

/// The balance of every account: debits less credits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balances(BTreeMap<Account, Money>);

impl Balances {
    /// The balances after these entries.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<Self, LedgerError> {
        let mut balances = BTreeMap::new();
        for posting in entries.into_iter().flat_map(Entry::postings) {
            let amount = match posting.side {
                Side::Debit => posting.amount,
                Side::Credit => -posting.amount,
            };
            let balance = balances.entry(posting.account).or_insert(Money::ZERO);
            *balance = balance.checked_add(amount).ok_or(LedgerError::OutOfRange)?;
        }
        Ok(Self(balances))
    }

    /// Debits less credits of one account: what we have is positive, what we earned or owe is negative.
    pub fn debit(&self, account: Account) -> Money {
        self.0.get(&account).copied().unwrap_or_default()
    }

    /// Credits less debits, for revenue and liabilities.
    pub fn credit(&self, account: Account) -> Money {
        -self.debit(account)
    }

    /// Every account that was touched, with its debit balance.
    pub fn iter(&self) -> impl Iterator<Item = (Account, Money)> {
        self.0.iter().map(|(account, balance)| (*account, *balance))
    }
}

/// As a map of account to signed decimal text: balances may be negative.
impl Serialize for Balances {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter().map(|(account, balance)| (account, balance.to_string())))
    }
}

#[cfg(test)]
mod tests;
