//! A private PostgreSQL: in a temporary folder, on a free port of the loopback address, gone when
//! dropped.
//!
//! The server is the machine's own (`initdb` and `postgres` from the `PATH` or where Debian puts
//! them). It runs under a shell that waits for the end of its input, so that it ends with us even
//! when we are killed. PostgreSQL refuses to run as root, so root starts it as the user `postgres`.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::postgres::{self, Database, DatabaseOptions, PostgresFault, SchemaError};

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Nothing installed.
    #[error("PostgreSQL is not installed: no initdb on the PATH or in /usr/lib/postgresql")]
    NotInstalled,
    /// A program failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// Which.
        program: &'static str,
        /// What it said.
        output: String,
    },
    /// The operating system refused.
    #[error("a private PostgreSQL could not be set up")]
    Io(#[from] io::Error),
    /// It does not answer.
    #[error("the private PostgreSQL does not answer")]
    NoAnswer(#[source] PostgresFault),
    /// The schema could not be laid out.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// A running server.
pub struct Cluster {
    folder: tempfile::TempDir,
    programs: PathBuf,
    user: Option<User>,
    port: u16,
    password: String,
    settings: Vec<String>,
    server: Mutex<Option<Child>>,
    databases: AtomicU64,
}

#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

const START_MAX: Duration = Duration::from_mins(1);
const STOP_MAX: Duration = Duration::from_mins(1);

impl Cluster {
    /// The server that all tests of this process share; the last to let go of it stops it.
    pub async fn shared() -> Arc<Cluster> {
        static SHARED: tokio::sync::Mutex<Weak<Cluster>> = tokio::sync::Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(running) = shared.upgrade() {
            return running;
        }
        let cluster = Arc::new(Cluster::start(&[]).await.expect("a private PostgreSQL for the tests"));
        *shared = Arc::downgrade(&cluster);
        cluster
    }

    /// A server of its own with these settings, such as `shared_buffers=1GB`.
    pub async fn start(settings: &[&str]) -> Result<Cluster, ClusterError> {
        Cluster::start_in(&std::env::temp_dir(), settings).await
    }

    /// A server that speaks TLS with this certificate and key, in PEM.
    pub async fn start_with_tls(certificate: &str, key: &str) -> Result<Cluster, ClusterError> {
        let mut cluster = Cluster::lay_out(&std::env::temp_dir(), &["ssl=on"])?;
        for (setting, name, pem) in
            [("ssl_cert_file", "server.crt", certificate), ("ssl_key_file", "server.key", key)]
        {
            let path = cluster.secret(name, pem)?;
            cluster.settings.push(format!("{setting}={}", path.display()));
        }
        cluster.start_on_free_port().await
    }

    /// [`start`](Cluster::start), with its files under this folder.
    pub async fn start_in(parent: &Path, settings: &[&str]) -> Result<Cluster, ClusterError> {
        Cluster::lay_out(parent, settings)?.start_on_free_port().await
    }

    fn lay_out(parent: &Path, settings: &[&str]) -> Result<Cluster, ClusterError> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("rewardhub-pg-").tempdir_in(parent)?;
        let user = if is_root()? { Some(postgres_user()?) } else { None };
        if let Some(user) = user {
            chown(folder.path(), Some(user.uid), Some(user.gid))?;
        }
        let password = format!("test-{:016x}", rand_number());
        let settings = settings.iter().map(|s| (*s).to_owned()).collect();
        let (server, databases) = (Mutex::new(None), AtomicU64::new(0));
        let cluster = Cluster { folder, programs, user, port: 0, password, settings, server, databases };
        cluster.initialise()?;
        Ok(cluster)
    }

    async fn start_on_free_port(mut self) -> Result<Cluster, ClusterError> {
        // A free port may be taken by another before the server has it.
        for attempt in 1..=5 {
            self.port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            match self.start_server().await {
                Ok(()) => break,
                Err(error) if attempt == 5 => return Err(error),
                Err(_) => self.stop("immediate")?,
            }
        }
        Ok(self)
    }

    /// The address of a new database with the schema laid out, as its owner.
    pub async fn database(&self) -> Result<String, ClusterError> {
        let url = self.empty_database().await?;
        let database = Database::new(url.parse().expect("our own address"), &DatabaseOptions::default());
        let mut client = database.connect().await.map_err(ClusterError::NoAnswer)?;
        postgres::migrate(&mut client, None).await?;
        Ok(url)
    }

    /// The address of a new database with nothing in it.
    pub async fn empty_database(&self) -> Result<String, ClusterError> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}")).await?;
        Ok(self.url(&name))
    }

    /// The address of this database, as the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Runs statements in this database, as the superuser.
    pub async fn execute(&self, database: &str, sql: &str) -> Result<(), ClusterError> {
        let database =
            Database::new(self.url(database).parse().expect("our own address"), &DatabaseOptions::default());
        let client = database.connect().await.map_err(ClusterError::NoAnswer)?;
        client.batch_execute(sql).await.map_err(|e| ClusterError::NoAnswer(e.into()))
    }

    /// Stops the server: `fast`, or `immediate` as a crash would.
    pub fn stop(&self, mode: &str) -> Result<(), ClusterError> {
        let Some(mut shell) = self.server.lock().take() else {
            return Ok(());
        };
        let data = self.data();
        let mut stop = self.program("pg_ctl");
        stop.args(["stop", "-w", "-t", "30", "-m", mode, "-D"]).arg(&data);
        // It may have ended by itself.
        let _ = stop.output()?;
        drop(shell.stdin.take());
        wait(&mut shell)
    }

    /// Starts a stopped server again, on the same port and data.
    pub async fn start_again(&self) -> Result<(), ClusterError> {
        self.start_server().await
    }

    fn initialise(&self) -> Result<(), ClusterError> {
        let password = self.secret("password", &self.password)?;
        let mut initdb = self.program("initdb");
        initdb.args([
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]);
        initdb.arg("--pwfile").arg(&password).arg("--pgdata").arg(self.data());
        let output = initdb.output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(ClusterError::Failed {
            program: "initdb",
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// A file that only the server reads.
    fn secret(&self, name: &str, content: &str) -> io::Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        if let Some(user) = self.user {
            chown(&path, Some(user.uid), Some(user.gid))?;
        }
        Ok(path)
    }

    async fn start_server(&self) -> Result<(), ClusterError> {
        // SIGINT is PostgreSQL's fast shutdown.
        let script = "\"$@\" & server=$!; read -r _; kill -INT $server 2>/dev/null; wait $server";
        let mut shell = self.command(Path::new("/bin/sh"));
        shell.args(["-c", script, "sh"]).arg(self.programs.join("postgres")).arg("-D").arg(self.data());
        let port = format!("port={}", self.port);
        let own = [&port, "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"];
        for setting in own.iter().copied().chain(self.settings.iter().map(String::as_str)) {
            shell.args(["-c", setting]);
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        shell.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let child = shell.spawn()?;
        *self.server.lock() = Some(child);
        let database = Database::new(
            self.url("postgres").parse().expect("our own address"),
            &DatabaseOptions::default(),
        );
        let began = Instant::now();
        loop {
            match database.connect().await {
                Ok(_) => return Ok(()),
                Err(fault) if began.elapsed() > START_MAX || self.refused() => {
                    tracing::error!(
                        log = std::fs::read_to_string(self.log()).unwrap_or_default(),
                        "no server"
                    );
                    return Err(ClusterError::NoAnswer(fault));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Whether the server's port was taken by somebody else.
    fn refused(&self) -> bool {
        std::fs::read_to_string(self.log())
            .is_ok_and(|log| log.contains("could not create any TCP/IP sockets"))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn program(&self, name: &str) -> Command {
        self.command(&self.programs.join(name))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // A folder that the other user may be in.
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
        if let Some(User { uid, gid }) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.stop("immediate") {
            eprintln!("a private PostgreSQL could not be stopped: {error}");
        }
    }
}

fn wait(child: &mut Child) -> Result<(), ClusterError> {
    let began = Instant::now();
    while began.elapsed() < STOP_MAX {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    Err(ClusterError::Failed { program: "postgres", output: "it did not stop".into() })
}

/// Where `initdb`, `postgres` and `pg_ctl` are.
fn programs() -> Result<PathBuf, ClusterError> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let complete = |folder: &PathBuf| {
        ["initdb", "postgres", "pg_ctl"].iter().all(|program| folder.join(program).is_file())
    };
    folders.into_iter().find(complete).ok_or(ClusterError::NotInstalled)
}

fn is_root() -> io::Result<bool> {
    Ok(number("id", &["-u"])? == 0)
}

fn postgres_user() -> io::Result<User> {
    Ok(User { uid: number("id", &["-u", "postgres"])?, gid: number("id", &["-g", "postgres"])? })
}

fn number(program: &str, arguments: &[&str]) -> io::Result<u32> {
    let output = Command::new(program).args(arguments).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| io::Error::other(format!("{program} {arguments:?} said {text:?}")))
}

/// No secret worth the name: it keeps other users of the machine out of a test's database.
fn rand_number() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}
