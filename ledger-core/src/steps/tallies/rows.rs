//! The rows of tallies, in both stores.

use crate::log::Position;
use crate::postgres::Fault;
use crate::steps::checkpoints::{CheckpointError, Checkpoints, Store, lock};

/// Names the cursor.
pub(super) const NAME: &str = "tally";

/// What one page of the log says of one day's draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::steps) struct Chunk {
    pub(super) campaign: String,
    pub(super) epoch: String,
    /// Where the page ended.
    pub(super) position: u64,
    /// Ids of 32 bytes, sorted.
    pub(super) entries: Vec<u8>,
    /// By tier, as far as there were any.
    pub(super) wins: Vec<u64>,
    pub(super) paid_minor: i64,
}

impl Chunk {
    pub(super) fn entries(&self) -> impl Iterator<Item = [u8; 32]> {
        self.entries.as_chunks::<32>().0.iter().copied()
    }
}

impl Checkpoints {
    /// Keeps what lies between two places of the log and moves the cursor, if it is still at the first; forgets days that
    /// are over.
    pub(super) async fn keep_tallies(
        &self,
        from: Position,
        to: Position,
        chunks: &[Chunk],
        over: &[(String, String)],
    ) -> Result<(), CheckpointError> {
        match &self.0 {
            Store::Sqlite(connection) => {
                let mut connection = lock(connection);
                let transaction = connection.transaction()?;
                transaction
                    .execute("INSERT OR IGNORE INTO checkpoints (step, position) VALUES (?1, 0)", [NAME])?;
                let moved = "UPDATE checkpoints SET position = ?3 WHERE step = ?1 AND position = ?2";
                if transaction.execute(moved, (NAME, from.0, to.0))? == 0 {
                    return Ok(());
                }
                for chunk in chunks {
                    let put = "INSERT INTO tallies (campaign, epoch, position, entries, wins, paid_minor)
                               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                    transaction.prepare_cached(put)?.execute(rusqlite::params![
                        chunk.campaign,
                        chunk.epoch,
                        chunk.position,
                        chunk.entries,
                        text(&chunk.wins),
                        chunk.paid_minor
                    ])?;
                }
                for (campaign, epoch) in over {
                    transaction.execute(
                        "DELETE FROM tallies WHERE campaign = ?1 AND epoch = ?2",
                        [campaign, epoch],
                    )?;
                }
                Ok(transaction.commit()?)
            }
            Store::Postgres(database) => {
                let mut client = database.pooled().await?;
                Ok(keep_in_postgres(&mut client, from, to, chunks, over).await?)
            }
        }
    }

    /// Up to `limit` of a day's rows, after that of a place.
    pub(super) async fn tallies(
        &self,
        campaign: &str,
        epoch: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Chunk>, CheckpointError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let chunk = |position, entries, wins: String, paid_minor| Chunk {
            campaign: campaign.into(),
            epoch: epoch.into(),
            position,
            entries,
            wins: serde_json::from_str(&wins).unwrap_or_default(),
            paid_minor,
        };
        match &self.0 {
            Store::Sqlite(connection) => {
                let sql = "SELECT position, entries, wins, paid_minor FROM tallies
                           WHERE campaign = ?1 AND epoch = ?2 AND position > ?3 ORDER BY position LIMIT ?4";
                let connection = lock(connection);
                let mut statement = connection.prepare_cached(sql)?;
                let rows = statement.query_map((campaign, epoch, after, limit), |row| {
                    Ok(chunk(row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Store::Postgres(database) => {
                let sql = "SELECT position, entries, wins, paid_minor FROM steps.tallies \
                           WHERE campaign = $1 AND epoch = $2 AND position > $3 ORDER BY position LIMIT $4";
                let after = i64::try_from(after).unwrap_or(i64::MAX);
                let client = database.pooled().await?;
                let rows =
                    client.query(sql, &[&campaign, &epoch, &after, &limit]).await.map_err(Fault::from)?;
                let of = |row: &tokio_postgres::Row| -> Result<Chunk, tokio_postgres::Error> {
                    let position = u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0);
                    Ok(chunk(position, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
                };
                Ok(rows.iter().map(of).collect::<Result<_, _>>().map_err(Fault::from)?)
            }
        }
    }
}

async fn keep_in_postgres(
    client: &mut tokio_postgres::Client,
    from: Position,
    to: Position,
    chunks: &[Chunk],
    over: &[(String, String)],
) -> Result<(), Fault> {
    let place = |position: u64| i64::try_from(position).unwrap_or(i64::MAX);
    let transaction = client.transaction().await?;
    let first = "INSERT INTO steps.checkpoints (step, position) VALUES ($1, 0) ON CONFLICT DO NOTHING";
    transaction.execute(first, &[&NAME]).await?;
    let moved = "UPDATE steps.checkpoints SET position = $3 WHERE step = $1 AND position = $2";
    if transaction.execute(moved, &[&NAME, &place(from.0), &place(to.0)]).await? == 0 {
        return Ok(());
    }
    let put = "INSERT INTO steps.tallies (campaign, epoch, position, entries, wins, paid_minor) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    for chunk in chunks {
        let Chunk { campaign, epoch, position, entries, wins, paid_minor } = chunk;
        let position = place(*position);
        transaction.execute(put, &[campaign, epoch, &position, entries, &text(wins), paid_minor]).await?;
    }
    for (campaign, epoch) in over {
        let gone = "DELETE FROM steps.tallies WHERE campaign = $1 AND epoch = $2";
        transaction.execute(gone, &[campaign, epoch]).await?;
    }
    Ok(transaction.commit().await?)
}

fn text(wins: &[u64]) -> String {
    serde_json::to_string(wins).expect("numbers have JSON")
}
