//! From stored bytes to domain events. Old payload versions are brought up to date here and nowhere
//! else.

use cqrs_es::Aggregate;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::log::{LogError, StoredEvent, StreamType};
use crate::text::without_values;

/// The table of aggregates: what is made for each of them is made from here. A line has where the
/// engine keeps them, the kind of their streams, and the aggregate.
macro_rules! aggregates {
    ($make:ident) => {
        $make! {
            accounts: Account(crate::account::RewardAccount),
            campaigns: Campaign(crate::campaign::Campaign),
            systems: System(crate::system::System),
        }
    };
}
pub(crate) use aggregates;

macro_rules! ledger_event {
    ($($_slots:ident: $kind:ident($aggregate:ty),)+) => {
        /// An event of any aggregate. Its JSON is the payload.
        #[expect(clippy::large_enum_variant, reason = "read one by one and matched at once, never kept in numbers")]
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum LedgerEvent {
            $(#[doc = concat!("Of the aggregate `", stringify!($kind), "`.")] $kind(<$aggregate as Aggregate>::Event),)+
        }

        /// Reads the payload of a stored event.
        pub fn decode(stored: &StoredEvent) -> Result<LedgerEvent, LogError> {
            match stored.stream.stream_type {
                $(StreamType::$kind => payload(stored).map(LedgerEvent::$kind),)+
            }
        }
    };
}
aggregates!(ledger_event);

/// The payload as an event of the aggregate that the stream belongs to.
pub(crate) fn payload<E: DeserializeOwned>(stored: &StoredEvent) -> Result<E, LogError> {
    serde_json::from_slice(&stored.payload).map_err(|error| {
        LogError::Damaged(format!(
            "payload of {} at {} of {}: {}",
            stored.event_type,
            stored.position,
            stored.stream,
            without_values(&error)
        ))
    })
}
