//! What is a card number, in whatever disguise, and what is none.

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

/// Each network's own, with its check digit computed.
#[test]
fn the_networks_of_today_are_known() {
    for (name, prefix, length) in [
        ("RuPay", "508500", 16),
        ("RuPay", "607000", 16),
        ("RuPay", "652150", 16),
        ("RuPay", "817200", 16),
        ("RuPay", "820000", 16),
        ("Elo", "401178", 16),
        ("Elo", "504175", 16),
        ("Elo", "506699", 16),
        ("Elo", "509000", 16),
        ("Elo", "636297", 16),
        ("Elo", "650485", 16),
        ("Hipercard", "606282", 16),
        ("Hipercard", "384100", 16),
        ("Hipercard", "637095", 16),
        ("Troy", "979200", 16),
        ("Verve", "506099", 19),
        ("Verve", "507865", 16),
        ("Bancontact", "670300", 17),
        ("JCB", "213100", 15),
        ("JCB", "180000", 15),
        ("JCB", "352800", 16),
        ("UATP", "100000", 15),
        ("Diners", "361480", 14),
        ("Diners", "361480", 16),
        ("Diners", "300000", 16),
        ("Mastercard", "222100", 16),
        ("Mastercard", "272099", 16),
        ("Mir", "220400", 16),
        ("UnionPay", "620000", 19),
        ("Discover", "644000", 16),
        ("Maestro", "675900", 18),
        ("Dankort", "501900", 16),
    ] {
        let mut number: Vec<u8> = prefix.bytes().map(|b| b - b'0').collect();
        number.resize(length, 0);
        let last = (0..10).find(|last| {
            number[length - 1] = *last;
            has_luhn_digit(&number)
        });
        number[length - 1] = last.unwrap();
        let number: String = number.iter().map(|digit| char::from(b'0' + digit)).collect();
        assert!(is_pan(&number) && contains_pan(&format!("paid by {number}.")), "{name} {number}");
    }
    assert_eq!(NETWORKS_VERSION.len(), "2026-11".len());
}

/// Digits of any script, separators of any kind.
#[test]
fn a_card_in_disguise_is_masked_in_a_text_and_refused_as_an_id() {
    let card = "4111111111111111";
    let in_script = |zero: char| {
        card.bytes()
            .map(|b| char::from_u32(u32::from(zero) + u32::from(b - b'0')).unwrap())
            .collect::<String>()
    };
    let grouped = |between: &str| ["4111", "1111", "1111", "1111"].join(between);
    let mut disguises: Vec<String> = [
        " ", "  ", "-", ".", "/", "_", ",", ":", "|", "·", "\u{a0}", "\u{2007}", "\u{2009}", "\u{200a}",
        "\u{202f}", "\u{3000}", "\u{2212}", "\u{2011}", "\u{2013}", " - ", "\u{ad}", "\u{200b}", "\u{200d}",
        "\u{2060}", "\u{feff}", "*", "+", "\\", "~",
    ]
    .map(grouped)
    .into();
    disguises.extend(['\u{ff10}', '\u{660}', '\u{6f0}', '\u{966}', '\u{1d7ce}', '\u{1d7f6}'].map(in_script));
    disguises.push("41 11 11 11 11 11 11 11".into());
    disguises.push("4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1".into());
    disguises.push("0004111111111111111".into());
    disguises.push("00000000004111111111111111".into());
    disguises.push(card.chars().flat_map(|c| [c, '\u{200b}']).collect());
    disguises.push(card.chars().flat_map(|c| [c, '\u{fe0f}', '\u{20e3}']).collect());
    disguises.push("④①①①①①①①①①①①①①①①".into());
    disguises.push("⑷⑴⑴⑴⑴⑴⑴⑴⑴⑴⑴⑴⑴⑴⑴⑴".into());
    disguises.push("四一一一 一一一一 一一一一 一一一一".into());
    disguises.push(grouped(" ------- "));
    disguises.push("41-11 11.11/11-11 11_11".into());
    for disguise in disguises {
        assert!(is_pan(&disguise), "{disguise:?}");
        let text = format!("COFFEE {disguise} LONDON");
        let masked = mask(&text);
        assert!(masked.starts_with("COFFEE ") && masked.ends_with(" LONDON"), "{masked:?}");
        assert!(masked.chars().filter_map(digit).all(|digit| digit == 0), "{masked:?}");
        assert!(!contains_pan(&masked), "{masked:?}");
    }
    for id in ["card-4111111111111111", "4111111111111111:7", "a 4111 1111 1111 1111"] {
        assert!(is_pan(id), "{id}");
    }
}

#[test]
fn a_text_without_a_card_is_left_as_it_is() {
    for text in [
        "COFFEE 12.50",
        "FROM GB29 NWBK 6016 1331 9268 19",
        "30-96-26 12345678",
        "2026-11-22 10:15:00.123456",
        "30.11.26 10:15:22, 2 x 12.50",
    ] {
        assert!(matches!(mask(text), Cow::Borrowed(same) if same == text), "{text}");
    }
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
        "94111111111111111",
        "41111111111111110000",
        "1234567890123452",
        "+44 20 7946 0018 0000",
        "2026-11-22T10:15:00.000000000",
        "30-56-93 09025904",
    ] {
        assert!(!contains_pan(text), "{text}");
    }
    for id in
        ["7f3c4111111111111111", "tx4111111111111111", "4111111111111111b", "", "----", "411111111111111"]
    {
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
    assert!(contains_pan(&format!("{iban} 5555 5555 5555 4444")), "a card beside an IBAN is still a card");
    assert!(contains_pan(&iban.replace("1100", "1101").replacen("DE", "XX", 1)));
    assert!(!contains_pan("GB29NWBK60161331926819"));
}
