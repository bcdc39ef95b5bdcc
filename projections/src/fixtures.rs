//! Events, and a log of them, for this crate's tests. One campaign `c1` with two tiers, one feed
//! `bank`.

mod place;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use ledger_core::account::AccountEvent;
use ledger_core::account::event::{Considered, DeferReason, Line, Outcome, Verdict};
use ledger_core::campaign::CampaignEvent;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::{Algorithm, Draw, Prize, PrizeTable, Tier};
use ledger_core::ids::{
    AccountId, CampaignId, Digest, EntryId, Fingerprint, Source, TransactionId, TransactionKey,
};
use ledger_core::keys::Sealed;
use ledger_core::log::{
    AppendError, Batch, EventLog, Head, LogError, Position, StoredEvent, StreamId, StreamType,
};
use ledger_core::money::{Currency, Money};
use ledger_core::posting::Posting;
use ledger_core::time::{Epoch, Timestamp};
use parking_lot::Mutex;

pub(crate) use self::place::*;

pub(crate) fn gbp(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("GBP").unwrap()).unwrap()
}

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_795_000_000_000_000 + micros)
}

pub(crate) fn day() -> Epoch {
    Epoch::of(at(0))
}

pub(crate) fn account_id(id: &str) -> AccountId {
    id.parse().unwrap()
}

pub(crate) fn campaign_id() -> CampaignId {
    "c1".parse().unwrap()
}

pub(crate) fn source() -> Source {
    "bank".parse().unwrap()
}

pub(crate) fn tx(id: &str) -> TransactionId {
    id.parse().unwrap()
}

/// Not the real one: any id that tells entries apart will do.
pub(crate) fn entry(id: &str) -> EntryId {
    let key = TransactionKey::of(&source(), &tx(id)).0;
    EntryId(std::array::from_fn(|i| key[i % 16]))
}

pub(crate) fn table() -> PrizeTable {
    let tier =
        |name: &str, odds_ppb, fixed| Tier { name: name.into(), odds_ppb, prize: Prize::Fixed { fixed } };
    PrizeTable {
        currency: gbp(0).currency(),
        tiers: vec![tier("gold", 1_000, 5_000), tier("tin", 100_000, 100)],
    }
}

pub(crate) fn terms(name: &str) -> Terms {
    let json = serde_json::json!({
        "campaign_id": "c1", "name": name, "time_zone": "Europe/London", "starts_at": "2026-11-01T00:00:00Z",
        "prize_table": table(), "budget": gbp(100_000),
    });
    serde_json::from_value(json).unwrap()
}

pub(crate) fn line(id: &str) -> Line {
    Line {
        source: source(),
        transaction_id: tx(id),
        booked_at: at(0),
        time_known: true,
        fingerprint: Fingerprint([0; 16]),
        fingerprint_version: 1,
        details: Some(Sealed::from_text(format!("sealed {id}"))),
        pending_transaction_id: None,
        merchant: None,
        spent: None,
    }
}

pub(crate) fn deferred(id: &str, reason: DeferReason) -> AccountEvent {
    AccountEvent::TransactionDeferred { line: line(id), reason }
}

/// By one person.
pub(crate) fn proposed(id: &str, verdict: Verdict) -> AccountEvent {
    AccountEvent::ReviewProposed {
        source: source(),
        transaction_id: tx(id),
        verdict,
        reason: "because".into(),
        by: "anna".into(),
        proposed_at: at(55),
    }
}

/// By two people.
pub(crate) fn reviewed(id: &str, verdict: Verdict) -> AccountEvent {
    AccountEvent::TransactionReviewed {
        source: source(),
        transaction_id: tx(id),
        verdict,
        reason: "because".into(),
        proposed_by: "anna".into(),
        by: "ben".into(),
        reviewed_at: at(60),
    }
}

pub(crate) fn draw(id: &str, won: Option<(u32, i64)>) -> Draw {
    Draw {
        entry_id: entry(id),
        campaign_id: campaign_id(),
        campaign_version: 1,
        epoch: day(),
        day: day().date(),
        table_hash: Digest([7; 32]),
        tier_mask: 0,
        budget_left_minor: 100_000,
        r: 5,
        rejections: 0,
        tier: won.map(|(tier, _)| tier),
        amount: won.map(|(_, minor)| gbp(minor)),
        algorithm: Algorithm::Draw1,
    }
}

pub(crate) fn opened() -> AccountEvent {
    AccountEvent::AccountOpened { enrolled_at: at(0) }
}

pub(crate) fn evaluated(line: Line, won: Option<(u32, i64)>) -> AccountEvent {
    let draws = vec![draw(line.transaction_id.as_str(), won)];
    let considered = vec![Considered { campaign_id: campaign_id(), campaign_version: 1, failed: vec![] }];
    let outcome = if won.is_some() { Outcome::Won } else { Outcome::Lost };
    AccountEvent::TransactionEvaluated { line, outcome, considered, draws }
}

pub(crate) fn won(id: &str, minor: i64) -> AccountEvent {
    evaluated(line(id), Some((1, minor)))
}

pub(crate) fn lost(id: &str) -> AccountEvent {
    evaluated(line(id), None)
}

pub(crate) fn issued(id: &str, minor: i64) -> AccountEvent {
    let (campaign_id, amount) = (campaign_id(), gbp(minor));
    let posting = Posting::issue(&campaign_id, amount);
    AccountEvent::RewardIssued { entry_id: entry(id), campaign_id, amount, issued_at: at(1), posting }
}

pub(crate) fn requested(id: &str, attempt: u32, minor: i64) -> AccountEvent {
    AccountEvent::CreditRequested { entry_id: entry(id), attempt, amount: gbp(minor), requested_at: at(2) }
}

pub(crate) fn failed(id: &str, attempt: u32) -> AccountEvent {
    AccountEvent::CreditFailed { entry_id: entry(id), attempt, reason: "closed".into(), failed_at: at(3) }
}

pub(crate) fn credited(id: &str, attempt: u32, minor: i64, after_reversal: bool) -> AccountEvent {
    let amount = gbp(minor);
    let posting = if after_reversal { Posting::receivable(amount) } else { Posting::credit(amount) };
    let payout_reference = format!("pay_{id}").parse().unwrap();
    AccountEvent::RewardCredited {
        entry_id: entry(id),
        attempt,
        amount,
        payout_reference,
        credited_at: at(4),
        posting,
    }
}

pub(crate) fn reversed(id: &str, minor: i64, after_credit: bool) -> AccountEvent {
    let (campaign_id, amount) = (campaign_id(), gbp(minor));
    let posting = if after_credit {
        Posting::reversal_after_credit(&campaign_id, amount)
    } else {
        Posting::reversal(&campaign_id, amount)
    };
    let reason = "transaction_removed".into();
    AccountEvent::RewardReversed {
        entry_id: entry(id),
        campaign_id,
        amount,
        reason,
        reversed_at: at(5),
        budget_returned: true,
        posting,
    }
}

/// What may become of a line, up to a step that `fate` chooses, of [`FATES`].
pub(crate) fn story(id: &str, pending: &str, fate: u8, minor: i64) -> Vec<AccountEvent> {
    let note = AccountEvent::TransactionNoted { line: line(pending) };
    let booked = Line { pending_transaction_id: Some(tx(pending)), ..line(id) };
    let removed = |undecided| AccountEvent::TransactionRemoved {
        source: source(),
        transaction_id: tx(id),
        removed_at: at(9),
        undecided,
        named: None,
    };
    let held = deferred(id, DeferReason::Held);
    let rewarded = [
        note.clone(),
        evaluated(booked, Some((1, minor))),
        issued(id, minor),
        requested(id, 1, minor),
        failed(id, 1),
        requested(id, 2, minor),
        credited(id, 2, minor, false),
        removed(false),
        reversed(id, minor, true),
    ];
    match fate {
        0 => vec![note, lost(id)],
        1 => vec![opened(), lost(id), AccountEvent::PersonalDataErased { erased_at: at(9) }],
        9 => vec![lost(id), removed(false), held, reviewed(id, Verdict::Dismissed)],
        10 => vec![removed(true), held, reviewed(id, Verdict::Dismissed)],
        11 => vec![removed(true), held, reviewed(id, Verdict::Released)],
        12 => vec![removed(true), held, reviewed(id, Verdict::Released), won(id, minor)],
        steps => rewarded.into_iter().take(usize::from(steps) + 1).collect(),
    }
}

/// What a line of [`story`] may meet.
pub(crate) const FATES: std::ops::Range<u8> = 0..13;

/// `c1` drafted, funded with 100,000 and open for [`day`]: 6 events.
pub(crate) fn running_campaign() -> Vec<CampaignEvent> {
    vec![
        CampaignEvent::CampaignDrafted { version: 1, terms: terms("Coffee"), by: "alice".into() },
        CampaignEvent::CampaignApproved { version: 1, by: "bob".into() },
        CampaignEvent::BudgetFunded {
            amount: gbp(100_000),
            funded_minor: 100_000,
            reference: String::new(),
            posting: Posting::funding(&campaign_id(), gbp(100_000)),
            version: 1,
        },
        CampaignEvent::CampaignStarted { started_at: at(0), version: 1 },
        CampaignEvent::EpochScheduled {
            epoch: day(),
            opens_at: day().opens_at(),
            closes_at: day().closes_at(),
            grace_days: 31,
            commitment: Digest([1; 32]),
            sealed_seed: Sealed::from_text("secret"),
            prize_table: table(),
            table_hash: Digest([7; 32]),
            beacon_spec: "none".into(),
            at_once: true,
            version: 1,
            inventory: BTreeMap::new(),
        },
        CampaignEvent::EpochOpened {
            epoch: day(),
            opened_at: at(0),
            beacon: Digest([0; 32]),
            budget_cap_minor: 100_000,
            beacon_signature: None,
            version: 1,
        },
    ]
}

/// A log in memory: what a projection needs of one, and reads that fail on demand.
#[derive(Default)]
pub(crate) struct TestLog {
    events: Mutex<Vec<StoredEvent>>,
    pub(crate) reads_to_fail: AtomicUsize,
}

impl TestLog {
    /// A log that begins with [`running_campaign`].
    pub(crate) fn with_campaign() -> TestLog {
        let log = TestLog::default();
        log.campaign(running_campaign());
        log
    }

    pub(crate) fn account(&self, id: &str, events: impl IntoIterator<Item = AccountEvent>) {
        for event in events {
            self.push(StreamId::account(&account_id(id)), event.name(), serde_json::to_vec(&event).unwrap());
        }
    }

    pub(crate) fn campaign(&self, events: impl IntoIterator<Item = CampaignEvent>) {
        for event in events {
            self.push(StreamId::campaign(&campaign_id()), event.name(), serde_json::to_vec(&event).unwrap());
        }
    }

    fn push(&self, stream: StreamId, event_type: &str, payload: Vec<u8>) {
        let mut events = self.events.lock();
        let position = Position(events.len() as u64 + 1);
        events.push(StoredEvent {
            position,
            stream,
            sequence: position.0,
            event_type: event_type.into(),
            event_version: "1".into(),
            payload,
            metadata: (*b"{}").into(),
            recorded_at: at(i64::try_from(position.0).unwrap()),
            transaction_key: None,
            hash: Digest([0; 32]),
        });
    }

    pub(crate) fn head_position(&self) -> Position {
        Position(self.events.lock().len() as u64)
    }

    pub(crate) fn edit(&self, edit: impl FnOnce(&mut Vec<StoredEvent>)) {
        edit(&mut self.events.lock());
    }
}

fn not_here<T>() -> Result<T, LogError> {
    Err(LogError::Damaged("a projection has no business here".into()))
}

#[async_trait]
impl EventLog for TestLog {
    async fn append(&self, _: &Batch) -> Result<(), AppendError> {
        Err(AppendError::Fenced)
    }
    async fn head(&self) -> Result<Head, LogError> {
        Ok(Head { term: 1, position: self.head_position(), recorded_at: None })
    }
    async fn load_streams(&self, _: &[(StreamId, u64)], _: usize) -> Result<Vec<StoredEvent>, LogError> {
        not_here()
    }
    async fn stream_ids(&self, _: StreamType) -> Result<Vec<StreamId>, LogError> {
        not_here()
    }
    async fn known_streams(&self, _: &[StreamId]) -> Result<Vec<StreamId>, LogError> {
        not_here()
    }
    async fn read_after(&self, position: Position, limit: usize) -> Result<Vec<StoredEvent>, LogError> {
        let fail = |n: usize| n.checked_sub(1);
        if self.reads_to_fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fail).is_ok() {
            let source = "the network is down".into();
            return Err(LogError::Store { doing: "read", transient: true, source });
        }
        let events = self.events.lock();
        Ok(events.iter().filter(|e| e.position > position).take(limit).cloned().collect())
    }
    async fn read_stream_after(
        &self,
        _: &StreamId,
        _: Position,
        _: usize,
    ) -> Result<Vec<StoredEvent>, LogError> {
        not_here()
    }
}
