//! What is wrong with rules, and in which field. Types have refused what cannot be read; this
//! refuses what can be read and makes no sense.

use std::collections::HashSet;

use chrono::NaiveDate;

use super::countries::{self, is_country};
use super::expression::{self, Expression};
use super::facts::CelFacts;
use super::subject::{History, MerchantFacts, Subject, Won};
use super::{Condition, Form, Rule, RuleCode, Rules, ShortRules};
use crate::campaign::terms::{BUDGET_MAX_MINOR, TermsError};
use crate::ids::check_id;
use crate::money::{Currency, Money};
use crate::text::pan::contains_pan;
use crate::text::{WordsError, check_prose, is_printable};
use crate::time::{DAY_MICROS, Timestamp};
use crate::transaction::{BookedAt, Mcc};
use crate::zone::Clocks;

/// Rules of one campaign, and expressions among them: what a decision may cost is bounded.
const RULES_MAX: usize = 64;
const EXPRESSIONS_MAX: usize = 16;
/// Entries of one list.
const LIST_MAX: usize = 10_000;
/// Transactions that an account remembers, and the longest window they are counted in.
pub const VELOCITY_COUNT_MAX: u32 = 64;
const VELOCITY_HOURS_MAX: u32 = 168;
/// Characters of a code and of a sentence.
const CODE_MAX: usize = 48;
const SENTENCE_MAX: usize = 300;

fn fault(field: String, message: impl Into<String>) -> TermsError {
    TermsError { field, message: message.into() }
}

impl Rules {
    /// Checks what the types do not.
    pub(in crate::campaign) fn validate(&self) -> Result<(), TermsError> {
        match &self.form {
            Form::Short(short) => short.validate(),
            Form::Named(rules) => named(rules),
        }
    }
}

impl ShortRules {
    fn validate(&self) -> Result<(), TermsError> {
        let fail = |field: &str, message: &str| Err(fault(format!("rules.{field}"), message));
        if let (Some(min), Some(max)) = (self.amount_min_minor, self.amount_max_minor)
            && min > max
        {
            return fail("amount_max_minor", "must be at least amount_min_minor");
        }
        // What a rule may say does not depend on the form in which it is written.
        self.named().iter().try_for_each(|rule| {
            let kind = rule.condition.kind();
            condition(&rule.condition)
                .map_err(|(place, message)| fault(format!("rules.{kind}{place}"), message))
        })
    }
}

fn named(rules: &[Rule]) -> Result<(), TermsError> {
    if rules.len() > RULES_MAX {
        return Err(fault(
            format!("rules[{RULES_MAX}]"),
            format!("a campaign has at most {RULES_MAX} rules"),
        ));
    }
    let mut codes = HashSet::new();
    let mut expressions = 0;
    let least = rules.iter().filter_map(|rule| match rule.condition {
        Condition::AmountMinMinor(min) => Some(min),
        _ => None,
    });
    let least = least.max();
    for (index, rule) in rules.iter().enumerate() {
        let path = |field: &str| format!("rules[{index}].{field}");
        code(&rule.code).map_err(|message| fault(path("code"), message))?;
        if !codes.insert(&rule.code) {
            return Err(fault(path("code"), format!("another rule is called {} too", rule.code)));
        }
        for (field, sentence) in [("customer", &rule.customer), ("staff", &rule.staff)] {
            sentence
                .as_deref()
                .map_or(Ok(()), |text| check_prose(text, SENTENCE_MAX))
                .map_err(|error| fault(path(field), error.to_string()))?;
        }
        if rule.missing.is_some() && rule.condition.missing().is_none() {
            let kind = rule.condition.kind();
            return Err(fault(path("missing"), format!("{kind} is about nothing that can be missing")));
        }
        expressions += usize::from(matches!(rule.condition, Condition::Cel(_)));
        if expressions > EXPRESSIONS_MAX {
            return Err(fault(path("cel"), format!("a campaign has at most {EXPRESSIONS_MAX} expressions")));
        }
        if let Condition::AmountMaxMinor(max) = rule.condition
            && least.is_some_and(|min| min > max)
        {
            return Err(fault(path("amount_max_minor"), "must be at least amount_min_minor"));
        }
        let kind = rule.condition.kind();
        condition(&rule.condition)
            .map_err(|(place, message)| fault(path(&format!("{kind}{place}")), message))?;
    }
    Ok(())
}

fn code(code: &RuleCode) -> Result<(), &'static str> {
    let word = code.as_str();
    let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if word.len() > CODE_MAX
        || !word.starts_with(|c: char| c.is_ascii_lowercase())
        || !word.chars().all(snake)
    {
        return Err("must be a word such as no_gambling: at most 48 lower-case letters, digits and _");
    }
    if contains_pan(word) {
        return Err("must not hold a card number");
    }
    if code.is_reserved() {
        return Err("is the code of a check that every campaign makes; choose another word");
    }
    Ok(())
}

/// What is wrong, and where under the condition's key.
type Fault = (String, String);

fn condition(condition: &Condition) -> Result<(), Fault> {
    let here = |message: &str| Err((String::new(), message.to_owned()));
    match condition {
        Condition::MerchantsAllowed(ids) | Condition::MerchantsDenied(ids) => {
            // No line's merchant may look like a card number either.
            let is_merchant = |id: &String| check_id(id).is_ok() && !contains_pan(id);
            list(ids, is_merchant, "expected a merchant's id, 1 to 128 printable characters, no card number")
        }
        Condition::MccAllowed(ranges) | Condition::MccDenied(ranges) => list(ranges, |_| true, ""),
        Condition::CountriesAllowed(countries) | Condition::CountriesDenied(countries) => {
            let wrong = countries.iter().find(|code| !is_country(code));
            let expected =
                wrong.map_or(String::new(), |code| format!("expected {}", countries::expected(code)));
            list(countries, |code| is_country(code), &expected)
        }
        Condition::Weekdays(days) => list(days, |_| true, ""),
        Condition::Hours(ranges) => list(ranges, |_| true, ""),
        Condition::AmountMinMinor(minor) if *minor < 0 => here("must not be negative"),
        Condition::AmountMaxMinor(minor) if *minor < 1 => here("must be above zero"),
        Condition::FirstPurchaseAtMerchant(false) => here("must be true; leave the rule out otherwise"),
        Condition::WinsPerDay(0) | Condition::WinsPerWeek(0) | Condition::WinsPerMonth(0) => {
            here("must be at least 1; to stop wins, pause the campaign")
        }
        Condition::WonMinorPerDay(minor)
        | Condition::WonMinorPerWeek(minor)
        | Condition::WonMinorPerMonth(minor)
            if *minor < 1 =>
        {
            here("must be at least 1; to stop wins, pause the campaign")
        }
        Condition::TransactionsMax(most) if !(1..=VELOCITY_COUNT_MAX).contains(&most.count) => {
            Err((".count".into(), format!("must be from 1 to {VELOCITY_COUNT_MAX}")))
        }
        Condition::TransactionsMax(most) if !(1..=VELOCITY_HOURS_MAX).contains(&most.hours) => {
            Err((".hours".into(), format!("must be from 1 to {VELOCITY_HOURS_MAX}")))
        }
        Condition::SpentMax(most) if !(1..=BUDGET_MAX_MINOR).contains(&most.minor) => {
            Err((".minor".into(), format!("must be from 1 to {BUDGET_MAX_MINOR}")))
        }
        Condition::SpentMax(most) if !(1..=VELOCITY_HOURS_MAX).contains(&most.hours) => {
            Err((".hours".into(), format!("must be from 1 to {VELOCITY_HOURS_MAX}")))
        }
        Condition::Cel(source) => expression(source).map_err(|message| (String::new(), message)),
        Condition::AmountMinMinor(_)
        | Condition::AmountMaxMinor(_)
        | Condition::FirstPurchaseAtMerchant(true)
        | Condition::WinsPerDay(_)
        | Condition::WinsPerWeek(_)
        | Condition::WinsPerMonth(_)
        | Condition::WonMinorPerDay(_)
        | Condition::WonMinorPerWeek(_)
        | Condition::WonMinorPerMonth(_)
        | Condition::AccountAgeDaysMin(_)
        | Condition::TransactionsMax(_)
        | Condition::SpentMax(_) => Ok(()),
    }
}

fn list<T>(list: &[T], is_good: impl Fn(&T) -> bool, expected: &str) -> Result<(), Fault> {
    if list.is_empty() {
        return Err((String::new(), "must not be empty; leave the rule out to ask nothing".into()));
    }
    if list.len() > LIST_MAX {
        return Err((format!("[{LIST_MAX}]"), format!("a list has at most {LIST_MAX} entries")));
    }
    match list.iter().position(|entry| !is_good(entry)) {
        Some(index) => Err((format!("[{index}]"), expected.into())),
        None => Ok(()),
    }
}

/// Compiles it, and asks it of two customers: one with everything, one with nothing. What gives no
/// answer for one of them would decline that customer for ever.
fn expression(source: &str) -> Result<(), String> {
    // It may have several lines, and is as long as the compiler allows.
    if !source.chars().all(|c| matches!(c, '\n' | '\r' | '\t') || is_printable(c)) {
        return Err("must be printable characters, in lines".into());
    }
    if contains_pan(source) {
        return Err(WordsError::CardNumber.to_string());
    }
    let expression = Expression::compile(source).map_err(|error| error.to_string())?;
    expression.check_types(source).map_err(|error| error.to_string())?;
    let rich = MerchantFacts { id: Some("m_1"), mcc: Mcc::parse("5411"), country: Some("GB") };
    for (who, merchant, history) in [
        ("a transaction at a known merchant", Some(rich), &Sample { much: true }),
        ("a first transaction without a merchant", None, &Sample { much: false }),
    ] {
        let booked_at = Timestamp::from_micros(20_000 * DAY_MICROS);
        let currency = Currency::from_code("GBP").expect("ISO 4217 has the pound");
        let subject = Subject {
            booked: BookedAt { at: booked_at, time_known: true },
            enrolled_at: booked_at,
            clocks: &Clocks::UTC,
            nights_begin: true,
            amount: Money::new(1_250, currency).expect("it is not negative"),
            is_purchase: true,
            in_currency: true,
            merchant,
            history,
        };
        let facts = CelFacts::new(&subject);
        expression.attempt(&expression::context(&facts)).map_err(|why| format!("for {who}: {why}"))?;
    }
    Ok(())
}

struct Sample {
    much: bool,
}

impl History for Sample {
    fn won(&self, _: NaiveDate, _: NaiveDate) -> Won {
        if self.much { Won { wins: 2, minor: 1_000 } } else { Won::default() }
    }
    fn transactions(&self, _: Timestamp, _: Timestamp) -> u32 {
        if self.much { 7 } else { 0 }
    }
    fn spent(&self, _: Timestamp, _: Timestamp, _: Currency) -> Option<i64> {
        Some(if self.much { 10_000 } else { 0 })
    }
    fn later(&self, _: Timestamp, _: Timestamp) -> Vec<Timestamp> {
        vec![]
    }
    fn has_forgotten(&self, _: Timestamp) -> bool {
        false
    }
    fn knows_merchant(&self) -> bool {
        self.much
    }
}
