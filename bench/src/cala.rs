//! cala-ledger posting two-entry transactions, measured by a program of its own
//! (`bench/comparators/cala`).

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::server::Server;

/// What the program prints.
#[derive(Deserialize)]
pub(crate) struct Cala {
    pub(crate) version: String,
    pub(crate) tasks: u32,
    /// One transaction in a call.
    pub(crate) per_second: u32,
    pub(crate) batch: u32,
    /// `batch` of them in a call.
    pub(crate) batched_per_second: u32,
}

pub(crate) async fn measure(program: &Path, server: &Server, seconds: u32) -> anyhow::Result<Cala> {
    let mut command = Command::new(program);
    // Arguments are for all to see; an address may hold a password.
    command.env("BENCH_DATABASE_URL", server.empty_database().await?);
    command.arg(seconds.to_string()).stderr(Stdio::inherit());
    let output = tokio::task::spawn_blocking(move || command.output()).await?;
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(output.status.success(), "{} ended with {}", program.display(), output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("what {} printed", program.display()))
}
