//! One campaign's budget and epochs as the log derives them, place by place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::check::Drawn;
use super::findings::{Findings, Place};
use super::seeds::Seeds;
use super::{Counts, OpenDetails, Win};
use crate::audit::merkle;
use crate::campaign::CampaignEvent;
use crate::campaign::terms::Terms;
use crate::draw::{self, EpochKey, PrizeTable};
use crate::ids::{CampaignId, Digest, EntryId};
use crate::log::{Position, StoredEvent};
use crate::money::Money;
use crate::time::{DAY_MICROS, Epoch, Timestamp};

/// One campaign.
#[derive(Default)]
pub(super) struct Book {
    /// By version.
    pub(super) terms: BTreeMap<u32, Arc<Terms>>,
    /// Of every version's prize table: an epoch draws from one of these.
    tables: BTreeSet<Digest>,
    funded_minor: i128,
    /// All wins so far, in order of the log.
    pub(super) spent_minor: i128,
    /// Wins so far by the name of their tier.
    tier_wins: BTreeMap<String, u64>,
    /// Reversals that gave back to the budget.
    reversed_minor: i128,
    /// Of these, what `BudgetSpent` has recorded: this much counts for epochs that open.
    reversed_recorded_minor: i128,
    /// Where a recorded `budget_left` differed, by how much: one fault is named once, not at every draw after it.
    pub(super) drift_minor: i128,
    pub(super) epochs: BTreeMap<Epoch, EpochBook>,
}

/// One epoch.
pub(super) struct EpochBook {
    commitment: Digest,
    pub(super) table: Arc<PrizeTable>,
    pub(super) table_hash: Digest,
    beacon_spec: String,
    /// The most wins of a tier over the campaign's life, by its name.
    inventory: BTreeMap<String, u64>,
    pub(super) seals_at: Timestamp,
    /// What it may bring the campaign's spend to; `None` before it opens.
    pub(super) cap_minor: Option<i128>,
    /// With the seed at hand.
    pub(super) key: Option<EpochKey>,
    pub(super) halted: bool,
    pub(super) closed: bool,
    revealed: bool,
    /// Of the last draw: the next one's has at least these bits.
    pub(super) mask: u32,
    /// Until it is closed.
    entries: Vec<EntryId>,
    draws: u64,
    wins: Vec<u64>,
    paid_minor: i128,
}

/// One campaign in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Scheduled so far.
    pub epochs: usize,
    /// Of these, revealed.
    pub epochs_revealed: usize,
    /// Wins and losses.
    pub draws: u64,
    /// Draws that paid something.
    pub wins: u64,
    /// Put into the budget.
    pub funded_minor: i128,
    /// Won in all.
    pub won_minor: i128,
    /// Given back to the budget by reversals.
    pub returned_minor: i128,
    /// Wins that have been paid.
    pub credited: u64,
    /// What they came to.
    pub credited_minor: i128,
    /// Wins neither paid nor reversed.
    pub outstanding: u64,
    /// What they come to.
    pub outstanding_minor: i128,
}

impl Book {
    /// Follows one event of the campaign's stream.
    pub(super) fn take(
        &mut self,
        stored: &StoredEvent,
        id: &CampaignId,
        event: &CampaignEvent,
        seeds: &Seeds,
        findings: &mut Findings,
    ) {
        let place = Place::of(stored, None);
        match event {
            CampaignEvent::CampaignDrafted { version, terms, .. }
            | CampaignEvent::CampaignRevised { version, terms, .. } => {
                self.tables.insert(terms.prize_table.hash());
                self.terms.insert(*version, Arc::new(terms.clone()));
            }
            CampaignEvent::BudgetFunded { amount, funded_minor, .. } => {
                self.funded_minor += i128::from(amount.minor());
                findings.compare(&place, "funded_minor", self.funded_minor, i128::from(*funded_minor));
            }
            CampaignEvent::BudgetSpent { spent_minor, reversed_minor, tier_wins, .. } => {
                for (tier, wins) in tier_wins {
                    let expected = self.tier_wins.get(tier).copied().unwrap_or(0);
                    findings.compare(&place, "tier_wins", expected, *wins);
                }
                findings.compare(&place, "spent_minor", self.spent_minor, i128::from(*spent_minor));
                findings.compare(&place, "reversed_minor", self.reversed_minor, i128::from(*reversed_minor));
                self.reversed_recorded_minor = self.reversed_minor;
            }
            CampaignEvent::EpochScheduled { epoch, .. } => {
                if self.epochs.contains_key(epoch) {
                    findings.add(&place, "epoch", format!("{epoch} scheduled once"), "scheduled again");
                } else if let Some(book) = self.scheduled(&place, event, findings) {
                    if let Some(seed) = seeds.get(id, *epoch) {
                        book.check_commitment(&place, id, *epoch, seed, findings);
                    }
                    self.epochs.insert(*epoch, book);
                }
            }
            CampaignEvent::EpochOpened {
                epoch,
                opened_at,
                beacon,
                budget_cap_minor,
                beacon_signature,
                ..
            } => {
                let cap_minor = self.funded_minor + self.reversed_recorded_minor;
                findings.compare(&place, "budget_cap_minor", cap_minor, i128::from(*budget_cap_minor));
                let Some(book) = self.epoch(*epoch, &place, findings) else { return };
                if *opened_at < epoch.opens_at() || stored.recorded_at < epoch.opens_at() {
                    findings.add(&place, "opened_at", format!("from {} on", epoch.opens_at()), opened_at);
                }
                if let Err(error) = draw::beacon::verify(&book.beacon_spec, beacon, beacon_signature.as_ref())
                {
                    findings.add(&place, "beacon", &book.beacon_spec, error);
                }
                if book.cap_minor.replace(cap_minor).is_some() {
                    findings.add(&place, "epoch", format!("{epoch} opened once"), "opened again");
                }
                book.key = seeds.get(id, *epoch).map(|seed| draw::epoch_key(seed, beacon, id, *epoch));
            }
            CampaignEvent::EpochHalted { epoch, .. } => {
                if let Some(book) = self.epoch(*epoch, &place, findings) {
                    book.halted = true;
                }
            }
            CampaignEvent::EpochResumed { epoch, proposed_by, by, .. } => {
                if proposed_by == by {
                    findings.add(&place, "resumed", "two people", by);
                }
                if let Some(book) = self.epoch(*epoch, &place, findings) {
                    book.halted = false;
                }
            }
            CampaignEvent::EpochClosed { epoch, draws, wins, paid_minor, root, .. } => {
                let Some(book) = self.epoch(*epoch, &place, findings) else { return };
                if stored.recorded_at < book.seals_at {
                    findings.add(&place, "closed", format!("from {} on", book.seals_at), stored.recorded_at);
                }
                findings.compare(&place, "epoch_draws", book.draws, *draws);
                findings.compare(&place, "epoch_wins", list(&book.wins), list(wins));
                findings.compare(&place, "epoch_paid_minor", book.paid_minor, i128::from(*paid_minor));
                findings.compare(&place, "epoch_root", book.root(), *root);
                book.closed = true;
                book.entries = Vec::new();
            }
            CampaignEvent::EpochRevealed { epoch, .. } => {
                // Its seed was compared with the commitment where that stands.
                let Some(book) = self.epoch(*epoch, &place, findings) else { return };
                if !book.closed {
                    findings.add(&place, "revealed", "a closed epoch", epoch);
                }
                if std::mem::replace(&mut book.revealed, true) {
                    findings.add(&place, "revealed", format!("{epoch} revealed once"), "revealed again");
                }
            }
            CampaignEvent::CampaignApproved { .. }
            | CampaignEvent::CampaignScheduled { .. }
            | CampaignEvent::FundingProposed { .. }
            | CampaignEvent::BudgetAlerted { .. }
            | CampaignEvent::SeedOpened { .. }
            | CampaignEvent::EpochResumptionProposed { .. }
            | CampaignEvent::CampaignStarted { .. }
            | CampaignEvent::CampaignPaused { .. }
            | CampaignEvent::CampaignResumed { .. }
            | CampaignEvent::CampaignEnded { .. } => {}
        }
    }

    /// One draw: compared with what the books say, then entered into them.
    pub(super) fn draw(
        &mut self,
        drawn: &Drawn<'_>,
        details: Option<&OpenDetails<'_>>,
        counts: &mut Counts,
        findings: &mut Findings,
    ) {
        self.check(drawn, details, counts, findings);
        let amount_minor = drawn.draw.amount.map_or(0, |amount| i128::from(amount.minor()));
        self.spent_minor += amount_minor;
        let cap_minor = self.funded_minor + self.reversed_recorded_minor;
        if self.spent_minor > cap_minor {
            findings.add(&drawn.place(), "budget", format!("at most {cap_minor} won"), self.spent_minor);
        }
        let Some(epoch) = self.epochs.get_mut(&drawn.draw.epoch) else { return };
        epoch.count(drawn.draw);
        let tier = drawn.draw.tier.filter(|_| drawn.draw.amount.is_some());
        if let Some(tier) = tier.and_then(|tier| epoch.table.tiers.get(tier as usize)) {
            *self.tier_wins.entry(tier.name.clone()).or_default() += 1;
        }
    }

    /// A reversal that gives back to the budget.
    pub(super) fn returned(&mut self, amount: Money) {
        self.reversed_minor += i128::from(amount.minor());
    }

    fn epoch(&mut self, epoch: Epoch, place: &Place, findings: &mut Findings) -> Option<&mut EpochBook> {
        let book = self.epochs.get_mut(&epoch);
        if book.is_none() {
            findings.add(place, "epoch", "an epoch that was scheduled", epoch);
        }
        book
    }

    /// The tiers that may not be won: those that what is left cannot cover, and those of which there are no more.
    pub(super) fn mask(&self, epoch: &EpochBook, left_minor: i128) -> u32 {
        let wins = |tier: &str| self.tier_wins.get(tier).copied().unwrap_or(0);
        let left_minor = i64::try_from(left_minor).unwrap_or(i64::MAX);
        epoch.table.mask(left_minor) | epoch.table.sold_out(&epoch.inventory, wins)
    }

    /// What only the end can show: nothing is counted and then kept secret.
    pub(super) fn finish(&self, id: &CampaignId, position: Position, findings: &mut Findings) {
        let place = Place { position, stream: format!("campaign:{id}"), entry: None };
        for (epoch, book) in &self.epochs {
            if book.closed && !book.revealed {
                findings.add(&place, "revealed", format!("{epoch} revealed when it was closed"), "closed");
            }
        }
        if self.spent_minor > self.funded_minor + self.reversed_minor {
            findings.add(&place, "budget", self.funded_minor + self.reversed_minor, self.spent_minor);
        }
    }

    pub(super) fn summary<'w>(&self, wins: impl Iterator<Item = &'w Win>) -> Summary {
        let mut summary = Summary {
            epochs: self.epochs.len(),
            epochs_revealed: self.epochs.values().filter(|epoch| epoch.revealed).count(),
            draws: self.epochs.values().map(|epoch| epoch.draws).sum(),
            funded_minor: self.funded_minor,
            won_minor: self.spent_minor,
            returned_minor: self.reversed_minor,
            ..Summary::default()
        };
        for win in wins {
            summary.wins += 1;
            let minor = i128::from(win.amount.minor());
            if win.credited {
                summary.credited += 1;
                summary.credited_minor += minor;
            } else if !win.reversed {
                summary.outstanding += 1;
                summary.outstanding_minor += minor;
            }
        }
        summary
    }

    fn scheduled(&self, place: &Place, event: &CampaignEvent, findings: &mut Findings) -> Option<EpochBook> {
        let CampaignEvent::EpochScheduled {
            epoch,
            opens_at,
            closes_at,
            grace_days,
            commitment,
            prize_table,
            table_hash,
            beacon_spec,
            inventory,
            ..
        } = event
        else {
            return None;
        };
        findings.compare(place, "opens_at", epoch.opens_at(), *opens_at);
        findings.compare(place, "closes_at", epoch.closes_at(), *closes_at);
        findings.compare(place, "table_hash", prize_table.hash(), *table_hash);
        if let Err(error) = prize_table.validate() {
            findings.add(place, "prize_table", "a table that can be drawn from", error);
        }
        if !self.tables.contains(&prize_table.hash()) {
            findings.add(place, "prize_table", "the table of a version of the terms", table_hash);
        }
        Some(EpochBook {
            commitment: *commitment,
            table: Arc::new(prize_table.clone()),
            table_hash: *table_hash,
            beacon_spec: beacon_spec.clone(),
            inventory: inventory.clone(),
            seals_at: closes_at.plus_micros(i64::from(*grace_days) * DAY_MICROS),
            cap_minor: None,
            key: None,
            halted: false,
            closed: false,
            revealed: false,
            mask: 0,
            entries: Vec::new(),
            draws: 0,
            wins: vec![0; prize_table.tiers.len()],
            paid_minor: 0,
        })
    }
}

impl EpochBook {
    fn check_commitment(
        &self,
        place: &Place,
        id: &CampaignId,
        epoch: Epoch,
        seed: &draw::Seed,
        findings: &mut Findings,
    ) {
        let expected = draw::commitment(id, epoch, &self.table_hash, &self.beacon_spec, seed);
        findings.compare(place, "commitment", expected, self.commitment);
    }

    fn count(&mut self, draw: &draw::Draw) {
        self.draws += 1;
        self.entries.push(draw.entry_id);
        self.mask |= draw.tier_mask;
        let Some(amount) = draw.amount else { return };
        self.paid_minor += i128::from(amount.minor());
        if let Some(wins) = draw.tier.and_then(|tier| self.wins.get_mut(tier as usize)) {
            *wins += 1;
        }
    }

    fn root(&mut self) -> Digest {
        self.entries.sort_unstable();
        merkle::root(self.entries.iter().map(|entry| entry.0.as_slice()))
    }
}

fn list(numbers: &[u64]) -> String {
    format!("{numbers:?}")
}
