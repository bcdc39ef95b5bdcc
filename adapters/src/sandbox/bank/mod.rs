//! A bank with customers who buy things: an endless statement feed as banks send it, repeats, late
//! lines, pending lines and nonsense included.
//!
//! Customers, merchants and purchases follow from the seed and a line's number in the run; only
//! booking times follow the clock. Ids begin with the name of the run, so a later run over the same
//! data reissues none.

mod categories;
mod config;
mod people;
mod row;

use std::collections::{BTreeMap, VecDeque};

use ledger_core::ids::{Source, TransactionId};
use ledger_core::time::{SECOND_MICROS, Timestamp};

pub use categories::CategoriesError;
use config::RUN_CHARACTERS_MAX;
pub use config::{GeneratorConfig, GeneratorError, Mix};
pub use people::Customer;
use people::{Merchant, Merchants};
use row::{Amount, Row, Shop};

use crate::sandbox::dice::Dice;

const LINES: u64 = 3;

/// Booked lines remembered, to be repeated, refunded or removed.
const RECENT_MAX: usize = 4_096;
/// Pending lines that wait to be booked; with that many, new ones are booked at once.
const PENDING_MAX: usize = 4_096;
/// A pending line is booked after this many other lines.
const PENDING_FOR: (u64, u64) = (20, 1_000);
/// What a generated line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A purchase, or now and then a transfer to a person, booked just now.
    Booked,
    /// Not final yet.
    Pending,
    /// What was pending is now booked: under its id or a new one, sometimes with another amount.
    BookedAfterPending,
    /// An earlier booked line once more, byte for byte.
    Repeat,
    /// A purchase booked up to two days ago.
    OutOfOrder,
    /// To be refused.
    Malformed,
    /// A booked or pending line taken back.
    Removed,
    /// Money back for a purchase.
    Refund,
    /// Money in.
    Credit,
}

/// One line of the feed.
#[derive(Clone, PartialEq, Eq)]
pub struct Generated {
    /// What it is.
    pub kind: Kind,
    /// The row of `docs/concepts/wire-format.md`, one line of JSON (unless malformed).
    pub json: String,
}

/// The bank's feed.
pub struct Generator {
    config: GeneratorConfig,
    merchants: Merchants,
    customers: Vec<Customer>,
    /// Lines made so far.
    made: u64,
    recent: VecDeque<Line>,
    /// Pending lines by the number of the line that settles them, and their own.
    pending: BTreeMap<(u64, u64), Line>,
}

/// A line that may come up again.
#[derive(Clone)]
struct Line {
    transaction_id: String,
    customer: usize,
    purchase: Purchase,
    booked_at: Timestamp,
    pending_transaction_id: Option<String>,
    json: String,
}

#[derive(Clone, Copy)]
struct Purchase {
    to: Payee,
    minor: u64,
}

#[derive(Clone, Copy)]
enum Payee {
    Merchant(usize),
    /// Another customer: a line without a merchant.
    Customer(usize),
}

impl Generator {
    /// Opens the bank.
    pub fn new(config: GeneratorConfig) -> Result<Generator, GeneratorError> {
        if config.customers == 0 {
            return Err(GeneratorError::NoCustomers);
        }
        Source::parse(&config.source).map_err(GeneratorError::Source)?;
        TransactionId::parse(&config.run).map_err(GeneratorError::Run)?;
        if config.run.chars().count() > RUN_CHARACTERS_MAX {
            return Err(GeneratorError::RunTooLong);
        }
        let merchants = Merchants::new(config.seed, &categories::load()?);
        let customers = people::customers(config.seed, config.customers, &merchants);
        Ok(Generator {
            config,
            merchants,
            customers,
            made: 0,
            recent: VecDeque::new(),
            pending: BTreeMap::new(),
        })
    }

    /// Who banks here.
    pub fn customers(&self) -> &[Customer] {
        &self.customers
    }

    /// The next line. `now` moves booking times and nothing else.
    pub fn next(&mut self, now: Timestamp) -> Generated {
        self.made += 1;
        let mut dice = Dice::new(self.config.seed, LINES, self.made);
        if let Some(entry) = self.pending.first_entry()
            && entry.key().0 <= self.made
        {
            let line = entry.remove();
            return self.settle(line, now, &mut dice);
        }
        match self.choose(&mut dice) {
            Kind::Repeat => {
                Generated { kind: Kind::Repeat, json: dice_pick(&self.recent, &mut dice).json.clone() }
            }
            Kind::Removed => self.remove(&mut dice),
            Kind::Refund => self.refund(now, &mut dice),
            Kind::Credit => self.credit(now, &mut dice),
            kind => self.purchase(kind, now, &mut dice),
        }
    }

    /// The kind of a line that settles nothing; what needs an earlier line waits until there is
    /// one.
    fn choose(&self, dice: &mut Dice) -> Kind {
        let mix = &self.config.mix;
        let mut throw = dice.below(1_000_000);
        for (kind, ppm) in [
            (Kind::Repeat, mix.repeat_ppm),
            (Kind::Pending, mix.pending_ppm),
            (Kind::OutOfOrder, mix.out_of_order_ppm),
            (Kind::Malformed, mix.malformed_ppm),
            (Kind::Refund, mix.refund_ppm),
            (Kind::Credit, mix.credit_ppm),
            (Kind::Removed, mix.removed_ppm),
        ] {
            let possible = match kind {
                Kind::Repeat | Kind::Refund | Kind::Removed => !self.recent.is_empty(),
                Kind::Pending => self.pending.len() < PENDING_MAX,
                _ => true,
            };
            if throw < u64::from(ppm) {
                return if possible { kind } else { Kind::Booked };
            }
            throw -= u64::from(ppm);
        }
        Kind::Booked
    }

    /// A new line of money out: booked, pending, late or malformed.
    fn purchase(&mut self, kind: Kind, now: Timestamp, dice: &mut Dice) -> Generated {
        let customer = dice.index(self.customers.len());
        let mut line = Line {
            transaction_id: self.new_id(),
            customer,
            purchase: self.buy(customer, dice),
            booked_at: match kind {
                Kind::OutOfOrder => days_ago(now, dice),
                _ => moments_ago(now, dice),
            },
            pending_transaction_id: None,
            json: String::new(),
        };
        if kind == Kind::Malformed {
            return Generated { kind, json: self.row(&line, "booked").to_broken_json(now, dice) };
        }
        line.json = self.row(&line, if kind == Kind::Pending { "pending" } else { "booked" }).to_json();
        let json = line.json.clone();
        if kind == Kind::Pending {
            let due = self.made + dice.between(PENDING_FOR.0, PENDING_FOR.1);
            self.pending.insert((due, self.made), line);
        } else {
            self.remember(line);
        }
        Generated { kind, json }
    }

    /// What was pending: booked in most cases, else gone.
    fn settle(&mut self, mut line: Line, now: Timestamp, dice: &mut Dice) -> Generated {
        if dice.chance(50_000) {
            return Generated { kind: Kind::Removed, json: self.row(&line, "removed").to_json() };
        }
        if dice.chance(500_000) {
            let new_id = self.new_id();
            line.pending_transaction_id = Some(std::mem::replace(&mut line.transaction_id, new_id));
        }
        if dice.chance(100_000) {
            // A tip, or less fuel than was reserved.
            line.purchase.minor = (line.purchase.minor * dice.between(80, 115) / 100).max(1);
        }
        line.booked_at = line.booked_at.max(moments_ago(now, dice));
        line.json = self.row(&line, "booked").to_json();
        let json = line.json.clone();
        self.remember(line);
        Generated { kind: Kind::BookedAfterPending, json }
    }

    /// An earlier booked line, taken back; it does not come up again.
    fn remove(&mut self, dice: &mut Dice) -> Generated {
        let place = dice.index(self.recent.len());
        let json = self.row(&self.recent[place], "removed").to_json();
        self.recent.remove(place);
        Generated { kind: Kind::Removed, json }
    }

    /// All or part of an earlier purchase, back from whom it was paid to.
    fn refund(&self, now: Timestamp, dice: &mut Dice) -> Generated {
        let line = dice_pick(&self.recent, dice);
        let minor =
            if dice.chance(700_000) { line.purchase.minor } else { dice.between(1, line.purchase.minor) };
        let id = self.new_id();
        let mut row = self.row(line, "booked");
        row.amount.minor = minor.to_string();
        row.direction = "credit";
        row.to_account = Some(std::mem::replace(&mut row.from_account, row.to_account.unwrap_or_default()));
        row.description = row.description.map(|text| format!("REFUND {text}"));
        row.refund_of = Some(&line.transaction_id);
        row.transaction_id = &id;
        row.pending_transaction_id = None;
        row.booked_at = moments_ago(now, dice);
        Generated { kind: Kind::Refund, json: row.to_json() }
    }

    /// Wages, or interest.
    fn credit(&self, now: Timestamp, dice: &mut Dice) -> Generated {
        let (text, low, high) = *dice.pick(&[
            ("SALARY", 120_000, 450_000),
            ("INTEREST", 5, 5_000),
            ("FASTER PAYMENT RECEIVED", 500, 50_000),
        ]);
        let id = self.new_id();
        let payer = people::iban(dice);
        let customer = dice.pick(&self.customers);
        let row = Row {
            source: &self.config.source,
            transaction_id: &id,
            account_id: customer.account_id().as_str(),
            status: "booked",
            booked_at: moments_ago(now, dice),
            amount: Amount { minor: dice.price(low, high).to_string(), currency: "GBP" },
            direction: "credit",
            from_account: &payer,
            to_account: Some(customer.iban()),
            description: Some(text.to_owned()),
            merchant: None,
            pending_transaction_id: None,
            refund_of: None,
        };
        Generated { kind: Kind::Credit, json: row.to_json() }
    }

    /// What a customer pays for: often at a shop he knows, rarely to a person.
    fn buy(&self, customer: usize, dice: &mut Dice) -> Purchase {
        if dice.chance(20_000) && self.customers.len() > 1 {
            let steps = 1 + dice.index(self.customers.len() - 1);
            let other = (customer + steps) % self.customers.len();
            return Purchase { to: Payee::Customer(other), minor: dice.price(500, 40_000) };
        }
        let place = if dice.chance(600_000) {
            *dice.pick(&self.customers[customer].habits)
        } else {
            self.merchants.pick(dice)
        };
        let merchant = self.merchants.get(place);
        let minor = dice.price(merchant.low, merchant.high);
        // Shops like prices that end in 99, 50 or nothing.
        let minor = match dice.below(10) {
            0..=2 if minor > 100 => minor / 100 * 100 + 99,
            3 if minor > 100 => minor / 50 * 50,
            _ => minor,
        };
        Purchase { to: Payee::Merchant(place), minor }
    }

    fn row<'a>(&'a self, line: &'a Line, status: &'static str) -> Row<'a> {
        let customer = &self.customers[line.customer];
        let (currency, to_account, description, merchant) = match line.purchase.to {
            Payee::Merchant(place) => {
                let merchant = self.merchants.get(place);
                (merchant.currency, merchant.iban.as_str(), statement_text(merchant), Some(shop(merchant)))
            }
            Payee::Customer(other) => {
                ("GBP", self.customers[other].iban(), "FASTER PAYMENT".to_owned(), None)
            }
        };
        Row {
            source: &self.config.source,
            transaction_id: &line.transaction_id,
            account_id: customer.account_id().as_str(),
            status,
            booked_at: line.booked_at,
            amount: Amount { minor: line.purchase.minor.to_string(), currency },
            direction: "debit",
            from_account: customer.iban(),
            to_account: Some(to_account),
            description: Some(description),
            merchant,
            pending_transaction_id: line.pending_transaction_id.as_deref(),
            refund_of: None,
        }
    }

    /// Named after the run and the line. The letter keeps the digits of both apart: no card number
    /// there.
    fn new_id(&self) -> String {
        format!("{}-t{}", self.config.run, self.made)
    }

    fn remember(&mut self, line: Line) {
        self.recent.push_back(line);
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
    }
}

fn dice_pick<'a>(lines: &'a VecDeque<Line>, dice: &mut Dice) -> &'a Line {
    &lines[dice.index(lines.len())]
}

fn statement_text(merchant: &Merchant) -> String {
    format!("{} {}", merchant.name, merchant.town).to_uppercase()
}

fn shop(merchant: &Merchant) -> Shop<'_> {
    Shop { id: &merchant.id, name: &merchant.name, mcc: &merchant.mcc, country: merchant.country }
}

/// Within seconds in most cases, else within ten minutes.
fn moments_ago(now: Timestamp, dice: &mut Dice) -> Timestamp {
    let seconds = if dice.chance(850_000) { 5 } else { 600 };
    ago(now, dice.below(seconds * 1_000))
}

/// From an hour to two days.
fn days_ago(now: Timestamp, dice: &mut Dice) -> Timestamp {
    ago(now, dice.between(3_600_000, 48 * 3_600_000))
}

/// Earlier by milliseconds, which is as fine as this bank's clock goes.
fn ago(now: Timestamp, millis: u64) -> Timestamp {
    let millis = i64::try_from(millis).expect("at most two days");
    let then = now.plus_micros(-millis * (SECOND_MICROS / 1_000));
    Timestamp::from_micros(then.micros() / 1_000 * 1_000)
}

#[cfg(test)]
mod tests;
