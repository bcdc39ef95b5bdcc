//! The read models can be made anew, and whoever changes anything is found out.

use rewardhub_tests::rows::{CERTAIN, campaign, ndjson, purchase, statement};
use rewardhub_tests::{Home, PATIENCE, text};
use rusqlite::Connection;
use serde_json::{Value, json};

/// A folder in which things have happened: won, paid, declined, removed.
fn lived_in() -> Home {
    let home = Home::new();
    home.start_campaign("often", &campaign("often", CERTAIN / 4, 250, 1_000_000));
    let file = home.write("file.ndjson", ndjson(&statement(500, 10, 5, 10_000)));
    home.run(&["ingest", text(&file)]).expect_code(1);
    let sandbox = home.serve();
    sandbox.settle(PATIENCE);
    sandbox.stop();
    home
}

fn database(home: &Home, name: &str) -> Connection {
    Connection::open(home.data().join(name)).unwrap()
}

#[test]
fn a_rebuild_changes_nothing() {
    let home = lived_in();
    home.assert_read_models_hold();
    for name in ["account", "rewards", "transactions", "campaigns", "trial_balance"] {
        let reports = home.run(&["rebuild", name]).expect_code(0).json_lines();
        let [report] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!((&report["projection"], &report["rows_changed"]), (&json!(name), &json!(0)));
        assert!(report["rows"].as_u64().unwrap() > 0 && report["events"].as_u64().unwrap() > 500, "{report}");
    }
    let unknown = home.run(&["rebuild", "acounts"]).expect_code(2);
    for word in ["acounts", "account", "rewards", "transactions", "campaigns", "trial_balance"] {
        assert!(unknown.stderr.contains(word), "{}", unknown.stderr);
    }
    let replayed = home.replayed();
    assert_eq!(replayed["findings"], json!([]));
    assert_eq!(replayed["trial_balance"], json!({ "GBP": "0" }));
    for counted in ["events", "accounts", "campaigns", "transactions"] {
        assert!(replayed[counted].as_u64().unwrap() > 0, "{replayed}");
    }
    // Beside a running sandbox it holds as well.
    let sandbox = home.serve();
    home.replayed();
    sandbox.stop();
}

#[test]
fn a_folder_without_a_log_is_none() {
    let home = Home::new();
    for arguments in
        [&["audit", "replay"][..], &["rebuild", "all"], &["token", "--sub", "c"], &["campaign", "show", "c"]]
    {
        let refused = home.run(arguments).expect_code(3);
        assert!(refused.stderr.contains("is no data folder"), "{arguments:?}: {}", refused.stderr);
    }
    assert!(!home.data().exists(), "reading creates nothing");
}

#[test]
fn a_changed_read_model_is_found_and_repaired() {
    let changes = [
        (
            "account",
            "UPDATE balances SET credited_minor = credited_minor + 1 WHERE rowid IN (SELECT 1) OR account_id = (SELECT min(account_id) FROM balances)",
        ),
        ("rewards", "DELETE FROM rewards WHERE position = (SELECT min(position) FROM rewards)"),
        (
            "transactions",
            "UPDATE transactions SET outcome = 'won' WHERE position = (SELECT min(position) FROM transactions WHERE outcome = 'lost')",
        ),
        ("campaigns", "UPDATE campaigns SET spent_minor = 0"),
        (
            "trial_balance",
            "UPDATE ledger_totals SET debits_minor = debits_minor + 1 WHERE ledger_account = 'sponsor'",
        ),
    ];
    let home = lived_in();
    for (name, change) in changes {
        let change = change.replace("rowid IN (SELECT 1) OR ", "");
        assert_eq!(database(&home, "read.db").execute(&change, []).unwrap(), 1, "{name}");
        let (code, report) = home.replay();
        assert_eq!((code, &report["holds"]), (1, &json!(false)), "{name}");
        assert_eq!(report["replay"]["findings"], json!([]), "the log itself is whole");
        let differing: Vec<&Value> =
            report["read_models"].as_array().unwrap().iter().filter(|m| m["rows_differing"] != 0).collect();
        assert_eq!(differing.len(), 1, "{report:#}");
        assert_eq!((&differing[0]["projection"], &differing[0]["rows_differing"]), (&json!(name), &json!(1)));
        // Comparing repairs nothing; rebuilding does.
        assert_eq!(home.replay().0, 1);
        let rebuilt = home.run(&["rebuild", name]).expect_code(0).json();
        assert_eq!(rebuilt["rows_changed"], 1, "{rebuilt}");
        home.replayed();
    }
    // A lost file is made anew by the next run.
    for file in ["read.db", "read.db-wal", "read.db-shm"] {
        let _ = std::fs::remove_file(home.data().join(file));
    }
    let sandbox = home.serve();
    sandbox.settle(PATIENCE);
    sandbox.stop();
    home.assert_read_models_hold();
}

/// What Plaid sends for every settlement: the pending line, the booked one, and that the pending
/// one is gone.
#[test]
fn a_settled_purchase_stays_and_the_audit_holds_read_models_against_the_account() {
    let home = Home::new();
    home.start_campaign("always", &campaign("always", CERTAIN, 100, 1_000_000));
    let mut pending = purchase("pend-1", "cus_1");
    pending["status"] = json!("pending");
    let mut booked = purchase("post-1", "cus_1");
    booked["pending_transaction_id"] = json!("pend-1");
    let mut gone = pending.clone();
    gone["status"] = json!("removed");
    let file = home.write("file.ndjson", ndjson(&[pending, booked, gone]));
    home.run(&["ingest", text(&file)]).expect_code(0);
    let sandbox = home.serve();
    sandbox.settle(PATIENCE);
    sandbox.stop();
    let lines = || {
        let read = database(&home, "read.db");
        let mut lines = read.prepare("SELECT transaction_id, status, outcome FROM transactions").unwrap();
        let line = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        lines.query_map([], line).unwrap().collect::<Result<Vec<(String, String, String)>, _>>().unwrap()
    };
    assert_eq!(lines(), [("post-1".into(), "booked".into(), "won".into())]);
    let shown = home.run(&["account", "show", "cus_1"]).expect_code(0).json();
    assert_eq!((&shown["transactions"]["won"], &shown["transactions"]["removed"]), (&json!(1), &json!(0)));
    home.replayed();
    // As the read model of an earlier release had it, whichever code rebuilds it.
    let wrong = "UPDATE transactions SET status = 'removed'";
    assert_eq!(database(&home, "read.db").execute(wrong, []).unwrap(), 1);
    let (code, report) = home.replay();
    assert_eq!(code, 1);
    let said = "transactions: transaction post-1 of acme-bank is removed, by its account it is booked";
    assert_eq!(report["state"]["findings"], json!([said]), "{report:#}");
}

/// Rewrites the log as someone with the file in his hands could.
fn tamper(home: &Home, change: &str) -> usize {
    let log = database(home, "log.db");
    log.execute_batch("DROP TRIGGER events_are_never_changed; DROP TRIGGER events_are_never_removed;")
        .unwrap();
    log.execute(change, []).unwrap()
}

#[test]
fn the_log_refuses_changes() {
    let home = lived_in();
    let log = database(&home, "log.db");
    for change in ["UPDATE events SET payload = '{}'", "DELETE FROM events WHERE position = 7"] {
        let refused = log.execute(change, []).unwrap_err().to_string();
        assert!(refused.contains("events are never"), "{refused}");
    }
    let books = database(&home, "rail.db");
    assert!(books.execute("DELETE FROM payments", []).is_err());
}

#[test]
fn a_rewritten_event_is_named_by_its_position() {
    let home = lived_in();
    let log = database(&home, "log.db");
    let position: i64 = log
        .query_row("SELECT position FROM events WHERE event_type = 'RewardCredited' ORDER BY position DESC LIMIT 1 OFFSET 3", [], |row| row.get(0))
        .unwrap();
    drop(log);
    // A prize ten times as large, in every place of the event, so that even its posting balances.
    let change =
        format!("UPDATE events SET payload = replace(payload, ':250', ':2500') WHERE position = {position}");
    assert_eq!(tamper(&home, &change), 1);
    let (code, report) = home.replay();
    assert_eq!((code, &report["holds"]), (1, &json!(false)));
    let findings = report["replay"]["findings"].to_string();
    assert!(findings.contains(&format!("at 0:{position} the hash of account:")), "{report:#}");
    // Undone, all holds again.
    tamper_back(&home, position);
    home.replayed();
}

fn tamper_back(home: &Home, position: i64) {
    let change =
        format!("UPDATE events SET payload = replace(payload, ':2500', ':250') WHERE position = {position}");
    assert_eq!(database(home, "log.db").execute(&change, []).unwrap(), 1);
}

#[test]
fn dropped_and_moved_events_are_found() {
    for change in [
        "DELETE FROM events WHERE position = 20",
        "UPDATE events SET recorded_at = recorded_at - 1000000 WHERE position = 30",
        "UPDATE events SET metadata = '{}' WHERE position = 30",
        "UPDATE events SET event_type = 'TransactionRemoved' WHERE position = 30",
        "UPDATE events SET hash = zeroblob(32) WHERE position = 30",
    ] {
        let home = lived_in();
        assert_eq!(tamper(&home, change), 1, "{change}");
        let (code, report) = home.replay();
        assert_eq!((code, &report["holds"]), (1, &json!(false)), "{change}: {report:#}");
        let findings = report["replay"]["findings"].to_string();
        assert!(findings.contains("0:21") || findings.contains("0:30"), "{change}: {findings}");
    }
}
