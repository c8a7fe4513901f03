//! Values that must never be printed.

use std::fmt::{self, Debug, Formatter};

/// Something that holds a password or a key: a password itself, or an address whose path, query or login is one.
/// Printing it shows `***`. With the feature `serde` it is written and read as what it holds: serialise it for the peer
/// it is meant for and for nobody else.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// Hides `inner`.
    pub fn new(inner: T) -> Self {
        Self(inner)
    }

    /// The secret, for the one peer that it is meant for.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// Gives up the secret, for the one peer that it is meant for.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(inner: T) -> Self {
        Self(inner)
    }
}

impl<T> Debug for Secret<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed_however_deep_it_lies() {
        let secret = Secret::from("rtmp://h/live/key".to_owned());
        assert_eq!(format!("{secret:?} {:?}", Some((1, &secret))), "*** Some((1, ***))");
        assert_eq!(
            (secret.expose().as_str(), secret.clone().into_exposed().len()),
            ("rtmp://h/live/key", 17)
        );
    }
}
