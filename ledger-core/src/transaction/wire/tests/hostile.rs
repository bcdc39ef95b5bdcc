//! Hostile rows as tables: each gets its code and its field.

use super::*;

#[test]
fn hostile_values_are_refused_by_code_and_field() {
    let pan = "4111 1111 1111 1111";
    let plain_pan = "4111111111111111";
    let long = |length: usize| "é".repeat(length);
    let table = [
        (RowCode::Malformed, "source", json!("a\u{0}b")),
        (RowCode::Malformed, "source", json!(1)),
        (RowCode::PanDetected, "source", json!(plain_pan)),
        (RowCode::Missing, "transaction_id", json!("")),
        (RowCode::Missing, "transaction_id", json!(" \u{a0}\t")),
        (RowCode::TooLong, "transaction_id", json!(long(129))),
        (RowCode::Malformed, "transaction_id", json!("a\u{200b}b")),
        (RowCode::Malformed, "transaction_id", json!(" a")),
        (RowCode::Malformed, "transaction_id", json!({"id": 1})),
        (RowCode::PanDetected, "transaction_id", json!("4111-1111-1111-1111")),
        (RowCode::Malformed, "account_id", json!("jane@example.com")),
        (RowCode::PanDetected, "account_id", json!(pan)),
        (RowCode::TooLong, "account_id", json!("x".repeat(129))),
        (RowCode::UnknownValue, "status", json!("Booked")),
        (RowCode::UnknownValue, "status", json!("settled")),
        (RowCode::Malformed, "status", json!(true)),
        (RowCode::Missing, "status", json!("  ")),
        (RowCode::Malformed, "booked_at", json!("2026-02-29T10:15:00Z")),
        (RowCode::Malformed, "booked_at", json!("2026-11-31T10:15:00Z")),
        (RowCode::Malformed, "booked_at", json!("2026-11-22T24:00:00Z")),
        (RowCode::Malformed, "booked_at", json!("2026-11-22T10:15:00")),
        (RowCode::Malformed, "booked_at", json!("2026-11-22T10:15:60Z")),
        (RowCode::Malformed, "booked_at", json!("2016-12-30T23:59:60Z")),
        (RowCode::Malformed, "booked_at", json!("2026-11-22T1é:15:00Z")),
        (RowCode::Malformed, "booked_at", json!(1_795_000_000)),
        (RowCode::OutOfRange, "booked_at", json!("10000-01-01T00:00:00Z")),
        (RowCode::OutOfRange, "booked_at", json!("+10000-01-01T00:00:00Z")),
        (RowCode::Malformed, "booked_at", json!("10000-13-01T00:00:00Z")),
        (RowCode::OutOfRange, "booked_at", json!("1969-12-31T23:59:59.999999999Z")),
        (RowCode::OutOfRange, "booked_at", json!("0000-01-01T00:00:00Z")),
        (RowCode::OutOfRange, "booked_at", json!("1970-01-01T00:00:00+00:01")),
        (RowCode::BookedInFuture, "booked_at", json!("2026-11-23T12:00:00.000001Z")),
        (RowCode::BookedInFuture, "booked_at", json!("2026-11-29T12:00:00Z")),
        (RowCode::BookedInFuture, "booked_at", json!("9999-12-31T23:59:59-23:59")),
        (RowCode::Malformed, "amount", json!(1250)),
        (RowCode::Malformed, "amount", json!("12.50 GBP")),
        (RowCode::Malformed, "amount", json!([{"minor": 1, "currency": "GBP"}])),
        (RowCode::Missing, "amount.minor", json!("")),
        (RowCode::OutOfRange, "amount.minor", json!(-5)),
        (RowCode::OutOfRange, "amount.minor", json!("-5")),
        (RowCode::OutOfRange, "amount.minor", json!(9_223_372_036_854_775_808_u64)),
        (RowCode::OutOfRange, "amount.minor", json!("9223372036854775808")),
        (RowCode::OutOfRange, "amount.minor", json!("9".repeat(400))),
        (RowCode::Malformed, "amount.minor", json!(12.5)),
        (RowCode::Malformed, "amount.minor", json!("12.5")),
        (RowCode::Malformed, "amount.minor", json!("1e3")),
        (RowCode::Malformed, "amount.minor", json!("+5")),
        (RowCode::Malformed, "amount.minor", json!("-")),
        (RowCode::Malformed, "amount.minor", json!(" 5")),
        (RowCode::Malformed, "amount.minor", json!("5\u{0}")),
        (RowCode::Malformed, "amount.minor", json!("٣")),
        (RowCode::Malformed, "amount.minor", json!(true)),
        (RowCode::Malformed, "amount.minor", json!([5])),
        (RowCode::CurrencyUnknown, "amount.currency", json!("ZZZ")),
        (RowCode::CurrencyUnknown, "amount.currency", json!("gbp")),
        (RowCode::CurrencyUnknown, "amount.currency", json!("XAU")),
        (RowCode::Malformed, "amount.currency", json!(826)),
        (RowCode::UnknownValue, "direction", json!("out")),
        (RowCode::Malformed, "direction", json!(-1)),
        (RowCode::TooLong, "from_account", json!(long(65))),
        (RowCode::TooLong, "from_account", json!(long(129))),
        (RowCode::Malformed, "from_account", json!("GB29\u{7}")),
        (RowCode::Malformed, "from_account", json!(60_161_331_926_819_u64)),
        (RowCode::PanDetected, "from_account", json!(plain_pan)),
        (RowCode::TooLong, "to_account", json!("x".repeat(65))),
        (RowCode::PanDetected, "to_account", json!(pan)),
        (RowCode::TooLong, "description", json!(long(501))),
        (RowCode::Malformed, "description", json!({"text": "COFFEE"})),
        (RowCode::Malformed, "merchant", json!("Coffee House")),
        (RowCode::Malformed, "merchant", json!([])),
        (RowCode::Malformed, "merchant", json!(1.5)),
        (RowCode::TooLong, "merchant.id", json!("m".repeat(129))),
        (RowCode::PanDetected, "merchant.id", json!(plain_pan)),
        (RowCode::TooLong, "merchant.name", json!(long(501))),
        (RowCode::Malformed, "merchant.mcc", json!(58)),
        (RowCode::Malformed, "merchant.mcc", json!(58_140)),
        (RowCode::Malformed, "merchant.mcc", json!(-742)),
        (RowCode::Malformed, "merchant.mcc", json!(742.0)),
        (RowCode::Malformed, "merchant.mcc", json!("58")),
        (RowCode::Malformed, "merchant.mcc", json!("58 4")),
        (RowCode::Malformed, "merchant.mcc", json!("٥814")),
        (RowCode::Malformed, "merchant.country", json!("GBR")),
        (RowCode::Malformed, "merchant.country", json!("é")),
        (RowCode::Malformed, "pending_transaction_id", json!("a\u{202e}b")),
        (RowCode::PanDetected, "pending_transaction_id", json!(plain_pan)),
        (RowCode::TooLong, "refund_of", json!(long(129))),
        (RowCode::PanDetected, "refund_of", json!(plain_pan)),
    ];
    for (code, field, value) in table {
        let row = with(field, Some(value.clone()));
        assert_eq!(parse_value(&row).err(), Some((code, field.to_owned())), "{field}: {value}");
    }
}

#[test]
fn a_card_number_in_a_text_is_masked_and_costs_no_draw() {
    let mut row = with("description", Some(json!("CARD 4111.1111 1111-1111 LONDON")));
    row["merchant"] = json!({ "name": "４１１１１１１１１１１１１１１１", "mcc": "742" });
    let transaction = parse_value(&row).unwrap();
    assert_eq!(transaction.description.unwrap().expose(), "CARD ****.**** ****-**** LONDON");
    let merchant = transaction.merchant.unwrap();
    assert_eq!(merchant.name.unwrap().expose(), "****************");
    assert_eq!(merchant.mcc.unwrap().expose().to_string(), "0742", "three digits are a category too");
}

#[test]
fn an_account_is_taken_with_whatever_space_in_it() {
    for spelling in ["GB29\tNWBK 6016\u{a0}1331 9268 19", " GB29NWBK60161331926819\n"] {
        assert!(parse_value(&with("from_account", Some(json!(spelling)))).is_ok(), "{spelling:?}");
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
                RowCode::Malformed
            } else {
                RowCode::Missing
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
fn hostile_json_is_refused_where_it_lies() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let table: Vec<(RowCode, &str, Vec<u8>)> = vec![
        (RowCode::Malformed, "", b"".to_vec()),
        (RowCode::Malformed, "", b"null".to_vec()),
        (RowCode::Malformed, "", b"[]".to_vec()),
        (RowCode::Malformed, "", b"\"text\"".to_vec()),
        (RowCode::Malformed, "", b"12".to_vec()),
        (RowCode::Malformed, "", b"{".to_vec()),
        (RowCode::Malformed, "", b"{} {}".to_vec()),
        (RowCode::Malformed, "", b"\xff\xfe{\x00}\x00".to_vec()),
        (RowCode::Malformed, "", deep(4_000).into_bytes()),
        (RowCode::Missing, "source", b"{}".to_vec()),
        (RowCode::Malformed, "amount.minor", edited(r#""1250""#, "1e3")),
        (RowCode::Malformed, "amount.minor", edited(r#""1250""#, "1e999")),
        (RowCode::Malformed, "amount.minor", edited(r#""1250""#, "1250.0")),
        (RowCode::Malformed, "amount.minor", edited(r#""1250""#, "007")),
        (RowCode::Malformed, "amount.minor", edited(r#""1250""#, r#""\ud800""#)),
        (RowCode::Malformed, "amount.minor", edited(r#""1250""#, &deep(3_000))),
        (RowCode::OutOfRange, "amount.minor", edited(r#""1250""#, "-0")),
        (RowCode::OutOfRange, "amount.minor", edited(r#""1250""#, &"9".repeat(400))),
        (RowCode::OutOfRange, "amount.minor", edited(r#""1250""#, &format!("-{}", "9".repeat(400)))),
        (RowCode::Malformed, "source", edited(r#""acme-bank""#, r#""acme\ud800""#)),
        (RowCode::Malformed, "source", edited(r#""acme-bank""#, "\"acme\nbank\"")),
        (RowCode::Malformed, "source", edited(r#""acme-bank""#, "\"acme\0bank\"")),
        (RowCode::Malformed, "source", edited(r#""acme-bank""#, &deep(3_000))),
        (RowCode::Malformed, "merchant", edited(r#""merchant":{"#, r#""merchant":nul{"#)),
        (RowCode::Malformed, "merchant.name", edited(r#""Coffee House""#, r#""\q""#)),
        (RowCode::Malformed, "direction", edited(r#""direction":"#, r#""direction":"debit","direction":"#)),
        (RowCode::Malformed, "amount.minor", edited(r#""minor":"#, r#""minor":1,"minor":"#)),
        (RowCode::Malformed, "merchant.mcc", edited(r#""mcc":"#, r#""mcc":null,"mcc":"#)),
        (RowCode::Malformed, "amount", edited(r#""amount":"#, r#""amount":null,"amount":"#)),
        (RowCode::TooLong, "", with("more", Some(json!("x".repeat(8_192)))).to_string().into_bytes()),
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
        Some((RowCode::Malformed, "description".into()))
    );
    assert_eq!(
        parse(&spoil(with("more", Some(json!("#"))))).err(),
        Some((RowCode::Malformed, String::new()))
    );
}

#[test]
fn the_first_fault_in_field_order_is_the_one_reported() {
    let row = json!({
        "refund_of": 1, "direction": 1, "amount": {"currency": 1, "minor": -1}, "source": "s",
        "transaction_id": "t", "account_id": "a", "status": "booked", "booked_at": "2026-11-22T10:15:00Z",
    });
    assert_eq!(parse_value(&row).err(), Some((RowCode::OutOfRange, "amount.minor".into())));
}

#[test]
fn a_refused_row_keeps_a_good_id_and_only_a_good_one() {
    let id_of = |row: &[u8]| parse_row(row, now()).unwrap_err().transaction_id.map(|id| id.to_string());
    let good = Some("7f3c…".to_owned());
    assert_eq!(id_of(with("source", None).to_string().as_bytes()), good);
    assert_eq!(id_of(with("more", Some(json!("x".repeat(9_000)))).to_string().as_bytes()), good);
    assert_eq!(id_of(r#"{"transaction_id":"7f3c…","source":"#.as_bytes()), good);
    assert_eq!(id_of("{\"transaction_id\":\"7f3c…\",\"source\":\"\u{0}\"}".as_bytes()), good);
    for bad in [json!("4111111111111111"), json!(""), json!("a\u{0}"), json!(7), json!("x".repeat(129))] {
        assert_eq!(id_of(with("transaction_id", Some(bad)).to_string().as_bytes()), None);
    }
    assert_eq!(id_of(br#"{"transaction_id":"a","transaction_id":"b"}"#), None, "nobody knows which");
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
