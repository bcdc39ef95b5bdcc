//! `rewardhub token`: a token of the sandbox's own issuer, alone on stdout. Works beside a running sandbox.

use std::time::Duration;

use api::auth::{SandboxIssuer, TokenRequest};
use ledger_core::time::{Clock as _, SystemClock};

use crate::commands::{At, Ended};
use crate::folder::Folder;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    at: At,
    /// The customer's account id; needed for `rewards:read`.
    #[arg(long, value_name = "ACCOUNT")]
    sub: Option<String>,
    /// A source the holder may write for, `*` for all; may be repeated.
    #[arg(long = "source", value_name = "S")]
    sources: Vec<String>,
    /// What the holder may do, separated by spaces.
    #[arg(long, value_name = "SCOPES", default_value = "rewards:read")]
    scope: String,
    /// How long it is good for.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1h")]
    ttl: Duration,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ended> {
    let config = arguments.at.config()?;
    config.check_profile()?;
    let path = config.data;
    // Beside a ledger on PostgreSQL the folder has no log, but `serve` has made the issuer.
    let folder = if SandboxIssuer::is_in(&path) { Folder::create(&path)? } else { Folder::existing(&path)? };
    let issuer = SandboxIssuer::open_or_create(&folder.issuer())?;
    let request = TokenRequest {
        sub: arguments.sub.as_deref(),
        sources: &arguments.sources,
        scope: &arguments.scope,
        ttl: arguments.ttl,
    };
    println!("{}", issuer.issue(&request, SystemClock.now())?);
    Ok(Ended::Fine)
}
