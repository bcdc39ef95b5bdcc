//! Personal details: sealed before they enter the loop, opened only by a resolver with the right
//! scope.
//!
//! Every account has a key of its own in the [`Keyring`]; destroying it forgets everywhere at once.
//! The keys are wrapped by a [`KeyProvider`].
//!
//! A [`Sealed`] text is base64 (standard, no padding) of `version ‖ nonce ‖ ciphertext ‖ tag`,
//! version 1 being AES-256-GCM-SIV. Associated data is `version ‖ LP(whose) ‖ LP(…) ‖ LP(…)`, so a
//! value cannot be moved to another account, transaction or epoch. Amounts that an account
//! remembers are a [`SealedAmount`] each.

mod account;
mod cipher;
mod details;
mod keyring;
mod of_accounts;
mod open;
mod provider;
mod store;
mod terms;

pub use account::{AccountKey, AmountKey, SealedAmount};
pub use details::Details;
pub use keyring::{Fingerprints, INDEX_KEY, Keyring};
pub use of_accounts::{KeyState, Keys};
pub use open::open_part;
pub use provider::{FileKeyProvider, KeyProvider, KeyProviderError};
pub use store::{KeyStore, NewKey};
pub use terms::{FINGERPRINT_VERSION, FINGERPRINT_VERSION_FIRST, LineTerms};

use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ids::{AccountId, push_lp};
use cipher::Cipher;

/// An encrypted value in base64, as events and read models keep it.
// The derived `Serialize` says its name, by which `open_part` knows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(Box<str>);

impl Sealed {
    /// Takes what an event or a table holds. Whether it opens is found out by opening it.
    pub fn from_text(text: impl Into<Box<str>>) -> Sealed {
        Sealed(text.into())
    }

    /// As events and read models store it.
    pub fn as_text(&self) -> &str {
        &self.0
    }

    /// Seals `text` for the place that `bound_to` names.
    fn seal(cipher: &Cipher, bound_to: [&str; 3], text: &[u8]) -> Result<Sealed, SealError> {
        let mut bytes = vec![VERSION];
        let sealed = cipher.seal(&associated_data(bound_to), text, &mut bytes);
        sealed.map_err(|_| SealError::Provider(KeyProviderError::NoRandomness))?;
        Ok(Sealed(STANDARD_NO_PAD.encode(bytes).into()))
    }

    fn open(&self, cipher: &Cipher, bound_to: [&str; 3]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let bytes = STANDARD_NO_PAD.decode(self.as_text()).map_err(|_| SealError::Damaged)?;
        match bytes.split_first() {
            Some((&VERSION, sealed)) => {
                cipher.open(&associated_data(bound_to), sealed).map_err(|_| SealError::Damaged)
            }
            Some((&version, _)) => Err(SealError::UnknownVersion(version)),
            None => Err(SealError::Damaged),
        }
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[sealed]")
    }
}

const VERSION: u8 = 1;

fn associated_data(bound_to: [&str; 3]) -> Vec<u8> {
    let mut data = Vec::with_capacity(128);
    data.push(VERSION);
    for part in bound_to {
        push_lp(&mut data, part.as_bytes());
    }
    data
}

/// Why something cannot be sealed or opened. Never says what is inside.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The store of keys failed.
    #[error("{doing} in {place}")]
    Store {
        /// Such as `reading account keys`.
        doing: &'static str,
        /// The file or database.
        place: String,
        /// Whether the same call may succeed later.
        transient: bool,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file of keys could not be made.
    #[error("creating the file of keys {}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Written by another release.
    #[error("the file of keys {} has schema {found}; this release reads {expected}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        expected: i64,
    },
    /// The root key is not the one these keys were wrapped under.
    #[error("the keys in {place} were wrapped under another root key")]
    WrongRootKey {
        /// The file or database.
        place: String,
    },
    /// A named key is missing from a file that cannot be written.
    #[error("the keys in {place} have none named {name}")]
    NoNamedKey {
        /// The file or database.
        place: String,
        /// Such as `draw`.
        name: &'static str,
    },
    /// The key provider failed.
    #[error("using the root key")]
    Provider(#[from] KeyProviderError),
    /// The account has no key yet.
    #[error("account {0} has no key")]
    NoKey(AccountId),
    /// The account's key has been destroyed.
    #[error("the key of account {0} has been destroyed")]
    Erased(AccountId),
    /// The account's key is there and does not open.
    #[error("the key of account {0} is damaged: it does not open under the root key")]
    DamagedKey(AccountId),
    /// The account has no key, and the log has sealed values of it.
    #[error("the key of account {0} is lost: the log knows the account, the key store does not")]
    LostKey(AccountId),
    /// Whether an account is new could not be found out.
    #[error("looking for accounts in the log")]
    Log(#[source] Box<crate::log::LogError>),
    /// Too many ask for keys at once.
    #[error("too many wait for keys")]
    Busy,
    /// A writing call on a keyring opened for reading.
    #[error("this keyring was opened for reading only")]
    ReadOnly,
    /// Changed, cut short, or sealed for another place.
    #[error("the sealed value does not open here: it was changed or belongs elsewhere")]
    Damaged,
    /// Sealed by a later release.
    #[error("the sealed value has version {0}, which this release does not know")]
    UnknownVersion(u8),
}

impl SealError {
    /// Whether the same call may succeed later.
    pub fn transient(&self) -> bool {
        match self {
            SealError::Store { transient, .. } => *transient,
            SealError::Provider(error) => error.transient(),
            SealError::Log(error) => error.transient(),
            SealError::Busy => true,
            SealError::Create { .. }
            | SealError::Schema { .. }
            | SealError::WrongRootKey { .. }
            | SealError::NoNamedKey { .. }
            | SealError::NoKey(_)
            | SealError::Erased(_)
            | SealError::DamagedKey(_)
            | SealError::LostKey(_)
            | SealError::ReadOnly
            | SealError::Damaged
            | SealError::UnknownVersion(_) => false,
        }
    }
}
