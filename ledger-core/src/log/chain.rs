//! The hash chain: every event's hash covers its content and the hash before it in its stream.
//!
//! `SHA-256(0x00 ‖ LP(stream) ‖ u64(sequence) ‖ LP(event_type) ‖ LP(event_version) ‖
//! u64(recorded_at) ‖ LP(payload) ‖ LP(metadata) ‖ previous hash of the stream, or 32 zero bytes)`,
//! where `LP` is a u32 big-endian length and the bytes, integers are big-endian and the stream is
//! its text `type:id`. The leading zero byte makes the same hash the RFC 6962 leaf of the event.

use std::collections::HashMap;

use aws_lc_rs::digest;

use crate::ids::{Digest, update_lp};
use crate::log::{Position, StoredEvent, StreamId};
use crate::time::Timestamp;

/// RFC 6962's prefix of a leaf.
const LEAF: u8 = 0x00;

/// The hash `event` must carry, given the hash before it in its stream. Does not look at the
/// event's own `hash`, nor at `position` and `transaction_key`, which the log derives.
pub fn event_hash(event: &StoredEvent, previous: Option<&Digest>) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    let stream_type = event.stream.stream_type.as_str();
    let stream_bytes = stream_type.len() + 1 + event.stream.id.len();
    let stream_length = u32::try_from(stream_bytes).expect("ids are at most 128 characters");

    context.update(&[LEAF]);
    // LP(type:id) without building the text.
    context.update(&stream_length.to_be_bytes());
    context.update(stream_type.as_bytes());
    context.update(b":");
    context.update(event.stream.id.as_bytes());
    context.update(&event.sequence.to_be_bytes());
    update_lp(&mut context, event.event_type.as_bytes());
    update_lp(&mut context, event.event_version.as_bytes());
    context.update(&event.recorded_at.micros().to_be_bytes());
    update_lp(&mut context, &event.payload);
    update_lp(&mut context, &event.metadata);
    context.update(previous.map_or(&[0; 32], |digest| &digest.0));

    Digest(context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// What is wrong with an event's place in the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenLink {
    /// The log has a hole, a repeat or another order.
    #[error("position {found} follows {after}")]
    Position {
        /// The place before.
        after: Position,
        /// The place this event claims.
        found: Position,
    },
    /// The clock went back along the log.
    #[error("at {position} the recorded time goes back from {before} to {found}")]
    Time {
        /// The event's place.
        position: Position,
        /// The time of the event before.
        before: Timestamp,
        /// The time this event claims.
        found: Timestamp,
    },
    /// The stream has a hole, a repeat or another order.
    #[error("at {position} version {found} of {stream} follows version {after}")]
    Sequence {
        /// The event's place.
        position: Position,
        /// Its stream.
        stream: StreamId,
        /// The version before; 0 is none.
        after: u64,
        /// The version this event claims.
        found: u64,
    },
    /// The event, or the one before it in its stream, is not what was written.
    #[error(
        "at {position} the hash of {stream} version {sequence} does not fit its content and the hash before"
    )]
    Hash {
        /// The event's place.
        position: Position,
        /// Its stream.
        stream: StreamId,
        /// Its version.
        sequence: u64,
    },
}

/// The last version and hash of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The last event's place in the stream.
    pub sequence: u64,
    /// The last event's hash.
    pub hash: Digest,
}

/// How far the log has been followed. Starts at the beginning ([`Default`]) or from what an earlier
/// check left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The last event's place; 0 before the first.
    pub position: Position,
    /// The last event's time.
    pub recorded_at: Option<Timestamp>,
    /// The end of each stream seen so far.
    pub tips: HashMap<StreamId, Tip>,
}

impl Links {
    /// Checks the next event of the log and moves on to it.
    ///
    /// Names the first thing wrong with it. It moves on even then, so an audit can go on and name
    /// what else is broken instead of blaming everything behind the first fault.
    pub fn follow(&mut self, event: &StoredEvent) -> Result<(), BrokenLink> {
        let (after, before) = (self.position, self.recorded_at);
        self.position = event.position;
        self.recorded_at = before.max(Some(event.recorded_at));

        let tip = Tip { sequence: event.sequence, hash: event.hash };
        let previous = self.tips.get_mut(&event.stream).map(|last| std::mem::replace(last, tip));
        if previous.is_none() {
            self.tips.insert(event.stream.clone(), tip);
        }

        let position = event.position;
        if position != after.next() {
            return Err(BrokenLink::Position { after, found: position });
        }
        if let Some(before) = before.filter(|before| event.recorded_at < *before) {
            return Err(BrokenLink::Time { position, before, found: event.recorded_at });
        }
        let sequence = previous.map_or(0, |tip| tip.sequence);
        if Some(event.sequence) != sequence.checked_add(1) {
            return Err(BrokenLink::Sequence {
                position,
                stream: event.stream.clone(),
                after: sequence,
                found: event.sequence,
            });
        }
        if event.hash != event_hash(event, previous.as_ref().map(|tip| &tip.hash)) {
            return Err(BrokenLink::Hash {
                position,
                stream: event.stream.clone(),
                sequence: event.sequence,
            });
        }
        Ok(())
    }
}

/// Follows `events`, in log order, from where `links` stands, up to the first broken link.
pub fn verify_links<'a>(
    links: &mut Links,
    events: impl IntoIterator<Item = &'a StoredEvent>,
) -> Result<(), BrokenLink> {
    events.into_iter().try_for_each(|event| links.follow(event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{History, stream};

    /// Account a twice, with b between.
    fn three() -> Vec<StoredEvent> {
        let mut history = History::default();
        vec![history.event(&stream("a")), history.event(&stream("b")), history.event(&stream("a"))]
    }

    fn broken(events: &[StoredEvent]) -> BrokenLink {
        verify_links(&mut Links::default(), events).unwrap_err()
    }

    #[test]
    fn the_hash_is_the_documented_bytes_under_sha_256() {
        let event = StoredEvent {
            position: Position(9),
            stream: stream("cus_1"),
            sequence: 2,
            event_type: "Opened".into(),
            event_version: "1".into(),
            payload: b"{}".to_vec(),
            metadata: b"{\"a\":\"b\"}".to_vec().into(),
            recorded_at: Timestamp::from_micros(258),
            transaction_key: None,
            hash: Digest([9; 32]),
        };
        let mut bytes = b"\x00\x00\x00\x00\x0daccount:cus_1\x00\x00\x00\x00\x00\x00\x00\x02".to_vec();
        bytes.extend(b"\x00\x00\x00\x06Opened\x00\x00\x00\x011\x00\x00\x00\x00\x00\x00\x01\x02");
        bytes.extend(b"\x00\x00\x00\x02{}\x00\x00\x00\x09{\"a\":\"b\"}");

        let hash_after = |previous: [u8; 32]| {
            let all = [bytes.as_slice(), &previous].concat();
            Digest(digest::digest(&digest::SHA256, &all).as_ref().try_into().unwrap())
        };
        assert_eq!(event_hash(&event, None), hash_after([0; 32]));
        assert_eq!(event_hash(&event, Some(&Digest([7; 32]))), hash_after([7; 32]));
    }

    #[test]
    fn an_honest_history_verifies_in_one_go_or_in_parts() {
        let events = three();
        let mut links = Links::default();
        assert_eq!(verify_links(&mut links, &events[..2]), Ok(()));
        assert_eq!(verify_links(&mut links, &events[2..]), Ok(()));
        assert_eq!(links.position, Position(3));
        assert_eq!(links.tips[&stream("a")], Tip { sequence: 2, hash: events[2].hash });
    }

    #[test]
    fn a_rewritten_event_is_named() {
        let mut events = three();
        events[1].payload.push(b' ');
        let named = BrokenLink::Hash { position: Position(2), stream: stream("b"), sequence: 1 };
        assert_eq!(broken(&events), named);
    }

    #[test]
    fn an_event_rewritten_with_a_new_hash_breaks_the_next_of_its_stream() {
        let mut events = three();
        events[0].payload.push(b' ');
        events[0].hash = event_hash(&events[0], None);
        let named = BrokenLink::Hash { position: Position(3), stream: stream("a"), sequence: 2 };
        assert_eq!(broken(&events), named);
    }

    #[test]
    fn a_dropped_event_leaves_a_hole_in_the_log() {
        let mut events = three();
        events.remove(1);
        assert_eq!(broken(&events), BrokenLink::Position { after: Position(1), found: Position(3) });
    }

    #[test]
    fn a_dropped_and_renumbered_event_leaves_a_hole_in_its_stream() {
        let mut events = three();
        events.remove(0);
        (1..).zip(&mut events).for_each(|(n, event)| event.position = Position(n));
        let named = BrokenLink::Sequence { position: Position(2), stream: stream("a"), after: 0, found: 2 };
        assert_eq!(broken(&events), named);
    }

    #[test]
    fn time_may_stand_still_but_not_go_back() {
        let mut history = History::default();
        let first = history.event(&stream("a"));
        history.recorded_at = first.recorded_at;
        let same = history.event(&stream("a"));
        history.recorded_at = first.recorded_at.plus_micros(-1);
        let earlier = history.event(&stream("a"));
        let (before, found) = (first.recorded_at, earlier.recorded_at);
        assert_eq!(
            broken(&[first, same, earlier]),
            BrokenLink::Time { position: Position(3), before, found }
        );
    }

    #[test]
    fn after_a_broken_link_the_rest_is_still_judged_on_its_own() {
        let mut events = three();
        events[0].hash = Digest([1; 32]);
        let mut links = Links::default();
        let wrong: Vec<bool> = events.iter().map(|event| links.follow(event).is_err()).collect();
        assert_eq!(wrong, [true, false, true], "b's only event is sound");
    }
}
