//! The binary as a process: started, listened to, signalled, ended. Nothing outlives its handle.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::Value;

use crate::{PATIENCE, eventually};

/// The binary, which cargo puts beside the folder of the test executables.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile =
        test.parent().and_then(|deps| deps.parent()).expect("test executables lie in target/*/deps");
    let name = format!("rewardhub-under-test{}", std::env::consts::EXE_SUFFIX);
    let binary = profile.join(name);
    assert!(binary.is_file(), "{} is missing: run `cargo test -p rewardhub-tests`", binary.display());
    binary
}

/// The binary, with none of the caller's own settings.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REWARDHUB_")) {
        command.env_remove(name);
    }
    command
}

/// The same command, in a process that may have so many files open.
pub fn within(files: usize, command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]);
    limited.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

/// Starts a command and listens to it.
pub fn spawn(mut command: Command) -> Running {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    Running::of(child.expect("the binary starts"))
}

/// Starts a command whose standard error nobody reads.
pub fn spawn_unheard(mut command: Command) -> Running {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the binary starts");
    let stdout = Heard::default();
    let listening = vec![listen(child.stdout.take().expect("standard output is piped"), stdout.clone())];
    Running { child, stdout, stderr: Heard::default(), listening }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Itself, if it ended with `code`.
    #[expect(clippy::return_self_not_must_use, reason = "the check alone is worth a call")]
    pub fn expect_code(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Standard output as one JSON value.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Standard output as one JSON value per line.
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

/// Runs a command to its end.
pub fn run(mut command: Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_vec();
    // A command that ends early does not read all of it.
    let feeding = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let mut running = Running::of(child);
    let code = running.wait();
    feeding.join().expect("feeding a command does not panic");
    running.finish();
    Ran { code, stdout: running.stdout.text(), stderr: running.stderr.text() }
}

/// A process of ours and what it has said so far.
pub struct Running {
    child: Child,
    /// Standard output.
    pub stdout: Heard,
    /// Standard error.
    pub stderr: Heard,
    listening: Vec<JoinHandle<()>>,
}

impl Running {
    /// Listens to a child whose output is piped.
    pub fn of(mut child: Child) -> Running {
        let (stdout, stderr) = (Heard::default(), Heard::default());
        let listening = vec![
            listen(child.stdout.take().expect("standard output is piped"), stdout.clone()),
            listen(child.stderr.take().expect("standard error is piped"), stderr.clone()),
        ];
        Running { child, stdout, stderr, listening }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours can be asked")
    }

    /// Its exit code, once it ends; -1 for a signal.
    pub fn wait(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        eventually("a process to end", PATIENCE * 2, || {
            if Instant::now() > deadline {
                self.kill();
                panic!("it did not end: {} {}", self.stdout.text(), self.stderr.text());
            }
            self.ended()
        })
        .code()
        .unwrap_or(-1)
    }

    /// Ends it by SIGKILL: it has no say.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends it a signal by name, such as `INT`.
    pub fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.id());
        let sent = Command::new("sh").args(["-c", &line]).status().expect("a shell");
        assert!(sent.success(), "{line}");
    }

    /// After its end: hears the rest of what it said.
    pub fn finish(&mut self) {
        for thread in self.listening.drain(..) {
            thread.join().expect("listening does not panic");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a process has said so far.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    /// All of it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }

    fn add(&self, bytes: &[u8]) {
        self.0.lock().extend_from_slice(bytes);
    }
}

fn listen(pipe: impl Read + Send + 'static, heard: Heard) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            heard.add(&line);
            line.clear();
        }
    })
}
