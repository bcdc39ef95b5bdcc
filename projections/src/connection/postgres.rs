//! Statements on PostgreSQL: sent without waiting, answered in order.
//!
//! A write is sent and its answer looked at when somebody needs to know: before a read's own
//! answer, before a commit. Writes of one `INSERT` or `DELETE` one after another become one
//! statement ([`rows`]). One advisory lock, held to the end of a writing transaction, does what
//! `BEGIN IMMEDIATE` does on SQLite, also between processes.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use futures::TryStreamExt as _;
use stores::postgres::{Database, Fault};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use tokio_postgres::{Client, Statement};

use super::Access;
use super::rows::{Rows, Run};
use super::value::{Row, Value};
use crate::error::{Contradiction, ProjectionError};

/// One writer of the read models at a time in the whole database. The number (`RWRM`) is ours
/// alone.
const WRITE: &str = "BEGIN; SELECT pg_advisory_xact_lock(1381454413)";
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
/// A crash of the server may lose the last transactions, but rows and checkpoints together, so the
/// runner applies those events again. Plans made while the tables are small would scan or sort all
/// of them, and be kept: every row is to be looked up by its key.
const WRITER: &str = "SET search_path = read_models; SET synchronous_commit = off; \
     SET plan_cache_mode = force_generic_plan; \
     SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";
const READER: &str = "SET search_path = read_models; SET default_transaction_read_only = on";
/// Statements whose answers nobody has looked at yet.
const UNSETTLED_MAX: usize = 256;

/// A connection with its statements and the writes under way.
pub(super) struct Session {
    client: Arc<Client>,
    prepared: RefCell<HashMap<Box<str>, Arc<Prepared>>>,
    run: RefCell<Option<Run>>,
    unsettled: RefCell<VecDeque<Answer>>,
}

/// A statement as the server knows it.
pub(super) struct Prepared {
    pub(super) one: Statement,
    /// The same for many rows at once, if there is one.
    pub(super) rows: Option<Rows>,
    columns: Arc<[Box<str>]>,
}

/// The answer to a statement that was sent.
type Answer = Pin<Box<dyn Future<Output = Result<(), ProjectionError>> + Send>>;

impl Session {
    pub(super) fn connect(database: &Database, access: Access) -> Result<Session, ProjectionError> {
        let client = block(database.connect())?;
        let session = Session {
            client: Arc::new(client),
            prepared: RefCell::default(),
            run: RefCell::default(),
            unsettled: RefCell::default(),
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

    pub(super) fn rows(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, ProjectionError> {
        let prepared = self.prepared(sql)?;
        self.end_run();
        let query = async {
            let rows = self.client.query_raw(&prepared.one, values).await?;
            rows.try_collect::<Vec<_>>().await
        };
        // The query is sent behind what is under way. That is looked at first: its fault is the
        // cause of others.
        let (settled, rows) = block(async { tokio::join!(self.settled(), query) });
        settled?;
        let rows = rows.map_err(Fault::from)?;
        rows.iter()
            .map(|row| Ok(Row { columns: Arc::clone(&prepared.columns), values: read(row)? }))
            .collect()
    }

    pub(super) fn write(
        &self,
        sql: &str,
        values: &[Value<'_>],
        otherwise: Option<Contradiction>,
    ) -> Result<(), ProjectionError> {
        let prepared = self.prepared(sql)?;
        let values: Vec<_> = values.iter().map(|value| value.by_ref().into_owned()).collect();
        if prepared.rows.is_none() {
            self.end_run();
            self.send(one(Arc::clone(&self.client), prepared, values, otherwise));
            return self.settle_old();
        }
        if !self.run.borrow().as_ref().is_some_and(|run| run.takes(&prepared, &values)) {
            self.end_run();
        }
        self.run.borrow_mut().get_or_insert_with(|| Run::of(prepared)).push(values, otherwise);
        self.settle_old()
    }

    pub(super) fn columns(&self, sql: &str) -> Result<Vec<String>, ProjectionError> {
        Ok(self.prepared(sql)?.columns.iter().map(ToString::to_string).collect())
    }

    pub(super) fn batch(&self, sql: &str) -> Result<(), ProjectionError> {
        self.settle()?;
        Ok(block(self.client.batch_execute(sql)).map_err(Fault::from)?)
    }

    /// Begins with whatever comes next: that a broken connection does not begin shows there.
    pub(super) fn begin(&self, access: Access) {
        let client = Arc::clone(&self.client);
        let begin = match access {
            Access::Read => READ,
            Access::Write => WRITE,
        };
        self.send(async move { Ok(client.batch_execute(begin).await.map_err(Fault::from)?) });
    }

    pub(super) fn commit(&self) -> Result<(), ProjectionError> {
        self.batch("COMMIT")
    }

    /// Rolls back without waiting: the next transaction's statements queue up behind.
    pub(super) fn abandon(&self) {
        self.run.take();
        self.unsettled.take();
        let client = Arc::clone(&self.client);
        self.send(async move { Ok(client.batch_execute("ROLLBACK").await.map_err(Fault::from)?) });
        self.unsettled.take();
    }

    fn prepared(&self, sql: &str) -> Result<Arc<Prepared>, ProjectionError> {
        if let Some(prepared) = self.prepared.borrow().get(sql) {
            return Ok(Arc::clone(prepared));
        }
        // A statement that failed makes the server refuse every later one; tell the cause.
        self.settle()?;
        let prepare = async {
            let one = self.client.prepare(&sql.replace('?', "$")).await?;
            let rows = match Rows::sql(sql, one.params()) {
                Some((sql, key)) => Some(Rows { statement: self.client.prepare(&sql).await?, key }),
                None => None,
            };
            Ok::<_, tokio_postgres::Error>((one, rows))
        };
        let (one, rows) = block(prepare).map_err(Fault::from)?;
        let columns = one.columns().iter().map(|column| column.name().into()).collect();
        let prepared = Arc::new(Prepared { one, rows, columns });
        self.prepared.borrow_mut().insert(sql.into(), Arc::clone(&prepared));
        Ok(prepared)
    }

    fn end_run(&self) {
        if let Some(run) = self.run.take() {
            self.send(run.execute(Arc::clone(&self.client)));
        }
    }

    /// A call of the driver is sent when it is polled first.
    fn send(&self, call: impl Future<Output = Result<(), ProjectionError>> + Send + 'static) {
        let mut answer: Answer = Box::pin(call);
        let answer = match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => answer,
            Poll::Ready(done) => Box::pin(std::future::ready(done)),
        };
        self.unsettled.borrow_mut().push_back(answer);
    }

    /// Ends with the first fault, or when everything sent so far is done.
    async fn settled(&self) -> Result<(), ProjectionError> {
        loop {
            let Some(answer) = self.unsettled.borrow_mut().pop_front() else { return Ok(()) };
            answer.await?;
        }
    }

    fn settle(&self) -> Result<(), ProjectionError> {
        self.end_run();
        if self.unsettled.borrow().is_empty() { Ok(()) } else { block(self.settled()) }
    }

    /// Bounds what is under way.
    fn settle_old(&self) -> Result<(), ProjectionError> {
        if self.unsettled.borrow().len() < UNSETTLED_MAX {
            return Ok(());
        }
        let old: Vec<Answer> = self.unsettled.borrow_mut().drain(..UNSETTLED_MAX / 2).collect();
        block(async {
            for answer in old {
                answer.await?;
            }
            Ok(())
        })
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
pub(super) fn block<T>(future: impl Future<Output = T>) -> T {
    let _driven = DRIVER.enter();
    #[expect(clippy::disallowed_methods, reason = "waits for DRIVER alone, which waits for nobody")]
    futures::executor::block_on(future)
}

/// A write by itself.
pub(super) async fn one(
    client: Arc<Client>,
    prepared: Arc<Prepared>,
    values: Vec<Value<'static>>,
    otherwise: Option<Contradiction>,
) -> Result<(), ProjectionError> {
    let changed = client.execute_raw(&prepared.one, &values).await.map_err(Fault::from)?;
    otherwise.filter(|_| changed != 1).map_or(Ok(()), |wrong| Err(wrong.into()))
}

pub(super) fn read(row: &tokio_postgres::Row) -> Result<Vec<Value<'static>>, ProjectionError> {
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
