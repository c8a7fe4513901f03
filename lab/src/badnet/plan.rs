//! What becomes of each byte and each packet of a line: a function of the seed, of what came and when, and of nothing else.
//! No I/O and no clock, so that the same steps lead to the same decisions, however a stream is cut into reads.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::conditions::{Conditions, Way};
use super::dice::{key_of, share, stream};
use super::flow::{Fate, Flow, rate, shaped};
use super::outage::Cut;
use super::pipe::Pipe;

/// Payload of a packet of TCP over Ethernet, in bytes: at multiples of it in a stream it is decided what becomes of the next.
pub(super) const PACKET: u64 = 1448;
/// Time for which the jitter of a stream stays the same, in nanoseconds.
const JITTER_SLOT: u64 = 100_000_000;
/// Longest time between two tries of TCP, as Linux has it.
const LONGEST_RETRY: Duration = Duration::from_secs(120);
/// Milliseconds that a packet which others overtake comes later: at least, and at most so many more.
const OVERTAKEN_MS: (u64, f64) = (5, 30.0);
/// What a draw is for.
const JITTER: u64 = 1;
const RATE: u64 = 2;
const FATE: u64 = 3;
const OUTAGE: u64 = 4;

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the side that called.
    Up,
    /// To the side that called.
    Down,
}

/// A connection of a line: number of the link among those of the line, and of the connection on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) link: usize,
    pub(super) connection: u64,
}

/// What happens on a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// The line changes.
    Set(Conditions),
    /// A connection, or the first packet of a sender.
    Open(Place),
    /// So many bytes of a stream come.
    Bytes(Place, Direction, u64),
    /// A stream ends.
    End(Place, Direction),
    /// A packet of so many bytes comes.
    Packet(Place, Direction, u64),
    /// A packet of so many bytes comes and is refused.
    Refused(Place, Direction, u64, Refusal),
    /// A packet of so many bytes is lost on its way: the line is cut, or the system does not send it.
    Gone(Place, Direction, u64),
    /// A connection is gone.
    Close(Place),
}

/// Why a packet is refused: what the seed does not tell, so that a step has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Refusal {
    /// The line is cut.
    Cut,
    /// As much waits as the connection may hold.
    Full,
    /// There are as many connections as may be. This one has no number: the next one gets that of the step.
    Crowded,
}

/// Bytes that go on together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Piece {
    pub(super) bytes: u64,
    /// When, in nanoseconds since the line began.
    pub(super) due: u64,
    pub(super) fate: Fate,
}

/// The decisions of one line.
#[derive(Debug)]
pub(super) struct Plan {
    seed: u64,
    line: u64,
    links: Vec<u64>,
    conditions: Conditions,
    /// When the conditions were set, in nanoseconds.
    since: u64,
    pipes: [Pipe; 2],
    flows: HashMap<Place, [Flow; 2]>,
}

impl Plan {
    /// The plan of a line with these links.
    pub(super) fn new(seed: u64, line: &str, links: &[String], conditions: Conditions) -> Self {
        Self {
            seed,
            line: key_of(line),
            links: links.iter().map(|link| key_of(link)).collect(),
            conditions,
            since: 0,
            pipes: Default::default(),
            flows: HashMap::new(),
        }
    }

    /// Decides what becomes of what happens now.
    pub(super) fn step(&mut self, now: Duration, step: &Step) -> Vec<Piece> {
        let now = nanos(now);
        match step {
            Step::Set(conditions) => {
                (self.conditions, self.since) = (conditions.clone(), now);
                Vec::new()
            }
            Step::Open(place) => {
                self.open(now, *place);
                Vec::new()
            }
            Step::Bytes(place, direction, bytes) => self.bytes(now, *place, *direction, *bytes),
            Step::End(place, direction) => self.end(now, *place, *direction),
            Step::Packet(place, direction, bytes) => self.packet(now, *place, *direction, *bytes),
            Step::Refused(place, direction, bytes, why) => {
                self.pass_over(*place, *direction);
                let fate = if *why == Refusal::Cut { Fate::Lost } else { Fate::Overflow };
                vec![Piece { bytes: *bytes, due: now, fate }]
            }
            Step::Gone(_, _, bytes) => vec![Piece { bytes: *bytes, due: now, fate: Fate::Lost }],
            Step::Close(place) => {
                self.flows.remove(place);
                Vec::new()
            }
        }
    }

    /// The conditions of now.
    pub(super) fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// How the line is cut by its outages at this moment, and when that may change.
    pub(super) fn outage(&self, now: Duration) -> (Option<Cut>, Option<Duration>) {
        let since = Duration::from_nanos(self.since);
        let (mut cut, mut next) = (None, None::<Duration>);
        for (number, outage) in (OUTAGE << 32..).zip(&self.conditions.outages) {
            let (now_cut, change) =
                outage.at(self.seed, [self.line, number], now.saturating_sub(since));
            cut = cut.or(now_cut);
            let change = change.map(|change| since + change);
            next = next.into_iter().chain(change).min();
        }
        (cut, next)
    }

    /// From when on the queue of this direction has room, and the bytes that should be taken at a time.
    pub(super) fn room(&self, direction: Direction) -> (Duration, u64) {
        let way = self.way(direction);
        let full = self.pipes[direction as usize].begins(0);
        let from = Duration::from_nanos(full).saturating_sub(way.queue());
        // A fiftieth of a second, so that connections take turns.
        let most = match way.rate_kbit {
            0 => u64::MAX,
            kbit => (u64::from(kbit) * 1000 / 8 / 50).max(PACKET),
        };
        (from, most)
    }

    fn open(&mut self, now: u64, place: Place) {
        let link = self.links.get(place.link).copied().unwrap_or_default();
        let handshake = nanos(self.conditions.round_trip());
        let flow = |direction: Direction, floor| Flow {
            dice: stream(self.seed, &[link, FATE, place.connection, direction as u64]),
            offset: 0,
            floor,
            losing: false,
            rate: 0,
            ended: false,
        };
        // The first bytes of the caller come after its handshake, which takes a round trip.
        let up = now.saturating_add(handshake).saturating_add(nanos(self.conditions.up.delay()));
        self.flows.insert(place, [flow(Direction::Up, up), flow(Direction::Down, now)]);
    }

    fn way(&self, direction: Direction) -> &Way {
        match direction {
            Direction::Up => &self.conditions.up,
            Direction::Down => &self.conditions.down,
        }
    }

    fn bytes(&mut self, now: u64, place: Place, direction: Direction, bytes: u64) -> Vec<Piece> {
        let way = self.way(direction).clone();
        let (delay, jitter) = (nanos(way.delay()), self.jitter(&way, direction, now));
        let retry = nanos(self.conditions.retry());
        let (seed, key) = (self.seed, [self.line, RATE, direction as u64]);
        let pipe = &mut self.pipes[direction as usize];
        let Some(flow) = self.flows.get_mut(&place).map(|flows| &mut flows[direction as usize])
        else {
            return Vec::new();
        };
        let (mut left, mut pieces) = (bytes, Vec::new());
        while left > 0 && !flow.ended {
            let begins = pipe.begins(now);
            let into = flow.offset % PACKET;
            let mut fate = Fate::Pass;
            if into == 0 {
                let stall;
                (fate, stall) = flow.packet(&way, retry);
                if fate == Fate::Late {
                    flow.floor = flow.floor.max(begins.saturating_add(delay).saturating_add(stall));
                }
            }
            if into == 0 || begins == now {
                flow.rate = rate(&way, seed, key, begins);
            }
            let piece = left.min(PACKET - into);
            let due = pipe.pass(now, piece, flow.rate).saturating_add(delay).saturating_add(jitter);
            flow.floor = flow.floor.max(due);
            flow.offset += piece;
            left -= piece;
            flow.ended = matches!(fate, Fate::Reset | Fate::HalfOpen);
            pieces.push(Piece { bytes: piece, due: flow.floor, fate });
        }
        pieces
    }

    fn end(&mut self, now: u64, place: Place, direction: Direction) -> Vec<Piece> {
        let way = self.way(direction).clone();
        let (delay, jitter) = (nanos(way.delay()), self.jitter(&way, direction, now));
        let begins = self.pipes[direction as usize].begins(now);
        let Some(flow) = self.flows.get_mut(&place).map(|flows| &mut flows[direction as usize])
        else {
            return Vec::new();
        };
        let due = flow.floor.max(begins.saturating_add(delay).saturating_add(jitter));
        vec![Piece { bytes: 0, due, fate: Fate::Pass }]
    }

    fn packet(&mut self, now: u64, place: Place, direction: Direction, bytes: u64) -> Vec<Piece> {
        let way = self.way(direction).clone();
        let (seed, key) = (self.seed, [self.line, RATE, direction as u64]);
        let pipe = &mut self.pipes[direction as usize];
        let Some(flow) = self.flows.get_mut(&place).map(|flows| &mut flows[direction as usize])
        else {
            return Vec::new();
        };
        let (lost, [twice, overtaken, jitter, later]) = flow.datagram(&way);
        let begins = pipe.begins(now);
        let piece = |due, fate| Piece { bytes, due, fate };
        if begins - now > nanos(way.queue()) {
            return vec![piece(begins, Fate::Overflow)];
        }
        let left = pipe.pass(now, bytes, rate(&way, seed, key, begins));
        if lost {
            return vec![piece(left, Fate::Lost)];
        }
        let due = left.saturating_add(nanos(way.delay())).saturating_add(shaped(
            way.jitter,
            jitter,
            way.jitter_ms,
        ));
        let first = if overtaken < way.reorder {
            let (least, more) = OVERTAKEN_MS;
            let later = least * 1_000_000 + (more * later * 1e6) as u64;
            piece(due.saturating_add(later), Fate::Overtaken)
        } else {
            flow.floor = flow.floor.max(due);
            piece(flow.floor, Fate::Pass)
        };
        match twice < way.duplicate {
            true => vec![first, piece(first.due, Fate::Copy)],
            false => vec![first],
        }
    }

    /// Draws for a packet that is refused, so that those behind it are decided as if it had gone on.
    fn pass_over(&mut self, place: Place, direction: Direction) {
        let way = self.way(direction).clone();
        if let Some(flows) = self.flows.get_mut(&place) {
            flows[direction as usize].datagram(&way);
        }
    }

    /// The jitter of streams at this moment, in nanoseconds.
    fn jitter(&self, way: &Way, direction: Direction, now: u64) -> u64 {
        let key = [self.line, JITTER, direction as u64, now / JITTER_SLOT];
        match way.jitter_ms {
            0 => 0,
            most => shaped(way.jitter, share(&mut stream(self.seed, &key)), most),
        }
    }
}

/// When a piece that was due while the line was cut goes on once it is healed: TCP has tried at growing intervals, and
/// notices at its next try.
pub(super) fn resumed(due: Duration, healed: Duration, retry: Duration) -> Duration {
    let (mut at, mut pause) = (due, retry.max(Duration::from_millis(1)));
    while at < healed {
        at += pause;
        pause = (pause * 2).min(LONGEST_RETRY);
    }
    at
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
