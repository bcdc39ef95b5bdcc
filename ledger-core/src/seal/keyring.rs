//! The keys of all accounts: wrapped in a SQLite file of their own, ready for use in a bounded cache.
//!
//! A key is durable before anything sealed under it is handed out; a destroyed one leaves a tombstone.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac;
use hashlink::LruCache;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use zeroize::Zeroizing;

use super::cipher::{Cipher, random_key};
use super::store::{self, check_schema, connect, fault, read_named, read_wrapped};
use super::{Details, KeyProvider, KeyProviderError, SealError, Sealed};
use crate::draw::Seed;
use crate::ids::{AccountId, CampaignId, Fingerprint, Source, TransactionId, push_lp};
use crate::time::{Epoch, Timestamp};
use crate::transaction::{Direction, Transaction};

/// Keys kept ready unless said otherwise; about 1 KB each.
const CACHE_KEYS: usize = 200_000;
const INDEX_KEY: &str = "index";
const DRAW_KEY: &str = "draw";

/// Where an account's key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// There never was one.
    Absent,
    /// Seals and opens.
    Ready,
    /// Destroyed for ever; what was sealed under it cannot be opened by anyone.
    Erased,
}

/// Seals and opens under account keys and our own named keys. Shared by all threads.
///
/// Locks are taken in the order writer, reader, cache. Whoever puts a key into the cache holds the
/// connection it was read from, and [`Keyring::erase`] takes both: no destroyed key comes back.
pub struct Keyring {
    path: PathBuf,
    provider: Arc<dyn KeyProvider>,
    /// `None` when opened for reading only.
    writer: Option<Mutex<Connection>>,
    /// Of its own, so that opening never waits for another account's fsync.
    reader: Mutex<Connection>,
    cache: Mutex<LruCache<AccountId, Arc<Cipher>>>,
    index_key: hmac::Key,
    draw_key: Cipher,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Keyring {
    /// Opens the file of keys, or makes it together with our own keys.
    pub fn open(path: &Path, provider: Arc<dyn KeyProvider>) -> Result<Keyring, SealError> {
        // SQLite gives its other files the permissions of this one.
        let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        made.map_err(|source| SealError::Create { path: path.to_owned(), source })?;
        let fault = fault("preparing the schema", path);
        let mut writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Destroyed keys are overwritten, not only unlinked.
        let pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;";
        writer.execute_batch(pragmas).map_err(&fault)?;
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&fault)?;
        store::prepare(&transaction, path)?;
        for name in [INDEX_KEY, DRAW_KEY] {
            if read_named(&transaction, name).map_err(&fault)?.is_none() {
                let wrapped = provider.wrap_key(&*new_key()?, &named_data(name))?;
                let insert = "INSERT INTO named_keys (name, wrapped) VALUES (?1, ?2)";
                transaction.execute(insert, params![name, wrapped]).map_err(&fault)?;
            }
        }
        transaction.commit().map_err(&fault)?;
        Keyring::assemble(path, provider, Some(writer))
    }

    /// Opens an existing file of keys beside the process that writes it. Makes no keys.
    pub fn open_read_only(path: &Path, provider: Arc<dyn KeyProvider>) -> Result<Keyring, SealError> {
        Keyring::assemble(path, provider, None)
    }

    /// Keeps at most this many account keys ready.
    #[must_use]
    pub fn with_cache(mut self, keys: usize) -> Keyring {
        self.cache = Mutex::new(LruCache::new(keys.max(1)));
        self
    }

    /// Makes the keys that are missing, durably, with one fsync for all. Answers each account's state, in
    /// order: an erased account gets no new key.
    pub fn ensure(&self, accounts: &[&AccountId], now: Timestamp) -> Result<Vec<KeyState>, SealError> {
        let mut missing: Vec<&AccountId> = Vec::new();
        {
            let mut cache = lock(&self.cache);
            missing.extend(accounts.iter().copied().filter(|account| cache.get(*account).is_none()));
        }
        let mut seen = HashSet::new();
        missing.retain(|account| seen.insert(*account));
        let mut erased = HashSet::new();
        let mut absent = Vec::new();
        for account in missing {
            match self.read(account)? {
                Slot::Ready(_) => {}
                Slot::Absent => absent.push(account),
                Slot::Erased => {
                    erased.insert(account);
                }
            }
        }
        if !absent.is_empty() {
            self.create(&absent, now, &mut erased)?;
        }
        let state = |account| {
            if erased.contains(account) { KeyState::Erased } else { KeyState::Ready }
        };
        Ok(accounts.iter().copied().map(state).collect())
    }

    /// Where an account's key stands now, asked of the file.
    pub fn state(&self, account: &AccountId) -> Result<KeyState, SealError> {
        Ok(match self.read(account)? {
            Slot::Absent => KeyState::Absent,
            Slot::Ready(_) => KeyState::Ready,
            Slot::Erased => KeyState::Erased,
        })
    }

    /// Destroys an account's key and leaves a tombstone, also where there was no key yet. Says whether it
    /// did; `false`: it had been destroyed before.
    pub fn erase(&self, account: &AccountId, now: Timestamp) -> Result<bool, SealError> {
        let fault = fault("destroying an account's key", &self.path);
        let writer = lock(self.writer.as_ref().ok_or(SealError::ReadOnly)?);
        let erase =
            "INSERT INTO account_keys (account_id, wrapped, created_at, erased_at) VALUES (?1, x'', ?2, ?2)
             ON CONFLICT (account_id) DO UPDATE SET wrapped = x'', erased_at = ?2 WHERE erased_at IS NULL";
        let changed = writer.execute(erase, params![account.as_str(), now.micros()]).map_err(&fault)?;
        {
            let _reader = lock(&self.reader);
            lock(&self.cache).remove(account);
        }
        // The write-ahead log still has the old page; emptied, it has not. Repeats try again.
        let empty = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        empty.map_err(&fault)?;
        Ok(changed == 1)
    }

    /// Seals a line's details under its account's key, which [`Keyring::ensure`] has made.
    pub fn seal_details(
        &self,
        account: &AccountId,
        source: &Source,
        transaction_id: &TransactionId,
        details: &Details,
    ) -> Result<Sealed, SealError> {
        let cached = lock(&self.cache).get(account).cloned();
        let cipher = match cached {
            Some(cipher) => cipher,
            None => match self.read(account)? {
                Slot::Ready(cipher) => cipher,
                Slot::Absent => return Err(SealError::NoKey(account.clone())),
                Slot::Erased => return Err(SealError::Erased(account.clone())),
            },
        };
        let owner = format!("account:{account}");
        Sealed::seal(&cipher, [&owner, source.as_str(), transaction_id.as_str()], &details.to_bytes())
    }

    /// The details of a line, or `None` where the account's key has been destroyed. Asks the file each
    /// time, so an erasure by another process counts at once.
    pub fn open_details(
        &self,
        account: &AccountId,
        source: &Source,
        transaction_id: &TransactionId,
        sealed: &Sealed,
    ) -> Result<Option<Details>, SealError> {
        let cipher = match self.read(account)? {
            Slot::Ready(cipher) => cipher,
            Slot::Erased => return Ok(None),
            Slot::Absent => return Err(SealError::NoKey(account.clone())),
        };
        let owner = format!("account:{account}");
        let bytes = sealed.open(&cipher, [&owner, source.as_str(), transaction_id.as_str()])?;
        Details::from_bytes(&bytes).map(Some).ok_or(SealError::Damaged)
    }

    /// A keyed hash of a line's terms: customer's bank account, direction, amount, currency.
    pub fn fingerprint(&self, transaction: &Transaction) -> Fingerprint {
        let (own_account, direction) = match transaction.direction {
            Direction::Debit => (Some(&transaction.from_account), "debit"),
            Direction::Credit => (transaction.to_account.as_ref(), "credit"),
        };
        let amount = transaction.amount.expose();
        let mut terms = Zeroizing::new(Vec::with_capacity(1024));
        terms.extend_from_slice(b"rewardhub/fingerprint-1/");
        push_lp(&mut terms, own_account.map_or("", |account| account.expose()).as_bytes());
        push_lp(&mut terms, direction.as_bytes());
        terms.extend_from_slice(&amount.minor().to_be_bytes());
        push_lp(&mut terms, amount.currency().code().as_bytes());
        let tag = hmac::sign(&self.index_key, &terms);
        Fingerprint(tag.as_ref()[..16].try_into().expect("HMAC-SHA256 has 32 bytes"))
    }

    /// Seals an epoch's seed under the draw key.
    pub fn seal_seed(&self, campaign: &CampaignId, epoch: Epoch, seed: &Seed) -> Result<Sealed, SealError> {
        Sealed::seal(&self.draw_key, ["draw", campaign.as_str(), &epoch.to_string()], seed.expose())
    }

    /// The seed of an epoch.
    pub fn open_seed(&self, campaign: &CampaignId, epoch: Epoch, sealed: &Sealed) -> Result<Seed, SealError> {
        let bytes = sealed.open(&self.draw_key, ["draw", campaign.as_str(), &epoch.to_string()])?;
        bytes.as_slice().try_into().map(Seed::new).map_err(|_| SealError::Damaged)
    }

    fn assemble(
        path: &Path,
        provider: Arc<dyn KeyProvider>,
        writer: Option<Connection>,
    ) -> Result<Keyring, SealError> {
        let reader = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        check_schema(&reader, path)?;
        let named = |name| {
            let wrapped = read_named(&reader, name).map_err(fault("reading our own keys", path))?;
            let wrapped = wrapped.ok_or_else(|| SealError::NoNamedKey { path: path.to_owned(), name })?;
            provider.unwrap_key(&wrapped, &named_data(name)).map_err(|error| match error {
                KeyProviderError::NotOurs => SealError::WrongRootKey { path: path.to_owned() },
                error => SealError::Provider(error),
            })
        };
        let index_key = hmac::Key::new(hmac::HMAC_SHA256, &*named(INDEX_KEY)?);
        let draw_key = Cipher::new(&*named(DRAW_KEY)?);
        Ok(Keyring {
            path: path.to_owned(),
            provider,
            writer: writer.map(Mutex::new),
            reader: Mutex::new(reader),
            cache: Mutex::new(LruCache::new(CACHE_KEYS)),
            index_key,
            draw_key,
        })
    }

    /// The key as the file has it now; a cached one saves only the unwrapping.
    fn read(&self, account: &AccountId) -> Result<Slot, SealError> {
        let reader = lock(&self.reader);
        match read_wrapped(&reader, account).map_err(fault("reading an account's key", &self.path))? {
            None => Ok(Slot::Absent),
            Some(wrapped) if wrapped.is_empty() => {
                lock(&self.cache).remove(account);
                Ok(Slot::Erased)
            }
            Some(wrapped) => {
                let cached = lock(&self.cache).get(account).cloned();
                match cached {
                    Some(cipher) => Ok(Slot::Ready(cipher)),
                    None => self.unwrap_into_cache(account, &wrapped).map(Slot::Ready),
                }
            }
        }
    }

    fn create<'a>(
        &self,
        absent: &[&'a AccountId],
        now: Timestamp,
        erased: &mut HashSet<&'a AccountId>,
    ) -> Result<(), SealError> {
        let fault = fault("creating account keys", &self.path);
        let mut writer = lock(self.writer.as_ref().ok_or(SealError::ReadOnly)?);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&fault)?;
        let mut durable = Vec::with_capacity(absent.len());
        {
            let insert =
                "INSERT OR IGNORE INTO account_keys (account_id, wrapped, created_at) VALUES (?1, ?2, ?3)";
            let mut insert = transaction.prepare_cached(insert).map_err(&fault)?;
            for account in absent {
                let wrapped = self.provider.wrap_key(&*new_key()?, &account_data(account))?;
                insert.execute(params![account.as_str(), wrapped, now.micros()]).map_err(&fault)?;
                // Another thread or process may have been first: what the file has is the key.
                durable.push(read_wrapped(&transaction, account).map_err(&fault)?.unwrap_or_default());
            }
        }
        transaction.commit().map_err(&fault)?;
        for (account, wrapped) in absent.iter().zip(durable) {
            if wrapped.is_empty() {
                erased.insert(*account);
            } else {
                self.unwrap_into_cache(account, &wrapped)?;
            }
        }
        Ok(())
    }

    fn unwrap_into_cache(&self, account: &AccountId, wrapped: &[u8]) -> Result<Arc<Cipher>, SealError> {
        let key = self.provider.unwrap_key(wrapped, &account_data(account))?;
        let cipher = Arc::new(Cipher::new(&key));
        lock(&self.cache).insert(account.clone(), Arc::clone(&cipher));
        Ok(cipher)
    }
}

enum Slot {
    Absent,
    Ready(Arc<Cipher>),
    Erased,
}

fn new_key() -> Result<Zeroizing<[u8; 32]>, SealError> {
    random_key().map_err(|_| SealError::Provider(KeyProviderError::NoRandomness))
}

fn account_data(account: &AccountId) -> Vec<u8> {
    format!("rewardhub/key-1/account:{account}").into_bytes()
}

fn named_data(name: &str) -> Vec<u8> {
    format!("rewardhub/key-1/named:{name}").into_bytes()
}

/// A panic elsewhere leaves nothing half done here: a transaction rolls back, a cache entry is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
