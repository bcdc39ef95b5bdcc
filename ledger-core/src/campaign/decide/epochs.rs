//! Epochs: committed to, opened, halted and resumed, closed and revealed.

use super::{Decision, UNCHANGED, done};
use crate::campaign::command::{CampaignAnswer, CampaignRejection, EpochTally};
use crate::campaign::event::CampaignEvent;
use crate::campaign::state::{Campaign, EpochPhase};
use crate::draw::beacon::BeaconSpec;
use crate::ids::{BeaconSignature, Digest};
use crate::keys::Sealed;
use crate::person::same_person;
use crate::time::{DAY_MICROS, Epoch, Timestamp};

impl Campaign {
    pub(super) fn schedule_epoch(
        &self,
        now: Timestamp,
        epoch: Epoch,
        commitment: Digest,
        sealed_seed: &Sealed,
    ) -> Decision {
        let terms = self.running()?;
        if self.epochs.contains_key(&epoch) {
            return UNCHANGED;
        }
        done(vec![CampaignEvent::EpochScheduled {
            epoch,
            opens_at: epoch.opens_at(),
            closes_at: epoch.closes_at(),
            grace_days: terms.grace_days,
            commitment,
            sealed_seed: sealed_seed.clone(),
            prize_table: terms.prize_table.clone(),
            table_hash: terms.prize_table.hash(),
            beacon_spec: terms.beacon_spec(epoch, now).to_string(),
            at_once: epoch.opens_at() < now.plus_micros(DAY_MICROS),
            version: self.version,
            inventory: terms.inventory.clone(),
        }])
    }

    /// The beacon is checked here although the step that brings it has checked it too. No caller
    /// can go around this place. The check is pure, and takes some milliseconds once for each
    /// epoch.
    pub(super) fn open_epoch(
        &self,
        now: Timestamp,
        epoch: Epoch,
        signature: Option<BeaconSignature>,
    ) -> Decision {
        let state = self.epoch_state(epoch)?;
        match state.phase {
            EpochPhase::Scheduled if now >= epoch.opens_at() => {
                let spec = state.beacon_spec.parse::<BeaconSpec>();
                let beacon = spec.and_then(|spec| spec.randomness(signature.as_ref()));
                done(vec![CampaignEvent::EpochOpened {
                    epoch,
                    opened_at: now,
                    beacon: beacon.map_err(|source| CampaignRejection::Beacon { epoch, source })?,
                    budget_cap_minor: self.budget_cap(),
                    beacon_signature: signature,
                    version: self.version,
                }])
            }
            EpochPhase::Scheduled => {
                Err(CampaignRejection::EpochState { epoch, state: "not due to open yet" })
            }
            EpochPhase::Open | EpochPhase::Halted | EpochPhase::Closed | EpochPhase::Revealed => UNCHANGED,
        }
    }

    pub(super) fn halt_epoch(&self, epoch: Epoch, reason: &str) -> Decision {
        let state = self.epoch_state(epoch)?;
        match state.phase {
            EpochPhase::Halted if state.resumption_by.is_none() => UNCHANGED,
            // A new suspicion takes back what one person has proposed.
            EpochPhase::Scheduled | EpochPhase::Open | EpochPhase::Halted => {
                done(vec![CampaignEvent::EpochHalted { epoch, reason: reason.into(), version: self.version }])
            }
            phase @ (EpochPhase::Closed | EpochPhase::Revealed) => {
                Err(CampaignRejection::EpochState { epoch, state: phase.as_str() })
            }
        }
    }

    pub(super) fn close_epoch(
        &self,
        now: Timestamp,
        epoch: Epoch,
        tally: &EpochTally,
        seed: Digest,
    ) -> Decision {
        let state = self.epoch_state(epoch)?;
        match state.phase {
            EpochPhase::Revealed => UNCHANGED,
            EpochPhase::Open | EpochPhase::Halted if now >= state.seals_at => done(vec![
                CampaignEvent::EpochClosed {
                    epoch,
                    draws: tally.draws,
                    wins: tally.wins.clone(),
                    paid_minor: tally.paid_minor,
                    root: tally.root,
                    version: self.version,
                },
                CampaignEvent::EpochRevealed { epoch, seed, version: self.version },
            ]),
            EpochPhase::Open | EpochPhase::Halted => {
                Err(CampaignRejection::EpochState { epoch, state: "within its grace" })
            }
            phase @ (EpochPhase::Scheduled | EpochPhase::Closed) => {
                Err(CampaignRejection::EpochState { epoch, state: phase.as_str() })
            }
        }
    }

    pub(super) fn record_seed_opening(&self, epoch: Epoch, purpose: &str) -> Decision {
        self.known()?;
        self.epoch_state(epoch)?;
        done(vec![CampaignEvent::SeedOpened { epoch, purpose: purpose.into(), version: self.version }])
    }

    /// One proposes, another agrees: the same person twice is one person.
    pub(super) fn resume_epoch(&self, by: &str, epoch: Epoch, reason: &str) -> Decision {
        let state = self.epoch_state(epoch)?;
        let (by, reason) = (by.to_owned(), reason.to_owned());
        match (state.phase, &state.resumption_by) {
            (EpochPhase::Halted, None) => {
                let proposed =
                    CampaignEvent::EpochResumptionProposed { epoch, reason, by, version: self.version };
                Ok((vec![proposed], CampaignAnswer::Proposed))
            }
            (EpochPhase::Halted, Some(first)) if same_person(first, &by) => {
                Err(CampaignRejection::SecondPersonNeeded { proposed_by: by })
            }
            (EpochPhase::Halted, Some(first)) => {
                let proposed_by = first.clone();
                done(vec![CampaignEvent::EpochResumed {
                    epoch,
                    reason,
                    proposed_by,
                    by,
                    version: self.version,
                }])
            }
            (EpochPhase::Scheduled | EpochPhase::Open, _) => UNCHANGED,
            (phase @ (EpochPhase::Closed | EpochPhase::Revealed), _) => {
                Err(CampaignRejection::EpochState { epoch, state: phase.as_str() })
            }
        }
    }
}
