//! How many bytes of bodies may be held at once, by all requests that bring transactions: each may
//! bring 5 MiB, and what is made of a body takes several times as much.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use ledger_core::engine::show_memory;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::intake::read_parts;
use crate::problem::Problem;

/// Room for bodies. Clones share it.
#[derive(Clone)]
pub struct Bodies {
    room: Arc<Semaphore>,
    max: usize,
}

/// A body, and its room until it is dropped.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Room for so many bytes.
    pub fn new(bytes_max: usize) -> Bodies {
        let max = bytes_max.min(Semaphore::MAX_PERMITS);
        Bodies { room: Arc::new(Semaphore::new(max)), max }
    }

    /// Reads a whole body of at most `bytes_max`. Room is taken as bytes come, so that who only
    /// announces many takes none; without room the request is refused.
    pub(crate) async fn read(&self, request: Request, bytes_max: usize) -> Result<Held, Problem> {
        let mut held: Option<OwnedSemaphorePermit> = None;
        let bytes = read_parts(request, bytes_max, |count| {
            let count = u32::try_from(count).map_err(|_| full())?;
            let more = Arc::clone(&self.room).try_acquire_many_owned(count).map_err(|_| full())?;
            match &mut held {
                Some(held) => held.merge(more),
                None => held = Some(more),
            }
            show_memory("bodies", self.max - self.room.available_permits(), self.max);
            Ok(())
        })
        .await?;
        Ok(Held { bytes, _room: held })
    }
}

fn full() -> Problem {
    let why = "too many bytes of other requests are being worked on; nothing of this request was taken";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, why).retry_after(1)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::response::IntoResponse as _;

    use super::*;

    async fn read(bodies: &Bodies, bytes: usize) -> Result<Held, StatusCode> {
        let request = Request::new(Body::from(vec![b' '; bytes]));
        bodies.read(request, 1_000).await.map_err(|problem| problem.into_response().status())
    }

    #[tokio::test]
    async fn bodies_together_take_no_more_than_their_room_and_give_it_back() {
        let bodies = Bodies::new(1_500);
        let first = read(&bodies, 1_000).await.ok();
        assert!(read(&bodies, 500).await.is_ok(), "just fits");
        assert_eq!(read(&bodies, 501).await.err(), Some(StatusCode::TOO_MANY_REQUESTS));
        drop(first);
        assert!(read(&bodies, 1_000).await.is_ok());
        assert_eq!(read(&bodies, 1_001).await.err(), Some(StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(bodies.room.available_permits(), 1_500, "whatever became of them");
    }
}
