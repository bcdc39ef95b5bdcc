//! Step *beacon*: an epoch that waits for public randomness opens once its round is there.
//!
//! The writer waits for no network, so this is a step. A source is not trusted: what it says is
//! checked against the network's public key here, so that another source is asked when one lies,
//! and by the campaign again. A round that is late defers draws and is asked for until it is there;
//! no epoch ever opens without it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::campaign::CampaignCommandKind;
use crate::campaign::state::Standing;
use crate::campaign::state::{Campaign, EpochPhase};
use crate::draw::beacon::BeaconSpec;
use crate::engine::{CommandContext, Ledger, SubmitError};
use crate::faults;
use crate::ids::{BeaconSignature, CampaignId};
use crate::time::{Epoch, SECOND_MICROS, Timestamp};

use super::ports::BeaconSource;

const UNOPENED: &str = "epochs that wait for a beacon could not be opened; trying again";
const SOURCE_AWAY: &str = "a source of the beacon could not be asked";
const WRONG: &str = "a beacon's signature is wrong and is not used";
/// How often epochs that are due are looked for: as often as there are rounds.
const EVERY: Duration = Duration::from_secs(3);
/// A round is there some seconds after its time; from then on it is late.
const LATE_MICROS: i64 = 10 * SECOND_MICROS;
/// How often a late round is told of again.
const TELL_AGAIN_MICROS: i64 = 60 * SECOND_MICROS;

/// Opens epochs that wait for a beacon.
pub struct Beacon {
    ledger: Ledger,
    sources: Vec<Arc<dyn BeaconSource>>,
    /// When a late round was last told of.
    told: BTreeMap<(CampaignId, Epoch), Timestamp>,
}

/// An epoch that should be open.
struct Due {
    campaign: CampaignId,
    epoch: Epoch,
    spec: BeaconSpec,
    /// The later of its opening and its round.
    since: Timestamp,
}

impl Due {
    fn name(&self) -> (CampaignId, Epoch) {
        (self.campaign.clone(), self.epoch)
    }
}

/// Why nothing could be opened this time.
#[derive(Debug, thiserror::Error)]
pub enum BeaconStepError {
    /// The ledger did not take the command.
    #[error("the ledger did not answer")]
    Ledger(#[from] SubmitError),
}

/// Which one.
#[derive(Debug, thiserror::Error)]
#[error("of round {0}")]
struct WrongSignature(u64);

impl Beacon {
    /// A step that commands this ledger and asks these sources, the first one first.
    pub fn new(ledger: Ledger, sources: Vec<Arc<dyn BeaconSource>>) -> Beacon {
        Beacon { ledger, sources, told: BTreeMap::new() }
    }

    /// Looks for due epochs until `stop` says so.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let looked = tokio::select! {
                looked = self.open_due() => looked,
                // A source that does not answer does not keep us.
                _ = stop.wait_for(|stop| *stop) => return,
            };
            match looked {
                Err(BeaconStepError::Ledger(SubmitError::NotWriter)) => return,
                // Told where it is found out. Nothing is due by a clock that may be wrong.
                Err(BeaconStepError::Ledger(SubmitError::Clock(_))) => {}
                Ok(_) => faults::over(UNOPENED),
                Err(error) => faults::warn(UNOPENED, "", &error),
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Opens every epoch whose round is there and tells how many these were.
    pub async fn open_due(&mut self) -> Result<usize, BeaconStepError> {
        // From the engine's memory: no history is read.
        let campaigns = self.ledger.campaigns(None).await?;
        let waiting = waiting(campaigns.iter().map(|(campaign, _)| campaign));
        self.told.retain(|name, _| waiting.iter().any(|due| due.name() == *name));
        if waiting.is_empty() {
            return Ok(0);
        }
        // The engine's time, which never goes back and is what opening is decided by.
        let now = self.ledger.tick().await?;
        let (mut opened, mut late_micros) = (0, 0);
        for due in waiting.iter().filter(|due| due.since <= now) {
            if let Some(signature) = self.ask(due).await
                && self.open(due, signature).await?
            {
                opened += 1;
            } else {
                late_micros = late_micros.max(now.micros() - due.since.micros());
                self.tell_if_late(due, now);
            }
        }
        let late_seconds = u32::try_from(late_micros / SECOND_MICROS).unwrap_or(u32::MAX);
        metrics::gauge!("rewardhub_beacon_late_seconds").set(late_seconds);
        Ok(opened)
    }

    /// The first signature that is right.
    async fn ask(&self, due: &Due) -> Option<BeaconSignature> {
        let BeaconSpec::Quicknet { round } = due.spec else { return None };
        for source in &self.sources {
            match source.round(round).await {
                Ok(Some(signature)) if due.spec.randomness(Some(&signature)).is_ok() => {
                    faults::over_for(SOURCE_AWAY, &source.to_string());
                    return Some(signature);
                }
                Ok(Some(_)) => {
                    faults::error(WRONG, &source.to_string(), &WrongSignature(round));
                    metrics::counter!("rewardhub_beacon_wrong_signatures_total").increment(1);
                }
                Ok(None) => faults::over_for(SOURCE_AWAY, &source.to_string()),
                Err(error) => faults::warn(SOURCE_AWAY, &source.to_string(), &error),
            }
        }
        None
    }

    async fn open(&self, due: &Due, signature: BeaconSignature) -> Result<bool, BeaconStepError> {
        let kind = CampaignCommandKind::OpenEpoch { epoch: due.epoch, signature: Some(signature) };
        let context = CommandContext::new("step:beacon", "", "");
        match self.ledger.campaign(due.campaign.clone(), kind, context).await? {
            Ok(_) => Ok(true),
            Err(rejection) => {
                let Due { campaign, epoch, .. } = due;
                tracing::error!(%campaign, %epoch, %rejection, "an epoch could not be opened");
                Ok(false)
            }
        }
    }

    fn tell_if_late(&mut self, due: &Due, now: Timestamp) {
        let name = due.name();
        let told =
            self.told.get(&name).copied().unwrap_or(due.since.plus_micros(LATE_MICROS - TELL_AGAIN_MICROS));
        if now < told.plus_micros(TELL_AGAIN_MICROS) {
            return;
        }
        let Due { campaign, epoch, spec, since } = due;
        let late_seconds = (now.micros() - since.micros()) / SECOND_MICROS;
        tracing::warn!(%campaign, %epoch, beacon = %spec, late_seconds, "a beacon is late; its epoch's draws wait");
        self.told.insert(name, now);
    }
}

/// Epochs that only a beacon can open, of campaigns that go on.
fn waiting<'a>(campaigns: impl Iterator<Item = &'a Campaign>) -> Vec<Due> {
    let mut waiting = Vec::new();
    for campaign in campaigns {
        let (Some((terms, _)), Some(Standing::Active | Standing::Paused)) =
            (campaign.terms(), campaign.standing())
        else {
            continue;
        };
        for (epoch, state) in campaign.epochs().filter(|(_, e)| e.phase == EpochPhase::Scheduled) {
            let spec = state.beacon_spec.parse::<BeaconSpec>().ok();
            if let Some((spec, appears_at)) = spec.and_then(|spec| Some((spec, spec.appears_at()?))) {
                let campaign = terms.campaign_id.clone();
                waiting.push(Due { campaign, epoch, spec, since: appears_at.max(epoch.opens_at()) });
            }
        }
    }
    waiting
}
