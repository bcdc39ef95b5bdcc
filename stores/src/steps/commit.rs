//! Rows and cursor in one transaction, in both stores.

use ledger_core::steps::items::{Change, ItemRow, as_text};

use super::Failed;
use super::columns::COLUMNS;
use crate::postgres::PostgresFault;
use ledger_core::log::Position;

pub(super) fn commit_sqlite(
    connection: &mut rusqlite::Connection,
    step: &str,
    to: Position,
    changes: &[Change],
) -> Result<(), Failed> {
    let transaction = connection.transaction()?;
    for change in rows_first(changes) {
        match change {
            Change::Put(row) => {
                let sql = format!(
                    "INSERT INTO items ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                     ON CONFLICT (id) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
                         next_at = excluded.next_at, reason = excluded.reason, wakes = excluded.wakes,
                         about = excluded.about, act = excluded.act, proposed = excluded.proposed, decided = excluded.decided"
                );
                transaction.prepare_cached(&sql)?.execute(rusqlite::params![
                    row.id,
                    row.step,
                    row.position,
                    row.account,
                    row.key,
                    row.state.as_str(),
                    row.attempts,
                    row.next_at,
                    row.reason,
                    row.since,
                    row.wakes,
                    row.about,
                    as_text::of(row.act.as_ref()),
                    as_text::of(row.proposed.as_ref()),
                    row.decided,
                ])?;
            }
            Change::Remove(id) => {
                transaction.prepare_cached("DELETE FROM items WHERE id = ?1")?.execute([id])?;
            }
            Change::Wake { wakes: Some(wakes), now } => {
                transaction.prepare_cached(&WAKE.replace('$', "?"))?.execute((step, wakes, now))?;
            }
            Change::Wake { wakes: None, now } => {
                transaction.prepare_cached(&WAKE_ALL.replace('$', "?"))?.execute((step, now))?;
            }
            Change::Act { id, act, decided, now } => {
                let act = as_text::of(Some(act));
                transaction.prepare_cached(&ACT.replace('$', "?"))?.execute((id, act, now, decided))?;
            }
            Change::Propose { id, proposed } => {
                let proposed = as_text::of(Some(proposed));
                transaction.prepare_cached(&PROPOSE.replace('$', "?"))?.execute((id, proposed))?;
            }
        }
    }
    transaction
        .prepare_cached(
            "INSERT INTO checkpoints (step, position) VALUES (?1, ?2)
             ON CONFLICT (step) DO UPDATE SET position = excluded.position",
        )?
        .execute((step, to.0))?;
    Ok(transaction.commit()?)
}

/// The statements that both stores have in common.
const WAKE: &str =
    "UPDATE items SET next_at = $3, attempts = 0 WHERE step = $1 AND wakes = $2 AND state = 'waiting'";
const WAKE_ALL: &str =
    "UPDATE items SET next_at = $2, attempts = 0 WHERE step = $1 AND next_at > $2 AND state = 'waiting'";
const ACT: &str = "UPDATE items SET act = $2, proposed = NULL, state = 'waiting', attempts = 0, next_at = $3, \
                   decided = $4 WHERE id = $1";
const PROPOSE: &str = "UPDATE items SET proposed = $2 WHERE id = $1";

pub(super) async fn commit_postgres(
    client: &mut tokio_postgres::Client,
    step: &str,
    to: Position,
    changes: &[Change],
) -> Result<(), Failed> {
    let transaction = client.transaction().await.map_err(PostgresFault::from)?;
    let removed: Vec<&str> = changes
        .iter()
        .filter_map(|change| if let Change::Remove(id) = change { Some(id.as_str()) } else { None })
        .collect();
    if !removed.is_empty() {
        let sql = "DELETE FROM steps.items WHERE id = ANY($1)";
        transaction.execute(sql, &[&removed]).await.map_err(PostgresFault::from)?;
    }
    let put: Vec<&ItemRow> = changes
        .iter()
        .filter_map(|change| if let Change::Put(row) = change { Some(&**row) } else { None })
        .collect();
    if !put.is_empty() {
        let rows = serde_json::to_string(&put).expect("rows of text and numbers have JSON");
        let sql = format!(
            "INSERT INTO steps.items ({COLUMNS})
             SELECT {COLUMNS} FROM json_populate_recordset(NULL::steps.items, $1::text::json)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
                 next_at = excluded.next_at, reason = excluded.reason, wakes = excluded.wakes,
                 about = excluded.about, act = excluded.act, proposed = excluded.proposed, decided = excluded.decided"
        );
        transaction.execute(&sql, &[&rows]).await.map_err(PostgresFault::from)?;
    }
    for change in changes {
        let done = match change {
            Change::Put(_) | Change::Remove(_) => continue,
            Change::Wake { wakes: Some(wakes), now } => {
                transaction.execute(&of_schema(WAKE), &[&step, wakes, now]).await
            }
            Change::Wake { wakes: None, now } => {
                transaction.execute(&of_schema(WAKE_ALL), &[&step, now]).await
            }
            Change::Act { id, act, decided, now } => {
                let decided = i64::try_from(*decided).unwrap_or(i64::MAX);
                transaction.execute(&of_schema(ACT), &[id, &as_text::of(Some(act)), now, &decided]).await
            }
            Change::Propose { id, proposed } => {
                transaction.execute(&of_schema(PROPOSE), &[id, &as_text::of(Some(proposed))]).await
            }
        };
        done.map_err(PostgresFault::from)?;
    }
    let sql = "INSERT INTO steps.checkpoints (step, position) VALUES ($1, $2)
               ON CONFLICT (step) DO UPDATE SET position = excluded.position";
    let to = i64::try_from(to.0).unwrap_or(i64::MAX);
    transaction.execute(sql, &[&step, &to]).await.map_err(PostgresFault::from)?;
    Ok(transaction.commit().await.map_err(PostgresFault::from)?)
}

fn of_schema(sql: &str) -> String {
    sql.replacen("items", "steps.items", 1)
}

/// Rows before what is done to all of them: a row made in the same transaction counts.
fn rows_first(changes: &[Change]) -> impl Iterator<Item = &Change> {
    let is_row = |change: &&Change| matches!(change, Change::Put(_) | Change::Remove(_));
    changes.iter().filter(is_row).chain(changes.iter().filter(move |change| !is_row(change)))
}
