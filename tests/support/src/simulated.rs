//! A log in memory that keeps the contract, and breaks down when it is told to.
//!
//! A handle stands for a process: [`SimulatedLog::reopen`] is the restart (or a second process) on
//! the same data, and a crash makes a handle dead for good.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use parking_lot::{Mutex, MutexGuard};

use async_trait::async_trait;

use super::ManualClock;
use super::faults::{Fault, Faults};
use ledger_core::ids::TransactionKey;
use ledger_core::log::{
    AppendError, Batch, EventLog, Head, LogError, Position, Snapshot, SnapshotStore, StoredEvent, StreamId,
    StreamType, TransactionIndex, WriterLease,
};
use ledger_core::time::{Clock as _, Timestamp};

/// One process's handle on a simulated log.
#[derive(Debug, Default)]
pub struct SimulatedLog {
    disk: Arc<Disk>,
    dead: AtomicBool,
}

#[derive(Debug, Default)]
struct Disk {
    data: Mutex<Data>,
    faults: Faults,
    /// Where the log would be a server's.
    server_clock: OnceLock<Arc<ManualClock>>,
}

#[derive(Debug, Default)]
struct Data {
    head: Head,
    holder: String,
    events: Vec<StoredEvent>,
    /// Where in `events`.
    streams: BTreeMap<StreamId, Vec<usize>>,
    keys: HashMap<TransactionKey, usize>,
    snapshots: BTreeMap<StreamId, Snapshot>,
    /// Appends that still run though their writer has given up on them.
    running: Vec<Batch>,
}

impl SimulatedLog {
    /// An empty log.
    pub fn new() -> SimulatedLog {
        SimulatedLog::default()
    }

    /// Another handle on the same data: the same process restarted, or a second one.
    #[must_use]
    pub fn reopen(&self) -> SimulatedLog {
        SimulatedLog { disk: Arc::clone(&self.disk), dead: AtomicBool::new(false) }
    }

    /// What is about to go wrong.
    pub fn faults(&self) -> &Faults {
        &self.disk.faults
    }

    /// The log is on a server with this clock; once and for all.
    pub fn on_server_with(&self, clock: Arc<ManualClock>) {
        self.disk.server_clock.get_or_init(|| clock);
    }

    /// Makes this handle dead, as if its process had been killed.
    pub fn crash(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    /// All events, whatever faults are due.
    pub fn events(&self) -> Vec<StoredEvent> {
        self.data().events.clone()
    }

    /// All snapshots.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.data().snapshots.values().cloned().collect()
    }

    /// Changes the event at this position as no writer would.
    pub fn damage(&self, position: Position, change: impl FnOnce(&mut StoredEvent)) {
        let index = usize::try_from(position.0 - 1).expect("a position of this log");
        change(&mut self.data().events[index]);
    }

    /// Puts a snapshot there whatever stands in its place.
    pub fn put_snapshot(&self, snapshot: Snapshot) {
        self.data().snapshots.insert(snapshot.stream.clone(), snapshot);
    }

    /// Puts other events in the place of those there are, one for each, and forgets the snapshots
    /// of them.
    pub fn put_events(&self, events: Vec<StoredEvent>) {
        let mut data = self.data();
        assert_eq!(events.len(), data.events.len(), "places in the log stay");
        data.events = events;
        data.snapshots.clear();
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.disk.data.lock()
    }

    fn alive(&self) -> Result<(), LogError> {
        if self.dead.load(Ordering::SeqCst) {
            return Err(failure("reach the log", false, "this handle's process has crashed"));
        }
        Ok(())
    }

    fn read(&self) -> Result<MutexGuard<'_, Data>, LogError> {
        self.alive()?;
        if self.disk.faults.fails_read() {
            return Err(failure("read", true, "a read that was to fail"));
        }
        Ok(self.data())
    }
}

#[async_trait]
impl EventLog for SimulatedLog {
    async fn append(&self, batch: &Batch) -> Result<(), AppendError> {
        self.alive().map_err(AppendError::Unknown)?;
        batch.check().map_err(AppendError::Unknown)?;
        let unknown = |why| Err(AppendError::Unknown(failure("append", true, why)));
        match self.disk.faults.next_append() {
            None => self.data().append(batch),
            Some(Fault::FailBeforeCommit) => unknown("failed before the commit"),
            Some(Fault::FailAfterCommit) => {
                self.data().append(batch)?;
                unknown("failed after the commit")
            }
            Some(Fault::LandLate) => {
                self.data().running.push(batch.clone());
                unknown("still running")
            }
            Some(Fault::Delay(time)) => {
                thread::sleep(time);
                self.data().append(batch)
            }
            Some(Fault::LoseReply(time)) => {
                self.data().append(batch)?;
                thread::sleep(time);
                unknown("the reply was lost")
            }
            Some(Fault::Fence) => {
                let mut data = self.data();
                data.head.term += 1;
                data.holder = "another".into();
                data.append(batch)
            }
            Some(Fault::CrashBeforeCommit) => {
                self.crash();
                unknown("crashed before the commit")
            }
            Some(Fault::CrashAfterCommit) => {
                self.data().append(batch)?;
                self.crash();
                unknown("crashed after the commit")
            }
        }
    }

    async fn head(&self) -> Result<Head, LogError> {
        Ok(self.read()?.head)
    }

    async fn read_after(&self, position: Position, limit: usize) -> Result<Vec<StoredEvent>, LogError> {
        let data = self.read()?;
        let start = usize::try_from(position.0).unwrap_or(usize::MAX);
        Ok(data.events.iter().skip(start).take(limit).cloned().collect())
    }

    async fn read_stream_after(
        &self,
        stream: &StreamId,
        position: Position,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, LogError> {
        let data = self.read()?;
        Ok(data.stream(stream).filter(|event| event.position > position).take(limit).cloned().collect())
    }

    async fn load_streams(
        &self,
        streams: &[(StreamId, u64)],
        limit: usize,
    ) -> Result<Vec<StoredEvent>, LogError> {
        let data = self.read()?;
        let events = streams
            .iter()
            .flat_map(|(stream, after)| data.stream(stream).filter(move |event| event.sequence > *after));
        Ok(events.take(limit).cloned().collect())
    }

    async fn stream_ids(&self, stream_type: StreamType) -> Result<Vec<StreamId>, LogError> {
        let data = self.read()?;
        Ok(data.streams.keys().filter(|stream| stream.stream_type == stream_type).cloned().collect())
    }

    async fn known_streams(&self, streams: &[StreamId]) -> Result<Vec<StreamId>, LogError> {
        let data = self.read()?;
        Ok(streams.iter().filter(|stream| data.streams.contains_key(stream)).cloned().collect())
    }
}

#[async_trait]
impl WriterLease for SimulatedLog {
    async fn lease(&self, holder: &str, held: Option<u64>) -> Result<Head, LogError> {
        self.alive()?;
        if self.disk.faults.fails_lease() {
            return Err(failure("take the lease", true, "a lease that was to fail"));
        }
        let mut data = self.data();
        for batch in std::mem::take(&mut data.running) {
            // Fenced by now or not: nobody is left to be told.
            data.append(&batch).ok();
        }
        if held.is_some_and(|term| term != data.head.term && data.holder != holder) {
            return Err(LogError::Fenced);
        }
        data.head.term += 1;
        data.holder = holder.into();
        Ok(data.head)
    }

    async fn renew(&self, term: u64) -> Result<(), LogError> {
        if self.read()?.head.term == term { Ok(()) } else { Err(LogError::Fenced) }
    }

    async fn server_time(&self) -> Result<Option<Timestamp>, LogError> {
        self.alive()?;
        Ok(self.disk.server_clock.get().map(|clock| clock.now()))
    }
}

#[async_trait]
impl TransactionIndex for SimulatedLog {
    async fn find_transactions(&self, keys: &[TransactionKey]) -> Result<Vec<StoredEvent>, LogError> {
        let data = self.read()?;
        if self.disk.faults.forgets_keys() {
            return Ok(Vec::new());
        }
        let found = keys.iter().filter_map(|key| data.keys.get(key));
        Ok(found.map(|&index| data.events[index].clone()).collect())
    }

    /// Read in the background, so no planned fault is spent on it.
    async fn transaction_keys(
        &self,
        after: Option<&TransactionKey>,
        limit: usize,
    ) -> Result<Vec<TransactionKey>, LogError> {
        let hides = self.disk.faults.hides_keys();
        let data = self.data();
        let mut keys: Vec<_> = data
            .keys
            .keys()
            .filter(|key| !hides && after.is_none_or(|after| *key > after))
            .copied()
            .collect();
        keys.sort_unstable();
        keys.truncate(limit);
        Ok(keys)
    }
}

#[async_trait]
impl SnapshotStore for SimulatedLog {
    async fn load_snapshots(&self, streams: &[StreamId], code: &str) -> Result<Vec<Snapshot>, LogError> {
        let data = self.read()?;
        let found = streams.iter().filter_map(|stream| data.snapshots.get(stream));
        Ok(found.filter(|snapshot| snapshot.code == code).cloned().collect())
    }

    async fn save_snapshots(&self, snapshots: &[Snapshot]) -> Result<(), LogError> {
        let mut data = self.read()?;
        for new in snapshots {
            let kept = data.snapshots.get(&new.stream);
            if kept.is_none_or(|kept| kept.code != new.code || kept.sequence < new.sequence) {
                data.snapshots.insert(new.stream.clone(), new.clone());
            }
        }
        Ok(())
    }

    async fn snapshots_after(
        &self,
        code: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<Snapshot>, LogError> {
        let data = self.read()?;
        let mut snapshots: Vec<_> =
            data.snapshots.values().filter(|snapshot| snapshot.code == code).collect();
        snapshots.sort_by_key(|snapshot| snapshot.stream.to_string());
        let later =
            snapshots.into_iter().filter(|s| after.is_none_or(|a| s.stream.to_string() > a.to_string()));
        Ok(later.take(limit).cloned().collect())
    }
}

impl Data {
    /// The same checks, in the same order, as a real store's statement and indexes.
    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        let expected = batch.expected;
        if (expected.term, expected.position) != (self.head.term, self.head.position) {
            return Err(AppendError::Fenced);
        }
        let duplicates = self.duplicates(&batch.events);
        if !duplicates.is_empty() {
            return Err(AppendError::Duplicate(duplicates));
        }
        // Stricter than an index, which would not see a hole.
        let mut versions: HashMap<&StreamId, u64> = HashMap::new();
        for event in &batch.events {
            let last = || self.stream(&event.stream).next_back().map_or(0, |stored| stored.sequence);
            let version = versions.entry(&event.stream).or_insert_with(last);
            *version += 1;
            if event.sequence != *version {
                let why = "a stream has this version already, or not the one before";
                return Err(AppendError::Unknown(failure("append", false, why)));
            }
        }
        for event in &batch.events {
            let index = self.events.len();
            self.streams.entry(event.stream.clone()).or_default().push(index);
            self.keys.extend(event.transaction_key.map(|key| (key, index)));
            self.events.push(event.clone());
        }
        self.head = batch.head_after();
        Ok(())
    }

    fn duplicates(&self, events: &[StoredEvent]) -> Vec<TransactionKey> {
        let mut seen = HashSet::new();
        let mut duplicates = Vec::new();
        for key in events.iter().filter_map(|event| event.transaction_key) {
            let known = self.keys.contains_key(&key) || !seen.insert(key);
            if known && !duplicates.contains(&key) {
                duplicates.push(key);
            }
        }
        duplicates
    }

    fn stream(&self, stream: &StreamId) -> impl DoubleEndedIterator<Item = &StoredEvent> {
        self.streams.get(stream).into_iter().flatten().map(|&index| &self.events[index])
    }
}

fn failure(doing: &'static str, transient: bool, why: &'static str) -> LogError {
    LogError::Store { doing, transient, source: why.into() }
}

#[cfg(test)]
mod tests;
