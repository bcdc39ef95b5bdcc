//! What an expression may hold, and that whatever goes wrong never lets a line pass.

use super::*;
use crate::campaign::rules::{
    CompiledRules, Condition, History, MerchantFacts, Rule, RuleCode, Subject, Won,
};
use crate::money::{Currency, Money};
use crate::time::Timestamp;
use crate::transaction::{BookedAt, Mcc};
use crate::zone::Clocks;
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
        booked: BookedAt { at: booked_at, time_known: true },
        enrolled_at: booked_at,
        clocks: &Clocks::Legacy(chrono_tz::Europe::London),
        nights_begin: true,
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
    for nested in [
        "true ? ", "!", "-", "(", "[", "{", "1+", "1<", "true||", "a&&", "a.", "a(", "a[", "a{b:", "{1:",
        "a?b:", "-(", "!(", "[-(", "a in ", "'a'+", "//\n(",
    ] {
        for (open, close) in [(nested, ""), (nested, ")"), (nested, "]"), (nested, "}"), (nested, ":1")] {
            let times = 990 / (open.len() + close.len());
            let _ = Expression::compile(&format!("{}1{}", open.repeat(times), close.repeat(times)));
        }
    }
}

#[test]
fn a_refusal_says_where_in_the_expression() {
    assert!(
        refusal("amount_minor > 5\n  && nonsense").starts_with("line 2, column 6: there is no `nonsense`")
    );
    assert!(refusal("amount_minor >").starts_with("line 1, column 15: "), "{}", refusal("amount_minor >"));
}

fn ill_typed(source: &str) -> String {
    let expression = Expression::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    expression.check_types(source).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn what_compares_across_types_is_refused() {
    for source in [
        "mcc != 7995",
        "mcc == 5814",
        "7995 != mcc",
        "hour == '17'",
        "weekday in ['6', '7']",
        "mcc in [7995, 7800]",
        "!(mcc in [7995])",
        "mcc in ['7995', 7800]",
        "amount_minor in mcc",
        "currency == 826",
        "has_merchant == 'true'",
        "has_merchant == 1",
        "first_purchase_at_merchant != 'no'",
        "day > 20261122",
        "amount_minor > '1000'",
        "'1000' < amount_minor",
        "country == ['GB']",
        "[mcc] == [7995]",
        "[[1]] == [['a']]",
        "amount_minor + currency == 'a'",
        "amount_minor + 'a' == 'a'",
        "mcc + '' != '07995'",
        "'' + mcc != '07995'",
        "currency + country == 'GBPGB'",
        "-mcc == 1",
        "mcc * 2 == 1",
        "true + true == true",
        "amount_minor.startsWith('1')",
        "mcc.startsWith(58)",
        "mcc.contains(5)",
        "has_merchant ? mcc == 5814 : true",
        "has_merchant ? 'yes' : false",
        "mcc ? true : false",
        "(has_merchant ? mcc : hour) == '5814'",
        "has_merchant && mcc",
        "amount_minor || true",
        "!hour",
        "mcc",
        "amount_minor",
        "[]",
        "has_merchant < true",
        "[1] < [2]",
        "true || mcc == 7995",
        "(mcc == '7995') == 1",
    ] {
        assert_ne!(ill_typed(source), "", "{source}");
    }
}

#[test]
fn what_a_fact_never_is_is_refused() {
    for source in [
        "mcc != '742'",
        "'742' == mcc",
        "mcc in ['7995', '742']",
        "mcc != '07995'",
        "mcc == 'casino'",
        "!('betting' in [mcc, country])",
        "country != 'UK'",
        "country == 'gb'",
        "country in ['GB', 'GBR']",
        "currency != 'gbp'",
        "currency == 'EURO'",
        "day == '22.11.2026'",
        "day == '2026-1-1'",
        "weekday == 0",
        "weekday == 8",
        "hour == 24",
        "hour in [22, 23, 24]",
        "(has_merchant ? mcc : '') != '07995'",
        "mcc != (has_merchant ? '07995' : '')",
        "!(mcc in (has_merchant ? ['07995'] : ['7995']))",
        "[mcc] != ['07995']",
        "!([mcc] in [['07995']])",
        "mcc > '07995'",
        "'9' > mcc",
    ] {
        let said = ill_typed(source);
        assert!(said.contains("is never this") && said.starts_with("line 1, column "), "{source}: {said}");
    }
}

#[test]
fn what_a_fact_never_has_in_it_is_refused() {
    for source in [
        "!mcc.startsWith('07995')",
        "!mcc.contains('79 ')",
        "mcc.endsWith('x')",
        "country.startsWith('gb')",
        "!currency.endsWith('euro')",
        "day.contains('/')",
        "!(has_merchant ? mcc : country).startsWith('casino')",
        "!mcc.startsWith(has_merchant ? '07995' : '7')",
    ] {
        let said = ill_typed(source);
        assert!(said.contains("never has this in it"), "{source}: {said}");
    }
}

#[test]
fn what_compares_like_with_like_is_taken() {
    for source in [
        "mcc != '7995'",
        "mcc == ''",
        "mcc != '0742' && country == ''",
        "!(mcc in ['7995', '0742']) || country in ['GB', 'IE', 'XK']",
        "mcc in []",
        "mcc >= '7800' && mcc < '7996' && day.startsWith('2026-11-') && country.contains('G')",
        "hour >= 17 && hour < 24 && weekday in [6, 7]",
        "mcc.startsWith('58') || mcc.endsWith('4') || merchant_id.contains('x')",
        "(has_merchant ? mcc : '') == '5814'",
        "day >= '2026-11-22' && day != '2026-12-24'",
        "-amount_minor < 0 && amount_minor % 100 == 50 && amount_minor - 1 + 2 * 3 / 4 > 0",
        "has_merchant == first_purchase_at_merchant",
        "[mcc, country] == ['5814', 'GB']",
        "merchant_id == '742'",
        "(1 == 1) == true",
    ] {
        assert_eq!(ill_typed(source), "", "{source}");
    }
}

/// Every fact is asked of every type: only its own is taken, and that is the type it has when it is
/// evaluated.
#[test]
fn the_checker_knows_every_facts_type() {
    let subject = coffee();
    let facts = CelFacts::new(&subject);
    for name in CelFacts::NAMES {
        // Nothing that is known to be never so.
        let types = [("(1 == 1)", "bool"), ("(1 + 0)", "int"), ("merchant_id", "string")];
        let fits = |like: &str| ill_typed(&format!("{name} == {like}")).is_empty();
        let taken: Vec<_> = types.iter().filter(|(like, _)| fits(like)).collect();
        assert_eq!(taken.len(), 1, "{name}");
        let list = format!("{name} in [{name}]");
        assert_eq!(Expression::compile(&list).unwrap().attempt(&context(&facts)), Ok(true), "{name}");
        let value = cel::context::VariableResolver::resolve(&facts, name).unwrap();
        let is = Value::try_from(&*value).unwrap().type_of().to_string();
        assert_eq!(is, taken[0].1, "{name}");
    }
}

#[test]
fn a_place_is_counted_in_characters() {
    assert!(
        ill_typed("merchant_id == 'caf\u{e9}' &&\n 'caf\u{e9}' == 1").starts_with("line 2, column 9: "),
        "{}",
        ill_typed("merchant_id == 'caf\u{e9}' &&\n 'caf\u{e9}' == 1")
    );
}

/// An approved campaign of an earlier release goes on as it was.
#[test]
fn an_ill_typed_expression_of_an_old_log_is_decided_as_it_always_was() {
    assert_eq!(failed("mcc != 7995"), []);
    assert_eq!(failed("mcc == 42"), [RuleCode::from("only_this")]);
}
