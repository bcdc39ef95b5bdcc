//! Up to where each projection has seen the log. The cursors move in the transaction that writes the rows.

use ledger_core::log::Position;

use crate::connection::{Connection, values};
use crate::error::ProjectionError;
use crate::projection::Projection;

/// One for each projection.
pub type Cursors = [(Projection, Position); Projection::ALL.len()];

pub(crate) fn advance(
    conn: &Connection,
    projection: Projection,
    to: Position,
) -> Result<(), ProjectionError> {
    conn.write(
        "INSERT INTO checkpoints (projection, position) VALUES ($1, $2)
         ON CONFLICT (projection) DO UPDATE SET position = excluded.position",
        &values![projection.as_str(), to],
    )
}

/// Up to where each projection has seen the log.
pub fn cursors(conn: &Connection) -> Result<Cursors, ProjectionError> {
    let mut all = Projection::ALL.map(|p| (p, Position::default()));
    for row in conn.rows("SELECT projection, position FROM checkpoints", &[])? {
        let name: String = row.get("projection")?;
        // Another version of this program may fill more tables.
        if let Some((_, cursor)) = all.iter_mut().find(|(p, _)| p.as_str() == name) {
            *cursor = row.get("position")?;
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
