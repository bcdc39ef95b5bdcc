//! Digits of any script.

use unicode_normalization::char::decompose_compatible;

/// The zeros of Unicode 17.0's decimal digits (general category `Nd`) beyond ASCII; the others of a
/// script follow its zero.
const ZEROS: [char; 76] = [
    '\u{660}',
    '\u{6F0}',
    '\u{7C0}',
    '\u{966}',
    '\u{9E6}',
    '\u{A66}',
    '\u{AE6}',
    '\u{B66}',
    '\u{BE6}',
    '\u{C66}',
    '\u{CE6}',
    '\u{D66}',
    '\u{DE6}',
    '\u{E50}',
    '\u{ED0}',
    '\u{F20}',
    '\u{1040}',
    '\u{1090}',
    '\u{17E0}',
    '\u{1810}',
    '\u{1946}',
    '\u{19D0}',
    '\u{1A80}',
    '\u{1A90}',
    '\u{1B50}',
    '\u{1BB0}',
    '\u{1C40}',
    '\u{1C50}',
    '\u{A620}',
    '\u{A8D0}',
    '\u{A900}',
    '\u{A9D0}',
    '\u{A9F0}',
    '\u{AA50}',
    '\u{ABF0}',
    '\u{FF10}',
    '\u{104A0}',
    '\u{10D30}',
    '\u{10D40}',
    '\u{11066}',
    '\u{110F0}',
    '\u{11136}',
    '\u{111D0}',
    '\u{112F0}',
    '\u{11450}',
    '\u{114D0}',
    '\u{11650}',
    '\u{116C0}',
    '\u{116D0}',
    '\u{116DA}',
    '\u{11730}',
    '\u{118E0}',
    '\u{11950}',
    '\u{11BF0}',
    '\u{11C50}',
    '\u{11D50}',
    '\u{11DA0}',
    '\u{11DE0}',
    '\u{11F50}',
    '\u{16130}',
    '\u{16A60}',
    '\u{16AC0}',
    '\u{16B50}',
    '\u{16D70}',
    '\u{1CCF0}',
    '\u{1D7CE}',
    '\u{1D7D8}',
    '\u{1D7E2}',
    '\u{1D7EC}',
    '\u{1D7F6}',
    '\u{1E140}',
    '\u{1E2F0}',
    '\u{1E4F0}',
    '\u{1E5F1}',
    '\u{1E950}',
    '\u{1FBF0}',
];

/// Chinese numerals, by value; zero is written in two ways.
const IDEOGRAPHS: &str = "零一二三四五六七八九";

/// The value of a decimal digit, of whatever script, raised, circled, in brackets or with a full
/// stop.
pub(crate) fn digit(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.is_ascii_digit().then(|| c as u8 - b'0');
    }
    let before = ZEROS.partition_point(|zero| *zero <= c);
    let value = before.checked_sub(1).map(|index| u32::from(c) - u32::from(ZEROS[index]));
    if let Some(value @ 0..=9) = value {
        return u8::try_from(value).ok();
    }
    if let Some(value) = IDEOGRAPHS.chars().position(|numeral| numeral == c || c == '〇') {
        return u8::try_from(value).ok();
    }
    // One digit and no more: ten in a circle is none, and neither is a half.
    let (mut digits, mut others) = (0_u8, 0_u8);
    let mut value = None;
    decompose_compatible(c, |part| match part.to_digit(10) {
        Some(digit) => (digits, value) = (digits.saturating_add(1), u8::try_from(digit).ok()),
        None if part.is_alphanumeric() => others = others.saturating_add(1),
        None => {}
    });
    value.filter(|_| digits == 1 && others == 0)
}

#[cfg(test)]
mod tests {
    use icu_properties::CodePointMapData;
    use icu_properties::props::GeneralCategory;

    use super::*;

    /// ICU's data is the oracle, for every character there is.
    #[test]
    fn every_decimal_digit_of_unicode_has_its_value() {
        let categories = CodePointMapData::<GeneralCategory>::new();
        let is_digit = |c: char| categories.get(c) == GeneralCategory::DecimalNumber;
        let digits: Vec<char> = ('\0'..=char::MAX).filter(|c| is_digit(*c)).collect();
        for (at, c) in digits.iter().enumerate() {
            assert_eq!(digit(*c).map(usize::from), Some(at % 10), "{c:?}");
        }
        for (c, value) in [
            ('①', Some(1)),
            ('²', Some(2)),
            ('⑷', Some(4)),
            ('⒋', Some(4)),
            ('四', Some(4)),
            ('〇', Some(0)),
            ('零', Some(0)),
            ('㋀', None),
            ('½', None),
            ('a', None),
            ('⑽', None),
            ('🄂', Some(1)),
            ('十', None),
        ] {
            assert_eq!(digit(c), value, "{c}");
        }
    }
}
