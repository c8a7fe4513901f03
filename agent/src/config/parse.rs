//! The keys of the file, one after the other: what is allowed and what is the default.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ivt_base::secret::Secret;
use ivt_hal::{Bitrates, Credentials, Model, Stream, Transport};
use ivt_media::rtsp::Patience;
use log::LevelFilter;
use toml::de::DeValue;
use url::Url;

use super::budget::Needs;
use super::section::{Section, boolean, integer, list, text, word};
use super::services::{record, tlss, web};
use super::{Backend, Channel, Cloud, Config, Error, Publish, QualityMap, Runtime};

/// Longest name, password or model.
pub(super) const NAME: usize = 256;
/// Longest path or address.
pub(super) const PATH: usize = 1024;
/// Most cameras behind one NVR.
const CHANNELS: usize = 256;
/// Longest time that a camera may be waited for at a time, s.
const PATIENCE: u64 = 300;
/// What becomes of a channel that is not understood.
const UNREACHABLE: &str = "the channel cannot be reached";

const STREAMS: &[(&str, Stream)] = &[("main", Stream::Main), ("sub", Stream::Sub)];
const TRANSPORTS: &[(&str, Transport)] =
    &[("auto", Transport::Auto), ("tcp", Transport::Tcp), ("udp", Transport::Udp)];
const LEVELS: &[(&str, LevelFilter)] = &[
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
];

/// What a credentials file may hold; every key of it is optional.
#[derive(Default)]
pub(super) struct CredentialsFile {
    login_code: Option<String>,
    login_passwd: Option<String>,
    /// By channel number.
    channels: Vec<Login>,
}

#[derive(Default)]
struct Login {
    username: Option<String>,
    password: Option<String>,
}

/// The path of the credentials file, where one is named.
pub(super) fn credentials_path(
    root: &mut Section<'_, '_>,
    base: &Path,
) -> Result<Option<PathBuf>, Error> {
    path(root, "credentials", base)
}

pub(super) fn credentials(mut root: Section<'_, '_>) -> Result<CredentialsFile, Error> {
    let mut cloud = root.section("cloud")?;
    let login_code = cloud.insist("login_code", text(1..=NAME))?;
    let login_passwd = cloud.insist("login_passwd", text(1..=NAME))?;
    cloud.finish()?;
    let mut channels = Vec::new();
    for mut section in root.sections("channel")? {
        channels.push(login(&mut section)?);
        section.finish()?;
    }
    root.finish()?;
    Ok(CredentialsFile { login_code, login_passwd, channels })
}

pub(super) fn config(
    mut root: Section<'_, '_>,
    credentials: Option<CredentialsFile>,
    base: &Path,
) -> Result<Config, Error> {
    let mut apart = credentials.unwrap_or_default();
    let cloud = cloud(root.section("cloud")?, &mut apart, base)?;

    let mut device = root.section("device")?;
    let models = word(&[("camera", Model::Camera), ("nvr", Model::Nvr)]);
    let model = device.read("model", models)?.unwrap_or(Model::Camera);
    device.finish()?;

    let channels = channels(&mut root, model, apart.channels, base)?;

    let mut section = root.section("publish")?;
    let publish = Publish {
        retry: seconds(section.read("retry_seconds", integer(0..=86_400))?.unwrap_or(60)),
        linger: seconds(section.read("linger_seconds", integer(0..=3_600))?.unwrap_or(5)),
    };
    section.finish()?;

    let record = record(root.section("record")?, base)?;
    let tlss = match tlss(root.section("tlss")?, &cloud.hardware_model, base) {
        // What is for safety in it has no default that could be as safe.
        Err(error) => root.pass(error, "the hosted service stays off").map(|()| None)?,
        Ok(tlss) => tlss,
    };

    let mut section = root.section("runtime")?;
    let threads = section.read("worker_threads", integer(0..=64))?.unwrap_or(0);
    let batch = section.read("read_batch_ms", integer(0..=100))?;
    let limit = section.read("memory_limit", integer(1 << 20..=1 << 40))?;
    let runtime =
        Runtime { worker_threads: threads as usize, read_batch: batch.map(Duration::from_millis) };
    let needs = Needs {
        channels: &channels,
        spool: record.spool.as_ref(),
        tlss: tlss.as_ref(),
        worker_threads: runtime.worker_threads,
    };
    let within = |limit| needs.within(limit).map_err(|short| section.error(short.to_string()));
    let budget = match limit.map(within) {
        Some(Ok(budget)) => budget,
        Some(Err(error)) => {
            section.pass(error, "the usual limit is taken")?;
            within(needs.usual_limit())?
        }
        None => within(needs.usual_limit())?,
    };
    section.finish()?;

    let mut section = root.section("log")?;
    let log_level = section.read("level", word(LEVELS))?.unwrap_or(LevelFilter::Info);
    section.finish()?;

    root.finish()?;
    let notes = Vec::new();
    Ok(Config { cloud, model, channels, publish, record, tlss, runtime, budget, log_level, notes })
}

fn cloud(
    mut section: Section<'_, '_>,
    apart: &mut CredentialsFile,
    base: &Path,
) -> Result<Cloud, Error> {
    let code = section.insist("login_code", text(1..=NAME))?;
    let passwd = section.insist("login_passwd", text(1..=NAME))?;
    let cloud = Cloud {
        url: section.require("url", cloud_url)?,
        login_code: one(&section, "login_code", code, apart.login_code.take())?,
        login_passwd: one(&section, "login_passwd", passwd, apart.login_passwd.take())?.into(),
        hardware_model: section
            .read("hardware_model", text(1..=NAME))?
            .unwrap_or_else(|| "ivt".into()),
        firmware_model: section
            .read("firmware_model", text(1..=NAME))?
            .unwrap_or_else(|| env!("CARGO_PKG_VERSION").into()),
        ca_file: path(&mut section, "ca_file", base)?,
        stop_publish_on_disconnect: section
            .read("stop_publish_on_disconnect", boolean)?
            .unwrap_or(true),
        accept_bare_answers: section.read("accept_bare_answers", boolean)?.unwrap_or(false),
    };
    section.finish()?;
    Ok(cloud)
}

fn channels(
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

fn login(section: &mut Section<'_, '_>) -> Result<Login, Error> {
    let username = section.read("username", text(1..=NAME))?;
    let password = section.read("password", text(0..=NAME))?;
    Ok(Login { username, password })
}

/// A required value that stands in exactly one of the two files.
fn one(
    section: &Section<'_, '_>,
    key: &str,
    here: Option<String>,
    apart: Option<String>,
) -> Result<String, Error> {
    if here.is_some() && apart.is_some() {
        return Err(twice(section, key));
    }
    here.or(apart).ok_or_else(|| section.missing(key))
}

fn twice(section: &Section<'_, '_>, key: &str) -> Error {
    section.error(format!("{key} stands here and in the credentials file; keep one of them"))
}

pub(super) fn path(
    section: &mut Section<'_, '_>,
    key: &'static str,
    base: &Path,
) -> Result<Option<PathBuf>, Error> {
    Ok(section.insist(key, text(1..=PATH))?.map(|p| base.join(p)))
}

fn cloud_url(value: &DeValue<'_>) -> Result<Url, String> {
    const FORM: &str = "ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH";
    let text = text(1..=PATH)(value)?;
    let url = Url::parse(&text).map_err(|e| format!("{FORM}: {e}"))?;
    if !matches!(url.scheme(), "ws" | "wss") || url.host_str().is_none_or(str::is_empty) {
        return Err(FORM.into());
    }
    if url.scheme() == "wss" && cfg!(not(feature = "tls")) {
        return Err("ws://HOST[:PORT]/PATH: this program is built without TLS".into());
    }
    let bare = url.username().is_empty() && url.password().is_none();
    if !bare || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{FORM} without login and query, which have keys of their own"));
    }
    Ok(url)
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

pub(super) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
