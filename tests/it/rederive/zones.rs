//! Clocks whose table changes in the middle of a log: whoever audits it, on whatever machine, goes
//! by the table that stood in the log where a line was decided.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use adapters::sandbox::bank::Mix;
use ledger_core::engine::CommandContext;
use ledger_core::log::StoredEvent;
use ledger_core::system::SystemCommandKind;
use ledger_core::zone::{self, Zone, ZoneTableChange};
use rewardhub_tests::{Home, text};
use serde_json::{Value, json};

use super::qualification::events_of;
use super::tampered::{edit, is_named, payload, tamper};
use super::world::{FIRST_DAY, MINUTE_MICROS, World};
use super::{audit, export, last, rederive};

const VANCOUVER: &str = "America/Vancouver";

/// Half an hour after midnight there, by the table of 2026; half an hour before by that of 2025.
fn row(id: &str, account: &str, minutes: i64) -> Value {
    json!({
        "source": "acme-bank", "transaction_id": id, "account_id": account, "status": "booked",
        "booked_at": FIRST_DAY.plus_micros((7 * 60 + minutes) * MINUTE_MICROS),
        "amount": { "minor": "1250", "currency": "GBP" },
        "direction": "debit", "from_account": "GB29NWBK60161331926819", "merchant": { "id": "m_42", "mcc": "5814" },
    })
}

fn terms() -> Value {
    json!({
        "campaign_id": "night", "name": "Night", "time_zone": VANCOUVER,
        "rules": [{ "code": "at_night", "hours": ["0-1"] }, { "code": "once", "wins_per_day": 1 }],
        "starts_at": "2026-01-01T00:00:00Z", "eligible_from": "campaign_start",
        "prize_table": { "currency": "GBP", "tiers": [
            { "name": "all", "odds_ppb": 1_000_000_000, "prize": { "fixed": 90 } } ] },
        "budget": { "minor": 15_000, "currency": "GBP" }, "grace_days": 1,
    })
}

async fn world(home: &Home) -> World {
    World::open(home, FIRST_DAY.plus_micros(10 * 60 * MINUTE_MICROS), 1, Mix::default()).await
}

/// What each line was decided to, in order.
fn decided(events: &[StoredEvent]) -> Vec<Value> {
    let decided = events.iter().filter(|event| &*event.event_type == "TransactionEvaluated");
    decided
        .map(|event| {
            let fact = &payload(event)["TransactionEvaluated"];
            match fact["draws"][0]["day"].as_str() {
                Some(day) => json!(day),
                None => fact["considered"][0]["failed"].clone(),
            }
        })
        .collect()
}

/// A machine whose own table is another one, or that has none at all.
fn rederive_without_zones(bundle: &str) -> i32 {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("rederive/rederive.py");
    let mut command = Command::new("python3");
    command.arg("-B").arg(script).args(["check", bundle]).env("PYTHONTZPATH", "");
    super::finished(&mut command).code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_changes_in_the_middle_of_a_log_judges_nothing_before_it() {
    let home = Home::new();
    let before = world(&home).await;
    // What a build of March 2025 recorded.
    let table = zone::legacy(&Zone::named(VANCOUVER)).unwrap();
    let zones = [(VANCOUVER.into(), Arc::new(table))].into();
    let kind = SystemCommandKind::ChangeZoneTable(ZoneTableChange { version: "2025b".into(), zones });
    before.ledger.system(kind, CommandContext::new("engine", "", "")).await.unwrap().unwrap();
    before.start(terms()).await;
    before.send(&[row("t1", "cus_1", 30), row("t2", "cus_2", 90)]).await;
    before.close().await;
    let after = world(&home).await;
    after.send(&[row("t3", "cus_3", 30), row("t4", "cus_4", 90)]).await;
    after.close().await;

    let declined = json!(["at_night"]);
    let events = events_of(&home).await;
    let by_2025 = [declined.clone(), json!("2026-11-20")];
    let by_2026 = [json!("2026-11-20"), declined];
    assert_eq!(decided(&events), [by_2025, by_2026].concat());
    assert_eq!(audit(&home, &["draws", "--disclose"]).expect_code(0).json()["holds"], true);
    audit(&home, &["replay"]).expect_code(0);
    let bundle = export(&home, "bundle", &["--disclose"]);
    assert_eq!(last(&rederive(&["check", &bundle]).expect_code(0))["holds"], true);
    assert_eq!(rederive_without_zones(&bundle), 0);
    assert!(!home.file("bundle").join("zones.ndjson").exists(), "all that was decided by is in the log");

    // Somebody writes other clocks into it, and makes the chain fit.
    let mut positions = vec![];
    tamper(&home, |events| {
        let table = events.iter().rposition(|event| &*event.event_type == "ZoneTableChanged").unwrap();
        edit(&mut events[table], |fact| {
            fact["ZoneTableChanged"]["zones"][VANCOUVER] = json!({ "offset": -36_000, "transitions": [] });
        });
        positions = events[table..].iter().map(|event| event.position.to_string()).collect();
    })
    .await;
    let ours = audit(&home, &["draws", "--disclose"]).expect_code(1).json();
    let found = ours["findings"].as_array().unwrap();
    assert!(
        found.iter().any(|f| f["check"] == "day" && positions.iter().any(|p| f["position"] == **p)),
        "{ours:#}"
    );
    let theirs = rederive(&["check", &export(&home, "other", &["--disclose"])]).expect_code(1);
    assert!(positions.iter().any(|at| is_named(&theirs.stdout, "day", at)), "{}", theirs.stdout);
}

/// A log of the first releases says nothing of clocks: its bundle has them from their table.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_has_the_clocks_that_an_old_log_was_decided_by() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/golden/db7de71/log.db");
    let home = Home::new();
    std::fs::create_dir_all(home.data()).unwrap();
    std::fs::copy(golden, home.data().join("log.db")).unwrap();
    let ours = audit(&home, &["draws"]).json();
    let bundle = export(&home, "bundle", &[]);
    let zones = std::fs::read_to_string(Path::new(&bundle).join("zones.ndjson")).unwrap();
    let names: Vec<String> = zones
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["zone"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["Asia/Kolkata", "Europe/London"]);
    let manifest = std::fs::read_to_string(Path::new(&bundle).join("manifest.json")).unwrap();
    assert!(manifest.contains("zones.ndjson"), "{manifest}");
    let theirs = rederive(&["check", &bundle]);
    assert_eq!((ours["holds"].as_bool().unwrap(), 0), (true, theirs.code), "{}", theirs.stdout);
    assert_eq!(rederive_without_zones(&bundle), 0);
    assert!(!text(&home.file("bundle")).is_empty());
}
