//! Frames from an RTSP camera, by `retina`. Not here: reconnecting, see [`crate::pull`].

pub mod auth;
#[cfg(test)]
mod camera;
pub mod sdp;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use retina::client::{
    Described, InitialTimestampPolicy, PlayOptions, Session, SessionGroup, SessionIdPolicy,
    SessionOptions, SetupOptions, Stream, TcpTransportOptions, UdpTransportOptions,
};
use retina::codec::FrameFormat;
use tokio::time::timeout;
use url::Url;

use crate::rtsp::source::RtspSource;
use crate::source::{FrameSource, Opener, SourceError};
use crate::text::shorten;
use crate::tls::ClientConfig;

/// Each of DESCRIBE, SETUP and PLAY must be answered in this time; retina itself waits for ever.
const STEP_LIMIT: Duration = Duration::from_secs(5);
/// All of them together.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// How long a TEARDOWN may hold up the next try.
const TEARDOWN_LIMIT: Duration = Duration::from_secs(1);

/// How RTP travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// By TCP, and by UDP where the camera refuses that.
    #[default]
    Auto,
    /// Interleaved in the RTSP connection.
    Tcp,
    /// In datagrams of its own. Nothing is sent twice: a lost packet costs the rest of its GOP.
    Udp,
}

/// A user name and a password. Printing it shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

/// How a camera is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Its login.
    pub credentials: Option<Credentials>,
    /// How RTP travels.
    pub transport: Transport,
    /// How long it may take.
    pub patience: Patience,
    /// Whom `rtsps://` trusts; without it such an address is refused.
    pub tls: Option<Arc<ClientConfig>>,
    /// A camera that redirects to another host is given the login there, too.
    pub login_follows_redirects: bool,
}

/// How long a camera may take before it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the answer to DESCRIBE; some cameras start their encoder first.
    pub describe: Duration,
    /// From PLAY to the first packet; some cameras wait for a key frame.
    pub first_packet: Duration,
    /// Between two pictures or, from a camera without pictures, two pieces of sound.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { describe: seconds(15), first_packet: seconds(20), silence: seconds(10) }
    }
}

/// Opens one stream of one RTSP camera: its first H.264 or H.265 track and its first AAC or G.711
/// track.
#[derive(Debug)]
pub struct RtspOpener {
    url: Url,
    credentials: Option<Credentials>,
    transport: Transport,
    peer: Peer,
    sessions: Sessions,
}

impl RtspOpener {
    /// An opener for `rtsp://host[:port]/path`. An address with credentials in it is refused: it
    /// is printed in errors.
    pub fn new(url: Url, options: Options) -> Result<Self, SourceError> {
        let Options { credentials, transport, .. } = options;
        let host = url.host().map(|host| format!("{host}:{}", url.port().unwrap_or(554)));
        let usable = url.scheme() == "rtsp" && host.is_some();
        let peer = Peer(host.unwrap_or_else(|| "without host".into()));
        if !usable || !url.username().is_empty() || url.password().is_some() {
            let form = "rtsp://host[:port]/path, with user name and password kept apart";
            return Err(peer.protocol(format!("its address must have the form {form}")));
        }
        Ok(Self { url, credentials, transport, peer, sessions: Sessions::default() })
    }

    async fn connect(&self) -> Result<RtspSource, SourceError> {
        let options = SessionOptions::default()
            .user_agent(concat!("ivt-agent/", env!("CARGO_PKG_VERSION")).into())
            .session_id(SessionIdPolicy::UseFirst)
            .session_group(Arc::clone(&self.sessions.0))
            .creds(self.credentials.as_ref().map(|c| retina::client::Credentials {
                username: c.username.clone(),
                password: c.password.clone(),
            }));
        let mut session =
            self.step("DESCRIBE", Session::describe(self.url.clone(), options)).await?;
        let (video, audio) = self.choose(session.streams())?;
        if let Some(video) = video {
            self.step("SETUP", session.setup(video, self.setup())).await?;
        }
        let audio = match audio {
            Some(audio) => self.setup_audio(&mut session, audio, video.is_some()).await?,
            None => None,
        };
        // A camera that does not say where its tracks begin is taken to start them together.
        let options = PlayOptions::default().initial_timestamp(InitialTimestampPolicy::Permissive);
        let session = self.step("PLAY", session.play(options)).await?;
        let demuxed = session.demuxed().map_err(|error| self.peer.error(&error))?;
        Ok(RtspSource::new(demuxed, video, audio, self.peer.clone()))
    }

    /// Some cameras offer sound and then refuse to set it up; the picture is worth having alone.
    async fn setup_audio(
        &self,
        session: &mut Session<Described>,
        audio: usize,
        have_video: bool,
    ) -> Result<Option<usize>, SourceError> {
        match timeout(STEP_LIMIT, session.setup(audio, self.setup())).await {
            Ok(Ok(())) => Ok(Some(audio)),
            Ok(Err(error)) if have_video && error.status_code().is_some() => {
                log::info!("camera {}: goes without sound: {}", self.peer.0, reason(&error));
                Ok(None)
            }
            Ok(Err(error)) => Err(self.peer.error(&error)),
            Err(_) => Err(self.peer.no_answer("SETUP", STEP_LIMIT)),
        }
    }

    /// Indices of the tracks to set up: video, then audio.
    fn choose(&self, streams: &[Stream]) -> Result<(Option<usize>, Option<usize>), SourceError> {
        let first = |media: &str, encodings: &[&str]| {
            streams.iter().position(|stream| {
                stream.media() == media
                    && encodings.contains(&stream.encoding_name())
                    // What sound is must be known from here on; a picture may tell later.
                    && (media == "video" || stream.parameters().is_some())
            })
        };
        let video = first("video", &["h264", "h265"]);
        let audio = first("audio", &["mpeg4-generic", "pcma", "pcmu"]);
        if video.is_none() && audio.is_none() {
            let offered: Vec<_> =
                streams.iter().map(|s| format!("{}/{}", s.media(), s.encoding_name())).collect();
            let reason = shorten(&format!("it offers [{}]", offered.join(", ")));
            return Err(SourceError::Unsupported { peer: self.peer.0.clone(), reason });
        }
        Ok((video, audio))
    }

    fn setup(&self) -> SetupOptions {
        let transport = match self.transport {
            Transport::Auto | Transport::Tcp => {
                retina::client::Transport::Tcp(TcpTransportOptions::default())
            }
            Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
        };
        SetupOptions::default().transport(transport).frame_format(FrameFormat::MP4)
    }

    async fn step<T>(
        &self,
        method: &str,
        step: impl Future<Output = Result<T, retina::Error>>,
    ) -> Result<T, SourceError> {
        match timeout(STEP_LIMIT, step).await {
            Ok(result) => result.map_err(|error| self.peer.error(&error)),
            Err(_) => Err(self.peer.no_answer(method, STEP_LIMIT)),
        }
    }
}

#[async_trait]
impl Opener for RtspOpener {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        match timeout(OPEN_LIMIT, self.connect()).await {
            Ok(source) => Ok(Box::new(source?)),
            Err(_) => Err(self.peer.no_answer("DESCRIBE, SETUP and PLAY", OPEN_LIMIT)),
        }
    }

    async fn settle(&self) {
        // Whether it worked or not, nothing more can be done.
        timeout(TEARDOWN_LIMIT, self.sessions.0.await_teardown()).await.ok();
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

/// Sessions the camera may still believe in.
#[derive(Default)]
struct Sessions(Arc<SessionGroup>);

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

/// Host and port, as errors name it.
#[derive(Clone, Debug)]
struct Peer(String);

impl Peer {
    fn error(&self, error: &retina::Error) -> SourceError {
        let (peer, reason) = (self.0.clone(), reason(error));
        if matches!(error.status_code(), Some(401 | 403)) {
            return SourceError::Unauthorized { peer };
        }
        // retina keeps its kinds to itself; these beginnings are those of lost connections.
        let lost = ["Unable to connect", "Error reading", "Error writing", "Error receiving"];
        match lost.iter().any(|start| reason.starts_with(start)) {
            true => SourceError::Unreachable { peer, reason },
            false => SourceError::Protocol { peer, reason },
        }
    }

    fn protocol(&self, reason: impl Into<String>) -> SourceError {
        SourceError::Protocol { peer: self.0.clone(), reason: reason.into() }
    }

    fn no_answer(&self, method: &str, limit: Duration) -> SourceError {
        let reason = format!("no answer to {method} within {} s", limit.as_secs());
        SourceError::Unreachable { peer: self.0.clone(), reason }
    }

    fn hung_up(&self) -> SourceError {
        let reason = "it closed the connection".into();
        SourceError::Unreachable { peer: self.0.clone(), reason }
    }

    fn silent(&self, limit: Duration) -> SourceError {
        SourceError::Silent { peer: self.0.clone(), seconds: limit.as_secs() }
    }
}

/// The first line: those that follow are packet positions. retina quotes the address, and some
/// cameras take the password in its path or query.
fn reason(error: &retina::Error) -> String {
    let text = error.to_string();
    let words = text.lines().next().unwrap_or_default().split(' ');
    let words = words.map(|word| if word.contains("://") { "its address" } else { word });
    shorten(&words.collect::<Vec<_>>().join(" "))
}
