//! One bank account, however it is spelt: a purchase is drawn once, in new logs and in those of
//! earlier releases.

use std::sync::Arc;

use ledger_core::engine::RowResult;
use ledger_core::log::StoredEvent;
use ledger_core::transaction::{RowCode, wire};
use serde_json::{Value, json};
use support::SimulatedLog;

use crate::check::{decided_under_one_name, draws, sound};
use crate::tampering::rehash;
use crate::world::{Node, World, at, code, duplicate_of, row, terms, with};

const IBAN: &str = "GB29NWBK60161331926819";
/// The same account.
const SPELLINGS: [&str; 6] = [
    IBAN,
    "GB29 NWBK 6016 1331 9268 19",
    "gb29nwbk60161331926819",
    "gb29 nwbk 6016 1331 9268 19",
    "GB29\tNWBK 60161331926819",
    "GB29\u{a0}NWBK\u{a0}6016\u{a0}1331\u{a0}9268\u{a0}19",
];
/// Also the same; no earlier release could know.
const BRITISH: [&str; 3] = ["60-16-13 31926819", "60161331926819", "Sort code 60-16-13 account 31926819"];
const OTHERS: [&str; 3] = ["GB94BARC10201530093459", "60-16-13 31926818", "DE89370400440532013000"];

/// A purchase, or what the customer received.
fn line(id: &str, direction: &str, account: &str) -> Value {
    let (own, other) =
        if direction == "debit" { ("from_account", "to_account") } else { ("to_account", "from_account") };
    let line = with(&row(id, "anna"), "direction", direction);
    with(&with(&line, own, account), other, "DE02120300000000202051")
}

/// The log as the first releases would have written it: fingerprints of the raw text, and no
/// version.
fn as_first_recorded(events: &[StoredEvent], rows: &[Value], world: &World) -> Vec<StoredEvent> {
    let mut events = events.to_vec();
    for event in &mut events {
        let mut payload = String::from_utf8(event.payload.clone()).unwrap();
        for row in rows {
            let transaction =
                wire::parse_row(row.to_string().as_bytes(), at("2026-11-22T12:00:00Z")).unwrap();
            let terms = world.keyring.terms(&transaction);
            if payload.contains(&format!("\"transaction_id\":{}", row["transaction_id"])) {
                payload = payload.replace(
                    &format!("\"{}\",\"fingerprint_version\":2", terms.fingerprint()),
                    &format!("\"{}\"", terms.first_fingerprint()),
                );
            }
        }
        event.payload = payload.into_bytes();
    }
    rehash(&mut events);
    assert!(!events.iter().any(|e| String::from_utf8_lossy(&e.payload).contains("fingerprint_version")));
    events
}

/// A log with these rows in it, told by this release or by the first one.
async fn with_log(rows: &[Value], old: bool) -> (World, Node, SimulatedLog) {
    let world = World::new();
    let (mut node, log) = world.with(terms(|_| {})).await;
    node.take(rows).await;
    if old {
        node.stop().await;
        log.put_events(as_first_recorded(&log.events(), rows, &world));
        node = world.start(Arc::new(log.reopen())).await;
    }
    (world, node, log)
}

fn spellings(old: bool) -> impl Iterator<Item = &'static str> {
    SPELLINGS.into_iter().chain(BRITISH.into_iter().filter(move |_| !old))
}

#[tokio::test(start_paused = true)]
async fn a_line_sent_again_in_another_spelling_is_a_repeat_and_of_another_account_a_conflict() {
    for (old, direction) in [(false, "debit"), (true, "debit"), (false, "credit"), (true, "credit")] {
        for first in spellings(old) {
            // What the first releases recorded of an odd spelling is known by that spelling only.
            if old && first.contains(['\t', '\u{a0}']) {
                continue;
            }
            let (world, node, log) = with_log(&[line("tx", direction, first)], old).await;
            for again in spellings(old) {
                for account in ["anna", "ben"] {
                    let again = with(&line("tx", direction, again), "account_id", account);
                    let answer = node.one(&again).await.unwrap();
                    assert_eq!(answer.result, RowResult::Duplicate, "{first:?} {again:?} {old}");
                }
            }
            for other in OTHERS {
                let other = node.one(&line("tx", direction, other)).await;
                assert_eq!(code(&other), Some(RowCode::Conflict), "{first:?} {other:?} {old}");
            }
            let dearer = json!({ "minor": "1251", "currency": "GBP" });
            let dearer = node.one(&with(&line("tx", direction, IBAN), "amount", dearer)).await;
            assert_eq!(code(&dearer), Some(RowCode::Conflict));
            sound(&log.events(), &*world.seeds);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_purchase_booked_under_two_names_in_two_spellings_is_drawn_once() {
    for old in [false, true] {
        for again in spellings(old) {
            for account in ["anna", "ben"] {
                let first = line("p1", "debit", IBAN);
                let (world, node, log) = with_log(std::slice::from_ref(&first), old).await;
                let second = with(&line("b1", "debit", again), "pending_transaction_id", "p1");
                let second = with(&second, "account_id", account);
                let linked = node.one(&second).await.unwrap();
                assert_eq!(linked.result, RowResult::Linked, "{again:?} {account} {old}");
                assert_eq!(node.one(&with(&second, "from_account", IBAN)).await, duplicate_of(&linked));
                assert_eq!(draws(&log.events()).count(), 1);
                sound(&log.events(), &*world.seeds);
                decided_under_one_name(&log.events());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_purchase_of_another_account_is_another_purchase_whatever_the_bank_calls_it() {
    for old in [false, true] {
        for other in OTHERS {
            let (world, node, log) = with_log(&[line("p1", "debit", IBAN)], old).await;
            let second = with(&line("b1", "debit", other), "pending_transaction_id", "p1");
            assert_eq!(node.one(&second).await.unwrap().result, RowResult::Accepted);
            assert_eq!(draws(&log.events()).count(), 2);
            sound(&log.events(), &*world.seeds);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pending_line_told_again_in_another_spelling_is_nothing_new() {
    for old in [false, true] {
        let pending = |spelling| with(&line("p1", "debit", spelling), "status", "pending");
        let (_world, node, log) = with_log(&[pending(IBAN)], old).await;
        let events = log.events().len();
        for again in spellings(old) {
            assert_eq!(node.one(&pending(again)).await.unwrap().result, RowResult::Duplicate, "{again:?}");
        }
        assert_eq!(log.events().len(), events);
    }
}

#[tokio::test(start_paused = true)]
async fn a_masked_account_of_the_customers_own_is_refused_by_its_field() {
    let world = World::new();
    let (node, _log) = world.with(terms(|_| {})).await;
    for masked in ["****6819", "XXXX6819", "•••• 6819"] {
        for (direction, field) in [("debit", "from_account"), ("credit", "to_account")] {
            let refused = node.one(&line("tx", direction, masked)).await.unwrap_err();
            assert_eq!((refused.code, &*refused.field), (RowCode::Malformed, field), "{masked}");
        }
        // The other side is nobody's identity.
        let mut paid_to = line(&format!("to {masked}"), "debit", IBAN);
        paid_to["to_account"] = masked.into();
        assert_eq!(node.one(&paid_to).await.map(|r| r.result), Ok(RowResult::Accepted));
    }
}
