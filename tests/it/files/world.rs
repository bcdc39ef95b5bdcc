//! A ledger in a data folder, in which everybody wins, and ways to look at its files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stores::postgres::{Database, Options};
use stores::testing::Cluster;
use tokio::runtime::Runtime;

use rewardhub_tests::rows::{CERTAIN, campaign, purchase};
use rewardhub_tests::{Home, Sandbox};

/// How long anything may take on a slow machine.
pub(crate) const SOON: Duration = Duration::from_secs(40);
/// All files of a ledger that SQLite writes.
pub(crate) const DATABASES: [&str; 5] = ["log.db", "read.db", "keys.db", "steps.db", "rail.db"];

/// A folder that is served with its own issuer.
pub(crate) fn home() -> Home {
    Home::with(&[
        ("REWARDHUB_TOKENS_JWKS", "sandbox"),
        ("REWARDHUB_ENROLMENT", "open"),
        ("REWARDHUB_LISTEN", "127.0.0.1:0"),
    ])
}

/// The same with a campaign in which everyone wins.
pub(crate) fn home_with_campaign() -> Home {
    let home = home();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 100_000_000));
    home
}

/// Serves it until all that was sent is decided, issued, told and paid. `name` is part of all ids.
pub(crate) fn with_wins(home: &Home, name: &str, wins: usize) -> Sandbox {
    let service = home.listen(&[]);
    service.ready(SOON);
    win(&service, name, wins);
    service
}

/// So many wins more, of accounts of their own.
pub(crate) fn win(service: &Sandbox, name: &str, wins: usize) {
    let rows: Vec<_> =
        (0..wins).map(|n| purchase(&format!("{name}-{n}"), &format!("cus_{name}_{n}"))).collect();
    for answer in service.send(&service.feed(), &rows) {
        assert_eq!(answer["result"], "accepted", "{answer}");
    }
    service.settle(SOON);
}

/// What a file's write-ahead log holds.
pub(crate) fn wal_bytes(file: &Path) -> u64 {
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    std::fs::metadata(PathBuf::from(wal)).map_or(0, |wal| wal.len())
}

/// A database with no schema in it.
pub(crate) struct World {
    // The last to go: the cluster is stopped before its runtime.
    cluster: Arc<Cluster>,
    url: String,
    runtime: Runtime,
}

impl World {
    /// On the server that tests share.
    pub(crate) fn empty() -> World {
        let runtime = Runtime::new().unwrap();
        let (cluster, url) = runtime.block_on(async {
            let cluster = Cluster::shared().await;
            let url = cluster.empty_database().await.unwrap();
            (cluster, url)
        });
        World { cluster, url, runtime }
    }

    /// A place with nothing in it.
    pub(crate) fn place(&self) -> Home {
        Home::with(&[
            ("REWARDHUB_LOG", &self.url),
            ("REWARDHUB_LEASE_TTL", "3s"),
            ("REWARDHUB_ENROLMENT", "open"),
            ("REWARDHUB_TOKENS_JWKS", "sandbox"),
            ("REWARDHUB_LISTEN", "127.0.0.1:0"),
        ])
    }

    /// Another place with the first one's root key and issuer.
    pub(crate) fn second_place(&self, first: &Home) -> Home {
        let home = self.place();
        std::fs::create_dir_all(home.data()).unwrap();
        for file in ["root.key", "sandbox-issuer.p8"] {
            // `copy` takes the mode along.
            std::fs::copy(first.data().join(file), home.data().join(file)).unwrap();
        }
        home
    }

    /// Runs statements as the superuser.
    pub(crate) fn execute(&self, sql: &str) {
        let database = self.url.rsplit_once('/').unwrap().1;
        self.runtime.block_on(self.cluster.execute(database, sql)).unwrap();
    }

    /// The one number that a query answers, asked as the superuser.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.runtime.block_on(async {
            let database = Database::new(self.url.parse().unwrap(), &Options::default());
            database.connect().await.unwrap().query_one(sql, &[]).await.unwrap().get(0)
        })
    }
}
