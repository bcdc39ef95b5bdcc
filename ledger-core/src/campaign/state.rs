//! The state of a campaign and how each fact changes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::command::Standing;
use crate::campaign::event::CampaignEvent;
use crate::campaign::terms::Terms;
use crate::draw::PrizeTable;
use crate::ids::Digest;
use crate::seal::Sealed;
use crate::time::{DAY_MICROS, Epoch, Timestamp};

/// A campaign. `Default` is one that has not been drafted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    pub(super) terms: Option<Arc<Terms>>,
    pub(super) version: u32,
    pub(super) approved: bool,
    pub(super) started: bool,
    pub(super) paused: bool,
    pub(super) ended: bool,
    pub(super) funded_minor: i64,
    pub(super) spent_minor: i64,
    pub(super) reversed_minor: i64,
    pub(super) epochs: BTreeMap<Epoch, EpochState>,
}

/// One UTC day of a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochState {
    /// How it stands.
    pub phase: EpochPhase,
    /// What was published.
    pub commitment: Digest,
    /// The seed under the draw key.
    pub sealed_seed: Sealed,
    /// The table drawn from.
    pub prize_table: Arc<PrizeTable>,
    /// Its hash.
    pub table_hash: Digest,
    /// Nothing draws at or after this time: the end of the grace.
    pub seals_at: Timestamp,
    /// Public randomness, once open.
    pub beacon: Option<Digest>,
    /// Funded plus reversed when it opened.
    pub budget_cap_minor: i64,
}

/// How an epoch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EpochPhase {
    /// Committed to.
    Scheduled,
    /// Draws.
    Open,
    /// Stopped on suspicion.
    Halted,
    /// Counted.
    Closed,
    /// Anyone can check it.
    Revealed,
}

impl EpochPhase {
    /// In words, for errors.
    pub fn as_str(self) -> &'static str {
        match self {
            EpochPhase::Scheduled => "scheduled",
            EpochPhase::Open => "open",
            EpochPhase::Halted => "halted",
            EpochPhase::Closed => "closed",
            EpochPhase::Revealed => "revealed",
        }
    }
}

impl Campaign {
    /// The current terms and their version, once drafted.
    pub fn terms(&self) -> Option<(&Arc<Terms>, u32)> {
        self.terms.as_ref().map(|terms| (terms, self.version))
    }

    /// Whether it runs; `None` before it starts.
    pub fn standing(&self) -> Option<Standing> {
        if !self.started {
            None
        } else if self.ended {
            Some(Standing::Ended)
        } else if self.paused {
            Some(Standing::Paused)
        } else {
            Some(Standing::Active)
        }
    }

    /// All its epochs, oldest first.
    pub fn epochs(&self) -> impl DoubleEndedIterator<Item = (Epoch, &EpochState)> {
        self.epochs.iter().map(|(epoch, state)| (*epoch, state))
    }

    /// One epoch.
    pub fn epoch(&self, epoch: Epoch) -> Option<&EpochState> {
        self.epochs.get(&epoch)
    }

    /// All wins so far, in minor units.
    pub fn spent_minor(&self) -> i64 {
        self.spent_minor
    }

    /// All funding so far, in minor units.
    pub fn funded_minor(&self) -> i64 {
        self.funded_minor
    }

    pub(super) fn remember(&mut self, event: CampaignEvent) {
        match event {
            CampaignEvent::CampaignDrafted { version, terms }
            | CampaignEvent::CampaignRevised { version, terms } => {
                self.version = version;
                self.terms = Some(Arc::new(terms));
            }
            CampaignEvent::CampaignApproved { .. } => self.approved = true,
            CampaignEvent::CampaignStarted { .. } => self.started = true,
            CampaignEvent::CampaignPaused { .. } => self.paused = true,
            CampaignEvent::CampaignResumed { .. } => self.paused = false,
            CampaignEvent::CampaignEnded { .. } => self.ended = true,
            CampaignEvent::BudgetFunded { funded_minor, .. } => self.funded_minor = funded_minor,
            CampaignEvent::BudgetSpent { spent_minor, reversed_minor } => {
                self.spent_minor = spent_minor;
                self.reversed_minor = reversed_minor;
            }
            CampaignEvent::EpochScheduled {
                epoch,
                closes_at,
                grace_days,
                commitment,
                sealed_seed,
                prize_table,
                table_hash,
                ..
            } => {
                let state = EpochState {
                    phase: EpochPhase::Scheduled,
                    commitment,
                    sealed_seed,
                    prize_table: self.shared_table(prize_table),
                    table_hash,
                    seals_at: closes_at.plus_micros(i64::from(grace_days) * DAY_MICROS),
                    beacon: None,
                    budget_cap_minor: 0,
                };
                self.epochs.insert(epoch, state);
            }
            CampaignEvent::EpochOpened { epoch, beacon, budget_cap_minor, .. } => self.change(epoch, |e| {
                e.phase = EpochPhase::Open;
                e.beacon = Some(beacon);
                e.budget_cap_minor = budget_cap_minor;
            }),
            CampaignEvent::EpochHalted { epoch, .. } => self.change(epoch, |e| e.phase = EpochPhase::Halted),
            CampaignEvent::EpochClosed { epoch, .. } => self.change(epoch, |e| e.phase = EpochPhase::Closed),
            CampaignEvent::EpochRevealed { epoch, .. } => {
                self.change(epoch, |e| e.phase = EpochPhase::Revealed)
            }
        }
    }

    /// Epochs of one campaign nearly always share one table.
    fn shared_table(&self, table: PrizeTable) -> Arc<PrizeTable> {
        match self.epochs.last_key_value() {
            Some((_, last)) if *last.prize_table == table => Arc::clone(&last.prize_table),
            _ => Arc::new(table),
        }
    }

    fn change(&mut self, epoch: Epoch, change: impl FnOnce(&mut EpochState)) {
        if let Some(state) = self.epochs.get_mut(&epoch) {
            change(state);
        }
    }
}
