//! What the index of transactions promises.

use super::super::{History, stream};
use super::{Place, lease};
use ledger_core::ids::TransactionKey;

pub(super) async fn transactions_are_found_by_key(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
    let mut history = History::default();
    let one = history.keyed(&stream("a"), 1);
    let none = history.event(&stream("a"));
    let two = history.keyed(&stream("b"), 2);
    log.events.append(&history.batch(term, vec![one.clone(), none, two.clone()])).await.unwrap();
    let keys = [2, 3, 1].map(|key: u128| TransactionKey(key.to_be_bytes()));
    let mut found = log.transactions.find_transactions(&keys).await.unwrap();
    found.sort_by_key(|event| event.position);
    assert_eq!(found, [one, two]);
    assert_eq!(log.transactions.find_transactions(&[]).await.unwrap(), []);
}

pub(super) async fn transaction_keys_are_read_in_order_and_pages_join(place: &impl Place) {
    let log = place.open().await;
    let term = lease(&log).await.term;
    let mut history = History::default();
    let numbers = [7, 0, u128::MAX, 1 << 127, 3];
    let mut events: Vec<_> = numbers.iter().map(|&n| history.keyed(&stream("a"), n)).collect();
    events.push(history.event(&stream("a")));
    log.events.append(&history.batch(term, events)).await.unwrap();
    let keys = [0, 3, 7, 1 << 127, u128::MAX].map(|n| TransactionKey(n.to_be_bytes()));
    assert_eq!(log.transactions.transaction_keys(None, 9).await.unwrap(), keys);
    assert_eq!(log.transactions.transaction_keys(None, 2).await.unwrap(), keys[..2]);
    assert_eq!(log.transactions.transaction_keys(Some(&keys[1]), 2).await.unwrap(), keys[2..4]);
    assert_eq!(log.transactions.transaction_keys(Some(&keys[3]), 2).await.unwrap(), keys[4..]);
    assert_eq!(log.transactions.transaction_keys(Some(&keys[4]), 2).await.unwrap(), []);
}
