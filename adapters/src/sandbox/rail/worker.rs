//! The one thread that writes the books: takes what waits, at most a batch, commits once, then
//! answers.

use std::sync::Arc;
use std::thread::JoinHandle;

use ledger_core::faults;
use ledger_core::ids::PayoutReference;
use ledger_core::steps::ports::{PayError, Payout, PayoutKey, PayoutStatus};
use ledger_core::time::Clock;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::books::{self, BooksError, Payment};
use super::{Confirmation, Fault};

const UNWRITTEN: &str = "the payout rail could not write its books";
/// Requests that share one commit, at most.
const BATCH_MAX: usize = 256;

/// Who hears of confirmations.
pub(super) type Subscriber = Arc<Mutex<Option<mpsc::Sender<Confirmation>>>>;

/// One question to the books, and where its answer goes.
pub(super) struct Request {
    pub(super) order: Order,
    pub(super) answer: oneshot::Sender<Result<Answer, PayError>>,
}

pub(super) enum Order {
    Pay { payout: Payout, fault: Option<Fault> },
    Lookup(Payout),
}

/// What the rail says, or that it paid and says nothing.
pub(super) enum Answer {
    Status(PayoutStatus),
    Silence,
}

/// What follows from an order once it is durable.
struct Outcome {
    answer: Result<Answer, PayError>,
    confirm: Option<Payment>,
}

pub(super) fn start(
    connection: Arc<Mutex<Connection>>,
    mut queue: mpsc::Receiver<Request>,
    subscriber: Subscriber,
    clock: Arc<dyn Clock>,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("sandbox-rail".to_owned()).spawn(move || {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while queue.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            let (orders, callers): (Vec<Order>, Vec<_>) =
                batch.drain(..).map(|r| (r.order, r.answer)).unzip();
            let mut connection = connection.lock();
            let committed = commit(&mut connection, &orders, clock.as_ref());
            drop(connection);
            match committed {
                Ok(outcomes) => {
                    faults::over(UNWRITTEN);
                    for (caller, outcome) in callers.into_iter().zip(outcomes) {
                        // A caller that stopped waiting learns the rest by a lookup.
                        drop(caller.send(outcome.answer));
                        if let Some(payment) = outcome.confirm {
                            confirm(&subscriber, payment);
                        }
                    }
                }
                Err(error) => {
                    faults::error(UNWRITTEN, "", &error);
                    for caller in callers {
                        drop(
                            caller.send(Err(PayError::Temporary(
                                "the rail could not write its books".to_owned(),
                            ))),
                        );
                    }
                }
            }
        }
    })
}

fn commit(
    connection: &mut Connection,
    orders: &[Order],
    clock: &dyn Clock,
) -> Result<Vec<Outcome>, BooksError> {
    let transaction = books::begin(connection)?;
    let outcomes =
        orders.iter().map(|order| carry_out(&transaction, order, clock)).collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(outcomes)
}

/// Not `Refused`, which is final for the key: the first payment under it stands.
fn conflict() -> PayError {
    PayError::Permanent("conflict: the key was used before for another amount or account".to_owned())
}

fn carry_out(connection: &Connection, order: &Order, clock: &dyn Clock) -> Result<Outcome, BooksError> {
    match order {
        Order::Lookup(payout) => {
            let answer = match books::find(connection, payout.key)? {
                None => Ok(Answer::Status(PayoutStatus::NotFound)),
                Some(payment) if payment.is_for(payout) => Ok(Answer::Status(payment.status)),
                Some(_) => Err(conflict()),
            };
            Ok(Outcome { answer, confirm: None })
        }
        Order::Pay { payout, fault } => match books::find(connection, payout.key)? {
            Some(payment) if payment.is_for(payout) => {
                Ok(Outcome { answer: Ok(Answer::Status(payment.status)), confirm: None })
            }
            Some(_) => Ok(Outcome { answer: Err(conflict()), confirm: None }),
            None => pay(connection, payout, *fault, clock),
        },
    }
}

fn pay(
    connection: &Connection,
    payout: &Payout,
    fault: Option<Fault>,
    clock: &dyn Clock,
) -> Result<Outcome, BooksError> {
    let refusal = if payout.amount.is_zero() {
        Some("nothing_to_pay")
    } else {
        (fault == Some(Fault::Refuse)).then_some("beneficiary_refused")
    };
    let status = match refusal {
        Some(reason) => PayoutStatus::Refused { reason: reason.to_owned() },
        None => PayoutStatus::Paid(reference(payout.key)?),
    };
    let payment = Payment {
        key: payout.key,
        account_id: payout.account_id.clone(),
        amount: payout.amount,
        paid_at: refusal.is_none().then(|| clock.now()),
        status: status.clone(),
    };
    books::insert(connection, &payment)?;
    let answer = match fault {
        Some(Fault::TimeoutAfterPaying) => Answer::Silence,
        _ => Answer::Status(status),
    };
    let confirm = (fault == Some(Fault::ConfirmAgain) && refusal.is_none()).then_some(payment);
    Ok(Outcome { answer: Ok(answer), confirm })
}

/// The whole key, so that two payments never share a name.
fn reference(key: PayoutKey) -> Result<PayoutReference, BooksError> {
    let text = format!("pay_{}_{}", key.entry_id, key.attempt);
    PayoutReference::parse(&text).map_err(|_| BooksError::Corrupt("reference"))
}

fn confirm(subscriber: &Subscriber, payment: Payment) {
    let subscriber = subscriber.lock();
    if let Some(sender) = subscriber.as_ref() {
        // Nobody promised that a confirmation arrives; waiting for room would stop payments.
        drop(sender.try_send(Confirmation { payment }));
    }
}
