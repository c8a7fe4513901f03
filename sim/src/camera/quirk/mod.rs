//! Breaches of the rules by cameras of the field, on request. Each quirk changes what goes over the wire and
//! nothing else.
//!
//! The camera asks for them in four places: `clip` for the stream, `Media` for the packets of a frame,
//! `Manners` for requests and answers, `Gate` for logins.

mod bits;
pub(super) mod clip;
mod headers;
mod hostile;
mod login;
mod manners;
mod media;
mod packet;
mod reply;
mod rewrite;
mod rtp;
mod rtsp;
mod sdp;
mod sound;
mod table;
mod time;
mod video;

use std::str::FromStr;
use std::time::Duration;

use super::{CameraOptions, Credentials};

pub(super) use login::Gate;
pub(super) use manners::Manners;
pub(super) use media::{Media, rtp_time};
pub(super) use reply::Reply;
pub use table::{Kind, Quirk};

/// A set of quirks. Any of them go together; whether that makes sense is the caller's business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quirks(Vec<(Quirk, Option<Duration>)>);

/// The error for a name that no quirk has, or a value that the quirk does not take.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no quirk `{0}`: --quirks lists them; a value is a number of seconds, `NAME=2.5`")]
pub struct UnknownQuirk(String);

impl Quirk {
    /// The quirk of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|quirk| quirk.name() == name)
    }

    /// The usual time of the quirk in seconds: a delay, a period, or a session timeout. `None` for a quirk
    /// without a time.
    pub fn seconds(self) -> Option<f64> {
        Some(match self {
            Self::SlowDescribe => 7.0,
            Self::LateFirst => 15.0,
            Self::SoundLate | Self::TsJump | Self::TsBack => 5.0,
            Self::CamRequest | Self::CamAnnounce => 4.0,
            Self::SeqReset | Self::TsWrap => 3.0,
            Self::ZeroPayload
            | Self::PaddingOnly
            | Self::PaddingBad
            | Self::RtcpOnData
            | Self::RtcpShort
            | Self::ForeignType
            | Self::RtpShort
            | Self::StrayChannels
            | Self::EmptyPackets => 2.0,
            _ if self.sets_timeout() => 10.0,
            _ => return None,
        })
    }

    /// Whether the quirk's time is the session timeout.
    fn sets_timeout(self) -> bool {
        matches!(
            self,
            Self::Timeout10
                | Self::KaOffByOne
                | Self::KaSetOnly
                | Self::KaNever
                | Self::Ka454
                | Self::Ka454Close
                | Self::KaGetMute
                | Self::KaMidBurst
                | Self::PublicAbsent
                | Self::NonceKeepalive
        )
    }
}

impl Quirks {
    /// Adds a quirk with its usual time.
    #[must_use]
    pub fn with(mut self, quirk: Quirk) -> Self {
        self.0.push((quirk, None));
        self
    }

    /// Adds a quirk with a time of its own; see [`Quirk::seconds`].
    #[must_use]
    pub fn with_time(mut self, quirk: Quirk, time: Duration) -> Self {
        self.0.push((quirk, Some(time)));
        self
    }

    /// Adds all quirks of another set.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether the camera has no quirk.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this quirk is in the set.
    pub fn has(&self, quirk: Quirk) -> bool {
        self.0.iter().any(|(q, _)| *q == quirk)
    }

    /// Whether one of these quirks is in the set.
    pub fn has_any(&self, quirks: &[Quirk]) -> bool {
        quirks.iter().any(|quirk| self.has(*quirk))
    }

    /// Whether a quirk of this kind is in the set.
    pub fn has_kind(&self, kind: Kind) -> bool {
        self.0.iter().any(|(q, _)| q.kind() == kind)
    }

    /// The time of a quirk; `None` when it is not in the set or has no time.
    pub fn time(&self, quirk: Quirk) -> Option<Duration> {
        let (_, own) = self.0.iter().find(|(q, _)| *q == quirk)?;
        own.or_else(|| quirk.seconds().map(Duration::from_secs_f64))
    }

    /// Changes the settings of a camera as its quirks need.
    pub fn apply(&self, options: &mut CameraOptions) {
        for (quirk, _) in &self.0 {
            if quirk.sets_timeout()
                && let Some(time) = self.time(*quirk)
            {
                options.session_timeout = time;
            }
        }
        options.transports.udp &= !self.has(Quirk::UdpRefused);
        options.transports.tcp &= !self.has(Quirk::TcpRefused);
        options.join_mid_gop |= self.has(Quirk::Midframe);
        if self.has_kind(Kind::Login) && options.credentials.is_none() {
            options.credentials = Some(Credentials { user: "admin".into(), password: "pw".into() });
        }
    }
}

impl From<Quirk> for Quirks {
    fn from(quirk: Quirk) -> Self {
        Self::default().with(quirk)
    }
}

impl FromStr for Quirks {
    type Err = UnknownQuirk;

    /// Reads `name` or `name=seconds`.
    fn from_str(text: &str) -> Result<Self, UnknownQuirk> {
        let unknown = || UnknownQuirk(text.to_owned());
        let (name, seconds) = match text.split_once('=') {
            Some((name, seconds)) => (name, Some(seconds)),
            None => (text, None),
        };
        let quirk = Quirk::from_name(name).ok_or_else(unknown)?;
        let Some(seconds) = seconds else { return Ok(quirk.into()) };
        quirk.seconds().ok_or_else(unknown)?;
        let seconds: f64 = seconds.parse().map_err(|_| unknown())?;
        // RTSP tells a session timeout in whole seconds.
        let least = if quirk.sets_timeout() { 1.0 } else { 0.01 };
        if !(least..=3600.0).contains(&seconds) {
            return Err(unknown());
        }
        Ok(Self::default().with_time(quirk, Duration::from_secs_f64(seconds)))
    }
}

/// The list of all quirks for a person: one line each, by kind.
pub fn listing() -> String {
    let mut text = String::new();
    let mut kind = None;
    for quirk in Quirk::ALL {
        if kind.replace(quirk.kind()) != Some(quirk.kind()) {
            text.push_str(&format!("{:?}\n", quirk.kind()));
        }
        text.push_str(&format!("  {:18} {} [{}]\n", quirk.name(), quirk.what(), quirk.report()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back_to_their_quirk() {
        for quirk in Quirk::ALL {
            assert_eq!(Quirk::from_name(quirk.name()), Some(*quirk));
            assert!(!quirk.what().is_empty() && !quirk.report().is_empty());
        }
        assert_eq!(Quirk::from_name("ok"), None);
        assert_eq!(listing().lines().filter(|l| l.starts_with("  ")).count(), Quirk::ALL.len());
    }

    #[test]
    fn a_time_is_given_after_the_name_where_the_quirk_has_one() {
        let quirks: Quirks = "slow_describe=0.5".parse().unwrap();
        assert_eq!(quirks.time(Quirk::SlowDescribe), Some(Duration::from_millis(500)));
        let quirks: Quirks = "slow_describe".parse().unwrap();
        assert_eq!(quirks.time(Quirk::SlowDescribe), Some(Duration::from_secs(7)));
        for wrong in ["", "ok", "mjpeg=1", "slow_describe=", "slow_describe=-1", "ka_454=0.5"] {
            assert!(wrong.parse::<Quirks>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn keepalive_quirks_set_the_timeout_and_login_quirks_a_login() {
        let mut options = CameraOptions::default();
        let mut quirks: Quirks = "ka_454=2".parse().unwrap();
        quirks.extend("auth_qop".parse().unwrap());
        quirks.apply(&mut options);
        assert_eq!(options.session_timeout, Duration::from_secs(2));
        assert_eq!(options.credentials.unwrap().user, "admin");
    }
}
