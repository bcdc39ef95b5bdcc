//! `rewardhub campaign` on a folder of its own: what is wrong is said, every step is safe to repeat.

use rewardhub_tests::rows::{CERTAIN, campaign};
use rewardhub_tests::{Home, text};
use serde_json::json;

#[test]
fn campaign_commands_say_what_is_wrong() {
    let home = Home::new();
    let yaml = campaign("sure", CERTAIN, 250, 1_000_000);
    let create = |name: &str, text_of_file: &str| {
        let file = home.write(name, text_of_file);
        home.run(&["campaign", "create", text(&file)])
    };
    let unknown = create("unknown.yaml", &yaml.replace("budget:", "colour: red\nbudget:")).expect_code(1);
    for words in ["unknown.yaml:10:1: ", "unknown field"] {
        assert!(unknown.stderr.contains(words), "{words}: {}", unknown.stderr);
    }
    let odds = create("odds.yaml", &yaml.replace("1000000000", "1000000001")).expect_code(1);
    assert!(odds.stderr.contains("prize_table.tiers"), "{}", odds.stderr);
    for (field, from, to) in [
        ("budget.currency", "1000000, currency: GBP", "1000000, currency: EUR"),
        ("name", "name: Of the tests", "name: ' '"),
        ("time_zone", "Europe/London", "Europe/Londinium"),
        ("campaign_id", "campaign_id: sure", "campaign_id: ''"),
        ("campaign_id: must not hold", "campaign_id: sure", "campaign_id: a-4111111111111111"),
        ("name: must not hold", "name: Of the tests", "name: 4111 1111 1111 1111"),
    ] {
        let refused = create("bad.yaml", &yaml.replace(from, to)).expect_code(1);
        assert!(refused.stderr.contains(field), "{field}: {}", refused.stderr);
    }
    let missing = home.run(&["campaign", "create", "nowhere.yaml"]).expect_code(3);
    assert!(missing.stderr.contains("cannot read nowhere.yaml"), "{}", missing.stderr);

    create("good.yaml", &yaml).expect_code(0);
    let early = home.run(&["campaign", "start", "sure"]).expect_code(1);
    assert!(early.stderr.contains("campaign sure") && early.stderr.contains("approve"), "{}", early.stderr);
    for action in [
        &["approve", "none", "--version", "1", "--by", "bob"][..],
        &["start", "none"],
        &["end", "none"],
        &["show", "none"],
    ] {
        let none = home.run(&[&["campaign"], action].concat()).expect_code(1);
        assert!(none.stderr.contains("none"), "{action:?}: {}", none.stderr);
    }
    for action in
        [&["approve", "sure"][..], &["halt-epoch", "sure", "today", "--reason", "odd"], &["destroy", "sure"]]
    {
        home.run(&[&["campaign"], action].concat()).expect_code(2);
    }
    let other = create("other.yaml", &yaml.replace("fixed: 250", "fixed: 251")).expect_code(1);
    assert!(other.stderr.contains("sure"), "{}", other.stderr);

    // Names that look like another's, or like a card, and reasons that do not show are not said.
    let approve_by = |name| home.run(&["campaign", "approve", "sure", "--version", "1", "--by", name]);
    for name in ["", " ", "operator ", "operator\u{200b}", "operator\u{fe0f}", "4111111111111111"] {
        let refused = approve_by(name).expect_code(2);
        assert!(
            refused.stderr.contains("--by must") && !refused.stderr.contains("4111"),
            "{}",
            refused.stderr
        );
    }
    for command in [&["draws"][..], &["fairness"], &["export", "--out", "bundle"]] {
        let seeds = ["--open-seeds", "--reason", "odd", "--by", "alice\u{200b}"];
        let refused = home.run(&[&["audit"], command, &seeds].concat()).expect_code(2);
        assert!(refused.stderr.contains("--by must"), "{}", refused.stderr);
    }
    let token = ["token", "--scope", "campaigns:write", "--sub", "4111111111111111"];
    assert!(home.run(&token).expect_code(2).stderr.contains("--sub must not hold a card number"));
    let halt = ["campaign", "halt-epoch", "sure", "2026-11-22", "--reason", "a\u{202e}b"];
    assert!(home.run(&halt).expect_code(1).stderr.contains("a reason must be 1 to 500 printable"));

    // The whole life, each step safe to repeat.
    let nameless = home.run(&["campaign", "approve", "sure", "--version", "1"]).expect_code(2);
    assert!(nameless.stderr.contains("--by NAME is needed"), "{}", nameless.stderr);
    let approve = ["campaign", "approve", "sure", "--by", "bob", "--version", "1"];
    assert_eq!(home.run(&approve).expect_code(0).stdout, "sure: done\n");
    for action in ["start", "pause", "resume", "end"] {
        let done = home.run(&["campaign", action, "sure"]).expect_code(0);
        assert_eq!(done.stdout, "sure: done\n", "{action}");
        let again = home.run(&["campaign", action, "sure"]).expect_code(0);
        assert_eq!(again.stdout, "sure: it was so already\n", "{action}");
    }
    let shown = home.run(&["campaign", "show", "sure"]).expect_code(0).json();
    assert_eq!((&shown["standing"], &shown["funded_minor"]), (&json!("ended"), &json!(1_000_000)));
    assert_eq!(shown["terms"]["campaign_id"], "sure");
    assert!(home.run(&["campaign", "start", "sure"]).code != 0, "the end is for good");
    home.replayed();
}
