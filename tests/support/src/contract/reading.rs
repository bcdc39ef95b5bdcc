//! What a log promises to those who read it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::{History, stream};
use super::{Place, all, lease, write};
use ledger_core::ids::{CampaignId, TransactionKey};
use ledger_core::log::chain::{Links, verify_links};
use ledger_core::log::{Head, Position, StoredEvent, StreamId, StreamType};

pub(super) async fn an_empty_log_is_empty(place: &impl Place) {
    let log = place.open().await;
    assert_eq!(log.events.head().await.unwrap(), Head::default());
    assert_eq!(all(&log).await, []);
    assert_eq!(log.events.read_stream_after(&stream("a"), Position(0), 9).await.unwrap(), []);
    assert_eq!(log.events.load_streams(&[(stream("a"), 0)], 9).await.unwrap(), []);
    assert_eq!(log.events.load_streams(&[], 9).await.unwrap(), []);
    assert_eq!(log.events.stream_ids(StreamType::Account).await.unwrap(), []);
    assert_eq!(log.transactions.find_transactions(&[TransactionKey([0; 16])]).await.unwrap(), []);
    assert_eq!(log.transactions.transaction_keys(None, 10).await.unwrap(), []);
    let head = lease(&log).await;
    assert_eq!(head, Head { term: 1, ..Head::default() });
    assert_eq!(log.events.head().await.unwrap(), head, "a lease is on record");
}

pub(super) async fn what_is_appended_is_read_back_to_the_byte(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
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
    let batch = history.batch(term, events.clone());
    log.events.append(&batch).await.unwrap();

    assert_eq!(all(&log).await, events);
    assert_eq!(log.events.load_streams(&[(campaign, 0)], 9).await.unwrap(), [events[8].clone()]);
    let expected = Head { term, position: Position(9), recorded_at: Some(history.recorded_at) };
    assert_eq!(log.events.head().await.unwrap(), expected);
    assert_eq!(batch.head_after(), expected);
}

pub(super) async fn positions_are_contiguous_and_pages_join(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
    let mut history = History::default();
    let mut written = Vec::new();
    for _ in 0..3 {
        written.extend(write(&log, term, &mut history, &["a", "b", "a"]).await);
    }
    let mut read: Vec<StoredEvent> = Vec::new();
    loop {
        let last = read.last().map_or(Position(0), |event| event.position);
        let page = log.events.read_after(last, 4).await.unwrap();
        assert!(page.len() <= 4);
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert_eq!(read, written);
    assert_eq!(verify_links(&mut Links::default(), &read), Ok(()));
    assert_eq!(log.events.read_after(Position(9), 4).await.unwrap(), []);
    assert_eq!(log.events.read_after(Position(1_000), 4).await.unwrap(), []);
    assert_eq!(log.events.read_after(Position(3), 0).await.unwrap(), []);
}

pub(super) async fn a_stream_is_read_page_by_page(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
    let mut history = History::default();
    // Stream a is at 1, 3, 4, 5 and 7.
    write(&log, term, &mut history, &["a", "b", "a", "a", "a", "b", "a", "b"]).await;
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
        let page = log.events.read_stream_after(&stream("a"), Position(after), limit).await.unwrap();
        let positions: Vec<u64> = page.iter().map(|event| event.position.0).collect();
        assert_eq!(positions, found, "after {after}, up to {limit}");
        assert!(page.iter().all(|event| event.stream == stream("a")));
    }
}

pub(super) async fn streams_are_loaded_in_order_and_page_by_page(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
    let mut history = History::default();
    let events = write(&log, term, &mut history, &["a", "b", "a", "c", "b", "a", "b"]).await;
    let asked = [("b", 0), ("nobody", 0), ("c", 1), ("a", 1)].map(|(id, after)| (stream(id), after));
    for (limit, places) in
        [(9, &[1, 4, 6, 2, 5][..]), (5, &[1, 4, 6, 2, 5]), (4, &[1, 4, 6, 2]), (2, &[1, 4]), (0, &[])]
    {
        let expected: Vec<_> = places.iter().map(|&place: &usize| events[place].clone()).collect();
        assert_eq!(log.events.load_streams(&asked, limit).await.unwrap(), expected, "up to {limit}");
    }
    let same_id = StreamId { stream_type: StreamType::Campaign, id: "a".into() };
    assert_eq!(log.events.load_streams(&[(same_id, 0)], 9).await.unwrap(), [], "a campaign is no account");
}

pub(super) async fn streams_with_an_event_are_known(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
    let mut history = History::default();
    write(&log, term, &mut history, &["a", "b", "a"]).await;
    assert_eq!(log.events.known_streams(&[]).await.unwrap(), []);
    let mut known = log.events.known_streams(&["c", "b", "aa", "a", ""].map(stream)).await.unwrap();
    known.sort();
    assert_eq!(known, ["a", "b"].map(stream));
    let other = StreamId { stream_type: StreamType::Campaign, id: "a".into() };
    assert_eq!(log.events.known_streams(&[other]).await.unwrap(), [], "a stream of another type");
}

pub(super) async fn stream_ids_are_sorted_and_of_one_type(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
    let mut history = History::default();
    write(&log, term, &mut history, &["b", "a", "Z", "é", "a:1", "a", "b"]).await;
    let campaign = StreamId { stream_type: StreamType::Campaign, id: "x".into() };
    let event = history.event(&campaign);
    log.events.append(&history.batch(term, vec![event])).await.unwrap();
    let accounts = log.events.stream_ids(StreamType::Account).await.unwrap();
    assert_eq!(accounts, ["Z", "a", "a:1", "b", "é"].map(stream));
    assert_eq!(log.events.stream_ids(StreamType::Campaign).await.unwrap(), [campaign]);
    assert_eq!(log.events.stream_ids(StreamType::System).await.unwrap(), []);
}

pub(super) async fn readers_see_a_growing_prefix(place: &impl Place) {
    let (log, reader) = (place.open().await, place.open().await);
    let term = lease(&log).await.term;
    let done = Arc::new(AtomicBool::new(false));
    let watching = Arc::clone(&done);
    let watcher = tokio::spawn(async move {
        let mut links = Links::default();
        loop {
            // Asked before reading, so that the last round sees everything.
            let last_round = watching.load(Ordering::SeqCst);
            let head = reader.events.head().await.unwrap();
            loop {
                let page = reader.events.read_after(links.position, 7).await.unwrap();
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
        write(&log, term, &mut history, &["a", "b", "a"]).await;
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::SeqCst);
    assert_eq!(watcher.await.unwrap(), Position(300));
}
