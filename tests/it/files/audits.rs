//! Audits leave no trace beside the ledger, and find what no step has done and what the rail's
//! books say otherwise.

use std::collections::BTreeMap;
use std::time::SystemTime;

use rewardhub_tests::rows::{ndjson, purchase};
use rewardhub_tests::{Home, text};
use rusqlite::Connection;

use super::world::{home_with_campaign, with_wins};

/// All that is in a folder: lengths and when it was written.
fn traces(home: &Home) -> BTreeMap<String, (u64, SystemTime)> {
    let entries = std::fs::read_dir(home.data()).unwrap().map(|entry| entry.unwrap());
    let mut traces: BTreeMap<_, _> = entries
        .map(|entry| {
            let found = entry.metadata().unwrap();
            (entry.file_name().into_string().unwrap(), (found.len(), found.modified().unwrap()))
        })
        .collect();
    let folder = std::fs::metadata(home.data()).unwrap();
    traces.insert(".".into(), (0, folder.modified().unwrap()));
    traces
}

#[test]
fn audits_leave_no_trace_in_a_folder_that_nobody_serves() {
    let home = home_with_campaign();
    with_wins(&home, "a", 5).stop();
    // As a copy of the files alone, and as the service has left it.
    for left in [true, false] {
        if !left {
            for entry in std::fs::read_dir(home.data()).unwrap().map(|entry| entry.unwrap()) {
                let name = entry.file_name().into_string().unwrap();
                if name.ends_with("-wal") || name.ends_with("-shm") || name == "lock" {
                    std::fs::remove_file(entry.path()).unwrap();
                }
            }
        }
        let before = traces(&home);
        let bundle = home.file(if left { "bundle" } else { "another" });
        for audit in [
            &["replay"][..],
            &["draws"],
            &["draws", "--disclose"],
            &["fairness"],
            &["export", "--disclose", "--out", text(&bundle)],
        ] {
            let ran = home.run(&[&["audit"], audit].concat());
            assert_eq!(ran.code, 0, "{audit:?}: {ran:?}");
            assert_eq!(traces(&home), before, "{audit:?}");
        }
    }
}

#[test]
fn an_audit_beside_a_running_service_sees_what_was_just_decided() {
    let home = home_with_campaign();
    let service = with_wins(&home, "a", 5);
    assert_eq!(home.replayed()["transactions"], 5);
    super::world::win(&service, "b", 1);
    assert_eq!(home.replayed()["transactions"], 6);
    service.stop();
}

#[test]
fn wins_that_nobody_issued_and_rewards_that_nobody_paid_are_found() {
    let home = home_with_campaign();
    let file = home.write("rows.ndjson", ndjson(&[purchase("t1", "cus_1"), purchase("t2", "cus_2")]));
    // No step runs beside it.
    home.run(&["ingest", text(&file)]).expect_code(0);
    assert_eq!(home.replayed()["overdue_total"], 0, "a moment ago");
    let log = Connection::open(home.data().join("log.db")).unwrap();
    let hour_ago = "DROP TRIGGER events_are_never_changed; UPDATE events SET recorded_at = recorded_at - 3600000000 \
         WHERE position < (SELECT max(position) FROM events)";
    log.execute_batch(hour_ago).unwrap();
    drop(log);
    let (code, report) = home.replay();
    let overdue = report["replay"]["overdue"].to_string();
    assert_eq!((code, overdue.contains("won and never issued")), (1, true), "{report:#}");
}

#[test]
fn books_of_the_rail_that_say_otherwise_are_found_both_ways() {
    let home = home_with_campaign();
    with_wins(&home, "a", 3).stop();
    assert_eq!(home.replay().1["rail_total"], 0);
    let rail = Connection::open(home.data().join("rail.db")).unwrap();
    let key = "SELECT key FROM payments ORDER BY key LIMIT 1";
    let key: String = rail.query_row(key, [], |row| row.get(0)).unwrap();
    let forged = format!(
        "DROP TRIGGER payments_are_final; UPDATE payments SET key = '{}:1', paid_at = paid_at - 3600000000 \
         WHERE key = '{key}'",
        "ab".repeat(key.split_once(':').unwrap().0.len() / 2)
    );
    rail.execute_batch(&forged).unwrap();
    drop(rail);
    let (code, report) = home.replay();
    assert_eq!((code, &report["rail_total"]), (1, &2.into()), "{report:#}");
    let told = report["rail"].to_string();
    assert!(told.contains(&format!("{key} is credited, but the rail has not paid it")), "{told}");
    assert!(told.contains("the log does not know it"), "{told}");
}
