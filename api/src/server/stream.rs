//! One client's connection: what was read from it at the door comes first, and it has to read what
//! is written to it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// A connection whose writes are bounded in time.
pub(super) struct Client {
    stream: TcpStream,
    head: Vec<u8>,
    /// How much of `head` has been handed on.
    read: usize,
    patience: Duration,
    /// Since when the client has not read all that was there for it; ends with `patience`.
    unread: Option<Pin<Box<Sleep>>>,
}

impl Client {
    pub(super) fn new(stream: TcpStream, head: Vec<u8>, patience: Duration) -> Client {
        Client { stream, head, read: 0, patience, unread: None }
    }

    /// A write's outcome, or an error once the client has been slow for too long. A client that
    /// reads a little now and then gains nothing: the time runs until all has been written.
    fn bounded<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        let patience = self.patience;
        let unread = self.unread.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        unread.as_mut().poll(context).map(|()| {
            metrics::counter!("rewardhub_http_connections_closed_total", "reason" => "answer not read")
                .increment(1);
            Err(io::ErrorKind::TimedOut.into())
        })
    }
}

impl AsyncRead for Client {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let client = self.get_mut();
        let rest = &client.head[client.read..];
        if rest.is_empty() {
            return Pin::new(&mut client.stream).poll_read(context, buffer);
        }
        let part = &rest[..rest.len().min(buffer.remaining())];
        buffer.put_slice(part);
        client.read += part.len();
        if client.read == client.head.len() {
            (client.head, client.read) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let client = self.get_mut();
        let written = Pin::new(&mut client.stream).poll_write(context, bytes);
        client.bounded(written, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let client = self.get_mut();
        let written = Pin::new(&mut client.stream).poll_write_vectored(context, parts);
        client.bounded(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called once everything that was there has been written.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let client = self.get_mut();
        client.unread = None;
        Pin::new(&mut client.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
