//! Random histories of a campaign's money over several days: wins and removals, fundings by one and
//! two people, revisions of prizes and inventory, halts and resumptions, days that pass, while the
//! log fails and processes die. At every position no more is won than was funded and given back,
//! and every cap, mask and running total follows from the events before it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ledger_core::account::AccountEvent;
use ledger_core::campaign::terms::Terms;
use ledger_core::campaign::{CampaignCommandKind, CampaignEvent};
use ledger_core::engine::{CommandContext, SubmitError};
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::CampaignId;
use ledger_core::log::StoredEvent;
use ledger_core::time::{Clock as _, Epoch};
use serde_json::{Value, json};
use support::{Fault, SimulatedLog};

use crate::check::sound;
use crate::world::{Dice, HOUR_MICROS, Node, World, campaign_id, gbp, row, terms, with};

/// How often something is given again.
const TRIES: usize = 50;

/// What a campaign's account comes to, from the events alone.
#[derive(Default)]
struct Account {
    funded: i64,
    won: i64,
    returned: i64,
    /// What `BudgetSpent` has said of `returned`: caps are made of that.
    recorded: i64,
    tier_wins: BTreeMap<String, u64>,
    tiers: BTreeMap<Epoch, Vec<String>>,
}

/// How much of what the histories are about has come up.
#[derive(Default)]
struct Seen {
    masked_by_budget: usize,
    masked_by_inventory: usize,
    raised_caps: usize,
    returns: usize,
    two_people: usize,
    halted: usize,
}

/// Derives every figure of the budget again.
fn derive(events: &[StoredEvent], seen: &mut Seen) {
    let mut accounts: BTreeMap<CampaignId, Account> = BTreeMap::new();
    let mut first_caps: BTreeMap<CampaignId, i64> = BTreeMap::new();
    for stored in events {
        let place = stored.position;
        match decode(stored).unwrap() {
            LedgerEvent::Account(event) => of_account(&event, &mut accounts, seen),
            LedgerEvent::Campaign(event) => {
                let id: CampaignId = stored.stream.id.parse().unwrap();
                let account = accounts.entry(id.clone()).or_default();
                if let CampaignEvent::EpochOpened { budget_cap_minor, .. } = &event {
                    let first = *first_caps.entry(id).or_insert(*budget_cap_minor);
                    seen.raised_caps += usize::from(*budget_cap_minor > first);
                }
                of_campaign(event, account, seen, &place.to_string());
            }
            LedgerEvent::System(_) => {}
        }
        for account in accounts.values() {
            assert!(
                account.won <= account.funded + account.returned,
                "more was won than there is at {place}"
            );
        }
    }
}

fn of_account(event: &AccountEvent, accounts: &mut BTreeMap<CampaignId, Account>, seen: &mut Seen) {
    match event {
        AccountEvent::TransactionEvaluated { draws, .. } => {
            for draw in draws {
                let account = accounts.get_mut(&draw.campaign_id).unwrap();
                let tiers = &account.tiers[&draw.epoch];
                if draw.tier_mask != 0 {
                    let of_budget = draw.budget_left_minor < 700;
                    seen.masked_by_budget += usize::from(of_budget);
                    seen.masked_by_inventory += usize::from(!of_budget);
                }
                if let (Some(tier), Some(amount)) = (draw.tier, draw.amount) {
                    account.won += amount.minor();
                    *account.tier_wins.entry(tiers[tier as usize].clone()).or_default() += 1;
                }
            }
        }
        AccountEvent::RewardReversed { campaign_id, amount, budget_returned: true, .. } => {
            accounts.get_mut(campaign_id).unwrap().returned += amount.minor();
            seen.returns += 1;
        }
        _ => {}
    }
}

fn of_campaign(event: CampaignEvent, account: &mut Account, seen: &mut Seen, place: &str) {
    match event {
        CampaignEvent::BudgetFunded { amount, funded_minor, .. } => {
            account.funded += amount.minor();
            assert_eq!(account.funded, funded_minor, "funded at {place}");
        }
        CampaignEvent::FundingProposed { .. } => seen.two_people += 1,
        CampaignEvent::EpochHalted { .. } => seen.halted += 1,
        CampaignEvent::BudgetSpent { spent_minor, reversed_minor, tier_wins, .. } => {
            assert_eq!((account.won, account.returned), (spent_minor, reversed_minor), "spent at {place}");
            for (tier, wins) in tier_wins {
                assert_eq!(account.tier_wins.get(&tier), Some(&wins), "wins of {tier} at {place}");
            }
            account.recorded = reversed_minor;
        }
        CampaignEvent::EpochScheduled { epoch, prize_table, .. } => {
            account.tiers.insert(epoch, prize_table.tiers.into_iter().map(|tier| tier.name).collect());
        }
        CampaignEvent::EpochOpened { budget_cap_minor, .. } => {
            assert_eq!(budget_cap_minor, account.funded + account.recorded, "cap at {place}");
        }
        _ => {}
    }
}

/// What somebody does with the campaign.
fn command(dice: &mut Dice, n: usize, today: Epoch) -> (&'static str, CampaignCommandKind) {
    let by = ["alice", "bob"][dice.below(2)];
    let reason = || "of the test".to_owned();
    let kind = match dice.below(9) {
        0 | 1 => CampaignCommandKind::Fund {
            amount: gbp(100 + i64::try_from(dice.below(900)).unwrap()),
            reference: format!("po-{}", dice.below(12)),
        },
        2 => CampaignCommandKind::ApproveFunding { reference: format!("po-{}", dice.below(12)) },
        3 => CampaignCommandKind::Revise(Box::new(revised(dice, n))),
        4 => CampaignCommandKind::Approve { version: None },
        5 => CampaignCommandKind::HaltEpoch { epoch: today, reason: reason() },
        6 => CampaignCommandKind::ResumeEpoch { epoch: today, reason: reason() },
        7 => CampaignCommandKind::Pause { reason: reason() },
        _ => CampaignCommandKind::Resume,
    };
    (by, kind)
}

fn first_terms(dice: &mut Dice) -> Terms {
    terms(|terms| {
        if dice.one_in(2) {
            terms["inventory"] = json!({ "small": 1 + dice.below(6) });
        }
        terms["budget"]["minor"] = json!(2_500);
        terms["funding_limit_minor"] = json!(600);
    })
}

fn revised(dice: &mut Dice, n: usize) -> Terms {
    terms(|terms| {
        terms["name"] = json!(format!("Revision {n}"));
        terms["budget"]["minor"] = json!(2_500);
        terms["funding_limit_minor"] = json!(600);
        if dice.one_in(2) {
            terms["inventory"] = json!({ "small": 2 + dice.below(6), "share": 9 });
        }
        if dice.one_in(2) {
            terms["prize_table"]["tiers"][1]["prize"]["fixed"] = json!(120);
        }
    })
}

/// What becomes of a process that did not answer: killed if it cannot write any more, or has not
/// for a while.
async fn restarted(world: &World, log: &SimulatedLog, node: Node, error: &SubmitError, again: usize) -> Node {
    if matches!(error, SubmitError::NotWriter) || again % 3 == 2 {
        drop(node);
        world.start(Arc::new(log.reopen())).await
    } else {
        node
    }
}

/// Gives the command until it is answered, as an operator would.
async fn insist(
    world: &World,
    log: &SimulatedLog,
    mut node: Node,
    by: &str,
    kind: &CampaignCommandKind,
) -> Node {
    for again in 0..TRIES {
        let context = CommandContext::new(by, "", "");
        match node.ledger.campaign(campaign_id(), kind.clone(), context).await {
            Ok(_) => return node,
            Err(error) => node = restarted(world, log, node, &error, again).await,
        }
    }
    panic!("{kind:?} is never answered");
}

/// Sends the rows until they are answered, as a feed would.
async fn take(world: &World, log: &SimulatedLog, mut node: Node, rows: &[Value]) -> Node {
    for again in 0..TRIES {
        match node.try_take(rows).await {
            Ok(_) => return node,
            Err(error) => node = restarted(world, log, node, &error, again).await,
        }
    }
    panic!("the rows are never answered");
}

fn fault(log: &SimulatedLog, dice: &mut Dice) {
    let faults = [
        Fault::FailBeforeCommit,
        Fault::FailAfterCommit,
        Fault::LandLate,
        Fault::LoseReply(Duration::from_micros(50)),
        Fault::CrashBeforeCommit,
        Fault::CrashAfterCommit,
    ];
    log.faults().after(dice.below(3), faults[dice.below(faults.len())]);
}

async fn history(seed: u64, seen: &mut Seen) {
    let dice = &mut Dice(seed);
    let world = World::new();
    let log = SimulatedLog::new();
    let mut node = world.start(Arc::new(log.reopen())).await;
    node.run(first_terms(dice)).await;
    let mut lines: Vec<Value> = Vec::new();
    for n in 0..60 {
        if dice.one_in(3) {
            fault(&log, dice);
        }
        let today = Epoch::of(world.clock.now());
        match dice.below(6) {
            0 => world.clock.advance(i64::try_from(1 + dice.below(30)).unwrap() * HOUR_MICROS),
            1 | 2 => {
                let (by, kind) = command(dice, n, today);
                node = insist(&world, &log, node, by, &kind).await;
            }
            // Lines taken back, and some of them brought again.
            3 if !lines.is_empty() => {
                let from = dice.below(lines.len());
                let back: Vec<_> =
                    lines[from..].iter().take(4).map(|line| with(line, "status", "removed")).collect();
                node = take(&world, &log, node, &back).await;
            }
            _ => {
                // Of today and, within its grace, of yesterday.
                let day = if dice.one_in(4) { Epoch::on(today.date().pred_opt().unwrap()) } else { today };
                let booked_at = day.opens_at().plus_micros(HOUR_MICROS).to_string();
                let new: Vec<_> = (0..=dice.below(12))
                    .map(|m| {
                        with(
                            &row(&format!("tx-{n}-{m}"), &format!("cus-{}", m % 4)),
                            "booked_at",
                            &*booked_at,
                        )
                    })
                    .collect();
                node = take(&world, &log, node, &new).await;
                lines.extend(new);
            }
        }
    }
    drop(node);
    let events = log.events();
    sound(&events, &*world.seeds);
    derive(&events, seen);
}

#[tokio::test(start_paused = true)]
async fn a_campaign_never_pays_more_than_its_budget_whatever_happens() {
    let mut seen = Seen::default();
    for seed in 0..120 {
        history(seed, &mut seen).await;
    }
    // Histories in which nothing binds would show nothing.
    let Seen { masked_by_budget, masked_by_inventory, raised_caps, returns, two_people, halted } = seen;
    for (what, often) in [
        ("masked by the budget", masked_by_budget),
        ("masked by an inventory", masked_by_inventory),
        ("opened with more than the first day", raised_caps),
        ("given back", returns),
        ("proposed for a second person", two_people),
        ("halted", halted),
    ] {
        assert!(often >= 20, "{what}: only {often} times");
    }
}
