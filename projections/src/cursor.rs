//! Up to where each projection has seen the log. The cursors move in the transaction that writes
//! the rows.

use ledger_core::log::Position;

use crate::connection::Connection;
use crate::error::ProjectionError;
use crate::projection::Projection;
use crate::table::{TableRow as _, table};

table! {
    /// The table keeps the name that it had before cursors had theirs.
    pub(crate) CursorRow in "checkpoints", key 1, by (projection: String) {
        /// [`Projection::as_str`].
        projection: String,
        /// The last event seen.
        position: Position,
    }
}

/// One for each projection.
pub type Cursors = [(Projection, Position); Projection::ALL.len()];

pub(crate) fn advance(
    conn: &Connection,
    projection: Projection,
    to: Position,
) -> Result<(), ProjectionError> {
    let row = CursorRow { projection: projection.as_str().into(), position: to };
    conn.each(&CursorRow::table().upsert, &[row.values()]).map(drop)
}

/// Up to where each projection has seen the log.
pub fn cursors(conn: &Connection) -> Result<Cursors, ProjectionError> {
    let mut all = Projection::ALL.map(|p| (p, Position::default()));
    for row in CursorRow::select(conn, "", &[])? {
        // Another version of this program may fill more tables.
        if let Some((_, cursor)) = all.iter_mut().find(|(p, _)| p.as_str() == row.projection) {
            *cursor = row.position;
        }
    }
    Ok(all)
}

/// Up to where every projection has seen the log: the position an answer is of.
pub fn position(conn: &Connection) -> Result<Position, ProjectionError> {
    Ok(lowest(&cursors(conn)?))
}

/// Up to where all of them are.
pub(crate) fn lowest(cursors: &Cursors) -> Position {
    cursors.iter().map(|(_, at)| *at).min().unwrap_or_default()
}
