//! The read models held against the state of accounts, campaigns and books, which a replay makes of
//! the log by other code than theirs.
//!
//! [`compare`](crate::rebuild::compare) folds the log a second time by the same code, so it cannot
//! see what that code gets wrong. Here a line is removed where its account says that the bank took
//! it back, and nowhere else.

use std::collections::{BTreeMap, HashMap, HashSet};

use ledger_core::account::RewardAccount;
use ledger_core::account::line::LineStanding;
use ledger_core::account::state::Reward;
use ledger_core::ids::{EntryId, Source, TransactionId, TransactionKey};
use ledger_core::log::EventLog;
use ledger_core::stated::{Shown, Stated};

use crate::connection::{Access, Connection, Value};
use crate::cursor::cursors;
use crate::error::ProjectionError;
use crate::projection::Projection;
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

/// Compares each read model, as of the position that it has reached, with the state that the log
/// has there. Blocks between awaits.
pub async fn disagreements<S: Stated>(
    log: &dyn EventLog,
    store: &ReadStore,
) -> Result<Disagreements, ProjectionError> {
    let running = store.connect(Access::Read)?;
    // The first read, of the cursors, fixes the snapshot.
    let running = running.begin(Access::Read)?;
    let mut targets = cursors(&running)?;
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
    let mut walk = Walk::start(conn, name, key_columns, columns)?;
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
            return find("a transaction has a name that is not allowed");
        };
        let key = TransactionKey::of(&feed, &transaction);
        missing.remove(&key);
        let shown = state.shown().get(&key).copied().unwrap_or_default();
        let standing = states.get(account).and_then(|account| account.line_standing(key));
        let (is, should) = (text(&row[4]), status(standing, shown));
        if is != should {
            find(&format!("transaction {id} of {source} is {is}, by its account it is {should}"));
        }
        if (text(&row[5]) == "won") != won.contains(&key) {
            find(&format!(
                "transaction {id} of {source} has won by its account or by the read model, not by both"
            ));
        }
    })?;
    for key in &missing {
        find(&format!("the transaction of key {key} is not there"));
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
mod tests;
