//! What hangs below the rows of a page, loaded for all of them at once: campaigns, transactions, epochs, prize
//! tables, opened details. A set of loaders lives as long as one request.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_graphql::Error;
use async_graphql::dataloader::{DataLoader, HashMapCache, Loader};
use ledger_core::campaign::in_force::InForce;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::PrizeTable;
use ledger_core::ids::{CampaignId, Digest, Source, TransactionId};
use ledger_core::keys::{Keyring, SealError};
use ledger_core::time::{Clock, Epoch};
use projections::campaigns::epochs::{self, EpochRow};
use projections::campaigns::{self, CampaignRow};
use projections::transactions::{self, TransactionRow};
use projections::{Connection, ProjectionError, ReadStore};

use super::details::ShownDetails;
use super::error::{fault, read_fault};
use crate::ApiState;

/// The loaders of one request.
pub(super) struct Loaders {
    pub(super) rows: DataLoader<Rows, HashMapCache>,
    details: DataLoader<Details, HashMapCache>,
}

impl Loaders {
    pub(super) fn new(state: &ApiState) -> Loaders {
        let rows = Rows { read: state.read.clone(), clock: Arc::clone(&state.clock) };
        let details = Details(Arc::clone(&state.keyring));
        Loaders {
            rows: DataLoader::with_cache(rows, tokio::spawn, HashMapCache::default()),
            details: DataLoader::with_cache(details, tokio::spawn, HashMapCache::default()),
        }
    }

    /// The opened details of a line; `None` once they are erased.
    pub(super) async fn details(&self, line: &Arc<TransactionRow>) -> Result<Option<ShownDetails>, Error> {
        self.details.load_one(SealedRow(Arc::clone(line))).await
    }
}

/// Names a line.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LineName(pub(super) Source, pub(super) TransactionId);

/// Names an epoch.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct EpochName(pub(super) CampaignId, pub(super) Epoch);

/// Names a prize table.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct TableName(pub(super) CampaignId, pub(super) Digest);

/// Names a version of a campaign's terms.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct TermsName(pub(super) CampaignId, pub(super) u32);

/// Names a campaign whose prizes are asked for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct PrizesOf(pub(super) CampaignId);

/// Loads rows of the read models.
pub(super) struct Rows {
    read: ReadStore,
    clock: Arc<dyn Clock>,
}

impl Rows {
    /// One trip to the read models for all keys.
    async fn each<K, V>(
        &self,
        keys: &[K],
        find: impl Fn(&Connection, &K) -> Result<Option<V>, ProjectionError> + Send + 'static,
    ) -> Result<HashMap<K, Arc<V>>, Error>
    where
        K: Clone + Eq + Hash + Send + 'static,
        V: Send + Sync + 'static,
    {
        let keys = keys.to_vec();
        let all = move |conn: &Connection| {
            let mut found = HashMap::with_capacity(keys.len());
            for key in keys {
                if let Some(value) = find(conn, &key)? {
                    found.insert(key, Arc::new(value));
                }
            }
            Ok(found)
        };
        self.read.read(all).await.map_err(|error| read_fault(&error))
    }
}

#[async_trait::async_trait]
impl Loader<CampaignId> for Rows {
    type Value = Arc<CampaignRow>;
    type Error = Error;

    async fn load(&self, keys: &[CampaignId]) -> Result<HashMap<CampaignId, Arc<CampaignRow>>, Error> {
        self.each(keys, campaigns::campaign).await
    }
}

#[async_trait::async_trait]
impl Loader<PrizesOf> for Rows {
    type Value = Arc<InForce>;
    type Error = Error;

    async fn load(&self, keys: &[PrizesOf]) -> Result<HashMap<PrizesOf, Arc<InForce>>, Error> {
        let now = self.clock.now();
        let find = move |conn: &Connection, PrizesOf(id): &PrizesOf| match campaigns::campaign(conn, id)? {
            Some(row) => campaigns::in_force(conn, &row, now).map(Some),
            None => Ok(None),
        };
        self.each(keys, find).await
    }
}

#[async_trait::async_trait]
impl Loader<LineName> for Rows {
    type Value = Arc<TransactionRow>;
    type Error = Error;

    async fn load(&self, keys: &[LineName]) -> Result<HashMap<LineName, Arc<TransactionRow>>, Error> {
        self.each(keys, |conn, LineName(source, id)| transactions::transaction(conn, source, id, None)).await
    }
}

#[async_trait::async_trait]
impl Loader<EpochName> for Rows {
    type Value = Arc<EpochRow>;
    type Error = Error;

    async fn load(&self, keys: &[EpochName]) -> Result<HashMap<EpochName, Arc<EpochRow>>, Error> {
        self.each(keys, |conn, EpochName(campaign, epoch)| epochs::epoch(conn, campaign, *epoch)).await
    }
}

#[async_trait::async_trait]
impl Loader<TermsName> for Rows {
    type Value = Arc<Terms>;
    type Error = Error;

    async fn load(&self, keys: &[TermsName]) -> Result<HashMap<TermsName, Arc<Terms>>, Error> {
        self.each(keys, |conn, TermsName(campaign, version)| campaigns::terms_of(conn, campaign, *version))
            .await
    }
}

#[async_trait::async_trait]
impl Loader<TableName> for Rows {
    type Value = Arc<PrizeTable>;
    type Error = Error;

    async fn load(&self, keys: &[TableName]) -> Result<HashMap<TableName, Arc<PrizeTable>>, Error> {
        self.each(keys, |conn, TableName(campaign, hash)| campaigns::prize_table(conn, campaign, hash)).await
    }
}

/// A row whose details are to be opened; known by its name.
#[derive(Clone)]
struct SealedRow(Arc<TransactionRow>);

impl SealedRow {
    fn name(&self) -> (&Source, &TransactionId) {
        (&self.0.source, &self.0.transaction_id)
    }
}

impl PartialEq for SealedRow {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for SealedRow {}

impl Hash for SealedRow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

/// Opens sealed details. Lines whose account's key has been destroyed have none.
struct Details(Arc<Keyring>);

#[async_trait::async_trait]
impl Loader<SealedRow> for Details {
    type Value = ShownDetails;
    type Error = Error;

    async fn load(&self, rows: &[SealedRow]) -> Result<HashMap<SealedRow, ShownDetails>, Error> {
        let accounts = rows.iter().map(|row| row.0.account_id.clone()).collect();
        let keys = self.0.opening_keys(accounts).await.map_err(|error| fault(&error))?;
        let open = |row: &SealedRow| {
            let (source, transaction_id) = row.name();
            let (Some(sealed), Some(key)) = (&row.0.details, keys.opening(&row.0.account_id)?) else {
                return Ok(None);
            };
            let details = key.open_details(source, transaction_id, sealed)?;
            Ok(Some((row.clone(), ShownDetails::from(&details))))
        };
        rows.iter()
            .filter_map(|row| open(row).transpose())
            .collect::<Result<_, SealError>>()
            .map_err(|error| fault(&error))
    }
}
