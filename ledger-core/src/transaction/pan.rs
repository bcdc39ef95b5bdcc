//! Card numbers have no place here: they are refused before anything is stored.
//!
//! A card number (PAN, ISO/IEC 7812-1) is 13 to 19 digits that start with a network's issuer prefix, have
//! one of that network's lengths and end in a Luhn check digit (ISO/IEC 7812-1, Annex B). Prefix, length
//! and check digit together let about one in fifty random 16-digit numbers through, so a false alarm is
//! possible: a bank whose ids are plain numbers that look like cards must prefix them with a letter.

use std::ops::{Range, RangeInclusive};

use iban::Iban;

const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;

/// Shortest group in which cards print their number (4-6-5, 4-3-3-3, 4-4-4-4-3). Shorter groups are dates
/// and sort codes: `30-96-26 12345678` is a British bank account.
const GROUP_DIGITS_MIN: usize = 3;

/// Whether free text holds a card number: a run of digits, plain or in groups set apart by one space or
/// hyphen each. Letters end a run like any other character, so `CARD4111…` is found.
///
/// A run inside a valid IBAN (ISO 13616) is a bank account, not a card.
pub fn contains_pan(text: &str) -> bool {
    // Most texts have few digits; one pass over the bytes settles them.
    if text.bytes().filter(u8::is_ascii_digit).count() < DIGITS_MIN {
        return false;
    }
    let groups = digit_groups(text);
    let mut ibans = None;
    (0..groups.len()).filter_map(|first| card_at(text, &groups[first..])).any(|card| {
        let ibans: &Vec<Range<usize>> = ibans.get_or_insert_with(|| iban_ranges(text));
        !ibans.iter().any(|iban| iban.start <= card.start && card.end <= iban.end)
    })
}

/// Whether an id as a whole, without its spaces and hyphens, is a card number.
pub fn is_pan(text: &str) -> bool {
    let mut digits = Digits::default();
    text.chars().filter(|c| !is_separator(*c)).all(|c| c.is_ascii_digit() && digits.push(c as u8))
        && digits.are_a_card()
}

/// Up to 19 digits without an allocation.
#[derive(Default)]
struct Digits {
    bytes: [u8; DIGITS_MAX],
    length: usize,
}

impl Digits {
    /// False when there are too many already.
    fn push(&mut self, digit: u8) -> bool {
        let Some(place) = self.bytes.get_mut(self.length) else {
            return false;
        };
        *place = digit;
        self.length += 1;
        true
    }

    fn are_a_card(&self) -> bool {
        let digits = &self.bytes[..self.length];
        self.length >= DIGITS_MIN && has_issuer_prefix(digits) && has_luhn_digit(digits)
    }
}

/// Networks by the first four digits and the lengths they issue. Maestro's wide 50 and 56–69 are narrowed
/// to the prefixes in use, Diners' 30 to 300–305 and 3095: the rest would mostly hit bank accounts.
const NETWORKS: &[(RangeInclusive<u32>, RangeInclusive<usize>)] = &[
    (4000..=4999, 13..=13), // Visa
    (4000..=4999, 16..=16),
    (4000..=4999, 19..=19),
    (5100..=5599, 16..=16), // Mastercard
    (2221..=2720, 16..=16),
    (3400..=3499, 15..=15), // American Express
    (3700..=3799, 15..=15),
    (6011..=6011, 16..=19), // Discover
    (6440..=6599, 16..=19),
    (3000..=3059, 14..=14), // Diners Club
    (3095..=3095, 14..=14),
    (3600..=3699, 14..=14),
    (3800..=3999, 14..=14),
    (3528..=3589, 16..=19), // JCB
    (6200..=6299, 16..=19), // UnionPay
    (2200..=2204, 16..=19), // Mir
    (5018..=5018, 13..=19), // Maestro
    (5020..=5020, 13..=19),
    (5038..=5038, 13..=19),
    (5893..=5893, 13..=19),
    (6304..=6304, 13..=19),
    (6759..=6759, 13..=19),
    (6761..=6763, 13..=19),
];

fn has_issuer_prefix(digits: &[u8]) -> bool {
    let prefix = digits[..4].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    NETWORKS.iter().any(|(prefixes, lengths)| prefixes.contains(&prefix) && lengths.contains(&digits.len()))
}

/// Every second digit from the right doubled, nines cast out: the sum ends in zero.
fn has_luhn_digit(digits: &[u8]) -> bool {
    let weigh = |(place, digit): (usize, &u8)| match u32::from(digit - b'0') {
        value if place % 2 == 0 => value,
        value if value < 5 => value * 2,
        value => value * 2 - 9,
    };
    digits.iter().rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
}

/// A maximal run of digits, and whether a single space or hyphen joins the next one to it.
struct Group {
    range: Range<usize>,
    joined: bool,
}

fn digit_groups(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut separators_end = None;
    for (at, c) in text.char_indices() {
        if c.is_ascii_digit() {
            match groups.last_mut() {
                Some(group) if group.range.end == at => group.range.end += 1,
                last => {
                    if let Some(group) = last {
                        group.joined = separators_end == Some(at);
                    }
                    groups.push(Group { range: at..at + 1, joined: false });
                }
            }
        } else if is_separator(c) && groups.last().is_some_and(|group| group.range.end == at) {
            separators_end = Some(at + c.len_utf8());
        }
    }
    groups
}

/// Spaces and hyphens, the typographic ones too: texts are copied from letters and web pages.
fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '\u{a0}' | '\u{202f}' | '\u{2010}'..='\u{2015}')
}

/// Where the card number is that begins with the first of these groups.
fn card_at(text: &str, groups: &[Group]) -> Option<Range<usize>> {
    let mut digits = Digits::default();
    for group in groups {
        let range = group.range.clone();
        let fits =
            range.len() >= GROUP_DIGITS_MIN && text.as_bytes()[range].iter().all(|digit| digits.push(*digit));
        if !fits {
            return None;
        }
        if digits.are_a_card() {
            return Some(groups[0].range.start..group.range.end);
        }
        if !group.joined {
            return None;
        }
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

/// Where the IBAN ends that starts here. The shortest (Norway) has 15 characters, the longest allowed 34.
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
mod tests {
    use super::*;

    /// Test numbers the networks publish.
    const CARDS: &[&str] = &[
        "4111111111111111",
        "4222222222222",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "341111111111111",
        "6011111111111117",
        "30569309025904",
        "36700102000000",
        "3530111333300000",
        "6200000000000005",
        "6759649826438453",
    ];

    #[test]
    fn every_networks_card_is_found_wherever_it_stands() {
        for card in CARDS {
            assert!(is_pan(card), "{card}");
            for text in [
                (*card).to_owned(),
                format!("CARD{card}"),
                format!("2026-11-22 {card} 99"),
                format!("paid with {card}, thanks"),
                format!("é{card}é"),
            ] {
                assert!(contains_pan(&text), "{text}");
            }
        }
    }

    #[test]
    fn grouped_cards_are_found() {
        for text in [
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "3782 822463 10005",
            "4222-222-222-222",
            "on 2026-11-22 4111 1111 1111 1111 exp 12/29",
            "4111\u{a0}1111\u{2011}1111\u{a0}1111",
            "1234 4111 1111 1111 1111 1234",
        ] {
            assert!(contains_pan(text), "{text}");
        }
        assert!(is_pan("4111-1111 1111 1111"));
        assert!(is_pan("41-11-1111-11111111"), "an id is judged without its hyphens");
    }

    #[test]
    fn any_other_digit_breaks_the_check_digit() {
        for card in CARDS {
            for place in 6..card.len() {
                let mut changed = card.as_bytes().to_vec();
                changed[place] = b'0' + (changed[place] - b'0' + 1) % 10;
                assert!(!contains_pan(std::str::from_utf8(&changed).unwrap()), "{card} at {place}");
            }
        }
    }

    #[test]
    fn numbers_that_are_no_cards_pass() {
        for text in [
            "",
            "COFFEE HOUSE LONDON",
            "4111  1111  1111  1111",
            "4111.1111.1111.1111",
            "94111111111111111",
            "41111111111111110000",
            "1234567890123452",
            "+44 20 7946 0018 0000",
            "2026-11-22T10:15:00.000000000",
            "30-56-93 09025904",
        ] {
            assert!(!contains_pan(text), "{text}");
        }
        for id in [
            "7f3c4111111111111111",
            "tx-4111111111111111",
            "",
            "----",
            "411111111111111",
            "４１１１１１１１１１１１１１１１",
        ] {
            assert!(!is_pan(id), "{id}");
        }
    }

    /// An IBAN of Germany's length (22) around a Visa number, with its ISO 7064 check digits computed.
    fn german_iban_around(account: &str) -> String {
        let remainder =
            format!("{account}131400").bytes().fold(0, |r, digit| (r * 10 + u32::from(digit - b'0')) % 97);
        format!("DE{:02}{account}", 98 - remainder)
    }

    #[test]
    fn a_valid_iban_is_no_card_but_a_broken_one_may_be() {
        let groups = |plain: &str| {
            plain
                .as_bytes()
                .chunks(4)
                .map(|four| std::str::from_utf8(four).unwrap())
                .collect::<Vec<_>>()
                .join(" ")
        };
        // Grouped in fours, the sixteen digits after the check digits read as a Visa card.
        let iban = groups(&german_iban_around("411111111111111100"));
        assert!(iban.parse::<Iban>().is_ok(), "{iban}");
        assert!(iban.contains("4111 1111 1111 1111"));
        assert!(!contains_pan(&iban));
        assert!(!contains_pan(&format!("FROM {iban} TO ME")));
        assert!(
            contains_pan(&format!("{iban} 5555 5555 5555 4444")),
            "a card beside an IBAN is still a card"
        );
        assert!(contains_pan(&iban.replace("1100", "1101").replacen("DE", "XX", 1)));
        assert!(!contains_pan("GB29NWBK60161331926819"));
    }
}
