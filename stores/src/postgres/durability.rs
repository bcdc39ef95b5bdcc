//! Whether the server keeps what it has acknowledged. Each session sees to its own commits; what
//! the server as a whole leaves out, no session can make up for.

use tokio_postgres::Client;

use super::PostgresFault;

/// A server that may lose what it has acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum DurabilityError {
    /// Nothing is forced to the disk.
    #[error(
        "the server runs with fsync=off: what it has acknowledged may be gone after a crash of its machine; set \
         fsync=on and reload it"
    )]
    Fsync,
    /// A page that was half written when the machine crashed cannot be restored.
    #[error(
        "the server runs with full_page_writes=off: a crash of its machine may damage what it has acknowledged; set \
         full_page_writes=on and reload it, or say `database.full_page_writes: optional` where the storage never \
         leaves half a page"
    )]
    FullPageWrites,
    /// The database failed.
    #[error("the server's settings could not be read")]
    Failed(#[from] PostgresFault),
}

/// Refuses a server that may lose what it has acknowledged. With `pages_are_whole`, the storage
/// below it never leaves half a page, so that it need not guard against that.
pub async fn check_durability(client: &Client, pages_are_whole: bool) -> Result<(), DurabilityError> {
    let settings = "SELECT current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on'";
    let row = client.query_one(settings, &[]).await.map_err(PostgresFault::from)?;
    if !row.get::<_, bool>(0) {
        return Err(DurabilityError::Fsync);
    }
    if !row.get::<_, bool>(1) && !pages_are_whole {
        return Err(DurabilityError::FullPageWrites);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{Database, DatabaseOptions};
    use crate::testing::Cluster;

    fn at(url: &str) -> Database {
        Database::new(url.parse().unwrap(), &DatabaseOptions::default())
    }

    async fn shown(client: &Client) -> String {
        client.query_one("SHOW synchronous_commit", &[]).await.unwrap().get(0)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_commit_waits_for_the_disk_whatever_the_default_is() {
        let cluster = Cluster::shared().await;
        let url = cluster.empty_database().await.unwrap();
        let name = url.rsplit_once('/').unwrap().1;
        for (default, ours) in [
            ("off", "on"),
            ("local", "on"),
            ("on", "on"),
            ("remote_write", "remote_write"),
            ("remote_apply", "remote_apply"),
        ] {
            let alter = format!("ALTER DATABASE {name} SET synchronous_commit = {default}");
            cluster.execute("postgres", &alter).await.unwrap();
            assert_eq!(shown(&at(&url).connect().await.unwrap()).await, ours, "{default}");
            assert_eq!(shown(&at(&url).pooled().await.unwrap()).await, ours, "{default}, of the pool");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_forgets_is_refused() {
        let cluster = Cluster::start(&["autovacuum=off"]).await.unwrap();
        let client = at(&cluster.url("postgres")).connect().await.unwrap();
        let set = async |setting: &str, value: &str| {
            cluster.execute("postgres", &format!("ALTER SYSTEM SET {setting} = {value}")).await.unwrap();
            cluster.execute("postgres", "SELECT pg_reload_conf()").await.unwrap();
            for _ in 0..1_000 {
                let now: String = client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap().get(0);
                if now == value {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            panic!("{setting} does not become {value}");
        };
        check_durability(&client, false).await.unwrap();
        set("full_page_writes", "off").await;
        assert!(matches!(check_durability(&client, false).await, Err(DurabilityError::FullPageWrites)));
        check_durability(&client, true).await.unwrap();
        set("fsync", "off").await;
        for pages_are_whole in [false, true] {
            assert!(matches!(check_durability(&client, pages_are_whole).await, Err(DurabilityError::Fsync)));
        }
    }
}
