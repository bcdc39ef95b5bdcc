//! Who calls, and what he may do: bearer tokens, scopes, sources.
//!
//! [`token`] checks a JWT against a key set, [`claims`] reads what it says, [`sandbox`] is the issuer
//! that a sandbox has built in. A handler gets a [`Caller`]; asking it for a scope is the only way to
//! find out what is allowed.

pub mod sandbox;
pub mod scope;
pub mod token;

mod claims;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use ledger_core::ids::AccountId;
use ledger_core::steps::intake::Sources;

pub use claims::Claims;
pub use sandbox::{IssuerError, SandboxIssuer, TokenRequest};
pub use scope::{Scope, Scopes};
pub use token::{AUDIENCE, KeySetError, TokenRefused, Verifier};

use crate::ApiState;
use crate::problem::Problem;

/// What a checked token says; which claims say it is configuration ([`Claims`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The customer's account.
    pub account: Option<AccountId>,
    /// `sub`: who acts, an operator or a feed.
    pub subject: Option<AccountId>,
    /// What is allowed.
    pub scopes: Scopes,
    /// Whose transactions a feed may bring.
    pub sources: Sources,
}

/// Who sent a request: nobody we know, or the bearer of a token that has been checked. A token that
/// does not pass is refused with 401 before any handler runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(Option<Identity>);

/// Why a caller may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no token.
    #[error("no bearer token was sent")]
    Unauthenticated,
    /// The token lacks this scope.
    #[error("the token lacks the scope {0}")]
    MissingScope(Scope),
}

impl Caller {
    /// Somebody without a token.
    pub fn anonymous() -> Caller {
        Caller(None)
    }

    /// The bearer of a checked token.
    pub fn known(identity: Identity) -> Caller {
        Caller(Some(identity))
    }

    /// What the token says, if there is one.
    pub fn identity(&self) -> Result<&Identity, Denied> {
        self.0.as_ref().ok_or(Denied::Unauthenticated)
    }

    /// The identity, if it has this scope.
    pub fn require(&self, scope: Scope) -> Result<&Identity, Denied> {
        let identity = self.identity()?;
        if identity.scopes.contains(scope) { Ok(identity) } else { Err(Denied::MissingScope(scope)) }
    }

    /// Whether there is a token at all.
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Whom the token names.
    pub fn subject(&self) -> Option<&str> {
        self.0.as_ref()?.subject.as_ref().map(AccountId::as_str)
    }

    /// Whether there is a token with this scope.
    pub fn has(&self, scope: Scope) -> bool {
        self.require(scope).is_ok()
    }

    /// The account whose personal details the caller may see: his own, with `rewards:read`.
    pub fn own_account(&self) -> Option<&AccountId> {
        self.require(Scope::RewardsRead).ok()?.account.as_ref()
    }

    /// Whether the caller may see what is pseudonymous about this account: it is his own, or he
    /// audits.
    pub fn may_see(&self, account: &AccountId) -> bool {
        self.has(Scope::AuditRead) || self.own_account() == Some(account)
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Problem {
        match denied {
            Denied::Unauthenticated => Problem::token_missing(),
            Denied::MissingScope(scope) => Problem::missing_scope(scope.as_str()),
        }
    }
}

impl FromRequestParts<ApiState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Caller, Problem> {
        if let Some(caller) = parts.extensions.get::<Caller>() {
            return Ok(caller.clone());
        }
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), more) = (values.next(), values.next()) else {
            return Ok(Caller::anonymous());
        };
        if more.is_some() {
            return Err(refuse(TokenRefused::Malformed));
        }
        // An unknown scheme, or a scheme without a token, counts as no authentication (RFC 6750,
        // 3.1).
        let Some(token) = bearer(value.as_bytes()) else { return Ok(Caller::anonymous()) };
        let token = std::str::from_utf8(token).map_err(|_| refuse(TokenRefused::Malformed))?;
        let mut verified = state.verifier.verify(token, state.clock.now());
        let time = state.time.state();
        if verified.is_err() && time.ahead.is_some() {
            // Nobody knows the time, and reading goes on: a token is good if it is by either clock.
            verified = state.verifier.verify(token, time.shows);
        }
        verified.map(Caller::known).map_err(refuse)
    }
}

/// The reason is for us, and its words never hold any of the token. The caller learns what to do.
fn refuse(refused: TokenRefused) -> Problem {
    tracing::debug!(reason = %refused, "token refused");
    metrics::counter!("rewardhub_tokens_refused_total", "reason" => refused.as_str()).increment(1);
    match refused {
        // Its signature held, so that its bearer may know.
        TokenRefused::Expired => Problem::token_expired(),
        _ => Problem::token_invalid(),
    }
}

/// The token, if there is one. The scheme's name is case-insensitive (RFC 9110, 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"bearer".len())?;
    let token = token.strip_prefix(b" ")?.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty()).then_some(token)
}
