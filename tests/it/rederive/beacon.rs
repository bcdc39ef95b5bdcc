//! A day that opened with public randomness, a round that the network has published.

use adapters::sandbox::bank::Mix;
use ledger_core::campaign::CampaignCommandKind;
use ledger_core::ids::BeaconSignature;
use ledger_core::time::{DAY_MICROS, Epoch, SECOND_MICROS, Timestamp};
use rewardhub_tests::Home;
use serde_json::{Value, json};

use super::tampered::{edit, is_named, tamper};
use super::world::{MINUTE_MICROS, World};
use super::{export, last, rederive};

const ROUNDS: &str = include_str!("../../../ledger-core/testdata/quicknet-rounds.json");

/// When the recorded round appeared: 2026-09-17, 12:32:45.
const ROUND: u64 = 32_281_667;
const APPEARED: Timestamp = Timestamp::from_micros((1_692_803_367 + 3 * (32_281_667 - 1)) * SECOND_MICROS);

fn signature() -> BeaconSignature {
    let recorded: Value = serde_json::from_str(ROUNDS).unwrap();
    let round = recorded["rounds"].as_array().unwrap().iter().find(|round| round["round"] == ROUND).unwrap();
    serde_json::from_value(round["signature"].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn draws_with_a_beacon_are_derived_again() {
    let home = Home::new();
    // The seed is committed to half a minute before its round.
    let mut world = World::open(&home, APPEARED.plus_micros(-30 * SECOND_MICROS), 50, Mix::plain()).await;
    world
        .start(json!({
            "campaign_id": "everyday", "name": "Everyday", "time_zone": "Europe/London",
            "starts_at": "2026-01-01T00:00:00Z", "eligible_from": "campaign_start",
            "prize_table": { "currency": "GBP", "tiers": [
                { "name": "small", "odds_ppb": 100_000_000, "prize": { "fixed": 90 } },
            ] },
            "budget": { "minor": 15_000, "currency": "GBP" }, "grace_days": 0, "beacon": "drand:quicknet",
        }))
        .await;
    world.clock.set(APPEARED.plus_micros(MINUTE_MICROS));
    let open = CampaignCommandKind::OpenEpoch { epoch: Epoch::of(APPEARED), signature: Some(signature()) };
    world.ask("step:beacon", "everyday", open).await;
    world.lines(300, APPEARED, APPEARED.plus_micros(MINUTE_MICROS)).await;
    world.clock.set(APPEARED.plus_micros(DAY_MICROS));
    assert_eq!(world.settle().await, 1);
    world.close().await;

    home.run(&["audit", "draws"]).expect_code(0);
    let bundle = export(&home, "bundle", &[]);
    let theirs = last(&rederive(&["check", &bundle]).expect_code(0));
    assert!(theirs["rederived"].as_u64().unwrap() > 200, "{theirs:#}");

    // Randomness of our own choice; a later round than the terms ask for.
    let mut places = Vec::new();
    tamper(&home, |events| {
        for (kind, field) in [("EpochOpened", "beacon"), ("EpochScheduled", "beacon_spec")] {
            let event = events.iter_mut().find(|event| event.event_type == kind).unwrap();
            places.push((field, event.position.to_string()));
            edit(event, |event| {
                let text = event[kind][field].as_str().unwrap();
                event[kind][field] = match field {
                    "beacon" => json!(text.chars().rev().collect::<String>()),
                    _ => json!(text.replace("667", "668")),
                };
            });
        }
    })
    .await;
    let bundle = export(&home, "tampered", &[]);
    let theirs = rederive(&["check", &bundle]).expect_code(1);
    for (check, position) in places {
        assert!(is_named(&theirs.stdout, check, &position), "{check} at {position}: {}", theirs.stdout);
    }
}
