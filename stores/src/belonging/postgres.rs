//! What the schemas of a database say of themselves.

use tokio_postgres::Row;

use super::{Found, Holds, KeyPrint, LedgerId, LogFound, StoreKind};
use crate::postgres::{Database, PostgresFault};
use ledger_core::ids::AccountId;
use ledger_core::log::Position;

/// What people call the log.
pub const LOG: &str = "the schema ledger";
/// What people call the keys.
pub const KEYS: &str = "the schema keys";

const READ_MODELS: &str = "SELECT (SELECT ledger FROM read_models.belongs), \
     (SELECT coalesce(max(position), 0) FROM read_models.checkpoints), false, false";
const STEPS: &str = "SELECT (SELECT ledger FROM steps.belongs), greatest((SELECT max(position) FROM steps.checkpoints), \
     (SELECT position FROM steps.belongs), 0), false, false";
const OF_KEYS: &str = "SELECT (SELECT ledger FROM keys.belongs), \
     coalesce((SELECT position FROM keys.belongs), 0), EXISTS (SELECT 1 FROM keys.account_keys), \
     (SELECT count(*) FROM keys.named_keys WHERE name IN ('index', 'draw')) = 2";
const OF_LOG: &str =
    "SELECT (SELECT id FROM ledger.identity), (SELECT coalesce(max(position), 0) FROM ledger.events)";
const NOTED: &str = "SELECT name, fingerprint FROM ledger.key_fingerprints ORDER BY name";

/// Looks at all schemas. The log last: it only grows, and nobody else is ahead of it.
pub async fn survey_database(database: &Database) -> Result<(LogFound, Vec<Found>), PostgresFault> {
    let client = database.pooled().await?;
    let mut found = Vec::new();
    for (name, kind, sql) in [
        ("the schema read_models", StoreKind::ReadModels, READ_MODELS),
        ("the schema steps", StoreKind::Steps, STEPS),
        (KEYS, StoreKind::Keys, OF_KEYS),
    ] {
        let row = unless_undefined(client.query_one(sql, &[]).await)?;
        let made_when_missing = row.is_some();
        let holds = row.map(|row| holds(&row)).filter(|holds| *holds != Holds::default());
        found.push(Found { name: name.into(), kind, holds, made_when_missing });
    }
    let Some(row) = unless_undefined(client.query_one(OF_LOG, &[]).await)? else {
        return Ok((LogFound { absent: true, ..LogFound::default() }, found));
    };
    let keys = unless_undefined(client.query(NOTED, &[]).await)?.unwrap_or_default();
    let log = LogFound {
        absent: false,
        ledger: ledger(&row),
        head: position(&row),
        keys: keys.iter().filter_map(key_print).collect(),
        rail_asked: false,
    };
    Ok((log, found))
}

/// Tells the schemas where they belong, if they do not know, and that the log has come this far at
/// least.
pub async fn belongs_in_database(
    database: &Database,
    ledger: &LedgerId,
    position: Position,
) -> Result<(), PostgresFault> {
    let position = i64::try_from(position.0).unwrap_or(i64::MAX);
    let client = database.pooled().await?;
    for schema in ["read_models", "steps", "keys"] {
        let note = format!(
            "INSERT INTO {schema}.belongs AS noted (one, ledger, position) VALUES (true, $1, $2) ON CONFLICT (one) \
             DO UPDATE SET position = excluded.position WHERE noted.position < excluded.position"
        );
        // How much the read models have seen is told by their own cursors.
        let position = if schema == "read_models" { 0 } else { position };
        client.execute(&note, &[&ledger.as_str(), &position]).await?;
    }
    Ok(())
}

/// Notes the keys that are not noted yet.
pub async fn note_keys(database: &Database, keys: &[KeyPrint]) -> Result<(), PostgresFault> {
    const NOTE: &str = "INSERT INTO ledger.key_fingerprints (name, fingerprint, position) \
         SELECT $1, $2, position FROM ledger.head ON CONFLICT (name) DO NOTHING";
    let client = database.pooled().await?;
    for key in keys {
        client.execute(NOTE, &[&key.name, &key.fingerprint.as_slice()]).await?;
    }
    Ok(())
}

/// Sets back what the schemas say of how far the log has come. The steps begin anew: what they had
/// done for events that are still there may have been recorded by events that are gone. Read models
/// that are ahead are made anew. For restores alone.
pub async fn no_further_than_in(database: &Database, head: Position) -> Result<(), PostgresFault> {
    const TABLES: &str = "SELECT format('DELETE FROM %I.%I', schemaname, tablename) FROM pg_tables \
         WHERE tablename <> 'belongs' AND (schemaname = 'steps' OR schemaname = 'read_models' \
         AND EXISTS (SELECT 1 FROM read_models.checkpoints WHERE position > $1))";
    let head = i64::try_from(head.0).unwrap_or(i64::MAX);
    let mut client = database.connect().await?;
    let transaction = client.transaction().await?;
    // Read models may be large.
    transaction.batch_execute("SET LOCAL statement_timeout = 0").await?;
    for schema in ["steps", "keys"] {
        let back = format!("UPDATE {schema}.belongs SET position = $1 WHERE position > $1");
        transaction.execute(&back, &[&head]).await?;
    }
    for row in transaction.query(TABLES, &[&head]).await? {
        transaction.batch_execute(row.get(0)).await?;
    }
    Ok(transaction.commit().await?)
}

/// How many of these accounts have neither key nor tombstone.
pub async fn accounts_without_key_in(
    database: &Database,
    accounts: &[AccountId],
) -> Result<usize, PostgresFault> {
    const COUNT: &str = "SELECT count(*) FROM UNNEST($1::text[]) AS asked (id) \
         WHERE NOT EXISTS (SELECT 1 FROM keys.account_keys WHERE account_id = asked.id)";
    let ids: Vec<&str> = accounts.iter().map(AccountId::as_str).collect();
    let row = database.pooled().await?.query_one(COUNT, &[&ids]).await?;
    Ok(usize::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}

fn unless_undefined<T>(result: Result<T, tokio_postgres::Error>) -> Result<Option<T>, PostgresFault> {
    match result.map_err(PostgresFault::from) {
        Ok(found) => Ok(Some(found)),
        Err(fault) if fault.undefined() => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn holds(row: &Row) -> Holds {
    Holds { ledger: ledger(row), position: position(row), rows: row.get(2), own_keys: row.get(3) }
}

fn ledger(row: &Row) -> Option<LedgerId> {
    row.get::<_, Option<&str>>(0).and_then(LedgerId::from_text)
}

fn position(row: &Row) -> Position {
    Position(u64::try_from(row.get::<_, i64>(1)).unwrap_or(0))
}

fn key_print(row: &Row) -> Option<KeyPrint> {
    let fingerprint = row.get::<_, &[u8]>(1).try_into().ok()?;
    Some(KeyPrint { name: row.get(0), fingerprint })
}
