//! Lines of which the bank gives a date and no time: decided by the day there, and so judged by
//! both audits.

use adapters::sandbox::bank::Mix;
use ledger_core::log::StoredEvent;
use ledger_core::time::DAY_MICROS;
use rewardhub_tests::Home;
use serde_json::{Value, json};

use super::qualification::events_of;
use super::tampered::{edit, is_named, payload, tamper};
use super::world::{FIRST_DAY, MINUTE_MICROS, World};
use super::{audit, export, last, rederive};

fn row(id: &str, booked_at: &str) -> Value {
    json!({
        "source": "acme-bank", "transaction_id": id, "account_id": format!("cus_{id}"), "status": "booked",
        "booked_at": booked_at, "amount": { "minor": "1250", "currency": "GBP" },
        "direction": "debit", "from_account": "GB29NWBK60161331926819", "merchant": { "id": "m_42", "mcc": "5814" },
    })
}

fn terms(id: &str, zone: &str, window: [&str; 2], change: impl FnOnce(&mut Value)) -> Value {
    let mut terms = json!({
        "campaign_id": id, "name": id, "time_zone": zone, "stackable": true, "rules": [],
        "starts_at": window[0], "ends_at": window[1], "eligible_from": "campaign_start",
        "prize_table": { "currency": "GBP", "tiers": [
            { "name": "all", "odds_ppb": 1_000_000_000, "prize": { "fixed": 90 } } ] },
        "budget": { "minor": 15_000, "currency": "GBP" }, "grace_days": 1,
    });
    change(&mut terms);
    terms
}

/// What each campaign said of a line: why not, or in which epoch and on which day it drew.
fn said(events: &[StoredEvent], id: &str) -> Vec<(String, Value)> {
    let facts = events.iter().map(|event| payload(event)["TransactionEvaluated"].take());
    let fact = facts.into_iter().find(|fact| fact["line"]["transaction_id"] == id).unwrap();
    let considered = fact["considered"].as_array().unwrap();
    let said = considered.iter().map(|one| {
        let campaign = one["campaign_id"].as_str().unwrap().to_owned();
        let draw = fact["draws"].as_array().into_iter().flatten().find(|d| d["campaign_id"] == *campaign);
        let drew = draw.map(|draw| json!([draw["epoch"], draw["day"]]));
        (campaign, drew.unwrap_or_else(|| one["failed"].clone()))
    });
    said.collect()
}

/// Of the evening of the 19th to that of the 20th in the west, of noon of the 20th to that of the
/// 21st in the east: in UTC all of it lies on the 20th, but for two hours on either side.
async fn dates(home: &Home) {
    let at = |minutes: i64| FIRST_DAY.plus_micros(minutes * MINUTE_MICROS);
    let world = World::open(home, at(10 * 60), 1, Mix::default()).await;
    let west = ["2026-11-20T02:00:00Z", "2026-11-21T02:00:00Z"];
    let by_day = json!([{ "code": "daytime", "hours": ["9-17"], "missing": "pass" },
                        { "code": "weekend", "weekdays": ["thu", "fri"] }, { "code": "once", "wins_per_day": 1 }]);
    world.start(terms("west", "America/Los_Angeles", west, |terms| terms["rules"] = by_day)).await;
    let east = ["2026-11-19T22:00:00Z", "2026-11-20T22:00:00Z"];
    world.start(terms("east", "Pacific/Kiritimati", east, |_| {})).await;
    let strict = |terms: &mut Value| {
        terms["eligible_from"] = "enrolment".into();
        terms["rules"] = json!([{ "code": "any_hour", "hours": ["0-24"] }]);
    };
    let long = ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"];
    world.start(terms("strict", "Europe/London", long, strict)).await;
    world.send(&[row("d18", "2026-11-18"), row("d19", "2026-11-19"), row("d20", "2026-11-20")]).await;
    // Tomorrow, where it is tomorrow already.
    world.send(&[row("d21", "2026-11-21"), row("noon", "2026-11-20T12:00:00Z")]).await;
    world.clock.set(FIRST_DAY.plus_micros(DAY_MICROS + MINUTE_MICROS));
    world.resume().await;
    // Sent again with another date, or the time that the bank has found out since.
    world.send(&[row("d20", "2026-11-19"), row("d19", "2026-11-19T18:30:00Z")]).await;
    world.clock.set(FIRST_DAY.plus_micros(5 * DAY_MICROS));
    world.settle().await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_a_time_is_decided_by_its_day_there_and_judged_so_by_both_audits() {
    let home = Home::new();
    dates(&home).await;
    let events = events_of(&home).await;
    let of = |east: Value, strict: Value, west: Value| {
        vec![("east".to_owned(), east), ("strict".to_owned(), strict), ("west".to_owned(), west)]
    };
    let drew = |epoch: &str, day: &str| json!([epoch, day]);
    // Its first day was over when it was started.
    let early = json!(["before_campaign", "no_epoch"]);
    assert_eq!(
        said(&events, "d18"),
        of(
            early.clone(),
            json!(["before_enrolment", "any_hour", "no_epoch"]),
            json!(["before_campaign", "weekend"])
        )
    );
    assert_eq!(
        said(&events, "d19"),
        of(early, json!(["before_enrolment", "any_hour", "no_epoch"]), drew("2026-11-20", "2026-11-19"))
    );
    let twentieth = drew("2026-11-20", "2026-11-20");
    assert_eq!(said(&events, "d20"), of(twentieth.clone(), json!(["any_hour"]), twentieth.clone()));
    let late = json!(["after_campaign", "weekend"]);
    assert_eq!(said(&events, "d21"), of(drew("2026-11-20", "2026-11-21"), json!(["any_hour"]), late));
    // With its time it is another matter: two in the morning of the 21st there.
    let noon = said(&events, "noon");
    assert_eq!((&noon[0].1, &noon[2].1), (&drew("2026-11-20", "2026-11-21"), &json!(["daytime"])));
    let decided = events.iter().filter(|event| &*event.event_type == "TransactionEvaluated").count();
    assert_eq!(decided, 5, "repeats are repeats, whatever date they say");

    assert_eq!(audit(&home, &["draws", "--disclose"]).expect_code(0).json()["holds"], true);
    let theirs = last(&rederive(&["check", &export(&home, "bundle", &["--disclose"])]).expect_code(0));
    assert_eq!(theirs["holds"], true);

    // Whoever takes a date for an instant draws on another day.
    let mut position = String::new();
    tamper(&home, |events| {
        let is_it =
            |event: &StoredEvent| payload(event)["TransactionEvaluated"]["line"]["transaction_id"] == "d21";
        let at = events.iter().position(is_it).unwrap();
        position = events[at].position.to_string();
        edit(&mut events[at], |fact| {
            let line = fact["TransactionEvaluated"]["line"].as_object_mut().unwrap();
            assert_eq!(line.remove("time_known"), Some(json!(false)));
        });
    })
    .await;
    let ours = audit(&home, &["draws"]).expect_code(1).json();
    let found = ours["findings"].as_array().unwrap();
    assert!(found.iter().any(|f| f["check"] == "epoch" && f["position"] == *position), "{ours:#}");
    let theirs = rederive(&["check", &export(&home, "other", &[])]).expect_code(1);
    assert!(is_named(&theirs.stdout, "epoch", &position), "{}", theirs.stdout);
}
