//! Lines of a file in chunks, each with its number. Blank ones are passed over; no line can fill
//! the memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::commands::support::Usage;

/// Rows per chunk, which is a request over HTTP.
const CHUNK_ROWS: usize = 2_000;
/// Bytes per chunk, well below a request's 5 MiB.
const CHUNK_BYTES: usize = 4 << 20;
/// What is kept of a line: more than a transaction may have, so that it is refused as too long.
const LINE_BYTES: u64 = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Some rows and their line numbers, from 1.
pub(in crate::commands) struct Chunk {
    pub(in crate::commands) rows: Arc<Vec<Vec<u8>>>,
    pub(in crate::commands) lines: Vec<u64>,
}

impl Chunk {
    pub(in crate::commands) fn first_line(&self) -> u64 {
        self.lines.first().copied().unwrap_or(0)
    }
}

/// A file or standard input, line by line.
pub(in crate::commands) struct Lines {
    reader: Box<dyn BufRead + Send>,
    line: u64,
    bytes: u64,
    total: Option<u64>,
}

impl Lines {
    /// Lines of text. What is packed or in another encoding is refused in one sentence, not once a
    /// line.
    pub(in crate::commands) fn open(path: &Path) -> anyhow::Result<Lines> {
        let mut lines = Lines::open_any(path)?;
        match unreadable(lines.head()?) {
            Some(what) => Err(Usage(format!("{}, line 1: {what}", path.display())).into()),
            None => Ok(lines),
        }
    }

    /// The same for transactions: a JSON array is refused.
    pub(in crate::commands) fn transactions(path: &Path) -> anyhow::Result<Lines> {
        let mut lines = Lines::open(path)?;
        let head = lines.head()?;
        let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start();
        if text.starts_with(b"[") {
            let what = "this is a JSON array; one transaction per line is needed: jq -c '.[]' FILE | … -";
            return Err(Usage(format!("{}, line 1: {what}", path.display())).into());
        }
        Ok(lines)
    }

    fn open_any(path: &Path) -> anyhow::Result<Lines> {
        if path == Path::new("-") {
            return Ok(Lines::of(Box::new(BufReader::new(std::io::stdin())), None));
        }
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let metadata = file.metadata().with_context(|| format!("cannot open {}", path.display()))?;
        anyhow::ensure!(!metadata.is_dir(), "{} is a folder", path.display());
        let total = metadata.is_file().then_some(metadata.len());
        Ok(Lines::of(Box::new(BufReader::with_capacity(1 << 20, file)), total))
    }

    fn of(reader: Box<dyn BufRead + Send>, total: Option<u64>) -> Lines {
        Lines { reader, line: 0, bytes: 0, total }
    }

    /// The first bytes, which are read again as lines.
    fn head(&mut self) -> anyhow::Result<&[u8]> {
        self.reader.fill_buf().context("cannot read line 1")
    }

    pub(in crate::commands) fn bytes_total(&self) -> Option<u64> {
        self.total
    }

    pub(in crate::commands) fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// The next rows; `None` at the end.
    pub(in crate::commands) fn next_chunk(&mut self) -> anyhow::Result<Option<Chunk>> {
        let (mut rows, mut lines, mut bytes) = (Vec::new(), Vec::new(), 0);
        while rows.len() < CHUNK_ROWS && bytes < CHUNK_BYTES {
            let Some(row) =
                self.next_line().with_context(|| format!("cannot read line {}", self.line + 1))?
            else {
                break;
            };
            // A byte order mark is no part of the first row.
            let row = if self.line == 1 {
                row.strip_prefix(BYTE_ORDER_MARK).map(<[u8]>::to_vec).unwrap_or(row)
            } else {
                row
            };
            if row.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            bytes += row.len();
            rows.push(row);
            lines.push(self.line);
        }
        Ok((!rows.is_empty()).then(|| Chunk { rows: Arc::new(rows), lines }))
    }

    fn next_line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut row = Vec::with_capacity(512);
        let read = self.reader.by_ref().take(LINE_BYTES).read_until(b'\n', &mut row)?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        self.bytes += read as u64;
        if row.last() == Some(&b'\n') {
            row.pop();
        } else if read as u64 == LINE_BYTES {
            self.bytes += self.reader.skip_until(b'\n')? as u64;
        }
        if row.last() == Some(&b'\r') {
            row.pop();
        }
        Ok(Some(row))
    }
}

/// Why no line of it can be read, by the first bytes.
fn unreadable(head: &[u8]) -> Option<&'static str> {
    const PACKED: [&[u8]; 5] = [b"\x1F\x8B", b"PK\x03\x04", b"BZh", b"\xFD7zXZ\0", b"\x28\xB5\x2F\xFD"];
    const WIDE: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];
    let starts = |with: &&[u8]| head.starts_with(with);
    if PACKED.iter().any(starts) {
        Some("this is compressed; unpack it first, such as by gunzip")
    } else if WIDE.iter().any(starts) || head.iter().take(2).any(|byte| *byte == 0) {
        Some("this is UTF-16; UTF-8 is needed: iconv -f UTF-16 -t UTF-8 FILE")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_numbers_and_blank_ones_are_passed_over() {
        let text = b"\xEF\xBB\xBFa\r\n\n  \nb\n\nc".to_vec();
        let mut lines = Lines::of(Box::new(std::io::Cursor::new(text)), None);
        let chunk = lines.next_chunk().unwrap().unwrap();
        assert_eq!(*chunk.rows, [b"a".to_vec(), b"b".to_vec(), b"c".to_vec()]);
        assert_eq!(chunk.lines, [1, 4, 6]);
        assert!(lines.next_chunk().unwrap().is_none());
    }

    #[test]
    fn a_file_that_is_not_lines_of_transactions_gets_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Lines::transactions(&path).err().map(|error| {
                assert!(error.is::<Usage>(), "{error}");
                error.to_string()
            })
        };
        for (bytes, word) in [
            (&b"[{\"source\":1}]"[..], "JSON array"),
            (b"\xEF\xBB\xBF \r\n[\n{}", "JSON array"),
            (b"\x1F\x8B\x08\0", "compressed"),
            (b"PK\x03\x04", "compressed"),
            (b"\xFF\xFE{\0\"\0", "UTF-16"),
            (b"\xFE\xFF\0{", "UTF-16"),
            (b"{\0\"\0", "UTF-16"),
            (b"\0{", "UTF-16"),
        ] {
            let said = refused(bytes).unwrap();
            assert!(said.contains(word) && said.contains("line 1"), "{said}");
        }
        for good in [&b""[..], b"{}\n[]", b"\xEF\xBB\xBF{}", b"x", b"\n\n"] {
            assert_eq!(refused(good), None);
        }
    }

    #[test]
    fn an_endless_line_is_cut_and_the_next_one_still_read() {
        let mut text = vec![b'x'; 200_000];
        text.extend_from_slice(b"\nnext\n");
        let mut lines = Lines::of(Box::new(std::io::Cursor::new(text)), None);
        let chunk = lines.next_chunk().unwrap().unwrap();
        assert_eq!(chunk.rows[0].len() as u64, LINE_BYTES);
        assert_eq!((chunk.rows[1].as_slice(), chunk.lines[1]), (b"next".as_slice(), 2));
        assert_eq!(lines.bytes_read(), 200_006);
    }
}
