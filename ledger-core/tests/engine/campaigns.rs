//! Several campaigns at once, and a campaign's life under the engine's clock.

use cqrs_es::Aggregate as _;
use ledger_core::account::AccountEvent;
use ledger_core::campaign::terms::Terms;
use ledger_core::campaign::{Campaign, CampaignAnswer, CampaignCommandKind, CampaignEvent};
use ledger_core::log::StoredEvent;
use ledger_core::money::Money;
use serde_json::{Value, json};

use crate::check::{account_events, campaign_events, draws, sound};
use crate::world::{World, at, campaign_id, row, rows, terms, with};

fn named(id: &str, change: impl FnOnce(&mut Value)) -> Terms {
    terms(|terms| {
        terms["campaign_id"] = json!(id);
        change(terms);
    })
}

/// The campaigns that were asked, and those that drew, for each line.
fn asked_and_drawn(events: &[StoredEvent]) -> Vec<(Vec<String>, Vec<String>)> {
    let evaluated = account_events(events).into_iter().filter_map(|event| match event {
        AccountEvent::TransactionEvaluated { considered, draws, .. } => Some((
            considered.into_iter().map(|c| c.campaign_id.to_string()).collect(),
            draws.into_iter().map(|d| d.campaign_id.to_string()).collect(),
        )),
        _ => None,
    });
    evaluated.collect()
}

#[tokio::test(start_paused = true)]
async fn a_line_enters_one_draw_and_every_stackable_one() {
    let world = World::new();
    let (node, log) = world.with(named("b-usual", |_| {})).await;
    node.run(named("c-first", |terms| terms["precedence"] = json!(-1))).await;
    node.run(named("a-large", |terms| {
        terms["precedence"] = json!(-2);
        terms["rules"] = json!({ "amount_min_minor": 100_000 });
    }))
    .await;
    node.run(named("d-besides", |terms| {
        terms["stackable"] = json!(true);
        terms["precedence"] = json!(5);
    }))
    .await;
    let receipt = node.one(&row("t1", "cus-1")).await.unwrap();
    let large = with(&row("t2", "cus-1"), "amount", json!({ "minor": "100000", "currency": "GBP" }));
    node.one(&large).await.unwrap();
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        asked_and_drawn(&log.events()),
        [
            (ids(&["a-large", "c-first", "d-besides"]), ids(&["c-first", "d-besides"])),
            (ids(&["a-large", "d-besides"]), ids(&["a-large", "d-besides"])),
        ]
    );
    let won = draws(&log.events()).take(2).filter_map(|draw| Some(draw.amount?.minor())).sum::<i64>();
    assert_eq!(receipt.won.map_or(0, Money::minor), won, "the receipt has the sum");
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn where_one_draw_has_to_wait_all_do() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let ahead = with(&row("t1", "cus-1"), "booked_at", "2026-11-23T00:10:00Z");
    node.run(named("besides", |terms| terms["stackable"] = json!(true))).await;
    node.one(&ahead).await.unwrap();
    assert_eq!(draws(&log.events()).count(), 0);
    assert!(account_events(&log.events()).iter().any(|e| e.name() == "TransactionDeferred"));
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_campaign_starts_by_itself_and_draws_at_once() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let winter = named("winter", |terms| terms["precedence"] = json!(-1));
    let id = winter.campaign_id.clone();
    let start_at = at("2026-11-22T18:00:00Z");
    for (by, kind) in [
        ("alice", CampaignCommandKind::Draft(Box::new(winter))),
        ("bob", CampaignCommandKind::Approve { version: Some(1) }),
        ("alice", CampaignCommandKind::Schedule { start_at }),
    ] {
        assert_eq!(node.campaign_by(by, &id, kind).await, Ok(CampaignAnswer::Done));
    }
    node.one(&row("t1", "cus-1")).await.unwrap();
    world.clock.set(at("2026-11-22T18:00:01Z"));
    node.one(&row("t2", "cus-1")).await.unwrap();
    let by: Vec<String> = draws(&log.events()).map(|draw| draw.campaign_id.to_string()).collect();
    assert_eq!(by, ["everyday", "winter"]);
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn revised_rules_count_at_once_and_the_new_table_from_the_next_epoch_not_yet_scheduled() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let revised = terms(|terms| {
        terms["rules"] = json!({ "amount_min_minor": 2_000 });
        terms["prize_table"]["tiers"][0]["odds_ppb"] = json!(1);
    });
    let dear = |id: &str, day: &str| {
        let line = with(&row(id, "cus-1"), "booked_at", format!("{day}T06:00:00Z"));
        with(&line, "amount", json!({ "minor": "2000", "currency": "GBP" }))
    };
    let revise = CampaignCommandKind::Revise(Box::new(revised.clone()));
    assert_eq!(node.campaign_by("alice", &campaign_id(), revise).await, Ok(CampaignAnswer::Done));
    node.one(&row("t1", "cus-1")).await.unwrap();
    let approve = CampaignCommandKind::Approve { version: Some(2) };
    assert_eq!(node.campaign_by("bob", &campaign_id(), approve).await, Ok(CampaignAnswer::Done));
    node.one(&row("t2", "cus-1")).await.unwrap();
    node.one(&dear("t3", "2026-11-22")).await.unwrap();
    for day in ["2026-11-23", "2026-11-24", "2026-11-25"] {
        world.clock.set(at(&format!("{day}T12:00:00Z")));
        node.one(&dear(day, day)).await.unwrap();
    }
    let drawn: Vec<_> = draws(&log.events())
        .map(|d| (d.epoch.to_string(), d.campaign_version, d.table_hash == revised.prize_table.hash()))
        .collect();
    // Two days were committed to ahead, with the old table.
    let expected = [
        ("2026-11-22", 1, false),
        ("2026-11-22", 2, false),
        ("2026-11-23", 2, false),
        ("2026-11-24", 2, false),
        ("2026-11-25", 2, true),
    ];
    assert_eq!(drawn, expected.map(|(day, version, new)| (day.to_owned(), version, new)));
    sound(&log.events(), &*world.seeds);
}

#[tokio::test(start_paused = true)]
async fn every_process_that_opens_a_seed_says_so_before_it_draws() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    node.take(&rows(0..3)).await;
    node.take(&rows(3..6)).await;
    node.stop().await;
    let node = world.start(std::sync::Arc::new(log.reopen())).await;
    node.take(&rows(6..9)).await;
    node.stop().await;
    let events = log.events();
    let opened = |events: &[StoredEvent]| {
        campaign_events(events).iter().filter(|e| matches!(e, CampaignEvent::SeedOpened { .. })).count()
    };
    assert_eq!(opened(&events), 2);
    let first_draw = events.iter().position(|e| e.event_type == "TransactionEvaluated").unwrap();
    assert_eq!(opened(&events[..first_draw]), 1);
}

#[tokio::test(start_paused = true)]
async fn campaigns_are_told_from_memory_and_no_history_is_read() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    node.run(named("another", |_| {})).await;
    for n in 0..30 {
        node.one(&row(&format!("tx-{n}"), "anna")).await.unwrap();
    }
    log.faults().fail_reads(1_000);
    let told = |only: Option<&str>| node.ledger.campaigns(only.map(|id| id.parse().unwrap()));
    let all = told(None).await.unwrap();
    assert_eq!(told(Some("everyday")).await.unwrap(), all[1..]);
    assert_eq!(told(Some("nobody")).await.unwrap(), []);
    for ((campaign, events), id) in all.iter().zip(["another", "everyday"]) {
        let replayed: Vec<_> = log.events().into_iter().filter(|event| event.stream.id == id).collect();
        let mut state = Campaign::default();
        for event in campaign_events(&replayed) {
            state.apply(event);
        }
        assert_eq!((campaign, *events), (&state, replayed.len() as u64), "{id}");
    }
}
