//! The terms of a campaign: window, rules, prizes, budget, as its file states them.

use std::collections::BTreeMap;

use chrono::Datelike as _;
use serde::{Deserialize, Serialize};

pub use super::rules::{Condition, MccRange, Rule, RuleCode, Rules, ShortRules};
use crate::draw::beacon::{self, BeaconSpec};
use crate::draw::{ODDS_WHOLE_PPB, PrizeTable, TableError};
use crate::ids::{CampaignId, check_id};
use crate::money::Money;
use crate::text::pan::{contains_pan, holds_pan};
use crate::text::{WordsError, check_prose, is_printable};
use crate::time::{DAY_MICROS, Epoch, Timestamp};
use crate::transaction::BookedAt;
use crate::zone::{self, Zone};

const NAME_CHARACTERS_MAX: usize = 200;

/// One version of a campaign's terms. Immutable once drafted; `campaign.example.yaml` shows the
/// file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The campaign's id: 1–128 printable characters.
    pub campaign_id: CampaignId,
    /// For people, at most 200 characters.
    pub name: String,
    /// IANA zone in which "per day" counts.
    pub time_zone: Zone,
    /// The first booking time that takes part.
    pub starts_at: Timestamp,
    /// The first booking time that no longer takes part; open-ended where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// From when a customer's transactions count.
    #[serde(default)]
    pub eligible_from: EligibleFrom,
    /// Its place among campaigns that run at once: the smallest is asked first, then by id.
    #[serde(default, skip_serializing_if = "is_default")]
    pub precedence: i32,
    /// Whether a transaction enters this draw besides another campaign's. Of the others it enters
    /// only the first that admits it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stackable: bool,
    /// Which lines are admitted.
    #[serde(default)]
    pub rules: Rules,
    /// What can be won.
    pub prize_table: PrizeTable,
    /// The most wins of a tier over the whole campaign, by its name; a tier not named here is not
    /// limited.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inventory: BTreeMap<String, u64>,
    /// Funded when the campaign starts; its currency is the table's.
    pub budget: Money,
    /// How many draws the budget is meant for. Where it is given, their expected cost must be
    /// within the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_draws: Option<u64>,
    /// Minor units above which a funding needs a second person; absent: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funding_limit_minor: Option<i64>,
    /// Days between an epoch's close and its reveal in which late transactions still draw, at most
    /// 60.
    #[serde(default = "default_grace_days")]
    pub grace_days: u32,
    /// `none`, or `drand:quicknet`: epochs scheduled from now on wait for a public round of
    /// randomness.
    #[serde(default = "default_beacon")]
    pub beacon: String,
    /// Under which reading its rules were drafted: set by the ledger, never asked of an author.
    #[serde(default = "first_reading", skip_serializing_if = "is_first_reading")]
    pub rules_reading: u32,
}

/// How rules are read that are drafted now. 1: an hour after midnight has the weekday of its own
/// day. 2: it has the weekday on which its window began.
pub const RULES_READING: u32 = 2;

fn first_reading() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_first_reading(reading: &u32) -> bool {
    *reading == 1
}

/// Whether a time can be meant, and the clocks of that year are in the table of zones.
pub(super) fn plausible(time: Timestamp) -> bool {
    zone::YEARS.contains(&time.date().year())
}

/// What is said of one that is not.
pub(super) const IMPLAUSIBLE: &str = "must lie in the years 2000 to 2099";

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn default_grace_days() -> u32 {
    31
}

fn default_beacon() -> String {
    beacon::NONE.into()
}

fn in_table(error: &TableError) -> TermsError {
    TermsError { field: format!("prize_table.{}", error.field), message: error.message.clone() }
}

/// From when a customer's transactions count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EligibleFrom {
    /// Lines booked before the customer's enrolment do not: a first poll of 30 days buys no
    /// tickets.
    #[default]
    Enrolment,
    /// Every line inside the campaign's window does.
    CampaignStart,
}

/// Why terms cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct TermsError {
    /// A dotted path such as `prize_table.tiers[0].odds_ppb`.
    pub field: String,
    /// What is expected.
    pub message: String,
}

/// The most that one campaign may ever be funded with. Far below what 64 bits hold, so that sums
/// over thousands of campaigns, and budgets that are given back and won again, stay within them.
pub const BUDGET_MAX_MINOR: i64 = 1_000_000_000_000_000;

impl Terms {
    /// Checks what the types do not.
    pub fn validate(&self) -> Result<(), TermsError> {
        let fail =
            |field: &str, message: &str| Err(TermsError { field: field.into(), message: message.into() });
        self.check_texts()?;
        self.prize_table.validate().map_err(|e| in_table(&e))?;
        for (name, time) in [("starts_at", Some(self.starts_at)), ("ends_at", self.ends_at)] {
            if time.is_some_and(|time| !plausible(time)) {
                return fail(name, IMPLAUSIBLE);
            }
        }
        if !self.time_zone.is_known() {
            return fail("time_zone", "must be a zone of the IANA table such as Europe/London");
        }
        if !self.prize_table.currency.is_in_use() {
            return fail("prize_table.currency", "must be an ISO 4217 code in use, with minor units");
        }
        if self.ends_at.is_some_and(|end| end <= self.starts_at) {
            return fail("ends_at", "must be after starts_at");
        }
        if self.budget.currency() != self.prize_table.currency {
            return fail("budget.currency", "must be the prize table's currency");
        }
        if self.budget.is_zero() {
            return fail("budget.minor", "must be above zero");
        }
        if self.budget.minor() > BUDGET_MAX_MINOR {
            return fail("budget.minor", &format!("must be at most {BUDGET_MAX_MINOR}"));
        }
        if let Some(name) = self.inventory.keys().find(|name| !self.has_tier(name)) {
            // An error repeats only names that a tier could have.
            let sayable = name.chars().all(is_printable) && !contains_pan(name);
            let field = if sayable { format!("inventory.{name}") } else { "inventory".into() };
            return fail(&field, "must be the name of a tier of the prize table");
        }
        if self.inventory.values().any(|most| *most == 0) {
            return fail("inventory", "must be at least 1; to pay no such prize, leave the tier out");
        }
        if self.funding_limit_minor.is_some_and(|limit| limit < 0) {
            return fail("funding_limit_minor", "must not be negative");
        }
        if let Some(too_dear) = self.too_dear() {
            return fail("budget.minor", &too_dear);
        }
        if self.grace_days > 60 {
            return fail("grace_days", "must be at most 60");
        }
        if ![beacon::NONE, beacon::QUICKNET].contains(&self.beacon.as_str()) {
            return fail("beacon", "must be \"none\" or \"drand:quicknet\"");
        }
        self.rules.validate()
    }

    /// These terms as they are drafted now.
    #[must_use]
    pub fn read_anew(&self) -> Terms {
        // Older programs refuse a reading that they do not know: only where it says something.
        let rules_reading = if self.rules.have_nights() { RULES_READING } else { first_reading() };
        Terms { rules_reading, ..self.clone() }
    }

    /// Whether a window of hours over midnight belongs to the weekday on which it began.
    pub fn nights_begin(&self) -> bool {
        self.rules_reading >= 2
    }

    /// The epoch in which a line draws here: the UTC day of its booking. Of a date without a time
    /// it is that date, within the epochs of the campaign's window: on its first and last day there
    /// it may be another day in UTC.
    pub fn epoch_of(&self, booked: BookedAt) -> Epoch {
        let epoch = Epoch::of(booked.at);
        if booked.time_known {
            return epoch;
        }
        let last = self.ends_at.map(|end| Epoch::of(end.plus_micros(-1)));
        last.map_or(epoch, |last| epoch.min(last)).max(Epoch::of(self.starts_at))
    }

    /// When the grace of its last day is over; `None` where it has no end.
    pub fn draws_until(&self) -> Option<Timestamp> {
        let last_closes = |end: Timestamp| {
            let day = Epoch::of(end);
            if day.opens_at() == end { end } else { day.closes_at() }
        };
        Some(last_closes(self.ends_at?).plus_micros(i64::from(self.grace_days) * DAY_MICROS))
    }

    /// What is asked of a new campaign beyond what [`validate`](Terms::validate) asks of all that
    /// there are: its budget covers what is planned, and its name for ever can be typed and stand
    /// in an address.
    pub fn check_new(&self) -> Result<(), TermsError> {
        let id = self.campaign_id.as_str().as_bytes();
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        if !id.iter().all(is_plain) || !id.first().is_some_and(u8::is_ascii_alphanumeric) {
            let message =
                "must be letters a to z, digits and . _ - only, such as autumn-2026; people read `name`"
                    .into();
            return Err(TermsError { field: "campaign_id".into(), message });
        }
        self.covered_by(self.budget.minor())
    }

    /// Whether nothing can be booked in its window any more.
    pub fn over_at(&self, now: Timestamp) -> Option<TermsError> {
        let message = "must be in the future: nothing could take part".into();
        self.ends_at.filter(|end| *end <= now).map(|_| TermsError { field: "ends_at".into(), message })
    }

    /// Its texts stand in the log for ever, in the clear. Those of earlier releases were asked
    /// less, and are read as they are.
    fn check_texts(&self) -> Result<(), TermsError> {
        let fault = |field: &str, message: String| TermsError { field: field.into(), message };
        let id = self.campaign_id.as_str();
        check_id(id).map_err(|error| fault("campaign_id", error.to_string()))?;
        if holds_pan(id) {
            return Err(fault("campaign_id", WordsError::CardNumber.to_string()));
        }
        // No path can hold them.
        if [".", ".."].contains(&id) {
            return Err(fault("campaign_id", "must not be . or ..".into()));
        }
        check_prose(&self.name, NAME_CHARACTERS_MAX).map_err(|error| fault("name", error.to_string()))?;
        self.prize_table.check_names().map_err(|error| in_table(&error))
    }

    /// What an epoch that is committed to at `now` waits for.
    pub fn beacon_spec(&self, epoch: Epoch, now: Timestamp) -> BeaconSpec {
        BeaconSpec::of(&self.beacon, epoch.opens_at(), now)
            .expect("terms are validated when they are drafted")
    }

    fn has_tier(&self, name: &str) -> bool {
        self.prize_table.tiers.iter().any(|tier| tier.name == name)
    }

    /// A budget that cannot pay a tier even once can never pay it: its odds would be a lie.
    fn too_dear(&self) -> Option<String> {
        let dearest = self.prize_table.tiers.iter().max_by_key(|tier| tier.prize.max_minor())?;
        let most = dearest.prize.max_minor();
        (most > self.budget.minor())
            .then(|| format!("must cover tier {} at least once: {most} minor units", dearest.name))
    }

    /// Whether what is funded covers what the planned draws are expected to cost: the budget of the
    /// terms before the start, all funding after it.
    pub fn covered_by(&self, funded_minor: i64) -> Result<(), TermsError> {
        let expected = self.planned_draws.map(u128::from).and_then(|planned| {
            let expected_ppb = self.prize_table.expected_cost_ppb().checked_mul(planned)?;
            Some((planned, expected_ppb.div_ceil(u128::from(ODDS_WHOLE_PPB))))
        });
        match expected {
            Some((planned, expected)) if expected > u128::try_from(funded_minor).unwrap_or(0) => {
                let message = format!(
                    "{planned} draws are expected to cost up to {expected} minor units, and {funded_minor} are funded"
                );
                Err(TermsError { field: "planned_draws".into(), message })
            }
            Some(_) | None => Ok(()),
        }
    }
}
