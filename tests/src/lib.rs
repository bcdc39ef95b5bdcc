//! What the end-to-end tests are made of: the real binary in a process of its own, driven as the
//! outside drives it, over HTTP, by commands and by signals.
//!
//! [`Home`] is a data folder on which commands run, [`Sandbox`] a process that serves one
//! (`sandbox` or `serve`), [`rows`] the transactions and campaigns to feed it. Every wait is
//! bounded and says what it waited for; every process ends with its handle.

pub mod process;
pub mod rows;
pub mod sandbox;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

pub use process::{Ran, Running};
pub use sandbox::{Answer, Sandbox};

/// How long anything may take that should take a moment; a debug build on a busy machine is slow.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A data folder that goes away with its handle.
pub struct Home {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Home {
    /// An empty one.
    pub fn new() -> Home {
        Home::with(&[])
    }

    /// An empty one, all of whose commands have these variables.
    pub fn with(environment: &[(&str, &str)]) -> Home {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Home { folder, environment }
    }

    /// The data folder. It does not exist before the first command.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A place for other files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes such a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, content).expect("writing a test's file");
        path
    }

    /// Runs a command on the data folder to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, b"")
    }

    /// The same with something on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        process::run(self.command(arguments), input)
    }

    /// Runs a command that asks a service with this token.
    pub fn run_as(&self, token: &str, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        command.env("REWARDHUB_TOKEN", token);
        process::run(command, b"")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = process::command();
        command.args(arguments).env("REWARDHUB_DATA", self.data());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts `serve` on any free port and waits until it listens, whether or not it serves yet.
    pub fn listen(&self, environment: &[(&str, &str)]) -> Sandbox {
        Sandbox::serving(self.spawn_serve(environment), &self.data())
    }

    /// The same for a process that may have so many files open.
    pub fn listen_within(&self, files: usize) -> Sandbox {
        Sandbox::serving(self.spawn_serve_within(files), &self.data())
    }

    /// Starts such a process and does not wait for it.
    pub fn spawn_serve_within(&self, files: usize) -> Running {
        let mut command = self.command(&["serve"]);
        command.env("REWARDHUB_LISTEN", "127.0.0.1:0");
        process::spawn(process::within(files, &command))
    }

    /// Starts `serve`, which says much on standard error, where nobody reads it.
    pub fn listen_unheard(&self) -> Sandbox {
        let mut command = self.command(&["serve"]);
        command.env("REWARDHUB_LISTEN", "127.0.0.1:0").env("REWARDHUB_LOG_LEVEL", "debug");
        Sandbox::serving(process::spawn_unheard(command), &self.data())
    }

    /// Starts a command on the data folder and does not wait for its end.
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        process::spawn(self.command(arguments))
    }

    /// Starts `serve` on any free port and does not wait for it.
    pub fn spawn_serve(&self, environment: &[(&str, &str)]) -> Running {
        let mut command = self.command(&["serve"]);
        command.env("REWARDHUB_LISTEN", "127.0.0.1:0").envs(environment.iter().copied());
        process::spawn(command)
    }

    /// A campaign from its file, drafted, approved and started.
    pub fn start_campaign(&self, id: &str, yaml: &str) {
        let file = self.write(&format!("{id}.yaml"), yaml);
        self.run(&["campaign", "create", text(&file), "--by", "author"]).expect_code(0);
        self.run(&["campaign", "approve", id, "--version", "1", "--by", "approver"]).expect_code(0);
        self.run(&["campaign", "start", id]).expect_code(0);
    }

    /// Serves the folder, generating nothing.
    pub fn serve(&self) -> Sandbox {
        Sandbox::start(&self.data())
    }

    /// A token of the folder's own issuer.
    pub fn token(&self, arguments: &[&str]) -> String {
        let ran = self.run(&[&["token"], arguments].concat()).expect_code(0);
        ran.stdout.trim().to_owned()
    }

    /// `audit replay` with its exit code and report.
    pub fn replay(&self) -> (i32, Value) {
        let ran = self.run(&["audit", "replay"]);
        (ran.code, ran.json())
    }

    /// What `audit replay` says of a ledger in which all holds: events, accounts, transactions,
    /// balances.
    pub fn replayed(&self) -> Value {
        let (code, report) = self.replay();
        assert_eq!((code, &report["holds"]), (0, &Value::Bool(true)), "{report:#}");
        report["replay"].clone()
    }

    /// Rebuilds everything and asserts that nothing was wrong with the running read models.
    pub fn assert_read_models_hold(&self) {
        let ran = self.run(&["rebuild", "all"]).expect_code(0);
        let reports = ran.json_lines();
        assert_eq!(reports.len(), 5, "{reports:?}");
        for report in reports {
            assert_eq!(report["rows_changed"], 0, "{report}");
        }
    }
}

impl Default for Home {
    fn default() -> Self {
        Home::new()
    }
}

/// A path of ours as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

/// Asks again and again until there is something; panics by the name of what did not come.
pub fn eventually<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
