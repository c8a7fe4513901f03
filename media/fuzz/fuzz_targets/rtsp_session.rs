//! A camera that sends anything at any time to a whole session, driven as `media/src/rtsp/connection.rs` does.
//! Nothing panics, no queue and no request grows past its bound, no timer is due for ever, and every frame is right.
//!
//! An odd `how` of the first piece means that there is a login. In the other pieces it tells how the bytes come, see
//! `Client::take`.
#![no_main]

use std::time::{Duration, Instant};

use ivt_base::auth::Credentials;
use ivt_media::rtp::rtcp::Identity;
use ivt_media::rtp::sequence::{Place, Window};
use ivt_media::rtp::{Packet, is_rtcp};
use ivt_media::rtsp::media::Media;
use ivt_media::rtsp::message::{MAX_BODY, MAX_HEADER, Piece, PieceReader};
use ivt_media::rtsp::session::{Event, Lower, Path, RtspSession};
use ivt_media::rtsp::{Patience, tracks};
use ivt_media_fuzz::check::Line;
use ivt_media_fuzz::memory::Memory;
use ivt_media_fuzz::pieces::{self, pieces, repeat};
use libfuzzer_sys::fuzz_target;
use url::Url;

/// Most bytes held: an access unit with the room that a growing one may have, frames that wait for
/// the answer to PLAY, a message of the largest kind and what is made of it.
const MOST_HELD: usize = 24 << 20;
/// Most bytes of requests and answers between two writes.
const MOST_SAID: usize = 256 << 10;
/// Most bytes that an input may become by repetition.
const MOST_SENT: usize = 32 << 20;
/// How often a piece comes that comes many times.
const MANY: u8 = 128;
/// Most events and timers that one piece may lead to.
const MOST_STEPS: usize = 8;

struct Client {
    memory: Memory,
    session: RtspSession,
    media: Option<Media>,
    windows: Option<[Window; 2]>,
    pieces: PieceReader,
    inbox: Vec<u8>,
    line: Line,
    now: Instant,
    transports: u32,
    sent: usize,
}

/// The session is over.
struct Over;

fuzz_target!(|input: &[u8]| {
    let memory = Memory::begin();
    let mut pieces = pieces(input);
    let with_login = pieces.next().is_some_and(|piece| piece.how & 1 != 0);
    let credentials = Credentials { username: "admin".into(), password: "p\"ss:wörd".into() };
    let credentials = Some(&credentials).filter(|_| with_login);
    let url = Url::parse("rtsp://camera:8554/live?channel=1").expect("an address");
    let now = Instant::now();
    let mut client = Client {
        memory,
        session: RtspSession::new(url, credentials, &Patience::default(), now),
        media: None,
        windows: None,
        pieces: PieceReader::default(),
        inbox: Vec::new(),
        line: Line::default(),
        now,
        transports: 0,
        sent: 0,
    };
    if pieces.try_for_each(|piece| client.take(piece)).is_ok()
        && let Some(bytes) = client.session.teardown(client.now)
    {
        assert!(bytes.starts_with(b"TEARDOWN ") && bytes.len() <= MOST_SAID);
    }
});

impl Client {
    /// Takes a piece, as its `how` tells. Bit 0: the bytes are an interleaved packet, bit 1: a
    /// datagram, each of the channel in the high bits. Bit 2: they come many times; a packet is
    /// made long, then, and counts. Bit 3: before them, the connection is lost.
    fn take(&mut self, piece: pieces::Piece<'_>) -> Result<(), Over> {
        self.pass(piece.wait)?;
        let how = piece.how;
        if how & 8 != 0 {
            self.lose()?;
        }
        let times = if how & 4 != 0 { MANY } else { 1 };
        if how & 3 == 0 {
            let bytes = repeat(piece.bytes, times.into(), 512 << 10);
            return bytes.chunks(64 << 10).try_for_each(|part| self.read(part));
        }
        let mut bytes = piece.bytes.to_vec();
        if times > 1 {
            let last = bytes.last().copied().unwrap_or(0);
            bytes.resize(bytes.len().max(30_000), last);
        }
        for _ in 0..times {
            self.packet(how & 2 != 0, how >> 4, &bytes)?;
            if let Some([high, low]) = bytes.get_mut(2..4) {
                [*high, *low] = u16::from_be_bytes([*high, *low]).wrapping_add(1).to_be_bytes();
            }
        }
        Ok(())
    }

    fn packet(&mut self, datagram: bool, channel: u8, bytes: &[u8]) -> Result<(), Over> {
        self.sent += bytes.len();
        if self.sent > MOST_SENT {
            return Err(Over);
        }
        if datagram {
            self.datagram(usize::from(channel & 1), channel & 2 != 0, bytes)?;
        } else {
            let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            let [high, low] = len.to_be_bytes();
            self.read(&[b'$', channel, high, low])?;
            self.read(&bytes[..len.into()])?;
        }
        assert!(self.memory.held() <= MOST_HELD, "{} bytes are held", self.memory.held());
        Ok(())
    }

    /// Loses the connection, which is opened again only for the login.
    fn lose(&mut self) -> Result<(), Over> {
        if self.session.is_logging_in() {
            self.session.restart(self.now);
            (self.pieces, self.inbox) = (PieceReader::default(), Vec::new());
            return Ok(());
        }
        if let Some(media) = &mut self.media {
            media.finish(self.now);
        }
        self.now += Duration::from_secs(60);
        self.steps()?;
        Err(Over)
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), Over> {
        self.inbox.extend(bytes);
        let mut at = 0;
        loop {
            self.steps()?;
            let len = match self.pieces.next(&self.inbox[at..]).map_err(|_| Over)? {
                Piece::Partial => break,
                Piece::Packet { channel, data, len } => {
                    self.session.handle_media(self.now);
                    if let Some(media) = &mut self.media {
                        media.handle_interleaved(channel, data, self.now);
                    }
                    len
                }
                Piece::Message(message, len) => {
                    self.session.handle_message(&message, self.now).map_err(|_| Over)?;
                    len
                }
                Piece::Noise(len) => {
                    self.media.iter_mut().for_each(Media::skip);
                    len
                }
            };
            at += len;
        }
        self.inbox.drain(..at);
        assert!(self.inbox.len() <= MAX_HEADER + MAX_BODY);
        self.write();
        Ok(())
    }

    fn datagram(&mut self, number: usize, reports: bool, bytes: &[u8]) -> Result<(), Over> {
        let (Some(windows), Some(media)) = (&mut self.windows, &mut self.media) else {
            return Ok(());
        };
        self.session.handle_media(self.now);
        let packet = Packet::parse(bytes).ok().filter(|_| !reports && !is_rtcp(bytes));
        let place = packet.map_or(Place::Now, |packet| {
            windows[number].push(bytes, packet.sequence, packet.timestamp, self.now)
        });
        if place == Place::Now {
            media.handle_packet(media.which(number), bytes, self.now);
        }
        self.steps()
    }

    /// Takes events and frames, and packets that were held.
    fn steps(&mut self) -> Result<(), Over> {
        let mut events = 0;
        while let Some(event) = self.session.poll_event() {
            events += 1;
            assert!(events <= MOST_STEPS, "events without end");
            self.event(event)?;
        }
        if let (Some(windows), Some(media)) = (&mut self.windows, &mut self.media) {
            for (number, window) in windows.iter_mut().enumerate() {
                while let Some(bytes) = window.poll(self.now) {
                    media.handle_packet(media.which(number), &bytes, self.now);
                }
            }
        }
        if let Some(media) = self.media.as_mut().filter(|_| self.session.is_playing()) {
            while let Some(frame) = media.poll() {
                self.line.take(frame, self.now);
            }
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), Over> {
        match event {
            Event::Described(description) => {
                let tracks = tracks::choose(&description).map_err(|_| Over)?;
                self.media = Some(Media::new(tracks, Identity { ssrc: 1, name: 2 }));
                self.set_up(Lower::Tcp);
            }
            Event::TransportRefused(_) if self.transports == 1 => {
                self.windows = Some([Window::default(), Window::default()]);
                self.set_up(Lower::Udp([5000, 5002]));
            }
            Event::TransportRefused(_) | Event::Redirect(_) => return Err(Over),
            Event::SetUp(number, path) => {
                if let Some(media) = &mut self.media {
                    assert!(number < media.wanted().len().max(2));
                    media.set_path(media.which(number), path);
                }
            }
            Event::SoundRefused(why) => {
                assert!(why.len() < 1000);
                self.media.iter_mut().for_each(Media::drop_sound);
            }
            Event::Playing(times) => {
                self.media.iter_mut().for_each(|media| media.start_at(&times));
            }
        }
        Ok(())
    }

    fn set_up(&mut self, lower: Lower) {
        self.transports += 1;
        let wanted = self.media.as_ref().map(Media::wanted).unwrap_or_default();
        assert!((1..=2).contains(&wanted.len()));
        self.session.set_up(wanted, lower, self.now);
    }

    /// Lets time pass, and does what is due.
    fn pass(&mut self, wait: Duration) -> Result<(), Over> {
        let end = self.now + wait;
        let mut idle = 0;
        while let Some(due) = self.due().filter(|due| *due <= end) {
            idle = if due > self.now { 0 } else { idle + 1 };
            assert!(idle <= MOST_STEPS, "a timer is due for ever");
            self.now = due.max(self.now);
            self.session.handle_timeout(self.now).map_err(|_| Over)?;
            if let Some(media) = &mut self.media {
                media.handle_timeout(self.now);
                if self.session.is_playing() {
                    let reports = media.poll_reports(self.now);
                    assert!(reports.len() <= 2);
                    for (_, path, report) in reports {
                        assert!(is_rtcp(&report));
                        assert_eq!(matches!(path, Path::Ports(_)), self.windows.is_some());
                    }
                }
            }
            self.steps()?;
            self.write();
        }
        self.now = end;
        Ok(())
    }

    fn due(&self) -> Option<Instant> {
        let media = self.media.as_ref().and_then(Media::poll_timeout);
        let held = self.windows.iter().flatten().filter_map(Window::poll_timeout).min();
        [media, held, self.session.poll_timeout()].into_iter().flatten().min()
    }

    /// Takes what the session writes, which is whole lines whatever the camera says.
    fn write(&mut self) {
        if let Some(bytes) = self.session.poll_transmit() {
            assert!(bytes.len() <= MOST_SAID && bytes.ends_with(b"\r\n\r\n"));
            assert!(self.session.poll_transmit().is_none());
        }
        if let Some(media) = &self.media {
            media.stage().to_string();
            media.losses();
        }
    }
}
