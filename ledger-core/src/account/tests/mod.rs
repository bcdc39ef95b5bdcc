//! The reward account's rules as sentences. The customer `cus_1` enrols on 1 November 2026 and buys
//! for GBP 12.50 on the 22nd; the campaign `autumn` always pays GBP 5.00 unless a test says
//! otherwise.

mod dates;
mod histories;
mod named;
mod names;
mod repeats;
mod reviews;
mod rewards;
mod rules;
mod spending;

use std::sync::Arc;

use std::collections::BTreeMap;

use crate::account::command::{
    AccountAnswer, CommandKind, EpochOffer, EvaluateTransaction, Facts, Known, Offer, PreparedTransaction,
    Standing,
};
use crate::account::event::{AccountEvent, DeferReason, Exclusion, Line, Outcome, Verdict};
use crate::account::state::RewardAccount;
use crate::campaign::terms::{EligibleFrom, RuleCode, Rules, ShortRules, Terms};
use crate::draw::{self, Draw, EpochKey, Prize, PrizeTable, Seed, Tier};
use crate::given::{Given, Then};
use crate::ids::{Digest, EntryId, Fingerprint, MerchantTag, TransactionKey};
use crate::keys::{AmountKey, FINGERPRINT_VERSION, Sealed};
use crate::log::Position;
use crate::money::{BasisPoints, Currency, Money};
use crate::time::{Epoch, Timestamp};
use crate::transaction::{BookedAt, Direction, Mcc, Personal, Status};
use crate::zone::{Zone, ZoneTable};

/// When a test asks, unless it says otherwise.
const NOW: &str = "2026-11-22T12:00:00Z";
const BOOKED: &str = "2026-11-22T10:15:00Z";

fn at(text: &str) -> Timestamp {
    serde_json::from_value(text.into()).unwrap()
}

fn money(minor: i64, code: &str) -> Money {
    Money::new(minor, Currency::from_code(code).unwrap()).unwrap()
}

fn gbp(minor: i64) -> Money {
    money(minor, "GBP")
}

fn given(events: impl IntoIterator<Item = AccountEvent>) -> Given<RewardAccount> {
    Given::events(at(NOW), events)
}

fn opened() -> AccountEvent {
    AccountEvent::AccountOpened { enrolled_at: at("2026-11-01T00:00:00Z") }
}

fn erased() -> AccountEvent {
    AccountEvent::PersonalDataErased { erased_at: at(NOW) }
}

fn key(id: &str) -> TransactionKey {
    TransactionKey::of(&"acme-bank".parse().unwrap(), &id.parse().unwrap())
}

fn entry(id: &str) -> EntryId {
    draw::entry_id(&"autumn".parse().unwrap(), &"acme-bank".parse().unwrap(), &id.parse().unwrap())
}

/// A line with the fingerprint its amount would give it.
fn line(id: &str, status: Status, minor: i64) -> PreparedTransaction {
    PreparedTransaction {
        account_id: "cus_1".parse().unwrap(),
        key: key(id),
        status,
        line: Line {
            source: "acme-bank".parse().unwrap(),
            transaction_id: id.parse().unwrap(),
            booked_at: at(BOOKED),
            time_known: true,
            fingerprint: Fingerprint(u128::try_from(minor).unwrap().to_be_bytes()),
            fingerprint_version: FINGERPRINT_VERSION,
            details: Some(Sealed::from_text("sealed")),
            pending_transaction_id: None,
            merchant: Some(MerchantTag([42; 8])),
            spent: Some(amounts().seal(gbp(minor))),
        },
        facts: Facts {
            amount: Personal::new(gbp(minor)),
            direction: Direction::Debit,
            has_merchant: true,
            merchant_id: Some(Personal::new("m_42".into())),
            mcc: Mcc::parse("5814").map(Personal::new),
            country: Some(Personal::new("GB".into())),
            refund: false,
        },
        amounts: amounts(),
        terms: None,
    }
}

fn amounts() -> AmountKey {
    AmountKey::new(&[7; 32])
}

fn purchase(id: &str) -> PreparedTransaction {
    line(id, Status::Booked, 12_50)
}

fn purchase_at(booked_at: &str) -> PreparedTransaction {
    let mut purchase = purchase("t1");
    purchase.line.booked_at = at(booked_at);
    purchase
}

fn pending(id: &str) -> PreparedTransaction {
    line(id, Status::Pending, 12_50)
}

fn removal(id: &str) -> PreparedTransaction {
    line(id, Status::Removed, 12_50)
}

/// A booked line that the bank says was pending under another id.
fn purchase_once(id: &str, pending_id: &str) -> PreparedTransaction {
    let mut purchase = purchase(id);
    purchase.line.pending_transaction_id = Some(pending_id.parse().unwrap());
    purchase
}

fn table(prizes: impl IntoIterator<Item = (u32, Prize)>) -> PrizeTable {
    let tiers = prizes.into_iter().enumerate().map(|(index, (odds_ppb, prize))| Tier {
        name: format!("tier {index}"),
        odds_ppb,
        prize,
    });
    PrizeTable { currency: Currency::from_code("GBP").unwrap(), tiers: tiers.collect() }
}

fn always(prize: Prize) -> PrizeTable {
    table([(1_000_000_000, prize)])
}

fn epoch_key() -> EpochKey {
    draw::epoch_key(&Seed::new([7; 32]), &Digest([0; 32]), &"autumn".parse().unwrap(), Epoch::of(at(BOOKED)))
}

fn open_epoch(table: PrizeTable, budget_left_minor: i64) -> EpochOffer {
    EpochOffer::Open {
        key: epoch_key(),
        table_hash: table.hash(),
        table: Arc::new(table),
        budget_left_minor,
        sold_out: 0,
    }
}

fn terms() -> Terms {
    Terms {
        campaign_id: "autumn".parse().unwrap(),
        name: "Autumn".into(),
        time_zone: Zone::named("Europe/London"),
        starts_at: at("2026-10-01T00:00:00Z"),
        ends_at: Some(at("2026-12-01T00:00:00Z")),
        eligible_from: EligibleFrom::Enrolment,
        precedence: 0,
        stackable: false,
        rules: Rules::default(),
        prize_table: always(Prize::Fixed { fixed: 5_00 }),
        budget: gbp(100_000),
        inventory: BTreeMap::new(),
        planned_draws: None,
        funding_limit_minor: None,
        grace_days: 31,
        beacon: "none".into(),
        rules_reading: crate::campaign::terms::RULES_READING,
    }
}

fn offer_of(terms: Terms) -> Offer {
    Offer {
        epoch: open_epoch(terms.prize_table.clone(), 100_000),
        clocks: ZoneTable::new().clocks_to_be(&terms.time_zone),
        terms: Arc::new(terms),
        version: 1,
        standing: Standing::Active,
    }
}

fn offer() -> Offer {
    offer_of(terms())
}

fn offer_with(rules: impl Into<Rules>) -> Offer {
    offer_of(Terms { rules: rules.into(), ..terms() })
}

fn offer_in(epoch: EpochOffer) -> Offer {
    Offer { epoch, ..offer() }
}

fn known(minor: i64) -> Known {
    Known {
        account_id: "cus_1".parse().unwrap(),
        position: Position(2),
        fingerprint: Some(Fingerprint(u128::try_from(minor).unwrap().to_be_bytes())),
        booked_at: Some(BookedAt { at: at(BOOKED), time_known: true }),
    }
}

fn known_removed() -> Known {
    Known { fingerprint: None, booked_at: None, ..known(0) }
}

const DUPLICATE: AccountAnswer = AccountAnswer::Duplicate { position: Some(Position(2)) };

fn linked_event(id: &str, linked_to: &str) -> AccountEvent {
    let Line { source, transaction_id, fingerprint, .. } = purchase(id).line;
    let (linked_to, fingerprint) = (linked_to.parse().unwrap(), Some(fingerprint));
    let fingerprint_version = FINGERPRINT_VERSION;
    AccountEvent::TransactionLinked { source, transaction_id, linked_to, fingerprint, fingerprint_version }
}

fn evaluation(transaction: PreparedTransaction, offers: Vec<Offer>) -> EvaluateTransaction {
    EvaluateTransaction {
        transaction: Arc::new(transaction),
        known: None,
        pending_known: None,
        open_unknown: false,
        offers,
        halted: false,
        resume: false,
    }
}

fn evaluate(transaction: PreparedTransaction, offer: Offer) -> CommandKind {
    CommandKind::EvaluateTransaction(evaluation(transaction, vec![offer]))
}

/// The same line again, as the engine asks when the log has its key: without campaigns.
fn again(transaction: PreparedTransaction, known: Known) -> CommandKind {
    CommandKind::EvaluateTransaction(EvaluateTransaction {
        known: Some(known),
        pending_known: None,
        ..evaluation(transaction, vec![])
    })
}

fn first_seen(transaction: PreparedTransaction) -> CommandKind {
    CommandKind::EvaluateTransaction(EvaluateTransaction {
        open_unknown: true,
        ..evaluation(transaction, vec![offer()])
    })
}

fn resume(transaction: PreparedTransaction, offer: Offer) -> CommandKind {
    CommandKind::EvaluateTransaction(EvaluateTransaction {
        known: Some(known(12_50)),
        pending_known: None,
        resume: true,
        ..evaluation(transaction, vec![offer])
    })
}

fn review(id: &str, verdict: Verdict) -> CommandKind {
    CommandKind::Review {
        source: "acme-bank".parse().unwrap(),
        transaction_id: id.parse().unwrap(),
        verdict,
        reason: "the bank's mistake".into(),
    }
}

fn won(minor: i64) -> AccountAnswer {
    AccountAnswer::Evaluated { outcome: Outcome::Won, won: Some(gbp(minor)) }
}

fn decided(outcome: Outcome) -> AccountAnswer {
    AccountAnswer::Evaluated { outcome, won: None }
}

impl Then<RewardAccount> {
    /// Declined, for exactly these reasons in this order.
    #[track_caller]
    fn then_declines(self, failed: &[RuleCode]) {
        let [AccountEvent::TransactionEvaluated { considered, draws, .. }] = self.events() else {
            panic!("{:?}", self.events());
        };
        assert_eq!(considered[0].failed, failed);
        assert!(draws.is_empty());
        self.then_answers(decided(Outcome::Declined));
    }

    /// The only draw of the only event.
    #[track_caller]
    fn draw(&self) -> Draw {
        match self.events() {
            [AccountEvent::TransactionEvaluated { draws, .. }] if draws.len() == 1 => draws[0].clone(),
            other => panic!("{other:?}"),
        }
    }

    /// The names of what has happened.
    #[track_caller]
    fn then_happens(self, names: &[&str]) -> Self {
        let happened: Vec<_> = self.events().iter().map(AccountEvent::name).collect();
        assert_eq!(happened, names);
        self
    }
}
