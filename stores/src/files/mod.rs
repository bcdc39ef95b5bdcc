//! What our SQLite files have in common: a write-ahead log that stays small while we run and is
//! empty when we end, so that each file alone holds all that was written.

mod copy;
mod still;
mod wal;

pub use copy::{CopyError, copy_database, sum_of};
pub use still::{expect_writers, is_still, open_read_only};
pub use wal::{Wal, empty_wal, finish, is_written_here, keep, on_writer};
