//! Killed again and again under load, with the ledger on PostgreSQL: nothing is lost, decided or
//! paid twice, and the budget holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use rewardhub_tests::rows::{CERTAIN, campaign};
use rewardhub_tests::{Sandbox, eventually};
use serde_json::Value;

use super::world::{SOON, Storm, World, all_known_once};

const KILLS: usize = 6;
const PRIZE_MINOR: i64 = 250;
/// For sixty prizes, with a rest that pays none: used up in the midst of the kills.
const BUDGET_MINOR: i64 = 60 * PRIZE_MINOR + 3;

#[test]
fn six_kills_lose_nothing_and_pay_nothing_twice() {
    let world = World::empty();
    let home = world.place();
    home.run(&["migrate"]).expect_code(0);
    home.start_campaign("small", &campaign("small", CERTAIN, PRIZE_MINOR, BUDGET_MINOR));
    let serve = || {
        let service = Arc::new(home.listen(&[]));
        service.ready(SOON);
        service
    };
    let mut sent: Vec<(Value, bool)> = Vec::new();
    for kill in 0..KILLS {
        let service = serve();
        let storm = Storm::start(&service, &service.feed(), &format!("k{kill}"));
        storm.await_acknowledged(2 + kill);
        service.kill();
        sent.extend(storm.finish());
    }
    let acknowledged: Vec<Value> =
        sent.iter().filter(|(_, known)| *known).map(|(row, _)| row.clone()).collect();
    assert!(acknowledged.len() < sent.len(), "each kill has cut something off");

    let service = serve();
    let feed = service.feed();
    for some in acknowledged.chunks(500) {
        assert!(service.send(&feed, some).iter().all(|answer| answer["result"] == "duplicate"));
    }
    let all: Vec<Value> = sent.into_iter().map(|(row, _)| row).collect();
    for some in all.chunks(500) {
        service.send(&feed, some);
    }
    all_known_once(&service, &feed, &all, &home);
    settle(&world, &service);
    service.trial_balance();
    Arc::into_inner(service).unwrap().stop();
    home.replayed();

    // The rail's own books.
    let rail = rusqlite::Connection::open(home.data().join("rail.db")).unwrap();
    let mut paid = rail.prepare("SELECT key, amount_minor FROM payments WHERE status = 'paid'").unwrap();
    let paid: Vec<(String, i64)> =
        paid.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    let entries: BTreeSet<&str> = paid.iter().map(|(key, _)| key.split_once(':').unwrap().0).collect();
    assert_eq!(entries.len(), paid.len(), "nothing is paid twice");
    let total: i64 = paid.iter().map(|(_, amount)| amount).sum();
    let credited = world.number("SELECT count(*) FROM ledger.events WHERE event_type = 'RewardCredited'");
    assert_eq!((paid.len(), total), (60, 60 * PRIZE_MINOR), "to the last prize, and not a penny more");
    assert_eq!(credited, 60);
    let shown = home.run(&["campaign", "show", "small"]).expect_code(0).json();
    assert_eq!((&shown["funded_minor"], &shown["spent_minor"]), (&BUDGET_MINOR.into(), &total.into()));
}

/// Until every step has seen the whole log.
fn settle(world: &World, service: &Sandbox) {
    let idle = "SELECT ((SELECT count(*) = 3 AND min(position) = (SELECT position FROM ledger.head) \
         FROM steps.checkpoints WHERE step IN ('issue', 'notify', 'credit')) \
         AND NOT EXISTS (SELECT FROM steps.items WHERE state = 'waiting' AND step <> 'resume'))::int::bigint";
    eventually("what was won to be paid", 2 * SOON, || (world.number(idle) == 1).then_some(()));
    service.settled(SOON);
}
