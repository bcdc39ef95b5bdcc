//! What people did to draws, accounts and campaigns: halts, resumptions, holds, reviews, opened seeds.

use serde::Serialize;
use serde_json::Value;

use crate::log::{StoredEvent, StreamType};
use crate::time::Timestamp;

/// What a campaign records by itself, day by day. Whatever else is in its stream, somebody did.
const ROUTINE: [&str; 6] =
    ["BudgetSpent", "BudgetAlerted", "EpochScheduled", "EpochOpened", "EpochClosed", "EpochRevealed"];
/// What somebody did to an account. Reversals only where no bank took the line back.
const OF_ACCOUNTS: [&str; 5] =
    ["AccountClosed", "AccountExcluded", "AccountReinstated", "PersonalDataErased", "RewardReversed"];

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incident {
    /// Its place in the log.
    pub position: String,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Whose stream.
    pub stream: String,
    /// Such as `EpochHalted`.
    pub event: String,
    /// Who, as the event's metadata has it.
    pub actor: String,
    /// The day it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// In the operator's words; of an opened seed, what for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Incident {
    /// The event, if it is one. Goes by names, so that what a later release records is listed too.
    pub(super) fn of(stored: &StoredEvent) -> Option<Incident> {
        let name = stored.event_type.as_str();
        let deferred = name == "TransactionDeferred";
        let listed = match stored.stream.stream_type {
            StreamType::System => true,
            StreamType::Campaign => !ROUTINE.contains(&name),
            StreamType::Account => {
                deferred
                    || OF_ACCOUNTS.contains(&name)
                    || ["Held", "Review", "Releas"].iter().any(|word| name.contains(word))
            }
        };
        if !listed {
            return None;
        }
        let payload: Value = serde_json::from_slice(&stored.payload).ok()?;
        let word = |field: &str| payload[name][field].as_str().map(str::to_owned);
        let reason = word("reason").or_else(|| word("purpose"));
        match reason.as_deref() {
            Some("transaction_removed") => return None,
            Some(reason) if deferred && reason != "held" => return None,
            _ => {}
        }
        let metadata: Value = serde_json::from_slice(&stored.metadata).unwrap_or_default();
        Some(Incident {
            position: stored.position.to_string(),
            recorded_at: stored.recorded_at,
            stream: stored.stream.to_string(),
            event: name.into(),
            actor: metadata["actor"].as_str().unwrap_or_default().into(),
            epoch: word("epoch"),
            reason,
        })
    }
}
