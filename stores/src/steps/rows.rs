//! What is asked of the rows, in both stores.

use std::sync::Arc;

use ledger_core::log::Position;
use ledger_core::steps::items::{Change, ItemCounts, ItemRow};
use ledger_core::steps::store::Chunk;
use ledger_core::steps::tallies::NAME;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension};

use super::Failed;
use super::columns::{COLUMNS, of_postgres, of_sqlite};
use super::commit::{commit_postgres, commit_sqlite};
use crate::postgres::{Database, PostgresFault};

pub(super) enum Store {
    Sqlite(Arc<Mutex<Connection>>),
    Postgres(Box<Database>),
}

impl Store {
    pub(super) async fn get(&self, step: &str) -> Result<Position, Failed> {
        let position = match self {
            Store::Sqlite(connection) => {
                let sql = "SELECT position FROM checkpoints WHERE step = ?1";
                connection.lock().query_row(sql, [step], |row| row.get(0)).optional()?
            }
            Store::Postgres(database) => {
                let sql = "SELECT position FROM steps.checkpoints WHERE step = $1";
                let row =
                    database.pooled().await?.query_opt(sql, &[&step]).await.map_err(PostgresFault::from)?;
                row.map(|row| u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
            }
        };
        Ok(Position(position.unwrap_or(0)))
    }

    pub(super) async fn set(&self, step: &str, position: Position) -> Result<(), Failed> {
        match self {
            Store::Sqlite(connection) => {
                let sql = "INSERT INTO checkpoints (step, position) VALUES (?1, ?2)
                           ON CONFLICT (step) DO UPDATE SET position = excluded.position";
                connection.lock().execute(sql, (step, position.0))?;
            }
            Store::Postgres(database) => {
                let sql = "INSERT INTO steps.checkpoints (step, position) VALUES ($1, $2)
                           ON CONFLICT (step) DO UPDATE SET position = excluded.position";
                let position = i64::try_from(position.0).unwrap_or(i64::MAX);
                let client = database.pooled().await?;
                client.execute(sql, &[&step, &position]).await.map_err(PostgresFault::from)?;
            }
        }
        Ok(())
    }

    pub(super) async fn commit(&self, step: &str, to: Position, changes: &[Change]) -> Result<(), Failed> {
        match self {
            Store::Sqlite(connection) => commit_sqlite(&mut connection.lock(), step, to, changes),
            Store::Postgres(database) => {
                let mut client = database.pooled().await?;
                commit_postgres(&mut client, step, to, changes).await
            }
        }
    }

    pub(super) async fn waiting(&self, step: &str, limit: usize) -> Result<Vec<ItemRow>, Failed> {
        let sql = "WHERE step = $1 AND state = 'waiting' ORDER BY next_at, position LIMIT $2";
        self.select(sql, step, limit).await
    }

    pub(super) async fn parked(&self, after: &str, limit: usize) -> Result<Vec<ItemRow>, Failed> {
        let sql = "WHERE state = 'parked' AND id > $1 ORDER BY id LIMIT $2";
        self.select(sql, after, limit).await
    }

    pub(super) async fn item(&self, id: &str) -> Result<Option<ItemRow>, Failed> {
        Ok(self.select("WHERE id = $1 LIMIT $2", id, 1).await?.pop())
    }

    pub(super) async fn count_items(&self, step: &str) -> Result<ItemCounts, Failed> {
        let sql =
            "SELECT count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state = 'parked')";
        let (waiting, parked): (i64, i64) = match self {
            Store::Sqlite(connection) => {
                connection.lock().query_row(&format!("{sql} FROM items WHERE step = ?1"), [step], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
            }
            Store::Postgres(database) => {
                let sql = format!("{sql} FROM steps.items WHERE step = $1");
                let row =
                    database.pooled().await?.query_one(&sql, &[&step]).await.map_err(PostgresFault::from)?;
                (row.get(0), row.get(1))
            }
        };
        Ok(ItemCounts {
            waiting: u64::try_from(waiting).unwrap_or(0),
            parked: u64::try_from(parked).unwrap_or(0),
        })
    }

    pub(super) async fn keep_tallies(
        &self,
        from: Position,
        to: Position,
        chunks: &[Chunk],
        over: &[(String, String)],
    ) -> Result<(), Failed> {
        match self {
            Store::Sqlite(connection) => {
                let mut connection = connection.lock();
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

    pub(super) async fn tallies(
        &self,
        campaign: &str,
        epoch: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Chunk>, Failed> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let chunk = |position, entries, wins: String, paid_minor| Chunk {
            campaign: campaign.into(),
            epoch: epoch.into(),
            position,
            entries,
            wins: serde_json::from_str(&wins).unwrap_or_default(),
            paid_minor,
        };
        match self {
            Store::Sqlite(connection) => {
                let sql = "SELECT position, entries, wins, paid_minor FROM tallies
                           WHERE campaign = ?1 AND epoch = ?2 AND position > ?3 ORDER BY position LIMIT ?4";
                let connection = connection.lock();
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
                let rows = client
                    .query(sql, &[&campaign, &epoch, &after, &limit])
                    .await
                    .map_err(PostgresFault::from)?;
                let of = |row: &tokio_postgres::Row| -> Result<Chunk, tokio_postgres::Error> {
                    let position = u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0);
                    Ok(chunk(position, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
                };
                Ok(rows.iter().map(of).collect::<Result<_, _>>().map_err(PostgresFault::from)?)
            }
        }
    }

    async fn select(&self, rest: &str, text: &str, limit: usize) -> Result<Vec<ItemRow>, Failed> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        match self {
            Store::Sqlite(connection) => {
                let connection = connection.lock();
                let sql = format!("SELECT {COLUMNS} FROM items {}", rest.replace('$', "?"));
                let mut statement = connection.prepare_cached(&sql)?;
                let rows = statement.query_map((text, limit), of_sqlite)?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Store::Postgres(database) => {
                let sql = format!("SELECT {COLUMNS} FROM steps.items {rest}");
                let client = database.pooled().await?;
                let rows = client.query(&sql, &[&text, &limit]).await.map_err(PostgresFault::from)?;
                Ok(rows.iter().map(of_postgres).collect::<Result<_, _>>()?)
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
) -> Result<(), PostgresFault> {
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
