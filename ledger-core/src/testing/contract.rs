//! The contract of [`EventLog`], sentence by sentence, for every store to be held to.
//!
//! ```ignore
//! #[tokio::test(flavor = "multi_thread")]
//! async fn the_log_keeps_the_contract() {
//!     contract::holds(async || MyStore::empty()).await;
//! }
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::{History, stream};
use crate::audit::chain::{Links, verify_links};
use crate::ids::{CampaignId, TransactionKey};
use crate::log::{AppendError, EventLog, Head, LogError, Position, StoredEvent, StreamId, StreamType};

/// A place where one log lives, to be opened by one process after the other or by several at once.
#[async_trait]
pub trait Place: Send + Sync {
    /// Opens the log as a process of its own would.
    async fn open(&self) -> Arc<dyn EventLog>;
}

/// Runs every sentence, each on a new empty place. Needs tokio's multi-threaded runtime.
pub async fn holds<P: Place>(fresh: impl AsyncFn() -> P) {
    an_empty_log_is_empty(&fresh().await).await;
    what_is_appended_is_read_back_to_the_byte(&fresh().await).await;
    positions_are_contiguous_and_pages_join(&fresh().await).await;
    a_stream_is_read_page_by_page(&fresh().await).await;
    streams_are_loaded_whole(&fresh().await).await;
    stream_ids_are_sorted_and_of_one_type(&fresh().await).await;
    transactions_are_found_by_key(&fresh().await).await;
    an_append_elsewhere_than_at_the_head_is_fenced(&fresh().await).await;
    a_new_lease_fences_the_old_writer(&fresh().await).await;
    a_recovery_holds_only_while_nobody_else_took_over(&fresh().await).await;
    all_duplicate_keys_are_named_and_nothing_is_written(&fresh().await).await;
    a_batch_with_one_bad_event_leaves_nothing(&fresh().await).await;
    a_batch_that_does_not_fit_together_is_refused(&fresh().await).await;
    what_is_acknowledged_survives_a_restart(&fresh().await).await;
    readers_see_a_growing_prefix(&fresh().await).await;
    writers_that_contend_write_each_position_once(&fresh().await).await;
    a_big_batch_lands_whole(&fresh().await).await;
}

async fn lease(log: &Arc<dyn EventLog>) -> Head {
    log.lease("test", None).await.unwrap()
}

/// Appends one event for each of these streams and returns them.
async fn write(
    log: &Arc<dyn EventLog>,
    epoch: u64,
    history: &mut History,
    streams: &[&str],
) -> Vec<StoredEvent> {
    let events: Vec<_> = streams.iter().map(|id| history.event(&stream(id))).collect();
    log.append(&history.batch(epoch, events.clone())).await.unwrap();
    events
}

async fn all(log: &Arc<dyn EventLog>) -> Vec<StoredEvent> {
    log.read_after(Position(0), usize::MAX).await.unwrap()
}

async fn an_empty_log_is_empty(place: &impl Place) {
    let log = place.open().await;
    assert_eq!(log.head().await.unwrap(), Head::default());
    assert_eq!(all(&log).await, []);
    assert_eq!(log.read_stream_after(&stream("a"), Position(0), 9).await.unwrap(), []);
    assert_eq!(log.load_streams(&[stream("a")]).await.unwrap(), []);
    assert_eq!(log.load_streams(&[]).await.unwrap(), []);
    assert_eq!(log.stream_ids(StreamType::Account).await.unwrap(), []);
    assert_eq!(log.find_transactions(&[TransactionKey([0; 16])]).await.unwrap(), []);
    let head = lease(&log).await;
    assert_eq!(head, Head { epoch: 1, ..Head::default() });
    assert_eq!(log.head().await.unwrap(), head, "a lease is on record");
}

async fn what_is_appended_is_read_back_to_the_byte(place: &impl Place) {
    let log = place.open().await;
    let epoch = lease(&log).await.epoch;
    let mut history = History::default();
    let campaign = StreamId::campaign(&CampaignId::parse("c'; DROP TABLE events; --").unwrap());
    let mut events = Vec::new();
    for (micros, id) in [(0, "o'brien \"x\" %s $1 \\"), (0, "žluťoučký 🐎"), (1, "{a,NULL}"), (1, "a:b")]
    {
        history.recorded_at = history.recorded_at.plus_micros(micros);
        history.payload =
            format!(r#"{{"TestHappened":{{"id":{id:?},"n":1.50,"z":9007199254740993}}}}"#).into();
        events.push(history.keyed(&stream(id), u128::MAX - u128::from(history.links.position.0)));
        history.metadata = format!(r#"{{ "actor" : {id:?} }}"#).into_bytes().into();
        events.push(history.event(&stream(id)));
    }
    events.push(history.keyed(&campaign, 0));
    let batch = history.batch(epoch, events.clone());
    log.append(&batch).await.unwrap();

    assert_eq!(all(&log).await, events);
    assert_eq!(log.load_streams(&[campaign]).await.unwrap(), [events[8].clone()]);
    let expected = Head { epoch, position: Position(9), recorded_at: Some(history.recorded_at) };
    assert_eq!(log.head().await.unwrap(), expected);
    assert_eq!(batch.head_after(), expected);
}

async fn positions_are_contiguous_and_pages_join(place: &impl Place) {
    let log = place.open().await;
    let epoch = lease(&log).await.epoch;
    let mut history = History::default();
    let mut written = Vec::new();
    for _ in 0..3 {
        written.extend(write(&log, epoch, &mut history, &["a", "b", "a"]).await);
    }
    let mut read: Vec<StoredEvent> = Vec::new();
    loop {
        let last = read.last().map_or(Position(0), |event| event.position);
        let page = log.read_after(last, 4).await.unwrap();
        assert!(page.len() <= 4);
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert_eq!(read, written);
    assert_eq!(verify_links(&mut Links::default(), &read), Ok(()));
    assert_eq!(log.read_after(Position(9), 4).await.unwrap(), []);
    assert_eq!(log.read_after(Position(1_000), 4).await.unwrap(), []);
    assert_eq!(log.read_after(Position(3), 0).await.unwrap(), []);
}

async fn a_stream_is_read_page_by_page(place: &impl Place) {
    let log = place.open().await;
    let epoch = lease(&log).await.epoch;
    let mut history = History::default();
    // Stream a is at 1, 3, 4, 5 and 7.
    write(&log, epoch, &mut history, &["a", "b", "a", "a", "a", "b", "a", "b"]).await;
    for (after, limit, found) in [
        (0, 9, vec![1, 3, 4, 5, 7]),
        (1, 9, vec![3, 4, 5, 7]),
        (2, 9, vec![3, 4, 5, 7]),
        (3, 2, vec![4, 5]),
        (5, 9, vec![7]),
        (6, 1, vec![7]),
        (7, 9, vec![]),
        (99, 9, vec![]),
    ] {
        let page = log.read_stream_after(&stream("a"), Position(after), limit).await.unwrap();
        let positions: Vec<u64> = page.iter().map(|event| event.position.0).collect();
        assert_eq!(positions, found, "after {after}, up to {limit}");
        assert!(page.iter().all(|event| event.stream == stream("a")));
    }
}

async fn streams_are_loaded_whole(place: &impl Place) {
    let log = place.open().await;
    let epoch = lease(&log).await.epoch;
    let mut history = History::default();
    let events = write(&log, epoch, &mut history, &["a", "b", "a", "c", "b"]).await;
    let mut loaded = log.load_streams(&[stream("b"), stream("nobody"), stream("a")]).await.unwrap();
    // Within a stream the order is promised; among streams it is not.
    loaded.sort_by(|x, y| x.stream.cmp(&y.stream));
    assert_eq!(loaded, [0, 2, 1, 4].map(|index: usize| events[index].clone()));
    let same_id = StreamId { stream_type: StreamType::Campaign, id: "a".into() };
    assert_eq!(log.load_streams(&[same_id]).await.unwrap(), [], "a campaign is no account");
}

async fn stream_ids_are_sorted_and_of_one_type(place: &impl Place) {
    let log = place.open().await;
    let epoch = lease(&log).await.epoch;
    let mut history = History::default();
    write(&log, epoch, &mut history, &["b", "a", "Z", "é", "a:1", "a", "b"]).await;
    let campaign = StreamId { stream_type: StreamType::Campaign, id: "x".into() };
    let event = history.event(&campaign);
    log.append(&history.batch(epoch, vec![event])).await.unwrap();
    let accounts = log.stream_ids(StreamType::Account).await.unwrap();
    assert_eq!(accounts, ["Z", "a", "a:1", "b", "é"].map(stream));
    assert_eq!(log.stream_ids(StreamType::Campaign).await.unwrap(), [campaign]);
    assert_eq!(log.stream_ids(StreamType::System).await.unwrap(), []);
}

async fn transactions_are_found_by_key(place: &impl Place) {
    let log = place.open().await;
    let epoch = lease(&log).await.epoch;
    let mut history = History::default();
    let one = history.keyed(&stream("a"), 1);
    let none = history.event(&stream("a"));
    let two = history.keyed(&stream("b"), 2);
    log.append(&history.batch(epoch, vec![one.clone(), none, two.clone()])).await.unwrap();
    let keys = [2, 3, 1].map(|key: u128| TransactionKey(key.to_be_bytes()));
    let mut found = log.find_transactions(&keys).await.unwrap();
    found.sort_by_key(|event| event.position);
    assert_eq!(found, [one, two]);
    assert_eq!(log.find_transactions(&[]).await.unwrap(), []);
}

async fn an_append_elsewhere_than_at_the_head_is_fenced(place: &impl Place) {
    let log = place.open().await;
    let epoch = lease(&log).await.epoch;
    let mut history = History::default();
    let written = write(&log, epoch, &mut history, &["a", "a"]).await;

    let again = history.batch(epoch, vec![written[1].clone()]);
    assert!(matches!(log.append(&again).await, Err(AppendError::Fenced)), "behind the head");
    let mut ahead = history.clone();
    ahead.event(&stream("b"));
    let event = ahead.event(&stream("c"));
    let batch = ahead.batch(epoch, vec![event]);
    assert!(matches!(log.append(&batch).await, Err(AppendError::Fenced)), "beyond the head");
    for wrong in [epoch - 1, epoch + 1] {
        let mut other = history.clone();
        let event = other.event(&stream("d"));
        let batch = other.batch(wrong, vec![event]);
        assert!(matches!(log.append(&batch).await, Err(AppendError::Fenced)), "epoch {wrong}");
    }
    assert_eq!(all(&log).await, written);
    write(&log, epoch, &mut history, &["b"]).await;
}

async fn a_new_lease_fences_the_old_writer(place: &impl Place) {
    let (old, new) = (place.open().await, place.open().await);
    let old_epoch = lease(&old).await.epoch;
    let mut history = History::default();
    write(&old, old_epoch, &mut history, &["a"]).await;

    let head = lease(&new).await;
    assert!(head.epoch > old_epoch);
    let expected = (Position(1), Some(history.recorded_at));
    assert_eq!((head.position, head.recorded_at), expected, "the lease tells where the log stands");
    let mut lost = history.clone();
    let event = lost.event(&stream("a"));
    let late = old.append(&lost.batch(old_epoch, vec![event])).await;
    assert!(matches!(late, Err(AppendError::Fenced)));
    write(&new, head.epoch, &mut history, &["a"]).await;
    assert_eq!(all(&old).await, all(&new).await);
}

async fn a_recovery_holds_only_while_nobody_else_took_over(place: &impl Place) {
    let (log, other) = (place.open().await, place.open().await);
    let epoch = lease(&log).await.epoch;
    let recovered = log.lease("test", Some(epoch)).await.unwrap();
    assert!(recovered.epoch > epoch, "a recovery fences the writer's own running append");
    assert!(matches!(log.lease("test", Some(epoch)).await, Err(LogError::Fenced)));

    let taken = lease(&other).await;
    assert!(matches!(log.lease("test", Some(recovered.epoch)).await, Err(LogError::Fenced)));
    assert_eq!(other.head().await.unwrap(), taken, "a refused lease changes nothing");
}

async fn all_duplicate_keys_are_named_and_nothing_is_written(place: &impl Place) {
    let log = place.open().await;
    let epoch = lease(&log).await.epoch;
    let mut history = History::default();
    let known: Vec<_> = (1..=3).map(|key| history.keyed(&stream("a"), key)).collect();
    log.append(&history.batch(epoch, known.clone())).await.unwrap();

    for (keys, named) in [
        (vec![10, 3, 11, 1], vec![1, 3]),
        (vec![10, 11, 10], vec![10]),
        (vec![2, 10, 2, 10, 10], vec![2, 10]),
    ] {
        let mut retry = history.clone();
        // Another account: keys are unique in the whole log.
        let events = keys.iter().map(|&key| retry.keyed(&stream("b"), key)).collect();
        let Err(AppendError::Duplicate(mut found)) = log.append(&retry.batch(epoch, events)).await else {
            panic!("{keys:?} must end as duplicates");
        };
        found.sort_unstable();
        assert_eq!(
            found,
            named.iter().map(|key: &u128| TransactionKey(key.to_be_bytes())).collect::<Vec<_>>()
        );
        assert_eq!(all(&log).await, known);
    }
    assert_eq!(log.head().await.unwrap().position, Position(3));
    let event = history.keyed(&stream("b"), 10);
    log.append(&history.batch(epoch, vec![event])).await.unwrap();
}

async fn a_batch_with_one_bad_event_leaves_nothing(place: &impl Place) {
    let log = place.open().await;
    let epoch = lease(&log).await.epoch;
    let mut history = History::default();
    let written = write(&log, epoch, &mut history, &["a"]).await;
    let mut wrong = history.clone();
    let mut events = vec![wrong.keyed(&stream("b"), 1), wrong.event(&stream("a")), wrong.event(&stream("c"))];
    events[1].sequence = 1;
    let refused = log.append(&wrong.batch(epoch, events)).await;
    assert!(matches!(refused, Err(AppendError::Unknown(ref e)) if !e.transient()), "{refused:?}");

    assert_eq!(all(&log).await, written);
    let head = log.lease("test", Some(epoch)).await.unwrap();
    assert_eq!(head.position, Position(1));
    let event = history.keyed(&stream("b"), 1);
    log.append(&history.batch(head.epoch, vec![event])).await.unwrap();
}

async fn a_batch_that_does_not_fit_together_is_refused(place: &impl Place) {
    let log = place.open().await;
    let epoch = lease(&log).await.epoch;
    let mut history = History::default();
    let events = vec![history.event(&stream("a")), history.event(&stream("a")), history.event(&stream("a"))];

    let mut hole = history.batch(epoch, events.clone());
    hole.events.remove(1);
    let mut back_in_time = history.batch(epoch, events);
    back_in_time.events[2].recorded_at = history.recorded_at.plus_micros(-1);
    let mut empty = hole.clone();
    empty.events.clear();
    for batch in [hole, back_in_time, empty] {
        assert!(matches!(log.append(&batch).await, Err(AppendError::Unknown(_))));
        assert_eq!(log.head().await.unwrap().position, Position(0));
    }
}

async fn what_is_acknowledged_survives_a_restart(place: &impl Place) {
    let mut history = History::default();
    let mut written = Vec::new();
    let mut last_epoch = 0;
    for _ in 0..3 {
        let log = place.open().await;
        assert_eq!(all(&log).await, written);
        let head = lease(&log).await;
        assert!(head.epoch > last_epoch, "an epoch is never given twice");
        last_epoch = head.epoch;
        written.extend(write(&log, head.epoch, &mut history, &["a", "b"]).await);
        drop(log);
    }
    assert_eq!(all(&place.open().await).await, written);
}

async fn readers_see_a_growing_prefix(place: &impl Place) {
    let (log, reader) = (place.open().await, place.open().await);
    let epoch = lease(&log).await.epoch;
    let done = Arc::new(AtomicBool::new(false));
    let watching = Arc::clone(&done);
    let watcher = tokio::spawn(async move {
        let mut links = Links::default();
        loop {
            // Asked before reading, so that the last round sees everything.
            let last_round = watching.load(Ordering::SeqCst);
            let head = reader.head().await.unwrap();
            loop {
                let page = reader.read_after(links.position, 7).await.unwrap();
                if page.is_empty() {
                    break;
                }
                assert_eq!(verify_links(&mut links, &page), Ok(()));
            }
            assert!(links.position >= head.position, "what the head shows can be read");
            if last_round {
                return links.position;
            }
        }
    });
    let mut history = History::default();
    for _ in 0..100 {
        write(&log, epoch, &mut history, &["a", "b", "a"]).await;
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::SeqCst);
    assert_eq!(watcher.await.unwrap(), Position(300));
}

async fn writers_that_contend_write_each_position_once(place: &impl Place) {
    let mut writers = Vec::new();
    for name in ["one", "two"] {
        let log = place.open().await;
        let runtime = tokio::runtime::Handle::current();
        writers.push(tokio::task::spawn_blocking(move || runtime.block_on(contend(&log, name))));
    }
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    acknowledged.sort_by_key(|event: &StoredEvent| event.position);
    let log = place.open().await;
    assert_eq!(all(&log).await, acknowledged, "what is acknowledged is there, and nothing else");
    assert_eq!(acknowledged.len(), 40);
}

/// Takes the lease again whenever it is lost, until 20 events are acknowledged.
async fn contend(log: &Arc<dyn EventLog>, name: &str) -> Vec<StoredEvent> {
    let mut acknowledged = Vec::new();
    let mut head = lease(log).await;
    while acknowledged.len() < 20 {
        // A stream for each position: the other writer's streams are none of its business.
        let mut history = History::default();
        history.links.position = head.position;
        let event = history.event(&stream(&format!("{name}-{}", head.position.0 + 1)));
        let batch = history.batch(head.epoch, vec![event.clone()]);
        match log.append(&batch).await {
            Ok(()) => {
                acknowledged.push(event);
                head = batch.head_after();
            }
            Err(AppendError::Fenced) => head = lease(log).await,
            Err(e) => panic!("{e:?}"),
        }
    }
    acknowledged
}

async fn a_big_batch_lands_whole(place: &impl Place) {
    let log = place.open().await;
    let epoch = lease(&log).await.epoch;
    let mut history = History::default();
    let of = |n: u64| stream(&format!("account-{}", n % 997));
    let events: Vec<_> = (0..10_000).map(|n| history.keyed(&of(n), u128::from(n))).collect();
    log.append(&history.batch(epoch, events.clone())).await.unwrap();
    assert_eq!(log.read_after(Position(0), 20_000).await.unwrap(), events);
    assert_eq!(log.load_streams(&[of(5)]).await.unwrap().len(), 11);
    let keys: Vec<_> = events.iter().filter_map(|event| event.transaction_key).collect();
    assert_eq!(log.find_transactions(&keys).await.unwrap().len(), 10_000);
}
