//! Nobody opens the seed of a running day without the ledger saying so first.

use rewardhub_tests::rows::{CERTAIN, campaign, purchase};
use rewardhub_tests::{Home, Sandbox, text};
use serde_json::json;

use super::recorded;

fn with_a_draw() -> (Home, Sandbox) {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    let sandbox = home.serve();
    sandbox.send(&sandbox.feed(), &[purchase("t1", "cus_1")]);
    (home, sandbox)
}

/// Openings by people: who, and what for.
fn by_people(home: &Home) -> Vec<(String, String)> {
    let opened = recorded(home, "SeedOpened");
    let said =
        opened.into_iter().map(|(actor, event)| (actor, event["purpose"].as_str().unwrap().to_owned()));
    said.filter(|(_, purpose)| purpose != "draw").collect()
}

fn olga() -> (String, String) {
    ("operator:olga".into(), "audit: odd wins".into())
}

#[test]
fn seeds_are_opened_only_once_the_ledger_says_who_opens_them_and_why() {
    let (home, sandbox) = with_a_draw();
    let ops = sandbox.person("olga", "ops");
    let (url, why) = (sandbox.url(), ["--open-seeds", "--reason", "odd wins"]);
    let draws = |token: &str, more: &[&str]| home.run_as(token, &[&["audit", "draws"], more].concat());

    // Without a name or a reason it is no question.
    for usage in [&["--open-seeds"][..], &["--open-seeds", "--by", "anna"], &why, &["--reason", "odd wins"]] {
        draws(&ops, usage).expect_code(2);
    }
    // The folder is served: recording it is for the service.
    let in_use = draws(&ops, &[&why[..], &["--by", "anna"]].concat()).expect_code(3);
    assert!(in_use.stderr.contains("in use by rewardhub sandbox") && in_use.stdout.is_empty(), "{in_use:?}");
    let writer = sandbox.person("alice", "campaigns:write audit:read");
    draws(&writer, &[&why[..], &["--url", url]].concat()).expect_code(2);
    assert_eq!(by_people(&home), []);

    let sealed = draws(&ops, &[]).expect_code(0).json();
    assert_eq!((&sealed["rederived"], &sealed["waiting_for_reveal"]), (&json!(0), &json!(1)));
    let opened = draws(&ops, &[&why[..], &["--url", url]].concat()).expect_code(0).json();
    assert_eq!((&opened["rederived"], &opened["waiting_for_reveal"]), (&json!(1), &json!(0)));
    assert_eq!(by_people(&home), [olga()]);

    // Another ledger that has the same campaign says it, this one does not: nothing is opened.
    let (other, elsewhere) = with_a_draw();
    let bundle = home.file("bundle");
    let token = elsewhere.person("olga", "ops");
    let export = ["audit", "export", "--out", text(&bundle)];
    let mixed_up = home.run_as(&token, &[&export[..], &why, &["--url", elsewhere.url()]].concat());
    assert!(mixed_up.expect_code(3).stderr.contains("Nothing was opened"));
    assert!(!bundle.exists());
    assert_eq!((by_people(&other), by_people(&home)), (vec![olga()], vec![olga()]));
    elsewhere.stop();

    // Nobody serves it: the command is the writer for that moment. The bundle tells of it too.
    sandbox.stop();
    home.run(&[&export[..], &why, &["--by", "anna"]].concat()).expect_code(0);
    assert_eq!(by_people(&home), [olga(), ("operator:anna".into(), "audit: odd wins".into())]);
    let read = |name: &str| std::fs::read_to_string(bundle.join(name)).unwrap();
    assert!(read("events.ndjson").contains("operator:anna") && read("seeds.ndjson").lines().count() == 1);
    let fairness = [&["audit", "fairness"], &why[..], &["--by", "anna"]].concat();
    let report = home.run(&fairness).expect_code(0).json();
    let incidents = report["incidents"].as_array().unwrap();
    let last = incidents.iter().rfind(|incident| incident["event"] == "SeedOpened").unwrap();
    assert_eq!((&last["actor"], &last["reason"]), (&json!("operator:anna"), &json!("audit: odd wins")));
    home.replayed();
}
