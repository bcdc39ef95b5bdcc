//! The customer's own bank account in one form, whichever way the bank spells it today.
//!
//! An IBAN is taken in ISO 13616's electronic form: no separators, upper case. A British one is its
//! last 14 digits, so that sort code and account number match it. Anything else is trimmed and
//! folded: Unicode's compatibility forms (NFKC), case, digits of any script; white space of any
//! kind and length is one space. A masked account has no form: two different ones may look alike.

use std::borrow::Cow;

use iban::{BaseIban, IbanLike as _};
use unicode_normalization::UnicodeNormalization;

use crate::text::pan::digit;

/// Digits of a British sort code and account number.
const BRITISH_DIGITS: usize = 14;
/// What people write before the two numbers, and before an IBAN.
const LABELS: [&str; 13] =
    ["IBAN", "URN", "SORT", "CODE", "SC", "S", "ACCOUNT", "ACC", "AC", "A", "C", "NUMBER", "NO"];

/// What an account is compared by. Equal for every spelling of one account, different for different
/// accounts.
pub fn canonical(text: &str) -> String {
    // As nearly every feed writes it.
    if let Some(form) = known(text) {
        return form;
    }
    let folded = folded(text);
    let words = || folded.split(|c: char| !c.is_alphanumeric());
    // A country may look like a label: Norway's `NO`.
    let joined = words().collect::<String>();
    let known = |plain: &str| known(plain).or_else(|| known(plain.strip_prefix("IBAN")?));
    let unlabelled = || words().filter(|word| !LABELS.contains(word)).collect::<String>();
    let form = known(&joined).or_else(|| known(&unlabelled()));
    form.unwrap_or_else(|| {
        let words: Vec<_> = folded.split_whitespace().collect();
        format!("other/{}", words.join(" "))
    })
}

/// The form of an IBAN, or of a British sort code and account number.
fn known(plain: &str) -> Option<String> {
    if is_british(plain) {
        return Some(format!("gb/{plain}"));
    }
    let iban = plain.parse::<BaseIban>().ok()?;
    let iban = iban.electronic_str();
    Some(match iban.strip_prefix("GB").and_then(|rest| rest.get(6..)) {
        Some(digits) if is_british(digits) => format!("gb/{digits}"),
        Some(_) | None => format!("iban/{iban}"),
    })
}

/// Whether part of the account is hidden. A valid IBAN hides nothing, whatever its letters.
pub fn is_masked(text: &str) -> bool {
    const MASKS: &str = "•●∙⋅·∗⁎✱✻◦○◯■□█▪▫×✕✖⬤∘░▒▓";
    const REPEATED: [&str; 5] = ["..", "##", "??", "__", "--"];
    // Most are plain letters and digits, and nothing that hides.
    if text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase() && b != b'X' || b == b' ')
        && !text.contains("ENDING")
    {
        return false;
    }
    let folded = folded(text);
    if folded.contains('*') || REPEATED.iter().any(|signs| folded.contains(signs)) {
        return true;
    }
    if !folded.is_ascii() && folded.chars().any(|c| MASKS.contains(c)) {
        return true;
    }
    // What hides by letters has an X, or says which digits are left.
    if !folded.contains('X') && !folded.contains("END") {
        return false;
    }
    if known(&folded.chars().filter(|c| c.is_alphanumeric()).collect::<String>()).is_some() {
        return false;
    }
    let words = || folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let letters = || folded.split(|c: char| !c.is_alphabetic());
    let is_crossed_out = |word: &str| word.len() >= 2 && word.bytes().all(|letter| letter == b'X');
    folded.contains("XXX")
        || letters().any(is_crossed_out)
        || words().zip(words().skip(1)).any(|pair| pair == ("X", "X"))
        || words().any(|word| word == "ENDING")
}

/// Unicode's compatibility forms (NFKC), upper case, ASCII's digits, and the letters that are
/// written like `X` as `X`.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.chars().filter(|c| is_shown(*c)).map(|c| c.to_ascii_uppercase()).collect();
    }
    let plain = |c: char| match digit(c) {
        Some(digit) => char::from(b'0' + digit),
        None if "ХΧ".contains(c) => 'X',
        None => c,
    };
    let shown: String = text.nfkc().filter(|c| is_shown(*c)).collect();
    shown.to_uppercase().chars().map(plain).collect()
}

/// The spellings in which earlier releases may have met the account: they compared what the bank
/// wrote.
pub(crate) fn older_spellings(text: &str) -> Vec<Cow<'_, str>> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let characters: Vec<char> = compact.chars().collect();
    let grouped = characters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join(" ");
    let mut spellings = vec![Cow::Borrowed(text)];
    for spelling in [compact, grouped] {
        for cased in [spelling.to_uppercase(), spelling.to_lowercase(), spelling] {
            if !spellings.iter().any(|known| *known == cased) {
                spellings.push(Cow::Owned(cased));
            }
        }
    }
    spellings
}

fn is_british(text: &str) -> bool {
    text.len() == BRITISH_DIGITS && text.bytes().all(|b| b.is_ascii_digit())
}

/// What nobody sees tells no accounts apart.
fn is_shown(c: char) -> bool {
    c.is_whitespace() || crate::text::is_printable(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// ISO 13616-1, clause 6: check digits by MOD 97-10.
    fn iban(country: &str, bban: &str) -> String {
        let number = |c: char| c.to_digit(36).expect("a letter or a digit").to_string();
        let digits: String = format!("{bban}{country}00").chars().map(number).collect();
        let remainder = digits.bytes().fold(0, |r, digit| (r * 10 + u32::from(digit - b'0')) % 97);
        format!("{country}{:02}{bban}", 98 - remainder)
    }

    #[test]
    fn every_spelling_of_an_account_is_one_account() {
        for spellings in [
            &[
                "GB29NWBK60161331926819",
                "GB29 NWBK 6016 1331 9268 19",
                "gb29 nwbk 6016 1331 9268 19",
                "GB29\tNWBK\u{a0}6016\u{2009}1331  9268 19",
                "GB29-NWBK-6016-1331-9268-19",
                "IBAN: GB29 NWBK 6016 1331 9268 19",
                "ＧＢ２９ＮＷＢＫ６０１６１３３１９２６８１９",
                "60-16-13 31926819",
                "60 16 13 31926819",
                "601613 31926819",
                "60161331926819",
                "60-16-13/31926819",
                "601613-31926819",
                "Sort code: 60-16-13, account no. 31926819",
                "S/C 60-16-13 A/C No. 31926819",
                "urn:iban:GB29NWBK60161331926819",
                "IBANGB29NWBK60161331926819",
                "٦٠-١٦-١٣ ٣١٩٢٦٨١٩",
                "GB２９NWBK६०१६१३३१९२६८१९",
            ][..],
            &["DE89370400440532013000", "de89 3704 0044 0532 0130 00", "DE89.3704.0044.0532.0130.00"],
            &["Acc  7712", "acc 7712", "ＡＣＣ\u{a0}7712", " ACC\u{200b}\t7712 ", "Acc ٧٧١٢"],
        ] {
            for spelling in spellings {
                assert_eq!(canonical(spelling), canonical(spellings[0]), "{spelling}");
                assert!(!is_masked(spelling), "{spelling}");
            }
        }
    }

    #[test]
    fn different_accounts_stay_different() {
        let accounts = [
            "GB29NWBK60161331926819",
            "GB94BARC10201530093459",
            "DE89370400440532013000",
            "NL91ABNA0417164300",
            "20-15-31 93459000",
            "20-15-30 93459001",
            "gb/10201530093459x",
            "other/1",
            "1",
            "12-3456",
            "123-456",
            "123 4567",
            "1234 567",
            "1234567",
        ];
        for (at, one) in accounts.iter().enumerate() {
            for other in &accounts[at + 1..] {
                assert_ne!(canonical(one), canonical(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn a_masked_account_is_found_and_a_whole_one_is_not() {
        for masked in [
            "****1234",
            "XXXX1234",
            "xx1234",
            "xxxx-xxxx-1234",
            "•••• 1234",
            "GB29XXXXXXXXXXXX6819",
            "GB29 NWBK XXXX XXXX XX68 19",
            "GB29NWBKXXXXXXXXXX6819",
            "…1234",
            "...1234",
            "####1234",
            "●●●●1234",
            "20-15-30 ****3459",
            "ＸＸＸＸ1234",
            "＊＊1234",
            "????1234",
            "GB29NWBK__________6819",
            "⬤⬤1234",
            "∘∘1234",
            "░░1234",
            "﹡1234",
            "？？1234",
            "----1234",
            "x x x x 1234",
            "X-X-X-X-1234",
            "ХХХХ1234",
            "χχ1234",
            "ending in 1234",
            "Acc. ending 1234",
            "GB29NWBKX X X X6819",
        ] {
            assert!(is_masked(masked), "{masked}");
        }
        for whole in [
            "GB29NWBK60161331926819",
            "X1",
            "EXXON 12",
            "Max 7",
            "acc.7",
            "#7",
            "a/c-12",
            "X 7",
            "Bending 1",
            "x-1-x",
            "Friend 7",
        ] {
            assert!(!is_masked(whole), "{whole}");
        }
        // An IBAN may have such letters, and is whole by its check digits.
        let odd = iban("MT", "XXXX01100001234500000000000");
        assert!(!is_masked(&odd) && canonical(&odd).starts_with("iban/"), "{odd}");
    }

    fn spelt(account: &str, separators: &[usize], lower: bool) -> String {
        const SEPARATORS: [&str; 8] = ["", "", " ", "\t", "\u{a0}", "-", "  ", "\u{202f}"];
        let letters = account.chars().enumerate().map(|(at, c)| {
            let separator = SEPARATORS[separators[at % separators.len()] % SEPARATORS.len()];
            let c = if lower { c.to_ascii_lowercase() } else { c };
            format!("{}{c}", if at == 0 { "" } else { separator })
        });
        letters.collect()
    }

    proptest! {
        #[test]
        fn spellings_of_one_iban_are_one_and_different_ibans_are_two(
            a in "[0-9]{18}", b in "[0-9]{18}", separators in prop::collection::vec(0..8_usize, 1..30), lower: bool,
        ) {
            let (one, two) = (iban("DE", &a), iban("DE", &b));
            prop_assert_eq!(canonical(&spelt(&one, &separators, lower)), canonical(&one));
            prop_assert_eq!(canonical(&spelt(&two, &separators, lower)) == canonical(&one), a == b);
        }

        #[test]
        fn sort_code_and_number_are_their_british_iban(
            digits in "[0-9]{14}", other in "[0-9]{14}", separators in prop::collection::vec(0..8_usize, 1..30),
        ) {
            let whole = iban("GB", &format!("NWBK{digits}"));
            prop_assert_eq!(canonical(&spelt(&digits, &separators, false)), canonical(&whole));
            prop_assert_eq!(canonical(&other) == canonical(&whole), other == digits);
        }

        #[test]
        fn any_text_has_a_form_without_the_space_around_it(text in "\\PC{0,64}") {
            prop_assert_eq!(canonical(&format!(" {text}\t")), canonical(&text));
            prop_assert!(older_spellings(&text).len() <= 7);
            let _ = is_masked(&text);
        }
    }
}
