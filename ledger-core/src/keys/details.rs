//! What is personal about a transaction, as one value that is sealed and forgotten together.
//!
//! Its bytes are compact JSON with short keys: `a` amount in minor units, `c` currency, `d`
//! direction (`debit`, `credit`), `f` from account, `t` to account, `x` description, `m` merchant
//! (`i` id, `n` name, `c` category, `k` country), `r` refund of. Absent fields are left out,
//! unknown ones passed over.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{AmountKey, SealedAmount};
use crate::ids::TransactionId;
use crate::money::{Currency, Money};
use crate::transaction::{Direction, Mcc, Merchant, Personal, Transaction};

/// The sealed part of a transaction. `Debug` shows nothing personal.
#[derive(Clone, PartialEq, Eq)]
pub struct Details {
    /// From zero.
    pub amount: Personal<Money>,
    /// Which way the money went.
    pub direction: Direction,
    /// The bank account money left.
    pub from_account: Option<Personal<String>>,
    /// The bank account money reached.
    pub to_account: Option<Personal<String>>,
    /// What the statement says.
    pub description: Option<Personal<String>>,
    /// Who was paid.
    pub merchant: Option<Merchant>,
    /// The purchase this line gives back.
    pub refund_of: Option<TransactionId>,
}

impl std::fmt::Debug for Details {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[details]")
    }
}

impl Details {
    /// The details of this line.
    pub fn of(transaction: &Transaction) -> Details {
        Details {
            amount: transaction.amount.clone(),
            direction: transaction.direction,
            from_account: transaction.from_account.clone(),
            to_account: transaction.to_account.clone(),
            description: transaction.description.clone(),
            merchant: transaction.merchant.clone(),
            refund_of: transaction.refund_of.clone(),
        }
    }

    /// What a line keeps apart from them: the amount of a purchase, which every debit is but a
    /// refund.
    pub fn spent(&self, key: &AmountKey) -> Option<SealedAmount> {
        let is_purchase = self.direction.is_purchase(self.refund_of.is_some());
        is_purchase.then(|| key.seal(*self.amount.expose()))
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let fields = Fields {
            amount_minor: self.amount.expose().minor(),
            currency: self.amount.expose().currency(),
            direction: self.direction,
            from_account: text(self.from_account.as_ref()),
            to_account: text(self.to_account.as_ref()),
            description: text(self.description.as_ref()),
            merchant: self.merchant.as_ref().map(|merchant| MerchantFields {
                id: text(merchant.id.as_ref()),
                name: text(merchant.name.as_ref()),
                mcc: merchant.mcc.as_ref().map(|mcc| mcc.expose().to_string()),
                country: text(merchant.country.as_ref()),
            }),
            refund_of: self.refund_of.as_ref().map(TransactionId::as_str),
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
        serde_json::to_writer(&mut *bytes, &fields).expect("texts and numbers always become JSON");
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Details> {
        let fields: Fields<String> = serde_json::from_slice(bytes).ok()?;
        let mcc = |text: String| Mcc::parse(&text).map(Personal::new);
        Some(Details {
            amount: Personal::new(Money::new(fields.amount_minor, fields.currency).ok()?),
            direction: fields.direction,
            from_account: fields.from_account.map(Personal::new),
            to_account: fields.to_account.map(Personal::new),
            description: fields.description.map(Personal::new),
            merchant: fields.merchant.map(|merchant| Merchant {
                id: merchant.id.map(Personal::new),
                name: merchant.name.map(Personal::new),
                mcc: merchant.mcc.and_then(mcc),
                country: merchant.country.map(Personal::new),
            }),
            refund_of: fields.refund_of.map(|id| TransactionId::parse(&id)).transpose().ok()?,
        })
    }
}

fn text(value: Option<&Personal<String>>) -> Option<&str> {
    value.map(|value| value.expose().as_str())
}

/// `T` is `&str` on the way out, `String` on the way in.
#[derive(Serialize, Deserialize)]
struct Fields<T> {
    #[serde(rename = "a")]
    amount_minor: i64,
    #[serde(rename = "c")]
    currency: Currency,
    #[serde(rename = "d")]
    direction: Direction,
    #[serde(rename = "f", default = "none", skip_serializing_if = "Option::is_none")]
    from_account: Option<T>,
    #[serde(rename = "t", default = "none", skip_serializing_if = "Option::is_none")]
    to_account: Option<T>,
    #[serde(rename = "x", default = "none", skip_serializing_if = "Option::is_none")]
    description: Option<T>,
    #[serde(rename = "m", default = "none", skip_serializing_if = "Option::is_none")]
    merchant: Option<MerchantFields<T>>,
    #[serde(rename = "r", default = "none", skip_serializing_if = "Option::is_none")]
    refund_of: Option<T>,
}

#[derive(Serialize, Deserialize)]
struct MerchantFields<T> {
    #[serde(rename = "i", default = "none", skip_serializing_if = "Option::is_none")]
    id: Option<T>,
    #[serde(rename = "n", default = "none", skip_serializing_if = "Option::is_none")]
    name: Option<T>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    mcc: Option<String>,
    #[serde(rename = "k", default = "none", skip_serializing_if = "Option::is_none")]
    country: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_release_adds_is_passed_over() {
        let bytes = br#"{"a":5,"c":"GBP","d":"credit","f":"x","later":{"y":1},"m":{"c":"0012","z":0}}"#;
        let details = Details::from_bytes(bytes).unwrap();
        assert_eq!(details.merchant.as_ref().unwrap().mcc, Mcc::parse("0012").map(Personal::new));
        let again = details.to_bytes();
        assert_eq!(again.as_slice(), br#"{"a":5,"c":"GBP","d":"credit","f":"x","m":{"c":"0012"}}"#);
    }

    #[test]
    fn what_is_no_money_is_no_details() {
        assert!(Details::from_bytes(br#"{"a":-5,"c":"GBP","d":"credit","f":"x"}"#).is_none());
        assert!(Details::from_bytes(b"").is_none());
    }
}
