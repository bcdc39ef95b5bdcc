//! Lines that the bank took back and booked again: found, looked at by two people, decided or
//! dismissed.

use rewardhub_tests::rows::{CERTAIN, campaign, ndjson, purchase};
use rewardhub_tests::{Home, PATIENCE, Ran, eventually, text};
use serde_json::{Value, json};

use super::recorded;

fn with_status(row: &Value, status: &str) -> Value {
    let mut row = row.clone();
    row["status"] = json!(status);
    row
}

#[test]
fn a_held_line_is_released_by_two_people_and_decided_and_a_drawn_one_is_only_dismissed() {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    let service = home.listen(&[("REWARDHUB_ENROLMENT", "open"), ("REWARDHUB_TOKENS_JWKS", "sandbox")]);
    service.ready(PATIENCE);
    let (feed, olga, oskar) = (service.feed(), service.person("olga", "ops"), service.person("oskar", "ops"));
    let account = |token: &str, arguments: &[&str]| {
        home.run_as(token, &[&["account"], arguments, &["--url", service.url()]].concat())
    };
    let review = |token: &str, action: &str, id: &str| -> Ran {
        let why = "the bank's mistake";
        account(token, &[action, "cus_1", "--source", "acme-bank", "--transaction", id, "--reason", why])
    };
    let send = |row: &Value| service.send(&feed, std::slice::from_ref(row)).remove(0)["result"].clone();
    let explain = |id: &str| home.run(&["explain", "acme-bank", id, "--json"]).expect_code(0).json();
    let codes = |explained: &Value| -> Vec<String> {
        let reasons = explained["reasons"].as_array().unwrap();
        reasons.iter().map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
    };

    // One was never decided, one was drawn and won.
    let (undecided, drawn) = (purchase("t1", "cus_1"), purchase("t2", "cus_1"));
    assert_eq!(send(&drawn), "accepted");
    for row in [&undecided, &drawn] {
        assert_eq!(send(&with_status(row, "removed")), "accepted");
        assert_eq!(send(row), "held");
        assert_eq!(send(row), "duplicate");
    }
    service.settle(PATIENCE);
    let held = account(&olga, &["held"]).expect_code(0).json_lines();
    let found: Vec<_> = held
        .iter()
        .map(|line| (&line["account_id"], &line["transaction_id"], &line["decided_before"]))
        .collect();
    let cus_1 = &json!("cus_1");
    assert_eq!(found, [(cus_1, &json!("t2"), &json!(true)), (cus_1, &json!("t1"), &json!(false))]);
    assert_eq!(home.run(&["account", "held"]).expect_code(0).json_lines(), held, "and beside the service");
    assert_eq!(
        (&explain("t1")["outcome"], codes(&explain("t1"))),
        (&json!("held"), vec!["held".into(), "removed".into()])
    );

    // One person proposes and cannot agree with himself.
    assert_eq!(
        review(&olga, "release", "t1").expect_code(0).stdout,
        "cus_1: proposed; somebody else has to agree\n"
    );
    let alone = review(&olga, "release", "t1").expect_code(1);
    assert!(alone.stderr.contains("403") && alone.stderr.contains("olga proposed this"), "{}", alone.stderr);
    let shown = account(&olga, &["show", "cus_1"]).expect_code(0).json();
    let line = |id: &str| {
        shown["held"].as_array().unwrap().iter().find(|line| line["transaction_id"] == id).unwrap()
    };
    assert_eq!(
        (&line("t1")["may_be_released"], &line("t1")["proposal"]["by"]),
        (&json!(true), &json!("operator:olga"))
    );
    assert_eq!((&line("t2")["may_be_released"], &line("t2")["proposal"]), (&json!(false), &Value::Null));
    assert!(line("t2")["why_not"].as_str().unwrap().contains("decided before"));
    // Whoever is second finds it in the list.
    service.settle(PATIENCE);
    let held = account(&oskar, &["held"]).expect_code(0).json_lines();
    let proposed: Vec<_> =
        held.iter().map(|line| (&line["transaction_id"], &line["proposal"]["by"])).collect();
    assert_eq!(proposed, [(&json!("t2"), &Value::Null), (&json!("t1"), &json!("operator:olga"))]);
    // Another one agrees, and it is decided.
    assert_eq!(review(&oskar, "release", "t1").expect_code(0).stdout, "cus_1: done\n");
    eventually("the released line is decided", PATIENCE, || {
        (explain("t1")["outcome"] == "won").then_some(())
    });
    assert_eq!(codes(&explain("t1")), ["won", "released"]);
    assert_eq!(review(&oskar, "release", "t1").expect_code(0).stdout, "cus_1: it was so already\n");

    // What was drawn before the bank took it back is not drawn again.
    let refused = review(&olga, "release", "t2").expect_code(1);
    assert!(refused.stderr.contains("can only be dismissed"), "{}", refused.stderr);
    review(&olga, "dismiss", "t2").expect_code(0);
    review(&oskar, "dismiss", "t2").expect_code(0);
    assert_eq!(codes(&explain("t2")), ["won", "removed", "dismissed"]);
    let file =
        home.write("again.ndjson", ndjson(&[&drawn, &with_status(&drawn, "removed"), &drawn, &undecided]));
    let again = home.run_as(&feed, &["ingest", text(&file), "--url", service.url(), "--json"]);
    assert_eq!(again.expect_code(0).json()["duplicate"], 4);
    service.settle(PATIENCE);
    assert!(account(&olga, &["held"]).expect_code(0).stdout.is_empty());
    assert_eq!(recorded(&home, "TransactionEvaluated").len(), 2);
    service.stop();

    home.replayed();
    home.assert_read_models_hold();
    let report = home.run(&["audit", "fairness"]).expect_code(0).json();
    let reviews: Vec<_> = report["incidents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|incident| incident["event"] == "TransactionReviewed")
        .map(|incident| {
            let details = &incident["details"];
            (&incident["actor"], &details["proposed_by"], &details["transaction_id"], &details["verdict"])
        })
        .collect();
    let (first, second) = (&json!("operator:olga"), &json!("operator:oskar"));
    let expected = [
        (second, first, &json!("t1"), &json!("released")),
        (second, first, &json!("t2"), &json!("dismissed")),
    ];
    assert_eq!(reviews, expected);
}
