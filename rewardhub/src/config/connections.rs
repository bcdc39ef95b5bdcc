//! Bounds of what comes in: connections, and the work that one token asks for.

use std::time::Duration;

use api::allowance;
use api::server::Limits;

use super::parse::{duration, number};
use super::{ConfigError, HOUR, Sources, file};

impl Sources<'_> {
    pub(super) fn connections(&self, file: file::Connections) -> Result<Limits, ConfigError> {
        let default = Limits::default();
        let time = |text: &str| duration(text, Duration::from_millis(100), HOUR);
        Ok(Limits {
            connections_max: self.value(
                "connections.max",
                file.max,
                |text| number(text, Limits::CONNECTIONS_MIN, 1_000_000),
                default.connections_max,
            )?,
            header: self.value("connections.header_timeout", file.header_timeout, time, default.header)?,
            idle: self.value("connections.idle_timeout", file.idle_timeout, time, default.idle)?,
            write: self.value("connections.write_timeout", file.write_timeout, time, default.write)?,
        })
    }

    pub(super) fn per_token(&self, file: file::PerToken) -> Result<allowance::Limits, ConfigError> {
        let default = allowance::Limits::default();
        let points = |text: &str| number(text, 1, 1_000_000_000);
        Ok(allowance::Limits {
            cost_per_second: self.value(
                "per_token.cost_per_second",
                file.cost_per_second,
                points,
                default.cost_per_second,
            )?,
            cost_burst: self.value("per_token.cost_burst", file.cost_burst, points, default.cost_burst)?,
            at_once: self.value(
                "per_token.at_once",
                file.at_once,
                |text| number(text, 1, 100_000),
                default.at_once,
            )?,
        })
    }
}
