//! What clocks show stands in the log before anything is decided by it, and changes with the log.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ledger_core::engine::{CommandContext, Stopped};
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::log::{Batch, EventLog as _, StoredEvent, WriterLease as _};
use ledger_core::system::{SystemCommandKind, SystemEvent};
use ledger_core::zone::{self, Transitions, Zone, ZoneTableChange};
use serde_json::json;
use support::{Fault, SimulatedLog, golden};

use crate::check::{draws, sound};
use crate::world::{Node, World, at, row, terms, with};

const VANCOUVER: &str = "America/Vancouver";

type Zones = BTreeMap<String, Arc<Transitions>>;

/// Each table that the log was given: its version, and its zones.
fn tables(events: &[StoredEvent]) -> Vec<(String, Zones)> {
    let tables = events.iter().filter_map(|stored| match decode(stored).unwrap() {
        LedgerEvent::System(SystemEvent::ZoneTableChanged { version, zones }) => {
            Some((version, zones.into_iter().map(|(name, zone)| (name.into(), zone)).collect()))
        }
        _ => None,
    });
    tables.collect()
}

fn names(events: &[StoredEvent]) -> Vec<Vec<String>> {
    tables(events).into_iter().map(|(_, zones)| zones.into_keys().collect()).collect()
}

/// A campaign there, whose every draw wins.
async fn run(node: &Node, id: &str, zone: &str) {
    node.run(terms(|terms| {
        terms["campaign_id"] = id.into();
        terms["time_zone"] = zone.into();
        terms["rules"] = json!([]);
        terms["stackable"] = json!(true);
        terms["prize_table"]["tiers"] =
            json!([{ "name": "all", "odds_ppb": 1_000_000_000, "prize": { "fixed": 1 } }]);
    }))
    .await;
}

/// What an earlier build recorded.
async fn give(node: &Node, version: &str, name: &str, table: Transitions) {
    let zones = [(name.into(), Arc::new(table))].into();
    let kind = SystemCommandKind::ChangeZoneTable(ZoneTableChange { version: version.into(), zones });
    node.ledger.system(kind, CommandContext::new("engine", "", "")).await.unwrap().unwrap();
}

fn days(events: &[StoredEvent]) -> Vec<String> {
    draws(events).map(|draw| draw.day.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_zone_stands_in_the_log_with_its_first_campaign_and_is_not_recorded_again() {
    let world = World::new();
    let log = SimulatedLog::new();
    let node = world.start(Arc::new(log.reopen())).await;
    node.ledger.tick().await.unwrap();
    assert_eq!(names(&log.events()), [[""; 0]; 0], "nobody uses a zone");
    run(&node, "one", VANCOUVER).await;
    run(&node, "two", VANCOUVER).await;
    run(&node, "three", "Asia/Tokyo").await;
    let one = |name: &str| vec![name.to_owned()];
    assert_eq!(names(&log.events()), [one(VANCOUVER), one("Asia/Tokyo")]);
    assert!(tables(&log.events()).iter().all(|(version, _)| version == zone::version()));
    let drafted = log.events().iter().position(|e| &*e.event_type == "CampaignDrafted").unwrap();
    let changed = log.events().iter().position(|e| &*e.event_type == "ZoneTableChanged").unwrap();
    assert_eq!(changed, drafted + 1);
    node.stop().await;

    let node = world.start(Arc::new(log.reopen())).await;
    node.ledger.tick().await.unwrap();
    node.one(&row("t1", "cus-1")).await.unwrap();
    assert_eq!(names(&log.events()).len(), 2, "nothing has changed");
    node.stop().await;
    sound(&log.events(), &*world.seeds);
}

/// 23:30 in Vancouver by the old table, half an hour after midnight by the new one.
#[tokio::test(start_paused = true)]
async fn what_was_decided_by_an_older_table_stays_and_what_follows_is_decided_by_the_newer_one() {
    let world = World::new();
    let log = SimulatedLog::new();
    let node = world.start(Arc::new(log.reopen())).await;
    give(&node, "2025b", VANCOUVER, zone::legacy(&Zone::named(VANCOUVER)).unwrap()).await;
    run(&node, "west", VANCOUVER).await;
    let line = |id: &str| with(&row(id, "cus-1"), "booked_at", "2026-11-22T07:30:00Z");
    node.one(&line("before")).await.unwrap();
    assert_eq!(tables(&log.events()).len(), 1, "a running writer keeps to what is in the log");

    // Another writer, of a newer build, takes over; the old one is fenced off.
    let new = world.start(Arc::new(log.reopen())).await;
    new.one(&line("after")).await.unwrap();
    assert!(node.try_take(&[line("late")]).await.is_err());
    assert_eq!(node.stopped.await, Ok(Stopped::Fenced));
    let versions: Vec<_> = tables(&log.events()).into_iter().map(|(version, _)| version).collect();
    assert_eq!(versions, ["2025b", zone::version()]);
    assert_eq!(days(&log.events()), ["2026-11-21", "2026-11-22"]);
    new.stop().await;
    sound(&log.events(), &*world.seeds);
}

/// Nothing is lost where the table's append fails: it is staged again, before what it decides.
#[tokio::test(start_paused = true)]
async fn a_table_whose_append_fails_is_recorded_before_anything_is_decided_by_it() {
    for fault in [Fault::FailBeforeCommit, Fault::FailAfterCommit] {
        let world = World::new();
        let log = SimulatedLog::new();
        let node = world.start(Arc::new(log.reopen())).await;
        give(&node, "2025b", VANCOUVER, zone::legacy(&Zone::named(VANCOUVER)).unwrap()).await;
        run(&node, "west", VANCOUVER).await;
        node.stop().await;
        log.faults().push(fault);
        let node = world.start(Arc::new(log.reopen())).await;
        let line = with(&row("t1", "cus-1"), "booked_at", "2026-11-22T07:30:00Z");
        node.one(&line).await.unwrap();
        assert_eq!(tables(&log.events()).len(), 2);
        assert_eq!(days(&log.events()), ["2026-11-22"]);
        node.stop().await;
        sound(&log.events(), &*world.seeds);
    }
}

/// A log of the first releases has no table: what they decided was by theirs.
#[tokio::test(start_paused = true)]
async fn a_log_of_an_earlier_release_gets_the_zones_of_all_its_campaigns_at_the_next_start() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/golden/db7de71");
    let events = golden::events(&golden);
    assert!(tables(&events).is_empty());
    let world = World::at(at("2026-11-26T12:00:00Z"));
    let log = SimulatedLog::new();
    let expected = log.lease("golden", None).await.unwrap();
    log.append(&Batch { expected, events }).await.unwrap();
    let node = world.start(Arc::new(log.reopen())).await;
    node.ledger.tick().await.unwrap();
    assert_eq!(names(&log.events()), [["Asia/Kolkata", "Europe/London"]]);
    node.stop().await;
    let node = world.start(Arc::new(log.reopen())).await;
    node.ledger.tick().await.unwrap();
    assert_eq!(names(&log.events()).len(), 1);
    node.stop().await;
}
