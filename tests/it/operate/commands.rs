//! `rewardhub campaign` on a folder of its own: what is wrong is said, every step is safe to
//! repeat.

use rewardhub_tests::rows::{CERTAIN, campaign};
use rewardhub_tests::{Home, text};
use serde_json::json;

#[test]
fn campaign_commands_say_what_is_wrong() {
    let home = Home::new();
    let yaml = campaign("sure", CERTAIN, 250, 1_000_000);
    let create = |name: &str, text_of_file: &str| {
        let file = home.write(name, text_of_file);
        home.run(&["campaign", "create", text(&file), "--by", "alice"])
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
        ("campaign_id: must be letters", "campaign_id: sure", "campaign_id: Autumn 2026!"),
        ("campaign_id: must not hold", "campaign_id: sure", "campaign_id: a-4111111111111111"),
        ("name: must not hold", "name: Of the tests", "name: 4111 1111 1111 1111"),
    ] {
        let refused = create("bad.yaml", &yaml.replace(from, to)).expect_code(1);
        assert!(refused.stderr.contains(field), "{field}: {}", refused.stderr);
    }
    let missing = home.run(&["campaign", "create", "nowhere.yaml", "--by", "alice"]).expect_code(3);
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
    assert!(home.run(&halt).expect_code(1).stderr.contains("a reason must not hold U+202E"));

    // The whole life, each step safe to repeat.
    let nameless = home.run(&["campaign", "approve", "sure", "--version", "1"]).expect_code(2);
    assert!(nameless.stderr.contains("--by NAME is needed"), "{}", nameless.stderr);
    let approve = ["campaign", "approve", "sure", "--by", "bob", "--version", "1"];
    let approved = home.run(&approve).expect_code(0).stdout;
    assert!(
        approved.starts_with("sure: done\nversion 1 is approved\nnext: campaign start sure"),
        "{approved}"
    );
    for action in [&["start"][..], &["pause", "--reason", "a storm"], &["resume"], &["end"]] {
        let run = || home.run(&[&["campaign"], action, &["sure"]].concat()).expect_code(0).stdout;
        let (done, again) = (run(), run());
        assert!(done.starts_with("sure: done\n"), "{action:?}: {done}");
        assert_eq!(again, "sure: it was so already\n", "{action:?}");
        if action == ["pause", "--reason", "a storm"] {
            home.run(&["campaign", "pause", "sure"]).expect_code(2);
            let other = home.run(&["campaign", "pause", "sure", "--reason", "a flood"]).expect_code(1);
            assert!(other.stderr.contains("for another reason"), "{}", other.stderr);
        }
    }
    let shown = home.run(&["campaign", "show", "sure"]).expect_code(0).json();
    assert_eq!((&shown["standing"], &shown["funded_minor"]), (&json!("ended"), &json!(1_000_000)));
    assert_eq!(shown["terms"]["campaign_id"], "sure");
    assert!(home.run(&["campaign", "start", "sure"]).code != 0, "the end is for good");
    home.replayed();
}

#[test]
fn what_a_person_does_is_told_in_money_and_odds() {
    let home = Home::new();
    let yaml = campaign("sure", CERTAIN, 250, 1_000_000) + "funding_limit_minor: 100000\n";
    let people = yaml.replace("odds_ppb: 1000000000", "odds: 1 in 500");
    assert_ne!(people, yaml);
    let file = home.write("sure.yaml", &people);
    let run = |arguments: &[&str]| home.run(&[&["campaign"], arguments].concat()).expect_code(0).stdout;
    let checked = run(&["check", text(&file)]);
    assert!(checked.contains("sure: is good\n") && checked.contains("budget: 10000.00 GBP"), "{checked}");
    assert!(!home.data().exists(), "a check needs no ledger");

    home.run(&["campaign", "create", text(&file)]).expect_code(2);
    home.run(&["campaign", "create", text(&file), "--by", "Operator"]).expect_code(2);
    assert!(!home.data().exists(), "nothing is laid out before somebody says who he is");
    let created = run(&["create", text(&file), "--by", "alice"]);
    for words in [
        "sure: done\n",
        "version 1 is drafted",
        "odds of any prize: 1 in 500 (0.2000000 %)",
        "at most 0.0050 GBP on average",
        "--version 1 --by NAME",
    ] {
        assert!(created.contains(words), "{words}: {created}");
    }
    let alice = home.run(&["campaign", "approve", "sure", "--version", "1", "--by", "Alice"]).expect_code(1);
    assert!(alice.stderr.contains("somebody else has to approve it"), "{}", alice.stderr);
    run(&["approve", "sure", "--version", "1", "--by", "bob"]);
    run(&["start", "sure"]);
    assert_eq!(run(&["diff", "sure"]), "version 1 is the latest: no other waits for approval\n");

    let bare = ["campaign", "fund", "sure", "5000", "GBP", "--reference", "po-1", "--by", "alice"];
    let refused = home.run(&bare).expect_code(2);
    assert!(refused.stderr.contains("5000.00 GBP"), "{}", refused.stderr);
    let proposed = run(&["fund", "sure", "5000.00", "GBP", "--reference", "po-1", "--by", "alice"]);
    assert_eq!(proposed, "sure: proposed; somebody else has to agree\npo-1: 5000.00 GBP\n");
    let agreed = run(&["approve-funding", "sure", "po-1", "--by", "bob"]);
    for words in ["po-1: 5000.00 GBP, proposed by alice", "funded: 15000.00 GBP, spent: 0.00 GBP"] {
        assert!(agreed.contains(words), "{words}: {agreed}");
    }
    let revised = home.write("sure.yaml", people.replace("1 in 500", "0.4 %"));
    run(&["revise", text(&revised), "--by", "alice"]);
    let diff = run(&["diff", "sure"]);
    assert!(diff.contains("prize_table.tiers[0].odds_ppb: 2000000 -> 4000000"), "{diff}");
    let listed = run(&["list"]);
    assert!(listed.starts_with("sure  active  version 1  from ") && listed.lines().count() == 1, "{listed}");

    let over =
        home.write("over.yaml", yaml.replace("starts_at:", "ends_at: 2021-02-01T00:00:00Z\nstarts_at:"));
    let over = home.run(&["campaign", "check", text(&over)]).expect_code(1);
    assert!(over.stderr.contains("ends_at"), "{}", over.stderr);
}
