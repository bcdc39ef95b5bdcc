//! Why a transaction won or did not, in words.

use rewardhub_tests::Home;
use rewardhub_tests::rows::{CERTAIN, campaign, purchase};
use serde_json::{Value, json};

use super::{REWARDS, nodes};

/// In the words of the campaign's own rules, the same from GraphQL and from the command line.
#[test]
fn a_named_rule_is_explained_in_its_own_words() {
    let home = Home::new();
    let rules = "rules:\n  - { code: too_dear, customer: Only small treats take part., amount_max_minor: 1000 }\n  \
                 - { code: new_merchant, first_purchase_at_merchant: true }\n";
    home.start_campaign("sure", &(campaign("sure", CERTAIN, 250, 1_000_000) + rules));
    let sandbox = home.serve();
    let small = |id: &str| {
        let mut row = purchase(id, "cus_a");
        row["amount"]["minor"] = json!("300");
        row
    };
    let answers = sandbox.send(&sandbox.feed(), &[purchase("dear", "cus_a"), small("small")]);
    let answers = [answers, sandbox.send(&sandbox.feed(), &[purchase("both", "cus_a")])].concat();
    let explained = |id: &str| home.run(&["explain", "acme-bank", id, "--json"]).expect_code(0).json();
    let dear = explained("dear");
    let staff = "sure version 1: amount.minor is above amount_max_minor 1000";
    assert_eq!(dear["outcome"], "declined");
    let expected =
        json!([{ "code": "too_dear", "customer": "Only small treats take part.", "staff": staff }]);
    assert_eq!(dear["reasons"], expected);
    // The merchant is known from the line that was declined.
    assert_eq!(explained("small")["reasons"][0]["code"], "new_merchant");
    let token = sandbox.auditor();
    let asked = json!({ "id": "cus_a", "min": answers[2]["position"] });
    let account = sandbox.graphql(&token, REWARDS, asked)["rewardAccount"].take();
    let lines = nodes(&account["transactions"]);
    let both = lines.iter().find(|line| line["transactionId"] == "both").unwrap();
    let reasons = both["decision"]["explanation"].as_array().unwrap();
    let codes: Vec<_> = reasons.iter().map(|reason| reason["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["too_dear", "new_merchant"]);
    assert_eq!(
        (&reasons[0]["message"], &reasons[0]["detail"]),
        (&json!("Only small treats take part."), &json!(staff))
    );
    let unknown = home.run(&["explain", "acme-bank", "nobody"]);
    assert_eq!(unknown.code, 1);
}

#[test]
fn declines_and_waiting_lines_are_explained() {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    let sandbox = home.serve();
    let edited = |id: &str, edit: fn(&mut Value)| {
        let mut row = purchase(id, "cus_a");
        edit(&mut row);
        row
    };
    let rows = [
        edited("no-merchant", |row| row["merchant"] = Value::Null),
        edited("credit", |row| row["direction"] = json!("credit")),
        edited("euros", |row| row["amount"]["currency"] = json!("EUR")),
        edited("old", |row| row["booked_at"] = json!("2025-12-31T23:59:59Z")),
        edited("pending", |row| row["status"] = json!("pending")),
    ];
    let answers = sandbox.send(&sandbox.feed(), &rows);
    assert_eq!(answers[4]["result"], "deferred", "{answers:?}");
    let token = sandbox.customer("cus_a");
    let account =
        sandbox.graphql(&token, REWARDS, json!({ "min": answers[4]["position"] }))["rewardAccount"].take();
    let codes = |id: &str| -> Vec<String> {
        let all = nodes(&account["transactions"]);
        let line = all.iter().find(|t| t["transactionId"] == id).unwrap();
        assert_eq!(line["decision"]["outcome"], "DECLINED", "{line}");
        let reasons = line["decision"]["explanation"].as_array().unwrap();
        assert!(reasons.iter().all(|r| !r["message"].as_str().unwrap().is_empty()));
        reasons.iter().map(|r| r["code"].as_str().unwrap().to_owned()).collect()
    };
    assert!(codes("no-merchant").contains(&"no_merchant".into()));
    assert!(codes("credit").contains(&"credit_transaction".into()));
    assert!(codes("euros").contains(&"currency_mismatch".into()));
    assert!(codes("old").contains(&"before_campaign".into()));
    let pending =
        nodes(&account["transactions"]).into_iter().find(|t| t["transactionId"] == "pending").unwrap();
    assert_eq!(pending["decision"], Value::Null);
    assert_eq!(account["rewards"]["nodes"], json!([]));
}
