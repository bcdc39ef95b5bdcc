//! `rewardhub token`: a token of the sandbox's own issuer, alone on stdout. Works beside a running
//! sandbox.

use std::time::Duration;

use api::auth::{SandboxIssuer, Scope, TokenRequest};
use ledger_core::text::check_person;
use ledger_core::time::{Clock as _, SystemClock};

use crate::commands::support::{At, Ended, Usage};
use crate::folder::Folder;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    at: At,
    /// Who holds it: a customer's account id for `rewards:read`, a name for `campaigns:write` and
    /// `ops`.
    #[arg(long, value_name = "ACCOUNT")]
    sub: Option<String>,
    /// A source the holder may write for, `*` for all; may be repeated. Needed for
    /// `transactions:write`.
    #[arg(long = "source", value_name = "S")]
    sources: Vec<String>,
    /// What the holder may do, separated by spaces: rewards:read (his own account),
    /// transactions:write, audit:read (all accounts, nothing personal), campaigns:write, ops
    /// (accounts, opening seeds), privacy:erase.
    #[arg(long, value_name = "SCOPES", default_value = "rewards:read")]
    scope: String,
    /// How long it is good for.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1h")]
    ttl: Duration,
}

/// Refuses scopes that there are not, and tells of those that open nothing as they are asked for.
fn check(arguments: &Arguments) -> Result<(), Usage> {
    for word in arguments.scope.split_whitespace() {
        let Some(scope) = Scope::ALL.into_iter().find(|scope| scope.as_str() == word) else {
            let known = Scope::ALL.map(Scope::as_str).join(", ");
            return Err(Usage(format!("--scope: {word:?} is none of {known}")));
        };
        // Its holder's name will stand in events.
        if let (Scope::CampaignsWrite | Scope::Ops, Some(name)) = (scope, &arguments.sub) {
            check_person(name).map_err(|error| Usage(format!("--sub {error}")))?;
        }
        let missing = match scope {
            Scope::TransactionsWrite => arguments.sources.is_empty().then_some("--source"),
            Scope::RewardsRead | Scope::CampaignsWrite | Scope::Ops => {
                arguments.sub.is_none().then_some("--sub")
            }
            Scope::AuditRead | Scope::PrivacyErase => None,
        };
        if let Some(missing) = missing {
            eprintln!("without {missing} this token opens nothing by {word}");
        }
    }
    Ok(())
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ended> {
    check(arguments)?;
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
