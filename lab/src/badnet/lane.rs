//! One direction of a connection of TCP: what is on its way, and when it goes on.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep_until;

use super::flow::Fate;
use super::line::{Link, Weather};
use super::plan::{Direction, Piece, Step, resumed};

/// Most bytes of a read.
const CHUNK: usize = 16 << 10;
/// Most pieces that wait in one direction of a connection: bytes that come one by one take more room than they have.
const MOST_PIECES: usize = 4096;
/// Least time between two writes that wait for their turn, so that a fast line wakes nobody for each packet.
const SLICE: Duration = Duration::from_millis(4);

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides have ended it.
    Closed,
    /// By RST.
    Reset,
    /// It is forgotten.
    HalfOpen,
}

/// One direction of a connection: what is on its way, and when it is due.
pub(super) struct Lane<'a> {
    link: &'a Link,
    connection: u64,
    direction: Direction,
    weather: watch::Receiver<Weather>,
    /// The weather in which the connection began.
    first: Weather,
    /// Bytes that are on their way.
    bytes: VecDeque<u8>,
    pieces: VecDeque<Piece>,
    /// Number of those bytes that have arrived and are not yet handed on.
    arrived: usize,
    /// Nothing arrives before this: TCP tries again only then.
    not_before: Duration,
    /// When the line was healed for which that is known.
    tried_after: Duration,
    /// When bytes arrived last.
    last: Duration,
    /// Whether the side that sends has ended the stream, and whether that has arrived.
    ended: bool,
    end_arrived: bool,
}

impl<'a> Lane<'a> {
    pub(super) fn new(
        link: &'a Link,
        connection: u64,
        direction: Direction,
        first: Weather,
    ) -> Self {
        Self {
            link,
            connection,
            direction,
            weather: link.line.weather(),
            first,
            bytes: VecDeque::new(),
            pieces: VecDeque::new(),
            arrived: 0,
            not_before: Duration::ZERO,
            tried_after: first.healed,
            last: Duration::ZERO,
            ended: false,
            end_arrived: false,
        }
    }

    /// Carries bytes until the stream or the connection ends.
    pub(super) async fn carry(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> End {
        let line = &self.link.line;
        let mut chunk = vec![0; CHUNK];
        loop {
            let weather = *self.weather.borrow_and_update();
            if weather.resets != self.first.resets {
                return End::Reset;
            }
            if weather.forgotten != self.first.forgotten {
                return End::HalfOpen;
            }
            let held = weather.cut.is_some();
            let now = line.now();
            if !held && let Some(end) = self.arrive(now, weather) {
                return end;
            }
            if self.end_arrived && self.arrived == 0 {
                return if to.shutdown().await.is_ok() { End::Closed } else { End::Reset };
            }
            let due = self.pieces.front().filter(|_| !held && self.arrived == 0);
            let due = due.map(|piece| self.time(piece).max(self.last + SLICE));
            let (room_at, most) = line.room(self.direction);
            let most = CHUNK.min(usize::try_from(most).unwrap_or(CHUNK));
            // While the line is cut, only what is sent first is taken: TCP tries it again and again.
            let room = self.bytes.len() < self.link.buffer && self.pieces.len() < MOST_PIECES;
            let reads = !self.ended && if held { self.bytes.is_empty() } else { room };
            let waiting = self.bytes.as_slices().0;
            let arrived = &waiting[..self.arrived.min(waiting.len())];
            tokio::select! {
                _ = self.weather.changed() => {}
                written = to.write(arrived), if !held && !arrived.is_empty() => match written {
                    Ok(count @ 1..) => self.handed_on(count),
                    Ok(0) | Err(_) => return End::Reset,
                },
                () = sleep_until(line.instant(due.unwrap_or_default())), if due.is_some() => {}
                () = sleep_until(line.instant(room_at)), if reads && room_at > now => {}
                read = from.read(&mut chunk[..most]), if reads && room_at <= now => match read {
                    Ok(count) => self.came(&chunk[..count]),
                    Err(_) => return End::Reset,
                },
            }
        }
    }

    /// Takes bytes that came, or none at the end of the stream.
    fn came(&mut self, bytes: &[u8]) {
        let place = self.link.place(self.connection);
        let step = match bytes.len() {
            0 => Step::End(place, self.direction),
            count => Step::Bytes(place, self.direction, count as u64),
        };
        self.ended |= bytes.is_empty();
        let pieces = self.link.step(&step);
        let kept: u64 = pieces.iter().map(|piece| piece.bytes).sum();
        self.bytes.extend(&bytes[..bytes.len().min(kept as usize)]);
        self.pieces.extend(pieces);
    }

    /// Lets arrive what is due. Returns how the connection ends, where it does.
    fn arrive(&mut self, now: Duration, weather: Weather) -> Option<End> {
        if let Some(first) = self.pieces.front().map(|piece| Duration::from_nanos(piece.due))
            && self.tried_after != weather.healed
        {
            self.tried_after = weather.healed;
            if first < weather.healed {
                self.not_before = resumed(first, weather.healed, weather.retry);
            }
        }
        while let Some(piece) = self.pieces.front().copied().filter(|piece| self.time(piece) <= now)
        {
            self.pieces.pop_front();
            match piece.fate {
                Fate::Reset => return Some(End::Reset),
                Fate::HalfOpen => return Some(End::HalfOpen),
                _ => {}
            }
            self.arrived += piece.bytes as usize;
            self.end_arrived |= piece.bytes == 0;
            self.last = now;
        }
        None
    }

    fn time(&self, piece: &Piece) -> Duration {
        Duration::from_nanos(piece.due).max(self.not_before)
    }

    fn handed_on(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.arrived -= count;
        self.link.count(|counters| counters.moved(self.direction, count));
    }
}
