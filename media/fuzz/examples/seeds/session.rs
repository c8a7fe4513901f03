//! Seeds that are whole sessions.

use std::io;

use ivt_media::frame::VideoCodec;

use crate::lines::{DESCRIPTIONS, SETS};
use crate::media::{fragments, report, rtp};
use crate::{Input, Seeds};

const KEY: &[u8] = b"\x65\x88\x84key of a picture that is long enough for fragments, nothing more";
const OTHER: &[u8] = b"\x41\x9a\x24other";
const SETUP: &str = "Session: 7;timeout=10\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
const SETUP_SOUND: &str = "Session: 7\r\nTransport: RTP/AVP/TCP;unicast;interleaved=2-3\r\n";
const PLAY: &str = "Session: 7\r\nPublic: OPTIONS, GET_PARAMETER\r\nRTP-Info: url=track0;seq=1;rtptime=0,url=track1;rtptime=0\r\n";
/// `how` of an interleaved packet on channel 0.
const PACKET: u8 = 1;
/// `how` of an interleaved packet on channel 1.
const REPORT: u8 = 0x11;
/// `how` of an interleaved packet on channel 2.
const SOUND: u8 = 0x21;
/// Bit of a datagram.
const DATAGRAM: u8 = 2;
/// Bit of a packet that comes many times.
const LONG: u8 = 4;
/// Bit of a connection that is lost before the piece.
const LOST: u8 = 8;

trait Camera {
    fn says(self, status: &str, lines: &str) -> Self;
    fn describes(self, sdp: &str) -> Self;
    fn plays(self) -> Self;
    fn sends(self, how: u8) -> Self;
}

impl Camera for Input {
    fn says(self, status: &str, lines: &str) -> Self {
        self.then(0, 5, format!("RTSP/1.0 {status}\r\nCSeq: 1\r\n{lines}\r\n").as_bytes())
    }

    fn describes(self, sdp: &str) -> Self {
        let length = sdp.len();
        let head = "Content-Base: rtsp://camera/live/\r\nContent-Type: application/sdp";
        self.says("200 OK", &format!("{head}\r\nContent-Length: {length}\r\n\r\n{sdp}"))
    }

    /// Answers everything up to PLAY, with a description of two tracks.
    fn plays(self) -> Self {
        let setups = self.describes(DESCRIPTIONS[0].1).says("200 OK", SETUP);
        setups.says("200 OK", SETUP_SOUND).says("200 OK", PLAY)
    }

    /// Sends a few pictures.
    fn sends(self, how: u8) -> Self {
        (0..5).fold(self, |input, n| {
            let nal = if n % 4 == 0 { KEY } else { OTHER };
            input.then(how, 40, &rtp(n, u32::from(n) * 3600, true, nal))
        })
    }
}

/// Writes seeds of sessions.
pub fn sessions(seeds: &Seeds) -> io::Result<()> {
    let new = || Input::new(0, b"");
    seeds.write("plays", &new().plays().sends(PACKET).0)?;
    let sound = rtp(1, 320, false, &[0xd5; 80]);
    let sound = [&[0x80, 8], &sound[2..]].concat();
    let both = new().plays().then(PACKET, 40, &rtp(1, 0, true, KEY)).then(SOUND, 1, &sound);
    let both = both.then(REPORT, 1, &report(1, 1000, 0)).then(0x31, 1, &report(1, 1000, 0));
    seeds.write("sound", &both.sends(PACKET).then(PACKET, 200, &rtp(9, 1 << 20, true, KEY)).0)?;
    let mut input = new().plays();
    for (n, piece) in fragments(VideoCodec::H264, KEY).iter().enumerate() {
        input = input.then(PACKET, 0, &rtp(n as u16, 0, false, piece));
    }
    seeds.write("fragments", &input.sends(PACKET).0)?;

    let challenge = "WWW-Authenticate: Digest realm=\"x\", nonce=\"1\"\r\nWWW-Authenticate: Basic realm=\"x\"\r\n";
    let login = || Input::new(1, b"").says("401 Unauthorized", challenge);
    seeds.write("login", &login().plays().sends(PACKET).0)?;
    seeds.write("login_refused", &login().says("401 No", challenge).says("401 No", challenge).0)?;
    seeds.write("login_reconnects", &login().then(LOST, 5, b"").plays().sends(PACKET).0)?;
    let again =
        login().describes(DESCRIPTIONS[0].1).says("401 Again", &challenge.replace('1', "2"));
    seeds.write("login_again", &again.says("200 OK", SETUP).says("200 OK", SETUP_SOUND).0)?;

    let udp = new().describes(DESCRIPTIONS[0].1).says("461 Unsupported Transport", "");
    let udp =
        udp.says("200 OK", "Session: 7\r\nTransport: RTP/AVP;unicast;server_port=6000-6001\r\n");
    let udp =
        udp.says("200 OK", "Session: 7\r\nTransport: RTP/AVP;unicast\r\n").says("200 OK", PLAY);
    let swapped =
        udp.then(DATAGRAM, 1, &rtp(9, 0, true, KEY)).then(DATAGRAM, 1, &rtp(11, 7200, true, OTHER));
    let swapped =
        swapped.then(DATAGRAM, 1, &rtp(10, 3600, true, OTHER)).then(0x22, 1, &report(1, 9, 9));
    seeds.write("datagrams", &swapped.then(DATAGRAM, 127, &rtp(20, 7200, true, KEY)).0)?;

    let early = new().describes(DESCRIPTIONS[0].1).sends(PACKET).says("200 OK", SETUP);
    let early = early.sends(PACKET).says("200 OK", SETUP_SOUND).sends(PACKET);
    seeds.write("early", &early.then(PACKET, 150, &rtp(9, 36_000, true, KEY)).sends(PACKET).0)?;
    let unanswered = new().describes(DESCRIPTIONS[0].1).says("200 OK", SETUP);
    let unanswered = (0..9).fold(unanswered, |input, n| {
        input.then(PACKET | LONG, 5, &rtp(n * 128, u32::from(n) * 3600, true, KEY))
    });
    seeds.write("unanswered", &unanswered.0)?;
    let long = new().plays().then(PACKET | LONG, 1, &rtp(1, 0, true, KEY)).sends(PACKET | LONG);
    seeds.write("long", &long.then(LONG, 1, b"RTSP/1.0 200 OK\r\nX: y\r\n\r\n").0)?;

    let alive =
        new().plays().then(0, 180, b"").says("404 No", "").then(0, 180, b"").says("200 OK", "");
    seeds.write(
        "keepalive",
        &alive.sends(PACKET).says("454 Session Not Found", "").then(0, 190, b"").0,
    )?;
    let asks = new().plays().then(LONG, 1, b"OPTIONS * RTSP/1.0\r\nCSeq: 4\r\nSession: 7\r\n\r\n");
    seeds.write(
        "asks",
        &asks.then(0, 1, b"ANNOUNCE x RTSP/1.0\r\nCSeq: 5\r\n\r\n").sends(PACKET).0,
    )?;
    seeds.write(
        "redirects",
        &new().says("302 Moved", "Location: rtsp://a:b@other:555/live\r\n").0,
    )?;
    let mute = new().describes(DESCRIPTIONS[0].1).says("200 OK", SETUP).says("500 Internal", "");
    seeds.write(
        "sound_refused",
        &mute.says("457 Invalid Range", "").says("200 OK", "").sends(PACKET).0,
    )?;
    seeds.write(
        "no_transport",
        &new().describes(DESCRIPTIONS[6].1).says("200 OK", "").says("200 OK", "").sends(PACKET).0,
    )?;
    seeds.write("web_server", &new().then(0, 1, b"HTTP/1.1 200 OK\r\n\r\n<html>").0)?;
    let noise = new().plays().sends(PACKET).then(0, 1, b"\0\0garbage$$$\x80\x60RTSP").sends(PACKET);
    seeds.write("noise", &noise.0)?;
    let hevc = new().describes(DESCRIPTIONS[1].1).says("200 OK", SETUP).says("200 OK", SETUP_SOUND);
    let numbered = |payload_type: u8, number: u16, payload: &[u8]| {
        let packet = rtp(number, u32::from(number) * 3600, true, payload);
        [&[0x80, 0x80 | payload_type], &packet[2..]].concat()
    };
    let hevc = hevc
        .says("200 OK", PLAY)
        .then(PACKET, 40, &numbered(98, 1, b"\x26\x01\xaf\x09key"))
        .then(SOUND, 5, &numbered(97, 1, b"\0\x10\0\x20abcd"))
        .then(PACKET, 40, &numbered(98, 2, b"\x02\x01\xd0\x09p"))
        .then(SOUND, 20, &numbered(97, 2, b"\0\x10\0\x20abcd"))
        .then(PACKET, 40, &numbered(98, 3, b"\x02\x01\xd0\x09p"));
    seeds.write("hevc_aac", &hevc.0)?;
    let sdp = format!("m=video 0 RTP/AVP 96\r\na=fmtp:96 sprop-parameter-sets={SETS}\r\n");
    let only = new()
        .describes(&sdp)
        .says("200 OK", "Session: ;timeout=5\r\n")
        .says("200 OK", "RTP-Info: url=;rtptime=\r\n");
    seeds.write("picture_alone", &only.sends(PACKET).0)
}
