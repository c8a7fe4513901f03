//! `[[channel]]`: the cameras, and which of their streams serves whom. What a camera's frames come from
//! is read by `crate::backend`.

use ivt_hal::{Bitrates, Model, Stream};

use super::credentials::Login;
use super::error::Error;
#[cfg(all(feature = "onvif", feature = "profiles"))]
use super::section::File;
use super::section::{Section, integer, list, word};
use crate::backend::Backend;

/// Most cameras behind one NVR.
const CHANNELS: usize = 256;
/// What happens to a channel that is not understood, in a line for the log.
const UNREACHABLE: &str = "the channel cannot be reached";

const STREAMS: &[(&str, Stream)] = &[("main", Stream::Main), ("sub", Stream::Sub)];
/// One camera.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// `backend`, required: "rtsp", "cgi", "onvif" or "emulator", or a list of these, in which "linux" may follow.
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

/// The stream that serves each quality the cloud can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QualityMap {
    /// Default "sub", or "main" where the camera has no sub stream.
    pub ld: Stream,
    /// Default "sub", or "main" where the camera has no sub stream.
    pub sd: Stream,
    /// Default "main".
    pub hd: Stream,
    /// Default "main".
    pub fhd: Stream,
}

pub(super) fn channels(
    root: &mut Section<'_, '_>,
    model: Model,
    logins: Vec<Login>,
    has_page: bool,
) -> Result<Vec<Channel>, Error> {
    let sections = root.sections("channel")?;
    if sections.is_empty() && !has_page {
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
        let read = channel(number, section, logins.next().unwrap_or_default());
        // A channel that is not understood keeps its place, so that the channels behind it keep
        // their numbers.
        read.or_else(|error| root.pass(error, UNREACHABLE).map(|()| Channel::unknown()))
    });
    each.collect()
}

impl Channel {
    /// The channel of a text that holds its section alone.
    ///
    /// # Errors
    /// As for a configuration.
    #[cfg(all(feature = "onvif", feature = "profiles"))]
    pub(crate) fn alone(text: &str) -> Result<Self, Error> {
        let file = File::new("section", text);
        let read = channels(&mut file.root()?, Model::Camera, Vec::new(), false)?;
        read.into_iter().next().ok_or_else(|| file.error(0, "no channel".into()))
    }

    /// A channel that only a newer program understands.
    fn unknown() -> Self {
        let [ld, sd, hd, fhd] = [Stream::Main; 4];
        Self {
            backend: Backend::unknown(),
            bitrates: Bitrates::default(),
            quality: QualityMap { ld, sd, hd, fhd },
            ring_bytes: None,
            always_on: Vec::new(),
        }
    }
}

fn channel(number: usize, mut section: Section<'_, '_>, apart: Login) -> Result<Channel, Error> {
    section.read("number", |value| match integer(0..=CHANNELS as u64)(value) {
        Ok(n) if n == number as u64 => Ok(()),
        _ => Err(format!("{number} here: channels are numbered from 0 in their order")),
    })?;
    let backend = Backend::read(&mut section, apart)?;
    let has_sub = backend.has_sub();
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
