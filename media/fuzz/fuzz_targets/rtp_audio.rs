//! Packets of sound: every piece of sound is well formed, and little is held.
//!
//! The first piece has the parameters of the payload; its `how` tells the compression (2 bits), the
//! clock rate (3 bits) and the channels (2 bits). Each other one is an RTP packet. Its `how` tells
//! how many are lost before it (3 bits, 7 are many), whether its payload is made long (2 bits), and
//! how often it comes (3 bits).
#![no_main]

use std::time::Instant;

use ivt_media::rtp::Packet;
use ivt_media::rtp::audio::Audio;
use ivt_media::rtsp::sdp::Format;
use ivt_media_fuzz::check;
use ivt_media_fuzz::memory::Memory;
use ivt_media_fuzz::pieces::{Piece, long, pieces};
use libfuzzer_sys::fuzz_target;

/// Most bytes held: units that wait, 32 interleaved units, one that grows, and what is small.
const MOST_HELD: usize = 4 << 20;
const RATES: [u32; 8] = [8000, 16_000, 44_100, 48_000, 90_000, 0, 1, u32::MAX];

fuzz_target!(|input: &[u8]| {
    let memory = Memory::begin();
    let mut now = Instant::now();
    let mut pieces = pieces(input);
    let Some(Piece { how, bytes, .. }) = pieces.next() else { return };
    let encodings = ["mpeg4-generic", "mp4a-latm", "pcma", "pcmu"];
    let format = Format {
        payload_type: 97,
        encoding: encodings[usize::from(how & 3)].into(),
        clock_rate: RATES[usize::from(how >> 2 & 7)],
        channels: [1, 0, 2, 8][usize::from(how >> 5 & 3)],
        fmtp: Some(String::from_utf8_lossy(bytes).into_owned()),
    };
    let made = Audio::new(&format.encoding, format.clock_rate, format.channels, &|name| {
        format.parameter(name)
    });
    let Ok(mut audio) = made else { return };
    for Piece { how, wait, bytes } in pieces {
        now += wait;
        let Ok(packet) = Packet::parse(bytes) else { continue };
        let stretched = long(packet.payload, how >> 3 & 3);
        let lost = if how & 7 == 7 { u32::MAX } else { u32::from(how & 7) };
        let (mut lost, mut packet) = (lost, Packet { payload: &stretched, ..packet });
        for _ in 0..1 << (how >> 5) {
            audio.push(&packet, lost, now);
            packet.timestamp = packet.timestamp.wrapping_add(1024);
            lost = 0;
            while let Some(sound) = audio.poll() {
                check::sound(&sound.params, &sound.data);
                assert!(sound.received <= now && audio.clock_rate() > 0);
            }
            assert!(memory.held() <= MOST_HELD, "{} bytes are held", memory.held());
        }
    }
});
