//! The RTSP connection of one client: its requests (RFC 2326 10) and the packets it gets.
//!
//! A session ends with its connection, and a connection holds one session at a time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use ivt_media::frame::Track;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::address::{Stream, resolve};
use super::auth::{Lock, hex};
use super::channel::{Channel, SessionCount};
use super::delivery::{deliver, deliver_interrupted, write};
use super::device::Camera;
use super::encoder::Item;
use super::message::{Input, Request, Response, Status, take};
use super::quirk::{Gate, Manners, Reply, rtp_time};
use super::rtp::{Source, Unit};
use super::sdp::Description;
use super::transport::{Outlet, Wish};

const METHODS: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN";

/// Serves a client until it leaves, misbehaves, is silent for a session timeout, or its stream ends.
///
/// # Errors
/// When the connection is lost.
pub async fn serve(mut stream: TcpStream, camera: Arc<Camera>, number: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut client = Client::new(stream.local_addr()?.ip(), stream.peer_addr()?, camera, number);
    let (mut reader, mut writer) = stream.split();
    let mut buf = BytesMut::with_capacity(2048);
    let patience = client.camera.session_timeout;
    let mut silence = pin!(sleep(patience));
    loop {
        tokio::select! {
            read = reader.read_buf(&mut buf) => {
                if read? == 0 {
                    return Ok(());
                }
                loop {
                    match take(&mut buf) {
                        Ok(None) => break,
                        Ok(Some(Input::Data)) => {}
                        Ok(Some(Input::Request(request))) => {
                            client.handle(request, &mut writer).await?;
                        }
                        Err(error) => {
                            log::debug!(target: "camera", "{}: {error}", client.peer);
                            let answer = Response::from(Status::BadRequest).encode("0");
                            return write(&mut writer, &answer).await;
                        }
                    }
                    silence.as_mut().reset(Instant::now() + patience);
                }
            }
            item = client.next() => match item {
                Some(Item::Unit(unit)) => client.deliver(&unit, &mut writer).await?,
                Some(Item::Garbage(bytes)) => write(&mut writer, &bytes).await?,
                None => return Ok(()),
            },
            () = &mut silence => {
                log::debug!(target: "camera", "{}: silent for {patience:?}", client.peer);
                return Ok(());
            }
        }
    }
}

struct Client {
    local: IpAddr,
    peer: SocketAddr,
    camera: Arc<Camera>,
    lock: Lock,
    gate: Option<Gate>,
    manners: Manners,
    session: Option<Session>,
    /// Whether no request is answered any more, by a fault.
    mute: bool,
}

struct Session {
    id: String,
    channel: usize,
    stream: Stream,
    description: Arc<Description>,
    /// Where the packets of each track go; `None` before the `SETUP` of the track.
    outlets: Vec<Option<Outlet>>,
    units: Option<broadcast::Receiver<Item>>,
    /// Whether nothing is sent before the next key frame.
    await_key: bool,
    _count: SessionCount,
}

impl Client {
    fn new(local: IpAddr, peer: SocketAddr, camera: Arc<Camera>, number: u64) -> Self {
        let lock = Lock::new(camera.credentials.clone(), camera.scheme);
        let gate = Gate::new(&camera.quirks, camera.credentials.as_ref());
        let manners = Manners::new(camera.quirks.clone(), number);
        Self { local, peer, camera, lock, gate, manners, session: None, mute: false }
    }

    async fn handle(
        &mut self,
        mut request: Request,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        if self.mute {
            return Ok(());
        }
        self.manners.rewrite(&mut request);
        let answer = match request.header("CSeq") {
            Some(_) => self.answer(&request).await.unwrap_or_else(Response::from),
            None => Status::BadRequest.into(),
        };
        log::debug!(
            target: "camera",
            "{}: {} {} -> {:?}", self.peer, request.method, request.path(), answer.status
        );
        let early = self.manners.sends_early(&request, &answer);
        let reply = self.manners.reply(&request, answer);
        if early && let Some(Item::Unit(unit)) = self.next().await {
            self.deliver(&unit, writer).await?;
        }
        match reply {
            Reply::Bytes(bytes) => write(writer, &bytes).await,
            Reply::Nothing => Ok(()),
            Reply::Last(bytes) => {
                write(writer, &bytes).await?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Reply::Endless(head, more) => {
                write(writer, &head).await?;
                loop {
                    write(writer, &more).await?;
                    yield_now().await;
                }
            }
        }
    }

    async fn answer(&mut self, request: &Request) -> Result<Response, Status> {
        let open = !self.gate.as_ref().is_some_and(Gate::guards_options);
        if request.method == "OPTIONS" && open {
            return Ok(Response::from(Status::Ok).header("Public", METHODS));
        }
        let challenges = self.refusal(request);
        if !challenges.is_empty() {
            let refusal = Response::from(Status::Unauthorized);
            let add = |answer: Response, value| answer.header("WWW-Authenticate", value);
            return Ok(challenges.into_iter().fold(refusal, add));
        }
        if let Some(answer) = self.manners.instead(request).await {
            return Ok(answer);
        }
        if request.header("Require").is_some() {
            return Err(Status::OptionNotSupported);
        }
        match request.method.as_str() {
            "OPTIONS" => Ok(Response::from(Status::Ok).header("Public", METHODS)),
            "DESCRIBE" => self.describe(request).await,
            "SETUP" => self.setup(request).await,
            "PLAY" => self.play(request),
            "GET_PARAMETER" | "SET_PARAMETER" => match request.header("Session") {
                Some(_) => {
                    let session = self.session(request)?;
                    Ok(Response::from(Status::Ok).header("Session", session.id.clone()))
                }
                None => Ok(Status::Ok.into()),
            },
            "TEARDOWN" => {
                self.session(request)?;
                self.session = None;
                Ok(Status::Ok.into())
            }
            _ => Ok(Response::from(Status::MethodNotAllowed).header("Allow", METHODS)),
        }
    }

    /// The challenges for a request without the right login; empty when it may pass.
    fn refusal(&mut self, request: &Request) -> Vec<String> {
        let refuses = resolve(self.camera.make, request.target())
            .and_then(|(channel, ..)| self.camera.channels.get(channel))
            .is_some_and(|channel| channel.refuses_login.load(Ordering::Relaxed));
        let authorization = request.header("Authorization");
        if let Some(gate) = &mut self.gate {
            let playing = self.session.as_ref().is_some_and(|session| session.units.is_some());
            let open = gate.opens(request, playing) && !refuses;
            return if open { Vec::new() } else { gate.challenges() };
        }
        let open = !refuses && self.lock.opens(&request.method, authorization);
        if open { Vec::new() } else { vec![self.lock.challenge()] }
    }

    fn channel(&self, number: usize) -> Result<&Channel, Status> {
        let channel = self.camera.channels.get(number).ok_or(Status::NotFound)?;
        if channel.is_up() { Ok(channel) } else { Err(Status::Unavailable) }
    }

    async fn describe(&mut self, request: &Request) -> Result<Response, Status> {
        let (number, stream, _) =
            resolve(self.camera.make, request.target()).ok_or(Status::NotFound)?;
        let channel = self.channel(number)?;
        let description = channel.feed(stream).describe().await.ok_or(Status::Unavailable)?;
        channel.count_describe();
        let mute = channel.silent_after_describe.load(Ordering::Relaxed);
        self.mute |= mute;
        let url = self.url(request, number, stream);
        let sdp = self.manners.describe(description.sdp(self.local), &url);
        Ok(Response::from(Status::Ok)
            .header("Content-Base", format!("{url}/"))
            .body("application/sdp", sdp))
    }

    async fn setup(&mut self, request: &Request) -> Result<Response, Status> {
        let (number, stream, track) =
            resolve(self.camera.make, request.target()).ok_or(Status::NotFound)?;
        let header = request.header("Transport").ok_or(Status::BadRequest)?;
        let wish = Wish::choose(header, self.camera.transports);
        let wish = wish.ok_or(Status::UnsupportedTransport)?;
        let known = match self.manners.sessionless() {
            true => self.session.is_some(),
            false => request.header("Session").is_some(),
        };
        if known {
            let session = self.session(request)?;
            if (session.channel, session.stream) != (number, stream) {
                return Err(Status::AggregateNotAllowed);
            }
        } else {
            self.session = Some(self.begin(number, stream).await?);
        }
        let (local, peer) = (self.local, self.peer.ip());
        let timeout = self.camera.session_timeout.as_secs();
        let session = self.session.as_mut().ok_or(Status::SessionNotFound)?;
        if session.units.is_some() {
            return Err(Status::NotValidInState);
        }
        let track = match (track, session.outlets.len()) {
            (Some(track), _) => track,
            (None, 1) => 0,
            (None, _) => return Err(Status::AggregateNotAllowed),
        };
        let (_, source) = session.description.tracks.get(track).ok_or(Status::NotFound)?;
        let wish = self.manners.wish(wish, track);
        let open = async {
            let outlet = wish.open(track, local, peer).await?;
            Ok::<_, io::Error>((outlet.header(wish, source.ssrc)?, outlet))
        };
        let (transport, outlet) = open.await.map_err(|_| Status::Unavailable)?;
        session.outlets[track] = Some(outlet);
        Ok(Response::from(Status::Ok)
            .header("Session", format!("{};timeout={timeout}", session.id))
            .header("Transport", transport))
    }

    async fn begin(&self, number: usize, stream: Stream) -> Result<Session, Status> {
        let channel = self.channel(number)?;
        let description = channel.feed(stream).describe().await.ok_or(Status::Unavailable)?;
        Ok(Session {
            id: hex(&rand::random::<[u8; 8]>()),
            channel: number,
            stream,
            outlets: description.tracks.iter().map(|_| None).collect(),
            description,
            units: None,
            await_key: !self.camera.join_mid_gop,
            _count: channel.count_session(),
        })
    }

    fn play(&mut self, request: &Request) -> Result<Response, Status> {
        let session = self.session(request)?;
        let url = self.url(request, session.channel, session.stream);
        let channel = self.channel(session.channel)?;
        if session.outlets.iter().all(Option::is_none) {
            return Err(Status::NotValidInState);
        }
        let feed = channel.feed(session.stream);
        // The stream may have been replaced since the client got its description.
        let subscription = feed.subscribe(&session.description);
        let (units, now) = subscription.ok_or(Status::SessionNotFound)?;
        let info = session.description.tracks.iter().zip(&session.outlets).enumerate();
        let info: Vec<_> = info
            .filter(|(_, (_, outlet))| outlet.is_some())
            .map(|(i, ((track, source), _))| {
                let rtptime = self.rtptime(track, source, now);
                format!("url={url}/trackID={i};rtptime={rtptime}")
            })
            .collect();
        if session.units.is_none() {
            channel.count_play();
        }
        let answer = Response::from(Status::Ok)
            .header("Session", session.id.clone())
            .header("Range", "npt=now-")
            .header("RTP-Info", info.join(","));
        if let Some(session) = &mut self.session {
            session.units.get_or_insert(units);
        }
        Ok(answer)
    }

    fn rtptime(&self, track: &Track, source: &Source, now: i64) -> u32 {
        rtp_time(&self.camera.quirks, source, matches!(track, Track::Video(_)), now)
    }

    fn session(&self, request: &Request) -> Result<&Session, Status> {
        if self.manners.sessionless() {
            return self.session.as_ref().ok_or(Status::SessionNotFound);
        }
        let id = request.header("Session").ok_or(Status::SessionNotFound)?;
        let id = id.split_once(';').map_or(id, |(id, _)| id).trim();
        self.session.as_ref().filter(|session| session.id == id).ok_or(Status::SessionNotFound)
    }

    /// The address of the stream under the name by which the client knows the camera.
    fn url(&self, request: &Request, channel: usize, stream: Stream) -> String {
        let authority = request.authority().map_or_else(|| self.local.to_string(), str::to_owned);
        format!("rtsp://{authority}/ch{channel}/{}", stream.as_str())
    }

    /// The next item to send; `None` when the stream has ended. Cancel safe.
    async fn next(&mut self) -> Option<Item> {
        let Some(Session { units: Some(units), await_key, .. }) = &mut self.session else {
            return std::future::pending().await;
        };
        loop {
            match units.recv().await {
                Ok(Item::Unit(unit)) if *await_key && !unit.key => {}
                Ok(item) => {
                    *await_key &= !matches!(item, Item::Unit(_));
                    return Some(item);
                }
                Err(RecvError::Lagged(_)) => *await_key = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    async fn deliver(
        &mut self,
        unit: &Unit,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let Some(session) = &self.session else { return Ok(()) };
        let outlet = session.outlets.get(unit.track).and_then(Option::as_ref);
        if !self.manners.odd() {
            return match outlet {
                Some(outlet) => deliver(outlet, unit, self.camera.packet_at_a_time, writer).await,
                None => Ok(()),
            };
        }
        let track = session.description.tracks.get(unit.track);
        let video = track.is_some_and(|(track, _)| matches!(track, Track::Video(_)));
        let packets: Vec<_> = unit.datagrams().collect();
        let skipped = self.manners.skip(unit, packets.len(), video).unwrap_or(packets.len());
        let packets = packets.get(skipped..).unwrap_or_default();
        let (before, between) = self.manners.interrupt(packets.len());
        write(writer, &before).await?;
        match outlet {
            Some(outlet) => deliver_interrupted(outlet, unit.kind, packets, &between, writer).await,
            None => Ok(()),
        }
    }
}
