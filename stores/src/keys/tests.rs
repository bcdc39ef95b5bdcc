//! Sealing as a whole: what opens, what does not, what is forgotten, what is shown.

use std::path::PathBuf;

use futures::future::join_all;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::*;
use crate::postgres::Database;
use crate::postgres::PostgresFault;
use crate::testing::Cluster;
use ledger_core::draw::Seed;
use ledger_core::ids::{AccountId, CampaignId, Source, TransactionId};
use ledger_core::keys::{Details, FileKeyProvider, KeyState, KeyStore, Keys, NewKey, Sealed};
use ledger_core::money::{Currency, Money};
use ledger_core::time::{Epoch, Timestamp};
use ledger_core::transaction::{Direction, Mcc, Merchant, Personal, Status, Transaction};
use support::SimulatedLog;

mod cache;
mod lost;
mod race;
mod storm;

const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
const IBAN: &str = "GB29NWBK60161331926819";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn provider(&self, name: &str) -> Arc<dyn KeyProvider> {
        Arc::new(FileKeyProvider::open_or_create(&self.0.path().join(name)).unwrap())
    }

    fn keys(&self) -> PathBuf {
        self.0.path().join("keys.db")
    }

    async fn keyring(&self) -> Keyring {
        super::open(&self.keys(), self.provider("root.key")).await.unwrap()
    }

    async fn reader(&self) -> Keyring {
        open_read_only(&self.keys(), self.provider("root.key")).await.unwrap()
    }
}

fn account(id: &str) -> AccountId {
    id.parse().unwrap()
}

fn place() -> (Source, TransactionId) {
    ("bank".parse().unwrap(), "tx-1".parse().unwrap())
}

fn purchase() -> Transaction {
    let personal = |text: &str| Some(Personal::new(text.to_owned()));
    let (source, transaction_id) = place();
    Transaction {
        source,
        transaction_id,
        account_id: account("cus_1"),
        status: Status::Booked,
        booked_at: NOW,
        time_known: true,
        amount: Personal::new(Money::new(98_765, Currency::from_code("GBP").unwrap()).unwrap()),
        direction: Direction::Debit,
        from_account: personal(IBAN),
        to_account: personal("GB94BARC10201530093459"),
        description: personal("COFFEE \"HOUSE\" LONDON\n"),
        merchant: Some(Merchant {
            id: personal("m_42"),
            name: personal("Coffee House"),
            mcc: Mcc::parse("0814").map(Personal::new),
            country: personal("GB"),
        }),
        pending_transaction_id: None,
        refund_of: Some("tx-0".parse().unwrap()),
    }
}

/// Makes the keys of accounts that the log does not know.
async fn ensure(keyring: &Keyring, ids: &[AccountId]) -> Result<Keys, SealError> {
    keyring.ensure(ids.iter().cloned().collect(), &SimulatedLog::new(), NOW).await
}

async fn ensured(keyring: &Keyring, id: &str) -> KeyState {
    ensure(keyring, &[account(id)]).await.unwrap().state(&account(id))
}

async fn seal(keyring: &Keyring, id: &str) -> Sealed {
    let key = ensure(keyring, &[account(id)]).await.unwrap().of(&account(id)).unwrap();
    let (source, transaction_id) = place();
    key.seal_details(&source, &transaction_id, &Details::of(&purchase())).unwrap()
}

async fn open(keyring: &Keyring, id: &str, sealed: &Sealed) -> Result<Option<Details>, SealError> {
    let (source, transaction_id) = place();
    keyring.open_details(&account(id), &source, &transaction_id, sealed).await
}

#[tokio::test]
async fn details_come_back_whole_also_after_reopening_and_in_a_reader() {
    let folder = Folder::new();
    let sealed = seal(&folder.keyring().await, "cus_1").await;
    for keyring in [folder.keyring().await, folder.reader().await] {
        assert_eq!(open(&keyring, "cus_1", &sealed).await.unwrap(), Some(Details::of(&purchase())));
    }
}

#[tokio::test]
async fn details_do_not_open_in_another_place() {
    let folder = Folder::new();
    let keyring = folder.keyring().await;
    let sealed = seal(&keyring, "cus_1").await;
    seal(&keyring, "cus_2").await;
    assert!(matches!(open(&keyring, "cus_2", &sealed).await, Err(SealError::Damaged)));
    assert!(matches!(open(&keyring, "cus_3", &sealed).await, Err(SealError::NoKey(_))));
    for (source, transaction) in [("bank-2", "tx-1"), ("bank", "tx-2"), ("bankt", "x-1")] {
        let opened = keyring
            .open_details(&account("cus_1"), &source.parse().unwrap(), &transaction.parse().unwrap(), &sealed)
            .await;
        assert!(matches!(opened, Err(SealError::Damaged)));
    }
}

#[tokio::test]
async fn a_changed_byte_anywhere_is_noticed() {
    let folder = Folder::new();
    let keyring = folder.keyring().await;
    let bytes = STANDARD_NO_PAD.decode(seal(&keyring, "cus_1").await.as_text()).unwrap();
    for index in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[index] ^= 1;
        let error =
            open(&keyring, "cus_1", &Sealed::from_text(STANDARD_NO_PAD.encode(bytes))).await.unwrap_err();
        match index {
            0 => assert!(matches!(error, SealError::UnknownVersion(0))),
            _ => assert!(matches!(error, SealError::Damaged)),
        }
    }
    for text in ["", "AQ", "not base64!"] {
        assert!(matches!(open(&keyring, "cus_1", &Sealed::from_text(text)).await, Err(SealError::Damaged)));
    }
}

#[tokio::test]
async fn two_keyrings_agree_on_the_key_of_a_new_account() {
    let folder = Folder::new();
    let keyrings = [folder.keyring().await, folder.keyring().await];
    let ids: Vec<AccountId> = (0..50).map(|n| account(&format!("cus_{n}"))).collect();
    join_all(keyrings.iter().chain(&keyrings).map(|keyring| ensure(keyring, &ids))).await;
    for id in &ids {
        let sealed = seal(&keyrings[0], id.as_str()).await;
        assert!(open(&keyrings[1], id.as_str(), &sealed).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_destroyed_key_is_known_and_never_comes_back() {
    let folder = Folder::new();
    let (keyring, other, reader) = (folder.keyring().await, folder.keyring().await, folder.reader().await);
    let sealed = seal(&keyring, "cus_1").await;
    assert!(open(&other, "cus_1", &sealed).await.unwrap().is_some());
    assert!(open(&reader, "cus_1", &sealed).await.unwrap().is_some());
    assert!(keyring.erase(&account("cus_1"), NOW).await.unwrap());
    assert!(!keyring.erase(&account("cus_1"), NOW).await.unwrap());
    for keyring in [&keyring, &other, &reader, &folder.keyring().await] {
        assert!(open(keyring, "cus_1", &sealed).await.unwrap().is_none());
        assert_eq!(keyring.state(&account("cus_1")).await.unwrap(), KeyState::Erased);
        let keys = ensure(keyring, &[account("cus_1")]).await.unwrap();
        assert!(matches!(keys.of(&account("cus_1")), Err(SealError::Erased(_))));
    }
    assert!(keyring.erase(&account("never_seen"), NOW).await.unwrap());
    assert_eq!(ensured(&keyring, "never_seen").await, KeyState::Erased);
}

#[tokio::test]
async fn a_wrapped_key_leaves_no_trace_in_the_files_once_destroyed() {
    let folder = Folder::new();
    let keyring = folder.keyring().await;
    seal(&keyring, "cus_1").await;
    let connection = rusqlite::Connection::open(folder.keys()).unwrap();
    let wrapped: Vec<u8> =
        connection.query_row("SELECT wrapped FROM account_keys", [], |row| row.get(0)).unwrap();
    drop(connection);
    let found = || {
        let files = std::fs::read_dir(folder.0.path()).unwrap().map(|file| file.unwrap().path());
        files.filter(|file| std::fs::read(file).unwrap().windows(wrapped.len()).any(|w| w == wrapped)).count()
    };
    assert_ne!(found(), 0);
    keyring.erase(&account("cus_1"), NOW).await.unwrap();
    assert_eq!(found(), 0);
}

#[tokio::test]
async fn a_small_cache_changes_nothing_but_speed() {
    let folder = Folder::new();
    let keyring = folder.keyring().await.with_cache(2);
    let ids = ["a", "b", "c", "d", "e"];
    let accounts: Vec<AccountId> = ids.into_iter().map(account).collect();
    let keys = ensure(&keyring, &accounts).await.unwrap();
    assert!(accounts.iter().all(|account| keys.state(account) == KeyState::Ready));
    for id in ids {
        assert!(open(&keyring, id, &seal(&keyring, id).await).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_reader_makes_no_keys() {
    let folder = Folder::new();
    assert!(open_read_only(&folder.keys(), folder.provider("root.key")).await.is_err());
    let _writer = folder.keyring().await;
    let reader = folder.reader().await;
    assert!(matches!(ensure(&reader, &[account("new")]).await, Err(SealError::ReadOnly)));
    assert!(matches!(reader.erase(&account("new"), NOW).await, Err(SealError::ReadOnly)));
    assert_eq!(reader.state(&account("new")).await.unwrap(), KeyState::Absent);
}

#[tokio::test]
async fn another_root_key_is_refused_when_opening() {
    let folder = Folder::new();
    drop(folder.keyring().await);
    let error = super::open(&folder.keys(), folder.provider("other.key")).await.unwrap_err();
    assert!(matches!(error, SealError::WrongRootKey { .. }));
    assert!(error.to_string().contains("keys.db") && !error.transient());
}

#[tokio::test]
async fn a_file_of_another_release_is_refused() {
    let folder = Folder::new();
    drop(folder.keyring().await);
    rusqlite::Connection::open(folder.keys()).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    let error = super::open(&folder.keys(), folder.provider("root.key")).await.unwrap_err();
    assert!(matches!(error, SealError::Schema { found: 2, expected: 1, .. }));
}

#[tokio::test]
async fn a_seed_opens_in_its_own_epoch_only() {
    let folder = Folder::new();
    let keyring = folder.keyring().await;
    let (campaign, epoch): (CampaignId, Epoch) = ("c".parse().unwrap(), "2026-11-11".parse().unwrap());
    let sealed = keyring.seal_seed(&campaign, epoch, &Seed::new([5; 32])).unwrap();
    let reader = folder.reader().await;
    assert_eq!(reader.open_seed(&campaign, epoch, &sealed).unwrap().expose(), &[5; 32]);
    assert!(matches!(reader.open_seed(&campaign, epoch.next(), &sealed), Err(SealError::Damaged)));
    assert!(matches!(reader.open_seed(&"d".parse().unwrap(), epoch, &sealed), Err(SealError::Damaged)));
}

#[tokio::test]
async fn a_fingerprint_is_the_terms_seen_from_the_customer() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let keyring = folder.keyring().await;
    let terms = keyring.terms(&purchase()).fingerprint();
    let with = |change: fn(&mut Transaction)| {
        let mut transaction = purchase();
        change(&mut transaction);
        keyring.terms(&transaction).fingerprint()
    };
    assert_eq!(with(|t| t.to_account = None), terms);
    assert_eq!(with(|t| t.transaction_id = "tx-2".parse().unwrap()), terms);
    assert_ne!(with(|t| t.from_account = Some(Personal::new("other".into()))), terms);
    assert_ne!(with(|t| t.direction = Direction::Credit), terms);
    assert_ne!(
        with(|t| t.amount = Personal::new(Money::new(98_764, t.amount.expose().currency()).unwrap())),
        terms
    );
    assert_ne!(elsewhere.keyring().await.terms(&purchase()).fingerprint(), terms);
}

#[tokio::test]
async fn nothing_personal_or_secret_is_shown() {
    let folder = Folder::new();
    let keyring = folder.keyring().await;
    let transaction = purchase();
    let sealed = seal(&keyring, "cus_1").await;
    let shown = format!(
        "{transaction:?} {:?} {keyring:?} {sealed:?} {:?} {:?}",
        Details::of(&transaction),
        Seed::new([0xab; 32]),
        open(&keyring, "cus_2", &sealed).await,
    );
    for secret in [IBAN, "GB94BARC", "98765", "COFFEE", "Coffee", "m_42", "0814", "171", sealed.as_text()] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

/// The keys of a new database on the private PostgreSQL.
async fn database(cluster: &Cluster) -> Database {
    let address = cluster.database().await.unwrap().parse().unwrap();
    Database::new(address, &crate::postgres::DatabaseOptions::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_on_postgres_are_made_once_whoever_asks() {
    let (cluster, folder) = (Cluster::shared().await, Folder::new());
    let database = database(&cluster).await;
    assert!(!are_in(&database).await.unwrap());
    // Two processes make our own keys and those of the same accounts at once, in opposite order.
    let together = Arc::new(tokio::sync::Barrier::new(3));
    let start = |backwards: bool| {
        let (database, provider) = (database.clone(), folder.provider("root.key"));
        let together = Arc::clone(&together);
        tokio::spawn(async move {
            let keyring = open_postgres(database, provider).await.unwrap();
            let mut ids: Vec<AccountId> = (0..200).map(|n| account(&format!("cus_{n}"))).collect();
            if backwards {
                ids.reverse();
            }
            together.wait().await;
            for some in ids.chunks(50) {
                let keys = ensure(&keyring, some).await.unwrap();
                assert!(some.iter().all(|account| keys.state(account) == KeyState::Ready));
            }
            keyring
        })
    };
    let keyrings = join_all([start(false), start(true), start(false)]).await;
    let keyrings: Vec<Keyring> = keyrings.into_iter().map(Result::unwrap).collect();
    assert!(are_in(&database).await.unwrap());
    for n in 0..200 {
        let id = format!("cus_{n}");
        let sealed = seal(&keyrings[n % 3], &id).await;
        assert!(open(&keyrings[(n + 1) % 3], &id, &sealed).await.unwrap().is_some(), "{id}");
    }
    let other = open_postgres(database.clone(), folder.provider("other.key")).await.unwrap_err();
    assert!(matches!(other, SealError::WrongRootKey { .. }));
    assert!(!format!("{other} {:?}", keyrings[0]).contains("test-"), "no password is shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_destroyed_on_postgres_is_gone_for_everyone_and_for_ever() {
    let (cluster, folder) = (Cluster::shared().await, Folder::new());
    let database = database(&cluster).await;
    let keyring = async || open_postgres(database.clone(), folder.provider("root.key")).await.unwrap();
    let (first, second) = (keyring().await, keyring().await);
    let sealed = seal(&first, "cus_1").await;
    assert!(open(&second, "cus_1", &sealed).await.unwrap().is_some());
    assert!(first.erase(&account("cus_1"), NOW).await.unwrap());
    assert!(!second.erase(&account("cus_1"), NOW).await.unwrap());
    for keyring in [&first, &second, &keyring().await] {
        assert!(open(keyring, "cus_1", &sealed).await.unwrap().is_none());
        assert_eq!(ensured(keyring, "cus_1").await, KeyState::Erased);
    }
    assert!(first.erase(&account("never_seen"), NOW).await.unwrap());
    assert_eq!(second.state(&account("never_seen")).await.unwrap(), KeyState::Erased);
    seal(&first, "cus_2").await;
    let client = database.connect().await.unwrap();
    for statement in [
        "UPDATE keys.account_keys SET wrapped = 'x', erased_at = NULL WHERE account_id = 'cus_1'",
        "UPDATE keys.account_keys SET wrapped = 'other' WHERE account_id = 'cus_2'",
        "DELETE FROM keys.account_keys",
        "TRUNCATE keys.account_keys",
        "UPDATE keys.named_keys SET wrapped = 'other'",
        "DELETE FROM keys.named_keys",
    ] {
        let refused = PostgresFault::from(client.batch_execute(statement).await.unwrap_err());
        assert!(refused.to_string().contains("made once and destroyed once"), "{statement}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_out_of_reach_are_a_fault_that_passes() {
    let (cluster, folder) = (Cluster::start(&[]).await.unwrap(), Folder::new());
    let database = database(&cluster).await;
    let keyring = open_postgres(database, folder.provider("root.key")).await.unwrap();
    let sealed = seal(&keyring, "cus_1").await;
    cluster.stop("immediate").unwrap();
    let error = ensure(&keyring, &[account("cus_2")]).await.err().unwrap();
    assert!(error.transient(), "{error:?}");
    // What is known goes on: sealing asks nobody.
    seal(&keyring, "cus_1").await;
    cluster.start_again().await.unwrap();
    assert!(open(&keyring, "cus_1", &sealed).await.unwrap().is_some());
    seal(&keyring, "cus_2").await;
}
