//! How rules are written, and what is refused where.

use serde_json::json;

use super::*;
use crate::campaign::terms::TermsError;

fn rules(json: serde_json::Value) -> Rules {
    serde_json::from_value(json).unwrap()
}

fn refused(json: serde_json::Value) -> String {
    serde_json::from_value::<Rules>(json).unwrap_err().to_string()
}

#[expect(clippy::needless_pass_by_value, reason = "a table reads better without references")]
fn fault(rule: serde_json::Value) -> String {
    let first = json!({ "code": "first", "amount_min_minor": 100 });
    rules(json!([first, rule])).validate().unwrap_err().to_string()
}

#[test]
fn every_kind_is_written_as_one_key_and_read_again() {
    let every = json!([
        { "code": "a", "merchants_allowed": ["m_1"] },
        { "code": "b", "merchants_denied": ["m_2"], "missing": "decline" },
        { "code": "c", "mcc_allowed": ["5411", "5811-5814"], "missing": "pass" },
        { "code": "d", "mcc_denied": ["7995"] },
        { "code": "e", "countries_allowed": ["GB"] },
        { "code": "f", "countries_denied": ["US"] },
        { "code": "g", "amount_min_minor": 100 },
        { "code": "h", "amount_max_minor": 1000 },
        { "code": "i", "first_purchase_at_merchant": true },
        { "code": "j", "weekdays": ["sat", "sun"] },
        { "code": "k", "hours": ["17-20", "22-2"] },
        { "code": "l", "wins_per_day": 1 },
        { "code": "m", "wins_per_week": 2 },
        { "code": "n", "wins_per_month": 3 },
        { "code": "o", "won_minor_per_day": 100 },
        { "code": "p", "won_minor_per_week": 200 },
        { "code": "q", "won_minor_per_month": 300 },
        { "code": "r", "account_age_days_min": 30 },
        { "code": "s", "transactions_max": { "count": 5, "hours": 24 } },
        { "code": "s2", "spent_max": { "minor": 50_000, "hours": 24 } },
        { "code": "t", "customer": "Said.", "staff": "said", "cel": "amount_minor > 5" },
    ]);
    let read = rules(every.clone());
    assert_eq!(read.validate(), Ok(()));
    assert_eq!(serde_json::to_value(&read).unwrap(), every);
    let kinds: Vec<_> = read.named().iter().map(|rule| rule.condition.kind()).collect();
    assert_eq!(kinds, Condition::KINDS);
    for rule in read.named().iter() {
        assert!(rule.customer().ends_with('.') && !rule.staff().is_empty(), "{}", rule.code);
    }
}

/// As it is in logs: the codes, their order and the JSON stay.
#[test]
fn the_short_form_is_the_same_rules_under_their_old_codes() {
    let short = json!({
        "mcc_allowed": ["5411"], "mcc_denied": ["7995"], "merchants_allowed": ["m_1"], "merchants_denied": ["m_2"],
        "amount_min_minor": 100, "amount_max_minor": 1000, "wins_per_day": 3
    });
    let read = rules(short.clone());
    let codes: Vec<_> = read.named().iter().map(|rule| rule.code.to_string()).collect();
    let old = "mcc_not_allowed mcc_denied merchant_not_allowed merchant_denied amount_too_small amount_too_large \
               wins_per_day";
    assert_eq!(codes.join(" "), old);
    for rule in read.named().iter() {
        assert_eq!(rule.customer(), rule.code.customer());
    }
    let again = serde_json::to_value(&read).unwrap();
    assert_eq!(serde_json::from_value::<Rules>(again).unwrap(), read);
    assert_eq!(rules(json!({})), Rules::default());
}

#[test]
fn a_rule_has_a_code_and_one_condition_and_nothing_else() {
    assert!(refused(json!([{ "code": "a" }])).contains("this one has none"));
    assert!(refused(json!([{ "wins_per_day": 1 }])).contains("missing field `code`"));
    let two = json!([{ "code": "a", "wins_per_day": 1, "hours": ["1-2"] }]);
    assert!(refused(two).contains("this one has hours and wins_per_day"));
    assert!(
        refused(json!([{ "code": "a", "win_per_day": 1 }]))
            .contains("a rule has code, customer, staff, missing, and one of")
    );
    assert!(refused(json!({ "win_per_day": 1 })).contains("unknown field `win_per_day`"));
    assert!(refused(json!([{ "code": "a", "hours": ["17-17"] }])).contains("17:00 until just before 20:00"));
    assert!(refused(json!([{ "code": "a", "hours": ["+7-20"] }])).contains("17:00 until just before 20:00"));
    assert!(refused(json!([{ "code": "a", "mcc_denied": ["99"] }])).contains("three or four digits"));
    assert!(refused(json!("none")).contains("a list of rules"));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_field() {
    for (rule, expected) in [
        (json!({ "code": "First", "wins_per_day": 1 }), "rules[1].code: must be a word"),
        (json!({ "code": "first", "wins_per_day": 1 }), "rules[1].code: another rule is called first"),
        (json!({ "code": "refund", "wins_per_day": 1 }), "rules[1].code: is the code of a check"),
        (json!({ "code": "a", "customer": " ", "wins_per_day": 1 }), "rules[1].customer: must be 1 to 300"),
        (
            json!({ "code": "a", "customer": "a\u{202e}", "wins_per_day": 1 }),
            "rules[1].customer: must not hold U+202E",
        ),
        (
            json!({ "code": "a", "staff": "not with 4111 1111 1111 1111", "wins_per_day": 1 }),
            "rules[1].staff: must not hold a card number",
        ),
        (
            json!({ "code": "no_4111111111111111", "wins_per_day": 1 }),
            "rules[1].code: must not hold a card number",
        ),
        (
            json!({ "code": "a", "merchants_denied": ["4111111111111111"] }),
            "rules[1].merchants_denied[0]: expected a merchant",
        ),
        (
            json!({ "code": "a", "cel": "merchant_id != '4111111111111111'" }),
            "rules[1].cel: must not hold a card number",
        ),
        (json!({ "code": "a", "cel": "mcc != '5\u{34f}'" }), "rules[1].cel: must be printable"),
        (
            json!({ "code": "a", "missing": "pass", "wins_per_day": 1 }),
            "rules[1].missing: wins_per_day is about",
        ),
        (json!({ "code": "a", "wins_per_week": 0 }), "rules[1].wins_per_week: must be at least 1"),
        (json!({ "code": "a", "won_minor_per_day": 0 }), "rules[1].won_minor_per_day: must be at least 1"),
        (
            json!({ "code": "a", "amount_max_minor": 99 }),
            "rules[1].amount_max_minor: must be at least amount_min",
        ),
        (
            json!({ "code": "a", "countries_denied": ["GB", "uk"] }),
            "rules[1].countries_denied[1]: expected a country",
        ),
        (
            json!({ "code": "a", "merchants_allowed": ["m", ""] }),
            "rules[1].merchants_allowed[1]: expected a merchant",
        ),
        (json!({ "code": "a", "weekdays": [] }), "rules[1].weekdays: must not be empty"),
        (
            json!({ "code": "a", "first_purchase_at_merchant": false }),
            "rules[1].first_purchase_at_merchant: must be",
        ),
        (
            json!({ "code": "a", "transactions_max": { "count": 65, "hours": 1 } }),
            "rules[1].transactions_max.count: ",
        ),
        (
            json!({ "code": "a", "transactions_max": { "count": 1, "hours": 0 } }),
            "rules[1].transactions_max.hours: ",
        ),
        (json!({ "code": "a", "spent_max": { "minor": 0, "hours": 1 } }), "rules[1].spent_max.minor: "),
        (json!({ "code": "a", "spent_max": { "minor": 1, "hours": 169 } }), "rules[1].spent_max.hours: "),
        (json!({ "code": "a", "cel": "amount_minor >\n 5 &&" }), "rules[1].cel: line 2, column "),
        (
            json!({ "code": "a", "cel": "amount_minor + 1" }),
            "rules[1].cel: line 1, column 14: an expression needs true or false, this is a number",
        ),
        (
            json!({ "code": "a", "cel": "100 / wins_today > 3" }),
            "rules[1].cel: for a first transaction without a merchant: ",
        ),
    ] {
        let said = fault(rule);
        assert!(said.starts_with(expected), "{said}");
    }
    let many: Vec<_> = (0..65).map(|n| json!({ "code": format!("r{n}"), "wins_per_day": 1 })).collect();
    let TermsError { field, .. } = rules(many.into()).validate().unwrap_err();
    assert_eq!(field, "rules[64]");
    let dear: Vec<_> = (0..17).map(|n| json!({ "code": format!("r{n}"), "cel": "true" })).collect();
    let TermsError { field, .. } = rules(dear.into()).validate().unwrap_err();
    assert_eq!(field, "rules[16].cel");
}

/// What no line ever has denies nobody.
#[test]
fn a_list_is_refused_whose_entries_no_line_ever_has() {
    for country in ["UK", "EL", "gb", "GBR", "ZZ", " GB"] {
        let said = fault(json!({ "code": "a", "countries_denied": ["GB", country] }));
        assert!(said.starts_with("rules[1].countries_denied[1]: expected a country of ISO 3166"), "{said}");
    }
    for (kind, entry) in [
        ("mcc_denied", "74"),
        ("mcc_denied", "07420"),
        ("mcc_denied", "742x"),
        ("hours", "24-25"),
        ("weekdays", "Fri"),
    ] {
        refused(json!([{ "code": "a", kind: [entry] }]));
    }
    // A feed may leave out the zero, and so may an author: both mean the same.
    let padded = rules(json!([{ "code": "a", "mcc_denied": ["742", "763-780"] }]));
    assert_eq!(serde_json::to_value(&padded).unwrap()[0]["mcc_denied"], json!(["0742", "0763-0780"]));
}

#[test]
fn the_short_form_may_say_no_more_than_the_named_one() {
    for (kind, value, place) in [
        ("merchants_denied", json!([" casino"]), "[0]"),
        ("merchants_denied", json!(["casino\u{200b}"]), "[0]"),
        ("merchants_denied", json!(["4111 1111 1111 1111"]), "[0]"),
        ("merchants_allowed", json!([""]), "[0]"),
        ("merchants_allowed", json!([]), ""),
        ("mcc_allowed", json!([]), ""),
        ("amount_min_minor", json!(-1), ""),
        ("amount_max_minor", json!(-5), ""),
        ("wins_per_day", json!(0), ""),
    ] {
        let said = rules(json!({ kind: value })).validate().unwrap_err().to_string();
        assert!(said.starts_with(&format!("rules.{kind}{place}: ")), "{said}");
        assert!(!said.contains("4111"), "{said}");
    }
    rules(json!({ "merchants_denied": ["casino"], "amount_max_minor": 1, "wins_per_day": 1 }))
        .validate()
        .unwrap();
}

#[test]
fn an_expression_of_the_wrong_type_is_refused_where_it_stands() {
    for (source, expected) in [
        (
            "mcc != 7995",
            "line 1, column 5: `!=` needs the same type on both sides: one is a text, the other a number",
        ),
        ("true &&\n  mcc == 5814", "line 2, column 7: `==` needs the same type"),
        ("hour == '17'", "line 1, column 6: `==` needs the same type"),
    ] {
        let said = fault(json!({ "code": "a", "cel": source }));
        assert!(said.starts_with(&format!("rules[1].cel: {expected}")), "{said}");
    }
}

#[test]
fn terms_compile_once_and_their_copies_share_it() {
    let rules = rules(json!([{ "code": "a", "wins_per_day": 1 }]));
    let first: *const CompiledRules = rules.compiled();
    assert!(std::ptr::eq(first, rules.compiled()));
    assert!(std::ptr::eq(first, rules.clone().compiled()));
}
