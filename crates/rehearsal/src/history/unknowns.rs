//! What nobody outside knows of Vercel, drawn: every other history plays another reading of it (`PUT /_sim/switches`).
//!
//! Drawn by name, so that nothing else of a history moves with it.

use serde_json::{Value, json};

use super::dice::Dice;
use super::fate::Fate;

/// How many of a hundred of those histories differ in one switch.
const OF_A_HUNDRED: u64 = 30;

/// Whether a history plays other readings at all: every other one does.
pub(super) fn is_drawn(dice: Dice) -> bool {
    !dice.draw("unknowns", 0).is_multiple_of(2)
}

/// In how many of a hundred steps of those histories Vercel says of a customer that their installation is gone.
const GONE_OF_A_HUNDRED: u64 = 4;

/// Whether it says so in this step: it does not last, and then a partner system settles it.
pub(super) fn is_gone(dice: Dice, step: u64) -> bool {
    is_drawn(dice) && dice.draw("gone", step) % 100 < GONE_OF_A_HUNDRED
}

/// What is set; none of it for every other history.
pub(super) fn draw(dice: Dice, fate: &Fate) -> Option<Value> {
    if !is_drawn(dice) {
        return None;
    }
    let mut switches = json!({});
    let mut set = |name: &str, values: &[Value]| {
        let drawn = dice.draw(name, 0);
        if drawn % 100 < OF_A_HUNDRED {
            let count = u64::try_from(values.len()).unwrap_or(1).max(1);
            let at = usize::try_from((drawn / 100) % count).unwrap_or_default();
            switches[name] = values[at].clone();
            fate.count(&format!("with {name}"), 1);
        }
    };
    set("taxPercent", &[json!(8), json!(19)]);
    set("refundTotal", &[json!("last"), json!("absent")]);
    set("refundTax", &[json!(true)]);
    set("refundWebhooks", &[json!("lost")]);
    set("leaving", &[json!("forgotten")]);
    set("envelopes", &[json!("lost")]);
    set("removedTeam", &[json!(true)]);
    set("lock", &[json!("during_rotation")]);
    fate.tell(&format!("of what nobody knows: {switches}"));
    Some(switches)
}
