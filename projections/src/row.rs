//! Between columns and values. A column that does not hold what was written there is a fault, not a default.

use std::error::Error;
use std::str::FromStr;

use ledger_core::ids::Digest;
use ledger_core::log::Position;
use ledger_core::money::{Currency, Money};
use ledger_core::seal::Sealed;
use ledger_core::time::Timestamp;
use rusqlite::Row;
use serde::de::DeserializeOwned;

type Cause = Box<dyn Error + Send + Sync>;

fn damaged(row: &Row<'_>, column: &str, cause: impl Into<Cause>) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or(usize::MAX);
    rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, cause.into())
}

/// A text column that parses.
pub(crate) fn text<T: FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T::Err: Into<Cause>,
{
    row.get_ref(column)?.as_str()?.parse().map_err(|e: T::Err| damaged(row, column, e))
}

/// A nullable text column that parses.
pub(crate) fn text_opt<T: FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    T::Err: Into<Cause>,
{
    row.get_ref(column)?
        .as_str_or_null()?
        .map(|t| t.parse().map_err(|e: T::Err| damaged(row, column, e)))
        .transpose()
}

/// A nullable column with JSON.
pub(crate) fn json_opt<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let json = row.get_ref(column)?.as_str_or_null()?;
    json.map(|json| serde_json::from_str(json).map_err(|e| damaged(row, column, e))).transpose()
}

/// A column with JSON.
pub(crate) fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    json_opt(row, column)?.ok_or_else(|| damaged(row, column, "expected JSON"))
}

/// A nullable column with one of the words that serde writes for an enum without fields.
pub(crate) fn word_opt<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let word = row.get_ref(column)?.as_str_or_null()?;
    word.map(|word| {
        let word = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(word);
        T::deserialize(word).map_err(|e| damaged(row, column, e))
    })
    .transpose()
}

pub(crate) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_micros)
}

pub(crate) fn time_opt(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_micros))
}

pub(crate) fn digest_opt(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Digest>> {
    Ok(row.get::<_, Option<[u8; 32]>>(column)?.map(Digest))
}

pub(crate) fn digest(row: &Row<'_>, column: &str) -> rusqlite::Result<Digest> {
    row.get(column).map(Digest)
}

pub(crate) fn sealed_opt(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Sealed>> {
    Ok(row.get_ref(column)?.as_str_or_null()?.map(Sealed::from_text))
}

pub(crate) fn currency(row: &Row<'_>, column: &str) -> rusqlite::Result<Currency> {
    Currency::from_code(row.get_ref(column)?.as_str()?).ok_or_else(|| damaged(row, column, "no currency"))
}

pub(crate) fn money(row: &Row<'_>, minor: &str, code: &str) -> rusqlite::Result<Money> {
    Money::new(row.get(minor)?, currency(row, code)?).map_err(|e| damaged(row, minor, e))
}

pub(crate) fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|e| damaged(row, column, e))
}

pub(crate) fn position(row: &Row<'_>, column: &str) -> rusqlite::Result<Position> {
    unsigned(row, column).map(Position)
}

/// As SQLite keeps it. A log would need 10^13 years at a million events a second to pass 2^63.
pub(crate) fn stored(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

/// An enum without fields whose variants are words in a column.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// The word in the column.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = &'static str;
            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok($name::$variant),)+
                    _ => Err(concat!("no ", stringify!($name))),
                }
            }
        }

        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }
    };
}
pub(crate) use words;
