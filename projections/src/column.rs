//! Between columns and values. A column that holds something else than what we write is a fault: no
//! default takes its place.

use ledger_core::account::event::{Considered, DeferReason, Outcome, Verdict};
use ledger_core::account::line::Proposal;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::{Draw, PrizeTable};
use ledger_core::ids::{
    AccountId, BeaconSignature, CampaignId, Digest, EntryId, PayoutReference, Source, TransactionId,
};
use ledger_core::keys::Sealed;
use ledger_core::log::Position;
use ledger_core::money::Currency;
use ledger_core::time::{Epoch, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as NoWord, StrDeserializer};

use crate::connection::Value;

/// What a column can hold.
pub(crate) trait Column: Sized {
    /// PostgreSQL's.
    const TYPE: &'static str;
    /// `None` if the value is none of these.
    fn read(value: &Value<'_>) -> Option<Self>;
    fn write(&self) -> Value<'_>;
}

impl<T: Column> Column for Option<T> {
    const TYPE: &'static str = T::TYPE;
    fn read(value: &Value<'_>) -> Option<Self> {
        if *value == Value::Null { Some(None) } else { T::read(value).map(Some) }
    }
    fn write(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, T::write)
    }
}

/// Columns by what the database has, how their value is made from that, and it from the value.
macro_rules! columns {
    (@type Integer) => { "bigint" };
    (@type Text) => { "text" };
    (@type Blob) => { "bytea" };
    ($($($type:ty),+: $kind:ident |$found:ident| $read:expr, |$value:ident| $write:expr;)+) => {
        $($(impl $crate::column::Column for $type {
            const TYPE: &'static str = $crate::column::columns!(@type $kind);
            fn read(value: &$crate::connection::Value<'_>) -> Option<Self> {
                let $crate::connection::Value::$kind($found) = value else { return None };
                $read
            }
            fn write(&self) -> $crate::connection::Value<'_> {
                let $value = self;
                $crate::connection::Value::$kind($write)
            }
        })+)+
    };
}
pub(crate) use columns;

columns! {
    i64: Integer |n| Some(*n), |n| *n;
    u32: Integer |n| (*n).try_into().ok(), |n| (*n).into();
    u64: Integer |n| (*n).try_into().ok(), |n| integer(*n);
    bool: Integer |n| Some(*n != 0), |yes| (*yes).into();
    Timestamp: Integer |n| Some(Timestamp::from_micros(*n)), |at| at.micros();
    Position: Integer |n| (*n).try_into().ok().map(Position), |position| integer(position.0);
    // PostgreSQL has no NUL in text, and both databases are to hold the same.
    String: Text |t| Some(t.to_string()),
        |t| if t.contains('\0') { t.replace('\0', "\u{FFFD}").into() } else { t.into() };
    Sealed: Text |t| Some(Sealed::from_text(t.as_ref())), |sealed| sealed.as_text().into();
    Currency: Text |code| Currency::recorded(code), |currency| currency.code().into();
    AccountId, CampaignId, PayoutReference, Source, TransactionId:
        Text |id| Self::parse(id).ok(), |id| id.as_str().into();
    Epoch: Text |day| day.parse().ok(), |day| day.to_string().into();
    Outcome, DeferReason, Verdict: Text |word| from_word(word), |value| word(value).into();
    Vec<Considered>, Proposal, Terms, PrizeTable:
        Text |json| serde_json::from_str(json).ok(), |value| json(value).into();
    Digest: Blob |b| b.as_ref().try_into().ok().map(Digest), |digest| digest.0.as_slice().into();
    BeaconSignature: Blob |b| b.as_ref().try_into().ok().map(BeaconSignature), |b| b.0.as_slice().into();
    EntryId: Blob |b| b.as_ref().try_into().ok().map(EntryId), |id| id.0.as_slice().into();
}

/// No draws are NULL.
impl Column for Vec<Draw> {
    const TYPE: &'static str = "text";
    fn read(value: &Value<'_>) -> Option<Self> {
        if *value == Value::Null { Some(vec![]) } else { serde_json::from_str(value.text()?).ok() }
    }
    fn write(&self) -> Value<'_> {
        if self.is_empty() { Value::Null } else { Value::Text(json(self).into()) }
    }
}

/// A log would need 10^13 years at a million events a second to pass 2^63.
fn integer(n: u64) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("what came as JSON in an event can be written as JSON")
}

/// One of the words that serde writes for an enum without fields.
fn word(value: &impl Serialize) -> String {
    json(value).trim_matches('"').into()
}

fn from_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    T::deserialize(StrDeserializer::<NoWord>::new(word)).ok()
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

        $crate::column::columns! {
            $name: Text |word| match word.as_ref() {
                $($word => Some($name::$variant),)+
                _ => None,
            }, |status| status.as_str().into();
        }
    };
}
pub(crate) use words;
