//! One account's key at work: details that it seals, merchants that it tells apart, amounts that it
//! remembers.
//!
//! A [`SealedAmount`] is `ciphertext ‖ tag` of `minor (i64, big-endian) ‖ currency`, by
//! AES-256-GCM-SIV. The nonce is always the same, so a sealed amount stores none. Equal amounts of
//! an account look equal; the fingerprints beside them show as much for each of its bank accounts.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::cipher::{Cipher, TAG_LENGTH};
use super::open::SEALED;
use super::{Details, SealError, Sealed};
use crate::ids::{AccountId, MerchantTag, Source, TransactionId, push_lp};
use crate::money::{Currency, Money};

/// The key of one account, which [`Keyring::ensure`](super::Keyring::ensure) has made.
pub struct AccountKey {
    account: AccountId,
    cipher: Arc<Cipher>,
}

impl AccountKey {
    pub(super) fn new(account: &AccountId, cipher: Arc<Cipher>) -> AccountKey {
        AccountKey { account: account.clone(), cipher }
    }

    /// Seals a line's details.
    pub fn seal_details(
        &self,
        source: &Source,
        transaction_id: &TransactionId,
        details: &Details,
    ) -> Result<Sealed, SealError> {
        let owner = self.owner();
        Sealed::seal(&self.cipher, [&owner, source.as_str(), transaction_id.as_str()], &details.to_bytes())
    }

    /// The details of a line that was sealed under it.
    pub fn open_details(
        &self,
        source: &Source,
        transaction_id: &TransactionId,
        sealed: &Sealed,
    ) -> Result<Details, SealError> {
        let owner = self.owner();
        let bytes = sealed.open(&self.cipher, [&owner, source.as_str(), transaction_id.as_str()])?;
        Details::from_bytes(&bytes).ok_or(SealError::Damaged)
    }

    /// A hash of a merchant under this key: nobody can tell from it who the merchant is, or that
    /// two customers have been at the same one. Merchants' ids are those of their source.
    pub fn merchant_tag(&self, source: &Source, merchant_id: &str) -> MerchantTag {
        let mut merchant = Zeroizing::new(Vec::with_capacity(256));
        push_lp(&mut merchant, source.as_str().as_bytes());
        push_lp(&mut merchant, merchant_id.as_bytes());
        let tag = self.cipher.tag(&merchant);
        MerchantTag(*tag.first_chunk().expect("HMAC-SHA256 has 32 bytes"))
    }

    /// What seals and opens this account's amounts, and nothing else.
    pub fn amounts(&self) -> AmountKey {
        AmountKey(Arc::clone(&self.cipher))
    }

    fn owner(&self) -> String {
        format!("account:{}", self.account)
    }
}

/// Seals and opens the amounts of one account. It enters the account's commands, as an epoch's key
/// does.
#[derive(Clone)]
pub struct AmountKey(Arc<Cipher>);

impl fmt::Debug for AmountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

/// `minor ‖ currency`.
const AMOUNT_LENGTH: usize = 8 + 3;
const SEALED_LENGTH: usize = AMOUNT_LENGTH + TAG_LENGTH;

impl AmountKey {
    /// A key of one's own, for amounts that never leave the process.
    pub fn new(key: &[u8; 32]) -> AmountKey {
        AmountKey(Arc::new(Cipher::new(key)))
    }

    /// Seals an amount. The same amount always gives the same bytes.
    pub fn seal(&self, amount: Money) -> SealedAmount {
        let mut sealed = [0; SEALED_LENGTH];
        let (text, tag) = sealed.split_at_mut(AMOUNT_LENGTH);
        text[..8].copy_from_slice(&amount.minor().to_be_bytes());
        text[8..].copy_from_slice(amount.currency().code().as_bytes());
        tag.copy_from_slice(&self.0.seal_amount(text));
        SealedAmount(sealed)
    }

    /// The amount; `None` where it was changed, or belongs to another account.
    pub fn open(&self, sealed: &SealedAmount) -> Option<Money> {
        let mut bytes = Zeroizing::new(sealed.0);
        let text = self.0.open_amount(&mut *bytes).ok()?;
        let (minor, currency) = text.split_first_chunk()?;
        let currency = Currency::recorded(std::str::from_utf8(currency).ok()?)?;
        Money::new(i64::from_be_bytes(*minor), currency).ok()
    }
}

/// The amount of a purchase, sealed by itself under its account's key, in base64. Means nothing
/// once the key is destroyed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SealedAmount([u8; SEALED_LENGTH]);

impl fmt::Debug for SealedAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[sealed]")
    }
}

impl Serialize for SealedAmount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; SEALED_LENGTH.div_ceil(3) * 4];
        let length = STANDARD_NO_PAD.encode_slice(self.0, &mut text).expect("the buffer has room for it");
        let text = std::str::from_utf8(&text[..length]).expect("base64 is ASCII");
        serializer.serialize_newtype_struct(SEALED, text)
    }
}

impl<'de> Deserialize<'de> for SealedAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::serde_text::read(deserializer, |text| {
            let mut sealed = [0; SEALED_LENGTH];
            match STANDARD_NO_PAD.decode_slice(text, &mut sealed) {
                Ok(SEALED_LENGTH) => Ok(SealedAmount(sealed)),
                _ => Err(format!("expected {SEALED_LENGTH} bytes in base64")),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gbp(minor: i64) -> Money {
        Money::new(minor, Currency::from_code("GBP").unwrap()).unwrap()
    }

    #[test]
    fn an_amount_opens_under_its_own_key_only_and_unchanged() {
        let key = AmountKey::new(&[1; 32]);
        for minor in [1, 12_50, i64::MAX] {
            let sealed = key.seal(gbp(minor));
            assert_eq!(key.open(&sealed), Some(gbp(minor)));
            assert_eq!(sealed, key.seal(gbp(minor)));
            assert_eq!(AmountKey::new(&[2; 32]).open(&sealed), None);
            for index in 0..SEALED_LENGTH {
                let mut changed = sealed;
                changed.0[index] ^= 1;
                assert_eq!(key.open(&changed), None, "byte {index}");
            }
        }
        assert_ne!(key.seal(gbp(1)), key.seal(gbp(2)));
        assert_ne!(key.seal(gbp(1)), key.seal(Money::new(1, Currency::from_code("JPY").unwrap()).unwrap()));
    }

    #[test]
    fn an_amount_is_36_characters_in_an_event() {
        let sealed = AmountKey::new(&[1; 32]).seal(gbp(12_50));
        let text = serde_json::to_string(&sealed).unwrap();
        assert_eq!(text.len(), 36 + 2);
        assert_eq!(serde_json::from_str::<SealedAmount>(&text).unwrap(), sealed);
        for wrong in ["\"\"", "\"AAAA\"", "\"?\"", "7"] {
            assert!(serde_json::from_str::<SealedAmount>(wrong).is_err(), "{wrong}");
        }
    }
}
