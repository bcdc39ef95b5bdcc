//! The simulated log keeps the contract, and each fault does what it says.

use super::super::contract::{self, Place};
use super::super::{History, stream};
use super::*;
use ledger_core::log::Log;

#[async_trait]
impl Place for SimulatedLog {
    async fn open(&self) -> Log {
        Arc::new(self.reopen()).into()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulated_log_keeps_the_contract() {
    contract::holds(async || SimulatedLog::new()).await;
}

/// Appends one event under this fault; tells how it ended and where the log stands after it.
async fn append_with(fault: Fault) -> (SimulatedLog, Result<(), AppendError>, usize) {
    let log = SimulatedLog::new();
    let term = log.lease("test", None).await.unwrap().term;
    log.faults().push(fault);
    let mut history = History::default();
    let event = history.keyed(&stream("a"), 1);
    let result = log.append(&history.batch(term, vec![event])).await;
    let landed = log.events().len();
    (log, result, landed)
}

#[tokio::test]
async fn each_fault_ends_and_lands_as_it_says() {
    let moment = std::time::Duration::from_millis(1);
    for (fault, unknown, landed, alive) in [
        (Fault::FailBeforeCommit, true, 0, true),
        (Fault::FailAfterCommit, true, 1, true),
        (Fault::LandLate, true, 0, true),
        (Fault::Delay(moment), false, 1, true),
        (Fault::LoseReply(moment), true, 1, true),
        (Fault::CrashBeforeCommit, true, 0, false),
        (Fault::CrashAfterCommit, true, 1, false),
    ] {
        let (log, result, found) = append_with(fault).await;
        assert_eq!(matches!(result, Err(AppendError::Unknown(_))), unknown, "{fault:?}");
        assert_eq!(result.is_ok(), !unknown, "{fault:?}");
        assert_eq!(found, landed, "{fault:?}");
        assert_eq!(log.head().await.is_ok(), alive, "{fault:?}");
        assert!(log.reopen().head().await.is_ok(), "a new process finds the data: {fault:?}");
    }
}

#[tokio::test]
async fn a_fenced_writer_has_written_nothing() {
    let (log, result, landed) = append_with(Fault::Fence).await;
    assert!(matches!(result, Err(AppendError::Fenced)));
    assert_eq!(landed, 0);
    assert!(matches!(log.lease("test", Some(1)).await, Err(LogError::Fenced)));
}

#[tokio::test]
async fn a_late_append_lands_before_the_next_lease_or_never() {
    let (log, _, _) = append_with(Fault::LandLate).await;
    assert_eq!(log.head().await.unwrap().position, Position(0));
    assert_eq!(log.lease("test", Some(1)).await.unwrap().position, Position(1));
    assert_eq!(log.lease("test", None).await.unwrap().position, Position(1));
}

#[tokio::test]
async fn a_dead_handle_stays_dead() {
    let (log, _, _) = append_with(Fault::CrashAfterCommit).await;
    assert!(log.lease("test", None).await.is_err());
    assert!(log.read_after(Position(0), 1).await.is_err());
    assert!(log.find_transactions(&[]).await.is_err());
    assert_eq!(log.reopen().read_after(Position(0), 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn faults_come_in_order_and_pass() {
    let log = SimulatedLog::new();
    let term = log.lease("test", None).await.unwrap().term;
    log.faults().after(2, Fault::FailBeforeCommit);
    let mut history = History::default();
    let mut endings = Vec::new();
    for _ in 0..4 {
        let mut next = history.clone();
        let event = next.event(&stream("a"));
        let ok = log.append(&next.batch(term, vec![event])).await.is_ok();
        endings.push(ok);
        if ok {
            history = next;
        }
    }
    assert_eq!(endings, [true, true, false, true]);
}

#[tokio::test]
async fn keys_leases_and_reads_fail_as_often_as_told() {
    let (log, _, _) = append_with(Fault::Delay(std::time::Duration::ZERO)).await;
    let keys = [TransactionKey(1_u128.to_be_bytes())];
    log.faults().forget_keys(1);
    assert_eq!(log.find_transactions(&keys).await.unwrap().len(), 0);
    assert_eq!(log.find_transactions(&keys).await.unwrap().len(), 1);

    log.faults().fail_leases(2);
    for _ in 0..2 {
        assert!(log.lease("test", None).await.is_err_and(|e| e.transient()));
    }
    assert!(log.lease("test", None).await.is_ok());

    log.faults().fail_reads(1);
    assert!(log.head().await.is_err_and(|e| e.transient()));
    assert!(log.head().await.is_ok());
}
