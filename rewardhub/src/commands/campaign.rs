//! `rewardhub campaign …`: a campaign from its file to its end, on a ledger that no one else writes.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use ledger_core::campaign::{Campaign, CampaignAnswer, CampaignCommandKind};
use ledger_core::engine::{Context, Ledger};
use ledger_core::ids::CampaignId;
use ledger_core::log::StreamId;
use ledger_core::log::decode::{LedgerEvent, decode};
use ledger_core::money::Money;
use serde_json::json;

use crate::campaign_file::read_terms;
use crate::commands::{At, Ended};
use crate::config::Config;
use crate::node::Engine;
use crate::stores::read_only_log;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    at: At,
    /// Who does it; recorded with the event.
    #[arg(long, global = true, value_name = "NAME", default_value = "operator")]
    by: String,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Draft a campaign from a YAML or JSON file; campaign.example.yaml shows all settings.
    Create {
        /// The file.
        file: PathBuf,
    },
    /// Approve its terms.
    Approve {
        /// The campaign.
        id: CampaignId,
    },
    /// Start it: the budget is funded, today's epoch opens.
    Start {
        /// The campaign.
        id: CampaignId,
    },
    /// Decline everything until it resumes.
    Pause {
        /// The campaign.
        id: CampaignId,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Go on.
    Resume {
        /// The campaign.
        id: CampaignId,
    },
    /// Put more money into its budget; counts from the next epoch.
    Fund {
        /// The campaign.
        id: CampaignId,
        /// Minor units of its currency.
        minor: i64,
    },
    /// End it for good.
    End {
        /// The campaign.
        id: CampaignId,
    },
    /// Print it as JSON. Works beside a running sandbox.
    Show {
        /// The campaign.
        id: CampaignId,
    },
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let Arguments { at, by, action } = arguments;
    let config = at.config()?;
    let (id, kind) = match action {
        Action::Show { id } => return show(&config, &id).await,
        Action::Create { file } => {
            let terms = read_terms(&file)?;
            (terms.campaign_id.clone(), CampaignCommandKind::Draft(Box::new(terms)))
        }
        Action::Approve { id } => (id, CampaignCommandKind::Approve),
        Action::Start { id } => (id, CampaignCommandKind::Start),
        Action::Pause { id, reason } => (id, CampaignCommandKind::Pause { reason }),
        Action::Resume { id } => (id, CampaignCommandKind::Resume),
        Action::Fund { id, minor } => {
            let (campaign, _) = load(&config, &id).await?;
            let (terms, _) = campaign.terms().with_context(|| format!("there is no campaign {id}"))?;
            (id, CampaignCommandKind::Fund { amount: Money::new(minor, terms.prize_table.currency)? })
        }
        Action::End { id } => (id, CampaignCommandKind::End),
    };
    let engine = Engine::open(&config, "campaign").await?;
    let answer = command(&engine.ledger, &id, kind, &by).await;
    engine.stop().await?;
    match answer? {
        CampaignAnswer::Done => println!("{id}: done"),
        CampaignAnswer::Unchanged => println!("{id}: it was so already"),
    }
    Ok(Ended::Fine)
}

/// Gives one command and turns a refusal into an error.
pub(super) async fn command(
    ledger: &Ledger,
    id: &CampaignId,
    kind: CampaignCommandKind,
    by: &str,
) -> anyhow::Result<CampaignAnswer> {
    let context = Context::new(&format!("operator:{by}"), "", "command line");
    ledger.campaign(id.clone(), kind, context).await?.with_context(|| format!("campaign {id}"))
}

async fn load(config: &Config, id: &CampaignId) -> anyhow::Result<(Campaign, u64)> {
    use cqrs_es::Aggregate as _;
    let log = read_only_log(config).await?;
    let (mut campaign, mut events) = (Campaign::default(), 0);
    for stored in log.load_streams(&[StreamId::campaign(id)]).await? {
        if let LedgerEvent::Campaign(event) = decode(&stored)? {
            campaign.apply(event);
            events += 1;
        }
    }
    Ok((campaign, events))
}

async fn show(config: &Config, id: &CampaignId) -> anyhow::Result<Ended> {
    let (campaign, events) = load(config, id).await?;
    let Some((terms, version)) = campaign.terms() else { bail!("there is no campaign {id}") };
    let standing = campaign.standing().map_or("not started".into(), |s| format!("{s:?}").to_lowercase());
    let epochs: Vec<_> = campaign
        .epochs()
        .map(|(epoch, state)| json!({ "epoch": epoch.to_string(), "phase": state.phase.as_str(), "commitment": state.commitment }))
        .collect();
    let shown = json!({
        "terms": terms, "version": version, "standing": standing, "events": events,
        "funded_minor": campaign.funded_minor(), "spent_minor": campaign.spent_minor(), "epochs": epochs,
    });
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(Ended::Fine)
}
