//! Step *reveal*: an epoch whose grace is over is counted from the log, closed, and its seed revealed.
//!
//! That its seed is opened is an event of its own, durable before it is. An epoch that cannot be settled keeps no
//! other from it: it is told of and tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::Aggregate as _;
use tokio::sync::{Mutex, watch};

use crate::account::AccountEvent;
use crate::audit::merkle;
use crate::campaign::command::EpochTally;
use crate::campaign::state::{Campaign, EpochPhase, EpochState};
use crate::campaign::{CampaignCommandKind, CampaignEvent, CampaignRejection};
use crate::engine::{Context, Ledger, SeedVault, SubmitError};
use crate::ids::{CampaignId, Digest, EntryId};
use crate::log::decode::{LedgerEvent, decode};
use crate::log::{EventLog, LogError, Position, StreamId, StreamType};
use crate::time::{Epoch, Timestamp};

/// How often due epochs are looked for.
const EVERY: Duration = Duration::from_secs(30);
const PAGE: usize = 2_000;

/// Closes epochs.
pub struct Reveal {
    ledger: Ledger,
    log: Arc<dyn EventLog>,
    seeds: Arc<dyn SeedVault>,
    campaigns: Mutex<BTreeMap<StreamId, Followed>>,
}

/// A campaign as the log has it up to a position.
#[derive(Default)]
struct Followed {
    campaign: Campaign,
    read: Position,
    /// Where each epoch that may still draw was opened: its draws come after it.
    opened: BTreeMap<Epoch, Position>,
    /// Whose seed this process has said that it opens. Once is enough, however often it is tried.
    announced: BTreeSet<Epoch>,
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
    /// The campaign refuses what this step records.
    #[error("the campaign refuses it")]
    Rejected(#[from] CampaignRejection),
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
        Reveal { ledger, log, seeds, campaigns: Mutex::default() }
    }

    /// Looks for due epochs until `stop` says so.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match self.settle().await {
                Err(RevealError::Ledger(SubmitError::NotWriter)) => return,
                // Told where it is found out. Nothing is due by a clock that may be wrong.
                Ok(_) | Err(RevealError::Ledger(SubmitError::Clock(_))) => {}
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

    /// Settles every epoch that is due and tells how many there were. One that cannot be settled is told of here; an
    /// error is what concerns them all.
    pub async fn settle(&self) -> Result<usize, RevealError> {
        let now = self.ledger.tick().await?;
        let mut campaigns = self.campaigns.lock().await;
        let mut settled = 0;
        for stream in self.log.stream_ids(StreamType::Campaign).await? {
            let followed = campaigns.entry(stream.clone()).or_default();
            if let Err(error) = self.follow(&stream, followed).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, %stream, "a campaign cannot be read; trying again");
                continue;
            }
            let Some((terms, _)) = followed.campaign.terms() else {
                continue;
            };
            let id = terms.campaign_id.clone();
            for epoch in followed.due(now) {
                match self.settle_epoch(&id, epoch, followed).await {
                    Ok(()) => settled += 1,
                    Err(RevealError::Ledger(SubmitError::NotWriter)) => {
                        return Err(SubmitError::NotWriter.into());
                    }
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(error, campaign = %id, %epoch, "an epoch could not be settled; trying again");
                    }
                }
            }
        }
        Ok(settled)
    }

    /// Reads what a campaign has done since.
    async fn follow(&self, stream: &StreamId, followed: &mut Followed) -> Result<(), LogError> {
        loop {
            let events = self.log.read_stream_after(stream, followed.read, PAGE).await?;
            let full = events.len() == PAGE;
            for stored in events {
                if let LedgerEvent::Campaign(event) = decode(&stored)? {
                    followed.take(stored.position, event);
                }
                followed.read = stored.position;
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// Counts, opens and reveals one epoch. The engine's time is past the grace, so nothing after its head can draw
    /// in it.
    async fn settle_epoch(
        &self,
        id: &CampaignId,
        epoch: Epoch,
        followed: &mut Followed,
    ) -> Result<(), RevealError> {
        let Some(state) = followed.campaign.epoch(epoch) else { return Ok(()) };
        let opened = followed.opened.get(&epoch).copied().unwrap_or(followed.read);
        let tally = self.tally(id, epoch, state, opened).await?;
        if !followed.announced.contains(&epoch) {
            let purpose = "reveal".into();
            self.command(id, CampaignCommandKind::RecordSeedOpening { epoch, purpose }).await?;
            followed.announced.insert(epoch);
        }
        let seed = Digest(*self.seeds.open(id, epoch, &state.sealed_seed)?.expose());
        self.command(id, CampaignCommandKind::CloseEpoch { epoch, tally, seed }).await
    }

    /// Returns once what it records is durable.
    async fn command(&self, id: &CampaignId, kind: CampaignCommandKind) -> Result<(), RevealError> {
        let context = Context::new("step:reveal", "", "");
        self.ledger.campaign(id.clone(), kind, context).await??;
        Ok(())
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

impl Followed {
    fn take(&mut self, position: Position, event: CampaignEvent) {
        if let CampaignEvent::EpochOpened { epoch, .. } = &event {
            self.opened.insert(*epoch, position);
        } else if let CampaignEvent::EpochRevealed { epoch, .. } = &event {
            self.opened.remove(epoch);
            self.announced.remove(epoch);
        }
        self.campaign.apply(event);
    }

    /// Epochs whose grace is over, oldest first.
    fn due(&self, now: Timestamp) -> Vec<Epoch> {
        // Also one that never opened, for want of its beacon.
        let phases = [EpochPhase::Open, EpochPhase::Halted];
        let due = self
            .campaign
            .epochs()
            .filter(|(_, state)| phases.contains(&state.phase) && now >= state.seals_at);
        due.map(|(epoch, _)| epoch).collect()
    }
}
