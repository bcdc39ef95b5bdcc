//! What a campaign decides: its lifecycle, its budget, its epochs.

mod budget;
mod epochs;
mod lifecycle;

use crate::aggregate::Decides;
use crate::campaign::command::{CampaignAnswer, CampaignCommandKind, CampaignRejection};
use crate::campaign::event::CampaignEvent;
use crate::campaign::state::{Campaign, EpochState};
use crate::campaign::terms::Terms;
use crate::time::{Epoch, Timestamp};

type Decision = Result<(Vec<CampaignEvent>, CampaignAnswer), CampaignRejection>;

const UNCHANGED: Decision = Ok((vec![], CampaignAnswer::Unchanged));

fn done(events: Vec<CampaignEvent>) -> Decision {
    Ok((events, CampaignAnswer::Done))
}

impl Decides for Campaign {
    type Kind = CampaignCommandKind;
    type Answer = CampaignAnswer;

    fn decide(&self, now: Timestamp, by: &str, command: &CampaignCommandKind) -> Decision {
        match command {
            CampaignCommandKind::Draft(terms) => self.draft(now, by, terms),
            CampaignCommandKind::Revise(terms) => self.revise(now, by, terms),
            CampaignCommandKind::Approve { version } => self.approve(now, by, *version),
            CampaignCommandKind::Schedule { start_at } => self.schedule(now, *start_at),
            CampaignCommandKind::Start => self.start(now),
            CampaignCommandKind::Pause { reason } => self.pause(now, reason),
            CampaignCommandKind::Resume => self.resume(now),
            CampaignCommandKind::End => self.end(now),
            CampaignCommandKind::Fund { amount, reference } => self.fund(by, *amount, reference),
            CampaignCommandKind::ApproveFunding { reference } => self.approve_funding(by, reference),
            CampaignCommandKind::RecordSpend { won_minor, reversed_minor, wins } => {
                self.record_spend(*won_minor, *reversed_minor, wins)
            }
            CampaignCommandKind::ScheduleEpoch { epoch, commitment, sealed_seed } => {
                self.schedule_epoch(now, *epoch, *commitment, sealed_seed)
            }
            CampaignCommandKind::OpenEpoch { epoch, signature } => self.open_epoch(now, *epoch, *signature),
            CampaignCommandKind::RecordSeedOpening { epoch, purpose } => {
                self.record_seed_opening(*epoch, purpose)
            }
            CampaignCommandKind::HaltEpoch { epoch, reason } => self.halt_epoch(*epoch, reason),
            CampaignCommandKind::ResumeEpoch { epoch, reason } => self.resume_epoch(by, *epoch, reason),
            CampaignCommandKind::CloseEpoch { epoch, tally, seed } => {
                self.close_epoch(now, *epoch, tally, *seed)
            }
        }
    }
}

impl Campaign {
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
