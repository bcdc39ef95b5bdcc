//! One thing changed in a log whose chain is made to fit: both audits name it.

use ledger_core::draw::PrizeTable;
use ledger_core::log::chain::event_hash;
use ledger_core::log::{EventLog, Position, StoredEvent};
use rewardhub_tests::Home;
use rusqlite::Connection;
use serde_json::{Value, json};
use stores::sqlite::log::SqliteLog;

use super::histories::three_days;
use super::{export, rederive};

/// Changes events as somebody with the file in his hands could, and makes every hash after them
/// fit.
pub(crate) async fn tamper(home: &Home, change: impl FnOnce(&mut Vec<StoredEvent>)) {
    let path = home.data().join("log.db");
    let mut events =
        SqliteLog::open_read_only(&path).unwrap().read_after(Position(0), usize::MAX >> 1).await.unwrap();
    let before = events.clone();
    change(&mut events);
    let mut tips = std::collections::HashMap::new();
    for event in &mut events {
        event.hash = event_hash(event, tips.get(&event.stream));
        tips.insert(event.stream.clone(), event.hash);
    }
    let log = Connection::open(&path).unwrap();
    log.execute_batch("DROP TRIGGER IF EXISTS events_are_never_changed; BEGIN").unwrap();
    for event in events.iter().zip(&before).filter(|(now, then)| now != then).map(|(event, _)| event) {
        let payload = std::str::from_utf8(&event.payload).unwrap();
        let position = i64::try_from(event.position.0).unwrap();
        log.execute(
            "UPDATE events SET payload = ?1, hash = ?2 WHERE position = ?3",
            (payload, &event.hash.0[..], position),
        )
        .unwrap();
    }
    log.execute_batch("COMMIT").unwrap();
}

pub(crate) fn edit(event: &mut StoredEvent, change: impl FnOnce(&mut Value)) {
    let mut payload: Value = serde_json::from_slice(&event.payload).unwrap();
    change(&mut payload);
    event.payload = serde_json::to_vec(&payload).unwrap();
}

pub(crate) fn payload(event: &StoredEvent) -> Value {
    serde_json::from_slice(&event.payload).unwrap()
}

/// Both audits name this check at this place.
fn both_name(home: &Home, bundle: &str, check: &str, position: &str) {
    let ours = home.run(&["audit", "draws", "--disclose"]).expect_code(1).json();
    let found = ours["findings"].as_array().unwrap();
    assert!(
        found.iter().any(|f| f["check"] == check && f["position"] == position),
        "{check} at {position}: {ours:#}"
    );
    let bundle = export(home, bundle, &["--disclose"]);
    let theirs = rederive(&["check", &bundle]).expect_code(1);
    assert!(is_named(&theirs.stdout, check, position), "{check} at {position}: {}", theirs.stdout);
}

/// Whether the second implementation's findings have this check at this place.
pub(crate) fn is_named(findings: &str, check: &str, position: &str) -> bool {
    findings.lines().any(|line| {
        let place = line.strip_prefix(&format!("at {position}"));
        place.is_some_and(|rest| {
            rest.starts_with([',', ':']) && rest.contains(&format!(": {check}: expected "))
        })
    })
}

/// With a smaller amount beside the details, or none, a customer could spend more than a rule
/// allows.
#[tokio::test(flavor = "multi_thread")]
async fn an_amount_that_is_not_that_of_the_details_is_found_whatever_became_of_the_line() {
    let home = Home::new();
    three_days(&home).await;
    let spent = |event: &StoredEvent| payload(event)["TransactionEvaluated"]["line"]["spent"].clone();
    for (bundle, outcome, is_there) in
        [("declined", "declined", true), ("lost", "lost", true), ("none", "won", false)]
    {
        let mut position = String::new();
        tamper(&home, |events| {
            let purchase = |event: &StoredEvent| {
                payload(event)["TransactionEvaluated"]["outcome"] == outcome && spent(event).is_string()
            };
            let at = events.iter().rposition(purchase).unwrap();
            let stream = events[at].stream.clone();
            let mut others = events.iter().filter(|e| e.stream == stream).map(spent);
            let other = others.find(|other| other.is_string() && *other != spent(&events[at])).unwrap();
            position = events[at].position.to_string();
            edit(&mut events[at], |event| {
                let line = event["TransactionEvaluated"]["line"].as_object_mut().unwrap();
                line.remove("spent");
                if is_there {
                    line.insert("spent".into(), other);
                }
            });
        })
        .await;
        both_name(&home, bundle, "spent", &position);
    }
}

/// The check that fails, which draw is changed, and how.
type Case<'a> = (&'a str, &'a dyn Fn(&Value) -> bool, fn(&mut Value));

#[tokio::test(flavor = "multi_thread")]
async fn both_implementations_find_what_a_chain_made_to_fit_would_hide() {
    let home = Home::new();
    three_days(&home).await;
    let drawn = |event: &StoredEvent, like: &dyn Fn(&Value) -> bool| {
        let payload = payload(event);
        let draw = &payload["TransactionEvaluated"]["draws"][0];
        !draw.is_null() && like(draw)
    };
    let lost = |draw: &Value| draw["tier"].is_null();
    let won = |draw: &Value| draw["tier"] == 0;
    let share = |draw: &Value| draw["tier"] == 2;
    let cases: [Case<'_>; 7] = [
        ("r", &lost, |draw| draw["r"] = json!(draw["r"].as_u64().unwrap() - 1)),
        ("tier", &won, |draw| draw["tier"] = json!(1)),
        ("amount", &won, |draw| draw["amount"]["minor"] = json!(2_001)),
        ("amount", &share, |draw| {
            draw["amount"]["minor"] = json!(draw["amount"]["minor"].as_u64().unwrap() - 1)
        }),
        ("tier_mask", &lost, |draw| draw["tier_mask"] = json!(7)),
        ("budget_left_minor", &lost, |draw| draw["budget_left_minor"] = json!(1_000_000)),
        ("drawn_once", &lost, |_| {}),
    ];
    for (n, (check, like, change)) in cases.into_iter().enumerate() {
        let mut undo = Vec::new();
        let mut position = String::new();
        tamper(&home, |events| {
            let mut of_kind = (0..events.len()).filter(|n| drawn(&events[*n], like));
            let first = of_kind.next().unwrap();
            let at = if check == "drawn_once" { of_kind.next().unwrap() } else { first };
            drop(of_kind);
            undo = events.clone();
            position = events[at].position.to_string();
            if check == "drawn_once" {
                // One line's decision in the place of another's.
                events[at].payload = events[first].payload.clone();
            }
            edit(&mut events[at], |event| change(&mut event["TransactionEvaluated"]["draws"][0]));
        })
        .await;
        both_name(&home, &format!("tampered-{n}"), check, &position);
        tamper(&home, |events| *events = undo).await;
    }
}

/// Better odds for a friend: in the table of one day, which its hash then does not fit; and in
/// terms, table and hash alike, which the commitment does not fit.
#[tokio::test(flavor = "multi_thread")]
async fn both_implementations_find_changed_odds() {
    let home = Home::new();
    three_days(&home).await;
    let mut undo = Vec::new();
    let mut position = String::new();
    let better = |table: &mut Value| table["tiers"][0]["odds_ppb"] = json!(20_000_001);
    tamper(&home, |events| {
        undo = events.clone();
        let at = events.iter().position(|event| event.event_type == "EpochScheduled").unwrap();
        position = events[at].position.to_string();
        edit(&mut events[at], |event| better(&mut event["EpochScheduled"]["prize_table"]));
    })
    .await;
    both_name(&home, "odds", "table_hash", &position);

    tamper(&home, |events| {
        *events = undo;
        for event in events.iter_mut() {
            if event.event_type == "CampaignDrafted" {
                edit(event, |event| better(&mut event["CampaignDrafted"]["terms"]["prize_table"]));
            } else if event.event_type == "EpochScheduled" {
                edit(event, |event| {
                    let scheduled = &mut event["EpochScheduled"];
                    better(&mut scheduled["prize_table"]);
                    let table: PrizeTable = serde_json::from_value(scheduled["prize_table"].clone()).unwrap();
                    scheduled["table_hash"] = json!(table.hash());
                });
            }
        }
    })
    .await;
    both_name(&home, "odds-everywhere", "commitment", &position);
}
