//! The exchanges with all devices, bounded in number and in bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::reply::Reply;
use super::script::Command;
use super::stored::{self, Stored, Unstored};

/// Most exchanges remembered.
const MAX_EXCHANGES: usize = 5000;
/// Bytes that an exchange costs beside its reply.
const OVERHEAD: usize = 512;

/// A command and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Number of the exchange, from 1 over all devices.
    pub number: u64,
    /// MAC address of the device.
    pub mac: String,
    /// Number of the device's session, from 1.
    pub session: u64,
    /// When the command was sent, in milliseconds since 1970.
    pub time_ms: u64,
    /// Time from the first byte of the command to the last of the reply.
    pub took: Duration,
    /// The command as it went out.
    pub command: Command,
    /// The reply, or why there is none.
    pub outcome: Result<Reply, String>,
}

/// The newest exchanges.
#[derive(Debug)]
pub(super) struct History {
    kept: Mutex<Kept>,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    exchanges: VecDeque<Arc<Exchange>>,
    bytes: usize,
    last: u64,
}

impl Exchange {
    /// What a deployed server stores of the reply, or why it stores nothing; `None` without a reply, or where the
    /// command is none whose replies are stored.
    pub fn stored(&self) -> Option<Result<Stored, Unstored>> {
        stored::stored(&self.command, self.outcome.as_ref().ok()?)
    }

    fn bytes(&self) -> usize {
        let reply = self.outcome.as_ref().map_or(0, |reply| reply.raw.len());
        OVERHEAD + self.command.bytes().len() + reply
    }
}

impl History {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { kept: Mutex::default(), max_bytes }
    }

    /// Adds an exchange, which gets its number, and drops the oldest ones beyond the bounds.
    pub(super) fn push(&self, exchange: Exchange) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        let exchange = Exchange { number: kept.last, ..exchange };
        kept.bytes += exchange.bytes();
        kept.exchanges.push_back(Arc::new(exchange));
        while kept.exchanges.len() > MAX_EXCHANGES || kept.bytes > self.max_bytes {
            let Some(oldest) = kept.exchanges.pop_front() else { break };
            kept.bytes -= oldest.bytes();
        }
    }

    /// The exchanges with one device, oldest first.
    pub(super) fn of(&self, mac: &str) -> Vec<Arc<Exchange>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.exchanges.iter().filter(|exchange| exchange.mac == mac).cloned().collect()
    }

    pub(super) fn find(&self, number: u64) -> Option<Arc<Exchange>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.exchanges.iter().find(|exchange| exchange.number == number).cloned()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn exchange(mac: &str, bytes: usize) -> Exchange {
        let reply = Reply::parse(0, Bytes::from(vec![b'x'; bytes]), Duration::ZERO, false);
        Exchange {
            number: 0,
            mac: mac.to_owned(),
            session: 1,
            time_ms: 0,
            took: Duration::ZERO,
            command: Command::new(""),
            outcome: Ok(reply),
        }
    }

    #[test]
    fn the_newest_are_kept_within_the_bytes() {
        let history = History::new(10 * (OVERHEAD + 1000));
        for n in 0..30 {
            history.push(exchange(if n % 2 == 0 { "a" } else { "b" }, 1000));
        }
        let numbers: Vec<_> = history.of("a").iter().map(|exchange| exchange.number).collect();
        assert_eq!(numbers, [21, 23, 25, 27, 29]);
        assert!(history.find(20).is_none() && history.find(30).is_some());
        history.push(exchange("a", 1 << 20));
        assert!(history.of("a").is_empty() && history.of("b").is_empty());
        assert_eq!(history.kept.lock().unwrap().bytes, 0);
    }

    #[test]
    fn the_number_of_small_ones_is_bounded() {
        let history = History::new(usize::MAX);
        (0..MAX_EXCHANGES + 5).for_each(|_| history.push(exchange("a", 0)));
        assert_eq!(history.of("a").len(), MAX_EXCHANGES);
    }
}
