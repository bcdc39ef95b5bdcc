//! A notifier that tells nobody and remembers the latest messages, for the sandbox to show and
//! count.

use std::collections::{HashSet, VecDeque};

use parking_lot::{Mutex, MutexGuard};

use async_trait::async_trait;
use ledger_core::ids::EntryId;
use ledger_core::steps::ports::{Notification, Notifier, NotifyError};

/// Messages kept for showing, unless told otherwise.
pub const RECENT_DEFAULT: usize = 10_000;

/// Entries remembered to recognise a message sent again; one older than that counts as new.
const ENTRIES_REMEMBERED: usize = 1 << 17;

/// Keeps the latest messages in memory. A message with an `entry_id` it knows is counted as sent,
/// not as another reward told.
pub struct RecordingNotifier {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    recent: VecDeque<Notification>,
    known: HashSet<EntryId>,
    order: VecDeque<EntryId>,
    counts: NotificationCounts,
}

/// How many messages were sent, and about how many rewards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotificationCounts {
    /// Every message, repeats included.
    pub sent: u64,
    /// Rewards that somebody was told about.
    pub distinct: u64,
}

impl RecordingNotifier {
    /// Keeps the last `capacity` messages.
    pub fn new(capacity: usize) -> RecordingNotifier {
        RecordingNotifier { capacity, state: Mutex::default() }
    }

    /// How many so far.
    pub fn counts(&self) -> NotificationCounts {
        self.state().counts
    }

    /// Up to `limit` of the messages kept, the latest first.
    pub fn recent(&self, limit: usize) -> Vec<Notification> {
        self.state().recent.iter().rev().take(limit).cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counts and messages are each whole at any moment, so a panic elsewhere leaves nothing
        // half done.
        self.state.lock()
    }
}

impl Default for RecordingNotifier {
    fn default() -> Self {
        RecordingNotifier::new(RECENT_DEFAULT)
    }
}

#[async_trait]
impl Notifier for RecordingNotifier {
    async fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        let mut state = self.state();
        state.counts.sent += 1;
        if state.known.insert(notification.entry_id) {
            state.counts.distinct += 1;
            state.order.push_back(notification.entry_id);
            if state.order.len() > ENTRIES_REMEMBERED
                && let Some(oldest) = state.order.pop_front()
            {
                state.known.remove(&oldest);
            }
        }
        state.recent.push_back(notification.clone());
        if state.recent.len() > self.capacity {
            state.recent.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ledger_core::money::{Currency, Money};

    use super::*;

    fn message(entry: u8) -> Notification {
        Notification {
            entry_id: EntryId([entry; 32]),
            account_id: "cus_0001".parse().unwrap(),
            amount: Money::new(5_00, Currency::from_code("GBP").unwrap()).unwrap(),
        }
    }

    #[tokio::test]
    async fn a_message_sent_again_tells_of_no_other_reward() {
        let notifier = RecordingNotifier::default();
        for entry in [1, 2, 1] {
            notifier.notify(&message(entry)).await.unwrap();
        }
        assert_eq!(notifier.counts(), NotificationCounts { sent: 3, distinct: 2 });
    }

    #[tokio::test]
    async fn only_the_latest_messages_are_kept() {
        let notifier = RecordingNotifier::new(2);
        for entry in [1, 2, 3] {
            notifier.notify(&message(entry)).await.unwrap();
        }
        assert_eq!(notifier.recent(10), [message(3), message(2)]);
        assert_eq!(notifier.recent(1), [message(3)]);
        assert_eq!(notifier.counts().distinct, 3);
    }
}
