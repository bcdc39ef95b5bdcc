//! The data folder: which file holds what, and the lock that keeps two processes apart.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// A data folder. Log, read models and keys are files of their own, so that they never wait for each other
/// and keys are backed up apart.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`, created where it does not exist.
    pub fn create(path: &Path) -> anyhow::Result<Folder> {
        std::fs::create_dir_all(path)
            .with_context(|| format!("cannot create the data folder {}", path.display()))?;
        Ok(Folder(path.to_owned()))
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

    /// The steps' checkpoints.
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

    /// Takes the folder for this process until the lock is dropped, also by a kill.
    pub fn lock(&self, command: &str) -> anyhow::Result<Lock> {
        let path = self.0.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.trim().is_empty() { "another process" } else { holder.trim() };
                bail!("the data folder {} is in use by {holder}", self.0.display());
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

const LOG: &str = "log.db";

/// The folder is ours while this lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

#[cfg(test)]
mod tests {
    use super::*;

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
