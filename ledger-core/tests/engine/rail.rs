//! A payout rail and a notifier at their worst, within their contracts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use ledger_core::ids::{EntryId, PayoutReference};
use ledger_core::money::Money;
use ledger_core::steps::ports::{
    Notification, Notifier, NotifyError, PayError, Payout, PayoutKey, PayoutRail, PayoutStatus,
};
use parking_lot::Mutex;

use crate::world::Dice;

/// How a rail behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Pays at once.
    Good,
    /// Times out before and after paying, refuses, pays long after the answer was given up.
    Random,
    /// Refuses everything.
    Refusing,
    /// Takes the payment, answers nothing, and pays when it is told to.
    Holding,
}

pub(crate) struct Rail {
    state: Mutex<State>,
}

struct State {
    mood: Mood,
    dice: Dice,
    paid: BTreeMap<PayoutKey, Money>,
    refused: BTreeSet<PayoutKey>,
    /// Payments on their way, and after how many more calls they arrive.
    on_the_way: Vec<(usize, Payout)>,
    notified: Vec<EntryId>,
}

impl Rail {
    pub(crate) fn new(mood: Mood, seed: u64) -> Rail {
        Rail {
            state: Mutex::new(State {
                mood,
                dice: Dice(seed),
                paid: BTreeMap::new(),
                refused: BTreeSet::new(),
                on_the_way: vec![],
                notified: vec![],
            }),
        }
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.state.lock().mood = mood;
    }

    /// What is on its way arrives now.
    pub(crate) fn arrive(&self) {
        let mut state = self.state.lock();
        for (_, payout) in std::mem::take(&mut state.on_the_way) {
            state.pay(&payout);
        }
    }

    pub(crate) fn on_the_way(&self) -> usize {
        self.state.lock().on_the_way.len()
    }

    /// All payments made.
    pub(crate) fn paid(&self) -> BTreeMap<PayoutKey, Money> {
        self.state.lock().paid.clone()
    }

    pub(crate) fn refused(&self) -> usize {
        self.state.lock().refused.len()
    }

    /// All messages sent.
    pub(crate) fn notified(&self) -> Vec<EntryId> {
        self.state.lock().notified.clone()
    }
}

impl State {
    fn pay(&mut self, payout: &Payout) {
        if !self.refused.contains(&payout.key) {
            self.paid.entry(payout.key).or_insert(payout.amount);
        }
    }

    fn status(&self, key: PayoutKey) -> PayoutStatus {
        if self.paid.contains_key(&key) {
            PayoutStatus::Paid(reference(key))
        } else if self.refused.contains(&key) {
            PayoutStatus::Refused { reason: "no such customer".into() }
        } else {
            PayoutStatus::NotFound
        }
    }

    /// Time passes for what is on its way.
    fn pass(&mut self) {
        let (arrived, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.on_the_way).into_iter().partition(|(calls, _)| *calls == 0);
        self.on_the_way = left.into_iter().map(|(calls, payout)| (calls.saturating_sub(1), payout)).collect();
        for (_, payout) in arrived {
            self.pay(&payout);
        }
    }

    fn answer(&mut self, key: PayoutKey) -> Result<PayoutStatus, PayError> {
        if self.mood == Mood::Random && self.dice.one_in(3) {
            return Err(PayError::Temporary("the answer was lost".into()));
        }
        Ok(self.status(key))
    }
}

pub(crate) fn reference(key: PayoutKey) -> PayoutReference {
    format!("pay-{}-{}", &key.entry_id.to_string()[..16], key.attempt).parse().unwrap()
}

#[async_trait]
impl PayoutRail for Rail {
    async fn pay(&self, payout: &Payout) -> Result<PayoutStatus, PayError> {
        // On the way there: a kill here has sent nothing.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let answer = {
            let mut state = self.state.lock();
            if state.mood != Mood::Holding {
                state.pass();
            }
            if state.status(payout.key) == PayoutStatus::NotFound {
                let roll = state.dice.below(8);
                match (state.mood, roll) {
                    (Mood::Random, 0) => Err(PayError::Temporary("no connection".into())),
                    (Mood::Random, 1) => {
                        let calls = state.dice.below(30);
                        state.on_the_way.push((calls, payout.clone()));
                        Err(PayError::Temporary("timed out, and the payment comes later".into()))
                    }
                    (Mood::Random, 2..4) | (Mood::Refusing, _) => {
                        state.refused.insert(payout.key);
                        state.answer(payout.key)
                    }
                    (Mood::Holding, _) => {
                        state.on_the_way.push((0, payout.clone()));
                        Err(PayError::Temporary("timed out".into()))
                    }
                    _ => {
                        state.pay(payout);
                        state.answer(payout.key)
                    }
                }
            } else {
                state.answer(payout.key)
            }
        };
        // On the way back: a kill here has paid.
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer
    }

    async fn lookup(&self, payout: &Payout) -> Result<PayoutStatus, PayError> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let mut state = self.state.lock();
        if state.mood != Mood::Holding {
            state.pass();
        }
        state.answer(payout.key)
    }

    fn idempotency_window(&self) -> Duration {
        Duration::from_hours(24)
    }
}

#[async_trait]
impl Notifier for Rail {
    async fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut state = self.state.lock();
        if state.mood == Mood::Random && state.dice.one_in(4) {
            return Err(NotifyError::Temporary("no connection".into()));
        }
        state.notified.push(notification.entry_id);
        Ok(())
    }
}
