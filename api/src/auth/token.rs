//! Checking a JWT: signature by a key of the set, issuer, audience, time.
//!
//! The token names its key (`kid`); the key alone fixes the algorithm, so neither `none` nor a MAC
//! made with a public key can pass. Time enters as a value and is looked at in whole seconds.

use std::collections::HashMap;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use ledger_core::time::{SECOND_MICROS, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Claims, Identity};

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
    audience: String,
    claims: Claims,
    keys: HashMap<String, (DecodingKey, Validation)>,
}

/// What every token says, whatever the rest is called. Times are integers here; RFC 7519 would allow
/// fractions, which no issuer we know sends.
#[derive(Deserialize)]
struct Said {
    /// One name, no list.
    iss: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    /// The others, and not these: a claim of ours may be none of the three.
    #[serde(flatten)]
    rest: Map<String, Value>,
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
                Ok(key) => known.insert(kid, (key, validation(algorithm))),
                Err(source) => return Err(KeySetError::Key { kid, source }),
            };
        }
        if known.is_empty() {
            return Err(KeySetError::Empty);
        }
        let (issuer, audience) = (issuer.to_owned(), audience.to_owned());
        Ok(Verifier { issuer, audience, claims: Claims::default(), keys: known })
    }

    /// The same where claims have other names.
    #[must_use]
    pub fn with_claims(self, claims: Claims) -> Verifier {
        Verifier { claims, ..self }
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
        let said = jsonwebtoken::decode::<Said>(token, key, validation).map_err(|e| reason(&e))?.claims;
        if said.iss != self.issuer {
            return Err(TokenRefused::WrongIssuer);
        }
        if !self.claims.are_for(&self.audience, &said.rest)? {
            return Err(TokenRefused::WrongAudience);
        }
        let now = now.micros() / SECOND_MICROS;
        if now >= said.exp.saturating_add(LEEWAY_SECONDS) {
            return Err(TokenRefused::Expired);
        }
        if said.nbf.is_some_and(|nbf| now < nbf.saturating_sub(LEEWAY_SECONDS)) {
            return Err(TokenRefused::NotYetValid);
        }
        self.claims.identity(&said.rest)
    }
}

fn reason(error: &jsonwebtoken::errors::Error) -> TokenRefused {
    match error.kind() {
        ErrorKind::InvalidSignature => TokenRefused::WrongSignature,
        // Its text is not what the signature was made over, or holds no JSON.
        ErrorKind::Base64(_) | ErrorKind::Utf8(_) | ErrorKind::InvalidToken => TokenRefused::Malformed,
        _ => TokenRefused::WrongClaims,
    }
}

/// The library checks the signature. Of the claims it would ask the operating system's clock, and
/// take a list of issuers for one.
fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
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
