//! What the process may take, and how it is shared out. `memory.max` is what the whole process
//! should stay below; each part follows from it unless it is set itself.

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What the process should stay below.
    pub max: usize,
    /// Customers' accounts, as they stand.
    pub accounts: usize,
    /// Keys of transactions known to be in the log.
    pub transaction_keys: usize,
    /// Keys of personal details, ready for use.
    pub account_keys: usize,
    /// The filter that tells which transactions are surely new.
    pub filter: usize,
    /// Transactions that wait to be decided.
    pub queue: usize,
    /// Bodies of requests that are being read or answered.
    pub bodies: usize,
    /// The page cache of SQLite's log; those of its readers and of the read models are parts of it.
    pub pages: usize,
    /// Whether readers map SQLite's log. What is mapped counts as the process's, though the system
    /// takes it back when it needs it.
    pub map_files: bool,
}

/// Today's machines have it, and the bench was measured with it.
const MAX: usize = 4 << 30;
const MAP_FILES_FROM: usize = 2 << 30;
const LEAST: usize = 256 << 20;
const MOST: usize = 1 << 40;

impl Memory {
    /// The shares of so much. Together they are less than half: what is decoded, decided, sent and
    /// freed takes the rest.
    pub fn of(max: usize) -> Memory {
        Memory {
            max,
            accounts: max / 4,
            transaction_keys: max / 32,
            account_keys: max / 16,
            filter: max / 64,
            queue: max / 32,
            bodies: max / 32,
            pages: max / 16,
            map_files: max >= MAP_FILES_FROM,
        }
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::of(MAX)
    }
}

/// What `memory.max` may be.
pub(super) fn max(text: &str) -> Result<usize, String> {
    size(text, LEAST, MOST)
}

pub(super) const MIB: usize = 1 << 20;
/// One request's 5,000 transactions.
pub(super) const QUEUE_LEAST: usize = 10 * MIB;
/// One request's 5 MiB.
pub(super) const BODIES_LEAST: usize = 6 * MIB;

/// Such as `512MiB`.
pub(super) fn size(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let expected = || format!("must be a size from {} to {}, not {text:?}", shown(least), shown(most));
    let units = [("KiB", 1 << 10), ("MiB", MIB), ("GiB", 1 << 30)];
    let parsed = units.iter().find_map(|(unit, bytes)| {
        let number = text.strip_suffix(unit)?.trim_end();
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse::<usize>().ok().filter(|_| digits)?.checked_mul(*bytes)
    });
    parsed.filter(|bytes| (least..=most).contains(bytes)).ok_or_else(expected)
}

fn shown(bytes: usize) -> String {
    if bytes >= 1 << 30 && bytes.is_multiple_of(1 << 30) {
        format!("{}GiB", bytes >> 30)
    } else {
        format!("{}MiB", bytes >> 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_and_lies_within_its_bounds() {
        for (text, bytes) in [("1MiB", MIB), ("1024 KiB", MIB), ("2GiB", 2 << 30), ("1023MiB", 1023 << 20)] {
            assert_eq!(size(text, MIB, 2 << 30), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "1",
            "MiB",
            "-1MiB",
            "+1MiB",
            "1MB",
            "1023KiB",
            "2049MiB",
            "99999999999999999999GiB",
            "1.5GiB",
        ] {
            let why = size(text, MIB, 2 << 30).unwrap_err();
            assert_eq!(why, format!("must be a size from 1MiB to 2GiB, not {text:?}"));
        }
    }

    #[test]
    fn the_parts_leave_more_than_half_to_what_comes_and_goes() {
        for max in [LEAST, 512 << 20, MAX] {
            let Memory { accounts, transaction_keys, account_keys, filter, queue, bodies, pages, .. } =
                Memory::of(max);
            assert!(
                accounts + transaction_keys + account_keys + filter + queue + bodies + pages
                    <= max / 2 + max / 32
            );
        }
    }
}
