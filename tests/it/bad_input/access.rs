//! Who may not write.

use rewardhub_tests::Home;
use rewardhub_tests::rows::purchase;
use serde_json::json;

use super::*;

#[test]
fn who_may_not_write_writes_nothing() {
    let (home, foreign) = (Home::new(), Home::new());
    let sandbox = home.serve();
    foreign.serve().stop();
    let body = || ndjson(&[purchase("t1", "cus_1")]);
    let before = events(&sandbox);
    let post = |token: &str| sandbox.post(token, "application/x-ndjson", body());
    let writer = ["--scope", "transactions:write", "--source", "*"];

    assert_problem(&post(""), 401);
    assert_problem(&post("not.a.token"), 401);
    assert_problem(&post(&foreign.token(&writer)), 401);
    let token = sandbox.token(&writer);
    let (head, signature) = token.rsplit_once('.').unwrap();
    let forged: String = signature.chars().rev().collect();
    assert_problem(&post(&format!("{head}.{forged}")), 401);
    assert_problem(&post(head), 401);
    assert_problem(&post(&sandbox.customer("cus_1")), 403);
    assert_problem(&post(&sandbox.auditor()), 403);
    let answer = sandbox.ask("not.a.token", "{ rewardAccount { id } }", json!({}));
    assert_eq!(answer["status"], 401, "{answer}");
    let answer = sandbox.ask("", "{ rewardAccount { id } }", json!({}));
    assert_eq!(answer["status"], 401, "{answer}");
    let answer = sandbox.ask(&token, "{ rewardAccount { id } }", json!({}));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer}");
    assert_eq!(events(&sandbox), before);

    // A feed writes for its sources only, row by row.
    let feed =
        sandbox.token(&["--scope", "transactions:write", "--source", "acme-bank", "--source", "acme-two"]);
    let mut elsewhere = purchase("t2", "cus_1");
    elsewhere["source"] = json!("other-bank");
    let mut second = purchase("t3", "cus_1");
    second["source"] = json!("acme-two");
    let answers = sandbox.send(&feed, &[purchase("t1", "cus_1"), elsewhere.clone(), second]);
    assert_eq!((&answers[0]["result"], &answers[2]["result"]), (&json!("accepted"), &json!("accepted")));
    assert_rejected(&answers[1], "source_not_allowed", "source", "t2");
    let nothing = sandbox.token(&["--scope", "transactions:write"]);
    assert_rejected(&sandbox.send(&nothing, &[elsewhere])[0], "source_not_allowed", "source", "t2");
    sandbox.stop();
}

#[test]
fn a_token_holds_no_longer_than_it_says() {
    let home = Home::new();
    let sandbox = home.serve();
    // Expiry is checked with some leeway for clocks that differ, so this one is long over.
    let request = api::auth::TokenRequest {
        sub: None,
        sources: &["*".into()],
        scope: "transactions:write",
        ttl: std::time::Duration::from_mins(1),
    };
    let issuer = api::auth::SandboxIssuer::open_or_create(&home.data()).unwrap();
    let at = |seconds: i64| {
        issuer.issue(&request, rewardhub_tests::rows::now().plus_micros(seconds * 1_000_000)).unwrap()
    };
    let post = |token: &str| sandbox.post(token, "application/x-ndjson", ndjson(&[purchase("t1", "cus_1")]));
    assert_problem(&post(&at(-200)), 401);
    assert_problem(&post(&at(200)), 401);
    assert_eq!(post(&at(0)).rows()[0]["result"], "accepted");
}
