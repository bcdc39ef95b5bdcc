//! What a lease promises: one writer at a time.

use super::super::{History, stream};
use super::{Place, all, lease, lease_as, write};
use ledger_core::log::{AppendError, Log, LogError, Position, StoredEvent};

pub(super) async fn a_new_lease_fences_the_old_writer(place: &impl Place) {
    let (old, new) = (place.open().await, place.open().await);
    let old_term = lease(&old).await.term;
    let mut history = History::default();
    write(&old, old_term, &mut history, &["a"]).await;

    let head = lease(&new).await;
    assert!(head.term > old_term);
    let expected = (Position(1), Some(history.recorded_at));
    assert_eq!((head.position, head.recorded_at), expected, "the lease tells where the log stands");
    let mut lost = history.clone();
    let event = lost.event(&stream("a"));
    let late = old.events.append(&lost.batch(old_term, vec![event])).await;
    assert!(matches!(late, Err(AppendError::Fenced)));
    write(&new, head.term, &mut history, &["a"]).await;
    assert_eq!(all(&old).await, all(&new).await);
}

pub(super) async fn a_lease_is_renewed_and_given_back(place: &impl Place) {
    let (log, other) = (place.open().await, place.open().await);
    let term = lease_as(&log, "one").await.term;
    if let Some(ttl) = log.lease.ttl() {
        let refused = other.lease.lease("two", None).await;
        assert!(matches!(refused, Err(LogError::Held { ref holder }) if holder == "one"), "{refused:?}");
        // Kept for longer than it lasts.
        for _ in 0..6 {
            tokio::time::sleep(ttl / 4).await;
            log.lease.renew(term).await.unwrap();
            assert!(matches!(other.lease.lease("two", None).await, Err(LogError::Held { .. })));
        }
    }
    log.lease.renew(term).await.unwrap();
    log.lease.release(term).await.unwrap();
    let taken = other.lease.lease("two", None).await.unwrap();
    assert!(taken.term > term);
    assert!(matches!(log.lease.renew(term).await, Err(LogError::Fenced)));
    assert!(matches!(log.lease.release(term).await, Err(LogError::Fenced)));
    assert_eq!(other.events.head().await.unwrap(), taken, "a writer that was fenced changes nothing");
}

pub(super) async fn a_recovery_holds_only_while_nobody_else_took_over(place: &impl Place) {
    let (log, other) = (place.open().await, place.open().await);
    let term = lease_as(&log, "one").await.term;
    let recovered = log.lease.lease("one", Some(term)).await.unwrap();
    assert!(recovered.term > term, "a recovery fences the writer's own running append");
    let repeated = log.lease.lease("one", Some(term)).await.unwrap();
    assert!(repeated.term > recovered.term, "the answer to a recovery may be lost");
    assert!(matches!(log.lease.lease("two", Some(term)).await, Err(LogError::Fenced)));

    let taken = lease_as(&other, "two").await;
    assert!(matches!(log.lease.lease("one", Some(repeated.term)).await, Err(LogError::Fenced)));
    assert_eq!(other.events.head().await.unwrap(), taken, "a refused lease changes nothing");
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
async fn contend(log: Log, name: &'static str) -> Vec<StoredEvent> {
    let mut acknowledged = Vec::new();
    let mut head = lease(&log).await;
    while acknowledged.len() < 20 {
        // A stream for each position: the other writer's streams are none of its business.
        let mut history = History::default();
        history.links.position = head.position;
        let event = history.event(&stream(&format!("{name}-{}", head.position.0 + 1)));
        let batch = history.batch(head.term, vec![event.clone()]);
        match log.events.append(&batch).await {
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
