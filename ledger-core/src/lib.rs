//! RewardHub's domain and engine: what a transaction is, who wins, what is owed, and how each of
//! these facts becomes durable once.
//!
//! Read it in the order money moves: a [`transaction`] is parsed, its details [`seal`]ed, the
//! [`engine`] lets the [`account`] decide under a [`campaign`]'s terms with a [`draw`], the [`log`]
//! makes the decision durable, [`steps`] issue, tell and pay. The crate `audit` checks all of it
//! again. Nothing here knows HTTP, GraphQL or a vendor.

pub mod ids;
pub mod money;
pub mod position;
pub mod time;
pub mod words;
pub mod zone;

pub mod faults;
pub mod figures;
pub mod own_thread;
mod texts;

pub mod transaction;

pub mod person;
pub mod posting;

pub mod draw;

pub mod seal;

pub mod campaign;

pub mod account;

pub mod system;

pub mod log;

pub mod engine;

pub mod stated;

pub mod steps;

#[cfg(test)]
mod given;
// The sources of the crate `support`: through the crate itself, unit tests would see a second
// ledger-core.
#[cfg(test)]
extern crate self as ledger_core;
#[cfg(test)]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "unit tests need a part of it")]
#[path = "../../tests/support/src/lib.rs"]
mod support;
