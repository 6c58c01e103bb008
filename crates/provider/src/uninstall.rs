//! A customer uninstalls: what that changes, whether Vercel asks for it (B.4) or tells of it (spec E).

use jiff::{SignedDuration, Timestamp, Unit};
use tradepost_store::{Stored, Write};

use crate::answer::Answer;
use crate::command::Change;
use crate::edge::ApiError;
use crate::effects::What;
use crate::state::{Installation, InstallationStatus};

/// The shortest period: one is never empty (spec F).
const SHORTEST_PERIOD: SignedDuration = SignedDuration::from_millis(1);

/// The uninstall, answered like this: nothing else if it was uninstalled before.
pub(crate) fn uninstall(stored: &Stored<Installation>, now: Timestamp, answer: Answer) -> Result<Change, ApiError> {
    if !stored.is_active() {
        return Ok(Change::answered(answer));
    }
    let mut installation = stored.item.clone();
    installation.status = InstallationStatus::Uninstalling;
    // An uninstall in the very millisecond of the period's start ends it one later.
    let at = now.round(Unit::Millisecond)?.max(installation.period_start.saturating_add(SHORTEST_PERIOD)?);
    installation.uninstalled_at = Some(at);
    if installation.closing.is_none() {
        installation.period_end = installation.period_end.min(at);
    }
    let write = Write::replace(&installation, stored.version)?;
    Ok(Change::answered(answer).writing([write]).owing([What::ReleaseResources]))
}
