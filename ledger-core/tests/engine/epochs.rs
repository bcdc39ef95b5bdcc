//! Days under a clock that is set: scheduling, opening, waiting lines, grace, reveal, jumps.

use std::sync::Arc;

use ledger_core::account::AccountEvent;
use ledger_core::account::event::Outcome;
use ledger_core::campaign::terms::RuleCode;
use ledger_core::campaign::{CampaignCommandKind, CampaignEvent};
use ledger_core::draw::{self, Seed};
use ledger_core::engine::RowResult;
use ledger_core::ids::Digest;
use ledger_core::log::StoredEvent;
use ledger_core::log::merkle;
use ledger_core::steps::resume::Resume;
use ledger_core::steps::reveal::Reveal;
use ledger_core::steps::store::StepStore;
use ledger_core::time::Epoch;
use stores::steps::StepTables;
use support::SimulatedLog;
use tokio::sync::watch;

use crate::check::{account_events, campaign_events, draws, sound};
use crate::world::{
    HOUR_MICROS, Node, World, at, campaign_id, epoch, eventually, place, row, rows, terms, with,
};

fn scheduled(events: &[StoredEvent]) -> Vec<(String, bool)> {
    let events = campaign_events(events).into_iter().filter_map(|event| match event {
        CampaignEvent::EpochScheduled { epoch, at_once, .. } => Some((epoch.to_string(), at_once)),
        _ => None,
    });
    events.collect()
}

fn opened(events: &[StoredEvent]) -> Vec<String> {
    let events = campaign_events(events).into_iter().filter_map(|event| match event {
        CampaignEvent::EpochOpened { epoch, .. } => Some(epoch.to_string()),
        _ => None,
    });
    events.collect()
}

fn named(days: &[(&str, bool)]) -> Vec<(String, bool)> {
    days.iter().map(|(day, at_once)| ((*day).to_owned(), *at_once)).collect()
}

/// The rules that the decision at this place says failed.
fn failed(events: &[StoredEvent], row: &serde_json::Value) -> Vec<RuleCode> {
    let of_line = account_events(events).into_iter().find_map(|event| match event {
        AccountEvent::TransactionEvaluated { line, considered, outcome: Outcome::Declined, .. }
            if row["transaction_id"] == line.transaction_id.as_str() =>
        {
            Some(considered.into_iter().flat_map(|c| c.failed).collect())
        }
        _ => None,
    });
    of_line.expect("the line was declined")
}

/// The campaigns that the last decision names.
fn considered(events: &[StoredEvent]) -> Vec<String> {
    let mut decided = account_events(events).into_iter().filter_map(|event| match event {
        AccountEvent::TransactionEvaluated { considered, .. } => Some(considered),
        _ => None,
    });
    decided.next_back().unwrap().iter().map(|c| c.campaign_id.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_campaign_that_is_over_is_named_by_no_decision() {
    let world = World::new();
    let ends = |id: &'static str, at: Option<&'static str>| {
        terms(move |terms| {
            terms["campaign_id"] = id.into();
            terms["stackable"] = true.into();
            at.inspect(|at| terms["ends_at"] = (*at).into());
        })
    };
    let (node, log) = world.with(ends("a-over", Some("2026-11-22T20:00:00Z"))).await;
    node.run(ends("b-stopped", None)).await;
    node.run(ends("c-runs", None)).await;
    node.take(&rows(0..3)).await;
    assert_eq!(considered(&log.events()), ["a-over", "b-stopped", "c-runs"]);
    node.campaign(&"b-stopped".parse().unwrap(), CampaignCommandKind::End).await;
    // In the grace a late line of that day still enters, and one of another day hears why not.
    world.clock.set(at("2026-11-24T12:00:00Z"));
    node.one(&row("late", "anna")).await.unwrap();
    assert_eq!(considered(&log.events()), ["a-over", "b-stopped", "c-runs"]);
    let after = with(&row("after", "anna"), "booked_at", "2026-11-24T10:00:00Z");
    node.one(&after).await.unwrap();
    assert_eq!(considered(&log.events()), ["a-over", "b-stopped", "c-runs"]);
    // The grace is over and what was opened is not counted yet: it is named until it is.
    world.clock.set(at("2026-11-28T12:00:00Z"));
    node.one(&row("uncounted", "anna")).await.unwrap();
    assert_eq!(considered(&log.events()), ["a-over", "b-stopped", "c-runs"]);
    let reveal = Reveal::new(
        node.ledger.clone(),
        Arc::clone(&node.log),
        Arc::clone(&world.seeds),
        Arc::new(StepTables::in_memory().unwrap()),
    );
    reveal.settle().await.unwrap();
    node.one(&row("counted", "anna")).await.unwrap();
    assert_eq!(considered(&log.events()), ["c-runs"]);
    node.one(&with(&row("today", "anna"), "booked_at", "2026-11-28T10:00:00Z")).await.unwrap();
    assert_eq!(considered(&log.events()), ["c-runs"]);
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_day_before_the_first_epoch_and_one_after_the_last_have_codes_of_their_own() {
    let world = World::new();
    let ends = |terms: &mut serde_json::Value| terms["ends_at"] = "2026-11-23T00:00:00Z".into();
    let (node, log) = world.with(terms(ends)).await;
    world.clock.set(at("2026-11-24T12:00:00Z"));
    let day = |id: &str, day: &str| with(&row(id, "anna"), "booked_at", format!("{day}T12:00:00Z"));
    for (row, codes) in [
        (day("before", "2026-11-21"), vec![RuleCode::NoEpoch]),
        (day("after", "2026-11-23"), vec![RuleCode::AfterCampaign, RuleCode::AfterLastEpoch]),
    ] {
        node.one(&row).await.unwrap();
        assert_eq!(failed(&log.events(), &row), codes);
    }
    sound(&log.events(), &*world.seeds);
}

/// Runs step *resume* until `done` holds of the log.
pub(crate) async fn run_resume(
    world: &World,
    node: &Node,
    log: &SimulatedLog,
    done: impl Fn(&[StoredEvent]) -> bool,
) {
    let resume = Resume::new(node.ledger.clone(), Arc::clone(&node.log), Arc::clone(&world.keyring));
    let step_store: Arc<dyn StepStore> =
        Arc::new(StepTables::open(&world.folder.path().join("steps.db")).unwrap());
    let (stop, stopped) = watch::channel(false);
    let head = node.ledger.head();
    let running = tokio::spawn(ledger_core::steps::run(
        Arc::new(resume),
        Arc::clone(&node.log),
        step_store,
        head,
        stopped,
    ));
    eventually(|| done(&log.events())).await;
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_days_are_committed_to_ahead_and_the_next_opens_at_midnight() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let ahead = [("2026-11-22", true), ("2026-11-23", true), ("2026-11-24", false)];
    assert_eq!(scheduled(&log.events()), named(&ahead));
    assert_eq!(opened(&log.events()), ["2026-11-22"]);
    world.clock.set(at("2026-11-22T23:59:59.999999Z"));
    node.ledger.tick().await.unwrap();
    assert_eq!(opened(&log.events()).len(), 1);
    world.clock.set(at("2026-11-23T00:00:00Z"));
    node.ledger.tick().await.unwrap();
    assert_eq!(opened(&log.events()), ["2026-11-22", "2026-11-23"]);
    assert_eq!(scheduled(&log.events())[3..], named(&[("2026-11-25", false)]));
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn midnight_comes_without_anybody_buying_anything() {
    let world = World::new();
    let (_node, log) = world.with(terms(|_| {})).await;
    world.clock.set(at("2026-11-23T00:00:01Z"));
    eventually(|| opened(&log.events()) == ["2026-11-22", "2026-11-23"]).await;
}

#[tokio::test(start_paused = true)]
async fn lines_booked_ahead_wait_and_are_decided_once_their_day_has_begun() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let ahead: Vec<_> =
        rows(0..30).iter().map(|row| with(row, "booked_at", "2026-11-23T09:00:00Z")).collect();
    let first = node.take(&ahead).await;
    assert!(first.iter().all(|a| a.as_ref().unwrap().result == RowResult::Deferred));
    assert_eq!(draws(&log.events()).count(), 0);
    // Across a restart, and with the cursor lost.
    node.stop().await;
    let node = world.start(Arc::new(log.reopen())).await;
    world.clock.set(at("2026-11-23T00:00:00Z"));
    run_resume(&world, &node, &log, |events| draws(events).count() == 30).await;
    let again = node.take(&ahead).await;
    assert_eq!(again.iter().map(place).collect::<Vec<_>>(), first.iter().map(place).collect::<Vec<_>>());
    std::fs::remove_file(world.folder.path().join("steps.db")).unwrap();
    let before = log.events();
    run_resume(&world, &node, &log, |_| true).await;
    assert_eq!(log.events(), before);
    sound(&before, &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_line_after_the_grace_is_declined_too_late() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    // Two days of grace after the 22nd end with the 24th.
    world.clock.set(at("2026-11-24T23:59:59Z"));
    let in_time = node.one(&row("tx-1", "anna")).await.unwrap();
    assert_eq!(in_time.result, RowResult::Accepted);
    assert_eq!(draws(&log.events()).count(), 1);
    world.clock.set(at("2026-11-25T00:00:00Z"));
    let late = row("tx-2", "anna");
    node.one(&late).await.unwrap();
    assert_eq!(failed(&log.events(), &late), [RuleCode::TooLate]);
    let before_the_first = with(&row("tx-3", "anna"), "booked_at", "2026-11-21T12:00:00Z");
    node.one(&before_the_first).await.unwrap();
    assert_eq!(failed(&log.events(), &before_the_first), [RuleCode::NoEpoch]);
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_settled_day_reveals_the_seed_it_was_committed_to_and_counts_its_draws() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    node.take(&rows(0..50)).await;
    let reveal = Reveal::new(
        node.ledger.clone(),
        Arc::clone(&node.log),
        Arc::clone(&world.seeds),
        Arc::new(StepTables::in_memory().unwrap()),
    );
    assert_eq!(reveal.settle().await.unwrap(), 0, "within the grace");
    world.clock.set(at("2026-11-23T10:00:00Z"));
    // Of the day before and of this one: only the former count.
    node.take(&rows(50..60)).await;
    let today: Vec<_> =
        rows(60..80).iter().map(|row| with(row, "booked_at", "2026-11-23T08:00:00Z")).collect();
    node.take(&today).await;
    world.clock.set(at("2026-11-25T00:00:00Z"));
    assert_eq!(reveal.settle().await.unwrap(), 1);
    assert_eq!(reveal.settle().await.unwrap(), 0, "once");
    node.one(&row("tx-late", "anna")).await.unwrap();

    let day = epoch("2026-11-22");
    let events = log.events();
    let mut of_day: Vec<_> = draws(&events).filter(|draw| draw.epoch == day).collect();
    assert_eq!(of_day.len(), 60);
    of_day.sort_by_key(|draw| draw.entry_id);
    let (mut commitment, mut revealed, mut closed) = (None, None, None);
    for event in campaign_events(&events) {
        match event {
            CampaignEvent::EpochScheduled { epoch, commitment: c, table_hash, beacon_spec, .. }
                if epoch == day =>
            {
                commitment = Some((c, table_hash, beacon_spec));
            }
            CampaignEvent::EpochRevealed { epoch, seed, .. } => {
                assert!(epoch == day && revealed.replace(Seed::new(seed.0)).is_none());
            }
            CampaignEvent::EpochClosed { epoch, draws, wins, paid_minor, root, .. } => {
                assert!(epoch == day && closed.replace((draws, wins, paid_minor, root)).is_none());
            }
            _ => {}
        }
    }
    let (commitment, table_hash, beacon) = commitment.unwrap();
    let seed = revealed.unwrap();
    assert_eq!(draw::commitment(&campaign_id(), day, &table_hash, &beacon, &seed), commitment);
    let key = draw::epoch_key(&seed, &Digest([0; 32]), &campaign_id(), day);
    assert!(of_day.iter().all(|d| draw::roll(&key, &d.entry_id).r == d.r), "anyone can derive them again");
    let won: Vec<_> = of_day.iter().filter(|d| d.amount.is_some()).collect();
    let tier = |tier| won.iter().filter(|d| d.tier == Some(tier)).count() as u64;
    let paid = won.iter().map(|d| d.amount.unwrap().minor()).sum();
    let root = merkle::root(of_day.iter().map(|d| d.entry_id.0.as_slice()));
    assert_eq!(closed, Some((60, vec![tier(0), tier(1), tier(2)], paid, root)));
    sound(&events, &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_halted_day_draws_nothing_more_and_is_still_revealed() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    node.take(&rows(0..10)).await;
    let halt = CampaignCommandKind::HaltEpoch { epoch: epoch("2026-11-22"), reason: "test".into() };
    node.campaign(&campaign_id(), halt).await;
    let line = row("tx-later", "anna");
    assert_eq!(node.one(&line).await.unwrap().result, RowResult::Deferred);
    world.clock.set(at("2026-11-25T00:00:00Z"));
    let reveal = Reveal::new(
        node.ledger.clone(),
        Arc::clone(&node.log),
        Arc::clone(&world.seeds),
        Arc::new(StepTables::in_memory().unwrap()),
    );
    assert_eq!(reveal.settle().await.unwrap(), 1);
    let closed = campaign_events(&log.events()).into_iter().find_map(|event| match event {
        CampaignEvent::EpochClosed { draws, .. } => Some(draws),
        _ => None,
    });
    assert_eq!(closed, Some(10));
    let decided =
        |events: &[StoredEvent]| account_events(events).iter().any(|e| line_of(e) == Some("tx-later"));
    run_resume(&world, &node, &log, decided).await;
    assert_eq!(failed(&log.events(), &line), [RuleCode::EpochHalted], "nobody let the day go on");
    // One that comes later hears the same.
    let late = row("tx-late", "anna");
    node.one(&late).await.unwrap();
    assert_eq!(failed(&log.events(), &late), [RuleCode::EpochHalted]);
    sound(&log.events(), &*world.seeds);
}

/// Of a decision.
fn line_of(event: &AccountEvent) -> Option<&str> {
    match event {
        AccountEvent::TransactionEvaluated { line, .. } => Some(line.transaction_id.as_str()),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_during_a_halt_draws_once_two_people_let_the_day_go_on() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    node.take(&rows(0..10)).await;
    let halt = CampaignCommandKind::HaltEpoch { epoch: epoch("2026-11-22"), reason: "odd wins".into() };
    node.campaign(&campaign_id(), halt).await;
    let waiting = rows(10..20);
    for receipt in node.take(&waiting).await {
        assert_eq!(receipt.unwrap().result, RowResult::Deferred);
    }
    // A repeat changes nothing.
    assert_eq!(node.one(&waiting[0]).await.unwrap().result, RowResult::Duplicate);
    assert_eq!(draws(&log.events()).count(), 10);
    for by in ["alice", "bob"] {
        let reason = "a false alarm".into();
        let resume = CampaignCommandKind::ResumeEpoch { epoch: epoch("2026-11-22"), reason };
        node.campaign_by(by, &campaign_id(), resume).await.unwrap();
    }
    run_resume(&world, &node, &log, |events| draws(events).count() == 20).await;
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn days_missed_are_made_up_for_and_say_so() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    world.clock.set(at("2026-11-28T06:00:00Z"));
    node.ledger.tick().await.unwrap();
    let made_up = [
        ("2026-11-25", true),
        ("2026-11-26", true),
        ("2026-11-27", true),
        ("2026-11-28", true),
        ("2026-11-29", true),
        ("2026-11-30", false),
    ];
    assert_eq!(scheduled(&log.events())[3..], named(&made_up));
    let open: Vec<String> = (22..=28).map(|day| format!("2026-11-{day}")).collect();
    assert_eq!(opened(&log.events()), open);
    let line = with(&row("tx-1", "anna"), "booked_at", "2026-11-26T12:00:00Z");
    node.one(&line).await.unwrap();
    assert_eq!(draws(&log.events()).next().unwrap().epoch, epoch("2026-11-26"));
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn time_in_the_log_never_goes_back() {
    let world = World::new();
    let (mut node, log) = world.with(terms(|_| {})).await;
    let jumps =
        [-HOUR_MICROS, 3 * 24 * HOUR_MICROS, -2 * 24 * HOUR_MICROS, HOUR_MICROS, -90 * 24 * HOUR_MICROS];
    for (n, jump) in jumps.into_iter().enumerate() {
        node.one(&row(&format!("tx-{n}"), "anna")).await.ok();
        world.clock.advance(jump);
        node.one(&with(&row(&format!("now-{n}"), "anna"), "booked_at", world_day(&world))).await.unwrap();
        node.stop().await;
        node = world.start(Arc::new(log.reopen())).await;
    }
    let events = log.events();
    assert!(events.iter().map(|event| event.recorded_at).is_sorted());
    sound(&events, &*world.seeds);
}

/// The start of the day that the clock shows.
fn world_day(world: &World) -> String {
    use ledger_core::time::Clock as _;
    Epoch::of(world.clock.now()).opens_at().to_string()
}
