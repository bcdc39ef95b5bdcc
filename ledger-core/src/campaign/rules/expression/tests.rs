//! What an expression may hold, and that whatever goes wrong never lets a line pass.

use super::*;
use crate::campaign::rules::{
    CompiledRules, Condition, History, MerchantFacts, Rule, RuleCode, Subject, Won,
};
use crate::money::{Currency, Money};
use crate::time::Timestamp;
use crate::transaction::Mcc;
use chrono::NaiveDate;

struct Nothing;

impl History for Nothing {
    fn won(&self, _: NaiveDate, _: NaiveDate) -> Won {
        Won::default()
    }
    fn transactions(&self, _: Timestamp, _: Timestamp) -> u32 {
        0
    }
    fn spent(&self, _: Timestamp, _: Timestamp, _: Currency) -> Option<i64> {
        Some(0)
    }
    fn later(&self, _: Timestamp, _: Timestamp) -> Vec<Timestamp> {
        vec![]
    }
    fn has_forgotten(&self, _: Timestamp) -> bool {
        false
    }
    fn knows_merchant(&self) -> bool {
        false
    }
}

/// Sunday, 22 November 2026, 10:15 in London: GBP 12.50 at a coffee house.
fn coffee() -> Subject<'static> {
    let booked_at = serde_json::from_str("\"2026-11-22T10:15:00Z\"").unwrap();
    Subject {
        booked_at,
        enrolled_at: booked_at,
        time_zone: chrono_tz::Europe::London,
        amount: Money::new(12_50, Currency::from_code("GBP").unwrap()).unwrap(),
        is_purchase: true,
        in_currency: true,
        merchant: Some(MerchantFacts { id: Some("m_42"), mcc: Mcc::parse("0042"), country: Some("GB") }),
        history: &Nothing,
    }
}

fn failed(source: &str) -> Vec<RuleCode> {
    let rule = Rule {
        code: "only_this".into(),
        customer: None,
        staff: None,
        missing: None,
        condition: Condition::Cel(source.into()),
    };
    let mut failed = Vec::new();
    CompiledRules::new(&[rule]).check(&coffee(), &mut failed);
    failed
}

fn refusal(source: &str) -> String {
    Expression::compile(source).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn every_fact_has_the_type_and_value_an_author_expects() {
    for source in [
        "amount_minor == 1250 && currency == 'GBP'",
        "has_merchant && merchant_id == 'm_42' && mcc == '0042' && country in ['GB', 'IE']",
        "first_purchase_at_merchant",
        "day == '2026-11-22' && weekday == 7 && hour == 10",
        "account_age_days == 0 && wins_today + wins_this_week + wins_this_month == 0",
        "won_minor_today + won_minor_this_week + won_minor_this_month == 0",
        "transactions_last_hour == 1 && transactions_last_day == 1 && transactions_last_week == 1",
        "spent_minor_last_hour == 1250 && spent_minor_last_day == 1250 && spent_minor_last_week == 1250",
        "mcc.startsWith('00') ? amount_minor % 100 == 50 : false",
    ] {
        assert_eq!(failed(source), [], "{source}");
    }
    // And every name there is has a value.
    let (subject, context_of) = (coffee(), context);
    let facts = CelFacts::new(&subject);
    for name in CelFacts::NAMES {
        let expression =
            Expression::compile(&format!("{name} == {name}")).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(expression.attempt(&context_of(&facts)), Ok(true), "{name}");
    }
}

#[test]
fn what_is_not_true_declines_under_its_own_code() {
    assert_eq!(failed("amount_minor > 5000"), [RuleCode::from("only_this")]);
}

#[test]
fn what_cannot_be_answered_declines_and_says_so() {
    let both = [RuleCode::from("only_this"), RuleCode::RuleError];
    for source in [
        "1 / wins_today == 1",                    // an error
        "amount_minor == 1250 && 1 / 0 == 1",     // one that depends on the line
        "amount_minor + 1",                       // no truth
        "'yes'",                                  // no truth either
        "amount_minor > 'a'",                     // no such comparison
        "9223372036854775807 + amount_minor > 0", // beyond 64 bits
        "[1, 2].exists(x, x == 1)",               // does not compile: as if an old log had it
        "amount_minor >",
        "",
    ] {
        assert_eq!(failed(source), both, "{source}");
    }
}

#[test]
fn a_panic_inside_the_interpreter_is_a_failure_like_any_other() {
    assert_eq!(guarded(|| -> Option<bool> { panic!("in the interpreter") }), None);
}

#[test]
fn macros_time_and_regular_expressions_are_not_available() {
    for name in ["all", "exists", "exists_one", "map", "filter"] {
        let refused = refusal(&format!("[1, 2].{name}(x, x > 1)"));
        assert!(refused.contains(&format!("`{name}` is not available")), "{refused}");
    }
    for (source, word) in [
        ("has(merchant.id)", "`has`"),
        ("mcc.matches('5.*')", "`matches`"),
        ("timestamp('2026-01-01T00:00:00Z') == timestamp('2026-01-01T00:00:00Z')", "`timestamp`"),
        ("now() > 1", "`now`"),
        ("size(mcc) > 1", "`size`"),
        ("amount_minor > 12.5", "whole numbers"),
        ("{'a': 1}['a'] == 1", "`_[_]`"),
        ("amount > 5", "there is no `amount`"),
        ("merchant_id.name == 'x'", "no `.name`"),
        ("mcc == b'00'", "expected a number"),
    ] {
        let refused = refusal(source);
        assert!(refused.contains(word), "{source}: {refused}");
    }
}

#[test]
fn an_expression_is_bounded_in_length_depth_and_lists() {
    let list = |n: usize| format!("amount_minor in [{}]", vec!["1"; n].join(","));
    assert_eq!(refusal(&list(100)), "");
    assert!(refusal(&list(101)).contains("at most 100 elements"));
    let nots = |n: usize| format!("{}true{}", "!(".repeat(n), ")".repeat(n));
    assert_eq!(refusal(&nots(24)), "");
    assert!(refusal(&nots(25)).contains("at most 24 operators"));
    let sum = |n: usize| format!("0 < {}", vec!["1"; n].join("+"));
    assert_eq!(refusal(&sum(20)), "");
    assert!(refusal(&sum(40)).contains("at most 24 operators"));
    assert!(refusal(&format!("true || {}true", "!".repeat(1_000))).contains("at most 1000 characters"));
    // Whatever fits into the length ends with an answer or a refusal, whatever nests.
    for nested in ["true ? ", "!", "-", "(", "[", "1+", "true||", "a.", "a?b:"] {
        let _ = Expression::compile(&nested.repeat(990 / nested.len()));
    }
}

#[test]
fn a_refusal_says_where_in_the_expression() {
    assert!(
        refusal("amount_minor > 5\n  && nonsense").starts_with("line 2, column 6: there is no `nonsense`")
    );
    assert!(refusal("amount_minor >").starts_with("line 1, column 15: "), "{}", refusal("amount_minor >"));
}
