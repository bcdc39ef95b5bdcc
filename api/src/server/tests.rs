//! Clients that do harm: by silence, by slowness, by number. Real sockets, short times.

use std::io::{Read as _, Write as _};
use std::net::TcpStream as Socket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};

use super::*;
use crate::health;

const SHORT: Duration = Duration::from_millis(300);

fn limits() -> Limits {
    Limits { connections_max: 8, header: SHORT, idle: SHORT, write: SHORT }
}

fn routes() -> Router {
    crate::observed(
        Router::new()
            .route("/", get(async || "hello"))
            .route("/slow", get(async || tokio::time::sleep(Duration::from_secs(3)).await))
            .route("/large", get(async || vec![b'x'; 64 * 1024 * 1024]))
            .route("/length", post(async |body: axum::body::Bytes| body.len().to_string()))
            .route("/blocks", get(async || std::thread::sleep(Duration::from_secs(3))))
            .route("/healthz", get(health::alive))
            .route("/readyz", get(async || (StatusCode::SERVICE_UNAVAILABLE, "{}"))),
        &crate::cors::Origins::default(),
    )
}

fn served(limits: Limits, test: impl FnOnce(&Server)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Server::start(listener, routes(), Arc::new(|| "a_metric 1\n".into()), limits).unwrap()
    });
    test(&server);
    drop(server);
    runtime.shutdown_background();
}

fn connect(server: &Server) -> Socket {
    let socket = Socket::connect(server.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// Sends a request and reads until the connection is closed.
fn ask(server: &Server, request: &str) -> String {
    let mut socket = connect(server);
    socket.write_all(request.as_bytes()).unwrap();
    read_all(socket)
}

fn read_all(mut socket: Socket) -> String {
    let mut answer = Vec::new();
    // A reset says as well that it was closed.
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn closing(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

/// Health in less than a second.
fn assert_healthy(server: &Server) {
    for (path, expected) in
        [("/healthz", "HTTP/1.1 200"), ("/readyz", "HTTP/1.1 503"), ("/metrics", "HTTP/1.1 200")]
    {
        let began = Instant::now();
        let answer = ask(server, &closing(path));
        assert!(answer.starts_with(expected), "{path}: {answer}");
        assert!(answer.contains("x-request-id: ") && answer.contains("nosniff"), "{answer}");
        assert!(began.elapsed() < Duration::from_secs(1), "{path} took {:?}", began.elapsed());
    }
}

/// How many of these the other side has not closed.
fn still_open(sockets: &[Socket]) -> usize {
    let is_open = |socket: &&Socket| {
        socket.set_nonblocking(true).unwrap();
        let read = socket.peek(&mut [0]);
        socket.set_nonblocking(false).unwrap();
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    sockets.iter().filter(is_open).count()
}

/// How long until the other side closes.
fn closed_after(socket: Socket) -> Duration {
    let began = Instant::now();
    read_all(socket);
    began.elapsed()
}

#[test]
fn requests_are_served_one_after_another_on_one_connection() {
    served(limits(), |server| {
        let mut socket = connect(server);
        let body = "x".repeat(100_000);
        let length = format!("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{body}");
        socket
            .write_all(format!("GET / HTTP/1.1\r\nhost: x\r\n\r\n{length}{}", closing("/healthz")).as_bytes())
            .unwrap();
        let answers = read_all(socket);
        assert_eq!(answers.matches("HTTP/1.1 200").count(), 3, "{answers}");
        assert!(
            answers.contains("hello") && answers.contains("100000") && answers.ends_with("ok"),
            "{answers}"
        );
    });
}

#[test]
fn a_head_that_comes_in_pieces_is_put_together() {
    served(limits(), |server| {
        for (request, expected) in [(closing("/"), "hello"), (closing("/healthz"), "ok")] {
            let mut socket = connect(server);
            for piece in request.as_bytes().chunks(7) {
                socket.write_all(piece).unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
            let answer = read_all(socket);
            assert!(answer.ends_with(expected), "{answer}");
        }
        // Line ends without a carriage return are no reason to wait for ever.
        assert!(ask(server, "GET / HTTP/1.1\nhost: x\nconnection: close\n\n").ends_with("hello"));
    });
}

#[test]
fn a_head_is_too_long_only_beyond_the_limit() {
    served(limits(), |server| {
        let with = |bytes: usize| {
            let head = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-long: \r\n\r\n";
            head.replace("x-long: ", &format!("x-long: {}", "x".repeat(bytes - head.len())))
        };
        for bytes in [HEAD_BYTES_MAX - 1, HEAD_BYTES_MAX] {
            assert!(ask(server, &with(bytes)).starts_with("HTTP/1.1 200"), "{bytes}");
        }
        assert!(ask(server, &with(HEAD_BYTES_MAX + 1)).starts_with("HTTP/1.1 431"));
    });
}

#[test]
fn a_connection_that_says_nothing_or_half_of_something_is_let_go() {
    served(limits(), |server| {
        let silent = connect(server);
        let mut half = connect(server);
        half.write_all(b"GET / HTTP/1.1\r\nhost: ").unwrap();
        let mut done = connect(server);
        done.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut half_again = connect(server);
        half_again.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HT").unwrap();
        for socket in [silent, half, done, half_again] {
            let after = closed_after(socket);
            assert!(after < 10 * SHORT, "{after:?}");
        }
    });
}

#[test]
fn a_head_that_trickles_is_let_go() {
    served(limits(), |server| {
        let mut socket = connect(server);
        let began = Instant::now();
        let mut bytes = b"GET / HTTP/1.1\r\n".iter().chain(std::iter::repeat(&b'x'));
        while socket.write_all(&[*bytes.next().unwrap()]).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
            assert!(began.elapsed() < 10 * SHORT, "it may go on for ever");
        }
    });
}

#[test]
fn a_client_that_does_not_read_its_answer_is_let_go() {
    served(limits(), |server| {
        let mut unread = connect(server);
        unread.write_all(closing("/large").as_bytes()).unwrap();
        // One that reads a little now and then is no better.
        let mut slow = connect(server);
        slow.write_all(closing("/large").as_bytes()).unwrap();
        let began = Instant::now();
        let mut some = [0; 1024];
        while server.shared.room.available_permits() < limits().connections_max || began.elapsed() < SHORT {
            let _ = slow.read(&mut some);
            std::thread::sleep(Duration::from_millis(10));
            assert!(began.elapsed() < 20 * SHORT, "its answer is kept");
        }
        let read = read_all(unread).len() + read_all(slow).len();
        assert!(read < 128 * 1024 * 1024, "{read}");
    });
}

#[test]
fn beyond_the_bound_callers_are_told_to_come_back_and_health_is_answered() {
    served(Limits { header: Duration::from_mins(1), idle: Duration::from_mins(1), ..limits() }, |server| {
        // Those whom the service works for, as many as there may be.
        let mut kept = Vec::new();
        for n in 0..limits().connections_max {
            let mut socket = connect(server);
            socket.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            kept.push(socket);
            let began = Instant::now();
            while server.shared.room.available_permits() > limits().connections_max - 1 - n {
                assert!(began.elapsed() < Duration::from_secs(5));
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        assert_healthy(server);
        let answer = ask(server, &closing("/"));
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
        // Somebody who is still sending hears it too.
        let body = "x".repeat(5_000_000);
        let post = format!("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n{body}");
        let answer = ask(server, &post);
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        drop(kept);
        let began = Instant::now();
        while !ask(server, &closing("/")).ends_with("hello") {
            assert!(began.elapsed() < Duration::from_secs(10), "it does not pass");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
}

#[test]
fn a_crowd_of_silent_connections_keeps_nobody_out() {
    let patient = Limits { header: Duration::from_mins(1), idle: Duration::from_mins(1), ..limits() };
    served(patient, |server| {
        let crowd: Vec<Socket> = (0..300).map(|_| connect(server)).collect();
        assert_healthy(server);
        let began = Instant::now();
        while still_open(&crowd) > limits().connections_max {
            assert!(began.elapsed() < Duration::from_secs(5), "all of them may stay");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(ask(server, &closing("/")).ends_with("hello"));
        let mut halves: Vec<Socket> = (0..300).map(|_| connect(server)).collect();
        for half in &mut halves {
            // Some have been closed by now.
            let _ = half.write_all(b"GET / HTTP/1.1\r\nhost: ");
        }
        assert_healthy(server);
        assert!(ask(server, &closing("/")).ends_with("hello"));
        drop((crowd, halves));
    });
}

#[test]
fn health_is_answered_while_the_service_runs_no_task() {
    served(limits(), |server| {
        // The one thread of its runtime.
        let mut socket = connect(server);
        socket.write_all(closing("/blocks").as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let began = Instant::now();
        assert!(ask(server, &closing("/healthz")).starts_with("HTTP/1.1 200"));
        assert!(ask(server, &closing("/metrics")).ends_with("a_metric 1\n"));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        // Many who ask at once wait no longer than one.
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let began = Instant::now();
                    let answer = ask(server, &closing("/readyz"));
                    assert!(answer.contains("the service does not answer"), "{answer}");
                    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
                });
            }
        });
    });
}

#[test]
fn a_stop_ends_in_bounded_time_whatever_clients_do() {
    let patient = Limits { header: Duration::from_mins(1), idle: Duration::from_mins(1), ..limits() };
    served(patient, |server| {
        let idle = connect(server);
        let mut kept = connect(server);
        kept.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut slow = connect(server);
        slow.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let began = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { server.stop(tokio::time::Instant::now() + SHORT).await });
        assert!(began.elapsed() < 5 * SHORT, "{:?}", began.elapsed());
        // Still there for those who watch, and for nobody else.
        assert!(ask(server, &closing("/healthz")).starts_with("HTTP/1.1 200"));
        assert!(ask(server, &closing("/")).starts_with("HTTP/1.1 503"));
        assert!(read_all(kept).ends_with("hello"), "the answer was read before it was closed");
        assert_eq!(read_all(slow), "");
        drop(idle);
    });
}

#[test]
fn as_many_connections_are_taken_as_descriptors_are_left() {
    let wanted = Limits::default();
    assert_eq!(wanted.within(usize::MAX), wanted);
    for descriptors in [0, 1, 40, 160, 1_000, 5_000, 6_000] {
        let limits = wanted.within(descriptors);
        assert!(limits.descriptors() <= descriptors.max(16), "{descriptors}: {limits:?}");
        assert!(limits.connections_max >= Limits::CONNECTIONS_MIN);
    }
}
