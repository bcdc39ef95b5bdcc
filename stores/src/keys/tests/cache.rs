//! What the cache may hold: never a key that has been destroyed, whoever was on the way to fill it.

use tokio::sync::Semaphore;

use super::*;

/// A store whose answers are held back until the test lets them go.
struct Gated {
    inner: SqliteKeys,
    /// Whoever has read adds a permit; who may answer takes one.
    read: Semaphore,
    answer: Semaphore,
    erased: Semaphore,
    forget: Semaphore,
}

impl Gated {
    fn new(folder: &Folder) -> Arc<Gated> {
        let shut = || Semaphore::new(0);
        let inner = SqliteKeys::open(&folder.keys()).unwrap();
        Arc::new(Gated { inner, read: shut(), answer: shut(), erased: shut(), forget: shut() })
    }
}

async fn pass(gate: &Semaphore) {
    gate.acquire().await.unwrap().forget();
}

#[async_trait::async_trait]
impl KeyStore for Gated {
    async fn wrapped(&self, accounts: &[AccountId]) -> Result<Vec<Option<Vec<u8>>>, SealError> {
        let wrapped = self.inner.wrapped(accounts).await;
        self.read.add_permits(1);
        pass(&self.answer).await;
        wrapped
    }

    async fn create(&self, keys: Vec<NewKey>, now: Timestamp) -> Result<Vec<Vec<u8>>, SealError> {
        let durable = self.inner.create(keys, now).await;
        self.read.add_permits(1);
        pass(&self.answer).await;
        durable
    }

    async fn erase(&self, account: &AccountId, now: Timestamp) -> Result<bool, SealError> {
        let erased = self.inner.erase(account, now).await;
        self.erased.add_permits(1);
        pass(&self.forget).await;
        erased
    }

    async fn named(&self, name: &'static str) -> Result<Option<Vec<u8>>, SealError> {
        self.inner.named(name).await
    }

    async fn create_named(&self, keys: Vec<(&'static str, Vec<u8>)>) -> Result<(), SealError> {
        self.inner.create_named(keys).await
    }

    fn place(&self) -> String {
        self.inner.place()
    }
}

/// A keyring with an account that has a key, but not in the cache.
async fn cold(folder: &Folder) -> (Arc<Gated>, Arc<Keyring>) {
    seal(&folder.keyring().await, "cus_1").await;
    let store = Gated::new(folder);
    let keyring = Keyring::open(Arc::clone(&store) as _, folder.provider("root.key")).await.unwrap();
    (store, Arc::new(keyring))
}

async fn state_to_seal_under(keyring: &Keyring) -> KeyState {
    keyring.keys([account("cus_1")].into()).await.unwrap().state(&account("cus_1"))
}

#[tokio::test]
async fn a_key_read_before_its_erasure_is_not_cached_after_it() {
    let folder = Folder::new();
    let (store, keyring) = cold(&folder).await;
    let reading = tokio::spawn({
        let keyring = Arc::clone(&keyring);
        async move { state_to_seal_under(&keyring).await }
    });
    pass(&store.read).await;
    store.forget.add_permits(1);
    assert!(keyring.erase(&account("cus_1"), NOW).await.unwrap());
    store.answer.add_permits(2);
    assert_eq!(reading.await.unwrap(), KeyState::Ready, "it asked before");
    assert_eq!(state_to_seal_under(&keyring).await, KeyState::Erased);
}

#[tokio::test]
async fn a_key_made_before_its_erasure_is_not_cached_after_it() {
    let folder = Folder::new();
    let (store, keyring) = cold(&folder).await;
    let new = account("cus_2");
    let making = tokio::spawn({
        let (keyring, new) = (Arc::clone(&keyring), new.clone());
        async move { ensure(&keyring, &[new]).await.map(drop) }
    });
    pass(&store.read).await;
    store.answer.add_permits(1);
    pass(&store.read).await;
    store.forget.add_permits(1);
    assert!(keyring.erase(&new, NOW).await.unwrap());
    store.answer.add_permits(2);
    making.await.unwrap().unwrap();
    assert_eq!(keyring.keys([new.clone()].into()).await.unwrap().state(&new), KeyState::Erased);
}

#[tokio::test]
async fn an_erasure_ends_also_when_nobody_waits_for_it() {
    let folder = Folder::new();
    let (store, keyring) = cold(&folder).await;
    store.answer.add_permits(1);
    assert_eq!(state_to_seal_under(&keyring).await, KeyState::Ready);
    let erasing = tokio::spawn({
        let keyring = Arc::clone(&keyring);
        async move { keyring.erase(&account("cus_1"), NOW).await.map(drop) }
    });
    pass(&store.erased).await;
    erasing.abort();
    assert!(erasing.await.unwrap_err().is_cancelled());
    assert_eq!(state_to_seal_under(&keyring).await, KeyState::Ready, "still under way");
    store.forget.add_permits(1);
    store.answer.add_permits(100);
    while state_to_seal_under(&keyring).await != KeyState::Erased {
        tokio::task::yield_now().await;
    }
}
