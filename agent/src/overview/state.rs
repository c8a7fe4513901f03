//! How well something works.

/// How a hop is. Later ones are worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// It is not in use.
    Off,
    /// It works.
    Ok,
    /// Nothing is known of it, since something before it does not work, or it was not tried yet.
    Unknown,
    /// It works, and someone should look.
    Warn,
    /// It does not work.
    Bad,
}

impl State {
    /// The state's name in the interface.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}
