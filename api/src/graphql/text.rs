//! Bounds on the text of a query, looked at before anything is parsed: the parser calls itself for every bracket, so
//! a few kilobytes of brackets would end the process.
//!
//! Brackets in strings, block strings and comments do not count. Where a string ends is told here exactly as the
//! parser tells it; a text whose string has no end is refused, since the parser would read it in another way.

/// Bytes of a query.
pub(super) const QUERY_BYTES_MAX: usize = 64 * 1024;
/// Brackets within brackets, of any kind. What GraphiQL asks has 15.
pub(super) const BRACKETS_MAX: usize = 64;
/// Names, numbers, strings and punctuators. What GraphiQL asks has some 300.
pub(super) const TOKENS_MAX: usize = 5_000;
/// Bytes of a name: aliases come back in the answer, once for every row.
pub(super) const NAME_BYTES_MAX: usize = 128;
/// Lists and objects within each other in the variables.
pub(super) const VARIABLES_DEPTH_MAX: usize = 16;

/// Why a text is not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TextError {
    /// Above [`QUERY_BYTES_MAX`].
    #[error("the query has more than {QUERY_BYTES_MAX} bytes")]
    TooLong,
    /// Above [`BRACKETS_MAX`].
    #[error("the query has more than {BRACKETS_MAX} brackets within each other")]
    TooDeep,
    /// Above [`TOKENS_MAX`].
    #[error("the query has more than {TOKENS_MAX} tokens")]
    TooManyTokens,
    /// Above [`NAME_BYTES_MAX`].
    #[error("the query has a name of more than {NAME_BYTES_MAX} bytes")]
    NameTooLong,
    /// A quote opens what no quote closes.
    #[error("the query has a string without an end")]
    OpenString,
}

/// Whether this text may be parsed.
pub(super) fn check(query: &str) -> Result<(), TextError> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(TextError::TooLong);
    }
    let mut rest = query.as_bytes();
    let (mut depth, mut tokens) = (0_usize, 0_usize);
    while let [first, after @ ..] = rest {
        let length = match first {
            b' ' | b',' | b'\t' | b'\n' | b'\r' => {
                rest = after;
                continue;
            }
            b'#' => {
                rest = &rest[until(rest, is_line_end)..];
                continue;
            }
            b'{' | b'[' | b'(' => {
                depth += 1;
                1
            }
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                1
            }
            b'"' => string(rest)?,
            b'.' if rest.starts_with(b"...") => 3,
            byte if is_word(*byte) => {
                let length = until(rest, |byte| !is_word(byte));
                if length > NAME_BYTES_MAX {
                    return Err(TextError::NameTooLong);
                }
                length
            }
            _ => 1,
        };
        tokens += 1;
        if depth > BRACKETS_MAX {
            return Err(TextError::TooDeep);
        }
        if tokens > TOKENS_MAX {
            return Err(TextError::TooManyTokens);
        }
        rest = &rest[length..];
    }
    Ok(())
}

/// The length of the string that starts here.
fn string(text: &[u8]) -> Result<usize, TextError> {
    let block = text.starts_with(b"\"\"\"");
    let mut at = if block { 3 } else { 1 };
    loop {
        match &text[at..] {
            [] => return Err(TextError::OpenString),
            rest if block && rest.starts_with(b"\\\"\"\"") => at += 4,
            rest if block && rest.starts_with(b"\"\"\"") => return Ok(at + 3),
            _ if block => at += 1,
            [b'"', ..] => return Ok(at + 1),
            [b'\\', _, ..] => at += 2,
            [byte, ..] if is_line_end(*byte) => return Err(TextError::OpenString),
            _ => at += 1,
        }
    }
}

fn until(text: &[u8], ends: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| ends(*byte)).unwrap_or(text.len())
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Whether a JSON text keeps [`VARIABLES_DEPTH_MAX`]. It has been found to be JSON before.
pub(super) fn is_flat(json: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > VARIABLES_DEPTH_MAX {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(open: &str, close: &str, levels: usize) -> String {
        format!("{{a(b:{}{})}}", open.repeat(levels), close.repeat(levels))
    }

    #[test]
    fn bytes_brackets_tokens_and_names_are_allowed_up_to_their_bounds_and_not_above() {
        type Text = fn(usize) -> String;
        let cases: [(Text, usize, TextError); 5] = [
            (|n| format!("{{{}}}", " ".repeat(n - 2)), QUERY_BYTES_MAX, TextError::TooLong),
            // The braces and the parenthesis around are two.
            (|n| nested("[", "]", n - 2), BRACKETS_MAX, TextError::TooDeep),
            (|n| nested("{c:", "}", n - 2), BRACKETS_MAX, TextError::TooDeep),
            (|n| format!("{{{}}}", "a ".repeat(n - 2)), TOKENS_MAX, TextError::TooManyTokens),
            (|n| format!("{{{}}}", "a".repeat(n)), NAME_BYTES_MAX, TextError::NameTooLong),
        ];
        for (text, most, error) in cases {
            assert_eq!(check(&text(most - 1)), Ok(()), "below {most}");
            assert_eq!(check(&text(most)), Ok(()), "{most}");
            assert_eq!(check(&text(most + 1)), Err(error), "above {most}");
        }
    }

    #[test]
    fn what_stands_in_strings_and_comments_does_not_count() {
        let brackets = "[{(".repeat(100);
        for quiet in [
            format!("\"{brackets}\""),
            format!("\"\\\"{brackets}\""),
            format!("\"\"\"{brackets}\"\"\""),
            format!("\"\"\"\\\"\"\"{brackets}\n\"\"\""),
            format!("1 #{brackets}\n"),
            format!("1 #\"{brackets}\r"),
        ] {
            assert_eq!(check(&format!("{{a(b:{quiet})}}")), Ok(()), "{quiet}");
        }
        for loud in [
            format!("\"\"{brackets}"),
            format!("\"\\\\\"{brackets}"),
            format!("\"\"\"a\\\\\"\"\" \"\"\"{brackets}"),
            format!("\"#\"{brackets}"),
            format!("1#\n{brackets}"),
        ] {
            assert_eq!(check(&format!("{{a(b:{loud})}}")), Err(TextError::TooDeep), "{loud}");
        }
    }

    #[test]
    fn a_string_without_an_end_is_refused() {
        for open in ["\"", "\"a\n\"", "\"a\\\"", "\"\"\"", "\"\"\"\"", "\"\"\" \\\"\"\"", "\"a\\"] {
            assert_eq!(check(&format!("{{a(b:{open}")), Err(TextError::OpenString), "{open}");
        }
    }

    #[test]
    fn variables_are_nested_up_to_their_bound() {
        let nested = |levels: usize| format!("{}\"[[{{\\\"[\"{}", "[".repeat(levels), "]".repeat(levels));
        assert!(is_flat(&nested(VARIABLES_DEPTH_MAX - 1)) && is_flat(&nested(VARIABLES_DEPTH_MAX)));
        assert!(!is_flat(&nested(VARIABLES_DEPTH_MAX + 1)));
    }
}
