//! Pages by key: a cursor is the key of a row, so pages neither skip nor repeat while rows are
//! added.

use ledger_core::log::Position;

/// The most rows a page has.
pub const PAGE_ROWS_MAX: usize = 100;

/// Some rows and whether more follow. A row's cursor is a method of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In the order of the query.
    pub rows: Vec<T>,
    /// Whether the last row has one after it.
    pub has_more: bool,
}

/// One row more than the page is to have tells whether another page follows.
pub(crate) fn limit(first: usize) -> i64 {
    i64::try_from(first.min(PAGE_ROWS_MAX) + 1).expect("at most 101")
}

/// The position that all rows of a page are before.
pub(crate) fn before(after: Option<Position>) -> Position {
    after.unwrap_or(Position(u64::MAX))
}

impl<T> Page<T> {
    /// Takes the rows of a query with this [`limit`].
    pub(crate) fn of(mut rows: Vec<T>, first: usize) -> Page<T> {
        let first = first.min(PAGE_ROWS_MAX);
        let has_more = rows.len() > first;
        rows.truncate(first);
        Page { rows, has_more }
    }
}
