//! The quick way gives what the account's own `decide` gives, line by line.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cqrs_es::Aggregate as _;
use serde_json::{Value, json};

use super::*;
use ledger_core::account::command::{
    CommandKind, EpochOffer, EvaluateTransaction, Offer, PreparedTransaction, Standing,
};
use ledger_core::account::{AccountEvent, RewardAccount};
use ledger_core::aggregate::Decides as _;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::{self, Seed};
use ledger_core::ids::{AccountId, Digest};
use ledger_core::time::{Epoch, Timestamp};
use ledger_core::transaction::wire::parse_row;
use ledger_core::zone::ZoneTable;

fn terms(change: impl FnOnce(&mut Value)) -> Terms {
    let mut terms = json!({
        "campaign_id": "autumn", "name": "Autumn", "time_zone": "Europe/London",
        "starts_at": "2026-01-01T00:00:00Z", "eligible_from": "campaign_start",
        "rules": [],
        "prize_table": { "currency": "GBP", "tiers": [
            { "name": "big", "odds_ppb": 20_000_000, "prize": { "fixed": 900 } },
            { "name": "small", "odds_ppb": 150_000_000, "prize": { "fixed": 90 } },
            { "name": "share", "odds_ppb": 150_000_000, "prize": { "share_bps": 700, "max": 60 } },
        ] },
        "budget": { "minor": 1_000_000, "currency": "GBP" },
    });
    change(&mut terms);
    let terms: Terms = serde_json::from_value(terms).unwrap();
    terms.validate().unwrap();
    terms
}

/// Lines of a few customers over three weeks, not all in order, some not for us.
fn past(count: u64) -> Vec<PastLine> {
    let now: Timestamp = serde_json::from_value(json!("2026-12-31T00:00:00Z")).unwrap();
    let below =
        |n: u64, salt: u64, bound: u64| u64::from(run::number(salt, u32::try_from(n).unwrap())) % bound;
    let line = |n: u64| {
        let (day, hour) = (1 + n * 20 / count + below(n, 1, 3), below(n, 2, 24));
        let mcc = ["5814", "7995", "5411"][usize::try_from(below(n, 8, 3)).unwrap()];
        let row = json!({
            "source": "bank", "transaction_id": format!("t{n}"), "account_id": format!("cus_{}", below(n, 3, 9)),
            "status": "booked", "booked_at": format!("2026-11-{day:02}T{hour:02}:30:00Z"),
            "amount": { "minor": 50 + below(n, 4, 2_000), "currency": if below(n, 5, 20) == 0 { "EUR" } else { "GBP" } },
            "direction": if below(n, 6, 20) == 0 { "credit" } else { "debit" },
            "from_account": "GB29NWBK60161331926819", "to_account": "GB94BARC10201530093459",
            "merchant": { "id": format!("m{}", below(n, 7, 12)), "mcc": mcc },
        });
        PastLine::read(&parse_row(row.to_string().as_bytes(), now).unwrap())
    };
    (0..count).map(line).collect()
}

/// The slow way: every line through `decide`, budget and inventory kept by hand. Gives each line's
/// `r` too.
fn slowly(terms: &Terms, past: &[PastLine]) -> (HashMap<u32, u32>, u64, u64, i64, Vec<u64>) {
    let mut accounts: BTreeMap<AccountId, RewardAccount> = BTreeMap::new();
    let mut numbers = HashMap::new();
    let (mut draws, mut wins, mut cost) = (0, 0, 0);
    let mut tiers = vec![0_u64; terms.prize_table.tiers.len()];
    let mut now = Timestamp::from_micros(0);
    for (n, PastLine { transaction, .. }) in (0_u32..).zip(past) {
        let booked_at = transaction.line.booked_at;
        now = now.max(booked_at);
        let account = accounts.entry(transaction.account_id.clone()).or_insert_with(|| {
            let mut account = RewardAccount::default();
            account.apply(AccountEvent::AccountOpened { enrolled_at: booked_at });
            account
        });
        let offer = offer(terms, booked_at, terms.budget.minor() - cost, &tiers);
        for event in evaluate(account, offer, now, transaction) {
            if let AccountEvent::TransactionEvaluated { draws: drawn, .. } = &event {
                for draw in drawn {
                    draws += 1;
                    numbers.insert(n, draw.r);
                    if let (Some(tier), Some(amount)) = (draw.tier, draw.amount) {
                        wins += 1;
                        cost += amount.minor();
                        tiers[tier as usize] += 1;
                    }
                }
            }
            account.apply(event);
        }
    }
    (numbers, draws, wins, cost, tiers)
}

fn offer(terms: &Terms, booked_at: Timestamp, budget_left_minor: i64, tiers: &[u64]) -> Offer {
    let table = &terms.prize_table;
    let epoch = Epoch::of(booked_at);
    let key = draw::epoch_key(&Seed::new([9; 32]), &Digest([0; 32]), &terms.campaign_id, epoch);
    let wins =
        |name: &str| table.tiers.iter().zip(tiers).filter(|(t, _)| t.name == name).map(|(_, n)| n).sum();
    let sold_out = table.sold_out(&terms.inventory, wins);
    let (table_hash, table) = (table.hash(), Arc::new(table.clone()));
    let epoch = EpochOffer::Open { key, table, table_hash, budget_left_minor, sold_out };
    let clocks = ZoneTable::new().clocks_to_be(&terms.time_zone);
    let (terms, standing) = (Arc::new(terms.clone()), Standing::Active);
    Offer { terms, version: 1, clocks, standing, epoch }
}

fn evaluate(
    account: &RewardAccount,
    offer: Offer,
    now: Timestamp,
    transaction: &PreparedTransaction,
) -> Vec<AccountEvent> {
    let evaluate = EvaluateTransaction {
        transaction: Arc::new(transaction.clone()),
        known: None,
        pending_known: None,
        open_unknown: false,
        offers: vec![offer],
        halted: false,
        resume: false,
    };
    account.decide(now, "", &CommandKind::EvaluateTransaction(evaluate)).unwrap().0
}

fn agrees(terms: &Terms) -> Run {
    let lines = past(2_500);
    let (numbers, draws, wins, cost, tiers) = slowly(terms, &lines);
    let plan = Plan::new(terms, lines);
    // A line that the slow way did not draw must not be drawn here either.
    let run = plan.run_with(&mut Scratch::default(), |line| numbers[&line]);
    assert_eq!((run.draws, run.wins, run.cost_minor, &run.tiers), (draws, wins, cost, &tiers));
    assert_eq!(run.by_day.iter().sum::<i64>(), cost);
    assert!(draws > 100 && wins > 20, "{draws} draws and {wins} wins say too little");
    run
}

#[test]
fn without_rules_every_line_in_the_currency_draws() {
    assert!(agrees(&terms(|_| {})).ran_out.is_none());
}

#[test]
fn a_budget_and_an_inventory_mask_as_in_the_ledger() {
    let run = agrees(&terms(|terms| {
        terms["budget"]["minor"] = json!(20_000);
        terms["inventory"] = json!({ "big": 5 });
    }));
    assert_eq!(run.tiers[0], 5);
    assert!(run.ran_out.is_some() && run.cost_minor <= 20_000);
}

#[test]
fn rules_about_wins_are_asked_under_every_seed() {
    let run = agrees(&terms(|terms| {
        terms["rules"] = json!([
            { "code": "no_betting", "mcc_denied": ["7995"] },
            { "code": "daily", "wins_per_day": 1 },
            { "code": "weekly", "won_minor_per_week": 300 },
            { "code": "monthly", "wins_per_month": 12 },
            { "code": "cautious", "cel": "wins_this_week < 4 || amount_minor < 500 && transactions_last_day < 9" },
            { "code": "hasty", "transactions_max": { "count": 20, "hours": 24 } },
            { "code": "lavish", "spent_max": { "minor": 6_000, "hours": 12 } },
        ]);
    }));
    assert!(run.declined > 100, "{} lines were kept out", run.declined);
}

#[test]
fn an_expression_that_only_winners_meet_is_asked_too() {
    let lucky = terms(|terms| {
        terms["rules"] = json!([{ "code": "again", "cel": "wins_this_month > 0 || amount_minor > 1500" }]);
    });
    agrees(&lucky);
}

#[test]
fn an_expression_asks_winners_what_they_spent() {
    let spent = terms(|terms| {
        terms["rules"] =
            json!([{ "code": "again", "cel": "wins_this_week == 0 || spent_minor_last_day > 2500" }]);
    });
    let run = agrees(&spent);
    assert!(run.declined > 100 && run.wins > 200, "{} declined, {} won", run.declined, run.wins);
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_another() {
    let plan = Plan::new(&terms(|_| {}), past(2_000));
    let mut scratch = Scratch::default();
    let first = plan.run(7, &mut scratch);
    assert_ne!(plan.run(8, &mut scratch), first);
    assert_eq!(plan.run(7, &mut Scratch::default()), first);
}

#[test]
fn numbers_are_spread_evenly() {
    let mut bins = [0_u32; 10];
    for line in 0..100_000 {
        bins[(run::number(3, line) / 100_000_000) as usize] += 1;
    }
    // Six standard deviations of a binomial with n = 100,000 and p = 0.1.
    assert!(bins.iter().all(|bin| bin.abs_diff(10_000) < 570), "{bins:?}");
}

#[test]
fn a_summary_says_who_never_qualifies_and_by_which_rule() {
    let strict = terms(|terms| {
        terms["rules"] = json!([{ "code": "large_only", "amount_min_minor": 1_000_000 }]);
    });
    let plan = Plan::new(&strict, past(500));
    let runs = vec![plan.run(1, &mut Scratch::default())];
    let summary = plan.summarise(&runs).unwrap();
    assert_eq!((summary.never_qualified, summary.customers, summary.admitted), (9, 9, 0));
    assert_eq!(summary.never_qualified_by_rule["large_only"], 9);
    // A bound in pounds is not asked of euros.
    let euros = summary.declined_by_rule["currency_mismatch"];
    assert_eq!(summary.declined_by_rule["large_only"] + euros, 500);
}

#[test]
fn a_line_that_comes_twice_counts_once() {
    let lines = past(10).into_iter().chain(past(10));
    let plan = Plan::new(&terms(|_| {}), lines);
    let summary = plan.summarise(&[plan.run(1, &mut Scratch::default())]).unwrap();
    assert_eq!((summary.lines, summary.skipped.duplicate), (10, 10));
}

#[test]
fn a_purchase_under_two_ids_draws_once() {
    let now: Timestamp = serde_json::from_value(json!("2026-12-31T00:00:00Z")).unwrap();
    let booked = |at: &str, id: &str, pending: Option<&str>, minor: u32| {
        let row = json!({
            "source": "bank", "transaction_id": id, "account_id": "cus_1", "status": "booked",
            "booked_at": at, "amount": { "minor": minor, "currency": "GBP" },
            "direction": "debit", "from_account": "GB29NWBK60161331926819",
            "pending_transaction_id": pending, "merchant": { "id": "m1", "mcc": "5814" },
        });
        PastLine::read(&parse_row(row.to_string().as_bytes(), now).unwrap())
    };
    let line = |id: &str, pending, minor| booked("2026-11-03T10:00:00Z", id, pending, minor);
    let counts = |lines: Vec<PastLine>| {
        let plan = Plan::new(&terms(|_| {}), lines);
        (plan.lines, plan.skipped.duplicate, plan.entries())
    };
    // Booked under its own id first, then under the one it had while pending, and the other way
    // round.
    assert_eq!(counts(vec![line("b", Some("p"), 500), line("p", None, 500)]), (1, 1, 1));
    assert_eq!(counts(vec![line("p", None, 500), line("b", Some("p"), 500)]), (1, 1, 1));
    // The ledger does not remember when a linked name was booked.
    let later = booked("2026-12-20T10:00:00Z", "c", Some("b"), 500);
    assert_eq!(counts(vec![line("p", None, 500), line("b", Some("p"), 500), later]), (1, 2, 1));
    // Another amount is another purchase.
    assert_eq!(counts(vec![line("p", None, 500), line("b", Some("p"), 501)]), (2, 0, 2));
}

#[test]
fn who_was_excluded_is_excluded_here() {
    let lines = past(300).into_iter().map(|line| PastLine { excluded: true, ..line });
    let plan = Plan::new(&terms(|_| {}), lines);
    let summary = plan.summarise(&[plan.run(1, &mut Scratch::default())]).unwrap();
    assert_eq!((summary.admitted, summary.declined_by_rule["account_excluded"]), (0, 300));
    // One line later he may take part again.
    let lines = past(300).into_iter().enumerate();
    let lines = lines.map(|(n, line)| PastLine { excluded: n < 200, ..line });
    assert!(Plan::new(&terms(|_| {}), lines).entries() > 50);
}

#[test]
fn quantiles_are_values_that_came_up() {
    let quantiles = Quantiles::of((1..=100).collect()).unwrap();
    assert_eq!((quantiles.p5, quantiles.p50, quantiles.p95, quantiles.p99), (5, 50, 95, 99));
    assert_eq!(Quantiles::of(vec![3]).unwrap().p5, 3);
    assert!(Quantiles::<i64>::of(vec![]).is_none());
}
