//! Transactions of the past, from a file or from the log.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, LazyLock};

use ledger_core::account::command::PreparedTransaction;
use ledger_core::account::event::Line;
use ledger_core::ids::{AccountId, Fingerprint, MerchantTag, TransactionKey};
use ledger_core::keys::{AmountKey, Details, FINGERPRINT_VERSION};
use ledger_core::steps::intake::facts;
use ledger_core::time::Timestamp;
use ledger_core::transaction::bank_account;
use ledger_core::transaction::{Direction, Status, Transaction};
use ledger_core::zone::ZoneTable;

/// Of all accounts: nothing that it seals leaves the process.
static AMOUNTS: LazyLock<AmountKey> = LazyLock::new(|| AmountKey::new(&[0; 32]));
/// Of a file.
static NO_ZONES: LazyLock<Arc<ZoneTable>> = LazyLock::new(Arc::default);

/// One transaction of the past.
pub struct PastLine {
    /// The line, its facts in the clear. Its details need not be sealed: they are not looked at.
    pub transaction: PreparedTransaction,
    /// When the customer enrolled. `None`: with his first line here, so that each of them counts.
    pub enrolled_at: Option<Timestamp>,
    /// Whether the customer was kept out of draws when the line was recorded.
    pub excluded: bool,
    /// What clocks showed where the line stands.
    pub zones: Arc<ZoneTable>,
}

impl PastLine {
    /// One that was read from a file. Nothing of it leaves the process, so no account's key is
    /// needed.
    pub fn read(transaction: &Transaction) -> PastLine {
        let Transaction { account_id, source, transaction_id, .. } = transaction;
        let is_purchase = transaction.direction.is_purchase(transaction.refund_of.is_some());
        let merchant_id = transaction.merchant.as_ref().and_then(|merchant| merchant.id.as_ref());
        // Tells merchants and terms apart within this process.
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let tag =
            |id: &str| MerchantTag(hasher.hash_one((account_id.as_str(), source.as_str(), id)).to_be_bytes());
        let amount = transaction.amount.expose();
        let own_account = transaction.own_account().map_or("", |account| account.expose());
        let terms = hasher.hash_one((
            amount.minor(),
            amount.currency().code(),
            transaction.direction == Direction::Debit,
            bank_account::canonical(own_account),
        ));
        let mut fingerprint = [0; 16];
        fingerprint[..8].copy_from_slice(&terms.to_be_bytes());
        let line = Line {
            source: source.clone(),
            transaction_id: transaction_id.clone(),
            booked_at: transaction.booked_at,
            time_known: transaction.time_known,
            fingerprint: Fingerprint(fingerprint),
            fingerprint_version: FINGERPRINT_VERSION,
            details: None,
            pending_transaction_id: transaction.pending_transaction_id.clone(),
            merchant: merchant_id.filter(|_| is_purchase).map(|id| tag(id.expose())),
            spent: None,
        };
        PastLine::of(account_id, transaction.status, line, &Details::of(transaction))
    }

    /// One that the log has. Who enrolled when, who was kept out and what clocks showed is said
    /// besides.
    pub fn recorded(account_id: &AccountId, line: Line, details: &Details) -> PastLine {
        PastLine::of(account_id, Status::Booked, line, details)
    }

    fn of(account_id: &AccountId, status: Status, mut line: Line, details: &Details) -> PastLine {
        let key = TransactionKey::of(&line.source, &line.transaction_id);
        let facts = facts(details);
        let amounts = AMOUNTS.clone();
        line.spent = details.spent(&amounts);
        let account_id = account_id.clone();
        let transaction = PreparedTransaction { account_id, key, status, line, facts, amounts, terms: None };
        PastLine { transaction, enrolled_at: None, excluded: false, zones: Arc::clone(&NO_ZONES) }
    }
}
