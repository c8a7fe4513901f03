//! Gathers the lines of the session or of one media.

use crate::rtsp::sdp::{Direction, Format, MAX_FORMATS, MAX_VALUE, MediaDescription, MediaKind};

/// Names of media and encodings are cut to this many bytes.
const MAX_NAME: usize = 64;

/// What is known of the session or of one media while its lines pass.
#[derive(Default)]
pub(super) struct Section {
    name: String,
    /// Control address.
    pub(super) control: Option<String>,
    /// Direction.
    pub(super) direction: Direction,
    payload_types: Vec<u8>,
    rtpmaps: Vec<Rtpmap>,
    /// Payload type, where one is said, and parameters.
    fmtps: Vec<(Option<u8>, String)>,
}

struct Rtpmap {
    payload_type: u8,
    encoding: String,
    /// Ticks per second; 0 where they are not said.
    clock_rate: u32,
    channels: u16,
}

impl Section {
    /// Reads the value of an `m=` line: `video 0 RTP/AVP 96 97` and whatever stands in its place.
    pub(super) fn begin(value: &[u8]) -> Self {
        let value = String::from_utf8_lossy(value.get(..MAX_VALUE).unwrap_or(value));
        let mut words = value.split([' ', '\t', ',']).filter(|word| !word.is_empty());
        let name = words.next().map(|name| keep(name, MAX_NAME)).unwrap_or_default();
        let mut section = Self { name, ..Self::default() };
        for payload_type in words.skip(2).filter_map(|word| word.parse().ok()) {
            if section.payload_types.len() < MAX_FORMATS
                && payload_type < 128
                && !section.payload_types.contains(&payload_type)
            {
                section.payload_types.push(payload_type);
            }
        }
        section
    }

    /// Reads the value of an `a=` line.
    pub(super) fn attribute(&mut self, text: &str) {
        let end = text.find([':', ' ', '\t']).unwrap_or(text.len());
        let (name, value) = text.split_at(end);
        let value = value.trim_start();
        let value = value.strip_prefix(':').unwrap_or(value).trim();
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("rtpmap") {
            self.rtpmap(value);
        } else if is("fmtp") {
            self.fmtp(value);
        } else if is("control") {
            if self.control.is_none() && !value.is_empty() {
                self.control = Some(keep(value, MAX_VALUE));
            }
        } else if is("sendrecv") {
            self.direction = Direction::SendRecv;
        } else if is("sendonly") {
            self.direction = Direction::SendOnly;
        } else if is("recvonly") {
            self.direction = Direction::RecvOnly;
        } else if is("inactive") {
            self.direction = Direction::Inactive;
        }
    }

    /// Reads `96 H264/90000` or `97 MPEG4-GENERIC/16000/2`.
    fn rtpmap(&mut self, value: &str) {
        let (digits, rest) = split_digits(value);
        let Some(payload_type) = digits.parse().ok().filter(|number| *number < 128) else {
            return;
        };
        let rest = rest.trim_start();
        let end = rest.find(['/', ' ', '\t']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let encoding = encoding(name);
        let mut parts = rest.split(['/', ' ', '\t']).filter(|part| !part.is_empty());
        let mut number = || parts.next().map_or("", |part| split_digits(part).0);
        let clock_rate = number().parse().unwrap_or(0);
        let channels = number().parse().unwrap_or(0);
        let known = self.rtpmaps.iter().any(|map| map.payload_type == payload_type);
        if !encoding.is_empty() && !known && self.rtpmaps.len() < MAX_FORMATS {
            self.rtpmaps.push(Rtpmap { payload_type, encoding, clock_rate, channels });
        }
    }

    /// Reads `96 packetization-mode=1;profile-level-id=4d001f`. A second line for a payload type
    /// continues the first.
    fn fmtp(&mut self, value: &str) {
        let (digits, rest) = split_digits(value);
        let payload_type = digits.parse().ok().filter(|number| *number < 128);
        let rest = rest.trim();
        if rest.is_empty() || (payload_type.is_none() && !digits.is_empty()) {
            return;
        }
        let rest = keep(rest, MAX_VALUE);
        let room = self.fmtps.len() < MAX_FORMATS;
        match self.fmtps.iter_mut().find(|(of, _)| *of == payload_type) {
            Some((_, kept)) if kept.len().saturating_add(rest.len()) < MAX_VALUE => {
                kept.push(';');
                kept.push_str(&rest);
            }
            None if room => self.fmtps.push((payload_type, rest)),
            _ => {}
        }
    }

    /// The media that the lines describe. `session` is the direction of the session.
    pub(super) fn end(mut self, session: Direction) -> MediaDescription {
        let name = &self.name;
        let kind = match (name.eq_ignore_ascii_case("video"), name.eq_ignore_ascii_case("audio")) {
            (true, _) => MediaKind::Video,
            (_, true) => MediaKind::Audio,
            _ => MediaKind::Other,
        };
        let mut payload_types = std::mem::take(&mut self.payload_types);
        if payload_types.is_empty() {
            payload_types.extend(self.rtpmaps.iter().map(|map| map.payload_type));
        }
        if payload_types.is_empty() {
            payload_types.extend(self.fmtps.iter().filter_map(|(of, _)| *of));
        }
        let alone = payload_types.len() == 1;
        let formats = payload_types.into_iter().map(|pt| self.format(kind, pt, alone)).collect();
        let direction = match self.direction {
            Direction::Unsaid => session,
            said => said,
        };
        MediaDescription { kind, name: self.name, control: self.control, direction, formats }
    }

    /// The format of a payload type. If the type stands `alone`, lines for other types are about
    /// it, too: some cameras say two numbers for one format.
    fn format(&mut self, kind: MediaKind, payload_type: u8, alone: bool) -> Format {
        let own = self.fmtps.iter().position(|(of, _)| *of == Some(payload_type));
        let fmtp = own.or((alone && !self.fmtps.is_empty()).then_some(0));
        let fmtp = fmtp.map(|index| self.fmtps.swap_remove(index).1);
        let fixed = fixed_format(kind, payload_type);
        let own = self.rtpmaps.iter().find(|map| map.payload_type == payload_type);
        let any = self.rtpmaps.first().filter(|_| alone && fixed.is_none());
        let (encoding, said, channels) = match own.or(any) {
            Some(map) => (map.encoding.as_str(), map.clock_rate, map.channels),
            None => fixed.unwrap_or_default(),
        };
        let clock_rate = match (said, fixed, kind) {
            (1.., ..) => said,
            (0, Some((name, rate, _)), _) if name == encoding => rate,
            (0, _, MediaKind::Audio) => 8000,
            (0, ..) => 90_000,
        };
        let encoding = encoding.to_owned();
        let mut format =
            Format { payload_type, encoding, clock_rate, channels: channels.max(1), fmtp };
        if format.encoding.is_empty() && kind == MediaKind::Video {
            format.encoding = guess(&format).to_owned();
        }
        format
    }
}

/// The encoding that a video format without a name must have by its parameters.
fn guess(format: &Format) -> &'static str {
    let has = |name| format.parameter(name).is_some();
    if has("sprop-vps") || has("sprop-sps") {
        "h265"
    } else if has("sprop-parameter-sets") || has("packetization-mode") {
        "h264"
    } else {
        ""
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Cuts a text to `limit` bytes and leaves out control characters, which would break requests and
/// logs.
fn keep(text: &str, limit: usize) -> String {
    let end = text.floor_char_boundary(limit);
    text.split_at(end).0.chars().filter(|c| !c.is_control()).collect()
}

/// The one name of an encoding that has several.
fn encoding(name: &str) -> String {
    let name = keep(name, MAX_NAME).to_ascii_lowercase();
    let usual = match name.as_str() {
        "h.264" | "avc" | "avc1" => "h264",
        "hevc" | "h.265" | "hvc1" | "hev1" => "h265",
        "g711a" | "g.711a" | "alaw" => "pcma",
        "g711u" | "g.711u" | "ulaw" | "mulaw" => "pcmu",
        _ => return name,
    };
    usual.to_owned()
}

/// Name, clock rate and channels of a payload type that needs no `a=rtpmap` (RFC 3551 6).
fn fixed_format(kind: MediaKind, payload_type: u8) -> Option<(&'static str, u32, u16)> {
    Some(match (kind, payload_type) {
        (MediaKind::Audio, 0) => ("pcmu", 8000, 1),
        // Payload type 2 was G.721, which is G.726 with 32 kbit/s.
        (MediaKind::Audio, 2) => ("g726-32", 8000, 1),
        (MediaKind::Audio, 3) => ("gsm", 8000, 1),
        (MediaKind::Audio, 4) => ("g723", 8000, 1),
        (MediaKind::Audio, 5) => ("dvi4", 8000, 1),
        (MediaKind::Audio, 6) => ("dvi4", 16_000, 1),
        (MediaKind::Audio, 7) => ("lpc", 8000, 1),
        (MediaKind::Audio, 8) => ("pcma", 8000, 1),
        (MediaKind::Audio, 9) => ("g722", 8000, 1),
        (MediaKind::Audio, 10) => ("l16", 44_100, 2),
        (MediaKind::Audio, 11) => ("l16", 44_100, 1),
        (MediaKind::Audio, 12) => ("qcelp", 8000, 1),
        (MediaKind::Audio, 13) => ("cn", 8000, 1),
        (MediaKind::Audio, 14) => ("mpa", 90_000, 1),
        (MediaKind::Audio, 15) => ("g728", 8000, 1),
        (MediaKind::Audio, 16) => ("dvi4", 11_025, 1),
        (MediaKind::Audio, 17) => ("dvi4", 22_050, 1),
        (MediaKind::Audio, 18) => ("g729", 8000, 1),
        (MediaKind::Video, 25) => ("celb", 90_000, 1),
        (MediaKind::Video, 26) => ("jpeg", 90_000, 1),
        (MediaKind::Video, 28) => ("nv", 90_000, 1),
        (MediaKind::Video, 31) => ("h261", 90_000, 1),
        (MediaKind::Video, 32) => ("mpv", 90_000, 1),
        (MediaKind::Video | MediaKind::Audio, 33) => ("mp2t", 90_000, 1),
        (MediaKind::Video, 34) => ("h263", 90_000, 1),
        _ => return None,
    })
}
