//! The facts of the ledger as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use compact_str::CompactString;
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::switch::Switch;
use crate::ids::Digest;
use crate::time::Timestamp;
use crate::zone::Transitions;

/// What a person does to an item that a step has given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkedAction {
    /// The step tries again. A payment whose outcome is unknown is only asked about.
    Retry,
    /// Nobody tries again. A reward that was to be paid is reversed.
    Drop,
    /// The attempt to pay counts as refused; a new one follows.
    Fail,
}

impl ParkedAction {
    /// All of them.
    pub const ALL: [ParkedAction; 3] = [ParkedAction::Retry, ParkedAction::Drop, ParkedAction::Fail];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ParkedAction::Retry => "retry",
            ParkedAction::Drop => "drop",
            ParkedAction::Fail => "fail",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<ParkedAction> {
        ParkedAction::ALL.into_iter().find(|action| action.as_str() == word)
    }
}

/// A fact of the ledger as a whole, and who is answerable for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SystemEvent {
    /// The first of two people says what is to become of a parked item.
    ParkedItemProposed {
        /// The item's id.
        item: String,
        /// Whose item it is, such as `credit`.
        step: String,
        /// What is to be done.
        action: ParkedAction,
        /// Which attempt to pay it is about: said of the first, it says nothing of the second.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
        /// Why.
        reason: String,
        /// Who.
        by: String,
    },
    /// What becomes of a parked item. Its step follows this event.
    ParkedItemResolved {
        /// The item's id.
        item: String,
        /// Whose item it is.
        step: String,
        /// What is done.
        action: ParkedAction,
        /// Which attempt to pay it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
        /// Why.
        reason: String,
        /// Who; the second of two people, where it takes two.
        by: String,
        /// The first of the two.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proposed_by: Option<String>,
    },
    /// The log was put in the place of another state of it.
    LogRestored {
        /// Why.
        reason: String,
        /// Who.
        by: String,
        /// The last event of what was restored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from_position: Option<u64>,
        /// That event's hash.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        head: Option<Digest>,
    },
    /// A clock that had leapt is right: intake goes on.
    ClockAccepted {
        /// Why.
        reason: String,
        /// Who.
        by: String,
        /// What the clock said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock_at: Option<Timestamp>,
    },
    /// From here on, what these zones' clocks show is decided by this table. Zones that it does not
    /// name stay as they were.
    ZoneTableChanged {
        /// The version of the IANA table, such as `2026f`.
        version: String,
        /// By name.
        zones: BTreeMap<CompactString, Arc<Transitions>>,
    },
    /// Something is halted, or goes on. Its steps follow this event.
    SwitchSet {
        /// What.
        what: Switch,
        /// Whether it is halted from now on.
        halted: bool,
        /// Why.
        reason: String,
        /// Who.
        by: String,
    },
}

impl SystemEvent {
    /// The event's name, as in the log's `event_type`.
    pub fn name(&self) -> &'static str {
        match self {
            SystemEvent::ParkedItemProposed { .. } => "ParkedItemProposed",
            SystemEvent::ParkedItemResolved { .. } => "ParkedItemResolved",
            SystemEvent::LogRestored { .. } => "LogRestored",
            SystemEvent::ClockAccepted { .. } => "ClockAccepted",
            SystemEvent::ZoneTableChanged { .. } => "ZoneTableChanged",
            SystemEvent::SwitchSet { .. } => "SwitchSet",
        }
    }
}

impl DomainEvent for SystemEvent {
    fn event_type(&self) -> String {
        self.name().into()
    }
    fn event_version(&self) -> String {
        "1".into()
    }
}
