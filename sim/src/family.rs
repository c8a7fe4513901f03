//! The lines of the camera family that the hosted service (TLSS) knows.

use std::fmt;
use std::str::FromStr;

/// One line. They have different CGIs, and servers find out which one a device is of before anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Network cameras: `/uapi-cgi`, and `/nvc-cgi` for pictures and the time zone.
    #[default]
    Ipn,
    /// Cameras with analytics of their own: `/cgi-bin`. Servers take their whole replies for the body.
    Ipai,
    /// Encoders: `/nvc-cgi`.
    Ipe,
}

/// The error for a word that names no family.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a family: IPN, IPAI or IPE")]
pub struct UnknownFamily;

impl Family {
    /// All families, in the order in which servers try them.
    pub const ALL: [Self; 3] = [Self::Ipn, Self::Ipai, Self::Ipe];

    fn name(self) -> &'static str {
        match self {
            Self::Ipn => "IPN",
            Self::Ipai => "IPAI",
            Self::Ipe => "IPE",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Family {
    type Err = UnknownFamily;

    /// Takes the name in letters of either case.
    fn from_str(text: &str) -> Result<Self, UnknownFamily> {
        let named = |family: &Self| family.name().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(named).ok_or(UnknownFamily)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_known_by_its_name() {
        for family in Family::ALL {
            assert_eq!(family.to_string().to_lowercase().parse(), Ok(family));
        }
        assert_eq!("uapi".parse::<Family>(), Err(UnknownFamily));
    }
}
