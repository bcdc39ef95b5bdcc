//! The keys of all accounts: wrapped in a store of their own, ready for use in a bounded cache.
//!
//! A key is durable before anything sealed under it is handed out; a destroyed one leaves a tombstone.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use aws_lc_rs::hmac;
use hashlink::LruCache;
use zeroize::Zeroizing;

use super::cipher::{Cipher, random_key};
use super::store::{KeyStore, PostgresKeys, SqliteKeys};
use super::{AccountKey, Details, KeyProvider, KeyProviderError, SealError, Sealed};
use crate::draw::Seed;
use crate::ids::{AccountId, CampaignId, Fingerprint, Source, TransactionId, push_lp};
use crate::postgres::Database;
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
/// Whoever reads a key and puts it into the cache holds `filling` shared from before the read on;
/// [`Keyring::erase`] empties the cache's place with `filling` for itself after the key is gone from the store:
/// no destroyed key comes back.
pub struct Keyring {
    store: Box<dyn KeyStore>,
    provider: Arc<dyn KeyProvider>,
    filling: RwLock<()>,
    cache: Mutex<LruCache<AccountId, Arc<Cipher>>>,
    index_key: hmac::Key,
    draw_key: Cipher,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("place", &self.store.place()).finish_non_exhaustive()
    }
}

impl Keyring {
    /// Opens the file of keys, or makes it together with our own keys.
    pub fn open(path: &Path, provider: Arc<dyn KeyProvider>) -> Result<Keyring, SealError> {
        Keyring::with_own_keys(Box::new(SqliteKeys::open(path)?), provider)
    }

    /// Opens an existing file of keys beside the process that writes it. Makes no keys.
    pub fn open_read_only(path: &Path, provider: Arc<dyn KeyProvider>) -> Result<Keyring, SealError> {
        Keyring::assemble(Box::new(SqliteKeys::open_read_only(path)?), provider)
    }

    /// Opens the keys of this database, and makes our own where it has none. Must be called inside the
    /// multi-threaded runtime that drives the database's connections.
    pub fn open_postgres(database: Database, provider: Arc<dyn KeyProvider>) -> Result<Keyring, SealError> {
        Keyring::with_own_keys(Box::new(PostgresKeys::new(database)), provider)
    }

    /// Whether this database has keys, wrapped under a root key that must then be there. Called like
    /// [`Keyring::open_postgres`].
    pub fn is_in(database: &Database) -> Result<bool, SealError> {
        Ok(PostgresKeys::new(database.clone()).named(INDEX_KEY)?.is_some())
    }

    /// Keeps at most this many account keys ready.
    #[must_use]
    pub fn with_cache(mut self, keys: usize) -> Keyring {
        self.cache = Mutex::new(LruCache::new(keys.max(1)));
        self
    }

    /// Makes the keys that are missing, durably, with one commit for all. Answers each account's state, in
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
        for (account, slot) in missing.iter().copied().zip(self.read(&missing)?) {
            match slot {
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

    /// Where an account's key stands now, asked of the store.
    pub fn state(&self, account: &AccountId) -> Result<KeyState, SealError> {
        Ok(match self.read_one(account)? {
            Slot::Absent => KeyState::Absent,
            Slot::Ready(_) => KeyState::Ready,
            Slot::Erased => KeyState::Erased,
        })
    }

    /// Destroys an account's key and leaves a tombstone, also where there was no key yet. Says whether it
    /// did; `false`: it had been destroyed before.
    pub fn erase(&self, account: &AccountId, now: Timestamp) -> Result<bool, SealError> {
        let erased = self.store.erase(account, now);
        // Also after a failure: it may have been done all the same.
        let _filling = self.filling.write().unwrap_or_else(PoisonError::into_inner);
        lock(&self.cache).remove(account);
        erased
    }

    /// An account's key, to seal under; [`Keyring::ensure`] has made it.
    pub fn key(&self, account: &AccountId) -> Result<AccountKey, SealError> {
        let cached = lock(&self.cache).get(account).cloned();
        let cipher = match cached {
            Some(cipher) => cipher,
            None => match self.read_one(account)? {
                Slot::Ready(cipher) => cipher,
                Slot::Absent => return Err(SealError::NoKey(account.clone())),
                Slot::Erased => return Err(SealError::Erased(account.clone())),
            },
        };
        Ok(AccountKey::new(account, cipher))
    }

    /// An account's key, to open with, or `None` where it has been destroyed. Asks the store each time, so an erasure by
    /// another process counts at once.
    pub fn opening_key(&self, account: &AccountId) -> Result<Option<AccountKey>, SealError> {
        match self.read_one(account)? {
            Slot::Ready(cipher) => Ok(Some(AccountKey::new(account, cipher))),
            Slot::Erased => Ok(None),
            Slot::Absent => Err(SealError::NoKey(account.clone())),
        }
    }

    /// The details of a line, or `None` where the account's key has been destroyed.
    pub fn open_details(
        &self,
        account: &AccountId,
        source: &Source,
        transaction_id: &TransactionId,
        sealed: &Sealed,
    ) -> Result<Option<Details>, SealError> {
        let key = self.opening_key(account)?;
        key.map(|key| key.open_details(source, transaction_id, sealed)).transpose()
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

    fn with_own_keys(store: Box<dyn KeyStore>, provider: Arc<dyn KeyProvider>) -> Result<Keyring, SealError> {
        let mut missing = Vec::new();
        for name in [INDEX_KEY, DRAW_KEY] {
            match store.named(name)? {
                // Beside a key of another root key none of ours may come.
                Some(wrapped) => drop(unwrap_named(&*store, &*provider, name, &wrapped)?),
                None => missing.push((name, provider.wrap_key(&*new_key()?, &named_data(name))?)),
            }
        }
        if !missing.is_empty() {
            store.create_named(&missing)?;
        }
        Keyring::assemble(store, provider)
    }

    fn assemble(store: Box<dyn KeyStore>, provider: Arc<dyn KeyProvider>) -> Result<Keyring, SealError> {
        let named = |name| {
            let wrapped = store.named(name)?;
            let wrapped = wrapped.ok_or_else(|| SealError::NoNamedKey { place: store.place(), name })?;
            unwrap_named(&*store, &*provider, name, &wrapped)
        };
        let index_key = hmac::Key::new(hmac::HMAC_SHA256, &*named(INDEX_KEY)?);
        let draw_key = Cipher::new(&*named(DRAW_KEY)?);
        let cache = Mutex::new(LruCache::new(CACHE_KEYS));
        Ok(Keyring { store, provider, filling: RwLock::new(()), cache, index_key, draw_key })
    }

    fn read_one(&self, account: &AccountId) -> Result<Slot, SealError> {
        Ok(self.read(&[account])?.pop().unwrap_or(Slot::Absent))
    }

    /// The keys as the store has them now, in order; cached ones save only the unwrapping.
    fn read(&self, accounts: &[&AccountId]) -> Result<Vec<Slot>, SealError> {
        if accounts.is_empty() {
            return Ok(vec![]);
        }
        let _filling = self.filling.read().unwrap_or_else(PoisonError::into_inner);
        let wrapped = self.store.wrapped(accounts)?;
        let slot = |(account, wrapped): (&&AccountId, Option<Vec<u8>>)| match wrapped {
            None => Ok(Slot::Absent),
            Some(wrapped) if wrapped.is_empty() => {
                lock(&self.cache).remove(*account);
                Ok(Slot::Erased)
            }
            Some(wrapped) => {
                let cached = lock(&self.cache).get(*account).cloned();
                match cached {
                    Some(cipher) => Ok(Slot::Ready(cipher)),
                    None => self.unwrap_into_cache(account, &wrapped).map(Slot::Ready),
                }
            }
        };
        accounts.iter().zip(wrapped).map(slot).collect()
    }

    fn create<'a>(
        &self,
        absent: &[&'a AccountId],
        now: Timestamp,
        erased: &mut HashSet<&'a AccountId>,
    ) -> Result<(), SealError> {
        let fresh = |account: &&'a AccountId| {
            Ok((*account, self.provider.wrap_key(&*new_key()?, &account_data(account))?))
        };
        let fresh: Vec<_> = absent.iter().map(fresh).collect::<Result<_, SealError>>()?;
        let _filling = self.filling.read().unwrap_or_else(PoisonError::into_inner);
        // Another thread or process may have been first: what the store has is the key.
        for (account, wrapped) in absent.iter().zip(self.store.create(&fresh, now)?) {
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

fn unwrap_named(
    store: &dyn KeyStore,
    provider: &dyn KeyProvider,
    name: &str,
    wrapped: &[u8],
) -> Result<Zeroizing<[u8; 32]>, SealError> {
    provider.unwrap_key(wrapped, &named_data(name)).map_err(|error| match error {
        KeyProviderError::NotOurs => SealError::WrongRootKey { place: store.place() },
        error => SealError::Provider(error),
    })
}

/// A panic elsewhere leaves nothing half done here: a cache entry is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
