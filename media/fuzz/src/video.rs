//! Packets of a picture's track, whatever its compression.
//!
//! The first piece describes parameter sets, if it has any, and its `how` says whether there are decoding order
//! numbers. Each other one is an RTP packet. Its `how` tells how many packets are lost before it (3 bits, 7 are
//! many), whether its payload is made long (2 bits), and how often it comes (3 bits).

use std::time::Instant;

use ivt_media::frame::VideoCodec;
use ivt_media::rtp::Packet;
use ivt_media::rtp::video::Video;

use crate::check;
use crate::memory::Memory;
use crate::pieces::{Piece, long, pieces};

/// Most bytes held: an access unit with the room that a growing one may have, parameter sets and
/// what is small.
const MOST_HELD: usize = 17 << 20;
/// Most bytes of payload that an input may become by repetition.
const MOST_SENT: usize = 9 << 20;

/// Puts an input through. Returns how many pictures came out.
pub fn run(codec: VideoCodec, input: &[u8]) -> usize {
    let memory = Memory::begin();
    let mut now = Instant::now();
    let (mut sent, mut pictures) = (0, 0);
    let mut video = Video::new(codec);
    let mut pieces = pieces(input);
    if let Some(Piece { how, bytes, .. }) = pieces.next() {
        video.describe(&String::from_utf8_lossy(bytes));
        video.with_don(how & 1 != 0);
    }
    for Piece { how, wait, bytes } in pieces {
        now += wait;
        video.handle_timeout(now);
        assert!(video.poll_timeout().is_none_or(|due| due > now), "nothing would come of it");
        pictures += take(&mut video, now);
        let Ok(packet) = Packet::parse(bytes) else { continue };
        let stretched = long(packet.payload, how >> 3 & 3);
        let packet = Packet { payload: &stretched, ..packet };
        let lost = [0, 1, 2, 3, 4, 5, 60, u32::MAX][usize::from(how & 7)];
        for n in 0..1 << (how >> 5) {
            sent += packet.payload.len();
            if sent > MOST_SENT {
                break;
            }
            video.push(&packet, if n == 0 { lost } else { 0 }, now);
            pictures += take(&mut video, now);
            assert!(memory.held() <= MOST_HELD, "{} bytes are held", memory.held());
        }
    }
    pictures
}

fn take(video: &mut Video, now: Instant) -> usize {
    let mut pictures = 0;
    while let Some(picture) = video.poll() {
        check::picture(&picture.params, &picture.data);
        assert!(picture.received <= now && video.slices_seen());
        pictures += 1;
    }
    pictures
}
