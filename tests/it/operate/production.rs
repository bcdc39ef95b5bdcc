//! `profile: production` is kept by every command that opens keys.

use rewardhub_tests::rows::{CERTAIN, campaign, ndjson, purchase};
use rewardhub_tests::{Home, text};

#[test]
fn no_command_opens_keys_that_production_refuses() {
    let home = Home::new();
    let yaml = campaign("sure", CERTAIN, 250, 1_000_000);
    home.start_campaign("sure", &yaml);
    let rows = home.write("rows.ndjson", ndjson(&[purchase("t1", "cus_1")]));
    home.run(&["ingest", text(&rows)]).expect_code(0);
    let terms = home.file("sure.yaml");
    let config = home.write("c.yaml", "profile: production\n");
    let opening = ["--open-seeds", "--by", "anna", "--reason", "the yearly audit"];
    let run = |arguments: &[&str]| home.run(&[arguments, &["--config", text(&config)]].concat());
    for command in [
        &["ingest", text(&rows)][..],
        &["campaign", "pause", "sure", "--reason", "checks"],
        &["account", "open", "cus_1"],
        &["account", "open", "--file", text(&rows)],
        &["backtest", "--from-log", "--campaign", text(&terms)],
        &["token", "--scope", "ops", "--sub", "carol"],
        &[&["audit", "draws"], &opening[..]].concat(),
        &[&["audit", "fairness"], &opening[..]].concat(),
        &["audit", "draws", "--disclose"],
        &["audit", "export", "--disclose", "--out", text(&home.file("bundle"))],
    ] {
        let refused = run(command).expect_code(2);
        let says = "c.yaml:1: profile: production is refused\n  data: the root key is a file";
        assert!(refused.stderr.contains(says), "{command:?}: {}", refused.stderr);
        assert_eq!(refused.stdout, "", "{command:?}");
    }
    assert!(!home.file("bundle").exists());
    // What needs no key is answered.
    for command in [&["campaign", "show", "sure"][..], &["explain", "acme-bank", "t1"], &["audit", "draws"]] {
        run(command).expect_code(0);
    }
    let elsewhere = home.file("elsewhere");
    let in_environment = Home::with(&[("REWARDHUB_PROFILE", "production")]);
    let refused = in_environment.run(&[
        "campaign",
        "create",
        text(&terms),
        "--by",
        "alice",
        "--data",
        text(&elsewhere),
    ]);
    assert!(refused.expect_code(2).stderr.contains("REWARDHUB_PROFILE: profile: production is refused"));
    assert!(!elsewhere.exists(), "nothing was made");
}
