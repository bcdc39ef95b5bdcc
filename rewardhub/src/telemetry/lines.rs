//! Log lines on their way to standard error, which may be a pipe that nobody reads: whoever logs
//! never waits for it.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Lines that wait; further ones are dropped, and their number is told.
const WAITING_MAX: usize = 8_192;
/// How long the last lines may take when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

static DROPPED: AtomicU64 = AtomicU64::new(0);

enum Said {
    Line(Vec<u8>),
    /// Nothing more comes: say when all before it is written.
    End(SyncSender<()>),
}

/// Where lines go in; each write is one of them.
pub(super) struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if queue().try_send(Said::Line(line.to_vec())).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("rewardhub_log_lines_dropped_total").increment(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits, when dropped, until what was logged is written; not for long.
pub struct LastWords(());

impl LastWords {
    pub(super) fn new() -> LastWords {
        LastWords(())
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        let (done, written) = sync_channel(1);
        if queue().try_send(Said::End(done)).is_ok() {
            // Too late is as good as never: the process ends.
            let _ = written.recv_timeout(LAST_WORDS);
        }
    }
}

fn queue() -> &'static SyncSender<Said> {
    static QUEUE: OnceLock<SyncSender<Said>> = OnceLock::new();
    QUEUE.get_or_init(|| {
        let (sender, said) = sync_channel(WAITING_MAX);
        // Without the thread the queue is closed and lines are dropped; the service goes on.
        let _ = std::thread::Builder::new().name("log-lines".into()).spawn(move || write(&said));
        sender
    })
}

fn write(said: &Receiver<Said>) {
    for said in said {
        let dropped = DROPPED.swap(0, Ordering::Relaxed);
        // There is nobody to tell that standard error is gone.
        if dropped > 0 {
            let _ = writeln!(io::stderr(), "{dropped} log lines were dropped");
        }
        match said {
            Said::Line(line) => {
                let _ = io::stderr().write_all(&line);
            }
            Said::End(done) => {
                let _ = done.send(());
            }
        }
    }
}
