//! The state of a campaign and how each fact changes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::campaign::event::CampaignEvent;
use crate::campaign::terms::Terms;
use crate::draw::PrizeTable;
use crate::ids::Digest;
use crate::keys::Sealed;
use crate::money::Money;
use crate::time::{DAY_MICROS, Epoch, Timestamp};
use crate::zone::Zone;

/// Whether a campaign runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Active,
    /// Stopped for the time being.
    Paused,
    /// Over.
    Ended,
}

/// A campaign. `Default` is one that has not been drafted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// In force once approved; until then the latest draft.
    pub(super) terms: Option<Arc<Terms>>,
    pub(super) version: u32,
    pub(super) author: String,
    pub(super) approved: bool,
    /// A revision of approved terms that waits for its approval.
    pub(super) revision: Option<Revision>,
    pub(super) start_at: Option<Timestamp>,
    pub(super) started: bool,
    pub(super) paused: Option<String>,
    pub(super) ended: bool,
    pub(super) funded_minor: i64,
    pub(super) spent_minor: i64,
    pub(super) reversed_minor: i64,
    /// By the tier's name; see [`CampaignEvent::BudgetSpent`].
    pub(super) tier_wins: BTreeMap<String, u64>,
    /// The share of the budget that was last told of, in per cent.
    pub(super) alerted_percent: u8,
    /// Put in by one person alone since two last agreed, the budget of the terms aside.
    #[serde(default)]
    pub(super) funded_alone_minor: i64,
    /// By reference.
    pub(super) fundings: BTreeMap<String, Funding>,
    pub(super) epochs: BTreeMap<Epoch, EpochState>,
}

/// Terms that are not in force yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Their version.
    pub version: u32,
    /// The terms.
    pub terms: Arc<Terms>,
    /// Whose they are.
    pub by: String,
}

/// Money for the budget, under a reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funding {
    /// How much.
    pub amount: Money,
    /// Who proposed it, while a second person has to agree.
    pub waits_for_other_than: Option<String>,
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
    /// What it waits for before it opens.
    pub beacon_spec: String,
    /// Public randomness, once open.
    pub beacon: Option<Digest>,
    /// Funded plus reversed when it opened.
    pub budget_cap_minor: i64,
    /// The most wins of a tier over the whole campaign.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inventory: BTreeMap<String, u64>,
    /// Closed while halted: what waited for it is declined.
    #[serde(default)]
    pub void: bool,
    /// Who wants a halted epoch to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumption_by: Option<String>,
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

impl EpochState {
    /// Whether it was closed while halted, or has not opened.
    pub fn never_drew(&self) -> bool {
        self.void || self.phase == EpochPhase::Scheduled
    }

    /// Whether it draws no more, or never did.
    fn is_settled(&self) -> bool {
        match self.phase {
            EpochPhase::Closed | EpochPhase::Revealed | EpochPhase::Scheduled => true,
            EpochPhase::Open | EpochPhase::Halted => false,
        }
    }
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
        } else if self.paused.is_some() {
            Some(Standing::Paused)
        } else {
            Some(Standing::Active)
        }
    }

    /// Whether it is too late for any transaction to enter it. Then it has ended, by hand or by its
    /// window; every epoch's grace is over; and what was opened is closed. Decisions need not name
    /// it from then on.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let window_over =
            || self.terms.as_ref().and_then(|terms| terms.ends_at).is_some_and(|end| end <= now);
        self.started
            && (self.ended || window_over())
            && self.epochs.values().rev().all(|epoch| now >= epoch.seals_at && epoch.is_settled())
    }

    /// Whether a version was approved.
    pub fn is_approved(&self) -> bool {
        self.approved
    }

    /// The zones of its terms, in force or not.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        let waiting = self.revision.as_ref().map(|revision| &revision.terms.time_zone);
        self.terms.iter().map(|terms| &terms.time_zone).chain(waiting)
    }

    /// The revision that waits for its approval.
    pub fn revision(&self) -> Option<&Revision> {
        self.revision.as_ref()
    }

    /// When it is to start by itself, while it has not.
    pub fn starts_itself_at(&self) -> Option<Timestamp> {
        self.start_at.filter(|_| !self.started && !self.ended && self.approved)
    }

    /// Fundings that wait for a second person.
    pub fn fundings(&self) -> impl Iterator<Item = (&str, &Funding)> {
        self.fundings.iter().map(|(reference, funding)| (reference.as_str(), funding))
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

    /// All wins so far of each tier whose number is limited, by its name.
    pub fn tier_wins(&self) -> &BTreeMap<String, u64> {
        &self.tier_wins
    }

    /// The share of the budget that was last told of, in per cent; `None` since it was last funded.
    pub fn alerted_percent(&self) -> Option<u8> {
        (self.alerted_percent > 0).then_some(self.alerted_percent)
    }

    /// An epoch's tiers that are sold out: as many were won, `staged` included (by epoch and tier),
    /// as it was scheduled with.
    pub fn sold_out(&self, epoch: Epoch, staged: &BTreeMap<(Epoch, u32), u64>) -> u32 {
        let Some(state) = self.epoch(epoch) else { return 0 };
        let name =
            |epoch: &Epoch, tier: u32| Some(&self.epoch(*epoch)?.prize_table.tiers.get(tier as usize)?.name);
        state.prize_table.sold_out(&state.inventory, |tier| {
            let of_tier = staged.iter().filter(|((e, t), _)| name(e, *t).is_some_and(|name| name == tier));
            let staged: u64 = of_tier.map(|(_, count)| count).sum();
            self.tier_wins.get(tier).copied().unwrap_or(0).saturating_add(staged)
        })
    }

    pub(super) fn remember(&mut self, event: CampaignEvent) {
        match event {
            CampaignEvent::CampaignRevised { version, terms, by } if self.approved => {
                self.revision = Some(Revision { version, terms: Arc::new(terms), by });
            }
            CampaignEvent::CampaignDrafted { version, terms, by }
            | CampaignEvent::CampaignRevised { version, terms, by } => {
                (self.version, self.terms, self.author) = (version, Some(Arc::new(terms)), by);
            }
            CampaignEvent::CampaignApproved { .. } => {
                if let Some(Revision { version, terms, by }) = self.revision.take() {
                    (self.version, self.terms, self.author) = (version, Some(terms), by);
                }
                self.approved = true;
            }
            CampaignEvent::CampaignScheduled { start_at, .. } => self.start_at = Some(start_at),
            CampaignEvent::CampaignStarted { .. } => self.started = true,
            CampaignEvent::CampaignPaused { reason, .. } => self.paused = Some(reason),
            CampaignEvent::CampaignResumed { .. } => self.paused = None,
            CampaignEvent::CampaignEnded { .. } => self.ended = true,
            CampaignEvent::FundingProposed { amount, reference, by, .. } => {
                self.fundings.insert(reference, Funding { amount, waits_for_other_than: Some(by) });
            }
            CampaignEvent::BudgetFunded { amount, funded_minor, reference, .. } => {
                self.funded_minor = funded_minor;
                self.alerted_percent = 0;
                let agreed = self.fundings.get(&reference).is_some_and(|f| f.waits_for_other_than.is_some());
                self.funded_alone_minor = match (agreed, reference.is_empty()) {
                    (true, _) => 0,
                    (false, true) => self.funded_alone_minor,
                    (false, false) => self.funded_alone_minor.saturating_add(amount.minor()),
                };
                self.fundings.insert(reference, Funding { amount, waits_for_other_than: None });
            }
            CampaignEvent::BudgetSpent { spent_minor, reversed_minor, tier_wins, .. } => {
                self.spent_minor = spent_minor;
                self.reversed_minor = reversed_minor;
                self.tier_wins.extend(tier_wins);
            }
            CampaignEvent::BudgetAlerted { percent, .. } => self.alerted_percent = percent,
            CampaignEvent::SeedOpened { .. } => {}
            CampaignEvent::EpochScheduled {
                epoch,
                closes_at,
                grace_days,
                commitment,
                sealed_seed,
                prize_table,
                table_hash,
                beacon_spec,
                inventory,
                ..
            } => {
                let state = EpochState {
                    phase: EpochPhase::Scheduled,
                    commitment,
                    sealed_seed,
                    prize_table: self.shared_table(prize_table),
                    table_hash,
                    seals_at: closes_at.plus_micros(i64::from(grace_days) * DAY_MICROS),
                    beacon_spec,
                    beacon: None,
                    budget_cap_minor: 0,
                    inventory,
                    void: false,
                    resumption_by: None,
                };
                self.epochs.insert(epoch, state);
            }
            CampaignEvent::EpochOpened { epoch, beacon, budget_cap_minor, .. } => self.change(epoch, |e| {
                e.phase = EpochPhase::Open;
                e.beacon = Some(beacon);
                e.budget_cap_minor = budget_cap_minor;
            }),
            CampaignEvent::EpochHalted { epoch, .. } => self.change(epoch, |e| {
                e.phase = EpochPhase::Halted;
                e.resumption_by = None;
            }),
            CampaignEvent::EpochResumptionProposed { epoch, by, .. } => {
                self.change(epoch, |e| e.resumption_by = Some(by));
            }
            CampaignEvent::EpochResumed { epoch, .. } => self.change(epoch, |e| {
                // One that was halted before it opened opens when it is due.
                e.phase = if e.beacon.is_some() { EpochPhase::Open } else { EpochPhase::Scheduled };
                e.resumption_by = None;
            }),
            CampaignEvent::EpochClosed { epoch, .. } => self.change(epoch, |e| {
                e.void = e.phase == EpochPhase::Halted;
                e.phase = EpochPhase::Closed;
            }),
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
