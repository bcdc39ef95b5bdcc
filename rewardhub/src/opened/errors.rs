//! What an error says about the database: out of reach for the moment, or another process's.

use ledger_core::keys::SealError;
use ledger_core::log::LogError;
use projections::ProjectionError;
use stores::postgres::PostgresFault;
use stores::sqlite::cannot_open;

/// Whether the same may work later without anybody doing anything: the database is out of reach.
pub fn out_of_reach(error: &anyhow::Error) -> bool {
    !error.chain().any(cannot_open)
        && error.chain().any(|cause| {
            cause.downcast_ref::<PostgresFault>().is_some_and(PostgresFault::transient)
                || cause.downcast_ref::<LogError>().is_some_and(LogError::transient)
                || cause.downcast_ref::<SealError>().is_some_and(SealError::transient)
                || cause.downcast_ref::<ProjectionError>().is_some_and(ProjectionError::transient)
        })
}

/// Who has the log, if that is what is wrong.
pub fn held_by(error: &anyhow::Error) -> Option<&str> {
    error.chain().find_map(|cause| match cause.downcast_ref::<LogError>() {
        Some(LogError::Held { holder }) => Some(holder.as_str()),
        _ => None,
    })
}
