//! Far more tasks than threads and connections ask for keys at once.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::*;

const TASKS: usize = 2_000;

/// A runtime that stands still ends no test of its own: a thread of ours ends the process. Until it
/// is dropped.
fn watched() -> Sender<()> {
    let (over, told) = channel();
    std::thread::spawn(move || {
        if told.recv_timeout(Duration::from_mins(2)) == Err(RecvTimeoutError::Timeout) {
            eprintln!("two thousand tasks have stood still for two minutes");
            std::process::abort();
        }
    });
    over
}

/// All get an answer while others get on: a task that only sleeps is never late by a second.
async fn withstands(keyring: Arc<Keyring>) {
    let _watched = watched();
    let others = tokio::spawn(async {
        let mut latest = Duration::ZERO;
        for _ in 0..100 {
            let began = std::time::Instant::now();
            tokio::time::sleep(Duration::from_millis(10)).await;
            latest = latest.max(began.elapsed());
        }
        latest
    });
    let go = Arc::new(tokio::sync::Barrier::new(TASKS));
    let tasks = (0..TASKS).map(|n| {
        let (keyring, go) = (Arc::clone(&keyring), Arc::clone(&go));
        tokio::spawn(async move {
            let id = format!("cus_{n}");
            go.wait().await;
            for _ in 0..100 {
                match ensure(&keyring, &[account(&id)]).await {
                    Ok(keys) => return assert_eq!(keys.state(&account(&id)), KeyState::Ready),
                    // As a caller who is told to come back.
                    Err(error) => assert!(error.transient(), "{error:?}"),
                }
            }
            panic!("a hundred times in vain");
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    assert!(others.await.unwrap() < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_tasks_get_keys_on_postgres_at_once_new_and_cold() {
    let (cluster, folder) = (Cluster::shared().await, Folder::new());
    let database = database(&cluster).await;
    for _ in ["new", "known, with an empty cache"] {
        let keyring = open_postgres(database.clone(), folder.provider("root.key")).await;
        withstands(Arc::new(keyring.unwrap())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_tasks_get_keys_on_sqlite_at_once_new_and_cold() {
    let folder = Folder::new();
    for _ in ["new", "known, with an empty cache"] {
        withstands(Arc::new(folder.keyring().await)).await;
    }
}
