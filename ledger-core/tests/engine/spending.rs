//! What an account's purchases come to: added up as the customer would, whatever was forgotten,
//! read back or restarted in between, and told by the log to nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ledger_core::account::AccountEvent;
use ledger_core::engine::{EngineSettings, RowResult};
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::AccountId;
use ledger_core::log::StoredEvent;
use ledger_core::time::Timestamp;
use serde_json::{Value, json};
use support::SimulatedLog;

use crate::check::sound;
use crate::epochs::run_resume;
use crate::world::{Dice, HOUR_MICROS, World, at, gbp, row, terms, with};

const MOST_MINOR: i64 = 10_000;
const HOURS: i64 = 24;
/// Lines that an account remembers.
const REMEMBERED: usize = 64;

/// A decided line: when it was booked, how many pence were spent, whether the rule declined it,
/// whether it should have.
struct Decided {
    account: String,
    booked_at: Timestamp,
    minor: i64,
    said: bool,
    should: bool,
}

impl Decided {
    /// Whether it lies in the hours that end with `end`.
    fn is_within(&self, end: Timestamp) -> bool {
        end.plus_micros(-HOURS * HOUR_MICROS) < self.booked_at && self.booked_at <= end
    }
}

/// Every decided line of the log.
fn decided(events: &[StoredEvent], rows: &[Value]) -> Vec<Decided> {
    let rows: BTreeMap<&str, &Value> =
        rows.iter().map(|row| (row["transaction_id"].as_str().unwrap(), row)).collect();
    let mut all: Vec<Decided> = vec![];
    for stored in events {
        let LedgerEvent::Account(AccountEvent::TransactionEvaluated { line, considered, .. }) =
            decode(stored).unwrap()
        else {
            continue;
        };
        let row = rows[line.transaction_id.as_str()];
        let is_pounds = row["amount"]["currency"] == "GBP";
        let minor = if is_pounds && row["direction"] == "debit" {
            row["amount"]["minor"].as_str().unwrap().parse().unwrap()
        } else {
            0
        };
        let (account, booked_at) = (stored.stream.id.to_string(), line.booked_at);
        let mut before: Vec<&Decided> = all.iter().filter(|line| line.account == account).collect();
        before.sort_by_key(|line| line.booked_at);
        let (forgotten, remembered) = before.split_at(before.len().saturating_sub(REMEMBERED));
        let has_forgotten =
            forgotten.iter().any(|line| line.booked_at > booked_at.plus_micros(-HOURS * HOUR_MICROS));
        let next = booked_at.plus_micros(HOURS * HOUR_MICROS);
        let later = remembered.iter().map(|line| line.booked_at).filter(|at| booked_at < *at && *at < next);
        let sum = |end: Timestamp| {
            remembered.iter().filter(|line| line.is_within(end)).map(|line| line.minor).sum::<i64>()
        };
        let is_too_much = std::iter::once(booked_at).chain(later).any(|end| sum(end) + minor > MOST_MINOR);
        let should = minor > 0 && (has_forgotten || is_too_much);
        let said = considered[0].failed.iter().any(|code| code.as_str() == "too_much");
        all.push(Decided { account, booked_at, minor, said, should });
    }
    all
}

/// Purchases of three customers over three days, the last of which is still to come; some credits,
/// some euros.
fn purchases(dice: &mut Dice, count: usize) -> Vec<Value> {
    let purchase = |n: usize| {
        let booked_at =
            at("2026-11-20T13:00:00Z").plus_micros(HOUR_MICROS * i64::try_from(dice.below(68)).unwrap());
        let minor = (1 + dice.below(40_00)).to_string();
        let currency = if dice.one_in(10) { "EUR" } else { "GBP" };
        // The first customer buys so much that not all of it is remembered.
        let account = ["anna", "anna", "anna", "ben", "carla"][dice.below(5)];
        let mut row = row(&format!("tx-{n}"), account);
        row["booked_at"] = serde_json::to_value(booked_at).unwrap();
        row["amount"] = json!({ "minor": minor, "currency": currency });
        row["direction"] = json!(if dice.one_in(10) { "credit" } else { "debit" });
        row["to_account"] = json!("GB94BARC10201530093459");
        row
    };
    (0..count).map(purchase).collect()
}

#[tokio::test(start_paused = true)]
async fn purchases_are_added_up_whatever_was_forgotten_in_between() {
    let rule = || {
        terms(|terms| {
            let most = json!({ "minor": MOST_MINOR, "hours": HOURS });
            terms["rules"] = json!([{ "code": "too_much", "spent_max": most }]);
        })
    };
    for seed in 0..6 {
        let world = World::seeded(seed);
        let mut dice = Dice(seed);
        let log = SimulatedLog::new();
        let tiny = || EngineSettings {
            keys_max: 1,
            accounts_max: 1,
            snapshot_every: 7,
            ..EngineSettings::default()
        };
        let mut node = world.start_with(Arc::new(log.reopen()), tiny()).await;
        node.run(rule()).await;
        let rows = purchases(&mut dice, 300);
        let mut waiting = 0;
        for part in rows.chunks(23) {
            for answer in node.take(part).await {
                waiting += usize::from(answer.unwrap().result == RowResult::Deferred);
            }
            if dice.one_in(4) {
                node.stop().await;
                node = world.start_with(Arc::new(log.reopen()), tiny()).await;
            }
        }
        assert!(waiting > 0);
        world.clock.set(at("2026-11-23T01:00:00Z"));
        node.ledger.tick().await.unwrap();
        let all = rows.len();
        run_resume(&world, &node, &log, |events| decided(events, &rows).len() == all).await;
        node.stop().await;

        let events = log.events();
        let lines = decided(&events, &rows);
        for (n, line) in lines.iter().enumerate() {
            assert_eq!(line.said, line.should, "seed {seed}, decision {n}");
        }
        // What the campaign promises: in no hours do purchases that took part come to more.
        let admitted: Vec<&Decided> = lines.iter().filter(|line| !line.said).collect();
        for last in &admitted {
            let within =
                admitted.iter().filter(|line| line.account == last.account && line.is_within(last.booked_at));
            assert!(within.map(|line| line.minor).sum::<i64>() <= MOST_MINOR, "seed {seed}");
        }
        assert!((all / 20..all * 9 / 10).contains(&admitted.len()), "{} of {all} took part", admitted.len());
        sound(&events, &*world.seeds);
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_account_s_key_opens_what_was_spent() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let credit =
        with(&with(&row("tx-3", "anna"), "direction", "credit"), "to_account", "GB29NWBK60161331926819");
    node.take(&[row("tx-1", "anna"), row("tx-2", "ben"), credit]).await;
    let ids = ["anna", "ben"].map(|id| id.parse::<AccountId>().unwrap());
    let keys = world.keyring.keys(ids.into()).await.unwrap();
    let key = |id: &str| keys.of(&id.parse::<AccountId>().unwrap()).unwrap().amounts();
    let mut spent = vec![];
    for stored in log.events() {
        if let LedgerEvent::Account(AccountEvent::TransactionEvaluated { line, .. }) =
            decode(&stored).unwrap()
        {
            spent.push((stored.stream.id.to_string(), line.spent));
        }
    }
    let [(_, Some(annas)), (_, Some(bens)), (_, None)] = spent.as_slice() else { panic!("{spent:?}") };
    assert_eq!((key("anna").open(annas), key("ben").open(bens)), (Some(gbp(12_50)), Some(gbp(12_50))));
    assert_eq!((key("ben").open(annas), key("anna").open(bens)), (None, None));
    // Two customers who spend the same do not look alike.
    let texts: BTreeSet<String> = [annas, bens].map(|spent| serde_json::to_string(spent).unwrap()).into();
    assert_eq!(texts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_another_holder_brings_keeps_nothing_that_is_sealed_under_his_key() {
    let world = World::new();
    let (node, log) = world.with(terms(|_| {})).await;
    let line = row("tx-1", "anna");
    node.one(&line).await.unwrap();
    node.one(&with(&line, "status", "removed")).await.unwrap();
    let held = node.one(&with(&line, "account_id", "ben")).await.unwrap();
    assert_eq!(held.result, RowResult::Held);
    let last = log.events().pop().unwrap();
    let LedgerEvent::Account(AccountEvent::TransactionDeferred { line, .. }) = decode(&last).unwrap() else {
        panic!("{last:?}")
    };
    assert_eq!(&*last.stream.id, "anna");
    assert_eq!((line.details, line.merchant, line.spent), (None, None, None));
}
