//! Read models: what the log says, as tables an app can query.
//!
//! A [`runner`] reads the log after its cursors and applies every event once to each
//! [`Projection`]: [`account`] (balances), [`rewards`], [`transactions`] (with their decisions and
//! draws), [`campaigns`] (with their epochs) and the [`trial_balance`]. The [`store`] is a file of
//! SQLite or a schema of PostgreSQL. Rows and cursors move in one transaction of it, so a reader's
//! answer is always the state at one position. [`rebuild`] makes the tables anew and tells whether
//! the running ones were right. Nothing here can pay or tell anyone: a projection sees events and a
//! database, no port.
//!
//! Money is integer minor units with a currency; personal details stay sealed.

mod column;
mod connection;
mod cursor;
mod error;
mod fold;
mod page;
mod projection;
mod table;

pub mod store;

pub mod account;

pub mod rewards;

pub mod transactions;

pub mod campaigns;

pub mod trial_balance;

mod models;

pub mod runner;

pub mod rebuild;

pub mod agree;

#[cfg(test)]
mod fixtures;

pub use connection::Connection;
pub use cursor::{Cursors, cursors, position};
pub use error::{Contradiction, ProjectionError};
pub use page::{PAGE_ROWS_MAX, Page};
pub use projection::{Projection, UnknownProjection};
pub use runner::{Progress, Runner};
pub use store::ReadStore;
