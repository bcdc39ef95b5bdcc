//! What `campaign` and `account` have in common: an operator says the same words, an action and its
//! body, to a ledger that no one else writes or to a running service.

use anyhow::Context as _;
use ledger_core::campaign::{CampaignAnswer, CampaignCommandKind};
use ledger_core::engine::{self, Ledger, SubmitError};
use ledger_core::ids::{AccountId, CampaignId};
use ledger_core::operate;
use ledger_core::person::same_person;
use ledger_core::steps::parked::ParkedError;
use ledger_core::text::check_person;
use ledger_core::time::{Clock as _, SystemClock};
use ledger_core::transaction::wire::parse_account_id;
use reqwest::{StatusCode, Url};
use serde_json::Value;

use crate::commands::support::{Refused, Target, Usage};
use crate::config::{Config, ConfigError};
use crate::node::Engine;

/// Who does what takes one person and nobody has said who.
const NOBODY: &str = "operator";
/// What takes two people, so it must be said who.
const TWO_PEOPLE: [&str; 10] = [
    "create",
    "revise",
    "approve",
    "fund",
    "approve-funding",
    "resume-epoch",
    "release",
    "dismiss",
    "drop",
    "fail",
];

const WHO: &str = "--by NAME is needed: two people are asked for";

fn is_nobody(by: &str, action: &str) -> bool {
    same_person(by, NOBODY) && TWO_PEOPLE.contains(&action)
}

/// Where it is said, and by whom.
#[derive(clap::Args)]
pub(super) struct Said {
    #[command(flatten)]
    pub(super) target: Target,
    /// Who does it; recorded with the event. Two people are two names.
    #[arg(long, global = true, value_name = "NAME", default_value = NOBODY, conflicts_with = "url")]
    by: String,
}

impl Said {
    /// What takes two people needs a name, before anything is opened.
    pub(super) fn check_person(&self, action: &str) -> Result<(), Usage> {
        if self.target.url.is_none() && is_nobody(&self.by, action) {
            return Err(Usage(WHO.into()));
        }
        Ok(())
    }

    /// Opens the ledger as its writer, or gets ready to ask the service. `command` is told to
    /// others who want the ledger, `scope` is what the service's token needs.
    pub(super) async fn operator(&self, command: &str, scope: &'static str) -> anyhow::Result<Operator> {
        match &self.target.url {
            Some(url) => Ok(Operator::Service(Service::new(url, scope)?)),
            None => Operator::open(&self.target.at.of_existing()?, command, &self.by).await,
        }
    }

    /// The same for what may be the first that is ever said to a ledger: it is laid out where there
    /// is none.
    pub(super) async fn first_operator(
        &self,
        command: &str,
        scope: &'static str,
    ) -> anyhow::Result<Operator> {
        match &self.target.url {
            Some(url) => Ok(Operator::Service(Service::new(url, scope)?)),
            None => Operator::open(&self.target.at.config()?, command, &self.by).await,
        }
    }
}

/// What an action is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noun {
    Campaigns,
    Accounts,
    Parked,
    Switches,
}

impl Noun {
    fn path(self) -> &'static str {
        match self {
            Noun::Campaigns => "campaigns",
            Noun::Accounts => "accounts",
            Noun::Parked => "parked",
            Noun::Switches => "switches",
        }
    }
}

/// What is to be done, as a request says it.
pub(super) struct Request {
    pub(super) noun: Noun,
    pub(super) id: String,
    pub(super) action: &'static str,
    pub(super) body: Value,
}

impl Request {
    /// What a person is told of the answer.
    pub(super) fn told(&self, answer: &str) -> String {
        let what = match answer {
            "done" => "done",
            "proposed" => "proposed; somebody else has to agree",
            _ => "it was so already",
        };
        format!("{}: {what}", self.id)
    }
}

/// Does what requests say.
pub(super) enum Operator {
    /// On a ledger that no one else writes.
    Ledger { engine: Box<Engine>, by: String },
    /// Through a running service.
    Service(Service),
}

impl Operator {
    /// Becomes the writer of the ledger, for somebody by whose name others can tell him.
    pub(super) async fn open(config: &Config, command: &str, by: &str) -> anyhow::Result<Operator> {
        check_by(by)?;
        let engine = Box::new(Engine::open(config, command).await?);
        Ok(Operator::Ledger { engine, by: by.into() })
    }

    /// Does one thing; answers `done`, `unchanged` or `proposed`. What is refused is [`Refused`],
    /// what may go well a moment later is [`Busy`].
    pub(super) async fn give(&self, request: &Request) -> anyhow::Result<String> {
        match self {
            Operator::Ledger { by, .. } if is_nobody(by, request.action) => Err(Usage(WHO.into()).into()),
            Operator::Ledger { engine, by } => Ok(execute(engine, request, by).await?.into()),
            Operator::Service(service) => {
                let Request { noun, id, action, body } = request;
                let answer = match *action {
                    "create" => service.post(&[noun.path()], body).await?,
                    action => service.post(&[noun.path(), id, action], body).await?,
                };
                Ok(answer["result"].as_str().context("the service's answer has no result")?.into())
            }
        }
    }

    /// A campaign as it stands.
    pub(super) async fn campaign(&self, id: &CampaignId) -> anyhow::Result<Option<Value>> {
        match self {
            Operator::Ledger { engine, .. } => {
                Ok(api::campaigns::show(&*engine.log, id, SystemClock.now()).await?)
            }
            Operator::Service(service) => service.get(&["campaigns", id.as_str()]).await.map(Some),
        }
    }

    /// Before many accounts are opened: makes their keys with one commit for all, where that is
    /// ours to do.
    pub(super) async fn make_keys(&self, accounts: Vec<AccountId>) -> anyhow::Result<()> {
        match self {
            Operator::Ledger { engine, .. } => {
                engine.intake.make_keys(accounts).await.map(drop).map_err(busy)
            }
            Operator::Service(_) => Ok(()),
        }
    }

    /// Gives the ledger back.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        match self {
            Operator::Ledger { engine, .. } => engine.stop().await,
            Operator::Service(_) => Ok(()),
        }
    }

    /// Does one thing, tells what came of it, and gives the ledger back.
    pub(super) async fn give_and_tell(self, request: &Request) -> anyhow::Result<()> {
        let answer = self.give(request).await;
        self.stop().await?;
        println!("{}", request.told(&answer?));
        Ok(())
    }
}

async fn execute(engine: &Engine, request: &Request, by: &str) -> anyhow::Result<&'static str> {
    let Request { noun, id, action, body } = request;
    let body = body.to_string();
    match noun {
        Noun::Campaigns => {
            let kind = operate::campaigns::command(action, body.as_bytes()).map_err(refused)?;
            let id = CampaignId::parse(id).map_err(refused)?;
            Ok(command_campaign(&engine.ledger, &id, kind, by).await?.as_str())
        }
        Noun::Accounts => {
            let kind = operate::accounts::command(action, body.as_bytes()).map_err(refused)?;
            let account = parse_account_id(id).map_err(|error| Refused(error.message.into()))?;
            let answer = engine.intake.account(account, kind, context(by)).await.map_err(busy)?;
            let answer = answer.map_err(|rejection| Refused(format!("account {id}: {rejection}")))?;
            Ok(operate::accounts::result(&answer))
        }
        Noun::Parked => {
            let (action, reason) = operate::parked::command(action, body.as_bytes()).map_err(refused)?;
            let answer = engine.parked()?.resolve(&engine.ledger, id, action, reason, context(by)).await;
            Ok(answer.map_err(of_parked)?.as_str())
        }
        Noun::Switches => {
            let kind = operate::switches::command(id, action, body.as_bytes()).map_err(refused)?;
            let answer = engine.ledger.system(kind, context(by)).await.map_err(busy)?;
            Ok(answer.map_err(refused)?.0.as_str())
        }
    }
}

/// A refusal, or what failed.
pub(super) fn of_parked(error: ParkedError) -> anyhow::Error {
    match error {
        ParkedError::Unknown | ParkedError::NotParked | ParkedError::Rejected(_) => refused(error).into(),
        ParkedError::Ledger(error) => busy(error),
        ParkedError::Rows(_) | ParkedError::Log(_) => error.into(),
    }
}

/// Refuses a name that no event may have. It is not said again: it might be a card number.
pub(super) fn check_by(name: &str) -> Result<(), Usage> {
    check_person(name).map_err(|error| Usage(format!("--by {error}")))
}

/// Gives one command to a campaign and turns a refusal into an error.
pub(super) async fn command_campaign(
    ledger: &Ledger,
    id: &CampaignId,
    kind: CampaignCommandKind,
    by: &str,
) -> anyhow::Result<CampaignAnswer> {
    let answer = ledger.campaign(id.clone(), kind, context(by)).await.map_err(busy)?;
    Ok(answer.map_err(|rejection| Refused(format!("campaign {id}: {rejection}")))?)
}

pub(super) fn context(by: &str) -> engine::CommandContext {
    engine::CommandContext::new(&format!("operator:{by}"), "", "command line")
}

fn refused(error: impl std::fmt::Display) -> Refused {
    Refused(error.to_string())
}

fn busy(error: SubmitError) -> anyhow::Error {
    match error {
        SubmitError::Full
        | SubmitError::Unavailable
        | SubmitError::AccountUnavailable
        | SubmitError::Clock(_) => Busy(error.to_string()).into(),
        SubmitError::NotWriter => error.into(),
    }
}

/// It may succeed a moment later. It may also have been done already; repeating it does no harm.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Busy(String);

/// A running service, asked with the token in `REWARDHUB_TOKEN`.
pub(super) struct Service {
    client: reqwest::Client,
    url: Url,
    token: String,
}

impl Service {
    /// Asks nobody yet.
    pub(super) fn new(url: &str, scope: &'static str) -> anyhow::Result<Service> {
        let wrong = |why: String| ConfigError::Setting {
            setting: "url",
            source_of_value: "--url".into(),
            why: format!("must be an address such as http://127.0.0.1:8080: {why}"),
        };
        let url = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if url.cannot_be_a_base() {
            return Err(wrong("it can have no path".into()).into());
        }
        let token = std::env::var("REWARDHUB_TOKEN").map_err(|_| ConfigError::Missing {
            setting: "REWARDHUB_TOKEN",
            why: format!("a token with {scope} is needed"),
        })?;
        Ok(Service { client: reqwest::Client::new(), url, token })
    }

    /// What is at `/v1/…`.
    pub(super) async fn get(&self, path: &[&str]) -> anyhow::Result<Value> {
        self.get_with(path, &[]).await
    }

    /// The same, asked for with these words.
    pub(super) async fn get_with(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        let mut url = self.address(path)?;
        for (name, value) in query {
            url.query_pairs_mut().append_pair(name, value);
        }
        self.send(self.client.get(url)).await
    }

    /// Sends this to `/v1/…`.
    pub(super) async fn post(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.send(self.client.post(self.address(path)?).json(body)).await
    }

    /// Ids may hold any printable character: each is one segment, percent-encoded.
    fn address(&self, path: &[&str]) -> anyhow::Result<Url> {
        if let Some(dots) = path.iter().find(|segment| [".", ".."].contains(*segment)) {
            return Err(Refused(format!("{dots:?} cannot be part of an address")).into());
        }
        let mut url = self.url.clone();
        let mut segments = url.path_segments_mut().map_err(|()| Refused("--url can have no path".into()))?;
        segments.pop_if_empty().push("v1").extend(path);
        drop(segments);
        Ok(url)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let response = match request.bearer_auth(&self.token).send().await {
            Err(error) if error.is_connect() || error.is_timeout() => {
                return Err(anyhow::Error::new(error).context(Busy("the service cannot be reached".into())));
            }
            response => response?,
        };
        // Without its path: an id is for nobody who reads an error.
        let (status, url) = (response.status(), &self.url);
        let of_the_token = response.headers().contains_key(reqwest::header::WWW_AUTHENTICATE);
        let answer = response.json::<Value>().await.with_context(|| format!("{url} answers {status}"));
        if status.is_success() {
            return answer;
        }
        let detail = answer.ok().and_then(|problem| Some(problem["detail"].as_str()?.to_owned()));
        let why = format!("{url} answers {status}: {}", detail.unwrap_or_default());
        Err(match status {
            _ if of_the_token => {
                let source_of_value = "REWARDHUB_TOKEN".into();
                ConfigError::Setting { setting: "the token", source_of_value, why }.into()
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Busy(why).into(),
            status if status.is_client_error() => Refused(why).into(),
            _ => anyhow::anyhow!(why),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_one_segment_of_the_address() {
        let url = Url::parse("http://127.0.0.1:1/under/").unwrap();
        let service = Service { client: reqwest::Client::new(), url, token: String::new() };
        let address = |id: &str| service.address(&["campaigns", id, "end"]).map(|url| url.to_string());
        for (id, encoded) in [
            ("autumn", "autumn"),
            ("a/b?c#d%2F", "a%2Fb%3Fc%23d%252F"),
            ("herbst ä", "herbst%20%C3%A4"),
            ("...", "..."),
        ] {
            let expected = format!("http://127.0.0.1:1/under/v1/campaigns/{encoded}/end");
            assert_eq!(address(id).unwrap(), expected);
        }
        for dots in [".", ".."] {
            assert!(address(dots).unwrap_err().is::<Refused>());
        }
    }
}
