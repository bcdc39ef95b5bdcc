//! What operators see: metrics have the main series, and nothing personal gets anywhere.

use rewardhub_tests::rows::{CERTAIN, campaign, ndjson, purchase};
use rewardhub_tests::{Home, PATIENCE, Sandbox, eventually};
use serde_json::json;

#[test]
fn metrics_have_the_main_series() {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    let sandbox = home.serve();
    sandbox.send(&sandbox.feed(), &[purchase("t1", "cus_1")]);
    sandbox.settle(PATIENCE);
    sandbox.post("no.such.token", "application/json", "[]");
    sandbox.get("/no/such/path/as/cus_1");
    // The lag is looked at every so often, beside the runner.
    let in_step = "rewardhub_projection_lag_events{projection=\"trial_balance\"} 0";
    let answer = eventually("the lag to be none", PATIENCE, || {
        let answer = sandbox.get("/metrics");
        answer.body.as_str().unwrap().contains(in_step).then_some(answer)
    });
    assert!(answer.content_type.starts_with("text/plain; version=0.0.4"), "{}", answer.content_type);
    let text = answer.body.as_str().unwrap().to_owned();
    for series in [
        "rewardhub_http_requests_total{method=\"POST\",route=\"/v1/transactions\",status=\"200\"} 1",
        "rewardhub_http_requests_total{method=\"POST\",route=\"/v1/transactions\",status=\"401\"} 1",
        "rewardhub_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"} 1",
        "rewardhub_http_request_seconds",
        "rewardhub_tokens_refused_total{reason=\"malformed\"} 1",
        "rewardhub_ledger_append_seconds",
        "rewardhub_ledger_batch_events",
        "rewardhub_ledger_position ",
        "rewardhub_projection_position{projection=\"rewards\"}",
        "rewardhub_step_under_way{step=\"issue\"}",
        "rewardhub_step_under_way{step=\"notify\"}",
        "rewardhub_step_under_way{step=\"credit\"}",
        "rewardhub_step_under_way{step=\"resume\"}",
    ] {
        assert!(text.contains(series), "{series} is missing:\n{text}");
    }
    assert!(!text.contains("cus_1"), "no id gets into a metric");
    let head = sandbox.trial_balance()["position"].as_str().unwrap().trim_start_matches("0:").to_owned();
    assert!(text.contains(&format!("rewardhub_ledger_position {head}\n")), "{text}");
}

/// Values that appear nowhere else.
const CARD: &str = "4929420573595709";
const SECRETS: [&str; 9] = [
    CARD,
    "ZEBRA PARADE",
    "Quagga Traders",
    "987654321012",
    "GB33BUKB20201555555555",
    "DE89370400440532013000",
    "jo.bloggs",
    "m_okapi",
    "eyJ",
];

#[test]
fn logs_at_their_most_talkative_hold_nothing_personal() {
    let home = Home::new();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 1_000_000));
    let sandbox = Sandbox::start_with(&home.data(), &["--rate", "0"], &[("REWARDHUB_LOG_LEVEL", "debug")]);
    let mut good = purchase("t1", "cus_1");
    good["amount"]["minor"] = json!("987654321012");
    good["description"] = json!("ZEBRA PARADE");
    good["from_account"] = json!("GB33BUKB20201555555555");
    good["to_account"] = json!("DE89370400440532013000");
    good["merchant"] = json!({ "id": "m_okapi", "name": "Quagga Traders", "mcc": "8999", "country": "GB" });
    let with = |field: &str, value: serde_json::Value| {
        let mut row = good.clone();
        row[field] = value;
        row
    };
    let rows = [
        good.clone(),
        with("description", json!(format!("ZEBRA PARADE {CARD}"))),
        with("transaction_id", json!(CARD)),
        with("account_id", json!("jo.bloggs@example.com")),
        with("status", json!("ZEBRA PARADE")),
        with("booked_at", json!("ZEBRA PARADE")),
        with("amount", json!({ "minor": "-987654321012", "currency": "GBP" })),
        with("merchant", json!("Quagga Traders")),
        // The same id with other terms: a conflict.
        with("amount", json!({ "minor": "9876543210123", "currency": "GBP" })),
    ];
    let feed = sandbox.feed();
    let answers = sandbox.send(&feed, &rows);
    assert_eq!(answers[0]["result"], "accepted");
    // Its card number is masked; the terms are those of the first.
    assert_eq!(answers[1]["result"], "duplicate");
    assert!(answers[2..].iter().all(|answer| answer["result"] == "rejected"), "{answers:?}");
    sandbox.post(&feed, "application/json", format!("{{\"description\": \"ZEBRA PARADE {CARD}"));
    sandbox.post(&feed, "application/x-ndjson", ndjson(&["{\"amount\": ZEBRA PARADE"]));
    sandbox.post(&format!("{feed}x"), "application/json", "[]");
    sandbox.settle(PATIENCE);
    let customer = sandbox.customer("cus_1");
    let query = "{ rewardAccount { transactions { nodes { details { amount { minor } description merchantName } } } } }";
    let shown = sandbox.graphql(&customer, query, json!({}));
    assert!(shown.to_string().contains("ZEBRA PARADE"), "the owner sees it: {shown}");
    sandbox.ask(&customer, "{ node(id: \"ZEBRA PARADE\") { id ZEBRA } }", json!({ "v": "Quagga Traders" }));
    let metrics = sandbox.get("/metrics").body.to_string();
    let ended = sandbox.stop_by("TERM").expect_code(0);
    let said = ended.stdout + &ended.stderr;
    assert!(said.contains("DEBUG") && said.contains("answered"), "there are logs to search: {said}");
    for secret in SECRETS.into_iter().chain([feed.as_str(), customer.as_str()]) {
        for (place, text) in [("the logs", &said), ("the metrics", &metrics)] {
            let line = text.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{secret} is in {place}: {line:?}");
        }
        let answers = serde_json::to_string(&answers).unwrap();
        assert!(!answers.contains(secret), "{secret} is in an answer: {answers}");
    }
    // Nor in any file, but for what is sealed: neither in the clear nor as part of an error kept
    // somewhere.
    for entry in std::fs::read_dir(home.data()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for secret in SECRETS.iter().filter(|secret| secret.len() > 6) {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in the clear in {}", path.display());
        }
    }
}
