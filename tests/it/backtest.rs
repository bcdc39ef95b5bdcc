//! `rewardhub backtest`: a campaign over past transactions, from a file or from the log, that
//! changes nothing.

use rewardhub_tests::rows::{CERTAIN, campaign, ndjson, purchase, statement};
use rewardhub_tests::{Home, text};
use serde_json::{Value, json};

fn first(report: &Value) -> &Value {
    &report["campaigns"][0]
}

#[test]
fn two_prize_tables_stand_side_by_side_over_the_same_transactions() {
    let home = Home::new();
    let mut rows = statement(2_000, 50, 3, 0);
    rows.insert(0, "no transaction".into());
    let file = home.write("past.ndjson", ndjson(&rows));
    let often = home.write("often.yaml", campaign("often", CERTAIN / 5, 100, 5_000));
    let seldom = home.write("seldom.yaml", campaign("seldom", CERTAIN / 50, 1_000, 1_000_000));
    let page = home.file("page.html");
    let past = ["backtest", "--transactions", text(&file), "--seeds", "40"];
    let both = ["--campaign", text(&often), "--against", text(&seldom), "--html", text(&page)];
    let ran = home.run(&[&past[..], &both].concat()).expect_code(0);
    assert!(ran.stderr.contains("line 1: "), "{}", ran.stderr);
    let report = ran.json();
    assert_eq!((&report["seeds"], &report["source"]["from"]), (&json!(40), &json!("file")));
    let [often_said, seldom_said] = &report["campaigns"].as_array().unwrap()[..] else { panic!("{report}") };
    // The same lines; twenty times as many wins, as long as there is money.
    assert_eq!(often_said["admitted"], seldom_said["admitted"]);
    assert_eq!(often_said["ran_out"], 40, "5,000 pence are fifty wins");
    assert!(often_said["ran_out_day"]["p50"].is_string());
    assert_eq!(often_said["cost_minor"]["p99"], 5_000, "never more than the budget");
    assert_eq!(seldom_said["ran_out"], 0);
    let cost = |which: &str| seldom_said["cost_minor"][which].as_i64().unwrap();
    assert!(0 < cost("p5") && cost("p5") < cost("p95"), "{}", seldom_said["cost_minor"]);
    let written = std::fs::read_to_string(&page).unwrap();
    for words in ["<svg", "often", "seldom", "Longest row of lost draws", "Who never qualifies"] {
        assert!(written.contains(words), "{words} is not on the page");
    }
    for elsewhere in ["http://", "https://", "<script"] {
        assert!(!written.contains(elsewhere), "the page needs {elsewhere}");
    }
    assert!(!home.data().exists(), "nothing was made");

    // The same seeds say the same, one by one too.
    let again = home.run(&[&past[..], &both].concat()).json();
    assert_eq!(again["campaigns"], report["campaigns"]);
    let one = ["--seeds", "1", "--first-seed", "7", "--campaign", text(&seldom)];
    let one = home.run(&[&["backtest", "--transactions", text(&file)][..], &one].concat()).json();
    assert!(seldom_said["costs_minor"].as_array().unwrap().contains(&first(&one)["costs_minor"][0]));
}

#[test]
fn what_the_ledger_has_decided_can_be_drawn_again_under_other_terms() {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 100, 1_000_000));
    let rows: Vec<Value> = (0..30).map(|n| purchase(&format!("t{n}"), &format!("cus_{}", n % 3))).collect();
    let file = home.write("rows.ndjson", ndjson(&rows));
    home.run(&["ingest", text(&file)]).expect_code(0);
    let before = home.replayed();
    let rules = "rules:\n  - { code: twice, wins_per_day: 2 }\n";
    let twice = home.write("twice.yaml", campaign("twice", CERTAIN, 100, 1_000_000) + rules);
    let ran =
        home.run(&["backtest", "--from-log", "--campaign", text(&twice), "--seeds", "3"]).expect_code(0);
    let report = ran.json();
    assert_eq!((&report["source"]["from"], &report["source"]["read"]), (&json!("log"), &json!(30)));
    let twice = first(&report);
    assert_eq!(
        (&twice["lines"], &twice["wins"]["p50"], &twice["customers"]),
        (&json!(30), &json!(6), &json!(3))
    );
    assert_eq!(twice["declined_after_wins"]["p50"], 24);
    assert_eq!(home.replayed(), before, "it wrote nothing");

    // With nothing to look at, or terms that cannot be run, it says so.
    let empty = home.write("empty.ndjson", "");
    let nothing =
        home.run(&["backtest", "--transactions", text(&empty), "--campaign", text(&home.file("sure.yaml"))]);
    assert!(nothing.code != 0 && nothing.stderr.contains("no transactions"), "{}", nothing.stderr);
    let broken = home.write("broken.yaml", campaign("broken", CERTAIN, 100, 99));
    let refused = home.run(&["backtest", "--from-log", "--campaign", text(&broken)]);
    assert!(refused.code != 0 && refused.stderr.contains("budget"), "{}", refused.stderr);
    let neither = home.run(&["backtest", "--campaign", text(&broken)]);
    assert_eq!(neither.code, 2, "{}", neither.stderr);
}

/// What the bank took back wins nothing, from a file and from the log alike.
#[test]
fn what_was_taken_back_is_left_out() {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 100, 1_000_000));
    let mut rows: Vec<Value> = (0..5).map(|n| purchase(&format!("t{n}"), "cus_1")).collect();
    let removed = |id: &str| {
        let source = &purchase(id, "cus_1")["source"];
        json!({ "source": source, "transaction_id": id, "account_id": "cus_1", "status": "removed" })
    };
    // One after it was booked, one before, one that was never booked.
    rows.push(removed("t1"));
    rows.insert(0, removed("t3"));
    rows.push(removed("t9"));
    let file = home.write("rows.ndjson", ndjson(&rows));
    home.run(&["ingest", text(&file)]).expect_code(0);
    let sure = home.file("sure.yaml");
    for past in [&["--from-log"][..], &["--transactions", text(&file)]] {
        let terms = ["--campaign", text(&sure), "--seeds", "1"];
        let report = home.run(&[&["backtest"], past, &terms].concat()).expect_code(0).json();
        assert_eq!(
            (&first(&report)["lines"], &first(&report)["wins"]["p50"]),
            (&json!(3), &json!(3)),
            "{past:?}"
        );
    }
}
