//! A database with a ledger in it, and the places (data folders) from which it is served.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rewardhub_tests::rows::{CERTAIN, campaign, ndjson, purchase};
use rewardhub_tests::{Home, Sandbox, eventually};
use serde_json::Value;
use stores::postgres::{Database, DatabaseOptions};
use stores::testing::Cluster;
use tokio::runtime::Runtime;

/// How long a lease lasts here, and with it a failover after a kill.
pub(crate) const TTL: Duration = Duration::from_secs(3);
/// How long a failover, or coming back after an outage, may take on a slow machine.
pub(crate) const SOON: Duration = Duration::from_secs(40);

pub(crate) struct World {
    // The last to go: the cluster is stopped before its runtime.
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) url: String,
    pub(crate) runtime: Runtime,
}

impl World {
    /// An empty database on the server that tests share.
    pub(crate) fn empty() -> World {
        World::on(async || Cluster::shared().await)
    }

    /// An empty database on a server that a test may stop.
    pub(crate) fn alone() -> World {
        World::on(async || Arc::new(Cluster::start(&[]).await.unwrap()))
    }

    /// An empty database on this server.
    pub(crate) fn on(cluster: impl AsyncFnOnce() -> Arc<Cluster>) -> World {
        let runtime = Runtime::new().unwrap();
        let (cluster, url) = runtime.block_on(async {
            let cluster = cluster().await;
            let url = cluster.empty_database().await.unwrap();
            (cluster, url)
        });
        World { cluster, url, runtime }
    }

    /// With the schema and a running campaign in which everyone wins; and the first place.
    pub(crate) fn with_campaign(self) -> (World, Home) {
        let home = self.place();
        home.run(&["migrate"]).expect_code(0);
        home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 100_000_000));
        (self, home)
    }

    /// A place with nothing in it.
    pub(crate) fn place(&self) -> Home {
        Home::with(&[
            ("REWARDHUB_LOG", &self.url),
            ("REWARDHUB_LEASE_TTL", "3s"),
            ("REWARDHUB_ENROLMENT", "open"),
            ("REWARDHUB_TOKENS_JWKS", "sandbox"),
            // Also for a `serve` that is expected to be refused.
            ("REWARDHUB_LISTEN", "127.0.0.1:0"),
        ])
    }

    /// Another place with the first one's root key and issuer, as on a second machine.
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
        self.runtime.block_on(self.cluster.execute(self.database(), sql)).unwrap();
    }

    /// The one number that a query answers, asked as the superuser.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.runtime.block_on(async {
            let database = Database::new(self.url.parse().unwrap(), &DatabaseOptions::default());
            database.connect().await.unwrap().query_one(sql, &[]).await.unwrap().get(0)
        })
    }

    /// Takes locks, held until the answer is dropped.
    pub(crate) fn lock(&self, sql: &str) -> impl Sized + use<> {
        self.runtime.block_on(async {
            let database = Database::new(self.url.parse().unwrap(), &DatabaseOptions::default());
            let client = database.connect().await.unwrap();
            client.batch_execute(&format!("BEGIN; {sql}")).await.unwrap();
            client
        })
    }

    pub(crate) fn database(&self) -> &str {
        self.url.rsplit_once('/').unwrap().1
    }
}

/// A ledger with a running campaign.
pub(crate) struct Ledger {
    pub(crate) home: Home,
    /// Its database; `None` where it is embedded.
    world: Option<World>,
}

/// One on PostgreSQL, and one embedded. Everyone may enrol.
pub(crate) fn everywhere() -> [Ledger; 2] {
    let (world, home) = World::empty().with_campaign();
    let embedded = Home::with(&[("REWARDHUB_ENROLMENT", "open"), ("REWARDHUB_TOKENS_JWKS", "sandbox")]);
    embedded.start_campaign("sure", &campaign("sure", CERTAIN, 250, 100_000_000));
    [Ledger { home, world: Some(world) }, Ledger { home: embedded, world: None }]
}

impl Ledger {
    /// How many events of this type it has.
    pub(crate) fn count(&self, event_type: &str) -> usize {
        let count = |table| format!("SELECT count(*) FROM {table} WHERE event_type = '{event_type}'");
        let count = match &self.world {
            Some(world) => world.number(&count("ledger.events")),
            None => self.file("log.db").query_row(&count("events"), [], |row| row.get(0)).unwrap(),
        };
        usize::try_from(count).unwrap()
    }

    /// Puts another payload into the first event of this account, as no writer would.
    pub(crate) fn damage(&self, account: &str, payload: &str) {
        let sql = |table| {
            format!(
                "UPDATE {table} SET payload = '{payload}' WHERE aggregate_type = 'account' \
                 AND aggregate_id = '{account}' AND sequence = 1"
            )
        };
        if let Some(world) = &self.world {
            world.execute(&format!(
                "ALTER TABLE ledger.events DISABLE TRIGGER USER; {}; ALTER TABLE ledger.events ENABLE TRIGGER USER",
                sql("ledger.events")
            ));
        } else {
            let log = self.file("log.db");
            let trigger = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND sql LIKE '%BEFORE UPDATE ON events%'";
            let trigger: String = log.query_row(trigger, [], |row| row.get(0)).unwrap();
            let name = trigger.split_whitespace().nth(2).unwrap();
            let update = sql("events");
            log.execute_batch(&format!("DROP TRIGGER {name}; {update}; {trigger};")).unwrap();
        }
    }

    /// Makes the wrapped key of this account another.
    pub(crate) fn damage_key(&self, account: &str) {
        if let Some(world) = &self.world {
            world.execute(&format!(
                "ALTER TABLE keys.account_keys DISABLE TRIGGER USER; \
                 UPDATE keys.account_keys SET wrapped = '\\x00' WHERE account_id = '{account}'; \
                 ALTER TABLE keys.account_keys ENABLE TRIGGER USER"
            ));
        } else {
            let update = format!("UPDATE account_keys SET wrapped = x'00' WHERE account_id = '{account}'");
            self.file("keys.db").execute_batch(&update).unwrap();
        }
    }

    fn file(&self, name: &str) -> rusqlite::Connection {
        rusqlite::Connection::open(self.home.data().join(name)).unwrap()
    }
}

/// A feed that sends rows until each is taken, whatever happens meanwhile.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<Value>>,
}

impl Load {
    /// Sends requests of 20 rows to a service, each until it is answered.
    pub(crate) fn start(service: Arc<Sandbox>, token: String, name: &'static str) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut sent = Vec::new();
            for request in 0.. {
                let rows: Vec<Value> = (0..20)
                    .map(|n| {
                        purchase(&format!("{name}-{request}-{n}"), &format!("cus_{}", (request * 7 + n) % 50))
                    })
                    .collect();
                let deadline = std::time::Instant::now() + 3 * SOON;
                while !taken(&service, &token, &rows) {
                    assert!(std::time::Instant::now() < deadline, "the service takes nothing");
                    std::thread::sleep(Duration::from_millis(50));
                }
                sent.extend(rows);
                if stopping.load(Ordering::SeqCst) {
                    break;
                }
            }
            sent
        });
        Load { stop, thread }
    }

    /// Ends after the request that is under way; answers what was acknowledged.
    pub(crate) fn finish(self) -> Vec<Value> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// A few feeds at once that send until their service is gone, and never the same twice.
pub(crate) struct Storm {
    acknowledged: Arc<AtomicUsize>,
    threads: Vec<std::thread::JoinHandle<Vec<(Value, bool)>>>,
}

impl Storm {
    /// Three feeds, of requests of 20 rows.
    pub(crate) fn start(service: &Arc<Sandbox>, token: &str, name: &str) -> Storm {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let feed = |feed: usize| {
            let (service, token) = (Arc::clone(service), token.to_owned());
            let (name, acknowledged) = (format!("{name}-{feed}"), Arc::clone(&acknowledged));
            std::thread::spawn(move || {
                let mut sent = Vec::new();
                for request in 0.. {
                    let account = |n: usize| format!("cus_{}", (request * 7 + n) % 50);
                    let rows: Vec<Value> =
                        (0..20).map(|n| purchase(&format!("{name}-{request}-{n}"), &account(n))).collect();
                    let answer = service.try_post(&token, "application/x-ndjson", ndjson(&rows).into_bytes());
                    let taken = answer.as_ref().is_ok_and(|answer| answer.status == 200);
                    sent.extend(rows.into_iter().map(|row| (row, taken)));
                    acknowledged.fetch_add(usize::from(taken), Ordering::SeqCst);
                    if answer.is_err() {
                        break;
                    }
                }
                sent
            })
        };
        Storm { threads: (0..3).map(feed).collect(), acknowledged }
    }

    /// Until so many requests have been acknowledged; more are under way.
    pub(crate) fn await_acknowledged(&self, requests: usize) {
        eventually("requests to be acknowledged", SOON, || {
            (self.acknowledged.load(Ordering::SeqCst) >= requests).then_some(())
        });
    }

    /// Waits for the service's end; answers all rows, and whether they were acknowledged.
    pub(crate) fn finish(self) -> Vec<(Value, bool)> {
        self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    }
}

/// Sends rows once; whether they were taken. What is not taken is refused with 429 or 503, or there
/// is nobody.
fn taken(service: &Sandbox, token: &str, rows: &[Value]) -> bool {
    match service.try_post(token, "application/x-ndjson", ndjson(rows).into_bytes()) {
        Ok(answer) if answer.status == 200 => {
            for row in answer.rows() {
                assert!(["accepted", "duplicate"].contains(&row["result"].as_str().unwrap()), "{row}");
            }
            true
        }
        Ok(answer) => {
            assert!([429, 503].contains(&answer.status), "{answer:?}");
            assert!(answer.retry_after.is_some(), "{answer:?}");
            false
        }
        Err(_) => false,
    }
}

/// All that was acknowledged is known, and nothing was decided twice.
pub(crate) fn all_known_once(service: &Sandbox, token: &str, rows: &[Value], home: &Home) {
    for some in rows.chunks(500) {
        for answer in service.send(token, some) {
            assert_eq!(answer["result"], "duplicate", "{answer}");
        }
    }
    let ids: BTreeSet<_> = rows.iter().map(|row| row["transaction_id"].as_str().unwrap()).collect();
    let replay = home.replayed();
    assert_eq!(replay["transactions"], ids.len(), "{replay}");
}
