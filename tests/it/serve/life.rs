//! From an empty database to a visible transaction, and on.

use std::time::{Duration, Instant};

use rewardhub_tests::rows::{ndjson, purchase};
use rewardhub_tests::{Home, Sandbox, text};
use serde_json::{Value, json};

use super::world::{SOON, World};

const ACCOUNT: &str = "query($min: String) { rewardAccount(minPosition: $min) \
    { transactions(first: 50) { nodes { transactionId details { merchantName } decision { outcome } } } } }";

fn transactions(service: &Sandbox, min_position: &Value) -> Vec<Value> {
    let token = service.customer("cus_1");
    let account = service.graphql(&token, ACCOUNT, json!({ "min": min_position }))["rewardAccount"].take();
    account["transactions"]["nodes"].as_array().unwrap_or_else(|| panic!("{account}")).clone()
}

#[test]
fn from_an_empty_database_to_a_visible_transaction_and_on_after_a_restart() {
    let world = World::empty();
    let home = world.place();
    let mut refused = home.spawn_serve(&[]);
    assert_eq!(refused.wait(), 3);
    refused.finish();
    assert!(refused.stderr.text().contains("run `rewardhub migrate` first"), "{}", refused.stderr.text());

    let laid_out = home.run(&["migrate"]).expect_code(0);
    assert!(laid_out.stdout.starts_with("applied 0001_log\n"), "{laid_out:?}");
    let again = home.run(&["migrate"]).expect_code(0);
    assert!(again.stdout.starts_with("nothing to do"), "{again:?}");
    home.start_campaign("sure", &rewardhub_tests::rows::campaign("sure", 1_000_000_000, 250, 1_000_000));

    let service = home.listen(&[]);
    service.ready(SOON);
    let feed = service.feed();
    let sent = service.send(&feed, &[purchase("t1", "cus_1")]);
    assert_eq!(sent[0]["result"], "accepted", "{sent:?}");
    let position = &sent[0]["position"];
    let seen = transactions(&service, position);
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (&seen[0]["decision"]["outcome"], &seen[0]["details"]["merchantName"]),
        (&json!("WON"), &json!("Coffee House"))
    );
    service.trial_balance();
    // An audit works beside it; a command that writes is told who does.
    home.replayed();
    let refused = home.run(&["campaign", "pause", "sure", "--reason", "checks"]).expect_code(3);
    assert!(refused.stderr.contains(&format!("process {}", service.id())), "{}", refused.stderr);
    let ended = service.stop_by("TERM").expect_code(0);
    assert!(!(ended.stdout + &ended.stderr).contains("test-"), "the password is never shown");

    let service = home.listen(&[]);
    service.ready(SOON);
    assert_eq!(transactions(&service, position).len(), 1);
    let again = service.send(&feed, &[purchase("t1", "cus_1"), purchase("t2", "cus_1")]);
    assert_eq!((&again[0]["result"], &again[0]["position"]), (&json!("duplicate"), position));
    assert_eq!(again[1]["result"], "accepted");
    assert_eq!(transactions(&service, &again[1]["position"]).len(), 2);
    service.stop();

    // The commands that write have it to themselves at once: the lease was given back.
    let file = home.write("rows.ndjson", ndjson(&[purchase("t2", "cus_1"), purchase("t3", "cus_2")]));
    let summary = home.run(&["ingest", text(&file), "--json"]).expect_code(0).json();
    assert_eq!((&summary["duplicate"], &summary["accepted"]), (&json!(1), &json!(1)), "{summary}");
    home.run(&["campaign", "show", "sure"]).expect_code(0);
    home.run(&["rebuild", "all"]).expect_code(0);
    assert_eq!(home.replayed()["transactions"], 3);
}

#[test]
fn it_runs_as_a_role_that_can_change_no_event() {
    let (world, home) = World::empty().with_campaign();
    let role = format!("app_{}", world.database());
    world.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'app-s3cret'"));
    home.run(&["migrate", "--runtime-role", &role]).expect_code(0);
    let (_, place) = world.url.rsplit_once('@').unwrap();
    let url = format!("postgres://{role}:app-s3cret@{place}");
    let service = home.listen(&[("REWARDHUB_LOG", &url)]);
    service.ready(SOON);
    let sent = service.send(&service.feed(), &[purchase("t1", "cus_1")]);
    assert_eq!(sent[0]["result"], "accepted", "{sent:?}");
    assert_eq!(transactions(&service, &sent[0]["position"]).len(), 1);
    let said = service.said();
    service.stop();
    assert!(!said.contains("app-s3cret"), "{said}");
}

#[test]
fn only_listed_customers_are_taken_unless_told_otherwise() {
    let (_world, home) = World::empty().with_campaign();
    let service = home.listen(&[("REWARDHUB_ENROLMENT", "listed")]);
    service.ready(SOON);
    let sent = service.send(&service.feed(), &[purchase("t1", "cus_1")]);
    assert_eq!(sent[0]["error"]["code"], "account_unknown", "{sent:?}");
    service.stop();
}

#[test]
fn a_lost_root_key_is_asked_for_and_not_made_anew() {
    let (_world, home) = World::empty().with_campaign();
    let key = home.data().join("root.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let refused = home.run(&["campaign", "pause", "sure", "--reason", "checks"]).expect_code(3);
    assert!(refused.stderr.contains("need their root key"), "{}", refused.stderr);
    assert!(!key.exists());
    assert_eq!(kept.len(), 32);
}

#[test]
fn a_data_folder_is_served_as_well() {
    let home = Home::with(&[("REWARDHUB_TOKENS_JWKS", "sandbox"), ("REWARDHUB_ENROLMENT", "open")]);
    home.start_campaign("sure", &rewardhub_tests::rows::campaign("sure", 1_000_000_000, 250, 1_000_000));
    let service = home.listen(&[]);
    service.ready(SOON);
    let sent = service.send(&service.feed(), &[purchase("t1", "cus_1")]);
    assert_eq!(transactions(&service, &sent[0]["position"]).len(), 1);
    // Two processes on one folder never wait for each other: the second is refused by name.
    let refused = home.run(&["campaign", "pause", "sure", "--reason", "checks"]).expect_code(3);
    assert!(refused.stderr.contains("in use by rewardhub serve"), "{}", refused.stderr);
    let began = Instant::now();
    service.stop_by("TERM").expect_code(0);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    home.replayed();
    assert!(home.run(&["migrate"]).expect_code(0).stdout.contains("migrate themselves"));
}
