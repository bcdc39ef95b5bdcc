//! Statements on PostgreSQL. Many rows are one statement of arrays: what a statement costs the
//! server, the driver and the wire is paid once. One advisory lock, held to the end of a writing
//! transaction, does what `BEGIN IMMEDIATE` does on SQLite, also between processes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use futures::TryStreamExt as _;
use stores::postgres::{Database, PostgresFault};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use tokio_postgres::{Client, Statement};

use super::Access;
use super::value::{Row, Value};
use crate::error::ProjectionError;

/// One writer of the read models at a time in the whole database. The number (`RWRM`) is ours
/// alone.
const WRITE: &str = "BEGIN; SELECT pg_advisory_xact_lock(1381454413)";
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
/// A crash of the server may lose the last transactions, but rows and cursors together, so the
/// runner applies those events again. Plans made while the tables are small would scan or sort all
/// of them, and be kept: every row is to be looked up by its key.
const WRITER: &str = "SET search_path = read_models; SET synchronous_commit = off; \
     SET plan_cache_mode = force_generic_plan; \
     SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";
const READER: &str = "SET search_path = read_models; SET default_transaction_read_only = on";

/// A connection with its statements.
pub(super) struct Session {
    client: Arc<Client>,
    prepared: RefCell<HashMap<Box<str>, Statement>>,
    /// What begins a transaction together with its first statement.
    begin: Cell<Option<&'static str>>,
    /// What was sent last and not waited for.
    under_way: RefCell<Option<Answer>>,
}

type Answer = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

impl Session {
    pub(super) fn connect(database: &Database, access: Access) -> Result<Session, ProjectionError> {
        let client = Arc::new(block(database.connect())?);
        let session = Session {
            client,
            prepared: RefCell::default(),
            begin: Cell::default(),
            under_way: RefCell::default(),
        };
        session.batch(match access {
            Access::Read => READER,
            Access::Write => WRITER,
        })?;
        Ok(session)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub(super) fn rows<P: ToSql + Sync>(&self, sql: &str, values: &[P]) -> Result<Vec<Row>, ProjectionError> {
        let statement = self.prepared(sql)?;
        let rows = self.begun(async {
            self.client.query_raw(&statement, values).await?.try_collect::<Vec<_>>().await
        })?;
        rows.iter().map(read).collect()
    }

    /// The rows of a statement of arrays, one for each column of these.
    pub(super) fn each(&self, sql: &str, rows: &[Vec<Value<'_>>]) -> Result<Vec<Row>, ProjectionError> {
        let columns = 0..rows.first().map_or(0, Vec::len);
        let arrays: Vec<Vec<&Value<'_>>> =
            columns.map(|n| rows.iter().map(|row| &row[n]).collect()).collect();
        self.rows(sql, &arrays)
    }

    /// Sends a statement of arrays and lets the server work: a fault of it shows at what comes
    /// next.
    pub(super) fn send(&self, sql: &str, rows: &[Row]) -> Result<(), ProjectionError> {
        let statement = self.prepared(sql)?;
        let columns = 0..rows.first().map_or(0, Vec::len);
        let arrays: Vec<Vec<_>> = columns.map(|n| rows.iter().map(|row| row[n].clone()).collect()).collect();
        self.begun(async { Ok(()) })?;
        let client = Arc::clone(&self.client);
        let mut answer: Answer =
            Box::pin(async move { client.execute_raw(&statement, &arrays).await.map(drop) });
        // A call of the driver is sent when it is polled first.
        if let Poll::Ready(done) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Ok(done.map_err(PostgresFault::from)?);
        }
        self.under_way.replace(Some(answer));
        Ok(())
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

    /// Rolls back without waiting: the next transaction's statements queue up behind.
    pub(super) fn abandon(&self) {
        self.under_way.take();
        if self.begin.take().is_none() {
            // A call of the driver is sent when it is polled first.
            let rollback = pin!(self.client.batch_execute("ROLLBACK"));
            let _sent = rollback.poll(&mut Context::from_waker(Waker::noop()));
        }
    }

    /// Waits for an answer, and for the beginning of its transaction where that is not sent yet.
    fn begun<T>(
        &self,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, ProjectionError> {
        if let Some(before) = self.under_way.take() {
            block(before).map_err(PostgresFault::from)?;
        }
        let done = match self.begin.take() {
            None => block(call),
            Some(begin) => {
                // The call is sent right behind. A fault of the beginning is the cause of others.
                let (begun, done) = block(async { tokio::join!(self.client.batch_execute(begin), call) });
                begun.and(done)
            }
        };
        Ok(done.map_err(PostgresFault::from)?)
    }

    fn prepared(&self, sql: &str) -> Result<Statement, ProjectionError> {
        if let Some(statement) = self.prepared.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.begun(self.client.prepare(sql))?;
        self.prepared.borrow_mut().insert(sql.into(), statement.clone());
        Ok(statement)
    }
}

/// Drives the connections, and nothing else: whoever waits for an answer waits for no other task,
/// so all threads of the runtime that asks may wait at once.
static DRIVER: LazyLock<Runtime> = LazyLock::new(|| {
    let driver =
        Builder::new_multi_thread().worker_threads(1).thread_name("read-models").enable_all().build();
    driver.expect("the system has a thread for the read models")
});

/// Waits for an answer on a thread that may block, also where that thread is inside `block_on`
/// itself, as the runner's is.
fn block<T>(future: impl Future<Output = T>) -> T {
    let _driven = DRIVER.enter();
    #[expect(clippy::disallowed_methods, reason = "waits for DRIVER alone, which waits for nobody")]
    futures::executor::block_on(future)
}

fn read(row: &tokio_postgres::Row) -> Result<Row, ProjectionError> {
    let value = |(n, column): (usize, &tokio_postgres::Column)| {
        let value = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(n).map(|found| found.map(Value::Integer)),
            Type::BYTEA => {
                row.try_get::<_, Option<Vec<u8>>>(n).map(|found| found.map(|bytes| Value::Blob(bytes.into())))
            }
            _ => row.try_get::<_, Option<String>>(n).map(|found| found.map(|text| Value::Text(text.into()))),
        };
        Ok(value.map_err(PostgresFault::from)?.unwrap_or(Value::Null))
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
