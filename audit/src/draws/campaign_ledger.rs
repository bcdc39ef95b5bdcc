//! One campaign's budget and epochs as the log derives them, place by place.

use std::collections::{BTreeMap, BTreeSet};

use super::drawn::{Drawn, Win};
use super::epoch::EpochBook;
use super::findings::{Findings, Place};
use super::funding::Fundings;
use super::report::{Counts, Summary};
use super::seeds::Seeds;
use super::versions::Versions;
use ledger_core::campaign::CampaignEvent;
use ledger_core::campaign::state::Standing;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw;
use ledger_core::ids::CampaignId;
use ledger_core::log::{Position, StoredEvent};
use ledger_core::money::Money;
use ledger_core::person::same_person;
use ledger_core::time::{Epoch, Timestamp};

/// One campaign.
#[derive(Default)]
pub(super) struct CampaignLedger {
    pub(super) versions: Versions,
    /// `None` before it starts.
    pub(super) standing: Option<Standing>,
    fundings: Fundings,
    funded_minor: i128,
    /// All wins so far, in order of the log.
    pub(super) spent_minor: i128,
    /// Wins so far by the name of their tier.
    tier_wins: BTreeMap<String, u64>,
    /// The same as of the last `BudgetSpent`.
    tier_wins_then: BTreeMap<String, u64>,
    /// By the name of a tier that `BudgetSpent` has counted: its wins before that, which the
    /// running total lacks.
    uncounted: BTreeMap<String, u64>,
    /// Tiers whose number is or was limited.
    limited: BTreeSet<String>,
    /// Reversals that gave back to the budget.
    reversed_minor: i128,
    /// Of these, what `BudgetSpent` has recorded: this much counts for epochs that open.
    reversed_recorded_minor: i128,
    /// Where a recorded `budget_left` differed, by how much: one fault is named once, not at every
    /// draw after it.
    pub(super) drift_minor: i128,
    pub(super) epochs: BTreeMap<Epoch, EpochBook>,
    pub(super) counts: Counts,
}

impl CampaignLedger {
    /// Whether no line can enter it any more: none has to name it.
    pub(super) fn is_over(&self, terms: &Terms, now: Timestamp) -> bool {
        let ended = self.standing == Some(Standing::Ended) || terms.ends_at.is_some_and(|end| end <= now);
        let settled = |epoch: &EpochBook| {
            now >= epoch.seals_at && (epoch.closed || epoch.cap_minor.is_none() && !epoch.halted)
        };
        ended && self.epochs.values().rev().all(settled)
    }

    /// Follows one event of the campaign's stream.
    pub(super) fn take(
        &mut self,
        stored: &StoredEvent,
        id: &CampaignId,
        event: &CampaignEvent,
        seeds: &Seeds,
        findings: &mut Findings,
    ) {
        let place = &Place::of(stored, None);
        self.versions.named(place, event, findings);
        if let Some(by) = event.by() {
            findings.compare(place, "by", stored.actor().unwrap_or_default(), by.to_owned());
        }
        let terms = self.versions.in_force().map(|(_, terms)| &**terms);
        self.fundings.take(stored, id, terms, event, findings);
        match event {
            CampaignEvent::CampaignDrafted { version, terms, by }
            | CampaignEvent::CampaignRevised { version, terms, by } => {
                self.versions.written(place, *version, terms, by, findings);
            }
            CampaignEvent::CampaignApproved { version, by } => {
                self.versions.approved(place, *version, by, findings);
            }
            CampaignEvent::CampaignScheduled { version, .. } => {
                self.versions.stated(place, *version, findings);
            }
            CampaignEvent::CampaignStarted { version, .. } => {
                self.versions.started(place, findings);
                self.stands(Standing::Active, place, *version, findings);
            }
            CampaignEvent::CampaignPaused { version, .. } => {
                self.stands(Standing::Paused, place, *version, findings);
            }
            CampaignEvent::CampaignResumed { version, .. } => {
                self.stands(Standing::Active, place, *version, findings);
            }
            CampaignEvent::CampaignEnded { version, .. } => {
                self.stands(Standing::Ended, place, *version, findings);
            }
            CampaignEvent::BudgetFunded { amount, funded_minor, .. } => {
                self.funded_minor += i128::from(amount.minor());
                findings.compare(place, "funded_minor", self.funded_minor, i128::from(*funded_minor));
            }
            CampaignEvent::BudgetSpent { spent_minor, reversed_minor, tier_wins, .. } => {
                self.totals_of_tiers(place, tier_wins, findings);
                findings.compare(place, "spent_minor", self.spent_minor, i128::from(*spent_minor));
                findings.compare(place, "reversed_minor", self.reversed_minor, i128::from(*reversed_minor));
                self.reversed_recorded_minor = self.reversed_minor;
            }
            CampaignEvent::EpochScheduled { .. }
            | CampaignEvent::EpochOpened { .. }
            | CampaignEvent::EpochHalted { .. }
            | CampaignEvent::EpochResumptionProposed { .. }
            | CampaignEvent::EpochResumed { .. }
            | CampaignEvent::EpochClosed { .. }
            | CampaignEvent::EpochRevealed { .. } => self.of_epoch(stored, id, event, seeds, findings),
            CampaignEvent::FundingProposed { .. }
            | CampaignEvent::BudgetAlerted { .. }
            | CampaignEvent::SeedOpened { .. } => {}
        }
    }

    fn stands(&mut self, standing: Standing, place: &Place, version: u32, findings: &mut Findings) {
        self.versions.stated(place, version, findings);
        // One that ends before it starts never stands.
        if standing != Standing::Ended || self.standing.is_some() {
            self.standing = Some(standing);
        }
    }

    /// Compares the running totals of tiers. A tier that is not named is not recorded. The wins of
    /// one without a limit were once not counted, and are from some batch on: then its total lacks
    /// what came before that.
    fn totals_of_tiers(&mut self, place: &Place, recorded: &BTreeMap<String, u64>, findings: &mut Findings) {
        for (tier, recorded) in recorded {
            let wins = self.tier_wins.get(tier).copied().unwrap_or(0);
            let then = self.tier_wins_then.get(tier).copied().unwrap_or(0);
            let starts_here = wins != *recorded && wins - then == *recorded && !self.limited.contains(tier);
            let uncounted = *self.uncounted.entry(tier.clone()).or_insert(if starts_here { then } else { 0 });
            findings.compare(place, "tier_wins", wins - uncounted, *recorded);
        }
        self.tier_wins_then.clone_from(&self.tier_wins);
    }

    /// Funded plus given back, as far as the ledger's 64 bits hold it.
    fn cap_minor(&self) -> i128 {
        (self.funded_minor + self.reversed_recorded_minor).min(i64::MAX.into())
    }

    fn of_epoch(
        &mut self,
        stored: &StoredEvent,
        id: &CampaignId,
        event: &CampaignEvent,
        seeds: &Seeds,
        findings: &mut Findings,
    ) {
        let place = &Place::of(stored, None);
        match event {
            CampaignEvent::EpochScheduled { epoch, .. } => {
                if self.epochs.contains_key(epoch) {
                    findings.add(place, "epoch", format!("{epoch} scheduled once"), "scheduled again");
                } else if let Some(book) = EpochBook::of(event, stored.recorded_at) {
                    self.versions.scheduled(place, stored.recorded_at, event, findings);
                    if let Some(seed) = seeds.get(id, *epoch) {
                        book.check_commitment(place, id, *epoch, seed, findings);
                    }
                    self.limited.extend(book.inventory.keys().cloned());
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
                let cap_minor = self.cap_minor();
                findings.compare(place, "budget_cap_minor", cap_minor, i128::from(*budget_cap_minor));
                let Some(book) = self.epoch(*epoch, place, findings) else { return };
                if *opened_at < epoch.opens_at() || stored.recorded_at < epoch.opens_at() {
                    findings.add(place, "opened_at", format!("from {} on", epoch.opens_at()), opened_at);
                }
                if let Err(error) = draw::beacon::verify(&book.beacon_spec, beacon, beacon_signature.as_ref())
                {
                    findings.add(place, "beacon", &book.beacon_spec, error);
                }
                if book.cap_minor.replace(cap_minor).is_some() {
                    findings.add(place, "epoch", format!("{epoch} opened once"), "opened again");
                }
                book.key = seeds.get(id, *epoch).map(|seed| draw::epoch_key(seed, beacon, id, *epoch));
            }
            CampaignEvent::EpochHalted { epoch, .. } => {
                if let Some(book) = self.epoch(*epoch, place, findings) {
                    book.halted = true;
                    book.resumption_by = None;
                }
            }
            CampaignEvent::EpochResumptionProposed { epoch, by, .. } => {
                if let Some(book) = self.epoch(*epoch, place, findings) {
                    book.resumption_by = Some(by.clone());
                }
            }
            CampaignEvent::EpochResumed { epoch, proposed_by, by, .. } => {
                if same_person(proposed_by, by) {
                    findings.add(place, "resumed", "two people", by);
                }
                let Some(book) = self.epoch(*epoch, place, findings) else { return };
                book.halted = false;
                let proposed = book.resumption_by.take();
                if proposed.as_ref() != Some(proposed_by) {
                    let expected = proposed.unwrap_or_else(|| "a proposal since the halt".into());
                    findings.add(place, "proposed_by", expected, proposed_by);
                }
            }
            CampaignEvent::EpochClosed { epoch, draws, wins, paid_minor, root, .. } => {
                let Some(book) = self.epoch(*epoch, place, findings) else { return };
                if stored.recorded_at < book.seals_at {
                    findings.add(place, "closed", format!("from {} on", book.seals_at), stored.recorded_at);
                }
                findings.compare(place, "epoch_draws", book.draws, *draws);
                findings.compare(place, "epoch_wins", list(&book.wins), list(wins));
                findings.compare(place, "epoch_paid_minor", book.paid_minor, i128::from(*paid_minor));
                findings.compare(place, "epoch_root", book.close(), *root);
            }
            CampaignEvent::EpochRevealed { epoch, .. } => {
                // Its seed was compared with the commitment where that stands.
                let Some(book) = self.epoch(*epoch, place, findings) else { return };
                if !book.closed {
                    findings.add(place, "revealed", "a closed epoch", epoch);
                }
                if std::mem::replace(&mut book.revealed, true) {
                    findings.add(place, "revealed", format!("{epoch} revealed once"), "revealed again");
                }
            }
            _ => unreachable!("`take` names the events of epochs"),
        }
    }

    /// Enters one draw.
    pub(super) fn enter(&mut self, drawn: &Drawn<'_>, findings: &mut Findings) {
        let amount_minor = drawn.draw.amount.map_or(0, |amount| i128::from(amount.minor()));
        self.spent_minor += amount_minor;
        let cap_minor = self.cap_minor();
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

    /// The tiers that may not be won: the budget left cannot cover them, or they are sold out.
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

    /// `now` is the time of the log's last event.
    pub(super) fn summary<'w>(&self, now: Timestamp, wins: impl Iterator<Item = &'w Win>) -> Summary {
        let overdue = self.epochs.values().filter(|epoch| !epoch.revealed && epoch.seals_at <= now);
        let mut summary = Summary {
            epochs: self.epochs.len(),
            epochs_revealed: self.epochs.values().filter(|epoch| epoch.revealed).count(),
            epochs_committed_late: self.epochs.values().filter(|epoch| epoch.committed_late).count(),
            counts: self.counts,
            reveal_overdue: overdue.map(|epoch| epoch.draws).sum(),
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
}

fn list(numbers: &[u64]) -> String {
    format!("{numbers:?}")
}
