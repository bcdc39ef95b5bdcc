//! A ledger in a data folder, in which everybody wins, and ways to look at its files.

use std::path::{Path, PathBuf};

use rewardhub_tests::rows::{CERTAIN, campaign, purchase};
use rewardhub_tests::{Home, Sandbox};

pub(crate) use crate::serve::world::{SOON, World};

/// All files of a ledger that SQLite writes.
pub(crate) const DATABASES: [&str; 5] = ["log.db", "read.db", "keys.db", "steps.db", "rail.db"];

/// A folder that is served with its own issuer.
pub(crate) fn home() -> Home {
    Home::with(&[
        ("REWARDHUB_TOKENS_JWKS", "sandbox"),
        ("REWARDHUB_ENROLMENT", "open"),
        ("REWARDHUB_LISTEN", "127.0.0.1:0"),
    ])
}

/// The same with a campaign in which everyone wins.
pub(crate) fn home_with_campaign() -> Home {
    let home = home();
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 100_000_000));
    home
}

/// Serves it until all that was sent is decided, issued, told and paid. `name` is part of all ids.
pub(crate) fn with_wins(home: &Home, name: &str, wins: usize) -> Sandbox {
    let service = home.listen(&[]);
    service.ready(SOON);
    win(&service, name, wins);
    service
}

/// So many wins more, of accounts of their own.
pub(crate) fn win(service: &Sandbox, name: &str, wins: usize) {
    let rows: Vec<_> =
        (0..wins).map(|n| purchase(&format!("{name}-{n}"), &format!("cus_{name}_{n}"))).collect();
    for answer in service.send(&service.feed(), &rows) {
        assert_eq!(answer["result"], "accepted", "{answer}");
    }
    service.settle(SOON);
}

/// What a file's write-ahead log holds.
pub(crate) fn wal_bytes(file: &Path) -> u64 {
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    std::fs::metadata(PathBuf::from(wal)).map_or(0, |wal| wal.len())
}
