//! What commanding campaigns and accounts over HTTP have in common: who acts, and the body of an
//! action.
//!
//! Whoever holds the token is who did it: where two people are needed, two tokens with different
//! `sub` are.

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use ledger_core::faults;
use ledger_core::ids::AccountId;
use ledger_core::log::LogError;
use ledger_core::operate::ActionError;
use ledger_core::text::check_person;

use crate::auth::{Caller, Scope};
use crate::intake::{media_type, read_body};
use crate::problem::Problem;

/// The most that a body may have: terms with long lists of merchants.
const BODY_BYTES_MAX: usize = 1 << 20;

impl From<ActionError> for Problem {
    fn from(error: ActionError) -> Problem {
        match error {
            ActionError::Switch(_) => Problem::new(StatusCode::NOT_FOUND, "there is no such switch"),
            ActionError::Unknown(_) => Problem::new(StatusCode::NOT_FOUND, "there is no such action"),
            ActionError::Body { .. } => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
        }
    }
}

/// Who acts, as events call him. A token that names nobody can answer for nothing, and neither can
/// one whose name might be taken for another's.
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
