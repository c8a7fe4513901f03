//! The packets of a camera with quirks: packed by the rules, then taken apart, changed and numbered anew.

use ivt_media::frame::{Frame, Track};

use super::super::params::parameter_sets;
use super::super::rtp::{Kind as Half, Packetizer, Source, Unit};
use super::super::sdp::Description;
use super::super::timeline::Place;
use super::rtp::Numbering;
use super::sound::Sound;
use super::{Quirk, Quirks, sound, time, video};

/// A packet before it has its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Marker bit.
    pub marker: bool,
    /// RTP payload type.
    pub payload_type: u8,
    /// RTP time.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// What follows the header.
    pub payload: Vec<u8>,
}

/// What a stream's task keeps for the quirks of its packets.
#[derive(Debug)]
pub struct Media {
    quirks: Quirks,
    numberings: Vec<Numbering>,
    sound: Sound,
    /// Pictures so far.
    pictures: u64,
    /// The unit that never ends has begun.
    endless: u32,
}

impl Media {
    /// For a new stream; `None` for a camera that behaves.
    pub fn new(quirks: &Quirks) -> Option<Self> {
        (!quirks.is_empty()).then(|| Self {
            quirks: quirks.clone(),
            numberings: Vec::new(),
            sound: Sound::default(),
            pictures: 0,
            endless: 0,
        })
    }

    /// Changes how the tracks are told apart on the wire.
    pub fn sources(&self, description: &mut Description) {
        for (track, source) in &mut description.tracks {
            match track {
                Track::Video(_) => video::source(&self.quirks, source),
                Track::Audio(_) => sound::source(&self.quirks, source),
            }
            time::source(&self.quirks, source);
        }
    }

    /// Longest payload of a picture, bytes.
    pub fn mtu(&self, usual: usize) -> usize {
        let small = [Quirk::Midframe, Quirk::FuaEmpty, Quirk::FuaMarkEarly, Quirk::FuaNoStart];
        if self.quirks.has_any(&small) { 400 } else { usual }
    }

    /// The packets of a frame, in as many units as it takes.
    pub fn frame(&mut self, packetizer: &mut Packetizer, frame: &Frame, place: Place) -> Vec<Unit> {
        let source = packetizer.source();
        let sets = match &frame.track {
            Track::Video(params) if frame.key && self.in_band() => parameter_sets(params),
            _ => Vec::new(),
        };
        let unit = packetizer.frame(frame, place.pts, &sets);
        let mut packets: Vec<Packet> = unit.datagrams().filter_map(Packet::parse).collect();
        let picture = frame.is_video().then_some(self.pictures);
        let shift = time::shift(&self.quirks, source, picture, place.pts);
        packets.iter_mut().for_each(|p| p.timestamp = p.timestamp.wrapping_add(shift));
        match &frame.track {
            Track::Video(params) => {
                self.pictures += 1;
                packets = if self.quirks.has(Quirk::UnitEndless) {
                    video::endless(packets, &mut self.endless)
                } else {
                    video::shape(&self.quirks, params.codec, packets, frame.key)
                };
            }
            Track::Audio(params) => packets = self.sound.shape(&self.quirks, params, packets),
        }
        let numbering = self.numbering(source.track);
        let (media, reports) = numbering.finish(packets, frame, source);
        let mut units = vec![Unit::of(source.track, Half::Rtp, frame.key, &media)];
        units.extend(
            reports.iter().map(|report| {
                Unit::of(source.track, Half::Rtcp, false, std::slice::from_ref(report))
            }),
        );
        units
    }

    /// Changes a sender report; `None` leaves it out.
    pub fn report(&mut self, report: &Unit) -> Option<Unit> {
        let silent = self.quirks.has(Quirk::NoReports)
            || time::hides_reports(&self.quirks)
            || self.quirks.has(Quirk::SeqFrozen);
        let mut bytes = report.datagrams().next().filter(|_| !silent)?.to_vec();
        let track = report.track;
        self.numbering(track).report(&mut bytes);
        time::report(&self.quirks, &mut bytes);
        Some(Unit::of(track, Half::Rtcp, false, &[bytes]))
    }

    fn in_band(&self) -> bool {
        let outside = [Quirk::SpropOnly, Quirk::SpropSemi, Quirk::SpropNone];
        !self.quirks.has_any(&outside)
    }

    fn numbering(&mut self, track: usize) -> &mut Numbering {
        while self.numberings.len() <= track {
            self.numberings.push(Numbering::new(self.quirks.clone()));
        }
        &mut self.numberings[track]
    }
}

impl Packet {
    /// A packet of ours: its header is 12 bytes.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, payload) = bytes.split_first_chunk::<12>()?;
        let [_, kind, _, _, t0, t1, t2, t3, s0, s1, s2, s3] = *head;
        Some(Self {
            marker: kind & 0x80 != 0,
            payload_type: kind & 0x7f,
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
            payload: payload.to_vec(),
        })
    }

    /// The bytes under a sequence number.
    pub fn encode(&self, sequence: u16) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(12 + self.payload.len());
        bytes.extend_from_slice(&[0x80, u8::from(self.marker) << 7 | self.payload_type]);
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.extend_from_slice(&self.timestamp.to_be_bytes());
        bytes.extend_from_slice(&self.ssrc.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Another payload, without marker, at the same time.
    pub fn beside(&self, payload: impl Into<Vec<u8>>) -> Self {
        let Self { payload_type, timestamp, ssrc, .. } = *self;
        Self { marker: false, payload_type, timestamp, ssrc, payload: payload.into() }
    }
}

/// The RTP time that an honest source would have at `ticks`, as this camera tells it.
pub fn rtp_time(quirks: &Quirks, source: &Source, video: bool, ticks: i64) -> u32 {
    let shift = time::shift(quirks, *source, video.then_some(0), ticks);
    source.timestamp(ticks).wrapping_add(shift)
}
