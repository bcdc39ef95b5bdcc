//! What commanding campaigns and accounts over HTTP have in common: who acts, and the body of an action.
//!
//! Whoever holds the token is who did it: where two people are needed, two tokens with different `sub` are.

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use ledger_core::faults;
use ledger_core::ids::AccountId;
use ledger_core::log::LogError;
use ledger_core::words::{WordsError, check_person, check_reason, without_values};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::auth::{Caller, Scope};
use crate::intake::{media_type, read_body};
use crate::problem::Problem;

/// The most that a body may have: terms with long lists of merchants.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Why an action and its body are no command.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// No such action.
    #[error("there is no action {0:?}")]
    Unknown(String),
    /// A body that does not fit.
    #[error("the body of {action} cannot be read: {cause}")]
    Body {
        /// Of which action.
        action: String,
        /// Where, and what is expected.
        cause: String,
    },
}

impl From<ActionError> for Problem {
    fn from(error: ActionError) -> Problem {
        match error {
            ActionError::Unknown(_) => Problem::new(StatusCode::NOT_FOUND, "there is no such action"),
            ActionError::Body { .. } => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
        }
    }
}

/// Reads what an action needs. An empty body is `{}`, which some actions are content with.
pub(crate) fn read<T: DeserializeOwned>(action: &str, body: &[u8]) -> Result<T, ActionError> {
    let empty = body.trim_ascii().is_empty();
    serde_json::from_slice(if empty { b"{}" } else { body }).map_err(|e| {
        let cause = without_values(&e);
        let cause = if empty { format!("it is empty, and {cause}") } else { cause };
        ActionError::Body { action: action.into(), cause }
    })
}

/// Why, in the operator's words. It is kept for ever, in the clear: one to 500 printable characters, no card number.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Reason(pub(crate) String);

impl TryFrom<String> for Reason {
    type Error = String;

    fn try_from(text: String) -> Result<Reason, String> {
        check_reason(&text).map_err(|error: WordsError| format!("a reason {error}"))?;
        Ok(Reason(text))
    }
}

/// The body of an action that needs nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Who acts, as events call him. A token that names nobody can answer for nothing, and neither can one whose name
/// might be taken for another's.
pub(crate) fn who(caller: &Caller, scope: Scope) -> Result<String, Problem> {
    let identity = caller.require(scope)?;
    let subject = identity.subject.as_ref().map(AccountId::as_str);
    let subject = subject.ok_or_else(Problem::nameless_token)?;
    check_person(subject).map_err(Problem::unusable_name)?;
    Ok(format!("operator:{subject}"))
}

/// The body, of JSON or empty.
pub(crate) async fn body(request: Request) -> Result<Bytes, Problem> {
    let typed = |headers: &HeaderMap| media_type(headers).as_deref() == Some("application/json");
    let is_json = typed(request.headers());
    let body = read_body(request, BODY_BYTES_MAX).await?;
    if body.is_empty() || is_json {
        Ok(body)
    } else {
        Err(Problem::unsupported_media_type("application/json"))
    }
}

/// What may have become of a command that the ledger could not write just now.
pub(crate) const GIVE_AGAIN: &str = "the command may have been taken, give it again";

/// The log could not be read, or holds what cannot be understood.
pub(crate) fn unreadable_log(error: &LogError) -> Problem {
    if error.transient() {
        faults::warn("the log cannot be read just now", "", error);
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the ledger cannot be read just now")
            .retry_after(2);
    }
    faults::error("the log cannot be read", &error.to_string(), error);
    Problem::internal()
}
