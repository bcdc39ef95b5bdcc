//! The workspace's integration tests, as one program: `cargo test -p rewardhub-tests --test it
//! serve::`.
//!
//! What a process has only one of (its environment, its folder, its metrics) is changed in no test:
//! a test that needs its own starts the built program.
#![allow(clippy::unwrap_used, reason = "tests")]

mod audit;
mod backtest;
mod bad_input;
mod clock;
mod crash;
mod docs;
mod events;
mod files;
mod golden;
mod graphql;
mod ingest;
mod life;
mod memory;
mod observe;
mod operate;
mod proof;
mod published;
mod rederive;
mod reference;
mod serve;
mod tidy;
