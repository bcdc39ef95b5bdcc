//! Step *resume*: lines that wait for their epoch are decided once it opens, goes on after a halt,
//! or is closed, or once all draws go on after a halt; held ones once two people have released them.
//!
//! A day may keep a hundred thousand lines waiting: each is a row, which an event wakes. They come
//! back in pages, few at a time, so that what comes in meanwhile has the writer to itself for most
//! of it. A hold may last for ever, so held lines do not wait here: a review says which line is
//! released, and the line is read from the account's stream.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use tokio::sync::watch;

use crate::account::command::PreparedTransaction;
use crate::account::event::{DeferReason, Line, Verdict};
use crate::account::{AccountEvent, Rejection};
use crate::campaign::CampaignEvent;
use crate::engine::{CommandContext, Ledger, Receipt, RowResult, SubmitError};
use crate::event::{LedgerEvent, decode};
use crate::ids::{AccountId, Source, TransactionId, TransactionKey};
use crate::keys::{Keyring, Keys};
use crate::log::{EventLog, LogError, Position, StoredEvent, StreamId, follow};
use crate::system::{Switch, System};
use crate::time::Epoch;
use crate::transaction::Status;

use super::backoff::Backoff;
use super::intake::facts;
use super::issue::{caused_by, is_dropped};
use super::runner::persist;
use super::step::{Ended, Limits, Step, Try, Wakes, resumes};

/// Reads deferred lines, decides them when their day has begun.
pub struct Resume {
    ledger: Ledger,
    system: watch::Receiver<System>,
    log: Arc<dyn EventLog>,
    keyring: Arc<Keyring>,
}

/// What an event makes wait.
pub struct Waiting {
    account_id: AccountId,
    which: Which,
    context: CommandContext,
}

/// Which line it is.
enum Which {
    This(Box<Line>),
    /// The one of this name that was held when it was released here.
    Released(Source, TransactionId, Position),
}

/// What became of a line on its way to the ledger.
enum Ready {
    Line(Arc<PreparedTransaction>),
    Ended(Ended),
}

/// Lines decided together: two of these are a hundredth of what may wait for the writer.
const BATCH: usize = 256;
/// An event wakes what waits; where none comes, as for a day that never opens, each looks again by
/// itself.
const LOOK_AGAIN: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(10) };

impl Resume {
    /// A step that commands this ledger.
    pub fn new(ledger: Ledger, log: Arc<dyn EventLog>, keyring: Arc<Keyring>) -> Resume {
        Resume { system: ledger.system_state(), ledger, log, keyring }
    }

    /// The line that waits; `None` where it was dismissed, or decided under another name.
    async fn line(&self, waiting: &Waiting) -> Result<Option<Line>, LogError> {
        match &waiting.which {
            Which::This(line) => Ok(Some((**line).clone())),
            Which::Released(source, id, released_at) => {
                self.held(&waiting.account_id, source, id, *released_at).await
            }
        }
    }

    /// The line of this name as it was last held before `released_at`.
    async fn held(
        &self,
        account_id: &AccountId,
        source: &Source,
        id: &TransactionId,
        released_at: Position,
    ) -> Result<Option<Line>, LogError> {
        let stream = StreamId::account(account_id);
        let mut held = None;
        let mut events = follow(&*self.log, Some(&stream), Position(0));
        while let Some(stored) = events.try_next().await?
            && stored.position < released_at
        {
            if let LedgerEvent::Account(AccountEvent::TransactionDeferred { line, reason: DeferReason::Held }) =
                decode(&stored)?
                && line.source == *source
                && line.transaction_id == *id
            {
                held = Some(line);
            }
        }
        Ok(held)
    }
}

/// The line as it was brought, ready for the ledger. Nothing is to be done once its details are
/// gone.
fn prepare(account_id: &AccountId, line: &Line, keys: &Keys) -> Ready {
    let Some(sealed) = line.details.as_ref() else { return Ready::Ended(Ended::Done) };
    let opened = keys.opening(account_id).and_then(|key| {
        let Some(key) = key else { return Ok(None) };
        let details = key.open_details(&line.source, &line.transaction_id, sealed)?;
        Ok(Some((details, key)))
    });
    let (details, key) = match opened {
        Ok(Some(opened)) => opened,
        Ok(None) => return Ready::Ended(Ended::Done),
        Err(error) if error.transient() => return Ready::Ended(Ended::again(error.to_string())),
        Err(error) => return Ready::Ended(Ended::parked(format!("its details cannot be opened: {error}"))),
    };
    let (mut line, amounts) = (line.clone(), key.amounts());
    // A release that recorded no amounts may have recorded that it waits.
    line.spent = details.spent(&amounts);
    Ready::Line(Arc::new(PreparedTransaction {
        account_id: account_id.clone(),
        key: TransactionKey::of(&line.source, &line.transaction_id),
        status: Status::Booked,
        line,
        facts: facts(&details),
        amounts,
        terms: None,
    }))
}

impl Step for Resume {
    type Item = Waiting;

    fn name(&self) -> &'static str {
        "resume"
    }

    fn reads(&self, event_type: &str) -> bool {
        ["TransactionDeferred", "TransactionReviewed", "EpochOpened", "EpochResumed", "EpochClosed"]
            .contains(&event_type)
    }

    fn items(&self, stored: &StoredEvent, event: LedgerEvent) -> Vec<Waiting> {
        let which = match event {
            LedgerEvent::Account(AccountEvent::TransactionDeferred {
                line,
                reason: DeferReason::EpochNotOpen | DeferReason::DrawsHalted,
            }) => Which::This(Box::new(line)),
            LedgerEvent::Account(AccountEvent::TransactionReviewed {
                source,
                transaction_id,
                verdict: Verdict::Released,
                ..
            }) => Which::Released(source, transaction_id, stored.position),
            _ => return vec![],
        };
        let account_id = AccountId::parse(&stored.stream.id).ok();
        let context = caused_by("step:resume", stored);
        account_id.map(|account_id| Waiting { account_id, which, context }).into_iter().collect()
    }

    /// An event has one line at most.
    fn key(&self, _: &Waiting) -> String {
        "line".into()
    }

    fn waits_for(&self, waiting: &Waiting) -> Option<String> {
        match &waiting.which {
            Which::This(line) => Some(Epoch::of(line.booked_at).to_string()),
            Which::Released(..) => None,
        }
    }

    fn wakes(&self, event: &LedgerEvent) -> Option<Wakes> {
        match event {
            LedgerEvent::Campaign(
                CampaignEvent::EpochOpened { epoch, .. }
                | CampaignEvent::EpochResumed { epoch, .. }
                | CampaignEvent::EpochClosed { epoch, .. },
            ) => Some(Wakes::Those(epoch.to_string())),
            _ => resumes(event, Switch::Draws).then_some(Wakes::All),
        }
    }

    fn is_halted(&self) -> bool {
        self.system.borrow().is_halted(Switch::Draws)
    }

    fn limits(&self) -> Limits {
        Limits { fresh: 8, again: 2, batch: BATCH, backoff: LOOK_AGAIN }
    }

    async fn attempt(&self, tries: Vec<Try<Waiting>>) -> Result<Vec<Ended>, SubmitError> {
        // One round trip for all keys. While they are out of reach nothing is decided.
        let accounts = tries.iter().map(|attempt| attempt.item.account_id.clone()).collect();
        let keys = match self.keyring.opening_keys(accounts).await {
            Ok(keys) => keys,
            Err(error) => return Ok(tries.iter().map(|_| Ended::again(error.to_string())).collect()),
        };
        let (mut ended, mut rows) = (Vec::with_capacity(tries.len()), vec![]);
        for Try { item, act } in tries {
            let ready = match self.line(&item).await {
                _ if is_dropped(act.as_ref()) => Ready::Ended(Ended::Done),
                Ok(Some(line)) => prepare(&item.account_id, &line, &keys),
                Ok(None) => Ready::Ended(Ended::Done),
                Err(error) if error.transient() => Ready::Ended(Ended::again(error.to_string())),
                Err(error) => Ready::Ended(Ended::parked(error.to_string())),
            };
            ended.push(match ready {
                Ready::Ended(how) => Some(how),
                Ready::Line(line) => {
                    rows.push((line, item.context));
                    None
                }
            });
        }
        // Each with its own cause; the writer takes them together.
        let answers = rows.into_iter().map(async |(line, context)| {
            persist(|| self.ledger.resume(vec![Arc::clone(&line)], context.clone())).await
        });
        let answers = futures::future::try_join_all(answers).await?;
        let mut answers = answers.into_iter().flatten();
        let ended = ended.into_iter().map(|how| how.unwrap_or_else(|| of_answer(answers.next())));
        Ok(ended.collect())
    }
}

fn of_answer(answer: Option<Result<Receipt, Rejection>>) -> Ended {
    match answer {
        Some(Ok(receipt)) if receipt.result == RowResult::Deferred => {
            Ended::again("its day does not draw yet")
        }
        // Nothing is decided for who has left.
        Some(Ok(_) | Err(Rejection::AccountClosed | Rejection::AccountErased)) => Ended::Done,
        Some(Err(rejection)) if rejection.transient() => Ended::again(rejection.to_string()),
        Some(Err(rejection)) => Ended::parked(rejection.to_string()),
        None => Ended::again("the ledger did not answer"),
    }
}
