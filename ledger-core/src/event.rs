//! From stored bytes to domain events. Old payload versions are brought up to date here and nowhere
//! else.

use crate::account::AccountEvent;
use crate::campaign::CampaignEvent;
use crate::log::{LogError, StoredEvent, StreamType};
use crate::system::SystemEvent;
use crate::text::without_values;

/// An event of any aggregate.
#[expect(clippy::large_enum_variant, reason = "read one by one and matched at once, never kept in numbers")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerEvent {
    /// Of a reward account.
    Account(AccountEvent),
    /// Of a campaign.
    Campaign(CampaignEvent),
    /// Of the ledger as a whole.
    System(SystemEvent),
}

/// Reads the payload of a stored event.
pub fn decode(stored: &StoredEvent) -> Result<LedgerEvent, LogError> {
    let damaged = |e: serde_json::Error| {
        LogError::Damaged(format!(
            "payload of {} at {} of {}: {}",
            stored.event_type,
            stored.position,
            stored.stream,
            without_values(&e)
        ))
    };
    match stored.stream.stream_type {
        StreamType::Account => {
            serde_json::from_slice(&stored.payload).map(LedgerEvent::Account).map_err(damaged)
        }
        StreamType::Campaign => {
            serde_json::from_slice(&stored.payload).map(LedgerEvent::Campaign).map_err(damaged)
        }
        StreamType::System => {
            serde_json::from_slice(&stored.payload).map(LedgerEvent::System).map_err(damaged)
        }
    }
}
