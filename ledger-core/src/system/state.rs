//! What is remembered of the ledger as a whole, and the decisions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::command::{SystemAnswer, SystemCommandKind, SystemRejection};
use super::event::{ParkedAction, SystemEvent};
use super::switch::{Switch, Switched};
use crate::aggregate::{Decides, Decision};
use crate::person::same_person;
use crate::time::Timestamp;
use crate::zone::{ZoneTable, ZoneTableChange};

/// Proposals that may wait for a second person.
pub const PROPOSALS_MAX: usize = 1_000;

/// The ledger as a whole: what waits for a second person, the zones that are decided by, and what
/// people have set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// By parked item.
    #[serde(default)]
    proposals: BTreeMap<String, Proposal>,
    #[serde(default)]
    zones: ZoneTable,
    /// Those that were ever set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    switches: BTreeMap<Switch, Switched>,
}

/// What one person wants to become of a parked item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Proposal {
    action: ParkedAction,
    #[serde(default)]
    attempt: Option<u32>,
    by: String,
}

/// Whether everybody has agreed.
enum Agreed {
    /// All who must; the first of two, where it takes two.
    Yes(Option<String>),
    /// A second person has to.
    NotYet,
    /// He has said so before.
    SamePerson,
}

impl Decides for System {
    type Kind = SystemCommandKind;
    type Answer = SystemAnswer;

    fn decide(&self, _: Timestamp, by: &str, kind: &SystemCommandKind) -> Decision<System> {
        let by = by.to_owned();
        let event = match kind.clone() {
            SystemCommandKind::ResolveParked { item, step, action, attempt, reason } => {
                if action == ParkedAction::Fail && step != CREDIT {
                    return Err(SystemRejection::NotOfThisStep { step, action });
                }
                match self.agreed(&by, &item, &step, action, attempt)? {
                    Agreed::SamePerson => return Ok((vec![], SystemAnswer::Unchanged)),
                    Agreed::NotYet => {
                        let event =
                            SystemEvent::ParkedItemProposed { item, step, action, attempt, reason, by };
                        return Ok((vec![event], SystemAnswer::Proposed));
                    }
                    Agreed::Yes(proposed_by) => SystemEvent::ParkedItemResolved {
                        item,
                        step,
                        action,
                        attempt,
                        reason,
                        by,
                        proposed_by,
                    },
                }
            }
            SystemCommandKind::RecordRestore { reason, from_position, head } => {
                SystemEvent::LogRestored { reason, by, from_position, head }
            }
            SystemCommandKind::AcceptClock { reason, clock_at } => {
                SystemEvent::ClockAccepted { reason, by, clock_at }
            }
            SystemCommandKind::ChangeZoneTable(ZoneTableChange { version, zones }) => {
                SystemEvent::ZoneTableChanged { version, zones }
            }
            SystemCommandKind::SetSwitch { what, halted, .. } if self.is_halted(what) == halted => {
                return Ok((vec![], SystemAnswer::Unchanged));
            }
            SystemCommandKind::SetSwitch { what, halted, reason } => {
                SystemEvent::SwitchSet { what, halted, reason, by }
            }
        };
        Ok((vec![event], SystemAnswer::Done))
    }
}

impl System {
    /// The zones that are decided by from here on.
    pub fn zones(&self) -> &ZoneTable {
        &self.zones
    }

    /// How a switch was last set; `None` for one that never was, which halts nothing.
    pub fn switch(&self, what: Switch) -> Option<&Switched> {
        self.switches.get(&what)
    }

    /// Whether this is halted.
    pub fn is_halted(&self, what: Switch) -> bool {
        self.switch(what).is_some_and(|set| set.halted)
    }

    /// Whether all have agreed who must. Another action than the one proposed, or one about another
    /// attempt, is a proposal of its own, in the place of the first.
    fn agreed(
        &self,
        by: &str,
        item: &str,
        step: &str,
        action: ParkedAction,
        attempt: Option<u32>,
    ) -> Result<Agreed, SystemRejection> {
        if !takes_two(step, action) {
            return Ok(Agreed::Yes(None));
        }
        match self.proposals.get(item) {
            Some(first) if first.action == action && first.attempt == attempt => {
                Ok(if same_person(&first.by, by) {
                    Agreed::SamePerson
                } else {
                    Agreed::Yes(Some(first.by.clone()))
                })
            }
            None if self.proposals.len() >= PROPOSALS_MAX => {
                Err(SystemRejection::TooManyProposals(self.proposals.len()))
            }
            Some(_) | None => Ok(Agreed::NotYet),
        }
    }

    /// One arm per event.
    pub(super) fn remember(&mut self, event: SystemEvent) {
        match event {
            SystemEvent::ParkedItemProposed { item, action, attempt, by, .. } => {
                self.proposals.insert(item, Proposal { action, attempt, by });
            }
            SystemEvent::ParkedItemResolved { item, .. } => {
                self.proposals.remove(&item);
            }
            SystemEvent::ZoneTableChanged { version, zones } => {
                self.zones.change(ZoneTableChange { version, zones });
            }
            SystemEvent::SwitchSet { what, halted, reason, by } => {
                self.switches.insert(what, Switched { halted, reason, by });
            }
            SystemEvent::LogRestored { .. } | SystemEvent::ClockAccepted { .. } => {}
        }
    }
}

/// The step that pays.
const CREDIT: &str = "credit";

/// Whether it costs the house or the customer money.
fn takes_two(step: &str, action: ParkedAction) -> bool {
    step == CREDIT && action != ParkedAction::Retry
}
