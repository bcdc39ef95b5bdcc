//! What columns hold, in either database: 64-bit integers, text, bytes or nothing.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use compact_str::CompactString;
use ledger_core::ids::{BeaconSignature, Digest, EntryId};
use ledger_core::keys::Sealed;
use ledger_core::log::Position;
use ledger_core::time::Timestamp;

use crate::error::ProjectionError;

/// The value of one column or parameter. Its `Debug` tells only the kind: drivers log parameters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Text(Cow<'a, str>),
    Blob(Cow<'a, [u8]>),
}

impl Value<'_> {
    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Integer(integer) => Value::Integer(integer),
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Blob(bytes) => Value::Blob(Cow::Owned(bytes.into_owned())),
        }
    }

    /// The same value, borrowed.
    pub(crate) fn by_ref(&self) -> Value<'_> {
        match self {
            Value::Null => Value::Null,
            Value::Integer(integer) => Value::Integer(*integer),
            Value::Text(text) => Value::Text(Cow::Borrowed(text)),
            Value::Blob(bytes) => Value::Blob(Cow::Borrowed(bytes)),
        }
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        if let Value::Integer(integer) = self { Some(*integer) } else { None }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn blob(&self) -> Option<&[u8]> {
        if let Value::Blob(bytes) = self { Some(bytes) } else { None }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Null => "Null",
            Value::Integer(_) => "Integer",
            Value::Text(_) => "Text",
            Value::Blob(_) => "Blob",
        })
    }
}

/// The parameters of a statement: `values![id, amount, at]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        [$($crate::connection::Value::from($value)),*]
    };
}
pub(crate) use values;

impl From<i64> for Value<'_> {
    fn from(integer: i64) -> Self {
        Value::Integer(integer)
    }
}

impl From<u32> for Value<'_> {
    fn from(integer: u32) -> Self {
        Value::Integer(integer.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(yes: bool) -> Self {
        Value::Integer(yes.into())
    }
}

/// A log would need 10^13 years at a million events a second to pass 2^63.
impl From<Position> for Value<'_> {
    fn from(position: Position) -> Self {
        Value::Integer(i64::try_from(position.0).unwrap_or(i64::MAX))
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        Value::Integer(at.micros())
    }
}

/// PostgreSQL has no NUL in text, and both databases are to hold the same.
impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() })
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        text.as_str().into()
    }
}

impl<'a> From<&'a CompactString> for Value<'a> {
    fn from(text: &'a CompactString) -> Self {
        text.as_str().into()
    }
}

/// JSON and other text of our own making, without NUL.
impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl<'a> From<&'a Sealed> for Value<'a> {
    fn from(sealed: &'a Sealed) -> Self {
        Value::Text(sealed.as_text().into())
    }
}

impl<'a> From<&'a Digest> for Value<'a> {
    fn from(digest: &'a Digest) -> Self {
        Value::Blob(digest.0.as_slice().into())
    }
}

impl<'a> From<&'a BeaconSignature> for Value<'a> {
    fn from(signature: &'a BeaconSignature) -> Self {
        Value::Blob(signature.0.as_slice().into())
    }
}

impl<'a> From<&'a EntryId> for Value<'a> {
    fn from(id: &'a EntryId) -> Self {
        Value::Blob(id.0.as_slice().into())
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// One row of an answer.
pub(crate) struct Row {
    pub(super) columns: Arc<[Box<str>]>,
    pub(super) values: Vec<Value<'static>>,
}

impl Row {
    /// The value of a column of the query.
    pub(crate) fn value(&self, column: &'static str) -> Result<&Value<'static>, ProjectionError> {
        let index = self.columns.iter().position(|name| **name == *column);
        index.and_then(|index| self.values.get(index)).ok_or(ProjectionError::Damaged { column })
    }

    /// All values, in the order of the query.
    pub(crate) fn into_values(self) -> Vec<Value<'static>> {
        self.values
    }
}
