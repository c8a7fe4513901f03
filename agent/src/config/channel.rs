//! `[[channel]]`: the cameras, what their frames come from, and which stream serves whom.

use std::path::{Path, PathBuf};

use ivt_base::secret::Secret;
use ivt_hal::{Bitrates, Credentials, Model, Stream, Transport};
use ivt_media::rtsp::Patience;
use toml::de::DeValue;
use url::Url;

use super::credentials::{Login, login, twice};
use super::error::Error;
use super::section::{PATH, Section, boolean, integer, list, path, seconds, text, word};

/// Most cameras behind one NVR.
const CHANNELS: usize = 256;
/// Longest time that a camera may be waited for at a time, s.
const PATIENCE: u64 = 300;
/// What becomes of a channel that is not understood.
const UNREACHABLE: &str = "the channel cannot be reached";

const STREAMS: &[(&str, Stream)] = &[("main", Stream::Main), ("sub", Stream::Sub)];
const TRANSPORTS: &[(&str, Transport)] =
    &[("auto", Transport::Auto), ("tcp", Transport::Tcp), ("udp", Transport::Udp)];

/// One camera.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// `backend`, required: "rtsp" or "emulator".
    pub backend: Backend,
    /// `bitrate` and `sub_bitrate`: bits per second the encoder is set to for the main and the sub
    /// stream; default unknown.
    pub bitrates: Bitrates,
    /// `quality`: which stream serves which quality.
    pub quality: QualityMap,
    /// `ring_bytes`: bytes of frames held per stream; default what [`Budget::rings`](super::Budget::rings) says, and more
    /// while key frames are large.
    pub ring_bytes: Option<usize>,
    /// `always_on`: streams pulled also when nobody asks, so that a picture starts at once; a list
    /// of "main" and "sub", default none.
    pub always_on: Vec<Stream>,
}

/// What a channel's frames come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Backend {
    /// A camera with RTSP addresses.
    Rtsp {
        /// `main`, required: `rtsp://` or `rtsps://` address of the main stream.
        main: Secret,
        /// `sub`: address of the sub stream; default none, the main stream serves both.
        sub: Option<Secret>,
        /// `username`: default none, or what the addresses hold.
        username: Option<String>,
        /// `password`: default empty.
        password: Secret,
        /// `transport`, "auto", "tcp" or "udp"; default "auto": TCP, and UDP where the camera
        /// refuses that.
        transport: Transport,
        /// `describe_seconds`, `first_packet_seconds` and `silence_seconds`: how long the camera may
        /// take; defaults 15, 20 and 10.
        patience: Patience,
        /// `login_follows_redirects`: a camera that redirects to another host is given the login
        /// there, too; default false.
        login_follows_redirects: bool,
        /// `web`: `http://HOST[:PORT]` of the camera's own web server, for single pictures and
        /// the hosted service; default none.
        web: Option<Web>,
    },
    /// Not understood, in a newer file: the camera is never reached.
    Unknown,
    /// A looping clip, or the output of a program.
    Emulator {
        /// `main`: FLV file of the main stream; default the built-in clip.
        main: Option<PathBuf>,
        /// `sub`: FLV file of the sub stream; default the built-in clip or, with `command`, none:
        /// the main stream serves both.
        sub: Option<PathBuf>,
        /// `command`, instead of `main`: program with its arguments that writes H.264 (Annex B)
        /// without B-frames to its standard output, in real time; started without a shell, killed
        /// when nobody watches. Default none, here empty.
        command: Vec<Secret>,
    },
}

/// The stream that serves each quality the cloud can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QualityMap {
    /// Default "sub", or "main" where the camera has no sub stream.
    pub ld: Stream,
    /// As `ld`.
    pub sd: Stream,
    /// Default "main".
    pub hd: Stream,
    /// Default "main".
    pub fhd: Stream,
}

/// A camera's own web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Of `web`.
    pub host: String,
    /// Of `web`.
    pub port: u16,
    /// `snapshot`: path of a picture; default "/nvc-cgi/operator/snapshot.fcgi".
    pub snapshot: String,
    /// `web_cgi`: the commands of the hosted service go there; false where it is of another
    /// family, and the agent answers. Default true.
    pub cgi: bool,
}

pub(super) fn channels(
    root: &mut Section<'_, '_>,
    model: Model,
    logins: Vec<Login>,
    base: &Path,
) -> Result<Vec<Channel>, Error> {
    let sections = root.sections("channel")?;
    if sections.is_empty() {
        return Err(root.error("no channel: describe the camera under [[channel]]"));
    }
    if let (Model::Camera, Some(second)) = (model, sections.get(1)) {
        let error = second.error(
            "a camera has exactly one channel, number 0; with several, set device.model to \
             \"nvr\"",
        );
        root.pass(error, "all of them are served")?;
    }
    if sections.len() > CHANNELS {
        return Err(root.error(format!("more than {CHANNELS} channels")));
    }
    if logins.len() > sections.len() {
        return Err(root.error(format!(
            "the credentials file has {} channels, here are {}",
            logins.len(),
            sections.len()
        )));
    }
    let mut logins = logins.into_iter();
    let each = sections.into_iter().enumerate();
    let each = each.map(|(number, section)| {
        let read = channel(number, section, logins.next().unwrap_or_default(), base);
        // The channels behind it keep their numbers.
        read.or_else(|error| root.pass(error, UNREACHABLE).map(|()| Channel::unknown()))
    });
    each.collect()
}

impl Channel {
    /// One that only a newer program understands.
    fn unknown() -> Self {
        let [ld, sd, hd, fhd] = [Stream::Main; 4];
        Self {
            backend: Backend::Unknown,
            bitrates: Bitrates::default(),
            quality: QualityMap { ld, sd, hd, fhd },
            ring_bytes: None,
            always_on: Vec::new(),
        }
    }
}

fn channel(
    number: usize,
    mut section: Section<'_, '_>,
    apart: Login,
    base: &Path,
) -> Result<Channel, Error> {
    section.read("number", |value| match integer(0..=CHANNELS as u64)(value) {
        Ok(n) if n == number as u64 => Ok(()),
        _ => Err(format!("{number} here: channels are numbered from 0 in their order")),
    })?;
    let rtsp = section.require("backend", word(&[("rtsp", true), ("emulator", false)]))?;
    let backend = if rtsp {
        rtsp_backend(&mut section, apart)?
    } else {
        if apart.username.or(apart.password).is_some() {
            return Err(section.error("an emulator takes no user name and password"));
        }
        emulator(&mut section, base)?
    };
    let has_sub = match &backend {
        Backend::Rtsp { sub, .. } => sub.is_some(),
        Backend::Emulator { sub, command, .. } => sub.is_some() || command.is_empty(),
        Backend::Unknown => false,
    };
    let channel = Channel {
        backend,
        bitrates: Bitrates {
            main: bitrate(&mut section, "bitrate")?,
            sub: bitrate(&mut section, "sub_bitrate")?,
        },
        quality: quality(section.section("quality")?, has_sub)?,
        ring_bytes: section
            .read("ring_bytes", integer(65_536..=268_435_456))?
            .and_then(|bytes| usize::try_from(bytes).ok()),
        always_on: section.read("always_on", list(word(STREAMS)))?.unwrap_or_default(),
    };
    section.finish()?;
    Ok(channel)
}

fn bitrate(section: &mut Section<'_, '_>, key: &'static str) -> Result<Option<u32>, Error> {
    let bitrate = section.read(key, integer(1..=1_000_000_000))?;
    Ok(bitrate.and_then(|bitrate| u32::try_from(bitrate).ok()))
}

fn rtsp_backend(section: &mut Section<'_, '_>, apart: Login) -> Result<Backend, Error> {
    let main: Secret = section.require("main", rtsp_url)?.into();
    let sub = section.read("sub", rtsp_url)?.map(Secret::from);
    let here = login(section)?;
    if here.username.is_some() && apart.username.is_some() {
        return Err(twice(section, "username"));
    }
    if here.password.is_some() && apart.password.is_some() {
        return Err(twice(section, "password"));
    }
    let username = here.username.or(apart.username);
    let password = here.password.or(apart.password);
    if username.is_none() && password.is_some() {
        return Err(section.error("channel.password needs channel.username"));
    }
    let transport = section.read("transport", word(TRANSPORTS))?.unwrap_or_default();
    let patience = patience(section)?;
    let follows = section.read("login_follows_redirects", boolean)?;
    let web = web(section)?;
    Ok(Backend::Rtsp {
        main,
        sub,
        username,
        password: password.unwrap_or_default().into(),
        transport,
        patience,
        login_follows_redirects: follows.unwrap_or(false),
        web,
    })
}

fn patience(section: &mut Section<'_, '_>) -> Result<Patience, Error> {
    let mut read = |key, usual| {
        let given = section.read(key, integer(1..=PATIENCE));
        given.map(|given| given.map_or(usual, seconds))
    };
    let usual = Patience::default();
    Ok(Patience {
        describe: read("describe_seconds", usual.describe)?,
        first_packet: read("first_packet_seconds", usual.first_packet)?,
        silence: read("silence_seconds", usual.silence)?,
    })
}

fn emulator(section: &mut Section<'_, '_>, base: &Path) -> Result<Backend, Error> {
    let main = path(section, "main", base)?;
    let sub = path(section, "sub", base)?;
    let words = section.insist("command", list(|word| text(0..=PATH)(word).map(Secret::from)))?;
    let named = |words: &[Secret]| words.first().is_some_and(|word| !word.expose().is_empty());
    match &words {
        Some(words) if !named(words) => {
            Err(section.error("channel.command must begin with a program"))
        }
        Some(_) if main.is_some() => {
            Err(section.error("channel.main and channel.command exclude each other"))
        }
        None if main.is_none() && cfg!(not(feature = "clips")) => {
            Err(section.error("channel.main is missing: this program is built without clips"))
        }
        _ => Ok(Backend::Emulator { main, sub, command: words.unwrap_or_default() }),
    }
}

fn quality(mut section: Section<'_, '_>, has_sub: bool) -> Result<QualityMap, Error> {
    let low = if has_sub { Stream::Sub } else { Stream::Main };
    let map = QualityMap {
        ld: section.read("ld", word(STREAMS))?.unwrap_or(low),
        sd: section.read("sd", word(STREAMS))?.unwrap_or(low),
        hd: section.read("hd", word(STREAMS))?.unwrap_or(Stream::Main),
        fhd: section.read("fhd", word(STREAMS))?.unwrap_or(Stream::Main),
    };
    section.finish()?;
    Ok(map)
}

fn web(section: &mut Section<'_, '_>) -> Result<Option<Web>, Error> {
    let address = section.read("web", http_url)?;
    let snapshot = section.read("snapshot", snapshot_path)?;
    let cgi = section.read("web_cgi", boolean)?;
    let Some((host, port)) = address else {
        if let Some(key) = snapshot.map(|_| "snapshot").or(cgi.map(|_| "web_cgi")) {
            let needs = section.error(format!("channel.{key} needs channel.web"));
            section.pass(needs, "it is left out")?;
        }
        return Ok(None);
    };
    let snapshot = snapshot.unwrap_or_else(|| "/nvc-cgi/operator/snapshot.fcgi".into());
    Ok(Some(Web { host, port, snapshot, cgi: cgi.unwrap_or(true) }))
}

fn rtsp_url(value: &DeValue<'_>) -> Result<String, String> {
    const FORM: &str = "an address rtsp://HOST[:PORT]/PATH";
    let text = text(1..=PATH)(value)?;
    let none = None::<Credentials>;
    let checked = ivt_hal::rtsp::Rtsp::new(&text, None, none, Transport::default());
    checked.map_err(|e| format!("{FORM}: {e}"))?;
    // The scheme of an address that was parsed, in whatever case it is written.
    let encrypted = text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("rtsps"));
    if encrypted && cfg!(not(feature = "tls")) {
        return Err(format!("{FORM}: this program is built without TLS"));
    }
    Ok(text)
}

fn http_url(value: &DeValue<'_>) -> Result<(String, u16), String> {
    const FORM: &str = "http://HOST[:PORT]";
    let text = text(1..=PATH)(value)?;
    let url = Url::parse(&text).map_err(|e| format!("{FORM}: {e}"))?;
    let bare = url.username().is_empty() && url.password().is_none() && url.path() == "/";
    match (url.scheme(), url.host_str(), url.port_or_known_default()) {
        ("http", Some(host), Some(port)) if bare && url.query().is_none() => {
            Ok((host.to_owned(), port))
        }
        _ => Err(format!("{FORM} without path and login, which have keys of their own")),
    }
}

fn snapshot_path(value: &DeValue<'_>) -> Result<String, String> {
    let path = text(1..=PATH)(value)?;
    match path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(path),
        false => Err("a path that begins with /".into()),
    }
}
