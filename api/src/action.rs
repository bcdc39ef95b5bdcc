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
use ledger_core::text::{WordsError, check_person, check_reason, without_values};
use serde::de::{DeserializeOwned, Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

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

/// A whole number, also where it is written `7.0`: JSON Schema's `integer` is that, and some
/// languages write it so.
pub(crate) fn whole<'de, D: Deserializer<'de>, N: TryFrom<i64>>(deserializer: D) -> Result<N, D::Error> {
    let number = Number::deserialize(deserializer)?;
    let text = number.to_string();
    let whole = text.strip_suffix(".0").unwrap_or(&text).parse::<i64>().ok();
    whole.and_then(|whole| N::try_from(whole).ok()).ok_or_else(|| {
        D::Error::invalid_type(Unexpected::Other("number"), &"a whole number within its bounds")
    })
}

/// Why, in the operator's words. It is kept for ever, in the clear: one to 500 printable
/// characters, no card number.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(deserialize_with = "whole")]
        version: u32,
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        for (body, version) in [
            (r#"{"version":1}"#, 1),
            (r#"{"version":1.0}"#, 1),
            (r#"{"version":1e2}"#, 100),
            (r#"{"version":4294967295.0}"#, u32::MAX),
        ] {
            assert_eq!(read::<Body>("x", body.as_bytes()).unwrap(), Body { version }, "{body}");
        }
        for body in [
            r#"{"version":1.5}"#,
            r#"{"version":-1.0}"#,
            r#"{"version":4294967296}"#,
            r#"{"version":4294967296.0}"#,
            r#"{"version":1e300}"#,
            r#"{"version":"1.0"}"#,
            r#"{"version":1.0,"version":1}"#,
            "{}",
        ] {
            assert!(read::<Body>("x", body.as_bytes()).is_err(), "{body}");
        }
    }
}
