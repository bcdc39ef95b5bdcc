//! The read models held against the state of accounts, campaigns and books, which a replay makes of the log by other
//! code than theirs.
//!
//! [`compare`](crate::rebuild::compare) folds the log a second time by the same code, so it cannot see what that code
//! gets wrong. Here a line is removed where its account says that the bank took it back, and nowhere else.

use std::collections::{BTreeMap, HashMap, HashSet};

use ledger_core::account::RewardAccount;
use ledger_core::account::line::LineStanding;
use ledger_core::account::state::Reward;
use ledger_core::ids::{EntryId, Source, TransactionId, TransactionKey};
use ledger_core::log::EventLog;
use ledger_core::stated::{Shown, Stated};

use crate::connection::{Access, Connection, Value};
use crate::error::ProjectionError;
use crate::projection::{self, Projection, Table};
use crate::rebuild::Walk;
use crate::store::ReadStore;

/// Findings kept in words; more are only counted.
const FINDINGS_MAX: usize = 100;

/// What the read models say that the log does not, or the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Disagreements {
    /// At most a hundred, in words.
    pub findings: Vec<String>,
    /// How many there are.
    pub findings_total: u64,
}

impl Disagreements {
    fn find(&mut self, projection: Projection, finding: &str) {
        self.findings_total += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(format!("{projection}: {finding}"));
        }
    }
}

/// Compares each read model, as of the position that it has reached, with the state that the log has there. Blocks
/// between awaits.
pub async fn disagreements<S: Stated>(
    log: &dyn EventLog,
    store: &ReadStore,
) -> Result<Disagreements, ProjectionError> {
    let running = store.connect(Access::Read)?;
    // The first read, of the checkpoints, fixes the snapshot.
    let running = running.begin(Access::Read)?;
    let mut targets = projection::checkpoints(&running)?;
    targets.sort_by_key(|(_, target)| *target);
    let (mut state, mut found) = (S::default(), Disagreements::default());
    for (projection, target) in targets {
        state.go_on_to(log, target).await?;
        let mut find = |finding: &str| found.find(projection, finding);
        match projection {
            Projection::Account => accounts(&running, &state, &mut find)?,
            Projection::Rewards => rewards(&running, &state, &mut find)?,
            Projection::Transactions => lines(&running, &state, &mut find)?,
            Projection::Campaigns => campaigns(&running, &state, &mut find)?,
            Projection::TrialBalance => books(&running, &state, &mut find)?,
        }
    }
    Ok(found)
}

type Find<'f> = &'f mut dyn FnMut(&str);

/// Columns of a table's rows, the key first, one row after the other.
fn each_row(
    conn: &Connection,
    name: &'static str,
    key_columns: usize,
    columns: &[&str],
    mut row: impl FnMut(&[Value<'static>]),
) -> Result<(), ProjectionError> {
    let columns: Vec<String> = columns.iter().map(|&column| column.into()).collect();
    let mut walk = Walk::start(conn, &Table { name, key_columns }, &columns)?;
    while let Some(values) = &walk.row {
        row(values);
        walk.step()?;
    }
    Ok(())
}

fn text<'v>(value: &'v Value<'_>) -> &'v str {
    value.text().unwrap_or_default()
}

fn number(value: &Value<'_>) -> i128 {
    value.integer().unwrap_or(-1).into()
}

fn stated(state: &impl Stated) -> impl Iterator<Item = (&str, &RewardAccount)> {
    state.accounts().iter().map(|(stream, account)| (stream.id.as_str(), account))
}

fn accounts(conn: &Connection, state: &impl Stated, find: Find<'_>) -> Result<(), ProjectionError> {
    let mut expected: HashMap<&str, _> = stated(state)
        .map(|(id, account)| (id, account.participation()))
        .filter(|(_, takes_part)| *takes_part != (false, false, false, false))
        .collect();
    let columns = ["account_id", "enrolled_at", "excluded_at", "closed_at", "erased_at"];
    each_row(conn, "accounts", 1, &columns, |row| {
        let is = |column: usize| row[column].integer().is_some();
        if expected.remove(text(&row[0])) != Some((is(1), is(2), is(3), is(4))) {
            find(&format!("account {} takes part otherwise by its own state", text(&row[0])));
        }
    })?;
    for id in expected.keys() {
        find(&format!("account {id} is not there"));
    }

    let mut expected: BTreeMap<(String, String), [i128; 4]> = BTreeMap::new();
    for (id, account) in stated(state) {
        for (_, reward) in account.rewards() {
            let balance = (id.to_owned(), reward.amount.currency().code().to_owned());
            let sums = expected.entry(balance).or_default();
            let counts = [true, reward.issued, reward.credited.is_some(), reward.reversed];
            for (sum, _) in sums.iter_mut().zip(counts).filter(|(_, counts)| *counts) {
                *sum += i128::from(reward.amount.minor());
            }
        }
    }
    let columns = ["account_id", "currency", "won_minor", "issued_minor", "credited_minor", "reversed_minor"];
    each_row(conn, "balances", 2, &columns, |row| {
        let sums = [2, 3, 4, 5].map(|column| number(&row[column]));
        let balance = (text(&row[0]).to_owned(), text(&row[1]).to_owned());
        if expected.remove(&balance).unwrap_or_default() != sums {
            find(&format!(
                "account {} has other balances in {} by its rewards",
                text(&row[0]),
                text(&row[1])
            ));
        }
    })?;
    for ((id, currency), _) in expected {
        find(&format!("account {id} has no balances in {currency}"));
    }
    Ok(())
}

fn rewards(conn: &Connection, state: &impl Stated, find: Find<'_>) -> Result<(), ProjectionError> {
    let mut expected: HashMap<EntryId, (&str, &Reward)> = HashMap::new();
    for (id, account) in stated(state) {
        expected.extend(account.rewards().map(|(entry, reward)| (*entry, (id, reward))));
    }
    let columns = [
        "position",
        "ordinal",
        "entry_id",
        "account_id",
        "amount_minor",
        "currency",
        "status",
        "attempt",
        "notified_at",
    ];
    each_row(conn, "rewards", 2, &columns, |row| {
        let entry = row[2].blob().and_then(|bytes| bytes.try_into().ok()).map(EntryId);
        let agrees = entry.and_then(|entry| expected.remove(&entry)).is_some_and(|(id, reward)| {
            let status = match reward {
                Reward { reversed: true, .. } => "reversed",
                Reward { credited: Some(_), .. } => "credited",
                Reward { refused: true, .. } => "credit_failed",
                Reward { issued: true, .. } => "issued",
                _ => "won",
            };
            let money = (i128::from(reward.amount.minor()), reward.amount.currency().code());
            id == text(&row[3])
                && money == (number(&row[4]), text(&row[5]))
                && status == text(&row[6])
                && i128::from(reward.attempts) == number(&row[7])
                && reward.notified == row[8].integer().is_some()
        });
        if !agrees {
            find(&format!("the reward won at {} stands otherwise by its account", number(&row[0])));
        }
    })?;
    for entry in expected.keys() {
        find(&format!("reward {entry} is not there"));
    }
    Ok(())
}

fn lines(conn: &Connection, state: &impl Stated, find: Find<'_>) -> Result<(), ProjectionError> {
    let states: HashMap<&str, &RewardAccount> = stated(state).collect();
    let (mut won, mut missing) = (HashSet::new(), HashSet::new());
    for account in states.values() {
        won.extend(account.rewards().map(|(_, reward)| reward.transaction_key));
        missing.extend(account.waiting_lines());
    }
    let stays = |(key, shown): (&TransactionKey, &Shown)| {
        (shown.decided || (shown.recorded && !shown.given_way)).then_some(*key)
    };
    missing.extend(state.shown().iter().filter_map(stays));
    let columns = ["position", "source", "transaction_id", "account_id", "status", "outcome"];
    each_row(conn, "transactions", 1, &columns, |row| {
        let (source, id, account) = (text(&row[1]), text(&row[2]), text(&row[3]));
        let (Ok(feed), Ok(transaction)) = (Source::parse(source), TransactionId::parse(id)) else {
            return find("a line has a name that none has");
        };
        let key = TransactionKey::of(&feed, &transaction);
        missing.remove(&key);
        let shown = state.shown().get(&key).copied().unwrap_or_default();
        let standing = states.get(account).and_then(|account| account.line_standing(key));
        let (is, should) = (text(&row[4]), status(standing, shown));
        if is != should {
            find(&format!("line {id} of {source} is {is}, by its account it is {should}"));
        }
        if (text(&row[5]) == "won") != won.contains(&key) {
            find(&format!("line {id} of {source} has won by its account or by the read model, not by both"));
        }
    })?;
    for key in &missing {
        find(&format!("the line of key {key} is not there"));
    }
    Ok(())
}

/// How a line is to be shown.
fn status(standing: Option<LineStanding>, shown: Shown) -> &'static str {
    match (standing, shown.decided) {
        (Some(LineStanding::Held), _) => "held",
        (Some(LineStanding::Waiting), _) => "deferred",
        // One that was decided before it was held goes back to what it was.
        (Some(LineStanding::TakenBack), _) | (Some(LineStanding::Dismissed), true) => "removed",
        (Some(LineStanding::Dismissed), false) | (Some(LineStanding::Pending) | None, true) => "booked",
        // The oldest pending lines are forgotten by their account.
        (Some(LineStanding::Pending) | None, false) if shown.recorded => "pending",
        (Some(LineStanding::Pending) | None, false) => "unknown",
    }
}

fn campaigns(conn: &Connection, state: &impl Stated, find: Find<'_>) -> Result<(), ProjectionError> {
    let mut expected: HashMap<&str, i64> = state
        .campaigns()
        .iter()
        .map(|(stream, campaign)| (stream.id.as_str(), campaign.spent_minor()))
        .collect();
    each_row(conn, "campaigns", 1, &["campaign_id", "spent_minor"], |row| {
        if expected.remove(text(&row[0])).map(i128::from) != Some(number(&row[1])) {
            find(&format!("campaign {} has spent something else by its own state", text(&row[0])));
        }
    })?;
    for id in expected.keys() {
        find(&format!("campaign {id} is not there"));
    }
    Ok(())
}

fn books(conn: &Connection, state: &impl Stated, find: Find<'_>) -> Result<(), ProjectionError> {
    let mut expected = state.balances().clone();
    let columns = ["ledger_account", "currency", "debits_minor", "credits_minor"];
    each_row(conn, "ledger_totals", 2, &columns, |row| {
        let (account, currency) = (text(&row[0]), text(&row[1]));
        let name = expected.keys().find(|(known, code)| known == account && *code == currency).cloned();
        let balance = name.and_then(|name| expected.remove(&name));
        if balance != Some(number(&row[2]) - number(&row[3])) {
            find(&format!("the books of {account} in {currency} differ"));
        }
    })?;
    for ((account, currency), _) in expected {
        find(&format!("there are no books of {account} in {currency}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ledger_core::account::AccountEvent;
    use ledger_core::account::event::{DeferReason, Line, Verdict};

    use super::*;
    use crate::fixtures::*;

    fn noted(id: &str) -> AccountEvent {
        AccountEvent::TransactionNoted { line: line(id) }
    }

    fn removed(id: &str, undecided: bool) -> AccountEvent {
        let (source, transaction_id) = (source(), tx(id));
        AccountEvent::TransactionRemoved {
            source,
            transaction_id,
            removed_at: at(50),
            undecided,
            named: None,
        }
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
                    "line won of bank has won",
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
                assert!(
                    found.findings.iter().any(|finding| finding.contains(expected)),
                    "{expected}: {found:?}"
                );
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
}
