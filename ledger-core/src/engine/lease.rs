//! Whether the log is ours to write, until when, and where it stands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::faults;
use crate::log::{Head, LogError, WriterLease};

use super::failed::Failed;

/// Pauses between attempts to learn what became of an append.
const RECOVERY_PAUSES: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
];
/// So long the log may take to say where it stands, also when the lease has run out meanwhile.
const RECOVERY_MIN: Duration = Duration::from_secs(1);
const NO_HEAD: &str = "the log's head cannot be read";

pub(super) struct Lease {
    log: Arc<dyn WriterLease>,
    holder: String,
    /// Of the last lease or recovery.
    term: u64,
    /// When it was last renewed, by the time the request was sent.
    renewed: Instant,
    /// An append's outcome is unknown: learn it before anything else.
    in_doubt: bool,
}

impl Lease {
    pub(super) fn new(log: Arc<dyn WriterLease>, holder: String) -> Lease {
        Lease { log, holder, term: 0, renewed: Instant::now(), in_doubt: false }
    }

    /// Becomes the writer.
    pub(super) async fn take(&mut self) -> Result<Head, LogError> {
        self.renewed = Instant::now();
        let head = self.log.lease(&self.holder, None).await?;
        self.term = head.term;
        Ok(head)
    }

    /// Lets the next writer have the log at once.
    pub(super) async fn release(&self) -> Result<(), LogError> {
        self.log.release(self.term).await
    }

    /// An append that landed has renewed it.
    pub(super) fn renewed(&mut self, asked: Instant) {
        self.renewed = asked;
    }

    /// Makes the lease last on, once a third of its time has passed.
    pub(super) async fn renew(&mut self) -> Result<(), LogError> {
        let asked = Instant::now();
        let Some(ttl) = self.log.ttl() else { return Ok(()) };
        if asked.duration_since(self.renewed) < ttl / 3 {
            return Ok(());
        }
        self.log.renew(self.term).await?;
        self.renewed = asked;
        Ok(())
    }

    /// Where the log stands is to be learnt before anything else.
    pub(super) fn doubt(&mut self) {
        self.in_doubt = true;
    }

    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Raises our own term, which waits for a statement that may still be running, then reads the
    /// head.
    pub(super) async fn learn(&mut self) -> Result<Head, Failed> {
        let mut last = None;
        for pause in std::iter::once(Duration::ZERO).chain(RECOVERY_PAUSES) {
            tokio::time::sleep(pause).await;
            let left = self.log.ttl().map(|ttl| ttl.saturating_sub(self.renewed.elapsed()));
            if last.is_some() && left == Some(Duration::ZERO) {
                // Whoever waits for an answer hears that there is none, and may ask another writer.
                break;
            }
            let asked = Instant::now();
            let lease = self.log.lease(&self.holder, Some(self.term));
            let patience = left.map_or(Duration::MAX, |left| left.max(RECOVERY_MIN));
            let learnt = tokio::time::timeout(patience, lease).await.unwrap_or_else(|late| {
                let (doing, transient, source) = ("learn its head in time", true, Box::new(late));
                Err(LogError::Store { doing, transient, source })
            });
            match learnt {
                Ok(head) => {
                    (self.renewed, self.term, self.in_doubt) = (asked, head.term, false);
                    faults::over(NO_HEAD);
                    return Ok(head);
                }
                Err(LogError::Fenced) => return Err(Failed::Fenced),
                Err(error) => last = Some(error),
            }
        }
        if let Some(error) = last {
            faults::error(NO_HEAD, "", &error);
        }
        Err(Failed::Unavailable)
    }
}
