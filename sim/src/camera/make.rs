//! The makes of cameras that the web server can be one of.

use std::fmt;
use std::str::FromStr;

use crate::family::Family;

/// Whose requests the camera's web server understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// A line of the family that the hosted service (TLSS) knows: `Group.name=value` lines under `/uapi-cgi`,
    /// `/nvc-cgi` or `/cgi-bin`.
    Line(Family),
    /// The device SDK's own cameras: JSON under `/merlin`.
    Merlin,
    /// Hikvision: XML under `/ISAPI`. With several channels it is a recorder that stands before its cameras.
    Hikvision,
    /// Dahua: lines of `key=value` under `/cgi-bin`. With several channels it is a recorder.
    Dahua,
}

/// The error for a word that names no make.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a family: uapi (IPN), nvc (IPE), IPAI, merlin, hikvision or dahua")]
pub struct UnknownMake;

impl Make {
    /// A page of the web server that tells who the camera is.
    pub fn page(self) -> &'static str {
        match self {
            Self::Line(Family::Ipn) => "/uapi-cgi/param.fcgi?action=list",
            Self::Line(Family::Ipai) => "/cgi-bin/operator/param.cgi",
            Self::Line(Family::Ipe) => "/nvc-cgi/admin/param.fcgi?action=list",
            Self::Merlin => "/merlin/GetVersion.cgi",
            Self::Hikvision => "/ISAPI/System/deviceInfo",
            Self::Dahua => "/cgi-bin/magicBox.cgi?action=getSystemInfo",
        }
    }
}

impl Default for Make {
    fn default() -> Self {
        Self::Line(Family::default())
    }
}

impl From<Family> for Make {
    fn from(family: Family) -> Self {
        Self::Line(family)
    }
}

impl fmt::Display for Make {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(family) => family.fmt(f),
            Self::Merlin => f.write_str("merlin"),
            Self::Hikvision => f.write_str("hikvision"),
            Self::Dahua => f.write_str("dahua"),
        }
    }
}

impl FromStr for Make {
    type Err = UnknownMake;

    /// Takes the name in letters of either case.
    fn from_str(text: &str) -> Result<Self, UnknownMake> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "uapi" => Self::Line(Family::Ipn),
            "nvc" => Self::Line(Family::Ipe),
            "merlin" => Self::Merlin,
            "hikvision" => Self::Hikvision,
            "dahua" => Self::Dahua,
            line => Self::Line(line.parse().map_err(|_| UnknownMake)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_make_is_known_by_its_name() {
        for (name, make) in [
            ("uapi", Family::Ipn.into()),
            ("IPN", Family::Ipn.into()),
            ("nvc", Family::Ipe.into()),
            ("ipai", Family::Ipai.into()),
            ("Merlin", Make::Merlin),
            ("hikvision", Make::Hikvision),
            ("Dahua", Make::Dahua),
        ] {
            assert_eq!(name.parse(), Ok(make));
            assert_eq!(make.to_string().parse(), Ok(make));
        }
        assert_eq!("axis".parse::<Make>(), Err(UnknownMake));
    }
}
