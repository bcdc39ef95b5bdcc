//! `rewardhub campaign …`: a campaign from its file to its end, on a ledger that no one else writes
//! or over HTTP.

mod told;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use ledger_core::ids::CampaignId;
use ledger_core::log::StreamType;
use ledger_core::person;
use ledger_core::time::Epoch;
use ledger_core::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::amount;
use crate::campaign_file::{read_revision, read_terms};
use crate::commands::operate::{Noun, Operator, Request, Said, Service};
use crate::commands::support::{Ended, Refused, Target, Usage};
use crate::opened::read_only_log;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    said: Said,
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
    /// Other terms for a campaign, in force once somebody else approves them: rules at once, the
    /// prize table from the first epoch not yet scheduled.
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
        reason: String,
    },
    /// Go on.
    Resume {
        /// The campaign.
        id: CampaignId,
    },
    /// Put more money into its budget; counts from the next epoch. Above the limit of its terms
    /// somebody else has to agree.
    Fund {
        /// The campaign.
        id: CampaignId,
        /// How much, such as 5000.00 GBP.
        #[arg(required = true, num_args = 1..=2, value_name = "AMOUNT")]
        amount: Vec<String>,
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
    /// Print all of them, a line each. Works beside a running sandbox, and with `--url` over HTTP.
    List,
    /// Read a file as `create` would, and say what it promises and may cost. Needs no ledger.
    Check {
        /// The file.
        file: PathBuf,
        /// It revises a running campaign: planned draws are held against what was funded, which the
        /// file does not say.
        #[arg(long)]
        revision: bool,
    },
    /// What the version that waits for approval would change.
    Diff {
        /// The campaign.
        id: CampaignId,
    },
    /// Print it as JSON, with every day's commitment. Works beside a running sandbox, and with
    /// `--url` over HTTP.
    Show {
        /// The campaign.
        id: CampaignId,
    },
}

impl Action {
    /// `None` for what only reads.
    fn request(self) -> anyhow::Result<Option<Request>> {
        let (id, action, body) = match self {
            Action::Show { .. } | Action::List | Action::Check { .. } | Action::Diff { .. } => {
                return Ok(None);
            }
            Action::Create { file } => terms_request("create", &file)?,
            Action::Revise { file } => terms_request("revise", &file)?,
            Action::Approve { id, version } => (id, "approve", json!({ "version": version })),
            Action::Schedule { id, start_at } => (id, "schedule", json!({ "start_at": start_at })),
            Action::Start { id } => (id, "start", json!({})),
            Action::Pause { id, reason } => (id, "pause", json!({ "reason": reason })),
            Action::Resume { id } => (id, "resume", json!({})),
            Action::Fund { id, amount, reference } => {
                let amount =
                    amount::parse(&amount.join(" ")).map_err(|why| Usage(format!("AMOUNT {why}")))?;
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
    let terms = if action == "revise" { read_revision(file) } else { read_terms(file) }?;
    Ok((terms.campaign_id.clone(), action, serde_json::to_value(terms)?))
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let Arguments { said, action } = arguments;
    match &action {
        Action::Show { id } => println!("{}", serde_json::to_string_pretty(&shown(&said.target, id).await?)?),
        Action::List => print_lines(&all(&said.target).await?.iter().map(told::line).collect::<Vec<_>>()),
        Action::Diff { id } => print_changes(&shown(&said.target, id).await?),
        Action::Check { file, revision } => check(file, *revision)?,
        _ => {}
    }
    let Some(request) = action.request()? else { return Ok(Ended::Fine) };
    said.check_person(request.action)?;
    let operator = match request.action {
        "create" => said.first_operator("campaign", "campaigns:write").await?,
        _ => said.operator("campaign", "campaigns:write").await?,
    };
    let given = give(&operator, &request).await;
    operator.stop().await?;
    print_lines(&given?);
    Ok(Ended::Fine)
}

/// Does it, and answers what a person is told.
async fn give(operator: &Operator, request: &Request) -> anyhow::Result<Vec<String>> {
    let id = CampaignId::parse(&request.id)?;
    // A second person hears what he agrees to.
    let proposal = match (request.action, request.body["reference"].as_str()) {
        ("approve-funding", Some(reference)) => {
            let campaign = operator.campaign(&id).await.ok().flatten();
            campaign.and_then(|campaign| told::proposed(&campaign, reference))
        }
        _ => None,
    };
    let answer = operator.give(request).await?;
    let mut lines = vec![request.told(&answer)];
    lines.extend(proposal);
    if answer == "done" && !matches!(request.action, "pause" | "resume" | "end") {
        // It is done: that more cannot be told just now is no failure.
        let campaign = operator.campaign(&id).await.ok().flatten();
        lines.extend(campaign.map_or(Vec::new(), |campaign| told::after(request.action, &campaign)));
    }
    if let ("fund", Ok(amount)) = (request.action, serde_json::from_value(request.body["amount"].clone())) {
        let reference = request.body["reference"].as_str().unwrap_or_default();
        lines.insert(1, format!("{reference}: {}", amount::text(amount)));
    }
    Ok(lines)
}

fn check(file: &Path, revision: bool) -> anyhow::Result<()> {
    let terms = if revision { read_revision(file) } else { read_terms(file) }?;
    if let Some(over) = terms.over_at(SystemClock.now()) {
        return Err(Refused(format!("{}: {over}", file.display())).into());
    }
    println!("{}: is good", terms.campaign_id);
    print_lines(&told::of_terms(&terms));
    Ok(())
}

fn print_lines(lines: &[String]) {
    for line in lines {
        println!("{line}");
    }
}

fn print_changes(campaign: &Value) {
    match &campaign["revision"] {
        Value::Null => println!("version {} is the latest: no other waits for approval", campaign["version"]),
        revision => {
            let changes = told::changes(&campaign["terms"], &revision["terms"]);
            let by = person::told(revision["by"].as_str().unwrap_or_default());
            println!("version {} by {by} changes:", revision["version"]);
            print_lines(&changes);
        }
    }
}

async fn all(target: &Target) -> anyhow::Result<Vec<Value>> {
    if let Some(url) = &target.url {
        let mut answer = Service::new(url, "campaigns:write or audit:read")?.get(&["campaigns"]).await?;
        return Ok(serde_json::from_value(answer["campaigns"].take())?);
    }
    let log = read_only_log(&target.at.config()?).await?.events;
    let mut campaigns = Vec::new();
    for stream in log.stream_ids(StreamType::Campaign).await? {
        let id = CampaignId::parse(&stream.id)?;
        campaigns.extend(api::campaigns::show(&*log, &id, SystemClock.now()).await?);
    }
    Ok(campaigns)
}

async fn shown(target: &Target, id: &CampaignId) -> anyhow::Result<Value> {
    if let Some(url) = &target.url {
        let service = Service::new(url, "campaigns:write or audit:read")?;
        return service.get(&["campaigns", id.as_str()]).await;
    }
    let log = read_only_log(&target.at.config()?).await?.events;
    let shown = api::campaigns::show(&*log, id, SystemClock.now()).await?;
    Ok(shown.ok_or_else(|| Refused(format!("there is no campaign {id}")))?)
}
