//! What is said to switches.

use serde::Deserialize;

use super::{ActionError, Reason, read};
use crate::system::{Switch, SystemCommandKind};

/// Everything that can be done with a switch.
pub const ACTIONS: [&str; 2] = ["halt", "resume"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithReason {
    reason: Reason,
}

/// The command that a switch, an action and its body are.
pub fn command(what: &str, action: &str, body: &[u8]) -> Result<SystemCommandKind, ActionError> {
    let what = Switch::parse(what).ok_or_else(|| ActionError::Switch(what.into()))?;
    if !ACTIONS.contains(&action) {
        return Err(ActionError::Unknown(action.into()));
    }
    let WithReason { reason: Reason(reason) } = read(action, body)?;
    Ok(SystemCommandKind::SetSwitch { what, halted: action == "halt", reason })
}
