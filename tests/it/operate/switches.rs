//! Halting draws, payouts and notifications with the real binary: on a folder, over HTTP, and
//! across a restart.

use std::time::Duration;

use rewardhub_tests::rows::{CERTAIN, campaign, ndjson, purchase};
use rewardhub_tests::{Home, PATIENCE, eventually};
use serde_json::{Value, json};

use super::recorded;

#[test]
fn what_is_halted_on_a_folder_is_halted_in_the_service_and_goes_on_when_somebody_says_so() {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    let by = |by: &'static str| ["--reason", "odd wins", "--by", by];
    for what in ["draws", "payouts", "notifications"] {
        let halted = home.run(&[&["switch", "halt", what][..], &by("olga")].concat());
        assert_eq!(halted.expect_code(0).stdout, format!("{what}: done\n"));
    }
    let again = home.run(&[&["switch", "halt", "draws"][..], &by("oskar")].concat()).expect_code(0);
    assert_eq!(again.stdout, "draws: it was so already\n");
    let shown = home.run(&["switch", "show"]).expect_code(0).json();
    let draws = json!({ "what": "draws", "halted": true, "reason": "odd wins", "by": "operator:olga" });
    let polling = json!({ "what": "polling", "halted": false, "reason": null, "by": null });
    assert_eq!((&shown["switches"][0], &shown["switches"][3]), (&draws, &polling));
    let counts = home.run_with(&["ingest", "-", "--json"], ndjson(&[purchase("t1", "cus_1")]).as_bytes());
    assert_eq!(counts.expect_code(0).json()["deferred"], 1);

    let service = home.listen(&[("REWARDHUB_ENROLMENT", "open"), ("REWARDHUB_TOKENS_JWKS", "sandbox")]);
    service.ready(PATIENCE);
    let (olga, feed) = (service.person("olga", "ops"), service.feed());
    let over = |arguments: &[&str]| {
        home.run_as(&olga, &[&["switch"], arguments, &["--url", service.url()]].concat())
    };
    let halted = || service.get("/readyz").body["checks"]["halted"].clone();
    assert_eq!(halted(), json!(["draws", "payouts", "notifications"]));
    let gauge = |what: &str, value: u8| {
        let metrics = service.get("/metrics").body.as_str().unwrap().to_owned();
        metrics.contains(&format!("rewardhub_switch_halted{{what=\"{what}\"}} {value}\n"))
    };
    assert!(gauge("draws", 1) && gauge("payouts", 1) && gauge("polling", 0));
    assert_eq!(service.send(&feed, &[purchase("t2", "cus_2")])[0]["result"], "deferred");
    assert_eq!(over(&["show"]).expect_code(0).json(), shown);
    let resume = |what: &str| over(&["resume", what, "--reason", "looked at"]).expect_code(0);
    assert_eq!(resume("draws").stdout, "draws: done\n");
    let count = |event: &str| recorded(&home, event).len();
    eventually("both to be drawn", PATIENCE, || (count("RewardIssued") == 2).then_some(()));
    // As long as an untouched ledger would need to pay and tell, many times over.
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!((count("CreditRequested"), count("CustomerNotified")), (0, 0));
    }
    assert_eq!((halted(), gauge("draws", 0)), (json!(["payouts", "notifications"]), true));
    resume("payouts");
    eventually("both to be paid", PATIENCE, || (count("RewardCredited") == 2).then_some(()));
    assert_eq!(count("CustomerNotified"), 0);
    resume("notifications");
    eventually("both to be told", PATIENCE, || (count("CustomerNotified") == 2).then_some(()));
    let set: Vec<(String, Value)> = recorded(&home, "SwitchSet");
    assert_eq!(set.len(), 6);
    assert_eq!((set[3].0.as_str(), &set[3].1["halted"]), ("operator:olga", &json!(false)));

    // What is none, or has no reason, is wrong usage; who may not is refused.
    over(&["halt", "everything", "--reason", "x"]).expect_code(2);
    over(&["halt", "draws"]).expect_code(2);
    let anna = service.person("anna", "audit:read");
    home.run_as(&anna, &["switch", "show", "--url", service.url()]).expect_code(2);
    service.stop();
    home.run(&["switch", "halt", "draws", "--reason", "a\u{202e}b"]).expect_code(1);
    home.replayed();
}
