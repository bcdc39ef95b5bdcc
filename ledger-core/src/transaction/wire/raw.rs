//! A row as it came: every known field in whatever JSON it has, read in one pass and borrowed where
//! possible.
//!
//! Nothing is judged here but the JSON itself. Values of unknown fields, and of the wrong type in
//! known ones, are skipped without recursion, so depth cannot exhaust the stack.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::transaction::{RowCode, RowError};

/// What a known field was given.
#[derive(Default)]
pub(super) enum Slot<T> {
    #[default]
    Absent,
    Given(T),
    /// Given more than once: which one is meant is anyone's guess.
    Repeated,
}

impl<T> Slot<T> {
    fn put(&mut self, value: T) {
        *self = if matches!(self, Slot::Absent) { Slot::Given(value) } else { Slot::Repeated };
    }
}

/// The value of a field that holds a text.
pub(super) enum Scalar<'a> {
    Null,
    Text(Cow<'a, str>),
    /// A whole number from 0.
    Number(u64),
    Other,
}

/// The value of a field that holds fields.
pub(super) enum Object<T> {
    Null,
    Fields(T),
    Other,
}

type Text<'a> = Slot<Scalar<'a>>;
/// As written; see [`super::forgiving`].
type FreeText<'a> = Slot<&'a RawValue>;

/// The known fields of a row.
#[derive(Default)]
pub(super) struct RawRow<'a> {
    pub(super) source: Text<'a>,
    pub(super) transaction_id: Text<'a>,
    pub(super) account_id: Text<'a>,
    pub(super) status: Text<'a>,
    pub(super) booked_at: Text<'a>,
    pub(super) amount: Slot<Object<RawAmount<'a>>>,
    pub(super) direction: Text<'a>,
    pub(super) from_account: Text<'a>,
    pub(super) to_account: Text<'a>,
    pub(super) description: FreeText<'a>,
    pub(super) merchant: Slot<Object<RawMerchant<'a>>>,
    pub(super) pending_transaction_id: Text<'a>,
    pub(super) refund_of: Text<'a>,
}

/// The known fields of `amount`.
#[derive(Default)]
pub(super) struct RawAmount<'a> {
    /// As written, since a number's text tells 10²⁰ in digits from `1e20`.
    pub(super) minor: Slot<&'a RawValue>,
    pub(super) currency: Text<'a>,
}

/// The known fields of `merchant`.
#[derive(Default)]
pub(super) struct RawMerchant<'a> {
    pub(super) id: Text<'a>,
    pub(super) name: FreeText<'a>,
    pub(super) mcc: Text<'a>,
    pub(super) country: Text<'a>,
}

/// Reads one JSON object. After an error `row` holds what came before the fault.
pub(super) fn read<'a>(bytes: &'a [u8], row: &mut RawRow<'a>) -> Result<(), RowError> {
    let at = Cell::new("");
    if let Ok(text) = std::str::from_utf8(bytes) {
        fill(serde_json::Deserializer::from_str(text), row, &at).map_err(|error| describe(&error, at.get()))
    } else {
        // Read it all the same: the fault may lie in a field that has a name, and the id may be
        // good.
        let outcome = fill(serde_json::Deserializer::from_slice(bytes), row, &at);
        let field = if outcome.is_err() { at.get() } else { "" };
        Err(RowError::new(RowCode::Malformed, field, "must be valid UTF-8"))
    }
}

fn fill<'a, R: serde_json::de::Read<'a>>(
    mut json: serde_json::Deserializer<R>,
    row: &mut RawRow<'a>,
    at: &Cell<&'static str>,
) -> Result<(), serde_json::Error> {
    json.deserialize_map(FieldsVisitor { fields: row, at })?;
    json.end()
}

fn describe(error: &serde_json::Error, field: &'static str) -> RowError {
    match error.classify() {
        Category::Data => RowError::new(RowCode::Malformed, field, "must be a JSON object"),
        Category::Syntax | Category::Eof | Category::Io => RowError::new(
            RowCode::Malformed,
            field,
            format!("is not valid JSON at line {}, column {} of the row", error.line(), error.column()),
        ),
    }
}

/// An object's known fields. `at` always names the field that is being read.
trait Fields<'de>: Default {
    type Key: Deserialize<'de>;

    fn take<A: MapAccess<'de>>(
        &mut self,
        key: Self::Key,
        map: &mut A,
        at: &Cell<&'static str>,
    ) -> Result<(), A::Error>;
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum RowKey {
    Source,
    TransactionId,
    AccountId,
    Status,
    BookedAt,
    Amount,
    Direction,
    FromAccount,
    ToAccount,
    Description,
    Merchant,
    PendingTransactionId,
    RefundOf,
    #[serde(other)]
    Unknown,
}

impl<'de> Fields<'de> for RawRow<'de> {
    type Key = RowKey;

    fn take<A: MapAccess<'de>>(
        &mut self,
        key: RowKey,
        map: &mut A,
        at: &Cell<&'static str>,
    ) -> Result<(), A::Error> {
        let (name, slot) = match key {
            RowKey::Source => ("source", &mut self.source),
            RowKey::TransactionId => ("transaction_id", &mut self.transaction_id),
            RowKey::AccountId => ("account_id", &mut self.account_id),
            RowKey::Status => ("status", &mut self.status),
            RowKey::BookedAt => ("booked_at", &mut self.booked_at),
            RowKey::Direction => ("direction", &mut self.direction),
            RowKey::FromAccount => ("from_account", &mut self.from_account),
            RowKey::ToAccount => ("to_account", &mut self.to_account),
            RowKey::PendingTransactionId => ("pending_transaction_id", &mut self.pending_transaction_id),
            RowKey::RefundOf => ("refund_of", &mut self.refund_of),
            RowKey::Description => return read_value("description", &mut self.description, map, at),
            RowKey::Amount => return read_object("amount", &mut self.amount, map, at),
            RowKey::Merchant => return read_object("merchant", &mut self.merchant, map, at),
            RowKey::Unknown => return skip(map),
        };
        read_value(name, slot, map, at)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum AmountKey {
    Minor,
    Currency,
    #[serde(other)]
    Unknown,
}

impl<'de> Fields<'de> for RawAmount<'de> {
    type Key = AmountKey;

    fn take<A: MapAccess<'de>>(
        &mut self,
        key: AmountKey,
        map: &mut A,
        at: &Cell<&'static str>,
    ) -> Result<(), A::Error> {
        match key {
            AmountKey::Minor => read_value("amount.minor", &mut self.minor, map, at),
            AmountKey::Currency => read_value("amount.currency", &mut self.currency, map, at),
            AmountKey::Unknown => skip(map),
        }
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum MerchantKey {
    Id,
    Name,
    Mcc,
    Country,
    #[serde(other)]
    Unknown,
}

impl<'de> Fields<'de> for RawMerchant<'de> {
    type Key = MerchantKey;

    fn take<A: MapAccess<'de>>(
        &mut self,
        key: MerchantKey,
        map: &mut A,
        at: &Cell<&'static str>,
    ) -> Result<(), A::Error> {
        match key {
            MerchantKey::Id => read_value("merchant.id", &mut self.id, map, at),
            MerchantKey::Name => read_value("merchant.name", &mut self.name, map, at),
            MerchantKey::Mcc => read_value("merchant.mcc", &mut self.mcc, map, at),
            MerchantKey::Country => read_value("merchant.country", &mut self.country, map, at),
            MerchantKey::Unknown => skip(map),
        }
    }
}

fn read_value<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    name: &'static str,
    slot: &mut Slot<T>,
    map: &mut A,
    at: &Cell<&'static str>,
) -> Result<(), A::Error> {
    let parent = at.replace(name);
    slot.put(map.next_value()?);
    at.set(parent);
    Ok(())
}

fn read_object<'de, T: Fields<'de>, A: MapAccess<'de>>(
    name: &'static str,
    slot: &mut Slot<Object<T>>,
    map: &mut A,
    at: &Cell<&'static str>,
) -> Result<(), A::Error> {
    let parent = at.replace(name);
    slot.put(map.next_value_seed(ObjectSeed { at, fields: PhantomData })?);
    at.set(parent);
    Ok(())
}

fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// Fills `fields` from an object, and only from an object.
struct FieldsVisitor<'r, F> {
    fields: &'r mut F,
    at: &'r Cell<&'static str>,
}

impl<'de, F: Fields<'de>> Visitor<'de> for FieldsVisitor<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key()? {
            self.fields.take(key, &mut map, self.at)?;
        }
        Ok(())
    }
}

/// The arms that a value of any other type than the one hoped for falls into.
macro_rules! accept_anything_else {
    ($null:expr, $other:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($null)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($other)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($other)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($other)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok($other)
        }
    };
}

/// Reads an object's fields, or notes that it is none.
struct ObjectSeed<'r, F> {
    at: &'r Cell<&'static str>,
    fields: PhantomData<F>,
}

impl<'de, F: Fields<'de>> DeserializeSeed<'de> for ObjectSeed<'_, F> {
    type Value = Object<F>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object<F>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: Fields<'de>> Visitor<'de> for ObjectSeed<'_, F> {
    type Value = Object<F>;

    accept_anything_else!(Object::Null, Object::Other);

    fn visit_u64<E>(self, _: u64) -> Result<Object<F>, E> {
        Ok(Object::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Object<F>, E> {
        Ok(Object::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<F>, A::Error> {
        let mut fields = F::default();
        FieldsVisitor { fields: &mut fields, at: self.at }.visit_map(map)?;
        Ok(Object::Fields(fields))
    }
}

struct ScalarVisitor;

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    accept_anything_else!(Scalar::Null, Scalar::Other);

    fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar<'de>, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}
