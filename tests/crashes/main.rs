//! A crash between any two steps loses nothing and repeats nothing. [`points`] lets the provider die before and after
//! every call to the outside; here every act is cut off after each of its commits in turn. Repeated, as Vercel, partner
//! systems and the scheduler do, it always ends the same. Not repeated, it has happened whole or not at all, and
//! whoever is owed something for it gets it from the sweeper.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod given_up;
mod points;
mod repeated;

use tradepost_provider::ledger::{Account, Balances};
use tradepost_provider::state::LedgerEntry;
use tradepost_rehearsal::world;
use world::acts::Stage;
use world::got::{Got, text};
use world::{TEAM, World};

/// Longer than every lease.
const LATER: i64 = 121;

/// More commits than any act makes.
const COMMITS_MAX: u64 = 30;

/// Whether whoever acts comes back after the crash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Repeats,
    GivesUp,
}

/// Plays an act in a new world for every commit at which the provider may die, and looks at the end.
async fn cut_off(
    caller: Caller,
    prepare: impl AsyncFn(&World, &Stage),
    act: impl AsyncFn(&World, &Stage) -> Got,
    check: impl AsyncFn(&World, &Stage),
) {
    for commits in 0..COMMITS_MAX {
        let world = World::open().await;
        let (installation, resource) = world.customer(TEAM).await;
        let stage = Stage { installation, resource };
        prepare(&world, &stage).await;
        let before = world.committed();
        world.die_after(commits);
        act(&world, &stage).await;
        let lived = world.committed() - before < commits;
        world.revive_after(LATER).await;
        if caller == Caller::Repeats {
            let got = act(&world, &stage).await;
            assert!((200..300).contains(&got.status), "the repeat after {commits} commits: {got:?}");
        }
        for _ in 0..3 {
            world.sweep().await;
        }
        check(&world, &stage).await;
        world.close().await;
        if lived {
            assert!(commits > 0, "the act writes nothing");
            return;
        }
    }
    panic!("the act makes more than {COMMITS_MAX} commits");
}

async fn balance(world: &World, stage: &Stage, account: Account) -> String {
    let entries = world.records::<LedgerEntry>(&stage.installation, "J#").await;
    Balances::of(entries.iter().map(|stored| &stored.entry)).unwrap().debit(account).to_string()
}

async fn totals(world: &World, stage: &Stage) -> Vec<String> {
    let invoices = world.invoices(&stage.installation).await;
    invoices.iter().map(|invoice| text(&invoice["total"])).collect()
}
