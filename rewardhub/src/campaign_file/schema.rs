//! `campaign.schema.json` is written by hand; here it is held against the types, so that neither
//! knows a field that the other does not.

use ledger_core::campaign::rules::Condition;
use serde_json::{Value, json};

use super::parse_terms;

const EXAMPLE: &str = include_str!("../../../campaign.example.yaml");
const SCHEMA: &str = include_str!("../../../campaign.schema.json");

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn fits(campaign: &Value) -> bool {
    let schema = schema();
    fits_node(&schema, &schema, campaign)
}

/// As much of JSON Schema as ours uses; an unknown keyword is a failed test. Patterns are left to
/// the types.
fn fits_node(root: &Value, schema: &Value, value: &Value) -> bool {
    schema.as_object().unwrap().iter().all(|(keyword, wanted)| {
        let number = || {
            value.as_i64().is_none_or(|n| {
                if keyword == "minimum" {
                    n >= wanted.as_i64().unwrap()
                } else {
                    n <= wanted.as_i64().unwrap()
                }
            })
        };
        let length = value.as_str().map(|s| s.chars().count()).or(value.as_array().map(Vec::len));
        let bound = usize::try_from(wanted.as_u64().unwrap_or(0)).unwrap();
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "format" | "pattern" => true,
            "type" => {
                wanted.as_array().map_or_else(|| is(wanted, value), |any| any.iter().any(|t| is(t, value)))
            }
            "properties" => wanted
                .as_object()
                .unwrap()
                .iter()
                .all(|(name, schema)| value.get(name).is_none_or(|value| fits_node(root, schema, value))),
            "additionalProperties" => {
                let known = schema["properties"].as_object().unwrap();
                value.as_object().is_none_or(|fields| fields.keys().all(|name| known.contains_key(name)))
            }
            "required" => {
                wanted.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "items" => {
                value.as_array().is_none_or(|all| all.iter().all(|item| fits_node(root, wanted, item)))
            }
            "oneOf" => {
                wanted.as_array().unwrap().iter().filter(|one| fits_node(root, one, value)).count() == 1
            }
            "$ref" => fits_node(
                root,
                &root["$defs"][wanted.as_str().unwrap().trim_start_matches("#/$defs/")],
                value,
            ),
            "enum" => wanted.as_array().unwrap().contains(value),
            "const" => wanted == value,
            "minimum" | "maximum" => number(),
            "minLength" | "minItems" => length.is_none_or(|length| length >= bound),
            "maxLength" | "maxItems" => length.is_none_or(|length| length <= bound),
            other => panic!("the schema uses {other}, which this test does not know"),
        }
    })
}

fn is(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    }
}

fn example() -> Value {
    serde_json::to_value(parse_terms("example", EXAMPLE).unwrap()).unwrap()
}

fn rules(rules: Value) -> Value {
    let mut campaign = example();
    campaign["rules"] = rules;
    campaign
}

#[test]
fn the_example_fits_as_it_is_written_and_as_history_keeps_it() {
    assert!(fits(&serde_json::from_str(&serde_json::to_string(&example()).unwrap()).unwrap()));
    let written: Value = serde_saphyr::from_str(EXAMPLE).unwrap();
    assert!(fits(&written));
    let short =
        json!({ "mcc_denied": ["7995"], "merchants_denied": [], "amount_min_minor": 100, "wins_per_day": 3 });
    assert!(fits(&rules(short)));
}

#[test]
fn odds_and_shares_fit_in_either_notation_and_never_in_both() {
    let tiers = |tier: Value| {
        let mut campaign = example();
        campaign["prize_table"]["tiers"] = json!([tier]);
        let read = parse_terms("tiers", &campaign.to_string());
        assert_eq!(fits(&campaign), read.is_ok(), "{campaign}: {read:?}");
        read.is_ok()
    };
    assert!(tiers(json!({ "name": "a", "odds": "1 in 500", "prize": { "share": "5 %", "max": 9 } })));
    assert!(tiers(json!({ "name": "a", "odds_ppb": 500, "prize": { "share_bps": 5, "max": 9 } })));
    for wrong in [
        json!({ "name": "a", "odds": "1 in 500", "odds_ppb": 5, "prize": { "fixed": 1 } }),
        json!({ "name": "a", "prize": { "fixed": 1 } }),
        json!({ "name": "a", "odds": "1 in 500", "prize": { "share": "5 %", "share_bps": 5, "max": 9 } }),
        json!({ "name": "a", "odds": "1 in 500", "prize": { "share": "5 %" } }),
    ] {
        assert!(!tiers(wrong));
    }
}

/// Both ways: terms with everything in them have no other fields than the schema, which requires
/// what they do.
#[test]
fn the_schema_and_the_types_know_the_same_fields() {
    let mut full = example();
    full["ends_at"] = json!("2030-01-01T00:00:00Z");
    full["funding_limit_minor"] = json!(1);
    full["precedence"] = json!(1);
    full["stackable"] = json!(true);
    full["inventory"] = json!({ "jackpot": 3 });
    full["planned_draws"] = json!(1);
    full["rules_reading"] = json!(1);
    let read = parse_terms("full", &full.to_string()).unwrap();
    let schema = schema();
    let known = schema["properties"].as_object().unwrap();
    for name in serde_json::to_value(&read).unwrap().as_object().unwrap().keys() {
        assert!(known.contains_key(name), "the schema lacks {name}");
    }
    for name in known.keys() {
        let mut without = full.clone();
        without.as_object_mut().unwrap().remove(name).unwrap_or_else(|| panic!("the types lack {name}"));
        let required = schema["required"].as_array().unwrap().contains(&json!(name));
        assert_eq!(parse_terms("without", &without.to_string()).is_err(), required, "{name}");
    }
    let mut kinds: Vec<_> =
        schema["$defs"]["rule"]["properties"].as_object().unwrap().keys().cloned().collect();
    kinds.retain(|name| !["code", "customer", "staff", "missing"].contains(&name.as_str()));
    let mut ours = Condition::KINDS.to_vec();
    ours.sort_unstable();
    kinds.sort_unstable();
    assert_eq!(kinds, ours);
}

#[test]
fn what_the_types_refuse_does_not_fit() {
    for wrong in [
        json!([{ "code": "a" }]),
        json!([{ "wins_per_day": 1 }]),
        json!([{ "code": "a", "wins_per_day": 1, "wins_per_week": 1 }]),
        json!([{ "code": "a", "wins_per_day": 0 }]),
        json!([{ "code": "a", "weekdays": ["someday"] }]),
        json!([{ "code": "a", "transactions_max": { "count": 65, "hours": 1 } }]),
        json!({ "win_per_day": 1 }),
    ] {
        let campaign = rules(wrong);
        assert!(parse_terms("wrong", &campaign.to_string()).is_err(), "{campaign}");
        assert!(!fits(&campaign), "{campaign}");
    }
}
