//! AES-256-GCM-SIV with a random nonce: `nonce ‖ ciphertext ‖ tag`. Chosen over GCM because a nonce
//! that comes twice (a cloned virtual machine) then shows no more than that two texts are equal.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rand;
use zeroize::Zeroizing;

/// A key ready for use. The library wipes its schedule when it is dropped.
pub(super) struct Cipher {
    seals: LessSafeKey,
    /// A key of its own for hashes, derived: no key has two uses.
    tags: hmac::Key,
}

pub(super) const TAG_LENGTH: usize = 16;

/// The one nonce of all amounts of an account: equal amounts then look equal, and nothing else
/// shows.
const AMOUNT_NONCE: [u8; NONCE_LEN] = *b"spent-amount";

impl Cipher {
    pub(super) fn new(key: &[u8; 32]) -> Cipher {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"rewardhub/tag-1");
        let tags = hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref());
        let key = UnboundKey::new(&AES_256_GCM_SIV, key).expect("the key has the algorithm's 32 bytes");
        Cipher { seals: LessSafeKey::new(key), tags }
    }

    /// HMAC-SHA256 under a key derived from this one.
    pub(super) fn tag(&self, text: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.tags, text);
        tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }

    /// Appends `nonce ‖ ciphertext ‖ tag` to `out`. Fails where the system has no randomness.
    pub(super) fn seal(
        &self,
        associated_data: &[u8],
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unspecified> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce)?;
        // Reserved at once: a buffer that moves would leave the text behind unwiped.
        out.reserve(NONCE_LEN + text.len() + TAG_LENGTH);
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(text);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag =
            self.seals.seal_in_place_separate_tag(nonce, Aad::from(associated_data), &mut out[start..])?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Takes `nonce ‖ ciphertext ‖ tag` apart; fails where a byte or the associated data differ.
    pub(super) fn open(
        &self,
        associated_data: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Unspecified)?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.seals.open_in_place(nonce, Aad::from(associated_data), &mut text)?.len();
        text.truncate(length);
        Ok(text)
    }

    /// Encrypts a short text in place, without a nonce beside it; answers its tag.
    pub(super) fn seal_amount(&self, text: &mut [u8]) -> [u8; TAG_LENGTH] {
        let nonce = Nonce::assume_unique_for_key(AMOUNT_NONCE);
        let tag = self.seals.seal_in_place_separate_tag(nonce, Aad::empty(), text);
        let tag = tag.expect("a few bytes are not too many for the algorithm");
        tag.as_ref().try_into().expect("GCM-SIV has tags of 16 bytes")
    }

    /// Decrypts `ciphertext ‖ tag` in place; fails where a byte differs.
    pub(super) fn open_amount<'a>(&self, sealed: &'a mut [u8]) -> Result<&'a [u8], Unspecified> {
        let nonce = Nonce::assume_unique_for_key(AMOUNT_NONCE);
        Ok(self.seals.open_in_place(nonce, Aad::empty(), sealed)?)
    }
}

/// A fresh key from the operating system's generator.
pub(super) fn random_key() -> Result<Zeroizing<[u8; 32]>, Unspecified> {
    let mut key = Zeroizing::new([0; 32]);
    rand::fill(&mut *key)?;
    Ok(key)
}
