//! `rewardhub campaign …`: a campaign from its file to its end, on a ledger that no one else writes or over HTTP.
//! Both ways say it in the same words: an action and its body.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use ledger_core::campaign::{Campaign, CampaignAnswer, CampaignCommandKind};
use ledger_core::engine::{Context, Ledger};
use ledger_core::ids::CampaignId;
use ledger_core::log::StreamId;
use ledger_core::log::decode::{LedgerEvent, decode};
use serde_json::{Value, json};

use crate::campaign_file::read_terms;
use crate::commands::{At, Ended};
use crate::config::Config;
use crate::node::Engine;
use crate::stores::read_only_log;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    at: At,
    /// A running service, such as <http://127.0.0.1:8080>; who does it is the `sub` of the token in
    /// `REWARDHUB_TOKEN`, which needs `campaigns:write`.
    #[arg(long, global = true, value_name = "URL", conflicts_with_all = ["data", "log", "config", "by"])]
    url: Option<String>,
    /// Who does it; recorded with the event. Two people are two names.
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
    /// Other terms for a campaign, in force once somebody else approves them: rules at once, the prize table from
    /// the first epoch not yet scheduled.
    Revise {
        /// The file.
        file: PathBuf,
    },
    /// Approve its latest terms; not by their author.
    Approve {
        /// The campaign.
        id: CampaignId,
        /// The version that was looked at; refused if it is not the latest any more.
        #[arg(long, value_name = "N")]
        version: Option<u32>,
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
        #[arg(long, default_value = "")]
        reason: String,
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
        epoch: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Let a halted epoch go on; takes two people, one after the other.
    ResumeEpoch {
        /// The campaign.
        id: CampaignId,
        /// The day.
        epoch: String,
        /// Why.
        #[arg(long)]
        reason: String,
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

/// What is to be done, as a request says it.
struct Request {
    id: CampaignId,
    action: &'static str,
    body: Value,
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
        Ok(Some(Request { id, action, body }))
    }
}

fn terms_request(action: &'static str, file: &Path) -> anyhow::Result<(CampaignId, &'static str, Value)> {
    let terms = read_terms(file)?;
    Ok((terms.campaign_id.clone(), action, serde_json::to_value(terms)?))
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let Arguments { at, url, by, action } = arguments;
    if let Action::Show { id } = action {
        return show(&at.config()?, &id).await;
    }
    let Some(request) = action.request()? else { return Ok(Ended::Fine) };
    let answer = match url {
        Some(url) => post(&url, &request).await?,
        None => execute(&at.config()?, &request, &by).await?,
    };
    let id = &request.id;
    match answer.as_str() {
        "done" => println!("{id}: done"),
        "proposed" => println!("{id}: proposed; somebody else has to agree"),
        _ => println!("{id}: it was so already"),
    }
    Ok(Ended::Fine)
}

/// On a ledger that no one else writes.
async fn execute(config: &Config, request: &Request, by: &str) -> anyhow::Result<String> {
    let kind = api::campaigns::command(request.action, request.body.to_string().as_bytes())?;
    let engine = Engine::open(config, "campaign").await?;
    let answer = command(&engine.ledger, &request.id, kind, by).await;
    engine.stop().await?;
    Ok(answer?.as_str().into())
}

/// Of a running service.
async fn post(url: &str, request: &Request) -> anyhow::Result<String> {
    let token =
        std::env::var("REWARDHUB_TOKEN").context("set REWARDHUB_TOKEN to a token with campaigns:write")?;
    let base = format!("{}/v1/campaigns", url.trim_end_matches('/'));
    let url = match request.action {
        "create" => base,
        action => format!("{base}/{}/{action}", request.id),
    };
    let response = reqwest::Client::new().post(&url).bearer_auth(token).json(&request.body).send().await?;
    let status = response.status();
    let answer: Value = response.json().await.with_context(|| format!("{url} answers {status}"))?;
    match answer["result"].as_str() {
        Some(result) => Ok(result.into()),
        None => bail!("{url} answers {status}: {}", answer["detail"].as_str().unwrap_or_default()),
    }
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

/// Events read at once.
const PAGE_EVENTS: usize = 10_000;

async fn load(config: &Config, id: &CampaignId) -> anyhow::Result<(Campaign, u64)> {
    use cqrs_es::Aggregate as _;
    let log = read_only_log(config).await?;
    let (mut campaign, mut events) = (Campaign::default(), 0);
    loop {
        let page = log.load_streams(&[(StreamId::campaign(id), events)], PAGE_EVENTS).await?;
        if page.is_empty() {
            return Ok((campaign, events));
        }
        for stored in page {
            if let LedgerEvent::Campaign(event) = decode(&stored)? {
                campaign.apply(event);
                events += 1;
            }
        }
    }
}

async fn show(config: &Config, id: &CampaignId) -> anyhow::Result<Ended> {
    let (campaign, events) = load(config, id).await?;
    let Some((terms, version)) = campaign.terms() else { bail!("there is no campaign {id}") };
    let standing = campaign.standing().map_or("not started".into(), |s| format!("{s:?}").to_lowercase());
    let epochs: Vec<_> = campaign
        .epochs()
        .map(|(epoch, state)| json!({ "epoch": epoch.to_string(), "phase": state.phase.as_str(), "commitment": state.commitment }))
        .collect();
    let fundings: Vec<_> = campaign
        .fundings()
        .filter_map(|(reference, funding)| {
            let by = funding.waits_for_other_than.as_ref()?;
            Some(json!({ "reference": reference, "amount": funding.amount, "proposed_by": by }))
        })
        .collect();
    let revision = campaign.revision().map(|r| json!({ "version": r.version, "terms": r.terms, "by": r.by }));
    let table = &terms.prize_table;
    let tiers: Vec<_> =
        table.tiers.iter().map(|tier| json!({ "name": tier.name, "odds": tier.odds_text() })).collect();
    let shown = json!({
        "terms": terms, "version": version, "standing": standing, "events": events,
        "starts_itself_at": campaign.starts_itself_at(), "revision": revision, "fundings_proposed": fundings,
        "odds": { "any": table.odds_text(), "tiers": tiers },
        "expected_cost_per_draw_ppb_minor": table.expected_cost_ppb().to_string(),
        "funded_minor": campaign.funded_minor(), "spent_minor": campaign.spent_minor(), "epochs": epochs,
    });
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(Ended::Fine)
}
