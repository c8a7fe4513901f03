//! Moves bytes between a camera and the state machines of its session: one buffer, one read a wake-up
//! as long as reads are short, and bounded work before others have their turn.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use ivt_base::byte_stream::ByteStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::media::{Media, TrackKind};
use super::message::{MAX_BODY, MAX_HEADER, Piece, PieceReader, TooMuch};
use super::session::{Event, Failure, Path, RtspSession};
use super::udp::Udp;
use crate::coalesce;
use crate::frame::Frame;
use crate::rtp::sequence::{Place, Window};
use crate::rtp::{Packet, is_rtcp};

/// Room for reading at first, in bytes: a picture of a common camera.
const ROOM: usize = 64 << 10;
/// The most there has to be room for: a message of the largest kind.
const MOST_ROOM: usize = MAX_HEADER + MAX_BODY + ROOM;
/// After so many pieces and reads other tasks have their turn.
const TURN: u32 = 512;
/// Bytes that may wait for a camera that does not read.
const MOST_OUT: usize = 64 << 10;
/// A timer that is due long after everything else.
const FAR: Duration = Duration::from_secs(3600);

/// One open connection.
pub struct Connection {
    io: Box<dyn ByteStream>,
    /// Our address and the camera's.
    pub ends: (SocketAddr, SocketAddr),
    /// The RTSP session.
    pub session: RtspSession,
    /// Sound and pictures, once the camera has described them.
    pub media: Option<Media>,
    udp: Option<(Udp, [Window; 2])>,
    inbox: Inbox,
    pieces: PieceReader,
    out: VecDeque<u8>,
    timer: Pin<Box<Sleep>>,
    armed: Instant,
    /// When the last read ended.
    now: Instant,
    turn: u32,
    /// How many transports the camera was asked for.
    transports: u32,
    /// Why nothing more comes, once that is known.
    end: Option<End>,
}

/// What a poll brought.
pub enum Step {
    /// The session went on.
    Event(Event),
    /// A frame is complete.
    Frame(Frame),
}

/// Why a connection ends.
#[derive(Debug)]
pub enum End {
    /// The camera closed it.
    Closed,
    /// Reading or writing failed.
    Io(io::Error),
    /// The camera sent a message beyond the limits.
    TooMuch(TooMuch),
    /// The session fails.
    Session(Failure),
}

impl Connection {
    /// Speaks over `io`, whose ends are `ends`: ours, then the camera's.
    pub fn new(
        io: Box<dyn ByteStream>,
        ends: (SocketAddr, SocketAddr),
        session: RtspSession,
    ) -> Self {
        let now = now();
        Self {
            io,
            ends,
            session,
            media: None,
            udp: None,
            inbox: Inbox::default(),
            pieces: PieceReader::default(),
            out: VecDeque::new(),
            timer: Box::pin(sleep(FAR)),
            armed: now + FAR,
            now,
            turn: 0,
            transports: 0,
            end: None,
        }
    }

    /// Media comes as datagrams from `udp`, or within this connection where that is `None`.
    pub fn receive_datagrams(&mut self, udp: Option<Udp>) {
        self.transports = self.transports.saturating_add(1);
        self.udp = udp.map(|udp| (udp, [Window::default(), Window::default()]));
    }

    /// Whether data comes as datagrams.
    pub fn has_datagrams(&self) -> bool {
        self.udp.is_some()
    }

    /// Whether the camera was asked for both transports.
    pub fn tried_both(&self) -> bool {
        self.transports > 1
    }

    /// The track of this number is set up.
    pub fn expect(&mut self, number: usize, path: Path) {
        if let Some(media) = &mut self.media {
            media.set_path(media.which(number), path);
        }
        if let (Some((udp, _)), Path::Ports(peer)) = (&mut self.udp, path) {
            udp.expect(number, peer, now());
        }
    }

    /// The bytes of a TEARDOWN, and the connection to say it on.
    pub fn into_teardown(mut self) -> Option<(Box<dyn ByteStream>, Vec<u8>)> {
        let bytes = self.session.teardown(now())?;
        // What was half said must be said to its end.
        self.out.extend(bytes);
        Some((self.io, self.out.into()))
    }

    /// The next event or frame. `until` is when the caller wants to look again, whatever comes.
    pub fn poll(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<Result<Step, End>> {
        loop {
            if let Some(step) = self.take_step() {
                return Poll::Ready(Ok(step));
            }
            if let Some(end) = self.end.take() {
                return Poll::Ready(Err(end));
            }
            if self.turn >= TURN {
                self.turn = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.turn += 1;
            if self.cut()? {
                continue;
            }
            if let Err(error) = self.poll_write(cx) {
                self.finish(End::Io(error));
                continue;
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(0)) => self.finish(End::Closed),
                Poll::Ready(Err(error)) => self.finish(End::Io(error)),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    if !self.poll_datagram(cx) && !self.timer_due(cx, until)? {
                        self.turn = 0;
                        if self.media.as_ref().is_some_and(Media::is_mid_picture) {
                            coalesce::hint_mid_frame();
                        }
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Nothing more comes: what is held is given, then the reason.
    fn finish(&mut self, end: End) {
        if let Some(media) = &mut self.media {
            media.finish(self.now);
        }
        self.end = Some(end);
    }

    fn take_step(&mut self) -> Option<Step> {
        if let Some(event) = self.session.poll_event() {
            return Some(Step::Event(event));
        }
        let media = self.media.as_mut().filter(|_| self.session.is_playing());
        media.and_then(Media::poll).map(Step::Frame)
    }

    /// Takes one piece off what was read; false where more must be read first.
    fn cut(&mut self) -> Result<bool, End> {
        let piece = self.pieces.next(self.inbox.bytes());
        let len = match piece.map_err(End::TooMuch)? {
            Piece::Partial => return Ok(false),
            Piece::Packet { channel, data, len } => {
                self.session.handle_media(self.now);
                if let Some(media) = &mut self.media {
                    media.handle_interleaved(channel, data, self.now);
                }
                len
            }
            Piece::Message(message, len) => {
                self.session.handle_message(&message, self.now).map_err(End::Session)?;
                len
            }
            Piece::Noise(len) => {
                self.media.iter_mut().for_each(Media::skip);
                len
            }
        };
        self.inbox.consume(len);
        Ok(true)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if let Some(bytes) = self.session.poll_transmit() {
            self.say(&bytes);
        }
        while !self.out.is_empty() {
            let (first, _) = self.out.as_slices();
            match Pin::new(&mut self.io).poll_write(cx, first) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => drop(self.out.drain(..written.min(self.out.len()))),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
            if self.out.is_empty() {
                // TLS may hold back the end of what it was given.
                let flushed = Pin::new(&mut self.io).poll_flush(cx);
                if let Poll::Ready(flushed) = flushed {
                    flushed?;
                }
            }
        }
        Ok(())
    }

    /// A camera that does not read is told nothing more, and goes on being heard.
    fn say(&mut self, bytes: &[u8]) {
        if self.out.len() + bytes.len() <= MOST_OUT {
            self.out.extend(bytes);
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(self.inbox.room());
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
        let read = buf.filled().len();
        self.inbox.end += read;
        self.now = now();
        Poll::Ready(Ok(read))
    }

    /// Takes a datagram, or one that was held until those before it came.
    fn poll_datagram(&mut self, cx: &mut Context<'_>) -> bool {
        let (Some((udp, windows)), Some(media)) = (&mut self.udp, &mut self.media) else {
            return false;
        };
        for (number, window) in windows.iter_mut().enumerate() {
            if let Some(held) = window.poll(self.now) {
                media.handle_packet(media.which(number), &held, self.now);
                return true;
            }
        }
        let Poll::Ready((number, reports, bytes)) = udp.poll(cx) else { return false };
        self.now = now();
        self.session.handle_media(self.now);
        let track = media.which(number);
        let packet = Packet::parse(bytes).ok().filter(|_| !reports && !is_rtcp(bytes));
        let place = match (packet, windows.get_mut(number)) {
            (Some(packet), Some(window)) => {
                window.push(bytes, packet.sequence, packet.timestamp, self.now)
            }
            _ => Place::Now,
        };
        if place == Place::Now {
            media.handle_packet(track, bytes, self.now);
        }
        true
    }

    /// Handles what is due; whether anything was.
    fn timer_due(&mut self, cx: &mut Context<'_>, until: Instant) -> Result<bool, End> {
        let mut due = until;
        let media = self.media.as_ref().and_then(Media::poll_timeout);
        let windows = self.udp.iter().flat_map(|(_, windows)| windows);
        let held = windows.filter_map(Window::poll_timeout).min();
        let doubt = self.udp.as_ref().and_then(|(udp, _)| udp.poll_timeout());
        for other in [media, held, doubt, self.session.poll_timeout()].into_iter().flatten() {
            due = due.min(other);
        }
        // A timer that is due too early is looked at again; one that is due too late is not.
        if due < self.armed {
            self.arm(due);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            self.now = now();
            self.arm(self.now + FAR);
            if due <= self.now {
                self.handle_timeout()?;
                return Ok(true);
            }
            self.arm(due);
        }
        Ok(false)
    }

    fn arm(&mut self, due: Instant) {
        self.armed = due;
        self.timer.as_mut().reset(due.into());
    }

    fn handle_timeout(&mut self) -> Result<(), End> {
        self.session.handle_timeout(self.now).map_err(End::Session)?;
        if let Some((udp, _)) = &mut self.udp {
            udp.handle_timeout(self.now);
        }
        let Some(media) = &mut self.media else { return Ok(()) };
        media.handle_timeout(self.now);
        if self.session.is_playing() {
            for (track, path, report) in media.poll_reports(self.now) {
                self.send_report(track, path, &report);
            }
        }
        Ok(())
    }

    fn send_report(&mut self, track: TrackKind, path: Path, report: &[u8]) {
        match path {
            Path::Channels(_, channel) => {
                // A report that would have to wait is worth nothing by then.
                let Ok(len) = u16::try_from(report.len()) else { return };
                if self.out.is_empty() {
                    let [high, low] = len.to_be_bytes();
                    self.say(&[b'$', channel, high, low]);
                    self.say(report);
                }
            }
            Path::Ports(_) => {
                if let (Some((udp, _)), Some(media)) = (&self.udp, &self.media) {
                    udp.send_report(media.number(track), report);
                }
            }
        }
    }
}

/// Bytes that were read and not yet cut into pieces.
#[derive(Default)]
struct Inbox {
    buf: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    fn bytes(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    fn consume(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Where to read to; never empty, as no piece is longer than the most room there is.
    fn room(&mut self) -> &mut [u8] {
        if self.end == self.buf.len() && self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buf.len() && self.end < MOST_ROOM {
            self.buf.resize((2 * self.end).clamp(ROOM, MOST_ROOM), 0);
        }
        self.buf.get_mut(self.end..).unwrap_or_default()
    }
}

/// The clock of frames; in tests it is tokio's.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
