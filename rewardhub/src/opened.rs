//! Where a ledger keeps what it must not lose: in the files of a data folder, or in a PostgreSQL
//! database beside the folder's root key.

mod errors;

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use adapters::sandbox::rail::count_unpaid;
use anyhow::{Context as _, bail};
use ledger_core::account::AccountEvent;
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::AccountId;
use ledger_core::keys::{FileKeyProvider, Keyring, SealError};
use ledger_core::log::{EventLog, Log, LogError, Position, StoredEvent, StreamType};
use ledger_core::steps::ports::PayoutKey;
use projections::ReadStore;
use stores::belonging::{
    LedgerId, accounts_without_key, accounts_without_key_in, belongs_in_database, belongs_to, note_keys,
};
use stores::files;
use stores::postgres::log::{PostgresLog, PostgresOptions};
use stores::postgres::{Database, check_durability};
use stores::sqlite::log::{SqliteLog, SqliteOptions};
use stores::steps::StepTables;

use crate::config::{Config, LogPlace, Memory};
use crate::folder::{Folder, Lock, finish};
use crate::identity::{Survey, key_prints};
pub use errors::{held_by, out_of_reach};

/// An opened log and its keys, and where the rest is.
pub struct Stores {
    /// The event log.
    pub log: Log,
    /// The keys of personal details.
    pub keyring: Arc<Keyring>,
    ledger: LedgerId,
    place: Place,
    memory: Memory,
    closed: AtomicBool,
}

/// Events at the log's end whose accounts must have keys, and whose payments the rail must know.
const EVENTS_LOOKED_AT: usize = 5_000;
/// How long somebody who reads a file may keep it from being whole when we end.
pub const READERS_PATIENCE: Duration = Duration::from_secs(5);

enum Place {
    Embedded { folder: Folder, _lock: Lock },
    Postgres { folder: Folder, database: Box<Database> },
}

impl Stores {
    /// What the configuration names. `command` is told to others who want the same data folder.
    pub async fn open(config: &Config, command: &str) -> anyhow::Result<Stores> {
        config.check_profile()?;
        let folder = Folder::create(&config.data)?;
        match &config.log {
            LogPlace::Embedded => {
                let lock = folder.lock(command)?;
                if !std::fs::metadata(folder.log()).is_ok_and(|log| log.len() > 0) {
                    let folder = folder.path().display();
                    tracing::warn!(%folder, "there is no ledger here yet: a new one is laid out");
                }
                Stores::embedded_within(&folder, lock, config.memory).await
            }
            LogPlace::Postgres(_) => Stores::postgres(config, folder).await,
        }
    }

    /// The files of a locked folder.
    pub async fn embedded(folder: &Folder, lock: Lock) -> anyhow::Result<Stores> {
        Stores::embedded_within(folder, lock, Memory::default()).await
    }

    /// The same within so much memory.
    pub async fn embedded_within(folder: &Folder, lock: Lock, memory: Memory) -> anyhow::Result<Stores> {
        folder.check_complete()?;
        let survey = Survey::of_folder(folder)?;
        survey.check()?;
        if !survey.log.absent {
            let last = last_events(&SqliteLog::open_read_only(&folder.log())?, &survey).await?;
            survey.check_account_keys(accounts_without_key(&folder.keys(), &accounts(&last))?)?;
            survey.check_rail(count_unpaid(&folder.rail(), &payments(&last))?)?;
        }
        // Keys first: a log never has an event whose key is not there.
        let provider = FileKeyProvider::open_or_create(&folder.root_key())?;
        let keyring = Arc::new(within(stores::keys::open(&folder.keys(), Arc::new(provider)).await?, memory));
        survey.check_keys(&keyring)?;
        folder.make(&folder.log())?;
        let log = Arc::new(SqliteLog::open(&folder.log(), &sqlite_options(memory))?);
        log.note_keys(&key_prints(&keyring))?;
        let ledger = log.ledger_id()?;
        let place = Place::Embedded { folder: folder.clone(), _lock: lock };
        let log = log.into();
        let stores = Stores { log, keyring, ledger, place, memory, closed: AtomicBool::new(false) };
        belongs_to(&folder.keys(), &stores.ledger, survey.log.head)?;
        Ok(stores)
    }

    async fn postgres(config: &Config, folder: Folder) -> anyhow::Result<Stores> {
        let database = database(config)?;
        let options = PostgresOptions { lease_ttl: config.lease_ttl };
        // First: it refuses a schema that this program does not know.
        let log = Arc::new(PostgresLog::open(database.clone(), options).await?);
        let client = database.pooled().await?;
        check_durability(&client, config.database.pages_are_whole).await?;
        drop(client);
        let survey = Survey::of_database(&database, &folder).await?;
        survey.check()?;
        let accounts = accounts(&last_events(&*log, &survey).await?);
        survey.check_account_keys(accounts_without_key_in(&database, &accounts).await?)?;
        let keyring = Arc::new(within(keyring(&folder, &database).await?, config.memory));
        survey.check_keys(&keyring)?;
        note_keys(&database, &key_prints(&keyring)).await?;
        let ledger = survey.log.ledger.clone().context("the schema ledger has no id")?;
        let place = Place::Postgres { folder, database: Box::new(database) };
        let stores = Stores {
            log: log.into(),
            keyring,
            ledger,
            place,
            memory: config.memory,
            closed: AtomicBool::new(false),
        };
        stores.note(survey.log.head).await?;
        Ok(stores)
    }

    /// Compares once more, just before this process becomes the writer: a database may have been
    /// restored meanwhile.
    pub async fn check(&self) -> anyhow::Result<()> {
        if let Place::Postgres { folder, database } = &self.place {
            let survey = Survey::of_database(database, folder).await?;
            survey.check()?;
            survey.check_keys(&self.keyring)?;
        }
        Ok(())
    }

    /// Notes in what cannot be made again that the log has come this far: an older log is
    /// recognised by it.
    pub async fn note(&self, head: Position) -> anyhow::Result<()> {
        match &self.place {
            Place::Embedded { folder, .. } => self.note_in(folder.keys(), head).await?,
            Place::Postgres { database, .. } => belongs_in_database(database, &self.ledger, head).await?,
        }
        self.note_beside(head).await
    }

    /// The same in the steps' file and the rail's books, while this process has them open.
    pub async fn note_beside(&self, head: Position) -> anyhow::Result<()> {
        // On the connections that write them: a second one would take descriptors, and both would
        // write.
        for file in [self.folder().steps(), self.rail()] {
            if files::is_written_here(&file) {
                self.note_in(file, head).await?;
            }
        }
        Ok(())
    }

    /// It waits for whoever writes the file.
    async fn note_in(&self, file: PathBuf, head: Position) -> anyhow::Result<()> {
        let ledger = self.ledger.clone();
        Ok(tokio::task::spawn_blocking(move || belongs_to(&file, &ledger, head)).await??)
    }

    /// How far the steps have come.
    pub fn step_store(&self) -> anyhow::Result<StepTables> {
        Ok(match &self.place {
            Place::Embedded { folder, .. } => {
                folder.make(&folder.steps())?;
                let step_store = StepTables::open(&folder.steps())?;
                belongs_to(&folder.steps(), &self.ledger, Position(0))?;
                step_store
            }
            Place::Postgres { database, .. } => StepTables::in_postgres((**database).clone()),
        })
    }

    /// The read models.
    pub async fn read_models(&self) -> anyhow::Result<ReadStore> {
        match &self.place {
            Place::Embedded { folder, .. } => {
                folder.make(&folder.read())?;
                let read = ReadStore::open_with(&folder.read(), self.memory.pages / READ_MODELS_PART)?;
                belongs_to(&folder.read(), &self.ledger, Position(0))?;
                Ok(read)
            }
            Place::Postgres { database, .. } => Ok(ReadStore::open_postgres((**database).clone()).await?),
        }
    }

    /// The end of their use by this process: all that was written is in the files themselves, and
    /// no more is written. Blocks while somebody reads them, for some seconds; errs where a file is
    /// not whole after that.
    pub fn close(&self) -> anyhow::Result<()> {
        self.closed.store(true, Ordering::Relaxed);
        match &self.place {
            Place::Embedded { folder, .. } => folder.finish_all(READERS_PATIENCE),
            Place::Postgres { folder, .. } => finish(&folder.rail(), READERS_PATIENCE),
        }
    }

    /// The sandbox rail's own books.
    pub fn rail(&self) -> PathBuf {
        self.folder().rail()
    }

    /// Makes the file of the rail's books before the rail does, for its owner alone.
    pub fn make_rail(&self) -> anyhow::Result<PathBuf> {
        self.folder().make(&self.rail())?;
        Ok(self.rail())
    }

    fn folder(&self) -> &Folder {
        let (Place::Embedded { folder, .. } | Place::Postgres { folder, .. }) = &self.place;
        folder
    }

    /// Whether a first transaction opens an account unless the configuration says otherwise: in a
    /// folder of one's own, yes.
    pub fn enrolment_is_open(&self) -> bool {
        matches!(self.place, Place::Embedded { .. })
    }
}

/// The log's last events, and the first since it was noted beside the keys: stores that are older
/// lack what they made.
async fn last_events(log: &dyn EventLog, survey: &Survey) -> Result<Vec<StoredEvent>, LogError> {
    let head = survey.log.head;
    let mut last = Vec::new();
    for after in [survey.keys_position(), Position(head.0.saturating_sub(EVENTS_LOOKED_AT as u64))] {
        last.extend(log.read_after(after.min(head), EVENTS_LOOKED_AT).await?);
    }
    Ok(last)
}

/// Whom these events are about.
fn accounts(events: &[StoredEvent]) -> Vec<AccountId> {
    let of_accounts = events.iter().filter(|event| event.stream.stream_type == StreamType::Account);
    let accounts: HashSet<_> =
        of_accounts.filter_map(|event| AccountId::parse(&event.stream.id).ok()).collect();
    accounts.into_iter().collect()
}

/// What these events say was paid. What cannot be read is no matter of the rail.
fn payments(events: &[StoredEvent]) -> Vec<PayoutKey> {
    let paid = |event: &StoredEvent| match decode(event) {
        Ok(LedgerEvent::Account(AccountEvent::RewardCredited { entry_id, attempt, .. })) => {
            Some(PayoutKey { entry_id, attempt })
        }
        _ => None,
    };
    let credited = events.iter().filter(|event| event.event_type == "RewardCredited");
    // The two pages overlap.
    credited.filter_map(paid).collect::<BTreeSet<_>>().into_iter().collect()
}

impl Drop for Stores {
    fn drop(&mut self) {
        // A command that ends by an error leaves its files no worse.
        if !self.closed.load(Ordering::Relaxed)
            && let Err(error) = self.close()
        {
            tracing::warn!(reason = format!("{error:#}"), "the files are not whole");
        }
    }
}

/// A key ready for use takes about so much.
const ACCOUNT_KEY_BYTES: usize = 1_024;
/// The read models' runner has this part of the log's pages: most of what it touches lies at the
/// ends of its tables.
const READ_MODELS_PART: usize = 4;
/// And each reader of the log this one.
const READER_PART: usize = 32;

fn within(keyring: Keyring, memory: Memory) -> Keyring {
    keyring.with_cache(memory.account_keys / ACCOUNT_KEY_BYTES)
}

fn sqlite_options(memory: Memory) -> SqliteOptions {
    let part = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
    SqliteOptions {
        cache_mib: part(memory.pages >> 20),
        reader_cache_kib: part((memory.pages / READER_PART) >> 10),
        map_files: memory.map_files,
        ..SqliteOptions::default()
    }
}

/// The read models that the configuration names, beside whoever else uses them.
pub async fn read_models(config: &Config) -> anyhow::Result<ReadStore> {
    Ok(match config.log {
        LogPlace::Embedded => ReadStore::open(&Folder::existing(&config.data)?.read())?,
        LogPlace::Postgres(_) => ReadStore::open_postgres(database(config)?).await?,
    })
}

/// The same for reading only; `None` where there are none yet.
pub async fn existing_read_models(config: &Config) -> anyhow::Result<Option<ReadStore>> {
    if let LogPlace::Postgres(_) = config.log {
        return Ok(Some(read_models(config).await?));
    }
    let file = Folder::existing(&config.data)?.read();
    // An empty one is filled by the next service.
    let there = std::fs::metadata(&file).is_ok_and(|file| file.len() > 0);
    Ok(if there { Some(ReadStore::open_read_only(&file)?) } else { None })
}

/// The steps' cursors and items that the configuration names, beside whoever runs the steps.
pub fn existing_step_store(config: &Config) -> anyhow::Result<StepTables> {
    Ok(match config.log {
        LogPlace::Embedded => StepTables::open_read_only(&Folder::existing(&config.data)?.steps())?,
        LogPlace::Postgres(_) => StepTables::in_postgres(database(config)?),
    })
}

/// The log for reading only: beside whoever writes it.
pub async fn read_only_log(config: &Config) -> anyhow::Result<Log> {
    Ok(match &config.log {
        LogPlace::Embedded => {
            Arc::new(SqliteLog::open_read_only(&Folder::existing(&config.data)?.log())?).into()
        }
        LogPlace::Postgres(_) => {
            let options = PostgresOptions { lease_ttl: config.lease_ttl };
            Arc::new(PostgresLog::open(database(config)?, options).await?).into()
        }
    })
}

/// The keys, to open what is sealed: beside whoever writes them. Makes none.
pub async fn existing_keyring(config: &Config) -> anyhow::Result<Keyring> {
    config.check_profile()?;
    match &config.log {
        LogPlace::Embedded => {
            let folder = Folder::existing(&config.data)?;
            let provider = Arc::new(FileKeyProvider::open(&folder.root_key())?);
            Ok(stores::keys::open_read_only(&folder.keys(), provider).await?)
        }
        LogPlace::Postgres(_) => {
            let database = database(config)?;
            if !stores::keys::are_in(&database).await? {
                bail!("{} has no keys", database.address());
            }
            let folder = Folder::create(&config.data)?;
            keyring(&folder, &database).await
        }
    }
}

/// The database that the configuration names.
pub fn database(config: &Config) -> anyhow::Result<Database> {
    match &config.log {
        LogPlace::Postgres(address) => Ok(Database::new((**address).clone(), &config.database)),
        LogPlace::Embedded => bail!("the log is in a data folder, not in a database"),
    }
}

/// The keys of a database under the folder's root key.
async fn keyring(folder: &Folder, database: &Database) -> anyhow::Result<Keyring> {
    let provider = Arc::new(root_key(folder, database).await?);
    match stores::keys::open_postgres(database.clone(), Arc::clone(&provider) as _).await {
        Err(SealError::WrongRootKey { place }) if provider.was_made() => {
            // Nothing was ever wrapped under it, and left here it would be taken for the right one.
            let path = folder.root_key();
            std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            bail!(
                "another process made the keys in {place} at the same time, under a root key of its own: copy its \
                 root.key to {}",
                path.display()
            )
        }
        opened => Ok(opened?),
    }
}

/// The folder's root key; made only for a database that has no keys yet.
async fn root_key(folder: &Folder, database: &Database) -> anyhow::Result<FileKeyProvider> {
    let path = folder.root_key();
    if stores::keys::are_in(database).await? {
        let missing = || {
            format!("the keys in {} need their root key: copy it to {}", database.address(), path.display())
        };
        FileKeyProvider::open(&path).with_context(missing)
    } else {
        Ok(FileKeyProvider::open_or_create(&path)?)
    }
}
