//! What an operator is alerted by.

use rewardhub_tests::Home;
use rewardhub_tests::rows::{CERTAIN, campaign, purchase};
use serde_json::json;

#[test]
fn budgets_that_run_out_and_rules_that_fail_are_counted() {
    let home = Home::new();
    home.start_campaign("small", &campaign("small", CERTAIN, 250, 1_000));
    // Fails on what costs 1299, and on nothing that its author tried it with.
    let rules = "rules:\n  - { code: fragile, cel: \"100 / (amount_minor - 1299) < 1000\" }\nprize_table:";
    let yaml = campaign("fragile", CERTAIN, 250, 1_000_000).replace("prize_table:", rules);
    home.start_campaign("fragile", &yaml);
    let sandbox = home.serve();
    let feed = sandbox.feed();
    let counted = |series: &str| {
        let text = sandbox.get("/metrics").body.as_str().unwrap().to_owned();
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<u64>().ok())
    };
    let alerts = "rewardhub_campaign_budget_alerts_total{campaign=\"small\"}";
    let errors = "rewardhub_rule_errors_total{rule=\"fragile\"}";
    assert_eq!((counted(alerts), counted(errors)), (None, None));
    for (n, expected) in [None, Some(1), Some(1), Some(2)].into_iter().enumerate() {
        let mut row = purchase(&format!("t{n}"), "cus_1");
        row["amount"]["minor"] = json!("1299");
        sandbox.send(&feed, &[row]);
        // A quarter of the budget each: told of at the half and at the end.
        assert_eq!(counted(alerts), expected, "after {}", n + 1);
        assert_eq!(counted(errors), Some(n as u64 + 1));
    }
    sandbox.stop();
}
