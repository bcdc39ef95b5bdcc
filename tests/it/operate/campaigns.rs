//! A campaign's whole life through a running service, by two people.

use ledger_core::time::Epoch;
use rewardhub_tests::rows::{CERTAIN, campaign, now, purchase};
use rewardhub_tests::{Home, PATIENCE, Ran, text};
use serde_json::json;

use super::recorded;

/// Needs percent-encoding in an address.
const ID: &str = "late-autumn_7.uk";

#[test]
fn two_people_take_a_campaign_through_its_life_over_http() {
    let home = Home::with(&[("REWARDHUB_TOKENS_JWKS", "sandbox"), ("REWARDHUB_ENROLMENT", "open")]);
    let service = home.listen(&[]);
    service.ready(PATIENCE);
    let [alice, bob] = ["alice", "bob"].map(|name| service.person(name, "campaigns:write"));
    let run = |token: &str, arguments: &[&str]| -> Ran {
        home.run_as(token, &[&["campaign"], arguments, &["--url", service.url()]].concat())
    };
    let says = |token: &str, arguments: &[&str], answer: &str| {
        let said = run(token, arguments).expect_code(0).stdout;
        assert_eq!(said.lines().next(), Some(&*format!("{ID}: {answer}")), "{arguments:?}: {said}");
    };
    let refuses = |token: &str, arguments: &[&str], why: &str| {
        let refused = run(token, arguments).expect_code(1);
        assert!(refused.stderr.contains(why), "{arguments:?}: {}", refused.stderr);
    };
    let (already, proposed) = ("it was so already", "proposed; somebody else has to agree");
    let version = |name: &str| {
        let terms = campaign(ID, CERTAIN, 250, 100_000) + "funding_limit_minor: 1000\n";
        home.write("autumn.yaml", terms.replace("Of the tests", name)).to_str().unwrap().to_owned()
    };
    says(&alice, &["create", &version("First")], "done");
    says(&alice, &["create", &version("First")], already);
    refuses(&alice, &["approve", ID, "--version", "1"], "somebody else has to approve it");
    says(&bob, &["approve", ID, "--version", "1"], "done");
    says(&alice, &["schedule", ID, "2099-12-01T00:00:00Z"], "done");
    says(&alice, &["start", ID], "done");

    // Bob reads version 2; before he approves it there is a third.
    says(&alice, &["revise", &version("Second")], "done");
    says(&alice, &["revise", &version("Third")], "done");
    refuses(&bob, &["approve", ID, "--version", "2"], "version 2 is not the latest: that is 3");
    says(&bob, &["approve", ID, "--version", "3"], "done");

    says(&alice, &["fund", ID, "10.01", "GBP", "--reference", "po-1"], proposed);
    refuses(&alice, &["approve-funding", ID, "po-1"], "somebody else has to agree");
    let waits = run(&bob, &["show", ID]).expect_code(0).json();
    assert_eq!(waits["fundings_proposed"][0]["reference"], "po-1");
    says(&bob, &["approve-funding", ID, "po-1"], "done");

    let today = &now().to_string()[..10];
    let (halt, resume) =
        (["halt-epoch", ID, today, "--reason", "odd"], ["resume-epoch", ID, today, "--reason", "fine"]);
    says(&alice, &halt, "done");
    says(&alice, &resume, proposed);
    refuses(&alice, &resume, "somebody else has to agree");
    says(&bob, &resume, "done");
    says(&alice, &["pause", ID, "--reason", "checks"], "done");
    says(&alice, &["resume", ID], "done");
    assert_eq!(service.send(&service.feed(), &[purchase("t1", "cus_1")])[0]["result"], "accepted");

    // Over HTTP and from the log the same is shown, and commitments are published before their days
    // open.
    let shown = run(&alice, &["show", ID]).expect_code(0).json();
    assert_eq!(home.run(&["campaign", "show", ID]).expect_code(0).json(), shown);
    assert_eq!((&shown["terms"]["name"], &shown["version"]), (&json!("Third"), &json!(3)));
    assert_eq!((&shown["funded_minor"], &shown["spent_minor"]), (&json!(101_001), &json!(250)));
    let epochs = shown["epochs"].as_array().unwrap();
    let scheduled: Vec<_> = epochs.iter().filter(|epoch| epoch["phase"] == "scheduled").collect();
    assert_eq!(scheduled.len(), 2, "{shown:#}");
    for epoch in scheduled {
        assert_eq!(epoch["commitment"].as_str().unwrap().len(), 64, "{epoch}");
        let table = &shown["prize_tables"][epoch["table_hash"].as_str().unwrap()];
        assert_eq!(table["tiers"][0]["name"], "prize", "{shown:#}");
    }
    assert!(!shown.to_string().contains("seed"), "{shown:#}");
    let auditor = service.auditor();
    let unknown = home.run_as(&auditor, &["campaign", "show", "none", "--url", service.url()]).expect_code(1);
    assert!(unknown.stderr.contains("there is no such campaign"), "{}", unknown.stderr);
    let listed = service.get_as(&auditor, "/v1/campaigns");
    assert_eq!((listed.status, &listed.body["campaigns"]), (200, &json!([shown])));
    assert_eq!(service.get("/v1/campaigns").status, 401);

    says(&alice, &["end", ID], "done");
    says(&alice, &["end", ID], already);
    refuses(&bob, &["start", ID], "ended");
    // Each token's `sub` is who did it.
    assert_eq!(recorded(&home, "CampaignRevised")[0].0, "operator:alice");
    assert_eq!(recorded(&home, "CampaignApproved")[1].0, "operator:bob");
    let [(actor, resumed)] = &recorded(&home, "EpochResumed")[..] else { panic!("resumed once") };
    assert_eq!((actor.as_str(), &resumed["proposed_by"]), ("operator:bob", &json!("operator:alice")));
    service.stop();
    home.replayed();
}

#[test]
fn what_is_left_of_a_limited_prize_is_shown() {
    let home = Home::new();
    let yaml = campaign("few", CERTAIN, 250, 1_000) + "inventory: { prize: 3 }\n";
    home.start_campaign("few", &yaml);
    let show = || home.run(&["campaign", "show", "few"]).expect_code(0).json();
    let before = show();
    assert_eq!(before["inventory"], json!({ "prize": { "most": 3, "won": 0, "left": 3 } }));
    assert_eq!(before["budget_alerted_percent"], json!(null));
    let rows: Vec<_> = (0..2).map(|n| purchase(&format!("t{n}"), "cus_1")).collect();
    let file = home.write("rows.ndjson", rewardhub_tests::rows::ndjson(&rows));
    home.run(&["ingest", text(&file)]).expect_code(0);
    let after = show();
    assert_eq!(after["inventory"], json!({ "prize": { "most": 3, "won": 2, "left": 1 } }));
    assert_eq!(after["budget_alerted_percent"], json!(50));
}

#[test]
fn odds_of_a_revision_are_shown_beside_todays_with_the_day_on_which_they_come() {
    let home = Home::with(&[("REWARDHUB_TOKENS_JWKS", "sandbox"), ("REWARDHUB_ENROLMENT", "open")]);
    let limited = |odds, left: u32| {
        campaign("autumn", odds, 250, 100_000) + &format!("inventory: {{ prize: {left} }}\n")
    };
    home.start_campaign("autumn", &limited(CERTAIN / 4, 7));
    let service = home.listen(&[]);
    service.ready(PATIENCE);
    let [alice, bob] = ["alice", "bob"].map(|name| service.person(name, "campaigns:write"));
    let run = |token: &str, arguments: &[&str]| -> Ran {
        let asked = [&["campaign"], arguments, &["--url", service.url()]].concat();
        home.run_as(token, &asked).expect_code(0)
    };
    let show = || run(&alice, &["show", "autumn"]).json();
    assert_eq!((&show()["odds"]["any"], &show()["next"]), (&json!("1 in 4 (25.0000000 %)"), &json!(null)));
    let revised = home.write("revised.yaml", limited(CERTAIN / 2, 9));
    run(&alice, &["revise", text(&revised)]);
    assert_eq!(show()["next"], json!(null), "nobody has approved it");
    let said = run(&bob, &["approve", "autumn", "--version", "2"]).stdout;

    let shown = show();
    let epochs = shown["epochs"].as_array().unwrap();
    let last = epochs.last().unwrap()["epoch"].as_str().unwrap();
    let from = last.parse::<Epoch>().unwrap().next().opens_at().to_string();
    assert_eq!((&shown["version"], &shown["odds"]["any"]), (&json!(2), &json!("1 in 4 (25.0000000 %)")));
    assert_eq!(shown["odds"]["tiers"][0]["odds"], "1 in 4 (25.0000000 %)");
    assert_eq!(shown["inventory"]["prize"]["most"], 7, "today's");
    assert_eq!(
        (&shown["next"]["from"], &shown["next"]["odds"]["any"]),
        (&json!(from), &json!("1 in 2 (50.0000000 %)"))
    );
    assert!(said.contains(&format!("drawn from {} on", &from[..10])), "{said}");
    assert_eq!(home.run(&["campaign", "show", "autumn"]).expect_code(0).json(), shown);

    service.settled(PATIENCE);
    let query = "{ campaign(campaignId: \"autumn\") { version oddsText prizeTable next { from oddsText prizeTable } } }";
    for token in [service.customer("cus_1"), service.auditor()] {
        let campaign = service.graphql(&token, query, json!({}))["campaign"].take();
        let odds = |table: &serde_json::Value| table["tiers"][0]["odds_ppb"].clone();
        assert_eq!(
            (&campaign["oddsText"], odds(&campaign["prizeTable"])),
            (&json!("1 in 4 (25.0000000 %)"), json!(250_000_000))
        );
        let next = &campaign["next"];
        assert_eq!((&next["from"], &next["oddsText"]), (&json!(from), &json!("1 in 2 (50.0000000 %)")));
        assert_eq!(odds(&next["prizeTable"]), 500_000_000);
    }
    service.stop();
}
