//! What is said to campaigns.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{ActionError, Nothing, Reason, read, whole};
use crate::campaign::CampaignCommandKind;
use crate::money::{Currency, Money};
use crate::time::{Epoch, Timestamp};

/// Everything that can be done with a campaign that exists.
pub const ACTIONS: [&str; 12] = [
    "revise",
    "approve",
    "schedule",
    "start",
    "pause",
    "resume",
    "fund",
    "approve-funding",
    "halt-epoch",
    "resume-epoch",
    "open-seed",
    "end",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approve {
    /// The one that was read: whoever says only "the latest" may sign what he has not seen.
    #[serde(deserialize_with = "whole")]
    version: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Schedule {
    start_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    reason: Reason,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fund {
    #[serde(deserialize_with = "money")]
    amount: Money,
    reference: String,
}

/// An amount as a body has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Amount {
    #[serde(deserialize_with = "whole")]
    minor: i64,
    currency: Currency,
}

fn money<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
    let Amount { minor, currency } = Amount::deserialize(deserializer)?;
    Money::new(minor, currency).map_err(D::Error::custom)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApproveFunding {
    reference: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfEpoch {
    epoch: Epoch,
    reason: Reason,
}

/// The command that an action and its body are: `create`, or one of [`ACTIONS`]. An empty body is
/// `{}`.
pub fn command(action: &str, body: &[u8]) -> Result<CampaignCommandKind, ActionError> {
    if action == "create" {
        return Ok(CampaignCommandKind::Draft(read(action, body)?));
    }
    if !ACTIONS.contains(&action) {
        return Err(ActionError::Unknown(action.into()));
    }
    Ok(match action {
        "revise" => CampaignCommandKind::Revise(read(action, body)?),
        "approve" => {
            let Approve { version } = read(action, body)?;
            CampaignCommandKind::Approve { version: Some(version) }
        }
        "schedule" => {
            let Schedule { start_at } = read(action, body)?;
            CampaignCommandKind::Schedule { start_at }
        }
        "pause" => {
            let Pause { reason: Reason(reason) } = read(action, body)?;
            CampaignCommandKind::Pause { reason }
        }
        "fund" => {
            let Fund { amount, reference } = read(action, body)?;
            CampaignCommandKind::Fund { amount, reference }
        }
        "approve-funding" => {
            let ApproveFunding { reference } = read(action, body)?;
            CampaignCommandKind::ApproveFunding { reference }
        }
        "halt-epoch" => {
            let OfEpoch { epoch, reason: Reason(reason) } = read(action, body)?;
            CampaignCommandKind::HaltEpoch { epoch, reason }
        }
        "resume-epoch" => {
            let OfEpoch { epoch, reason: Reason(reason) } = read(action, body)?;
            CampaignCommandKind::ResumeEpoch { epoch, reason }
        }
        "open-seed" => {
            let OfEpoch { epoch, reason: Reason(reason) } = read(action, body)?;
            CampaignCommandKind::RecordSeedOpening { epoch, purpose: opening_purpose(&reason) }
        }
        _ => {
            let Nothing {} = read(action, body)?;
            match action {
                "start" => CampaignCommandKind::Start,
                "resume" => CampaignCommandKind::Resume,
                _ => CampaignCommandKind::End,
            }
        }
    })
}

/// What `SeedOpened` says of a seed that a person opens for this reason.
pub fn opening_purpose(reason: &str) -> String {
    format!("audit: {reason}")
}
