//! Rows are sent again until they are acknowledged, while appends, leases and reads fail, processes
//! die and others take over: 250 such histories.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ledger_core::campaign::{CampaignAnswer, CampaignCommandKind, CampaignEvent};
use ledger_core::engine::{EngineSettings, Receipt, RowResult, Stopped, SubmitError};
use ledger_core::ids::TransactionKey;
use ledger_core::steps::intake::{RowAnswer, Sources};
use ledger_core::transaction::RowError;
use serde_json::{Value, json};
use support::{Fault, SimulatedLog};

use crate::check::{agrees, campaign_events, decided_under_one_name, sound};
use crate::tap::TapLog;
use crate::world::{Dice, Node, World, campaign_id, context, duplicate_of, gbp, row, rows, terms, with};

fn key(row: &Value) -> TransactionKey {
    TransactionKey::of(
        &row["source"].as_str().unwrap().parse().unwrap(),
        &row["transaction_id"].as_str().unwrap().parse().unwrap(),
    )
}

/// What is about to go wrong in one history; whether keys that are looked up may be missed, which
/// no log does.
fn plan(log: &SimulatedLog, dice: &mut Dice) -> bool {
    for _ in 0..=dice.below(5) {
        let fault = match dice.below(8) {
            0 => Fault::FailBeforeCommit,
            1 => Fault::FailAfterCommit,
            2 => Fault::LandLate,
            3 => Fault::Delay(Duration::from_micros(50)),
            4 => Fault::LoseReply(Duration::from_micros(50)),
            5 => Fault::Fence,
            6 => Fault::CrashBeforeCommit,
            _ => Fault::CrashAfterCommit,
        };
        log.faults().after(dice.below(4), fault);
    }
    let forgets = dice.below(3);
    log.faults().forget_keys(forgets);
    if dice.below(2) == 0 {
        log.faults().hide_keys();
    }
    log.faults().fail_leases(dice.below(8));
    log.faults().fail_reads(dice.below(4));
    forgets > 0
}

/// Lines of five customers: repeats, conflicts, pending ones, ones taken back, ones of the next
/// day.
fn load(dice: &mut Dice) -> Vec<Value> {
    let mut load = Vec::new();
    for n in 0..40 {
        let line = row(&format!("tx-{}", dice.below(30)), &format!("cus-{}", dice.below(5)));
        load.push(match n % 10 {
            0 => with(&line, "status", "pending"),
            1 => with(&line, "status", "removed"),
            2 => with(&line, "amount", json!({ "minor": "999", "currency": "GBP" })),
            3 => with(&line, "booked_at", "2026-11-23T08:00:00Z"),
            4 => with(&line, "pending_transaction_id", format!("tx-{}", dice.below(30))),
            _ => line,
        });
    }
    load
}

/// Starts a process, however often it takes. A small `batch_max` lets batches be decided on top of
/// one another.
async fn start(world: &World, log: &SimulatedLog, batch_max: usize) -> Node {
    loop {
        // Leases and reads may be failing.
        let parts = ledger_core::engine::LedgerParts {
            log: Arc::new(log.reopen()).into(),
            clock: Arc::clone(&world.clock) as _,
            seeds: Arc::clone(&world.seeds),
        };
        let bounds = EngineSettings {
            keys_max: 8,
            accounts_max: 2,
            snapshot_every: 3,
            page_events: 4,
            ..EngineSettings::default()
        };
        let settings = EngineSettings { open_enrolment: true, batch_max, ..bounds };
        let handle = Arc::clone(&parts.log.events);
        if let Ok((ledger, stopped)) = ledger_core::engine::Ledger::start(parts, settings).await {
            let keyring = Arc::clone(&world.keyring);
            let clock = Arc::clone(&world.clock) as _;
            let intake = ledger_core::steps::intake::Intake::new(ledger.clone(), keyring, clock, true);
            return Node { ledger, intake, stopped, log: handle };
        }
    }
}

async fn history(world: &World, seed: u64) {
    let dice = &mut Dice(seed);
    let batch_max = [1, 12, 5_000][dice.below(3)];
    let log = SimulatedLog::new();
    let node = start(world, &log, batch_max).await;
    node.run(terms(|terms| {
        terms["budget"]["minor"] = json!(3_000);
        terms["inventory"] = json!({ "small": 4 });
    }))
    .await;
    // A second one draws besides, from a budget of its own.
    if dice.one_in(2) {
        node.run(terms(|terms| {
            terms["campaign_id"] = json!("besides");
            terms["stackable"] = json!(true);
            terms["budget"]["minor"] = json!(1_500);
            terms["inventory"] = json!({ "big": 1 });
        }))
        .await;
    }
    let mut node = Some(node);
    let forgets = plan(&log, dice);
    let mut acknowledged: Vec<(Value, Result<Receipt, RowError>)> = Vec::new();
    let mut left: Vec<Vec<Value>> = load(dice).chunks(1 + dice.below(12)).map(<[Value]>::to_vec).collect();
    let mut failures = 0;
    while !left.is_empty() {
        let running = match node.take() {
            Some(running) => running,
            None => start(world, &log, batch_max).await,
        };
        let together = left.len().min(1 + dice.below(6));
        let sent: Vec<_> = left.drain(..together).collect();
        let answers = futures::future::join_all(sent.iter().map(|rows| running.try_take(rows))).await;
        let mut again = Vec::new();
        let mut dead = false;
        for (rows, answer) in sent.into_iter().zip(answers) {
            match answer {
                Ok(answers) => {
                    acknowledged.extend(rows.into_iter().zip(answers.into_iter().map(|a| a.outcome)));
                }
                Err(SubmitError::Unavailable) => {
                    failures += 1;
                    // Now and then the process is killed for it; a dead handle leaves no choice.
                    dead |= failures % 3 == 0;
                    again.push(rows);
                }
                Err(SubmitError::NotWriter) => {
                    dead = true;
                    again.push(rows);
                }
                Err(SubmitError::AccountUnavailable) => panic!("a whole request is nobody's account"),
                Err(SubmitError::Full) => panic!("the queue is far from full"),
                Err(SubmitError::Clock(ahead)) => panic!("{ahead}"),
            }
        }
        assert!(failures < 200, "history {seed} does not come to an end");
        left.splice(0..0, again);
        if !dead {
            node = Some(running);
        }
    }
    drop(node);
    verify(world, &log, &acknowledged);
    // The id that a line had while pending is carried by no append that would find a mistake out.
    if !forgets {
        decided_under_one_name(&log.events());
    }
}

fn verify(world: &World, log: &SimulatedLog, acknowledged: &[(Value, Result<Receipt, RowError>)]) {
    let events = log.events();
    sound(&events, &*world.seeds);
    let mut fresh = HashSet::new();
    let mut places = HashMap::new();
    for (row, outcome) in acknowledged {
        let Ok(receipt) = outcome else { continue };
        agrees(&events, key(row), receipt);
        let Some(position) = receipt.position else { continue };
        if receipt.result != RowResult::Duplicate {
            assert!(fresh.insert(position), "{position} was given out twice as new");
        } else if row["status"] == "booked" {
            let first = *places.entry(key(row)).or_insert(position);
            assert_eq!(first, position, "all repeats of a line name the same place");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_nothing_acknowledged_is_lost_and_nothing_is_decided_twice() {
    let world = World::new();
    for seed in 0..250 {
        history(&world, seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_fault_alone_is_survived_or_ends_the_process_and_never_lies() {
    let all = [
        (Fault::FailBeforeCommit, true),
        (Fault::FailAfterCommit, true),
        (Fault::LandLate, true),
        (Fault::Delay(Duration::from_micros(50)), true),
        (Fault::LoseReply(Duration::from_micros(50)), true),
        (Fault::Fence, false),
        (Fault::CrashBeforeCommit, false),
        (Fault::CrashAfterCommit, false),
    ];
    let world = World::new();
    for (fault, survives) in all {
        let (node, log) = world.with(terms(|_| {})).await;
        log.faults().push(fault);
        let first = node.try_take(&rows(0..10)).await;
        assert_eq!(first.is_ok(), survives, "{fault:?}");
        let node = if survives { node } else { world.start(Arc::new(log.reopen())).await };
        let again = node.take(&rows(0..10)).await;
        if let Ok(first) = first {
            for (first, again) in first.into_iter().zip(again) {
                let original = first.outcome.unwrap();
                assert_eq!(original.result, RowResult::Accepted, "{fault:?}: told of the first decision");
                assert_eq!(again, duplicate_of(&original), "{fault:?}");
            }
        }
        sound(&log.events(), &*world.seeds);
    }
}

/// What has landed is answered from what was decided, not decided again: funding has no key to be
/// told by.
#[tokio::test(start_paused = true)]
async fn a_command_whose_answer_was_lost_is_carried_out_once() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    for (reference, fault) in [
        ("a", Fault::FailBeforeCommit),
        ("b", Fault::FailAfterCommit),
        ("c", Fault::LandLate),
        ("d", Fault::LoseReply(Duration::from_micros(50))),
    ] {
        log.faults().push(fault);
        log.faults().fail_leases(2);
        let kind = CampaignCommandKind::Fund { amount: gbp(1), reference: reference.into() };
        assert_eq!(node.campaign(&campaign_id(), kind).await, CampaignAnswer::Done);
    }
    let mut funded = campaign_events(&log.events()).into_iter().filter_map(|event| match event {
        CampaignEvent::BudgetFunded { funded_minor, .. } => Some(funded_minor),
        _ => None,
    });
    assert_eq!(funded.next_back(), Some(100_000_004));
    sound(&log.events(), &*world.seeds);
}

/// Draws must come from the seed that is in the log, not from one whose scheduling was lost.
#[tokio::test(start_paused = true)]
async fn an_epochs_seed_lost_with_its_append_draws_nothing() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    // Four days later nothing is scheduled: the epoch is made up for in the batch that draws from
    // it.
    world.clock.set(crate::world::at("2026-11-26T12:00:00Z"));
    let rows: Vec<_> = rows(0..30).iter().map(|row| with(row, "booked_at", "2026-11-26T09:00:00Z")).collect();
    for _ in 0..3 {
        log.faults().push(Fault::FailBeforeCommit);
    }
    node.take(&rows).await;
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn a_second_ledger_stops_the_first_and_nothing_is_lost() {
    let world = World::new();
    let (first, log) = world.with(terms(|_| {})).await;
    let original = first.one(&row("tx-1", "anna")).await.unwrap();
    let second = world.start(Arc::new(log.reopen())).await;
    let answer = first.try_take(&[row("tx-2", "anna")]).await;
    assert!(matches!(answer, Err(SubmitError::NotWriter)));
    assert_eq!(first.stopped.await, Ok(Stopped::Fenced));
    assert!(!*first.ledger.health().borrow());
    assert!(matches!(first.ledger.tick().await, Err(SubmitError::NotWriter)));
    assert_eq!(second.one(&row("tx-1", "anna")).await, duplicate_of(&original));
    assert_eq!(second.one(&row("tx-2", "anna")).await.unwrap().result, RowResult::Accepted);
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn the_head_moves_with_a_batch_whose_answer_was_lost() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    log.faults().push(Fault::FailAfterCommit);
    // The lease cannot be taken either: the caller hears nothing for certain.
    log.faults().fail_leases(5);
    let answer = node.try_take(&[row("tx-1", "anna")]).await;
    assert!(matches!(answer, Err(SubmitError::Unavailable)));
    node.ledger.tick().await.unwrap();
    assert_eq!(node.ledger.head().borrow().0, log.events().last().unwrap().position.0);
    assert_eq!(node.one(&row("tx-1", "anna")).await.unwrap().result, RowResult::Duplicate);
}

#[tokio::test(start_paused = true)]
async fn a_panic_after_the_append_is_not_taken_for_a_takeover() {
    let world = World::new();
    let disk = SimulatedLog::new();
    let tap = TapLog::new(Arc::new(disk.reopen()));
    let node = world.start(tap.log()).await;
    node.run(terms(|_| {})).await;
    tap.panic_after_append();
    assert_eq!(node.one(&row("tx-1", "anna")).await.unwrap().result, RowResult::Accepted, "it has landed");
    assert_eq!(node.one(&row("tx-1", "anna")).await.unwrap().result, RowResult::Duplicate);
    assert_eq!(node.one(&row("tx-2", "anna")).await.unwrap().result, RowResult::Accepted);
    sound(&disk.events(), &*world.seeds);
}

/// Three batches: the second is decided while the first is being written, the third while the
/// second is.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_on_top_of_a_batch_shares_its_fate() {
    let late = Duration::from_millis(50);
    for fault in [
        None,
        Some(Fault::Delay(late)),
        Some(Fault::FailBeforeCommit),
        Some(Fault::FailAfterCommit),
        Some(Fault::LandLate),
        Some(Fault::LoseReply(late)),
    ] {
        for at in 0..3 {
            let world = World::new();
            let disk = SimulatedLog::new();
            let tap = TapLog::new(Arc::new(disk.reopen()));
            let bounds =
                EngineSettings { batch_max: 1, accounts_max: 1, keys_max: 1, ..EngineSettings::default() };
            let node = world.start_with(tap.log(), bounds).await;
            node.run(terms(|_| {})).await;
            tap.shut();
            if let Some(fault) = fault {
                disk.faults().after(at, fault);
            }
            // The same line in each, so that the third is right only if it saw the first; with two
            // of one's own.
            let batches: Vec<Vec<Value>> = (0..3)
                .map(|n| {
                    vec![row("same", "anna"), row(&format!("tx-{n}"), "anna"), row(&format!("b-{n}"), "ben")]
                })
                .collect();
            let mut prepared = Vec::new();
            for batch in &batches {
                let batch: Vec<Vec<u8>> = batch.iter().map(|row| row.to_string().into_bytes()).collect();
                let batch: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
                prepared.push(node.intake.prepare(&batch, &Sources::All).await.unwrap());
            }
            // Polled one after the other: they come into the queue in this order.
            let sent = prepared.into_iter().map(|batch| node.intake.submit(batch, context()));
            let opened = async { tap.open() };
            let (answers, ()) = tokio::join!(futures::future::join_all(sent), opened);
            let outcomes =
                |answers: Vec<RowAnswer>| answers.into_iter().map(|a| a.outcome.unwrap()).collect();
            let receipts: Vec<Vec<Receipt>> = answers.into_iter().map(|a| outcomes(a.unwrap())).collect();
            for (n, batch) in receipts.iter().enumerate() {
                let results: Vec<RowResult> = batch.iter().map(|receipt| receipt.result).collect();
                let first = if n == 0 { RowResult::Accepted } else { RowResult::Duplicate };
                let what = format!("{fault:?} at {at}, batch {n}");
                assert_eq!(results, [first, RowResult::Accepted, RowResult::Accepted], "{what}");
                assert_eq!(batch[0].position, receipts[0][0].position, "{what}");
                for (row, receipt) in batches[n].iter().zip(batch) {
                    agrees(&disk.events(), key(row), receipt);
                }
            }
            sound(&disk.events(), &*world.seeds);
        }
    }
}
