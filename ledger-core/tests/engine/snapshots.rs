//! Snapshots shorten hydration and change nothing else.

use std::sync::Arc;

use ledger_core::engine::{EngineSettings, check_snapshots};
use ledger_core::ids::Digest;
use ledger_core::log::{Snapshot, StreamId, StreamType};
use serde_json::Value;
use support::SimulatedLog;

use crate::check::sound;
use crate::tap::TapLog;
use crate::world::{World, eventually, row, terms, with};

fn every(events: u64) -> EngineSettings {
    EngineSettings { snapshot_every: events, ..EngineSettings::default() }
}

/// Pending, booked, won and lost lines of one customer.
fn lines() -> Vec<Value> {
    let booked = |n: usize| row(&format!("tx-{n}"), "anna");
    let pending = |n: usize| with(&row(&format!("p-{n}"), "anna"), "status", "pending");
    (0..40).map(|n| if n % 5 == 0 { pending(n) } else { booked(n) }).collect()
}

fn anna() -> StreamId {
    StreamId { stream_type: StreamType::Account, id: "anna".into() }
}

/// A log with anna's lines, one append each, and the snapshots that a writer has left there.
async fn written(world: &World) -> SimulatedLog {
    let log = SimulatedLog::new();
    let node = world.start_with(Arc::new(log.reopen()), every(4)).await;
    node.run(terms(|_| {})).await;
    for line in lines() {
        node.one(&line).await.unwrap();
    }
    node.stop().await;
    eventually(|| log.snapshots().iter().any(|s| s.stream == anna() && s.sequence > 32)).await;
    log
}

#[tokio::test(start_paused = true)]
async fn a_long_stream_is_hydrated_from_its_snapshot_and_answers_as_before() {
    let world = World::new();
    let log = written(&world).await;
    let (found, differing) = check_snapshots(&log, &log).await.unwrap();
    assert_eq!(
        (found, differing),
        (2, vec![]),
        "the account's and the campaign's, and replay gives the same"
    );

    let tap = TapLog::new(Arc::new(log.reopen()));
    let node = world.start_with(tap.log(), every(4)).await;
    for line in lines() {
        let again = node.one(&line).await.unwrap();
        assert!(again.won.is_none() && log.events().iter().any(|e| Some(e.position) == again.position));
    }
    let read = tap.hydrated().into_iter().filter(|event| event.stream == anna()).count();
    assert!((1..=8).contains(&read), "{read} events of {}", log.events().len());
    node.one(&row("tx-new", "anna")).await.unwrap();
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_does_not_fit_is_not_used() {
    let damage: [fn(&mut Snapshot); 4] = [
        |snapshot| snapshot.hash = Digest([1; 32]),
        |snapshot| snapshot.sequence += 1_000,
        |snapshot| snapshot.state = b"{}".to_vec(),
        |snapshot| snapshot.state.truncate(9),
    ];
    for damage in damage {
        let world = World::new();
        let log = written(&world).await;
        for mut snapshot in log.snapshots() {
            damage(&mut snapshot);
            log.put_snapshot(snapshot);
        }
        // Found out in the midst of a page.
        let settings = EngineSettings { page_events: 3, ..EngineSettings::default() };
        let node = world.start_with(Arc::new(log.reopen()), settings).await;
        let decided = node.one(&row("tx-new", "anna")).await.unwrap();
        assert!(decided.position.is_some());
        for line in lines() {
            assert!(node.one(&line).await.unwrap().position < decided.position);
        }
        sound(&log.events(), &*world.seeds);
    }
}

#[tokio::test(start_paused = true)]
async fn an_audit_finds_a_state_that_no_replay_gives() {
    let world = World::new();
    let log = written(&world).await;
    let mut forged = log.snapshots().into_iter().find(|snapshot| snapshot.stream == anna()).unwrap();
    let text = String::from_utf8(forged.state).unwrap();
    let other = text.replace("\"excluded\":null", "\"excluded\":\"staff\"");
    assert_ne!(other, text, "nothing was forged");
    forged.state = other.into_bytes();
    log.put_snapshot(forged);
    let (_, differing) = check_snapshots(&log, &log).await.unwrap();
    assert_eq!(differing.iter().map(|f| &f.stream).collect::<Vec<_>>(), [&anna()]);
}
