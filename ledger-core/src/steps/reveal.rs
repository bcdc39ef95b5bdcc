//! Step *reveal*: an epoch whose grace is over is counted from the log, closed, and its seed
//! revealed.
//!
//! What campaigns are due is asked of the engine, which has them in memory; what was drawn is in
//! [`super::tallies`], kept up with the log. That a seed is opened is an event of its own, durable
//! before it is. An epoch that cannot be settled keeps no other from it: it is told of and tried
//! again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use crate::campaign::state::{Campaign, EpochPhase, EpochState};
use crate::campaign::{CampaignCommandKind, CampaignRejection};
use crate::engine::{CommandContext, Ledger, SeedVault, SubmitError};
use crate::faults;
use crate::ids::{CampaignId, Digest};
use crate::log::EventLog;
use crate::time::{Epoch, Timestamp};

use super::store::{StepStore, StepStoreError};
use super::tallies::{Tallies, TallyError};

const UNSETTLED: &str = "epochs cannot be settled just now; trying again";
const ONE_UNSETTLED: &str = "an epoch could not be settled; trying again";
/// How often due epochs are looked for.
const EVERY: Duration = Duration::from_secs(30);

/// Closes epochs.
pub struct Reveal {
    ledger: Ledger,
    seeds: Arc<dyn SeedVault>,
    tallies: Tallies,
    /// Whose seed this process has said that it opens. Once is enough, however often it is tried.
    announced: Mutex<BTreeSet<(CampaignId, Epoch)>>,
}

/// Why an epoch could not be settled this time.
#[derive(Debug, thiserror::Error)]
pub enum RevealError {
    /// Its draws cannot be counted.
    #[error("the draws cannot be counted")]
    Tally(#[from] TallyError),
    /// Rows in memory cannot be laid out.
    #[error("the tallies cannot be kept")]
    Rows(#[from] StepStoreError),
    /// The ledger did not take the command.
    #[error("the ledger did not answer")]
    Ledger(#[from] SubmitError),
    /// The campaign refuses what this step records.
    #[error("the campaign refuses it")]
    Rejected(#[from] CampaignRejection),
    /// The seed cannot be opened.
    #[error("the epoch's seed cannot be opened")]
    Seal(#[from] crate::keys::SealError),
}

impl Reveal {
    /// A step that commands this ledger and keeps its tallies here.
    pub fn new(
        ledger: Ledger,
        log: Arc<dyn EventLog>,
        seeds: Arc<dyn SeedVault>,
        step_store: Arc<dyn StepStore>,
    ) -> Reveal {
        Reveal { ledger, seeds, tallies: Tallies::new(log, step_store), announced: Mutex::default() }
    }

    /// Looks for due epochs until `stop` says so.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match self.settle().await {
                Err(RevealError::Ledger(SubmitError::NotWriter)) => return,
                // Told where it is found out. Nothing is due by a clock that may be wrong.
                Err(RevealError::Ledger(SubmitError::Clock(_))) => {}
                Ok(_) => faults::over(UNSETTLED),
                Err(error) => faults::warn(UNSETTLED, "", &error),
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Settles every epoch that is due and tells how many there were. One that cannot be settled is
    /// told of here; an error is what concerns them all.
    pub async fn settle(&self) -> Result<usize, RevealError> {
        let now = self.ledger.tick().await?;
        // The engine's time is past the grace of what is due now, so nothing after its head can
        // draw in it.
        let head = *self.ledger.head().borrow();
        self.tallies.follow(head).await?;
        let mut announced = self.announced.lock().await;
        let mut settled = 0;
        for (campaign, _) in self.ledger.campaigns(None).await? {
            let Some((terms, _)) = campaign.terms() else { continue };
            let id = terms.campaign_id.clone();
            for (epoch, state) in due(&campaign, now) {
                match self.settle_epoch(&id, epoch, state, &mut announced).await {
                    Ok(()) => {
                        faults::over_for(ONE_UNSETTLED, &format!("{id} {epoch}"));
                        settled += 1;
                    }
                    Err(RevealError::Ledger(SubmitError::NotWriter)) => {
                        return Err(SubmitError::NotWriter.into());
                    }
                    Err(error) => faults::error(ONE_UNSETTLED, &format!("{id} {epoch}"), &error),
                }
            }
        }
        Ok(settled)
    }

    /// Counts, opens and reveals one epoch.
    async fn settle_epoch(
        &self,
        id: &CampaignId,
        epoch: Epoch,
        state: &EpochState,
        announced: &mut BTreeSet<(CampaignId, Epoch)>,
    ) -> Result<(), RevealError> {
        let tally = self.tallies.count(id, epoch, state.prize_table.tiers.len()).await?;
        let name = (id.clone(), epoch);
        if !announced.contains(&name) {
            let purpose = "reveal".into();
            self.command(id, CampaignCommandKind::RecordSeedOpening { epoch, purpose }).await?;
            announced.insert(name.clone());
        }
        let seed = Digest(*self.seeds.open(id, epoch, &state.sealed_seed)?.expose());
        self.command(id, CampaignCommandKind::CloseEpoch { epoch, tally, seed }).await?;
        announced.remove(&name);
        Ok(())
    }

    /// Returns once what it records is durable.
    async fn command(&self, id: &CampaignId, kind: CampaignCommandKind) -> Result<(), RevealError> {
        let context = CommandContext::new("step:reveal", "", "");
        self.ledger.campaign(id.clone(), kind, context).await??;
        Ok(())
    }
}

/// Epochs whose grace is over, oldest first. Those that never opened, because their beacon did not
/// come, are left out.
fn due(campaign: &Campaign, now: Timestamp) -> impl Iterator<Item = (Epoch, &EpochState)> {
    let phases = [EpochPhase::Open, EpochPhase::Halted];
    campaign.epochs().filter(move |(_, state)| phases.contains(&state.phase) && now >= state.seals_at)
}
