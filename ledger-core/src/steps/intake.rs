//! Intake: from raw rows to durable answers. Parse, refuse what is malformed, seal the details,
//! give the rest to the ledger; one bad row never takes its neighbours along.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::account::command::{AccountAnswer, CommandKind, Facts, PreparedTransaction, Rejection};
use crate::account::event::Line;
use crate::engine::{CommandContext, Ledger, Receipt, SubmitError};
use crate::faults;
use crate::ids::{AccountId, Source, TransactionKey};
use crate::keys::{AccountKey, Details, FINGERPRINT_VERSION, KeyState, Keyring, Keys, SealError};
use crate::time::{Clock, Timestamp};
use crate::transaction::{Personal, RowCode, RowError, Transaction, wire};

/// The sources a feed may write for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sources {
    /// Every source.
    All,
    /// These only.
    Only(BTreeSet<Source>),
}

impl Sources {
    /// Whether `source` is among them.
    pub fn allow(&self, source: &Source) -> bool {
        match self {
            Sources::All => true,
            Sources::Only(sources) => sources.contains(source),
        }
    }
}

/// The answer to one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowAnswer {
    /// The row's `transaction_id`, where it has a valid one.
    pub transaction_id: Option<String>,
    /// What became of it.
    pub outcome: Result<Receipt, RowError>,
}

/// Takes rows in; clones share one ledger.
#[derive(Clone)]
pub struct Intake {
    ledger: Ledger,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    open_enrolment: bool,
    /// As many big requests are parsed and sealed at once as there are cores; others wait as tasks.
    cores: Arc<Semaphore>,
}

/// Rows on their way: parsed and sealed, or refused. Cheap to clone, to be submitted again.
#[derive(Clone)]
pub struct Prepared(Vec<Row>);

/// One of them.
#[derive(Clone)]
struct Row {
    transaction_id: Option<String>,
    prepared: Sealed,
}

/// Rows up to this number are prepared on the calling task; more go to a thread that may be busy
/// for long.
const INLINE_ROWS: usize = 16;

impl Intake {
    /// An intake for this ledger. `open_enrolment` as in the ledger's settings: whether an unknown
    /// account may be given a key.
    pub fn new(ledger: Ledger, keyring: Arc<Keyring>, clock: Arc<dyn Clock>, open_enrolment: bool) -> Intake {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Intake { ledger, keyring, clock, open_enrolment, cores: Arc::new(Semaphore::new(cores)) }
    }

    /// Takes rows of at most one request and answers each, in order, once all are durable.
    pub async fn take(
        &self,
        rows: &[&[u8]],
        sources: &Sources,
        context: CommandContext,
    ) -> Result<Vec<RowAnswer>, SubmitError> {
        let prepared = self.prepare(rows, sources).await?;
        self.submit(prepared, context).await
    }

    /// The first half of [`Intake::take`], which may run for many requests at once. The keys of new
    /// accounts are durable before anything sealed under them is.
    pub async fn prepare(&self, rows: &[&[u8]], sources: &Sources) -> Result<Prepared, SubmitError> {
        let now = self.clock.now();
        let sealed = if rows.len() <= INLINE_ROWS {
            self.seal_ready(rows, sources, now)
        } else {
            let rows: Vec<Vec<u8>> = rows.iter().map(|row| row.to_vec()).collect();
            let (intake, sources) = (self.clone(), sources.clone());
            self.off_the_runtime(move || intake.seal_ready(&rows, &sources, now)).await
        };
        let (mut rows, waiting) = sealed.map_err(|error| unavailable(UNSEALED, &error))?;
        if !waiting.is_empty() {
            let accounts = waiting.iter().map(|(_, transaction)| transaction.account_id.clone()).collect();
            let keys = if self.open_enrolment {
                self.keyring.ensure(accounts, self.ledger.log(), now).await
            } else {
                self.keyring.keys_beside(accounts, self.ledger.log()).await
            };
            let keys = keys.map_err(|error| unavailable(UNSEALED, &error))?;
            let sealed = if waiting.len() <= INLINE_ROWS {
                seal_waiting(&self.keyring, waiting, &keys)
            } else {
                let keyring = Arc::clone(&self.keyring);
                self.off_the_runtime(move || seal_waiting(&keyring, waiting, &keys)).await
            };
            for (place, prepared) in sealed.map_err(|error| unavailable(UNSEALED, &error))? {
                rows[place].prepared = prepared;
            }
        }
        faults::over(UNSEALED);
        Ok(Prepared(rows))
    }

    /// Parses, and seals what belongs to accounts whose keys are at hand, as most do. The rest
    /// waits for its keys.
    fn seal_ready(
        &self,
        rows: &[impl AsRef<[u8]>],
        sources: &Sources,
        now: Timestamp,
    ) -> Result<(Vec<Row>, Vec<Waiting>), SealError> {
        let (mut sealed, mut waiting) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            let (transaction_id, parsed) = parse(row.as_ref(), sources, now);
            let prepared = match parsed {
                Err(error) => Err(error),
                Ok(transaction) => {
                    if let Some(key) = self.keyring.ready(&transaction.account_id) {
                        Ok(Arc::new(seal(&self.keyring, &transaction, &key)?))
                    } else {
                        waiting.push((sealed.len(), transaction));
                        Err(refused(&Rejection::AccountUnknown))
                    }
                }
            };
            sealed.push(Row { transaction_id, prepared });
        }
        Ok((sealed, waiting))
    }

    async fn off_the_runtime<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let _core = self.cores.acquire().await.expect("nobody closes it");
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
    }

    /// The second half. Requests are decided in the order in which they come here.
    pub async fn submit(
        &self,
        Prepared(prepared): Prepared,
        context: CommandContext,
    ) -> Result<Vec<RowAnswer>, SubmitError> {
        let good = prepared.iter().filter_map(|row| row.prepared.as_ref().ok().cloned()).collect();
        let mut receipts = self.ledger.submit(good, context).await?.into_iter();
        let answers = prepared.into_iter().map(|row| {
            let outcome = row.prepared.and_then(|_| {
                let receipt = receipts.next().expect("the ledger answers every transaction it was given");
                receipt.map_err(|rejection| {
                    let field =
                        if rejection.code() == RowCode::Conflict { "transaction_id" } else { "account_id" };
                    RowError::new(rejection.code(), field, rejection.to_string())
                })
            });
            RowAnswer { transaction_id: row.transaction_id, outcome }
        });
        let answers: Vec<RowAnswer> = answers.collect();
        count(&answers);
        Ok(answers)
    }

    /// Gives a command to one account. Opening one makes its key first: without one none of its
    /// lines can be sealed.
    pub async fn account(
        &self,
        account: AccountId,
        kind: CommandKind,
        context: CommandContext,
    ) -> Result<Result<AccountAnswer, Rejection>, SubmitError> {
        if matches!(kind, CommandKind::Open) {
            match self.make_keys(vec![account.clone()]).await?.first() {
                Some(KeyState::Erased) => return Ok(Err(Rejection::AccountErased)),
                Some(KeyState::Damaged | KeyState::Lost) => return Ok(Err(Rejection::AccountUnavailable)),
                Some(KeyState::Ready | KeyState::Absent) | None => {}
            }
        }
        self.ledger.account(account, kind, context).await
    }

    /// Makes the keys of accounts that are about to be opened, with one commit for all; answers
    /// their states.
    pub async fn make_keys(&self, accounts: Vec<AccountId>) -> Result<Vec<KeyState>, SubmitError> {
        let some: HashSet<AccountId> = accounts.iter().cloned().collect();
        let keys = self.keyring.ensure(some, self.ledger.log(), self.clock.now()).await;
        let keys = keys.map_err(|error| unavailable(UNSEALED, &error))?;
        Ok(accounts.iter().map(|account| keys.state(account)).collect())
    }
}

const UNSEALED: &str = "keys cannot be read or made: transactions are not taken";

fn unavailable(what: &'static str, error: &SealError) -> SubmitError {
    faults::error(what, "", error);
    SubmitError::Unavailable
}

/// A good row whose key is not at hand, and its place among the request's rows.
type Waiting = (usize, Transaction);
type Sealed = Result<Arc<PreparedTransaction>, RowError>;

/// Seals what has waited, under the keys that there are.
fn seal_waiting(
    keyring: &Keyring,
    waiting: Vec<Waiting>,
    keys: &Keys,
) -> Result<Vec<(usize, Sealed)>, SealError> {
    let sealed = waiting.into_iter().map(|(place, transaction)| {
        let sealed = match keys.of(&transaction.account_id) {
            Ok(key) => Ok(Arc::new(seal(keyring, &transaction, &key)?)),
            // Nobody has a key but who was opened: without one the account is unknown, or was
            // erased.
            Err(SealError::NoKey(_)) => Err(refused(&Rejection::AccountUnknown)),
            Err(SealError::Erased(_)) => Err(refused(&Rejection::AccountErased)),
            Err(error @ (SealError::DamagedKey(_) | SealError::LostKey(_))) => {
                faults::error(
                    "an account's key cannot be used: its transactions are refused",
                    transaction.account_id.as_str(),
                    &error,
                );
                Err(refused(&Rejection::AccountUnavailable))
            }
            Err(error) => return Err(error),
        };
        Ok((place, sealed))
    });
    sealed.collect()
}

fn refused(rejection: &Rejection) -> RowError {
    RowError::new(rejection.code(), "account_id", rejection.to_string())
}

fn seal(
    keyring: &Keyring,
    transaction: &Transaction,
    key: &AccountKey,
) -> Result<PreparedTransaction, SealError> {
    let Transaction { account_id, source, transaction_id, .. } = transaction;
    let details = Details::of(transaction);
    let (facts, amounts) = (facts(&details), key.amounts());
    // A card check of nothing is no first purchase.
    let is_purchase = facts.is_purchase() && !transaction.amount.expose().is_zero();
    let merchant_id = facts.merchant_id.as_ref().filter(|_| is_purchase);
    let terms = keyring.terms(transaction);
    let line = Line {
        source: source.clone(),
        transaction_id: transaction_id.clone(),
        booked_at: transaction.booked_at,
        time_known: transaction.time_known,
        fingerprint: terms.fingerprint(),
        fingerprint_version: FINGERPRINT_VERSION,
        details: Some(key.seal_details(source, transaction_id, &details)?),
        pending_transaction_id: transaction.pending_transaction_id.clone(),
        // So that the account knows the merchant again without the log knowing him, and what was
        // spent without the log telling.
        merchant: merchant_id.map(|id| key.merchant_tag(source, id.expose())),
        spent: details.spent(&amounts),
    };
    Ok(PreparedTransaction {
        account_id: account_id.clone(),
        key: TransactionKey::of(source, transaction_id),
        status: transaction.status,
        line,
        facts,
        amounts,
        terms: Some(terms),
    })
}

/// Counts a request's rows by what became of them, and its wins.
fn count(answers: &[RowAnswer]) {
    let (mut results, mut won) = (BTreeMap::new(), 0);
    for answer in answers {
        let result = answer.outcome.as_ref().map_or("rejected", |receipt| receipt.result.as_str());
        *results.entry(result).or_insert(0) += 1;
        won += u64::from(answer.outcome.as_ref().is_ok_and(|receipt| receipt.won.is_some()));
    }
    for (result, rows) in results {
        metrics::counter!("rewardhub_transactions_total", "result" => result).increment(rows);
    }
    metrics::counter!("rewardhub_wins_total").increment(won);
}

type Parsed = (Option<String>, Result<Transaction, RowError>);

fn parse(row: &[u8], sources: &Sources, now: Timestamp) -> Parsed {
    match wire::parse_row(row, now) {
        Ok(transaction) => {
            let transaction_id = Some(transaction.transaction_id.to_string());
            if sources.allow(&transaction.source) {
                (transaction_id, Ok(transaction))
            } else {
                let message = "this token may not write for this source";
                (transaction_id, Err(RowError::new(RowCode::SourceNotAllowed, "source", message)))
            }
        }
        Err(rejected) => (rejected.transaction_id.map(|id| id.to_string()), Err(rejected.error)),
    }
}

/// What the rules look at, out of what was or will be sealed.
pub fn facts(details: &Details) -> Facts {
    let merchant = details.merchant.as_ref();
    Facts {
        amount: details.amount.clone(),
        direction: details.direction,
        has_merchant: merchant.is_some(),
        merchant_id: merchant
            .and_then(|m| m.id.as_ref())
            .map(|id| Personal::new(id.expose().as_str().into())),
        mcc: merchant.and_then(|m| m.mcc.clone()),
        country: merchant
            .and_then(|m| m.country.as_ref())
            .map(|country| Personal::new(country.expose().as_str().into())),
        refund: details.refund_of.is_some(),
    }
}
