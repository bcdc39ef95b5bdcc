//! One statement line as it goes over the wire, and the ways a line goes wrong.

use ledger_core::time::{DAY_MICROS, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::sandbox::dice::Dice;

/// The JSON of `docs/concepts/wire-format.md`.
#[derive(Clone, Serialize)]
pub(super) struct Row<'a> {
    pub(super) source: &'a str,
    pub(super) transaction_id: &'a str,
    pub(super) account_id: &'a str,
    pub(super) status: &'static str,
    pub(super) booked_at: Timestamp,
    pub(super) amount: Amount<'a>,
    pub(super) direction: &'static str,
    pub(super) from_account: &'a str,
    pub(super) to_account: Option<&'a str>,
    pub(super) description: Option<String>,
    pub(super) merchant: Option<Shop<'a>>,
    pub(super) pending_transaction_id: Option<&'a str>,
    pub(super) refund_of: Option<&'a str>,
}

#[derive(Clone, Serialize)]
pub(super) struct Amount<'a> {
    /// Digits: JavaScript loses integers above 2^53.
    pub(super) minor: String,
    pub(super) currency: &'a str,
}

#[derive(Clone, Serialize)]
pub(super) struct Shop<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) mcc: &'a str,
    pub(super) country: &'a str,
}

impl Row<'_> {
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("text, numbers and options are JSON")
    }

    /// This row with one thing wrong.
    pub(super) fn to_broken_json(&self, now: Timestamp, dice: &mut Dice) -> String {
        let mut row = serde_json::to_value(self).expect("text, numbers and options are JSON");
        match dice.below(18) {
            0 => row["amount"]["minor"] = json!("12,50"),
            1 => row["amount"]["minor"] = json!("-1250"),
            2 => row["amount"]["minor"] = json!("12.50"),
            3 => row["amount"]["minor"] = json!("9223372036854775808"),
            4 => row["amount"]["currency"] = json!("ZZZ"),
            5 => row["amount"] = Value::Null,
            6 => row["booked_at"] = json!("2026-02-30T10:15:00Z"),
            7 => row["booked_at"] = json!("yesterday"),
            8 => row["booked_at"] = json!(now.plus_micros(3 * DAY_MICROS)),
            9 => row["transaction_id"] = json!("  "),
            10 => row["status"] = json!("settled"),
            11 => row["direction"] = json!("sideways"),
            12 => row["merchant"] = json!({ "name": "Coffee House", "mcc": "54" }),
            13 => row["description"] = json!("TOO LONG ".repeat(60)),
            14 => row["account_id"] = json!("jo.bloggs@example.com"),
            // The card brand's own test number.
            15 => row["description"] = json!("CARD 4111 1111 1111 1111"),
            16 => drop(row.as_object_mut().and_then(|fields| fields.remove("account_id"))),
            _ => {
                let mut text = row.to_string();
                text.truncate(text.len() / 2);
                return text;
            }
        }
        row.to_string()
    }
}
