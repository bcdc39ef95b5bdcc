//! Hostile rows as a table, and properties over arbitrary ones.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
}

fn now() -> Timestamp {
    at("2026-11-22T12:00:00Z")
}

/// The example of `interfaces.md`.
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

fn parse(json: &[u8]) -> Result<Transaction, (Code, String)> {
    parse_row(json, now()).map_err(|rejected| (rejected.error.code, rejected.error.field.into_owned()))
}

fn parse_value(row: &Value) -> Result<Transaction, (Code, String)> {
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
    assert_eq!(transaction.from_account.expose(), "GB29NWBK60161331926819");
    assert_eq!(transaction.to_account.unwrap().expose(), "GB94BARC10201530093459");
    assert_eq!(transaction.description.unwrap().expose(), "COFFEE HOUSE LONDON");
    let merchant = transaction.merchant.unwrap();
    assert_eq!(merchant.id.unwrap().expose(), "m_42");
    assert_eq!(merchant.name.unwrap().expose(), "Coffee House");
    assert_eq!(merchant.mcc.unwrap().expose().to_string(), "5814");
    assert_eq!(merchant.country.unwrap().expose(), "GB");
    assert_eq!(
        (transaction.pending_transaction_id, transaction.refund_of),
        (None, None)
    );
}

#[test]
fn hostile_values_are_refused_by_code_and_field() {
    let pan = "4111 1111 1111 1111";
    let plain_pan = "4111111111111111";
    let long = |length: usize| "é".repeat(length);
    let table = [
        (Code::Malformed, "source", json!("a\u{0}b")),
        (Code::Malformed, "source", json!(1)),
        (Code::PanDetected, "source", json!(plain_pan)),
        (Code::Missing, "transaction_id", json!("")),
        (Code::Missing, "transaction_id", json!(" \u{a0}\t")),
        (Code::TooLong, "transaction_id", json!(long(129))),
        (Code::Malformed, "transaction_id", json!("a\u{200b}b")),
        (Code::Malformed, "transaction_id", json!(" a")),
        (Code::Malformed, "transaction_id", json!({"id": 1})),
        (Code::PanDetected, "transaction_id", json!("4111-1111-1111-1111")),
        (Code::Malformed, "account_id", json!("jane@example.com")),
        (Code::PanDetected, "account_id", json!(pan)),
        (Code::TooLong, "account_id", json!("x".repeat(129))),
        (Code::UnknownValue, "status", json!("Booked")),
        (Code::UnknownValue, "status", json!("settled")),
        (Code::Malformed, "status", json!(true)),
        (Code::Missing, "status", json!("  ")),
        (Code::Malformed, "booked_at", json!("2026-02-29T10:15:00Z")),
        (Code::Malformed, "booked_at", json!("2026-11-31T10:15:00Z")),
        (Code::Malformed, "booked_at", json!("2026-11-22T24:00:00Z")),
        (Code::Malformed, "booked_at", json!("2026-11-22T10:15:00")),
        (Code::Malformed, "booked_at", json!("2026-11-22")),
        (Code::Malformed, "booked_at", json!("2026-11-22T10:15:60Z")),
        (Code::Malformed, "booked_at", json!("2016-12-30T23:59:60Z")),
        (Code::Malformed, "booked_at", json!("2026-11-22T1é:15:00Z")),
        (Code::Malformed, "booked_at", json!(1_795_000_000)),
        (Code::OutOfRange, "booked_at", json!("10000-01-01T00:00:00Z")),
        (Code::OutOfRange, "booked_at", json!("+10000-01-01T00:00:00Z")),
        (Code::Malformed, "booked_at", json!("10000-13-01T00:00:00Z")),
        (
            Code::OutOfRange,
            "booked_at",
            json!("1969-12-31T23:59:59.999999999Z"),
        ),
        (Code::OutOfRange, "booked_at", json!("0000-01-01T00:00:00Z")),
        (Code::OutOfRange, "booked_at", json!("1970-01-01T00:00:00+00:01")),
        (
            Code::BookedInFuture,
            "booked_at",
            json!("2026-11-23T12:00:00.000001Z"),
        ),
        (Code::BookedInFuture, "booked_at", json!("2026-11-29T12:00:00Z")),
        (
            Code::BookedInFuture,
            "booked_at",
            json!("9999-12-31T23:59:59-23:59"),
        ),
        (Code::Malformed, "amount", json!(1250)),
        (Code::Malformed, "amount", json!("12.50 GBP")),
        (
            Code::Malformed,
            "amount",
            json!([{"minor": 1, "currency": "GBP"}]),
        ),
        (Code::Missing, "amount.minor", json!("")),
        (Code::OutOfRange, "amount.minor", json!(0)),
        (Code::OutOfRange, "amount.minor", json!("0")),
        (Code::OutOfRange, "amount.minor", json!("000")),
        (Code::OutOfRange, "amount.minor", json!(-5)),
        (Code::OutOfRange, "amount.minor", json!("-5")),
        (
            Code::OutOfRange,
            "amount.minor",
            json!(9_223_372_036_854_775_808_u64),
        ),
        (Code::OutOfRange, "amount.minor", json!("9223372036854775808")),
        (Code::OutOfRange, "amount.minor", json!("9".repeat(400))),
        (Code::Malformed, "amount.minor", json!(12.5)),
        (Code::Malformed, "amount.minor", json!("12.5")),
        (Code::Malformed, "amount.minor", json!("1e3")),
        (Code::Malformed, "amount.minor", json!("+5")),
        (Code::Malformed, "amount.minor", json!("-")),
        (Code::Malformed, "amount.minor", json!(" 5")),
        (Code::Malformed, "amount.minor", json!("5\u{0}")),
        (Code::Malformed, "amount.minor", json!("٣")),
        (Code::Malformed, "amount.minor", json!(true)),
        (Code::Malformed, "amount.minor", json!([5])),
        (Code::CurrencyUnknown, "amount.currency", json!("ZZZ")),
        (Code::CurrencyUnknown, "amount.currency", json!("gbp")),
        (Code::CurrencyUnknown, "amount.currency", json!("XAU")),
        (Code::Malformed, "amount.currency", json!(826)),
        (Code::UnknownValue, "direction", json!("out")),
        (Code::Malformed, "direction", json!(-1)),
        (Code::TooLong, "from_account", json!(long(65))),
        (Code::TooLong, "from_account", json!(long(129))),
        (Code::Malformed, "from_account", json!("GB29\u{7}")),
        (Code::Malformed, "from_account", json!(60_161_331_926_819_u64)),
        (Code::PanDetected, "from_account", json!(plain_pan)),
        (Code::TooLong, "to_account", json!("x".repeat(65))),
        (Code::PanDetected, "to_account", json!(pan)),
        (Code::TooLong, "description", json!(long(501))),
        (Code::Malformed, "description", json!("COFFEE\u{0}")),
        (Code::Malformed, "description", json!("COFFEE\nHOUSE")),
        (Code::Malformed, "description", json!({"text": "COFFEE"})),
        (
            Code::PanDetected,
            "description",
            json!(format!("CARD {pan} LONDON")),
        ),
        (Code::Malformed, "merchant", json!("Coffee House")),
        (Code::Malformed, "merchant", json!([])),
        (Code::Malformed, "merchant", json!(1.5)),
        (Code::TooLong, "merchant.id", json!("m".repeat(129))),
        (Code::PanDetected, "merchant.id", json!(plain_pan)),
        (Code::TooLong, "merchant.name", json!(long(501))),
        (Code::Malformed, "merchant.name", json!("\u{1b}[31m")),
        (Code::PanDetected, "merchant.name", json!(pan)),
        (Code::Malformed, "merchant.mcc", json!(5814)),
        (Code::Malformed, "merchant.mcc", json!("581")),
        (Code::Malformed, "merchant.mcc", json!("58 4")),
        (Code::Malformed, "merchant.mcc", json!("٥814")),
        (Code::Malformed, "merchant.country", json!("gb")),
        (Code::Malformed, "merchant.country", json!("GBR")),
        (Code::Malformed, "pending_transaction_id", json!("a\u{202e}b")),
        (Code::PanDetected, "pending_transaction_id", json!(plain_pan)),
        (Code::TooLong, "refund_of", json!(long(129))),
        (Code::PanDetected, "refund_of", json!(plain_pan)),
    ];
    for (code, field, value) in table {
        let row = with(field, Some(value.clone()));
        assert_eq!(
            parse_value(&row).err(),
            Some((code, field.to_owned())),
            "{field}: {value}"
        );
    }
}

#[test]
fn required_fields_are_missed_when_absent_null_or_blank() {
    let fields = [
        "source",
        "transaction_id",
        "account_id",
        "status",
        "booked_at",
        "amount",
        "direction",
        "from_account",
    ];
    for field in fields.into_iter().chain(["amount.minor", "amount.currency"]) {
        for value in [None, Some(Value::Null), Some(json!("  "))] {
            let expected = if field == "amount" && value == Some(json!("  ")) {
                Code::Malformed
            } else {
                Code::Missing
            };
            assert_eq!(
                parse_value(&with(field, value.clone())).err(),
                Some((expected, field.to_owned())),
                "{value:?}"
            );
        }
    }
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
        assert_eq!(
            parse_value(&row).unwrap().merchant,
            None,
            "a merchant of whom nothing is known is none"
        );
    }
    assert_eq!(parse_value(&with("merchant", None)).unwrap().merchant, None);
    assert_eq!(
        parse_value(&with("merchant", Some(Value::Null)))
            .unwrap()
            .merchant,
        None
    );
}

#[test]
fn hostile_json_is_refused_where_it_lies() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let table: Vec<(Code, &str, Vec<u8>)> = vec![
        (Code::Malformed, "", b"".to_vec()),
        (Code::Malformed, "", b"null".to_vec()),
        (Code::Malformed, "", b"[]".to_vec()),
        (Code::Malformed, "", b"\"text\"".to_vec()),
        (Code::Malformed, "", b"12".to_vec()),
        (Code::Malformed, "", b"{".to_vec()),
        (Code::Malformed, "", b"{} {}".to_vec()),
        (Code::Malformed, "", b"\xff\xfe{\x00}\x00".to_vec()),
        (Code::Malformed, "", deep(4_000).into_bytes()),
        (Code::Missing, "source", b"{}".to_vec()),
        (Code::Malformed, "amount.minor", edited(r#""1250""#, "1e3")),
        (Code::Malformed, "amount.minor", edited(r#""1250""#, "1e999")),
        (Code::Malformed, "amount.minor", edited(r#""1250""#, "1250.0")),
        (Code::Malformed, "amount.minor", edited(r#""1250""#, "007")),
        (
            Code::Malformed,
            "amount.minor",
            edited(r#""1250""#, r#""\ud800""#),
        ),
        (Code::Malformed, "amount.minor", edited(r#""1250""#, &deep(3_000))),
        (Code::OutOfRange, "amount.minor", edited(r#""1250""#, "-0")),
        (
            Code::OutOfRange,
            "amount.minor",
            edited(r#""1250""#, &"9".repeat(400)),
        ),
        (
            Code::OutOfRange,
            "amount.minor",
            edited(r#""1250""#, &format!("-{}", "9".repeat(400))),
        ),
        (
            Code::Malformed,
            "source",
            edited(r#""acme-bank""#, r#""acme\ud800""#),
        ),
        (
            Code::Malformed,
            "source",
            edited(r#""acme-bank""#, "\"acme\nbank\""),
        ),
        (
            Code::Malformed,
            "source",
            edited(r#""acme-bank""#, "\"acme\0bank\""),
        ),
        (Code::Malformed, "source", edited(r#""acme-bank""#, &deep(3_000))),
        (
            Code::Malformed,
            "merchant",
            edited(r#""merchant":{"#, r#""merchant":nul{"#),
        ),
        (
            Code::Malformed,
            "merchant.name",
            edited(r#""Coffee House""#, r#""\q""#),
        ),
        (
            Code::Malformed,
            "direction",
            edited(r#""direction":"#, r#""direction":"debit","direction":"#),
        ),
        (
            Code::Malformed,
            "amount.minor",
            edited(r#""minor":"#, r#""minor":1,"minor":"#),
        ),
        (
            Code::Malformed,
            "merchant.mcc",
            edited(r#""mcc":"#, r#""mcc":null,"mcc":"#),
        ),
        (
            Code::Malformed,
            "amount",
            edited(r#""amount":"#, r#""amount":null,"amount":"#),
        ),
        (
            Code::TooLong,
            "",
            with("more", Some(json!("x".repeat(8_192))))
                .to_string()
                .into_bytes(),
        ),
    ];
    for (code, field, row) in table {
        let shown = String::from_utf8_lossy(&row[..row.len().min(300)]).into_owned();
        assert_eq!(parse(&row).err(), Some((code, field.to_owned())), "{shown}");
    }
}

#[test]
fn invalid_utf_8_is_refused_in_its_field_or_in_the_row() {
    let spoil = |row: Value| {
        let mut bytes = row.to_string().into_bytes();
        let place = bytes.iter().position(|byte| *byte == b'#').unwrap();
        bytes[place] = 0xFF;
        bytes
    };
    assert_eq!(
        parse(&spoil(with("description", Some(json!("#"))))).err(),
        Some((Code::Malformed, "description".into()))
    );
    assert_eq!(
        parse(&spoil(with("more", Some(json!("#"))))).err(),
        Some((Code::Malformed, String::new()))
    );
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
        ("amount.minor", json!(1)),
        ("amount.minor", json!(i64::MAX)),
        ("amount.minor", json!("9223372036854775807")),
        ("amount.minor", json!("0000000000000000000000007")),
        ("transaction_id", json!("é".repeat(128))),
        ("from_account", json!("é".repeat(64))),
        ("description", json!("é".repeat(500))),
        ("description", json!("👩\u{200d}🍳 \"quoted\" \\ é")),
        ("merchant.id", json!("m".repeat(128))),
        ("merchant.mcc", json!("0000")),
    ] {
        assert!(
            parse_value(&with(field, Some(value.clone()))).is_ok(),
            "{field}: {value}"
        );
    }
    assert!(
        parse(&edited(r#""source""#, r#""\u0073ource""#)).is_ok(),
        "an escaped key is the same key"
    );
    assert!(parse(&edited(r#""1250""#, r#""\u0031250""#)).is_ok());
}

#[test]
fn the_first_fault_in_field_order_is_the_one_reported() {
    let row = json!({"refund_of": 1, "direction": 1, "amount": {"currency": 1, "minor": -1}, "source": "s", "transaction_id": "t",
        "account_id": "a", "status": "booked", "booked_at": "2026-11-22T10:15:00Z"});
    assert_eq!(
        parse_value(&row).err(),
        Some((Code::OutOfRange, "amount.minor".into()))
    );
}

#[test]
fn a_refused_row_keeps_a_good_id_and_only_a_good_one() {
    let id_of = |row: &[u8]| {
        parse_row(row, now())
            .unwrap_err()
            .transaction_id
            .map(|id| id.to_string())
    };
    let good = Some("7f3c…".to_owned());
    assert_eq!(id_of(with("source", None).to_string().as_bytes()), good);
    assert_eq!(
        id_of(
            with("more", Some(json!("x".repeat(9_000))))
                .to_string()
                .as_bytes()
        ),
        good
    );
    assert_eq!(id_of(r#"{"transaction_id":"7f3c…","source":"#.as_bytes()), good);
    assert_eq!(
        id_of("{\"transaction_id\":\"7f3c…\",\"source\":\"\u{0}\"}".as_bytes()),
        good
    );
    for bad in [
        json!("4111111111111111"),
        json!(""),
        json!("a\u{0}"),
        json!(7),
        json!("x".repeat(129)),
    ] {
        assert_eq!(
            id_of(with("transaction_id", Some(bad)).to_string().as_bytes()),
            None
        );
    }
    assert_eq!(
        id_of(br#"{"transaction_id":"a","transaction_id":"b"}"#),
        None,
        "nobody knows which"
    );
}

#[test]
fn no_message_repeats_the_value() {
    let secret = "s3cr3t";
    for path in [
        "status",
        "booked_at",
        "amount",
        "amount.minor",
        "amount.currency",
        "direction",
        "merchant",
        "merchant.mcc",
    ] {
        let rejected = parse_row(with(path, Some(json!(secret))).to_string().as_bytes(), now()).unwrap_err();
        assert!(!rejected.to_string().contains(secret), "{rejected}");
    }
    for row in [
        &br#""s3cr3t""#[..],
        br#"{"source":s3cr3t}"#,
        br#"{"source":"s3cr3t"#,
        b"{} s3cr3t",
        b"{\"source\":\"s3cr3t\xff\"}",
    ] {
        let rejected = parse_row(row, now()).unwrap_err();
        assert!(!rejected.to_string().contains(secret), "{rejected}");
    }
}

prop_compose! {
    fn valid_rows()(
        ids in prop::array::uniform3("[a-z_][!-~]{0,40}"),
        account in "[a-zé]{1,64}",
        status in prop::sample::select(vec!["pending", "booked", "removed"]),
        direction in prop::sample::select(vec!["debit", "credit"]),
        booked in 0..now().micros(),
        minor in 1..=i64::MAX,
        as_text in any::<bool>(),
        currency in prop::sample::select(vec!["GBP", "EUR", "JPY", "BHD"]),
        description in prop::option::of("[a-z\"\\\\é👩]{1,200}"),
        mcc in prop::option::of("[0-9]{4}"),
        country in prop::option::of("[A-Z]{2}"),
    ) -> Value {
        json!({
            "source": ids[0], "transaction_id": ids[1], "account_id": account, "refund_of": ids[2],
            "status": status, "direction": direction, "booked_at": Timestamp::from_micros(booked),
            "amount": {"minor": if as_text { json!(minor.to_string()) } else { json!(minor) }, "currency": currency},
            "from_account": account, "description": description, "merchant": {"mcc": mcc, "country": country},
        })
    }
}

proptest! {
    #[test]
    fn a_valid_row_comes_back_as_it_was(row in valid_rows()) {
        let transaction = parse_row(row.to_string().as_bytes(), now()).unwrap();
        let text = |value: &Option<Personal<String>>| json!(value.as_ref().map(Personal::expose));
        let money = transaction.amount.expose();
        let minor = if row["amount"]["minor"].is_string() { json!(money.minor().to_string()) } else { json!(money.minor()) };
        let merchant = transaction.merchant.unwrap_or_default();
        let mcc = merchant.mcc.map(|mcc| mcc.expose().to_string());
        prop_assert_eq!(row, json!({
            "source": transaction.source, "transaction_id": transaction.transaction_id,
            "account_id": transaction.account_id, "refund_of": transaction.refund_of,
            "status": transaction.status, "direction": transaction.direction, "booked_at": transaction.booked_at,
            "amount": {"minor": minor, "currency": money.currency()},
            "from_account": transaction.from_account.expose(), "description": text(&transaction.description),
            "merchant": {"mcc": mcc, "country": text(&merchant.country)},
        }));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(parse_row(&bytes, now()).is_err());
        let _ = split_body(&bytes, Format::Json);
        let _ = split_body(&bytes, Format::Ndjson);
    }

    #[test]
    fn mutated_rows_never_panic(row in valid_rows(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..6)) {
        let mut bytes = row.to_string().into_bytes();
        for (place, byte, kind) in edits {
            let place = place.index(bytes.len());
            match kind {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => { bytes.remove(place); }
            }
        }
        let _ = parse_row(&bytes, now());
        if let Ok(rows) = split_body(&bytes, Format::Json) {
            prop_assert_eq!(rows.len(), 1);
        }
    }

    #[test]
    fn arbitrary_text_in_booked_at_never_panics(text in "\\PC{0,40}|[0-9TtZz:+. é-]{0,40}") {
        let _ = parse_value(&with("booked_at", Some(json!(text))));
    }
}
