//! Properties over generated, mutated and arbitrary rows.

use proptest::prelude::*;

use super::*;

fn as_given(minor: i64, as_text: bool) -> Value {
    if as_text { json!(minor.to_string()) } else { json!(minor) }
}

prop_compose! {
    fn valid_rows()(
        ids in prop::array::uniform3("[a-z_][!-~]{0,40}"),
        // No x: many of them hide part of an account.
        account in "[a-wyzé]{1,64}",
        status in prop::sample::select(vec!["pending", "booked"]),
        direction in prop::sample::select(vec!["debit", "credit"]),
        booked in 0..now().micros(),
        minor in 0..=i64::MAX,
        as_text in any::<bool>(),
        currency in prop::sample::select(vec!["GBP", "EUR", "JPY", "BHD"]),
        description in prop::option::of("[a-z\"\\\\é👩]{1,200}"),
        mcc in prop::option::of("[0-9]{4}"),
        country in prop::option::of("[A-Z]{2}"),
    ) -> Value {
        json!({
            "source": ids[0], "transaction_id": ids[1], "account_id": account, "refund_of": ids[2],
            "status": status, "direction": direction, "booked_at": Timestamp::from_micros(booked),
            "amount": {"minor": as_given(minor, as_text), "currency": currency},
            "from_account": account, "to_account": account, "description": description, "merchant": {"mcc": mcc, "country": country},
        })
    }
}

proptest! {
    #[test]
    fn a_valid_row_comes_back_as_it_was(row in valid_rows()) {
        let transaction = parse_row(row.to_string().as_bytes(), now()).unwrap();
        let text = |value: &Option<Personal<String>>| json!(value.as_ref().map(Personal::expose));
        let money = transaction.amount.expose();
        let minor = as_given(money.minor(), row["amount"]["minor"].is_string());
        let merchant = transaction.merchant.unwrap_or_default();
        let mcc = merchant.mcc.map(|mcc| mcc.expose().to_string());
        prop_assert_eq!(row, json!({
            "source": transaction.source, "transaction_id": transaction.transaction_id,
            "account_id": transaction.account_id, "refund_of": transaction.refund_of,
            "status": transaction.status, "direction": transaction.direction, "booked_at": transaction.booked_at,
            "amount": {"minor": minor, "currency": money.currency()},
            "from_account": text(&transaction.from_account), "to_account": text(&transaction.to_account),
            "description": text(&transaction.description),
            "merchant": {"mcc": mcc, "country": text(&merchant.country)},
        }));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(parse_row(&bytes, now()).is_err());
        let _ = split_body(&bytes, BodyFormat::Json);
        let _ = split_body(&bytes, BodyFormat::Ndjson);
    }

    #[test]
    fn mutated_rows_never_panic(
        row in valid_rows(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..6),
    ) {
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
        if let Ok(rows) = split_body(&bytes, BodyFormat::Json) {
            prop_assert_eq!(rows.len(), 1);
        }
    }

    #[test]
    fn arbitrary_text_in_booked_at_never_panics(text in "\\PC{0,40}|[0-9TtZz:+. é-]{0,40}") {
        let _ = parse_value(&with("booked_at", Some(json!(text))));
    }
}
