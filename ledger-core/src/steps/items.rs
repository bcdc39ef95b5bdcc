//! Items of steps that are not done: tried again later, or parked for a person. Rows beside the cursors, changed in the
//! same transaction as these, so that a cursor passes an item only once its row is there.
//!
//! What a person decided about an item is an event of the log; here it is a copy that the step has followed.

mod columns;
mod commit;

use columns::{as_text, of_postgres, of_sqlite};
use commit::{commit_postgres, commit_sqlite};
use serde::{Deserialize, Serialize};

use super::checkpoints::{CheckpointError, Checkpoints, Store, lock};
use crate::log::Position;
use crate::postgres::Fault;
use crate::system::ParkedAction;
use crate::time::Timestamp;

/// One item that is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRow {
    /// Names it for ever: step, place of its event, and which of the event's items it is.
    pub id: String,
    /// Whose it is.
    pub step: String,
    /// Its event's place in the log.
    pub position: u64,
    /// The account whose event made it.
    pub account: String,
    /// Which of the event's items.
    pub key: String,
    /// Whether it is tried again by itself.
    pub state: ItemState,
    /// How often it was tried in a row.
    pub attempts: u32,
    /// When it is tried again, in microseconds of UTC.
    pub next_at: i64,
    /// Why it is not done.
    pub reason: String,
    /// When it was first tried in vain, in microseconds of UTC.
    pub since: i64,
    /// What else ends its wait; empty for nothing.
    pub wakes: String,
    /// Which attempt to pay it is about.
    pub about: Option<u32>,
    /// What a person decided, still to be done.
    #[serde(with = "as_text")]
    pub act: Option<Act>,
    /// What one person has proposed.
    #[serde(with = "as_text")]
    pub proposed: Option<Proposed>,
    /// The place of the last event of a person's that it has followed; 0 for none.
    pub decided: u64,
}

/// How an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// The step tries again by itself.
    Waiting,
    /// The step has given it up: a person decides.
    Parked,
}

impl ItemState {
    /// The word in the column and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ItemState::Waiting => "waiting",
            ItemState::Parked => "parked",
        }
    }
}

/// What a person decided about an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// What.
    pub action: ParkedAction,
    /// Which attempt to pay it is about.
    pub about: Option<u32>,
    /// Why.
    pub reason: String,
}

/// What one person has proposed, and who.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// What.
    pub action: ParkedAction,
    /// Who.
    pub by: String,
}

/// One change of the rows of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The item is not done: this is its row.
    Put(Box<ItemRow>),
    /// The item is done.
    Remove(String),
    /// What this ends the wait of is due now.
    Wake {
        /// What [`ItemRow::wakes`] says.
        wakes: String,
        /// Now.
        now: i64,
    },
    /// A person has decided.
    Act {
        /// About which item.
        id: String,
        /// What.
        act: Act,
        /// Where the log says so.
        decided: u64,
        /// Now.
        now: i64,
    },
    /// A person has proposed something.
    Propose {
        /// About which item.
        id: String,
        /// What.
        proposed: Proposed,
    },
}

/// How many items of a step are not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemCounts {
    /// Tried again by themselves.
    pub waiting: u64,
    /// Left to a person.
    pub parked: u64,
}

const COLUMNS: &str = "id, step, position, account, key, state, attempts, next_at, reason, since, wakes, about, \
                       act, proposed, decided";

impl Checkpoints {
    /// Changes rows and moves the cursor, all or nothing: rows first, then what is done to all of them in order.
    pub async fn commit(&self, step: &str, to: Position, changes: &[Change]) -> Result<(), CheckpointError> {
        match &self.0 {
            Store::Sqlite(connection) => commit_sqlite(&mut lock(connection), step, to, changes),
            Store::Postgres(database) => {
                let mut client = database.pooled().await?;
                commit_postgres(&mut client, step, to, changes).await
            }
        }
    }

    /// Up to `limit` waiting items of a step, the one that is due first first.
    pub async fn waiting(&self, step: &str, limit: usize) -> Result<Vec<ItemRow>, CheckpointError> {
        let sql = "WHERE step = $1 AND state = 'waiting' ORDER BY next_at, position LIMIT $2";
        self.select(sql, step, limit).await
    }

    /// Up to `limit` parked items of all steps in the order of their ids, after this one.
    pub async fn parked(&self, after: &str, limit: usize) -> Result<Vec<ItemRow>, CheckpointError> {
        let sql = "WHERE state = 'parked' AND id > $1 ORDER BY id LIMIT $2";
        self.select(sql, after, limit).await
    }

    /// One item that is not done.
    pub async fn item(&self, id: &str) -> Result<Option<ItemRow>, CheckpointError> {
        Ok(self.select("WHERE id = $1 LIMIT $2", id, 1).await?.pop())
    }

    /// How many items of a step are not done.
    pub async fn count_items(&self, step: &str) -> Result<ItemCounts, CheckpointError> {
        let sql =
            "SELECT count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state = 'parked')";
        let (waiting, parked): (i64, i64) = match &self.0 {
            Store::Sqlite(connection) => {
                lock(connection).query_row(&format!("{sql} FROM items WHERE step = ?1"), [step], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
            }
            Store::Postgres(database) => {
                let sql = format!("{sql} FROM steps.items WHERE step = $1");
                let row = database.pooled().await?.query_one(&sql, &[&step]).await.map_err(Fault::from)?;
                (row.get(0), row.get(1))
            }
        };
        Ok(ItemCounts {
            waiting: u64::try_from(waiting).unwrap_or(0),
            parked: u64::try_from(parked).unwrap_or(0),
        })
    }

    async fn select(&self, rest: &str, text: &str, limit: usize) -> Result<Vec<ItemRow>, CheckpointError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        match &self.0 {
            Store::Sqlite(connection) => {
                let connection = lock(connection);
                let sql = format!("SELECT {COLUMNS} FROM items {}", rest.replace('$', "?"));
                let mut statement = connection.prepare_cached(&sql)?;
                let rows = statement.query_map((text, limit), of_sqlite)?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Store::Postgres(database) => {
                let sql = format!("SELECT {COLUMNS} FROM steps.items {rest}");
                let client = database.pooled().await?;
                let rows = client.query(&sql, &[&text, &limit]).await.map_err(Fault::from)?;
                rows.iter().map(of_postgres).collect()
            }
        }
    }
}

impl ItemRow {
    /// When it is tried again.
    pub fn next_at(&self) -> Timestamp {
        Timestamp::from_micros(self.next_at)
    }

    /// When it was first tried in vain.
    pub fn since(&self) -> Timestamp {
        Timestamp::from_micros(self.since)
    }
}

#[cfg(test)]
mod tests;
