//! What is set apart for a while, so that it takes no neighbour along: accounts whose history
//! cannot be read, keys whose events cannot, and whatever a command panicked on. Its rows and
//! commands are refused at once; after a while it is tried again.

use std::hash::Hash;
use std::time::{Duration, Instant};

use hashlink::LruCache;

use crate::account::command::PreparedTransaction;
use crate::faults;
use crate::ids::{AccountId, TransactionKey};
use crate::log::StreamId;

/// How long until it is tried again.
const FOR: Duration = Duration::from_secs(10);
/// As many are remembered; of more, those set apart first are tried again too early.
const MAX: usize = 10_000;
const UNREADABLE: &str = "an account cannot be read: its transactions and commands are refused";

pub(super) struct Apart {
    streams: LruCache<StreamId, Instant>,
    keys: LruCache<TransactionKey, Instant>,
}

impl Apart {
    pub(super) fn new() -> Apart {
        Apart { streams: LruCache::new(MAX), keys: LruCache::new(MAX) }
    }

    /// Sets a stream apart, for this reason.
    pub(super) fn put(&mut self, stream: StreamId, reason: &(dyn std::error::Error + 'static)) {
        faults::error(UNREADABLE, &stream.to_string(), reason);
        self.streams.insert(stream, Instant::now());
    }

    /// Sets apart whatever has this key.
    pub(super) fn put_key(&mut self, key: TransactionKey, reason: &(dyn std::error::Error + 'static)) {
        faults::error("a known transaction cannot be read: it is refused when it is sent again", "", reason);
        self.keys.insert(key, Instant::now());
    }

    /// Between batches: within one, nothing that was left out comes back.
    pub(super) fn let_back(&mut self) {
        expire(&mut self.streams);
        expire(&mut self.keys);
    }

    /// Nothing and nobody is, as nearly always.
    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.keys.is_empty()
    }

    pub(super) fn has(&self, stream: &StreamId) -> bool {
        self.streams.peek(stream).is_some()
    }

    pub(super) fn has_account(&self, account: &AccountId) -> bool {
        !self.streams.is_empty() && self.has(&StreamId::account(account))
    }

    /// Whether one of the names of this line is.
    pub(super) fn has_name_of(&self, row: &PreparedTransaction) -> bool {
        let has = |key: &TransactionKey| self.keys.peek(key).is_some();
        !self.keys.is_empty() && (has(&row.key) || row.pending_key().as_ref().is_some_and(has))
    }

    pub(super) fn has_key(&self, key: &TransactionKey) -> bool {
        !self.keys.is_empty() && self.keys.peek(key).is_some()
    }
}

/// The order is that in which they were set apart: nobody marks one as used.
fn expire<K: Hash + Eq>(apart: &mut LruCache<K, Instant>) {
    while apart.iter().next().is_some_and(|(_, since)| since.elapsed() >= FOR) {
        apart.remove_lru();
    }
}

/// A command panicked.
#[derive(Debug, thiserror::Error)]
#[error("a panic while deciding for it")]
pub(super) struct Panicked;
