//! Our `cqrs_es::EventStore`: a handle on the writer's memory that stages into the batch.
//!
//! `load_aggregate` takes the slot out of the cache, since an `AggregateContext` has no lifetime
//! and must own it; `commit` stages the events and puts it back; dropping the context after a
//! rejection puts it back unchanged. `commit` returns no envelopes, so that nothing is dispatched
//! before the append.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use compact_str::CompactString;
use cqrs_es::{AggregateContext, AggregateError, EventEnvelope, EventStore};

use super::core::Core;
use super::slot::Slot;
use super::slots::Listed;

/// The writer's memory, shared between the loop and the frameworks it drives on the same thread.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Core>>);

impl Shared {
    pub(super) fn new(core: Core) -> Shared {
        Shared(Arc::new(Mutex::new(core)))
    }

    /// The memory. A panic while it was held is followed by dropping all of it.
    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        self.0.lock()
    }
}

/// The store for one kind of aggregate.
pub(super) struct Store<A> {
    shared: Shared,
    aggregate: PhantomData<fn() -> A>,
}

impl<A> Store<A> {
    pub(super) fn new(shared: Shared) -> Store<A> {
        Store { shared, aggregate: PhantomData }
    }
}

/// The loop has not read this aggregate before deciding on it.
#[derive(Debug, thiserror::Error)]
#[error("the aggregate was not hydrated")]
struct NotHydrated;

/// Owns the slot while a command runs.
pub(super) struct Context<A: Listed> {
    id: CompactString,
    slot: Option<Slot<A>>,
    shared: Shared,
}

impl<A: Listed> AggregateContext<A> for Context<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.slot.as_mut().expect("owned until commit").state
    }
}

impl<A: Listed> Drop for Context<A> {
    fn drop(&mut self) {
        // Committed, or a panic on the way: then the state is in doubt and is read again.
        let Some(slot) = self.slot.take() else { return };
        if !std::thread::panicking() {
            A::slots(&mut self.shared.lock().aggregates).insert(std::mem::take(&mut self.id), slot);
        }
    }
}

impl<A: Listed> EventStore<A> for Store<A> {
    type AC = Context<A>;

    /// The engine hydrates before it decides; nobody replays through the framework.
    async fn load_events(&self, _: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        Ok(vec![])
    }

    async fn load_aggregate(&self, id: &str) -> Result<Context<A>, AggregateError<A::Error>> {
        // An aggregate that is not in memory is not a new one: deciding on it would fork its
        // stream.
        let slot = A::slots(&mut self.shared.lock().aggregates)
            .remove(id)
            .ok_or_else(|| AggregateError::UnexpectedError(Box::new(NotHydrated)))?;
        Ok(Context { id: id.into(), slot: Some(slot), shared: self.shared.clone() })
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        mut context: Context<A>,
        _: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let mut slot = context.slot.take().expect("owned until commit");
        let mut core = self.shared.lock();
        let id = std::mem::take(&mut context.id);
        core.stage(&id, &events, &mut slot).map_err(|e| AggregateError::UnexpectedError(Box::new(e)))?;
        A::slots(&mut core.aggregates).insert(id, slot);
        Ok(vec![])
    }
}
