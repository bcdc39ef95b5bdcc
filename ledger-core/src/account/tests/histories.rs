//! What holds after any history of one account.

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::Aggregate;
use proptest::prelude::*;

use super::*;
use crate::account::state::PENDING_MAX;
use crate::aggregate::Decides as _;
use crate::posting::{Posting, Side};

/// One step of a history: what is asked, of which line, under which attempt.
type Step = (u8, u8, u32);

/// The engine's memory beside the account: what the log has under a key.
type Log = BTreeMap<TransactionKey, Known>;

fn command((what, which, attempt): Step, log: &Log) -> (Option<TransactionKey>, CommandKind) {
    let id = format!("t{}", which % 4);
    let entry_id = entry(&id);
    let ask = |transaction: PreparedTransaction, offer: Offer, resume: bool| {
        let key = (transaction.status != Status::Pending).then_some(transaction.key);
        let evaluate = EvaluateTransaction {
            known: log.get(&transaction.key).cloned(),
            pending_known: transaction.pending_key().and_then(|key| log.get(&key).cloned()),
            open_unknown: true,
            resume,
            ..evaluation(transaction, vec![offer])
        };
        (key, CommandKind::EvaluateTransaction(evaluate))
    };
    let reason = || "because".to_owned();
    let kind = match what {
        0 | 1 => return ask(purchase(&id), offer_of(everyone()), false),
        2 => return ask(purchase_once(&id, "t0"), offer_of(everyone()), false),
        3 => return ask(purchase(&id), offer_in(EpochOffer::NotOpen), false),
        4 => return ask(pending(&id), offer(), false),
        5 => return ask(removal(&id), offer(), false),
        6 => return ask(purchase(&id), offer_of(everyone()), true),
        7 | 8 => CommandKind::IssueReward { entry_id },
        9 | 10 => CommandKind::RequestCredit { entry_id },
        11 | 12 => CommandKind::ConfirmCredit {
            entry_id,
            attempt,
            payout_reference: format!("pay_{}", which / 4).parse().unwrap(),
        },
        13 => CommandKind::FailCredit { entry_id, attempt, reason: reason() },
        14 => CommandKind::ReverseReward { entry_id, reason: reason() },
        15 => CommandKind::RecordNotification { entry_id },
        16 if which == 0 => CommandKind::Close { reason: reason() },
        16 => CommandKind::Exclude { kind: Exclusion::Other, reason: reason() },
        17 => CommandKind::Reinstate { reason: reason() },
        18 | 19 => review(&id, Verdict::Released),
        _ => review(&id, Verdict::Dismissed),
    };
    (None, kind)
}

fn everyone() -> Terms {
    Terms { eligible_from: EligibleFrom::CampaignStart, ..terms() }
}

/// Runs a history as the engine would: accepted events are applied, new keys remembered.
fn run(steps: &[Step]) -> (RewardAccount, Vec<AccountEvent>) {
    let (mut account, mut events, mut log) = (RewardAccount::default(), vec![], Log::new());
    for step in steps {
        let (key, kind) = command(*step, &log);
        let Ok((new, _)) = account.decide(at(NOW), if step.2 % 2 == 0 { "alice" } else { "bob" }, &kind)
        else {
            continue;
        };
        if let (Some(key), false) = (key, new.is_empty()) {
            let booked = matches!(&kind, CommandKind::EvaluateTransaction(e) if e.transaction.status == Status::Booked);
            log.entry(key).or_insert(if booked { known(12_50) } else { known_removed() });
        }
        for event in &new {
            account.apply(event.clone());
        }
        events.extend(new);
    }
    (account, events)
}

/// Credits less debits of one ledger account.
fn balance(events: &[AccountEvent], account: &str) -> i64 {
    let entries = events.iter().filter_map(AccountEvent::posting).flat_map(Posting::entries);
    let signed = entries.filter(|entry| entry.account == account).map(|entry| match entry.side {
        Side::Credit => entry.amount.minor(),
        Side::Debit => -entry.amount.minor(),
    });
    signed.sum()
}

fn total(events: &[AccountEvent], name: &str) -> i64 {
    let of = |event: &AccountEvent| match event {
        AccountEvent::RewardIssued { amount, .. }
        | AccountEvent::RewardCredited { amount, .. }
        | AccountEvent::RewardReversed { amount, .. } => amount.minor(),
        _ => 0,
    };
    events.iter().filter(|event| event.name() == name).map(of).sum()
}

fn count(events: &[AccountEvent], id: EntryId, name: &str) -> usize {
    let about = |event: &&AccountEvent| match event {
        AccountEvent::RewardIssued { entry_id, .. }
        | AccountEvent::CustomerNotified { entry_id, .. }
        | AccountEvent::RewardCredited { entry_id, .. }
        | AccountEvent::RewardReversed { entry_id, .. } => *entry_id == id && event.name() == name,
        AccountEvent::TransactionEvaluated { draws, .. } => {
            event.name() == name && draws.iter().any(|draw| draw.entry_id == id)
        }
        _ => false,
    };
    events.iter().filter(about).count()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_replay_of_the_log_and_a_snapshot_both_equal_the_running_state(
        steps in prop::collection::vec((0_u8..21, 0_u8..8, 0_u32..4), 0..60),
    ) {
        let (account, events) = run(&steps);
        let mut replayed = RewardAccount::default();
        for event in &events {
            let stored = serde_json::to_vec(event).unwrap();
            replayed.apply(serde_json::from_slice(&stored).unwrap());
        }
        prop_assert_eq!(&replayed, &account);
        let snapshot = serde_json::to_vec(&account).unwrap();
        prop_assert_eq!(serde_json::from_slice::<RewardAccount>(&snapshot).unwrap(), account);
    }

    #[test]
    fn each_line_is_drawn_and_each_reward_issued_credited_and_reversed_at_most_once(
        steps in prop::collection::vec((0_u8..21, 0_u8..8, 0_u32..4), 0..60),
    ) {
        let (_, events) = run(&steps);
        for id in ["t0", "t1", "t2", "t3"].map(entry) {
            for name in ["TransactionEvaluated", "RewardIssued", "CustomerNotified", "RewardCredited", "RewardReversed"] {
                prop_assert!(count(&events, id, name) <= 1, "{name} of {id}");
            }
        }
    }

    #[test]
    fn a_line_is_decided_after_a_hold_only_if_two_people_released_it_and_nothing_after_they_dismissed_it(
        steps in prop::collection::vec((prop::sample::select(vec![0_u8, 3, 5, 5, 6, 18, 18, 20]), 0_u8..2, 0_u32..4), 0..60),
    ) {
        let (_, events) = run(&steps);
        let (mut decided, mut held, mut dismissed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for event in &events {
            let id = |line: &Line| line.transaction_id.clone();
            let about = match event {
                AccountEvent::TransactionDeferred { line, reason } => {
                    if *reason == DeferReason::Held {
                        held.insert(id(line));
                    }
                    id(line)
                }
                AccountEvent::TransactionEvaluated { line, .. } => {
                    prop_assert!(!held.contains(&id(line)) && decided.insert(id(line)));
                    id(line)
                }
                AccountEvent::TransactionRemoved { transaction_id, .. } => transaction_id.clone(),
                AccountEvent::TransactionReviewed { transaction_id, verdict, proposed_by, by, .. } => {
                    prop_assert!(proposed_by != by && held.remove(transaction_id));
                    if *verdict == Verdict::Dismissed {
                        prop_assert!(dismissed.insert(transaction_id.clone()));
                        continue;
                    }
                    transaction_id.clone()
                }
                _ => continue,
            };
            prop_assert!(!dismissed.contains(&about));
        }
    }

    #[test]
    fn what_is_outstanding_is_what_the_books_say(
        steps in prop::collection::vec((0_u8..21, 0_u8..8, 0_u32..4), 0..60),
    ) {
        let (account, events) = run(&steps);
        let outstanding = total(&events, "RewardIssued") - total(&events, "RewardCredited") - total(&events, "RewardReversed");
        let payable = balance(&events, "rewards-payable");
        let receivable = -balance(&events, "customer-receivable");
        prop_assert_eq!(outstanding, payable - receivable);
        prop_assert!(payable >= 0 && receivable >= 0);
        let owed: i64 = account.rewards().map(|(_, reward)| {
            let parts = [reward.issued, reward.credited.is_some(), reward.reversed].map(i64::from);
            (parts[0] - parts[1] - parts[2]) * reward.amount.minor()
        }).sum();
        prop_assert_eq!(owed, outstanding);
    }
}

/// A property over histories in which nobody is ever paid would prove nothing.
#[test]
fn a_history_reaches_every_end() {
    let pay = |which, attempt| [(0, which, 0), (7, which, 0), (9, which, 0), (11, which, attempt)];
    let steps = [pay(0, 1), pay(1, 1)].concat();
    let steps = [steps.as_slice(), &[(14, 1, 0), (5, 0, 0), (1, 0, 0)]].concat();
    let (account, events) = run(&steps);
    assert_eq!(total(&events, "RewardCredited"), 10_00);
    assert_eq!(total(&events, "RewardReversed"), 10_00);
    assert_eq!(balance(&events, "customer-receivable"), -10_00);
    assert_eq!(account.proposal(key("t0")), None);
    assert!(account.is_held(key("t0")));
    // Taken back unseen, booked, released by two people and drawn; another one dismissed.
    let steps = [
        (5, 0, 0),
        (0, 0, 0),
        (18, 0, 0),
        (18, 0, 1),
        (6, 0, 0),
        (5, 1, 0),
        (0, 1, 0),
        (20, 1, 0),
        (20, 1, 1),
    ];
    let names: Vec<_> =
        run(&steps).1.iter().map(AccountEvent::name).filter(|name| name.starts_with("Tr")).collect();
    let reviewed = ["TransactionRemoved", "TransactionDeferred", "TransactionReviewed"];
    assert_eq!(names, [&reviewed[..], &["TransactionEvaluated"], &reviewed].concat());
}

#[test]
fn an_account_remembers_a_bounded_number_of_pending_lines() {
    let ids = (0..=PENDING_MAX).map(|n| format!("p{n}"));
    let noted = ids.map(|id| AccountEvent::TransactionNoted { line: pending(&id).line });
    let account = given([opened()].into_iter().chain(noted));
    assert_eq!(account.state.pending.len(), PENDING_MAX);
    account.clone().when(evaluate(pending("p0"), offer())).then_answers(AccountAnswer::Noted);
    let kept = account.when(evaluate(pending("p1"), offer()));
    kept.then_only_answers(AccountAnswer::Duplicate { position: None });
}
