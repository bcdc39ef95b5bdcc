//! The rewardhub command: configuration, telemetry, wiring. The only place that names concrete
//! types.

mod amount;
pub mod backup;
pub mod campaign_file;
pub mod commands;
pub mod config;
mod descriptors;
pub mod folder;
pub mod identity;
pub mod node;
pub mod opened;
pub mod outside;
pub mod secret;
pub mod telemetry;
