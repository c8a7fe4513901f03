//! Opens streams of RTSP cameras: connects, follows redirects, chooses tracks and a transport.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use ivt_base::byte_stream::ByteStream;
use ivt_base::dial;
use ivt_base::tls;
use tokio::time::{Instant, timeout};
use url::{Host, Url};

use super::connection::{Connection, End, Step, now};
use super::error::{Peer, port};
use super::leave::Leaving;
use super::media::Media;
use super::progress::{Awaits, Progress};
use super::session::{Event, Lower, RtspSession};
use super::source::{RtspSource, Setting};
use super::tracks;
use super::udp::Udp;
use super::{Options, Transport};
use crate::rtp::rtcp::Identity;
use crate::source::{FrameSource, Incidents, Opener, SourceError};

/// Longest time for name and connection together, and again for TLS.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Longest time for all that follows the answer to DESCRIBE.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Most redirects that are followed at one opening.
const MAX_REDIRECTS: usize = 3;
/// Most connections at one opening to a camera that closes them when it asks for a login.
const MAX_CONNECTIONS: usize = 3;

/// Opens one stream of one RTSP camera: its first H.264 or H.265 track and its first AAC or G.711
/// track.
pub struct RtspOpener {
    url: Url,
    options: Options,
    leaving: Arc<Leaving>,
    progress: Progress,
    /// Whether UDP is tried first. With `Transport::Auto` it changes to what worked or is to be
    /// tried next.
    prefers_udp: Arc<AtomicBool>,
    /// How often each [`Incident`] was met.
    incidents: [AtomicU32; 3],
}

/// What is worth one line in the log.
#[derive(Clone, Copy)]
enum Incident {
    Redirect,
    TransportRefused,
    Soundless,
}

/// Result of one attempt.
enum Opened {
    Playing(Box<RtspSource>),
    Elsewhere(Url),
}

impl RtspOpener {
    /// An opener for `rtsp://host[:port]/path`, or `rtsps://`.
    ///
    /// # Errors
    ///
    /// The address is of another form, holds a login, which errors would print, or is `rtsps://`
    /// while the options have no TLS.
    pub fn new(url: Url, options: Options) -> Result<Self, SourceError> {
        let peer = Peer::of(&url);
        let usable = matches!(url.scheme(), "rtsp" | "rtsps") && url.host().is_some();
        if !usable || !url.username().is_empty() || url.password().is_some() {
            let form = "rtsp://host[:port]/path, with user name and password kept apart";
            return Err(peer.protocol(format!("its address must have the form {form}")));
        }
        if url.scheme() == "rtsps" && options.tls.is_none() {
            return Err(
                peer.protocol("its address asks for TLS, which this program lacks: use rtsp://")
            );
        }
        let prefers_udp = Arc::new(AtomicBool::new(options.transport == Transport::Udp));
        Ok(Self {
            url,
            options,
            leaving: Arc::default(),
            progress: Progress::default(),
            prefers_udp,
            incidents: Default::default(),
        })
    }

    async fn connect(&self) -> Result<RtspSource, SourceError> {
        let mut url = self.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            match self.attempt(&url).await? {
                Opened::Playing(source) => return Ok(*source),
                Opened::Elsewhere(place) => {
                    let (from, to) = (Peer::of(&url), Peer::of(&place));
                    self.note(Incident::Redirect, &from, &format!("redirects to camera {}", to.0));
                    url = place;
                }
            }
        }
        let text = format!("expected at most {MAX_REDIRECTS} redirections in a row, got more");
        Err(Peer::of(&self.url).protocol(text))
    }

    async fn attempt(&self, url: &Url) -> Result<Opened, SourceError> {
        let peer = Peer::of(url);
        self.progress.set(Awaits::Connection);
        let (io, ends) = self.dial(url, &peer).await?;
        // The password is for the host it was set for.
        let same = url.host() == self.url.host() && url.scheme() == self.url.scheme();
        let credentials = self.options.credentials.as_ref();
        let credentials = credentials.filter(|_| same || self.options.login_follows_redirects);
        let session = RtspSession::new(url.clone(), credentials, &self.options.patience, now());
        self.progress.set(Awaits::Description);
        let mut guard = Guard::new(Connection::new(io, ends, session), &self.leaving);
        let mut connections = 1;
        loop {
            let event = match guard.event().await {
                Ok(event) => event,
                Err(End::Closed | End::Io(_))
                    if guard.is_logging_in() && connections < MAX_CONNECTIONS =>
                {
                    connections += 1;
                    let (io, ends) = self.dial(url, &peer).await?;
                    guard.reconnect(io, ends);
                    continue;
                }
                Err(end) => return Err(peer.end(end)),
            };
            let Some(connection) = &mut guard.connection else { return Err(peer.hung_up()) };
            match event {
                Event::Redirect(place) => return Ok(Opened::Elsewhere(place)),
                Event::Described(description) => {
                    self.progress.set(Awaits::Start);
                    let tracks =
                        tracks::choose(&description).map_err(|reason| peer.unsupported(reason))?;
                    if let Some(why) = &tracks.soundless {
                        self.note(
                            Incident::Soundless,
                            &peer,
                            &format!("goes without sound: {why}"),
                        );
                    }
                    let identity = Identity { ssrc: rand::random(), name: rand::random() };
                    connection.media = Some(Media::new(tracks, identity));
                    let udp = self.prefers_udp.load(Relaxed);
                    set_up(connection, udp).map_err(|e| peer.unreachable(e.to_string()))?;
                }
                Event::TransportRefused(why) => {
                    self.other_transport(connection, &peer, &why)?;
                }
                Event::SetUp(number, path) => connection.expect(number, path),
                Event::SoundRefused(why) => {
                    self.note(Incident::Soundless, &peer, &format!("goes without sound: {why}"));
                    if let Some(media) = &mut connection.media {
                        media.drop_sound();
                    }
                }
                Event::Playing(times) => {
                    if let Some(media) = &mut connection.media {
                        media.start_at(&times);
                    }
                    return Ok(Opened::Playing(Box::new(self.playing(guard, peer)?)));
                }
            }
        }
    }

    /// Asks for the other transport, where there is a choice and the camera was not asked for it
    /// before.
    fn other_transport(
        &self,
        connection: &mut Connection,
        peer: &Peer,
        why: &str,
    ) -> Result<(), SourceError> {
        let udp = connection.has_datagrams();
        let (refused, other) = if udp { ("UDP", "tcp") } else { ("TCP", "udp") };
        if self.options.transport != Transport::Auto {
            let advice = format!("set transport = \"{other}\" or \"auto\"");
            return Err(peer.protocol(format!("it does not send by {refused}: {why} ; {advice}")));
        }
        if connection.tried_both() {
            return Err(peer.protocol(format!("it sends neither by TCP nor by UDP: {why}")));
        }
        let text = format!("does not send by {refused} ({why}): asked for {other}");
        self.note(Incident::TransportRefused, peer, &text);
        self.prefers_udp.store(!udp, Relaxed);
        set_up(connection, !udp).map_err(|e| peer.unreachable(e.to_string()))
    }

    fn playing(&self, mut guard: Guard<'_>, peer: Peer) -> Result<RtspSource, SourceError> {
        let Some(connection) = guard.connection.take() else { return Err(peer.hung_up()) };
        let auto = self.options.transport == Transport::Auto;
        Ok(RtspSource::new(
            connection,
            Setting {
                leaving: Arc::clone(&self.leaving),
                progress: self.progress.clone(),
                peer,
                patience: self.options.patience,
                prefers_udp: auto.then(|| Arc::clone(&self.prefers_udp)),
            },
        ))
    }

    async fn dial(
        &self,
        url: &Url,
        peer: &Peer,
    ) -> Result<(Box<dyn ByteStream>, (SocketAddr, SocketAddr)), SourceError> {
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(peer.protocol("no host in its address")),
        };
        let tcp = dial::connect(&host, port(url), Instant::now() + CONNECT_LIMIT, None).await;
        let tcp = tcp.map_err(|error| peer.unconnected(&error.into_source()))?;
        let ends = (|| Ok((tcp.local_addr()?, tcp.peer_addr()?)))();
        let ends = ends.map_err(|error: io::Error| peer.unconnected(&error))?;
        if url.scheme() != "rtsps" {
            return Ok((Box::new(tcp), ends));
        }
        let failed = |reason: String| peer.unreachable(format!("TLS: {reason}"));
        let config = self.options.tls.clone();
        let config = config.ok_or_else(|| failed("redirected to rtsps:// without trust".into()))?;
        let tls = timeout(CONNECT_LIMIT, tls::connect(config, &host, tcp)).await;
        let tls = tls.map_err(|_| failed(format!("no handshake in {CONNECT_LIMIT:?}")))?;
        Ok((Box::new(tls.map_err(|error| failed(error.to_string()))?), ends))
    }

    fn note(&self, what: Incident, peer: &Peer, text: &str) {
        let before =
            self.incidents.get(what as usize).map_or(0, |count| count.fetch_add(1, Relaxed));
        let level = if before > 0 { log::Level::Debug } else { log::Level::Info };
        log::log!(level, "camera {}: {text}", peer.0);
    }

    fn count(&self, what: Incident) -> u64 {
        self.incidents.get(what as usize).map_or(0, |count| count.load(Relaxed).into())
    }
}

#[async_trait]
impl Opener for RtspOpener {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let limit = self.options.patience.describe + START_LIMIT;
        match timeout(limit, self.connect()).await {
            Ok(source) => Ok(Box::new(source?)),
            Err(_) => Err(Peer::of(&self.url).no_answer("DESCRIBE, SETUP and PLAY", limit)),
        }
    }

    async fn settle(&self) {
        self.leaving.settle().await;
    }

    fn awaits(&self) -> Option<String> {
        self.progress.tell()
    }

    fn incidents(&self) -> Incidents {
        Incidents {
            redirects: self.count(Incident::Redirect),
            transports_refused: self.count(Incident::TransportRefused),
            sounds_left_out: self.count(Incident::Soundless),
        }
    }
}

impl fmt::Debug for RtspOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The path is left out, since it may hold a password.
        f.debug_tuple("RtspOpener").field(&Peer::of(&self.url)).finish()
    }
}

/// Asks for the tracks by this transport.
fn set_up(connection: &mut Connection, udp: bool) -> io::Result<()> {
    let wanted = connection.media.as_ref().map(Media::wanted).unwrap_or_default();
    let lower = if udp {
        let (local, camera) = connection.ends;
        let udp = Udp::bind(local.ip(), camera.ip(), wanted.len())?;
        let ports = udp.ports()?;
        connection.receive_datagrams(Some(udp));
        Lower::Udp(ports)
    } else {
        connection.receive_datagrams(None);
        Lower::Tcp
    };
    connection.session.set_up(wanted, lower, now());
    Ok(())
}

/// A connection that is taken leave of wherever its opening ends.
struct Guard<'a> {
    connection: Option<Connection>,
    leaving: &'a Leaving,
}

impl<'a> Guard<'a> {
    fn new(connection: Connection, leaving: &'a Leaving) -> Self {
        Self { connection: Some(connection), leaving }
    }

    async fn event(&mut self) -> Result<Event, End> {
        let Some(connection) = &mut self.connection else { return Err(End::Closed) };
        let far = now() + 2 * START_LIMIT;
        loop {
            // No frame comes before PLAY is answered.
            if let Step::Event(event) = poll_fn(|cx| connection.poll(cx, far)).await? {
                return Ok(event);
            }
        }
    }

    fn is_logging_in(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.session.is_logging_in())
    }

    /// Goes on with the same session over a new connection.
    fn reconnect(&mut self, io: Box<dyn ByteStream>, ends: (SocketAddr, SocketAddr)) {
        if let Some(Connection { mut session, .. }) = self.connection.take() {
            session.restart(now());
            self.connection = Some(Connection::new(io, ends, session));
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.leaving.say_goodbye(connection);
        }
    }
}
