//! The configuration: every key, its meaning and its default. A value that is here was checked.
//! `configs/base.toml` shows the same as a file; a test keeps the two equal.

mod budget;
mod load;
mod nearest;
#[cfg(test)]
mod newer_tests;
mod parse;
mod section;
mod services;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use ivt_base::secret::Secret;
use ivt_hal::{Bitrates, Model, Stream, Transport};
use ivt_media::rtsp::Patience;
use url::Url;

pub use budget::Budget;
pub use load::Access;
pub use services::parse_mac;

/// All of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[cloud]`: whom to dial.
    pub cloud: Cloud,
    /// `device.model`, "camera" or "nvr"; default "camera". A camera has exactly one channel.
    pub model: Model,
    /// `[[channel]]`: the cameras, in the order of their numbers. Never empty.
    pub channels: Vec<Channel>,
    /// `[publish]`: how live streams are kept up.
    pub publish: Publish,
    /// `[record]`: what recordings may take, and where they wait.
    pub record: Record,
    /// `[tlss]`: the hosted service; `None` while `tlss.enable` is false, which is the default.
    pub tlss: Option<Tlss>,
    /// `[runtime]`: how the work is done.
    pub runtime: Runtime,
    /// `runtime.memory_limit`, and what it is for: bytes of resident memory under which the agent
    /// stays; default 32 MiB, 8 MiB for each channel, and what a spool, the hosted service, clip
    /// files and worker threads take.
    pub budget: Budget,
    /// `log.level`, "error", "warn", "info", "debug" or "trace"; default "info".
    pub log_level: log::LevelFilter,
    /// What was not understood of a file whose `version` is newer, and what is done instead, one line
    /// each: to be told. Empty for other files.
    pub notes: Vec<String>,
}

/// The cloud and our login there.
#[derive(Clone, Debug, PartialEq)]
pub struct Cloud {
    /// `url`, required: `ws://HOST[:PORT]/PATH` or `wss://…`, without user name and query.
    pub url: Url,
    /// `login_code`, required: the name the cloud gave this device.
    pub login_code: String,
    /// `login_passwd`, required: the password that goes with it.
    pub login_passwd: Secret,
    /// `hardware_model`: told to the cloud; default "ivt".
    pub hardware_model: String,
    /// `firmware_model`: told to the cloud; default the version of the agent.
    pub firmware_model: String,
    /// `ca_file`: PEM file of the only authorities to trust for `wss` and `rtmps`; default those
    /// of the system.
    pub ca_file: Option<PathBuf>,
    /// `stop_publish_on_disconnect`: live streams end with the connection to the cloud; default
    /// true.
    pub stop_publish_on_disconnect: bool,
    /// `accept_bare_answers`: an answer that has neither `resp` nor `err` is a success, for clouds
    /// that break the specification so; default false.
    pub accept_bare_answers: bool,
}

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
    /// `ring_bytes`: bytes of frames held per stream; default what [`Budget::rings`] says, and more
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

/// Live publishing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// `retry_seconds`: how long a lost publish is retried; default 60, 0 gives up at once.
    pub retry: Duration,
    /// `linger_seconds`: how long a camera's stream stays open after its last reader; default 5.
    pub linger: Duration,
}

/// Cloud recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `disconnect_seconds`: a recording ends when the cloud stays away for so long; 0 never ends
    /// it. Default 600 without a spool, 0 with one.
    pub disconnect: Option<Duration>,
    /// `spool_dir` and what goes with it; default none.
    pub spool: Option<Spool>,
}

/// Where segments wait that memory does not hold, or that must outlive a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spool {
    /// `spool_dir`: a directory of its own, on a card that bears the writing.
    pub dir: PathBuf,
    /// `spool`, "overflow" or "always"; default "overflow".
    pub mode: SpoolMode,
    /// `spool_limit`: bytes it may take; default 1 GiB.
    pub limit: u64,
}

/// What is written to the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpoolMode {
    /// The segments beyond those that memory holds.
    Overflow,
    /// Everything, as it is recorded.
    Always,
}

/// The hosted service (TLSS), as the device's own page has it, and what its server may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlss {
    /// `server`, required: name or address.
    pub server: String,
    /// `port`, required.
    pub port: u16,
    /// `interval_minutes`: from one session to the next, 1 to 1440; default 60.
    pub interval: Duration,
    /// `tls`: the connection is encrypted; default false.
    pub tls: bool,
    /// `mac`: the hardware address by which the server knows the device; default that of its
    /// network hardware.
    pub mac: Option<[u8; 6]>,
    /// `brand`: told to the server, 1 to 64 printable ASCII characters other than `&` and `=`;
    /// default "ivt".
    pub brand: String,
    /// `model`: as `brand`; default what can be told of `cloud.hardware_model`.
    pub model: String,
    /// `profile`: TOML file of the commands that are allowed; default the built-in one.
    pub profile: Option<PathBuf>,
    /// `write`: groups of the profile's writing commands that are allowed; default none.
    pub write: Vec<String>,
    /// `reply_limit`: bytes of a reply's body; default 4 MiB.
    pub reply_limit: usize,
}

/// Threads and reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// `worker_threads`: default 0, everything on one thread.
    pub worker_threads: usize,
    /// `read_batch_ms`: collect what cameras send for so long before reading it, which saves CPU
    /// time and costs delay; default: 20 ms from four live streams on, else 0.
    pub read_batch: Option<Duration>,
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

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Read {
        /// Its path.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file may be read by everyone.
    #[error(
        "{file}: is readable by everyone, and such a file may hold passwords; do `chmod 600 {file}` \
         or start with --allow-world-readable"
    )]
    WorldReadable {
        /// Its path.
        file: String,
    },
    /// Something in it is wrong.
    #[error("{file}:{line}: {message}")]
    Value {
        /// Its path.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is expected; never a secret.
        message: String,
    },
}
