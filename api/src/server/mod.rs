//! The HTTP server: who is let in, how long anything may take, and answers about health whatever
//! else happens.
//!
//! Connections come in at the [door]: a thread with a runtime of its own, which no work of the
//! service can keep busy. It reads the head of a connection's first request, for a bounded time. A
//! question about health is answered there; everything else goes on to the service as long as there
//! is room, and is told to come back when there is none. Every connection is let go that says
//! nothing, stops in the middle or does not read its answer.

mod door;
mod health;
mod stream;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tower::ServiceExt as _;

use self::stream::Client;
use crate::front::RenderMetrics;

/// What one server bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections that the service works for at once. More are told to come back.
    pub connections_max: usize,
    /// How long the head of a connection's first request may take.
    pub header: Duration,
    /// How long a connection may be without a further request, or with the head of one that is not
    /// whole.
    pub idle: Duration,
    /// How long a client may take to read an answer.
    pub write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_max: 4_096,
            header: Duration::from_secs(10),
            // Longer than proxies keep a connection: who closes second loses no request.
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Nobody is served by fewer connections.
    pub const CONNECTIONS_MIN: usize = 8;

    /// The most files that connections take, those at the door included.
    pub fn descriptors(&self) -> usize {
        self.connections_max + 2 * self.door_max()
    }

    /// As many connections as fit into so many files, at least a few.
    #[must_use]
    pub fn within(self, descriptors: usize) -> Limits {
        // A quarter more stands at the door.
        let fitting = (descriptors / 5 * 4).max(Limits::CONNECTIONS_MIN);
        Limits { connections_max: self.connections_max.min(fitting), ..self }
    }

    /// Connections that may say what they want, and as many that may be answered at the door,
    /// whatever the rest does.
    fn door_max(&self) -> usize {
        (self.connections_max / 8).clamp(4, 128)
    }
}

/// What a server does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Phase {
    Serving,
    /// No more requests; those under way go on.
    Stopping,
    /// Nothing goes on.
    Cut,
}

/// A running server; ends when dropped.
pub struct Server {
    address: SocketAddr,
    limits: Limits,
    shared: Arc<Shared>,
}

/// What the door and the connections know of each other.
struct Shared {
    routes: Router,
    /// A permit for each connection that the service works for.
    room: Arc<Semaphore>,
    phase: watch::Sender<Phase>,
    closed: AtomicBool,
}

impl Server {
    /// Serves `routes` on the runtime this is called in, until it is dropped.
    pub fn start(
        listener: TcpListener,
        routes: Router,
        render_metrics: RenderMetrics,
        limits: Limits,
    ) -> io::Result<Server> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            routes,
            room: Arc::new(Semaphore::new(limits.connections_max)),
            phase: watch::Sender::new(Phase::Serving),
            closed: AtomicBool::new(false),
        });
        let health = health::Health::start(shared.routes.clone(), render_metrics, &Handle::current());
        door::open(listener.into_std()?, Arc::clone(&shared), &health, limits, Handle::current())?;
        Ok(Server { address, limits, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and lets those under way finish until the deadline. Health is
    /// answered on.
    pub async fn stop(&self, deadline: Instant) {
        self.shared.phase.send_replace(Phase::Stopping);
        let all = u32::try_from(self.limits.connections_max).unwrap_or(u32::MAX);
        if tokio::time::timeout_at(deadline, self.shared.room.acquire_many(all)).await.is_err() {
            // A client that holds its connection open does not hold us.
            self.shared.phase.send_replace(Phase::Cut);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.phase.send_replace(Phase::Cut);
    }
}

/// Serves one connection on the service's runtime. `head` has been read from it already.
async fn serve(
    shared: Arc<Shared>,
    stream: std::net::TcpStream,
    head: Vec<u8>,
    limits: Limits,
    permit: OwnedSemaphorePermit,
) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    metrics::gauge!("rewardhub_http_connections").increment(1);
    let mut phase = shared.phase.subscribe();
    let client = TokioIo::new(Client::new(stream, head, limits.write));
    let service = TowerToHyperService::new(
        shared.routes.clone().map_request(|request: Request<Incoming>| request.map(Body::new)),
    );
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.idle).max_header_size(HEAD_BYTES_MAX);
    let mut connection = std::pin::pin!(server.serve_connection(client, service));
    // What goes wrong with a connection is its client's to know.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = reached(&mut phase, Phase::Stopping) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                _ = connection => {}
                () = reached(&mut phase, Phase::Cut) => {}
            }
        }
    }
    metrics::gauge!("rewardhub_http_connections").decrement(1);
    drop(permit);
}

async fn reached(phase: &mut watch::Receiver<Phase>, at: Phase) {
    // An error means that the server is gone, and with it everything it served.
    let _ = phase.wait_for(|phase| *phase >= at).await;
}

/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The answer of routes that cannot fail.
fn answered<T>(answer: Result<T, Infallible>) -> T {
    match answer {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests;
