//! Keys that are damaged, lost or of another keyring: told apart, and never replaced.

use super::*;
use ledger_core::log::{EventLog as _, WriterLease as _};
use support::{History, stream};

/// A log that knows these accounts.
async fn log_of(ids: &[&str]) -> SimulatedLog {
    let (log, mut history) = (SimulatedLog::new(), History::default());
    let term = log.lease("test", None).await.unwrap().term;
    let events = ids.iter().map(|id| history.event(&stream(id))).collect();
    log.append(&history.batch(term, events)).await.unwrap();
    log
}

#[tokio::test]
async fn an_account_that_the_log_knows_gets_no_new_key() {
    let folder = Folder::new();
    let log = log_of(&["known", "kept"]).await;
    let ids = ["known", "kept", "new"].map(account);
    seal(&folder.keyring().await, "kept").await;
    for keyring in [folder.keyring().await, folder.keyring().await] {
        let keys = keyring.ensure(ids.clone().into(), &log, NOW).await.unwrap();
        assert_eq!(
            ids.each_ref().map(|id| keys.state(id)),
            [KeyState::Lost, KeyState::Ready, KeyState::Ready]
        );
        assert!(matches!(keys.of(&ids[0]), Err(SealError::LostKey(_))));
        assert_eq!(keyring.state(&ids[0]).await.unwrap(), KeyState::Absent, "nothing was made");
    }
    let beside = folder.reader().await.keys_beside(ids.clone().into(), &log).await.unwrap();
    assert_eq!(beside.state(&ids[0]), KeyState::Lost);
}

#[tokio::test]
async fn whether_an_account_is_new_is_asked_only_where_it_has_no_key() {
    let folder = Folder::new();
    let keyring = folder.keyring().await;
    seal(&keyring, "cus_1").await;
    let log = SimulatedLog::new();
    log.crash();
    for keyring in [&keyring, &folder.keyring().await] {
        let keys = keyring.ensure([account("cus_1")].into(), &log, NOW).await.unwrap();
        assert_eq!(keys.state(&account("cus_1")), KeyState::Ready);
    }
    let refused = keyring.ensure([account("cus_2")].into(), &log, NOW).await;
    assert!(matches!(refused, Err(SealError::Log(_))));
    assert_eq!(keyring.state(&account("cus_2")).await.unwrap(), KeyState::Absent);
}

#[tokio::test]
async fn a_damaged_key_withholds_no_other_and_is_not_replaced() {
    let folder = Folder::new();
    let keyring = folder.keyring().await;
    seal(&keyring, "cus_1").await;
    seal(&keyring, "cus_2").await;
    let connection = rusqlite::Connection::open(folder.keys()).unwrap();
    connection.execute("UPDATE account_keys SET wrapped = x'00' WHERE account_id = 'cus_1'", []).unwrap();
    let (keyring, ids) = (folder.keyring().await, ["cus_1", "cus_2"].map(account));
    let keys = ensure(&keyring, &ids).await.unwrap();
    assert_eq!(ids.each_ref().map(|id| keys.state(id)), [KeyState::Damaged, KeyState::Ready]);
    assert!(matches!(keys.of(&ids[0]), Err(SealError::DamagedKey(_))));
    assert!(keys.opening(&ids[0]).is_err(), "damaged is not erased");
}

#[tokio::test]
async fn fingerprints_tell_one_keyring_s_own_keys_from_another_s() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let of = folder.keyring().await.fingerprints();
    assert_eq!(of, folder.keyring().await.fingerprints());
    assert_eq!(of, folder.reader().await.fingerprints());
    let other = elsewhere.keyring().await.fingerprints();
    assert!(of.index != other.index && of.draw != other.draw && of.index != of.draw);
}
