//! What a rule can ask of a line, and how it is written: one key of the rule, beside its name.
//!
//! ```yaml
//! - code: no_gambling
//!   customer: Betting does not take part.
//!   mcc_denied: ["7995", "7800-7802"]
//! ```

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, EnumAccess, MapAccess, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{MccRange, Rule, RuleCode};

/// What a line must meet. Days, weeks and months are those of the campaign's time zone, by the
/// booking time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Only these merchants' ids.
    MerchantsAllowed(Vec<String>),
    /// Never these.
    MerchantsDenied(Vec<String>),
    /// Only these merchant category codes, single (`"5411"`) or ranges (`"5811-5814"`).
    MccAllowed(Vec<MccRange>),
    /// Never these.
    MccDenied(Vec<MccRange>),
    /// Only merchants in these countries, ISO 3166-1 alpha-2 in upper case.
    CountriesAllowed(Vec<String>),
    /// Never in these.
    CountriesDenied(Vec<String>),
    /// Inclusive, in minor units of the prize table's currency. Not asked of another currency.
    AmountMinMinor(i64),
    /// Inclusive.
    AmountMaxMinor(i64),
    /// `true`: the customer has not bought at this merchant before, as far as we remember.
    FirstPurchaseAtMerchant(bool),
    /// Only on these days of the week: of booking, or on which the window of [`Condition::Hours`]
    /// over midnight began that the booking lies in.
    Weekdays(Vec<Weekday>),
    /// Only in these hours of the day, such as `"17-20"`: from 17:00 until just before 20:00.
    /// `"22-2"` goes over midnight. The bank may not say the time.
    Hours(Vec<HourRange>),
    /// Wins per customer and day; reached, it declines.
    WinsPerDay(u32),
    /// Per ISO week, Monday to Sunday.
    WinsPerWeek(u32),
    /// Per month.
    WinsPerMonth(u32),
    /// Minor units won per customer and day; reached, it declines. The win that reaches it may go
    /// beyond it.
    WonMinorPerDay(i64),
    /// Per ISO week.
    WonMinorPerWeek(i64),
    /// Per month.
    WonMinorPerMonth(i64),
    /// Whole days (24 hours) from enrolment to booking; of the calendar, where the bank gives a date
    /// alone.
    AccountAgeDaysMin(u32),
    /// The most transactions of the customer in any hours that the booking time lies in, this one
    /// included, of those that were decided before it. It fails where the account has forgotten one
    /// of them.
    TransactionsMax(Velocity),
    /// The most that the customer's purchases in any such hours may come to, this one included, in
    /// the prize table's currency. Every debit is one but a refund. Not asked of another currency,
    /// nor of what is no purchase.
    SpentMax(Spending),
    /// An expression that must be true: CEL over the facts in `campaign.example.yaml`.
    Cel(String),
}

/// What a line comes to that lacks what a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// It meets the condition.
    Pass,
    /// It fails it.
    Decline,
}

/// So many transactions in so many hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Velocity {
    /// From 1 to 64, which is as many as an account remembers.
    pub count: u32,
    /// From 1 to 168.
    pub hours: u32,
}

/// So much money in so many hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spending {
    /// Minor units, inclusive, from 1 to 10^15.
    pub minor: i64,
    /// From 1 to 168.
    pub hours: u32,
}

/// A day of the week, written `mon` to `sun`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the days say themselves")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Hours of the day, the last one excluded, written `17-20`; over midnight where the first is the
/// later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourRange {
    /// 0 to 23.
    pub from: u8,
    /// 1 to 24.
    pub to: u8,
}

impl HourRange {
    /// Whether it ends on the day after the one on which it begins.
    pub fn is_over_midnight(self) -> bool {
        self.from >= self.to
    }
}

impl std::str::FromStr for HourRange {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<HourRange, &'static str> {
        let hour = |digits: &str, range: std::ops::RangeInclusive<u8>| {
            let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
            number.filter(|hour| range.contains(hour))
        };
        let bounds = text.split_once('-').map(|(from, to)| (hour(from, 0..=23), hour(to, 0..=24)));
        match bounds {
            Some((Some(from), Some(to))) if from != to => Ok(HourRange { from, to }),
            _ => Err("expected hours of the day such as \"17-20\" (17:00 until just before 20:00)"),
        }
    }
}

impl Serialize for HourRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}-{}", self.from, self.to))
    }
}

impl<'de> Deserialize<'de> for HourRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::serde_text::read(deserializer, str::parse)
    }
}

impl Condition {
    /// The key under which each is written, in the order of the variants.
    pub const KINDS: [&'static str; 21] = [
        "merchants_allowed",
        "merchants_denied",
        "mcc_allowed",
        "mcc_denied",
        "countries_allowed",
        "countries_denied",
        "amount_min_minor",
        "amount_max_minor",
        "first_purchase_at_merchant",
        "weekdays",
        "hours",
        "wins_per_day",
        "wins_per_week",
        "wins_per_month",
        "won_minor_per_day",
        "won_minor_per_week",
        "won_minor_per_month",
        "account_age_days_min",
        "transactions_max",
        "spent_max",
        "cel",
    ];

    /// The key under which it is written.
    pub fn kind(&self) -> &'static str {
        match self {
            Condition::MerchantsAllowed(_) => "merchants_allowed",
            Condition::MerchantsDenied(_) => "merchants_denied",
            Condition::MccAllowed(_) => "mcc_allowed",
            Condition::MccDenied(_) => "mcc_denied",
            Condition::CountriesAllowed(_) => "countries_allowed",
            Condition::CountriesDenied(_) => "countries_denied",
            Condition::AmountMinMinor(_) => "amount_min_minor",
            Condition::AmountMaxMinor(_) => "amount_max_minor",
            Condition::FirstPurchaseAtMerchant(_) => "first_purchase_at_merchant",
            Condition::Weekdays(_) => "weekdays",
            Condition::Hours(_) => "hours",
            Condition::WinsPerDay(_) => "wins_per_day",
            Condition::WinsPerWeek(_) => "wins_per_week",
            Condition::WinsPerMonth(_) => "wins_per_month",
            Condition::WonMinorPerDay(_) => "won_minor_per_day",
            Condition::WonMinorPerWeek(_) => "won_minor_per_week",
            Condition::WonMinorPerMonth(_) => "won_minor_per_month",
            Condition::AccountAgeDaysMin(_) => "account_age_days_min",
            Condition::TransactionsMax(_) => "transactions_max",
            Condition::SpentMax(_) => "spent_max",
            Condition::Cel(_) => "cel",
        }
    }

    /// What a line comes to that lacks what this is about, unless the rule says otherwise; `None`
    /// where nothing can be missing.
    pub fn missing(&self) -> Option<Missing> {
        match self {
            Condition::MerchantsAllowed(_)
            | Condition::MccAllowed(_)
            | Condition::CountriesAllowed(_)
            | Condition::FirstPurchaseAtMerchant(_)
            | Condition::Hours(_) => Some(Missing::Decline),
            Condition::MerchantsDenied(_) | Condition::MccDenied(_) | Condition::CountriesDenied(_) => {
                Some(Missing::Pass)
            }
            Condition::AmountMinMinor(_)
            | Condition::AmountMaxMinor(_)
            | Condition::Weekdays(_)
            | Condition::WinsPerDay(_)
            | Condition::WinsPerWeek(_)
            | Condition::WinsPerMonth(_)
            | Condition::WonMinorPerDay(_)
            | Condition::WonMinorPerWeek(_)
            | Condition::WonMinorPerMonth(_)
            | Condition::AccountAgeDaysMin(_)
            | Condition::TransactionsMax(_)
            | Condition::SpentMax(_)
            | Condition::Cel(_) => None,
        }
    }
}

/// By hand, not `flatten`: an unknown key is refused, a second condition too, and errors keep their
/// place.
impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RuleVisitor)
    }
}

struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = Rule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rule: `code` and one condition")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rule, A::Error> {
        use serde::de::Error;
        let (mut code, mut customer, mut staff, mut missing) = (None, None, None, None);
        let mut condition: Option<Condition> = None;
        while let Some(Key(key)) = map.next_key()? {
            match key.as_str() {
                "code" => once(&mut code, "code", map.next_value::<RuleCode>()?)?,
                "customer" => once(&mut customer, "customer", map.next_value()?)?,
                "staff" => once(&mut staff, "staff", map.next_value()?)?,
                "missing" => once(&mut missing, "missing", map.next_value()?)?,
                kind => {
                    if let Some(first) = &condition {
                        let first = first.kind();
                        return Err(A::Error::custom(format_args!(
                            "a rule has one condition; this one has {first} and {kind}"
                        )));
                    }
                    condition = Some(Condition::deserialize(Pair { kind, map: &mut map })?);
                }
            }
        }
        let code = code.ok_or_else(|| A::Error::missing_field("code"))?;
        let condition = condition
            .ok_or_else(|| A::Error::custom("a rule has a code and one condition; this one has none"))?;
        Ok(Rule { code, customer, staff, missing, condition })
    }
}

/// A key that a rule may have. Refused where it stands, not where the rule begins.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        let key = String::deserialize(deserializer)?;
        if ["code", "customer", "staff", "missing"].contains(&key.as_str())
            || Condition::KINDS.contains(&key.as_str())
        {
            return Ok(Key(key));
        }
        let known = Condition::KINDS.join(", ");
        Err(serde::de::Error::custom(format_args!(
            "a rule has code, customer, staff, missing, and one of {known}"
        )))
    }
}

fn once<T, E: serde::de::Error>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), E> {
    match slot.replace(value) {
        Some(_) => Err(E::duplicate_field(name)),
        None => Ok(()),
    }
}

/// One key and the value that comes next, as the enum they spell.
struct Pair<'a, A> {
    kind: &'a str,
    map: &'a mut A,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Pair<'_, A> {
    type Error = A::Error;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Pair<'_, A> {
    type Error = A::Error;
    type Variant = Self;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), A::Error> {
        Ok((seed.deserialize(StrDeserializer::new(self.kind))?, self))
    }
}

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Pair<'_, A> {
    type Error = A::Error;
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
    // Every condition holds one value; another shape does not compile into `Condition` by itself.
    fn unit_variant(self) -> Result<(), A::Error> {
        Err(serde::de::Error::custom("a condition needs a value"))
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, A::Error> {
        Err(serde::de::Error::custom("a condition has one value"))
    }
    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, A::Error> {
        Err(serde::de::Error::custom("a condition has one value"))
    }
}
