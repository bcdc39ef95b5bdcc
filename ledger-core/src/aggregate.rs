//! What an aggregate of ours is: it decides without I/O, and applies without doubt what it decided.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use crate::time::Timestamp;

/// The facts to record, in order, and the answer; or why the command is refused.
pub type Decision<A> =
    Result<(Vec<<A as Aggregate>::Event>, <A as Decides>::Answer), <A as Aggregate>::Error>;

/// An aggregate that decides without I/O.
pub trait Decides:
    Aggregate<Command = Command<<Self as Decides>::Kind, <Self as Decides>::Answer>, Services = ()> + Clone
{
    /// What can be asked of it.
    type Kind: Clone + Debug + Send + Sync + 'static;
    /// What it answers.
    type Answer: Clone + Debug + Send + Sync + 'static;

    /// Decides one command of `by`. Pure: the same state and command give the same events.
    fn decide(&self, now: Timestamp, by: &str, kind: &Self::Kind) -> Decision<Self>;
}

/// One command. It carries the slot for its answer, since `CqrsFramework::execute` returns `()`.
#[derive(Clone, Debug)]
pub struct Command<K, R> {
    /// The engine's time, which never goes back.
    pub now: Timestamp,
    /// Who asks, such as `operator:alice`.
    pub by: Arc<str>,
    /// What is asked.
    pub kind: K,
    /// Where the answer goes.
    pub answer: Arc<OnceLock<R>>,
}

impl<K, R> Command<K, R> {
    /// A command with an empty slot.
    pub fn new(now: Timestamp, by: Arc<str>, kind: K) -> Command<K, R> {
        Command { now, by, kind, answer: Arc::default() }
    }
}

/// What each `Aggregate::handle` does. Everything is decided before the first write, since an error
/// after one would leave state and batch apart.
pub(crate) async fn handle<A: Decides>(
    state: &mut A,
    command: A::Command,
    sink: &EventSink<A>,
) -> Result<(), A::Error> {
    let (events, answer) = state.decide(command.now, &command.by, &command.kind)?;
    for event in events {
        sink.write(event, state).await;
    }
    // The slot is fresh for every decision; a command decided again comes with a new one.
    let _ = command.answer.set(answer);
    Ok(())
}
