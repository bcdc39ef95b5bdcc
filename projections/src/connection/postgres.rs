//! Statements on PostgreSQL. Many rows are one statement of arrays: what a statement costs the server, the driver and
//! the wire is paid once. One advisory lock, held to the end of a writing transaction, does what `BEGIN IMMEDIATE` does
//! on SQLite, also between processes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Waker};

use futures::TryStreamExt as _;
use stores::postgres::{Database, Fault};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use tokio_postgres::{Client, Statement};

use super::Access;
use super::value::{Row, Value};
use crate::error::ProjectionError;
use crate::table::{Table, names};

/// One writer of the read models at a time in the whole database. The number (`RWRM`) is ours alone.
const WRITE: &str = "BEGIN; SELECT pg_advisory_xact_lock(1381454413)";
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
/// A crash of the server may lose the last transactions, but rows and cursors together, so the runner applies
/// those events again. Plans made while the tables are small would scan or sort all of them, and be kept: every
/// row is to be looked up by its key.
const WRITER: &str = "SET search_path = read_models; SET synchronous_commit = off; \
     SET plan_cache_mode = force_generic_plan; \
     SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";
const READER: &str = "SET search_path = read_models; SET default_transaction_read_only = on";

/// A connection with its statements.
pub(super) struct Session {
    client: Client,
    prepared: RefCell<HashMap<Box<str>, Prepared>>,
    /// A transaction that begins with its first statement, in one round trip.
    begin: Cell<Option<&'static str>>,
}

/// A statement as the server knows it.
#[derive(Clone)]
struct Prepared {
    statement: Statement,
    columns: Arc<[Box<str>]>,
}

impl Session {
    pub(super) fn connect(database: &Database, access: Access) -> Result<Session, ProjectionError> {
        let client = block(database.connect())?;
        let session = Session { client, prepared: RefCell::default(), begin: Cell::default() };
        session.batch(match access {
            Access::Read => READER,
            Access::Write => WRITER,
        })?;
        Ok(session)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub(super) fn rows(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, ProjectionError> {
        self.query(sql, values)
    }

    pub(super) fn write(&self, sql: &str, values: &[Value<'_>]) -> Result<(), ProjectionError> {
        self.query(sql, values).map(drop)
    }

    /// The rows of a table that are found by these.
    pub(super) fn find(&self, table: &Table, wanted: &[Vec<Value<'_>>]) -> Result<Vec<Row>, ProjectionError> {
        let by = names(table.by);
        let (all, name) = (names(table.columns), table.name);
        let sql = format!("SELECT {all} FROM {name} JOIN {} AS k ({by}) USING ({by})", arrays(table.by));
        self.query(&sql, &transposed(wanted))
    }

    pub(super) fn upsert(&self, table: &Table, rows: &[Vec<Value<'_>>]) -> Result<(), ProjectionError> {
        let (name, all, rows_of) = (table.name, names(table.columns), arrays(table.columns));
        let sql = format!("INSERT INTO {name} ({all}) SELECT * FROM {rows_of} {}", table.on_conflict());
        self.query(&sql, &transposed(rows)).map(drop)
    }

    /// The rows with these keys.
    pub(super) fn delete(&self, table: &Table, keys: &[Vec<Value<'_>>]) -> Result<(), ProjectionError> {
        let (name, key) = (table.name, names(table.key()));
        let sql = format!("DELETE FROM {name} WHERE ({key}) IN (SELECT * FROM {})", arrays(table.key()));
        self.query(&sql, &transposed(keys)).map(drop)
    }

    pub(super) fn batch(&self, sql: &str) -> Result<(), ProjectionError> {
        self.begun(self.client.batch_execute(sql))
    }

    /// Begins with whatever comes next: that a broken connection does not begin shows there.
    pub(super) fn begin(&self, access: Access) {
        self.begin.set(Some(match access {
            Access::Read => READ,
            Access::Write => WRITE,
        }));
    }

    pub(super) fn commit(&self) -> Result<(), ProjectionError> {
        self.batch("COMMIT")
    }

    /// Rolls back without waiting: the next transaction's statements queue up behind.
    pub(super) fn abandon(&self) {
        if self.begin.take().is_some() {
            return;
        }
        // A call of the driver is sent when it is polled first.
        let rollback = pin!(self.client.batch_execute("ROLLBACK"));
        let _sent = rollback.poll(&mut Context::from_waker(Waker::noop()));
    }

    fn query<P: ToSql>(&self, sql: &str, parameters: &[P]) -> Result<Vec<Row>, ProjectionError> {
        let Prepared { statement, columns } = self.prepared(sql)?;
        let rows = self.begun(async {
            let rows = self.client.query_raw(&statement, parameters).await?;
            rows.try_collect::<Vec<_>>().await
        })?;
        rows.iter().map(|row| Ok(Row { columns: Arc::clone(&columns), values: read(row)? })).collect()
    }

    /// Waits for an answer, and for the beginning of its transaction where that is not sent yet.
    fn begun<T>(
        &self,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, ProjectionError> {
        let done = match self.begin.take() {
            None => block(call),
            Some(begin) => {
                // The call is sent right behind. A fault of the beginning is the cause of others.
                let (begun, done) = block(async { tokio::join!(self.client.batch_execute(begin), call) });
                begun.and(done)
            }
        };
        Ok(done.map_err(Fault::from)?)
    }

    fn prepared(&self, sql: &str) -> Result<Prepared, ProjectionError> {
        if let Some(prepared) = self.prepared.borrow().get(sql) {
            return Ok(prepared.clone());
        }
        let statement = self.begun(self.client.prepare(sql))?;
        let columns = statement.columns().iter().map(|column| column.name().into()).collect();
        let prepared = Prepared { statement, columns };
        self.prepared.borrow_mut().insert(sql.into(), prepared.clone());
        Ok(prepared)
    }
}

/// `unnest($1::bigint[], …)`: rows from an array for each column.
fn arrays(columns: &[(&str, &str)]) -> String {
    let arrays: Vec<String> = (1..).zip(columns).map(|(n, (_, ty))| format!("${n}::{ty}[]")).collect();
    format!("unnest({})", arrays.join(", "))
}

fn transposed<'v>(rows: &'v [Vec<Value<'v>>]) -> Vec<Vec<&'v Value<'v>>> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns).map(|n| rows.iter().map(|row| &row[n]).collect()).collect()
}

/// Drives the connections, and nothing else: whoever waits for an answer waits for no other task, so all threads of the
/// runtime that asks may wait at once.
static DRIVER: LazyLock<Runtime> = LazyLock::new(|| {
    let driver =
        Builder::new_multi_thread().worker_threads(1).thread_name("read-models").enable_all().build();
    driver.expect("the system has a thread for the read models")
});

/// Waits for an answer on a thread that may block, also where that thread is inside `block_on` itself, as the runner's is.
fn block<T>(future: impl Future<Output = T>) -> T {
    let _driven = DRIVER.enter();
    #[expect(clippy::disallowed_methods, reason = "waits for DRIVER alone, which waits for nobody")]
    futures::executor::block_on(future)
}

fn read(row: &tokio_postgres::Row) -> Result<Vec<Value<'static>>, ProjectionError> {
    let value = |(n, column): (usize, &tokio_postgres::Column)| {
        let value = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(n).map(Value::from),
            Type::BYTEA => {
                row.try_get::<_, Option<Vec<u8>>>(n).map(|v| v.map_or(Value::Null, |v| Value::Blob(v.into())))
            }
            _ => row.try_get::<_, Option<String>>(n).map(Value::from),
        };
        value.map_err(|error| Fault::from(error).into())
    };
    row.columns().iter().enumerate().map(value).collect()
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self, ty) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Integer(integer), &Type::INT8) => integer.to_sql(ty, out),
            (Value::Text(text), &Type::TEXT) => text.to_sql(ty, out),
            (Value::Blob(bytes), &Type::BYTEA) => bytes.as_ref().to_sql(ty, out),
            _ => Err("a value of another type than its column".into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA].contains(ty)
    }

    to_sql_checked!();
}
