//! Whom to kill when, from a seed.

use std::ops::RangeInclusive;

use aws_lc_rs::digest::{SHA256, digest};

/// The acts of the month's end: invoice, payment, refund, uninstall. There is a kill after each of them.
const ENDING: RangeInclusive<u64> = 40..=45;
/// After how many further lines at most: a day of the month has more.
const LINES_MAX: u64 = 400;

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// The function that wrote the last line.
    AtWork,
    Store,
    Vercel,
}

/// One kill.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kill {
    /// After this act …
    pub(crate) act: usize,
    /// … and so many further lines of any function.
    pub(crate) lines: u64,
    pub(crate) whom: Whom,
}

/// A number below `below`, from the seed and a name.
fn draw(seed: u64, name: &str, below: u64) -> u64 {
    let digest = digest(&SHA256, format!("kills {seed} {name}").as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_ref()[..8]);
    u64::from_be_bytes(bytes) % below
}

/// So many kills, after acts of their own, in order. Every seventh hits the store, every seventh Vercel.
pub(crate) fn drawn(seed: u64, kills: usize) -> Vec<Kill> {
    let mut acts: Vec<u64> = (1..*ENDING.start()).collect();
    acts.sort_by_key(|act| draw(seed, &format!("act {act}"), u64::MAX));
    acts.truncate(kills - ENDING.count());
    acts.extend(ENDING);
    acts.sort_unstable();
    let kill = |(n, act): (usize, u64)| Kill {
        act: usize::try_from(act).unwrap(),
        lines: 1 + draw(seed, &format!("lines of {n}"), LINES_MAX),
        whom: match n % 7 {
            3 => Whom::Store,
            5 => Whom::Vercel,
            _ => Whom::AtWork,
        },
    };
    acts.into_iter().enumerate().map(kill).collect()
}

#[test]
fn a_plan_is_drawn_from_its_seed() {
    let shown = |seed| format!("{:?}", drawn(seed, 20));
    assert_eq!(shown(1), shown(1));
    assert_ne!(shown(1), shown(2));
    let plan = drawn(1, 20);
    assert!(plan.windows(2).all(|pair| pair[0].act < pair[1].act) && plan.len() == 20);
    assert!(plan.iter().filter(|kill| kill.whom == Whom::AtWork).count() >= 14);
}
