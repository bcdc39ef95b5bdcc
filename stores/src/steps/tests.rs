//! The same rows on both stores.

use super::*;
use crate::postgres::{Database, DatabaseOptions};
use crate::testing::Cluster;
use ledger_core::steps::items::{Act, ItemState, Proposed};
use ledger_core::system::ParkedAction;

#[tokio::test]
async fn rows_and_cursor_change_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.db");
    keeps(|| StepTables::open(&path).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_cursor_change_together_on_postgres() {
    let cluster = Cluster::shared().await;
    let address = cluster.database().await.unwrap().parse().unwrap();
    let database = Database::new(address, &DatabaseOptions::default());
    keeps(|| StepTables::in_postgres(database.clone())).await;
}

fn row(n: u64, step: &str, next_at: i64) -> ItemRow {
    ItemRow {
        id: format!("{step}:0:{n}:k"),
        step: step.into(),
        position: n,
        account: "cus_1".into(),
        key: "k".into(),
        state: ItemState::Waiting,
        attempts: 1,
        next_at,
        reason: "it's \"so\" \u{2603}".into(),
        since: 7,
        wakes: String::new(),
        about: None,
        act: None,
        proposed: None,
        decided: 0,
    }
}

fn put(row: &ItemRow) -> Change {
    Change::Put(Box::new(row.clone()))
}

async fn keeps(open: impl Fn() -> StepTables) {
    let items = open();
    let (late, soon) = (row(1, "credit", 2_000), row(2, "credit", 1_000));
    let mut waits = row(3, "resume", 9_000);
    waits.wakes = "2026-11-22".into();
    let parked = ItemRow { state: ItemState::Parked, about: Some(2), ..row(4, "credit", 0) };
    items.commit("credit", Position(4), &[put(&late), put(&soon), put(&parked)]).await.unwrap();
    items.commit("resume", Position(9), &[put(&waits)]).await.unwrap();
    drop(items);
    let items = open();
    assert_eq!(items.get("credit").await.unwrap(), Position(4));
    assert_eq!(items.waiting("credit", 10).await.unwrap(), [soon.clone(), late.clone()]);
    assert_eq!(items.waiting("credit", 1).await.unwrap(), std::slice::from_ref(&soon));
    assert_eq!(items.parked("", 10).await.unwrap(), std::slice::from_ref(&parked));
    assert_eq!(items.parked(&parked.id, 10).await.unwrap(), []);
    assert_eq!(items.count_items("credit").await.unwrap(), ItemCounts { waiting: 2, parked: 1 });
    assert_eq!(items.count_items("none").await.unwrap(), ItemCounts::default());

    // An event wakes what waits for it, also what has become a row in the same transaction; nothing
    // of another step.
    let wake = |wakes: &str| Change::Wake { wakes: Some(wakes.into()), now: 5 };
    let also = ItemRow { wakes: waits.wakes.clone(), ..row(5, "resume", 9_000) };
    items.commit("resume", Position(10), &[wake("2026-11-22"), put(&also)]).await.unwrap();
    items.commit("credit", Position(5), &[wake("2026-11-22")]).await.unwrap();
    let woken = items.waiting("resume", 10).await.unwrap();
    assert_eq!(woken.iter().map(|row| (row.position, row.next_at)).collect::<Vec<_>>(), [(3, 5), (5, 5)]);

    // Or everybody who waits, whatever for: who is due already keeps his place.
    let all = Change::Wake { wakes: None, now: 1_500 };
    items.commit("credit", Position(5), &[all]).await.unwrap();
    let woken = items.waiting("credit", 10).await.unwrap();
    assert_eq!(
        woken.iter().map(|row| (row.position, row.next_at)).collect::<Vec<_>>(),
        [(2, 1_000), (1, 1_500)]
    );
    assert_eq!(items.count_items("credit").await.unwrap(), ItemCounts { waiting: 2, parked: 1 });

    // A person proposes, a person decides.
    let proposed = Proposed { action: ParkedAction::Drop, by: "operator:o'hara".into() };
    let change = Change::Propose { id: parked.id.clone(), proposed: proposed.clone() };
    items.commit("credit", Position(6), &[change]).await.unwrap();
    assert_eq!(items.item(&parked.id).await.unwrap().unwrap().proposed, Some(proposed));
    let act = Act { action: ParkedAction::Drop, about: Some(2), reason: "so be it".into() };
    let change = Change::Act { id: parked.id.clone(), act: act.clone(), decided: 12, now: 3 };
    items.commit("credit", Position(7), &[change]).await.unwrap();
    let decided = items.waiting("credit", 1).await.unwrap().remove(0);
    assert_eq!((decided.act, decided.proposed, decided.decided), (Some(act), None, 12));
    assert_eq!((decided.state, decided.attempts, decided.next_at), (ItemState::Waiting, 0, 3));

    // Done.
    let gone = Change::Remove(soon.id.clone());
    items.commit("credit", Position(8), &[gone.clone(), gone]).await.unwrap();
    assert_eq!(items.item(&soon.id).await.unwrap(), None);
    assert_eq!(items.get("credit").await.unwrap(), Position(8));
}

#[tokio::test]
async fn a_checkpoint_survives_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.db");
    moves_on(|| StepTables::open(&path).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_survives_reopening_on_postgres() {
    let cluster = Cluster::shared().await;
    let address = cluster.database().await.unwrap().parse().unwrap();
    let database = Database::new(address, &DatabaseOptions::default());
    moves_on(|| StepTables::in_postgres(database.clone())).await;
}

async fn moves_on(open: impl Fn() -> StepTables) {
    let step_store = open();
    assert_eq!(step_store.get("issue").await.unwrap(), Position(0));
    step_store.set("issue", Position(7)).await.unwrap();
    step_store.set("issue", Position(9)).await.unwrap();
    drop(step_store);
    assert_eq!(open().get("issue").await.unwrap(), Position(9));
}
