//! What is kept, and under which keys. One table; an installation is one item collection.
//!
//! | pk | sk | record | found by index |
//! | --- | --- | --- | --- |
//! | `I#{installation}` | `S#0` | [`Installation`] | `shard` while active; `due`: its period's close |
//! | | `S#1#{resource}` | [`Resource`] | `due`: an operation left behind |
//! | | `S#2#{period}#{resource}#{segment}#{meter}` | [`MeterTotal`] | |
//! | | `S#3` | [`PushFailed`] | |
//! | | `A#{period}#…` | [`MeterTotal`], of a closed period | |
//! | | `C#{resource}` | [`Credentials`], sealed | |
//! | | `R#{resource}#{version}` | [`Rotation`] | `due`: the old secrets' expiry |
//! | | `U#{batch}` | [`UsageBatch`] | |
//! | | `V#{number}` | [`InvoiceRecord`] | |
//! | | `W#{number}#{digest}#{chunk}` | [`InvoiceLines`] | |
//! | | `J#{entry}` | [`LedgerEntry`] | |
//! | | `K#{route}#{key}` | idempotency record of Vercel's requests | |
//! | | `L#{class}#{resource}` | a lane of the outbox | `due`: its next effect |
//! | | `E#{class}#{resource}#…` | an effect | |
//! | | `Q#{class}#{resource}#…` | a dead letter, except of money: that stays where it was | |
//! | `K#{key id}#{webhook id}` | `K` | idempotency record of a partner's request | |
//! | `N#{webhook id}` | `N` | [`WebhookSeen`] | |
//! | `Z#{digest}` | `Z` | [`Session`], [`HandOver`] | |
//! | `H#billing` | `{shard}` | [`ShardCheckpoint`] | |
//!
//! `S#…` is the slice that the hourly push reads with one Query: the installation, its resources and the
//! open period's totals lie next to each other; everything else lies elsewhere in the collection. All
//! amounts and quantities are strings: DynamoDB's numbers drop trailing zeros.

pub mod billing;
pub mod installation;
pub mod invoice;
pub mod keys;
pub mod life;
pub mod resource;
pub mod segments;
pub mod session;
pub mod signed;
pub mod vault;

pub use billing::{MeterTotal, PushFailed, Serving, ShardCheckpoint, UsageBatch};
pub use installation::{CarriedAmount, Installation, InstallationStatus, Unbilled};
pub use invoice::{
    InvoiceLines, InvoicePhase, InvoiceRecord, LedgerEntry, LineSet, RefundPhase, RefundRecord, Refused,
};
pub use life::{Known, Life};
pub use resource::{Credentials, Intent, Operation, Origin, Resource, Rotation};
pub use session::{HandOver, Session, WebhookSeen};
pub use signed::SignedMoney;
