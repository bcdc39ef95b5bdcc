//! The PostgreSQL log keeps the contract, and what only a server can promise.

use super::*;
use crate::testing::Cluster;
use ledger_core::log::Log;
use support::contract::{self, Place};
use support::{History, stream};

/// A database of its own.
struct Fresh(String);

#[async_trait]
impl Place for Fresh {
    async fn open(&self) -> Log {
        Arc::new(open(&self.0).await).into()
    }
}

async fn open(url: &str) -> PostgresLog {
    let database = Database::new(url.parse().unwrap(), &postgres::DatabaseOptions::default());
    // Long beside what a busy machine makes a test wait, short beside what anybody waits for a
    // test.
    let options = PostgresOptions { lease_ttl: Duration::from_secs(1) };
    PostgresLog::open(database, options).await.unwrap()
}

async fn client(url: &str) -> Client {
    Database::new(url.parse().unwrap(), &postgres::DatabaseOptions::default()).connect().await.unwrap()
}

/// A log with two events of account a.
async fn written(url: &str) -> (PostgresLog, History, u64, Vec<StoredEvent>) {
    let log = open(url).await;
    let term = log.lease("test", None).await.unwrap().term;
    let mut history = History::default();
    let events = vec![history.event(&stream("a")), history.keyed(&stream("a"), 1)];
    log.append(&history.batch(term, events.clone())).await.unwrap();
    (log, history, term, events)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_postgres_log_keeps_the_contract() {
    let cluster = Cluster::shared().await;
    contract::holds(async || Fresh(cluster.database().await.unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_changes_or_removes_events() {
    let cluster = Cluster::shared().await;
    let url = cluster.database().await.unwrap();
    let (log, _, _, events) = written(&url).await;
    let owner = client(&url).await;
    for statement in [
        "UPDATE ledger.events SET payload = '{}' WHERE position = 1",
        "DELETE FROM ledger.events WHERE position = 2",
        "DELETE FROM ledger.events WHERE false",
        "TRUNCATE ledger.events",
        "DELETE FROM ledger.head",
        "TRUNCATE ledger.head",
    ] {
        let refused = PostgresFault::from(owner.batch_execute(statement).await.unwrap_err());
        assert!(refused.to_string().contains("append-only"), "{statement}: {refused}");
    }
    assert_eq!(log.read_after(Position(0), 9).await.unwrap(), events);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runtime_role_is_enough_to_run_and_too_little_to_change_history() {
    let cluster = Cluster::shared().await;
    let url = cluster.database().await.unwrap();
    let owner = &mut client(&url).await;
    let role = url.rsplit_once('/').unwrap().1.replace("test", "runtime");
    owner.batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'p'")).await.unwrap();
    assert_eq!(postgres::migrate(owner, Some(&role)).await.unwrap(), Vec::<&str>::new());
    postgres::migrate(owner, Some(&role)).await.expect("the second run changes nothing");
    // Tables that come later are granted by a migration that does not name the role.
    owner
        .batch_execute(&format!("REVOKE ALL ON ALL TABLES IN SCHEMA read_models FROM {role}"))
        .await
        .unwrap();
    postgres::migrate(owner, None).await.unwrap();
    let granted = "SELECT has_table_privilege($1, 'read_models.epochs', 'SELECT, INSERT, UPDATE, DELETE')";
    assert!(owner.query_one(granted, &[&role]).await.unwrap().get::<_, bool>(0));

    let address = url.split_once('@').unwrap().1;
    let runtime_url = format!("postgres://{role}:p@{address}");
    let (log, _, term, events) = written(&runtime_url).await;
    assert_eq!(log.read_after(Position(0), 9).await.unwrap(), events);
    log.renew(term).await.unwrap();
    let runtime = client(&runtime_url).await;
    for statement in [
        "UPDATE ledger.events SET payload = '{}'",
        "DELETE FROM ledger.events",
        "TRUNCATE ledger.events",
        "DELETE FROM ledger.head",
        "ALTER TABLE ledger.events DISABLE TRIGGER ALL",
        "DROP TABLE ledger.events",
        "CREATE TABLE ledger.more (a int)",
        "UPDATE rewardhub.migrations SET digest = ''",
    ] {
        let refused = PostgresFault::from(runtime.batch_execute(statement).await.unwrap_err());
        let code = matches!(&refused, PostgresFault::Refused { code, .. } if code.code() == "42501");
        assert!(code, "{statement}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_not_ours_is_refused_with_what_to_do() {
    let cluster = Cluster::shared().await;
    let url = cluster.empty_database().await.unwrap();
    let why = |refused: LogError| {
        assert!(!refused.transient());
        std::error::Error::source(&refused).unwrap().to_string()
    };
    let refusal = async || {
        let database = Database::new(url.parse().unwrap(), &postgres::DatabaseOptions::default());
        why(PostgresLog::open(database, PostgresOptions::default()).await.err().unwrap())
    };
    assert!(refusal().await.contains("run `rewardhub migrate`"), "{}", refusal().await);
    let mut owner = client(&url).await;
    assert_eq!(postgres::migrate(&mut owner, None).await.unwrap()[0], "0001_log");
    let waiting = open(&url).await;
    let newer = "INSERT INTO rewardhub.migrations VALUES (900, '0900_later', '', $1, now())";
    owner.execute(newer, &[&1]).await.unwrap();
    open(&url).await;
    let term = waiting.lease("old", None).await.unwrap().term;
    waiting.release(term).await.unwrap();
    owner.execute("UPDATE rewardhub.migrations SET needs = 900 WHERE number = 900", &[]).await.unwrap();
    assert!(refusal().await.contains("needs a program that knows 900"), "{}", refusal().await);
    assert!(refusal().await.contains("run a newer release"), "{}", refusal().await);
    let late = why(waiting.lease("old", None).await.unwrap_err());
    assert_eq!(late, refusal().await, "also where it was opened before the migration");
    assert_eq!(waiting.head().await.unwrap().term, term, "it has not taken the lease");
    owner.execute("UPDATE rewardhub.migrations SET digest = 'x' WHERE number = 1", &[]).await.unwrap();
    assert!(refusal().await.contains("0001_log"), "{}", refusal().await);
    assert!(refusal().await.contains("run the release"), "{}", refusal().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_that_race_are_applied_once() {
    let cluster = Cluster::shared().await;
    let url = cluster.empty_database().await.unwrap();
    let (mut one, mut two) = (client(&url).await, client(&url).await);
    let (one, two) = tokio::join!(postgres::migrate(&mut one, None), postgres::migrate(&mut two, None));
    let applied = [one.unwrap().len(), two.unwrap().len()];
    assert!(applied.contains(&0) && applied.iter().any(|n| *n > 0), "{applied:?}");
    written(&url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_connection_is_a_passing_failure_and_made_anew() {
    let cluster = Cluster::shared().await;
    let url = cluster.database().await.unwrap();
    let (log, mut history, term, events) = written(&url).await;
    let name = url.rsplit_once('/').unwrap().1;
    let terminate =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    cluster.execute("postgres", &terminate).await.unwrap();
    let event = history.event(&stream("b"));
    let batch = history.batch(term, vec![event]);
    // The driver may or may not have noticed by now.
    match log.append(&batch).await {
        Ok(()) => {}
        Err(AppendError::Unknown(error)) => {
            assert!(error.transient(), "{error:?}");
            let mut head = log.lease("test", Some(term)).await;
            for _ in 0..10 {
                if head.as_ref().is_err_and(LogError::transient) {
                    head = log.lease("test", Some(term)).await;
                }
            }
            let head = head.unwrap();
            assert_eq!(head.position, Position(2));
            log.append(&Batch { expected: head, ..batch }).await.unwrap();
        }
        Err(other) => panic!("{other:?}"),
    }
    // The readers' pool may still hold a connection of which the driver does not know yet that it
    // is gone.
    let mut read = log.read_after(Position(0), 9).await;
    for _ in 0..10 {
        if read.as_ref().is_err_and(LogError::transient) {
            read = log.read_after(Position(0), 9).await;
        }
    }
    assert_eq!(read.unwrap().len(), events.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_waits_for_an_append_that_still_runs() {
    let cluster = Cluster::shared().await;
    let url = cluster.database().await.unwrap();
    let (log, _, term, _) = written(&url).await;
    // An append that was given up on, still on its way: it has the head's row and has not
    // committed.
    let mut other = client(&url).await;
    let running = other.transaction().await.unwrap();
    running.execute("UPDATE ledger.head SET position = position", &[]).await.unwrap();
    let recovery = tokio::spawn({
        let log = log.clone();
        async move { log.lease("test", Some(term)).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!recovery.is_finished(), "it must not answer before the append has ended");
    running.rollback().await.unwrap();
    assert!(recovery.await.unwrap().unwrap().term > term);
}

/// A page costs what it holds: a sort would read all that lies behind it first.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_waits_for_an_append_sees_all_of_it() {
    let cluster = Cluster::shared().await;
    let url = cluster.database().await.unwrap();
    let (log, mut history, mut term, _) = written(&url).await;
    let watcher = client(&url).await;
    // The same writer recovers, or another takes over; each time from one that was given up on and
    // then lands.
    for (holder, recovers) in [("test", true), ("another", false)] {
        log.release(term).await.unwrap();
        let slow = open(&url).await;
        let writer = slow.writer().await.unwrap();
        let event = history.event(&stream("b"));
        let batch = history.batch(term, vec![event]);
        writer.client.batch_execute("BEGIN").await.unwrap();
        append::append(&writer, &batch, 0.0).await.unwrap();
        let held = recovers.then_some(term);
        let taking = tokio::spawn({
            let log = log.clone();
            async move { log.lease(holder, held).await }
        });
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND wait_event_type = 'Lock'";
        while watcher.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            assert!(!taking.is_finished(), "{holder}: it must not answer before the append has ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        writer.client.batch_execute("COMMIT").await.unwrap();
        let head = taking.await.unwrap().unwrap();
        assert_eq!(head, Head { term: head.term, ..batch.head_after() }, "{holder}");
        term = head.term;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_streams_is_read_without_sorting_what_lies_behind_it() {
    let cluster = Cluster::shared().await;
    let url = cluster.database().await.unwrap();
    let (log, ..) = written(&url).await;
    let client = log.connect().await.unwrap();
    client.batch_execute(&format!("PREPARE page AS {}", rows::OF_STREAMS)).await.unwrap();
    let explain = "EXPLAIN EXECUTE page ('{account,account}', '{b,a}', '{0,0}', 10)";
    let plan = client.query(explain, &[]).await.unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("Index Scan using events_stream"), "{plan}");
    assert!(!plan.contains("Sort") && !plan.contains("Seq Scan"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_es_cannot_write_into_our_history() {
    let cluster = Cluster::shared().await;
    let url = cluster.database().await.unwrap();
    let (_log, ..) = written(&url).await;
    let insert = "INSERT INTO ledger.events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
                  payload, metadata) VALUES ('account', 'a', 3, 'E', '1', '{}', '{}')";
    let refused = PostgresFault::from(client(&url).await.batch_execute(insert).await.unwrap_err());
    assert!(refused.to_string().contains("null value in column"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_and_no_row_appears_in_an_error() {
    let cluster = Cluster::shared().await;
    let url = cluster.database().await.unwrap();
    let (log, mut history, term, events) = written(&url).await;
    let mut twice = events[0].clone();
    twice.position = history.event(&stream("c")).position;
    let error = log.append(&history.batch(term, vec![twice])).await.unwrap_err();
    assert!(!format!("{error:?}").contains("Key ("), "{error:?}");

    let wrong = url.replace("postgres:test-", "postgres:wrong-");
    let database = Database::new(wrong.parse().unwrap(), &postgres::DatabaseOptions::default());
    let refused = PostgresLog::open(database, PostgresOptions::default()).await.err().unwrap();
    assert!(!format!("{refused:?}").contains("wrong-"), "{refused:?}");
    assert!(!refused.transient() || format!("{refused:?}").contains("authentication"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_the_one_named_is_not_talked_to() {
    let ours = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let cluster = Cluster::start_with_tls(&ours.cert.pem(), &ours.signing_key.serialize_pem()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = |name: &str, pem: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let (ours, other) = (root("ours.pem", ours.cert.pem()), root("other.pem", other.cert.pem()));
    let url = cluster.url("postgres");
    let named = url.replace("127.0.0.1", "localhost");
    let connect = async |url: String| {
        let database = Database::new(url.parse().unwrap(), &postgres::DatabaseOptions::default());
        let client = database.connect().await?;
        let row = client.query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]).await?;
        Ok::<bool, PostgresFault>(row.get(0))
    };
    assert!(connect(format!("{named}?sslmode=verify-full&sslrootcert={ours}")).await.unwrap(), "encrypted");
    assert!(!connect(format!("{named}?sslmode=disable")).await.unwrap());
    for (url, root) in [(&named, &other), (&url, &ours)] {
        let refused = connect(format!("{url}?sslmode=verify-full&sslrootcert={root}")).await;
        assert!(matches!(refused, Err(PostgresFault::Connection(_))), "{refused:?}");
    }
    let untrusted = connect(format!("{named}?sslmode=verify-full")).await;
    assert!(
        matches!(untrusted, Err(PostgresFault::Connection(_))),
        "the system does not know it: {untrusted:?}"
    );
}
