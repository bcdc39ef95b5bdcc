//! Codes of categories and countries, however a feed writes them.

use std::borrow::Cow;

use super::raw::{Scalar, Slot};
use super::{malformed, text};
use crate::transaction::{Mcc, Personal, RowError};

/// A category is digits, by rights as a text; a feed that makes a number of it loses its zero.
pub(super) fn mcc(slot: &Slot<Scalar<'_>>) -> Result<Option<Personal<Mcc>>, RowError> {
    const FIELD: &str = "merchant.mcc";
    const DIGITS: &str = "must be three or four digits, such as \"5814\"";
    let text = match slot {
        Slot::Given(Scalar::Number(number)) => Some(Cow::Owned(number.to_string())),
        // 5814.0, -1, true.
        Slot::Given(Scalar::Other) => return Err(malformed(FIELD, DIGITS)),
        slot => text(FIELD, slot)?.map(Cow::Borrowed),
    };
    let Some(text) = text else {
        return Ok(None);
    };
    match Mcc::parse(text.trim()) {
        Some(mcc) => Ok(Some(Personal::new(mcc))),
        None => Err(malformed(FIELD, DIGITS)),
    }
}

pub(super) fn country(slot: &Slot<Scalar<'_>>) -> Result<Option<Personal<String>>, RowError> {
    const FIELD: &str = "merchant.country";
    let Some(text) = text(FIELD, slot)?.map(str::trim) else {
        return Ok(None);
    };
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        Ok(Some(Personal::new(text.to_ascii_uppercase())))
    } else {
        Err(malformed(FIELD, "must be two letters (ISO 3166-1 alpha-2)"))
    }
}
