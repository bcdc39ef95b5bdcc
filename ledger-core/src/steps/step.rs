//! What a step is: which events make it work, what it does with an item, and how an item ends.

use std::future::Future;
use std::time::Duration;

use crate::engine::SubmitError;
use crate::event::LedgerEvent;
use crate::log::StoredEvent;
use crate::system::{Switch, SystemEvent};

use super::backoff::Backoff;
use super::items::Act;

/// A reader of the log that gives commands or causes effects.
pub trait Step: Send + Sync + 'static {
    /// What one event makes it do.
    type Item: Send + 'static;

    /// Names its cursor and its rows.
    fn name(&self) -> &'static str;

    /// Whether events of this type concern it; others are not decoded.
    fn reads(&self, event_type: &str) -> bool;

    /// The work an event makes, if any.
    fn items(&self, stored: &StoredEvent, event: LedgerEvent) -> Vec<Self::Item>;

    /// Which of its event's items this is.
    fn key(&self, item: &Self::Item) -> String;

    /// What ends the wait of an item that cannot be done at once; `None`: it is tried at once.
    fn waits_for(&self, _: &Self::Item) -> Option<String> {
        None
    }

    /// Whose wait an event ends.
    fn wakes(&self, _: &LedgerEvent) -> Option<Wakes> {
        None
    }

    /// Whether a person has halted it: meanwhile no try begins, and items stay where they are.
    fn is_halted(&self) -> bool {
        false
    }

    /// Bounds of what it does at one time.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Tries some items once, and says for each, in order, how that ended. Must be safe to repeat,
    /// and to be cut off at any moment. What the ledger cannot take is tried again.
    fn attempt(
        &self,
        tries: Vec<Try<Self::Item>>,
    ) -> impl Future<Output = Result<Vec<Ended>, SubmitError>> + Send;
}

/// Whose wait an event ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wakes {
    /// Of those that wait for this.
    Those(String),
    /// Of everybody.
    All,
}

/// Whether an event lets go on what a switch has halted.
pub fn resumes(event: &LedgerEvent, switch: Switch) -> bool {
    matches!(event, LedgerEvent::System(SystemEvent::SwitchSet { what, halted: false, .. }) if *what == switch)
}

/// One item to be tried.
pub struct Try<Item> {
    /// Which.
    pub item: Item,
    /// What a person decided about it.
    pub act: Option<Act>,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left to do.
    Done,
    /// It is tried again later.
    Again {
        /// Why it is not done.
        reason: String,
    },
    /// Trying again is of no use: a person decides.
    Parked {
        /// Why.
        reason: String,
        /// Which attempt to pay it is about.
        about: Option<u32>,
    },
}

impl Ended {
    /// Later.
    pub fn again(reason: impl Into<String>) -> Ended {
        Ended::Again { reason: reason.into() }
    }

    /// For a person.
    pub fn parked(reason: impl Into<String>) -> Ended {
        Ended::Parked { reason: reason.into(), about: None }
    }
}

/// Bounds of what a step does at one time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Tries of items that have just been read.
    pub fresh: usize,
    /// Tries of items that wait: what fails again and again keeps nobody else back.
    pub again: usize,
    /// Items in one try.
    pub batch: usize,
    /// Pauses between the tries of one item.
    pub backoff: Backoff,
}

impl Default for Limits {
    fn default() -> Limits {
        let backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_mins(5) };
        Limits { fresh: 96, again: 32, batch: 1, backoff }
    }
}
