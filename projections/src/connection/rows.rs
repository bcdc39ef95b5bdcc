//! Writes of one `INSERT` or `DELETE` one after another, as one statement of arrays: what a
//! statement costs the server, the driver and the wire is paid once for hundreds of rows.

use std::collections::HashSet;
use std::sync::Arc;

use futures::TryStreamExt as _;
use stores::postgres::Fault;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};

use super::postgres::{self, Prepared};
use super::value::Value;
use crate::error::{Contradiction, ProjectionError};

/// Rows of one statement at most.
const ROWS_MAX: usize = 500;

/// A write of many rows.
pub(super) struct Rows {
    pub(super) statement: Statement,
    /// Which values name a row: those of the columns in `ON CONFLICT (…)`. None without that
    /// clause.
    pub(super) key: Vec<usize>,
}

impl Rows {
    /// The same for arrays of parameters of these types; and for an `INSERT`, which then answers
    /// the keys of the rows it wrote, which parameters those are. `None` for other statements than:
    ///
    /// - `INSERT INTO t (a, b) VALUES (?1, 'x') ON CONFLICT (a) …`
    /// - `INSERT INTO t (a, b) SELECT ?1, 'x' WHERE … ON CONFLICT (a) …`
    /// - `DELETE FROM t WHERE a = ?1`
    pub(super) fn sql(sql: &str, types: &[Type]) -> Option<(String, Vec<usize>)> {
        let arrays: Vec<String> = (1..).zip(types).map(|(n, ty)| format!("${n}::{ty}[]")).collect();
        let names: Vec<String> = (1..=types.len()).map(|n| format!("v{n}")).collect();
        let rows = format!("unnest({}) AS v ({})", arrays.join(", "), names.join(", "));
        let named = sql.replace('?', "v");
        if named.starts_with("DELETE ") {
            let (delete, condition) = named.split_once(" WHERE ")?;
            return Some((format!("{delete} USING {rows} WHERE {condition}"), vec![]));
        }
        let (into, rest) = named.strip_prefix("INSERT ")?.split_once(')')?;
        let (_, columns) = into.split_once('(')?;
        let rest = rest.trim_start();
        let (sources, rest) = if let Some(rest) = rest.strip_prefix("VALUES (") {
            rest.split_once(')')?
        } else {
            let rest = rest.strip_prefix("SELECT ")?;
            rest.split_at(rest.find("WHERE ")?)
        };
        let mut many =
            format!("INSERT {into}) SELECT {} FROM {rows} {}", sources.trim_end(), rest.trim_start());
        let Some((_, key)) = rest.split_once("ON CONFLICT (") else { return Some((many, vec![])) };
        let (key, _) = key.split_once(')')?;
        many.push_str(" RETURNING ");
        many.push_str(key);
        let parameter = |name: &str| {
            let column = columns.split(',').position(|column| column.trim() == name.trim())?;
            sources.split(',').nth(column)?.trim().strip_prefix('v')?.parse::<usize>().ok()?.checked_sub(1)
        };
        Some((many, key.split(',').map(parameter).collect::<Option<Vec<_>>>()?))
    }
}

/// Rows that wait to be sent together: of different keys, since one statement may write a row only
/// once.
pub(super) struct Run {
    prepared: Arc<Prepared>,
    rows: Vec<Vec<Value<'static>>>,
    keys: HashSet<Vec<Value<'static>>>,
    otherwise: Vec<Option<Contradiction>>,
}

impl Run {
    pub(super) fn of(prepared: Arc<Prepared>) -> Run {
        Run { prepared, rows: vec![], keys: HashSet::new(), otherwise: vec![] }
    }

    /// Whether this row of this statement may come along.
    pub(super) fn takes(&self, prepared: &Arc<Prepared>, values: &[Value<'static>]) -> bool {
        Arc::ptr_eq(&self.prepared, prepared)
            && self.rows.len() < ROWS_MAX
            && (self.keys.is_empty() || !self.keys.contains(&self.key(values)))
    }

    pub(super) fn push(&mut self, values: Vec<Value<'static>>, otherwise: Option<Contradiction>) {
        let key = self.key(&values);
        if !key.is_empty() {
            self.keys.insert(key);
        }
        self.rows.push(values);
        self.otherwise.push(otherwise);
    }

    fn key(&self, values: &[Value<'static>]) -> Vec<Value<'static>> {
        let key = self.prepared.rows.as_ref().map_or(&[][..], |rows| &rows.key);
        key.iter().map(|n| values[*n].clone()).collect()
    }

    pub(super) async fn execute(mut self, client: Arc<Client>) -> Result<(), ProjectionError> {
        let prepared = Arc::clone(&self.prepared);
        let (Some(rows), true) = (&prepared.rows, self.rows.len() > 1) else {
            let (Some(values), Some(otherwise)) = (self.rows.pop(), self.otherwise.pop()) else {
                return Ok(());
            };
            return postgres::one(client, prepared, values, otherwise).await;
        };
        let column = |n: usize| self.rows.iter().map(|row| &row[n]).collect::<Vec<_>>();
        let columns: Vec<Vec<&Value<'static>>> = (0..prepared.one.params().len()).map(column).collect();
        let written = client.query_raw(&rows.statement, &columns).await.map_err(Fault::from)?;
        let written: Vec<tokio_postgres::Row> = written.try_collect().await.map_err(Fault::from)?;
        if rows.key.is_empty() || written.len() == self.rows.len() {
            return Ok(());
        }
        let written = written.iter().map(postgres::read).collect::<Result<HashSet<_>, ProjectionError>>()?;
        let mut missing =
            self.rows.iter().zip(&self.otherwise).filter(|(row, _)| !written.contains(&self.key(row)));
        missing.find_map(|(_, otherwise)| *otherwise).map_or(Ok(()), |wrong| Err(wrong.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_insert_of_values_becomes_one_of_arrays_that_answers_its_keys() {
        let one = "INSERT INTO t (a, b, c, d) VALUES (?1, ?2, 'x', ?3) ON CONFLICT (d, a) DO UPDATE SET b = excluded.b";
        let types = [Type::INT8, Type::TEXT, Type::BYTEA];
        let (many, key) = Rows::sql(one, &types).unwrap();
        assert_eq!(
            many,
            "INSERT INTO t (a, b, c, d) SELECT v1, v2, 'x', v3 FROM unnest($1::int8[], $2::text[], $3::bytea[]) \
             AS v (v1, v2, v3) ON CONFLICT (d, a) DO UPDATE SET b = excluded.b RETURNING d, a"
        );
        assert_eq!(key, [2, 0]);
    }

    #[test]
    fn an_insert_with_a_condition_keeps_it_for_each_row() {
        let one = "INSERT INTO t (a, b) SELECT ?1, 'x'\n WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.a = ?1)\n \
                   ON CONFLICT (a) DO NOTHING";
        let (many, key) = Rows::sql(one, &[Type::INT8]).unwrap();
        assert_eq!(
            many,
            "INSERT INTO t (a, b) SELECT v1, 'x' FROM unnest($1::int8[]) AS v (v1) \
             WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.a = v1)\n ON CONFLICT (a) DO NOTHING RETURNING a"
        );
        assert_eq!(key, [0]);
    }

    #[test]
    fn a_delete_names_its_rows_and_other_statements_stay_alone() {
        let types = [Type::INT8, Type::TEXT];
        let many = "DELETE FROM t USING unnest($1::int8[], $2::text[]) AS v (v1, v2) WHERE a = v1 AND b = v2";
        let none: Vec<usize> = vec![];
        assert_eq!(Rows::sql("DELETE FROM t WHERE a = ?1 AND b = ?2", &types), Some((many.into(), none)));
        assert_eq!(Rows::sql("DELETE FROM t", &[]), None);
        assert_eq!(Rows::sql("UPDATE t SET a = ?1", &types[..1]), None);
    }
}
