//! What can be done to the ledger as a whole, and what it answers.

use super::event::ParkedAction;
use super::switch::Switch;
use crate::aggregate::Command;
use crate::ids::Digest;
use crate::time::Timestamp;
use crate::zone::ZoneTableChange;

/// One command.
pub type SystemCommand = Command<SystemCommandKind, SystemAnswer>;

/// What is asked.
#[derive(Clone, Debug)]
pub enum SystemCommandKind {
    /// Decide what becomes of a parked item. What costs or saves money takes two people.
    ResolveParked {
        /// The item's id.
        item: String,
        /// Whose item it is.
        step: String,
        /// What to do.
        action: ParkedAction,
        /// Which attempt to pay it is about, where it is about one.
        attempt: Option<u32>,
        /// Why.
        reason: String,
    },
    /// The log is a restored one.
    RecordRestore {
        /// Why.
        reason: String,
        /// The last event of what was restored.
        from_position: Option<u64>,
        /// That event's hash.
        head: Option<Digest>,
    },
    /// The clock is right.
    AcceptClock {
        /// Why.
        reason: String,
        /// What the clock says.
        clock_at: Option<Timestamp>,
    },
    /// Decide by these zones from now on. The engine's own: no person asks for it.
    ChangeZoneTable(ZoneTableChange),
    /// Halt something, or let it go on.
    SetSwitch {
        /// What.
        what: Switch,
        /// Whether it halts.
        halted: bool,
        /// Why.
        reason: String,
    },
}

/// What the ledger answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemAnswer {
    /// Done now.
    Done,
    /// Recorded; a second person has to agree.
    Proposed,
    /// It is so already, or the same person has proposed the same before; nothing new.
    Unchanged,
}

impl SystemAnswer {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            SystemAnswer::Done => "done",
            SystemAnswer::Proposed => "proposed",
            SystemAnswer::Unchanged => "unchanged",
        }
    }
}

/// A command that is refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SystemRejection {
    /// Only an attempt to pay can fail.
    #[error("an item of step {step} cannot {action}", action = .action.as_str())]
    NotOfThisStep {
        /// Whose item it is.
        step: String,
        /// What was asked.
        action: ParkedAction,
    },
    /// More proposals wait for a second person than anybody looks through.
    #[error("{0} proposals wait for a second person; agree to some first")]
    TooManyProposals(usize),
}
