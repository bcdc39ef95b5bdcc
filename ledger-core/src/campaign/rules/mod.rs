//! The rules of a campaign: conditions that a line must meet, all of them. Each has a name, so that
//! customer and staff can be told which one it was.
//!
//! [`Rules`] holds what the file states and, compiled once per version of the terms, what evaluates
//! it. [`condition`] lists what can be asked, and [`subject`] of what. [`compiled`] answers it.
//! [`expression`] is CEL over [`facts`]; [`types`] says what it may compare. [`validate`] says what
//! is wrong with a rule and where.

mod code;
pub mod compiled;
pub mod condition;
mod countries;
mod expression;
mod facts;
mod looks_at;
mod mcc;
mod sentences;
mod short_form;
mod subject;
mod types;
mod validate;

pub use code::RuleCode;
pub use compiled::CompiledRules;
pub use condition::{Condition, Missing, Spending, Velocity, Weekday};
pub use countries::COUNTRIES_VERSION;
pub use mcc::MccRange;
pub use short_form::ShortRules;
pub use subject::{History, MerchantFacts, Subject, Won};
pub use validate::VELOCITY_COUNT_MAX;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A campaign's rules: a list of named ones, or the short form of the first campaigns, which
/// history has and files may use. Both are written again as they were read.
#[derive(Clone, Default)]
pub struct Rules {
    form: Form,
    /// Made when first needed. Clones of terms share it; two versions never do.
    compiled: OnceLock<Arc<CompiledRules>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Short(ShortRules),
    Named(Vec<Rule>),
}

impl Default for Form {
    fn default() -> Form {
        Form::Short(ShortRules::default())
    }
}

/// One named rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// What the log says when it fails: a `snake_case` word, unique in the campaign.
    pub code: RuleCode,
    /// What the customer is told; a sentence of ours where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// What staff are told; a sentence of ours where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staff: Option<String>,
    /// What a line comes to that lacks what the condition is about. Absent: an allowing list
    /// declines it, a denying one lets it pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
    /// What a line must meet.
    #[serde(flatten)]
    pub condition: Condition,
}

impl Rules {
    /// Whether there is a window of hours over midnight beside weekdays: the night belongs to one
    /// of the two days.
    pub fn have_nights(&self) -> bool {
        let rules = self.named();
        let over_midnight = |rule: &Rule| match &rule.condition {
            Condition::Hours(ranges) => ranges.iter().any(|range| range.is_over_midnight()),
            _ => false,
        };
        let weekdays = |rule: &Rule| matches!(rule.condition, Condition::Weekdays(_));
        rules.iter().any(over_midnight) && rules.iter().any(weekdays)
    }

    /// Every rule, in order; the short form's under the codes it has always had.
    pub fn named(&self) -> Cow<'_, [Rule]> {
        match &self.form {
            Form::Short(short) => Cow::Owned(short.named()),
            Form::Named(rules) => Cow::Borrowed(rules),
        }
    }

    /// The rule of this code.
    pub fn rule(&self, code: &RuleCode) -> Option<Rule> {
        self.named().iter().find(|rule| rule.code == *code).cloned()
    }

    /// Ready to evaluate. Compiled once: who has these terms in an `Arc` shares it.
    pub fn compiled(&self) -> &CompiledRules {
        self.compiled.get_or_init(|| Arc::new(CompiledRules::new(&self.named())))
    }
}

impl From<ShortRules> for Rules {
    fn from(short: ShortRules) -> Rules {
        Rules { form: Form::Short(short), compiled: OnceLock::new() }
    }
}

impl From<Vec<Rule>> for Rules {
    fn from(rules: Vec<Rule>) -> Rules {
        Rules { form: Form::Named(rules), compiled: OnceLock::new() }
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Rules) -> bool {
        self.form == other.form
    }
}

impl Eq for Rules {}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.form.fmt(f)
    }
}

impl Serialize for Rules {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.form {
            Form::Short(short) => short.serialize(serializer),
            Form::Named(rules) => rules.serialize(serializer),
        }
    }
}

/// By hand, not `untagged`: an error keeps its place in the file.
impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = Rules;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of rules, or the short form of them")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rules, A::Error> {
                ShortRules::deserialize(MapAccessDeserializer::new(map)).map(Rules::from)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rules, A::Error> {
                let mut rules = Vec::new();
                while let Some(rule) = list.next_element::<Rule>()? {
                    rules.push(rule);
                }
                Ok(rules.into())
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

#[cfg(test)]
mod tests;
