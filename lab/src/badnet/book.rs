//! What a bad network did: counters of each link, and the newest events.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::flow::Fate;
use super::plan::{Direction, Piece};

/// Number of events that are kept.
const MOST_EVENTS: usize = 256;

/// What went over a link since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Connections that were accepted, or senders of UDP.
    pub connections: u64,
    /// Those of now.
    pub open: u64,
    /// Connections for which the upstream could not be reached.
    pub failed: u64,
    /// Bytes that were handed on to the side that is called.
    pub bytes_up: u64,
    /// Bytes that were handed on to the side that calls.
    pub bytes_down: u64,
    /// Packets that were lost; those of TCP were sent again.
    pub lost: u64,
    /// Packets of UDP that were lost since too many waited.
    pub overflowed: u64,
    /// Packets of UDP that came twice.
    pub doubled: u64,
    /// Packets of UDP that others overtook.
    pub overtaken: u64,
    /// Connections that were reset.
    pub resets: u64,
    /// Connections that were forgotten, without FIN and RST.
    pub half_open: u64,
}

impl Counters {
    pub(super) fn moved(&mut self, direction: Direction, bytes: usize) {
        match direction {
            Direction::Up => self.bytes_up += bytes as u64,
            Direction::Down => self.bytes_down += bytes as u64,
        }
    }

    pub(super) fn decided(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            match piece.fate {
                Fate::Late | Fate::Lost => self.lost += 1,
                Fate::Overflow => self.overflowed += 1,
                Fate::Copy => self.doubled += 1,
                Fate::Overtaken => self.overtaken += 1,
                Fate::Pass | Fate::Reset | Fate::HalfOpen => {}
            }
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Number of the event, from 1.
    pub number: u64,
    /// Milliseconds since the start.
    pub ms: u64,
    /// The line.
    pub line: String,
    /// The link; `None` for what concerns the whole line.
    pub link: Option<String>,
    /// Number of the connection on its link.
    pub connection: Option<u64>,
    /// What happened, in words.
    pub what: String,
}

/// The newest events of all lines.
#[derive(Debug, Default)]
pub(super) struct Book(Mutex<Events>);

#[derive(Debug, Default)]
struct Events {
    last: u64,
    kept: VecDeque<Event>,
}

impl Book {
    /// Takes note of an event, whose number is filled in.
    pub(super) fn note(
        &self,
        at: Duration,
        line: &str,
        link: Option<&str>,
        connection: Option<u64>,
        what: String,
    ) {
        let place = link.map_or_else(
            || line.to_owned(),
            |link| match connection {
                Some(connection) => format!("{link} {connection}"),
                None => link.to_owned(),
            },
        );
        log::info!(target: "badnet", "{place}: {what}");
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.last += 1;
        let ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let (line, link) = (line.to_owned(), link.map(str::to_owned));
        let number = events.last;
        events.kept.push_back(Event { number, ms, line, link, connection, what });
        if events.kept.len() > MOST_EVENTS {
            events.kept.pop_front();
        }
    }

    /// The kept events with a higher number, oldest first.
    pub(super) fn since(&self, number: u64) -> Vec<Event> {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.kept.iter().filter(|event| event.number > number).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_events_are_kept() {
        let book = Book::default();
        for number in 0..300 {
            book.note(Duration::from_millis(number), "wan", Some("cloud"), None, String::new());
        }
        assert_eq!(book.since(0).len(), MOST_EVENTS);
        let newest = book.since(299);
        assert_eq!((newest.len(), newest[0].number, newest[0].ms), (1, 300, 299));
    }
}
