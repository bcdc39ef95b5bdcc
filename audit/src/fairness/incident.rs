//! What people did to draws, accounts and campaigns, and what waited for them: halts, resumptions,
//! fundings, opened seeds, exclusions, held lines and their reviews, budgets used up.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;

use ledger_core::ids::CampaignId;
use ledger_core::log::{StoredEvent, StreamType};
use ledger_core::money::{Currency, Money};
use ledger_core::time::Timestamp;

/// What a campaign records by itself, day by day. Whatever else is in its stream, somebody did or
/// has to know.
const ROUTINE: [&str; 5] = ["BudgetSpent", "EpochScheduled", "EpochOpened", "EpochClosed", "EpochRevealed"];
/// What somebody did to an account. Reversals only where no bank took the line back.
const OF_ACCOUNTS: [&str; 5] =
    ["AccountClosed", "AccountExcluded", "AccountReinstated", "PersonalDataErased", "RewardReversed"];
/// Words and numbers of an event that belong beside its name.
const DETAILS: [&str; 11] = [
    "amount",
    "percent",
    "reference",
    "proposed_by",
    "purpose",
    "kind",
    "version",
    "entry_id",
    "source",
    "transaction_id",
    "verdict",
];

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incident {
    /// Its place in the log.
    pub position: String,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Whose stream: a campaign's, or an account's under its pseudonym.
    pub stream: String,
    /// Such as `EpochHalted`.
    pub event: String,
    /// Who, as the event's metadata has it.
    pub actor: String,
    /// The day it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// In the operator's words; of an opened seed, what for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What else it says, such as a funding's `amount`, `reference` and who had proposed it, or
    /// what a seed was opened for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<&'static str, String>,
}

/// All of them, in order of the log.
#[derive(Default)]
pub(super) struct Incidents {
    pub(super) list: Vec<Incident>,
    /// Who proposed a funding, by stream and reference.
    proposed: HashMap<(String, String), String>,
    /// In which a campaign's stream counts.
    currencies: HashMap<String, Currency>,
}

impl Incidents {
    /// Takes the event, if it is one, and if it is about `only`, or about all campaigns. Goes by
    /// names, so that what a later release records is listed too.
    pub(super) fn take(&mut self, stored: &StoredEvent, only: Option<&CampaignId>) {
        let name = stored.event_type.as_str();
        self.learn_currency(stored);
        let of = |campaign: &str| only.is_none_or(|only| only.as_str() == campaign);
        let deferred = name == "TransactionDeferred";
        let listed = match stored.stream.stream_type {
            StreamType::System => true,
            StreamType::Campaign => !ROUTINE.contains(&name) && of(&stored.stream.id),
            StreamType::Account => {
                deferred
                    || OF_ACCOUNTS.contains(&name)
                    || ["Held", "Review", "Releas"].iter().any(|word| name.contains(word))
            }
        };
        if !listed {
            return;
        }
        let Ok(payload) = serde_json::from_slice::<Value>(&stored.payload) else { return };
        let payload = &payload[name];
        let word = |field: &str| payload[field].as_str().map(str::to_owned);
        let reason = word("reason").or_else(|| word("purpose"));
        let passed_over = match reason.as_deref() {
            Some("transaction_removed") => true,
            Some(reason) => deferred && reason != "held",
            None => false,
        };
        if passed_over || payload["campaign_id"].as_str().is_some_and(|campaign| !of(campaign)) {
            return;
        }
        let incident = Incident {
            position: stored.position.to_string(),
            recorded_at: stored.recorded_at,
            stream: stored.stream.to_string(),
            event: name.into(),
            actor: stored.actor().unwrap_or_default(),
            epoch: word("epoch"),
            reason,
            details: details(name, payload, self.currencies.get(&stored.stream.to_string()).copied()),
        };
        self.add(incident);
    }

    fn learn_currency(&mut self, stored: &StoredEvent) {
        let name = stored.event_type.as_str();
        if !["CampaignDrafted", "CampaignRevised"].contains(&name) {
            return;
        }
        let payload = serde_json::from_slice::<Value>(&stored.payload).unwrap_or_default();
        let code = payload[name]["terms"]["budget"]["currency"].as_str();
        if let Some(currency) = code.and_then(Currency::recorded) {
            self.currencies.insert(stored.stream.to_string(), currency);
        }
    }

    /// A funding by two people names both.
    fn add(&mut self, mut incident: Incident) {
        if let Some(reference) = incident.details.get("reference").cloned() {
            let funding = (incident.stream.clone(), reference);
            if incident.event == "FundingProposed" {
                self.proposed.insert(funding, incident.actor.clone());
            } else if let Some(first) = self.proposed.remove(&funding) {
                incident.details.insert("proposed_by", first);
            }
        }
        self.list.push(incident);
    }

    /// How many of each event.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for incident in &self.list {
            *counts.entry(incident.event.clone()).or_insert(0) += 1;
        }
        counts
    }
}

/// Money as people write it. Totals of a campaign are in its `currency`.
fn details(name: &str, payload: &Value, currency: Option<Currency>) -> BTreeMap<&'static str, String> {
    let said = |field: &'static str| {
        let value = payload.get(field).or_else(|| payload["line"].get(field))?;
        let money = || serde_json::from_value::<Money>(value.clone()).ok().map(|money| money.to_string());
        let text = value.as_str().map(str::to_owned).or_else(money);
        Some((field, text.or_else(|| value.as_u64().map(|number| number.to_string()))?))
    };
    let mut details: BTreeMap<_, _> = DETAILS.into_iter().filter_map(said).collect();
    for (total, field) in [("funded", "funded_minor"), ("spent", "spent_minor")] {
        if let (Some(minor), Some(currency)) = (payload[field].as_i64(), currency) {
            details.insert(total, currency.amount(minor.into()));
        }
    }
    if name == "AccountExcluded" {
        // All exclusions before there were kinds.
        details.entry("kind").or_insert_with(|| "other".into());
    }
    details
}
