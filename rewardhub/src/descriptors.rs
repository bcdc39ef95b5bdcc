//! How many files this process may have open, and how many of them connections may take.

use anyhow::bail;
use api::server::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the process needs besides connections and sessions of a database: the files of an embedded
/// ledger, pipes, timers.
const OWN: usize = 96;

/// With fewer files the process would stand still more often than it serves.
const FILES_MIN: usize = 96;

/// Raises the soft limit of open files to the hard one. Lowers the wanted connections where our own
/// files and `sessions` of a database need the room.
pub(crate) fn make_room(wanted: Limits, sessions: usize) -> anyhow::Result<Limits> {
    let Some(files) = raise() else { return Ok(wanted) };
    if files < FILES_MIN {
        bail!(
            "the system lets this process open {files} files, and it needs {FILES_MIN}: raise the limit (ulimit -n, \
             LimitNOFILE)"
        );
    }
    let limits = wanted.within(files.saturating_sub(OWN + sessions));
    if limits != wanted {
        tracing::warn!(
            connections_max = limits.connections_max,
            wanted = wanted.connections_max,
            files,
            "the system's limit of open files leaves room for fewer connections than set"
        );
    }
    Ok(limits)
}

/// The limit from now on; `None` if there is none.
fn raise() -> Option<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    // Some systems refuse what they state: then it stays as it is.
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { maximum } else { current };
    current.map(|files| usize::try_from(files).unwrap_or(usize::MAX))
}
