//! What operators do, with the real binary: accounts, campaigns, seeds; on a folder of their own
//! and over HTTP.

mod accounts;
mod campaigns;
mod commands;
mod hints;
mod metrics;
mod names;
mod parked;
mod production;
mod reviews;
mod seeds;
mod switches;

use rewardhub_tests::Home;
use serde_json::Value;

/// Every event of one kind in a folder's log: who did it, and what it says.
fn recorded(home: &Home, event: &str) -> Vec<(String, Value)> {
    let log = rusqlite::Connection::open(home.data().join("log.db")).unwrap();
    let sql = "SELECT metadata, payload FROM events WHERE event_type = ?1 ORDER BY position";
    let mut statement = log.prepare(sql).unwrap();
    let read = |row: &rusqlite::Row<'_>| {
        let json = |column: usize| -> rusqlite::Result<Value> {
            let text = match row.get_ref(column)? {
                rusqlite::types::ValueRef::Blob(bytes) | rusqlite::types::ValueRef::Text(bytes) => bytes,
                other => panic!("{other:?}"),
            };
            Ok(serde_json::from_slice(text).unwrap())
        };
        Ok((json(0)?["actor"].as_str().unwrap().to_owned(), json(1)?[event].take()))
    };
    statement.query_map([event], read).unwrap().map(Result::unwrap).collect()
}
