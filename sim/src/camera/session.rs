//! One client: its requests (RFC 2326 10) and the packets it gets.
//!
//! A session lives and dies with its connection, and a connection holds one at a time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, sleep, timeout};

use super::auth::{Lock, hex};
use super::channel::{Channel, SessionCount, Stream, resolve};
use super::feed::Item;
use super::message::{Input, Request, Response, Status, take};
use super::rtp::{Kind, Unit};
use super::sdp::Description;
use super::server::Camera;
use super::transport::{Outlet, Wish};

const METHODS: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN";
/// A client that takes nothing for so long is cut.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Serves a client until it leaves, misbehaves, is silent for a session timeout, or its stream
/// ends.
pub async fn serve(mut stream: TcpStream, camera: Arc<Camera>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut client = Client::new(stream.local_addr()?.ip(), stream.peer_addr()?, camera);
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
                            client.handle(&request, &mut writer).await?;
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
    session: Option<Session>,
    /// Answers nothing any more (a fault).
    mute: bool,
}

struct Session {
    id: String,
    channel: usize,
    stream: Stream,
    description: Arc<Description>,
    /// One slot per track; empty until `SETUP`.
    outlets: Vec<Option<Outlet>>,
    units: Option<broadcast::Receiver<Item>>,
    /// Nothing is sent before the next key frame.
    await_key: bool,
    _count: SessionCount,
}

impl Client {
    fn new(local: IpAddr, peer: SocketAddr, camera: Arc<Camera>) -> Self {
        let lock = Lock::new(camera.credentials.clone(), camera.scheme);
        Self { local, peer, camera, lock, session: None, mute: false }
    }

    async fn handle(
        &mut self,
        request: &Request,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        if self.mute {
            return Ok(());
        }
        let answer = match request.header("CSeq") {
            Some(_) => self.answer(request).await.unwrap_or_else(Response::from),
            None => Status::BadRequest.into(),
        };
        log::debug!(
            target: "camera",
            "{}: {} {} -> {:?}", self.peer, request.method, request.path(), answer.status
        );
        write(writer, &answer.encode(request.header("CSeq").unwrap_or("0"))).await
    }

    async fn answer(&mut self, request: &Request) -> Result<Response, Status> {
        if request.method == "OPTIONS" {
            return Ok(Response::from(Status::Ok).header("Public", METHODS));
        }
        if let Some(challenge) = self.refusal(request) {
            return Ok(Response::from(Status::Unauthorized).header("WWW-Authenticate", challenge));
        }
        if request.header("Require").is_some() {
            return Err(Status::OptionNotSupported);
        }
        match request.method.as_str() {
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

    /// The challenge, when the request does not pass the lock.
    fn refusal(&self, request: &Request) -> Option<String> {
        let refuses = resolve(request.path())
            .and_then(|(channel, ..)| self.camera.channels.get(channel))
            .is_some_and(|channel| channel.refuses_login.load(Ordering::Relaxed));
        let authorization = request.header("Authorization");
        let open = !refuses && self.lock.opens(&request.method, authorization);
        (!open).then(|| self.lock.challenge())
    }

    fn channel(&self, number: usize) -> Result<&Channel, Status> {
        let channel = self.camera.channels.get(number).ok_or(Status::NotFound)?;
        if channel.is_up() { Ok(channel) } else { Err(Status::Unavailable) }
    }

    async fn describe(&mut self, request: &Request) -> Result<Response, Status> {
        let (number, stream, _) = resolve(request.path()).ok_or(Status::NotFound)?;
        let channel = self.channel(number)?;
        let description = channel.feed(stream).describe().await.ok_or(Status::Unavailable)?;
        channel.count_describe();
        let mute = channel.silent_after_describe.load(Ordering::Relaxed);
        self.mute |= mute;
        Ok(Response::from(Status::Ok)
            .header("Content-Base", format!("{}/", self.url(request, number, stream)))
            .body("application/sdp", description.sdp(self.local)))
    }

    async fn setup(&mut self, request: &Request) -> Result<Response, Status> {
        let (number, stream, track) = resolve(request.path()).ok_or(Status::NotFound)?;
        let header = request.header("Transport").ok_or(Status::BadRequest)?;
        let wish = Wish::choose(header, self.camera.transports);
        let wish = wish.ok_or(Status::UnsupportedTransport)?;
        if request.header("Session").is_some() {
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
        // The stream may have been replaced since it was described.
        let subscription = feed.subscribe(&session.description);
        let (units, now) = subscription.ok_or(Status::SessionNotFound)?;
        let info = session.description.tracks.iter().zip(&session.outlets).enumerate();
        let info: Vec<_> = info
            .filter(|(_, (_, outlet))| outlet.is_some())
            .map(|(i, ((_, source), _))| {
                format!("url={url}/trackID={i};rtptime={}", source.timestamp(now))
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

    fn session(&self, request: &Request) -> Result<&Session, Status> {
        let id = request.header("Session").ok_or(Status::SessionNotFound)?;
        let id = id.split_once(';').map_or(id, |(id, _)| id).trim();
        self.session.as_ref().filter(|session| session.id == id).ok_or(Status::SessionNotFound)
    }

    /// The stream's address as the client knows the camera.
    fn url(&self, request: &Request, channel: usize, stream: Stream) -> String {
        let authority = request.authority().map_or_else(|| self.local.to_string(), str::to_owned);
        format!("rtsp://{authority}/ch{channel}/{}", stream.as_str())
    }

    /// The next thing to send; `None` when the stream has ended. Cancel safe.
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

    async fn deliver(&self, unit: &Unit, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let outlet = self.session.as_ref().and_then(|s| s.outlets.get(unit.track)?.as_ref());
        match (outlet, unit.kind) {
            (None, _) => {}
            (Some(Outlet::Interleaved(channel, _)), Kind::Rtp)
            | (Some(Outlet::Interleaved(_, channel)), Kind::Rtcp) => {
                let bytes = unit.interleaved(*channel);
                if !self.camera.packet_at_a_time {
                    return write(writer, &bytes).await;
                }
                for packet in unit.packets(&bytes) {
                    write(writer, packet).await?;
                }
            }
            (Some(Outlet::Udp(socket, _)), Kind::Rtp)
            | (Some(Outlet::Udp(_, socket)), Kind::Rtcp) => {
                for datagram in unit.datagrams() {
                    // What the client does not take is lost, as datagrams are.
                    let _ = timeout(WRITE_LIMIT, socket.send(datagram)).await;
                }
            }
        }
        Ok(())
    }
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    timeout(WRITE_LIMIT, writer.write_all(bytes)).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_for_ten_seconds_is_cut() {
        let (mut writer, _peer) = tokio::io::duplex(16);
        let started = Instant::now();
        let error = write(&mut writer, &[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), WRITE_LIMIT);
    }
}
