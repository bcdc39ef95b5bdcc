//! What rows are taken, and the helpers to write rows. Refused ones are in [`hostile`].

mod hostile;
mod properties;

use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
}

fn now() -> Timestamp {
    at("2026-11-22T12:00:00Z")
}

/// The example of `docs/concepts/wire-format.md`.
fn example() -> Value {
    json!({
        "source": "acme-bank", "transaction_id": "7f3c…", "account_id": "cus_0001",
        "status": "booked", "booked_at": "2026-11-22T10:15:00Z",
        "amount": { "minor": "1250", "currency": "GBP" }, "direction": "debit",
        "from_account": "GB29NWBK60161331926819", "to_account": "GB94BARC10201530093459",
        "description": "COFFEE HOUSE LONDON",
        "merchant": { "id": "m_42", "name": "Coffee House", "mcc": "5814", "country": "GB" },
        "pending_transaction_id": null, "refund_of": null
    })
}

/// The example with one field (a dotted path) set to a value, or taken away.
fn with(path: &str, value: Option<Value>) -> Value {
    let mut row = example();
    let (parent, key) = match path.split_once('.') {
        Some((parent, key)) => (&mut row[parent], key),
        None => (&mut row, path),
    };
    let fields = parent.as_object_mut().unwrap();
    match value {
        Some(value) => fields.insert(key.to_owned(), value),
        None => fields.remove(key),
    };
    row
}

fn parse(json: &[u8]) -> Result<Transaction, (RowCode, String)> {
    parse_row(json, now()).map_err(|rejected| (rejected.error.code, rejected.error.field.into_owned()))
}

fn parse_value(row: &Value) -> Result<Transaction, (RowCode, String)> {
    parse(row.to_string().as_bytes())
}

/// The example's text with one piece of it replaced, to write what `json!` cannot.
fn edited(from: &str, to: &str) -> Vec<u8> {
    let text = example().to_string();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn the_example_of_the_interface_is_understood() {
    let transaction = parse_value(&example()).unwrap();
    assert_eq!(transaction.source.as_str(), "acme-bank");
    assert_eq!(transaction.transaction_id.as_str(), "7f3c…");
    assert_eq!(transaction.account_id.as_str(), "cus_0001");
    assert_eq!(transaction.status, Status::Booked);
    assert_eq!(transaction.booked_at, at("2026-11-22T10:15:00Z"));
    assert_eq!(transaction.amount.expose().to_string(), "GBP 12.50");
    assert_eq!(transaction.direction, Direction::Debit);
    assert_eq!(transaction.from_account.unwrap().expose(), "GB29NWBK60161331926819");
    assert_eq!(transaction.to_account.unwrap().expose(), "GB94BARC10201530093459");
    assert_eq!(transaction.description.unwrap().expose(), "COFFEE HOUSE LONDON");
    let merchant = transaction.merchant.unwrap();
    assert_eq!(merchant.id.unwrap().expose(), "m_42");
    assert_eq!(merchant.name.unwrap().expose(), "Coffee House");
    assert_eq!(merchant.mcc.unwrap().expose().to_string(), "5814");
    assert_eq!(merchant.country.unwrap().expose(), "GB");
    assert_eq!((transaction.pending_transaction_id, transaction.refund_of), (None, None));
}

#[test]
fn optional_fields_may_be_absent_null_or_blank() {
    for value in [None, Some(Value::Null), Some(json!("")), Some(json!(" \u{a0}"))] {
        let mut row = example();
        for field in ["to_account", "description", "pending_transaction_id", "refund_of"] {
            row = with(field, value.clone());
            assert!(parse_value(&row).is_ok(), "{field}: {value:?}");
        }
        row["merchant"] = json!({"id": value, "name": value, "mcc": value, "country": value, "more": 1});
        assert_eq!(parse_value(&row).unwrap().merchant, None, "a merchant of whom nothing is known is none");
    }
    assert_eq!(parse_value(&with("merchant", None)).unwrap().merchant, None);
    assert_eq!(parse_value(&with("merchant", Some(Value::Null))).unwrap().merchant, None);
}

#[test]
fn a_row_of_eight_kibibytes_is_taken_and_unknown_fields_of_any_depth_are_ignored() {
    let padding = ROW_BYTES_MAX - with("more", Some(json!(""))).to_string().len();
    let row = with("more", Some(json!("x".repeat(padding)))).to_string();
    assert_eq!(row.len(), ROW_BYTES_MAX);
    assert!(parse(row.as_bytes()).is_ok());
    let deep = format!("{}{}", "{\"a\":".repeat(600), "[".repeat(600)) + &"]".repeat(600) + &"}".repeat(600);
    assert!(parse(&edited(r#""source":"#, &format!(r#""more":{deep},"source":"#))).is_ok());
    assert!(parse(&edited(r#""minor":"#, r#""more":1e999,"minor":"#)).is_ok());
}

#[test]
fn the_bounds_themselves_are_taken() {
    for (field, value) in [
        ("booked_at", json!("1970-01-01T00:00:00Z")),
        ("booked_at", json!("2026-11-23T12:00:00Z")),
        ("booked_at", json!("2026-11-22T10:15:00.5+05:30")),
        ("booked_at", json!("2016-12-31T23:59:60Z")),
        ("booked_at", json!("2017-01-01T00:59:60+01:00")),
        ("booked_at", json!("1970-01-01")),
        ("booked_at", json!("2026-11-23")),
        ("booked_at", json!("2024-02-29")),
        ("amount.minor", json!(0)),
        ("amount.minor", json!("000")),
        ("amount.minor", json!(i64::MAX)),
        ("amount.minor", json!("9223372036854775807")),
        ("amount.minor", json!("0000000000000000000000007")),
        ("transaction_id", json!("é".repeat(128))),
        ("from_account", json!("é".repeat(64))),
        ("description", json!("é".repeat(500))),
        ("description", json!("👩\u{200d}🍳 \"quoted\" \\ é")),
        ("merchant.id", json!("m".repeat(128))),
        ("merchant.mcc", json!("0000")),
        ("merchant.mcc", json!(9_999)),
    ] {
        assert!(parse_value(&with(field, Some(value.clone()))).is_ok(), "{field}: {value}");
    }
    assert!(parse(&edited(r#""source""#, r#""\u0073ource""#)).is_ok(), "an escaped key is the same key");
    assert!(parse(&edited(r#""1250""#, r#""\u0031250""#)).is_ok());
}

#[test]
fn a_removal_needs_its_ids_alone_and_nothing_else_of_it_is_looked_at() {
    let bare =
        json!({"source": "acme-bank", "transaction_id": "t", "account_id": "cus_1", "status": "removed"});
    assert_eq!(parse_value(&bare).unwrap().status, Status::Removed);
    let hostile = [
        ("booked_at", json!("9999-99-99")),
        ("amount", json!(-1)),
        ("direction", json!("sideways")),
        ("from_account", json!("****6819")),
        ("description", json!("é".repeat(501))),
        ("merchant", json!({ "mcc": "x" })),
        ("pending_transaction_id", json!("4111111111111111")),
        ("refund_of", json!([])),
    ];
    for (field, value) in hostile {
        let mut row = bare.clone();
        row[field] = value;
        assert_eq!(parse_value(&row), parse_value(&bare), "{field}");
        row["status"] = json!("booked");
        assert!(parse_value(&row).is_err(), "{field}");
    }
    for field in ["source", "transaction_id", "account_id", "status"] {
        let mut row = bare.clone();
        row[field] = Value::Null;
        assert_eq!(parse_value(&row).err(), Some((RowCode::Missing, field.to_owned())));
    }
}

#[test]
fn the_customers_own_side_is_required_and_the_other_never_is() {
    for (direction, own, other) in
        [("debit", "from_account", "to_account"), ("credit", "to_account", "from_account")]
    {
        let side = |field, value: Option<Value>| {
            let mut row = with(field, value);
            row["direction"] = json!(direction);
            parse_value(&row)
        };
        for nothing in [None, Some(Value::Null), Some(json!(" "))] {
            assert_eq!(side(own, nothing.clone()).err(), Some((RowCode::Missing, own.to_owned())));
            assert!(side(other, nothing).unwrap().own_account().is_some());
        }
        assert_eq!(side(own, Some(json!("****6819"))).err(), Some((RowCode::Malformed, own.to_owned())));
        assert!(side(other, Some(json!("****6819"))).is_ok());
    }
}

#[test]
fn what_no_rule_reads_costs_no_draw() {
    let text = |json: &str| {
        let transaction = parse(&edited(r#""COFFEE HOUSE LONDON""#, json)).unwrap();
        let name = parse(&edited(r#""Coffee House""#, json)).unwrap().merchant.unwrap().name;
        assert_eq!(name, transaction.description);
        transaction.description.map(|text| text.expose().clone())
    };
    for (json, read) in [
        (r#""COFFEE\tHOUSE\nLONDON""#, Some("COFFEE HOUSE LONDON")),
        (r#""a\u0092b\u0000c\u001b[31m""#, Some("a b c [31m")),
        (r#""a \ud800 b""#, Some("a \u{FFFD} b")),
        (r#""\udc00\ud83d\ude00\ud83d""#, Some("\u{FFFD}😀\u{FFFD}")),
        (r#""CARD 4111\u00001111\n1111 1111""#, Some("CARD **** **** **** ****")),
        (r#""4111\ud8001111\udc0011111111""#, Some("****\u{FFFD}****\u{FFFD}********")),
        (r#""say \"hi\" \\""#, Some(r#"say "hi" \"#)),
        (r#""\u0000\n""#, None),
        (r#""""#, None),
        ("null", None),
    ] {
        assert_eq!(text(json).as_deref(), read, "{json}");
    }
}

#[test]
fn categories_and_countries_are_read_however_a_feed_writes_them() {
    for (value, read) in
        [(json!("742"), "0742"), (json!(742), "0742"), (json!(5814), "5814"), (json!(" 5814 "), "5814")]
    {
        let merchant = parse_value(&with("merchant.mcc", Some(value))).unwrap().merchant.unwrap();
        assert_eq!(merchant.mcc.unwrap().expose().to_string(), read);
    }
    for value in ["gb", "Gb", " GB"] {
        let merchant = parse_value(&with("merchant.country", Some(json!(value)))).unwrap().merchant.unwrap();
        assert_eq!(merchant.country.unwrap().expose(), "GB");
    }
}

#[test]
fn retired_currencies_are_taken() {
    for code in ["BGN", "HRK", "ANG", "ZWL", "DEM", "VES", "VED"] {
        assert!(parse_value(&with("amount.currency", Some(json!(code)))).is_ok(), "{code}");
    }
}

#[test]
fn a_leap_second_stays_in_its_day() {
    for (text, read) in [
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
        ("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:59.999999Z"),
        ("2017-01-01T00:59:60+01:00", "2016-12-31T23:59:59.999999Z"),
        ("2016-12-31T23:59:59.9999999Z", "2016-12-31T23:59:59.999999Z"),
    ] {
        let transaction = parse_value(&with("booked_at", Some(json!(text)))).unwrap();
        assert_eq!(transaction.booked_at.to_string(), read, "{text}");
    }
}

/// At noon of the 22nd: tomorrow's midnight UTC is within 24 hours, the one after it is not.
#[test]
fn a_date_without_a_time_is_its_midnight_utc_and_says_so() {
    for (text, read, time_known) in [
        ("2026-11-22", "2026-11-22T00:00:00Z", false),
        ("2026-11-23", "2026-11-23T00:00:00Z", false),
        ("2026-11-22T00:00:00Z", "2026-11-22T00:00:00Z", true),
    ] {
        let transaction = parse_value(&with("booked_at", Some(json!(text)))).unwrap();
        assert_eq!((transaction.booked_at, transaction.time_known), (at(read), time_known), "{text}");
    }
    for (text, code) in [
        ("2026-11-24", RowCode::BookedInFuture),
        ("9999-12-31", RowCode::BookedInFuture),
        ("1969-12-31", RowCode::OutOfRange),
        ("12026-11-22", RowCode::OutOfRange),
        ("2026-02-29", RowCode::Malformed),
        ("2026-13-01", RowCode::Malformed),
        ("2026-1-2", RowCode::Malformed),
        ("2026-11-2", RowCode::Malformed),
        ("20261122", RowCode::Malformed),
        ("2026/11/22", RowCode::Malformed),
        ("2026-11-22Z", RowCode::Malformed),
        ("2026-11-22 ", RowCode::Malformed),
        ("2026-11-22T10:15:00", RowCode::Malformed),
        ("2026-W47-7", RowCode::Malformed),
        ("２０２６-11-22", RowCode::Malformed),
    ] {
        let refused = parse_value(&with("booked_at", Some(json!(text)))).err();
        assert_eq!(refused, Some((code, "booked_at".to_owned())), "{text}");
    }
}

/// Some languages make a float of every number: what is wrong is that it is no code, not that it is
/// no text.
#[test]
fn a_category_that_is_no_whole_number_is_told_what_a_category_is() {
    for value in [json!(5814.0), json!(58.14), json!(-5814), json!(true), json!("58"), json!([5814])] {
        let row = with("merchant.mcc", Some(value.clone())).to_string();
        let error = parse_row(row.as_bytes(), now()).unwrap_err().error;
        let said = (error.code, &*error.field, error.message.contains("three or four digits"));
        assert_eq!(said, (RowCode::Malformed, "merchant.mcc", true), "{value}");
    }
}
