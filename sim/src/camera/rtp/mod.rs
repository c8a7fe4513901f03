//! Packs frames into RTP packets (RFC 3550). One unit holds every packet of one frame, already framed for an
//! RTSP connection, so that all clients share the same bytes.

mod audio;
mod report;
mod video;

use bytes::{BufMut, Bytes, BytesMut};
use ivt_media::frame::{AudioCodec, CLOCK_HZ, Frame, Track};

/// Longest RTP payload, in bytes.
pub const MTU: usize = 1400;
/// Bytes before each packet in an RTSP connection: `$`, channel, length (RFC 2326 10.12).
pub const FRAMING: usize = 4;

/// The two kinds of packets of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Media packets.
    Rtp,
    /// Sender reports.
    Rtcp,
}

/// The packets of one access unit, of one audio frame, or of one report.
#[derive(Debug)]
pub struct Unit {
    /// Number of the track in its stream.
    pub track: usize,
    /// Whether the packets are media or a report.
    pub kind: Kind,
    /// Whether a client may start with this unit.
    pub key: bool,
    bytes: Bytes,
    /// Where the framing of each packet starts in `bytes`.
    starts: Vec<usize>,
}

impl Unit {
    /// A unit of these packets.
    pub fn of(track: usize, kind: Kind, key: bool, packets: &[Vec<u8>]) -> Self {
        let mut buf = BytesMut::new();
        let mut starts = Vec::with_capacity(packets.len());
        for packet in packets {
            starts.push(buf.len());
            buf.put_slice(&[b'$', default_channel(track, kind)]);
            buf.put_u16(packet.len() as u16);
            buf.put_slice(packet);
        }
        Self { track, kind, key, bytes: buf.freeze(), starts }
    }

    /// All packets in one piece, each framed for the interleaved channel.
    pub fn interleaved(&self, channel: u8) -> Bytes {
        if channel == default_channel(self.track, self.kind) {
            return self.bytes.clone();
        }
        let mut bytes = BytesMut::from(&self.bytes[..]);
        for &start in &self.starts {
            bytes[start + 1] = channel;
        }
        bytes.freeze()
    }

    /// The single packets of what `interleaved` returned, framing included.
    pub fn packets<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let ends = self.starts.iter().skip(1).copied().chain([bytes.len()]);
        self.starts.iter().zip(ends).map(|(&start, end)| &bytes[start..end])
    }

    /// The bare packets, for UDP.
    pub fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.packets(&self.bytes).map(|packet| &packet[FRAMING..])
    }
}

/// The interleaved channel for which the packets of a track are framed at first.
pub fn default_channel(track: usize, kind: Kind) -> u8 {
    (track as u8) * 2 + u8::from(kind == Kind::Rtcp)
}

/// The identity of a track on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Number of the track in its stream.
    pub track: usize,
    /// Payload type of RTP.
    pub payload_type: u8,
    /// Ticks of the RTP clock in a second.
    pub clock_hz: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// RTP timestamp at stream time 0.
    pub base: u32,
}

impl Source {
    /// A source with a random identity.
    pub fn new(track: usize, params: &Track) -> Self {
        let (payload_type, clock_hz) = match params {
            Track::Video(_) => (96, CLOCK_HZ as u32),
            Track::Audio(a) => match (a.codec, a.sample_rate, a.channels) {
                (AudioCodec::Pcmu, 8000, 1) => (0, 8000), // Static types of RFC 3551.
                (AudioCodec::Pcma, 8000, 1) => (8, 8000),
                (_, rate, _) => (97, rate),
            },
        };
        Self { track, payload_type, clock_hz, ssrc: rand::random(), base: rand::random() }
    }

    /// The RTP timestamp of a stream time in 90 kHz ticks.
    pub fn timestamp(&self, ticks: i64) -> u32 {
        let hz = i128::from(CLOCK_HZ);
        let scaled = (i128::from(ticks) * i128::from(self.clock_hz) + hz / 2).div_euclid(hz);
        self.base.wrapping_add(scaled as u32) // RTP time wraps.
    }
}

/// Packs and numbers the packets of one track.
#[derive(Debug)]
pub struct Packetizer {
    source: Source,
    mtu: usize,
    sequence: u16,
    packets: u32,
    octets: u32,
}

impl Packetizer {
    /// A packetizer that starts at a random sequence number.
    pub fn new(source: Source) -> Self {
        Self { source, mtu: MTU, sequence: rand::random(), packets: 0, octets: 0 }
    }

    /// The same with payloads of pictures of at most so many bytes, up to [`MTU`].
    pub fn with_mtu(self, mtu: usize) -> Self {
        Self { mtu: mtu.min(MTU), ..self }
    }

    /// The identity of the packetizer's track on the wire.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The packets of a frame at stream time `pts`. `parameter_sets` go before a picture.
    pub fn frame(&mut self, frame: &Frame, pts: i64, parameter_sets: &[Bytes]) -> Unit {
        let mut writer = Writer::new(self, frame.data.len(), self.source.timestamp(pts));
        match &frame.track {
            Track::Video(params) => {
                let nals = parameter_sets.iter().cloned().chain(video::nals(frame.data.clone()));
                video::write(&mut writer, params.codec, nals);
            }
            Track::Audio(params) => match params.codec {
                AudioCodec::Aac => audio::write_aac(&mut writer, &frame.data),
                AudioCodec::Pcma | AudioCodec::Pcmu => {
                    audio::write_g711(&mut writer, &frame.data, params.channels);
                }
            },
        }
        writer.finish(Kind::Rtp, frame.key)
    }
}

/// Writes framed RTP packets one after the other.
struct Writer<'a> {
    packetizer: &'a mut Packetizer,
    timestamp: u32,
    buf: BytesMut,
    starts: Vec<usize>,
}

impl<'a> Writer<'a> {
    fn new(packetizer: &'a mut Packetizer, payload: usize, timestamp: u32) -> Self {
        let packets = payload / MTU + 4;
        let buf = BytesMut::with_capacity(payload + packets * 20);
        Self { packetizer, timestamp, buf, starts: Vec::with_capacity(packets) }
    }

    /// One packet of at most [`MTU`] payload bytes, given in two parts.
    fn packet(&mut self, marker: bool, head: &[u8], tail: &[u8]) {
        let source = self.packetizer.source;
        let payload = head.len() + tail.len();
        debug_assert!(payload <= MTU);
        self.starts.push(self.buf.len());
        self.buf.put_u8(b'$');
        self.buf.put_u8(default_channel(source.track, Kind::Rtp));
        self.buf.put_u16((12 + payload) as u16);
        self.buf.put_u8(0x80);
        self.buf.put_u8(u8::from(marker) << 7 | source.payload_type);
        self.buf.put_u16(self.packetizer.sequence);
        self.buf.put_u32(self.timestamp);
        self.buf.put_u32(source.ssrc);
        self.buf.put_slice(head);
        self.buf.put_slice(tail);
        self.packetizer.sequence = self.packetizer.sequence.wrapping_add(1);
        self.packetizer.packets = self.packetizer.packets.wrapping_add(1);
        self.packetizer.octets = self.packetizer.octets.wrapping_add(payload as u32);
    }

    fn finish(self, kind: Kind, key: bool) -> Unit {
        let track = self.packetizer.source.track;
        Unit { track, kind, key, bytes: self.buf.freeze(), starts: self.starts }
    }
}

#[cfg(test)]
pub mod testutil;

#[cfg(test)]
mod tests {
    use super::testutil::{audio, packets, video};
    use super::*;

    #[test]
    fn numbers_and_identity_run_on_over_frames_and_wrap() {
        let frame = video(&[&[0x65; 3000]]);
        let source = Source { track: 1, base: u32::MAX - 10, ..Source::new(0, &frame.track) };
        let mut packetizer = Packetizer { sequence: u16::MAX, ..Packetizer::new(source) };
        let first = packets(&packetizer.frame(&frame, 0, &[]));
        let second = packets(&packetizer.frame(&frame, 3600, &[]));
        let sequence: Vec<_> = first.iter().chain(&second).map(|p| p.sequence).collect();
        assert_eq!(sequence, [u16::MAX, 0, 1, 2, 3, 4]);
        assert!(first.iter().all(|p| p.timestamp == u32::MAX - 10));
        assert!(first.iter().all(|p| (p.ssrc, p.payload_type) == (source.ssrc, 96)));
        assert!(second.iter().all(|p| p.timestamp == 3589));
        assert_eq!((packetizer.packets, packetizer.octets), (6, 2 * (2999 + 3 * 2)));
    }

    #[test]
    fn other_channels_change_the_framing_and_nothing_else() {
        let frame = video(&[&[0x65; 3000]]);
        let unit = Packetizer::new(Source::new(0, &frame.track)).frame(&frame, 0, &[]);
        let (ours, theirs) = (unit.interleaved(0), unit.interleaved(6));
        assert_eq!(ours.as_ptr(), unit.bytes.as_ptr(), "clients share the bytes");
        for (a, b) in unit.packets(&ours).zip(unit.packets(&theirs)) {
            assert_eq!((a[1], b[1]), (0, 6));
            assert_eq!((a[0], &a[2..]), (b[0], &b[2..]));
        }
        assert_eq!(unit.packets(&ours).count(), 3);
    }

    #[test]
    fn time_is_scaled_to_the_clock_of_the_track() {
        let aac = audio(AudioCodec::Aac, 16_000, 1, &[0; 8]);
        let source = Source { base: 5, ..Source::new(0, &aac.track) };
        assert_eq!(source.timestamp(0), 5);
        assert_eq!(source.timestamp(5760), 1029);
        assert_eq!(source.timestamp(-90_000), 5u32.wrapping_sub(16_000));
    }

    #[test]
    fn static_payload_types_are_used_where_they_exist() {
        let row = |codec, rate, channels| {
            Source::new(0, &audio(codec, rate, channels, &[]).track).payload_type
        };
        assert_eq!(row(AudioCodec::Pcmu, 8000, 1), 0);
        assert_eq!(row(AudioCodec::Pcma, 8000, 1), 8);
        assert_eq!(row(AudioCodec::Pcma, 16_000, 1), 97);
        assert_eq!(row(AudioCodec::Aac, 8000, 1), 97);
    }
}
