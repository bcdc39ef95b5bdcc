//! Plain cqrs-es with a store of its ecosystem, measured by a program of its own
//! (`bench/comparators/plain`).

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use ledger_core::log::{StoredEvent, StreamType};
use serde::Deserialize;
use serde_json::value::RawValue;
use tempfile::TempDir;

use crate::raw::Columns;
use crate::server::connect;

const LOAD: &str = "INSERT INTO events SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::text[], \
     $5::text[], $6::json[], $7::json[])";

pub(crate) struct Plain {
    child: Child,
    /// Gone once an answer failed.
    pipes: Option<(ChildStdin, BufReader<ChildStdout>)>,
    _folder: Option<TempDir>,
}

/// What the program prints.
#[derive(Deserialize)]
struct Answer {
    nanoseconds: u64,
}

impl Plain {
    /// With sqlite-es.
    pub(crate) async fn sqlite() -> anyhow::Result<Plain> {
        let folder = tempfile::tempdir()?;
        let mut command = program()?;
        command.arg("sqlite").arg(folder.path().join("plain.db"));
        Plain::start(command, Some(folder)).await
    }

    /// With postgres-es, in this empty database.
    pub(crate) async fn postgres(url: &str) -> anyhow::Result<Plain> {
        let mut command = program()?;
        // Arguments are for all to see; an address may hold a password.
        command.arg("postgres").env("BENCH_DATABASE_URL", url);
        Plain::start(command, None).await
    }

    async fn start(mut command: Command, folder: Option<TempDir>) -> anyhow::Result<Plain> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child =
            child.with_context(|| format!("{command:?} does not start; ./scripts/bench builds it"))?;
        let pipes = child.stdin.take().zip(child.stdout.take().map(BufReader::new));
        let mut plain = Plain { child, pipes, _folder: folder };
        // It answers once it has its table.
        plain.execute(&[]).await?;
        Ok(plain)
    }

    /// One command for each account's event.
    pub(crate) async fn execute(&mut self, events: &[StoredEvent]) -> anyhow::Result<Duration> {
        let (mut input, mut output) = self.pipes.take().context("plain cqrs-es has failed before")?;
        let commands = of_accounts(events)
            .map(|event| Ok((event.stream.id.as_str(), serde_json::from_slice::<&RawValue>(&event.payload)?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut line = serde_json::to_vec(&commands)?;
        line.push(b'\n');
        let asking = tokio::task::spawn_blocking(move || {
            input.write_all(&line)?;
            let mut answer = String::new();
            output.read_line(&mut answer)?;
            std::io::Result::Ok((answer, (input, output)))
        });
        let (answer, pipes) = asking.await?.context("plain cqrs-es has ended")?;
        let answer: Answer = serde_json::from_str(&answer).context("what plain cqrs-es printed")?;
        self.pipes = Some(pipes);
        Ok(Duration::from_nanos(answer.nanoseconds))
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts history into postgres-es's table, unmeasured.
pub(crate) async fn load(url: &str, events: &[StoredEvent]) -> anyhow::Result<()> {
    let client = connect(url).await?;
    let accounts: Vec<StoredEvent> = of_accounts(events).cloned().collect();
    for some in accounts.chunks(5_000) {
        let c = Columns::of(some);
        client
            .execute(
                LOAD,
                &[
                    &c.types,
                    &c.ids,
                    &c.sequences,
                    &c.event_types,
                    &c.event_versions,
                    &c.payloads,
                    &c.metadata,
                ],
            )
            .await?;
    }
    client.batch_execute("VACUUM ANALYZE events").await?;
    Ok(())
}

fn of_accounts(events: &[StoredEvent]) -> impl Iterator<Item = &StoredEvent> {
    events.iter().filter(|event| event.stream.stream_type == StreamType::Account)
}

/// Built beside us.
fn program() -> anyhow::Result<Command> {
    Ok(Command::new(std::env::current_exe()?.with_file_name("plain-cqrs")))
}
