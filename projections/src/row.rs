//! Between columns and values. A column that does not hold what was written there is a fault, not a default.

use compact_str::CompactString;
use ledger_core::account::event::{DeferReason, Outcome, Verdict};
use ledger_core::ids::{
    AccountId, BeaconSignature, CampaignId, Digest, EntryId, PayoutReference, Source, TransactionId,
};
use ledger_core::log::Position;
use ledger_core::money::{Currency, Money};
use ledger_core::seal::Sealed;
use ledger_core::time::{Epoch, Timestamp};
use serde::de::DeserializeOwned;

use crate::connection::{Row, Value};
use crate::error::ProjectionError;

/// What a column can hold.
pub(crate) trait Column: Sized {
    /// `None` if the value is none of these.
    fn read(value: &Value<'_>) -> Option<Self>;

    /// The same for a column.
    fn write(&self) -> Value<'_>;

    /// The column's type on PostgreSQL.
    const TYPE: &'static str;
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
}

impl<T: Column> Column for Option<T> {
    fn read(value: &Value<'_>) -> Option<Self> {
        if *value == Value::Null { Some(None) } else { T::read(value).map(Some) }
    }

    fn write(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, T::write)
    }

    const TYPE: &'static str = T::TYPE;
}

/// Columns by their kind, how they are made from what the database has, and the other way round.
macro_rules! columns {
    ($($type:ty: $kind:ident $sql:literal $read:expr, $write:expr;)+) => {
        $(impl Column for $type {
            fn read(value: &Value<'_>) -> Option<Self> {
                value.$kind().and_then($read)
            }

            fn write(&self) -> Value<'_> {
                let write: fn(&$type) -> Value<'_> = $write;
                write(self)
            }

            const TYPE: &'static str = $sql;
        })+
    };
}

columns! {
    i64: integer "bigint" Some, |n| (*n).into();
    u32: integer "bigint" |n| n.try_into().ok(), |n| (*n).into();
    bool: integer "bigint" |n| Some(n != 0), |yes| (*yes).into();
    Timestamp: integer "bigint" |n| Some(Timestamp::from_micros(n)), |at| (*at).into();
    Position: integer "bigint" |n| n.try_into().ok().map(Position), |at| (*at).into();
    u64: integer "bigint" |n| n.try_into().ok(), |n| i64::try_from(*n).unwrap_or(i64::MAX).into();
    String: text "text" |t| Some(t.into()), |t| t.into();
    CompactString: text "text" |t| Some(t.into()), |t| t.into();
    Sealed: text "text" |t| Some(Sealed::from_text(t)), |sealed| sealed.into();
    Currency: text "text" Currency::recorded, |currency| currency.code().into();
    Digest: blob "bytea" |b| b.try_into().ok().map(Digest), |digest| digest.into();
    BeaconSignature: blob "bytea" |b| b.try_into().ok().map(BeaconSignature), |signature| signature.into();
    EntryId: blob "bytea" |b| b.try_into().ok().map(EntryId), |id| id.into();
    Epoch: text "text" |t| t.parse().ok(), |epoch| epoch.to_string().into();
    AccountId: text "text" |t| t.parse().ok(), |id| id.as_str().into();
    CampaignId: text "text" |t| t.parse().ok(), |id| id.as_str().into();
    PayoutReference: text "text" |t| t.parse().ok(), |reference| reference.as_str().into();
    Source: text "text" |t| t.parse().ok(), |source| source.as_str().into();
    TransactionId: text "text" |t| t.parse().ok(), |id| id.as_str().into();
}

/// An enum of the ledger's whose variants are words in a column.
macro_rules! ledger_words {
    ($($name:ident { $($variant:ident = $word:literal,)+ })+) => {
        $(impl Column for $name {
            fn read(value: &Value<'_>) -> Option<Self> {
                match value.text()? {
                    $($word => Some($name::$variant),)+
                    _ => None,
                }
            }

            fn write(&self) -> Value<'_> {
                match self {
                    $($name::$variant => $word.into(),)+
                }
            }

            const TYPE: &'static str = "text";
        })+
    };
}

ledger_words! {
    Outcome { Declined = "declined", Lost = "lost", Won = "won", }
    DeferReason { EpochNotOpen = "epoch_not_open", DrawsHalted = "draws_halted", Held = "held", }
    Verdict { Released = "released", Dismissed = "dismissed", }
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

        impl From<$name> for $crate::connection::Value<'_> {
            fn from(word: $name) -> Self {
                word.as_str().into()
            }
        }

        impl $crate::row::Column for $name {
            fn read(value: &$crate::connection::Value<'_>) -> Option<Self> {
                value.text()?.parse().ok()
            }

            fn write(&self) -> $crate::connection::Value<'_> {
                (*self).into()
            }

            const TYPE: &'static str = "text";
        }
    };
}
pub(crate) use words;
