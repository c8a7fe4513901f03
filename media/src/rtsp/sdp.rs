//! Session descriptions (SDP, RFC 8866) as cameras write them. Only `m=`, `a=rtpmap`, `a=fmtp`,
//! `a=control` and the directions are read; every other line may be wrong, cut or missing.

mod section;

use ivt_base::text::shorten;
use thiserror::Error;

use crate::rtsp::sdp::section::Section;

/// Longest description, in bytes.
pub const MAX_BYTES: usize = 256 << 10;
/// Most media of a description.
pub const MAX_MEDIA: usize = 64;
/// Most formats of one media; those beyond are left out.
pub const MAX_FORMATS: usize = 32;
/// Longest attribute that is kept, in bytes; longer ones are left out.
pub const MAX_VALUE: usize = 8 << 10;

/// Longest quotation of what a peer sent, in characters.
const MAX_QUOTE: usize = 60;

/// What a camera offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The control address of the whole session, `*` included, as the camera wrote it.
    pub control: Option<String>,
    /// The media in the camera's order; one at least.
    pub media: Vec<MediaDescription>,
}

/// One `m=` line and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaDescription {
    /// What the media carries.
    pub kind: MediaKind,
    /// The word after `m=`, as the camera wrote it.
    pub name: String,
    /// The media's control address, absolute or relative, without control characters. It may hold
    /// spaces.
    pub control: Option<String>,
    /// The media's direction, or the session's where the media says none.
    pub direction: Direction,
    /// The media's formats in the camera's order, each payload type once; empty where it names
    /// none.
    pub formats: Vec<Format>,
}

/// What a media carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Metadata and the like.
    Other,
}

/// The direction that an attribute tells. Cameras differ in whose view they take, see
/// [`Description::is_talk_back`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// The description does not say.
    #[default]
    Unsaid,
    /// `a=sendrecv`
    SendRecv,
    /// `a=sendonly`
    SendOnly,
    /// `a=recvonly`
    RecvOnly,
    /// `a=inactive`
    Inactive,
}

/// One payload type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Name of the encoding in lower case: `h264`, `h265`, `mpeg4-generic`, `pcma`. Empty where the
    /// description does not say.
    pub encoding: String,
    /// Ticks per second of the timestamps; never 0.
    pub clock_rate: u32,
    /// Channels of sound; 1 where the description does not say.
    pub channels: u16,
    /// The parameters of the `a=fmtp` lines.
    pub fmtp: Option<String>,
}

/// Why there is no description.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SdpError {
    /// The description is too long. Holds its size in bytes.
    #[error("expected a description of at most {MAX_BYTES} bytes, found {0} bytes")]
    TooLong(usize),
    /// There are more than [`MAX_MEDIA`].
    #[error("expected at most {MAX_MEDIA} media in the description, found more")]
    TooManyMedia,
    /// The answer is HTML or XML.
    #[error("expected a description, found a web page: this may be the address of a web server")]
    Page,
    /// The answer is nothing but white space.
    #[error("expected a description, found an empty answer")]
    Empty,
    /// The answer has no `m=` line. Holds how it begins.
    #[error("expected a description with an m= line, found none; it begins with \"{0}\"")]
    NoMedia(String),
}

impl Description {
    /// Reads the body of an answer to DESCRIBE, in one pass.
    ///
    /// # Errors
    ///
    /// The body is too long, has too many media, or is no description.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        if body.len() > MAX_BYTES {
            return Err(SdpError::TooLong(body.len()));
        }
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
        if body.starts_with(b"<") {
            return Err(SdpError::Page);
        }
        let (mut session, mut media) = (Section::default(), Vec::<Section>::new());
        for line in body.split(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            match split_line(line) {
                Some((b'm', _)) if media.len() == MAX_MEDIA => return Err(SdpError::TooManyMedia),
                Some((b'm', value)) => media.push(Section::begin(value)),
                Some((b'a', value)) if value.len() <= MAX_VALUE => {
                    let section = media.last_mut().unwrap_or(&mut session);
                    section.attribute(&String::from_utf8_lossy(value));
                }
                _ => {}
            }
        }
        if media.is_empty() {
            return Err(nothing_in(body));
        }
        let media = media.into_iter().map(|section| section.end(session.direction)).collect();
        Ok(Self { control: session.control, media })
    }

    /// Whether the media with this index carries sound from the client to the camera.
    ///
    /// An ONVIF camera marks that track alone `a=sendonly`. Others mark what they themselves send,
    /// so pictures above all, as RFC 8866 has it; then it is the track they receive.
    pub fn is_talk_back(&self, media: usize) -> bool {
        let Some(this) = self.media.get(media).filter(|media| media.kind == MediaKind::Audio)
        else {
            return false;
        };
        let others = |kind| {
            let others = self.media.iter().enumerate().filter(move |(i, _)| *i != media);
            others.map(|(_, other)| other).filter(move |other| other.kind == kind)
        };
        let directions = |kind| {
            others(kind).map(|other| other.direction).filter(|said| *said != Direction::Inactive)
        };
        let mut pictures = directions(MediaKind::Video).peekable();
        let camera_sends =
            pictures.peek().is_some() && pictures.all(|said| said == Direction::SendOnly);
        let mut sounds = directions(MediaKind::Audio);
        match this.direction {
            Direction::SendOnly if camera_sends => {
                sounds.any(|said| matches!(said, Direction::Unsaid | Direction::SendRecv))
            }
            Direction::SendOnly => {
                directions(MediaKind::Video).chain(sounds).any(|said| said != Direction::SendOnly)
            }
            Direction::RecvOnly => camera_sends && sounds.any(|said| said == Direction::SendOnly),
            _ => false,
        }
    }
}

impl Format {
    /// The value of a parameter of `a=fmtp`, without quotes; empty for a name without a value.
    /// Names are the same in any case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.fmtp.as_deref()?.split(';').find_map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim().trim_matches('"').trim();
            key.trim().eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Splits a line into its type, in lower case, and its value.
fn split_line(line: &[u8]) -> Option<(u8, &[u8])> {
    let (letter, rest) = line.trim_ascii().split_first()?;
    let value = rest.trim_ascii_start().strip_prefix(b"=")?;
    Some((letter.to_ascii_lowercase(), value.trim_ascii_start()))
}

/// The error for a body without media. Its quotation leaves addresses out: some hold a password.
fn nothing_in(body: &[u8]) -> SdpError {
    let beginning = body.get(..4 * MAX_QUOTE).unwrap_or(body);
    let beginning = String::from_utf8_lossy(beginning).replace(char::is_control, " ");
    let words = beginning.split_whitespace();
    let words = words.map(|word| if word.contains(['/', '?', '&', '@']) { "…" } else { word });
    let beginning = shorten(&words.collect::<Vec<_>>().join(" "));
    if beginning.is_empty() {
        return SdpError::Empty;
    }
    SdpError::NoMedia(beginning.chars().take(MAX_QUOTE).collect())
}

#[cfg(test)]
#[path = "sdp_tests.rs"]
mod tests;
