//! JSON with the names that we read, whole and damaged; tokens, cursors and ids.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

pub(super) fn jsons() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        select(
            &[
                "2026-11-22T10:15:00Z",
                "GBP",
                "booked",
                "debit",
                "acme",
                "1250",
                "0:1",
                "Europe/London",
                "amount_minor > 1"
            ][..]
        )
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((field(), inner), 0..8).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

const FIELDS: [&str; 40] = [
    "source",
    "transaction_id",
    "account_id",
    "status",
    "booked_at",
    "amount",
    "minor",
    "currency",
    "direction",
    "from_account",
    "to_account",
    "description",
    "merchant",
    "id",
    "name",
    "mcc",
    "country",
    "refund_of",
    "pending_transaction_id",
    "campaign_id",
    "time_zone",
    "starts_at",
    "ends_at",
    "rules",
    "prize_table",
    "tiers",
    "odds_ppb",
    "prize",
    "fixed",
    "share_bps",
    "max",
    "budget",
    "inventory",
    "beacon",
    "cel",
    "reference",
    "reason",
    "epoch",
    "version",
    "query",
];

fn field() -> impl Strategy<Value = String> {
    prop_oneof![6 => select(&FIELDS[..]).prop_map(String::from), 1 => "\\PC{0,8}"]
}

/// A JSON text, whole or with bytes changed, or nested as deep as a body may be long.
pub(super) fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let whole = jsons().prop_map(|json| json.to_string().into_bytes());
    let lines = prop::collection::vec(jsons(), 0..20)
        .prop_map(|lines| lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes());
    let changed = (jsons(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6))
        .prop_map(|(json, changes)| {
            let mut bytes = json.to_string().into_bytes();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        });
    let nested = (select(vec!["[", "{\"a\":", "[[{\"prize_table\":"]), 1_usize..30_000, field())
        .prop_map(|(open, levels, within)| format!("{{\"{within}\":{}", open.repeat(levels)).into_bytes());
    prop_oneof![3 => whole, 2 => lines, 3 => changed, 1 => nested, 1 => prop::collection::vec(any::<u8>(), 0..400)]
}

/// A JWT's three parts of JSON in base64, or nothing of the kind.
pub(super) fn tokens() -> impl Strategy<Value = Vec<u8>> {
    let head = prop_oneof![
        Just(json!({ "alg": "EdDSA", "typ": "JWT", "kid": "k" })),
        Just(json!({ "alg": "none" })),
        Just(json!({ "alg": "HS256", "kid": "", "crit": ["exp"], "jwk": {}, "x5c": [] })),
        jsons(),
    ];
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let made = (head, jsons(), prop::collection::vec(any::<u8>(), 0..80)).prop_map(
        move |(head, claims, signature)| {
            format!("{}.{}.{}", part(head), part(claims), URL_SAFE_NO_PAD.encode(signature))
        },
    );
    let nested = (1_usize..5_000).prop_map(|levels| URL_SAFE_NO_PAD.encode("[".repeat(levels)) + ".e30.e30");
    let token = prop_oneof![3 => made, 1 => nested, 1 => "[!-~]{0,200}", 1 => "\\.{0,6}"];
    let scheme = select(vec!["Bearer ", "bearer  ", "BEARER\t", "Basic ", "", "Bearer"]);
    prop_oneof![
        4 => (scheme, token).prop_map(|(scheme, token)| (scheme.to_owned() + &token).into_bytes()),
        1 => prop::collection::vec(prop_oneof![0x20..0x7f_u8, 0x80..=0xff_u8], 0..100),
    ]
}

/// Cursors, positions and ids: ours, nearly ours, and others.
pub(super) fn words() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        "[0-9]{1,25}:[0-9]{1,25}(\\.[0-9]{1,12})?",
        "(account|campaign|reward|transaction|moon):\\PC{0,40}",
        "transaction:[A-Za-z0-9_-]{0,20}/[A-Za-z0-9_=-]{0,20}",
        "reward:[0-9a-f]{62,66}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        "\\PC{0,40}",
        "[ -~]{100,300}",
    ];
    (plain, any::<bool>())
        .prop_map(|(plain, encoded)| if encoded { URL_SAFE_NO_PAD.encode(plain) } else { plain })
}
