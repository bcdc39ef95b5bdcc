//! The log on PostgreSQL: one table, one statement for each batch, one connection that writes and
//! one that looks up what the next batch needs meanwhile.
//!
//! A connection is made anew when it breaks; what happened to an append that was under way is then
//! unknown, and the next lease, which waits for the head's row lock, settles it. Everybody else
//! reads through the pool and never waits for the writer. A lease carries a time by the server's
//! clock, which only tells a standby when it may take over: correctness rests on the term alone.

mod append;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use crate::postgres::{self, Database, PostgresFault, SchemaError};
use ledger_core::ids::TransactionKey;
use ledger_core::log::{
    AppendError, Batch, EventLog, Head, LogError, Position, Snapshot, SnapshotStore, StoredEvent, StreamId,
    StreamType, TransactionIndex, WriterLease,
};
use ledger_core::time::Timestamp;

/// How a log on PostgreSQL is used.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// How long a lease lasts after it was last renewed: how long a standby waits for a silent
    /// writer.
    pub lease_ttl: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        PostgresOptions { lease_ttl: Duration::from_secs(10) }
    }
}

/// An event log in one PostgreSQL database. Clones share it.
#[derive(Clone)]
pub struct PostgresLog {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    options: PostgresOptions,
    writer: Mutex<Option<Writer>>,
    lookup: Mutex<Option<Lookup>>,
}

/// The connection that writes.
struct Writer {
    client: Client,
    append: Statement,
}

/// The connection on which the writer looks up what it decides on.
struct Lookup {
    client: Client,
    snapshots: Statement,
    load: Statement,
    find: Statement,
}

impl PostgresLog {
    /// Opens the log of this database, if it has the schema this program needs.
    pub async fn open(database: Database, options: PostgresOptions) -> Result<PostgresLog, LogError> {
        let client = database.pooled().await.map_err(store("connect"))?;
        check_schema(&client).await?;
        let inner = Inner { database, options, writer: Mutex::default(), lookup: Mutex::default() };
        Ok(PostgresLog { inner: Arc::new(inner) })
    }

    /// The connection that writes, made anew if there is none or it has broken.
    async fn writer(&self) -> Result<MappedMutexGuard<'_, Writer>, LogError> {
        let mut guard = self.inner.writer.lock().await;
        if guard.as_ref().is_none_or(|writer| writer.client.is_closed()) {
            let client = self.connect().await.map_err(store("connect as the writer"))?;
            let append = client.prepare(append::APPEND).await.map_err(failed("prepare the append"))?;
            *guard = Some(Writer { client, append });
        }
        Ok(MutexGuard::map(guard, |writer| writer.as_mut().expect("made above")))
    }

    async fn lookup(&self) -> Result<MappedMutexGuard<'_, Lookup>, LogError> {
        let mut guard = self.inner.lookup.lock().await;
        if guard.as_ref().is_none_or(|lookup| lookup.client.is_closed()) {
            let client = self.connect().await.map_err(store("connect to look up"))?;
            let (snapshots, load, find) = tokio::try_join!(
                client.prepare(rows::SNAPSHOTS),
                client.prepare(rows::OF_STREAMS),
                client.prepare(rows::OF_KEYS),
            )
            .map_err(failed("prepare the lookups"))?;
            *guard = Some(Lookup { client, snapshots, load, find });
        }
        Ok(MutexGuard::map(guard, |lookup| lookup.as_mut().expect("made above")))
    }

    async fn connect(&self) -> Result<Client, PostgresFault> {
        let client = self.inner.database.connect().await?;
        // Looked up by key only: a plan that scans would be made while the tables are small, and
        // kept.
        client.batch_execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off").await?;
        Ok(client)
    }

    async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, LogError> {
        let client = self.inner.database.pooled().await.map_err(store("reach the database"))?;
        let statement = client.prepare_cached(sql).await.map_err(failed("prepare a read"))?;
        client.query(&statement, parameters).await.map_err(failed("read events"))
    }

    /// What the writer asks, for no longer than its lease lasts: a line that swallows what is sent
    /// keeps nobody waiting, and by then another may be the writer.
    async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, LogError>> + Send,
    ) -> Result<T, LogError> {
        if let Ok(answered) = tokio::time::timeout(self.inner.options.lease_ttl, asked).await {
            return answered;
        }
        // Who owes an answer is not asked again; whoever uses a connection just now finds out by
        // himself.
        if let Ok(mut writer) = self.inner.writer.try_lock() {
            *writer = None;
        }
        if let Ok(mut lookup) = self.inner.lookup.try_lock() {
            *lookup = None;
        }
        Err(store("be answered while the lease lasts")(PostgresFault::TimedOut))
    }

    fn ttl_seconds(&self) -> f64 {
        self.inner.options.lease_ttl.as_secs_f64()
    }
}

#[async_trait]
impl EventLog for PostgresLog {
    async fn append(&self, batch: &Batch) -> Result<(), AppendError> {
        let append = async {
            let writer = match self.writer().await {
                Ok(writer) => writer,
                Err(error) => return Ok(Err(AppendError::Unknown(error))),
            };
            Ok(append::append(&writer, batch, self.ttl_seconds()).await)
        };
        self.in_time(append).await.map_err(AppendError::Unknown)?
    }

    async fn head(&self) -> Result<Head, LogError> {
        let rows = self
            .query("SELECT epoch, position, recorded_at FROM ledger.head WHERE partition = 0", &[])
            .await?;
        rows::head(rows.first().ok_or_else(|| LogError::Damaged("its head is missing".into()))?)
    }

    async fn read_after(&self, position: Position, limit: usize) -> Result<Vec<StoredEvent>, LogError> {
        let parameters: [&(dyn ToSql + Sync); 2] = [&rows::integer(position.0), &rows::limit(limit)];
        let events = rows::events(&self.query(rows::AFTER, &parameters).await?)?;
        ledger_core::log::no_hole(position, &events)?;
        Ok(events)
    }

    async fn read_stream_after(
        &self,
        stream: &StreamId,
        position: Position,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, LogError> {
        let (stream_type, id) = (stream.stream_type.as_str(), stream.id.as_str());
        let parameters: [&(dyn ToSql + Sync); 4] =
            [&stream_type, &id, &rows::integer(position.0), &rows::limit(limit)];
        rows::events(&self.query(rows::STREAM_AFTER, &parameters).await?)
    }

    async fn load_streams(
        &self,
        streams: &[(StreamId, u64)],
        limit: usize,
    ) -> Result<Vec<StoredEvent>, LogError> {
        self.in_time(async {
            let (types, ids) = rows::names(streams.iter().map(|(stream, _)| stream));
            let after: Vec<i64> = streams.iter().map(|(_, after)| rows::integer(*after)).collect();
            let parameters: [&(dyn ToSql + Sync); 4] = [&types, &ids, &after, &rows::limit(limit)];
            let lookup = self.lookup().await?;
            let events =
                lookup.client.query(&lookup.load, &parameters).await.map_err(failed("load streams"))?;
            rows::events(&events)
        })
        .await
    }

    async fn stream_ids(&self, stream_type: StreamType) -> Result<Vec<StreamId>, LogError> {
        let rows = self.query(rows::STREAM_IDS, &[&stream_type.as_str()]).await?;
        Ok(rows.iter().map(|row| StreamId { stream_type, id: row.get::<_, &str>(0).into() }).collect())
    }

    async fn known_streams(&self, streams: &[StreamId]) -> Result<Vec<StreamId>, LogError> {
        let (types, ids) = rows::names(streams.iter());
        let found = self.query(rows::KNOWN, &[&types, &ids]).await?;
        let place = |row: &Row| usize::try_from(row.get::<_, i64>(0) - 1).ok();
        Ok(found.iter().filter_map(place).filter_map(|place| streams.get(place)).cloned().collect())
    }
}

#[async_trait]
impl WriterLease for PostgresLog {
    async fn lease(&self, holder: &str, held: Option<u64>) -> Result<Head, LogError> {
        self.in_time(self.take_lease(holder, held)).await
    }

    fn ttl(&self) -> Option<Duration> {
        Some(self.inner.options.lease_ttl)
    }

    async fn renew(&self, term: u64) -> Result<(), LogError> {
        const RENEW: &str = "UPDATE ledger.head SET leased_until = clock_timestamp() + make_interval(secs => $2) \
             WHERE partition = 0 AND epoch = $1";
        self.touch_lease(RENEW, term, self.ttl_seconds()).await
    }

    async fn release(&self, term: u64) -> Result<(), LogError> {
        const RELEASE: &str = "UPDATE ledger.head SET leased_until = clock_timestamp() - make_interval(secs => $2) \
             WHERE partition = 0 AND epoch = $1";
        self.touch_lease(RELEASE, term, 0.0).await
    }

    async fn server_time(&self) -> Result<Option<Timestamp>, LogError> {
        const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let rows = self.query(NOW, &[]).await?;
        Ok(rows.first().map(|row| Timestamp::from_micros(row.get(0))))
    }
}

#[async_trait]
impl TransactionIndex for PostgresLog {
    async fn find_transactions(&self, keys: &[TransactionKey]) -> Result<Vec<StoredEvent>, LogError> {
        self.in_time(async {
            let keys: Vec<&[u8]> = keys.iter().map(|key| key.0.as_slice()).collect();
            let lookup = self.lookup().await?;
            rows::events(
                &lookup.client.query(&lookup.find, &[&keys]).await.map_err(failed("find transactions"))?,
            )
        })
        .await
    }

    async fn transaction_keys(
        &self,
        after: Option<&TransactionKey>,
        limit: usize,
    ) -> Result<Vec<TransactionKey>, LogError> {
        let after = after.map_or([].as_slice(), |key| &key.0);
        rows::keys(&self.query(rows::KEYS, &[&after, &rows::limit(limit)]).await?)
    }
}

#[async_trait]
impl SnapshotStore for PostgresLog {
    async fn load_snapshots(&self, streams: &[StreamId], code: &str) -> Result<Vec<Snapshot>, LogError> {
        self.in_time(async {
            let (types, ids) = rows::names(streams.iter());
            let parameters: [&(dyn ToSql + Sync); 3] = [&types, &ids, &code];
            let lookup = self.lookup().await?;
            let found = lookup.client.query(&lookup.snapshots, &parameters).await;
            rows::snapshots(&found.map_err(failed("load snapshots"))?)
        })
        .await
    }

    async fn save_snapshots(&self, snapshots: &[Snapshot]) -> Result<(), LogError> {
        let client = self.inner.database.pooled().await.map_err(store("reach the database"))?;
        rows::save_snapshots(&client, snapshots).await.map_err(failed("save snapshots"))
    }

    async fn snapshots_after(
        &self,
        code: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<Snapshot>, LogError> {
        let (stream_type, id) =
            after.map_or(("", ""), |stream| (stream.stream_type.as_str(), stream.id.as_str()));
        let parameters: [&(dyn ToSql + Sync); 4] = [&code, &stream_type, &id, &rows::limit(limit)];
        rows::snapshots(&self.query(rows::SNAPSHOTS_AFTER, &parameters).await?)
    }
}

impl PostgresLog {
    async fn take_lease(&self, holder: &str, held: Option<u64>) -> Result<Head, LogError> {
        const TAKE: &str = "UPDATE ledger.head SET epoch = epoch + 1, holder = $1, \
             leased_until = clock_timestamp() + make_interval(secs => $2) \
             WHERE partition = 0 AND (leased_until < clock_timestamp() OR holder = $1) \
             RETURNING epoch, position, recorded_at";
        const RECOVER: &str = "UPDATE ledger.head SET epoch = epoch + 1, holder = $1, \
             leased_until = clock_timestamp() + make_interval(secs => $2) \
             WHERE partition = 0 AND (epoch = $3 OR (epoch > $3 AND holder = $1)) \
             RETURNING epoch, position, recorded_at";
        // A statement of its own, which sees head and events of one moment. The update may have
        // waited for an append, and of that its own snapshot sees the head alone.
        const COMPARE: &str = "SELECT position, (SELECT coalesce(max(position), 0) FROM ledger.events) \
             FROM ledger.head WHERE partition = 0";
        let failed = || failed("take the lease");
        let writer = self.writer().await?;
        let ttl = self.ttl_seconds();
        if held.is_none() {
            // A standby may have waited for weeks, in which somebody has migrated.
            check_schema(&writer.client).await?;
        }
        let row = match held {
            None => writer.client.query_opt(TAKE, &[&holder, &ttl]).await,
            Some(term) => writer.client.query_opt(RECOVER, &[&holder, &ttl, &rows::integer(term)]).await,
        };
        let Some(row) = row.map_err(failed())? else {
            let holder = writer.client.query_opt("SELECT holder FROM ledger.head", &[]).await;
            // No row at all is no other writer's doing.
            let missing = || LogError::Damaged("its head is missing".into());
            let holder = holder.map_err(failed())?.ok_or_else(missing)?.get(0);
            return Err(if held.is_some() { LogError::Fenced } else { LogError::Held { holder } });
        };
        let head = rows::head(&row)?;
        let row = writer.client.query_one(COMPARE, &[]).await.map_err(failed())?;
        let (at, last) = (rows::position(&row, 0)?, rows::position(&row, 1)?);
        if last != at {
            return Err(LogError::Damaged(format!("its head is at {at}, its last event at {last}")));
        }
        Ok(head)
    }

    async fn touch_lease(&self, sql: &str, term: u64, seconds: f64) -> Result<(), LogError> {
        self.in_time(async {
            let writer = self.writer().await?;
            let parameters: [&(dyn ToSql + Sync); 2] = [&rows::integer(term), &seconds];
            let touched = writer.client.execute(sql, &parameters).await.map_err(failed("renew the lease"))?;
            if touched == 1 { Ok(()) } else { Err(LogError::Fenced) }
        })
        .await
    }
}

/// Refuses a schema that this program does not know.
async fn check_schema(client: &Client) -> Result<(), LogError> {
    postgres::check(client).await.map_err(|error| match error {
        SchemaError::Failed(fault) => store("read the schema's version")(fault),
        refused => LogError::Store { doing: "use the schema", transient: false, source: Box::new(refused) },
    })
}

/// What a failed call was for.
fn store(doing: &'static str) -> impl Fn(PostgresFault) -> LogError {
    move |fault| LogError::Store { doing, transient: fault.transient(), source: Box::new(fault) }
}

fn failed(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> LogError {
    move |error| store(doing)(PostgresFault::from(error))
}

#[cfg(test)]
mod tests;
