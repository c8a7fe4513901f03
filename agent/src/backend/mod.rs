//! What a channel's frames come from: one file for each kind of camera, which holds what the channel's
//! section may say of it, how that is read, the files it needs, and how the camera is made of it.
//!
//! To add a kind, write such a file and its row in the table below. What several kinds share has a file
//! of its own: `login` and `web`.

mod emulator;
mod login;
mod rtsp;
mod unknown;
mod web;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use ivt_hal::rtsp::UrlError;
use ivt_hal::{Bitrates, Cgi, Channel};
use ivt_media::rtsp::Patience;

use crate::config::credentials::Login;
use crate::config::error::Error;
use crate::config::section::{Section, word};

pub use emulator::EmulatedCamera;
pub use rtsp::RtspCamera;
pub use web::Web;

/// A kind of camera as it was configured.
pub trait Described: Debug + Send + Sync {
    /// Whether the camera has a separate sub stream; without one, the main stream serves every
    /// quality.
    fn has_sub(&self) -> bool;

    /// Files from which the camera streams. Each is held in memory while it is streamed.
    fn files(&self) -> Vec<&Path> {
        Vec::new()
    }

    /// How the camera's RTSP streams are opened; the default for a camera without RTSP.
    fn rtsp_policy(&self) -> RtspPolicy {
        RtspPolicy::default()
    }

    /// The camera's own web server; the default for a camera without one.
    fn web(&self) -> Option<&Web> {
        None
    }

    /// Makes the camera, without talking to anybody.
    ///
    /// # Errors
    /// An address cannot be used.
    fn camera(&self, options: CameraOptions) -> Result<Camera, UrlError>;
}

/// How RTSP streams are opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtspPolicy {
    /// How long the camera may take.
    pub patience: Patience,
    /// Whether the camera's login is also given to another host to which the camera redirects.
    pub login_follows_redirects: bool,
}

/// The parts of the configuration outside the camera's own keys that making the camera needs.
#[derive(Clone, Copy, Debug)]
pub struct CameraOptions {
    /// Bits per second that the encoder is set to.
    pub bitrates: Bitrates,
    /// Longest answer of the camera's web server to the hosted service, in bytes.
    pub reply_limit: usize,
    /// The number of the channel.
    pub number: usize,
}

/// A camera of a device.
pub struct Camera {
    /// What the camera can do.
    pub channel: Channel,
    /// The camera's web server, if it takes the commands of the hosted service.
    pub cgi: Option<Arc<dyn Cgi>>,
}

/// Reads the keys of one kind of camera from a channel's section. `Login` is what the credentials
/// file says; relative paths count from the directory.
type Read = fn(&mut Section<'_, '_>, Login, &Path) -> Result<Backend, Error>;

macro_rules! backends {
    ($($(#[$doc:meta])* $word:literal => $kind:ident($file:ident::$type:ident),)*) => {
        /// What a channel's frames come from, by the word in its key `backend`.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Backend {
            $($(#[$doc])* $kind($file::$type),)*
            /// A kind that this program does not know, in a file of a newer version: the camera is
            /// never reached.
            Unknown,
        }

        const WORDS: &[(&str, Read)] = &[
            $(($word, |section, login, base| $file::read(section, login, base).map(Backend::$kind)),)*
        ];

        impl Backend {
            /// What this kind of camera says about itself.
            pub fn described(&self) -> &dyn Described {
                match self {
                    $(Self::$kind(described) => described,)*
                    Self::Unknown => &unknown::UnknownCamera,
                }
            }
        }
    };
}

backends! {
    /// A camera with RTSP addresses.
    "rtsp" => Rtsp(rtsp::RtspCamera),
    /// A looping clip, or the output of a program.
    "emulator" => Emulator(emulator::EmulatedCamera),
}

impl Backend {
    /// Reads a channel's key `backend` and the keys of that kind of camera.
    ///
    /// # Errors
    /// A key that is missing or wrong, with its line and what is allowed.
    pub(crate) fn read(
        section: &mut Section<'_, '_>,
        login: Login,
        base: &Path,
    ) -> Result<Self, Error> {
        let read = section.require("backend", word(WORDS))?;
        read(section, login, base)
    }
}

#[cfg(test)]
mod testing {
    use super::*;
    use crate::config::{self, Config};

    fn channel(keys: &str) -> config::Channel {
        let text = format!(
            "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n[[channel]]\n{keys}"
        );
        text.parse::<Config>().unwrap().channels.remove(0)
    }

    /// The backend of a channel with these keys.
    pub(super) fn described(keys: &str) -> Backend {
        channel(keys).backend
    }

    /// The camera of a channel with these keys.
    pub(super) fn camera(keys: &str) -> Camera {
        let channel = channel(keys);
        let options = CameraOptions { bitrates: channel.bitrates, reply_limit: 1 << 20, number: 0 };
        channel.backend.described().camera(options).unwrap()
    }
}
