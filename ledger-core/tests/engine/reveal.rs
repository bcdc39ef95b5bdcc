//! Revealing: what fails keeps nothing else back, and a seed is opened after its event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ledger_core::campaign::CampaignEvent;
use ledger_core::draw::Seed;
use ledger_core::engine::{SeedVault, SubmitError};
use ledger_core::ids::CampaignId;
use ledger_core::keys::{KeyProviderError, SealError, Sealed};
use ledger_core::log::StoredEvent;
use ledger_core::steps::reveal::{Reveal, RevealError};
use ledger_core::steps::store::StepStore;
use ledger_core::time::Epoch;
use serde_json::json;
use stores::steps::StepTables;
use support::{Fault, SimulatedLog};

use crate::check::{campaign_events, sound};
use crate::tap::TapLog;
use crate::world::{World, at, rows, terms};

/// Opens seeds only once the log says so; those of a broken campaign not at all.
struct Watched {
    inner: Arc<dyn SeedVault>,
    log: SimulatedLog,
    broken: AtomicBool,
    opened: AtomicUsize,
}

impl SeedVault for Watched {
    fn create(&self, campaign: &CampaignId, epoch: Epoch) -> Result<(Seed, Sealed), SealError> {
        self.inner.create(campaign, epoch)
    }

    fn open(&self, campaign: &CampaignId, epoch: Epoch, sealed: &Sealed) -> Result<Seed, SealError> {
        let of_campaign: Vec<StoredEvent> =
            self.log.events().into_iter().filter(|e| e.stream.id == campaign.as_str()).collect();
        assert_eq!(openings(&of_campaign), 1, "the log says so before it is opened");
        self.opened.fetch_add(1, Ordering::SeqCst);
        if campaign.as_str() == "a-broken" && self.broken.load(Ordering::SeqCst) {
            return Err(SealError::Provider(KeyProviderError::NoRandomness));
        }
        self.inner.open(campaign, epoch, sealed)
    }
}

/// Openings for the reveal.
fn openings(events: &[StoredEvent]) -> usize {
    let opened = |event: &CampaignEvent| matches!(event, CampaignEvent::SeedOpened { purpose, .. } if purpose == "reveal");
    campaign_events(events).iter().filter(|event| opened(event)).count()
}

fn revealed(events: &[StoredEvent]) -> Vec<&str> {
    events.iter().filter(|e| e.event_type == "EpochRevealed").map(|e| e.stream.id.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn one_damaged_seed_keeps_no_other_campaign_from_its_reveal() {
    let world = World::new();
    let (node, log) = world.with(terms(|terms| terms["campaign_id"] = json!("a-broken"))).await;
    node.run(terms(|_| {})).await;
    node.take(&rows(0..10)).await;
    let watched = Arc::new(Watched {
        inner: Arc::clone(&world.seeds),
        log: log.reopen(),
        broken: true.into(),
        opened: 0.into(),
    });
    let reveal = Reveal::new(
        node.ledger.clone(),
        Arc::clone(&node.log),
        Arc::clone(&watched) as _,
        Arc::new(StepTables::in_memory().unwrap()),
    );
    assert_eq!(reveal.settle().await.unwrap(), 0, "within the grace");
    assert_eq!(watched.opened.load(Ordering::SeqCst), 0);
    world.clock.set(at("2026-11-25T00:00:00Z"));
    assert_eq!(reveal.settle().await.unwrap(), 1);
    assert_eq!(revealed(&log.events()), ["everyday"]);
    // Tried again, it is said once: the vault counts.
    assert_eq!(reveal.settle().await.unwrap(), 0);
    watched.broken.store(false, Ordering::SeqCst);
    assert_eq!(reveal.settle().await.unwrap(), 1);
    assert_eq!(revealed(&log.events()), ["everyday", "a-broken"]);
    assert_eq!((openings(&log.events()), watched.opened.load(Ordering::SeqCst)), (2, 4));
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_no_longer_the_writer_stops_revealing() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let reveal = Reveal::new(
        node.ledger.clone(),
        Arc::clone(&node.log),
        Arc::clone(&world.seeds),
        Arc::new(StepTables::in_memory().unwrap()),
    );
    world.clock.set(at("2026-11-25T00:00:00Z"));
    node.ledger.tick().await.unwrap();
    // Another process takes over while this one says that it opens the seed.
    log.faults().push(Fault::Fence);
    let stopped = reveal.settle().await;
    assert!(matches!(stopped, Err(RevealError::Ledger(SubmitError::NotWriter))), "{stopped:?}");
    assert_eq!(revealed(&log.events()), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn no_campaigns_history_is_read_and_the_log_once_whatever_is_restarted() {
    let world = World::new();
    let disk = SimulatedLog::new();
    let tap = TapLog::new(Arc::new(disk.reopen()));
    let node = world.start(tap.log()).await;
    node.run(terms(|_| {})).await;
    node.take(&rows(0..40)).await;
    let file = world.folder.path().join("steps.db");
    let reveal = || {
        let step_store: Arc<dyn StepStore> = Arc::new(StepTables::open(&file).unwrap());
        Reveal::new(node.ledger.clone(), Arc::clone(&node.log), Arc::clone(&world.seeds), step_store)
    };
    // Each day's draws, some of them after a restart.
    assert_eq!(reveal().settle().await.unwrap(), 0);
    node.take(&rows(40..60)).await;
    assert_eq!(reveal().settle().await.unwrap(), 0);
    world.clock.set(at("2026-11-25T00:00:00Z"));
    assert_eq!(reveal().settle().await.unwrap(), 1);
    assert_eq!(reveal().settle().await.unwrap(), 0);
    assert_eq!(tap.read_of_streams(), 0);
    // Counts and roots are those of the log, as the audit derives them.
    sound(&disk.events(), &*world.seeds);
    let closed = campaign_events(&disk.events()).into_iter().find_map(|event| match event {
        CampaignEvent::EpochClosed { draws, .. } => Some(draws),
        _ => None,
    });
    assert_eq!(closed, Some(60));
}
