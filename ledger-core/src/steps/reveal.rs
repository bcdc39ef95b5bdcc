//! Step *reveal*: an epoch whose grace is over is counted from the log, closed, and its seed revealed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::Aggregate as _;
use tokio::sync::watch;

use crate::account::AccountEvent;
use crate::audit::merkle;
use crate::campaign::command::EpochTally;
use crate::campaign::state::{Campaign, EpochPhase, EpochState};
use crate::campaign::{CampaignCommandKind, CampaignEvent};
use crate::engine::{Context, Ledger, SeedVault, SubmitError};
use crate::ids::{CampaignId, Digest, EntryId};
use crate::log::decode::{LedgerEvent, decode};
use crate::log::{EventLog, LogError, Position, StreamId, StreamType};
use crate::time::Epoch;

/// How often due epochs are looked for.
const EVERY: Duration = Duration::from_secs(30);
const PAGE: usize = 2_000;

/// Closes epochs.
pub struct Reveal {
    ledger: Ledger,
    log: Arc<dyn EventLog>,
    seeds: Arc<dyn SeedVault>,
}

/// Why an epoch could not be settled this time.
#[derive(Debug, thiserror::Error)]
pub enum RevealError {
    /// The log failed.
    #[error("the log cannot be read")]
    Log(#[from] LogError),
    /// The ledger did not take the command.
    #[error("the ledger did not answer")]
    Ledger(#[from] SubmitError),
    /// The seed cannot be opened.
    #[error("the epoch's seed cannot be opened")]
    Seal(#[from] crate::seal::SealError),
    /// The tally does not fit its numbers.
    #[error("the tally of epoch {0} overflows")]
    Overflow(Epoch),
}

impl Reveal {
    /// A step that commands this ledger.
    pub fn new(ledger: Ledger, log: Arc<dyn EventLog>, seeds: Arc<dyn SeedVault>) -> Reveal {
        Reveal { ledger, log, seeds }
    }

    /// Looks for due epochs until `stop` says so.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match self.settle().await {
                Ok(_) => {}
                Err(RevealError::Ledger(SubmitError::NotWriter)) => return,
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an epoch could not be settled; trying again"
                ),
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Settles every epoch that is due and tells how many there were.
    pub async fn settle(&self) -> Result<usize, RevealError> {
        let now = self.ledger.tick().await?;
        let mut settled = 0;
        for stream in self.log.stream_ids(StreamType::Campaign).await? {
            let (campaign, opened) = self.campaign(&stream).await?;
            let Some((terms, _)) = campaign.terms() else {
                continue;
            };
            let due = campaign.epochs().filter(|(_, state)| {
                let phases = [EpochPhase::Scheduled, EpochPhase::Open, EpochPhase::Halted];
                phases.contains(&state.phase) && now >= state.seals_at
            });
            for (epoch, state) in due {
                // The engine's time is past the grace, so nothing after its head can draw in this epoch.
                let tally = self.tally(&terms.campaign_id, epoch, state, opened).await?;
                let seed = self.seeds.open(&terms.campaign_id, epoch, &state.sealed_seed)?;
                let kind = CampaignCommandKind::CloseEpoch { epoch, tally, seed: Digest(*seed.expose()) };
                let context = Context::new("step:reveal", "", "");
                if let Err(rejection) = self.ledger.campaign(terms.campaign_id.clone(), kind, context).await?
                {
                    tracing::error!(campaign = %terms.campaign_id, %epoch, %rejection, "an epoch could not be closed");
                } else {
                    settled += 1;
                }
            }
        }
        Ok(settled)
    }

    /// A campaign's state, and where the first of its open epochs was opened.
    async fn campaign(&self, stream: &StreamId) -> Result<(Campaign, Position), LogError> {
        let mut campaign = Campaign::default();
        let (mut after, mut opened) = (Position(0), None);
        loop {
            let events = self.log.read_stream_after(stream, after, PAGE).await?;
            let full = events.len() == PAGE;
            for stored in events {
                after = stored.position;
                if let LedgerEvent::Campaign(event) = decode(&stored)? {
                    if matches!(event, CampaignEvent::EpochOpened { .. }) {
                        opened.get_or_insert(stored.position);
                    }
                    campaign.apply(event);
                }
            }
            if !full {
                return Ok((campaign, opened.unwrap_or(after)));
            }
        }
    }

    /// Counts one epoch's draws from the log.
    async fn tally(
        &self,
        campaign: &CampaignId,
        epoch: Epoch,
        state: &EpochState,
        after: Position,
    ) -> Result<EpochTally, RevealError> {
        let overflow = || RevealError::Overflow(epoch);
        let mut entries: BTreeSet<EntryId> = BTreeSet::new();
        let mut wins = vec![0_u64; state.prize_table.tiers.len()];
        let (mut after, mut paid_minor) = (after, 0_i64);
        loop {
            let events = self.log.read_after(after, PAGE).await?;
            let full = events.len() == PAGE;
            for stored in &events {
                after = stored.position;
                let LedgerEvent::Account(AccountEvent::TransactionEvaluated { draws, .. }) = decode(stored)?
                else {
                    continue;
                };
                for draw in draws.iter().filter(|d| d.campaign_id == *campaign && d.epoch == epoch) {
                    entries.insert(draw.entry_id);
                    if let (Some(tier), Some(amount)) = (draw.tier, draw.amount) {
                        *wins.get_mut(tier as usize).ok_or_else(overflow)? += 1;
                        paid_minor = paid_minor.checked_add(amount.minor()).ok_or_else(overflow)?;
                    }
                }
            }
            if !full {
                break;
            }
        }
        let root = merkle::root(entries.iter().map(|entry| entry.0.as_slice()));
        Ok(EpochTally { draws: entries.len() as u64, wins, paid_minor, root })
    }
}
