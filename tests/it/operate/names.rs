//! One purchase that the bank books under two names, which everybody wins with.

use rewardhub_tests::rows::{CERTAIN, campaign, purchase};
use rewardhub_tests::{Home, PATIENCE};
use serde_json::{Value, json};

use super::recorded;

#[test]
fn a_purchase_booked_under_two_names_wins_once_and_loses_it_when_either_is_taken_back() {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    let service = home.listen(&[("REWARDHUB_ENROLMENT", "open"), ("REWARDHUB_TOKENS_JWKS", "sandbox")]);
    service.ready(PATIENCE);
    let (feed, olga) = (service.feed(), service.person("olga", "ops"));
    let send = |row: &Value| service.send(&feed, std::slice::from_ref(row)).remove(0);
    let explain = |id: &str| home.run(&["explain", "acme-bank", id, "--json"]).expect_code(0).json();
    let rewards = || {
        service.settle(PATIENCE);
        let shown = home.run_as(&olga, &["account", "show", "cus_1", "--url", service.url()]);
        shown.expect_code(0).json()["rewards"].clone()
    };

    let alone = |id: &str| purchase(id, "cus_1");
    let mut linked = alone("lx");
    linked["pending_transaction_id"] = json!("lp");
    assert_eq!(send(&alone("lp"))["result"], "accepted");
    let first = send(&linked);
    assert_eq!(first["result"], "linked");
    for again in [&alone("lx"), &linked] {
        let repeat = send(again);
        assert_eq!((&repeat["result"], &repeat["position"]), (&json!("duplicate"), &first["position"]));
    }
    assert_eq!(recorded(&home, "TransactionEvaluated").len(), 1);
    assert_eq!(rewards()["reversed"], 0);
    // Whichever name it is asked by, it is the same purchase.
    let explained = explain("lx");
    assert_eq!(explained, explain("lp"));
    assert_eq!(
        (&explained["transaction_id"], &explained["other_ids"], &explained["outcome"]),
        (&json!("lp"), &json!(["lx"]), &json!("won"))
    );
    let told = home.run(&["explain", "acme-bank", "lx"]).expect_code(0).stdout;
    assert!(told.contains("the bank has booked it as lx too"), "{told}");

    let mut removed = alone("lx");
    removed["status"] = json!("removed");
    assert_eq!(send(&removed)["result"], "accepted");
    assert_eq!(send(&removed)["result"], "duplicate");
    let after = rewards();
    assert_eq!((&after["issued"], &after["reversed"]), (&json!(1), &json!(1)), "{after}");
    assert_eq!(send(&alone("lp"))["result"], "held");
    assert_eq!(send(&alone("lx"))["result"], "duplicate", "the purchase is held");
    let codes: Vec<_> =
        explain("lx")["reasons"].as_array().unwrap().iter().map(|r| r["code"].clone()).collect();
    assert_eq!(codes, ["won", "held", "removed"]);
    service.settle(PATIENCE);
    service.stop();

    assert_eq!(recorded(&home, "TransactionEvaluated").len(), 1);
    assert_eq!(recorded(&home, "RewardReversed").len(), 1);
    home.replayed();
    home.assert_read_models_hold();
    home.run(&["audit", "draws"]).expect_code(0);
}

#[test]
fn a_purchase_is_explained_by_the_name_it_had_while_pending_when_that_is_taken_back() {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    let service = home.listen(&[("REWARDHUB_ENROLMENT", "open"), ("REWARDHUB_TOKENS_JWKS", "sandbox")]);
    service.ready(PATIENCE);
    let feed = service.feed();
    let mut rows = ["p", "b", "p"].map(|id| purchase(id, "cus_1"));
    (rows[0]["status"], rows[2]["status"]) = (json!("pending"), json!("removed"));
    rows[1]["pending_transaction_id"] = json!("p");
    for row in rows {
        // The day's draws may not have begun.
        assert!(
            ["accepted", "deferred"].contains(&service.send(&feed, &[row])[0]["result"].as_str().unwrap())
        );
        service.settle(PATIENCE);
    }
    let explain = |id: &str| home.run(&["explain", "acme-bank", id, "--json"]).expect_code(0).json();
    assert_eq!(explain("b")["outcome"], "won");
    assert_eq!(explain("p"), explain("b"));
    service.stop();
}
