//! Control packets (RFC 3550 6): what a camera tells of its clock, and what it is told of its packets.

use std::time::Instant;

use super::is_rtcp;
use super::sequence::{Counts, Sequence};

/// Length of a receiver report with its name, in bytes.
pub const RECEIVER_REPORT: usize = 60;

/// What a camera reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The camera's clock and counts (RFC 3550 6.4.1).
    Sender(SenderReport),
    /// The camera sends no more (RFC 3550 6.6).
    Bye {
        /// The source that ends, where the report says so.
        ssrc: Option<u32>,
    },
}

/// A sender report, without its blocks on other senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Wall-clock time: seconds since 1900 in the high 32 bits, their fraction in the low ones. Zero, or time
    /// since the camera was switched on, where it has no clock.
    pub ntp: u64,
    /// The moment of `ntp` as an RTP timestamp.
    pub timestamp: u32,
    /// Packets sent; zero in a report that was cut short.
    pub packets: u32,
    /// Bytes of payload sent; zero in a report that was cut short.
    pub octets: u32,
}

/// Reads a compound packet. What is unknown, cut short or wrong in its length is passed over.
pub fn read(bytes: &[u8]) -> Reports<'_> {
    Reports { rest: bytes }
}

/// The reports of a compound packet.
#[derive(Clone, Debug)]
pub struct Reports<'a> {
    rest: &'a [u8],
}

impl Iterator for Reports<'_> {
    type Item = Report;

    fn next(&mut self) -> Option<Report> {
        while is_rtcp(self.rest) {
            let (&[first, kind, l0, l1], body) = self.rest.split_first_chunk()?;
            let mut length = 4 * usize::from(u16::from_be_bytes([l0, l1]));
            let report = match kind {
                200 => sender(body, length).map(Report::Sender),
                203 => Some(Report::Bye { ssrc: leaving(first, body, length) }),
                _ => None,
            };
            if kind == 200 {
                length = length.max(16);
            }
            self.rest = body.get(length..).unwrap_or_default();
            if report.is_some() {
                return report;
            }
        }
        None
    }
}

/// A report whose length is wrong has its times all the same.
fn sender(body: &[u8], length: usize) -> Option<SenderReport> {
    let (times, rest) = body.split_first_chunk::<16>()?;
    let [ssrc, seconds, fraction, timestamp] = words(times);
    let counts = if length < 24 { None } else { rest.first_chunk::<8>() };
    let [packets, octets] = counts.map_or([0; 2], words);
    let ntp = u64::from(seconds) << 32 | u64::from(fraction);
    Some(SenderReport { ssrc, ntp, timestamp, packets, octets })
}

fn leaving(first: u8, body: &[u8], length: usize) -> Option<u32> {
    let named = first & 0x1F != 0 && length >= 4;
    let ssrc = body.first_chunk().filter(|_| named)?;
    Some(u32::from_be_bytes(*ssrc))
}

fn words<const BYTES: usize, const WORDS: usize>(bytes: &[u8; BYTES]) -> [u32; WORDS] {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

/// The receiver that reports. Both numbers are random and of one session, so that they tell nothing
/// of the device (RFC 7022).
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Synchronisation source of the receiver.
    pub ssrc: u32,
    /// Canonical name of the receiver, written as 16 hexadecimal digits.
    pub name: u64,
}

/// What a camera is told of one track.
#[derive(Clone, Debug)]
pub struct Reception {
    /// Ticks per second of the track's clock.
    rate: u32,
    /// Moment that times of arrival count from.
    epoch: Option<Instant>,
    /// Arrival minus timestamp of the last packet, in ticks.
    transit: u32,
    /// Interarrival jitter in sixteenths of a tick.
    jitter: u64,
    /// The middle of the last sender report's wall-clock time, and when it came.
    sender: Option<(u32, Instant)>,
    /// Counts at the newest report.
    told: Counts,
}

impl Reception {
    /// Nothing received yet, of a track whose clock ticks `rate` times a second, as the session
    /// description declares it; 0 is 90 000.
    pub fn new(rate: u32) -> Self {
        let rate = if rate == 0 { 90_000 } else { rate };
        let told = Counts::default();
        Self { rate, epoch: None, transit: 0, jitter: 0, sender: None, told }
    }

    /// Notes the arrival of a packet, for the jitter (RFC 3550 A.8). Once for each picture or piece of sound
    /// is enough, and better: the packets of a picture share one timestamp, but cannot arrive together.
    pub fn arrive(&mut self, timestamp: u32, now: Instant) {
        let first = self.epoch.is_none();
        let since = now.saturating_duration_since(*self.epoch.get_or_insert(now));
        let rate = u64::from(self.rate);
        let part = u64::from(since.subsec_nanos()) * rate / 1_000_000_000;
        let arrival = since.as_secs().wrapping_mul(rate).wrapping_add(part) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        let change = transit.wrapping_sub(self.transit) as i32;
        self.transit = transit;
        if !first {
            let decay = (self.jitter + 8) >> 4;
            self.jitter = self.jitter + u64::from(change.unsigned_abs()) - decay;
        }
    }

    /// Notes a sender report, for the time it takes to come back.
    pub fn report(&mut self, report: &SenderReport, now: Instant) {
        self.sender = Some(((report.ntp >> 16) as u32, now));
    }

    /// A receiver report on the packets counted by `sequence`, and the name of who reports (RFC 3550 6.4.2,
    /// 6.5); none before the first packet.
    pub fn receiver_report(
        &mut self,
        identity: &Identity,
        sequence: &Sequence,
        now: Instant,
    ) -> Option<[u8; RECEIVER_REPORT]> {
        let counts = sequence.counts();
        if counts.received == 0 {
            return None;
        }
        let lost = counts.lost.saturating_sub(self.told.lost);
        let received = counts.received.saturating_sub(self.told.received);
        self.told = counts;
        // The lost part of the packets, in 256ths.
        let fraction = (lost.saturating_mul(256) / (lost + received).max(1)).min(255);
        let (last, delay) = self.sender.map_or((0, 0), |(last, at)| {
            let delay = now.saturating_duration_since(at);
            let part = u64::from(delay.subsec_nanos()) * 65_536 / 1_000_000_000;
            let delay = delay.as_secs().saturating_mul(65_536).saturating_add(part);
            (last, u32::try_from(delay).unwrap_or(u32::MAX))
        });
        let digits = self::digits(identity.name);
        let words = [
            0x81_C9_00_07, // RR with one block.
            identity.ssrc,
            sequence.ssrc(),
            (fraction << 24 | counts.lost.min(0x7F_FFFF)) as u32, // A signed number of 24 bits.
            sequence.extended_highest(),
            (self.jitter >> 4) as u32,
            last,
            delay,
            0x81_CA_00_06, // SDES of one source.
            identity.ssrc,
        ];
        let words = words.into_iter().flat_map(u32::to_be_bytes);
        // The item is CNAME; zeros end the list and fill the last word.
        let name = [1, digits.len() as u8].into_iter().chain(digits);
        let mut report = [0; RECEIVER_REPORT];
        report.iter_mut().zip(words.chain(name)).for_each(|(to, byte)| *to = byte);
        Some(report)
    }
}

fn digits(number: u64) -> [u8; 16] {
    let mut digits = *b"0123456789abcdef";
    let alphabet = digits;
    for (i, digit) in digits.iter_mut().rev().enumerate() {
        *digit = alphabet[(number >> (4 * i)) as usize % 16];
    }
    digits
}

#[cfg(test)]
#[path = "rtcp_tests.rs"]
mod tests;
