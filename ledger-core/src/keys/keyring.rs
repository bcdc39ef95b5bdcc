//! The keys of all accounts: wrapped in a store of their own, ready for use in a bounded cache.
//!
//! A key is durable before anything sealed under it is handed out; a destroyed one leaves a
//! tombstone.

use std::collections::HashSet;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use futures::future::try_join_all;
use hashlink::LruCache;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::cipher::{Cipher, random_key};
use super::of_accounts::Slot;
use super::store::KeyStore;
use super::{
    AccountKey, Details, KeyProvider, KeyProviderError, KeyState, Keys, LineTerms, SealError, Sealed,
};
use crate::draw::Seed;
use crate::ids::{AccountId, CampaignId, Source, TransactionId};
use crate::log::{EventLog, StreamId};
use crate::time::{Epoch, Timestamp};
use crate::transaction::Transaction;

/// Keys kept ready unless said otherwise; about 1 KB each.
const CACHE_KEYS: usize = 200_000;
/// Keys that the provider wraps or unwraps at once.
const PROVIDER_CALLS: usize = 32;
/// Names the key behind fingerprints in a store.
pub const INDEX_KEY: &str = "index";
const DRAW_KEY: &str = "draw";

/// What our own named keys are recognised by. Shows nothing of them: 16 bytes of a hash of 32
/// random ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprints {
    /// Of the key behind the fingerprints of lines.
    pub index: [u8; 16],
    /// Of the key that seals the epochs' seeds.
    pub draw: [u8; 16],
}

/// Seals and opens under account keys and our own named keys. Shared by all tasks; no lock is held
/// while one waits.
///
/// No destroyed key comes back into the cache: whoever fills it notes the number of erasures before
/// the store is read, and leaves it alone where that has moved on. [`Keyring::erase`] moves it on
/// after the key is gone from the store.
pub struct Keyring {
    store: Arc<dyn KeyStore>,
    provider: Arc<dyn KeyProvider>,
    cache: Arc<Mutex<Cache>>,
    index_key: Arc<hmac::Key>,
    draw_key: Cipher,
    fingerprints: Fingerprints,
}

struct Cache {
    keys: LruCache<AccountId, Arc<Cipher>>,
    /// Erasures by this process so far.
    erasures: u64,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("place", &self.store.place()).finish_non_exhaustive()
    }
}

impl Keyring {
    /// Keeps at most this many account keys ready.
    #[must_use]
    pub fn with_cache(self, keys: usize) -> Keyring {
        self.cache.lock().keys = LruCache::new(keys.max(1));
        self
    }

    /// What our own named keys are recognised by.
    pub fn fingerprints(&self) -> Fingerprints {
        self.fingerprints
    }

    /// The account's key, to seal under, where it is in the cache.
    pub(crate) fn ready(&self, account: &AccountId) -> Option<AccountKey> {
        let cipher = self.cache.lock().keys.get(account).cloned()?;
        Some(AccountKey::new(account, cipher))
    }

    /// The accounts' keys, to seal under: what is in the cache at once, the rest in one round trip.
    pub async fn keys(&self, accounts: HashSet<AccountId>) -> Result<Keys, SealError> {
        let mut keys = Keys::default();
        let mut missing = Vec::new();
        {
            let mut cache = self.cache.lock();
            for account in accounts {
                match cache.keys.get(&account).cloned() {
                    Some(cipher) => keys.insert(account, Slot::Ready(cipher)),
                    None => missing.push(account),
                }
            }
        }
        keys.update(self.read(missing).await?);
        Ok(keys)
    }

    /// The accounts' keys, to open with. Asks the store each time, in one round trip, so an erasure
    /// by another process counts at once.
    pub async fn opening_keys(&self, accounts: HashSet<AccountId>) -> Result<Keys, SealError> {
        self.read(accounts.into_iter().collect()).await
    }

    /// One account's key, to open with, or `None` where it has been destroyed.
    pub async fn opening_key(&self, account: &AccountId) -> Result<Option<AccountKey>, SealError> {
        self.read(vec![account.clone()]).await?.opening(account)
    }

    /// Where an account's key stands now, asked of the store.
    pub async fn state(&self, account: &AccountId) -> Result<KeyState, SealError> {
        Ok(self.read(vec![account.clone()]).await?.state(account))
    }

    /// [`keys`](Keyring::keys); those that are missing are made, durably, with one commit for all.
    /// An erased account gets no new key, and neither does one that the log knows: its key has been
    /// lost, and another would hide that.
    pub async fn ensure(
        &self,
        accounts: HashSet<AccountId>,
        log: &dyn EventLog,
        now: Timestamp,
    ) -> Result<Keys, SealError> {
        let mut keys = self.keys_beside(accounts, log).await?;
        let new = keys.absent().cloned().collect();
        keys.update(self.create(new, now).await?);
        Ok(keys)
    }

    /// [`keys`](Keyring::keys), with keys that are lost told from accounts that are new: the log
    /// knows the one kind.
    pub async fn keys_beside(
        &self,
        accounts: HashSet<AccountId>,
        log: &dyn EventLog,
    ) -> Result<Keys, SealError> {
        let mut keys = self.keys(accounts).await?;
        let absent: Vec<StreamId> = keys.absent().map(StreamId::account).collect();
        if absent.is_empty() {
            return Ok(keys);
        }
        let known = log.known_streams(&absent).await.map_err(|error| SealError::Log(Box::new(error)))?;
        let known: Vec<AccountId> = known.iter().filter_map(|s| AccountId::parse(&s.id).ok()).collect();
        // An account's key is durable before its first event: one that was opened meanwhile has its
        // key now.
        for (account, slot) in self.read(known).await?.into_slots() {
            keys.insert(account, if matches!(slot, Slot::Absent) { Slot::Lost } else { slot });
        }
        Ok(keys)
    }

    /// Makes keys that are missing. What is durable now is the answer.
    async fn create(&self, accounts: HashSet<AccountId>, now: Timestamp) -> Result<Keys, SealError> {
        if accounts.is_empty() {
            return Ok(Keys::default());
        }
        let accounts: Vec<AccountId> = accounts.into_iter().collect();
        let mut fresh = Vec::with_capacity(accounts.len());
        for some in accounts.chunks(PROVIDER_CALLS) {
            let wrap = async |account: &AccountId| {
                let wrapped = self.provider.wrap_key(&*new_key()?, &account_data(account)).await?;
                Ok::<_, SealError>((account.clone(), wrapped))
            };
            fresh.extend(try_join_all(some.iter().map(wrap)).await?);
        }
        let erasures = self.erasures();
        // Another task or process may have been first: what the store has is the key.
        let durable = self.store.create(fresh, now).await?;
        self.unwrap(accounts, durable.into_iter().map(Some), erasures).await
    }

    /// Destroys an account's key and leaves a tombstone, also where there was no key yet. Says
    /// whether it did; `false`: it had been destroyed before.
    pub async fn erase(&self, account: &AccountId, now: Timestamp) -> Result<bool, SealError> {
        let (store, cache, account) = (Arc::clone(&self.store), Arc::clone(&self.cache), account.clone());
        // On a task of its own, which ends also when the caller has gone away: the key may be
        // destroyed by then, and must not stay in the cache.
        let erasing = tokio::spawn(async move {
            let erased = store.erase(&account, now).await;
            // Also after a failure: it may have been done all the same.
            let mut cache = cache.lock();
            cache.erasures += 1;
            cache.keys.remove(&account);
            erased
        });
        match erasing.await {
            Ok(erased) => erased,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is stopping.
                Err(_) => Err(SealError::Busy),
            },
        }
    }

    /// The details of a line, or `None` where the account's key has been destroyed.
    pub async fn open_details(
        &self,
        account: &AccountId,
        source: &Source,
        transaction_id: &TransactionId,
        sealed: &Sealed,
    ) -> Result<Option<Details>, SealError> {
        let key = self.opening_key(account).await?;
        key.map(|key| key.open_details(source, transaction_id, sealed)).transpose()
    }

    /// A line's terms, to compare with those of a line that the log has.
    pub fn terms(&self, transaction: &Transaction) -> LineTerms {
        LineTerms::of(&self.index_key, transaction)
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

    /// Over this store; makes our own keys where it has none.
    pub async fn open(
        store: Arc<dyn KeyStore>,
        provider: Arc<dyn KeyProvider>,
    ) -> Result<Keyring, SealError> {
        let mut missing = Vec::new();
        for name in [INDEX_KEY, DRAW_KEY] {
            match store.named(name).await? {
                // Beside a key of another root key none of ours may come.
                Some(wrapped) => drop(unwrap_named(&*store, &*provider, name, &wrapped).await?),
                None => missing.push((name, provider.wrap_key(&*new_key()?, &named_data(name)).await?)),
            }
        }
        if !missing.is_empty() {
            store.create_named(missing).await?;
        }
        Keyring::open_existing(store, provider).await
    }

    /// Over a store that has our own keys. Makes none.
    pub async fn open_existing(
        store: Arc<dyn KeyStore>,
        provider: Arc<dyn KeyProvider>,
    ) -> Result<Keyring, SealError> {
        let index_key = named(&*store, &*provider, INDEX_KEY).await?;
        let draw_key = named(&*store, &*provider, DRAW_KEY).await?;
        let fingerprints =
            Fingerprints { index: key_fingerprint(&index_key), draw: key_fingerprint(&draw_key) };
        let cache = Arc::new(Mutex::new(Cache { keys: LruCache::new(CACHE_KEYS), erasures: 0 }));
        let index_key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &*index_key));
        let draw_key = Cipher::new(&draw_key);
        Ok(Keyring { store, provider, cache, index_key, draw_key, fingerprints })
    }

    /// The keys as the store has them now; cached ones save only the unwrapping.
    async fn read(&self, accounts: Vec<AccountId>) -> Result<Keys, SealError> {
        if accounts.is_empty() {
            return Ok(Keys::default());
        }
        let erasures = self.erasures();
        let wrapped = self.store.wrapped(&accounts).await?;
        self.unwrap(accounts, wrapped, erasures).await
    }

    /// What the store has said, ready for use. It was asked when there had been this many erasures.
    async fn unwrap(
        &self,
        accounts: Vec<AccountId>,
        wrapped: impl IntoIterator<Item = Option<Vec<u8>>>,
        erasures: u64,
    ) -> Result<Keys, SealError> {
        let mut keys = Keys::default();
        let mut unopened = Vec::new();
        {
            let mut cache = self.cache.lock();
            for (account, wrapped) in accounts.into_iter().zip(wrapped) {
                match wrapped {
                    None => keys.insert(account, Slot::Absent),
                    Some(wrapped) if wrapped.is_empty() => {
                        cache.keys.remove(&account);
                        keys.insert(account, Slot::Erased);
                    }
                    Some(wrapped) => match cache.keys.get(&account).cloned() {
                        Some(cipher) => keys.insert(account, Slot::Ready(cipher)),
                        None => unopened.push((account, wrapped)),
                    },
                }
            }
        }
        for some in unopened.chunks(PROVIDER_CALLS) {
            let unwrap = async |(account, wrapped): &(AccountId, Vec<u8>)| {
                Ok(match self.provider.unwrap_key(wrapped, &account_data(account)).await {
                    Ok(key) => Slot::Ready(Arc::new(Cipher::new(&key))),
                    Err(KeyProviderError::NotOurs) => Slot::Damaged,
                    Err(error) => return Err(SealError::Provider(error)),
                })
            };
            let opened = try_join_all(some.iter().map(unwrap)).await?;
            let mut cache = self.cache.lock();
            for ((account, _), slot) in some.iter().zip(opened) {
                if let Slot::Ready(cipher) = &slot
                    && cache.erasures == erasures
                {
                    cache.keys.insert(account.clone(), Arc::clone(cipher));
                }
                keys.insert(account.clone(), slot);
            }
        }
        Ok(keys)
    }

    fn erasures(&self) -> u64 {
        self.cache.lock().erasures
    }
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

/// One of our own keys, which must be there.
async fn named(
    store: &dyn KeyStore,
    provider: &dyn KeyProvider,
    name: &'static str,
) -> Result<Zeroizing<[u8; 32]>, SealError> {
    let wrapped = store.named(name).await?;
    let wrapped = wrapped.ok_or_else(|| SealError::NoNamedKey { place: store.place(), name })?;
    unwrap_named(store, provider, name, &wrapped).await
}

async fn unwrap_named(
    store: &dyn KeyStore,
    provider: &dyn KeyProvider,
    name: &str,
    wrapped: &[u8],
) -> Result<Zeroizing<[u8; 32]>, SealError> {
    provider.unwrap_key(wrapped, &named_data(name)).await.map_err(|error| match error {
        KeyProviderError::NotOurs => SealError::WrongRootKey { place: store.place() },
        error => SealError::Provider(error),
    })
}

fn key_fingerprint(key: &[u8; 32]) -> [u8; 16] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"rewardhub/key-fingerprint-1");
    let hash = digest::digest(&digest::SHA256, tag.as_ref());
    hash.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes")
}
