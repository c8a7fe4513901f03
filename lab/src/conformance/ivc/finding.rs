//! What a check finds when it does not simply pass.

/// Why a case is no plain pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Against the rule.
    Fail(String),
    /// Against the letter of the rule in a known way.
    Deviation(String),
    /// The device does not do this.
    NotSupported(String),
    /// Against the rule so that no other case can be run.
    Over(String),
}

/// What a check returns.
pub type Outcome<T = ()> = Result<T, Finding>;

/// A failure with its reason.
pub fn fail<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Finding::Fail(why.into()))
}

/// A deviation with its reason.
pub fn deviation<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Finding::Deviation(why.into()))
}

/// Something that the device does not do, with how that was seen.
pub fn not_supported<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Finding::NotSupported(why.into()))
}
