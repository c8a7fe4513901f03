//! The packets of one track: how they come, which are missing, and what their timestamps mean.

use std::mem::take;
use std::time::Instant;

use super::setup::Path;
use super::tracks::Chosen;
use crate::rtp::Packet;
use crate::rtp::clock::{self, RtpClock};
use crate::rtp::rtcp::{Identity, RECEIVER_REPORT, Reception, SenderReport};
use crate::rtp::sequence::{Counts, Sequence, Verdict};

/// Number of packets of another payload type than described, and none of that, after which a track
/// is taken to mean the other one.
const FOREIGN: u32 = 32;

/// What is known of one track beside its depacketiser.
pub(super) struct RtpTrack {
    /// Control of the track, as described.
    control: Option<String>,
    payload_type: u8,
    /// How the packets come; `None` before the track is set up.
    path: Option<Path>,
    /// Source of the newest packet that belongs to the track.
    ssrc: Option<u32>,
    /// Packets of other payload types that came the track's way before any of its own.
    foreign: u32,
    sequence: Sequence,
    /// Packets missing before the next one that belongs to the track.
    missing: u32,
    /// Ticks per second of the clock.
    rate: u32,
    /// RTP time at which the track begins, where the camera says so.
    start: Option<u32>,
    clock: RtpClock,
    reception: Reception,
}

impl RtpTrack {
    /// A track before any packet, and its depacketiser.
    pub(super) fn new<D>(chosen: Chosen<D>) -> (D, Self) {
        let track = Self {
            control: chosen.control,
            payload_type: chosen.payload_type,
            path: None,
            ssrc: None,
            foreign: 0,
            sequence: Sequence::default(),
            missing: 0,
            rate: chosen.clock_rate,
            start: None,
            clock: RtpClock::new(chosen.clock_rate),
            reception: Reception::new(chosen.clock_rate),
        };
        (chosen.depacketizer, track)
    }

    /// Control of the track, as described.
    pub(super) fn control(&self) -> Option<&str> {
        self.control.as_deref()
    }

    /// Payload type of the track's packets.
    pub(super) fn payload_type(&self) -> u8 {
        self.payload_type
    }

    /// Source of the track's packets; `None` before the first one.
    pub(super) fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    /// Numbers of packets so far.
    pub(super) fn counts(&self) -> Counts {
        self.sequence.counts()
    }

    /// Notes how the packets come.
    pub(super) fn set_path(&mut self, path: Path) {
        self.path = Some(path);
    }

    /// Whether data or reports come by this interleaved channel.
    pub(super) fn uses(&self, channel: u8) -> bool {
        matches!(self.path, Some(Path::Channels(a, b)) if a == channel || b == channel)
    }

    /// Judges a packet by its number. Returns how many packets are missing before it; `None` where it
    /// came before.
    pub(super) fn accept(&mut self, packet: &Packet<'_>) -> Option<u32> {
        self.ssrc = Some(packet.ssrc);
        match self.sequence.accept(packet.sequence, packet.timestamp, packet.ssrc) {
            Verdict::Next { lost } => Some(lost.saturating_add(take(&mut self.missing))),
            Verdict::Stale => None,
        }
    }

    /// Notes that so many packets are missing before the next one.
    pub(super) fn miss(&mut self, packets: u32) {
        self.missing = packets;
    }

    /// Takes a packet of another payload type that came the track's way. It counts where it is
    /// numbered with the packets of the track.
    pub(super) fn strange(&mut self, packet: &Packet<'_>) {
        if self.ssrc.is_none() && packet.payload_type >= 96 {
            // Some cameras describe another number than they send.
            self.foreign = self.foreign.saturating_add(1);
            if self.foreign >= FOREIGN {
                self.payload_type = packet.payload_type;
            }
        }
        if self.ssrc == Some(packet.ssrc)
            && let Verdict::Next { lost } =
                self.sequence.accept(packet.sequence, packet.timestamp, packet.ssrc)
        {
            self.missing = self.missing.saturating_add(lost);
        }
    }

    /// Takes a sender report.
    pub(super) fn report(&mut self, report: &SenderReport, now: Instant) {
        self.clock.report(report.ntp, report.timestamp);
        self.reception.report(report, now);
    }

    /// A receiver report and the way it goes; `None` before the first packet.
    pub(super) fn receiver_report(
        &mut self,
        identity: &Identity,
        now: Instant,
    ) -> Option<(Path, [u8; RECEIVER_REPORT])> {
        let report = self.reception.receiver_report(identity, &self.sequence, now)?;
        Some((self.path?, report))
    }

    /// Takes the timestamp of a picture or a piece of sound that came at `received`. Returns it in
    /// 90 kHz ticks since the start of the track.
    pub(super) fn ticks(&mut self, timestamp: u32, received: Instant) -> i64 {
        self.reception.arrive(timestamp, received);
        self.clock.ticks(timestamp)
    }

    /// What must be added to the ticks of this track of sound to have those of the picture.
    pub(super) fn shift_to(&self, picture: &Self) -> Option<i64> {
        clock::shift(&picture.clock, &self.clock)
    }

    /// Notes the RTP time at which the camera says that the track begins.
    pub(super) fn start_at(&mut self, time: u32) {
        self.start = Some(time);
        self.clock.start_at(time);
    }

    /// Whether the camera says that the track begins at another RTP time than this.
    pub(super) fn starts_elsewhere(&self, time: u32) -> bool {
        self.start.is_some_and(|start| start != time)
    }

    /// Forgets the start that was told: the track begins with the next packet.
    pub(super) fn forget_start(&mut self) {
        self.start = None;
        self.clock = RtpClock::new(self.rate);
    }

    /// Sets the real rate of the clock, which may show only in the first packets.
    pub(super) fn set_rate(&mut self, rate: u32) {
        if rate != self.rate {
            self.rate = rate;
            self.clock = RtpClock::new(rate);
            if let Some(start) = self.start {
                self.clock.start_at(start);
            }
        }
    }
}
