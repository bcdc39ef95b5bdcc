//! Honest read models agree; each thing they may say otherwise is named.

use std::sync::Arc;

use ledger_core::account::AccountEvent;
use ledger_core::account::event::{DeferReason, Line, Verdict};
use ledger_core::campaign::CampaignEvent;
use ledger_core::money::Money;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::fixtures::*;

fn noted(id: &str) -> AccountEvent {
    AccountEvent::TransactionNoted { line: line(id) }
}

fn removed(id: &str, undecided: bool) -> AccountEvent {
    let (source, transaction_id) = (source(), tx(id));
    AccountEvent::TransactionRemoved { source, transaction_id, removed_at: at(50), undecided, named: None }
}

fn settled(pending: &str, id: &str) -> AccountEvent {
    evaluated(Line { pending_transaction_id: Some(tx(pending)), ..line(id) }, Some((1, 100)))
}

/// A line of every kind, and what follows a win.
fn history() -> Arc<TestLog> {
    let log = TestLog::with_campaign();
    let linked = AccountEvent::TransactionLinked {
        source: source(),
        transaction_id: tx("other-name"),
        linked_to: tx("won"),
        fingerprint: None,
        fingerprint_version: 1,
    };
    let held = |id| deferred(id, DeferReason::Held);
    log.account("a", [opened(), won("won", 100), lost("lost"), linked]);
    log.account("a", [issued("won", 100), requested("won", 1, 100), credited("won", 1, 100, false)]);
    log.account("a", [noted("pending"), deferred("waits", DeferReason::EpochNotOpen)]);
    log.account("a", [noted("p1"), settled("p1", "settled"), removed("p1", false)]);
    log.account("a", [lost("taken back"), removed("taken back", false), removed("never seen", true)]);
    log.account("a", [removed("held", true), held("held")]);
    log.account("a", [removed("free", true), held("free"), reviewed("free", Verdict::Released)]);
    log.account("a", [removed("out", true), held("out"), reviewed("out", Verdict::Dismissed)]);
    log.account("a", [lost("back"), removed("back", false), held("back")]);
    log.account("a", [reviewed("back", Verdict::Dismissed)]);
    log.account(
        "b",
        [opened(), noted("of b"), removed("of b", true), won("b's", 5_000), issued("b's", 5_000)],
    );
    log.account("b", [noted("p2"), noted("pending"), reversed("b's", 5_000, false)]);
    Arc::new(log)
}

fn found(log: &TestLog, store: &TestStore) -> Disagreements {
    block_on(disagreements::<audit::replay::Replay>(log, &store.store)).unwrap()
}

#[test]
fn honest_read_models_agree_with_the_state_of_every_account() {
    on_both(|place| {
        let (log, store) = (history(), place.store());
        store.follow(&log, 3).unwrap();
        // Books and spend have no part in this made-up log: its campaign records none.
        let mut found = found(&log, &store);
        found.findings.retain(|finding| !finding.starts_with("campaigns: "));
        assert_eq!(found.findings, Vec::<String>::new());
    });
}

#[test]
fn what_the_read_models_say_otherwise_than_the_account_is_named() {
    on_both(|place| {
        for (tamper, expected) in [
            (
                "UPDATE transactions SET status = 'removed' WHERE transaction_id = 'settled'",
                "settled of bank is removed, by its account it is booked",
            ),
            (
                "UPDATE transactions SET status = 'booked' WHERE transaction_id = 'taken back'",
                "taken back of bank is booked, by its account it is removed",
            ),
            (
                "UPDATE transactions SET status = 'pending' WHERE transaction_id = 'held'",
                "by its account it is held",
            ),
            (
                "UPDATE transactions SET outcome = 'lost' WHERE transaction_id = 'won'",
                "transaction won of bank has won",
            ),
            ("DELETE FROM transactions WHERE transaction_id = 'waits'", "is not there"),
            (
                "UPDATE balances SET credited_minor = 0 WHERE account_id = 'a'",
                "account a has other balances in GBP",
            ),
            ("DELETE FROM balances WHERE account_id = 'b'", "account b has no balances"),
            ("UPDATE rewards SET status = 'issued'", "stands otherwise by its account"),
            ("UPDATE rewards SET attempt = attempt + 1", "stands otherwise by its account"),
            ("UPDATE rewards SET notified_at = 1", "stands otherwise by its account"),
            ("UPDATE rewards SET amount_minor = amount_minor + 1", "stands otherwise by its account"),
            ("UPDATE rewards SET account_id = 'b'", "stands otherwise by its account"),
            ("DELETE FROM rewards WHERE transaction_id = 'won'", "is not there"),
            ("UPDATE accounts SET closed_at = 1", "account a takes part otherwise"),
            ("UPDATE ledger_totals SET debits_minor = debits_minor + 1", "the books of"),
            ("DELETE FROM ledger_totals", "there are no books of"),
        ] {
            let (log, store) = (history(), place.store());
            store.follow(&log, 100).unwrap();
            store.tamper(tamper);
            let found = found(&log, &store);
            assert!(found.findings.iter().any(|finding| finding.contains(expected)), "{expected}: {found:?}");
        }
    });
}

#[test]
fn what_a_campaign_has_spent_otherwise_than_by_its_own_state_is_named() {
    on_both(|place| {
        // Without a win, so that honest ones agree.
        let (log, store) = (Arc::new(TestLog::with_campaign()), place.store());
        store.follow(&log, 3).unwrap();
        assert_eq!(found(&log, &store).findings, Vec::<String>::new());
        store.tamper("UPDATE campaigns SET spent_minor = spent_minor + 1");
        let found = found(&log, &store).findings;
        assert!(found.len() == 1 && found[0].contains("has spent something else"), "{found:?}");
    });
}

/// Lines that become one thing or another, all at once: their accounts, what happens to each, and whose turn it is.
fn histories() -> impl Strategy<Value = (Vec<(String, Vec<AccountEvent>)>, Vec<usize>)> {
    prop::collection::vec((0_u8..3, FATES, 1_i64..5_000), 0..20).prop_flat_map(|fates| {
        let fates = fates.into_iter().enumerate();
        let stories: Vec<_> = fates
            .map(|(n, (account, fate, minor))| {
                (format!("a{account}"), story(&format!("t{n}"), &format!("p{n}"), fate, minor))
            })
            .collect();
        let turns = stories.iter().enumerate().flat_map(|(n, (_, story))| vec![n; story.len()]);
        let turns = turns.collect::<Vec<_>>();
        (Just(stories), Just(turns).prop_shuffle())
    })
}

/// As the writer leaves it: a campaign records its spend after every win.
fn logged((stories, turns): (Vec<(String, Vec<AccountEvent>)>, Vec<usize>)) -> Arc<TestLog> {
    let log = TestLog::with_campaign();
    let (mut spent_minor, mut told) = (0, vec![0; stories.len()]);
    for turn in turns {
        let (account, story) = &stories[turn];
        let event = story[told[turn]].clone();
        told[turn] += 1;
        let won: i64 = match &event {
            AccountEvent::TransactionEvaluated { draws, .. } => {
                draws.iter().filter_map(|draw| draw.amount).map(Money::minor).sum()
            }
            _ => 0,
        };
        log.account(account, [event]);
        if won > 0 {
            spent_minor += won;
            let tier_wins = BTreeMap::new();
            log.campaign([CampaignEvent::BudgetSpent {
                spent_minor,
                reversed_minor: 0,
                tier_wins,
                version: 1,
            }]);
        }
    }
    Arc::new(log)
}

#[test]
fn whatever_its_pages_a_random_history_gives_the_tables_of_one_page_and_those_the_state_asks_for() {
    on_both(|place| {
        let cases = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
        let mut cases = TestRunner::new(cases);
        let pages = prop_oneof![1 => Just(1), 3 => 2_usize..40];
        let same = |(page, history)| {
            let (log, store) = (logged(history), place.store());
            store.follow(&log, page).unwrap();
            // Folded in one page, by the same code.
            let reports = store.compare(&log);
            prop_assert!(reports.iter().all(|r| r.rows_changed == 0), "{:?}", reports);
            // By other code.
            prop_assert_eq!(found(&log, &store), Disagreements::default());
            Ok(())
        };
        cases.run(&(pages, histories()), same).unwrap();
    });
}
