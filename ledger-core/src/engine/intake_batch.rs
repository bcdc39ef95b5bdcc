//! What the writer is given: works from the queue, gathered into batches, answered in order.

use std::sync::Arc;

use compact_str::CompactString;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::account::Rejection;
use crate::account::command::PreparedTransaction;
use crate::aggregate::Decides;
use crate::campaign::Campaign;
use crate::event::aggregates;
use crate::ids::CampaignId;
use crate::log::{Position, StreamId, StreamType};
use crate::time::Timestamp;

use super::receipt::{CommandContext, Receipt, SubmitError};

pub(super) type RowReceipt = Result<Receipt, Rejection>;
pub(super) type Received = mpsc::UnboundedReceiver<(Work, Option<OwnedSemaphorePermit>)>;

/// Where a caller waits. The answer is held back until the batch is durable.
pub(super) struct Reply<T> {
    caller: oneshot::Sender<Result<T, SubmitError>>,
    answer: Option<T>,
}

impl<T> Reply<T> {
    pub(super) fn new(caller: oneshot::Sender<Result<T, SubmitError>>) -> Reply<T> {
        Reply { caller, answer: None }
    }

    /// Takes the place of what a decision that came to nothing has left; `None` if what it is for
    /// has been set apart.
    pub(super) fn hold(&mut self, answer: Option<T>) {
        self.answer = answer;
    }

    /// A caller who has gone away misses only the answer.
    fn end(self, refused: Option<SubmitError>) {
        let answer = match refused {
            None => self.answer.ok_or(SubmitError::AccountUnavailable),
            Some(error) => Err(error),
        };
        let _ = self.caller.send(answer);
    }
}

/// The answer, and where the log stands after what may have been recorded.
pub(super) type Answered<A> = Result<(<A as Decides>::Answer, Position), <A as cqrs_es::Aggregate>::Error>;

/// A command to one aggregate.
pub(super) struct Ask<A: Decides> {
    pub(super) id: CompactString,
    pub(super) kind: A::Kind,
    pub(super) context: CommandContext,
    pub(super) reply: Reply<Answered<A>>,
}

macro_rules! asked {
    ($($_slots:ident: $kind:ident($aggregate:ty),)+) => {
        /// A command to one aggregate of any kind.
        pub(super) enum Asked { $($kind(Ask<$aggregate>),)+ }

        impl Asked {
            pub(super) fn stream(&self) -> StreamId {
                match self {
                    $(Asked::$kind(ask) => StreamId { stream_type: StreamType::$kind, id: ask.id.clone() },)+
                }
            }

            fn end(self, refused: Option<SubmitError>) {
                match self { $(Asked::$kind(ask) => ask.reply.end(refused),)+ }
            }
        }

        $(impl From<Ask<$aggregate>> for Asked {
            fn from(ask: Ask<$aggregate>) -> Asked {
                Asked::$kind(ask)
            }
        })+
    };
}
aggregates!(asked);

/// One thing to do; the caller waits at `reply`.
pub(super) enum Work {
    Transactions {
        rows: Vec<Arc<PreparedTransaction>>,
        context: CommandContext,
        resume: bool,
        reply: Reply<Vec<RowReceipt>>,
    },
    Asked(Box<Asked>),
    Campaigns {
        only: Option<CampaignId>,
        reply: Reply<Vec<(Campaign, u64)>>,
    },
    Tick {
        reply: Reply<Timestamp>,
    },
}

impl Work {
    /// The transactions in it.
    pub(super) fn rows(&self) -> &[Arc<PreparedTransaction>] {
        if let Work::Transactions { rows, .. } = self { rows } else { &[] }
    }

    fn weight(&self) -> usize {
        self.rows().len().max(1)
    }

    fn end(self, refused: Option<SubmitError>) {
        match self {
            Work::Transactions { reply, .. } => reply.end(refused),
            Work::Asked(asked) => asked.end(refused),
            Work::Campaigns { reply, .. } => reply.end(refused),
            Work::Tick { reply } => reply.end(refused),
        }
    }
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

    /// Gives each caller the answer that was held back.
    pub(super) fn answer(self) {
        self.works.into_iter().for_each(|work| work.end(None));
    }

    pub(super) fn refuse(self, error: impl Fn() -> SubmitError) {
        for work in self.works {
            work.end(Some(error()));
        }
    }
}
