//! What may go wrong between the first moment and the first answer.

use std::sync::Arc;

use rewardhub_tests::eventually;
use rewardhub_tests::rows::purchase;
use stores::testing::Cluster;

use super::world::{SOON, World};

#[test]
fn a_database_that_goes_away_between_the_lease_and_the_start_is_waited_for() {
    let (world, home) = World::empty().with_campaign();
    let role = format!("few_{}", world.database());
    world.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'p' CONNECTION LIMIT 3"));
    home.run(&["migrate", "--runtime-role", &role]).expect_code(0);
    let (_, place) = world.url.rsplit_once('@').unwrap();
    // One of the pool and the writer's two: the lease is taken, and then the read models get none.
    let service = home.listen(&[("REWARDHUB_LOG", &format!("postgres://{role}:p@{place}"))]);
    eventually("/readyz to say what is missing", SOON, || {
        let ready = service.get("/readyz");
        assert_eq!(ready.status, 503, "{ready:?}");
        (ready.body["state"] == "the database cannot be reached").then_some(())
    });
    let taken = "SELECT count(*) FROM ledger.head WHERE leased_until > clock_timestamp()";
    assert_eq!(world.number(taken), 1, "it has the lease");
    world.execute(&format!("ALTER ROLE {role} CONNECTION LIMIT -1"));
    service.ready(SOON);
    let sent = service.send(&service.feed(), &[purchase("t1", "cus_1")]);
    assert_eq!(sent[0]["result"], "accepted", "{sent:?}");
    service.stop_by("TERM").expect_code(0);
}

#[test]
fn of_two_first_starts_with_root_keys_of_their_own_one_is_told_what_to_copy() {
    let world = World::empty();
    let homes = [world.place(), world.place()];
    homes[0].run(&["migrate"]).expect_code(0);
    // Both have seen that there are no keys before either makes one.
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event_type = 'Lock' AND query LIKE '%named_keys%'";
    let ran = std::thread::scope(|scope| {
        let gate = world.lock("LOCK TABLE keys.named_keys IN EXCLUSIVE MODE");
        let running =
            homes.each_ref().map(|home| scope.spawn(|| home.run(&["campaign", "end", "none", "--by", "a"])));
        eventually("both to wait", SOON, || (world.number(waits) == 2).then_some(()));
        drop(gate);
        running.map(|running| running.join().unwrap())
    });
    let told = |n: usize| ran[n].stderr.contains("copy its root.key to");
    assert!(told(0) != told(1), "{ran:?}");
    let (told, first) = if told(0) { (0, 1) } else { (1, 0) };
    assert_eq!(ran[told].code, 3);
    let key = |n: usize| homes[n].data().join("root.key");
    assert!(!key(told).exists(), "it is of no use to anybody");
    std::fs::copy(key(first), key(told)).unwrap();
    let again = homes[told].run(&["campaign", "end", "none", "--by", "a"]);
    assert!(!again.stderr.contains("root key"), "{again:?}");
}

#[test]
fn a_server_that_forgets_what_it_acknowledged_is_refused_with_what_to_do() {
    let world = World::on(async || Arc::new(Cluster::start(&["full_page_writes=off"]).await.unwrap()));
    let home = world.place();
    home.run(&["migrate"]).expect_code(0);
    let mut refused = home.spawn_serve(&[]);
    assert_eq!(refused.wait(), 3);
    refused.finish();
    let said = refused.stderr.text();
    assert!(
        said.contains("set full_page_writes=on and reload it, or say `database.full_page_writes"),
        "{said}"
    );
    let service = home.listen(&[("REWARDHUB_DATABASE_FULL_PAGE_WRITES", "optional")]);
    service.ready(SOON);
    service.stop_by("TERM").expect_code(0);
}
