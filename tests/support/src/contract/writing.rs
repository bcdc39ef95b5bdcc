//! What a log promises to those who write it.

use super::super::{History, stream};
use super::{Place, all, lease, write};
use ledger_core::ids::TransactionKey;
use ledger_core::log::{AppendError, Position};

pub(super) async fn an_append_elsewhere_than_at_the_head_is_fenced(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
    let mut history = History::default();
    let written = write(&log, term, &mut history, &["a", "a"]).await;

    let again = history.batch(term, vec![written[1].clone()]);
    assert!(matches!(log.events.append(&again).await, Err(AppendError::Fenced)), "behind the head");
    let mut ahead = history.clone();
    ahead.event(&stream("b"));
    let event = ahead.event(&stream("c"));
    let batch = ahead.batch(term, vec![event]);
    assert!(matches!(log.events.append(&batch).await, Err(AppendError::Fenced)), "beyond the head");
    for wrong in [term - 1, term + 1] {
        let mut other = history.clone();
        let event = other.event(&stream("d"));
        let batch = other.batch(wrong, vec![event]);
        assert!(matches!(log.events.append(&batch).await, Err(AppendError::Fenced)), "term {wrong}");
    }
    assert_eq!(all(&log).await, written);
    write(&log, term, &mut history, &["b"]).await;
}

pub(super) async fn all_duplicate_keys_are_named_and_nothing_is_written(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
    let mut history = History::default();
    let known: Vec<_> = (1..=3).map(|key| history.keyed(&stream("a"), key)).collect();
    log.events.append(&history.batch(term, known.clone())).await.unwrap();

    for (keys, named) in [
        (vec![10, 3, 11, 1], vec![1, 3]),
        (vec![10, 11, 10], vec![10]),
        (vec![2, 10, 2, 10, 10], vec![2, 10]),
    ] {
        let mut retry = history.clone();
        // Another account: keys are unique in the whole log.
        let events = keys.iter().map(|&key| retry.keyed(&stream("b"), key)).collect();
        let Err(AppendError::Duplicate(mut found)) = log.events.append(&retry.batch(term, events)).await
        else {
            panic!("{keys:?} must end as duplicates");
        };
        found.sort_unstable();
        assert_eq!(
            found,
            named.iter().map(|key: &u128| TransactionKey(key.to_be_bytes())).collect::<Vec<_>>()
        );
        assert_eq!(all(&log).await, known);
    }
    assert_eq!(log.events.head().await.unwrap().position, Position(3));
    let event = history.keyed(&stream("b"), 10);
    log.events.append(&history.batch(term, vec![event])).await.unwrap();
}

pub(super) async fn a_batch_with_one_bad_event_leaves_nothing(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
    let mut history = History::default();
    let written = write(&log, term, &mut history, &["a"]).await;
    let mut wrong = history.clone();
    let mut events = vec![wrong.keyed(&stream("b"), 1), wrong.event(&stream("a")), wrong.event(&stream("c"))];
    events[1].sequence = 1;
    let refused = log.events.append(&wrong.batch(term, events)).await;
    assert!(matches!(refused, Err(AppendError::Unknown(ref e)) if !e.transient()), "{refused:?}");

    assert_eq!(all(&log).await, written);
    let head = log.lease.lease("test again", Some(term)).await.unwrap();
    assert_eq!(head.position, Position(1));
    let event = history.keyed(&stream("b"), 1);
    log.events.append(&history.batch(head.term, vec![event])).await.unwrap();
}

pub(super) async fn a_batch_that_does_not_fit_together_is_refused(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
    let mut history = History::default();
    let events = vec![history.event(&stream("a")), history.event(&stream("a")), history.event(&stream("a"))];

    let mut hole = history.batch(term, events.clone());
    hole.events.remove(1);
    let mut back_in_time = history.batch(term, events);
    back_in_time.events[2].recorded_at = history.recorded_at.plus_micros(-1);
    let mut empty = hole.clone();
    empty.events.clear();
    for batch in [hole, back_in_time, empty] {
        assert!(matches!(log.events.append(&batch).await, Err(AppendError::Unknown(_))));
        assert_eq!(log.events.head().await.unwrap().position, Position(0));
    }
}

pub(super) async fn what_is_acknowledged_survives_a_restart(place: &impl Place) {
    let mut history = History::default();
    let mut written = Vec::new();
    let mut last_term = 0;
    for _ in 0..3 {
        let log = place.open().await;
        assert_eq!(all(&log).await, written);
        let head = lease(&log).await;
        assert!(head.term > last_term, "a term is never given twice");
        last_term = head.term;
        written.extend(write(&log, head.term, &mut history, &["a", "b"]).await);
        drop(log);
    }
    assert_eq!(all(&place.open().await).await, written);
}

pub(super) async fn a_big_batch_lands_whole(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
    let mut history = History::default();
    let of = |n: u64| stream(&format!("account-{}", n % 997));
    let events: Vec<_> = (0..10_000).map(|n| history.keyed(&of(n), u128::from(n))).collect();
    log.events.append(&history.batch(term, events.clone())).await.unwrap();
    assert_eq!(log.events.read_after(Position(0), 20_000).await.unwrap(), events);
    assert_eq!(log.events.load_streams(&[(of(5), 0)], usize::MAX).await.unwrap().len(), 11);
    let keys: Vec<_> = events.iter().filter_map(|event| event.transaction_key).collect();
    assert_eq!(log.transactions.find_transactions(&keys).await.unwrap().len(), 10_000);
}
