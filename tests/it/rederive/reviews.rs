//! Held lines, in another language: two people, once, and never what was decided before.

use adapters::sandbox::bank::Mix;
use ledger_core::account::CommandKind;
use ledger_core::account::event::Verdict;
use ledger_core::engine::CommandContext;
use ledger_core::log::{Position, StoredEvent};
use rewardhub_tests::{Home, text};
use serde_json::{Value, json};

use super::qualification::{events_of, write_bundle};
use super::tampered::{edit, is_named, payload};
use super::world::{FIRST_DAY, MINUTE_MICROS, World};
use super::{audit, export, last, rederive};

pub(crate) fn row(id: &str, status: &str) -> Value {
    json!({
        "source": "acme-bank", "transaction_id": id, "account_id": "cus_1", "status": status,
        "booked_at": FIRST_DAY.plus_micros(MINUTE_MICROS), "amount": { "minor": "1250", "currency": "GBP" },
        "direction": "debit", "from_account": "GB29NWBK60161331926819", "merchant": { "id": "m_42", "mcc": "5814" },
    })
}

pub(crate) type Change = fn(&mut Value);

/// `t1` was never decided and is released, `t2` was drawn and is dismissed.
async fn history(home: &Home) {
    let world = started(home).await;
    world.send(&[row("t2", "booked"), row("t1", "removed"), row("t2", "removed")]).await;
    world.send(&[row("t1", "booked"), row("t2", "booked")]).await;
    review(&world, "t1", Verdict::Released).await;
    review(&world, "t2", Verdict::Dismissed).await;
    ended(world).await;
}

pub(crate) async fn started(home: &Home) -> World {
    let world = World::open(home, FIRST_DAY.plus_micros(2 * MINUTE_MICROS), 1, Mix::default()).await;
    world
        .start(json!({
            "campaign_id": "everyday", "name": "Everyday", "time_zone": "Europe/London",
            "starts_at": "2026-01-01T00:00:00Z", "eligible_from": "campaign_start",
            "prize_table": { "currency": "GBP", "tiers": [
                { "name": "small", "odds_ppb": 500_000_000, "prize": { "fixed": 90 } } ] },
            "budget": { "minor": 15_000, "currency": "GBP" }, "grace_days": 0,
        }))
        .await;
    world
}

pub(crate) async fn review(world: &World, id: &str, verdict: Verdict) {
    for by in ["olga", "oskar"] {
        let kind = CommandKind::Review {
            source: "acme-bank".parse().unwrap(),
            transaction_id: id.parse().unwrap(),
            verdict,
            reason: "the bank's mistake".into(),
        };
        let account = "cus_1".parse().unwrap();
        world.ledger.account(account, kind, CommandContext::new(by, "", "")).await.unwrap().unwrap();
    }
}

pub(crate) async fn ended(world: World) {
    world.resume().await;
    world.clock.set(FIRST_DAY.plus_micros(2 * 24 * 60 * MINUTE_MICROS));
    assert!(world.settle().await > 0);
    world.close().await;
}

pub(crate) fn of<'e>(events: &'e mut [StoredEvent], kind: &str, id: &str) -> &'e mut StoredEvent {
    let about = |event: &&mut StoredEvent| {
        let fact = &payload(event)[kind];
        fact["transaction_id"] == id || fact["line"]["transaction_id"] == id
    };
    events.iter_mut().rev().find(about).unwrap()
}

/// The events of a history of two lines, none of them waiting, in which both implementations find
/// nothing.
pub(crate) async fn honest(home: &Home) -> Vec<StoredEvent> {
    audit(home, &["replay"]).expect_code(0);
    let bundle = export(home, "bundle", &["--disclose"]);
    let report = last(&rederive(&["check", &bundle]).expect_code(0));
    assert_eq!((&report["lines"], &report["waiting"]), (&json!(2), &json!(0)), "{report}");
    events_of(home).await
}

/// The second implementation names this, under a chain made to fit.
pub(crate) fn assert_named(home: &Home, events: Vec<StoredEvent>, check: &str, place: Position) {
    let wrong = home.file(&format!("wrong-{check}-{}", events.len()));
    std::fs::remove_dir_all(&wrong).ok();
    write_bundle(&wrong, &home.file("bundle"), events);
    let theirs = rederive(&["check", text(&wrong)]).expect_code(1);
    assert!(is_named(&theirs.stdout, check, &place.to_string()), "{check} at {place}: {}", theirs.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn reviews_hold_in_another_language_and_what_was_changed_about_them_is_named() {
    let home = Home::new();
    history(&home).await;
    let honest = honest(&home).await;

    let rows: [(&str, &str, &str, Change); 11] = [
        ("reviewed", "TransactionReviewed", "t1", |e| e["TransactionReviewed"]["by"] = json!("olga")),
        ("reviewed", "TransactionReviewed", "t1", |e| e["TransactionReviewed"]["by"] = json!("OLGA")),
        ("by", "TransactionReviewed", "t1", |e| e["TransactionReviewed"]["by"] = json!("anna")),
        ("by", "ReviewProposed", "t1", |e| e["ReviewProposed"]["by"] = json!("anna")),
        ("proposed", "TransactionReviewed", "t1", |e| {
            e["TransactionReviewed"]["proposed_by"] = json!("anna")
        }),
        ("proposed", "ReviewProposed", "t1", |e| e["ReviewProposed"]["verdict"] = json!("dismissed")),
        ("reviewed", "TransactionReviewed", "t1", |e| {
            e["TransactionReviewed"]["transaction_id"] = json!("t9")
        }),
        ("released", "TransactionReviewed", "t2", |e| {
            e["TransactionReviewed"]["verdict"] = json!("released")
        }),
        ("undecided", "TransactionRemoved", "t2", |e| e["TransactionRemoved"]["undecided"] = json!(true)),
        ("dismissed", "TransactionReviewed", "t1", |e| {
            e["TransactionReviewed"]["verdict"] = json!("dismissed")
        }),
        ("held", "TransactionReviewed", "t1", |e| e["TransactionReviewed"]["transaction_id"] = json!("t9")),
    ];
    for (check, kind, id, change) in rows {
        let mut events = honest.clone();
        let event = of(&mut events, kind, id);
        let changed_at = event.position;
        edit(event, change);
        // What is only found by what follows is named there, and a second proposal where it is
        // agreed to.
        let place = match (check, kind) {
            ("dismissed" | "held", _) => of(&mut events, "TransactionEvaluated", "t1").position,
            ("proposed", "ReviewProposed") => of(&mut events, "TransactionReviewed", "t1").position,
            _ => changed_at,
        };
        assert_named(&home, events, check, place);
    }

    // Released and never decided, its day closed.
    let mut events = honest;
    let review = of(&mut events, "TransactionReviewed", "t1").position;
    edit(of(&mut events, "TransactionEvaluated", "t1"), |event| {
        event["TransactionEvaluated"]["line"]["transaction_id"] = json!("t8");
    });
    assert_named(&home, events, "waiting", review);
}
