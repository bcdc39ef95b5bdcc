//! Words that people put into the ledger, where they stand in the clear for ever: names, reasons,
//! references, sentences. All are printable, bounded in characters, and hold no card number.

pub mod pan;

use self::pan::contains_pan;

/// The longest name of a person, in characters.
pub const PERSON_CHARACTERS_MAX: usize = 128;
/// The longest reason, in characters.
pub const REASON_CHARACTERS_MAX: usize = 500;

/// Why words are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// Blank, too long, or with characters that do not show.
    #[error("must be 1 to {0} printable characters")]
    Unprintable(usize),
    /// A character that does not show as itself, and which it is.
    #[error("must not hold U+{:04X}, which does not show", u32::from(*.0))]
    Unseen(char),
    /// The same, or space at either end.
    #[error("must be 1 to {0} printable characters without surrounding space")]
    UnprintableOrSpaced(usize),
    /// What looks like a card number.
    #[error("must not hold a card number")]
    CardNumber,
}

/// Free words, of at most so many characters.
pub fn check_words(text: &str, characters_max: usize) -> Result<(), WordsError> {
    check(text, characters_max, is_printable)
}

/// Sentences and titles, which tell nothing apart: joiners may stand in them, without which Persian
/// and Hindi are misspelt and emoji fall apart.
pub fn check_prose(text: &str, characters_max: usize) -> Result<(), WordsError> {
    check(text, characters_max, |c| is_printable(c) || is_joiner(c))
}

fn check(text: &str, characters_max: usize, shows: impl Fn(char) -> bool) -> Result<(), WordsError> {
    let shows_something = text.chars().any(|c| !c.is_whitespace() && !is_joiner(c));
    if !shows_something || text.chars().count() > characters_max {
        return Err(WordsError::Unprintable(characters_max));
    }
    if let Some(unseen) = text.chars().find(|c| !shows(*c)) {
        return Err(WordsError::Unseen(unseen));
    }
    if contains_pan(text) { Err(WordsError::CardNumber) } else { Ok(()) }
}

/// Zero-width joiner and non-joiner, and the selectors of text and emoji forms.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}' | '\u{FE0E}' | '\u{FE0F}')
}

/// Words by which something is told from other things: free words without surrounding space.
pub fn check_name(text: &str, characters_max: usize) -> Result<(), WordsError> {
    match check_words(text, characters_max) {
        Ok(()) if text.trim().len() == text.len() => Ok(()),
        Err(error @ (WordsError::CardNumber | WordsError::Unseen(_))) => Err(error),
        _ => Err(WordsError::UnprintableOrSpaced(characters_max)),
    }
}

/// The name of somebody who does something. Two people are told apart by it, so two names must not
/// look like one.
pub fn check_person(name: &str) -> Result<(), WordsError> {
    check_name(name, PERSON_CHARACTERS_MAX)
}

/// Why somebody does something.
pub fn check_reason(text: &str) -> Result<(), WordsError> {
    check_words(text, REASON_CHARACTERS_MAX)
}

/// What a reader of JSON or YAML says of a text, without what was sent: the kind of fault, what is
/// expected, and where. The one door to every answer and every log line.
pub fn without_values(error: &dyn std::fmt::Display) -> String {
    let said = error.to_string();
    // Serde repeats a value before it says what is expected. Names of our own fields come after, or
    // after these words.
    let own = ["missing field", "duplicate field", "expected"].iter().any(|words| said.starts_with(words));
    let end = match said.rfind(", expected ").or_else(|| said.rfind(", there are no")) {
        Some(end) if !own => end,
        Some(_) | None if own => 0,
        Some(_) | None => said.rfind(" at line ").unwrap_or(said.len()),
    };
    let (head, tail) = said.split_at(end);
    let mut kept = head.to_owned();
    for quote in ['`', '"', '\''] {
        if let (Some(first), Some(last)) = (kept.find(quote), kept.rfind(quote)) {
            kept.replace_range(first..=last, "");
        }
    }
    let said = format!("{}{tail}", kept.trim_end().trim_end_matches(':'));
    let said = said.lines().next().unwrap_or_default().to_owned();
    if contains_pan(&said) { "it holds what looks like a card number".into() } else { said }
}

/// Whether a character shows as itself. Refused are control characters, line and paragraph
/// separators, and what is invisible or turns the direction of the text. Otherwise two texts could
/// look alike and differ in a character nobody sees.
pub fn is_printable(c: char) -> bool {
    was_printable(c) && !is_default_ignorable(c)
}

/// What is shown as nothing at all, or only changes how the character before it looks.
pub(crate) fn is_ignorable(c: char) -> bool {
    !c.is_ascii() && (is_default_ignorable(c) || unicode_normalization::char::is_combining_mark(c))
}

fn is_default_ignorable(c: char) -> bool {
    !c.is_ascii() && DEFAULT_IGNORABLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// The same by the rule that the first releases went by: what their logs hold stays readable.
pub(crate) fn was_printable(c: char) -> bool {
    !(c.is_control()
        || matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}'))
}

/// `Default_Ignorable_Code_Point`: what is shown as nothing at all. Source:
/// `DerivedCoreProperties.txt` of Unicode 17.0, neighbouring ranges joined.
const DEFAULT_IGNORABLE: [(char, char); 17] = [
    ('\u{AD}', '\u{AD}'),
    ('\u{34F}', '\u{34F}'),
    ('\u{61C}', '\u{61C}'),
    ('\u{115F}', '\u{1160}'),
    ('\u{17B4}', '\u{17B5}'),
    ('\u{180B}', '\u{180F}'),
    ('\u{200B}', '\u{200F}'),
    ('\u{202A}', '\u{202E}'),
    ('\u{2060}', '\u{206F}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{FE00}', '\u{FE0F}'),
    ('\u{FEFF}', '\u{FEFF}'),
    ('\u{FFA0}', '\u{FFA0}'),
    ('\u{FFF0}', '\u{FFF8}'),
    ('\u{1BCA0}', '\u{1BCA3}'),
    ('\u{1D173}', '\u{1D17A}'),
    ('\u{E0000}', '\u{E0FFF}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// ICU's data is the oracle, for every character there is.
    #[test]
    fn what_unicode_says_to_ignore_is_not_printable() {
        let ignorable =
            icu_properties::CodePointSetData::new::<icu_properties::props::DefaultIgnorableCodePoint>();
        for c in '\0'..=char::MAX {
            assert!(!ignorable.contains(c) || !is_printable(c), "{c:?} is ignorable");
            let listed = DEFAULT_IGNORABLE.iter().any(|(first, last)| (*first..=*last).contains(&c));
            assert_eq!(listed, ignorable.contains(c), "{c:?}");
        }
        for c in "a é ß 漢 한 한 न्\u{200A}🦀".chars() {
            assert!(is_printable(c), "{c:?}");
        }
    }

    #[test]
    fn words_are_printable_bounded_and_no_card_number() {
        let long = "é".repeat(501);
        for bad in ["", " ", &long] {
            assert_eq!(check_reason(bad), Err(WordsError::Unprintable(500)), "{bad:?}");
        }
        for (unseen, name) in
            [('\0', "U+0000"), ('\n', "U+000A"), ('\u{202e}', "U+202E"), ('\u{e0061}', "U+E0061")]
        {
            let said = check_reason(&format!("a{unseen}b")).unwrap_err();
            assert_eq!(said, WordsError::Unseen(unseen));
            assert_eq!(said.to_string(), format!("must not hold {name}, which does not show"));
            assert_eq!(check_prose(&format!("a{unseen}b"), 9), Err(WordsError::Unseen(unseen)));
        }
        assert_eq!(check_prose("\u{200d} \u{fe0f}", 9), Err(WordsError::Unprintable(9)));
        for joined in ["\u{645}\u{6cc}\u{200c}\u{62e}", "\u{1f468}\u{200d}\u{1f469}", "\u{2764}\u{fe0f}"] {
            assert_eq!(check_prose(joined, 9), Ok(()));
            assert!(matches!(check_name(joined, 9), Err(WordsError::Unseen(_))), "names are told apart");
        }
        assert_eq!(check_prose("4111 1111 1111\u{200d} 1111", 99), Err(WordsError::CardNumber));
        assert_eq!(check_reason("card 4111 1111 1111 1111 was lost"), Err(WordsError::CardNumber));
        assert_eq!(check_reason(&long[2..]), Ok(()));
        assert_eq!(check_reason(" as he said "), Ok(()));
    }

    #[test]
    fn serdes_words_never_repeat_what_was_sent() {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only read")]
        struct Sent {
            number: u8,
            truth: bool,
            kind: Option<Kind>,
            money: Option<crate::money::Money>,
        }
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Kind {
            Good,
        }
        for (json, said) in [
            (
                r#"{"number":"4111111111111111","truth":true}"#,
                "invalid type: string, expected u8 at line 1 column 28",
            ),
            (r#"{"number":777,"truth":true}"#, "invalid value: integer, expected u8 at line 1 column 13"),
            (
                r#"{"number":1,"truth":"a, expected b"}"#,
                "invalid type: string, expected a boolean at line 1 column 35",
            ),
            (
                r#"{"number":1,"truth":12.5}"#,
                "invalid type: floating point, expected a boolean at line 1 column 24",
            ),
            (
                r#"{"secret`s":1}"#,
                "unknown field, expected one of `number`, `truth`, `kind`, `money` at line 1 column 11",
            ),
            (
                r#"{"number":1,"truth":true,"kind":"secret"}"#,
                "unknown variant, expected `good` at line 1 column 40",
            ),
            (r#"{"number":1}"#, "missing field `truth` at line 1 column 12"),
            (r#"{"number":1,"number":2}"#, "duplicate field `number` at line 1 column 20"),
            (
                r#"{"number":1,"truth":true,"money":{"minor":1,"currency":"4111111111111111"}}"#,
                "expected a currency's code of three capital letters at line 1 column 73",
            ),
            (r#"{"number":"#, "EOF while parsing a value at line 1 column 10"),
        ] {
            let error = serde_json::from_str::<Sent>(json).err().unwrap();
            assert_eq!(without_values(&error), said);
        }
        assert_eq!(without_values(&"odd 4111 1111 1111 1111"), "it holds what looks like a card number");
    }

    #[test]
    fn a_name_has_no_space_around_it() {
        for good in ["alice", "José García", "王芳", "alice@example.com"] {
            assert_eq!(check_person(good), Ok(()), "{good:?}");
        }
        let long = "a".repeat(129);
        for unseen in ["alice\u{200b}", "ali\u{34f}ce", "alice\u{e0061}", "ali\u{200d}ce"] {
            assert!(matches!(check_person(unseen), Err(WordsError::Unseen(_))), "{unseen:?}");
        }
        for bad in ["", " ", "alice ", "\u{a0}alice", &long] {
            assert_eq!(check_person(bad), Err(WordsError::UnprintableOrSpaced(128)), "{bad:?}");
        }
        assert_eq!(check_person("4111111111111111"), Err(WordsError::CardNumber));
    }
}
