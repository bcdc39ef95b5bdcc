//! What customers see of campaigns: those that have started, and never what one has cost.

use rewardhub_tests::rows::{CERTAIN, campaign, purchase};
use rewardhub_tests::{Home, PATIENCE};
use serde_json::{Value, json};

use super::nodes;

const ALL: &str = "query($after: String, $first: Int) { campaigns(first: $first, after: $after) { edges { cursor } \
    nodes { campaignId status budget { minor } spent { minor } draws wins \
        epochs { nodes { epoch commitment draws wins paid { minor } } } } pageInfo { hasNextPage endCursor } } }";
const ONE: &str = "query($id: ID!, $node: ID!) { campaign(campaignId: $id) { name } node(id: $node) { id } }";

fn terms(id: &str) -> Value {
    json!({
        "campaign_id": id, "name": "Of the tests", "time_zone": "Europe/London", "starts_at": "2026-01-01T00:00:00Z",
        "prize_table": { "currency": "GBP", "tiers": [{ "name": "prize", "odds_ppb": 1, "prize": { "fixed": 100 } }] },
        "budget": { "minor": 1_000, "currency": "GBP" },
    })
}

#[test]
fn customers_see_campaigns_from_their_start_on_and_never_what_they_cost() {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    let sandbox = home.serve();
    let person = |name: &str| sandbox.person(name, "campaigns:write");
    let command = |who: &str, path: &str, body: Value| {
        let answer = sandbox.post_to(&person(who), &format!("/v1/campaigns{path}"), &body);
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    for id in ["draft", "approved", "scheduled", "paused"] {
        command("alice", "", terms(id));
        if id != "draft" {
            command("bob", &format!("/{id}/approve"), json!({ "version": 1 }));
        }
    }
    command("alice", "/scheduled/schedule", json!({ "start_at": "2099-01-01T00:00:00Z" }));
    command("alice", "/paused/start", json!({}));
    command("alice", "/paused/pause", json!({ "reason": "checks" }));
    sandbox.send(&sandbox.feed(), &[purchase("a1", "cus_a")]);
    sandbox.settle(PATIENCE);

    let (customer, auditor) = (sandbox.customer("cus_a"), sandbox.auditor());
    let all = |token: &str| sandbox.graphql(token, ALL, json!({}))["campaigns"].take();
    let ids = |page: &Value| {
        nodes(page).iter().map(|c| c["campaignId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let seen = all(&customer);
    assert_eq!(ids(&seen), ["paused", "sure"]);
    assert_eq!(seen["pageInfo"]["hasNextPage"], false);
    for staff in [auditor.clone(), person("alice")] {
        let seen = all(&staff);
        assert_eq!(ids(&seen), ["paused", "scheduled", "approved", "draft", "sure"]);
        let sure = nodes(&seen).pop().unwrap();
        assert_eq!((&sure["budget"]["minor"], &sure["spent"]["minor"]), (&json!("1000000"), &json!("250")));
        assert_eq!((&sure["draws"], &sure["wins"]), (&json!("1"), &json!("1")));
        assert!(
            nodes(&sure["epochs"])
                .iter()
                .any(|day| (&day["draws"], &day["paid"]["minor"]) == (&json!("1"), &json!("250")))
        );
    }
    for shown in nodes(&seen) {
        let days = nodes(&shown["epochs"]);
        for cost in ["budget", "spent", "draws", "wins", "paid"] {
            assert_eq!(shown.get(cost).unwrap_or(&Value::Null), &Value::Null, "{cost}: {shown}");
            assert!(days.iter().all(|day| day.get(cost).is_none_or(Value::is_null)), "{cost}: {days:?}");
        }
    }
    // Pages have what customers see, with nothing left out between them.
    let page = |after: &Value| {
        sandbox.graphql(&customer, ALL, json!({ "first": 1, "after": after }))["campaigns"].take()
    };
    let first = page(&Value::Null);
    let second = page(&first["pageInfo"]["endCursor"]);
    assert_eq!((ids(&first), ids(&second)), (vec!["paused".to_owned()], vec!["sure".to_owned()]));
    assert_eq!(
        (&first["pageInfo"]["hasNextPage"], &second["pageInfo"]["hasNextPage"]),
        (&json!(true), &json!(false))
    );

    for id in ["draft", "approved", "scheduled", "nothing", "paused", "sure"] {
        let asked = json!({ "id": id, "node": format!("campaign:{id}") });
        let seen = sandbox.graphql(&customer, ONE, asked);
        let public = ["paused", "sure"].contains(&id);
        assert_eq!(
            (seen["campaign"].is_object(), seen["node"].is_object()),
            (public, public),
            "{id}: {seen}"
        );
    }
    // Through what he has won, as well.
    let won = "{ rewardAccount { rewards { nodes { campaign { campaignId spent { minor } draws } } } } }";
    let won =
        sandbox.graphql(&customer, won, json!({}))["rewardAccount"]["rewards"]["nodes"][0]["campaign"].take();
    assert_eq!(won, json!({ "campaignId": "sure", "spent": null, "draws": null }));
    sandbox.stop();
}
