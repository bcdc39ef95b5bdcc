//! A ledger as `serve` has it: log, keys, steps and read models in a database of their own.

use std::sync::Arc;

use adapters::sandbox::Misbehaviour;
use ledger_core::engine::EngineSettings;
use stores::postgres::Database;
use tempfile::TempDir;

use crate::bank::Bank;
use crate::ledger_load::{enrol, start_campaign};
use crate::server::Server;
use rewardhub::config::{self, Config};
use rewardhub::node::{Engine, Node};
use rewardhub::opened::{self, Stores};
use rewardhub::outside::Outside;
use rewardhub::secret::Secret;

/// The writer alone, with a running campaign and open accounts.
pub(crate) struct Written {
    pub(crate) engine: Engine,
    pub(crate) database: Database,
    /// Of the root key and the rail's books; gone with us.
    folder: TempDir,
}

/// The same with steps and projections on it.
pub(crate) struct FullNode {
    pub(crate) node: Node,
    pub(crate) database: Database,
    _folder: TempDir,
}

impl Written {
    pub(crate) async fn open(server: &Server, bank: &Bank) -> anyhow::Result<Written> {
        let folder = tempfile::tempdir()?;
        let arguments = config::Arguments {
            data: Some(folder.path().into()),
            log: Some(Secret::from(server.ledger_database().await?)),
            file: None,
        };
        let config = Config::from_sources(&arguments, |_| None)?;
        let stores = Arc::new(Stores::open(&config, "bench").await?);
        let engine =
            Engine::start(&stores, &EngineSettings { open_enrolment: true, ..EngineSettings::default() })
                .await?;
        start_campaign(&engine.ledger).await?;
        enrol(&engine.ledger, &engine.keyring, bank, engine.clock.now()).await?;
        Ok(Written { engine, database: opened::database(&config)?, folder })
    }

    /// With a rail that always pays at once.
    pub(crate) async fn serve(self) -> anyhow::Result<FullNode> {
        let outside = Outside::sandbox(&self.engine, Misbehaviour::none(), &[])?;
        let node = Node::start(self.engine, outside).await?;
        Ok(FullNode { node, database: self.database, _folder: self.folder })
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.engine.stop().await
    }
}

impl FullNode {
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.node.stop().await
    }
}
