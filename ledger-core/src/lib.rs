//! RewardHub's domain and engine: what a transaction is, who wins, what is owed, and how each of
//! these facts becomes durable once.
//!
//! Read it in the order money moves. A [`transaction`] is parsed and its details are sealed with
//! [`keys`]. The [`engine`] lets the [`account`] decide under a [`campaign`]'s terms with a
//! [`draw`]. The [`log`] makes the decision durable. The [`steps`] issue, tell and pay. The crate
//! `audit` checks all of it again. Nothing here knows HTTP, GraphQL or a vendor.

pub mod faults;
pub mod figures;
pub mod ids;
pub mod money;
pub mod own_thread;
pub mod person;
pub mod position;
mod serde_text;
pub mod text;
pub mod time;
pub mod zone;

pub mod log;
pub mod posting;
pub mod transaction;

pub mod draw;
pub mod keys;

pub mod account;
pub mod aggregate;
pub mod campaign;
pub mod system;

pub mod operate;

pub mod event;

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
