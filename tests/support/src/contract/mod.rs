//! The contract of a [`Log`]'s four parts, sentence by sentence, for every store to be held to.
//!
//! ```ignore
//! #[tokio::test(flavor = "multi_thread")]
//! async fn the_log_keeps_the_contract() {
//!     contract::holds(async || MyStore::empty()).await;
//! }
//! ```

#![allow(clippy::unwrap_used, reason = "test code that is no test by itself: a panic is its verdict")]

mod lease;
mod reading;
mod snapshots;
mod transactions;
mod writing;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::{History, stream};
use ledger_core::log::{Head, Log, LogError, Position, StoredEvent};

/// A place where one log lives, to be opened by one process after the other or by several at once.
#[async_trait]
pub trait Place: Send + Sync {
    /// Opens the log as a process of its own would.
    async fn open(&self) -> Log;
}

/// Runs every sentence, each on a new empty place. Needs tokio's multi-threaded runtime.
pub async fn holds<P: Place>(fresh: impl AsyncFn() -> P) {
    reading::an_empty_log_is_empty(&fresh().await).await;
    reading::what_is_appended_is_read_back_to_the_byte(&fresh().await).await;
    reading::positions_are_contiguous_and_pages_join(&fresh().await).await;
    reading::a_stream_is_read_page_by_page(&fresh().await).await;
    reading::streams_are_loaded_in_order_and_page_by_page(&fresh().await).await;
    reading::streams_with_an_event_are_known(&fresh().await).await;
    reading::stream_ids_are_sorted_and_of_one_type(&fresh().await).await;
    reading::readers_see_a_growing_prefix(&fresh().await).await;
    writing::an_append_elsewhere_than_at_the_head_is_fenced(&fresh().await).await;
    writing::all_duplicate_keys_are_named_and_nothing_is_written(&fresh().await).await;
    writing::a_batch_with_one_bad_event_leaves_nothing(&fresh().await).await;
    writing::a_batch_that_does_not_fit_together_is_refused(&fresh().await).await;
    writing::what_is_acknowledged_survives_a_restart(&fresh().await).await;
    writing::a_big_batch_lands_whole(&fresh().await).await;
    lease::a_new_lease_fences_the_old_writer(&fresh().await).await;
    lease::a_lease_is_renewed_and_given_back(&fresh().await).await;
    lease::a_recovery_holds_only_while_nobody_else_took_over(&fresh().await).await;
    lease::writers_that_contend_write_each_position_once(&fresh().await).await;
    transactions::transactions_are_found_by_key(&fresh().await).await;
    transactions::transaction_keys_are_read_in_order_and_pages_join(&fresh().await).await;
    snapshots::the_newest_snapshot_of_a_code_is_kept(&fresh().await).await;
    snapshots::snapshots_are_read_by_stream_and_pages_join(&fresh().await).await;
}

/// The lease, under a name that nobody else has; waits until an earlier one has run out.
async fn lease(log: &Log) -> Head {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let holder = format!("test {}", TAKEN.fetch_add(1, Ordering::Relaxed));
    lease_as(log, &holder).await
}

async fn lease_as(log: &Log, holder: &str) -> Head {
    for _ in 0..1_000 {
        match log.lease.lease(holder, None).await {
            Err(LogError::Held { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            taken => return taken.unwrap(),
        }
    }
    panic!("the lease never ran out");
}

/// Appends one event for each of these streams and returns them.
async fn write(log: &Log, term: u64, history: &mut History, streams: &[&str]) -> Vec<StoredEvent> {
    let events: Vec<_> = streams.iter().map(|id| history.event(&stream(id))).collect();
    log.events.append(&history.batch(term, events.clone())).await.unwrap();
    events
}

async fn all(log: &Log) -> Vec<StoredEvent> {
    log.events.read_after(Position(0), usize::MAX).await.unwrap()
}
