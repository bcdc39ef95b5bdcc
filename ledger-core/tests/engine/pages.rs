//! Long histories are read page by page, and the lease is kept meanwhile.

use std::sync::Arc;
use std::time::Duration;

use ledger_core::engine::{EngineSettings, Stopped, SubmitError};
use ledger_core::log::{StreamType, WriterLease as _};
use support::SimulatedLog;

use crate::check::sound;
use crate::tap::TapLog;
use crate::world::{World, duplicate_of, row, rows, terms};

/// A lease that is to be renewed at every opportunity.
const ALWAYS: Option<Duration> = Some(Duration::ZERO);

fn pages_of(events: usize) -> EngineSettings {
    EngineSettings { page_events: events, snapshot_every: u64::MAX, ..EngineSettings::default() }
}

/// A log with thirty lines of anna, each decided by itself, so that the campaign's stream is long
/// as well.
async fn written(world: &World) -> SimulatedLog {
    let log = SimulatedLog::new();
    let node = world.start_with(Arc::new(log.reopen()), pages_of(1_000)).await;
    node.run(terms(|_| {})).await;
    for n in 0..30 {
        node.one(&row(&format!("tx-{n}"), "anna")).await.unwrap();
    }
    node.stop().await;
    log
}

#[tokio::test(start_paused = true)]
async fn no_page_is_larger_than_its_bound_and_the_lease_is_renewed_between_pages() {
    let world = World::new();
    let log = written(&world).await;
    let campaign = log.events().iter().filter(|e| e.stream.id == "everyday").count();
    let anna = log.events().iter().filter(|e| e.stream.id == "anna").count();
    let system = log.events().iter().filter(|e| e.stream.stream_type == StreamType::System).count();
    assert!(campaign > 21 && anna > 21 && system > 0, "{campaign}, {anna}, {system}");
    for page in [1, 7, campaign, 1_000] {
        let tap = TapLog::with_lease(Arc::new(log.reopen()), ALWAYS);
        let node = world.start_with(tap.log(), pages_of(page)).await;
        let read = campaign / page + 1 + system / page + 1;
        assert_eq!((tap.pages().len(), tap.calls()[2]), (read, read - 2), "campaign and system, by {page}");
        let known = log.events().into_iter().find(|e| e.transaction_key.is_some()).unwrap();
        let again = node.one(&row("tx-0", "anna")).await;
        assert_eq!(again.as_ref().unwrap().position, Some(known.position));
        assert_eq!(again, duplicate_of(again.as_ref().unwrap()));
        assert_eq!(tap.pages().len(), read + anna / page + 1, "anna, by {page}");
        assert!(tap.pages().iter().all(|events| *events <= page), "{:?}", tap.pages());
    }
}

#[tokio::test(start_paused = true)]
async fn many_cold_accounts_are_read_in_one_query() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    node.take(&rows(0..200)).await;
    node.stop().await;
    let tap = TapLog::new(Arc::new(log.reopen()));
    let node = world.start(tap.log()).await;
    let before = tap.pages().len();
    node.take(&rows(0..400)).await;
    assert_eq!(tap.pages().len(), before + 1);
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_loses_the_log_while_it_reads_stops() {
    let world = World::new();
    let log = written(&world).await;
    let tap = TapLog::with_lease(Arc::new(log.reopen()), ALWAYS);
    let node = world.start_with(tap.log(), pages_of(5)).await;
    let events = log.events().len();
    log.reopen().lease("another", None).await.unwrap();
    let answer = node.try_take(&[row("tx-new", "anna")]).await;
    assert!(matches!(answer, Err(SubmitError::NotWriter)), "{answer:?}");
    assert_eq!(node.stopped.await, Ok(Stopped::Fenced));
    assert_eq!(tap.pages().iter().rev().take_while(|page| **page == 5).count(), 1, "it read no further");
    assert_eq!(log.events().len(), events);
}
