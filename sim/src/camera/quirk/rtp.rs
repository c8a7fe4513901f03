//! Numbers and headers of packets; packets that are lost, late, doubled or malformed.

use std::time::Duration;

use ivt_media::frame::Frame;
use tokio::time::Instant;

use super::super::rtp::Source;
use super::packet::Packet;
use super::{Quirk, Quirks};

/// Numbers the packets of one track.
#[derive(Debug)]
pub struct Numbering {
    quirks: Quirks,
    sequence: u16,
    /// Number of packets so far.
    count: u64,
    /// The identity in the packets, when it is another than the description's.
    ssrc: Option<u32>,
    /// A packet that goes out behind its successor.
    held: Option<Vec<u8>>,
    due: Due,
}

/// When each quirk with a period acts next.
#[derive(Debug, Default)]
pub struct Due(Vec<(Quirk, Instant)>);

impl Due {
    /// Whether a quirk with a period acts now; the first time is one period after the first call.
    pub fn now(&mut self, quirks: &Quirks, quirk: Quirk) -> bool {
        let Some(period) = quirks.time(quirk) else { return false };
        let now = Instant::now();
        match self.0.iter_mut().find(|(q, _)| *q == quirk) {
            None => self.0.push((quirk, now + period)),
            Some((_, next)) if *next <= now => {
                *next = now + period.max(Duration::from_millis(1));
                return true;
            }
            Some(_) => {}
        }
        false
    }
}

impl Numbering {
    /// Starts at a random sequence number.
    pub fn new(quirks: Quirks) -> Self {
        let sequence = rand::random_range(1..60_000);
        Self { quirks, sequence, count: 0, ssrc: None, held: None, due: Due::default() }
    }

    /// The packets of a frame as they go out, and the RTCP packets that go with them.
    pub fn finish(
        &mut self,
        packets: Vec<Packet>,
        frame: &Frame,
        source: Source,
    ) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let video = frame.is_video();
        if video && frame.key && self.count > 0 && self.quirks.has(Quirk::SsrcGop) {
            self.ssrc = Some(rand::random());
        }
        if video && self.due.now(&self.quirks, Quirk::SeqReset) {
            self.sequence = if self.sequence < 0x8000 { 1 } else { 0x3000 };
        }
        let mut out = Vec::with_capacity(packets.len() + 2);
        let last = packets.last().map(|packet| packet.beside(Vec::new()));
        for mut packet in packets {
            packet.ssrc = self.ssrc.unwrap_or(packet.ssrc);
            let bytes = self.encode(&packet);
            self.send(bytes, video, &mut out);
        }
        let mut reports = Vec::new();
        if let Some(like) = last.filter(|_| video) {
            self.extra(&like, source, &mut out, &mut reports);
        }
        (out, reports)
    }

    /// Puts the identity of the packets into a sender report.
    pub fn report(&self, bytes: &mut [u8]) {
        let Some(ssrc) = self.ssrc else { return };
        for place in [4..8, 32..36] {
            if let Some(field) = bytes.get_mut(place) {
                field.copy_from_slice(&ssrc.to_be_bytes());
            }
        }
    }

    fn encode(&mut self, packet: &Packet) -> Vec<u8> {
        let sequence = if self.quirks.has(Quirk::SeqFrozen) { 0 } else { self.sequence };
        let mut bytes = packet.encode(sequence);
        self.sequence = self.sequence.wrapping_add(1);
        if self.quirks.has(Quirk::RtpExt) {
            bytes[0] |= 0x12;
            let extension = [0, 0, 0, 1, 0, 0, 0, 2, 0xab, 0xac, 0, 3].into_iter().chain([0; 12]);
            bytes.splice(12..12, extension);
        }
        bytes
    }

    fn send(&mut self, bytes: Vec<u8>, video: bool, out: &mut Vec<Vec<u8>>) {
        if self.quirks.has(Quirk::UdpDup) {
            out.push(bytes.clone());
        }
        if !video {
            return out.push(bytes);
        }
        self.count += 1;
        let each = |quirk, nth| self.quirks.has(quirk) && self.count.is_multiple_of(nth);
        if each(Quirk::TcpLoss, 60) {
            return;
        }
        if each(Quirk::UdpReorder, 50) || each(Quirk::UdpReorderRare, 400) {
            self.held = Some(bytes);
            return;
        }
        if each(Quirk::SeqDup, 100) {
            out.push(bytes.clone());
        }
        out.push(bytes);
        out.extend(self.held.take());
    }

    /// Adds packets against the rules behind those of a picture.
    fn extra(
        &mut self,
        like: &Packet,
        source: Source,
        out: &mut Vec<Vec<u8>>,
        reports: &mut Vec<Vec<u8>>,
    ) {
        let ssrc = self.ssrc.unwrap_or(source.ssrc);
        let like = Packet { ssrc, ..like.clone() };
        let quirks = self.quirks.clone();
        let mut due = |quirk| self.due.now(&quirks, quirk);
        let (zero, padding, bad) =
            (due(Quirk::ZeroPayload), due(Quirk::PaddingOnly), due(Quirk::PaddingBad));
        let (data, cut) = (due(Quirk::RtcpOnData), due(Quirk::RtcpShort));
        let (foreign, short) = (due(Quirk::ForeignType), due(Quirk::RtpShort));
        if zero {
            out.push(self.encode(&like));
        }
        for (wanted, payload) in [(padding, [0, 0, 0, 4]), (bad, [0, 0, 0, 200])] {
            if wanted {
                let mut bytes = self.encode(&like.beside(payload));
                bytes[0] |= 0x20;
                out.push(bytes);
            }
        }
        if data {
            let mut report = vec![0x80, 200, 0, 6];
            report.extend_from_slice(&ssrc.to_be_bytes());
            report.extend_from_slice(&[0xee, 0, 0, 0, 0, 0, 0, 0]);
            report.extend_from_slice(&like.timestamp.to_be_bytes());
            report.extend_from_slice(&[0, 0, 0, 9, 0, 0, 3, 0xe8]);
            out.push(report);
        }
        if cut {
            let wrong: [&[u8]; 5] = [
                &[0x80],
                &[0x80, 200, 0, 6, 1, 2, 3],
                &[0x80, 200, 0xff, 0xff, 0, 0, 0, 0],
                &[0xa0, 210, 0, 1, 0, 0, 0, 200],
                &[0x9f, 203, 0, 0],
            ];
            reports.extend(wrong.iter().map(|bytes| bytes.to_vec()));
        }
        if foreign {
            let packet = Packet { payload_type: 120, ssrc: 7, ..like.beside([0x65; 64]) };
            out.push(packet.encode(9));
        }
        if short {
            out.extend([1, 5, 11].map(|length| vec![0x80; length]));
            let mut other = like.beside([0x41, 1, 2, 3]).encode(self.sequence);
            other[0] = 0x40;
            out.push(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::rtp::testutil;
    use super::*;

    fn packet(payload: &[u8]) -> Packet {
        let payload = payload.to_vec();
        Packet { marker: true, payload_type: 96, timestamp: 5, ssrc: 6, payload }
    }

    /// The sequence numbers of pictures of one packet each.
    async fn sequence(quirk: Quirk, pictures: usize) -> Vec<u16> {
        let frame = testutil::video(&[&[0x41, 1]]);
        let source = Source::new(0, &frame.track);
        let mut numbering = Numbering { sequence: 1000, ..Numbering::new(quirk.into()) };
        let mut all = Vec::new();
        for _ in 0..pictures {
            let (packets, _) = numbering.finish(vec![packet(&[0x41, 1])], &frame, source);
            all.extend(packets.iter().map(|p| u16::from_be_bytes([p[2], p[3]])));
            tokio::time::advance(Duration::from_millis(40)).await;
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn packets_are_lost_doubled_and_overtaken_at_their_rate() {
        let lost = sequence(Quirk::TcpLoss, 120).await;
        assert!(lost.len() == 118 && !lost.contains(&1059) && !lost.contains(&1119));
        let doubled = sequence(Quirk::SeqDup, 100).await;
        assert_eq!(doubled[98..], [1098, 1099, 1099]);
        let overtaken = sequence(Quirk::UdpReorder, 60).await;
        assert_eq!(overtaken[48..52], [1048, 1050, 1049, 1051]);
        assert_eq!(sequence(Quirk::UdpDup, 2).await, [1000, 1000, 1001, 1001]);
        assert_eq!(sequence(Quirk::SeqFrozen, 2).await, [0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn numbers_start_again_and_empty_packets_come_every_few_seconds() {
        let reset = sequence(Quirk::SeqReset, 80).await;
        assert_eq!(reset[74..77], [1074, 1, 2]);
        assert_eq!(sequence(Quirk::ZeroPayload, 51).await.len(), 52);
        assert_eq!(sequence(Quirk::PaddingOnly, 101).await.len(), 103);
    }

    #[tokio::test(start_paused = true)]
    async fn an_extension_lies_between_header_and_payload() {
        let frame = testutil::video(&[&[0x41, 1]]);
        let mut numbering = Numbering::new(Quirk::RtpExt.into());
        let source = Source::new(0, &frame.track);
        let (packets, _) = numbering.finish(vec![packet(&[0x41, 9])], &frame, source);
        assert_eq!(packets[0][0], 0x92);
        assert_eq!(packets[0][20..24], [0xab, 0xac, 0, 3]);
        assert_eq!(packets[0][36..], [0x41, 9]);
    }
}
