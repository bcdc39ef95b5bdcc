//! What the tests run: a private PostgreSQL of the machine's programs, and the built `rewardhub` on
//! it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(1);

/// Ends with us, even when we are killed: its shell waits for the end of its input.
pub struct Postgres {
    shell: Child,
    port: u16,
    // After the server.
    _folder: tempfile::TempDir,
}

impl Postgres {
    pub async fn start() -> Postgres {
        let folder = tempfile::tempdir().unwrap();
        // PostgreSQL refuses to run as root.
        let root =
            std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        let run = |program: &Path| {
            let mut command = Command::new(if root { Path::new("setpriv") } else { program });
            if root {
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            }
            command.current_dir("/");
            command
        };
        if root {
            let chown = Command::new("chown").arg("postgres:").arg(folder.path()).status().unwrap();
            assert!(chown.success());
        }
        let (programs, data) = (programs(), folder.path().join("data"));
        let initdb = run(&programs.join("initdb"))
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
                "-D",
            ])
            .arg(&data)
            .output()
            .unwrap();
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let script = "\"$@\" & server=$!; read -r _; kill -INT $server 2>/dev/null; wait $server";
        let mut server = run(Path::new("/bin/sh"));
        server.args(["-c", script, "sh"]).arg(programs.join("postgres")).arg("-D").arg(&data);
        let port_setting = format!("port={port}");
        for setting in [&port_setting, "listen_addresses=127.0.0.1", "unix_socket_directories="] {
            server.args(["-c", setting]);
        }
        let shell = server.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let postgres = Postgres { shell, port, _folder: folder };
        let began = Instant::now();
        while let Err(error) = sqlx::PgPool::connect(&postgres.url()).await {
            assert!(began.elapsed() < PATIENCE, "no PostgreSQL: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        postgres
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// From the `PATH`, or where Debian puts them.
fn programs() -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    std::env::split_paths(&on_path)
        .chain(versions.map(|version| version.path().join("bin")))
        .find(|folder| folder.join("initdb").is_file())
        .expect("PostgreSQL is not installed")
}

/// The built program, with its folder and its log.
pub struct Rewardhub<'a> {
    pub folder: &'a Path,
    pub log: String,
}

impl Rewardhub<'_> {
    /// Built beside us.
    fn command(&self, arguments: &[&str]) -> Command {
        let tests = std::env::current_exe().unwrap();
        let built = tests.parent().and_then(Path::parent).unwrap().join("rewardhub-under-test");
        assert!(built.is_file(), "there is no {}: ./scripts/test builds it", built.display());
        let mut command = Command::new(built);
        command
            .args(arguments)
            .env("REWARDHUB_DATA", self.folder)
            .env("REWARDHUB_LOG", &self.log)
            .env("REWARDHUB_ENROLMENT", "open")
            .env("REWARDHUB_TOKENS_JWKS", "sandbox")
            .env("REWARDHUB_LISTEN", "127.0.0.1:0");
        command
    }

    pub fn run(&self, arguments: &[&str]) {
        let ran = self.command(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&ran.stdout));
    }

    pub fn write(&self, name: &str, content: &str) -> String {
        let path = self.folder.join(name);
        std::fs::File::create(&path).unwrap().write_all(content.as_bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Serves until this number stands still and is not 0, then ends in good order.
    pub async fn serve_until_still(&self, number: impl AsyncFn() -> i64) {
        let mut serving = self.command(&["serve"]).stdout(Stdio::null()).spawn().unwrap();
        let (began, mut last, mut since) = (Instant::now(), 0, Instant::now());
        while last == 0 || since.elapsed() < Duration::from_secs(2) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = number().await;
            if now != last {
                (last, since) = (now, Instant::now());
            }
            if began.elapsed() > PATIENCE {
                let _ = serving.kill();
                panic!("it does not come to rest: {last}");
            }
        }
        let kill = Command::new("kill").arg(serving.id().to_string()).status().unwrap();
        assert!(kill.success() && serving.wait().unwrap().success());
    }
}
