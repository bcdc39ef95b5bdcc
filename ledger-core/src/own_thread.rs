//! Threads of our own, for what runs as long as the ledger does: the writer, its appends, its
//! snapshots, the read models. They alone wait for futures. A task that did would hold one of the
//! runtime's threads while it waits for another; with as many tasks as threads, nothing would ever
//! move again.

use tokio::runtime::Handle;

/// Waits for `work` on this thread, which `runtime` helps along. Panics on a thread of a runtime.
pub fn block_on<T>(runtime: &Handle, work: impl Future<Output = T>) -> T {
    #[expect(clippy::disallowed_methods, reason = "the one place; called on threads of our own")]
    runtime.block_on(work)
}
