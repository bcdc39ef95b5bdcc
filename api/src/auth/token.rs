//! Checking a JWT: signature by a key of the set, issuer, audience, time.
//!
//! The token names its key (`kid`); the key alone fixes the algorithm, so neither `none` nor a MAC
//! made with a public key can pass. Time enters as a value and is looked at in whole seconds.

use std::collections::{BTreeSet, HashMap};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use ledger_core::ids::{AccountId, Source};
use ledger_core::steps::intake::Sources;
use ledger_core::time::{SECOND_MICROS, Timestamp};
use serde::Deserialize;

use super::{Identity, Scopes};

/// What `aud` must name unless a deployment says otherwise.
pub const AUDIENCE: &str = "rewardhub";
/// How far the issuer's clock may be off.
const LEEWAY_SECONDS: i64 = 30;

/// A key set that tokens cannot be checked against.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// No key set at all.
    #[error("not a JSON Web Key Set")]
    Malformed(#[source] serde_json::Error),
    /// No key of the set can check a signature.
    #[error("the key set has no usable key: a key needs a kid and must be RSA, EC (P-256, P-384) or Ed25519")]
    Empty,
    /// A key is broken.
    #[error("the key {kid:?} of the key set cannot be read")]
    Key {
        /// Its name.
        kid: String,
        /// The cause.
        #[source]
        source: jsonwebtoken::errors::Error,
    },
}

/// Why a token is refused; for our own logs, never for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.as_str())]
pub enum TokenRefused {
    /// No JWT, or one whose header we must not accept.
    Malformed,
    /// It names no key, or one that is not in the set.
    UnknownKey,
    /// Another algorithm than its key's.
    WrongAlgorithm,
    /// The signature is not that key's.
    WrongSignature,
    /// `iss` names another issuer.
    WrongIssuer,
    /// `aud` does not name us.
    WrongAudience,
    /// A claim is missing, or of another type than it must be.
    WrongClaims,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
}

impl TokenRefused {
    /// A word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            TokenRefused::Malformed => "malformed",
            TokenRefused::UnknownKey => "unknown_key",
            TokenRefused::WrongAlgorithm => "wrong_algorithm",
            TokenRefused::WrongSignature => "wrong_signature",
            TokenRefused::WrongIssuer => "wrong_issuer",
            TokenRefused::WrongAudience => "wrong_audience",
            TokenRefused::WrongClaims => "wrong_claims",
            TokenRefused::Expired => "expired",
            TokenRefused::NotYetValid => "not_yet_valid",
        }
    }
}

/// Checks tokens of one issuer.
pub struct Verifier {
    issuer: String,
    keys: HashMap<String, (DecodingKey, Validation)>,
}

/// Times are integers here; RFC 7519 would allow fractions, which no issuer we know sends.
#[derive(Deserialize)]
struct Claims {
    /// One name: the library is content with a list that has ours in it.
    iss: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    sources: Vec<String>,
}

impl Verifier {
    /// The same with a key set as issuers publish it.
    pub fn from_json(keys: &str, issuer: &str, audience: &str) -> Result<Verifier, KeySetError> {
        Verifier::new(&serde_json::from_str(keys).map_err(KeySetError::Malformed)?, issuer, audience)
    }

    /// A verifier for tokens that `issuer` signs with one of these keys for `audience`. Keys that
    /// are not for signatures, have no `kid` or are symmetric are passed over.
    pub fn new(keys: &JwkSet, issuer: &str, audience: &str) -> Result<Verifier, KeySetError> {
        let mut known = HashMap::new();
        for jwk in &keys.keys {
            let (Some(kid), Some(algorithm)) = (jwk.common.key_id.clone(), algorithm_of(jwk)) else {
                continue;
            };
            match DecodingKey::from_jwk(jwk) {
                Ok(key) => known.insert(kid, (key, validation(algorithm, issuer, audience))),
                Err(source) => return Err(KeySetError::Key { kid, source }),
            };
        }
        if known.is_empty() {
            return Err(KeySetError::Empty);
        }
        Ok(Verifier { issuer: issuer.to_owned(), keys: known })
    }

    /// What the token says, if it holds at `now`.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, TokenRefused> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenRefused::Malformed)?;
        // Extensions that must be understood (RFC 7515, 4.1.11): we understand none.
        if header.crit.is_some() {
            return Err(TokenRefused::Malformed);
        }
        let kid = header.kid.as_deref().ok_or(TokenRefused::UnknownKey)?;
        let (key, validation) = self.keys.get(kid).ok_or(TokenRefused::UnknownKey)?;
        if !validation.algorithms.contains(&header.alg) {
            return Err(TokenRefused::WrongAlgorithm);
        }
        let claims = jsonwebtoken::decode::<Claims>(token, key, validation).map_err(|e| reason(&e))?.claims;
        if claims.iss != self.issuer {
            return Err(TokenRefused::WrongIssuer);
        }
        let now = now.micros() / SECOND_MICROS;
        if now >= claims.exp.saturating_add(LEEWAY_SECONDS) {
            return Err(TokenRefused::Expired);
        }
        if claims.nbf.is_some_and(|nbf| now < nbf.saturating_sub(LEEWAY_SECONDS)) {
            return Err(TokenRefused::NotYetValid);
        }
        identity(&claims)
    }
}

fn reason(error: &jsonwebtoken::errors::Error) -> TokenRefused {
    match error.kind() {
        ErrorKind::InvalidSignature => TokenRefused::WrongSignature,
        ErrorKind::InvalidIssuer => TokenRefused::WrongIssuer,
        ErrorKind::InvalidAudience => TokenRefused::WrongAudience,
        // Its text is not what the signature was made over, or holds no JSON.
        ErrorKind::Base64(_) | ErrorKind::Utf8(_) | ErrorKind::InvalidToken => TokenRefused::Malformed,
        _ => TokenRefused::WrongClaims,
    }
}

fn identity(claims: &Claims) -> Result<Identity, TokenRefused> {
    let subject = claims.sub.as_deref().map(AccountId::parse).transpose();
    let sources = if claims.sources.iter().any(|source| source == "*") {
        Sources::All
    } else {
        // An impossible name is left out: such a token just has less.
        let named = claims.sources.iter().filter_map(|source| Source::parse(source).ok());
        Sources::Only(named.collect::<BTreeSet<_>>())
    };
    Ok(Identity {
        subject: subject.map_err(|_| TokenRefused::WrongClaims)?,
        scopes: Scopes::parse(&claims.scope),
        sources,
    })
}

fn validation(algorithm: Algorithm, issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    // The library asks the operating system's clock; `verify` is told.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

/// The one algorithm of a key, or `None` for keys that may not check tokens.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    if jwk.common.public_key_use.as_ref().is_some_and(|r#use| *r#use != PublicKeyUse::Signature) {
        return None;
    }
    let by_kind = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) => match pair.curve {
            EllipticCurve::Ed25519 => Algorithm::EdDSA,
            _ => return None,
        },
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => Algorithm::ES256,
            EllipticCurve::P384 => Algorithm::ES384,
            _ => return None,
        },
        AlgorithmParameters::RSA(_) => match jwk.common.key_algorithm {
            None | Some(KeyAlgorithm::RS256) => Algorithm::RS256,
            Some(KeyAlgorithm::RS384) => Algorithm::RS384,
            Some(KeyAlgorithm::RS512) => Algorithm::RS512,
            Some(KeyAlgorithm::PS256) => Algorithm::PS256,
            Some(KeyAlgorithm::PS384) => Algorithm::PS384,
            Some(KeyAlgorithm::PS512) => Algorithm::PS512,
            Some(_) => return None,
        },
        _ => return None,
    };
    // A key that states another algorithm than its kind allows is not used at all.
    match jwk.common.key_algorithm {
        Some(stated) if stated != KeyAlgorithm::from(by_kind) => None,
        _ => Some(by_kind),
    }
}

#[cfg(test)]
mod tests;
