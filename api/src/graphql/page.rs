//! Relay connections: `first` at most 100, cursors that are opaque outside and keys of rows inside.

use std::str::FromStr;

use async_graphql::connection::{Connection, Edge, EmptyFields};
use async_graphql::{Error, OutputType};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use projections::{PAGE_ROWS_MAX, Page};

use super::error::bad_input;

/// Rows in a page where `first` is absent.
const FIRST_DEFAULT: i32 = 20;

/// What a page of `Node` is.
pub(super) type PageOf<Node> = Connection<String, Node, EmptyFields, EmptyFields>;

/// How many rows are asked for.
pub(super) fn first(first: Option<i32>) -> Result<usize, Error> {
    let asked = usize::try_from(first.unwrap_or(FIRST_DEFAULT)).ok();
    asked
        .filter(|rows| *rows <= PAGE_ROWS_MAX)
        .ok_or_else(|| bad_input(format!("first must be from 0 to {PAGE_ROWS_MAX}")))
}

/// What a page costs, full, for the limit on a query's complexity.
pub(super) fn cost(first: Option<i32>, child: usize) -> usize {
    // More rows are refused later on; here they must not make a sum overflow.
    let rows = usize::try_from(first.unwrap_or(FIRST_DEFAULT)).unwrap_or(0).min(PAGE_ROWS_MAX);
    rows.saturating_mul(child).saturating_add(1)
}

/// Reads a cursor that [`connection`] gave out.
pub(super) fn after<C: FromStr>(cursor: Option<&str>) -> Result<Option<C>, Error> {
    let read = |cursor: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        std::str::from_utf8(&bytes).ok()?.parse().ok()
    };
    let parse = |cursor: &str| read(cursor).ok_or_else(|| bad_input("after is no cursor of this list"));
    cursor.map(parse).transpose()
}

/// Presents a page: `cursor` names a row, `node` shows it. A page after a cursor has the cursor's row before
/// it.
pub(super) fn connection<Row, Node: OutputType>(
    page: Page<Row>,
    has_previous: bool,
    cursor: impl Fn(&Row) -> String,
    node: impl Fn(Row) -> Node,
) -> PageOf<Node> {
    let mut connection = Connection::new(has_previous, page.has_more);
    connection.edges =
        page.rows.into_iter().map(|row| Edge::new(URL_SAFE_NO_PAD.encode(cursor(&row)), node(row))).collect();
    connection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_twenty_rows_unless_told_and_never_more_than_a_hundred() {
        assert_eq!(first(None).unwrap(), 20);
        assert_eq!(first(Some(0)).unwrap(), 0);
        assert_eq!(first(Some(100)).unwrap(), 100);
        assert!(first(Some(101)).is_err());
        assert!(first(Some(-1)).is_err());
    }

    #[test]
    fn a_cursor_that_we_did_not_give_out_is_refused() {
        let mine = URL_SAFE_NO_PAD.encode("0:7");
        assert_eq!(after(Some(&mine)).unwrap(), Some(ledger_core::log::Position(7)));
        for cursor in ["", "0:7", "MDo", "\u{e9}"] {
            assert!(after::<ledger_core::log::Position>(Some(cursor)).is_err(), "{cursor:?}");
        }
    }

    #[test]
    fn a_cost_grows_with_the_rows_and_does_not_overflow() {
        assert_eq!(cost(Some(100), 7), 701);
        assert_eq!(cost(None, 1), 21);
        assert_eq!(cost(Some(-1), 7), 1);
        assert_eq!(cost(Some(i32::MAX), 7), 701);
    }
}
