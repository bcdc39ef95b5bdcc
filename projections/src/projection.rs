//! The read models by name, and how a batch of events reaches all of them in one transaction.

use std::fmt;

use compact_str::CompactString;
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::log::{LogError, Position, StoredEvent};
use ledger_core::time::Timestamp;

use crate::connection::{Connection, values};
use crate::error::{Contradiction, ProjectionError};
use crate::{account, campaigns, rewards, transactions, trial_balance};

/// One read model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Projection {
    /// Accounts and their balances.
    Account,
    /// Rewards from won to paid.
    Rewards,
    /// Statement lines and how they were decided.
    Transactions,
    /// Campaigns, epochs and prize tables.
    Campaigns,
    /// Every entry of every posting.
    TrialBalance,
}

/// A table and how many of its first columns are its key.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) key_columns: usize,
}

impl Projection {
    /// All of them.
    pub const ALL: [Projection; 5] = [
        Projection::Account,
        Projection::Rewards,
        Projection::Transactions,
        Projection::Campaigns,
        Projection::TrialBalance,
    ];

    /// Its name in commands, metrics and checkpoints.
    pub fn as_str(self) -> &'static str {
        match self {
            Projection::Account => "account",
            Projection::Rewards => "rewards",
            Projection::Transactions => "transactions",
            Projection::Campaigns => "campaigns",
            Projection::TrialBalance => "trial_balance",
        }
    }

    /// All names, for messages.
    pub fn names() -> String {
        Projection::ALL.map(Projection::as_str).join(", ")
    }

    /// The tables it fills, and nobody else does.
    pub(crate) fn tables(self) -> &'static [Table] {
        const fn table(name: &'static str, key_columns: usize) -> Table {
            Table { name, key_columns }
        }
        match self {
            Projection::Account => const { &[table("accounts", 1), table("balances", 2)] },
            Projection::Rewards => const { &[table("rewards", 2)] },
            Projection::Transactions => {
                const { &[table("transactions", 1), table("transaction_aliases", 2)] }
            }
            Projection::Campaigns => {
                const {
                    &[
                        table("campaigns", 1),
                        table("campaign_versions", 2),
                        table("prize_tables", 2),
                        table("epochs", 2),
                        table("epoch_wins", 3),
                    ]
                }
            }
            Projection::TrialBalance => const { &[table("entries", 2), table("ledger_totals", 2)] },
        }
    }

    fn fold<'r>(self) -> Box<dyn Fold<'r> + 'r> {
        match self {
            Projection::Account => Box::new(account::Accounts::default()),
            Projection::Rewards => Box::new(rewards::Rewards),
            Projection::Transactions => Box::new(transactions::Transactions::default()),
            Projection::Campaigns => Box::new(campaigns::Campaigns::default()),
            Projection::TrialBalance => Box::new(trial_balance::TrialBalances::default()),
        }
    }

    pub(crate) fn contradiction(self, position: Position, what: &'static str) -> Contradiction {
        Contradiction { projection: self, position, what }
    }

    /// A running total; one that does not fit 63 bits is no amount of money.
    pub(crate) fn add(self, total: &mut i64, more: i64, position: Position) -> Result<(), ProjectionError> {
        let sum = total.checked_add(more);
        *total = sum.ok_or_else(|| self.contradiction(position, "a sum does not fit"))?;
        Ok(())
    }
}

impl fmt::Display for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Projection {
    type Err = ProjectionError;
    fn from_str(name: &str) -> Result<Self, ProjectionError> {
        let found = Projection::ALL.into_iter().find(|p| p.as_str() == name);
        found.ok_or_else(|| ProjectionError::Unknown(name.into()))
    }
}

/// An event as projections see it.
pub(crate) struct Record {
    pub(crate) position: Position,
    pub(crate) recorded_at: Timestamp,
    /// The aggregate's id: an account's or a campaign's.
    pub(crate) stream_id: CompactString,
    pub(crate) event: LedgerEvent,
}

impl Record {
    /// Decodes events that have to follow `after` without a hole.
    pub(crate) fn decode_after(
        after: Position,
        events: &[StoredEvent],
    ) -> Result<Vec<Record>, ProjectionError> {
        let mut last = after;
        let record = |stored: &StoredEvent| {
            if stored.position != last.next() {
                return Err(ProjectionError::Hole { after: last, found: stored.position });
            }
            last = stored.position;
            Record::decode(stored).map_err(ProjectionError::Log)
        };
        events.iter().map(record).collect()
    }

    fn decode(stored: &StoredEvent) -> Result<Record, LogError> {
        Ok(Record {
            position: stored.position,
            recorded_at: stored.recorded_at,
            stream_id: stored.stream.id.clone(),
            event: decode(stored)?,
        })
    }
}

/// One projection over one batch. It lives as long as the transaction and may gather sums, or
/// writes of one kind: a row that a thousand events of a batch add to is written once, by `flush`.
pub(crate) trait Fold<'r> {
    fn apply(&mut self, conn: &Connection, record: &'r Record) -> Result<(), ProjectionError>;

    /// Writes what was gathered. `position` is the last record's.
    fn flush(&mut self, conn: &Connection, position: Position) -> Result<(), ProjectionError> {
        let _ = (conn, position);
        Ok(())
    }
}

/// Applies records to one projection and moves its checkpoint to the last of them; those at or
/// before `checkpoint` have been applied already. The caller's transaction makes it all or nothing.
pub(crate) fn apply(
    conn: &Connection,
    projection: Projection,
    checkpoint: Position,
    records: &[Record],
) -> Result<Position, ProjectionError> {
    let fresh = &records[records.partition_point(|r| r.position <= checkpoint)..];
    let (Some(first), Some(last)) = (fresh.first(), fresh.last()) else {
        return Ok(checkpoint);
    };
    if first.position != checkpoint.next() {
        return Err(ProjectionError::Hole { after: checkpoint, found: first.position });
    }
    let mut fold = projection.fold();
    for record in fresh {
        fold.apply(conn, record)?;
    }
    fold.flush(conn, last.position)?;
    move_checkpoint(conn, projection, last.position)?;
    Ok(last.position)
}

fn move_checkpoint(conn: &Connection, projection: Projection, to: Position) -> Result<(), ProjectionError> {
    conn.write(
        "INSERT INTO checkpoints (projection, position) VALUES (?1, ?2)
         ON CONFLICT (projection) DO UPDATE SET position = excluded.position",
        &values![projection.as_str(), to],
    )
}

/// Up to where each projection has seen the log.
pub fn checkpoints(conn: &Connection) -> Result<[(Projection, Position); 5], ProjectionError> {
    let mut all = Projection::ALL.map(|p| (p, Position::default()));
    for row in conn.rows("SELECT projection, position FROM checkpoints", &[])? {
        let name: String = row.get("projection")?;
        // Another version of this program may fill more tables.
        if let Some((_, checkpoint)) = all.iter_mut().find(|(p, _)| p.as_str() == name) {
            *checkpoint = row.get("position")?;
        }
    }
    Ok(all)
}

/// Up to where every projection has seen the log: the position an answer is of.
pub fn position(conn: &Connection) -> Result<Position, ProjectionError> {
    Ok(checkpoints(conn)?.into_iter().map(|(_, at)| at).min().unwrap_or_default())
}
