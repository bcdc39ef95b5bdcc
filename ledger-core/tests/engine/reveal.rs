//! Revealing: what fails keeps nothing else back, and a seed is opened after its event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ledger_core::campaign::CampaignEvent;
use ledger_core::draw::Seed;
use ledger_core::engine::{SeedVault, SubmitError};
use ledger_core::ids::CampaignId;
use ledger_core::log::StoredEvent;
use ledger_core::seal::{KeyProviderError, SealError, Sealed};
use ledger_core::steps::reveal::{Reveal, RevealError};
use ledger_core::testing::{Fault, SimulatedLog};
use ledger_core::time::Epoch;
use serde_json::json;

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
    let reveal = Reveal::new(node.ledger.clone(), Arc::clone(&node.log), Arc::clone(&watched) as _);
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
    let reveal = Reveal::new(node.ledger.clone(), Arc::clone(&node.log), Arc::clone(&world.seeds));
    world.clock.set(at("2026-11-25T00:00:00Z"));
    node.ledger.tick().await.unwrap();
    // Another process takes over while this one says that it opens the seed.
    log.faults().push(Fault::Fence);
    let stopped = reveal.settle().await;
    assert!(matches!(stopped, Err(RevealError::Ledger(SubmitError::NotWriter))), "{stopped:?}");
    assert_eq!(revealed(&log.events()), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn what_was_read_of_a_campaign_is_not_read_again() {
    let world = World::new();
    let disk = SimulatedLog::new();
    let tap = TapLog::new(Arc::new(disk.reopen()));
    let node = world.start(Arc::clone(&tap) as _).await;
    node.run(terms(|_| {})).await;
    let reveal = Reveal::new(node.ledger.clone(), Arc::clone(&node.log), Arc::clone(&world.seeds));
    for settled in [0, 0] {
        assert_eq!(reveal.settle().await.unwrap(), settled);
    }
    let of_campaign = || disk.events().iter().filter(|e| e.stream.id == "everyday").count();
    assert_eq!(tap.read_of_streams(), of_campaign());
    world.clock.set(at("2026-11-25T00:00:00Z"));
    assert_eq!(reveal.settle().await.unwrap(), 1);
    assert_eq!(reveal.settle().await.unwrap(), 0);
    assert_eq!(tap.read_of_streams(), of_campaign());
}
