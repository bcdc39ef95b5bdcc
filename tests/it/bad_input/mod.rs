//! Bad input gets a precise error and changes nothing; good neighbours are taken.

mod access;

use rewardhub_tests::rows::{ndjson, purchase, seconds_from_now};
use rewardhub_tests::{Answer, Home, Sandbox};
use serde_json::{Value, json};

const DAY: i64 = 24 * 60 * 60;
const CARD: &str = "4111 1111 1111 1111";

/// A row of which one field, named by its dotted path, is something else; `None` takes it out.
fn with(path: &str, value: Option<Value>) -> Value {
    let mut row = purchase("bad", "cus_bad");
    let (parent, field) = path.rsplit_once('.').map_or(("", path), |(parent, field)| (parent, field));
    let place = if parent.is_empty() { &mut row } else { &mut row[parent] };
    let place = place.as_object_mut().unwrap();
    match value {
        Some(value) => place.insert(field.into(), value),
        None => place.remove(field),
    };
    row
}

/// Each bad row and what it must be told.
fn bad_rows() -> Vec<(&'static str, &'static str, Value)> {
    let mut table: Vec<(&str, &str, Value)> = [
        ("out_of_range", "amount.minor", json!("-1250")),
        ("out_of_range", "amount.minor", json!(-1250)),
        ("out_of_range", "amount.minor", json!("9223372036854775808")),
        ("out_of_range", "amount.minor", json!(u64::MAX)),
        ("out_of_range", "amount.minor", json!("9".repeat(300))),
        ("malformed", "amount.minor", json!(12.5)),
        ("malformed", "amount.minor", json!("12.50")),
        ("malformed", "amount.minor", json!("1e3")),
        ("malformed", "amount.minor", json!("0x10")),
        ("malformed", "amount.minor", json!("NaN")),
        ("malformed", "amount.minor", json!({ "minor": 5 })),
        ("missing", "amount.minor", json!(null)),
        ("missing", "amount", json!(null)),
        ("malformed", "amount", json!("12.50 GBP")),
        ("currency_unknown", "amount.currency", json!("ZZZ")),
        ("currency_unknown", "amount.currency", json!("gbp")),
        ("currency_unknown", "amount.currency", json!("XXX")),
        ("missing", "transaction_id", json!("   ")),
        ("missing", "transaction_id", json!("")),
        ("too_long", "transaction_id", json!("t".repeat(129))),
        ("malformed", "transaction_id", json!("a\u{0}b")),
        ("malformed", "transaction_id", json!("a\u{7}b")),
        ("malformed", "transaction_id", json!("a\u{202e}b")),
        ("malformed", "transaction_id", json!(17)),
        ("pan_detected", "transaction_id", json!("4111111111111111")),
        ("malformed", "source", json!("acme\nbank")),
        ("too_long", "source", json!("s".repeat(129))),
        ("missing", "account_id", json!(null)),
        ("malformed", "account_id", json!("jo.bloggs@example.com")),
        ("pan_detected", "account_id", json!("4111111111111111")),
        ("pan_detected", "account_id", json!("4111-1111-1111-1111")),
        ("too_long", "account_id", json!("c".repeat(5_000))),
        ("malformed", "booked_at", json!("2026-02-30T10:15:00Z")),
        ("malformed", "booked_at", json!("2025-02-29T10:15:00Z")),
        ("malformed", "booked_at", json!("2026-11-22T25:15:00Z")),
        ("malformed", "booked_at", json!("2026-11-22T10:15:00")),
        ("malformed", "booked_at", json!("yesterday")),
        ("malformed", "booked_at", json!(1_795_000_000)),
        ("out_of_range", "booked_at", json!("10000-01-01T00:00:00Z")),
        ("out_of_range", "booked_at", json!("1969-12-31T23:59:59Z")),
        ("booked_in_future", "booked_at", json!(seconds_from_now(7 * DAY))),
        ("booked_in_future", "booked_at", json!(seconds_from_now(DAY + 300))),
        ("booked_in_future", "booked_at", json!("9999-12-31T23:59:59Z")),
        ("unknown_value", "status", json!("settled")),
        ("unknown_value", "status", json!("BOOKED")),
        ("unknown_value", "direction", json!("sideways")),
        ("pan_detected", "from_account", json!(CARD)),
        ("pan_detected", "merchant.id", json!("4111.1111.1111.1111")),
        ("malformed", "from_account", json!("****6819")),
        ("malformed", "account_id", json!("..")),
        ("too_long", "description", json!("d".repeat(501))),
        ("malformed", "merchant.mcc", json!(58_140)),
        ("malformed", "merchant.mcc", json!("58")),
        ("malformed", "merchant", json!([])),
        ("too_long", "refund_of", json!("r".repeat(129))),
    ]
    .into_iter()
    .map(|(code, field, value)| (code, field, with(field, Some(value))))
    .collect();
    for field in [
        "source",
        "transaction_id",
        "account_id",
        "status",
        "booked_at",
        "amount",
        "direction",
        "from_account",
    ] {
        table.push(("missing", field, with(field, None)));
    }
    table.extend([
        ("too_long", "", with("more", Some(json!("x".repeat(9_000))))),
        ("malformed", "", json!(null)),
        ("malformed", "", json!("text")),
        ("malformed", "", json!(12)),
        ("malformed", "", json!([purchase("nested", "cus_bad")])),
        ("missing", "source", json!({})),
    ]);
    table
}

fn assert_rejected(answer: &Value, code: &str, field: &str, row: &str) {
    let row: String = row.chars().take(200).collect();
    assert_eq!(answer["result"], "rejected", "{row}: {answer}");
    assert_eq!(answer["position"], Value::Null, "{row}");
    let error = &answer["error"];
    assert_eq!(
        (error["code"].as_str(), error["field"].as_str()),
        (Some(code), Some(field)),
        "{row}: {answer}"
    );
    assert!(!error["message"].as_str().unwrap().is_empty());
}

/// How many events there are.
fn events(sandbox: &Sandbox) -> usize {
    const QUERY: &str = "query($after: String) { eventHistory(first: 100, afterPosition: $after) \
        { nodes { position type } pageInfo { hasNextPage } } }";
    let (token, mut after, mut count) = (sandbox.auditor(), Value::Null, 0);
    loop {
        let page = sandbox.graphql(&token, QUERY, json!({ "after": after }))["eventHistory"].take();
        let nodes = page["nodes"].as_array().unwrap();
        count += nodes.len();
        if page["pageInfo"]["hasNextPage"] == false {
            return count;
        }
        after = nodes.last().unwrap()["position"].clone();
    }
}

#[test]
fn every_bad_row_is_told_what_is_wrong_and_takes_no_neighbour_along() {
    let home = Home::new();
    // No campaign draws here, so that no reward's own events are counted.
    home.run(&[
        "campaign",
        "create",
        rewardhub_tests::text(&home.write("c.yaml", rewardhub_tests::rows::campaign("draft", 1, 1, 1))),
        "--by",
        "alice",
    ])
    .expect_code(0);
    let sandbox = home.serve();
    let feed = sandbox.feed();
    assert_eq!(sandbox.send(&feed, &[purchase("first", "cus_good")])[0]["result"], "accepted");
    let before = events(&sandbox);

    let table = bad_rows();
    let mut rows = vec![purchase("good-0", "cus_good")];
    for (place, (_, _, row)) in table.iter().enumerate() {
        rows.extend([row.clone(), purchase(&format!("good-{}", place + 1), "cus_good")]);
    }
    let answers = sandbox.send(&feed, &rows);
    assert_eq!(answers.len(), rows.len());
    for (place, (code, field, row)) in table.iter().enumerate() {
        assert_rejected(&answers[2 * place + 1], code, field, &row.to_string());
    }
    for good in answers.iter().step_by(2) {
        assert_eq!(good["result"], "accepted", "{good}");
    }
    // One event for each good row, none for any bad one.
    assert_eq!(events(&sandbox), before + table.len() + 1);
    // As NDJSON they are told the same.
    let answer = sandbox.post(&feed, "application/x-ndjson", ndjson(&rows));
    for (place, (code, field, row)) in table.iter().enumerate() {
        assert_rejected(&answer.rows()[2 * place + 1], code, field, &row.to_string());
        assert_eq!(answer.rows()[2 * place]["result"], "duplicate");
    }
    assert_eq!(events(&sandbox), before + table.len() + 1);
    let history = sandbox.graphql(
        &sandbox.auditor(),
        "{ rewardAccount(accountId: \"cus_bad\") { id } eventHistory(accountId: \"cus_bad\") { nodes { position } } }",
        json!({}),
    );
    assert_eq!(history, json!({ "rewardAccount": null, "eventHistory": { "nodes": [] } }));
    // And nothing we said of them shows what they held.
    let said = serde_json::to_string(&answers).unwrap()
        + &sandbox.said()
        + &sandbox.get("/metrics").body.to_string();
    for secret in ["4111", "jo.bloggs", "example.com"] {
        assert!(!said.contains(secret), "{secret} is repeated");
    }
    sandbox.stop();
    home.replayed();
}

#[test]
fn a_line_that_is_no_json_stays_alone() {
    let home = Home::new();
    let sandbox = home.serve();
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let edited = |from: &str, to: &[u8]| {
        let row = purchase("bad", "cus_bad").to_string();
        let (before, after) = row.split_once(from).unwrap();
        [before.as_bytes(), to, after.as_bytes()].concat()
    };
    let table: Vec<(&str, &str, Vec<u8>)> = vec![
        ("malformed", "transaction_id", b"{\"transaction_id\":".to_vec()),
        ("malformed", "", b"no json".to_vec()),
        ("malformed", "", b"\x00\x01\x02".to_vec()),
        ("malformed", "", deep(3_000).into_bytes()),
        ("too_long", "", deep(100_000).into_bytes()),
        ("malformed", "amount.minor", edited("\"1250\"", deep(3_000).as_bytes())),
        ("malformed", "amount.minor", edited("\"1250\"", b"1e3")),
        ("malformed", "amount.minor", edited("\"1250\"", b"1250.0")),
        ("malformed", "amount.minor", edited("\"1250\"", b"1,\"minor\":2")),
        ("malformed", "description", edited("COFFEE HOUSE", b"COFFEE\xffHOUSE")),
        ("malformed", "description", edited("COFFEE HOUSE", b"COFFEE\x00HOUSE")),
        ("malformed", "merchant.id", edited("m_42", br"m_\ud800")),
        ("malformed", "transaction_id", edited("\"bad\"", b"\"b\xc3\x28d\"")),
    ];
    let mut body = Vec::new();
    for (place, (_, _, row)) in table.iter().enumerate() {
        body.extend_from_slice(row);
        body.push(b'\n');
        body.extend_from_slice(ndjson(&[purchase(&format!("good-{place}"), "cus_good")]).as_bytes());
    }
    let feed = sandbox.feed();
    let answer = sandbox.post(&feed, "application/x-ndjson; charset=utf-8", body);
    for (place, (code, field, row)) in table.iter().enumerate() {
        // A row that is too long and broken may be told either.
        let code = if answer.rows()[2 * place]["error"]["code"] == "malformed" && *code == "too_long" {
            "malformed"
        } else {
            code
        };
        assert_rejected(&answer.rows()[2 * place], code, field, &String::from_utf8_lossy(row));
        assert_eq!(answer.rows()[2 * place + 1]["result"], "accepted");
    }
    assert_eq!(answer.rows().len(), 2 * table.len());
    sandbox.stop();
    home.replayed();
}

#[test]
fn the_smallest_and_the_largest_that_is_allowed_is_taken() {
    let home = Home::new();
    let sandbox = home.serve();
    let good = [
        ("amount.minor", json!(1)),
        ("amount.minor", json!(i64::MAX)),
        ("amount.minor", json!("0001250")),
        ("amount.currency", json!("JPY")),
        ("account_id", json!("c".repeat(128))),
        ("source", json!("é".repeat(128))),
        ("description", json!("d".repeat(500))),
        ("description", Value::Null),
        ("merchant", Value::Null),
        ("to_account", Value::Null),
        ("booked_at", json!("1970-01-01T00:00:00Z")),
        ("booked_at", json!("2024-02-29T23:59:59.999999+14:00")),
        ("more", json!({ "unknown": ["fields", "are", "ignored"] })),
    ];
    let rows: Vec<Value> = good
        .into_iter()
        .enumerate()
        .map(|(place, (field, value))| {
            let mut row = with(field, Some(value));
            row["transaction_id"] = json!(format!("good-{place}"));
            row
        })
        .collect();
    for (row, answer) in rows.iter().zip(sandbox.send(&sandbox.feed(), &rows)) {
        assert_eq!(answer["result"], "accepted", "{row}: {answer}");
    }
    // Booked within the next 24 hours: it waits or is decided, but is not refused.
    let mut soon = purchase("soon", "cus_1");
    soon["booked_at"] = json!(seconds_from_now(DAY - 300));
    let answer = sandbox.send(&sandbox.feed(), &[soon]);
    assert!(["deferred", "accepted"].contains(&answer[0]["result"].as_str().unwrap()), "{answer:?}");
    sandbox.stop();
    home.replayed();
}

#[test]
fn an_id_used_again_for_something_else_is_a_conflict_and_the_first_stands() {
    let home = Home::new();
    let sandbox = home.serve();
    let feed = sandbox.feed();
    let first = sandbox.send(&feed, &[purchase("t1", "cus_1")]);
    for (field, value) in [("minor", json!("1251")), ("currency", json!("EUR"))] {
        let mut row = purchase("t1", "cus_1");
        row["amount"][field] = value;
        assert_rejected(&sandbox.send(&feed, &[row])[0], "conflict", "transaction_id", field);
    }
    let again = sandbox.send(&feed, &[purchase("t1", "cus_1")]);
    assert_eq!((&again[0]["result"], &again[0]["position"]), (&json!("duplicate"), &first[0]["position"]));
    sandbox.stop();
    home.replayed();
}

fn assert_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.content_type, "application/problem+json");
    assert_eq!(answer.body["status"], status, "{answer:?}");
    for field in ["type", "title", "detail"] {
        assert!(answer.body[field].is_string(), "{answer:?}");
    }
}

#[test]
fn a_request_that_cannot_be_read_is_refused_as_a_whole() {
    let home = Home::new();
    let sandbox = home.serve();
    let feed = sandbox.feed();
    let row = purchase("t1", "cus_1");
    let before = events(&sandbox);

    let many = |rows: usize| ndjson(&vec![&row; rows]);
    let array = |rows: usize| serde_json::to_vec(&vec![&row; rows]).unwrap();
    // The limit is 5,000 rows and 5 MiB, whichever comes first.
    assert_problem(&sandbox.post(&feed, "application/x-ndjson", ndjson(&vec!["{}"; 5_001])), 413);
    assert_problem(
        &sandbox.post(&feed, "application/json", serde_json::to_vec(&vec![json!({}); 5_001]).unwrap()),
        413,
    );
    assert_problem(&sandbox.post(&feed, "application/x-ndjson", vec![b' '; 6 << 20]), 413);
    assert_problem(&sandbox.post(&feed, "application/json", vec![b'['; 6 << 20]), 413);
    assert_problem(&sandbox.post(&feed, "text/csv", many(1)), 415);
    assert_problem(&sandbox.post(&feed, "", many(1)), 415);
    assert_problem(&sandbox.post(&feed, "application/jsonx", many(1)), 415);
    let empty = sandbox.post(&feed, "application/json", "");
    assert_problem(&empty, 400);
    assert!(empty.body["detail"].as_str().unwrap().starts_with("the body is empty"), "{empty:?}");
    for broken in ["{", "[{]", "nonsense", "[1,2", "{}{}", "[{}] trailing"] {
        let answer = sandbox.post(&feed, "application/json", broken);
        assert_problem(&answer, 400);
        assert!(answer.body["detail"].as_str().unwrap().contains("line 1"), "{answer:?}");
    }
    assert_problem(&sandbox.post(&feed, "application/json", "[".repeat(1 << 20)), 400);
    assert_problem(&sandbox.get("/v1/transactions"), 405);
    assert_problem(&sandbox.get("/v1/nothing"), 404);
    assert_eq!(events(&sandbox), before, "none of it was taken");

    // Nothing at all is a request without rows, and one object is one row.
    assert_eq!(sandbox.post(&feed, "application/json", "[]").rows(), [] as [Value; 0]);
    assert_eq!(sandbox.post(&feed, "application/x-ndjson", "\n\n").rows(), [] as [Value; 0]);
    assert_eq!(sandbox.post(&feed, "application/json", row.to_string()).rows().len(), 1);
    let full = sandbox.post(&feed, "application/json", array(5_000));
    assert_eq!(full.rows().len(), 5_000, "exactly the limit");
    assert!(full.rows().iter().all(|answer| answer["result"] == "duplicate"));
    sandbox.stop();
}
