//! What operators may say: an action and its JSON body, and the command that they are. HTTP and the
//! command line take the same words.

pub mod accounts;
pub mod campaigns;
pub mod parked;
pub mod switches;

use serde::de::{DeserializeOwned, Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::text::{WordsError, check_reason, without_values};

/// Why an action and its body are no command.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// No such action.
    #[error("there is no action {0:?}")]
    Unknown(String),
    /// No such switch.
    #[error("there is no switch {0:?}")]
    Switch(String),
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
/// languages write it so. Read as it is written: as a float, what is almost a whole number is one.
fn whole<'de, D: Deserializer<'de>, N: TryFrom<i64>>(deserializer: D) -> Result<N, D::Error> {
    let written = Box::<RawValue>::deserialize(deserializer)?;
    exact(written.get()).and_then(|whole| N::try_from(whole).ok()).ok_or_else(|| {
        D::Error::invalid_type(Unexpected::Other("value"), &"a whole number within its bounds")
    })
}

/// JSON's number, if it is a whole one.
fn exact(number: &str) -> Option<i64> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (units, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let point = exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(decimals.len()).ok()?)?;
    let mut digits = format!("{units}{decimals}");
    if point < 0 {
        for _ in 0..point.unsigned_abs().min(u32::try_from(digits.len()).ok()?) {
            if digits.pop()? != '0' {
                return None;
            }
        }
    } else if digits.bytes().any(|digit| digit.is_ascii_digit() && digit != b'0') {
        // More zeros than 64 bits hold are not written out.
        digits.extend(std::iter::repeat_n('0', usize::try_from(point).ok()?.min(20)));
    }
    if matches!(&*digits, "" | "-") { Some(0) } else { digits.parse().ok() }
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
            (r#"{"version":1.00000000000000000000000}"#, 1),
            (r#"{"version":120e-1}"#, 12),
            (r#"{"version":0.12E+2}"#, 12),
            (r#"{"version":-0.0}"#, 0),
            (r#"{"version":0e999}"#, 0),
            (r#"{"version":0.00e-2}"#, 0),
            (r#"{"version" : 7 }"#, 7),
        ] {
            assert_eq!(read::<Body>("x", body.as_bytes()).unwrap(), Body { version }, "{body}");
        }
        for body in [
            r#"{"version":1.5}"#,
            r#"{"version":-1.0}"#,
            r#"{"version":4294967296}"#,
            r#"{"version":4294967296.0}"#,
            r#"{"version":1e300}"#,
            r#"{"version":1e2147483648}"#,
            r#"{"version":0.99999999999999999999}"#,
            r#"{"version":499999.99999999999}"#,
            r#"{"version":1.00000000000000000001}"#,
            r#"{"version":12e-1}"#,
            r#"{"version":true}"#,
            r#"{"version":null}"#,
            r#"{"version":[]}"#,
            r#"{"version":{}}"#,
            r#"{"version":""}"#,
            r#"{"version":"1.0"}"#,
            r#"{"version":1.0,"version":1}"#,
            "{}",
        ] {
            assert!(read::<Body>("x", body.as_bytes()).is_err(), "{body}");
        }
    }
}
