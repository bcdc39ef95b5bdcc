//! Epochs that wait for a public beacon: the recorded round 32,281,667 is of 2026-09-17; the clock
//! is set so that a campaign's first day commits to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use ledger_core::account::AccountEvent;
use ledger_core::account::event::Considered;
use ledger_core::campaign::terms::{RuleCode, Terms};
use ledger_core::campaign::{CampaignAnswer, CampaignCommandKind, CampaignEvent, CampaignRejection};
use ledger_core::draw::beacon::{BeaconError, BeaconSpec, QUICKNET};
use ledger_core::draw::{self, Seed};
use ledger_core::engine::RowResult;
use ledger_core::ids::{BeaconSignature, Digest};
use ledger_core::log::StoredEvent;
use ledger_core::steps::beacon::Beacon;
use ledger_core::steps::ports::{BeaconSource, BeaconSourceError};
use ledger_core::steps::reveal::Reveal;
use ledger_core::time::{Epoch, SECOND_MICROS, Timestamp};
use parking_lot::Mutex;
use serde_json::Value;
use stores::steps::StepTables;
use support::SimulatedLog;

use crate::check::{account_events, campaign_events, draws, sound};
use crate::epochs::run_resume;
use crate::world::{Node, World, campaign_id, rows, terms, with};

const ROUND: u64 = 32_281_667;

/// The recorded signature of a round.
fn recorded(round: u64) -> BeaconSignature {
    let file: Value = serde_json::from_str(include_str!("../../testdata/quicknet-rounds.json")).unwrap();
    let rounds = file["rounds"].as_array().unwrap();
    let found = rounds.iter().find(|r| r["round"] == round).unwrap();
    serde_json::from_value(found["signature"].clone()).unwrap()
}

fn round_time() -> Timestamp {
    BeaconSpec::Quicknet { round: ROUND }.appears_at().unwrap()
}

/// What a source says of each round; of others nothing.
#[derive(Default)]
struct Source {
    says: Mutex<BTreeMap<u64, Result<BeaconSignature, String>>>,
    asked: Mutex<Vec<u64>>,
}

impl Source {
    fn that_says(answer: Result<BeaconSignature, String>) -> Arc<Source> {
        let source = Source::default();
        source.says.lock().insert(ROUND, answer);
        Arc::new(source)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("test")
    }
}

#[async_trait]
impl BeaconSource for Source {
    async fn round(&self, round: u64) -> Result<Option<BeaconSignature>, BeaconSourceError> {
        self.asked.lock().push(round);
        self.says.lock().get(&round).cloned().transpose().map_err(BeaconSourceError)
    }
}

fn beacon_terms() -> Terms {
    terms(|t| t["beacon"] = QUICKNET.into())
}

/// A campaign that was started 30 seconds before the recorded round: its first day waits for
/// exactly that one.
async fn started() -> (World, Node, SimulatedLog) {
    started_with(beacon_terms()).await
}

async fn started_with(terms: Terms) -> (World, Node, SimulatedLog) {
    let world = World::new();
    world.clock.set(round_time().plus_micros(-30 * SECOND_MICROS));
    let (node, log) = world.with(terms).await;
    (world, node, log)
}

fn step(node: &Node, sources: &[&Arc<Source>]) -> Beacon {
    let sources = sources.iter().map(|source| Arc::clone(source) as _).collect();
    Beacon::new(node.ledger.clone(), sources)
}

fn today() -> Epoch {
    Epoch::of(round_time())
}

fn purchases(count: usize) -> Vec<Value> {
    let booked_at = round_time().plus_micros(-SECOND_MICROS).to_string();
    rows(0..count).iter().map(|row| with(row, "booked_at", booked_at.clone())).collect()
}

/// What the first day was opened with.
fn opened(events: &[StoredEvent]) -> Vec<(Epoch, Digest, Option<BeaconSignature>)> {
    let opened = campaign_events(events).into_iter().filter_map(|event| match event {
        CampaignEvent::EpochOpened { epoch, beacon, beacon_signature, .. } => {
            Some((epoch, beacon, beacon_signature))
        }
        _ => None,
    });
    opened.collect()
}

#[tokio::test(start_paused = true)]
async fn every_day_commits_to_a_round_that_does_not_exist_yet() {
    let (world, node, log) = started().await;
    world.clock.advance(24 * 3_600 * SECOND_MICROS);
    node.ledger.tick().await.unwrap();
    let mut specs = Vec::new();
    for stored in log.events() {
        if let Some(CampaignEvent::EpochScheduled { epoch, beacon_spec, .. }) =
            campaign_events(std::slice::from_ref(&stored)).pop()
        {
            let appears_at = beacon_spec.parse::<BeaconSpec>().unwrap().appears_at().unwrap();
            assert!(appears_at >= stored.recorded_at.plus_micros(30 * SECOND_MICROS), "{epoch}");
            assert!(appears_at >= epoch.opens_at().plus_micros(-60 * SECOND_MICROS), "{epoch}");
            specs.push(appears_at);
        }
    }
    assert_eq!(specs.len(), 4);
    assert_eq!(specs[0], round_time());
    let minute_before = today().closes_at().plus_micros(-60 * SECOND_MICROS);
    assert!(specs[1] >= minute_before && specs[1] < minute_before.plus_micros(3 * SECOND_MICROS));
    assert!(opened(&log.events()).is_empty(), "the engine opens none of them by itself");
}

#[tokio::test(start_paused = true)]
async fn a_late_beacon_defers_draws_which_then_follow_from_it() {
    let (world, node, log) = started().await;
    let source = Arc::new(Source::default());
    let mut beacon = step(&node, &[&source]);
    let purchases = purchases(40);
    let answers = node.take(&purchases).await;
    assert!(answers.iter().all(|a| a.as_ref().unwrap().result == RowResult::Deferred));
    // Before its time nobody is asked; then it is late for an hour.
    assert_eq!(beacon.open_due().await.unwrap(), 0);
    assert!(source.asked.lock().is_empty());
    world.clock.set(round_time());
    for _ in 0..3 {
        assert_eq!(beacon.open_due().await.unwrap(), 0);
        world.clock.advance(1_200 * SECOND_MICROS);
        node.ledger.tick().await.unwrap();
    }
    assert_eq!((opened(&log.events()), draws(&log.events()).count()), (vec![], 0));
    source.says.lock().insert(ROUND, Ok(recorded(ROUND)));
    assert_eq!(beacon.open_due().await.unwrap(), 1);
    assert_eq!(beacon.open_due().await.unwrap(), 0, "once");
    assert!(source.asked.lock().iter().all(|round| *round == ROUND));
    run_resume(&world, &node, &log, |events| draws(events).count() == 40).await;

    // Everyone who has seed and beacon derives the same, and without the beacon another.
    world.clock.set(today().closes_at().plus_micros(2 * 24 * 3_600 * SECOND_MICROS));
    let reveal = Reveal::new(
        node.ledger.clone(),
        Arc::clone(&node.log),
        Arc::clone(&world.seeds),
        Arc::new(StepTables::in_memory().unwrap()),
    );
    assert_eq!(reveal.settle().await.unwrap(), 1);
    let events = log.events();
    let seed = campaign_events(&events).into_iter().find_map(|event| match event {
        CampaignEvent::EpochRevealed { seed, .. } => Some(Seed::new(seed.0)),
        _ => None,
    });
    let (seed, [(epoch, randomness, _)]) = (seed.unwrap(), &opened(&events)[..]) else { panic!() };
    let key = draw::epoch_key(&seed, randomness, &campaign_id(), *epoch);
    let without = draw::epoch_key(&seed, &Digest([0; 32]), &campaign_id(), *epoch);
    for draw in draws(&events) {
        assert_eq!(draw::roll(&key, &draw.entry_id).r, draw.r);
        assert_ne!(draw::roll(&without, &draw.entry_id).r, draw.r);
    }
    sound(&events, &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn lines_that_waited_for_hours_are_decided_once_the_beacon_is_there() {
    let (world, node, log) = started().await;
    let source = Arc::new(Source::default());
    node.take(&purchases(20)).await;
    world.clock.set(round_time());
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(step(&node, &[&source]).run(stopping));
    let opens = async {
        tokio::time::sleep(std::time::Duration::from_hours(3)).await;
        assert_eq!(draws(&log.events()).count(), 0);
        source.says.lock().insert(ROUND, Ok(recorded(ROUND)));
    };
    tokio::join!(opens, run_resume(&world, &node, &log, |events| draws(events).count() == 20));
    stop.send_replace(true);
    running.await.unwrap();
    sound(&log.events(), &*world.seeds);
}

async fn never_opened(terms: Terms) -> (World, Node, SimulatedLog) {
    let (world, node, log) = started_with(terms).await;
    node.take(&purchases(3)).await;
    let grace_ends = today().closes_at().plus_micros(2 * 24 * 3_600 * SECOND_MICROS);
    world.clock.set(grace_ends.plus_micros(-1));
    let last = with(&purchases(4)[3], "account_id", "anna");
    assert_eq!(node.one(&last).await.unwrap().result, RowResult::Deferred, "the beacon may still come");
    world.clock.set(grace_ends);
    run_resume(&world, &node, &log, |events| decided(events).len() == 4).await;
    for considered in decided(&log.events()) {
        let [campaign] = &considered[..] else { panic!("one campaign") };
        assert_eq!(campaign.failed, [RuleCode::TooLate]);
    }
    assert_eq!((opened(&log.events()), draws(&log.events()).count()), (vec![], 0));
    (world, node, log)
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_beacon_that_never_comes_is_too_late_once_the_grace_is_over() {
    // Also of the last day of a campaign, which is over at that very moment.
    never_opened(Terms { ends_at: Some(today().closes_at()), ..beacon_terms() }).await;
    let (world, node, log) = never_opened(beacon_terms()).await;
    // Even if it comes now.
    let honest = Source::that_says(Ok(recorded(ROUND)));
    assert_eq!(step(&node, &[&honest]).open_due().await.unwrap(), 1);
    let after = with(&purchases(5)[4], "account_id", "anna");
    assert_eq!(node.one(&after).await.unwrap().result, RowResult::Accepted);
    assert_eq!(draws(&log.events()).count(), 0, "nothing draws in it any more");
    sound(&log.events(), &*world.seeds);
}

/// What was considered for each line that was decided.
fn decided(events: &[StoredEvent]) -> Vec<Vec<Considered>> {
    let considered = |event| match event {
        AccountEvent::TransactionEvaluated { considered, .. } => Some(considered),
        _ => None,
    };
    account_events(events).into_iter().filter_map(considered).collect()
}

#[tokio::test(start_paused = true)]
async fn a_signature_that_is_wrong_is_never_used_and_another_source_is_asked() {
    let (world, node, log) = started().await;
    world.clock.set(round_time());
    let liar = Source::that_says(Ok(recorded(12_040_883)));
    let silent = Source::that_says(Err("no route".into()));
    let honest = Source::that_says(Ok(recorded(ROUND)));
    assert_eq!(step(&node, &[&liar, &silent]).open_due().await.unwrap(), 0);
    assert!(opened(&log.events()).is_empty());
    assert_eq!(step(&node, &[&liar, &silent, &honest]).open_due().await.unwrap(), 1);
    let expected = BeaconSpec::Quicknet { round: ROUND }.randomness(Some(&recorded(ROUND))).unwrap();
    assert_eq!(opened(&log.events()), [(today(), expected, Some(recorded(ROUND)))]);
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn nobody_opens_a_day_without_the_beacon_it_was_committed_to() {
    let (world, node, log) = started().await;
    world.clock.set(round_time());
    let open = async |signature| {
        let kind = CampaignCommandKind::OpenEpoch { epoch: today(), signature };
        node.campaign_by("mallory", &campaign_id(), kind).await
    };
    let refused = |source| Err(CampaignRejection::Beacon { epoch: today(), source });
    assert_eq!(open(None).await, refused(BeaconError::NoSignature));
    assert_eq!(open(Some(recorded(1000))).await, refused(BeaconError::WrongSignature));
    assert!(opened(&log.events()).is_empty());
    assert_eq!(open(Some(recorded(ROUND))).await, Ok(CampaignAnswer::Done));
}

#[tokio::test(start_paused = true)]
async fn a_halted_day_stays_shut_until_two_people_resume_it() {
    let (world, node, log) = started().await;
    let id = campaign_id();
    let halt = CampaignCommandKind::HaltEpoch { epoch: today(), reason: "odd".into() };
    node.campaign_by("carol", &id, halt).await.unwrap();
    world.clock.set(round_time());
    let honest = Source::that_says(Ok(recorded(ROUND)));
    let mut beacon = step(&node, &[&honest]);
    assert_eq!(beacon.open_due().await.unwrap(), 0);
    for by in ["carol", "dave"] {
        let resume = CampaignCommandKind::ResumeEpoch { epoch: today(), reason: "checked".into() };
        node.campaign_by(by, &id, resume).await.unwrap();
    }
    assert_eq!(beacon.open_due().await.unwrap(), 1);
    assert_eq!(opened(&log.events()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_campaign_may_change_to_a_beacon_and_back_from_the_next_day_that_is_not_committed_to() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let revised = CampaignCommandKind::Revise(Box::new(beacon_terms()));
    node.campaign_by("alice", &campaign_id(), revised).await.unwrap();
    node.campaign_by("bob", &campaign_id(), CampaignCommandKind::Approve { version: None }).await.unwrap();
    world.clock.advance(24 * 3_600 * SECOND_MICROS);
    node.ledger.tick().await.unwrap();
    let specs = campaign_events(&log.events()).into_iter().filter_map(|event| match event {
        CampaignEvent::EpochScheduled { beacon_spec, .. } => Some(beacon_spec.starts_with(QUICKNET)),
        _ => None,
    });
    assert_eq!(specs.collect::<Vec<_>>(), [false, false, false, true]);
    assert_eq!(opened(&log.events()).len(), 2);
}
