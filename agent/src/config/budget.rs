//! How the memory is shared out before anything starts. The rings share `runtime.memory_limit` less
//! what is always needed; recordings get what the rings leave. A ring without a configured size
//! grows while its key frames are large, into memory that recordings have not set aside at that
//! moment.
//!
//! The fixed parts are measured, see `docs/firmware.md`; `tests/interop` holds a running agent
//! against the sum.

use std::fmt;

use ivt_hal::Stream;
use ivt_media::clip::MAX_CLIP;

use super::channel::Channel;
use super::record::Spool;
use super::tlss::{Tlss, USUAL_REPLY};
use crate::record::spool::QUEUE_BYTES;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Bytes of the program itself: code and tables, the connection to the cloud, TLS, short-lived
/// threads.
const PROGRAM: u64 = 6 * MIB;
/// Bytes of a channel beside its rings: the buffers of its camera and its server, and the frame
/// that is being received.
const CHANNEL: u64 = 768 * KIB;
/// Bytes of freed memory that a worker thread keeps for its own next use.
const THREAD: u64 = 3 * MIB;
/// Bytes of a spool: what waits to be written, the list of the spool's files, and what is read
/// back.
const SPOOL: u64 = QUEUE_BYTES as u64 + 3 * MIB;
/// Least bytes for recordings: two segments of a megabyte and their buffers.
const RECORDING: u64 = 4 * MIB;
/// Least bytes of a ring without a configured size.
const LEAST_RING: u64 = 256 * KIB;
/// Most bytes of a ring without a configured size while its key frames are small: nearly a
/// key-frame group of two seconds at 4 Mbit/s.
const USUAL_RING: u64 = MIB;
/// Most bytes of a ring without a configured size in a channel with an always-on stream: a
/// key-frame group and some.
const WARM_RING: u64 = 2 * MIB;
/// The allocator loses one byte in this many to the gaps between its blocks.
const SCATTER: u64 = 10;

/// Names the part that recordings share with rings that grow.
const GROWING: &str = "recordings; what they leave, rings may take while key frames are large";

/// How the memory is shared out; the sum of the parts is the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// `runtime.memory_limit`, in bytes.
    pub limit: u64,
    /// Bytes of each ring, by channel. A ring without a configured size has more while its key
    /// frames are large.
    pub rings: Vec<usize>,
    /// Bytes for the segments of all recordings and for what rings grow by, together.
    pub recordings: u64,
    /// Bytes that are set aside for a reply of the hosted service; 0 where it is off.
    reply: u64,
    /// Whether some ring has no configured size.
    grow: bool,
    parts: Vec<Part>,
}

/// The limit is smaller than the least that all parts need together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shortage {
    limit: u64,
    parts: Vec<Part>,
    advice: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    what: String,
    bytes: u64,
}

/// The parts of a configuration that need memory.
pub(super) struct Needs<'a> {
    pub(super) channels: &'a [Channel],
    pub(super) spool: Option<&'a Spool>,
    pub(super) tlss: Option<&'a Tlss>,
    pub(super) worker_threads: usize,
}

impl Needs<'_> {
    /// The default limit: 32 MiB, 8 MiB for each channel, and the parts that only some devices
    /// have.
    pub(super) fn usual_limit(&self) -> u64 {
        let extras = sum(&self.extras());
        32 * MIB + 8 * MIB * self.channels.len() as u64 + extras + scattered(extras)
    }

    /// Shares `limit` bytes out.
    ///
    /// # Errors
    /// The parts need more than `limit` even with the smallest rings.
    pub(super) fn within(&self, limit: u64) -> Result<Budget, Shortage> {
        let count = self.channels.len() as u64;
        let mut parts = vec![
            Part::new("the program", PROGRAM),
            Part::new(plural(count, "channel", "channels"), CHANNEL * count),
        ];
        parts.extend(self.extras());
        // The allocator's share is taken off the limit, since the sum of all parts is the limit.
        let usable = limit - limit / (SCATTER + 1);
        let free = usable.saturating_sub(sum(&parts));

        let least = self.rings(|_| LEAST_RING);
        let room = free.checked_sub(sum(&self.ring_parts(&least)) + RECORDING);
        let Some(room) = room else { return Err(self.shortage(limit, parts, &least)) };
        let derived = self.channels.iter().filter(|channel| channel.ring_bytes.is_none());
        let units: u64 = derived.map(units).sum();
        // The rings get half of what is left, recordings the other half.
        let share = LEAST_RING + room / 2 / units.max(1);
        let share = share / LEAST_RING * LEAST_RING;
        let rings = self.rings(|channel| share.min(most(channel)));

        let taken = self.ring_parts(&rings);
        let recordings = free - sum(&taken);
        parts.extend(taken);
        let grow = self.channels.iter().any(|channel| channel.ring_bytes.is_none());
        let what = if grow { GROWING } else { "recordings" };
        parts.push(Part::new(what, recordings));
        parts.push(Part::new("left between blocks by the allocator", limit - usable));
        let reply = self.tlss.map_or(0, |tlss| tlss.reply_limit as u64);
        Ok(Budget { limit, rings, recordings, reply, grow, parts })
    }

    /// The parts that only some devices have.
    fn extras(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        if self.worker_threads > 0 {
            let count = self.worker_threads as u64;
            parts.push(Part::new(plural(count, "worker thread", "worker threads"), THREAD * count));
        }
        if let Some(tlss) = self.tlss {
            let bytes = tlss.reply_limit as u64;
            parts.push(Part::new("the hosted service: tlss.reply_limit", bytes));
        }
        if self.spool.is_some() {
            parts.push(Part::new("the spool: its queue and its list of files", SPOOL));
        }
        let clips = self.channels.iter().map(clips).sum();
        if clips > 0 {
            parts.push(Part::new("clip files of emulators", clips));
        }
        parts
    }

    fn rings(&self, derived: impl Fn(&Channel) -> u64) -> Vec<usize> {
        let ring = |channel| usize::try_from(derived(channel)).unwrap_or(usize::MAX);
        self.channels
            .iter()
            .map(|channel| channel.ring_bytes.unwrap_or_else(|| ring(channel)))
            .collect()
    }

    /// A line for each run of channels that are alike.
    fn ring_parts(&self, rings: &[usize]) -> Vec<Part> {
        let alike = |(channel, ring): &(&Channel, &usize)| {
            (streams(channel), **ring, channel.ring_bytes.is_some())
        };
        let all: Vec<_> = self.channels.iter().zip(rings).collect();
        let mut first = 0;
        let runs = all.chunk_by(|a, b| alike(a) == alike(b));
        runs.map(|run| {
            let last = first + run.len() - 1;
            let (streams, ring, given) = alike(&run[0]);
            let of = match run.len() {
                1 => format!("channel {first}"),
                _ => format!("each of channels {first} to {last}"),
            };
            let size = mib(ring as u64);
            let source = if given { " (ring_bytes)" } else { "" };
            // Frames that wait for a slow server have left the ring; they are no more than one ring
            // held.
            let what = format!(
                "rings of {of}: {} of {size} MiB{source}, and as much as one for a slow server",
                streams
            );
            first = last + 1;
            Part::new(what, (streams + 1) * ring as u64 * run.len() as u64)
        })
        .collect()
    }

    fn shortage(&self, limit: u64, mut parts: Vec<Part>, rings: &[usize]) -> Shortage {
        parts.extend(self.ring_parts(rings));
        parts.push(Part::new("one recording at least", RECORDING));
        let scattered = scattered(sum(&parts));
        parts.push(Part::new("left between blocks by the allocator", scattered));
        let mut advice = format!("set runtime.memory_limit to {} or more", sum(&parts));
        if self.channels.iter().any(|channel| channel.ring_bytes.is_some()) {
            advice += ", or lower channel.ring_bytes";
        }
        if self.tlss.is_some() {
            advice += ", or lower tlss.reply_limit";
        }
        if self.channels.len() > 1 {
            advice += ", or have fewer channels";
        }
        Shortage { limit, parts, advice }
    }
}

impl Budget {
    /// Whether the hosted service may run with these settings before memory is shared out anew: a reply
    /// has what was set aside for it, and the usual length in any case, so that the service can be
    /// switched on without a restart.
    pub fn holds(&self, tlss: Option<&Tlss>) -> bool {
        tlss.is_none_or(|tlss| tlss.reply_limit as u64 <= self.reply.max(USUAL_REPLY as u64))
    }

    /// The budget in one line, for the log.
    pub fn summary(&self) -> String {
        let (least, most) = (self.rings.iter().min(), self.rings.iter().max());
        let ring = match (least, most) {
            (Some(least), Some(most)) if least < most => {
                format!("{} to {}", mib(*least as u64), mib(*most as u64))
            }
            (_, most) => mib(most.copied().unwrap_or(0) as u64),
        };
        format!(
            "memory_limit {} MiB: {} MiB for recordings, rings of {ring} MiB{}",
            mib(self.limit),
            mib(self.recordings),
            if self.grow { ", more while key frames are large" } else { "" }
        )
    }
}

impl fmt::Display for Budget {
    /// The budget as a sum, a line for each part.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        lines(f, &self.parts)?;
        write!(f, "{:>8} MiB  runtime.memory_limit", mib(self.limit))
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "runtime.memory_limit is {} MiB, which does not hold the least:",
            mib(self.limit)
        )?;
        lines(f, &self.parts)?;
        writeln!(f, "{:>8} MiB  in all", mib(sum(&self.parts)))?;
        f.write_str(&self.advice)
    }
}

impl Part {
    fn new(what: impl Into<String>, bytes: u64) -> Self {
        Self { what: what.into(), bytes }
    }
}

/// How many different streams of a channel the cloud or the configuration may ask for.
fn streams(channel: &Channel) -> u64 {
    let map = channel.quality;
    let mut streams = vec![map.ld, map.sd, map.hd, map.fhd];
    streams.extend(&channel.always_on);
    let has = |stream| u64::from(streams.contains(&stream));
    has(Stream::Main) + has(Stream::Sub)
}

/// How many times its ring size a channel needs: one for each ring, and one for a slow server.
fn units(channel: &Channel) -> u64 {
    streams(channel) + 1
}

fn most(channel: &Channel) -> u64 {
    if channel.always_on.is_empty() { USUAL_RING } else { WARM_RING }
}

/// A clip file is in memory once per stream.
fn clips(channel: &Channel) -> u64 {
    // A file that cannot be read counts nothing here; `check` reports it.
    let size = |file| std::fs::metadata(file).map_or(0, |data| data.len().min(MAX_CLIP));
    channel.backend.files().into_iter().map(size).sum()
}

fn scattered(bytes: u64) -> u64 {
    bytes.div_ceil(SCATTER)
}

fn sum(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.bytes).sum()
}

fn lines(f: &mut fmt::Formatter<'_>, parts: &[Part]) -> fmt::Result {
    parts.iter().try_for_each(|part| writeln!(f, "{:>8} MiB  {}", mib(part.bytes), part.what))
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn mib(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / MIB as f64)
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
