//! Rows of both stores as [`ItemRow`]s.

use ledger_core::steps::items::{ItemRow, ItemState, as_text};

use crate::postgres::PostgresFault;

/// In the order in which rows are read.
pub(super) const COLUMNS: &str = "id, step, position, account, key, state, attempts, next_at, reason, since, wakes, about, \
                       act, proposed, decided";

pub(super) fn of_sqlite(row: &rusqlite::Row<'_>) -> rusqlite::Result<ItemRow> {
    let (state, act, proposed) = (row.get::<_, String>(5)?, row.get(12)?, row.get(13)?);
    Ok(ItemRow {
        id: row.get(0)?,
        step: row.get(1)?,
        position: row.get(2)?,
        account: row.get(3)?,
        key: row.get(4)?,
        state: state_of(&state),
        attempts: row.get(6)?,
        next_at: row.get(7)?,
        reason: row.get(8)?,
        since: row.get(9)?,
        wakes: row.get(10)?,
        about: row.get(11)?,
        act: as_text::read(act),
        proposed: as_text::read(proposed),
        decided: row.get(14)?,
    })
}

pub(super) fn of_postgres(row: &tokio_postgres::Row) -> Result<ItemRow, PostgresFault> {
    let column = |index: usize| row.try_get::<_, i64>(index).map_err(PostgresFault::from);
    let text = |index: usize| row.try_get::<_, String>(index).map_err(PostgresFault::from);
    let optional = |index: usize| row.try_get::<_, Option<String>>(index).map_err(PostgresFault::from);
    let about: Option<i64> = row.try_get(11).map_err(PostgresFault::from)?;
    Ok(ItemRow {
        id: text(0)?,
        step: text(1)?,
        position: u64::try_from(column(2)?).unwrap_or(0),
        account: text(3)?,
        key: text(4)?,
        state: state_of(&text(5)?),
        attempts: u32::try_from(column(6)?).unwrap_or(u32::MAX),
        next_at: column(7)?,
        reason: text(8)?,
        since: column(9)?,
        wakes: text(10)?,
        about: about.and_then(|about| u32::try_from(about).ok()),
        act: as_text::read(optional(12)?),
        proposed: as_text::read(optional(13)?),
        decided: u64::try_from(column(14)?).unwrap_or(0),
    })
}

/// The table's CHECK lets nothing else in.
fn state_of(word: &str) -> ItemState {
    if word == ItemState::Parked.as_str() { ItemState::Parked } else { ItemState::Waiting }
}
