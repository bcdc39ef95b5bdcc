//! The seeds an audit works with: the revealed ones, and with the keys at hand the sealed ones
//! opened.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use ledger_core::campaign::CampaignEvent;
use ledger_core::draw::Seed;
use ledger_core::engine::SeedVault;
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::CampaignId;
use ledger_core::keys::{SealError, Sealed};
use ledger_core::log::{EventLog, LogError, Position, StoredEvent, StreamType, follow};
use ledger_core::time::Epoch;

/// Seeds by campaign and epoch.
#[derive(Default)]
pub struct Seeds {
    known: BTreeMap<(CampaignId, Epoch), Seed>,
    /// Committed to; no draw needs them yet.
    scheduled: BTreeMap<(CampaignId, Epoch), Sealed>,
    /// Of epochs that have opened.
    sealed: BTreeMap<(CampaignId, Epoch), Sealed>,
}

/// Why the seeds cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SeedsError {
    /// The log failed.
    #[error("reading the campaigns' streams")]
    Log(#[from] LogError),
    /// A sealed seed does not open under this draw key.
    #[error("opening the seed of campaign {0}, epoch {1}")]
    Seal(CampaignId, Epoch, #[source] Box<SealError>),
}

impl Seeds {
    /// What the log has revealed. What does not decode is left to the audit, which names it.
    pub async fn of(log: &dyn EventLog) -> Result<Seeds, LogError> {
        let mut seeds = Seeds::default();
        for stream in log.stream_ids(StreamType::Campaign).await? {
            let mut events = follow(log, Some(&stream), Position(0));
            while let Some(stored) = events.try_next().await? {
                seeds.take(&stored);
            }
        }
        Ok(seeds)
    }

    /// Takes what one event says of seeds.
    pub fn take(&mut self, stored: &StoredEvent) {
        let Ok(campaign) = CampaignId::parse(&stored.stream.id) else { return };
        let Ok(LedgerEvent::Campaign(event)) = decode(stored) else { return };
        if let CampaignEvent::EpochScheduled { epoch, sealed_seed, .. } = event {
            self.scheduled.insert((campaign, epoch), sealed_seed);
        } else if let CampaignEvent::EpochOpened { epoch, .. } = event {
            let name = (campaign, epoch);
            if let Some(sealed) = self.scheduled.remove(&name) {
                self.sealed.insert(name, sealed);
            }
        } else if let CampaignEvent::EpochRevealed { epoch, seed, .. } = event {
            self.sealed.remove(&(campaign.clone(), epoch));
            self.known.insert((campaign, epoch), Seed::new(seed.0));
        }
    }

    /// Whose seeds [`Seeds::open`] would open.
    pub fn sealed(&self) -> impl Iterator<Item = &(CampaignId, Epoch)> {
        self.sealed.keys()
    }

    /// Opens the seeds of epochs that draw and are not revealed yet, and names them: whoever sees
    /// one can predict what is still to be drawn with it. Those of days to come stay sealed; no
    /// draw needs them.
    pub fn open(&mut self, vault: &dyn SeedVault) -> Result<Vec<(CampaignId, Epoch)>, SeedsError> {
        let mut opened = Vec::with_capacity(self.sealed.len());
        while let Some(((campaign, epoch), sealed)) = self.sealed.pop_first() {
            let seed = vault
                .open(&campaign, epoch, &sealed)
                .map_err(|error| SeedsError::Seal(campaign.clone(), epoch, Box::new(error)))?;
            opened.push((campaign.clone(), epoch));
            self.known.insert((campaign, epoch), seed);
        }
        Ok(opened)
    }

    /// One epoch's.
    pub fn get(&self, campaign: &CampaignId, epoch: Epoch) -> Option<&Seed> {
        self.known.get(&(campaign.clone(), epoch))
    }
}
