//! What every [`PayoutRail`] promises, as one suite. `open` opens the rail over the same books each
//! time; before it is called again the rail opened before is dropped. A rail that was asked to
//! misbehave keeps the same promises: an error only means that one has to ask again.

use std::collections::HashSet;
use std::sync::Arc;

use ledger_core::ids::{AccountId, EntryId};
use ledger_core::money::{Currency, Money};
use ledger_core::steps::ports::{Payout, PayoutKey, PayoutRail, PayoutStatus};

/// Sends of one key at one time.
const CONCURRENT_SENDS: usize = 100;
/// How often a rail may fail to answer before the suite calls it dead.
const TRIES: usize = 50;
/// Different payments in one run.
const PAYMENTS: u64 = 200;

/// Opens a rail over the same books.
pub type Open<'a> = &'a (dyn Fn() -> Arc<dyn PayoutRail> + Sync);

/// Runs the whole suite over fresh books.
pub async fn holds_the_payout_contract(open: Open<'_>) {
    an_unknown_key_is_not_found_and_asking_does_not_pay(open).await;
    a_key_pays_once_however_often_it_is_sent_at_once(open).await;
    an_answer_is_final_and_survives_a_restart(open).await;
    after_an_error_a_lookup_tells_the_truth(open).await;
    a_key_used_for_other_terms_is_never_paid(open).await;
}

/// Before the first send a lookup finds nothing, and leaves nothing behind.
pub async fn an_unknown_key_is_not_found_and_asking_does_not_pay(open: Open<'_>) {
    let rail = open();
    let payout = payout("unknown", 0);
    for _ in 0..3 {
        assert_eq!(look_up(&rail, &payout).await, PayoutStatus::NotFound);
    }
}

/// A hundred sends at once of one key get one answer.
pub async fn a_key_pays_once_however_often_it_is_sent_at_once(open: Open<'_>) {
    let rail = open();
    for round in 0..4 {
        let payout = payout("at once", round);
        let sends: Vec<_> = (0..CONCURRENT_SENDS)
            .map(|_| {
                let (rail, payout) = (Arc::clone(&rail), payout.clone());
                tokio::spawn(async move { rail.pay(&payout).await.ok() })
            })
            .collect();
        let mut answers = Vec::new();
        for send in sends {
            answers.extend(send.await.expect("a send does not panic"));
        }
        let stands = look_up(&rail, &payout).await;
        assert_ne!(stands, PayoutStatus::NotFound, "one of a hundred sends arrives");
        assert!(answers.iter().all(|answer| *answer == stands), "{answers:?} are not all {stands:?}");
    }
}

/// `Paid` and `Refused` stay what they were, to sends and to lookups, before and after a restart.
pub async fn an_answer_is_final_and_survives_a_restart(open: Open<'_>) {
    let mut answers = Vec::new();
    {
        let rail = open();
        for n in 0..PAYMENTS {
            let payout = payout("final", n);
            let answer = settle(&rail, &payout).await;
            assert_eq!(settle(&rail, &payout).await, answer);
            answers.push((payout, answer));
        }
    }
    let rail = open();
    for (payout, answer) in &answers {
        assert_eq!(look_up(&rail, payout).await, *answer);
        assert_eq!(settle(&rail, payout).await, *answer);
    }
    let references: HashSet<_> = answers
        .iter()
        .filter_map(|(_, answer)| match answer {
            PayoutStatus::Paid(reference) => Some(reference),
            _ => None,
        })
        .collect();
    let paid = answers.iter().filter(|(_, answer)| matches!(answer, PayoutStatus::Paid(_))).count();
    assert_eq!(references.len(), paid, "a reference names one payment");
}

/// An error says nothing; the lookup after it says what a next send will confirm.
pub async fn after_an_error_a_lookup_tells_the_truth(open: Open<'_>) {
    let rail = open();
    for n in 0..PAYMENTS {
        let payout = payout("error", n);
        let first = rail.pay(&payout).await;
        let seen = look_up(&rail, &payout).await;
        if let Ok(answer) = &first {
            assert_eq!(seen, *answer);
        }
        assert_eq!(look_up(&rail, &payout).await, seen, "asking twice changes nothing");
        let settled = settle(&rail, &payout).await;
        if seen != PayoutStatus::NotFound {
            assert_eq!(settled, seen);
        }
    }
}

/// The same key with another amount or account is a mistake of the caller's: the first payment
/// stands.
pub async fn a_key_used_for_other_terms_is_never_paid(open: Open<'_>) {
    let rail = open();
    let payout = payout("terms", 0);
    let stands = settle(&rail, &payout).await;
    let other_amount = Payout { amount: gbp(payout.amount.minor() + 1), ..payout.clone() };
    let other_account = Payout { account_id: account("cus_other"), ..payout.clone() };
    for other in [other_amount, other_account] {
        assert!(rail.pay(&other).await.is_err(), "other terms under a key are a conflict");
        assert!(rail.lookup(&other).await.is_err(), "another's payment is no answer");
        assert_eq!(look_up(&rail, &payout).await, stands);
    }
}

/// Sends until there is an answer.
async fn settle(rail: &Arc<dyn PayoutRail>, payout: &Payout) -> PayoutStatus {
    for _ in 0..TRIES {
        if let Ok(answer) = rail.pay(payout).await {
            assert_ne!(answer, PayoutStatus::NotFound, "a send does not answer `NotFound`");
            return answer;
        }
    }
    panic!("the rail did not answer {TRIES} sends");
}

async fn look_up(rail: &Arc<dyn PayoutRail>, payout: &Payout) -> PayoutStatus {
    for _ in 0..TRIES {
        if let Ok(answer) = rail.lookup(payout).await {
            return answer;
        }
    }
    panic!("the rail did not answer {TRIES} lookups");
}

/// The `n`-th payment of one part of the suite: no two share a key.
fn payout(part: &str, n: u64) -> Payout {
    let mut bytes = [0; 32];
    bytes[..part.len()].copy_from_slice(part.as_bytes());
    bytes[16..24].copy_from_slice(&n.to_be_bytes());
    let amount = i64::try_from(n).expect("a small number") * 10 + 100;
    Payout {
        key: PayoutKey { entry_id: EntryId(bytes), attempt: 1 },
        account_id: account("cus_0001"),
        amount: gbp(amount),
    }
}

fn account(id: &str) -> AccountId {
    AccountId::parse(id).expect("a plain id")
}

fn gbp(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("GBP").expect("sterling")).expect("not negative")
}
