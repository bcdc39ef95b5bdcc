//! Transactions and campaigns to feed a ledger with.

use adapters::sandbox::bank::Mix;
use adapters::sandbox::{Generator, GeneratorConfig};
use ledger_core::time::{Clock as _, SECOND_MICROS, SystemClock, Timestamp};
use serde_json::{Value, json};

/// Now, as everyone else in the system tells it.
pub fn now() -> Timestamp {
    SystemClock.now()
}

/// A moment before or after now.
pub fn seconds_from_now(seconds: i64) -> String {
    now().plus_micros(seconds * SECOND_MICROS).to_string()
}

/// A purchase of 12.50 at a coffee house, booked a moment ago: one that every rule of the tests'
/// campaigns admits.
pub fn purchase(transaction_id: &str, account_id: &str) -> Value {
    json!({
        "source": "acme-bank", "transaction_id": transaction_id, "account_id": account_id,
        "status": "booked", "booked_at": now(),
        "amount": { "minor": "1250", "currency": "GBP" }, "direction": "debit",
        "from_account": "GB29NWBK60161331926819", "to_account": "GB94BARC10201530093459",
        "description": "COFFEE HOUSE LONDON",
        "merchant": { "id": "m_42", "name": "Coffee House", "mcc": "5814", "country": "GB" },
        "pending_transaction_id": null, "refund_of": null,
    })
}

/// Rows as NDJSON.
pub fn ndjson<R: ToString>(rows: &[R]) -> String {
    rows.iter().map(|row| row.to_string() + "\n").collect()
}

/// What a bank sends in a while: mostly purchases, but with pending lines, repeats, refunds and
/// nonsense in between, a lot more of them than usual. Of a million lines `removed_ppm` take a
/// booked one back.
pub fn statement(lines: usize, customers: u32, seed: u64, removed_ppm: u32) -> Vec<String> {
    let mix = Mix { malformed_ppm: 20_000, removed_ppm, refund_ppm: 10_000, ..Mix::default() };
    let config = GeneratorConfig { seed, customers, source: "acme-bank".into(), run: "file".into(), mix };
    let mut bank = Generator::new(config).expect("a bank of this kind exists");
    let now = now();
    (0..lines).map(|_| bank.next(now).json).collect()
}

/// A campaign's file: a prize of so many pence to so many in 10^9, out of a budget.
pub fn campaign(id: &str, odds_ppb: u32, prize_minor: i64, budget_minor: i64) -> String {
    format!(
        "campaign_id: {id}\n\
         name: Of the tests\n\
         time_zone: Europe/London\n\
         starts_at: 2026-01-01T00:00:00Z\n\
         eligible_from: campaign_start\n\
         prize_table:\n  currency: GBP\n  tiers:\n    - {{ name: prize, odds_ppb: {odds_ppb}, prize: {{ fixed: {prize_minor} }} }}\n\
         budget: {{ minor: {budget_minor}, currency: GBP }}\n"
    )
}

/// Odds at which everyone wins.
pub const CERTAIN: u32 = 1_000_000_000;
