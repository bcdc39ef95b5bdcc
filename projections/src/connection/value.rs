//! What columns hold, in either database: 64-bit integers, text, bytes or nothing.

use std::borrow::Cow;
use std::fmt;

/// The value of one column or parameter. Its `Debug` tells only the kind: drivers log parameters.
/// Values of one kind are ordered as both databases order keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Text(Cow<'a, str>),
    Blob(Cow<'a, [u8]>),
}

/// One row of an answer, in the order of the query's columns.
pub(crate) type Row = Vec<Value<'static>>;

impl Value<'_> {
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

/// The parameters of a statement, which are [columns](crate::column::Column):
/// `values![id, amount, at]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        [$($value.write()),*]
    };
}
pub(crate) use values;
