//! Statements on an SQLite file, each done when it returns.

use std::borrow::Cow;

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

/// The rows that a statement answers, done once with each of these parameters.
pub(super) fn rows<'p>(
    conn: &Connection,
    sql: &str,
    each: impl Iterator<Item = &'p [Value<'p>]>,
) -> Result<Vec<Row>> {
    let mut statement = conn.prepare_cached(sql)?;
    // `$2` is the second that SQLite meets, whatever its number.
    debug_assert!(
        (1..=statement.parameter_count())
            .all(|n| { statement.parameter_name(n).is_some_and(|name| *name == *format!("${n}")) })
    );
    let columns = statement.column_count();
    let mut rows = Vec::new();
    for values in each {
        let mut found = statement.query(params_from_iter(values))?;
        while let Some(row) = found.next()? {
            rows.push((0..columns).map(|n| value(n, row.get_ref(n)?)).collect::<Result<Row>>()?);
        }
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
