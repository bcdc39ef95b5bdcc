//! Back-test: what a campaign would have cost, and whom it would have pleased, had it run over past
//! transactions.
//!
//! The lines go once through the account's own `decide`, on accounts of their own and with nothing
//! to win: what it says of every rule that does not look at wins holds for whatever is drawn. Then
//! each seed draws for every line that was admitted, with the same prize table, masks, inventories
//! and rules about wins. `r` comes from a plain generator, for speed; it says how a campaign
//! behaves, never who wins one.
//!
//! Nothing here can pay, tell or record: it has no ledger, no rail, no notifier and no log, only
//! lines and terms.

mod moment;
mod past;
mod plan;
mod run;
mod summary;

pub use past::PastLine;
pub use plan::{Plan, Skipped};
pub use run::{Run, Scratch};
pub use summary::{CustomersBy, DaySummary, Quantiles, Summary};

#[cfg(test)]
mod tests;
