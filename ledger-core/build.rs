//! The fingerprint of the code that makes and reads an aggregate's state: a snapshot made by other
//! code is not used. It covers the aggregates, the values they are made of and what feeds them from
//! the log, whole files, comments included: once too often costs a hydration from the first event,
//! once too rarely a wrong state.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};

const CODE: [&str; 15] = [
    "src/account",
    "src/campaign",
    "src/system",
    "src/draw",
    "src/ids.rs",
    "src/serde_text.rs",
    "src/keys/account.rs",
    "src/money.rs",
    "src/time.rs",
    "src/transaction",
    "src/event.rs",
    "src/engine/core.rs",
    "src/engine/hydrate.rs",
    "src/engine/reading.rs",
    "src/engine/snapshots.rs",
];

fn main() {
    let mut files = Vec::new();
    for path in CODE {
        println!("cargo::rerun-if-changed={path}");
        collect(Path::new(path), &mut files);
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        hasher.write(file.to_string_lossy().as_bytes());
        hasher.write(&std::fs::read(&file).expect("a file just listed"));
    }
    println!("cargo::rustc-env=STATE_CODE={:016x}", hasher.finish());
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        return files.push(path.into());
    }
    for entry in std::fs::read_dir(path).expect("a folder of this package").flatten() {
        collect(&entry.path(), files);
    }
}
