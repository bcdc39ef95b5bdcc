//! Typed ids. Text from outside is 1–128 printable characters, not blank, without surrounding
//! space; hashes that name entries and transactions are fixed-size and shown as lower-case hex.

use std::fmt;

use aws_lc_rs::digest;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::text::{is_printable, was_printable};

/// The longest id, in characters.
pub const ID_CHARACTERS_MAX: usize = 128;

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty or only white space.
    #[error("must not be blank")]
    Blank,
    /// More than [`ID_CHARACTERS_MAX`] characters.
    #[error("must be at most {ID_CHARACTERS_MAX} characters")]
    TooLong,
    /// A control, bidirectional-override or other invisible character, or space at either end.
    #[error("must be printable characters without surrounding space")]
    Unprintable,
}

/// Checks the rules that every id keeps which enters the ledger.
pub fn check_id(text: &str) -> Result<(), IdError> {
    check(text, is_printable)
}

/// The rules that every id of a log keeps: earlier releases let characters pass that [`check_id`]
/// refuses.
fn check_known(text: &str) -> Result<(), IdError> {
    check(text, was_printable)
}

fn check(text: &str, is_printable: fn(char) -> bool) -> Result<(), IdError> {
    // Nearly every id is short ASCII; one pass over the bytes settles it.
    if text.len() <= ID_CHARACTERS_MAX && !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    if text.trim().is_empty() {
        return Err(IdError::Blank);
    }
    if text.chars().count() > ID_CHARACTERS_MAX {
        return Err(IdError::TooLong);
    }
    if text.trim().len() != text.len() || !text.chars().all(is_printable) {
        return Err(IdError::Unprintable);
    }
    Ok(())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(CompactString);

        impl $name {
            /// Reads an id that the ledger may have. One that enters it has to pass [`check_id`]
            /// too.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check_known(text).map(|()| $name(CompactString::new(text)))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                $name::parse(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = CompactString::deserialize(deserializer)?;
                check_known(&text).map_err(serde::de::Error::custom)?;
                Ok($name(text))
            }
        }
    };
}

text_id! {
    /// A customer's reward account: a pseudonym, never a name, an e-mail address or a card number.
    AccountId
}
text_id! {
    /// A feed of transactions; transaction ids are unique within it.
    Source
}
text_id! {
    /// A bank's own name for one statement line.
    TransactionId
}
text_id! {
    /// A campaign.
    CampaignId
}
text_id! {
    /// What a payout rail calls a payment it made.
    PayoutReference
}

macro_rules! hash_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Reads lower- or upper-case hex.
            pub fn from_hex(text: &str) -> Option<Self> {
                let mut bytes = [0; $bytes];
                hex::decode_to_slice(text, &mut bytes).ok().map(|()| $name(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut buffer = [0; $bytes * 2];
                hex::encode_to_slice(self.0, &mut buffer).expect("the buffer has twice the length");
                f.write_str(std::str::from_utf8(&buffer).expect("hex is ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut buffer = [0; $bytes * 2];
                hex::encode_to_slice(self.0, &mut buffer).expect("the buffer has twice the length");
                serializer.serialize_str(std::str::from_utf8(&buffer).expect("hex is ASCII"))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let read = |text: &str| {
                    $name::from_hex(text).ok_or(concat!("expected ", $bytes, " bytes in hex"))
                };
                crate::serde_text::read(deserializer, read)
            }
        }
    };
}

hash_id! {
    /// Names one draw: one transaction in one campaign. The idempotency key of all that follows
    /// from it.
    EntryId, 32
}
hash_id! {
    /// Names one statement line for ever: `SHA-256(LP(source) ‖ LP(transaction_id))`, first 16
    /// bytes.
    TransactionKey, 16
}
hash_id! {
    /// A keyed hash of a line's terms (`HMAC(index_key, …)`, first 16 bytes): equal terms compare
    /// equal, and nobody without the key can guess an amount from it.
    Fingerprint, 16
}
hash_id! {
    /// A merchant as one customer's lines know it: a hash under the account's own key, first 8
    /// bytes. It tells a merchant seen again, links no two customers, and means nothing once the
    /// key is destroyed.
    MerchantTag, 8
}
hash_id! {
    /// A SHA-256 digest.
    Digest, 32
}
hash_id! {
    /// A public beacon's signature of one round: a compressed point of BLS12-381's G1. Its SHA-256
    /// is the randomness.
    BeaconSignature, 48
}

impl TransactionKey {
    /// The key of the line that `source` calls `transaction_id`.
    pub fn of(source: &Source, transaction_id: &TransactionId) -> TransactionKey {
        let mut context = digest::Context::new(&digest::SHA256);
        update_lp(&mut context, source.as_str().as_bytes());
        update_lp(&mut context, transaction_id.as_str().as_bytes());
        let digest = context.finish();
        TransactionKey(digest.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// Feeds `LP(bytes)` to a hash: length as u32 big-endian, then the bytes.
pub fn update_lp(context: &mut digest::Context, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("no field is 4 GiB long");
    context.update(&length.to_be_bytes());
    context.update(bytes);
}

/// Appends `LP(bytes)`: length as u32 big-endian, then the bytes.
pub fn push_lp(buffer: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("no field is 4 GiB long");
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_printable_and_bounded() {
        assert!(AccountId::parse("cus_0001").is_ok());
        assert!(TransactionId::parse("TX/3 é").is_ok());
        assert_eq!(AccountId::parse(" \u{a0} "), Err(IdError::Blank));
        assert_eq!(AccountId::parse(""), Err(IdError::Blank));
        assert_eq!(AccountId::parse(&"é".repeat(129)), Err(IdError::TooLong));
        assert!(AccountId::parse(&"é".repeat(128)).is_ok());
        for bad in ["a\0b", "a\nb", " a", "a ", "a\u{202e}b", "a\u{200b}b", "a\u{7f}"] {
            assert_eq!(AccountId::parse(bad), Err(IdError::Unprintable), "{bad:?}");
            assert_eq!(check_id(bad), Err(IdError::Unprintable), "{bad:?}");
        }
        // Earlier releases took these: their logs are read, and nothing new is called so.
        for known in ["a\u{34f}", "a\u{fe0f}b", "\u{3164}a"] {
            assert!(serde_json::from_value::<AccountId>(known.into()).is_ok(), "{known:?}");
            assert_eq!(check_id(known), Err(IdError::Unprintable), "{known:?}");
        }
    }

    #[test]
    fn a_transaction_key_tells_where_the_source_ends() {
        let key = |s: &str, t: &str| TransactionKey::of(&s.parse().unwrap(), &t.parse().unwrap());
        assert_ne!(key("ab", "c"), key("a", "bc"));
        assert_eq!(key("a", "b"), key("a", "b"));
    }
}
