//! A backup of an embedded ledger: a folder with a consistent copy of its files, the keys apart in
//! `keys/`, and a manifest that says what it is.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use ledger_core::ids::Digest;
use ledger_core::log::{EventLog as _, Position, StoredEvent};
use ledger_core::time::{Clock as _, SystemClock, Timestamp};
use serde::{Deserialize, Serialize};
use stores::belonging::{self, StoreKind, survey_file, survey_log};
use stores::files::{copy_database, sum_of};
use stores::sqlite::log::SqliteLog;

use crate::commands::Refused;
use crate::folder::Folder;

const FORMAT: &str = "rewardhub-backup-1";
const MANIFEST: &str = "manifest.json";
/// Without them nothing personal can be opened, and with them all of it: kept apart from the rest.
const KEYS: &str = "keys";

/// What a backup is.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    format: String,
    /// The ledger's id.
    pub ledger: String,
    made_at: Timestamp,
    /// The log's last event.
    pub position: String,
    /// When that was recorded.
    recorded_at: Option<Timestamp>,
    /// Its hash.
    pub head_hash: Option<Digest>,
    /// Accounts that have a key, or had one that was destroyed.
    account_keys: u64,
    /// By their place in the backup.
    files: BTreeMap<String, Sum>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sum {
    bytes: u64,
    sha256: Digest,
}

/// Copies a folder, also beside the process that writes it. Whole or not at all.
pub async fn back_up(folder: &Folder, to: &Path) -> anyhow::Result<Manifest> {
    if fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) || to.is_file() {
        bail!("{} is not empty: a backup never overwrites anything", to.display());
    }
    folder.check_complete()?;
    let half = Half::create(to)?;
    DirBuilder::new().mode(0o700).create(half.0.join(KEYS))?;
    let keys = half.0.join(KEYS);
    // In this order nothing in the copy is ahead of its log, and every account in it has its key.
    // The read models are made anew from the log.
    let mut copies = Vec::new();
    for (from, to) in [
        (folder.steps(), half.0.join("steps.db")),
        (folder.log(), half.0.join("log.db")),
        (folder.rail(), half.0.join("rail.db")),
        (folder.keys(), keys.join("keys.db")),
    ] {
        if from.is_file() {
            let copying = (from.clone(), to.clone());
            tokio::task::spawn_blocking(move || copy_database(&copying.0, &copying.1))
                .await?
                .with_context(|| format!("cannot copy {}", from.display()))?;
            copies.push(to);
        }
    }
    let issuer = folder.issuer().join("sandbox-issuer.p8");
    for (from, to) in [
        (folder.root_key(), keys.join("root.key")),
        (issuer, keys.join("sandbox-issuer.p8")),
        (folder.runs(), half.0.join("runs")),
    ] {
        if from.is_file() {
            write(&to, &fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?)?;
            copies.push(to);
        }
    }
    let manifest = Manifest::of(&half.0, &copies).await?;
    let mut text = serde_json::to_vec_pretty(&manifest)?;
    text.push(b'\n');
    write(&half.0.join(MANIFEST), &text)?;
    half.complete(to)?;
    Ok(manifest)
}

impl Manifest {
    async fn of(half: &Path, copies: &[PathBuf]) -> anyhow::Result<Manifest> {
        let log = survey_log(&half.join("log.db"))?;
        let ledger = log.ledger.context("the log has no id: start it once with this release")?;
        // What noted how far the log had come after it was copied.
        for copy in copies.iter().filter(|copy| copy.extension().is_some_and(|e| e == "db")) {
            belonging::no_further_than(copy, log.head)?;
        }
        let last = last_event(&half.join("log.db"), log.head).await?;
        let mut files = BTreeMap::new();
        for copy in copies {
            let name = copy.strip_prefix(half).expect("copies lie in it").to_string_lossy().into_owned();
            files.insert(name, Sum::of(copy)?);
        }
        Ok(Manifest {
            format: FORMAT.into(),
            ledger: ledger.to_string(),
            made_at: SystemClock.now(),
            position: log.head.to_string(),
            recorded_at: last.as_ref().map(|last| last.recorded_at),
            head_hash: last.map(|last| last.hash),
            account_keys: belonging::count_account_keys(&half.join(KEYS).join("keys.db"))?,
            files,
        })
    }

    /// Reads the manifest of a backup and compares all files with it. What is wrong is named, all
    /// of it.
    pub async fn verified(from: &Path) -> anyhow::Result<(Manifest, Vec<String>)> {
        let path = from.join(MANIFEST);
        let no_backup = |why: String| Refused(format!("{} {why}", path.display()));
        let text = fs::read(&path).map_err(|error| no_backup(format!("cannot be read: {error}")))?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| no_backup(format!("is no manifest: {error}")))?;
        if manifest.format != FORMAT {
            return Err(
                no_backup("has a format that this release does not know: use a newer one".into()).into()
            );
        }
        let mut wrong = Vec::new();
        for (name, sum) in &manifest.files {
            // A manifest of somebody else's making does not lead us out of its folder.
            if !KNOWN.contains(&name.as_str()) {
                wrong.push(format!("{name} is no file of a ledger"));
                continue;
            }
            match Sum::of(&from.join(name)) {
                Ok(found) if found == *sum => {}
                Ok(found) if found.bytes != sum.bytes => {
                    wrong.push(format!("{name} has {} bytes instead of {}", found.bytes, sum.bytes));
                }
                Ok(_) => wrong.push(format!("{name} was changed")),
                Err(_) => wrong.push(format!("{name} is missing or cannot be read")),
            }
        }
        for needed in ["log.db", "keys/keys.db", "keys/root.key"] {
            if !manifest.files.contains_key(needed) {
                wrong.push(format!("{needed} is not in the backup"));
            }
        }
        if wrong.is_empty() {
            wrong.extend(manifest.contradictions(from).await?);
        }
        Ok((manifest, wrong))
    }

    /// What the files say, beside what the manifest says of them.
    async fn contradictions(&self, from: &Path) -> anyhow::Result<Vec<String>> {
        let mut log = survey_log(&from.join("log.db"))?;
        log.rail_asked = belonging::has_asked_rail(&from.join("log.db"))?;
        let mut wrong = Vec::new();
        if log.ledger.as_ref().map(belonging::LedgerId::as_str) != Some(self.ledger.as_str()) {
            wrong.push("log.db is of another ledger than the manifest".to_owned());
        }
        if log.head.to_string() != self.position {
            wrong.push(format!("log.db ends at {}, the manifest says {}", log.head, self.position));
        }
        let last = last_event(&from.join("log.db"), log.head).await?;
        if last.as_ref().map(|last| last.hash) != self.head_hash
            || last.as_ref().map(|last| last.recorded_at) != self.recorded_at
        {
            wrong.push("log.db ends with another event than the manifest says".to_owned());
        }
        let account_keys = belonging::count_account_keys(&from.join(KEYS).join("keys.db"))?;
        if account_keys != self.account_keys {
            wrong.push(format!(
                "keys/keys.db has the keys of {account_keys} accounts, the manifest says {}",
                self.account_keys
            ));
        }
        // A file that is not in the backup is a store that holds nothing.
        let stores =
            [("steps.db", StoreKind::Steps), ("rail.db", StoreKind::Rail), ("keys/keys.db", StoreKind::Keys)];
        let look = |(name, kind)| survey_file(&from.join(name), kind);
        let stores = stores.into_iter().map(look).collect::<Result<Vec<_>, _>>()?;
        wrong.extend(belonging::misfits("log.db", &log, &stores));
        Ok(wrong)
    }

    /// Lays the files out in an empty folder. The log last: until it is there, nothing starts on
    /// the folder.
    pub fn lay_out(&self, from: &Path, folder: &Folder) -> anyhow::Result<()> {
        let mut names: Vec<&String> = self.files.keys().collect();
        names.sort_by_key(|name| (*name == "log.db", *name));
        for name in names {
            let file = Path::new(name).file_name().expect("it has a name");
            let half = folder.path().join(format!(".{}.half", file.to_string_lossy()));
            let to = folder.path().join(file);
            let mut source = File::open(from.join(name)).with_context(|| format!("cannot read {name}"))?;
            let mut copy = create(&half)?;
            std::io::copy(&mut source, &mut copy)
                .with_context(|| format!("cannot write {}", half.display()))?;
            copy.sync_all()?;
            fs::rename(&half, &to).with_context(|| format!("cannot write {}", to.display()))?;
        }
        Ok(File::open(folder.path())?.sync_all()?)
    }
}

/// The last event of a log that nobody writes.
async fn last_event(log: &Path, head: Position) -> anyhow::Result<Option<StoredEvent>> {
    let read = SqliteLog::open_read_only(log)?;
    Ok(read.read_after(Position(head.0.saturating_sub(1)), 1).await?.pop())
}

/// What a backup may hold.
const KNOWN: [&str; 7] =
    ["log.db", "steps.db", "rail.db", "runs", "keys/keys.db", "keys/root.key", "keys/sandbox-issuer.p8"];

impl Sum {
    fn of(file: &Path) -> anyhow::Result<Sum> {
        let (bytes, sha256) = sum_of(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Sum { bytes, sha256 })
    }
}

fn create(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.with_context(|| format!("cannot create {}", path.display()))
}

/// A file of its owner alone, on the disk when this returns.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = create(path)?;
    file.write_all(bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(file.sync_all()?)
}

/// A backup being made, under a name that nobody takes for one. Goes away unless it is completed.
struct Half(PathBuf);

impl Half {
    fn create(to: &Path) -> anyhow::Result<Half> {
        let name = to.file_name().context("the backup's folder needs a name")?.to_string_lossy();
        let half = to.with_file_name(format!(".{name}.half-{}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&half)
            .with_context(|| format!("cannot create {}", half.display()))?;
        Ok(Half(half))
    }

    fn complete(self, to: &Path) -> anyhow::Result<()> {
        for folder in [self.0.join(KEYS), self.0.clone()] {
            File::open(folder)?.sync_all()?;
        }
        // Renaming onto a folder with something in it fails: nothing that appeared meanwhile is
        // lost.
        fs::rename(&self.0, to).with_context(|| format!("cannot complete {}", to.display()))?;
        let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok(File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?)
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        // After `complete` it is no more.
        let _ = fs::remove_dir_all(&self.0);
    }
}
