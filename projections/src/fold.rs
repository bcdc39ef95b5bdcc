//! Events as projections see them, and what a projection makes of a page of them.

use std::thread::{self, ScopedJoinHandle};

use ledger_core::account::AccountEvent;
use ledger_core::campaign::CampaignEvent;
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::{AccountId, CampaignId};
use ledger_core::log::{LogError, Position, StoredEvent};
use ledger_core::time::Timestamp;

use crate::connection::Connection;
use crate::error::ProjectionError;
use crate::table::TableRows;

/// An event and where it stands in the log.
pub(crate) struct Record {
    pub(crate) position: Position,
    pub(crate) recorded_at: Timestamp,
    pub(crate) event: Event,
}

/// An event with the aggregate that it is of.
#[expect(clippy::large_enum_variant, reason = "nearly all are the largest one, an account's")]
pub(crate) enum Event {
    Account(AccountId, AccountEvent),
    Campaign(CampaignId, CampaignEvent),
    /// Of the ledger as a whole.
    System,
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

    /// Decodes them on a thread of its own while `work` is done: on PostgreSQL that waits, and on
    /// SQLite it takes about as long.
    pub(crate) fn decode_beside<T>(
        after: Position,
        events: &[StoredEvent],
        work: impl FnOnce() -> T,
    ) -> (T, Result<Vec<Record>, ProjectionError>) {
        let decode = || Record::decode_after(after, events);
        if events.is_empty() {
            return (work(), Ok(vec![]));
        }
        thread::scope(|scope| {
            let decoding = thread::Builder::new().name("decode".into()).spawn_scoped(scope, decode);
            let done = work();
            let decoded = decoding.map(ScopedJoinHandle::join);
            // Where the system has no thread to spare, or ours is gone, it is done after the work.
            (done, decoded.ok().and_then(Result::ok).unwrap_or_else(decode))
        })
    }

    fn decode(stored: &StoredEvent) -> Result<Record, LogError> {
        let id = &stored.stream.id;
        let unnamed = |_| LogError::Damaged(format!("the event at {} is of no id", stored.position));
        let event = match decode(stored)? {
            LedgerEvent::Account(event) => Event::Account(AccountId::parse(id).map_err(unnamed)?, event),
            LedgerEvent::Campaign(event) => Event::Campaign(CampaignId::parse(id).map_err(unnamed)?, event),
            LedgerEvent::System(_) => Event::System,
        };
        Ok(Record { position: stored.position, recorded_at: stored.recorded_at, event })
    }

    /// Whether it changes rows that no page can name: all of an account.
    pub(crate) fn erases(&self) -> bool {
        matches!(self.event, Event::Account(_, AccountEvent::PersonalDataErased { .. }))
    }
}

/// One projection over one page of events. The page's rows are named, read, changed in memory and
/// written once, however many of its events touch a row.
pub(crate) trait Fold {
    /// Its tables, with the rows of the page.
    fn tables(&mut self) -> Vec<&mut dyn TableRows>;

    /// Names the rows that [`apply`](Fold::apply) is going to touch.
    fn name(&mut self, record: &Record);

    /// Changes the rows as the event says. It has no connection, so it sees only the rows that
    /// `name` has named.
    fn apply(&mut self, record: &Record) -> Result<(), ProjectionError>;

    /// Writes what are not rows of a page, after those. An event that [erases](Record::erases) is
    /// the last of its page.
    fn finish(&self, conn: &Connection) -> Result<(), ProjectionError> {
        let _ = conn;
        Ok(())
    }
}
