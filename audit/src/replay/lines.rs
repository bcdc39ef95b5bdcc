//! Which lines are known, wait, were taken back or are held: whether each is decided at most once,
//! and a held one only after two people have released it.

use std::collections::{HashMap, HashSet};

use ledger_core::account::AccountEvent;
use ledger_core::account::event::{DeferReason, Line, Verdict};
use ledger_core::ids::TransactionKey;
use ledger_core::log::StoredEvent;
use ledger_core::person::same_person;
use ledger_core::stated::Shown;

/// What the log has said of lines so far.
#[derive(Default)]
pub(super) struct Lines {
    /// Every line ever decided, deferred or taken back.
    pub(super) known: HashSet<TransactionKey>,
    /// Deferred or released, and not yet decided: only these are decided by an event without a key.
    waiting: HashSet<TransactionKey>,
    removed: HashMap<TransactionKey, Mark>,
    /// Other names of purchases, by which neither is decided: to the one that was booked first.
    linked: HashMap<TransactionKey, TransactionKey>,
    /// Lines that wait for people, and what one of them has proposed.
    held: HashMap<TransactionKey, Option<(Verdict, String)>>,
    /// Every line that was ever to be shown, and what of it no account remembers.
    shown: HashMap<TransactionKey, Shown>,
}

/// What is known of a line that was taken back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Decided,
    Undecided,
    Dismissed,
}

/// The line that an event is about, if it is about one.
pub(super) fn key_of(event: &AccountEvent) -> Option<TransactionKey> {
    match event {
        AccountEvent::TransactionEvaluated { line, .. } | AccountEvent::TransactionDeferred { line, .. } => {
            Some(TransactionKey::of(&line.source, &line.transaction_id))
        }
        AccountEvent::TransactionLinked { source, transaction_id, .. }
        | AccountEvent::TransactionRemoved { source, transaction_id, .. }
        | AccountEvent::ReviewProposed { source, transaction_id, .. }
        | AccountEvent::TransactionReviewed { source, transaction_id, .. } => {
            Some(TransactionKey::of(source, transaction_id))
        }
        _ => None,
    }
}

impl Lines {
    /// Every line that was ever to be shown.
    pub(super) fn shown(&self) -> &HashMap<TransactionKey, Shown> {
        &self.shown
    }

    fn show(&mut self, event: &AccountEvent) {
        let key = |line: &Line| TransactionKey::of(&line.source, &line.transaction_id);
        match event {
            AccountEvent::TransactionEvaluated { line, .. }
            | AccountEvent::TransactionDeferred { line, .. } => {
                if let Some(pending) = line.pending_key() {
                    self.shown.entry(pending).or_default().given_way = true;
                }
                let shown = self.shown.entry(key(line)).or_default();
                shown.recorded = true;
                shown.decided |= matches!(event, AccountEvent::TransactionEvaluated { .. });
            }
            AccountEvent::TransactionNoted { line } => {
                self.shown.entry(key(line)).or_default().recorded = true;
            }
            AccountEvent::TransactionLinked { source, transaction_id, .. } => {
                let key = TransactionKey::of(source, transaction_id);
                self.shown.entry(key).or_default().given_way = true;
            }
            _ => {}
        }
    }

    /// A line's first event carries its key, which no hash covers; a later one belongs to a line
    /// that waits or was taken back. So no line is decided twice, and none can be made to look new.
    pub(super) fn take(
        &mut self,
        stored: &StoredEvent,
        event: &AccountEvent,
        key: Option<TransactionKey>,
    ) -> Vec<&'static str> {
        self.show(event);
        let mut findings = match (stored.transaction_key, key) {
            (None, None) => return vec![],
            (Some(found), expected) if expected != Some(found) => {
                vec!["the transaction key is not that of the transaction"]
            }
            (None, Some(key)) if !self.known.contains(&key) => {
                vec!["a transaction first recorded here has no transaction key"]
            }
            _ => vec![],
        };
        let Some(key) = key else { return findings };
        if event.by().is_some_and(|by| stored.actor().as_deref() != Some(by)) {
            findings.push("a review names somebody else than who did it");
        }
        let is_first = stored.transaction_key.is_some();
        let named = match event {
            AccountEvent::TransactionRemoved { source, named: Some(named), .. } => {
                Some(TransactionKey::of(source, named))
            }
            _ => None,
        };
        if named.is_some_and(|named| self.first_name(named) != Some(key)) {
            findings.push("a transaction is taken back by a name that is not its own");
        }
        if self.removed.get(&key) == Some(&Mark::Dismissed) {
            findings.push("something becomes of a transaction that two people have dismissed");
        }
        findings.extend(match event {
            AccountEvent::TransactionDeferred { reason: DeferReason::Held, .. } => {
                self.held.insert(key, None);
                None
            }
            AccountEvent::TransactionDeferred { .. } => {
                self.waiting.insert(key);
                None
            }
            AccountEvent::TransactionEvaluated { .. } => self.decided(key, is_first),
            AccountEvent::TransactionLinked { source, linked_to, .. } => {
                self.linked(key, is_first, TransactionKey::of(source, linked_to))
            }
            AccountEvent::TransactionRemoved { undecided, .. } => self.removed(key, is_first, *undecided),
            AccountEvent::ReviewProposed { verdict, by, .. } => self.proposed(key, *verdict, by),
            AccountEvent::TransactionReviewed { verdict, proposed_by, by, .. } => {
                self.reviewed(key, *verdict, proposed_by, by)
            }
            _ => None,
        });
        findings
    }

    fn decided(&mut self, key: TransactionKey, is_first: bool) -> Option<&'static str> {
        if self.waiting.remove(&key) || is_first {
            return None;
        }
        let held = self.held.contains_key(&key);
        Some(if held {
            "a held transaction is decided that two people have not released"
        } else {
            "a transaction is decided that did not wait"
        })
    }

    /// The name that a purchase was first booked under, of another one that was linked to it.
    fn first_name(&self, key: TransactionKey) -> Option<TransactionKey> {
        let mut name = self.linked.get(&key)?;
        while let Some(first) = self.linked.get(name) {
            name = first;
        }
        Some(*name)
    }

    /// A name that is new, or that was taken back before it was ever decided.
    fn linked(&mut self, key: TransactionKey, is_first: bool, to: TransactionKey) -> Option<&'static str> {
        let first = self.first_name(to).unwrap_or(to);
        if first == key {
            return Some("a transaction is linked to itself");
        }
        let mark = self.removed.remove(&key);
        let linked_before = self.linked.insert(key, first).is_some();
        if !self.known.contains(&to) {
            return Some("a transaction is linked to one that is not in the log");
        }
        let may_be = is_first || (mark == Some(Mark::Undecided) && !linked_before);
        (!may_be).then_some("a transaction is linked that is decided, or waits, or was linked before")
    }

    /// Undecided is what the event says and the log shows: one that waited, or was never booked.
    fn removed(&mut self, key: TransactionKey, is_first: bool, said: bool) -> Option<&'static str> {
        let waited = self.waiting.remove(&key);
        self.held.remove(&key);
        let shown = match self.removed.get(&key) {
            Some(mark) => *mark == Mark::Undecided,
            None => waited || is_first,
        };
        self.removed.insert(key, if said && shown { Mark::Undecided } else { Mark::Decided });
        (said && !shown).then_some("a transaction taken back is said to be undecided that was decided")
    }

    fn proposed(&mut self, key: TransactionKey, verdict: Verdict, by: &str) -> Option<&'static str> {
        let Some(hold) = self.held.get_mut(&key) else {
            return Some("a transaction is reviewed that is not held");
        };
        *hold = Some((verdict, by.into()));
        None
    }

    fn reviewed(
        &mut self,
        key: TransactionKey,
        verdict: Verdict,
        proposed_by: &str,
        by: &str,
    ) -> Option<&'static str> {
        let Some(hold) = self.held.remove(&key) else {
            return Some("a transaction is reviewed that is not held");
        };
        let mark = match verdict {
            Verdict::Dismissed => self.removed.insert(key, Mark::Dismissed),
            Verdict::Released => self.removed.remove(&key),
        };
        if verdict == Verdict::Released {
            if self.linked.contains_key(&key) {
                return Some("a transaction is released that is another name of a purchase");
            }
            if mark != Some(Mark::Undecided) {
                return Some("a transaction is released that was decided before");
            }
            self.waiting.insert(key);
        }
        if same_person(proposed_by, by) {
            return Some("a transaction is reviewed by one person alone");
        }
        let agrees = hold.is_some_and(|(proposed, first)| proposed == verdict && first == proposed_by);
        (!agrees).then_some("a review agrees to what nobody has proposed")
    }
}
