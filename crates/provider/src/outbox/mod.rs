//! What is still owed: to Vercel, to the provisioner. Kept here, delivered by [`crate::delivery`]; what each kind of
//! effect is, [`crate::effects`] knows.
//!
//! An [`Effect`] is written in the same transaction as the state that owes it, and removed when it was
//! delivered. Effects wait in lanes: a [`Lane`] is (installation, resource or none, class) and delivers one
//! at a time. Delivering needs the lane's lease, one conditional write, longer than any request it makes.
//!
//! - The writer takes the lease in its own transaction ([`enqueue`]), delivers inline inside
//!   its deadline, and has set `due` to the lease's end: so the sweeper never doubles it, and finds the
//!   lane when the writer dies. A busy lane never fails a command: it commits without the lease.
//! - State and secrets effects are one item per (resource, kind): a newer write replaces the older, and
//!   delivery removes it only at the version it delivered. They carry no data: what is sent is read from
//!   the state when it is sent, so nothing ever goes backwards.
//! - Money and deliveries queue in order. A dead letter blocks its own money lane and nothing else, until a
//!   partner system settles it ([`Stuck`]). What blocks nothing lies apart for 90 days.
//!
//! - Some are owed for later: an effect that waits on purpose from the start takes no lease, and makes its lane due then.
//!
//! Retries wait in business time, leases run in lease time.

mod effect;
mod enqueue;
mod lane;
mod reason;
mod settle;

pub use effect::{Effect, Owed, parse_effect_id};
pub use enqueue::{Enqueued, Hold, enqueue, take};
pub use lane::{Class, DUE_PARTITIONS, Lane, LaneName, partition_name};
pub use reason::Reason;
pub use settle::{Stuck, find, head};

/// How long a lane is held, in lease time (formats: "Leases").
pub const LANE_LEASE_SECONDS: i64 = 60;
