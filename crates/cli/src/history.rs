//! The command line of `tradepost history`: one line a history, in the order of the seeds; a violation comes with its
//! trace; at the end the total of what the histories contained.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tradepost_marketplace::doors::Environment;
use tradepost_rehearsal::history::{Counts, History, Sabotage, run};

use crate::terminal::{Terminal, say};

/// How many histories are played at once at most.
const THREADS_MAX: usize = 16;
/// Runs that differ from nothing: what every long run must contain.
const CONTAINED: [&str; 6] = ["readings", "invoices", "refunds asked", "rotations", "crashes", "faults"];
/// From how many histories on something of everything is wanted.
const CONTAINED_FROM: u64 = 50;

/// Which histories.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The first seed; alone, its whole trace is printed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many seeds from there on
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
    /// Break the system on purpose, to see an invariant fail
    #[arg(long = "break", value_name = "HOW", hide = true, value_parser = ways_to_break())]
    sabotage: Option<Sabotage>,
}

fn ways_to_break() -> impl TypedValueParser<Value = Sabotage> {
    let names = PossibleValuesParser::new(Sabotage::ALL.map(Sabotage::name));
    names.try_map(|name| Sabotage::named(&name).ok_or("there is no such way"))
}

/// Plays, and tells. The exit code is 0 if nothing is violated.
pub fn play(args: &Args, environment: &dyn Environment) -> anyhow::Result<ExitCode> {
    let first = args.seed.unwrap_or(1);
    let count = args.count.unwrap_or(1);
    let terminal = Terminal::detect(environment, false);
    let mut total = Counts::default();
    let mut violated = Vec::new();
    for history in histories(first, count, args.sabotage) {
        let history = history?;
        total.merge(&history.counts);
        if !args.json {
            tell(&history, count == 1, terminal);
        }
        if !history.violations.is_empty() {
            violated.push((history.seed, history.violations));
        }
    }
    let missing: Vec<&str> = CONTAINED.into_iter().filter(|name| total.of(name) == 0).collect();
    let is_empty = count >= CONTAINED_FROM && !missing.is_empty();
    if args.json {
        let seeds: Vec<_> =
            violated.iter().map(|(seed, what)| serde_json::json!({ "seed": seed, "violations": what })).collect();
        say(&serde_json::json!({ "histories": count, "first": first, "violated": seeds, "contained": total })
            .to_string());
    } else {
        let contained: Vec<String> = total.all.iter().map(|(name, n)| format!("{name} {n}")).collect();
        say(&format!("\n{count} histories from seed {first}; they contained: {}", contained.join(", ")));
        say(&match violated.len() {
            0 => terminal.good("0 violations."),
            n => terminal.bad(&format!("{n} histories violated something.")),
        });
    }
    if is_empty {
        eprintln!("tradepost: the histories contained no {}", missing.join(", no "));
    }
    Ok(if violated.is_empty() && !is_empty { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line that names all that is needed to play it again, and what must come of that.
fn tell(history: &History, is_alone: bool, terminal: Terminal) {
    let History { seed, violations, counts, trace, digest } = history;
    let is_good = violations.is_empty();
    if is_alone || !is_good {
        say(trace.trim_end());
    }
    let word = if is_good { terminal.good("ok") } else { terminal.bad("VIOLATED") };
    let of = |name: &str| counts.of(name);
    say(&format!(
        "history --seed {seed}  trace {digest}  {} steps, {} readings, {} invoices, {} faults, {} crashes  {word}",
        of("steps"),
        of("readings"),
        of("invoices"),
        of("faults"),
        of("crashes"),
    ));
    for violation in violations {
        say(&format!("  {} {violation}", terminal.bad("violated:")));
    }
}

/// Plays `count` seeds from `first` on, on all processors; they come in order.
fn histories(first: u64, count: u64, sabotage: Option<Sabotage>) -> impl Iterator<Item = anyhow::Result<History>> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let next = std::sync::Arc::new(AtomicU64::new(0));
    let (sender, receiver) = channel();
    for _ in 0..threads {
        let (next, sender) = (next.clone(), sender.clone());
        thread::spawn(move || {
            loop {
                let n = next.fetch_add(1, Ordering::SeqCst);
                if n >= count || sender.send((n, run(first + n, sabotage))).is_err() {
                    return;
                }
            }
        });
    }
    in_order(receiver)
}

fn in_order(receiver: Receiver<(u64, anyhow::Result<History>)>) -> impl Iterator<Item = anyhow::Result<History>> {
    let mut early = std::collections::BTreeMap::new();
    let mut wanted = 0;
    std::iter::from_fn(move || {
        loop {
            if let Some(history) = early.remove(&wanted) {
                wanted += 1;
                return Some(history);
            }
            let (n, history) = receiver.recv().ok()?;
            early.insert(n, history);
        }
    })
}
