//! Card numbers have no place here: they are masked in free text and refused in ids, before
//! anything is stored.
//!
//! A card number (PAN, ISO/IEC 7812-1) is 13 to 19 digits that start with a network's issuer
//! prefix, have one of that network's lengths and end in a Luhn check digit (ISO/IEC 7812-1, Annex
//! B). Digits of any script count, zeros before the number do not, and neither does what nobody
//! sees. Whatever is no letter and no digit may stand between groups.
//!
//! Prefix, length and check digit together let about one in thirty random 16-digit numbers through,
//! so a false alarm is possible: a bank whose ids are plain numbers that look like cards must put a
//! letter right before them.

mod digits;
mod networks;

use std::borrow::Cow;
use std::ops::Range;

use iban::Iban;

pub(crate) use self::digits::digit;
pub use self::networks::NETWORKS_VERSION;
use self::networks::{DIGITS_MAX, DIGITS_MIN, is_issued};
use crate::text::is_ignorable;

/// Shortest group in which cards print their number (4-6-5, 4-3-3-3, 4-4-4-4-3). Shorter groups are
/// dates and sort codes (`30-96-26 12345678`), unless one and the same sign stands between all of
/// them or all are as short.
const GROUP_DIGITS_MIN: usize = 3;
/// The most characters between two groups of one number.
const GAP_CHARACTERS_MAX: usize = 16;

/// Whether free text holds a card number. Letters end a run like any other character, so
/// `CARD4111…` is found.
///
/// A run inside a valid IBAN (ISO 13616) is a bank account, not a card.
pub fn contains_pan(text: &str) -> bool {
    !cards(text).is_empty()
}

/// Whether a text holds a card number or is one, whatever stands between its digits.
pub(crate) fn holds_pan(text: &str) -> bool {
    has_digits_enough(text) && (is_one_number(text) || contains_pan(text))
}

/// The text with an asterisk for each digit of a card number in it.
pub fn mask(text: &str) -> Cow<'_, str> {
    let cards = cards(text);
    if cards.is_empty() {
        return Cow::Borrowed(text);
    }
    let hides = |at: usize, c: char| digit(c).is_some() && cards.iter().any(|card| card.contains(&at));
    Cow::Owned(text.char_indices().map(|(at, c)| if hides(at, c) { '*' } else { c }).collect())
}

/// Whether an id is a card number, however it is written, or has one that stands by itself:
/// `card-4111…`. A number right beside a letter is part of a word.
pub fn is_pan(text: &str) -> bool {
    let is_part_of_a_word = |card: &Range<usize>| {
        text[..card.start].ends_with(char::is_alphabetic) || text[card.end..].starts_with(char::is_alphabetic)
    };
    has_digits_enough(text)
        && (is_one_number(text) || cards(text).iter().any(|card| !is_part_of_a_word(card)))
}

/// Most texts have few digits; one pass over the bytes settles them.
fn has_digits_enough(text: &str) -> bool {
    text.len() >= DIGITS_MIN
        && text.bytes().filter(|byte| byte.is_ascii_digit() || *byte >= 0xC2).count() >= DIGITS_MIN
}

/// Whether the whole text is a card number with whatever signs between its digits.
fn is_one_number(text: &str) -> bool {
    let mut number = Number::default();
    let mut others = text.chars().filter(|c| !is_ignorable(*c)).filter_map(|c| match digit(c) {
        Some(digit) => (!number.push(digit)).then_some(()),
        None => c.is_alphanumeric().then_some(()),
    });
    others.next().is_none() && number.is_a_card()
}

/// Up to 19 digits without an allocation; zeros before them do not count.
#[derive(Default)]
struct Number {
    digits: [u8; DIGITS_MAX],
    length: usize,
}

impl Number {
    /// False when there are too many already.
    fn push(&mut self, digit: u8) -> bool {
        if digit == 0 && self.length == 0 {
            return true;
        }
        let Some(place) = self.digits.get_mut(self.length) else {
            return false;
        };
        *place = digit;
        self.length += 1;
        true
    }

    fn is_a_card(&self) -> bool {
        let digits = &self.digits[..self.length];
        self.length >= DIGITS_MIN && is_issued(digits) && has_luhn_digit(digits)
    }
}

/// Every second digit from the right doubled, nines cast out: the sum ends in zero.
fn has_luhn_digit(digits: &[u8]) -> bool {
    let weigh = |(place, digit): (usize, &u8)| match u32::from(*digit) {
        value if place % 2 == 0 => value,
        value if value < 5 => value * 2,
        value => value * 2 - 9,
    };
    digits.iter().rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
}

/// A maximal run of digits, and what joins the next one to it.
struct Group<'t> {
    range: Range<usize>,
    digits: usize,
    joint: Option<&'t str>,
}

fn groups(text: &str) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::with_capacity(4);
    // Whether only what may stand inside a number has come since the last digit.
    let mut goes_on = false;
    for (at, c) in text.char_indices().filter(|(_, c)| !is_ignorable(*c)) {
        if digit(c).is_none() {
            goes_on &= !c.is_alphanumeric();
            continue;
        }
        let end = at + c.len_utf8();
        let between = groups.last().map(|group| &text[group.range.end..at]);
        match (groups.last_mut(), between) {
            (Some(group), Some(between))
                if goes_on && (between.is_empty() || between.chars().all(is_ignorable)) =>
            {
                group.range.end = end;
                group.digits += 1;
            }
            (last, between) => {
                if let Some(group) = last {
                    let fits = |between: &&str| between.chars().count() <= GAP_CHARACTERS_MAX;
                    group.joint = between.filter(|_| goes_on).filter(fits);
                }
                groups.push(Group { range: at..end, digits: 1, joint: None });
            }
        }
        goes_on = true;
    }
    groups
}

/// Where card numbers are.
fn cards(text: &str) -> Vec<Range<usize>> {
    if !has_digits_enough(text) {
        return vec![];
    }
    let groups = groups(text);
    let found = (0..groups.len()).filter_map(|first| card_at(text, &groups[first..]));
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return found;
    }
    let ibans = iban_ranges(text);
    let is_account =
        |card: &Range<usize>| ibans.iter().any(|iban| iban.start <= card.start && card.end <= iban.end);
    found.into_iter().filter(|card| !is_account(card)).collect()
}

/// Where the card number is that begins with the first of these groups.
fn card_at(text: &str, groups: &[Group<'_>]) -> Option<Range<usize>> {
    let mut number = Number::default();
    // Groups as long as a card's, or all shorter, may be apart by anything, others by one and the
    // same sign.
    let (mut all_long, mut joint) = (true, None);
    let (mut all_alike, mut all_short) = (true, true);
    // Digits that cannot be enough are not looked at.
    let joined = 1 + groups.iter().take_while(|group| group.joint.is_some()).count();
    if groups.iter().take(joined).map(|group| group.digits).sum::<usize>() < DIGITS_MIN {
        return None;
    }
    for group in groups {
        let range = group.range.clone();
        if !text[range].chars().filter_map(digit).all(|digit| number.push(digit)) {
            return None;
        }
        all_long &= group.digits >= GROUP_DIGITS_MIN;
        all_short &= group.digits < GROUP_DIGITS_MIN;
        if !all_long && !all_alike && !all_short {
            return None;
        }
        if number.is_a_card() {
            return Some(groups[0].range.start..group.range.end);
        }
        let next = group.joint?;
        all_alike &= joint.is_none_or(|joint| joint == next);
        joint = Some(next);
    }
    None
}

/// Where valid IBANs are, plain or in groups.
fn iban_ranges(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let starts_iban = |at: &usize| {
        let at = *at;
        (at == 0 || !bytes[at - 1].is_ascii_alphanumeric())
            && bytes[at..].first_chunk::<4>().is_some_and(|[a, b, c, d]| {
                a.is_ascii_uppercase() && b.is_ascii_uppercase() && c.is_ascii_digit() && d.is_ascii_digit()
            })
    };
    (0..bytes.len())
        .filter(starts_iban)
        .filter_map(|start| iban_end(bytes, start).map(|end| start..end))
        .collect()
}

/// Where the IBAN ends that starts here. The shortest (Norway) has 15 characters, the longest
/// allowed 34.
fn iban_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut plain = String::with_capacity(34);
    for (at, &byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b' ' | b'-' => continue,
            b'0'..=b'9' | b'A'..=b'Z' if plain.len() < 34 => plain.push(char::from(byte)),
            _ => return None,
        }
        let ends_here = !bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric);
        if plain.len() >= 15 && ends_here && plain.parse::<Iban>().is_ok() {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests;
