//! Campaigns as the writer sees them: which offers a line has, which epochs are due.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::account::command::{EpochOffer, Offer, Standing};
use crate::campaign::state::{Campaign, EpochPhase, EpochState};
use crate::campaign::terms::Terms;
use crate::draw::{self, EpochKey, PrizeTable, Seed, beacon};
use crate::faults;
use crate::ids::{CampaignId, Digest};
use crate::keys::{KeyProviderError, Keyring, SealError, Sealed};
use crate::time::{Epoch, Timestamp};
use crate::transaction::BookedAt;
use crate::zone::Clocks;

use super::core::Core;

const ZONE_UNKNOWN: &str = "transactions wait: this build does not know a campaign's time zone";

/// Which one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UnknownZone(String);

/// Makes and keeps the secret behind an epoch's draws. A port: a key file here, a KMS in
/// production, fixed seeds in tests.
pub trait SeedVault: Send + Sync {
    /// 32 fresh secret bytes and the same sealed under the draw key, bound to campaign and epoch.
    fn create(&self, campaign: &CampaignId, epoch: Epoch) -> Result<(Seed, Sealed), SealError>;

    /// Opens a sealed seed.
    fn open(&self, campaign: &CampaignId, epoch: Epoch, sealed: &Sealed) -> Result<Seed, SealError>;
}

/// Seeds from the operating system, sealed by the keyring's draw key.
pub struct KeyringSeeds(Arc<Keyring>);

impl KeyringSeeds {
    /// Seeds under this keyring's draw key.
    pub fn new(keyring: Arc<Keyring>) -> KeyringSeeds {
        KeyringSeeds(keyring)
    }
}

impl SeedVault for KeyringSeeds {
    fn create(&self, campaign: &CampaignId, epoch: Epoch) -> Result<(Seed, Sealed), SealError> {
        let seed = Seed::generate().map_err(|_| SealError::Provider(KeyProviderError::NoRandomness))?;
        let sealed = self.0.seal_seed(campaign, epoch, &seed)?;
        Ok((seed, sealed))
    }

    fn open(&self, campaign: &CampaignId, epoch: Epoch, sealed: &Sealed) -> Result<Seed, SealError> {
        self.0.open_seed(campaign, epoch, sealed)
    }
}

/// Days of missed epochs that are made up for after an outage: the bank's polling window.
const MISSED_DAYS_MAX: i64 = 31;
/// Epochs scheduled ahead of today's, so that the nearer one is committed to 24 hours before it
/// opens.
const SCHEDULED_AHEAD: usize = 2;

/// Epoch keys, opened once, and the offers of the days that lines are booked on.
#[derive(Default)]
pub(super) struct Offers {
    keys: HashMap<(CampaignId, Epoch), EpochKey>,
    /// By the UTC day of booking, and whether the bank says the time.
    by_day: HashMap<(Epoch, bool), Vec<Template>>,
    /// Whose seeds have been opened and not yet recorded as such.
    opened: Vec<(CampaignId, Epoch)>,
}

/// An offer without its budget, which moves with every win.
struct Template {
    terms: Arc<Terms>,
    version: u32,
    clocks: Option<Clocks>,
    standing: Standing,
    epoch: EpochTemplate,
}

enum EpochTemplate {
    Fixed(EpochOffer),
    Open {
        epoch: Epoch,
        key: EpochKey,
        table: Arc<PrizeTable>,
        table_hash: Digest,
        budget_left_minor: i64,
        has_inventory: bool,
    },
}

impl Offers {
    /// Campaigns or time have moved on: build the offers anew. Keys stay.
    pub(super) fn invalidate(&mut self) {
        self.by_day.clear();
    }

    /// Seeds opened since this was last asked.
    pub(super) fn take_opened(&mut self) -> Vec<(CampaignId, Epoch)> {
        std::mem::take(&mut self.opened)
    }

    /// What every started campaign that is not over offers a line that was booked then, in order of
    /// precedence, then of id.
    pub(super) fn of(
        &mut self,
        booked: BookedAt,
        core: &Core,
        vault: &dyn SeedVault,
    ) -> Result<Vec<Offer>, SealError> {
        let day = (Epoch::of(booked.at), booked.time_known);
        if !self.by_day.contains_key(&day) {
            let mut templates = Vec::new();
            for slot in core.aggregates.campaigns.in_order() {
                if let (Some((terms, version)), Some(standing)) = (slot.state.terms(), slot.state.standing())
                {
                    let epoch = terms.epoch_of(booked);
                    // Who waited for a day that was halted for good, or never opened, hears so
                    // however late.
                    let never_drew = slot.state.epoch(epoch).is_some_and(EpochState::never_drew);
                    if slot.state.is_over(core.staging.now) && !never_drew {
                        continue;
                    }
                    let clocks = core.zones().clocks(&terms.time_zone);
                    if standing == Standing::Active && clocks.is_none() {
                        let unknown = UnknownZone(terms.time_zone.to_string());
                        faults::error(ZONE_UNKNOWN, terms.campaign_id.as_str(), &unknown);
                    }
                    let epoch = self.epoch_template(&slot.state, terms, epoch, core.staging.now, vault)?;
                    let terms = Arc::clone(terms);
                    templates.push(Template { terms, version, clocks, standing, epoch });
                }
            }
            // Stable: campaigns come in order of their ids.
            templates.sort_by_key(|template| template.terms.precedence);
            self.by_day.insert(day, templates);
        }
        Ok(self.by_day[&day].iter().map(|template| template.offer(core)).collect())
    }

    fn epoch_template(
        &mut self,
        campaign: &Campaign,
        terms: &Terms,
        epoch: Epoch,
        now: Timestamp,
        vault: &dyn SeedVault,
    ) -> Result<EpochTemplate, SealError> {
        let Some(state) = campaign.epoch(epoch) else {
            let past = campaign.epochs().next_back().is_some_and(|(last, _)| epoch > last);
            return Ok(EpochTemplate::Fixed(match (epoch > Epoch::of(now), past) {
                (true, _) => EpochOffer::NotOpen,
                (false, true) => EpochOffer::Past,
                (false, false) => EpochOffer::Never,
            }));
        };
        let fixed = match state.phase {
            EpochPhase::Closed | EpochPhase::Revealed if state.void => EpochOffer::Void,
            EpochPhase::Closed | EpochPhase::Revealed => EpochOffer::TooLate,
            // What waits for a halted epoch waits until it is closed, and then hears why.
            EpochPhase::Halted => EpochOffer::Halted,
            // Also of one that never opened, for want of its beacon.
            EpochPhase::Scheduled | EpochPhase::Open if now >= state.seals_at => EpochOffer::TooLate,
            EpochPhase::Scheduled => EpochOffer::NotOpen,
            EpochPhase::Open => {
                let name = (terms.campaign_id.clone(), epoch);
                let key = if let Some(key) = self.keys.get(&name) {
                    key.clone()
                } else {
                    let seed = vault.open(&terms.campaign_id, epoch, &state.sealed_seed)?;
                    let beacon = state.beacon.unwrap_or(Digest([0; 32]));
                    let key = draw::epoch_key(&seed, &beacon, &terms.campaign_id, epoch);
                    self.opened.push(name.clone());
                    self.keys.insert(name, key.clone());
                    key
                };
                return Ok(EpochTemplate::Open {
                    epoch,
                    has_inventory: !state.inventory.is_empty(),
                    key,
                    table: Arc::clone(&state.prize_table),
                    table_hash: state.table_hash,
                    budget_left_minor: state.budget_cap_minor.saturating_sub(campaign.spent_minor()),
                });
            }
        };
        Ok(EpochTemplate::Fixed(fixed))
    }
}

impl Template {
    fn offer(&self, core: &Core) -> Offer {
        let epoch = match &self.epoch {
            EpochTemplate::Fixed(offer) => offer.clone(),
            EpochTemplate::Open { epoch, key, table, table_hash, budget_left_minor, has_inventory } => {
                let staged = core.staging.spend.get(&self.terms.campaign_id).map_or(0, |s| s.won_minor);
                let sold_out = if *has_inventory { self.sold_out(core, *epoch) } else { 0 };
                EpochOffer::Open {
                    sold_out,
                    key: key.clone(),
                    table: Arc::clone(table),
                    table_hash: *table_hash,
                    budget_left_minor: budget_left_minor.saturating_sub(staged).max(0),
                }
            }
        };
        let (terms, clocks) = (Arc::clone(&self.terms), self.clocks.clone());
        Offer { terms, version: self.version, clocks, standing: self.standing, epoch }
    }

    /// Tiers that are sold out, counting the batch being staged.
    fn sold_out(&self, core: &Core, epoch: Epoch) -> u32 {
        let id = &self.terms.campaign_id;
        let Some(campaign) = core.aggregates.campaigns.peek(id.as_str()).map(|slot| &slot.state) else {
            return 0;
        };
        let staged = core.staging.spend.get(id).map(|spend| &spend.wins);
        let none = BTreeMap::new();
        campaign.sold_out(epoch, staged.unwrap_or(&none))
    }
}

/// What is due for one campaign.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Start it.
    Start,
    /// Commit to a seed.
    Schedule(Epoch),
    /// Let draws begin; never for one that waits for a beacon, which step *beacon* opens: the
    /// writer waits for no network.
    Open(Epoch),
}

/// Which epochs are due at `now`: scheduled ahead, made up for after an outage, opened in order.
pub(super) fn due(campaign: &Campaign, now: Timestamp) -> Vec<Due> {
    if let Some(start_at) = campaign.starts_itself_at()
        && start_at <= now
        && campaign.terms().is_some_and(|(terms, _)| terms.ends_at.is_none_or(|end| now < end))
    {
        return vec![Due::Start];
    }
    let (Some((terms, _)), Some(Standing::Active | Standing::Paused)) =
        (campaign.terms(), campaign.standing())
    else {
        return vec![];
    };
    let today = Epoch::of(now);
    let begins = Epoch::of(terms.starts_at);
    let first = match campaign.epochs().next_back() {
        Some((last, _)) => last.next(),
        None => today.max(begins),
    };
    let earliest = Epoch::on(today.date() - chrono::TimeDelta::days(MISSED_DAYS_MAX));
    let last_wanted = (0..SCHEDULED_AHEAD).fold(today.max(begins), |epoch, _| epoch.next());
    let in_time = |epoch: &Epoch| terms.ends_at.is_none_or(|end| epoch.opens_at() < end);
    // An epoch is scheduled one day at a time, so each has its turn; a far-off start waits for its
    // day.
    let schedule = std::iter::successors(Some(first.max(earliest)), |epoch| Some(epoch.next()))
        .take_while(|epoch| *epoch <= last_wanted && in_time(epoch));
    let waiting = |e: &EpochState| e.phase == EpochPhase::Scheduled && e.beacon_spec == beacon::NONE;
    let scheduled = campaign.epochs().filter(|(_, e)| waiting(e)).map(|(epoch, _)| epoch);
    let schedule: Vec<Epoch> = schedule.collect();
    let new = schedule.iter().copied().filter(|_| terms.beacon == beacon::NONE);
    let open: Vec<Epoch> = scheduled.chain(new).filter(|epoch| epoch.opens_at() <= now).collect();
    let mut due: Vec<Due> = schedule.into_iter().map(Due::Schedule).collect();
    due.extend(open.into_iter().map(Due::Open));
    due
}
