//! The bounded queue and the batch that fails: nothing is taken in silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ledger_core::draw::Seed;
use ledger_core::engine::{EngineSettings, RowResult, SeedVault, SubmitError};
use ledger_core::ids::CampaignId;
use ledger_core::keys::{SealError, Sealed};
use ledger_core::time::Epoch;
use ledger_core::transaction::RowCode;
use support::SimulatedLog;

use crate::check::sound;
use crate::tap::TapLog;
use crate::world::{World, row, rows, terms};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_says_so_at_once_and_takes_nothing() {
    let world = World::new();
    let disk = SimulatedLog::new();
    let tap = TapLog::new(Arc::new(disk.reopen()));
    let settings = EngineSettings { queue_transactions: 5_000, ..EngineSettings::default() };
    let node = Arc::new(world.start_with(tap.log(), settings).await);
    node.run(terms(|_| {})).await;
    tap.shut();
    let waiting = tokio::spawn({
        let node = Arc::clone(&node);
        async move { node.try_take(&[row("tx-first", "anna")]).await }
    });
    tokio::task::spawn_blocking({
        let tap = Arc::clone(&tap);
        move || tap.await_waiting()
    })
    .await
    .unwrap();
    assert!(matches!(node.try_take(&rows(0..5_000)).await, Err(SubmitError::Full)), "4,999 are free");
    assert!(*node.ledger.health().borrow());
    tap.open();
    waiting.await.unwrap().unwrap();
    node.ledger.tick().await.unwrap();
    let opened = disk.events().iter().filter(|event| &*event.event_type == "AccountOpened").count();
    assert_eq!(opened, 1, "anna's; nothing of the refused request");
    let answers = node.take(&rows(0..5_000)).await;
    assert!(answers.iter().all(|a| a.as_ref().unwrap().result == RowResult::Accepted));
    sound(&disk.events(), &*world.seeds);
}

/// Panics at its first call, then does as it is told.
struct Panicky {
    inner: Arc<dyn SeedVault>,
    calls: AtomicUsize,
    at: usize,
}

impl Panicky {
    fn call(&self) {
        assert!(self.calls.fetch_add(1, Ordering::SeqCst) != self.at, "a panic that was asked for");
    }
}

impl SeedVault for Panicky {
    fn create(&self, campaign: &CampaignId, epoch: Epoch) -> Result<(Seed, Sealed), SealError> {
        self.call();
        self.inner.create(campaign, epoch)
    }

    fn open(&self, campaign: &CampaignId, epoch: Epoch, sealed: &Sealed) -> Result<Seed, SealError> {
        self.call();
        self.inner.open(campaign, epoch, sealed)
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_account_its_rows_and_the_next_batch_works() {
    // Three seeds are made when the campaign starts; the first draw opens one of them.
    {
        let at = 3;
        let mut world = World::new();
        world.seeds = Arc::new(Panicky { inner: Arc::clone(&world.seeds), calls: AtomicUsize::new(0), at });
        let (node, log) = world.with(terms(|_| {})).await;
        let answers = node.take(&[row("a-1", "anna"), row("b-1", "ben")]).await;
        assert_eq!(answers[0].as_ref().unwrap_err().code, RowCode::AccountUnavailable);
        assert_eq!(answers[1].as_ref().unwrap().result, RowResult::Accepted);
        let answers = node.take(&[row("c-1", "chris"), row("b-1", "ben")]).await;
        assert_eq!(answers[0].as_ref().unwrap().result, RowResult::Accepted);
        assert_eq!(answers[1].as_ref().unwrap().result, RowResult::Duplicate);
        assert!(*node.ledger.health().borrow());
        sound(&log.events(), &*world.seeds);
    }
}
