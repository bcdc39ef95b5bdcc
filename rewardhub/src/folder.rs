//! The data folder: which file holds what, and the lock that keeps two processes apart.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use stores::files;

/// A data folder. Log, read models and keys are files of their own, so that they never wait for
/// each other and keys are backed up apart.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`, created where it does not exist.
    pub fn create(path: &Path) -> anyhow::Result<Folder> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot create the data folder {}", path.display()))?;
        let folder = Folder(path.to_owned());
        folder.tighten();
        Ok(folder)
    }

    /// Takes folder and files from everybody but their owner.
    fn tighten(&self) {
        let files = std::fs::read_dir(&self.0).into_iter().flatten().filter_map(Result::ok).map(|f| f.path());
        for path in std::iter::once(self.0.clone()).chain(files.filter(|path| is_ours(path))) {
            let Ok(mode) = std::fs::metadata(&path).map(|found| found.permissions().mode()) else { continue };
            // One that everybody writes to is none of our own.
            let shared = mode & 0o1000 != 0;
            if mode & 0o077 != 0
                && !shared
                && let Err(error) = std::fs::set_permissions(&path, Permissions::from_mode(mode & 0o700))
            {
                let path = path.display();
                tracing::warn!(%path, error = &error as &dyn std::error::Error, "others may read it");
            }
        }
    }

    /// Before SQLite makes a file: it is its owner's alone, and so are those that SQLite puts
    /// beside it.
    pub fn make(&self, file: &Path) -> anyhow::Result<()> {
        let made = OpenOptions::new().append(true).create(true).mode(0o600).open(file);
        made.map(drop).with_context(|| format!("cannot create {}", file.display()))
    }

    /// The folder at `path`, which must hold a log.
    pub fn existing(path: &Path) -> anyhow::Result<Folder> {
        let folder = Folder(path.to_owned());
        if !folder.log().is_file() {
            bail!("{} is no data folder: it has no {}", path.display(), LOG);
        }
        Ok(folder)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The event log.
    pub fn log(&self) -> PathBuf {
        self.0.join(LOG)
    }

    /// The read models.
    pub fn read(&self) -> PathBuf {
        self.0.join("read.db")
    }

    /// The account keys, wrapped.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys.db")
    }

    /// The root key that wraps them.
    pub fn root_key(&self) -> PathBuf {
        self.0.join("root.key")
    }

    /// The steps' cursors and items.
    pub fn steps(&self) -> PathBuf {
        self.0.join("steps.db")
    }

    /// The sandbox rail's own books.
    pub fn rail(&self) -> PathBuf {
        self.0.join("rail.db")
    }

    /// Where the sandbox issuer keeps its key.
    pub fn issuer(&self) -> PathBuf {
        self.0.clone()
    }

    /// How often the sandbox has been started on this folder.
    pub fn runs(&self) -> PathBuf {
        self.0.join("runs")
    }

    /// Refuses a folder that has lost a part which would silently be made anew: the log of its read
    /// models, the keys of its log, the root key of its keys. They are made in the opposite order,
    /// so a kill during the very first start leaves nothing that is refused.
    pub fn check_complete(&self) -> anyhow::Result<()> {
        let pairs = [(self.read(), self.log()), (self.log(), self.keys()), (self.keys(), self.root_key())];
        for (present, missing) in pairs {
            if present.is_file() && !missing.is_file() {
                let (present, missing) = (present.display(), missing.display());
                bail!(
                    "{missing} is missing although {present} is there: restore it; nothing has been changed"
                );
            }
        }
        Ok(())
    }

    /// At the end of their use: moves all that was written into the files themselves.
    pub fn finish_all(&self, patience: Duration) -> anyhow::Result<()> {
        // What can be made again from the log may stay as it is.
        for file in [self.read(), self.steps()] {
            if let Err(error) = finish(&file, patience) {
                tracing::warn!(reason = format!("{error:#}"), "a file is not whole");
            }
        }
        let files = [self.keys(), self.rail(), self.log()].map(|file| finish(&file, patience));
        files.into_iter().collect()
    }

    /// Takes the folder for this process until the lock is dropped, also by a kill.
    pub fn lock(&self, command: &str) -> anyhow::Result<Lock> {
        let path = self.0.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        // An audit that asks whether anybody writes holds it for a moment.
        let mut locked = file.try_lock();
        for _ in 0..LOCK_TRIES {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(LOCK_PAUSE);
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.trim().is_empty() { "another process" } else { holder.trim() };
                bail!(
                    "the data folder {} is in use by {holder}; while a service runs, go through it with --url and a \
                     token",
                    self.0.display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "rewardhub {command} (process {})", std::process::id())?;
        Ok(Lock { _file: file })
    }
}

/// Moves all that was written into the file itself, where there is one.
pub fn finish(file: &Path, patience: Duration) -> anyhow::Result<()> {
    files::finish(file, patience).with_context(|| {
        let file = file.display();
        format!("what was written last is not in {file} itself: keep {file}-wal beside it, or start and stop once more")
    })
}

const LOG: &str = "log.db";
const LOCK_TRIES: usize = 4;
const LOCK_PAUSE: Duration = Duration::from_millis(15);

/// Whether a file is one that a ledger makes: others' files in the folder are none of our business.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let database =
        ["log.db", "read.db", "keys.db", "steps.db", "rail.db"].iter().any(|db| name.starts_with(db));
    path.is_file() && (database || ["root.key", "sandbox-issuer.p8", "lock", "runs"].contains(&&*name))
}

/// The folder is ours while this lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_lost_its_log_or_keys_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::create(temporary.path()).unwrap();
        folder.check_complete().unwrap();
        for file in [folder.root_key(), folder.keys(), folder.log(), folder.read()] {
            std::fs::write(file, b"").unwrap();
            folder.check_complete().unwrap();
        }
        for lost in [folder.log(), folder.keys(), folder.root_key()] {
            std::fs::remove_file(&lost).unwrap();
            let refused = folder.check_complete().unwrap_err().to_string();
            assert!(refused.starts_with(&format!("{} is missing", lost.display())), "{refused}");
            std::fs::write(&lost, b"").unwrap();
        }
    }

    #[test]
    fn a_folder_in_use_is_refused_by_the_name_of_its_user() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::create(temporary.path()).unwrap();
        let lock = folder.lock("sandbox").unwrap();
        let refused = folder.lock("ingest").unwrap_err().to_string();
        assert!(refused.contains("in use by rewardhub sandbox (process "), "{refused}");
        drop(lock);
        folder.lock("ingest").unwrap();
    }
}
