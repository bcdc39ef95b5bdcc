//! What apps and auditors see of real data.

mod customers;
mod explained;

use std::collections::BTreeSet;

use rewardhub_tests::rows::{CERTAIN, campaign, purchase};
use rewardhub_tests::{Home, PATIENCE, Sandbox};
use serde_json::{Value, json};

const REWARDS: &str = "query($id: ID, $min: String) { rewardAccount(accountId: $id, minPosition: $min) { \
    id accountId balances { currency won { minor } issued { minor } credited { minor } outstanding { minor } } \
    rewards { nodes { id status amount { minor currency exponent } wonAt issuedAt creditedAt payoutReference \
        campaign { campaignId } transaction { id transactionId } } } \
    transactions { nodes { id transactionId source bookedAt recordedAt \
        details { amount { minor currency } direction description merchantName mcc } \
        decision { outcome explanation { code message detail } draws { entryId epoch r tier oddsPpb amount { minor } } } } } } }";
const PROOF: &str = "query($source: ID!, $id: ID!) { drawProof(source: $source, transactionId: $id) { \
    commitment tableHash prizeTable tierMask beaconSpec seed draw { entryId r tier epoch amount { minor } } } }";
const NODE: &str = "query($id: ID!) { node(id: $id) { __typename id } }";

/// A sandbox in which everyone wins 2.50 a purchase, with two customers who have bought something.
fn two_customers(home: &Home) -> Sandbox {
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    let sandbox = home.serve();
    let rows: Vec<Value> = [("a1", "cus_a"), ("a2", "cus_a"), ("b1", "cus_b")]
        .iter()
        .map(|(id, account)| purchase(id, account))
        .collect();
    for answer in sandbox.send(&sandbox.feed(), &rows) {
        assert_eq!(answer["result"], "accepted", "{answer}");
    }
    sandbox.settle(PATIENCE);
    sandbox
}

fn nodes(connection: &Value) -> Vec<Value> {
    connection["nodes"].as_array().unwrap_or_else(|| panic!("{connection}")).clone()
}

#[test]
fn a_win_is_issued_credited_and_proved() {
    let home = Home::new();
    let sandbox = two_customers(&home);
    let token = sandbox.customer("cus_a");
    let account = sandbox.graphql(&token, REWARDS, json!({}))["rewardAccount"].take();
    assert_eq!((&account["id"], &account["accountId"]), (&json!("account:cus_a"), &json!("cus_a")));
    let balance = json!([{ "currency": "GBP", "won": { "minor": "500" }, "issued": { "minor": "500" },
        "credited": { "minor": "500" }, "outstanding": { "minor": "0" } }]);
    assert_eq!(account["balances"], balance);

    let rewards = nodes(&account["rewards"]);
    assert_eq!(rewards.len(), 2);
    for reward in &rewards {
        assert_eq!(reward["status"], "CREDITED", "{reward}");
        assert_eq!(reward["amount"], json!({ "minor": "250", "currency": "GBP", "exponent": 2 }));
        assert_eq!(reward["campaign"]["campaignId"], "sure");
        assert!(reward["payoutReference"].as_str().unwrap().starts_with("pay_"), "{reward}");
        let times: Vec<&str> =
            ["wonAt", "issuedAt", "creditedAt"].iter().map(|field| reward[field].as_str().unwrap()).collect();
        assert!(times.is_sorted(), "{times:?}");
    }
    let references: BTreeSet<&str> = rewards.iter().map(|r| r["payoutReference"].as_str().unwrap()).collect();
    assert_eq!(references.len(), 2, "each payment has its own reference");

    let transactions = nodes(&account["transactions"]);
    assert_eq!(transactions.iter().map(|t| &t["transactionId"]).collect::<Vec<_>>(), ["a2", "a1"]);
    let first = &transactions[1];
    let details = json!({ "amount": { "minor": "1250", "currency": "GBP" }, "direction": "DEBIT",
        "description": "COFFEE HOUSE LONDON", "merchantName": "Coffee House", "mcc": "5814" });
    assert_eq!(first["details"], details, "the owner sees what the statement says");
    assert_eq!(first["decision"]["outcome"], "WON");
    assert_eq!(
        first["decision"]["explanation"][0]["detail"],
        Value::Null,
        "details of reasons are for staff"
    );
    let draw = &first["decision"]["draws"][0];
    assert_eq!(
        (&draw["tier"], &draw["oddsPpb"], &draw["amount"]["minor"]),
        (&json!("prize"), &json!(CERTAIN), &json!("250"))
    );
    assert!(draw["r"].as_u64().unwrap() < u64::from(CERTAIN));

    let proofs =
        sandbox.graphql(&token, PROOF, json!({ "source": "acme-bank", "id": "a1" }))["drawProof"].take();
    let [proof] = &proofs.as_array().unwrap()[..] else { panic!("{proofs}") };
    for hash in ["commitment", "tableHash"] {
        let hash = proof[hash].as_str().unwrap();
        assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{proof}");
    }
    assert_eq!(
        (&proof["seed"], &proof["beaconSpec"], &proof["tierMask"]),
        (&Value::Null, &json!("none"), &json!("0"))
    );
    assert_eq!(proof["draw"]["entryId"], draw["entryId"]);
    assert_eq!(proof["prizeTable"]["tiers"][0]["prize"], json!({ "fixed": 250 }));

    let shown = sandbox.graphql(
        &sandbox.auditor(),
        "{ campaign(campaignId: \"sure\") { status version budget { minor } spent { minor } draws wins oddsText \
            epochs { nodes { epoch status commitment seed draws } } } campaigns { nodes { campaignId } } }",
        json!({}),
    );
    let campaign = &shown["campaign"];
    assert_eq!(campaign["status"], "ACTIVE");
    assert_eq!((&campaign["draws"], &campaign["wins"]), (&json!("3"), &json!("3")));
    assert_eq!(
        (&campaign["budget"]["minor"], &campaign["spent"]["minor"]),
        (&json!("1000000"), &json!("750"))
    );
    assert_eq!(campaign["oddsText"], "1 in 1 (100.0000000 %)");
    let epochs = nodes(&campaign["epochs"]);
    assert!(
        epochs.iter().any(|e| e["status"] == "OPEN" && e["commitment"] == proof["commitment"]),
        "{epochs:?}"
    );
    assert!(epochs.iter().all(|e| e["seed"] == Value::Null), "no seed is out before its reveal: {epochs:?}");
    assert_eq!(nodes(&shown["campaigns"]).len(), 1);
    sandbox.stop();
    home.replayed();
    home.assert_read_models_hold();
}

#[test]
fn nobody_sees_anything_of_someone_else() {
    let home = Home::new();
    let sandbox = two_customers(&home);
    let (a, b) = (sandbox.customer("cus_a"), sandbox.customer("cus_b"));
    let of_a = sandbox.graphql(&a, REWARDS, json!({}))["rewardAccount"].take();
    let of_b = sandbox.graphql(&b, REWARDS, json!({}))["rewardAccount"].take();
    assert_eq!((nodes(&of_a["transactions"]).len(), nodes(&of_b["transactions"]).len()), (2, 1));
    let ids = |account: &Value| -> Vec<Value> {
        let rows = [nodes(&account["rewards"]), nodes(&account["transactions"])].concat();
        rows.iter().map(|row| row["id"].clone()).chain([account["id"].clone()]).collect()
    };
    for (token, own, other, other_account, other_line) in
        [(&a, &of_a, &of_b, "cus_b", "b1"), (&b, &of_b, &of_a, "cus_a", "a1")]
    {
        assert_eq!(
            sandbox.graphql(token, REWARDS, json!({ "id": other_account })),
            json!({ "rewardAccount": null })
        );
        for id in ids(other) {
            assert_eq!(sandbox.graphql(token, NODE, json!({ "id": id })), json!({ "node": null }), "{id}");
        }
        for id in ids(own) {
            assert_eq!(sandbox.graphql(token, NODE, json!({ "id": id }))["node"]["id"], id);
        }
        let proof = sandbox.graphql(token, PROOF, json!({ "source": "acme-bank", "id": other_line }));
        assert_eq!(proof, json!({ "drawProof": [] }));
        // What does not exist looks the same.
        assert_eq!(
            sandbox.graphql(token, REWARDS, json!({ "id": "cus_none" })),
            json!({ "rewardAccount": null })
        );
        for query in ["{ eventHistory { nodes { position } } }", "{ trialBalance { position } }"] {
            let answer = sandbox.ask(token, query, json!({}));
            assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer}");
            assert_eq!(answer["data"], Value::Null);
        }
    }
    // A customer of whom nothing is known has no account yet.
    assert_eq!(
        sandbox.graphql(&sandbox.customer("cus_new"), REWARDS, json!({})),
        json!({ "rewardAccount": null })
    );
}

#[test]
fn an_auditor_sees_everyone_and_nothing_personal() {
    let home = Home::new();
    let sandbox = two_customers(&home);
    let token = sandbox.auditor();
    for (account, lines) in [("cus_a", 2), ("cus_b", 1)] {
        let account = sandbox.graphql(&token, REWARDS, json!({ "id": account }))["rewardAccount"].take();
        let transactions = nodes(&account["transactions"]);
        assert_eq!(transactions.len(), lines);
        for transaction in transactions {
            assert_eq!(transaction["details"], Value::Null, "{transaction}");
            assert!(transaction["decision"]["explanation"][0]["detail"].is_string(), "staff hear more");
        }
    }
    // Also an auditor who is a customer sees his own details alone.
    let both = sandbox.token(&["--scope", "rewards:read audit:read", "--sub", "cus_a"]);
    for (account, sees) in [("cus_a", true), ("cus_b", false)] {
        let account = sandbox.graphql(&both, REWARDS, json!({ "id": account }))["rewardAccount"].take();
        assert_eq!(account["transactions"]["nodes"][0]["details"].is_object(), sees);
    }

    let history = sandbox.graphql(
        &token,
        "{ eventHistory(first: 100) { nodes { position stream version type recordedAt payload hash } pageInfo { hasNextPage } } }",
        json!({}),
    )["eventHistory"]
        .take();
    assert_eq!(history["pageInfo"]["hasNextPage"], false);
    let events = nodes(&history);
    let positions: Vec<_> = events.iter().map(|e| e["position"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<_> = (1..=events.len()).map(|n| format!("0:{n}")).collect();
    assert_eq!(positions, expected, "positions have no holes");
    for (kind, count) in [
        ("AccountOpened", 2),
        ("TransactionEvaluated", 3),
        ("RewardIssued", 3),
        ("RewardCredited", 3),
        ("CustomerNotified", 3),
        ("CampaignStarted", 1),
    ] {
        assert_eq!(events.iter().filter(|e| e["type"] == kind).count(), count, "{kind}");
    }
    let all = json!(events).to_string();
    for secret in [
        "details",
        "sealed_seed",
        "COFFEE",
        "Coffee",
        "GB29NWBK",
        "GB94BARC",
        "\"1250\"",
        "\"minor\":1250",
        "m_42",
    ] {
        assert!(!all.contains(secret), "{secret} is in the history");
    }
    let one = sandbox.graphql(
        &token,
        "{ eventHistory(accountId: \"cus_b\") { nodes { stream version } } }",
        json!({}),
    );
    let one = nodes(&one["eventHistory"]);
    assert!(one.iter().all(|e| e["stream"] == "account:cus_b"));
    let versions: Vec<_> = one.iter().map(|e| e["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, (1..=one.len() as u64).collect::<Vec<_>>(), "versions have no holes");

    // The books balance wherever one looks.
    for n in [1, 2, events.len() / 2, events.len() - 1, events.len()] {
        let position = format!("0:{n}");
        let query = "query($at: String) { trialBalance(asOf: $at) { position difference { minor } accounts { account } } }";
        let books = sandbox.graphql(&token, query, json!({ "at": position }))["trialBalance"].take();
        assert_eq!((&books["position"], &books["difference"]["minor"]), (&json!(position), &json!("0")));
    }
    let accounts: Vec<Value> = nodes(&json!({ "nodes": sandbox.trial_balance()["accounts"] }));
    let of =
        |name: &str| accounts.iter().find(|a| a["account"] == name).unwrap_or_else(|| panic!("{accounts:?}"));
    assert_eq!(of("rewards-payable")["debits"], of("rewards-payable")["credits"]);
    assert_eq!(of("payout-rail")["credits"]["minor"], "750");
    assert_eq!(of("sponsor")["debits"]["minor"], "1000000");
}

#[test]
fn paging_gives_each_transaction_once_and_in_order() {
    const PAGE: &str = "query($after: String) { rewardAccount { transactions(first: 7, after: $after) \
        { nodes { transactionId } edges { cursor } pageInfo { hasNextPage endCursor } } } }";
    let home = Home::new();
    home.start_campaign("never", &campaign("never", 1, 100, 1_000_000));
    let sandbox = home.serve();
    let ids: Vec<String> = (0..50).map(|n| format!("t{n:02}")).collect();
    let rows: Vec<Value> = ids.iter().map(|id| purchase(id, "cus_a")).collect();
    let answers = sandbox.send(&sandbox.feed(), &rows);
    let token = sandbox.customer("cus_a");
    sandbox.graphql(&token, REWARDS, json!({ "min": answers[49]["position"] }));

    let (mut seen, mut pages, mut after) = (vec![], 0, Value::Null);
    loop {
        let page =
            sandbox.graphql(&token, PAGE, json!({ "after": after }))["rewardAccount"]["transactions"].take();
        seen.extend(nodes(&page).iter().map(|n| n["transactionId"].as_str().unwrap().to_owned()));
        pages += 1;
        after = page["pageInfo"]["endCursor"].clone();
        if pages == 2 {
            // What comes meanwhile is newer than all of this and moves nothing.
            let late = sandbox.send(&sandbox.feed(), &[purchase("late", "cus_a")]);
            sandbox.graphql(&token, REWARDS, json!({ "min": late[0]["position"] }));
        }
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    let expected: Vec<String> = ids.into_iter().rev().collect();
    assert_eq!((seen, pages), (expected, 8), "newest first, in 8 pages of 7");

    for bad in [
        "{ rewardAccount { transactions(first: 101) { nodes { id } } } }",
        "{ rewardAccount { transactions(first: -1) { nodes { id } } } }",
        "{ rewardAccount { transactions(after: \"nonsense\") { nodes { id } } } }",
        "{ rewardAccount { nothing } }",
        "{ rewardAccount",
    ] {
        let answer = sandbox.ask(&token, bad, json!({}));
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{bad}: {answer}");
    }
    // A query that would cost too much is refused before it runs.
    let deep = "{ rewardAccount { transactions(first: 100) { nodes { decision { draws { campaign { epochs(first: 100) { nodes { epoch } } } } } } } } }";
    assert!(sandbox.ask(&token, deep, json!({}))["errors"].is_array());
}

#[test]
fn a_budget_is_never_exceeded() {
    let home = Home::new();
    home.start_campaign("small", &campaign("small", CERTAIN, 300, 1_000));
    let sandbox = home.serve();
    let rows: Vec<Value> = (0..20).map(|n| purchase(&format!("t{n}"), &format!("cus_{}", n % 5))).collect();
    sandbox.send(&sandbox.feed(), &rows);
    sandbox.settle(PATIENCE);
    let shown = sandbox.graphql(
        &sandbox.auditor(),
        "{ campaign(campaignId: \"small\") { spent { minor } draws wins } drawProof(source: \"acme-bank\", transactionId: \"t19\") { tierMask draw { tier } } }",
        json!({}),
    );
    let campaign = json!({ "spent": { "minor": "900" }, "draws": "20", "wins": "3" });
    assert_eq!(shown["campaign"], campaign);
    assert_eq!(
        shown["drawProof"],
        json!([{ "tierMask": "1", "draw": { "tier": null } }]),
        "masked before the draw"
    );
    sandbox.stop();
    home.replayed();
}
