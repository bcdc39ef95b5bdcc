//! Events as projections see them.

use compact_str::CompactString;
use ledger_core::log::decode::{LedgerEvent, decode};
use ledger_core::log::{LogError, Position, StoredEvent};
use ledger_core::time::Timestamp;

use crate::error::ProjectionError;

/// An event as projections see it.
pub(crate) struct Record {
    pub(crate) position: Position,
    pub(crate) recorded_at: Timestamp,
    /// The aggregate's id: an account's or a campaign's.
    pub(crate) stream_id: CompactString,
    pub(crate) event: LedgerEvent,
}

impl Record {
    /// Decodes events that have to follow `after` without a hole.
    pub(crate) fn decode_after(
        after: Position,
        events: &[StoredEvent],
    ) -> Result<Vec<Record>, ProjectionError> {
        let mut last = after;
        let record = |stored: &StoredEvent| {
            if stored.position != last.next() {
                return Err(ProjectionError::Hole { after: last, found: stored.position });
            }
            last = stored.position;
            Record::decode(stored).map_err(ProjectionError::Log)
        };
        events.iter().map(record).collect()
    }

    fn decode(stored: &StoredEvent) -> Result<Record, LogError> {
        Ok(Record {
            position: stored.position,
            recorded_at: stored.recorded_at,
            stream_id: crate::table::text(&stored.stream.id),
            event: decode(stored)?,
        })
    }
}
