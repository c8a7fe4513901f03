//! The kinds of camera: the words of the key `backend`, and what stands behind each.

use std::path::Path;

use ivt_hal::Channel;
use ivt_hal::rtsp::UrlError;
use toml::de::DeValue;

#[cfg(feature = "profiles")]
use super::cgi::{self, CgiCamera};
use super::emulator::{self, EmulatedCamera};
#[cfg(feature = "linux")]
use super::linux::{self, Board};
#[cfg(feature = "onvif")]
use super::onvif::{self, OnvifCamera};
use super::{CameraOptions, Network};
use crate::config::error::Error;
use crate::config::section::Section;

/// One kind of camera with the keys that it alone has.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A camera known by its RTSP addresses.
    Rtsp,
    /// A camera whose web interface a profile describes.
    #[cfg(feature = "profiles")]
    Cgi(CgiCamera),
    /// A camera with ONVIF.
    #[cfg(feature = "onvif")]
    Onvif(OnvifCamera),
    /// A looping clip, or the output of a program.
    Emulator(EmulatedCamera),
    /// The board that the agent runs on.
    #[cfg(feature = "linux")]
    Linux(Board),
}

/// A word of the key `backend`.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) word: &'static str,
    /// Reads the keys that this kind alone has. Relative paths count from the directory.
    pub(super) read: fn(&mut Section<'_, '_>, &Network, &Path) -> Result<Kind, Error>,
}

const ROWS: &[Row] = &[
    Row { word: "rtsp", read: |_, _, _| Ok(Kind::Rtsp) },
    #[cfg(feature = "profiles")]
    Row { word: "cgi", read: |section, _, base| cgi::read(section, base).map(Kind::Cgi) },
    #[cfg(feature = "onvif")]
    Row {
        word: "onvif",
        read: |section, network, _| onvif::read(section, network).map(Kind::Onvif),
    },
    Row {
        word: "emulator",
        read: |section, _, base| emulator::read(section, base).map(Kind::Emulator),
    },
    #[cfg(feature = "linux")]
    Row { word: super::BOARD, read: |section, _, _| linux::read(section).map(Kind::Linux) },
];

/// Words whose kinds this program is built without, and the name of what is missing.
const ABSENT: &[(&str, &str)] = &[
    #[cfg(not(feature = "profiles"))]
    ("cgi", "profiles"),
    #[cfg(not(feature = "onvif"))]
    ("onvif", "ONVIF"),
    #[cfg(all(not(feature = "linux"), any(feature = "alarms", feature = "update")))]
    ("linux", "abilities of the board"),
];

/// The rows of a word, or of a list of words that differ. Errors do not repeat the value, which may be a secret
/// in the wrong line.
pub(super) fn rows(value: &DeValue<'_>) -> Result<Vec<Row>, String> {
    let allowed: Vec<_> = ROWS.iter().map(|row| format!("{:?}", row.word)).collect();
    let allowed = format!("{}, or a list of these, each once", allowed.join(" or "));
    let row = |value: &DeValue<'_>| {
        let word = value.as_str();
        if let Some((_, missing)) = ABSENT.iter().find(|(absent, _)| word == Some(absent)) {
            return Err(format!("{allowed}: this program is built without {missing}"));
        }
        let found = if word.is_some() { "another word" } else { value.type_str() };
        let row = ROWS.iter().find(|row| word == Some(row.word));
        row.copied().ok_or_else(|| format!("{allowed}, found {found}"))
    };
    let list = value.as_array();
    let rows = match list {
        None => vec![row(value)?],
        Some(list) => list.iter().map(|value| row(value.get_ref())).collect::<Result<_, _>>()?,
    };
    #[cfg(feature = "linux")]
    if rows.first().is_some_and(|row| row.word == super::BOARD) {
        return Err(format!(
            "{allowed}: {:?} has no streams: name a camera before it",
            super::BOARD
        ));
    }
    let twice = |(at, row): (usize, &Row)| rows[..at].iter().any(|before| before.word == row.word);
    match rows.iter().enumerate().any(twice) {
        false if !rows.is_empty() => Ok(rows),
        false => Err(format!("{allowed}, found an empty list")),
        true => Err(format!("{allowed}, found a word twice")),
    }
}

impl Kind {
    /// The word in the key `backend`.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Rtsp => "rtsp",
            #[cfg(feature = "profiles")]
            Self::Cgi(_) => "cgi",
            #[cfg(feature = "onvif")]
            Self::Onvif(_) => "onvif",
            Self::Emulator(_) => "emulator",
            #[cfg(feature = "linux")]
            Self::Linux(_) => super::BOARD,
        }
    }

    /// Whether it is the board that the agent runs on, which is no camera.
    pub(super) fn is_board(&self) -> bool {
        #[cfg(feature = "linux")]
        return matches!(self, Self::Linux(_));
        #[cfg(not(feature = "linux"))]
        false
    }

    /// Whether the kind's own streams have a separate sub stream.
    pub(super) fn has_sub(&self) -> bool {
        match self {
            Self::Rtsp => false,
            #[cfg(feature = "profiles")]
            Self::Cgi(camera) => camera.has_sub(),
            // Only the camera knows; it is not asked before it is used.
            #[cfg(feature = "onvif")]
            Self::Onvif(_) => true,
            Self::Emulator(camera) => camera.has_sub(),
            #[cfg(feature = "linux")]
            Self::Linux(_) => false,
        }
    }

    /// Whether the camera itself is asked for the addresses of its streams.
    pub(super) fn asks(&self) -> bool {
        match self {
            #[cfg(feature = "onvif")]
            Self::Onvif(_) => true,
            _ => false,
        }
    }

    pub(super) fn files(&self) -> Vec<&Path> {
        match self {
            Self::Emulator(camera) => camera.files(),
            _ => Vec::new(),
        }
    }

    /// The program with its arguments that is started for it.
    #[cfg(feature = "sandbox")]
    pub(super) fn program(&self) -> Option<Vec<String>> {
        let words = match self {
            Self::Emulator(camera) => camera.program(),
            #[cfg(feature = "linux")]
            Self::Linux(board) => board.program(),
            _ => return None,
        };
        (!words.is_empty()).then_some(words)
    }

    /// The file that says how the camera is spoken to.
    pub(super) fn profile(&self) -> Option<&Path> {
        match self {
            #[cfg(feature = "profiles")]
            Self::Cgi(camera) => camera.file(),
            _ => None,
        }
    }

    /// Whether the kind is known to have a web server that takes the commands of the hosted service.
    pub(super) fn is_hosted(&self) -> bool {
        match self {
            #[cfg(feature = "profiles")]
            Self::Cgi(camera) => camera.is_hosted(),
            _ => false,
        }
    }

    /// The web server that this kind alone knows.
    pub(super) fn server(&self) -> Option<(&str, u16)> {
        match self {
            #[cfg(feature = "onvif")]
            Self::Onvif(camera) => Some((&camera.host, camera.port)),
            _ => None,
        }
    }

    /// What this kind can do.
    pub(super) fn channel(
        &self,
        network: &Network,
        options: CameraOptions<'_>,
    ) -> Result<Channel, UrlError> {
        match self {
            Self::Rtsp => network.streams(options.bitrates).map(Channel::new),
            #[cfg(feature = "profiles")]
            Self::Cgi(camera) => camera.channel(network, options),
            #[cfg(feature = "onvif")]
            Self::Onvif(camera) => camera.channel(network, options),
            Self::Emulator(camera) => Ok(camera.channel(options)),
            #[cfg(feature = "linux")]
            Self::Linux(board) => Ok(board.channel()),
        }
    }
}
