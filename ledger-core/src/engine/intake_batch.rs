//! What the writer is given: works from the queue, gathered into batches, answered in order.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::account::command::PreparedTransaction;
use crate::account::{Answer, CommandKind, Rejection};
use crate::campaign::{Campaign, CampaignAnswer, CampaignCommandKind, CampaignRejection};
use crate::ids::{AccountId, CampaignId};
use crate::log::Position;
use crate::system::{SystemAnswer, SystemCommandKind, SystemRejection};
use crate::time::Timestamp;

use super::ledger::{Context, Receipt, SubmitError};

/// The answer, and where the log stands after what it may have recorded.
pub(super) type SystemReceipt = Result<(SystemAnswer, Position), SystemRejection>;
type Reply<T> = oneshot::Sender<Result<T, SubmitError>>;
pub(super) type RowReceipt = Result<Receipt, Rejection>;
pub(super) type Received = mpsc::UnboundedReceiver<(Work, Option<OwnedSemaphorePermit>)>;

/// One thing to do; the caller waits at `reply`.
pub(super) enum Work {
    Transactions {
        rows: Vec<Arc<PreparedTransaction>>,
        context: Context,
        resume: bool,
        reply: Reply<Vec<RowReceipt>>,
    },
    Account {
        account: AccountId,
        kind: CommandKind,
        context: Context,
        reply: Reply<Result<Answer, Rejection>>,
    },
    Campaign {
        campaign: CampaignId,
        kind: CampaignCommandKind,
        context: Context,
        reply: Reply<Result<CampaignAnswer, CampaignRejection>>,
    },
    System {
        kind: SystemCommandKind,
        context: Context,
        reply: Reply<SystemReceipt>,
    },
    Campaigns {
        only: Option<CampaignId>,
        reply: Reply<Vec<(Campaign, u64)>>,
    },
    Tick {
        reply: Reply<Timestamp>,
    },
}

impl Work {
    fn refuse(self, error: SubmitError) {
        match self {
            Work::Transactions { reply, .. } => drop(reply.send(Err(error))),
            Work::Account { reply, .. } => drop(reply.send(Err(error))),
            Work::Campaign { reply, .. } => drop(reply.send(Err(error))),
            Work::System { reply, .. } => drop(reply.send(Err(error))),
            Work::Campaigns { reply, .. } => drop(reply.send(Err(error))),
            Work::Tick { reply } => drop(reply.send(Err(error))),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Work::Transactions { rows, .. } => rows.len(),
            Work::Account { .. }
            | Work::Campaign { .. }
            | Work::Campaigns { .. }
            | Work::System { .. }
            | Work::Tick { .. } => 1,
        }
    }
}

/// The answer to one [`Work`], held back until the batch is durable.
pub(super) enum Outcome {
    Transactions(Vec<RowReceipt>),
    Account(Result<Answer, Rejection>),
    Campaign(Result<CampaignAnswer, CampaignRejection>),
    System(SystemReceipt),
    Campaigns(Vec<(Campaign, u64)>),
    Tick(Timestamp),
    /// What it is for has been set apart.
    Refused,
}

/// Works that are decided together, and their room in the queue.
pub(super) struct IntakeBatch {
    pub(super) works: Vec<Work>,
    /// Held until the works are answered.
    _permits: Vec<Option<OwnedSemaphorePermit>>,
}

impl IntakeBatch {
    /// What is waiting behind `first`, up to a bound. No timer: batches grow by themselves under
    /// load.
    pub(super) fn receive(
        first: (Work, Option<OwnedSemaphorePermit>),
        receiver: &mut Received,
        weight_max: usize,
    ) -> IntakeBatch {
        let mut weight = first.0.weight();
        let (mut works, mut permits) = (vec![first.0], vec![first.1]);
        while weight < weight_max {
            let Ok((work, permit)) = receiver.try_recv() else { break };
            weight += work.weight();
            works.push(work);
            permits.push(permit);
        }
        IntakeBatch { works, _permits: permits }
    }

    /// A caller who has gone away misses only the answer.
    pub(super) fn answer(self, outcomes: Vec<Outcome>) {
        for (work, outcome) in self.works.into_iter().zip(outcomes) {
            match (work, outcome) {
                (Work::Transactions { reply, .. }, Outcome::Transactions(receipts)) => {
                    drop(reply.send(Ok(receipts)))
                }
                (Work::Account { reply, .. }, Outcome::Account(answer)) => drop(reply.send(Ok(answer))),
                (Work::Campaign { reply, .. }, Outcome::Campaign(answer)) => drop(reply.send(Ok(answer))),
                (Work::System { reply, .. }, Outcome::System(answer)) => drop(reply.send(Ok(answer))),
                (Work::Campaigns { reply, .. }, Outcome::Campaigns(seen)) => drop(reply.send(Ok(seen))),
                (Work::Tick { reply }, Outcome::Tick(now)) => drop(reply.send(Ok(now))),
                (work, Outcome::Refused) => work.refuse(SubmitError::AccountUnavailable),
                _ => unreachable!("outcomes are made work by work, in order"),
            }
        }
    }

    pub(super) fn refuse(self, error: impl Fn() -> SubmitError) {
        for work in self.works {
            work.refuse(error());
        }
    }
}
