//! What a campaign decides: its lifecycle, its budget, its epochs.

use crate::campaign::command::{CampaignAnswer, CampaignCommandKind, CampaignRejection, EpochTally};
use crate::campaign::event::CampaignEvent;
use crate::campaign::state::{Campaign, EpochPhase, EpochState};
use crate::campaign::terms::{Terms, TermsError};
use crate::ids::Digest;
use crate::money::{Money, MoneyError};
use crate::posting::Posting;
use crate::seal::Sealed;
use crate::time::{DAY_MICROS, Epoch, Timestamp};

type Decision = Result<(Vec<CampaignEvent>, CampaignAnswer), CampaignRejection>;

const UNCHANGED: Decision = Ok((vec![], CampaignAnswer::Unchanged));

fn done(events: Vec<CampaignEvent>) -> Decision {
    Ok((events, CampaignAnswer::Done))
}

impl Campaign {
    /// Decides one command. Pure: the same state and command give the same events.
    pub fn decide(&self, now: Timestamp, command: &CampaignCommandKind) -> Decision {
        match command {
            CampaignCommandKind::Draft(terms) => self.draft(terms),
            CampaignCommandKind::Approve => self.approve(),
            CampaignCommandKind::Start => self.start(now),
            CampaignCommandKind::Pause { reason } => self.pause(now, reason),
            CampaignCommandKind::Resume => self.resume(now),
            CampaignCommandKind::End => self.end(now),
            CampaignCommandKind::Fund { amount } => self.fund(*amount),
            CampaignCommandKind::RecordSpend { won_minor, reversed_minor } => {
                self.record_spend(*won_minor, *reversed_minor)
            }
            CampaignCommandKind::ScheduleEpoch { epoch, commitment, sealed_seed } => {
                self.schedule_epoch(now, *epoch, *commitment, sealed_seed)
            }
            CampaignCommandKind::OpenEpoch { epoch, beacon } => self.open_epoch(now, *epoch, *beacon),
            CampaignCommandKind::HaltEpoch { epoch, reason } => self.halt_epoch(*epoch, reason),
            CampaignCommandKind::CloseEpoch { epoch, tally, seed } => {
                self.close_epoch(now, *epoch, tally, *seed)
            }
        }
    }

    fn draft(&self, terms: &Terms) -> Decision {
        if let Some(existing) = &self.terms {
            return if **existing == *terms {
                UNCHANGED
            } else {
                Err(CampaignRejection::ExistsWithDifferentTerms)
            };
        }
        terms.validate()?;
        done(vec![CampaignEvent::CampaignDrafted { version: 1, terms: terms.clone() }])
    }

    fn approve(&self) -> Decision {
        self.known()?;
        if self.approved {
            return UNCHANGED;
        }
        done(vec![CampaignEvent::CampaignApproved { version: self.version }])
    }

    fn start(&self, now: Timestamp) -> Decision {
        let terms = self.known()?;
        if !self.approved {
            return Err(CampaignRejection::NotApproved);
        }
        if self.ended {
            return Err(CampaignRejection::Ended);
        }
        if self.started {
            return UNCHANGED;
        }
        done(vec![CampaignEvent::CampaignStarted { started_at: now }, self.funding(terms, terms.budget)?])
    }

    fn pause(&self, now: Timestamp, reason: &str) -> Decision {
        self.running()?;
        if self.paused {
            return UNCHANGED;
        }
        done(vec![CampaignEvent::CampaignPaused { paused_at: now, reason: reason.into() }])
    }

    fn resume(&self, now: Timestamp) -> Decision {
        self.running()?;
        if !self.paused {
            return UNCHANGED;
        }
        done(vec![CampaignEvent::CampaignResumed { resumed_at: now }])
    }

    fn end(&self, now: Timestamp) -> Decision {
        self.known()?;
        if self.ended {
            return UNCHANGED;
        }
        done(vec![CampaignEvent::CampaignEnded { ended_at: now }])
    }

    fn fund(&self, amount: Money) -> Decision {
        let terms = self.running()?;
        if amount.is_zero() {
            let (field, message) = ("amount.minor".into(), "must be above zero".into());
            return Err(TermsError { field, message }.into());
        }
        done(vec![self.funding(terms, amount)?])
    }

    fn funding(&self, terms: &Terms, amount: Money) -> Result<CampaignEvent, CampaignRejection> {
        let so_far = Money::new(self.funded_minor, terms.budget.currency())?;
        let funded_minor = so_far.checked_add(amount)?.minor();
        let posting = Posting::funding(&terms.campaign_id, amount);
        Ok(CampaignEvent::BudgetFunded { amount, funded_minor, posting })
    }

    /// The hard floor: masks keep a batch within the budget before it is drawn, this keeps it from being
    /// recorded if they ever did not.
    fn record_spend(&self, won_minor: i64, reversed_minor: i64) -> Decision {
        let overflow = CampaignRejection::Budget(MoneyError::Overflow);
        let spent_minor = self.spent_minor.checked_add(won_minor).ok_or(overflow.clone())?;
        // A win that was reversed in the same batch had to be covered all the same.
        let funded_minor = self.budget_cap()?;
        if spent_minor > funded_minor {
            return Err(CampaignRejection::OverBudget { funded_minor, spent_minor });
        }
        let reversed_minor = self.reversed_minor.checked_add(reversed_minor).ok_or(overflow)?;
        done(vec![CampaignEvent::BudgetSpent { spent_minor, reversed_minor }])
    }

    /// Funded plus given back.
    fn budget_cap(&self) -> Result<i64, CampaignRejection> {
        self.funded_minor
            .checked_add(self.reversed_minor)
            .ok_or(CampaignRejection::Budget(MoneyError::Overflow))
    }

    fn schedule_epoch(
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
            beacon_spec: terms.beacon.clone(),
            at_once: epoch.opens_at() < now.plus_micros(DAY_MICROS),
        }])
    }

    fn open_epoch(&self, now: Timestamp, epoch: Epoch, beacon: Digest) -> Decision {
        let state = self.epoch_state(epoch)?;
        match state.phase {
            EpochPhase::Scheduled if now >= epoch.opens_at() => {
                let budget_cap_minor = self.budget_cap()?;
                done(vec![CampaignEvent::EpochOpened { epoch, opened_at: now, beacon, budget_cap_minor }])
            }
            EpochPhase::Scheduled => {
                Err(CampaignRejection::EpochState { epoch, state: "not due to open yet" })
            }
            EpochPhase::Open | EpochPhase::Halted | EpochPhase::Closed | EpochPhase::Revealed => UNCHANGED,
        }
    }

    fn halt_epoch(&self, epoch: Epoch, reason: &str) -> Decision {
        let state = self.epoch_state(epoch)?;
        match state.phase {
            EpochPhase::Halted => UNCHANGED,
            EpochPhase::Scheduled | EpochPhase::Open => {
                done(vec![CampaignEvent::EpochHalted { epoch, reason: reason.into() }])
            }
            phase @ (EpochPhase::Closed | EpochPhase::Revealed) => {
                Err(CampaignRejection::EpochState { epoch, state: phase.as_str() })
            }
        }
    }

    fn close_epoch(&self, now: Timestamp, epoch: Epoch, tally: &EpochTally, seed: Digest) -> Decision {
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
                },
                CampaignEvent::EpochRevealed { epoch, seed },
            ]),
            EpochPhase::Open | EpochPhase::Halted => {
                Err(CampaignRejection::EpochState { epoch, state: "within its grace" })
            }
            phase @ (EpochPhase::Scheduled | EpochPhase::Closed) => {
                Err(CampaignRejection::EpochState { epoch, state: phase.as_str() })
            }
        }
    }

    fn known(&self) -> Result<&Terms, CampaignRejection> {
        self.terms.as_deref().ok_or(CampaignRejection::Unknown)
    }

    fn running(&self) -> Result<&Terms, CampaignRejection> {
        let terms = self.known()?;
        if !self.started {
            return Err(CampaignRejection::NotStarted);
        }
        if self.ended { Err(CampaignRejection::Ended) } else { Ok(terms) }
    }

    fn epoch_state(&self, epoch: Epoch) -> Result<&EpochState, CampaignRejection> {
        self.epochs.get(&epoch).ok_or(CampaignRejection::EpochState { epoch, state: "not scheduled" })
    }
}
