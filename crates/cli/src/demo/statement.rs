//! The report of a month as a statement for people.

use std::fmt::Write as _;

use tradepost_provider::ledger::Account;
use tradepost_rehearsal::demo::Report;
use tradepost_rehearsal::demo::referee::{ShownLine, money};
use tradepost_rehearsal::demo::repeats::Counts;
use tradepost_rehearsal::demo::script::{REFUND_CENTS, RESOURCES};
use tradepost_rehearsal::demo::statement::{Faults, Ledger, Vercel};

use crate::terminal::Terminal;

/// For people.
pub(super) fn statement(report: &Report, terminal: Terminal) -> String {
    let mut text = String::new();
    let out = &mut text;
    let _ = writeln!(out, "\nStatement of the month, seed {}", report.seed);
    write_usage(report, out);
    write_charges(report, out);
    let _ = writeln!(out, "\nInvoices at Vercel");
    for invoice in &report.invoices {
        let kind = if invoice.is_final { "final  " } else { "regular" };
        let [start, end] = invoice.period;
        let (state, all, back) = (&invoice.state, &invoice.total, &invoice.refunded);
        let _ = writeln!(out, "  {kind}  {start} to {end}  {all:>10}  {state}, {back} given back");
    }
    for refund in &report.refunds {
        let _ = writeln!(out, "  refund of {}: {} ({})", refund.invoice, refund.total, refund.reason);
    }
    write_ledger(report, out);
    if let Some(Counts { sent, changed, differing }) = report.repeats {
        let _ = writeln!(
            out,
            "\nRepeats: {sent} requests were sent again, {changed} of them changed something, {differing} were answered otherwise"
        );
    }
    if report.faults != Faults::default() {
        let _ = writeln!(out, "\nFaults: {}", report.faults);
    }
    let _ = writeln!(out);
    for difference in &report.differences {
        let _ = writeln!(out, "{} {difference}", terminal.bad("differs:"));
    }
    text.push_str(&if report.balanced { terminal.good("Balanced.") } else { terminal.bad("Not balanced.") });
    text
}

fn write_usage(report: &Report, out: &mut String) {
    let _ = writeln!(out, "\nUsage in January");
    for spec in RESOURCES {
        let meters = report.usage.get(spec.name).into_iter().flatten();
        let figures: Vec<String> = meters.map(|(meter, figure)| format!("{meter} {figure}")).collect();
        let _ = writeln!(out, "  {:<7} {}", spec.name, figures.join(", "));
    }
}

fn write_charges(report: &Report, out: &mut String) {
    for charge in &report.charges {
        let _ = writeln!(out, "\nCharges by the referee, {}", charge.period);
        for line in &charge.lines {
            let ShownLine { plan, price, quantity, resource, total } = line;
            let _ = writeln!(out, "  {resource:<7} {plan:<19} {quantity:>16} × {price:<9} {total:>10}");
        }
        let _ = writeln!(out, "  {:<56} {:>10}", "total", charge.total);
    }
}

fn write_ledger(report: &Report, out: &mut String) {
    let account = |account: Account| {
        let text = report.ledger.accounts.get(&account.to_string()).cloned().unwrap_or_else(|| money(0));
        text.strip_prefix('-').map_or_else(|| text.clone(), str::to_owned)
    };
    let Vercel { invoiced, refunded, .. } = &report.vercel;
    let _ = writeln!(out, "\n{:<30} {:>12} {:>12}", "Money", "our ledger", "Vercel");
    for (what, ours, theirs) in [
        ("invoiced (revenue)", account(Account::Revenue), invoiced.clone()),
        ("given back (refunds)", account(Account::Refunds), refunded.clone()),
        ("still to collect (receivable)", account(Account::Receivable), report.vercel.to_collect()),
        ("collected less given back", account(Account::Settled), report.vercel.kept()),
    ] {
        let _ = writeln!(out, "  {what:<28} {ours:>12} {theirs:>12}");
    }
    let Ledger { credits, debits, entries, .. } = &report.ledger;
    let _ =
        writeln!(out, "  {entries} entries, debits {debits}, credits {credits}; asked back {}", money(REFUND_CENTS));
}
