//! From a request body to raw rows: cut apart without a look inside, so that a bad row stays alone.

use serde::de::IgnoredAny;

/// The most rows one request may bring.
pub const ROWS_MAX: usize = 5_000;
/// The longest request body, in bytes (5 MiB).
pub const BODY_BYTES_MAX: usize = 5 * 1024 * 1024;

/// How a body holds its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// One object or an array of objects.
    Json,
    /// One object per line; blank lines do not count.
    Ndjson,
}

/// Why a body as a whole cannot be read. Never repeats any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More than [`BODY_BYTES_MAX`] bytes.
    #[error("the body must be at most {BODY_BYTES_MAX} bytes")]
    TooLarge,
    /// More than [`ROWS_MAX`] rows.
    #[error("the body must hold at most {ROWS_MAX} transactions")]
    TooManyRows,
    /// No JSON: where the first fault is, both counted from 1, the column in bytes.
    #[error("the body is not valid JSON at line {line}, column {column}")]
    Malformed {
        /// Line of the fault.
        line: usize,
        /// Byte of the fault within its line.
        column: usize,
    },
}

/// Cuts a request body into raw rows for [`parse_row`](super::parse_row).
///
/// Only the JSON grammar is checked, and for NDJSON not even that: what a row holds, invalid UTF-8
/// included, is that row's affair. A byte order mark at the start is skipped.
pub fn split_body(body: &[u8], format: BodyFormat) -> Result<Vec<&[u8]>, BodyError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(BodyError::TooLarge);
    }
    let start = if body.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    match format {
        BodyFormat::Json => Splitter { body, at: start }.rows(),
        BodyFormat::Ndjson => lines(&body[start..]),
    }
}

fn lines(body: &[u8]) -> Result<Vec<&[u8]>, BodyError> {
    let filled = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let rows: Vec<_> = filled.take(ROWS_MAX + 1).collect();
    if rows.len() > ROWS_MAX { Err(BodyError::TooManyRows) } else { Ok(rows) }
}

/// Walks over a JSON body. `serde_json` skips the values, without recursion and without looking at
/// the text inside strings.
struct Splitter<'b> {
    body: &'b [u8],
    at: usize,
}

impl<'b> Splitter<'b> {
    fn rows(mut self) -> Result<Vec<&'b [u8]>, BodyError> {
        let rows = if self.peek() == Some(b'[') { self.array()? } else { vec![self.value()?] };
        match self.peek() {
            None => Ok(rows),
            Some(_) => Err(self.malformed()),
        }
    }

    fn array(&mut self) -> Result<Vec<&'b [u8]>, BodyError> {
        self.at += 1;
        let mut rows = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(rows);
        }
        loop {
            if rows.len() == ROWS_MAX {
                return Err(BodyError::TooManyRows);
            }
            rows.push(self.value()?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(rows);
                }
                _ => return Err(self.malformed()),
            }
        }
    }

    fn value(&mut self) -> Result<&'b [u8], BodyError> {
        self.peek();
        let rest = &self.body[self.at..];
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => {
                let length = values.byte_offset();
                self.at += length;
                Ok(&rest[..length])
            }
            Some(Err(error)) => {
                self.at += offset_of(rest, error.line(), error.column());
                Err(self.malformed())
            }
            None => Err(self.malformed()),
        }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.body.get(self.at) {
            self.at += 1;
        }
        self.body.get(self.at).copied()
    }

    fn malformed(&self) -> BodyError {
        let before = &self.body[..self.at];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let line = before.split(|byte| *byte == b'\n').count();
        BodyError::Malformed { line, column: 1 + self.at - line_start }
    }
}

/// Where `serde_json`'s line and column (from 1; column 0 is the line break itself) are in `text`.
fn offset_of(text: &[u8], line: usize, column: usize) -> usize {
    let newlines = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let line_start = std::iter::once(0).chain(newlines).nth(line.saturating_sub(1)).unwrap_or(text.len());
    (line_start + column.saturating_sub(1)).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(body: &[u8]) -> Result<Vec<&[u8]>, BodyError> {
        split_body(body, BodyFormat::Json)
    }

    fn ndjson(body: &[u8]) -> Result<Vec<&[u8]>, BodyError> {
        split_body(body, BodyFormat::Ndjson)
    }

    #[test]
    fn an_object_is_one_row_and_an_array_is_many() {
        assert_eq!(json(b" {\"a\":[1]} \r\n").unwrap(), [b"{\"a\":[1]}"]);
        assert_eq!(
            json(b"\xEF\xBB\xBF[ {} ,{\"b\":\"],\"}, 3,null]").unwrap(),
            [&b"{}"[..], b"{\"b\":\"],\"}", b"3", b"null"]
        );
        assert_eq!(json(b" [ ] ").unwrap(), Vec::<&[u8]>::new());
    }

    #[test]
    fn a_row_with_invalid_utf_8_does_not_spoil_the_array() {
        assert_eq!(json(b"[{\"a\":\"\xff\"},{}]").unwrap(), [&b"{\"a\":\"\xff\"}"[..], b"{}"]);
    }

    #[test]
    fn a_body_that_is_no_json_says_where() {
        for (body, line, column) in [
            (&b""[..], 1, 1),
            (b"  ", 1, 3),
            (b"\xEF\xBB\xBF", 1, 4),
            (b"[{},\n {},\n]", 3, 1),
            (b"[{}\n{}]", 2, 1),
            (b"[{}", 1, 4),
            (b"[{}] x", 1, 6),
            (b"{}{}", 1, 3),
            (b"[\n{\"a\":\n tru }]", 3, 5),
            (b"{\"a\":\"secret", 1, 12),
        ] {
            assert_eq!(
                json(body),
                Err(BodyError::Malformed { line, column }),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }

    #[test]
    fn lines_are_rows_whatever_they_hold() {
        let body = b"\xEF\xBB\xBF{}\r\n\r\n  \n\xff\n{\"a\":\n[]";
        assert_eq!(ndjson(body).unwrap(), [&b"{}"[..], b"\xff", b"{\"a\":", b"[]"]);
        assert_eq!(ndjson(b"").unwrap(), Vec::<&[u8]>::new());
    }

    #[test]
    fn five_thousand_rows_are_taken_and_one_more_is_not() {
        let array = |rows: usize| format!("[{}]", vec!["{}"; rows].join(","));
        assert_eq!(json(array(5_000).as_bytes()).unwrap().len(), 5_000);
        assert_eq!(json(array(5_001).as_bytes()), Err(BodyError::TooManyRows));
        assert_eq!(ndjson("{}\n".repeat(5_000).as_bytes()).unwrap().len(), 5_000);
        assert_eq!(ndjson("{}\n".repeat(5_001).as_bytes()), Err(BodyError::TooManyRows));
    }

    #[test]
    fn six_mebibytes_are_too_large_and_deep_nesting_is_only_deep() {
        assert_eq!(json(&vec![b' '; 6 << 20]), Err(BodyError::TooLarge));
        assert_eq!(ndjson(&vec![b'\n'; 6 << 20]), Err(BodyError::TooLarge));
        let depth = BODY_BYTES_MAX / 2 - 1;
        let deep = ["[", &"[".repeat(depth), &"]".repeat(depth), "]"].concat();
        assert_eq!(json(deep.as_bytes()).unwrap().len(), 1);
        assert!(matches!(json("[".repeat(BODY_BYTES_MAX).as_bytes()), Err(BodyError::Malformed { .. })));
    }
}
