//! A few connections for readers, each lent to one at a time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a reader waits for a connection.
const WAIT: Duration = Duration::from_secs(5);

/// All connections are in use, and have been for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all connections for readers are in use")]
pub struct Busy;

/// The connections. Once opened they are kept: later there may be no descriptor left.
pub struct Pool<C> {
    slots: Mutex<Slots<C>>,
    returned: Condvar,
    /// One for each connection: who waits for his turn keeps no thread.
    turns: Arc<Semaphore>,
}

struct Slots<C> {
    idle: Vec<C>,
    /// How many more may be opened.
    unopened: usize,
}

impl<C> Pool<C> {
    /// At most `max` of them, at least one: those that can be had now, the others when they are
    /// needed.
    pub fn new(max: usize, now: impl Fn() -> Option<C>) -> Pool<C> {
        let max = max.max(1);
        let idle: Vec<C> = (0..max).map_while(|_| now()).collect();
        let slots = Mutex::new(Slots { unopened: max - idle.len(), idle });
        Pool { slots, returned: Condvar::new(), turns: Arc::new(Semaphore::new(max)) }
    }

    /// Waits without a thread until a connection is free for who has this turn.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit, Busy> {
        let turn = tokio::time::timeout(WAIT, Arc::clone(&self.turns).acquire_owned()).await;
        turn.map_err(|_| Busy)?.map_err(|_| Busy)
    }

    /// Runs `query` on a connection of its own, one that is `usable` or was opened for it. Blocks
    /// while all are in use, but not for ever.
    pub fn with<T, E>(
        &self,
        usable: impl FnOnce(&C) -> bool,
        open: impl FnOnce() -> Result<C, E>,
        busy: impl FnOnce(Busy) -> E,
        query: impl FnOnce(&C) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = self.take().map_err(busy)?;
        let mut loan = Loan { pool: self, connection: None };
        let connection = match idle.filter(usable) {
            Some(idle) => idle,
            None => open()?,
        };
        query(loan.connection.insert(connection))
    }

    /// An idle connection, or `None` for the right to open one more.
    fn take(&self) -> Result<Option<C>, Busy> {
        let none = |slots: &mut Slots<C>| slots.idle.is_empty() && slots.unopened == 0;
        let mut slots = self.slots.lock();
        self.returned.wait_while_for(&mut slots, none, WAIT);
        // One may have come back at the very end of the wait.
        if none(&mut slots) {
            return Err(Busy);
        }
        let idle = slots.idle.pop();
        slots.unopened -= usize::from(idle.is_none());
        Ok(idle)
    }
}

/// Gives the slot back whatever happens: to be used again, or, if opening failed, to be opened
/// again.
struct Loan<'p, C> {
    pool: &'p Pool<C>,
    connection: Option<C>,
}

impl<C> Drop for Loan<'_, C> {
    fn drop(&mut self) {
        let mut slots = self.pool.slots.lock();
        match self.connection.take() {
            Some(connection) => slots.idle.push(connection),
            None => slots.unopened += 1,
        }
        self.pool.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_lent_again_after_a_failed_query_or_a_failed_opening() {
        let pool: Pool<u8> = Pool::new(2, || None);
        for _ in 0..6 {
            assert_eq!(pool.with(|_| true, || Ok(1), |busy| busy, |_| Err::<(), _>(Busy)), Err(Busy));
            assert_eq!(pool.with(|_| false, || Err(Busy), |busy| busy, |_| Ok(())), Err(Busy));
        }
        let slots = pool.slots.lock();
        assert_eq!(slots.idle.len() + slots.unopened, 2);
    }
}
