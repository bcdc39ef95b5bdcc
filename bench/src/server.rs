//! A PostgreSQL to measure on: a private one from the installed binaries, or one at a given
//! address. On both, every log and every crate we compare with gets a database of its own; all are
//! removed in the end.

use anyhow::Context as _;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use stores::postgres::{self, Database, DatabaseOptions};
use stores::testing::Cluster;
use tokio_postgres::Client;

/// Durable as the server is by default; room for the measured data and no checkpoint in the middle
/// of a round.
const SETTINGS: &[&str] =
    &["fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=1GB", "max_wal_size=4GB"];
/// What is reported.
const SHOWN: &[&str] = &[
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_compression",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
];

pub(crate) struct Server {
    /// The address of a database to begin from.
    url: String,
    /// Its databases that are ours.
    made: Mutex<Vec<String>>,
    /// Ends with us.
    private: Option<Cluster>,
}

impl Server {
    pub(crate) async fn start(url: Option<String>) -> anyhow::Result<Server> {
        let private = if url.is_none() { Some(Cluster::start(SETTINGS).await?) } else { None };
        let url = url.or_else(|| private.as_ref().map(|cluster| cluster.url("postgres")));
        let url = url.context("neither an address nor a server of our own")?;
        Ok(Server { url, made: Mutex::default(), private })
    }

    /// The address of a new database with nothing in it.
    pub(crate) async fn empty_database(&self) -> anyhow::Result<String> {
        let name = {
            let mut made = self.made.lock();
            let name = format!("rewardhub_bench_{}_{}", std::process::id(), made.len());
            made.push(name.clone());
            name
        };
        let create = format!("CREATE DATABASE {name}");
        self.client().await?.batch_execute(&create).await.context("cannot create a database")?;
        with_database(&self.url, &name)
    }

    /// The same with our schema laid out.
    pub(crate) async fn ledger_database(&self) -> anyhow::Result<String> {
        let url = self.empty_database().await?;
        postgres::migrate(&mut connect(&url).await?, None).await?;
        Ok(url)
    }

    /// What it is and how it is set.
    pub(crate) async fn describe(&self) -> anyhow::Result<Value> {
        let client = self.client().await?;
        let mut settings = Map::new();
        for name in SHOWN {
            let row = client.query_one("SELECT current_setting($1)", &[name]).await?;
            settings.insert((*name).into(), row.get::<_, &str>(0).into());
        }
        Ok(json!({ "private": self.private.is_some(), "settings": settings }))
    }

    /// The operating system's numbers of its processes; of no use where it is on another machine.
    pub(crate) async fn processes(&self) -> anyhow::Result<Vec<u32>> {
        let rows =
            self.client().await?.query("SELECT pid FROM pg_stat_activity WHERE pid IS NOT NULL", &[]).await?;
        rows.iter().map(|row| Ok(u32::try_from(row.get::<_, i32>(0))?)).collect()
    }

    /// Whether its processes are this machine's.
    pub(crate) fn private(&self) -> bool {
        self.private.is_some()
    }

    /// Removes what was made.
    pub(crate) async fn clean(&self) -> anyhow::Result<()> {
        if self.private.is_some() {
            return Ok(());
        }
        let made = std::mem::take(&mut *self.made.lock());
        let client = self.client().await?;
        for name in made {
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            client
                .batch_execute(&drop)
                .await
                .with_context(|| format!("cannot remove the database {name}"))?;
        }
        Ok(())
    }

    async fn client(&self) -> anyhow::Result<Client> {
        connect(&self.url).await
    }
}

/// A connection of the caller's own.
pub(crate) async fn connect(url: &str) -> anyhow::Result<Client> {
    let database = Database::new(url.parse()?, &DatabaseOptions::default());
    database.connect().await.with_context(|| format!("cannot connect to {}", database.address()))
}

/// The same address with another database.
fn with_database(url: &str, name: &str) -> anyhow::Result<String> {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let (server, _) = base.rsplit_once('/').context("the address names no database")?;
    Ok(match query {
        Some(query) => format!("{server}/{name}?{query}"),
        None => format!("{server}/{name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_parameters_when_its_database_changes() {
        let other = with_database("postgres://u:p@h:1/a?sslmode=disable", "b").unwrap();
        assert_eq!(other, "postgres://u:p@h:1/b?sslmode=disable");
        assert_eq!(with_database("postgres://h/a", "b").unwrap(), "postgres://h/b");
    }
}
