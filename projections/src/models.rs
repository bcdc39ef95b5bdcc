//! What each projection is, and how a page of events reaches its tables in one transaction.

use ledger_core::log::Position;

use crate::connection::Connection;
use crate::cursor;
use crate::error::ProjectionError;
use crate::fold::{Fold, Record};
use crate::projection::Projection;
use crate::table::Table;
use crate::{account, campaigns, rewards, transactions, trial_balance};

fn fold(projection: Projection) -> Box<dyn Fold> {
    match projection {
        Projection::Account => Box::new(account::Accounts::default()),
        Projection::Rewards => Box::new(rewards::Rewards::default()),
        Projection::Transactions => Box::new(transactions::Transactions::default()),
        Projection::Campaigns => Box::new(campaigns::Campaigns::default()),
        Projection::TrialBalance => Box::new(trial_balance::TrialBalances::default()),
    }
}

/// The tables that a projection fills, and nobody else does.
pub(crate) fn tables(projection: Projection) -> Vec<&'static Table> {
    fold(projection).tables().iter().map(|rows| rows.table()).collect()
}

/// Applies records to one projection and moves its cursor to the last of them; those at or before
/// `cursor` have been applied already. The caller's transaction makes it all or nothing.
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
    for part in page.split_inclusive(Record::erases) {
        let mut fold = fold(projection);
        for record in part {
            fold.name(record);
        }
        fold.tables().into_iter().try_for_each(|rows| rows.read(conn))?;
        part.iter().try_for_each(|record| fold.apply(record))?;
        fold.tables().into_iter().try_for_each(|rows| rows.write(conn))?;
        fold.finish(conn)?;
    }
    cursor::advance(conn, projection, last.position)?;
    Ok(last.position)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::column::Column as _;
    use crate::connection::values;
    use crate::fixtures::*;

    #[test]
    fn a_table_has_the_columns_of_its_schema() {
        let store = Place::Sqlite.store();
        for table in Projection::ALL.into_iter().flat_map(tables) {
            let names = store.query(|conn| {
                conn.rows("SELECT name FROM pragma_table_info($1)", &values![table.name.to_owned()])
            });
            let names: BTreeSet<_> = names.iter().map(|row| row[0].text().unwrap()).collect();
            assert_eq!(names, table.columns.iter().copied().collect(), "{}", table.name);
        }
    }
}
