//! Which transaction keys are surely not in the log, so that lines seen for the first time, which
//! nearly all are, cost no look into it.
//!
//! A key of this writer's is put in when it is decided, those of before are read from the log in
//! the background; until that has ended every key may be known. What is wrongly taken for new is
//! caught by the log's unique index, and decided again as the repeat it is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use fastbloom::AtomicBloomFilter;

use super::memory::show_memory;
use crate::ids::TransactionKey;
use crate::log::TransactionIndex;

/// Best for a seventh as many keys as there are bits.
const HASHES: u32 = 5;
/// Keys read at once.
const PAGE: usize = 4_096;
/// Beyond it the filter saves little.
const IN_VAIN_TOLD: f64 = 0.1;
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Filter {
    keys: AtomicBloomFilter,
    /// All keys of the log are in it.
    complete: AtomicBool,
    /// How many keys are in it.
    count: AtomicU64,
    /// That it is too small has been told.
    told: AtomicBool,
}

impl Filter {
    /// Empty: until it is filled, every key may be known.
    pub(super) fn new(bits: usize) -> Arc<Filter> {
        let keys = AtomicBloomFilter::with_num_bits(bits).hashes(HASHES);
        let (complete, told) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Filter { keys, complete, count: AtomicU64::new(0), told })
    }

    /// Reads the log's keys in the background, until all are in or the writer is gone. To be called
    /// once the writer has the lease: only its own keys come after those that are read.
    pub(super) fn fill(self: &Arc<Filter>, log: Arc<dyn TransactionIndex>) {
        tokio::spawn(read_all(log, Arc::downgrade(self)));
    }

    pub(super) fn insert(&self, key: &TransactionKey) {
        self.keys.insert_hash(hash(key));
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// What it takes, and which part of the new lines is looked up in vain.
    pub(super) fn show(&self) {
        let bytes = self.keys.num_bits() / 8;
        show_memory("filter", bytes, bytes);
        let in_vain = in_vain(self.count.load(Ordering::Relaxed), self.keys.num_bits());
        metrics::gauge!("rewardhub_filter_in_vain_ratio").set(in_vain);
        if in_vain > IN_VAIN_TOLD && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(in_vain, "the filter of known transactions is too small: set memory.filter");
        }
    }

    /// Whether the log may have this key.
    pub(super) fn may_have(&self, key: &TransactionKey) -> bool {
        !self.complete.load(Ordering::Acquire) || self.keys.contains_hash(hash(key))
    }
}

/// How often a Bloom filter of so many bits takes a new key for one of so many.
#[expect(clippy::cast_precision_loss, clippy::float_arithmetic, reason = "a ratio to look at")]
fn in_vain(keys: u64, bits: usize) -> f64 {
    let hashes = f64::from(HASHES);
    (1.0 - (-hashes * keys as f64 / bits as f64).exp()).powf(hashes)
}

/// A key is the beginning of a SHA-256: any part of it is a hash.
fn hash(key: &TransactionKey) -> u64 {
    let (half, _) = key.0.split_first_chunk().expect("a key has 16 bytes");
    u64::from_be_bytes(*half)
}

async fn read_all(log: Arc<dyn TransactionIndex>, filter: Weak<Filter>) {
    let mut after = None;
    loop {
        let page = log.transaction_keys(after.as_ref(), PAGE).await;
        let Some(filter) = filter.upgrade() else { return };
        match page {
            Ok(keys) => {
                for key in &keys {
                    filter.insert(key);
                }
                if keys.len() < PAGE {
                    filter.complete.store(true, Ordering::Release);
                    return;
                }
                after = keys.last().copied();
            }
            Err(error) if error.transient() => tokio::time::sleep(RETRY).await,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(
                    error,
                    "the known keys cannot be read; every transaction is looked up in the log"
                );
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{EventLog as _, WriterLease as _};
    use crate::support::{History, SimulatedLog};

    fn key(n: u128) -> TransactionKey {
        TransactionKey((n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes())
    }

    #[test]
    fn it_tells_how_often_it_is_asked_in_vain() {
        // A tenth as many keys as bits: one in 100; half as many: two in three.
        assert!((in_vain(1 << 20, 10 << 20) - 0.0094).abs() < 0.001);
        assert!((in_vain(5 << 20, 10 << 20) - 0.65).abs() < 0.02);
        assert!(in_vain(0, 1 << 20).abs() < f64::EPSILON);
    }

    #[tokio::test(start_paused = true)]
    async fn it_knows_the_logs_keys_and_ours_and_hardly_any_others() {
        let log = Arc::new(SimulatedLog::new());
        let head = log.lease("test", None).await.unwrap();
        let mut history = History::default();
        let stream = crate::support::stream("a");
        let many = 2 * PAGE as u128 + 1;
        let events = (0..many)
            .map(|n| {
                let mut event = history.event(&stream);
                event.transaction_key = Some(key(n));
                event
            })
            .collect();
        log.append(&history.batch(head.term, events)).await.unwrap();
        let filter = Filter::new(1 << 18);
        filter.insert(&key(many));
        assert!(filter.may_have(&key(many + 1)), "anything, as long as the log has not been read");
        filter.fill(log);
        while !filter.complete.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        assert!((0..=many).all(|n| filter.may_have(&key(n))));
        let taken = (many + 1..many + 10_001).filter(|n| filter.may_have(&key(*n))).count();
        assert!(taken < 50, "{taken} of 10,000 new keys");
    }
}
