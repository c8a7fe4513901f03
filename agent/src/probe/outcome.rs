//! What a probe found out, for programs; people read the lines that are said meanwhile.

use bytes::Bytes;
use ivt_hal::Stream;
use serde_json::Value;

/// What a camera was found to be and to do.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The camera can be used.
    pub is_good: bool,
    /// The camera refused the login, which was tried once.
    pub is_refused: bool,
    /// The camera says nothing of itself without a login.
    pub wants_login: bool,
    /// Nobody answers at its address.
    pub is_silent: bool,
    /// Who made the camera, by its own words; empty where it says nothing. The same holds for what follows.
    pub maker: String,
    /// Its model.
    pub model: String,
    /// The version of its firmware.
    pub firmware: String,
    /// The streams that were opened.
    pub streams: Vec<SeenStream>,
    /// What it can do, and what it cannot.
    pub abilities: Vec<Ability>,
    /// A picture, as JPEG.
    pub picture: Option<Bytes>,
    /// The keys of a `[[channel]]` section that serve it, without the password; empty where nothing is known of it.
    pub settings: Vec<(&'static str, Value)>,
}

/// A stream that was opened until its first key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenStream {
    /// Which one it is.
    pub stream: Stream,
    /// "H.264" or "H.265".
    pub codec: &'static str,
    /// Width and height of its picture.
    pub size: (u32, u32),
    /// Whether it has sound.
    pub has_sound: bool,
}

/// Whether a camera can honour some methods of the cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ability {
    /// Name of the slot, such as "ptz".
    pub slot: &'static str,
    /// Whether the camera has it.
    pub is_there: bool,
    /// The backend that has it, and what it said, or why it is not there.
    pub said: String,
}
