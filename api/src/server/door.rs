//! Where connections come in: on a thread of its own, so that what the service does cannot keep
//! anybody out.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ledger_core::faults;
use parking_lot::{Mutex, MutexGuard};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tower::ServiceExt as _;

use super::health::Health;
use super::stream::Client;
use super::{Limits, Phase, Shared, serve};

/// How long the door waits when the system gives it no connection, for want of descriptors or
/// memory.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// How long an answer at the door may take, reading what was sent included.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// So much of a request's head is read at the door; longer ones are the service's.
const HEAD_READ_MAX: usize = 16 * 1024;
/// What is answered at the door.
const HEALTH: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

struct Door {
    shared: Arc<Shared>,
    service: Handle,
    limits: Limits,
    /// Answers at the door.
    routes: Router,
    /// A permit for each connection that is answered there.
    answering: Semaphore,
    /// Who has come and not yet said what he wants; the oldest first.
    arrivals: Mutex<BTreeMap<u64, AbortHandle>>,
}

/// Starts the thread, which ends when the server is closed.
pub(super) fn open(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    health: &Arc<Health>,
    limits: Limits,
    service: Handle,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let door = Arc::new(Door {
        shared,
        service,
        limits,
        routes: health.router(),
        answering: Semaphore::new(limits.door_max()),
        arrivals: Mutex::default(),
    });
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener)?
    };
    std::thread::Builder::new().name("door".into()).spawn(move || {
        runtime.block_on(door.accept(listener));
        // Whoever still stands at the door is let go with it.
        runtime.shutdown_background();
    })?;
    Ok(())
}

impl Door {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut phase = self.shared.phase.subscribe();
        let mut next = 0_u64;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = phase.wait_for(|_| self.shared.closed.load(Ordering::Acquire)) => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    self.let_in(next, stream);
                    next += 1;
                }
                // That client only.
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    faults::warn("no connection can be accepted just now", "", &error);
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    // Whoever still says nothing may have what is missing: a descriptor.
                    self.let_go_oldest();
                }
            }
        }
    }

    /// Hears what a connection wants. Where too many have not said so, the oldest of them goes.
    fn let_in(self: &Arc<Self>, id: u64, stream: TcpStream) {
        let room = self.shared.room.available_permits().max(self.limits.door_max());
        let mut arrivals = self.arrivals();
        let task = tokio::spawn(Arc::clone(self).hear(id, stream));
        arrivals.insert(id, task.abort_handle());
        let crowded = arrivals.len() > room;
        drop(arrivals);
        if crowded {
            self.let_go_oldest();
        }
    }

    fn let_go_oldest(&self) {
        if let Some((_, oldest)) = self.arrivals().pop_first() {
            metrics::counter!("rewardhub_http_connections_closed_total", "reason" => "idle").increment(1);
            oldest.abort();
        }
    }

    async fn hear(self: Arc<Self>, id: u64, stream: TcpStream) {
        let head = tokio::time::timeout(self.limits.header, read_head(&stream)).await;
        self.arrivals().remove(&id);
        match head {
            Ok(Ok(Some(head))) => self.send_on(stream, head).await,
            // It has closed the connection, or lost it.
            Ok(_) => {}
            Err(_) => {
                metrics::counter!("rewardhub_http_connections_closed_total", "reason" => "no request")
                    .increment(1);
            }
        }
    }

    async fn send_on(&self, stream: TcpStream, head: Vec<u8>) {
        if !is_about_health(&head)
            && *self.shared.phase.borrow() == Phase::Serving
            && let Ok(permit) = Arc::clone(&self.shared.room).try_acquire_owned()
        {
            if let Ok(stream) = stream.into_std() {
                self.service.spawn(serve(Arc::clone(&self.shared), stream, head, self.limits, permit));
            }
            return;
        }
        // Beyond this bound nobody is told anything.
        let Ok(_permit) = self.answering.try_acquire() else { return };
        let client = TokioIo::new(Client::new(stream, head, ANSWER_WITHIN));
        let routes = self.routes.clone().map_request(|request: Request<Incoming>| request.map(Body::new));
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).keep_alive(false);
        let answered = server.serve_connection(client, TowerToHyperService::new(routes));
        // What goes wrong with a connection is its client's to know.
        let _ = tokio::time::timeout(ANSWER_WITHIN, answered).await;
    }

    /// Nothing is left half done under this lock.
    fn arrivals(&self) -> MutexGuard<'_, BTreeMap<u64, AbortHandle>> {
        self.arrivals.lock()
    }
}

/// Whether only the connection that was to be accepted is gone.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// The head of the first request, with what came along with it; `None` if there is none.
async fn read_head(stream: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    loop {
        stream.readable().await?;
        // On the stack, since many wait here with nothing to read.
        let mut part = [0; 4096];
        let read = match stream.try_read(&mut part) {
            Ok(0) => return Ok(None),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        let unseen = head.len().saturating_sub(3);
        head.extend_from_slice(&part[..read]);
        if ends(&head[unseen..]) || head.len() >= HEAD_READ_MAX {
            return Ok(Some(head));
        }
    }
}

/// Whether there is an empty line. Whatever it really is, the service will see the same bytes.
fn ends(head: &[u8]) -> bool {
    head.windows(2).any(|two| two == b"\n\n") || head.windows(3).any(|three| three == b"\n\r\n")
}

/// Whether the request line asks how we are.
fn is_about_health(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(b"GET" | b"HEAD"), Some(target)) = (words.next(), words.next()) else { return false };
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    HEALTH.iter().any(|known| known.as_bytes() == path)
}
