//! Golden logs: the events that each release wrote, as lines of JSON.

#![allow(clippy::unwrap_used, reason = "test code that is no test by itself: a panic is its verdict")]

use std::path::{Path, PathBuf};

use ledger_core::ids::{Digest, TransactionKey};
use ledger_core::log::{Position, StoredEvent, StreamId, StreamType};
use ledger_core::time::Timestamp;
use serde_json::Value;

/// The folders below `golden`, one for each release, sorted.
pub fn folders(golden: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(golden).unwrap();
    let mut folders: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// The events of a folder's `log.jsonl`.
pub fn events(folder: &Path) -> Vec<StoredEvent> {
    let lines = std::fs::read_to_string(folder.join("log.jsonl")).unwrap();
    lines.lines().map(event).collect()
}

fn event(line: &str) -> StoredEvent {
    let read: Value = serde_json::from_str(line).unwrap();
    let text = |name: &str| read[name].as_str().unwrap().to_owned();
    let key = read["transaction_key"].as_str();
    let stream_type = StreamType::parse(&text("stream_type")).unwrap();
    StoredEvent {
        position: Position(read["position"].as_u64().unwrap()),
        stream: StreamId { stream_type, id: text("stream_id").into() },
        sequence: read["sequence"].as_u64().unwrap(),
        event_type: text("event_type").into(),
        event_version: text("event_version").into(),
        payload: text("payload").into_bytes(),
        metadata: text("metadata").into_bytes().into(),
        recorded_at: Timestamp::from_micros(read["recorded_at"].as_i64().unwrap()),
        transaction_key: key.map(|hex| TransactionKey::from_hex(hex).unwrap()),
        hash: Digest::from_hex(&text("hash")).unwrap(),
    }
}
