//! What is said of items that steps have given up.

use serde::Deserialize;

use super::{ActionError, Reason, read};
use crate::system::ParkedAction;

/// Everything that can be done with a parked item.
pub const ACTIONS: [&str; 3] = ["retry", "drop", "fail"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithReason {
    reason: Reason,
}

/// The action and the reason that a path and a body are.
pub fn command(action: &str, body: &[u8]) -> Result<(ParkedAction, String), ActionError> {
    let action = ParkedAction::parse(action).ok_or_else(|| ActionError::Unknown(action.into()))?;
    let WithReason { reason: Reason(reason) } = read(action.as_str(), body)?;
    Ok((action, reason))
}
