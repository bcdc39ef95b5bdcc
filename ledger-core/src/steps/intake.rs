//! Intake: from raw rows to durable answers. Parse, refuse what is malformed, seal the details, give the rest
//! to the ledger; one bad row never takes its neighbours along.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::{Context, Ledger, Receipt, SubmitError};
use crate::ids::Source;
use crate::time::Clock;
use crate::transaction::RowError;

/// The sources a feed may write for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sources {
    /// Every source.
    All,
    /// These only.
    Only(BTreeSet<Source>),
}

/// The answer to one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowAnswer {
    /// The row's `transaction_id`, where it has a valid one.
    pub transaction_id: Option<String>,
    /// What became of it.
    pub outcome: Result<Receipt, RowError>,
}

/// Takes rows in; clones share one ledger.
#[derive(Clone)]
pub struct Intake {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
}

impl Intake {
    /// Takes rows of at most one request and answers each, in order, once all are durable.
    pub async fn take(
        &self,
        rows: &[&[u8]],
        sources: &Sources,
        context: Context,
    ) -> Result<Vec<RowAnswer>, SubmitError> {
        let _ = (rows, sources, context, &self.ledger, &self.clock);
        todo!()
    }
}
