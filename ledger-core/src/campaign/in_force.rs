//! Which prizes a campaign draws for today, and which come next.
//!
//! A day draws from the table that was committed to with its seed. So a revision changes nothing
//! for the days that are committed to already: approved terms are not yet the terms of today.

use std::sync::Arc;

use super::state::{Campaign, EpochState};
use crate::draw::PrizeTable;
use crate::time::{Epoch, Timestamp};

/// The prizes of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// What is drawn from today. Before the first day and after the last one: from that day.
    pub table: Arc<PrizeTable>,
    /// The day that committed to it; `None` while no day has.
    pub day: Option<Epoch>,
    /// What follows, and the first instant of its first day.
    pub next: Option<(Timestamp, Arc<PrizeTable>)>,
}

impl InForce {
    /// `committed` are days with their tables, oldest first: those from today on, and the last one
    /// before where there is none. `approved` is the table of days that nobody has committed to.
    pub fn at(
        now: Timestamp,
        committed: &[(Epoch, Arc<PrizeTable>)],
        approved: Arc<PrizeTable>,
        ends_at: Option<Timestamp>,
        ended: bool,
    ) -> InForce {
        let today = Epoch::of(now);
        let over = ended || ends_at.is_some_and(|end| end <= now);
        let last = committed.last();
        let from_today = committed.iter().find(|(day, _)| *day >= today);
        let Some((day, table)) = from_today.or(last.filter(|_| over)).cloned() else {
            return InForce { table: approved, day: None, next: None };
        };
        let committed_next = committed.iter().find(|(later, other)| *later > day && *other != table);
        let next = match (committed_next, last) {
            (Some((day, table)), _) => Some((day.opens_at(), Arc::clone(table))),
            (None, Some((last, _))) if approved != table => Some((last.closes_at(), approved)),
            (None, _) => None,
        };
        let comes = |from: Timestamp| !over && ends_at.is_none_or(|end| from < end);
        InForce { table, day: Some(day), next: next.filter(|(from, _)| comes(*from)) }
    }
}

impl Campaign {
    /// The prizes of this moment; `None` of a campaign that has not been drafted.
    pub fn in_force(&self, now: Timestamp) -> Option<InForce> {
        let terms = self.terms.as_ref()?;
        let approved = Arc::new(terms.prize_table.clone());
        let with_table = |(day, state): (Epoch, &EpochState)| (day, Arc::clone(&state.prize_table));
        let committed: Vec<_> = self.epochs().map(with_table).collect();
        Some(InForce::at(now, &committed, approved, terms.ends_at, self.ended))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(odds_ppb: u32) -> Arc<PrizeTable> {
        let tier = serde_json::json!({ "name": "prize", "odds_ppb": odds_ppb, "prize": { "fixed": 1 } });
        Arc::new(serde_json::from_value(serde_json::json!({ "currency": "GBP", "tiers": [tier] })).unwrap())
    }

    fn at(text: &str) -> Timestamp {
        serde_json::from_value(text.into()).unwrap()
    }

    /// Odds of today, then those that come and the day on which they do.
    fn said(
        now: &str,
        days: &[(&str, u32)],
        approved: u32,
        ends_at: Option<&str>,
    ) -> (u32, Option<(String, u32)>) {
        let days: Vec<_> = days.iter().map(|(day, odds)| (day.parse().unwrap(), table(*odds))).collect();
        let found = InForce::at(at(now), &days, table(approved), ends_at.map(at), false);
        let next = found.next.map(|(from, table)| (from.to_string()[..10].to_owned(), table.odds_ppb(0)));
        (found.table.odds_ppb(0), next)
    }

    #[test]
    fn a_revision_is_in_force_from_the_first_day_that_is_not_committed_to() {
        let days = [("2026-11-28", 5), ("2026-11-29", 5), ("2026-11-30", 5), ("2026-12-01", 5)];
        let noon = "2026-11-29T12:00:00Z";
        assert_eq!(said(noon, &days, 5, None), (5, None));
        assert_eq!(said(noon, &days, 7, None), (5, Some(("2026-12-02".into(), 7))));
        // Once a day commits to it, that day is the first; then it is today.
        let days = [&days[..], &[("2026-12-02", 7)]].concat();
        assert_eq!(said(noon, &days, 7, None), (5, Some(("2026-12-02".into(), 7))));
        assert_eq!(said("2026-12-01T23:59:59Z", &days, 7, None), (5, Some(("2026-12-02".into(), 7))));
        assert_eq!(said("2026-12-02T00:00:00Z", &days, 7, None), (7, None));
        // Two revisions soon after another: the nearer one comes next.
        assert_eq!(said(noon, &days, 9, None), (5, Some(("2026-12-02".into(), 7))));
    }

    #[test]
    fn what_comes_after_the_end_does_not_come() {
        let days = [("2026-11-29", 5), ("2026-11-30", 5)];
        let noon = "2026-11-29T12:00:00Z";
        assert_eq!(said(noon, &days, 7, Some("2026-12-01T00:00:01Z")), (5, Some(("2026-12-01".into(), 7))));
        assert_eq!(said(noon, &days, 7, Some("2026-12-01T00:00:00Z")), (5, None));
        assert_eq!(said("2026-12-05T12:00:00Z", &days, 7, Some("2026-12-01T00:00:00Z")), (5, None));
    }

    #[test]
    fn before_the_first_day_and_after_an_outage_approved_terms_count() {
        assert_eq!(said("2026-11-29T12:00:00Z", &[], 7, None), (7, None));
        let ahead = [("2026-12-24", 5)];
        assert_eq!(said("2026-11-29T12:00:00Z", &ahead, 7, None), (5, Some(("2026-12-25".into(), 7))));
        // Missed days are committed to under the terms in force.
        assert_eq!(said("2026-12-30T12:00:00Z", &ahead, 7, None), (7, None));
    }
}
