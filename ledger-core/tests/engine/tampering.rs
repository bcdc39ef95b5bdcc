//! Replay names what was changed behind the ledger's back, and where.

use std::sync::Arc;

use ledger_core::account::AccountEvent;
use ledger_core::account::CommandKind;
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::TransactionKey;
use ledger_core::log::chain::event_hash;
use ledger_core::log::{Position, StoredEvent};
use support::SimulatedLog;

use crate::check::{replay, sound, wins};
use crate::world::{World, context, row, rows, terms, with};

/// A log with wins, one issued and credited reward, a reversed one, waiting and removed lines.
async fn honest() -> Vec<StoredEvent> {
    let world = World::seeded(1);
    let log = SimulatedLog::new();
    let node = world.start(Arc::new(log.reopen())).await;
    node.run(terms(|_| {})).await;
    node.take(&rows(0..30)).await;
    node.one(&with(&row("ahead", "cus-1"), "booked_at", "2026-11-23T09:00:00Z")).await.unwrap();
    node.one(&with(&row("tx-3", "cus-3"), "status", "removed")).await.unwrap();
    for stored in log.events() {
        for (entry_id, _) in wins(std::slice::from_ref(&stored)) {
            let account: ledger_core::ids::AccountId = stored.stream.id.parse().unwrap();
            let payout_reference = "pay-1".parse().unwrap();
            for kind in [
                CommandKind::IssueReward { entry_id },
                CommandKind::RequestCredit { entry_id },
                CommandKind::ConfirmCredit { entry_id, attempt: 1, payout_reference },
            ] {
                node.ledger.account(account.clone(), kind, context()).await.unwrap().unwrap();
            }
        }
    }
    sound(&log.events(), &*world.seeds);
    log.events()
}

/// That replay names this place and says so in these words.
fn named(events: &[StoredEvent], position: Position, words: &str) {
    let findings = replay(events).findings;
    let place = position.to_string();
    let found = findings.iter().any(|f| f.contains(words) && mentions(f, &place));
    assert!(found, "{place} and {words:?} are not in {findings:?}");
}

/// `0:1` is not in `0:12`.
fn mentions(finding: &str, place: &str) -> bool {
    finding
        .match_indices(place)
        .any(|(at, _)| !finding[at + place.len()..].starts_with(|c: char| c.is_ascii_digit()))
}

pub(crate) fn first(events: &[StoredEvent], event_type: &str) -> usize {
    events.iter().position(|event| &*event.event_type == event_type).unwrap()
}

/// Makes the chain of each stream fit again, as somebody with access to the store could.
pub(crate) fn rehash(events: &mut [StoredEvent]) {
    let mut tips = std::collections::HashMap::new();
    for (n, event) in (1..).zip(events) {
        event.position = Position(n);
        let tip = tips.entry(event.stream.clone()).or_insert((0, None));
        event.sequence = tip.0 + 1;
        event.hash = event_hash(event, tip.1.as_ref());
        *tip = (event.sequence, Some(event.hash));
    }
}

#[tokio::test(start_paused = true)]
async fn any_byte_changed_is_found_at_its_place() {
    let honest = honest().await;
    for (n, stored) in honest.iter().enumerate() {
        for byte in [0, stored.payload.len() / 2, stored.payload.len() - 1] {
            let mut events = honest.clone();
            events[n].payload[byte] ^= 1;
            named(&events, stored.position, "");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_event_is_found_where_the_next_one_stands() {
    let honest = honest().await;
    for n in 0..honest.len() - 1 {
        let mut events = honest.clone();
        let next = events[n + 1].position;
        events.remove(n);
        named(&events, next, "");
    }
}

#[tokio::test(start_paused = true)]
async fn another_amount_is_found_even_under_a_chain_made_to_fit() {
    let honest = honest().await;
    let mut events = honest.clone();
    let n = events.iter().position(|event| !wins(std::slice::from_ref(event)).is_empty()).unwrap();
    let text = String::from_utf8(events[n].payload.clone()).unwrap();
    let amount = wins(&events[n..=n]).values().next().unwrap().minor();
    let dearer = text.replacen(
        &format!("\"amount\":{{\"minor\":{amount}"),
        &format!("\"amount\":{{\"minor\":{}", amount + 1),
        1,
    );
    assert_ne!(text, dearer);
    events[n].payload = dearer.into_bytes();
    named(&events, events[n].position, "hash");
    rehash(&mut events);
    let spent = n + events[n..].iter().position(|event| &*event.event_type == "BudgetSpent").unwrap();
    named(&events, events[spent].position, "spend");
}

#[tokio::test(start_paused = true)]
async fn a_line_made_to_look_new_or_like_another_is_found() {
    let honest = honest().await;
    let n = first(&honest, "TransactionEvaluated");
    let mut events = honest.clone();
    events[n].transaction_key = None;
    named(&events, events[n].position, "no transaction key");
    events[n].transaction_key = Some(TransactionKey([7; 16]));
    named(&events, events[n].position, "not that of the transaction");
    let m = first(&honest, "AccountOpened");
    let mut events = honest.clone();
    events[m].transaction_key = Some(TransactionKey([7; 16]));
    named(&events, events[m].position, "not that of the transaction");
}

#[tokio::test(start_paused = true)]
async fn a_second_decision_and_a_second_payment_are_found_under_a_chain_made_to_fit() {
    let honest = honest().await;
    let mut events = honest.clone();
    let mut again = events[first(&events, "TransactionEvaluated")].clone();
    events.push(again.clone());
    rehash(&mut events);
    named(&events, events.last().unwrap().position, "second time");
    again.transaction_key = None;
    *events.last_mut().unwrap() = again;
    rehash(&mut events);
    named(&events, events.last().unwrap().position, "did not wait");

    let mut events = honest.clone();
    let paid = events[first(&events, "RewardCredited")].clone();
    assert!(matches!(decode(&paid), Ok(LedgerEvent::Account(AccountEvent::RewardCredited { .. }))));
    events.push(paid);
    rehash(&mut events);
    let findings = replay(&events).findings;
    assert!(findings.iter().any(|f| f.contains("rewards payable")), "{findings:?}");
}

/// One win's whole life: paid and then reversed, or the other way about.
async fn paid_and_reversed(paid_first: bool) -> Vec<StoredEvent> {
    let world = World::seeded(1);
    let log = SimulatedLog::new();
    let node = world.start(Arc::new(log.reopen())).await;
    node.run(terms(|_| {})).await;
    node.take(&rows(0..30)).await;
    let events = log.events();
    let won = events.iter().find(|stored| !wins(std::slice::from_ref(stored)).is_empty()).unwrap();
    let account: ledger_core::ids::AccountId = won.stream.id.parse().unwrap();
    let entry_id = *wins(std::slice::from_ref(won)).keys().next().unwrap();
    let payout_reference = "pay-1".parse().unwrap();
    let mut kinds = vec![
        CommandKind::IssueReward { entry_id },
        CommandKind::RequestCredit { entry_id },
        CommandKind::ConfirmCredit { entry_id, attempt: 1, payout_reference },
    ];
    let reverse = CommandKind::ReverseReward { entry_id, reason: "a mistake".into() };
    kinds.insert(if paid_first { 3 } else { 2 }, reverse);
    for kind in kinds {
        node.ledger.account(account.clone(), kind, context()).await.unwrap().unwrap();
    }
    sound(&log.events(), &*world.seeds);
    log.events()
}

#[tokio::test(start_paused = true)]
async fn books_that_get_something_else_than_what_became_of_a_reward_are_found_under_a_chain_made_to_fit() {
    for paid_first in [true, false] {
        let honest = paid_and_reversed(paid_first).await;
        for kind in ["RewardIssued", "RewardCredited", "RewardReversed"] {
            let n = first(&honest, kind);
            let other = |change: &dyn Fn(&mut serde_json::Value)| {
                let mut events = honest.clone();
                crate::draws::edit(&mut events[n], |event| change(&mut event[kind]["posting"]));
                rehash(&mut events);
                named(&events, events[n].position, "the books get");
            };
            other(&|posting| {
                for side in [0, 1] {
                    posting[side]["amount"]["minor"] = 1.into();
                }
            });
            for side in [0, 1] {
                other(&|posting| posting[side]["account"] = "sponsor".into());
            }
        }
        // Each is balanced, and the other's: who owes it is another matter.
        let mut events = honest.clone();
        let n = first(&events, "RewardReversed");
        let (debtor, other) = if paid_first {
            ("customer-receivable", "rewards-payable")
        } else {
            ("rewards-payable", "customer-receivable")
        };
        crate::draws::edit(&mut events[n], |event| {
            assert_eq!(event["RewardReversed"]["posting"][0]["account"], debtor);
            event["RewardReversed"]["posting"][0]["account"] = other.into();
        });
        rehash(&mut events);
        named(&events, events[n].position, "the books get");
    }
}
