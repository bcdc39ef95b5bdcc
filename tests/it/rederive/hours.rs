//! Rules about hours over the upgrade from a release that recorded no amounts and looked back only.

use adapters::sandbox::bank::Mix;
use ledger_core::log::StoredEvent;
use rewardhub_tests::{Home, text};
use serde_json::{Value, json};

use super::qualification::{events_of, write_bundle};
use super::reviews::of;
use super::tampered::{edit, is_named, payload, tamper};
use super::world::{FIRST_DAY, MINUTE_MICROS, World};
use super::{audit, export, last, rederive};

fn row(id: &str, minutes: i64, minor: i64) -> Value {
    json!({
        "source": "acme-bank", "transaction_id": id, "account_id": "cus_1", "status": "booked",
        "booked_at": FIRST_DAY.plus_micros(minutes * MINUTE_MICROS),
        "amount": { "minor": minor.to_string(), "currency": "GBP" },
        "direction": "debit", "from_account": "GB29NWBK60161331926819", "merchant": { "id": "m_42", "mcc": "5814" },
    })
}

fn terms(rules: &[Value]) -> Value {
    json!({
        "campaign_id": "everyday", "name": "Everyday", "time_zone": "Europe/London", "rules": rules,
        "starts_at": "2026-01-01T00:00:00Z", "eligible_from": "campaign_start",
        "prize_table": { "currency": "GBP", "tiers": [
            { "name": "small", "odds_ppb": 500_000_000, "prize": { "fixed": 90 } } ] },
        "budget": { "minor": 15_000, "currency": "GBP" }, "grace_days": 1,
    })
}

async fn world(home: &Home, minutes: i64) -> World {
    World::open(home, FIRST_DAY.plus_micros(minutes * MINUTE_MICROS), 1, Mix::default()).await
}

fn failed(events: &[StoredEvent], id: &str) -> Value {
    let about = |event: &&StoredEvent| payload(event)["TransactionEvaluated"]["line"]["transaction_id"] == id;
    payload(events.iter().find(about).unwrap())["TransactionEvaluated"]["considered"][0]["failed"].clone()
}

fn without_amount(event: &mut StoredEvent) {
    if matches!(&*event.event_type, "TransactionEvaluated" | "TransactionDeferred") {
        let name = event.event_type.to_string();
        edit(event, |fact| drop(fact[&name]["line"].as_object_mut().unwrap().remove("spent")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_waited_over_the_upgrade_counts_with_what_it_cost() {
    let home = Home::new();
    let (before, after) = (23 * 60, 25 * 60);
    let world_before = world(&home, before).await;
    let rule = json!({ "code": "too_much", "spent_max": { "minor": 3_000, "hours": 24 } });
    world_before.start(terms(&[rule])).await;
    world_before.send(&[row("waits", after, 2_000)]).await;
    world_before.close().await;
    tamper(&home, |events| events.iter_mut().for_each(without_amount)).await;

    let world_after = world(&home, after).await;
    world_after.ledger.tick().await.unwrap();
    world_after.resume().await;
    world_after.send(&[row("next", after, 1_001)]).await;
    world_after.close().await;
    let events = events_of(&home).await;
    assert_eq!((failed(&events, "waits"), failed(&events, "next")), (Value::Null, json!(["too_much"])));
    assert_eq!(audit(&home, &["draws", "--disclose"]).expect_code(0).json()["holds"], true);
    last(&rederive(&["check", &export(&home, "bundle", &["--disclose"])]).expect_code(0));
}

/// What came late was asked of the hours before it alone: recorded so, it holds in a log that has
/// no amounts yet.
#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_release_looked_back_only_and_only_its_own_lines_are_excused() {
    let home = Home::new();
    let small = json!({ "code": "too_small", "amount_min_minor": 500 });
    let fast = json!({ "code": "too_fast", "transactions_max": { "count": 1, "hours": 1 } });
    let world = world(&home, 12 * 60).await;
    world.start(terms(&[small, fast])).await;
    world.send(&[row("first", 11 * 60, 1_000), row("late", 10 * 60 + 30, 100)]).await;
    world.close().await;
    let events = events_of(&home).await;
    assert_eq!(failed(&events, "late"), json!(["too_small", "too_fast"]));
    let details = export(&home, "details", &["--disclose"]);
    let bundle = |name: &str, mut events: Vec<StoredEvent>, earlier: bool| {
        edit(of(&mut events, "TransactionEvaluated", "late"), |event| {
            event["TransactionEvaluated"]["considered"][0]["failed"] = json!(["too_small"]);
        });
        if earlier {
            events.iter_mut().for_each(without_amount);
        }
        let out = home.file(name);
        write_bundle(&out, details.as_ref(), events);
        rederive(&["check", text(&out)])
    };
    let earlier = last(&bundle("earlier", events.clone(), true).expect_code(0));
    assert_eq!(earlier["lines_without_amount"], 2);
    let now = bundle("now", events.clone(), false).expect_code(1);
    let position = of(&mut events.clone(), "TransactionEvaluated", "late").position.to_string();
    assert!(is_named(&now.stdout, "failed rules", &position), "{}", now.stdout);
}
