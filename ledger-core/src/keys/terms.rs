//! The terms of a line as fingerprints compare them: the customer's bank account, direction,
//! amount, currency.

use std::sync::Arc;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::ids::{Fingerprint, push_lp};
use crate::transaction::{Direction, Personal, Transaction, bank_account};

/// The version of the fingerprints that are made now: over the account's canonical form.
pub const FINGERPRINT_VERSION: u8 = 2;
/// Over the account as the bank spelt it. Events that name no version have this one.
pub const FINGERPRINT_VERSION_FIRST: u8 = 1;

const FIRST: &[u8] = b"rewardhub/fingerprint-1/";
const NOW: &[u8] = b"rewardhub/fingerprint-2/";

/// One line's terms, and the key that makes fingerprints of them.
#[derive(Clone, Debug)]
pub struct LineTerms {
    index_key: Arc<hmac::Key>,
    own_account: Personal<String>,
    rest: Personal<Vec<u8>>,
}

impl LineTerms {
    pub(super) fn of(index_key: &Arc<hmac::Key>, transaction: &Transaction) -> LineTerms {
        let direction = match transaction.direction {
            Direction::Debit => "debit",
            Direction::Credit => "credit",
        };
        let amount = transaction.amount.expose();
        let mut rest = Vec::with_capacity(32);
        push_lp(&mut rest, direction.as_bytes());
        rest.extend_from_slice(&amount.minor().to_be_bytes());
        push_lp(&mut rest, amount.currency().code().as_bytes());
        let own_account = transaction.own_account().map_or("", |account| account.expose()).to_owned();
        let (own_account, rest) = (Personal::new(own_account), Personal::new(rest));
        LineTerms { index_key: Arc::clone(index_key), own_account, rest }
    }

    /// The terms' fingerprint, of [`FINGERPRINT_VERSION`].
    pub fn fingerprint(&self) -> Fingerprint {
        self.tag(NOW, &bank_account::canonical(self.own_account.expose()))
    }

    /// Whether an earlier release may have made this fingerprint of the same terms, in another
    /// spelling of the account.
    pub(crate) fn were(&self, known: Fingerprint) -> bool {
        let made = |spelling: &str| self.tag(FIRST, spelling);
        bank_account::older_spellings(self.own_account.expose())
            .iter()
            .any(|spelling| made(spelling) == known)
    }

    /// What the first releases made of them; tests write such history.
    pub fn first_fingerprint(&self) -> Fingerprint {
        self.tag(FIRST, self.own_account.expose())
    }

    fn tag(&self, domain: &[u8], own_account: &str) -> Fingerprint {
        let mut terms = Zeroizing::new(Vec::with_capacity(256));
        terms.extend_from_slice(domain);
        push_lp(&mut terms, own_account.as_bytes());
        terms.extend_from_slice(self.rest.expose());
        let tag = hmac::sign(&self.index_key, &terms);
        Fingerprint(tag.as_ref()[..16].try_into().expect("HMAC-SHA256 has 32 bytes"))
    }
}
