//! Draws and their proofs: all that is needed to recompute a result without trusting us or our
//! code.

use std::sync::Arc;

use async_graphql::{Context, Error, ID, Json, Object};
use ledger_core::draw::{self, PrizeTable};
use ledger_core::ids::{Source, TransactionId};
use projections::campaigns::epochs::EpochRow;
use projections::transactions::TransactionRow;

use super::access::{self, loaders};
use super::campaign::{self, Campaign};
use super::error::present;
use super::load::{EpochName, TableName};
use super::scalars::{DateTime, Money, int};
use super::transaction;

/// Queries about draws.
#[derive(Default)]
pub(super) struct DrawQuery;

#[Object]
impl DrawQuery {
    /// The proofs of a transaction's draws: for its owner, and with `audit:read`. Empty if it entered none, if
    /// there is no such transaction, or if it is someone else's.
    async fn draw_proof(
        &self,
        ctx: &Context<'_>,
        source: ID,
        transaction_id: ID,
    ) -> Result<Vec<DrawProof>, Error> {
        access::reader(ctx)?;
        let (Ok(source), Ok(id)) = (Source::parse(&source), TransactionId::parse(&transaction_id)) else {
            // What is no id names no transaction.
            return Ok(vec![]);
        };
        let Some(row) = transaction::find(ctx, source, id).await? else {
            return Ok(vec![]);
        };
        let mut proofs = Vec::with_capacity(row.draws.len());
        for draw in &row.draws {
            proofs.push(prove(ctx, &row, draw).await?);
        }
        Ok(proofs)
    }
}

async fn prove(ctx: &Context<'_>, line: &Arc<TransactionRow>, draw: &draw::Draw) -> Result<DrawProof, Error> {
    let name = EpochName(draw.campaign_id.clone(), draw.epoch);
    let epoch = present(loaders(ctx).rows.load_one(name).await?, "epoch of a draw")?;
    let table = table(ctx, draw).await?;
    Ok(DrawProof { line: Arc::clone(line), draw: draw.clone(), epoch, table })
}

async fn table(ctx: &Context<'_>, draw: &draw::Draw) -> Result<Arc<PrizeTable>, Error> {
    let name = TableName(draw.campaign_id.clone(), draw.table_hash);
    present(loaders(ctx).rows.load_one(name).await?, "prize table of a draw")
}

/// The random choice for one transaction in one campaign.
pub(super) struct Draw(draw::Draw);

impl Draw {
    pub(super) fn new(draw: draw::Draw) -> Draw {
        Draw(draw)
    }
}

#[Object]
impl Draw {
    /// Names the draw, and is the idempotency key of all that follows.
    async fn entry_id(&self) -> ID {
        self.0.entry_id.to_string().into()
    }

    /// In which campaign.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Campaign, Error> {
        campaign::of(ctx, &self.0.campaign_id).await
    }

    /// The UTC day of booking, `YYYY-MM-DD`.
    async fn epoch(&self) -> String {
        self.0.epoch.to_string()
    }

    /// The number drawn, below 10^9.
    #[expect(clippy::unused_async, reason = "a resolver is")]
    async fn r(&self) -> Result<i32, Error> {
        int(self.0.r)
    }

    /// The name of the tier won.
    async fn tier(&self, ctx: &Context<'_>) -> Result<Option<String>, Error> {
        match self.0.tier {
            Some(index) => {
                let table = table(ctx, &self.0).await?;
                present(table.tiers.get(index as usize), "tier of a draw").map(|tier| Some(tier.name.clone()))
            }
            None => Ok(None),
        }
    }

    /// What was won.
    async fn amount(&self) -> Option<Money> {
        self.0.amount.map(Into::into)
    }

    /// The odds of the tier won; if nothing was won, of winning anything. In parts per 10^9.
    async fn odds_ppb(&self, ctx: &Context<'_>) -> Result<i32, Error> {
        let table = table(ctx, &self.0).await?;
        match self.0.tier {
            Some(index) => int(present(table.tiers.get(index as usize), "tier of a draw")?.odds_ppb),
            None => int(table.odds_ppb(self.0.tier_mask)),
        }
    }
}

/// A draw with what was committed to before it.
pub(super) struct DrawProof {
    line: Arc<TransactionRow>,
    draw: draw::Draw,
    epoch: Arc<EpochRow>,
    table: Arc<PrizeTable>,
}

#[Object]
impl DrawProof {
    /// Who fed the transaction; with its id and the campaign's it makes the entry.
    async fn source(&self) -> ID {
        self.line.source.as_str().into()
    }

    /// The transaction's id within its source.
    async fn transaction_id(&self) -> ID {
        self.line.transaction_id.as_str().into()
    }

    /// In which campaign.
    async fn campaign_id(&self) -> ID {
        self.draw.campaign_id.as_str().into()
    }

    /// The procedure, `draw-1`.
    async fn algorithm(&self) -> &'static str {
        self.draw.algorithm.as_str()
    }

    /// The draw.
    async fn draw(&self) -> Draw {
        Draw::new(self.draw.clone())
    }

    /// To seed, table and beacon; recorded at `committedAt`.
    async fn commitment(&self) -> String {
        self.epoch.commitment.to_string()
    }

    /// When the commitment was recorded. On a campaign's first day and after an outage it may be later than `opensAt`:
    /// purchases of that day were known by then.
    #[expect(clippy::unused_async, reason = "a resolver is")]
    async fn committed_at(&self) -> Result<DateTime, Error> {
        present(self.epoch.committed_at, "time of a commitment").map(Into::into)
    }

    /// The first instant of the day.
    async fn opens_at(&self) -> DateTime {
        self.epoch.opens_at.into()
    }

    /// From when on the seed is revealed: the end of the day, and then its grace.
    async fn reveals_at(&self) -> DateTime {
        self.epoch.reveals_at().into()
    }

    /// Where in the log the commitment is.
    #[expect(clippy::unused_async, reason = "a resolver is")]
    async fn commitment_position(&self) -> Result<String, Error> {
        present(self.epoch.committed_in, "place of a commitment").map(|position| position.to_string())
    }

    /// Of the prize table, over its canonical JSON (RFC 8785).
    async fn table_hash(&self) -> String {
        self.draw.table_hash.to_string()
    }

    /// The table drawn from.
    async fn prize_table(&self) -> Json<PrizeTable> {
        Json(PrizeTable::clone(&self.table))
    }

    /// Bit i set: tier i was removed before the draw, because the budget could not cover it. In decimal, as text: 32
    /// bits are one more than an `Int` has.
    async fn tier_mask(&self) -> String {
        self.draw.tier_mask.to_string()
    }

    /// Words of the generator rejected before `r`, to keep it exactly uniform; nearly always 0.
    #[expect(clippy::unused_async, reason = "a resolver is")]
    async fn rejections(&self) -> Result<i32, Error> {
        int(self.draw.rejections)
    }

    /// A public beacon round, or `none`: no public randomness went into it, and only the operator knew the seed.
    async fn beacon_spec(&self) -> &str {
        &self.epoch.beacon_spec
    }

    /// The round's randomness, 32 bytes in hex; zeros for `none`.
    async fn beacon(&self) -> Option<String> {
        self.epoch.beacon.map(|beacon| beacon.to_string())
    }

    /// The round's signature, 48 bytes in hex, whose SHA-256 the randomness is; null for `none`.
    async fn beacon_signature(&self) -> Option<String> {
        self.epoch.beacon_signature.map(|signature| signature.to_string())
    }

    /// The seed, 32 bytes in hex; null before the reveal.
    async fn seed(&self) -> Option<String> {
        self.epoch.seed.map(|seed| seed.to_string())
    }
}
