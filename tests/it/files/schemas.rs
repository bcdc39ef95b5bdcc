//! The same on PostgreSQL: a schema that was restored by itself, wiped, or comes from elsewhere.

use rewardhub_tests::Home;
use rewardhub_tests::rows::{CERTAIN, campaign, purchase};

use super::world::{SOON, World};

fn begun() -> (World, Home) {
    let world = World::empty();
    let home = world.place();
    home.run(&["migrate"]).expect_code(0);
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 100_000_000));
    more(&home, "a");
    (world, home)
}

fn more(home: &Home, name: &str) {
    let service = home.listen(&[]);
    service.ready(SOON);
    let rows: Vec<_> = (0..4).map(|n| purchase(&format!("{name}-{n}"), &format!("cus_{name}_{n}"))).collect();
    for answer in service.send(&service.feed(), &rows) {
        assert_eq!(answer["result"], "accepted", "{answer}");
    }
    service.settled(SOON);
    service.stop();
}

fn refused(home: &Home, case: &str, words: &[&str]) {
    for ran in [home.run(&["serve"]), home.run(&["account", "open", "cus_new"])] {
        assert_eq!(ran.code, 3, "{case}: {ran:?}");
        for word in words {
            assert!(ran.stderr.contains(word), "{case}: no `{word}` in {}", ran.stderr);
        }
    }
}

/// Takes the log's last events away, as an older dump of its schema would.
const OLDER_LOG: &str = "ALTER TABLE ledger.events DISABLE TRIGGER ALL; \
     DELETE FROM ledger.events WHERE position > 5; ALTER TABLE ledger.events ENABLE TRIGGER ALL; \
     UPDATE ledger.head SET position = 5, recorded_at = (SELECT max(recorded_at) FROM ledger.events)";

#[test]
fn a_log_that_is_older_than_the_other_schemas_is_refused() {
    let (world, home) = begun();
    world.execute(OLDER_LOG);
    refused(
        &home,
        "older",
        &["the schema read_models has seen events up to", "the schema ledger ends at 0:5"],
    );
    world.execute("DELETE FROM read_models.checkpoints");
    refused(&home, "cursors", &["the schema steps has seen events up to"]);
    world.execute("DELETE FROM steps.checkpoints");
    refused(&home, "keys", &["the schema keys has seen events up to"]);
}

#[test]
fn a_wiped_schema_of_keys_is_refused_and_none_are_made() {
    let (world, home) = begun();
    let count = "SELECT (SELECT count(*) FROM keys.named_keys) + (SELECT count(*) FROM keys.account_keys)";
    let wipe = |table: &str| {
        world.execute(&format!(
            "ALTER TABLE keys.{table} DISABLE TRIGGER ALL; DELETE FROM keys.{table}; \
             ALTER TABLE keys.{table} ENABLE TRIGGER ALL"
        ));
    };
    wipe("account_keys");
    refused(&home, "account keys", &["the schema keys lacks the keys of"]);
    wipe("named_keys");
    world.execute("DELETE FROM keys.belongs");
    refused(&home, "all keys", &["the schema keys is missing or empty"]);
    assert_eq!(world.number(count), 0);
    world.execute("DROP SCHEMA keys CASCADE");
    refused(&home, "no schema", &["the schema keys is missing"]);
}

#[test]
fn a_schema_of_another_ledger_is_refused() {
    let (world, home) = begun();
    for schema in ["read_models", "steps", "keys"] {
        let ledger = format!(
            "UPDATE {schema}.belongs SET ledger = translate(ledger, '0123456789abcdef', 'fedcba9876543210')"
        );
        world.execute(&ledger);
        refused(&home, schema, &[&format!("the schema {schema} belongs to another ledger")]);
        world.execute(&ledger);
    }
    more(&home, "b");
}

#[test]
fn a_standby_does_not_take_over_a_database_that_was_restored_in_part() {
    let (world, home) = begun();
    let standby = world.second_place(&home);
    let first = home.listen(&[]);
    first.ready(SOON);
    let mut waiting = standby.spawn_serve(&[]);
    rewardhub_tests::eventually("the standby to wait", SOON, || {
        waiting.stderr.text().contains("waiting").then_some(())
    });
    first.kill();
    world.execute(OLDER_LOG);
    assert_eq!(waiting.wait(), 3);
    waiting.finish();
    assert!(waiting.stderr.text().contains("has seen events up to"), "{}", waiting.stderr.text());
}
