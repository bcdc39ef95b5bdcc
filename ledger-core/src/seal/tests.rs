//! Sealing as a whole: what opens, what does not, what is forgotten, what is shown.

use std::sync::Arc;

use super::store::{KeyStore, PostgresKeys, SqliteKeys};
use super::*;
use crate::draw::Seed;
use crate::ids::{CampaignId, Source, TransactionId};
use crate::money::{Currency, Money};
use crate::postgres::Database;
use crate::testing::Cluster;
use crate::time::{Epoch, Timestamp};
use crate::transaction::{Direction, Mcc, Merchant, Personal, Status, Transaction};

mod race;

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

    fn keyring(&self) -> Keyring {
        Keyring::open(&self.keys(), self.provider("root.key")).unwrap()
    }

    fn reader(&self) -> Keyring {
        Keyring::open_read_only(&self.keys(), self.provider("root.key")).unwrap()
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
        amount: Personal::new(Money::new(98_765, Currency::from_code("GBP").unwrap()).unwrap()),
        direction: Direction::Debit,
        from_account: Personal::new(IBAN.to_owned()),
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

fn seal(keyring: &Keyring, id: &str) -> Sealed {
    assert_eq!(keyring.ensure(&[&account(id)], NOW).unwrap(), [KeyState::Ready]);
    let (source, transaction_id) = place();
    keyring
        .key(&account(id))
        .unwrap()
        .seal_details(&source, &transaction_id, &Details::of(&purchase()))
        .unwrap()
}

fn open(keyring: &Keyring, id: &str, sealed: &Sealed) -> Result<Option<Details>, SealError> {
    let (source, transaction_id) = place();
    keyring.open_details(&account(id), &source, &transaction_id, sealed)
}

#[test]
fn details_come_back_whole_also_after_reopening_and_in_a_reader() {
    let folder = Folder::new();
    let sealed = seal(&folder.keyring(), "cus_1");
    for keyring in [folder.keyring(), folder.reader()] {
        assert_eq!(open(&keyring, "cus_1", &sealed).unwrap(), Some(Details::of(&purchase())));
    }
}

#[test]
fn details_do_not_open_in_another_place() {
    let folder = Folder::new();
    let keyring = folder.keyring();
    let sealed = seal(&keyring, "cus_1");
    seal(&keyring, "cus_2");
    assert!(matches!(open(&keyring, "cus_2", &sealed), Err(SealError::Damaged)));
    assert!(matches!(open(&keyring, "cus_3", &sealed), Err(SealError::NoKey(_))));
    for (source, transaction) in [("bank-2", "tx-1"), ("bank", "tx-2"), ("bankt", "x-1")] {
        let opened = keyring.open_details(
            &account("cus_1"),
            &source.parse().unwrap(),
            &transaction.parse().unwrap(),
            &sealed,
        );
        assert!(matches!(opened, Err(SealError::Damaged)));
    }
}

#[test]
fn a_changed_byte_anywhere_is_noticed() {
    let folder = Folder::new();
    let keyring = folder.keyring();
    let bytes = STANDARD_NO_PAD.decode(seal(&keyring, "cus_1").as_text()).unwrap();
    for index in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[index] ^= 1;
        let error = open(&keyring, "cus_1", &Sealed::from_text(STANDARD_NO_PAD.encode(bytes))).unwrap_err();
        match index {
            0 => assert!(matches!(error, SealError::UnknownVersion(0))),
            _ => assert!(matches!(error, SealError::Damaged)),
        }
    }
    for text in ["", "AQ", "not base64!"] {
        assert!(matches!(open(&keyring, "cus_1", &Sealed::from_text(text)), Err(SealError::Damaged)));
    }
}

#[test]
fn two_keyrings_agree_on_the_key_of_a_new_account() {
    let folder = Folder::new();
    let keyrings = [folder.keyring(), folder.keyring()];
    let ids: Vec<AccountId> = (0..50).map(|n| account(&format!("cus_{n}"))).collect();
    std::thread::scope(|scope| {
        for keyring in keyrings.iter().chain(&keyrings) {
            scope.spawn(|| keyring.ensure(&ids.iter().collect::<Vec<_>>(), NOW).unwrap());
        }
    });
    for id in &ids {
        let sealed = seal(&keyrings[0], id.as_str());
        assert!(open(&keyrings[1], id.as_str(), &sealed).unwrap().is_some());
    }
}

#[test]
fn a_destroyed_key_is_known_and_never_comes_back() {
    let folder = Folder::new();
    let (keyring, other, reader) = (folder.keyring(), folder.keyring(), folder.reader());
    let sealed = seal(&keyring, "cus_1");
    assert!(open(&other, "cus_1", &sealed).unwrap().is_some());
    assert!(open(&reader, "cus_1", &sealed).unwrap().is_some());
    assert!(keyring.erase(&account("cus_1"), NOW).unwrap());
    assert!(!keyring.erase(&account("cus_1"), NOW).unwrap());
    for keyring in [&keyring, &other, &reader, &folder.keyring()] {
        assert!(open(keyring, "cus_1", &sealed).unwrap().is_none());
        assert_eq!(keyring.state(&account("cus_1")).unwrap(), KeyState::Erased);
        let states = keyring.ensure(&[&account("cus_1")], NOW).unwrap();
        assert_eq!(states, [KeyState::Erased]);
        assert!(matches!(keyring.key(&account("cus_1")), Err(SealError::Erased(_))));
    }
    assert!(keyring.erase(&account("never_seen"), NOW).unwrap());
    assert_eq!(keyring.ensure(&[&account("never_seen")], NOW).unwrap(), [KeyState::Erased]);
}

#[test]
fn a_wrapped_key_leaves_no_trace_in_the_files_once_destroyed() {
    let folder = Folder::new();
    let keyring = folder.keyring();
    seal(&keyring, "cus_1");
    let connection = rusqlite::Connection::open(folder.keys()).unwrap();
    let wrapped: Vec<u8> =
        connection.query_row("SELECT wrapped FROM account_keys", [], |row| row.get(0)).unwrap();
    drop(connection);
    let found = || {
        let files = std::fs::read_dir(folder.0.path()).unwrap().map(|file| file.unwrap().path());
        files.filter(|file| std::fs::read(file).unwrap().windows(wrapped.len()).any(|w| w == wrapped)).count()
    };
    assert_ne!(found(), 0);
    keyring.erase(&account("cus_1"), NOW).unwrap();
    assert_eq!(found(), 0);
}

#[test]
fn a_small_cache_changes_nothing_but_speed() {
    let folder = Folder::new();
    let keyring = folder.keyring().with_cache(2);
    let ids = ["a", "b", "c", "d", "e"];
    let accounts: Vec<AccountId> = ids.into_iter().map(account).collect();
    assert_eq!(keyring.ensure(&accounts.iter().collect::<Vec<_>>(), NOW).unwrap(), [KeyState::Ready; 5]);
    for id in ids {
        assert!(open(&keyring, id, &seal(&keyring, id)).unwrap().is_some());
    }
}

#[test]
fn a_reader_makes_no_keys() {
    let folder = Folder::new();
    assert!(Keyring::open_read_only(&folder.keys(), folder.provider("root.key")).is_err());
    let _writer = folder.keyring();
    let reader = folder.reader();
    assert!(matches!(reader.ensure(&[&account("new")], NOW), Err(SealError::ReadOnly)));
    assert!(matches!(reader.erase(&account("new"), NOW), Err(SealError::ReadOnly)));
    assert_eq!(reader.state(&account("new")).unwrap(), KeyState::Absent);
}

#[test]
fn another_root_key_is_refused_when_opening() {
    let folder = Folder::new();
    drop(folder.keyring());
    let error = Keyring::open(&folder.keys(), folder.provider("other.key")).unwrap_err();
    assert!(matches!(error, SealError::WrongRootKey { .. }));
    assert!(error.to_string().contains("keys.db") && !error.transient());
}

#[test]
fn a_file_of_another_release_is_refused() {
    let folder = Folder::new();
    drop(folder.keyring());
    rusqlite::Connection::open(folder.keys()).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    let error = Keyring::open(&folder.keys(), folder.provider("root.key")).unwrap_err();
    assert!(matches!(error, SealError::Schema { found: 2, expected: 1, .. }));
}

#[test]
fn a_seed_opens_in_its_own_epoch_only() {
    let folder = Folder::new();
    let keyring = folder.keyring();
    let (campaign, epoch): (CampaignId, Epoch) = ("c".parse().unwrap(), "2026-11-11".parse().unwrap());
    let sealed = keyring.seal_seed(&campaign, epoch, &Seed::new([5; 32])).unwrap();
    let reader = folder.reader();
    assert_eq!(reader.open_seed(&campaign, epoch, &sealed).unwrap().expose(), &[5; 32]);
    assert!(matches!(reader.open_seed(&campaign, epoch.next(), &sealed), Err(SealError::Damaged)));
    assert!(matches!(reader.open_seed(&"d".parse().unwrap(), epoch, &sealed), Err(SealError::Damaged)));
}

#[test]
fn a_fingerprint_is_the_terms_seen_from_the_customer() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let keyring = folder.keyring();
    let terms = keyring.fingerprint(&purchase());
    let with = |change: fn(&mut Transaction)| {
        let mut transaction = purchase();
        change(&mut transaction);
        folder.keyring().fingerprint(&transaction)
    };
    assert_eq!(with(|t| t.to_account = None), terms);
    assert_eq!(with(|t| t.transaction_id = "tx-2".parse().unwrap()), terms);
    assert_ne!(with(|t| t.from_account = Personal::new("other".into())), terms);
    assert_ne!(with(|t| t.direction = Direction::Credit), terms);
    assert_ne!(
        with(|t| t.amount = Personal::new(Money::new(98_764, t.amount.expose().currency()).unwrap())),
        terms
    );
    assert_ne!(elsewhere.keyring().fingerprint(&purchase()), terms);
}

#[test]
fn nothing_personal_or_secret_is_shown() {
    let folder = Folder::new();
    let keyring = folder.keyring();
    let transaction = purchase();
    let sealed = seal(&keyring, "cus_1");
    let shown = format!(
        "{transaction:?} {:?} {keyring:?} {sealed:?} {:?} {:?}",
        Details::of(&transaction),
        Seed::new([0xab; 32]),
        open(&keyring, "cus_2", &sealed),
    );
    for secret in [IBAN, "GB94BARC", "98765", "COFFEE", "Coffee", "m_42", "0814", "171", sealed.as_text()] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

/// The keys of a new database on the private PostgreSQL.
async fn database(cluster: &Cluster) -> Database {
    let address = cluster.database().await.unwrap().parse().unwrap();
    Database::new(address, &crate::postgres::Options::default())
}

/// Whoever comes second, or again after a reply that was lost, is handed the first key.
fn keeps_the_first_key(store: &dyn KeyStore) {
    let (a, b) = (account("a"), account("b"));
    assert_eq!(store.create(&[(&a, vec![1])], NOW).unwrap(), [[1]]);
    assert_eq!(store.create(&[(&b, vec![2]), (&a, vec![3])], NOW).unwrap(), [[2], [1]]);
    assert!(store.erase(&a, NOW).unwrap());
    assert_eq!(store.create(&[(&a, vec![4]), (&b, vec![5])], NOW).unwrap(), [vec![], vec![2]]);
    let c = account("c");
    assert_eq!(store.wrapped(&[&c, &b, &a]).unwrap(), [None, Some(vec![2]), Some(vec![])]);
    store.create_named(&[("n", vec![6])]).unwrap();
    store.create_named(&[("o", vec![8]), ("n", vec![7])]).unwrap();
    let named = ["n", "o", "m"].map(|name| store.named(name).unwrap());
    assert_eq!(named, [Some(vec![6]), Some(vec![8]), None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_stores_keep_the_first_key() {
    let (cluster, folder) = (Cluster::shared().await, Folder::new());
    keeps_the_first_key(&SqliteKeys::open(&folder.keys()).unwrap());
    keeps_the_first_key(&PostgresKeys::new(database(&cluster).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_on_postgres_are_made_once_whoever_asks() {
    let (cluster, folder) = (Cluster::shared().await, Folder::new());
    let database = database(&cluster).await;
    assert!(!Keyring::is_in(&database).unwrap());
    // Two processes make our own keys and those of the same accounts at once, in opposite order.
    let (runtime, together) = (&tokio::runtime::Handle::current(), &std::sync::Barrier::new(3));
    let keyrings: Vec<_> = std::thread::scope(|scope| {
        let open = |backwards: bool| {
            let (database, provider) = (database.clone(), folder.provider("root.key"));
            scope.spawn(move || {
                let _inside = runtime.enter();
                let keyring = Keyring::open_postgres(database, provider).unwrap();
                let mut ids: Vec<AccountId> = (0..200).map(|n| account(&format!("cus_{n}"))).collect();
                if backwards {
                    ids.reverse();
                }
                together.wait();
                for some in ids.chunks(50) {
                    let states = keyring.ensure(&some.iter().collect::<Vec<_>>(), NOW).unwrap();
                    assert_eq!(states, [KeyState::Ready; 50]);
                }
                keyring
            })
        };
        let threads = [open(false), open(true), open(false)];
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(Keyring::is_in(&database).unwrap());
    for n in 0..200 {
        let id = format!("cus_{n}");
        let sealed = seal(&keyrings[n % 3], &id);
        assert!(open(&keyrings[(n + 1) % 3], &id, &sealed).unwrap().is_some(), "{id}");
    }
    let other = Keyring::open_postgres(database.clone(), folder.provider("other.key")).unwrap_err();
    assert!(matches!(other, SealError::WrongRootKey { .. }));
    assert!(!format!("{other} {:?}", keyrings[0]).contains("test-"), "no password is shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_destroyed_on_postgres_is_gone_for_everyone_and_for_ever() {
    let (cluster, folder) = (Cluster::shared().await, Folder::new());
    let database = database(&cluster).await;
    let keyring = || Keyring::open_postgres(database.clone(), folder.provider("root.key")).unwrap();
    let (first, second) = (keyring(), keyring());
    let sealed = seal(&first, "cus_1");
    assert!(open(&second, "cus_1", &sealed).unwrap().is_some());
    assert!(first.erase(&account("cus_1"), NOW).unwrap());
    assert!(!second.erase(&account("cus_1"), NOW).unwrap());
    for keyring in [&first, &second, &keyring()] {
        assert!(open(keyring, "cus_1", &sealed).unwrap().is_none());
        assert_eq!(keyring.ensure(&[&account("cus_1")], NOW).unwrap(), [KeyState::Erased]);
    }
    assert!(first.erase(&account("never_seen"), NOW).unwrap());
    assert_eq!(second.state(&account("never_seen")).unwrap(), KeyState::Erased);
    seal(&first, "cus_2");
    let client = database.connect().await.unwrap();
    for statement in [
        "UPDATE keys.account_keys SET wrapped = 'x', erased_at = NULL WHERE account_id = 'cus_1'",
        "UPDATE keys.account_keys SET wrapped = 'other' WHERE account_id = 'cus_2'",
        "DELETE FROM keys.account_keys",
        "TRUNCATE keys.account_keys",
        "UPDATE keys.named_keys SET wrapped = 'other'",
        "DELETE FROM keys.named_keys",
    ] {
        let refused = Fault::from(client.batch_execute(statement).await.unwrap_err());
        assert!(refused.to_string().contains("made once and destroyed once"), "{statement}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_out_of_reach_are_a_fault_that_passes() {
    let (cluster, folder) = (Cluster::start(&[]).await.unwrap(), Folder::new());
    let database = database(&cluster).await;
    let keyring = Keyring::open_postgres(database, folder.provider("root.key")).unwrap();
    let sealed = seal(&keyring, "cus_1");
    cluster.stop("immediate").unwrap();
    let error = keyring.ensure(&[&account("cus_2")], NOW).unwrap_err();
    assert!(error.transient(), "{error:?}");
    // What is known goes on: sealing asks nobody.
    seal(&keyring, "cus_1");
    cluster.start_again().await.unwrap();
    assert!(open(&keyring, "cus_1", &sealed).unwrap().is_some());
    seal(&keyring, "cus_2");
}
