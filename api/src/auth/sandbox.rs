//! The sandbox's own issuer: an Ed25519 key in the data folder signs short-lived tokens.
//!
//! The key file is readable by its owner only and holds PKCS #8. Whoever can read it can make
//! tokens, so `serve` uses an issuer outside instead.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, OctetKeyPairParameters,
    OctetKeyPairType, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ledger_core::ids::{AccountId, IdError};
use ledger_core::time::{SECOND_MICROS, Timestamp};
use serde::Serialize;

use super::token::AUDIENCE;

/// The key's file in the data folder.
const KEY_FILE: &str = "sandbox-issuer.p8";

/// Why the issuer cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The key file cannot be read or written.
    #[error("the issuer's key {path:?} could not be read or written")]
    File {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Others may read the key file.
    #[error("the issuer's key {0:?} must be readable by its owner only (chmod 600)")]
    Readable(PathBuf),
    /// The file holds no Ed25519 key.
    #[error("the issuer's key {0:?} is no Ed25519 key in PKCS #8; delete it to get a new one")]
    Key(PathBuf),
    /// A subject that no token may name.
    #[error("the subject {0}")]
    Subject(#[source] IdError),
    /// The operating system gave no randomness, or the library could not sign.
    #[error("the issuer could not sign")]
    Crypto,
}

/// What a token is to say.
#[derive(Clone, Debug)]
pub struct TokenRequest<'a> {
    /// The customer's account, or a feed's name.
    pub sub: Option<&'a str>,
    /// The sources a feed may write for; `*` for all.
    pub sources: &'a [String],
    /// Scopes, separated by spaces.
    pub scope: &'a str,
    /// For how long it holds, in whole seconds.
    pub ttl: std::time::Duration,
}

/// Signs tokens with the key of one data folder.
pub struct SandboxIssuer {
    key: EncodingKey,
    public: [u8; 32],
    kid: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'static str,
    aud: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    scope: &'a str,
    sources: &'a [String],
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl SandboxIssuer {
    const ISSUER: &'static str = "rewardhub-sandbox";

    /// What `iss` says in its tokens.
    pub fn issuer(&self) -> &'static str {
        Self::ISSUER
    }

    /// Whether this data folder has an issuer.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(KEY_FILE).is_file()
    }

    /// The issuer of this data folder, which must exist; makes a key if it has none. Processes that
    /// start together end up with the same key.
    pub fn open_or_create(folder: &Path) -> Result<SandboxIssuer, IssuerError> {
        let path = folder.join(KEY_FILE);
        if !path.exists() {
            create_key(folder, &path)?;
        }
        check_readable_by_owner_only(&path)?;
        let pkcs8 = fs::read(&path).map_err(|source| IssuerError::File { path: path.clone(), source })?;
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| IssuerError::Key(path.clone()))?;
        let public: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| IssuerError::Key(path))?;
        let name = digest::digest(&digest::SHA256, &public);
        Ok(SandboxIssuer {
            key: EncodingKey::from_ed_der(&pkcs8),
            kid: URL_SAFE_NO_PAD.encode(&name.as_ref()[..12]),
            public,
        })
    }

    /// A token that holds from `now` on.
    pub fn issue(&self, request: &TokenRequest<'_>, now: Timestamp) -> Result<String, IssuerError> {
        if let Some(sub) = request.sub {
            AccountId::parse(sub).map_err(IssuerError::Subject)?;
        }
        let now = now.micros() / SECOND_MICROS;
        let claims = Claims {
            iss: Self::ISSUER,
            aud: AUDIENCE,
            sub: request.sub,
            scope: request.scope,
            sources: request.sources,
            iat: now,
            nbf: now,
            exp: now.saturating_add(i64::try_from(request.ttl.as_secs()).unwrap_or(i64::MAX)),
        };
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(|_| IssuerError::Crypto)
    }

    /// A bare signature, for tests that need tokens nobody should issue.
    #[cfg(test)]
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let pair = Ed25519KeyPair::from_pkcs8(self.key.as_bytes()).expect("the key was read before");
        pair.sign(message).as_ref().to_vec()
    }

    /// The public key, for a [`Verifier`](super::Verifier).
    pub fn jwks(&self) -> JwkSet {
        JwkSet {
            keys: vec![Jwk {
                common: CommonParameters {
                    public_key_use: Some(PublicKeyUse::Signature),
                    key_algorithm: Some(KeyAlgorithm::EdDSA),
                    key_id: Some(self.kid.clone()),
                    ..CommonParameters::default()
                },
                algorithm: AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
                    key_type: OctetKeyPairType::OctetKeyPair,
                    curve: EllipticCurve::Ed25519,
                    x: URL_SAFE_NO_PAD.encode(self.public),
                }),
            }],
        }
    }
}

/// Writes a new key under a name of its own and gives it its place only if nobody else was faster.
fn create_key(folder: &Path, path: &Path) -> Result<(), IssuerError> {
    let pair = Ed25519KeyPair::generate().map_err(|_| IssuerError::Crypto)?;
    let pkcs8 = pair.to_pkcs8v1().map_err(|_| IssuerError::Crypto)?;
    let draft = folder.join(format!("{KEY_FILE}.{}", std::process::id()));
    let written = write_private(&draft, pkcs8.as_ref()).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    // The key itself has its place by now, or there is an error to tell.
    let _ = fs::remove_file(&draft);
    written.map_err(|source| IssuerError::File { path: path.into(), source })
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(unix)]
fn check_readable_by_owner_only(path: &Path) -> Result<(), IssuerError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path).map_err(|source| IssuerError::File { path: path.into(), source })?;
    let others = metadata.permissions().mode() & 0o077;
    if others == 0 { Ok(()) } else { Err(IssuerError::Readable(path.into())) }
}

#[cfg(not(unix))]
fn check_readable_by_owner_only(_: &Path) -> Result<(), IssuerError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let first = SandboxIssuer::open_or_create(folder.path()).unwrap();
        let second = SandboxIssuer::open_or_create(folder.path()).unwrap();
        assert_eq!(first.jwks(), second.jwks());
        let files: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(files.len(), 1, "no draft is left behind");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = folder.path().join(KEY_FILE);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            let opened = SandboxIssuer::open_or_create(folder.path());
            assert!(matches!(opened, Err(IssuerError::Readable(_))));
        }
    }

    #[test]
    fn two_folders_have_two_keys() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let a = SandboxIssuer::open_or_create(a.path()).unwrap();
        let b = SandboxIssuer::open_or_create(b.path()).unwrap();
        assert_ne!(a.jwks(), b.jwks());
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        write_private(&folder.path().join(KEY_FILE), b"no key").unwrap();
        let opened = SandboxIssuer::open_or_create(folder.path());
        assert!(matches!(opened, Err(IssuerError::Key(_))));
    }
}
