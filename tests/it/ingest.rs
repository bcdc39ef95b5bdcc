//! `rewardhub ingest`: a file may be sent as often as one likes, in any pieces and any order.

use std::path::Path;

use rewardhub_tests::rows::{CERTAIN, campaign, ndjson, purchase, statement};
use rewardhub_tests::{Home, Ran, text};
use serde_json::{Value, json};

const LINES: usize = 3_000;

fn ingest(home: &Home, file: &Path) -> (i32, Value) {
    let rejects = home.file("rejects.ndjson");
    let ran = home.run(&["ingest", text(file), "--json", "--rejects", text(&rejects)]);
    assert_eq!(ran.stderr, "");
    (ran.code, ran.json())
}

fn rejects(home: &Home) -> Vec<Value> {
    let text = std::fs::read_to_string(home.file("rejects.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn count(summary: &Value, key: &str) -> usize {
    usize::try_from(summary[key].as_u64().unwrap_or_else(|| panic!("{key} in {summary}"))).unwrap()
}

/// Everything that repeats must not move.
fn books(home: &Home) -> (Value, Value) {
    let replayed = home.replayed();
    let sandbox = home.serve();
    sandbox.settle(rewardhub_tests::PATIENCE);
    let mut books = sandbox.trial_balance();
    books.as_object_mut().unwrap().remove("position");
    sandbox.stop();
    (replayed, books)
}

fn home_with_campaign() -> Home {
    let home = Home::new();
    home.start_campaign("often", &campaign("often", CERTAIN / 10, 250, 1_000_000));
    home
}

#[test]
fn a_repeated_file_moves_nothing() {
    let home = home_with_campaign();
    let lines = statement(LINES, 40, 7, 0);
    let file = home.write("file.ndjson", ndjson(&lines));

    let (code, first) = ingest(&home, &file);
    let keys: Vec<&String> = first.as_object().unwrap().keys().collect();
    let mut expected = [
        "read",
        "accepted",
        "duplicate",
        "deferred",
        "linked",
        "held",
        "rejected",
        "won",
        "won_minor",
        "seconds",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(code, 1, "some rows were malformed: {first}");
    assert_eq!(count(&first, "read"), LINES);
    let kinds = ["accepted", "duplicate", "deferred", "linked", "held", "rejected"];
    assert_eq!(kinds.map(|kind| count(&first, kind)).iter().sum::<usize>(), LINES, "{first}");
    for kind in ["accepted", "duplicate", "deferred", "rejected", "won"] {
        assert!(count(&first, kind) > 0, "the file has none {kind}: {first}");
    }
    assert_eq!(first["won_minor"]["GBP"].as_u64(), first["won"].as_u64().map(|won| won * 250));
    let rejected = rejects(&home);
    assert_eq!(rejected.len(), count(&first, "rejected"));
    let (_, books_before) = books(&home);
    let replayed_before = home.replayed();

    // Once more, as it was; then backwards, which is as shuffled as an order can be.
    let (_, second) = ingest(&home, &file);
    let backwards: Vec<&String> = lines.iter().rev().collect();
    let (_, third) = ingest(&home, &home.write("backwards.ndjson", ndjson(&backwards)));
    for again in [&second, &third] {
        assert_eq!(count(again, "accepted"), 0, "{again}");
        assert_eq!(count(again, "won"), 0, "{again}");
        assert_eq!(count(again, "deferred"), 0, "{again}");
        assert_eq!(count(again, "held"), 0, "{again}");
        assert_eq!(count(again, "rejected"), rejected.len(), "{again}");
        assert_eq!(count(again, "duplicate") + count(again, "linked"), LINES - rejected.len(), "{again}");
    }
    assert_eq!(home.replayed(), replayed_before, "not one event more");
    assert_eq!(books(&home), (replayed_before, books_before));
}

#[test]
fn a_repeated_file_with_removals_moves_no_money() {
    let home = home_with_campaign();
    let lines = statement(LINES, 40, 17, 20_000);
    let removals = lines.iter().filter(|line| line.contains("\"status\":\"removed\"")).count();
    let file = home.write("file.ndjson", ndjson(&lines));
    let (_, first) = ingest(&home, &file);
    assert_eq!(count(&first, "held"), 0, "the bank itself booked nothing again: {first}");
    let (_, books_before) = books(&home);

    // A line that was taken back and comes once more may be booked anew: a person is asked, once.
    let (_, second) = ingest(&home, &file);
    let held = count(&second, "held");
    assert!(held > 0 && held <= removals, "{held} of {removals}: {second}");
    assert_eq!((count(&second, "accepted"), count(&second, "won")), (0, 0), "{second}");
    let replayed = home.replayed();
    let (_, third) = ingest(&home, &file);
    assert_eq!((count(&third, "accepted"), count(&third, "held")), (0, 0), "{third}");
    assert_eq!(books(&home), (replayed, books_before), "no event more, and no penny at all");
}

#[test]
fn a_file_in_two_halves_is_the_same_file() {
    let (whole, halves) = (home_with_campaign(), home_with_campaign());
    let lines = statement(LINES, 40, 11, 10_000);
    let (_, all) = ingest(&whole, &whole.write("file.ndjson", ndjson(&lines)));
    let (first, second) = lines.split_at(LINES / 2);
    let (_, first) = ingest(&halves, &halves.write("first.ndjson", ndjson(first)));
    // A sandbox between them pays what was won so far.
    let sandbox = halves.serve();
    sandbox.settle(rewardhub_tests::PATIENCE);
    sandbox.stop();
    let (_, second) = ingest(&halves, &halves.write("second.ndjson", ndjson(second)));
    for key in ["read", "accepted", "duplicate", "deferred", "linked", "held", "rejected"] {
        assert_eq!(count(&first, key) + count(&second, key), count(&all, key), "{key}");
    }
    for home in [&whole, &halves] {
        home.replayed();
    }
    let transactions = |home: &Home| home.replayed()["transactions"].clone();
    assert_eq!(transactions(&whole), transactions(&halves));
    let (_, again) = ingest(&halves, &whole.file("file.ndjson"));
    assert_eq!(count(&again, "accepted"), 0, "{again}");
    books(&halves);
    halves.assert_read_models_hold();
}

#[test]
fn rejected_rows_are_named_by_their_line() {
    let home = home_with_campaign();
    let mut broken = purchase("t3", "cus_1");
    broken["amount"]["minor"] = json!(-5);
    let mut file = ndjson(&[purchase("t1", "cus_1")]).into_bytes();
    file.extend_from_slice(b"\n   \nno json at all\n");
    file.extend_from_slice(ndjson(&[broken, purchase("t2", "cus_1")]).as_bytes());
    file.extend_from_slice(b"{\"transaction_id\":\"\xff\"}\r\n");
    let path = home.write("some.ndjson", file);

    let (code, summary) = ingest(&home, &path);
    assert_eq!(code, 1);
    assert_eq!(
        (count(&summary, "read"), count(&summary, "accepted"), count(&summary, "rejected")),
        (5, 2, 3)
    );
    let named: Vec<_> = rejects(&home)
        .iter()
        .map(|r| {
            (
                r["line"].clone(),
                r["transaction_id"].clone(),
                r["error"]["field"].clone(),
                r["error"]["code"].clone(),
            )
        })
        .collect();
    let row = |line: u64, id: Option<&str>, field: &str, code: &str| {
        (json!(line), json!(id), json!(field), json!(code))
    };
    assert_eq!(
        named,
        [
            row(4, None, "", "malformed"),
            row(5, Some("t3"), "amount.minor", "out_of_range"),
            row(7, None, "transaction_id", "malformed"),
        ]
    );

    // Without --rejects they stand on stderr, and the summary is a sentence.
    let ran = home.run(&["ingest", text(&path)]).expect_code(1);
    assert!(ran.stderr.starts_with("line 4: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("line 5: amount.minor: must be from 0 to"), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("5 read: 0 accepted (0 won), 2 duplicate,"), "{}", ran.stdout);
}

#[test]
fn standard_input_is_a_file_too() {
    let home = home_with_campaign();
    let rows = ndjson(&[purchase("t1", "cus_1"), purchase("t2", "cus_2")]);
    let ran = home.run_with(&["ingest", "-", "--json"], rows.trim_end().as_bytes()).expect_code(0);
    assert_eq!(count(&ran.json(), "accepted"), 2);
    let ran = home.run_with(&["ingest", "-", "--json"], b"").expect_code(0);
    assert_eq!((count(&ran.json(), "read"), &ran.json()["won_minor"]), (0, &json!({})));
}

#[test]
fn what_is_no_file_of_rows_is_told() {
    let home = Home::new();
    let empty = home.write("empty.ndjson", "");
    assert_eq!(
        count(
            &home.run(&["ingest", text(&empty), "--without-campaign", "--json"]).expect_code(0).json(),
            "read"
        ),
        0
    );

    let told = |ran: Ran, words: &str| {
        assert!(ran.stderr.contains(words), "{ran:?}");
        assert_eq!(ran.stdout, "");
    };
    let missing = home.file("missing.ndjson");
    let opened = format!("cannot open {}", missing.display());
    told(home.run(&["ingest", text(&missing), "--without-campaign"]).expect_code(3), &opened);
    let folder = home.data();
    told(home.run(&["ingest", text(&folder), "--without-campaign"]).expect_code(3), "is a folder");
    let rejects = ["ingest", text(&empty), "--without-campaign", "--rejects", "/nowhere/rejects"];
    told(home.run(&rejects).expect_code(3), "cannot write");
    // Nothing of it was taken for a row.
    assert_eq!(home.replayed()["events"], 0);
}

#[test]
fn over_http_a_file_is_the_same_file() {
    let home = home_with_campaign();
    let lines = statement(LINES, 40, 13, 10_000);
    let file = home.write("file.ndjson", ndjson(&lines));
    let sandbox = home.serve();
    let send = |token: &str| {
        let mut command = rewardhub_tests::process::command();
        command
            .args(["ingest", text(&file), "--json", "--url", sandbox.url()])
            .env("REWARDHUB_TOKEN", token)
            .env("REWARDHUB_DATA", home.data());
        rewardhub_tests::process::run(command, b"")
    };
    let feed = sandbox.feed();
    let first = send(&feed).expect_code(1);
    assert!(first.stderr.starts_with("line "), "{}", first.stderr);
    let first = first.json();
    assert_eq!(
        (&first["won"], &first["won_minor"]),
        (&Value::Null, &Value::Null),
        "a feed is not told who won"
    );
    let again = send(&feed).expect_code(1).json();
    assert_eq!((count(&first, "read"), count(&again, "read")), (LINES, LINES));
    assert!(count(&first, "accepted") > LINES / 2, "{first}");
    assert_eq!((count(&again, "accepted"), count(&again, "deferred")), (0, 0), "{again}");
    let refused = send("no-token").expect_code(2);
    assert!(refused.stderr.contains("401"), "{}", refused.stderr);
    sandbox.stop();

    let (_, offline) = ingest(&home, &file);
    assert_eq!(count(&offline, "accepted"), 0, "{offline}");
    home.replayed();
    home.assert_read_models_hold();
}
