//! A reward account: what a customer's lines were decided to be, and what is owed to him. The aggregate
//! `account`.

pub mod event;

pub use event::AccountEvent;
