//! Statements on an SQLite file, each done when it returns.

use std::borrow::Cow;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Result, ToSql, params_from_iter};

use super::value::{Row, Value};

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

pub(super) fn rows(conn: &Connection, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>> {
    let mut statement = conn.prepare_cached(sql)?;
    let columns: Arc<[Box<str>]> = statement.column_names().map(Into::into).collect();
    let mut found = statement.query(params_from_iter(values))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let values =
            (0..columns.len()).map(|n| value(n, row.get_ref(n)?)).collect::<Result<Vec<Value<'static>>>>()?;
        rows.push(Row { columns: Arc::clone(&columns), values });
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

pub(super) fn execute(conn: &Connection, sql: &str, values: &[Value<'_>]) -> Result<usize> {
    conn.prepare_cached(sql)?.execute(params_from_iter(values))
}

pub(super) fn columns(conn: &Connection, sql: &str) -> Result<Vec<String>> {
    Ok(conn.prepare(sql)?.column_names().map(Into::into).collect())
}
