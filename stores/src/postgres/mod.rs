//! How we reach PostgreSQL: the address and its TLS, sessions with time-outs, a bounded pool, the
//! schema.
//!
//! Used by the log, the keys, the steps' rows and the read models, each in a schema of its
//! own. No password reaches an error or a log line: an [`Address`] shows host and database only,
//! and a server's error is told by its code and message, without the row it was about.

mod address;
mod durability;
mod fault;
mod json;
pub(crate) mod keys;
pub mod log;
pub mod migrate;

use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod};
use tokio_postgres::{Client, NoTls};

pub use address::{Address, AddressError};
pub use durability::{DurabilityError, check_durability};
pub use fault::PostgresFault;
pub use json::Json;
pub use migrate::{SchemaError, check, migrate};

/// Bounds of every session.
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// Connections of the pool that serves everybody but the writer.
    pub connections_max: usize,
    /// How long to wait for a connection of the pool, or for a new one to be made.
    pub connect_timeout: Duration,
    /// No statement may run longer.
    pub statement_timeout: Duration,
    /// No statement may wait longer for a lock.
    pub lock_timeout: Duration,
    /// The storage never leaves half a page, so that the server need not guard against it.
    pub pages_are_whole: bool,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        DatabaseOptions {
            connections_max: 16,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(10),
            pages_are_whole: false,
        }
    }
}

/// A commit is on the disk before it is acknowledged, whatever the server's, the database's or the
/// role's default is. What waits for replicas as well (`remote_write`, `remote_apply`) stays.
const COMMIT: &str = "SELECT set_config('synchronous_commit', 'on', false) \
     WHERE current_setting('synchronous_commit') IN ('off', 'local')";

/// One PostgreSQL database. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct Database {
    address: Address,
    session: String,
    connect_timeout: Duration,
    pool: Pool,
}

/// A connection of the pool; goes back to it when dropped.
pub type Pooled = deadpool_postgres::Object;

impl Database {
    /// A database at this address. Connects to nothing yet.
    pub fn new(address: Address, options: &DatabaseOptions) -> Database {
        let session = format!(
            "SET application_name = 'rewardhub'; SET statement_timeout = {}; SET lock_timeout = {}; \
             SET idle_in_transaction_session_timeout = 60000; {COMMIT}",
            options.statement_timeout.as_millis(),
            options.lock_timeout.as_millis(),
        );
        let mut config = address.config().clone();
        config.connect_timeout(options.connect_timeout);
        // Fast: the driver knows whether the connection is closed; a round trip per loan buys
        // little more.
        let settings = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match address.tls() {
            Some(tls) => Manager::from_config(config, tls.clone(), settings),
            None => Manager::from_config(config, NoTls, settings),
        };
        let setup = session.clone();
        let pool = Pool::builder(manager)
            .max_size(options.connections_max.max(1))
            .wait_timeout(Some(options.connect_timeout))
            .create_timeout(Some(options.connect_timeout))
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .post_create(Hook::async_fn(move |client, _| {
                let setup = setup.clone();
                Box::pin(async move { client.batch_execute(&setup).await.map_err(HookError::Backend) })
            }))
            .build()
            .expect("a runtime is given, which is all that time-outs need");
        Database { address, session, connect_timeout: options.connect_timeout, pool }
    }

    /// A connection of the caller's own, with a task that drives it until it is dropped.
    pub async fn connect(&self) -> Result<Client, PostgresFault> {
        let connecting = async {
            let config = self.address.config();
            let client = if let Some(tls) = self.address.tls() {
                let (client, connection) = config.connect(tls.clone()).await?;
                tokio::spawn(drive(connection));
                client
            } else {
                let (client, connection) = config.connect(NoTls).await?;
                tokio::spawn(drive(connection));
                client
            };
            client.batch_execute(&self.session).await?;
            Ok::<_, tokio_postgres::Error>(client)
        };
        match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(PostgresFault::TimedOut),
        }
    }

    /// A connection of the pool; waits, bounded, while all are in use.
    pub async fn pooled(&self) -> Result<Pooled, PostgresFault> {
        Ok(self.pool.get().await?)
    }

    /// Where it is, without the password.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Ends with the connection. What went wrong is told to whoever was waiting for an answer.
async fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(error = &PostgresFault::from(error) as &dyn std::error::Error, "a connection ended");
    }
}
