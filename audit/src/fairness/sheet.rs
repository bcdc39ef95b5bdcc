//! One campaign's counts, and what statistics say of them.

#![expect(clippy::float_arithmetic, reason = "probabilities are no money")]
#![expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::commitments::{Commitments, LateCommitment};
use super::statistics::{ALARM, SplitEvidence, chi_square_uniform, clopper_pearson};
use ledger_core::campaign::CampaignEvent;
use ledger_core::draw::{Draw, ODDS_WHOLE_PPB, Prize, PrizeTable, is_masked};
use ledger_core::ids::{Digest, EntryId};
use ledger_core::log::StoredEvent;
use ledger_core::money::{Currency, Money};
use ledger_core::time::Timestamp;

/// Equal bins of the numbers drawn.
pub(super) const BINS: u32 = 100;
/// Of the intervals: 1 of 100 honest ones leaves out the odds.
const ALPHA: f64 = 0.01;

/// Counts while reading.
#[derive(Default)]
pub(super) struct Sheet {
    tables: BTreeMap<Digest, TableCount>,
    bins: Vec<u64>,
    days: Vec<DayReport>,
    winners: Vec<Winner>,
    draws: u64,
    commitments: Commitments,
}

struct TableCount {
    table: PrizeTable,
    draws: u64,
    tiers: Vec<TierCount>,
    evidence: SplitEvidence,
    /// Draws by mask.
    masks: BTreeMap<u32, u64>,
}

#[derive(Clone, Default)]
struct TierCount {
    masked: u64,
    by_number: u64,
    won: u64,
    paid_minor: i128,
}

/// One campaign.
#[derive(Debug, Serialize)]
pub struct CampaignReport {
    /// For people.
    pub name: String,
    /// Wins and losses.
    pub draws: u64,
    /// By the hash of the prize table.
    pub tables: BTreeMap<Digest, TableReport>,
    /// Numbers drawn, in [`BINS`] equal bins.
    pub bins: Vec<u64>,
    /// Pearson's chi-square of the bins.
    pub chi_square: f64,
    /// How probable one as large is by chance.
    pub chi_square_p: f64,
    /// The e-process at the end of each day.
    pub days: Vec<DayReport>,
    /// The first day on which it stood at [`ALARM`] or above.
    pub alarm_on: Option<NaiveDate>,
    /// Days with draws whose seed was committed to when they had begun already.
    pub committed_late: Vec<LateCommitment>,
    /// Draws of days without public randomness: only the operator knew their seed.
    pub draws_without_beacon: u64,
    /// Everyone who won.
    pub winners: Vec<Winner>,
}

/// One prize table.
#[derive(Debug, Serialize)]
pub struct TableReport {
    /// Draws from it.
    pub draws: u64,
    /// Of its prizes.
    pub currency: Currency,
    /// In table order.
    pub tiers: Vec<TierReport>,
    /// Evidence against the odds of a win of any tier, to the base 10.
    pub log10_e_any: f64,
    /// Draws with a tier masked, by mask.
    pub masks: Vec<MaskReport>,
}

/// One tier.
#[derive(Debug, Serialize)]
pub struct TierReport {
    /// Its name.
    pub name: String,
    /// Parts per 10^9.
    pub odds_ppb: u32,
    /// What it pays.
    pub prize: Prize,
    /// Wins the odds promise of so many draws, masks aside.
    pub expected: f64,
    /// Numbers in its range, before any mask.
    pub by_number: u64,
    /// Draws in which it was masked.
    pub masked: u64,
    /// Draws it won.
    pub won: u64,
    /// What they paid.
    pub paid_minor: i128,
    /// Exact 99 % interval for its odds after `by_number`, parts per 10^9.
    pub interval_ppb: (f64, f64),
    /// Whether the odds lie in it; nothing to tell before the first draw.
    pub within: Option<bool>,
    /// Evidence against its odds, to the base 10. The day's is the average over all tiers and
    /// "any".
    pub log10_e: f64,
}

/// One mask.
#[derive(Debug, Serialize)]
pub struct MaskReport {
    /// Bit i: tier i was out.
    pub tier_mask: u32,
    /// The tiers that were out.
    pub tiers: Vec<String>,
    /// Draws.
    pub draws: u64,
}

/// One day.
#[derive(Clone, Debug, Serialize)]
pub struct DayReport {
    /// UTC, of recording.
    pub day: NaiveDate,
    /// Draws recorded on it.
    pub draws: u64,
    /// Of these, won.
    pub wins: u64,
    /// Wins its odds promised.
    pub expected: f64,
    /// The e-process of all tables at its end, to the base 10; [`ALARM`] is 2.
    pub log10_e: f64,
}

/// One win.
#[derive(Debug, Serialize)]
pub struct Winner {
    /// The account's pseudonym.
    pub account: String,
    /// The draw.
    pub entry_id: EntryId,
    /// The tier's name.
    pub tier: String,
    /// What it pays.
    pub amount: Money,
    /// The day of booking.
    pub day: NaiveDate,
}

impl Sheet {
    /// A day that is committed to.
    pub(super) fn commit(&mut self, event: &CampaignEvent, recorded_at: Timestamp) {
        self.commitments.take(event, recorded_at);
        if let CampaignEvent::EpochScheduled { table_hash, prize_table, .. } = event {
            self.table(*table_hash, prize_table);
        }
    }

    pub(super) fn table(&mut self, hash: Digest, table: &PrizeTable) {
        self.tables.entry(hash).or_insert_with(|| TableCount {
            table: table.clone(),
            draws: 0,
            tiers: vec![TierCount::default(); table.tiers.len()],
            evidence: SplitEvidence::of(table.tiers.len()),
            masks: BTreeMap::new(),
        });
    }

    pub(super) fn draw(&mut self, stored: &StoredEvent, booked_at: Timestamp, draw: &Draw) {
        self.draws += 1;
        self.commitments.draw(draw.epoch, booked_at);
        self.bins.resize(BINS as usize, 0);
        let bin = u64::from(draw.r) * u64::from(BINS) / u64::from(ODDS_WHOLE_PPB);
        if let Some(bin) = usize::try_from(bin).ok().and_then(|bin| self.bins.get_mut(bin)) {
            *bin += 1;
        }
        // A table that was never scheduled has no odds to compare with; the draw audit names it.
        let Some(count) = self.tables.get_mut(&draw.table_hash) else { return };
        let tier = draw.tier.and_then(|tier| count.table.tiers.get(tier as usize));
        if let (Some(tier), Some(amount)) = (tier, draw.amount) {
            let (account, tier) = (stored.stream.id.to_string(), tier.name.clone());
            self.winners.push(Winner { account, entry_id: draw.entry_id, tier, amount, day: draw.day });
        }
        count.draw(draw);
        let won = draw.tier.and_then(|tier| usize::try_from(tier).ok()).map(|tier| [(tier, 1)]);
        let wins = won.as_ref().map_or(&[][..], |won| &won[..]);
        self.observe(stored.recorded_at.date(), draw.table_hash, draw.tier_mask, 1, wins);
    }

    /// So many draws of one day from one table under one mask, and how often tiers won: evidence
    /// under the odds that the mask had left before the draw. Days come in order.
    pub(super) fn observe(
        &mut self,
        day: NaiveDate,
        table: Digest,
        mask: u32,
        draws: u64,
        wins: &[(usize, u64)],
    ) {
        if self.days.last().is_none_or(|last| last.day != day) {
            self.close_day();
            self.days.push(DayReport { day, draws: 0, wins: 0, expected: 0.0, log10_e: 0.0 });
        }
        let Some(count) = self.tables.get_mut(&table) else { return };
        let odds = count.table.tiers.iter().enumerate();
        let odds = odds.map(|(index, tier)| if is_masked(mask, index) { 0 } else { tier.odds_ppb });
        count.evidence.observe(odds, draws, wins);
        let odds_ppb = count.table.odds_ppb(mask);
        let last = self.days.last_mut().expect("pushed above");
        last.draws += draws;
        last.wins += wins.iter().map(|(_, wins)| wins).sum::<u64>();
        last.expected += draws as f64 * f64::from(odds_ppb) / f64::from(ODDS_WHOLE_PPB);
    }

    /// Each table's stake is its own, and its odds are known before each draw: their wealths
    /// multiply.
    fn close_day(&mut self) {
        let ln_e = self.tables.values().map(|count| count.evidence.ln_e()).sum();
        if let Some(last) = self.days.last_mut() {
            last.log10_e = log10(ln_e);
        }
    }

    /// The first day on which the evidence stood at [`ALARM`] or above, of those that are over.
    pub(super) fn alarm_on(&self) -> Option<NaiveDate> {
        self.days.iter().find(|day| day.log10_e >= ALARM.log10()).map(|day| day.day)
    }

    pub(super) fn finish(mut self, name: String) -> CampaignReport {
        self.close_day();
        let alarm_on = self.alarm_on();
        let (committed_late, draws_without_beacon) = self.commitments.finish();
        let (chi_square, chi_square_p) = chi_square_uniform(&self.bins);
        CampaignReport {
            name,
            draws: self.draws,
            alarm_on,
            tables: self.tables.into_iter().map(|(hash, count)| (hash, count.finish())).collect(),
            bins: self.bins,
            chi_square,
            chi_square_p,
            days: self.days,
            committed_late,
            draws_without_beacon,
            winners: self.winners,
        }
    }
}

impl TableCount {
    fn draw(&mut self, draw: &Draw) {
        self.draws += 1;
        if draw.tier_mask != 0 {
            *self.masks.entry(draw.tier_mask).or_insert(0) += 1;
        }
        for (index, tier) in self.tiers.iter_mut().enumerate() {
            tier.masked += u64::from(draw.tier_mask >> index & 1);
        }
        if let Some(tier) = self.table.tier(draw.r, 0) {
            self.tiers[tier].by_number += 1;
        }
        if let Some(tier) = draw.tier.and_then(|tier| self.tiers.get_mut(tier as usize)) {
            tier.won += 1;
            tier.paid_minor += draw.amount.map_or(0, |amount| i128::from(amount.minor()));
        }
    }

    fn finish(self) -> TableReport {
        let TableCount { table, draws, tiers, evidence, masks } = self;
        let names = |mask: u32| {
            let out = table.tiers.iter().enumerate().filter(|(index, _)| mask >> index & 1 == 1);
            out.map(|(_, tier)| tier.name.clone()).collect()
        };
        let masks = masks.into_iter().map(|(tier_mask, draws)| MaskReport {
            tier_mask,
            tiers: names(tier_mask),
            draws,
        });
        let whole = f64::from(ODDS_WHOLE_PPB);
        let tiers =
            table.tiers.iter().zip(tiers).zip(evidence.ln_e_of_tiers()).map(|((tier, count), ln_e)| {
                let (low, high) = clopper_pearson(count.by_number, draws, ALPHA);
                let odds_ppb = f64::from(tier.odds_ppb);
                TierReport {
                    name: tier.name.clone(),
                    odds_ppb: tier.odds_ppb,
                    prize: tier.prize.clone(),
                    expected: draws as f64 * odds_ppb / whole,
                    by_number: count.by_number,
                    masked: count.masked,
                    won: count.won,
                    paid_minor: count.paid_minor,
                    interval_ppb: (low * whole, high * whole),
                    within: (draws > 0).then(|| (low * whole..=high * whole).contains(&odds_ppb)),
                    log10_e: log10(ln_e),
                }
            });
        let tiers = tiers.collect();
        let (currency, masks) = (table.currency, masks.collect());
        TableReport { draws, currency, tiers, log10_e_any: log10(evidence.ln_e_any()), masks }
    }
}

/// JSON has no infinity.
fn log10(ln: f64) -> f64 {
    (ln / std::f64::consts::LN_10).min(1e9)
}
