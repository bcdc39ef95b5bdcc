//! Purchases booked under two names, in another language: one decision, and a removal by the name
//! that was linked.

use ledger_core::account::event::Verdict;
use rewardhub_tests::Home;
use serde_json::{Value, json};

use super::reviews::{Change, assert_named, ended, honest, of, review, row, started};
use super::tampered::edit;

/// `lx` is another name of `lp`, by which it is taken back, booked again and dismissed; `other` is
/// another purchase.
async fn history(home: &Home) {
    let world = started(home).await;
    let mut lx = row("lx", "booked");
    lx["pending_transaction_id"] = json!("lp");
    world.send(&[row("lp", "booked"), lx, row("lx", "booked"), row("other", "booked")]).await;
    world.send(&[row("lx", "removed"), row("lx", "booked")]).await;
    review(&world, "lx", Verdict::Dismissed).await;
    ended(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_hold_in_another_language_and_what_was_changed_about_them_is_named() {
    let home = Home::new();
    history(&home).await;
    let honest = honest(&home).await;

    let rows: [(&str, &str, &str, Change); 5] = [
        ("linked", "TransactionEvaluated", "other", |e| {
            e["TransactionEvaluated"]["line"]["transaction_id"] = json!("lx");
        }),
        ("linked", "TransactionLinked", "lx", |e| e["TransactionLinked"]["linked_to"] = json!("lx")),
        ("transaction_key", "TransactionLinked", "lx", |e| {
            e["TransactionLinked"]["transaction_id"] = json!("ly");
        }),
        ("named", "TransactionRemoved", "lp", |e| e["TransactionRemoved"]["named"] = json!("other")),
        ("released", "TransactionReviewed", "lx", |e: &mut Value| {
            e["TransactionReviewed"]["verdict"] = json!("released");
        }),
    ];
    for (check, kind, id, change) in rows {
        let mut events = honest.clone();
        let event = of(&mut events, kind, id);
        let place = event.position;
        edit(event, change);
        assert_named(&home, events, check, place);
    }
}
