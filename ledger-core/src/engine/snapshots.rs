//! Snapshots of long streams: made from committed events only, used only where they fit.
//!
//! A snapshot carries the hash of the last event in it, which stands for the stream's whole
//! history, and the name of its encoding ([`Hosted::ENCODING`]); one of another encoding is not
//! read. Hydration reads that event again and compares: a snapshot that does not fit is not used,
//! loudly. It is written on a thread of its own, some time after the append, or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde::{Deserialize, Serialize};

use crate::event::aggregates;
use crate::ids::TransactionKey;
use crate::log::{EventLog, LogError, Position, Snapshot, SnapshotStore, StreamId, StreamType};

use super::core::Core;
use super::hosted::Hosted;
use super::settings::PAGE_EVENTS;
use super::slot::Slot;
use super::slots::{Aggregates, Listed};

/// Snapshots that an audit holds at once.
const PAGE: usize = 100;
/// Batches of snapshots that may wait to be written; beyond it they are not made.
const WAITING: usize = 16;

/// A state as it is kept.
#[derive(Serialize, Deserialize)]
struct State<A> {
    aggregate: A,
    /// Positions are opaque to the outside, so they have no format of their own.
    noted: BTreeMap<TransactionKey, u64>,
}

impl<A: Hosted> Slot<A> {
    /// A stream may be named several times.
    fn take_due(&mut self, stream: StreamId, every: u64) -> Option<Snapshot> {
        if !self.is_due(every) {
            return None;
        }
        self.snapshot_at = self.version;
        self.snapshot(stream)
    }

    fn snapshot(&self, stream: StreamId) -> Option<Snapshot> {
        let noted = self.noted.iter().map(|(key, position)| (*key, position.0)).collect();
        let state = State { aggregate: &self.state, noted };
        let state = serde_json::to_vec(&state).ok()?;
        Some(Snapshot { stream, sequence: self.version, hash: self.hash?, code: A::ENCODING.into(), state })
    }

    /// The slot that a snapshot was made of. Its hash is still to be compared with the log's.
    pub(super) fn restore(snapshot: &Snapshot) -> Option<Slot<A>> {
        let state: State<A> = serde_json::from_slice(&snapshot.state).ok()?;
        Some(Slot {
            state: state.aggregate,
            version: snapshot.sequence,
            hash: Some(snapshot.hash),
            noted: state.noted.into_iter().map(|(key, position)| (key, Position(position))).collect(),
            snapshot_at: snapshot.sequence,
            staged_in: 0,
            bytes: 0,
        })
    }
}

/// Where the writer leaves snapshots to be written.
pub(super) struct Snapshots(SyncSender<Vec<Snapshot>>);

impl Snapshots {
    /// Starts the thread, which ends with the writer.
    pub(super) fn start(
        store: Arc<dyn SnapshotStore>,
        runtime: tokio::runtime::Handle,
    ) -> std::io::Result<Snapshots> {
        let (sender, receiver) = sync_channel(WAITING);
        let write = move || write(&*store, &runtime, &receiver);
        std::thread::Builder::new().name("ledger-snapshots".into()).spawn(write)?;
        Ok(Snapshots(sender))
    }

    /// Keeps snapshots of what has just become durable. No room: the stream is long again some
    /// time.
    pub(super) fn write(&self, snapshots: Vec<Snapshot>) {
        if !snapshots.is_empty() {
            let _ = self.0.try_send(snapshots);
        }
    }
}

/// Snapshots of the streams that have become long with the batch that is about to be written: later
/// ones may already hold what is decided on top of it.
pub(super) fn take(core: &mut Core) -> Vec<Snapshot> {
    let long = std::mem::take(&mut core.staging.long);
    long.into_iter().filter_map(|stream| due(&mut core.aggregates, stream, core.snapshot_every)).collect()
}

fn write(store: &dyn SnapshotStore, runtime: &tokio::runtime::Handle, waiting: &Receiver<Vec<Snapshot>>) {
    for snapshots in waiting {
        if let Err(error) = crate::own_thread::block_on(runtime, store.save_snapshots(&snapshots)) {
            crate::faults::warn("snapshots could not be saved", "", &error);
        }
    }
}

/// What a failed check of snapshots found.
#[derive(Debug, PartialEq, Eq)]
pub struct SnapshotFinding {
    /// Whose.
    pub stream: StreamId,
    /// The last event in it.
    pub sequence: u64,
}

macro_rules! of_all_kinds {
    ($($slots:ident: $kind:ident($aggregate:ty),)+) => {
        fn due(all: &mut Aggregates, stream: StreamId, every: u64) -> Option<Snapshot> {
            match stream.stream_type {
                $(StreamType::$kind => all.$slots.peek_mut(&stream.id)?.take_due(stream, every),)+
            }
        }

        /// Compares all snapshots with the replay of their streams, for audits; answers how many
        /// there are and those that differ. Snapshots of other encodings are none of its business:
        /// nobody reads them.
        pub async fn check_snapshots(
            log: &dyn EventLog,
            store: &dyn SnapshotStore,
        ) -> Result<(u64, Vec<SnapshotFinding>), LogError> {
            let (mut checked, mut findings) = (0, Vec::new());
            $(checked += check::<$aggregate>(log, store, &mut findings).await?;)+
            Ok((checked, findings))
        }
    };
}
aggregates!(of_all_kinds);

async fn check<A: Listed>(
    log: &dyn EventLog,
    store: &dyn SnapshotStore,
    findings: &mut Vec<SnapshotFinding>,
) -> Result<u64, LogError> {
    let (mut checked, mut after) = (0, None::<StreamId>);
    loop {
        let snapshots = store.snapshots_after(A::ENCODING, after.as_ref(), PAGE).await?;
        let Some(last) = snapshots.last() else { return Ok(checked) };
        after = Some(last.stream.clone());
        for snapshot in snapshots {
            checked += 1;
            let is_of_this_kind = snapshot.stream.stream_type == A::STREAM;
            if !is_of_this_kind || !equals::<A>(log, &snapshot).await? {
                findings.push(SnapshotFinding { stream: snapshot.stream, sequence: snapshot.sequence });
            }
        }
    }
}

async fn equals<A: Listed>(log: &dyn EventLog, snapshot: &Snapshot) -> Result<bool, LogError> {
    let mut slot = Slot::<A>::default();
    while slot.version < snapshot.sequence {
        let rest = [(snapshot.stream.clone(), slot.version)];
        let page = log.load_streams(&rest, PAGE_EVENTS).await?;
        if page.is_empty() {
            break;
        }
        for stored in page.iter().take_while(|stored| stored.sequence <= snapshot.sequence) {
            slot.follow(stored)?;
        }
    }
    Ok(slot.snapshot(snapshot.stream.clone()).as_ref() == Some(snapshot))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use aws_lc_rs::digest::{SHA256, digest};

    use super::*;
    use crate::account::memory::{BOOKED_MAX, MERCHANTS_MAX};
    use crate::account::state::{PENDING_MAX, WIN_DAYS};
    use crate::log::StoredEvent;
    use crate::support::golden;
    use crate::system::state::PROPOSALS_MAX;

    /// Every state along the golden logs: the last one of each stream, and a digest of all.
    fn states<A: Listed>() -> Vec<String> {
        let mut slots = BTreeMap::<(String, StreamId), (Slot<A>, Vec<u8>)>::new();
        for folder in golden::folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/golden")) {
            let release = folder.file_name().unwrap().to_str().unwrap();
            let of_this_kind = |stored: &StoredEvent| stored.stream.stream_type == A::STREAM;
            for stored in golden::events(&folder).into_iter().filter(of_this_kind) {
                let (slot, states) = slots.entry((release.to_owned(), stored.stream.clone())).or_default();
                slot.follow(&stored).unwrap();
                states.extend(slot.snapshot(stored.stream).unwrap().state);
            }
        }
        let line = |((release, stream), (slot, states)): ((String, StreamId), (Slot<A>, Vec<u8>))| {
            let last = String::from_utf8(slot.snapshot(stream.clone()).unwrap().state).unwrap();
            format!("{release} {stream} {} {last}", hex::encode(digest(&SHA256, &states)))
        };
        // How much is remembered: no golden log is long enough to forget.
        let limits = format!("limits {BOOKED_MAX} {MERCHANTS_MAX} {PENDING_MAX} {WIN_DAYS} {PROPOSALS_MAX}");
        std::iter::once(limits).chain(slots.into_iter().map(line)).collect()
    }

    /// Fails when events fold to another state, or a state is written otherwise, than at the time
    /// this encoding got its name: then snapshots of before must not be used.
    fn keeps_its_name<A: Listed>() -> Result<(), String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("src/engine/encodings/{}.txt", A::STREAM.as_str()));
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let mut kept = kept.lines();
        let (name, kept, states) = (kept.next(), kept.collect::<Vec<_>>(), states::<A>());
        if name == Some(A::ENCODING) {
            for line in &kept {
                let stream = line.split(" {").next().unwrap();
                assert!(
                    states.iter().any(|state| state == line),
                    "not as {} was: raise its number ({stream})",
                    A::ENCODING
                );
            }
        }
        if name == Some(A::ENCODING) && kept.len() == states.len() {
            return Ok(());
        }
        std::fs::write(&path, format!("{}\n{}\n", A::ENCODING, states.join("\n"))).unwrap();
        Err(format!("{} is written: commit it", path.display()))
    }

    #[test]
    fn an_encoding_of_states_keeps_its_name_for_as_long_as_it_stays_the_same() {
        macro_rules! each {
            ($($_slots:ident: $_kind:ident($aggregate:ty),)+) => { [$(keeps_its_name::<$aggregate>()),+] };
        }
        let kept = aggregates!(each);
        assert!(kept.iter().all(Result::is_ok), "{kept:?}");
    }
}
