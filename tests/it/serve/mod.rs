//! `rewardhub serve`: on PostgreSQL, alone and with a standby, through outages; and its
//! configuration.

mod apart;
mod config;
mod connections;
mod disk;
mod kills;
mod lag;
mod life;
mod line;
mod outages;
mod standby;
mod starts;
mod storm;
pub(crate) mod world;
