//! Where steps keep how far they are, what is not done and what they have counted. Losing it costs
//! time, never money. The crate `stores` has a file of SQLite and a schema of PostgreSQL.

use async_trait::async_trait;

use super::items::{Change, ItemCounts, ItemRow};
use crate::log::Position;

/// The store could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the steps' rows failed")]
pub struct StepStoreError {
    transient: bool,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl StepStoreError {
    /// What the store said, and whether trying again may help.
    pub fn new(
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
        transient: bool,
    ) -> StepStoreError {
        StepStoreError { transient, source: source.into() }
    }

    /// Whether trying again may help.
    pub fn transient(&self) -> bool {
        self.transient
    }
}

/// What one page of the log says of one day's draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Of which campaign.
    pub campaign: String,
    /// Of which day.
    pub epoch: String,
    /// Where the page ended.
    pub position: u64,
    /// Ids of 32 bytes, sorted.
    pub entries: Vec<u8>,
    /// By tier, as far as there were any.
    pub wins: Vec<u64>,
    /// All that was won.
    pub paid_minor: i64,
}

impl Chunk {
    pub(super) fn entries(&self) -> impl Iterator<Item = [u8; 32]> {
        self.entries.as_chunks::<32>().0.iter().copied()
    }
}

/// Keeps the rows of steps.
#[async_trait]
pub trait StepStore: Send + Sync {
    /// Where a step goes on: everything up to here is done. The beginning for a step never run.
    async fn get(&self, step: &str) -> Result<Position, StepStoreError>;

    /// Remembers that everything up to `position` is done.
    async fn set(&self, step: &str, position: Position) -> Result<(), StepStoreError>;

    /// Changes rows and moves the cursor, all or nothing: rows first, then what is done to all of
    /// them in order.
    async fn commit(&self, step: &str, to: Position, changes: &[Change]) -> Result<(), StepStoreError>;

    /// Up to `limit` waiting items of a step, the one that is due first first.
    async fn waiting(&self, step: &str, limit: usize) -> Result<Vec<ItemRow>, StepStoreError>;

    /// Up to `limit` parked items of all steps in the order of their ids, after this one.
    async fn parked(&self, after: &str, limit: usize) -> Result<Vec<ItemRow>, StepStoreError>;

    /// One item that is not done.
    async fn item(&self, id: &str) -> Result<Option<ItemRow>, StepStoreError>;

    /// How many items of a step are not done.
    async fn count_items(&self, step: &str) -> Result<ItemCounts, StepStoreError>;

    /// Keeps what lies between two places of the log and moves the cursor of tallies, if it is
    /// still at the first; forgets days that are over.
    async fn keep_tallies(
        &self,
        from: Position,
        to: Position,
        chunks: &[Chunk],
        over: &[(String, String)],
    ) -> Result<(), StepStoreError>;

    /// Up to `limit` of a day's rows, after that of a place.
    async fn tallies(
        &self,
        campaign: &str,
        epoch: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Chunk>, StepStoreError>;
}
