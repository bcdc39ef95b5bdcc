//! One seed: every admitted line draws, in order, against budget, inventory and the rules about
//! wins.

use std::collections::HashMap;

use chrono::NaiveDate;

use ledger_core::campaign::terms::Terms;
use ledger_core::draw::ODDS_WHOLE_PPB;
use ledger_core::money::Money;

use super::moment::Simulated;
use super::plan::{Entry, Plan};

/// What one seed came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Lines that drew.
    pub draws: u64,
    /// Lines that rules about wins kept out.
    pub declined: u64,
    /// Draws that won.
    pub wins: u64,
    /// Minor units won.
    pub cost_minor: i64,
    /// Wins per tier, in table order.
    pub tiers: Vec<u64>,
    /// Minor units won per booking day, by its place among all days.
    pub by_day: Vec<i64>,
    /// The first day on which no tier could be covered any more.
    pub ran_out: Option<usize>,
    /// Customers by how often they won; the last place is that often or more.
    pub customers_by_wins: Vec<u64>,
    /// Customers by their longest row of lost draws; the last place is that long or longer.
    pub customers_by_streak: Vec<u64>,
}

/// Wins of one customer told apart, and more.
const WINS_MAX: usize = 20;
/// Lost draws in a row told apart, and more.
const STREAK_MAX: usize = 1_000;

/// Memory that runs share, one after another.
#[derive(Default)]
pub struct Scratch {
    customers: Vec<Customer>,
    won: HashMap<u32, Vec<(NaiveDate, i64)>>,
}

#[derive(Clone, Copy, Default)]
struct Customer {
    wins: u32,
    /// Of the campaign's calendar, counted from the common era; 0 before the first.
    last_win_day: i32,
    streak: u32,
    longest: u32,
}

impl Plan {
    /// Draws under one seed; with the same seed any number of times the same, whatever else is run.
    pub fn run(&self, seed: u64, scratch: &mut Scratch) -> Run {
        self.run_with(scratch, |line| number(seed, line))
    }

    /// The same with the numbers of each line from elsewhere.
    pub(super) fn run_with(&self, scratch: &mut Scratch, number: impl Fn(u32) -> u32) -> Run {
        scratch.customers.clear();
        scratch.customers.resize(self.customers, Customer::default());
        scratch.won.clear();
        let table = &self.terms.prize_table;
        let odds_ppb = table.odds_ppb(0);
        let nothing_left = table.tiers.iter().enumerate().fold(0_u32, |mask, (tier, _)| mask | 1 << tier);
        let mut run = Run {
            tiers: vec![0; table.tiers.len()],
            by_day: vec![0; self.days.len()],
            customers_by_wins: vec![0; WINS_MAX + 1],
            customers_by_streak: vec![0; STREAK_MAX + 1],
            ..Run::default()
        };
        let mut mask = self.mask(&run);
        for entry in &self.entries {
            let customer = &mut scratch.customers[entry.customer as usize];
            if !self.admits(entry, *customer, &scratch.won) {
                run.declined += 1;
                continue;
            }
            run.draws += 1;
            let r = number(entry.line);
            // Most numbers are beyond all tiers.
            let tier = if r < odds_ppb { table.tier(r, mask) } else { None };
            let won = tier.map(|tier| (tier, self.prize_minor(tier, entry))).filter(|(_, minor)| *minor > 0);
            let Some((tier, minor)) = won else {
                customer.streak += 1;
                customer.longest = customer.longest.max(customer.streak);
                continue;
            };
            customer.streak = 0;
            customer.wins += 1;
            customer.last_win_day = customer.last_win_day.max(entry.local_day);
            if self.wins_matter_days.is_some() {
                let day = NaiveDate::from_num_days_from_ce_opt(entry.local_day).unwrap_or_default();
                scratch.won.entry(entry.customer).or_default().push((day, minor));
            }
            run.wins += 1;
            run.cost_minor += minor;
            run.tiers[tier] += 1;
            run.by_day[entry.day as usize] += minor;
            mask = self.mask(&run);
            if mask == nothing_left {
                run.ran_out.get_or_insert(entry.day as usize);
            }
        }
        for customer in &scratch.customers {
            run.customers_by_wins[(customer.wins as usize).min(WINS_MAX)] += 1;
            run.customers_by_streak[(customer.longest as usize).min(STREAK_MAX)] += 1;
        }
        run
    }

    /// What the budget, which counts as funded from the start, and the inventory still cover.
    fn mask(&self, run: &Run) -> u32 {
        let Terms { prize_table: table, budget, inventory, .. } = &*self.terms;
        let wins = |name: &str| {
            let tiers = table.tiers.iter().zip(&run.tiers).filter(|(tier, _)| tier.name == name);
            tiers.map(|(_, wins)| wins).sum()
        };
        table.mask(budget.minor() - run.cost_minor) | table.sold_out(inventory, wins)
    }

    fn prize_minor(&self, tier: usize, entry: &Entry) -> i64 {
        let currency = self.terms.prize_table.currency;
        let amount = Money::new(entry.amount_minor, currency).unwrap_or(Money::zero(currency));
        self.terms.prize_table.tiers[tier].prize.amount(amount).minor()
    }

    /// Whether the rules about wins let a line in. Where no win lies close enough to matter, the
    /// first pass has answered.
    fn admits(&self, entry: &Entry, customer: Customer, won: &HashMap<u32, Vec<(NaiveDate, i64)>>) -> bool {
        let Some(days) = self.wins_matter_days else { return true };
        let since = i64::from(entry.local_day) - i64::from(customer.last_win_day);
        if customer.wins == 0 || since > days {
            return entry.admitted;
        }
        let wins = won.get(&entry.customer).map_or(&[][..], Vec::as_slice);
        let moment = &self.moments[entry.moment as usize];
        let history = Simulated { moment, wins };
        self.terms.rules.compiled().wins_admit(&moment.subject(&self.terms, &history))
    }
}

/// The number of one line under one seed, below 10^9: a splitmix64 (Steele, Lea and Flood 2014)
/// addressed by line, so that two campaigns over the same lines meet the same luck. Biased by less
/// than 10^9 in 2^64.
pub(super) fn number(seed: u64, line: u32) -> u32 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    // Seeds are mixed first: neighbours would otherwise be the same row of numbers, shifted by a
    // line.
    let state = mix(seed.wrapping_add(GOLDEN)).wrapping_add(GOLDEN.wrapping_mul(u64::from(line) + 1));
    let scaled = (u128::from(mix(state)) * u128::from(ODDS_WHOLE_PPB)) >> 64;
    u32::try_from(scaled).unwrap_or(0)
}
