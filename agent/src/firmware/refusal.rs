//! Why a firmware is not installed.

use std::error::Error as _;
use std::time::Duration;

use ivt_base::text::shorten;
use ivt_hal::manifest::ManifestError;

use crate::cloud::calls::CallError;
use crate::http::HttpError;

/// Why a firmware is not installed. The text is for the log: it says what to do, and shows no query of an address.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no signature beside the image.
    #[error(
        "it is not signed: {0}; sign it with `minisign -S -H` and put IMAGE.minisig beside IMAGE"
    )]
    Unsigned(String),
    /// The signature is no file of minisign.
    #[error("its signature is no file of minisign: {0}")]
    NoSignature(&'static str),
    /// The signature is of the kind that needs the whole image at once.
    #[error("its signature is of the old kind: sign it with `minisign -S -H`")]
    Legacy,
    /// Nobody whose key is configured has signed it.
    #[error("it is signed by a key that does not stand in firmware.keys")]
    UnknownKey,
    /// The signed comment does not say what the image is.
    #[error(
        "the comment of its signature {0}; sign it with \
         `-t \"model=... version=... counter=... size=... sha256=... expires=...\"`"
    )]
    Comment(#[from] ManifestError),
    /// The signature is of another image, or of nobody.
    #[error("its bytes are not those that were signed")]
    Forged,
    /// The image has another size than was signed.
    #[error("it has {found} bytes, and {signed} were signed")]
    Size {
        /// Bytes that the server has, at least.
        found: u64,
        /// Bytes that were signed.
        signed: u64,
    },
    /// It is for other devices.
    #[error("it is made for model {image:?}, and this is {device:?} (firmware.model)")]
    Model {
        /// The model that the signature names.
        image: String,
        /// The model of this device.
        device: String,
    },
    /// A newer one was in use already.
    #[error("its counter {counter} is older than {floor}, which this device had already")]
    Older {
        /// The counter of the image.
        counter: u64,
        /// The lowest that is taken.
        floor: u64,
    },
    /// It was installed already.
    #[error(
        "it was installed already, or waits for the restart: only UpgradeFirmware installs it again"
    )]
    Same,
    /// It did not stay when it was tried.
    #[error("it was tried and did not stay: only UpgradeFirmware installs it again")]
    Failed,
    /// It is too old to be installed.
    #[error("it was to be installed until {0}: sign it anew with a later `expires`")]
    Expired(String),
    /// It is larger than what is taken.
    #[error("it has {size} bytes, more than firmware.max_size ({most})")]
    TooLarge {
        /// Bytes of the image.
        size: u64,
        /// Most bytes that are taken.
        most: u64,
    },
    /// The size of an image that nobody has signed is not known.
    #[error("the server does not tell its size (Content-Length), which an unsigned image needs")]
    NoSize,
    /// The server is too slow.
    #[error("it came slower than 1 KiB/s for a minute")]
    Slow,
    /// The server does not give the file.
    #[error("{0}")]
    Http(#[from] HttpError),
    /// The download was interrupted too often.
    #[error("{0}; given up after {1} tries, what is there is kept")]
    GivenUp(Box<Self>, usize),
    /// The cloud does not say which firmware there is.
    #[error("the cloud was asked which firmware there is: {0}")]
    Cloud(#[from] CallError),
    /// The hour of the upgrade before is not over.
    #[error("there was one within the hour: the next is allowed in {} s", .0.as_secs())]
    TooSoon(Duration),
    /// The firmware that runs is on trial itself.
    #[error("the firmware that runs is on trial")]
    OnTrial,
    /// An upload did not come to its end.
    #[cfg(feature = "ui")]
    #[error("the upload broke off after {0} bytes: nothing was changed, upload it again")]
    Broken(u64),
    /// Something else is under way.
    #[cfg(feature = "ui")]
    #[error(
        "another firmware is under way, or the device is about to restart: try again in a minute"
    )]
    Busy,
    /// The device does not take it.
    #[error("the device: {0}")]
    Device(String),
}

impl Refusal {
    /// Whether the same download may succeed when it goes on later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Http(error) => error.is_passing(),
            Self::Slow => true,
            _ => false,
        }
    }

    /// How long the server wants to be left alone.
    pub(super) fn pause(&self) -> Option<Duration> {
        if let Self::Http(error) = self { error.pause() } else { None }
    }

    /// A word for programs and for the languages of the page.
    #[cfg(feature = "ui")]
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unsigned(_) => "firmware_unsigned",
            Self::NoSignature(_) => "firmware_no_signature",
            Self::Legacy => "firmware_old_signature",
            Self::UnknownKey => "firmware_unknown_key",
            Self::Comment(_) => "firmware_comment",
            Self::Forged => "firmware_forged",
            Self::Size { .. } => "firmware_size",
            Self::Model { .. } => "firmware_model",
            Self::Older { .. } => "firmware_older",
            Self::Same => "firmware_same",
            Self::Failed => "firmware_failed",
            Self::Expired(_) => "firmware_expired",
            Self::TooLarge { .. } => "firmware_too_large",
            Self::NoSize => "firmware_no_size",
            Self::Slow => "firmware_slow",
            Self::Http(_) | Self::GivenUp(..) => "firmware_download",
            Self::Cloud(_) => "firmware_cloud",
            Self::TooSoon(_) => "firmware_too_soon",
            Self::OnTrial => "firmware_on_trial",
            Self::Broken(_) => "firmware_broken_off",
            Self::Busy => "firmware_busy",
            Self::Device(_) => "firmware_device",
        }
    }

    /// Whether it is about the signature alone, without which an image may be allowed.
    pub(super) fn is_of_signature(&self) -> bool {
        use Refusal::{Comment, Forged, Legacy, NoSignature, Size, UnknownKey, Unsigned};
        matches!(
            self,
            Unsigned(_) | NoSignature(_) | Legacy | UnknownKey | Comment(_) | Forged | Size { .. }
        )
    }
}

impl From<ivt_hal::Error> for Refusal {
    fn from(error: ivt_hal::Error) -> Self {
        Self::Device(device(&error))
    }
}

/// What an error of the device says: its innermost cause, which names paths and programs.
pub(super) fn device(error: &ivt_hal::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(|cause| cause.source()) {
        cause = Some(inner);
    }
    match cause {
        Some(cause) => shorten(&cause.to_string()),
        None => format!("{}, {:?}", error.op, error.kind),
    }
}
