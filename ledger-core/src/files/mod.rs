//! What our SQLite files have in common: a write-ahead log that stays small while we run and is empty when we end, so
//! that each file alone holds all that was written.

mod wal;

pub use wal::{Wal, empty_wal, finish, keep, on_writer};
