//! Values that must never be printed.

use std::fmt::{self, Debug, Formatter};
use std::hash::{Hash, Hasher};

use crate::mask::{self, Known};

/// Something that holds a password or a key: a password itself, or an address whose path, query or login is one.
/// Printing it shows `***`, and while it lives, [`mask`](mask::mask) hides it in what peers say. With the feature
/// `serde` it is written and read as what it holds: serialise it for the peer it is meant for and for nobody else.
#[derive(Clone, Default)]
pub struct Secret<T = String> {
    inner: T,
    known: Known,
}

impl<T: AsRef<str>> Secret<T> {
    /// Hides `inner`.
    pub fn new(inner: T) -> Self {
        let known = mask::learn(inner.as_ref());
        Self { inner, known }
    }
}

impl<T> Secret<T> {
    /// Hides `inner`, which no peer is ever told: what peers say is not searched for it.
    pub fn untold(inner: T) -> Self {
        Self { inner, known: Known::default() }
    }

    /// The secret, for the one peer that it is meant for.
    pub fn expose(&self) -> &T {
        &self.inner
    }

    /// Gives up the secret, for the one peer that it is meant for.
    pub fn into_exposed(self) -> T {
        self.inner
    }

    /// The secret as `read` reads it. All of the former one stays hidden with it.
    ///
    /// # Errors
    /// `read` fails.
    pub fn try_map<U, E>(self, read: impl FnOnce(T) -> Result<U, E>) -> Result<Secret<U>, E> {
        Ok(Secret { inner: read(self.inner)?, known: self.known })
    }
}

impl<T: AsRef<str>> From<T> for Secret<T> {
    fn from(inner: T) -> Self {
        Self::new(inner)
    }
}

impl<T: PartialEq> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl<T: Eq> Eq for Secret<T> {}

impl<T: Hash> Hash for Secret<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

#[cfg(feature = "serde")]
impl<T: serde::Serialize> serde::Serialize for Secret<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.inner.serialize(serializer)
    }
}

#[cfg(feature = "serde")]
impl<'de, T: AsRef<str> + serde::Deserialize<'de>> serde::Deserialize<'de> for Secret<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
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

    #[test]
    fn what_a_secret_was_read_from_stays_hidden() {
        let secret = Secret::from("http://h/up?sig=first-made-here".to_owned());
        let length = secret.try_map(|text| text.len().try_into().map_err(|_| ())).unwrap();
        assert_eq!((mask::mask("first-made-here?"), *length.expose()), ("***?".into(), 31u8));
    }
}
