//! Between columns and values. A column that does not hold what was written there is a fault, not a
//! default.

use ledger_core::ids::{
    AccountId, BeaconSignature, CampaignId, Digest, EntryId, PayoutReference, Source, TransactionId,
};
use ledger_core::keys::Sealed;
use ledger_core::log::Position;
use ledger_core::money::{Currency, Money};
use ledger_core::time::{Epoch, Timestamp};
use serde::de::DeserializeOwned;
use serde::de::value::{Error as NoWord, StrDeserializer};

use crate::connection::{Row, Value};
use crate::error::ProjectionError;

/// What a column can hold.
pub(crate) trait Column: Sized {
    /// `None` if the value is none of these.
    fn read(value: &Value<'_>) -> Option<Self>;
}

impl Row {
    /// The value of a column.
    pub(crate) fn get<T: Column>(&self, column: &'static str) -> Result<T, ProjectionError> {
        T::read(self.value(column)?).ok_or(ProjectionError::Damaged { column })
    }

    /// An amount and the column of its currency's code.
    pub(crate) fn money(&self, minor: &'static str, code: &'static str) -> Result<Money, ProjectionError> {
        Money::new(self.get(minor)?, self.get(code)?).map_err(|_| ProjectionError::Damaged { column: minor })
    }

    /// A nullable column with JSON.
    pub(crate) fn json_opt<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, ProjectionError> {
        let json: Option<String> = self.get(column)?;
        let parsed = json.map(|json| serde_json::from_str(&json)).transpose();
        parsed.map_err(|_| ProjectionError::Damaged { column })
    }

    /// A column with JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, ProjectionError> {
        self.json_opt(column)?.ok_or(ProjectionError::Damaged { column })
    }

    /// A nullable column with one of the words that serde writes for an enum without fields.
    pub(crate) fn word_opt<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, ProjectionError> {
        let word: Option<String> = self.get(column)?;
        let parsed = word.map(|word| T::deserialize(StrDeserializer::<NoWord>::new(&word))).transpose();
        parsed.map_err(|_| ProjectionError::Damaged { column })
    }
}

impl<T: Column> Column for Option<T> {
    fn read(value: &Value<'_>) -> Option<Self> {
        if *value == Value::Null { Some(None) } else { T::read(value).map(Some) }
    }
}

/// Columns by how their value is made from what the database has.
macro_rules! columns {
    ($($type:ty: $kind:ident $read:expr;)+) => {
        $(impl Column for $type {
            fn read(value: &Value<'_>) -> Option<Self> {
                value.$kind().and_then($read)
            }
        })+
    };
}

columns! {
    i64: integer Some;
    u32: integer |n| n.try_into().ok();
    u64: integer |n| n.try_into().ok();
    bool: integer |n| Some(n != 0);
    Timestamp: integer |n| Some(Timestamp::from_micros(n));
    Position: integer |n| n.try_into().ok().map(Position);
    String: text |t| Some(t.into());
    Sealed: text |t| Some(Sealed::from_text(t));
    Currency: text Currency::recorded;
    Digest: blob |b| b.try_into().ok().map(Digest);
    BeaconSignature: blob |b| b.try_into().ok().map(BeaconSignature);
    EntryId: blob |b| b.try_into().ok().map(EntryId);
}

/// Columns with text that parses.
macro_rules! parsed {
    ($($type:ty),+) => {
        $(impl $crate::row::Column for $type {
            fn read(value: &$crate::connection::Value<'_>) -> Option<Self> {
                value.text()?.parse().ok()
            }
        })+
    };
}
pub(crate) use parsed;

parsed!(AccountId, CampaignId, PayoutReference, Source, TransactionId, Epoch);

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

        impl From<$name> for $crate::connection::Value<'_> {
            fn from(word: $name) -> Self {
                word.as_str().into()
            }
        }

        $crate::row::parsed!($name);
    };
}
pub(crate) use words;
