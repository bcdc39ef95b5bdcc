//! The one way to read what is longer than a page: the log, or a stream of it, to its end.

use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _, iter, try_unfold};

use super::{EventLog, LogError, Position, StoredEvent, StreamId};

/// Events read at a time: some 10 MB of the log, and far less of a stream, which is mostly shorter.
const OF_LOG: usize = 10_000;
const OF_STREAM: usize = 2_000;

/// The events of the log, or of one stream, after a position, up to the end that there is when the
/// last page is read. An error ends it. No more than a page is held at once.
pub fn follow<'a>(
    log: &'a dyn EventLog,
    stream: Option<&'a StreamId>,
    after: Position,
) -> BoxStream<'a, Result<StoredEvent, LogError>> {
    pages(log, stream, after).map_ok(|page| iter(page.into_iter().map(Ok))).try_flatten().boxed()
}

/// The same page by page, for who has something to look up for a whole page. No page is empty.
pub fn pages<'a>(
    log: &'a dyn EventLog,
    stream: Option<&'a StreamId>,
    after: Position,
) -> BoxStream<'a, Result<Vec<StoredEvent>, LogError>> {
    let next = move |after: Option<Position>| async move {
        let Some(after) = after else { return Ok(None) };
        let (page, limit) = match stream {
            Some(stream) => (log.read_stream_after(stream, after, OF_STREAM).await?, OF_STREAM),
            None => (log.read_after(after, OF_LOG).await?, OF_LOG),
        };
        let last = page.last().map(|stored| stored.position);
        Ok(last.map(|last| {
            let more = (page.len() == limit).then_some(last);
            (page, more)
        }))
    };
    try_unfold(Some(after), next).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::WriterLease as _;
    use crate::support::{History, SimulatedLog, stream};

    /// A log of so many events, every second of them of stream `a`.
    async fn log_of(events: usize) -> SimulatedLog {
        let (log, mut history) = (SimulatedLog::new(), History::default());
        let term = log.lease("test", None).await.unwrap().term;
        let events: Vec<_> = (0..events).map(|n| history.event(&stream(["a", "b"][n % 2]))).collect();
        if !events.is_empty() {
            log.append(&history.batch(term, events)).await.unwrap();
        }
        log
    }

    #[tokio::test]
    async fn all_events_come_once_and_in_order_whatever_the_pages() {
        for events in [0, 1, OF_STREAM * 2 - 1, OF_STREAM * 2, OF_STREAM * 2 + 1, OF_LOG, OF_LOG + 1] {
            let log = log_of(events).await;
            let all: Vec<_> = follow(&log, None, Position(0)).try_collect().await.unwrap();
            assert_eq!(all, log.events());
            let a = stream("a");
            let of_a: Vec<_> = follow(&log, Some(&a), Position(0)).try_collect().await.unwrap();
            assert_eq!(of_a, all.iter().filter(|event| event.stream == a).cloned().collect::<Vec<_>>());
            let rest: Vec<_> = follow(&log, None, Position(3)).try_collect().await.unwrap();
            assert_eq!(rest, all.get(3..).unwrap_or_default());
        }
    }

    #[tokio::test]
    async fn a_page_is_bounded_and_never_empty() {
        let log = log_of(OF_LOG * 2).await;
        let sizes = pages(&log, None, Position(0)).map_ok(|page| page.len());
        assert_eq!(sizes.try_collect::<Vec<_>>().await.unwrap(), [OF_LOG, OF_LOG]);
    }

    #[tokio::test]
    async fn an_error_ends_it() {
        let log = log_of(3).await;
        log.faults().fail_reads(1);
        let read: Vec<_> = follow(&log, None, Position(0)).collect().await;
        assert!(matches!(read[..], [Err(_)]), "{read:?}");
    }
}
