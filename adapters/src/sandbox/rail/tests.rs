use std::path::PathBuf;

use ledger_core::ids::EntryId;
use ledger_core::money::Money;
use ledger_core::time::SystemClock;
use tempfile::TempDir;

use super::*;
use crate::contract;
use crate::sandbox::dice::MILLION;

struct Place {
    _folder: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rail.db");
        Place { _folder: folder, path }
    }

    fn open(&self, misbehaviour: Misbehaviour) -> SandboxRail {
        SandboxRail::open(&self.path, misbehaviour, Arc::new(SystemClock)).unwrap()
    }
}

fn payout(n: u64, minor: i64, currency: &str) -> Payout {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    Payout {
        key: PayoutKey { entry_id: EntryId(bytes), attempt: 1 },
        account_id: "cus_0001".parse().unwrap(),
        amount: Money::new(minor, Currency::from_code(currency).unwrap()).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rail_that_behaves_keeps_the_contract() {
    let place = Place::new();
    contract::holds_the_payout_contract(&|| Arc::new(place.open(Misbehaviour::none()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rail_that_misbehaves_keeps_the_contract() {
    let place = Place::new();
    let bad = Misbehaviour {
        seed: 9,
        timeout_after_paying_ppm: 250_000,
        timeout_before_paying_ppm: 250_000,
        refuse_ppm: 200_000,
        confirm_again_ppm: 200_000,
        slow_ppm: 100_000,
        slow_max: Duration::from_millis(2),
        timeout: Duration::ZERO,
    };
    contract::holds_the_payout_contract(&|| Arc::new(place.open(bad.clone()))).await;
}

#[tokio::test]
async fn a_timeout_after_paying_leaves_the_payment_in_the_books() {
    let place = Place::new();
    let rail = place.open(Misbehaviour { timeout_after_paying_ppm: MILLION, ..Misbehaviour::none() });
    assert!(rail.pay(&payout(1, 500, "GBP")).await.is_err());
    assert!(matches!(rail.lookup(&payout(1, 500, "GBP")).await, Ok(PayoutStatus::Paid(_))));
    assert!(matches!(rail.pay(&payout(1, 500, "GBP")).await, Ok(PayoutStatus::Paid(_))));
    assert_eq!(rail.count().unwrap(), PaymentCounts { paid: 1, refused: 0 });
}

#[tokio::test]
async fn a_timeout_before_paying_pays_nothing_and_the_next_send_pays() {
    let place = Place::new();
    let rail = place.open(Misbehaviour { timeout_before_paying_ppm: MILLION, ..Misbehaviour::none() });
    let payout = payout(1, 500, "GBP");
    assert!(rail.pay(&payout).await.is_err());
    assert_eq!(rail.lookup(&payout).await.unwrap(), PayoutStatus::NotFound);
    assert!(matches!(rail.pay(&payout).await, Ok(PayoutStatus::Paid(_))));
    // The books remember, so neither a third send nor a restart loses it again.
    assert!(matches!(rail.pay(&payout).await, Ok(PayoutStatus::Paid(_))));
}

#[tokio::test]
async fn a_refused_key_moves_no_money() {
    let place = Place::new();
    let rail = place.open(Misbehaviour { refuse_ppm: MILLION, ..Misbehaviour::none() });
    let refused = PayoutStatus::Refused { reason: "beneficiary_refused".to_owned() };
    assert_eq!(rail.pay(&payout(1, 500, "GBP")).await.unwrap(), refused);
    assert_eq!(rail.total_paid().unwrap(), []);
    drop(rail);
    // For good: not even a rail on its best behaviour pays it later.
    assert_eq!(place.open(Misbehaviour::none()).pay(&payout(1, 500, "GBP")).await.unwrap(), refused);
}

#[tokio::test]
async fn a_payment_may_be_confirmed_again() {
    let place = Place::new();
    let rail = place.open(Misbehaviour { confirm_again_ppm: MILLION, ..Misbehaviour::none() });
    let mut confirmations = rail.confirmations(8);
    let answer = rail.pay(&payout(1, 500, "GBP")).await.unwrap();
    let confirmation = confirmations.next().await.unwrap();
    assert_eq!(PayoutStatus::Paid(confirmation.payout_reference), answer);
    assert_eq!(confirmation.key, payout(1, 500, "GBP").key);
    assert_eq!(rail.count().unwrap().paid, 1);
}

#[tokio::test]
async fn the_books_add_up_by_currency_and_page_by_key() {
    let place = Place::new();
    let rail = place.open(Misbehaviour::none());
    for n in 0..5 {
        rail.pay(&payout(n, 100, "GBP")).await.unwrap();
    }
    rail.pay(&payout(9, 7, "EUR")).await.unwrap();
    rail.pay(&payout(10, 0, "GBP")).await.unwrap();
    let totals: Vec<_> = rail.total_paid().unwrap().iter().map(|(c, minor)| (c.code(), *minor)).collect();
    assert_eq!(totals, [("EUR", 7), ("GBP", 500)]);
    assert_eq!(rail.count().unwrap(), PaymentCounts { paid: 6, refused: 1 });
    let mut seen = Vec::new();
    loop {
        let page = rail.payments(seen.last().copied(), 3).unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 3);
        seen.extend(page.iter().map(|p| p.key));
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 9, 10].map(|n| payout(n, 1, "GBP").key));
}

#[tokio::test]
async fn a_line_of_the_books_cannot_be_changed() {
    let place = Place::new();
    place.open(Misbehaviour::none()).pay(&payout(1, 100, "GBP")).await.unwrap();
    let connection = Connection::open(&place.path).unwrap();
    assert!(connection.execute("UPDATE payments SET amount_minor = 1", []).is_err());
    assert!(connection.execute("DELETE FROM payments", []).is_err());
}

#[tokio::test]
async fn books_of_another_release_are_refused() {
    let place = Place::new();
    drop(place.open(Misbehaviour::none()));
    Connection::open(&place.path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let opened = SandboxRail::open(&place.path, Misbehaviour::none(), Arc::new(SystemClock));
    assert!(matches!(opened, Err(RailError::Books(BooksError::Schema { found: 99 }))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_payments_at_once_are_all_answered_and_all_in_the_books() {
    let place = Place::new();
    let rail = Arc::new(place.open(Misbehaviour::none()));
    let sends: Vec<_> = (0..2_000)
        .map(|n| {
            let rail = Arc::clone(&rail);
            tokio::spawn(async move { rail.pay(&payout(n, 100, "GBP")).await })
        })
        .collect();
    for send in sends {
        assert!(matches!(send.await.unwrap(), Ok(PayoutStatus::Paid(_))));
    }
    assert_eq!(rail.count().unwrap().paid, 2_000);
}
