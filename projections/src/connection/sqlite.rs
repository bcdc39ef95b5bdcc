//! Statements on an SQLite file, each done when it returns.

use std::borrow::Cow;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Result, Rows, Statement, ToSql, params_from_iter};

use super::value::{Row, Value};
use crate::table::{Table, names};

impl ToSql for Value<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(integer) => ValueRef::Integer(*integer),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// `$n` is the n-th parameter where parameters come in order, as they do in all our texts.
pub(super) fn rows(conn: &Connection, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
    let mut statement = conn.prepare_cached(sql)?;
    debug_assert!((1..=values.len()).all(|n| statement.parameter_name(n) == Some(&format!("${n}"))), "{sql}");
    let columns = columns(&statement);
    read(statement.query(params_from_iter(values))?, &columns)
}

fn columns(statement: &Statement<'_>) -> Arc<[Box<str>]> {
    statement.column_names().map(Into::into).collect()
}

fn read(mut found: Rows<'_>, columns: &Arc<[Box<str>]>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let values =
            (0..columns.len()).map(|n| value(n, row.get_ref(n)?)).collect::<Result<Vec<Value<'static>>>>()?;
        rows.push(Row { columns: Arc::clone(columns), values });
    }
    Ok(rows)
}

fn value(column: usize, found: ValueRef<'_>) -> Result<Value<'static>> {
    Ok(match found {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Text(_) => Value::Text(Cow::Owned(found.as_str()?.to_owned())),
        ValueRef::Blob(bytes) => Value::Blob(Cow::Owned(bytes.to_owned())),
        // The tables are STRICT and have no such column.
        ValueRef::Real(_) => {
            return Err(rusqlite::Error::InvalidColumnType(column, String::new(), found.data_type()));
        }
    })
}

pub(super) fn execute(conn: &Connection, sql: &str, values: &[Value<'_>]) -> Result<()> {
    conn.prepare_cached(sql)?.execute(params_from_iter(values)).map(drop)
}

/// The rows of a table that are found by these.
pub(super) fn find(conn: &Connection, table: &Table, wanted: &[Vec<Value<'_>>]) -> Result<Vec<Row>> {
    let sql = format!(
        "SELECT {} FROM {} WHERE ({}) = ({})",
        names(table.columns),
        table.name,
        names(table.by),
        parameters(table.by.len())
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let columns = columns(&statement);
    let mut found = Vec::new();
    for by in wanted {
        found.extend(read(statement.query(params_from_iter(by))?, &columns)?);
    }
    Ok(found)
}

pub(super) fn upsert(conn: &Connection, table: &Table, rows: &[Vec<Value<'_>>]) -> Result<()> {
    let sql = format!(
        "INSERT INTO {} ({}) VALUES ({}) {}",
        table.name,
        names(table.columns),
        parameters(table.columns.len()),
        table.on_conflict()
    );
    each(conn, &sql, rows)
}

/// The rows with these keys.
pub(super) fn delete(conn: &Connection, table: &Table, keys: &[Vec<Value<'_>>]) -> Result<()> {
    let (name, key) = (table.name, names(table.key()));
    each(conn, &format!("DELETE FROM {name} WHERE ({key}) = ({})", parameters(table.key_columns)), keys)
}

fn each(conn: &Connection, sql: &str, rows: &[Vec<Value<'_>>]) -> Result<()> {
    let mut statement = conn.prepare_cached(sql)?;
    rows.iter().try_for_each(|row| statement.execute(params_from_iter(row)).map(drop))
}

/// `$1, $2, …`
fn parameters(number: usize) -> String {
    (1..=number).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}
