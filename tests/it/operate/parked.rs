//! A payment that the rail will never take: shown, decided by two people, paid once; on the command
//! line and over HTTP.

use std::sync::Arc;

use adapters::sandbox::{Misbehaviour, SandboxRail};
use ledger_core::money::{Currency, Money};
use ledger_core::steps::ports::{Payout, PayoutKey, PayoutRail as _};
use ledger_core::time::SystemClock;
use rewardhub_tests::rows::{CERTAIN, campaign, ndjson, purchase};
use rewardhub_tests::{Home, PATIENCE, eventually};
use serde_json::{Value, json};

use super::recorded;

/// The rail has used the reward's first key for somebody else: it refuses the question, not the
/// payment.
fn use_up_the_first_key(home: &Home) -> String {
    let entry_id = recorded(home, "TransactionEvaluated")[0].1["draws"][0]["entry_id"].clone();
    let key = PayoutKey { entry_id: serde_json::from_value(entry_id.clone()).unwrap(), attempt: 1 };
    let amount = Money::new(250, Currency::from_code("GBP").unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let file = home.data().join("rail.db");
        let rail = SandboxRail::open(&file, Misbehaviour::none(), Arc::new(SystemClock)).unwrap();
        let payout = Payout { key, account_id: "somebody-else".parse().unwrap(), amount };
        while rail.pay(&payout).await.is_err() {}
    });
    entry_id.as_str().unwrap().to_owned()
}

#[test]
fn a_payment_that_is_given_up_is_decided_by_two_people_and_paid_once() {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    home.run_with(&["ingest", "-"], ndjson(&[purchase("t1", "cus_1")]).as_bytes()).expect_code(0);
    let entry_id = use_up_the_first_key(&home);
    let service = home.listen(&[("REWARDHUB_ENROLMENT", "open"), ("REWARDHUB_TOKENS_JWKS", "sandbox")]);
    service.ready(PATIENCE);
    let (olga, oskar) = (service.person("olga", "ops"), service.person("oskar", "ops"));
    let parked = |token: &str, arguments: &[&str]| {
        home.run_as(token, &[&["parked"], arguments, &["--url", service.url()]].concat())
    };
    let list = || parked(&olga, &["list"]).expect_code(0).json_lines();
    let found = eventually("the payment to be parked", PATIENCE, || Some(list()).filter(|l| !l.is_empty()));
    let item = &found[0];
    let id = item["id"].as_str().unwrap();
    assert_eq!((found.len(), id.starts_with("credit:0:"), id.ends_with(&entry_id)), (1, true, true));
    assert_eq!((&item["step"], &item["state"]), (&json!("credit"), &json!("parked")));
    assert_eq!((&item["account_id"], &item["payment_attempt"]), (&json!("cus_1"), &json!(1)));
    assert!(item["reason"].as_str().unwrap().contains("conflict"), "{item}");
    assert_eq!(home.run(&["parked", "list"]).expect_code(0).json_lines(), found, "and beside the service");
    assert_eq!(parked(&olga, &["show", id]).expect_code(0).json(), *item);
    let metrics = || service.get("/metrics").body.as_str().unwrap().to_owned();
    eventually("the gauge", PATIENCE, || {
        metrics().contains("rewardhub_step_parked{step=\"credit\"} 1\n").then_some(())
    });

    for query in ["first=abc", "first=-1", "first=%ff", "first=1&first=2", "first=99999999999999999999"] {
        let refused = service.get_as(&olga, &format!("/v1/parked?{query}"));
        assert_eq!(
            (refused.status, &refused.body["status"]),
            (400, &json!(400)),
            "{query}: {:?}",
            refused.body
        );
    }

    let fail = |token: &str| parked(token, &["fail", id, "--reason", "paid somebody else"]);
    assert_eq!(fail(&olga).expect_code(0).stdout, format!("{id}: proposed; somebody else has to agree\n"));
    assert_eq!(fail(&olga).expect_code(0).stdout, format!("{id}: it was so already\n"));
    let proposal = list()[0]["proposal"].clone();
    assert_eq!(proposal, json!({ "action": "fail", "by": "operator:olga" }));
    assert_eq!(fail(&oskar).expect_code(0).stdout, format!("{id}: done\n"));
    assert_eq!(list(), [] as [Value; 0]);
    service.settle(PATIENCE);
    eventually("the second attempt", PATIENCE, || {
        (recorded(&home, "RewardCredited").len() == 1).then_some(())
    });
    assert_eq!(recorded(&home, "RewardCredited")[0].1["attempt"], 2);
    let (by, decided) = recorded(&home, "ParkedItemResolved").remove(0);
    assert_eq!((by.as_str(), &decided["proposed_by"]), ("operator:oskar", &json!("operator:olga")));
    assert_eq!((&decided["action"], &decided["attempt"]), (&json!("fail"), &json!(1)));

    // What there is not is refused, and so is who may not.
    let gone = fail(&oskar).expect_code(1);
    assert!(gone.stderr.contains("404"), "{}", gone.stderr);
    let auditor = service.person("anna", "audit:read");
    parked(&auditor, &["list"]).expect_code(2);
    service.stop();
    assert_eq!(home.run(&["parked", "list"]).expect_code(0).stdout, "");
    home.run(&["parked", "retry", id, "--reason", "again"]).expect_code(1);
    home.run(&["parked", "fail", id, "--reason", "again"]).expect_code(2);
    home.run(&["parked", "fail", id, "--by", "olga"]).expect_code(2);
    home.run(&["parked", "drop", id, "--reason", "a\u{202e}b", "--by", "olga"]).expect_code(1);
    home.replayed();
}
