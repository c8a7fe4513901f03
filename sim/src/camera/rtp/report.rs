//! Sender reports (RFC 3550 6.4.1), each with the canonical name that binds the tracks together.

use std::time::{Duration, SystemTime};

use bytes::{BufMut, BytesMut};

use super::{Kind, Packetizer, Unit, default_channel};

/// Time from 1900, where NTP counts from, to 1970.
const NTP_EPOCH: Duration = Duration::from_secs(2_208_988_800);
const CNAME: &[u8] = b"camera-sim";

impl Packetizer {
    /// A report of the sender with its canonical name: `wall` is the time of day at stream time `ticks`.
    pub fn report(&self, wall: SystemTime, ticks: i64) -> Unit {
        let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + NTP_EPOCH;
        let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
        let mut buf = BytesMut::with_capacity(64);
        buf.put_u8(b'$');
        buf.put_u8(default_channel(self.source.track, Kind::Rtcp));
        buf.put_u16(0); // The length, which is set below.
        buf.put_slice(&[0x80, 200, 0, 6]);
        buf.put_u32(self.source.ssrc);
        buf.put_u32(since.as_secs() as u32); // NTP wraps in 2036.
        buf.put_u32(fraction as u32);
        buf.put_u32(self.source.timestamp(ticks));
        buf.put_u32(self.packets);
        buf.put_u32(self.octets);
        buf.put_slice(&[0x81, 202, 0, 5]);
        buf.put_u32(self.source.ssrc);
        buf.put_slice(&[1, CNAME.len() as u8]);
        buf.put_slice(CNAME);
        buf.put_u32(0); // The end of the items, padded to a word.
        const { assert!(CNAME.len() == 10, "the length above counts on it") };
        let length = (buf.len() - super::FRAMING) as u16;
        buf[2..4].copy_from_slice(&length.to_be_bytes());
        let track = self.source.track;
        Unit { track, kind: Kind::Rtcp, key: false, bytes: buf.freeze(), starts: vec![0] }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::super::testutil::video;
    use super::*;

    #[test]
    fn a_report_counts_what_was_sent_and_ties_both_clocks() {
        let frame = video(&[&[0x65; 100]]);
        let source = Source::new(1, &frame.track);
        let mut packetizer = Packetizer::new(source);
        packetizer.frame(&frame, 0, &[]);
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        let report = packetizer.report(wall, 90_000);
        let datagrams: Vec<_> = report.datagrams().collect();
        let [p] = datagrams[..] else { panic!("expected one compound") };
        let word =
            |i: usize| u32::from_be_bytes([p[4 * i], p[4 * i + 1], p[4 * i + 2], p[4 * i + 3]]);
        assert_eq!((word(0), word(1)), (0x80c8_0006, source.ssrc));
        assert_eq!((word(2), word(3)), (2_208_988_801, 1 << 31));
        assert_eq!(word(4), source.base.wrapping_add(90_000));
        assert_eq!((word(5), word(6)), (1, 100));
        assert_eq!((word(7), word(8)), (0x81ca_0005, source.ssrc));
        assert_eq!(&p[36..], [&[1, 10], CNAME, &[0; 4]].concat());
        assert_eq!(p.len() % 4, 0);
        let framed = report.interleaved(3);
        assert_eq!(framed[1..4], [3, 0, p.len() as u8]);
    }
}
