//! What operators may say: an action and its JSON body, and the command that they are. HTTP and the
//! command line take the same words.

pub mod accounts;
pub mod campaigns;
pub mod parked;

use serde::de::{DeserializeOwned, Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

use crate::text::{WordsError, check_reason, without_values};

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

/// Reads what an action needs. An empty body is `{}`, which some actions are content with.
pub fn read<T: DeserializeOwned>(action: &str, body: &[u8]) -> Result<T, ActionError> {
    let empty = body.trim_ascii().is_empty();
    serde_json::from_slice(if empty { b"{}" } else { body }).map_err(|e| {
        let cause = without_values(&e);
        let cause = if empty { format!("it is empty, and {cause}") } else { cause };
        ActionError::Body { action: action.into(), cause }
    })
}

/// A whole number, also where it is written `7.0`: JSON Schema's `integer` is that, and some
/// languages write it so.
fn whole<'de, D: Deserializer<'de>, N: TryFrom<i64>>(deserializer: D) -> Result<N, D::Error> {
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
pub struct Reason(pub String);

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
struct Nothing {}

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
