use super::*;
use proptest::prelude::*;

fn cents(cents: i64) -> Money {
    Money::from_cents(cents)
}

fn at() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn invoice(id: &str) -> ExternalInvoiceId {
    ExternalInvoiceId::new(id).unwrap()
}

fn posting(account: Account, side: Side, amount: i64) -> Posting {
    Posting { account, side, amount: cents(amount) }
}

#[test]
fn what_does_not_balance_is_not_an_entry() {
    use Account::{Receivable, Revenue};
    let try_new = |postings| Entry::new("e", at(), "", postings);
    let debit = posting(Receivable, Side::Debit, 100);
    assert!(matches!(try_new(vec![]), Err(LedgerError::Empty { .. })));
    assert!(matches!(try_new(vec![debit.clone()]), Err(LedgerError::Unbalanced { .. })));
    let off_by_one = vec![debit.clone(), posting(Revenue, Side::Credit, 99)];
    assert!(matches!(try_new(off_by_one), Err(LedgerError::Unbalanced { .. })));
    let zero = vec![posting(Receivable, Side::Debit, 0), posting(Revenue, Side::Credit, 0)];
    assert!(matches!(try_new(zero), Err(LedgerError::NotPositive { .. })));
    let huge = vec![posting(Receivable, Side::Debit, i64::MAX), debit.clone(), posting(Revenue, Side::Credit, 1)];
    assert!(matches!(try_new(huge), Err(LedgerError::OutOfRange)));
    assert!(try_new(vec![debit, posting(Revenue, Side::Credit, 100)]).is_ok());
}

#[test]
fn an_entry_is_checked_again_when_it_is_read() {
    let entry = Entry::invoice_issued(&invoice("i1"), at(), cents(1099), cents(-30)).unwrap().unwrap();
    let json = serde_json::to_string(&entry).unwrap();
    assert!(json.contains(r#""amount":"10.99""#), "{json}");
    assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), entry);
    let broken = json.replace("10.99", "10.98");
    assert!(serde_json::from_str::<Entry>(&broken).unwrap_err().to_string().contains("does not balance"));
}

#[test]
fn a_month_of_one_customer_adds_up() {
    let entries = [
        Entry::carried("p1", at(), cents(30), "under 0.50").unwrap(),
        Entry::invoice_issued(&invoice("i2"), at(), cents(4130), cents(30)).unwrap(),
        Entry::invoice_paid(&invoice("i2"), at(), cents(4130)).unwrap(),
        Entry::refunded(&invoice("i2"), at(), cents(500), Money::ZERO, true).unwrap(),
        Entry::carried("late-1", at(), cents(-12), "correction").unwrap(),
        Entry::written_off("p3", at(), cents(-12), "the installation is gone").unwrap(),
    ];
    let entries: Vec<_> = entries.into_iter().flatten().collect();
    let balances = Balances::of(&entries).unwrap();
    assert_eq!(
        serde_json::to_string(&balances).unwrap(),
        r#"{"receivable":"0.00","revenue":"-41.18","refunds":"5.00","write_off":"-0.12","settled":"36.30","carried":"0.00"}"#
    );
    assert_eq!(balances.credit(Account::Revenue), cents(4118));
}

#[test]
fn the_refund_of_an_unpaid_invoice_cancels_so_much_of_it() {
    let issued = Entry::invoice_issued(&invoice("i1"), at(), cents(1000), Money::ZERO).unwrap().unwrap();
    let first = Entry::refunded(&invoice("i1"), at(), cents(400), Money::ZERO, false).unwrap().unwrap();
    let second = Entry::refunded(&invoice("i1"), at(), cents(400), cents(400), false).unwrap().unwrap();
    assert_ne!(first.id, second.id);
    let balances = Balances::of([&issued, &first, &second]).unwrap();
    assert_eq!(balances.debit(Account::Receivable), cents(200));
}

#[test]
fn an_invoice_that_is_given_up_is_written_off_until_vercel_has_it_after_all() {
    let given_up = Entry::invoice_abandoned(&invoice("i1"), at(), cents(500), "lost").unwrap().unwrap();
    let back = Entry::invoice_reinstated(&invoice("i1"), at(), cents(500)).unwrap().unwrap();
    assert_eq!(
        given_up.postings(),
        [posting(Account::WriteOff, Side::Debit, 500), posting(Account::Receivable, Side::Credit, 500)]
    );
    let balances = Balances::of([&given_up, &back]).unwrap();
    assert!(balances.iter().all(|(_, balance)| balance == Money::ZERO));
    assert_ne!(given_up.id, back.id);
}

#[test]
fn an_account_is_named_as_it_is_written() {
    use Account::{Carried, Overdraft, PrepaidLiability, Receivable, Refunds, Revenue, Rounding, Settled, WriteOff};
    for account in [Receivable, Revenue, PrepaidLiability, Refunds, Overdraft, WriteOff, Rounding, Settled, Carried] {
        assert_eq!(serde_json::to_value(account).unwrap(), account.to_string());
    }
}

#[test]
fn nothing_books_nothing() {
    assert_eq!(Entry::carried("p", at(), Money::ZERO, ""), Ok(None));
    assert_eq!(Entry::invoice_paid(&invoice("i"), at(), Money::ZERO), Ok(None));
}

proptest! {
    #[test]
    fn the_books_are_always_even(amounts in prop::collection::vec((0..5_u8, -10_000_i64..10_000), 0..40)) {
        let mut entries = Vec::new();
        for (index, (kind, amount)) in amounts.into_iter().enumerate() {
            let (id, amount) = (invoice(&format!("i{index}")), cents(amount));
            entries.extend(match kind {
                0 => Entry::invoice_issued(&id, at(), cents(amount.cents().abs()), amount),
                1 => Entry::invoice_paid(&id, at(), amount),
                2 => Entry::refunded(&id, at(), amount, Money::ZERO, index % 2 == 0),
                3 => Entry::carried(id.as_str(), at(), amount, "carried"),
                _ => Entry::written_off(id.as_str(), at(), amount, "too small"),
            }.unwrap());
        }
        let sum: Money = Balances::of(&entries).unwrap().iter().map(|(_, balance)| balance).sum();
        prop_assert_eq!(sum, Money::ZERO);
    }
}
