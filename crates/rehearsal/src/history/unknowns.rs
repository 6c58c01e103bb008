//! What nobody outside knows of Vercel, drawn: every other history plays another reading of it (`PUT /_sim/switches`).
//!
//! Drawn by name, so that nothing else of a history moves with it.

use serde_json::{Value, json};

use super::dice::Dice;
use super::fate::Fate;

/// How many of a hundred of those histories differ in one switch.
const OF_A_HUNDRED: u64 = 30;

/// What is set; none of it for every other history.
pub(super) fn draw(dice: Dice, fate: &Fate) -> Option<Value> {
    if dice.draw("unknowns", 0).is_multiple_of(2) {
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
    set("leaving", &[json!("forgotten")]);
    set("envelopes", &[json!("lost")]);
    set("removedTeam", &[json!(true)]);
    set("lock", &[json!("during_rotation")]);
    fate.tell(&format!("of what nobody knows: {switches}"));
    Some(switches)
}
