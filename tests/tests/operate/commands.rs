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
    for words in ["unknown.yaml:10:1: ", "colour"] {
        assert!(unknown.stderr.contains(words), "{words}: {}", unknown.stderr);
    }
    let odds = create("odds.yaml", &yaml.replace("1000000000", "1000000001")).expect_code(1);
    assert!(odds.stderr.contains("prize_table.tiers"), "{}", odds.stderr);
    for (field, from, to) in [
        ("budget.currency", "1000000, currency: GBP", "1000000, currency: EUR"),
        ("name", "name: Of the tests", "name: ' '"),
        ("time_zone", "Europe/London", "Europe/Londinium"),
        ("campaign_id", "campaign_id: sure", "campaign_id: ''"),
    ] {
        let refused = create("bad.yaml", &yaml.replace(from, to)).expect_code(1);
        assert!(refused.stderr.contains(field), "{field}: {}", refused.stderr);
    }
    let missing = home.run(&["campaign", "create", "nowhere.yaml"]).expect_code(3);
    assert!(missing.stderr.contains("cannot read nowhere.yaml"), "{}", missing.stderr);

    create("good.yaml", &yaml).expect_code(0);
    let early = home.run(&["campaign", "start", "sure"]).expect_code(1);
    assert!(early.stderr.contains("campaign sure") && early.stderr.contains("approve"), "{}", early.stderr);
    for action in
        [&["approve", "none", "--version", "1"][..], &["start", "none"], &["end", "none"], &["show", "none"]]
    {
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

    // The whole life, each step safe to repeat.
    let alone = home.run(&["campaign", "approve", "sure", "--version", "1"]).expect_code(1);
    assert!(alone.stderr.contains("somebody else has to approve it"), "{}", alone.stderr);
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
