//! First starts that race, each with a root key of its own.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_root_keys_one_has_all_keys_and_the_other_is_told() {
    let (cluster, folder) = (Cluster::shared().await, Folder::new());
    let database = database(&cluster).await;
    // Nobody makes a key before both have seen that there is none.
    let mut gate = database.connect().await.unwrap();
    let shut = gate.transaction().await.unwrap();
    shut.batch_execute("LOCK TABLE keys.named_keys IN EXCLUSIVE MODE").await.unwrap();
    let start = |name: &'static str| {
        let (database, provider) = (database.clone(), folder.provider(name));
        tokio::task::spawn_blocking(move || Keyring::open_postgres(database, provider).map(|_| name))
    };
    let starting = [start("one.key"), start("two.key")];
    waiting(&database, 2).await;
    shut.commit().await.unwrap();
    let (mut first, mut told) = (Vec::new(), 0);
    for started in starting {
        match started.await.unwrap() {
            Ok(name) => first.push(name),
            Err(SealError::WrongRootKey { .. }) => told += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((first.len(), told), (1, 1));
    Keyring::open_postgres(database.clone(), folder.provider(first[0])).expect("for ever");
}

#[test]
fn no_key_comes_beside_one_of_another_root_key() {
    let folder = Folder::new();
    let store = || SqliteKeys::open(&folder.keys()).unwrap();
    let index = folder.provider("one.key").wrap_key(&[1; 32], b"rewardhub/key-1/named:index").unwrap();
    store().create_named(&[("index", index)]).unwrap();
    let refused = Keyring::open(&folder.keys(), folder.provider("two.key")).unwrap_err();
    assert!(matches!(refused, SealError::WrongRootKey { .. }));
    assert_eq!(store().named("draw").unwrap(), None);
    Keyring::open(&folder.keys(), folder.provider("one.key")).expect("what is missing is made");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_keys_appear_together() {
    let (cluster, folder) = (Cluster::shared().await, Folder::new());
    let database = database(&cluster).await;
    // The second of them has to wait, and with it the first.
    let mut gate = database.connect().await.unwrap();
    let shut = gate.transaction().await.unwrap();
    shut.execute("INSERT INTO keys.named_keys VALUES ('draw', '\\x00')", &[]).await.unwrap();
    let starting = tokio::task::spawn_blocking({
        let (database, provider) = (database.clone(), folder.provider("one.key"));
        move || Keyring::open_postgres(database, provider).map(drop)
    });
    waiting(&database, 1).await;
    let seen = database.connect().await.unwrap().query("SELECT name FROM keys.named_keys", &[]).await;
    assert_eq!(seen.unwrap().len(), 0);
    shut.rollback().await.unwrap();
    starting.await.unwrap().unwrap();
    assert!(Keyring::is_in(&database).unwrap());
}

/// Until so many sessions wait for a lock. Not asked in a transaction, for which activity stands still.
async fn waiting(database: &Database, sessions: i64) {
    let watcher = database.connect().await.unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event_type = 'Lock'";
    while watcher.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) < sessions {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
