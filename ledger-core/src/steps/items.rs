//! Items of steps that are not done: tried again later, or parked for a person. Rows beside the
//! cursors, changed in the same transaction as these, so that a cursor passes an item only once its
//! row is there.
//!
//! What a person decided about an item is an event of the log; here it is a copy that the step has
//! followed.

pub mod as_text;

use serde::{Deserialize, Serialize};

use crate::system::ParkedAction;
use crate::time::Timestamp;

/// One item that is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRow {
    /// Names it for ever: step, place of its event, and which of the event's items it is.
    pub id: String,
    /// Whose it is.
    pub step: String,
    /// Its event's place in the log.
    pub position: u64,
    /// The account whose event made it.
    pub account: String,
    /// Which of the event's items.
    pub key: String,
    /// Whether it is tried again by itself.
    pub state: ItemState,
    /// How often it was tried in a row.
    pub attempts: u32,
    /// When it is tried again, in microseconds of UTC.
    pub next_at: i64,
    /// Why it is not done.
    pub reason: String,
    /// When it was first tried in vain, in microseconds of UTC.
    pub since: i64,
    /// What else ends its wait; empty for nothing.
    pub wakes: String,
    /// Which attempt to pay it is about.
    pub about: Option<u32>,
    /// What a person decided, still to be done.
    #[serde(with = "as_text")]
    pub act: Option<Act>,
    /// What one person has proposed.
    #[serde(with = "as_text")]
    pub proposed: Option<Proposed>,
    /// The place of the last event of a person's that it has followed; 0 for none.
    pub decided: u64,
}

/// How an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// The step tries again by itself.
    Waiting,
    /// The step has given it up: a person decides.
    Parked,
}

impl ItemState {
    /// The word in the column and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ItemState::Waiting => "waiting",
            ItemState::Parked => "parked",
        }
    }
}

/// What a person decided about an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// What.
    pub action: ParkedAction,
    /// Which attempt to pay it is about.
    pub about: Option<u32>,
    /// Why.
    pub reason: String,
}

/// What one person has proposed, and who.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// What.
    pub action: ParkedAction,
    /// Who.
    pub by: String,
}

/// One change of the rows of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The item is not done: this is its row.
    Put(Box<ItemRow>),
    /// The item is done.
    Remove(String),
    /// What this ends the wait of is due now.
    Wake {
        /// What [`ItemRow::wakes`] says; `None`: whatever it says.
        wakes: Option<String>,
        /// Now.
        now: i64,
    },
    /// A person has decided.
    Act {
        /// About which item.
        id: String,
        /// What.
        act: Act,
        /// Where the log says so.
        decided: u64,
        /// Now.
        now: i64,
    },
    /// A person has proposed something.
    Propose {
        /// About which item.
        id: String,
        /// What.
        proposed: Proposed,
    },
}

/// How many items of a step are not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemCounts {
    /// Tried again by themselves.
    pub waiting: u64,
    /// Left to a person.
    pub parked: u64,
}

impl ItemRow {
    /// When it is tried again.
    pub fn next_at(&self) -> Timestamp {
        Timestamp::from_micros(self.next_at)
    }

    /// When it was first tried in vain.
    pub fn since(&self) -> Timestamp {
        Timestamp::from_micros(self.since)
    }
}
