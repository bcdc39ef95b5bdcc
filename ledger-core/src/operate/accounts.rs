//! What is said to accounts.

use serde::Deserialize;

use super::{ActionError, Nothing, Reason, read};
use crate::account::event::{Exclusion, Verdict};
use crate::account::{AccountAnswer, CommandKind};
use crate::ids::{Source, TransactionId};

/// Everything that can be done with an account.
pub const ACTIONS: [&str; 6] = ["open", "close", "exclude", "reinstate", "release", "dismiss"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exclude {
    kind: Exclusion,
    reason: Reason,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithReason {
    reason: Reason,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Review {
    source: Source,
    transaction_id: TransactionId,
    reason: Reason,
}

/// The command that an action, one of [`ACTIONS`], and its body are. An empty body is `{}`.
pub fn command(action: &str, body: &[u8]) -> Result<CommandKind, ActionError> {
    if !ACTIONS.contains(&action) {
        return Err(ActionError::Unknown(action.into()));
    }
    Ok(match action {
        "open" => {
            let Nothing {} = read(action, body)?;
            CommandKind::Open
        }
        "exclude" => {
            let Exclude { kind, reason: Reason(reason) } = read(action, body)?;
            CommandKind::Exclude { kind, reason }
        }
        "release" | "dismiss" => {
            let Review { source, transaction_id, reason: Reason(reason) } = read(action, body)?;
            let verdict = if action == "release" { Verdict::Released } else { Verdict::Dismissed };
            CommandKind::Review { source, transaction_id, verdict, reason }
        }
        _ => {
            let WithReason { reason: Reason(reason) } = read(action, body)?;
            match action {
                "close" => CommandKind::Close { reason },
                _ => CommandKind::Reinstate { reason },
            }
        }
    })
}

/// The word on the wire for what an account answers to these commands.
pub fn result(answer: &AccountAnswer) -> &'static str {
    match answer {
        AccountAnswer::Unchanged => "unchanged",
        AccountAnswer::Proposed => "proposed",
        _ => "done",
    }
}
