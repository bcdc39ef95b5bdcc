//! Campaigns: what can be won, at which odds, what it has cost so far; and their epochs.

use std::sync::Arc;

use async_graphql::{Context, Enum, Error, ID, Json, Object, SimpleObject};
use ledger_core::campaign::in_force::InForce;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::PrizeTable;
use ledger_core::ids::CampaignId;
use ledger_core::log::Position;
use ledger_core::money::Currency;
use ledger_core::time::{Epoch as Day, Timestamp};
use projections::campaigns::epochs::{self, EpochRow};
use projections::campaigns::{self, CampaignRow, CampaignStatus as Status};

use super::access::{self, loaders, read};
use super::error::present;
use super::load::PrizesOf;
use super::node;
use super::page::{self, PageOf, connection};
use super::scalars::{DateTime, Money, int};

/// Queries about campaigns.
#[derive(Default)]
pub(super) struct CampaignQuery;

#[Object]
impl CampaignQuery {
    /// A campaign; null if there is none of this id, or if it has not started and the caller is a customer.
    async fn campaign(&self, ctx: &Context<'_>, campaign_id: ID) -> Result<Option<Campaign>, Error> {
        access::campaign_reader(ctx)?;
        match CampaignId::parse(&campaign_id) {
            Ok(id) => find(ctx, id).await,
            Err(_) => Ok(None),
        }
    }

    /// All campaigns, newest first; for customers those that have started.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn campaigns(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<PageOf<Campaign>, Error> {
        access::campaign_reader(ctx)?;
        let only_started = !access::staff(ctx);
        let (first, after) = (page::first(first)?, page::after::<Position>(after.as_deref())?);
        let page = read(ctx, move |conn| campaigns::campaigns(conn, only_started, after, first)).await?;
        let present = |row| Campaign(Arc::new(row));
        Ok(connection(page, after.is_some(), |row| row.position.to_string(), present))
    }
}

/// The campaign of this id, if the caller may see it.
pub(super) async fn find(ctx: &Context<'_>, id: CampaignId) -> Result<Option<Campaign>, Error> {
    let row = loaders(ctx).rows.load_one(id).await?;
    Ok(row.filter(|row| row.status.has_started() || access::staff(ctx)).map(Campaign))
}

/// The campaign that a draw or a reward names.
pub(super) async fn of(ctx: &Context<'_>, id: &CampaignId) -> Result<Campaign, Error> {
    present(find(ctx, id.clone()).await?, "campaign of a draw")
}

/// Where a campaign stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum CampaignStatus {
    /// Its latest version is not approved.
    Draft,
    /// Ready to start.
    Approved,
    /// Starts by itself.
    Scheduled,
    /// Draws happen.
    Active,
    /// Nothing is drawn until it resumes.
    Paused,
    /// Past its end: late lines of its last days still draw, within the grace.
    Closing,
    /// No draw any more.
    Ended,
}

impl CampaignStatus {
    /// What its events say, and what time alone has done since.
    pub(crate) fn at(by_events: Status, terms: &Terms, now: Timestamp) -> CampaignStatus {
        let is_past = |end: Option<Timestamp>| end.is_some_and(|end| end <= now);
        match by_events {
            Status::Draft => CampaignStatus::Draft,
            Status::Approved => CampaignStatus::Approved,
            Status::Scheduled => CampaignStatus::Scheduled,
            Status::Ended => CampaignStatus::Ended,
            Status::Active | Status::Paused if is_past(terms.draws_until()) => CampaignStatus::Ended,
            Status::Active if is_past(terms.ends_at) => CampaignStatus::Closing,
            Status::Active => CampaignStatus::Active,
            Status::Paused => CampaignStatus::Paused,
        }
    }

    /// Over HTTP.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            CampaignStatus::Draft => "draft",
            CampaignStatus::Approved => "approved",
            CampaignStatus::Scheduled => "scheduled",
            CampaignStatus::Active => "active",
            CampaignStatus::Paused => "paused",
            CampaignStatus::Closing => "closing",
            CampaignStatus::Ended => "ended",
        }
    }
}

/// Rules, a prize table, a budget, a time window.
pub(super) struct Campaign(Arc<CampaignRow>);

impl Campaign {
    fn money(&self, minor: i64) -> Money {
        Money::signed(minor, self.0.terms.budget.currency())
    }

    async fn in_force(&self, ctx: &Context<'_>) -> Result<Arc<InForce>, Error> {
        let id = PrizesOf(self.0.campaign_id.clone());
        present(loaders(ctx).rows.load_one(id).await?, "prizes of a campaign")
    }
}

/// Prizes that are not drawn yet.
#[derive(SimpleObject)]
pub(super) struct NextTable {
    /// The first instant of the first day that draws from them.
    from: DateTime,
    /// Tiers with their prizes and odds, in parts per 10^9.
    prize_table: Json<PrizeTable>,
    /// The chance to win anything then, exactly.
    odds_text: String,
}

#[Object]
impl Campaign {
    /// Names it among all nodes.
    pub(super) async fn id(&self) -> ID {
        node::campaign_id(&self.0.campaign_id)
    }

    /// Its own id.
    async fn campaign_id(&self) -> ID {
        self.0.campaign_id.as_str().into()
    }

    /// For people.
    async fn name(&self) -> &str {
        &self.0.terms.name
    }

    /// Of its terms, from 1.
    #[expect(clippy::unused_async, reason = "a resolver is")]
    async fn version(&self) -> Result<i32, Error> {
        int(self.0.version)
    }

    /// Where it stands.
    async fn status(&self, ctx: &Context<'_>) -> CampaignStatus {
        CampaignStatus::at(self.0.status, &self.0.terms, access::state(ctx).clock.now())
    }

    /// The first booking time that takes part.
    async fn starts_at(&self) -> DateTime {
        self.0.terms.starts_at.into()
    }

    /// The first booking time that no longer takes part; open-ended where null.
    async fn ends_at(&self) -> Option<DateTime> {
        self.0.terms.ends_at.map(Into::into)
    }

    /// What today's draws are made from: tiers with their prizes and odds, in parts per 10^9. Before the first day that
    /// day's, after the last one its.
    async fn prize_table(&self, ctx: &Context<'_>) -> Result<Json<PrizeTable>, Error> {
        Ok(Json(PrizeTable::clone(&self.in_force(ctx).await?.table)))
    }

    /// Today's chance to win anything, exactly, such as `1 in 10 (10.0000000 %)`.
    async fn odds_text(&self, ctx: &Context<'_>) -> Result<String, Error> {
        Ok(self.in_force(ctx).await?.table.odds_text())
    }

    /// The prizes that follow today's, and from when on. Days that are committed to keep theirs when terms are revised.
    async fn next(&self, ctx: &Context<'_>) -> Result<Option<NextTable>, Error> {
        Ok(self.in_force(ctx).await?.next.as_ref().map(|(from, table)| NextTable {
            from: (*from).into(),
            prize_table: Json(PrizeTable::clone(table)),
            odds_text: table.odds_text(),
        }))
    }

    /// All that was funded; before the start, what the terms ask for. Null without `audit:read` or `campaigns:write`.
    async fn budget(&self, ctx: &Context<'_>) -> Option<Money> {
        access::staff(ctx).then(|| match self.0.funded_minor {
            0 => self.0.terms.budget.into(),
            funded => self.money(funded),
        })
    }

    /// All wins so far, less what was taken back. Null without `audit:read` or `campaigns:write`.
    async fn spent(&self, ctx: &Context<'_>) -> Option<Money> {
        let spent = i128::from(self.0.spent_minor) - i128::from(self.0.reversed_minor);
        access::staff(ctx).then(|| Money::signed(spent, self.0.terms.budget.currency()))
    }

    /// Draws so far, lost or won; text, since they may pass 2^31. Null without `audit:read` or `campaigns:write`.
    async fn draws(&self, ctx: &Context<'_>) -> Option<String> {
        access::staff(ctx).then(|| self.0.draws.to_string())
    }

    /// Draws won so far, as text. Null without `audit:read` or `campaigns:write`.
    async fn wins(&self, ctx: &Context<'_>) -> Option<String> {
        access::staff(ctx).then(|| self.0.wins.to_string())
    }

    /// Its epochs, newest first.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn epochs(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<PageOf<Epoch>, Error> {
        let (first, after) = (page::first(first)?, page::after::<Day>(after.as_deref())?);
        let (id, currency) = (self.0.campaign_id.clone(), self.0.terms.budget.currency());
        let page = read(ctx, move |conn| epochs::epochs(conn, &id, after, first)).await?;
        let present = |row| Epoch { row, currency };
        Ok(connection(page, after.is_some(), |row| row.epoch.to_string(), present))
    }
}

/// Where an epoch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "projections::campaigns::epochs::EpochStatus")]
pub(super) enum EpochStatus {
    /// Its seed is committed to.
    Scheduled,
    /// Draws happen.
    Open,
    /// Stopped on suspicion.
    Halted,
    /// No draw any more.
    Closed,
    /// Anyone can recompute its draws.
    Revealed,
}

/// One UTC day of one campaign's draws under one committed seed.
pub(super) struct Epoch {
    row: EpochRow,
    currency: Currency,
}

#[Object]
impl Epoch {
    /// The day, `YYYY-MM-DD`.
    async fn epoch(&self) -> String {
        self.row.epoch.to_string()
    }

    /// Where it stands.
    async fn status(&self) -> EpochStatus {
        self.row.status.into()
    }

    /// Its first instant.
    async fn opens_at(&self) -> DateTime {
        self.row.opens_at.into()
    }

    /// Its end (exclusive).
    async fn closes_at(&self) -> DateTime {
        self.row.closes_at.into()
    }

    /// To seed, table and beacon. Published at `committedAt`, which on a campaign's first day and after an outage may
    /// be later than `opensAt`.
    async fn commitment(&self) -> String {
        self.row.commitment.to_string()
    }

    /// When the commitment was recorded.
    #[expect(clippy::unused_async, reason = "a resolver is")]
    async fn committed_at(&self) -> Result<DateTime, Error> {
        present(self.row.committed_at, "time of a commitment").map(Into::into)
    }

    /// From when on its seed is revealed: its end, and then its grace.
    async fn reveals_at(&self) -> DateTime {
        self.row.reveals_at().into()
    }

    /// Of the prize table it draws from.
    async fn table_hash(&self) -> String {
        self.row.table_hash.to_string()
    }

    /// A public beacon round, or `none`: no public randomness goes into its draws, and only the operator knows the seed.
    async fn beacon_spec(&self) -> &str {
        &self.row.beacon_spec
    }

    /// Draws, lost or won, as text. Null without `audit:read` or `campaigns:write`: days add up to the campaign.
    async fn draws(&self, ctx: &Context<'_>) -> Option<String> {
        access::staff(ctx).then(|| self.row.draws.to_string())
    }

    /// Wins per tier, in the order of the table, as text. Null without `audit:read` or `campaigns:write`.
    async fn wins(&self, ctx: &Context<'_>) -> Option<Vec<String>> {
        access::staff(ctx).then(|| self.row.wins.iter().map(u64::to_string).collect())
    }

    /// What was won in it. Null without `audit:read` or `campaigns:write`.
    async fn paid(&self, ctx: &Context<'_>) -> Option<Money> {
        access::staff(ctx).then(|| Money::signed(self.row.paid_minor, self.currency))
    }

    /// RFC 6962 root over the sorted entry ids, once closed.
    async fn root(&self) -> Option<String> {
        self.row.root.map(|root| root.to_string())
    }

    /// The seed, once revealed.
    async fn seed(&self) -> Option<String> {
        self.row.seed.map(|seed| seed.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_its_end_a_campaign_closes_for_its_grace_and_has_ended_then() {
        let terms = serde_json::json!({
            "campaign_id": "c1", "name": "Coffee", "time_zone": "UTC", "starts_at": "2026-11-01T00:00:00Z",
            "ends_at": "2026-11-10T12:00:00Z", "grace_days": 2, "budget": { "minor": 1, "currency": "GBP" },
            "prize_table": { "currency": "GBP", "tiers": [] },
        });
        let terms: Terms = serde_json::from_value(terms).unwrap();
        let at = |status, now: &str| {
            CampaignStatus::at(status, &terms, serde_json::from_value(now.into()).unwrap())
        };
        for (now, active, paused) in [
            ("2026-11-10T11:59:59Z", CampaignStatus::Active, CampaignStatus::Paused),
            ("2026-11-10T12:00:00Z", CampaignStatus::Closing, CampaignStatus::Paused),
            // The last day ends at midnight, and its grace two days later.
            ("2026-11-12T23:59:59Z", CampaignStatus::Closing, CampaignStatus::Paused),
            ("2026-11-13T00:00:00Z", CampaignStatus::Ended, CampaignStatus::Ended),
        ] {
            assert_eq!((at(Status::Active, now), at(Status::Paused, now)), (active, paused), "{now}");
            assert_eq!(at(Status::Ended, now), CampaignStatus::Ended, "{now}");
            assert_eq!(at(Status::Approved, now), CampaignStatus::Approved, "{now}");
        }
    }
}
