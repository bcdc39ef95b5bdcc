//! Which schema the database has, and how it gets the one this program needs.
//!
//! Migrations are numbered files that are never edited once released. Each is applied once, in
//! order, in one transaction, and remembered with its digest. Every migration names the oldest
//! program that can run on the schema it leaves behind. So a deployment can expand first, deploy,
//! and contract later.

use aws_lc_rs::digest;
use tokio_postgres::Client;

use super::PostgresFault;

/// One numbered step of the schema.
struct Migration {
    name: &'static str,
    sql: &'static str,
    /// The newest migration that a program must know, at least, to run on the schema this one
    /// leaves behind: its own number for one that contracts, an earlier number for one that only
    /// expands.
    needs: i32,
}

/// In order; the first is number 1.
const MIGRATIONS: &[Migration] = &[
    Migration { name: "0001_log", sql: include_str!("../../../migrations/postgres/0001_log.sql"), needs: 1 },
    Migration {
        name: "0002_read_models",
        sql: include_str!("../../../migrations/postgres/0002_read_models.sql"),
        needs: 1,
    },
    Migration {
        name: "0003_keys",
        sql: include_str!("../../../migrations/postgres/0003_keys.sql"),
        needs: 1,
    },
    Migration {
        name: "0004_steps",
        sql: include_str!("../../../migrations/postgres/0004_steps.sql"),
        needs: 1,
    },
    Migration {
        name: "0005_campaign_versions",
        sql: include_str!("../../../migrations/postgres/0005_campaign_versions.sql"),
        // A program that does not keep the versions would leave gaps in them.
        needs: 5,
    },
    Migration {
        name: "0006_beacon_signature",
        sql: include_str!("../../../migrations/postgres/0006_beacon_signature.sql"),
        // A program that does not know beacons would draw without them.
        needs: 6,
    },
    Migration {
        name: "0007_reviews",
        sql: include_str!("../../../migrations/postgres/0007_reviews.sql"),
        // A program that does not know reviews can read no account that had one.
        needs: 7,
    },
    Migration {
        name: "0008_review_proposals",
        sql: include_str!("../../../migrations/postgres/0008_review_proposals.sql"),
        // A program before it cannot read campaigns with `spent_max`, and would record purchases
        // without what they cost.
        needs: 8,
    },
    Migration {
        name: "0009_ledger_identity",
        sql: include_str!("../../../migrations/postgres/0009_ledger_identity.sql"),
        // A program that does not know it asks less and breaks nothing.
        needs: 8,
    },
    Migration {
        name: "0010_parked",
        sql: include_str!("../../../migrations/postgres/0010_parked.sql"),
        // A program that does not know the rows would pass over what waits in them.
        needs: 10,
    },
    Migration {
        name: "0011_tallies",
        sql: include_str!("../../../migrations/postgres/0011_tallies.sql"),
        // A program before it counts from the log itself.
        needs: 10,
    },
    Migration {
        name: "0012_committed_at",
        sql: include_str!("../../../migrations/postgres/0012_committed_at.sql"),
        // A program that does not know the columns leaves them empty.
        needs: 12,
    },
    Migration {
        name: "0013_zone_tables",
        sql: include_str!("../../../migrations/postgres/0013_zone_tables.sql"),
        // A program that does not know what the log says of clocks would decide by its own.
        needs: 13,
    },
];

/// One migration at a time in the whole database. The number is ours alone.
const LOCK: i64 = 0x5257_4c47;

/// The schema is not one this program can use.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Nothing or not all is there.
    #[error("the database has schema {found}, this program needs {expected}: run `rewardhub migrate` first")]
    Behind {
        /// Migrations applied.
        found: i32,
        /// Migrations this program knows.
        expected: i32,
    },
    /// A newer program has contracted it.
    #[error(
        "the database has schema {found}, which needs a program that knows {needs}; this one knows {known}: run a newer \
         release of rewardhub"
    )]
    Newer {
        /// Migrations applied.
        found: i32,
        /// What a program must know.
        needs: i32,
        /// Migrations this program knows.
        known: i32,
    },
    /// A migration was edited after it had been applied, or belongs to something else.
    #[error(
        "migration {0} in the database is not the one this program knows: run the release of rewardhub that applied \
         it, or name an empty database and run `rewardhub migrate`"
    )]
    Changed(String),
    /// The role has no place in an identifier.
    #[error("not a role: {0:?}")]
    Role(String),
    /// The database failed.
    #[error("the schema could not be read or changed")]
    Failed(#[from] PostgresFault),
}

impl From<tokio_postgres::Error> for SchemaError {
    fn from(error: tokio_postgres::Error) -> SchemaError {
        SchemaError::Failed(error.into())
    }
}

fn known() -> i32 {
    i32::try_from(MIGRATIONS.len()).expect("a few")
}

fn digest_of(migration: &Migration) -> String {
    hex::encode(digest::digest(&digest::SHA256, migration.sql.as_bytes()))
}

/// What one applied migration left in the database.
struct Applied {
    number: i32,
    name: String,
    digest: String,
    needs: i32,
}

async fn applied(client: &Client) -> Result<Vec<Applied>, SchemaError> {
    let select = "SELECT number, name, digest, needs FROM rewardhub.migrations ORDER BY number";
    let rows = match client.query(select, &[]).await.map_err(PostgresFault::from) {
        Ok(rows) => rows,
        // Nothing has ever been applied.
        Err(fault) if fault.undefined() => return Ok(vec![]),
        Err(fault) => return Err(fault.into()),
    };
    let applied = |row: tokio_postgres::Row| Applied {
        number: row.get(0),
        name: row.get(1),
        digest: row.get(2),
        needs: row.get(3),
    };
    Ok(rows.into_iter().map(applied).collect())
}

/// Whether what was applied is what this program knows, as far as both go.
fn compare(applied: &[Applied]) -> Result<(), SchemaError> {
    for (there, here) in applied.iter().zip(MIGRATIONS) {
        if there.name != here.name || there.digest != digest_of(here) {
            return Err(SchemaError::Changed(there.name.clone()));
        }
    }
    Ok(())
}

/// Whether this program can run on the database's schema. Changes nothing.
pub async fn check(client: &Client) -> Result<(), SchemaError> {
    let applied = applied(client).await?;
    compare(&applied)?;
    let found = applied.last().map_or(0, |last| last.number);
    if found < known() {
        return Err(SchemaError::Behind { found, expected: known() });
    }
    match applied.iter().map(|m| m.needs).max() {
        Some(needs) if needs > known() => Err(SchemaError::Newer { found, needs, known: known() }),
        _ => Ok(()),
    }
}

/// Applies what is missing, all or nothing, and answers the names of what was applied. Then it
/// grants what a running service needs to the runtime role, and again to the roles that had it
/// before: tables may have come since. Running it again changes nothing.
pub async fn migrate(
    client: &mut Client,
    runtime_role: Option<&str>,
) -> Result<Vec<&'static str>, SchemaError> {
    let transaction = client.transaction().await?;
    transaction.query_one("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    transaction
        .batch_execute(
            "CREATE SCHEMA IF NOT EXISTS rewardhub;
             CREATE TABLE IF NOT EXISTS rewardhub.migrations (
                 number     integer     PRIMARY KEY,
                 name       text        NOT NULL,
                 digest     text        NOT NULL,
                 needs      integer     NOT NULL,
                 applied_at timestamptz NOT NULL DEFAULT now()
             )",
        )
        .await?;
    let before = applied(transaction.client()).await?;
    compare(&before)?;
    let mut done = Vec::new();
    for (number, migration) in (1_i32..).zip(MIGRATIONS).skip(before.len()) {
        transaction.batch_execute(migration.sql).await?;
        let insert = "INSERT INTO rewardhub.migrations (number, name, digest, needs) VALUES ($1, $2, $3, $4)";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&number, &migration.name, &digest_of(migration), &migration.needs];
        transaction.execute(insert, &values).await?;
        done.push(migration.name);
    }
    if let Some(role) = runtime_role {
        transaction.batch_execute(&grants(role)?).await?;
    }
    for role in runtime_roles(transaction.client()).await? {
        // What is no role of ours by its name, somebody else has granted.
        if let Ok(grants) = grants(&role) {
            transaction.batch_execute(&grants).await?;
        }
    }
    transaction.commit().await?;
    Ok(done)
}

/// The roles that may append to the log, besides its owner: those that services run as.
async fn runtime_roles(client: &Client) -> Result<Vec<String>, SchemaError> {
    let select = "SELECT r.rolname::text FROM pg_class c, aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee \
         WHERE c.oid = 'ledger.events'::regclass AND a.privilege_type = 'INSERT' AND a.grantee <> c.relowner";
    Ok(client.query(select, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// What a running service may do, and nothing else: it can neither change nor remove an event.
fn grants(role: &str) -> Result<String, SchemaError> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if role.is_empty() || role.len() > 63 || !role.chars().all(word) {
        return Err(SchemaError::Role(role.into()));
    }
    Ok(include_str!("grants.sql").replace(":role", &format!("\"{role}\"")))
}
