//! The packets of a device's connection, kept for the page and for tests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// Number of packets kept for each device.
const MAX_PACKETS: usize = 500;
/// Bytes of text kept for each device.
const MAX_BYTES: usize = 1 << 20;

/// One application packet, or a note about the connection that carried it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Packet {
    /// Number of the packet, from 1 for each device and without holes: a hole in what a reader sees is a loss.
    pub number: u64,
    /// When the packet went, in milliseconds since 1970.
    pub time_ms: u64,
    /// The way the packet went.
    pub direction: Direction,
    /// The text as it was on the wire.
    pub text: String,
}

/// The way of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The device sent it.
    FromDevice,
    /// The simulator sent it.
    ToDevice,
    /// No packet: something happened to the connection.
    Note,
}

/// The newest packets of one device, bounded in number and in bytes.
#[derive(Debug, Default)]
pub(super) struct History {
    packets: VecDeque<Arc<Packet>>,
    bytes: usize,
    last: u64,
}

impl History {
    /// Adds a packet and drops the oldest ones beyond the bounds.
    pub(super) fn push(&mut self, direction: Direction, text: String) -> Arc<Packet> {
        self.last += 1;
        let packet = Arc::new(Packet { number: self.last, time_ms: unix_ms(), direction, text });
        self.bytes += packet.text.len();
        self.packets.push_back(packet.clone());
        while self.packets.len() > MAX_PACKETS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.packets.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
        packet
    }

    /// The packets, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Packet>> {
        self.packets.iter()
    }

    /// Number of packets ever recorded.
    pub(super) fn total(&self) -> u64 {
        self.last
    }
}

/// The time in milliseconds since 1970; 0 before.
pub(super) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_keeps_the_newest_packets() {
        let mut history = History::default();
        for n in 0..MAX_PACKETS + 10 {
            history.push(Direction::FromDevice, n.to_string());
        }
        let numbers: Vec<u64> = history.iter().map(|packet| packet.number).collect();
        assert_eq!(numbers.len(), MAX_PACKETS);
        assert_eq!(numbers.first(), Some(&11));
        assert_eq!(numbers.last(), Some(&(MAX_PACKETS as u64 + 10)));
        assert_eq!(history.total(), MAX_PACKETS as u64 + 10);
    }

    #[test]
    fn history_is_bounded_in_bytes_even_by_one_large_packet() {
        let mut history = History::default();
        for _ in 0..20 {
            history.push(Direction::ToDevice, "x".repeat(MAX_BYTES / 4));
        }
        assert_eq!(history.iter().count(), 4);
        history.push(Direction::ToDevice, "x".repeat(MAX_BYTES + 1));
        assert_eq!((history.iter().count(), history.bytes), (0, 0));
    }

    #[test]
    fn packet_is_one_json_object_with_plain_names() {
        let packet =
            Packet { number: 1, time_ms: 2, direction: Direction::FromDevice, text: "{}".into() };
        assert_eq!(
            serde_json::to_string(&packet).unwrap(),
            r#"{"number":1,"time_ms":2,"direction":"from_device","text":"{}"}"#
        );
    }
}
