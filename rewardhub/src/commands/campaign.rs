//! `rewardhub campaign …`: a campaign from its file to its end, on a ledger that no one else writes or over HTTP.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use ledger_core::ids::CampaignId;
use ledger_core::time::Epoch;
use serde_json::{Value, json};

use crate::campaign_file::read_terms;
use crate::commands::operate::{Noun, Request, Service, Target};
use crate::commands::{Ended, Refused};
use crate::stores::read_only_log;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
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
    /// Other terms for a campaign, in force once somebody else approves them: rules at once, the prize table from
    /// the first epoch not yet scheduled.
    Revise {
        /// The file.
        file: PathBuf,
    },
    /// Approve the version that was read, if it is the latest; not by its author.
    Approve {
        /// The campaign.
        id: CampaignId,
        /// The version that was read; refused if it is not the latest any more.
        #[arg(long, value_name = "N")]
        version: u32,
    },
    /// Let it start by itself.
    Schedule {
        /// The campaign.
        id: CampaignId,
        /// When, such as 2026-12-01T00:00:00Z.
        start_at: String,
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
        #[arg(long)]
        reason: Option<String>,
    },
    /// Go on.
    Resume {
        /// The campaign.
        id: CampaignId,
    },
    /// Put more money into its budget; counts from the next epoch. Above the limit of its terms somebody else has
    /// to agree.
    Fund {
        /// The campaign.
        id: CampaignId,
        /// Minor units.
        minor: i64,
        /// Of this currency.
        currency: String,
        /// What finance calls it: the same again changes nothing.
        #[arg(long, value_name = "TEXT")]
        reference: String,
    },
    /// Agree to a funding that somebody else has proposed.
    ApproveFunding {
        /// The campaign.
        id: CampaignId,
        /// Its reference.
        reference: String,
    },
    /// Let nothing draw in one day's epoch any more.
    HaltEpoch {
        /// The campaign.
        id: CampaignId,
        /// The day, such as 2026-11-22.
        epoch: Epoch,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Let a halted epoch go on; takes two people, one after the other.
    ResumeEpoch {
        /// The campaign.
        id: CampaignId,
        /// The day.
        epoch: Epoch,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// End it for good.
    End {
        /// The campaign.
        id: CampaignId,
    },
    /// Print it as JSON, with every day's commitment. Works beside a running sandbox, and with `--url` over HTTP.
    Show {
        /// The campaign.
        id: CampaignId,
    },
}

impl Action {
    /// `None` for what only reads.
    fn request(self) -> anyhow::Result<Option<Request>> {
        let (id, action, body) = match self {
            Action::Show { .. } => return Ok(None),
            Action::Create { file } => terms_request("create", &file)?,
            Action::Revise { file } => terms_request("revise", &file)?,
            Action::Approve { id, version } => (id, "approve", json!({ "version": version })),
            Action::Schedule { id, start_at } => (id, "schedule", json!({ "start_at": start_at })),
            Action::Start { id } => (id, "start", json!({})),
            Action::Pause { id, reason } => (id, "pause", json!({ "reason": reason })),
            Action::Resume { id } => (id, "resume", json!({})),
            Action::Fund { id, minor, currency, reference } => {
                let amount = json!({ "minor": minor, "currency": currency });
                (id, "fund", json!({ "amount": amount, "reference": reference }))
            }
            Action::ApproveFunding { id, reference } => {
                (id, "approve-funding", json!({ "reference": reference }))
            }
            Action::HaltEpoch { id, epoch, reason } => {
                (id, "halt-epoch", json!({ "epoch": epoch, "reason": reason }))
            }
            Action::ResumeEpoch { id, epoch, reason } => {
                (id, "resume-epoch", json!({ "epoch": epoch, "reason": reason }))
            }
            Action::End { id } => (id, "end", json!({})),
        };
        Ok(Some(Request { noun: Noun::Campaigns, id: id.as_str().into(), action, body }))
    }
}

fn terms_request(action: &'static str, file: &Path) -> anyhow::Result<(CampaignId, &'static str, Value)> {
    let terms = read_terms(file)?;
    Ok((terms.campaign_id.clone(), action, serde_json::to_value(terms)?))
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let Arguments { target, action } = arguments;
    if let Action::Show { id } = &action {
        println!("{}", serde_json::to_string_pretty(&shown(&target, id).await?)?);
        return Ok(Ended::Fine);
    }
    let Some(request) = action.request()? else { return Ok(Ended::Fine) };
    target.operator("campaign", "campaigns:write").await?.give_and_tell(&request).await?;
    Ok(Ended::Fine)
}

async fn shown(target: &Target, id: &CampaignId) -> anyhow::Result<Value> {
    if let Some(url) = &target.url {
        let service = Service::new(url, "campaigns:write or audit:read")?;
        return service.get(&["campaigns", id.as_str()]).await;
    }
    let log = read_only_log(&target.at.config()?).await?.events;
    let shown = api::campaigns::show(&*log, id).await?;
    Ok(shown.ok_or_else(|| Refused(format!("there is no campaign {id}")))?)
}
