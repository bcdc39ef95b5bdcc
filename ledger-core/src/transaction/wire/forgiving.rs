//! Free texts: half a surrogate pair in them is no reason to lose a draw.

use std::borrow::Cow;
use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::raw::Scalar;

/// The text of a JSON value in which half a surrogate pair is no fault: it becomes U+FFFD.
pub(super) fn forgiving_text(json: &RawValue) -> Scalar<'_> {
    let json = json.get();
    match json.as_bytes().first() {
        Some(b'n') => Scalar::Null,
        Some(b'"') if !json.contains('\\') => Scalar::Text(Cow::Borrowed(json.trim_matches('"'))),
        Some(b'"') => {
            serde_json::from_str(json).map_or(Scalar::Other, |Forgiven(text)| Scalar::Text(Cow::Owned(text)))
        }
        Some(_) | None => Scalar::Other,
    }
}

struct Forgiven(String);

impl<'de> Deserialize<'de> for Forgiven {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Forgiven, D::Error> {
        deserializer.deserialize_bytes(ForgivingVisitor)
    }
}

struct ForgivingVisitor;

impl Visitor<'_> for ForgivingVisitor {
    type Value = Forgiven;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    /// As bytes `serde_json` lets half a pair through, in three bytes that UTF-8 does not have.
    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Forgiven, E> {
        let mut bytes = bytes.to_vec();
        for at in 0..bytes.len() {
            if let [0xED, 0xA0..=0xBF, _, ..] = &bytes[at..] {
                bytes[at..at + 3].copy_from_slice("\u{FFFD}".as_bytes());
            }
        }
        Ok(Forgiven(String::from_utf8_lossy(&bytes).into_owned()))
    }
}
