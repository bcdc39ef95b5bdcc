//! What a log promises to those who write it.

use std::sync::Arc;

use super::{Place, all, lease, lease_as, write};
use crate::ids::TransactionKey;
use crate::log::{AppendError, EventLog, LogError, Position, StoredEvent};
use crate::testing::{History, stream};

pub(super) async fn an_append_elsewhere_than_at_the_head_is_fenced(place: &impl Place) {
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

pub(super) async fn a_new_lease_fences_the_old_writer(place: &impl Place) {
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

pub(super) async fn a_lease_is_renewed_and_given_back(place: &impl Place) {
    let (log, other) = (place.open().await, place.open().await);
    let epoch = lease_as(&log, "one").await.epoch;
    if let Some(ttl) = log.lease_ttl() {
        let refused = other.lease("two", None).await;
        assert!(matches!(refused, Err(LogError::Held { ref holder }) if holder == "one"), "{refused:?}");
        // Kept for longer than it lasts.
        for _ in 0..6 {
            tokio::time::sleep(ttl / 4).await;
            log.renew(epoch).await.unwrap();
            assert!(matches!(other.lease("two", None).await, Err(LogError::Held { .. })));
        }
    }
    log.renew(epoch).await.unwrap();
    log.release(epoch).await.unwrap();
    let taken = other.lease("two", None).await.unwrap();
    assert!(taken.epoch > epoch);
    assert!(matches!(log.renew(epoch).await, Err(LogError::Fenced)));
    assert!(matches!(log.release(epoch).await, Err(LogError::Fenced)));
    assert_eq!(other.head().await.unwrap(), taken, "a writer that was fenced changes nothing");
}

pub(super) async fn a_recovery_holds_only_while_nobody_else_took_over(place: &impl Place) {
    let (log, other) = (place.open().await, place.open().await);
    let epoch = lease_as(&log, "one").await.epoch;
    let recovered = log.lease("one", Some(epoch)).await.unwrap();
    assert!(recovered.epoch > epoch, "a recovery fences the writer's own running append");
    let repeated = log.lease("one", Some(epoch)).await.unwrap();
    assert!(repeated.epoch > recovered.epoch, "the answer to a recovery may be lost");
    assert!(matches!(log.lease("two", Some(epoch)).await, Err(LogError::Fenced)));

    let taken = lease_as(&other, "two").await;
    assert!(matches!(log.lease("one", Some(repeated.epoch)).await, Err(LogError::Fenced)));
    assert_eq!(other.head().await.unwrap(), taken, "a refused lease changes nothing");
}

pub(super) async fn all_duplicate_keys_are_named_and_nothing_is_written(place: &impl Place) {
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

pub(super) async fn a_batch_with_one_bad_event_leaves_nothing(place: &impl Place) {
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
    let head = log.lease("test again", Some(epoch)).await.unwrap();
    assert_eq!(head.position, Position(1));
    let event = history.keyed(&stream("b"), 1);
    log.append(&history.batch(head.epoch, vec![event])).await.unwrap();
}

pub(super) async fn a_batch_that_does_not_fit_together_is_refused(place: &impl Place) {
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

pub(super) async fn what_is_acknowledged_survives_a_restart(place: &impl Place) {
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

pub(super) async fn writers_that_contend_write_each_position_once(place: &impl Place) {
    let mut writers = Vec::new();
    for name in ["one", "two"] {
        let log = place.open().await;
        writers.push(tokio::spawn(contend(log, name)));
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
async fn contend(log: Arc<dyn EventLog>, name: &'static str) -> Vec<StoredEvent> {
    let mut acknowledged = Vec::new();
    let mut head = lease(&log).await;
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
            Err(AppendError::Fenced) => head = lease(&log).await,
            Err(e) => panic!("{e:?}"),
        }
    }
    acknowledged
}

pub(super) async fn a_big_batch_lands_whole(place: &impl Place) {
    let log = place.open().await;
    let epoch = lease(&log).await.epoch;
    let mut history = History::default();
    let of = |n: u64| stream(&format!("account-{}", n % 997));
    let events: Vec<_> = (0..10_000).map(|n| history.keyed(&of(n), u128::from(n))).collect();
    log.append(&history.batch(epoch, events.clone())).await.unwrap();
    assert_eq!(log.read_after(Position(0), 20_000).await.unwrap(), events);
    assert_eq!(log.load_streams(&[(of(5), 0)], usize::MAX).await.unwrap().len(), 11);
    let keys: Vec<_> = events.iter().filter_map(|event| event.transaction_key).collect();
    assert_eq!(log.find_transactions(&keys).await.unwrap().len(), 10_000);
}
