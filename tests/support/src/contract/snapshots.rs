//! What a store of snapshots promises.

use super::super::{History, stream};
use super::{Place, lease, write};
use ledger_core::log::{Log, Snapshot, StoredEvent, StreamId};

fn snapshot(event: &StoredEvent, code: &str) -> Snapshot {
    Snapshot {
        stream: event.stream.clone(),
        sequence: event.sequence,
        hash: event.hash,
        code: code.into(),
        state: format!("state after {}", event.position).into_bytes(),
    }
}

async fn loaded(log: &Log, code: &str) -> Vec<Snapshot> {
    let streams = [stream("a"), stream("b"), stream("nobody")];
    let mut snapshots = log.snapshots.load_snapshots(&streams, code).await.unwrap();
    snapshots.sort_by_key(|snapshot| snapshot.stream.clone());
    snapshots
}

pub(super) async fn the_newest_snapshot_of_a_code_is_kept(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
    let written = write(&log, term, &mut History::default(), &["a", "b", "a", "a", "b"]).await;
    assert_eq!(loaded(&log, "v1").await, [], "without any snapshot");
    let second = snapshot(&written[2], "v1");
    log.snapshots.save_snapshots(std::slice::from_ref(&second)).await.unwrap();
    assert_eq!(loaded(&log, "v1").await, std::slice::from_ref(&second));
    assert_eq!(loaded(&log, "v2").await, [], "other code does not know the state");
    let of_others = log.snapshots.load_snapshots(&[stream("b")], "v1").await.unwrap();
    assert_eq!(of_others, [], "only those that are asked for");

    log.snapshots.save_snapshots(&[snapshot(&written[0], "v1")]).await.unwrap();
    assert_eq!(loaded(&log, "v1").await, [second], "an older one never takes the place of a newer one");
    let newest = [snapshot(&written[3], "v2"), snapshot(&written[4], "v2")];
    log.snapshots.save_snapshots(&newest).await.unwrap();
    assert_eq!(loaded(&log, "v2").await, newest);
    assert_eq!(loaded(&log, "v1").await, [], "what is left is of other code");
}

pub(super) async fn snapshots_are_read_by_stream_and_pages_join(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
    let written = write(&log, term, &mut History::default(), &["a", "b"]).await;
    let both = [snapshot(&written[0], "v2"), snapshot(&written[1], "v2")];
    log.snapshots.save_snapshots(&both).await.unwrap();
    let page = async |after: Option<&StreamId>| log.snapshots.snapshots_after("v2", after, 1).await.unwrap();
    assert_eq!(page(None).await, both[..1]);
    assert_eq!(page(Some(&both[0].stream)).await, both[1..]);
    assert_eq!(page(Some(&both[1].stream)).await, []);
    assert_eq!(log.snapshots.snapshots_after("v1", None, 9).await.unwrap(), []);
}
