//! Packets in any order for numbers, reports and clocks: no packet is lost twice or kept for long,
//! and no time goes back. Each piece is a packet of data or reports of the track that `how` tells.
#![no_main]

use std::time::{Duration, Instant};

use ivt_media::rtp::clock::{self, RtpClock, Slew};
use ivt_media::rtp::rtcp::{self, Identity, Reception, Report};
use ivt_media::rtp::sequence::{Place, Sequence, Verdict, Window};
use ivt_media::rtp::{Packet, is_rtcp};
use ivt_media_fuzz::memory::Memory;
use ivt_media_fuzz::pieces::{Piece, pieces};
use libfuzzer_sys::fuzz_target;

const RATES: [u32; 4] = [90_000, 8000, 1, u32::MAX];

struct Track {
    window: Window,
    /// How many packets the window holds.
    held: usize,
    sequence: Sequence,
    clock: RtpClock,
    reception: Reception,
}

fuzz_target!(|input: &[u8]| {
    let memory = Memory::begin();
    let mut now = Instant::now();
    let mut pieces = pieces(input);
    let rates = pieces.next().map_or(0, |piece| piece.how);
    let mut tracks = [rates & 3, rates >> 2 & 3].map(|rate| Track::new(RATES[usize::from(rate)]));
    let (mut slew, mut last) = (Slew::default(), None);
    for Piece { how, wait, bytes } in pieces {
        now += wait;
        let number = usize::from(how & 1);
        tracks[number].handle(bytes, now);
        assert!(memory.held() <= 3 << 20, "{} bytes are held", memory.held());
        let [video, audio] = &mut tracks;
        let shift = clock::shift(&video.clock, &audio.clock);
        if let (1, Ok(packet)) = (number, Packet::parse(bytes)) {
            let ticks = audio.clock.ticks(packet.timestamp);
            audio.clock.wall(ticks);
            let placed = slew.place(ticks, shift);
            if let Some((before, place)) = last.replace((ticks, placed))
                && ticks > before
            {
                assert!(placed > place, "{placed} after {place}");
            }
        }
    }
});

impl Track {
    fn new(rate: u32) -> Self {
        Self {
            window: Window::default(),
            held: 0,
            sequence: Sequence::default(),
            clock: RtpClock::new(rate),
            reception: Reception::new(rate),
        }
    }

    fn handle(&mut self, bytes: &[u8], now: Instant) {
        self.release(now);
        if is_rtcp(bytes) {
            let mut reports = 0;
            for report in rtcp::read(bytes) {
                reports += 1;
                if let Report::Sender(report) = report {
                    self.clock.report(report.ntp, report.timestamp);
                    self.reception.report(&report, now);
                }
            }
            assert!(4 * reports <= bytes.len());
        } else if let Ok(packet) = Packet::parse(bytes) {
            match self.window.push(bytes, packet.sequence, packet.timestamp, now) {
                Place::Now => self.accept(bytes, now),
                Place::Hold => self.held += 1,
                Place::Drop => {}
            }
            self.release(now);
        }
        let due = self.window.poll_timeout();
        assert_eq!(due.is_some(), self.held > 0);
        assert!(self.held <= 64 && due.is_none_or(|due| due > now));
        assert!(due.is_none_or(|due| due <= now + Duration::from_millis(200)));
    }

    fn release(&mut self, now: Instant) {
        while let Some(bytes) = self.window.poll(now) {
            self.held -= 1;
            self.accept(&bytes, now);
        }
    }

    fn accept(&mut self, bytes: &[u8], now: Instant) {
        let packet = Packet::parse(bytes).expect("it was one before");
        let before = self.sequence.counts();
        let verdict = self.sequence.accept(packet.sequence, packet.timestamp, packet.ssrc);
        let after = self.sequence.counts();
        match verdict {
            Verdict::Next { lost } => {
                assert_eq!(after.received, before.received + 1);
                assert_eq!(after.lost, before.lost + u64::from(lost));
                assert_eq!(self.sequence.extended_highest() as u16, packet.sequence);
                self.clock.ticks(packet.timestamp);
                self.reception.arrive(packet.timestamp, now);
            }
            Verdict::Stale => assert_eq!(after.stale, before.stale + 1),
        }
        let identity = Identity { ssrc: 1, name: 2 };
        let report = self.reception.receiver_report(&identity, &self.sequence, now);
        assert!(report.is_some_and(|report| is_rtcp(&report)));
    }
}
