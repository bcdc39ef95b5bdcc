//! What is not sealed of a value: for whoever reads the history and must not see even ciphertext.
//!
//! The types say what is sealed: [`Sealed`](super::Sealed) and
//! [`SealedAmount`](super::SealedAmount) serialize under the name [`SEALED`], and what has that
//! name is left out here, wherever it stands. A list of field names would age.

use serde::Serialize;
use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::{Error, Map, Value};

/// The name under which sealed types serialize; JSON does not show it.
pub(super) const SEALED: &str = "Sealed";

/// The value in JSON without what is sealed in it; null if all of it is.
pub fn open_part<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
    Ok(value.serialize(Open)?.unwrap_or_default())
}

/// What came of a value; nothing where it is sealed.
type Part = Option<Value>;

struct Open;

/// A list or an object on its way, and the variant that it is of.
struct Inside<T> {
    variant: Option<&'static str>,
    parts: T,
    key: String,
}

impl<T> Inside<T> {
    fn new(variant: Option<&'static str>, parts: T) -> Inside<T> {
        Inside { variant, parts, key: String::new() }
    }

    fn end(self, value: impl FnOnce(T) -> Value) -> Part {
        let value = value(self.parts);
        Some(match self.variant {
            Some(variant) => Value::Object(Map::from_iter([(variant.into(), value)])),
            None => value,
        })
    }
}

impl Inside<Vec<Value>> {
    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.parts.extend(value.serialize(Open)?);
        Ok(())
    }
}

impl Inside<Map<String, Value>> {
    fn add<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Error> {
        if let Some(value) = value.serialize(Open)? {
            self.parts.insert(key.into(), value);
        }
        Ok(())
    }
}

macro_rules! plain {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, value: $type) -> Result<Part, Error> {
            serde_json::to_value(value).map(Some)
        })*
    };
}

impl Serializer for Open {
    type Ok = Part;
    type Error = Error;
    type SerializeSeq = Inside<Vec<Value>>;
    type SerializeTuple = Inside<Vec<Value>>;
    type SerializeTupleStruct = Inside<Vec<Value>>;
    type SerializeTupleVariant = Inside<Vec<Value>>;
    type SerializeMap = Inside<Map<String, Value>>;
    type SerializeStruct = Inside<Map<String, Value>>;
    type SerializeStructVariant = Inside<Map<String, Value>>;

    plain! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_f32: f32, serialize_f64: f64, serialize_char: char, serialize_str: &str,
        serialize_bytes: &[u8],
    }

    fn serialize_none(self) -> Result<Part, Error> {
        Ok(Some(Value::Null))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Part, Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Part, Error> {
        Ok(Some(Value::Null))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Part, Error> {
        Ok(Some(Value::Null))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Part, Error> {
        Ok(Some(variant.into()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Part, Error> {
        if name == SEALED { Ok(None) } else { value.serialize(self) }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Part, Error> {
        let mut inside = Inside::new(None, Map::new());
        inside.add(variant, value)?;
        Ok(inside.end(Value::Object))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        Ok(Inside::new(None, vec![]))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Ok(Inside::new(None, vec![]))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        Ok(Inside::new(None, vec![]))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Ok(Inside::new(Some(variant), vec![]))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        Ok(Inside::new(None, Map::new()))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Error> {
        Ok(Inside::new(None, Map::new()))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Ok(Inside::new(Some(variant), Map::new()))
    }
}

macro_rules! lists {
    ($($trait:ident $method:ident),*) => {
        $(impl $trait for Inside<Vec<Value>> {
            type Ok = Part;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.add(value)
            }

            fn end(self) -> Result<Part, Error> {
                Ok(Inside::end(self, Value::Array))
            }
        })*
    };
}

lists!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

macro_rules! objects {
    ($($trait:ident),*) => {
        $(impl $trait for Inside<Map<String, Value>> {
            type Ok = Part;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.add(key, value)
            }

            fn end(self) -> Result<Part, Error> {
                Ok(Inside::end(self, Value::Object))
            }
        })*
    };
}

objects!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Inside<Map<String, Value>> {
    type Ok = Part;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = match serde_json::to_value(key)? {
            Value::String(key) => key,
            Value::Number(key) => key.to_string(),
            _ => return Err(Error::custom("a key must be text")),
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = std::mem::take(&mut self.key);
        self.add(&key, value)
    }

    fn end(self) -> Result<Part, Error> {
        Ok(Inside::end(self, Value::Object))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;
    use serde_json::json;

    use super::*;
    use crate::keys::{AmountKey, Sealed, SealedAmount};
    use crate::money::{Currency, Money};

    #[derive(Serialize)]
    struct Unit;

    #[derive(Serialize)]
    struct Pair(u8, i64);

    #[derive(Serialize)]
    struct Whole<T> {
        own: Option<T>,
        list: Vec<Kind<T>>,
        map: BTreeMap<u32, T>,
        more: (T, char, Unit, Pair, Option<bool>, f64),
        #[serde(flatten)]
        flat: BTreeMap<String, T>,
    }

    #[derive(Serialize)]
    enum Kind<T> {
        Nothing,
        One(T),
        Two(T, u8),
        Fields { is: T, n: u8 },
    }

    fn whole<T: Clone>(value: &T) -> Whole<T> {
        let (a, b, c) = (value.clone(), value.clone(), value.clone());
        let of = |key| BTreeMap::from([(key, value.clone())]);
        Whole {
            own: Some(value.clone()),
            list: vec![Kind::Nothing, Kind::One(a), Kind::Two(b, 2), Kind::Fields { is: c, n: 3 }],
            map: of(7),
            more: (value.clone(), 'x', Unit, Pair(1, i64::MIN), None, 0.5),
            flat: BTreeMap::from([("flat".to_owned(), value.clone())]),
        }
    }

    #[test]
    fn what_is_not_sealed_is_as_in_json() {
        let open = whole(&"text");
        assert_eq!(open_part(&open).unwrap(), serde_json::to_value(&open).unwrap());
    }

    #[test]
    fn what_is_sealed_is_left_out_wherever_it_stands() {
        let rest = json!({
            "list": ["Nothing", {}, { "Two": [2] }, { "Fields": { "n": 3 } }], "map": {},
            "more": ["x", null, [1, i64::MIN], null, 0.5],
        });
        let amount = Money::new(5, Currency::from_code("GBP").unwrap()).unwrap();
        let amount: SealedAmount = AmountKey::new(&[1; 32]).seal(amount);
        assert_eq!(open_part(&whole(&Sealed::from_text("c2VhbGVk"))).unwrap(), rest);
        assert_eq!(open_part(&whole(&amount)).unwrap(), rest);
        assert_eq!(open_part(&amount).unwrap(), Value::Null);
    }
}
