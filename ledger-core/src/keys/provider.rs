//! Who guards the root key: a file for one machine; a key management service takes its place behind
//! [`KeyProvider`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use aws_lc_rs::error::Unspecified;
use zeroize::Zeroizing;

use super::cipher::{Cipher, random_key};

/// Wraps keys of 32 bytes under a root key that never leaves it.
///
/// `unwrap_key` gives a key back only under the associated data it was wrapped with, and answers
/// [`KeyProviderError::NotOurs`] to everything else. Neither blocks the calling thread.
#[async_trait]
pub trait KeyProvider: Send + Sync {
    /// The key, encrypted and authenticated together with the associated data.
    async fn wrap_key(&self, key: &[u8; 32], associated_data: &[u8]) -> Result<Vec<u8>, KeyProviderError>;

    /// The key in `wrapped`.
    async fn unwrap_key(
        &self,
        wrapped: &[u8],
        associated_data: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, KeyProviderError>;
}

/// Why a root key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyProviderError {
    /// The file or its folder failed.
    #[error("{doing} the root key file {}", path.display())]
    File {
        /// Such as `reading`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others than its owner may read or change the file.
    #[error("the root key file {} has mode {mode:04o}; it must be its owner's alone (chmod 600)", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds no key of ours.
    #[error("the root key file {} has {length} bytes; a root key has 32", path.display())]
    WrongLength {
        /// The file.
        path: PathBuf,
        /// Its length, counted up to 33.
        length: usize,
    },
    /// Wrapped under another root key, for another purpose, or damaged.
    #[error("the wrapped key does not open under this root key")]
    NotOurs,
    /// The operating system gave no randomness.
    #[error("the system's random generator failed")]
    NoRandomness,
    /// A service does not answer; later it may.
    #[error("the key service is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl KeyProviderError {
    /// Whether the same call may succeed later.
    pub fn transient(&self) -> bool {
        matches!(self, KeyProviderError::Unavailable(_))
    }
}

impl From<Unspecified> for KeyProviderError {
    fn from(_: Unspecified) -> Self {
        KeyProviderError::NoRandomness
    }
}

/// A root key of 32 bytes in a file that only its owner can read.
pub struct FileKeyProvider {
    cipher: Cipher,
    made: bool,
}

impl std::fmt::Debug for FileKeyProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileKeyProvider")
    }
}

impl FileKeyProvider {
    /// Reads the root key, or makes one where there is no file.
    pub fn open_or_create(path: &Path) -> Result<FileKeyProvider, KeyProviderError> {
        match FileKeyProvider::open(path) {
            Err(KeyProviderError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let made = create(path)?;
                Ok(FileKeyProvider { made, ..FileKeyProvider::open(path)? })
            }
            result => result,
        }
    }

    /// Reads a root key that must be there.
    pub fn open(path: &Path) -> Result<FileKeyProvider, KeyProviderError> {
        let fault = |doing| move |source| KeyProviderError::File { doing, path: path.to_owned(), source };
        let file = File::open(path).map_err(fault("opening"))?;
        let mode = file.metadata().map_err(fault("examining"))?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyProviderError::Exposed { path: path.to_owned(), mode });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(64));
        file.take(33).read_to_end(&mut bytes).map_err(fault("reading"))?;
        let key = Zeroizing::new(
            <[u8; 32]>::try_from(bytes.as_slice())
                .map_err(|_| KeyProviderError::WrongLength { path: path.to_owned(), length: bytes.len() })?,
        );
        Ok(FileKeyProvider { cipher: Cipher::new(&key), made: false })
    }

    /// Whether this made the file: nobody else can have wrapped anything under it before.
    pub fn was_made(&self) -> bool {
        self.made
    }
}

#[async_trait]
impl KeyProvider for FileKeyProvider {
    async fn wrap_key(&self, key: &[u8; 32], associated_data: &[u8]) -> Result<Vec<u8>, KeyProviderError> {
        let mut wrapped = Vec::new();
        self.cipher.seal(associated_data, key, &mut wrapped)?;
        Ok(wrapped)
    }

    async fn unwrap_key(
        &self,
        wrapped: &[u8],
        associated_data: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, KeyProviderError> {
        let key = self.cipher.open(associated_data, wrapped).map_err(|_| KeyProviderError::NotOurs)?;
        key.as_slice().try_into().map(Zeroizing::new).map_err(|_| KeyProviderError::NotOurs)
    }
}

/// Writes the key beside its place and links it there: the link is atomic and refuses to replace,
/// so of two processes one key wins and no reader ever sees half of it. Whether it was this one.
fn create(path: &Path) -> Result<bool, KeyProviderError> {
    let key = random_key()?;
    let mut suffix = [0; 8];
    aws_lc_rs::rand::fill(&mut suffix)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".new-{}", hex::encode(suffix)));
    let beside = PathBuf::from(beside);
    let placed = place(path, &beside, &key);
    let removed = fs::remove_file(&beside);
    placed.and_then(|made| removed.map(|()| made)).map_err(|source| KeyProviderError::File {
        doing: "creating",
        path: path.to_owned(),
        source,
    })
}

fn place(path: &Path, beside: &Path, key: &[u8; 32]) -> io::Result<bool> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    file.write_all(key)?;
    file.sync_all()?;
    let made = match fs::hard_link(beside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        result => result.map(|()| true)?,
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all().map(|()| made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(bytes: &[u8], mode: u32) -> Result<FileKeyProvider, KeyProviderError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        FileKeyProvider::open_or_create(&path)
    }

    #[tokio::test]
    async fn a_new_root_key_is_its_owners_alone_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let wrapped = FileKeyProvider::open_or_create(&path).unwrap().wrap_key(&[7; 32], b"a").await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let again = FileKeyProvider::open_or_create(&path).unwrap();
        assert_eq!(*again.unwrap_key(&wrapped, b"a").await.unwrap(), [7; 32]);
        assert!(matches!(again.unwrap_key(&wrapped, b"b").await, Err(KeyProviderError::NotOurs)));
    }

    #[test]
    fn a_root_key_that_others_can_read_is_refused() {
        let error = with_file(&[1; 32], 0o640).unwrap_err();
        assert!(matches!(error, KeyProviderError::Exposed { mode: 0o640, .. }));
        let text = error.to_string();
        assert!(text.contains("root.key") && text.contains("0640"), "{text}");
    }

    #[test]
    fn a_root_key_of_another_length_is_refused() {
        for length in [0, 31, 33] {
            let error = with_file(&vec![1; length], 0o600).unwrap_err();
            assert!(matches!(error, KeyProviderError::WrongLength { length: l, .. } if l == length));
        }
        assert!(with_file(&[1; 32], 0o600).is_ok());
    }

    #[tokio::test]
    async fn of_many_who_create_at_once_all_get_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let providers: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| FileKeyProvider::open_or_create(&path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(providers.iter().filter(|provider| provider.was_made()).count(), 1, "by one of them");
        let wrapped = providers[0].wrap_key(&[9; 32], b"").await.unwrap();
        for provider in &providers {
            assert!(provider.unwrap_key(&wrapped, b"").await.is_ok());
        }
    }
}
