//! Those who make the same keys at once: first starts, each with a root key of its own, and
//! accounts of two processes.

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
        tokio::spawn(async move { open_postgres(database, provider).await.map(|_| name) })
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
    open_postgres(database.clone(), folder.provider(first[0])).await.expect("for ever");
}

#[tokio::test]
async fn no_key_comes_beside_one_of_another_root_key() {
    let folder = Folder::new();
    let store = || SqliteKeys::open(&folder.keys()).unwrap();
    let index = folder.provider("one.key").wrap_key(&[1; 32], b"rewardhub/key-1/named:index").await.unwrap();
    store().create_named(vec![("index", index)]).await.unwrap();
    let refused = crate::keys::open(&folder.keys(), folder.provider("two.key")).await.unwrap_err();
    assert!(matches!(refused, SealError::WrongRootKey { .. }));
    assert_eq!(store().named("draw").await.unwrap(), None);
    crate::keys::open(&folder.keys(), folder.provider("one.key")).await.expect("what is missing is made");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_keys_appear_together() {
    let (cluster, folder) = (Cluster::shared().await, Folder::new());
    let database = database(&cluster).await;
    // The second of them has to wait, and with it the first.
    let mut gate = database.connect().await.unwrap();
    let shut = gate.transaction().await.unwrap();
    shut.execute("INSERT INTO keys.named_keys VALUES ('draw', '\\x00')", &[]).await.unwrap();
    let starting = tokio::spawn({
        let (database, provider) = (database.clone(), folder.provider("one.key"));
        async move { open_postgres(database, provider).await.map(drop) }
    });
    waiting(&database, 1).await;
    let seen = database.connect().await.unwrap().query("SELECT name FROM keys.named_keys", &[]).await;
    assert_eq!(seen.unwrap().len(), 0);
    shut.rollback().await.unwrap();
    starting.await.unwrap().unwrap();
    assert!(are_in(&database).await.unwrap());
}

/// Whoever comes second, or again after a reply that was lost, is handed the first key.
async fn keeps_the_first_key(store: &dyn KeyStore) {
    let [a, b, c] = ["a", "b", "c"].map(account);
    let create = async |keys: &[(&AccountId, u8)]| {
        let keys = keys.iter().map(|(account, key)| ((*account).clone(), vec![*key])).collect();
        store.create(keys, NOW).await.unwrap()
    };
    assert_eq!(create(&[(&a, 1)]).await, [[1]]);
    assert_eq!(create(&[(&b, 2), (&a, 3)]).await, [[2], [1]]);
    assert!(store.erase(&a, NOW).await.unwrap());
    assert_eq!(create(&[(&a, 4), (&b, 5)]).await, [vec![], vec![2]]);
    assert_eq!(store.wrapped(&[c, b, a]).await.unwrap(), [None, Some(vec![2]), Some(vec![])]);
    store.create_named(vec![("n", vec![6])]).await.unwrap();
    store.create_named(vec![("o", vec![8]), ("n", vec![7])]).await.unwrap();
    for (name, held) in [("n", Some(vec![6])), ("o", Some(vec![8])), ("m", None)] {
        assert_eq!(store.named(name).await.unwrap(), held);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_stores_keep_the_first_key() {
    let (cluster, folder) = (Cluster::shared().await, Folder::new());
    keeps_the_first_key(&SqliteKeys::open(&folder.keys()).unwrap()).await;
    keeps_the_first_key(&PostgresKeys::new(database(&cluster).await)).await;
}

/// Until so many sessions wait for a lock. Not asked in a transaction, for which activity stands
/// still.
async fn waiting(database: &Database, sessions: i64) {
    let watcher = database.connect().await.unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event_type = 'Lock'";
    while watcher.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) < sessions {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
