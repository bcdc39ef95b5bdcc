//! Which projection fills which tables, and how a page of events reaches them in one transaction.

use ledger_core::log::Position;

use crate::connection::Connection;
use crate::cursor;
use crate::error::ProjectionError;
use crate::projection::Projection;
use crate::record::Record;
use crate::table::{Table, TableRow};
use crate::{account, campaigns, rewards, transactions, trial_balance};

/// The rows of one projection that a page touches.
pub(crate) trait Fold: Sized {
    /// Reads them.
    fn load(conn: &Connection, page: &[Record]) -> Result<Self, ProjectionError>;

    /// What one event makes of them. Touches nothing else.
    fn apply(&mut self, record: &Record) -> Result<(), ProjectionError>;

    /// Writes those that have changed.
    fn write(self, conn: &Connection) -> Result<(), ProjectionError>;
}

/// The tables that a projection fills, and nobody else does.
pub(crate) fn tables(projection: Projection) -> &'static [Table] {
    match projection {
        Projection::Account => const { &[account::Stored::TABLE, account::Balance::TABLE] },
        Projection::Rewards => const { &[rewards::Stored::TABLE] },
        Projection::Transactions => {
            const { &[transactions::fold::Stored::TABLE, transactions::fold::Alias::TABLE] }
        }
        Projection::Campaigns => {
            const {
                &[
                    campaigns::fold::Stored::TABLE,
                    campaigns::fold::StoredTerms::TABLE,
                    campaigns::fold::StoredTable::TABLE,
                    campaigns::fold::StoredEpoch::TABLE,
                    campaigns::fold::TierWins::TABLE,
                ]
            }
        }
        Projection::TrialBalance => const { &[trial_balance::Booked::TABLE, trial_balance::Total::TABLE] },
    }
}

/// Applies records to one projection and moves its cursor to the last of them; those at or before `cursor` have
/// been applied already. The caller's transaction makes it all or nothing.
pub(crate) fn apply(
    conn: &Connection,
    projection: Projection,
    cursor: Position,
    records: &[Record],
) -> Result<Position, ProjectionError> {
    let page = &records[records.partition_point(|r| r.position <= cursor)..];
    let (Some(first), Some(last)) = (page.first(), page.last()) else {
        return Ok(cursor);
    };
    if first.position != cursor.next() {
        return Err(ProjectionError::Hole { after: cursor, found: first.position });
    }
    match projection {
        Projection::Account => fold::<account::Accounts>(conn, page),
        Projection::Rewards => fold::<rewards::Rewards>(conn, page),
        Projection::Transactions => fold::<transactions::fold::Transactions>(conn, page),
        Projection::Campaigns => fold::<campaigns::fold::Campaigns>(conn, page),
        Projection::TrialBalance => fold::<trial_balance::TrialBalances>(conn, page),
    }?;
    cursor::advance(conn, projection, last.position)?;
    Ok(last.position)
}

fn fold<F: Fold>(conn: &Connection, page: &[Record]) -> Result<(), ProjectionError> {
    let mut fold = F::load(conn, page)?;
    page.iter().try_for_each(|record| fold.apply(record))?;
    fold.write(conn)
}
