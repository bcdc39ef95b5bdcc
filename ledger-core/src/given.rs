//! Rules as sentences: given these events, when this is asked, then that has happened.

#![expect(clippy::needless_pass_by_value, reason = "a sentence reads better without references")]

use crate::aggregate::{Decides, Decision};
use crate::time::Timestamp;

/// An aggregate with a past, and the time and the author of what comes next.
#[derive(Clone)]
pub(crate) struct Given<A> {
    pub(crate) state: A,
    now: Timestamp,
    by: &'static str,
}

/// What a command came to.
pub(crate) struct Then<A: Decides> {
    /// Before the command.
    pub(crate) given: Given<A>,
    /// The decision.
    pub(crate) decision: Decision<A>,
}

impl<A: Decides<Answer: PartialEq + std::fmt::Debug, Error: PartialEq>> Given<A> {
    /// An aggregate to which nothing but `events` has happened.
    pub(crate) fn events(now: Timestamp, events: impl IntoIterator<Item = A::Event>) -> Given<A> {
        let mut state = A::default();
        for event in events {
            state.apply(event);
        }
        Given { state, now, by: "alice" }
    }

    /// What follows happens at `now`.
    pub(crate) fn at(mut self, now: Timestamp) -> Given<A> {
        self.now = now;
        self
    }

    /// What follows is asked by somebody else than alice.
    pub(crate) fn by(mut self, by: &'static str) -> Given<A> {
        self.by = by;
        self
    }

    /// One more command has been accepted.
    pub(crate) fn and(self, kind: A::Kind) -> Given<A> {
        self.when(kind).accepted()
    }

    /// Asks. Whatever is decided must survive the log's JSON, where an unbalanced posting is
    /// refused.
    pub(crate) fn when(self, kind: A::Kind) -> Then<A> {
        let decision = self.state.decide(self.now, self.by, &kind);
        if let Ok((events, _)) = &decision {
            for event in events {
                let json = serde_json::to_string(event).unwrap();
                assert_eq!(&serde_json::from_str::<A::Event>(&json).unwrap(), event, "{json}");
            }
        }
        let given = self;
        Then { given, decision }
    }
}

impl<A: Decides<Answer: PartialEq + std::fmt::Debug, Error: PartialEq>> Then<A> {
    /// Exactly these events.
    #[track_caller]
    pub(crate) fn then(self, events: impl IntoIterator<Item = A::Event>) -> Self {
        assert_eq!(self.events(), &events.into_iter().collect::<Vec<_>>());
        self
    }

    /// This answer.
    #[track_caller]
    pub(crate) fn then_answers(self, answer: A::Answer) -> Self {
        match &self.decision {
            Ok((_, given)) => assert_eq!(*given, answer),
            Err(rejection) => panic!("rejected: {rejection}"),
        }
        self
    }

    /// This answer, and nothing has happened.
    #[track_caller]
    pub(crate) fn then_only_answers(self, answer: A::Answer) -> Self {
        self.then([]).then_answers(answer)
    }

    /// A refusal.
    #[track_caller]
    pub(crate) fn then_rejects(self, rejection: A::Error) {
        match self.decision {
            Ok((events, answer)) => panic!("answered {answer:?} with {events:?}"),
            Err(given) => assert_eq!(given, rejection),
        }
    }

    /// The events of an accepted command.
    #[track_caller]
    pub(crate) fn events(&self) -> &[A::Event] {
        match &self.decision {
            Ok((events, _)) => events,
            Err(rejection) => panic!("rejected: {rejection}"),
        }
    }

    /// The aggregate after an accepted command.
    #[track_caller]
    pub(crate) fn accepted(self) -> Given<A> {
        let events = self.events().to_vec();
        let mut given = self.given;
        for event in events {
            given.state.apply(event);
        }
        given
    }
}
