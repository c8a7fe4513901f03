//! The quirks that are switched on while a camera runs.

use std::sync::{PoisonError, RwLock};

/// A set of quirks of one kind.
#[derive(Debug)]
pub struct Switches<Q>(RwLock<Vec<Q>>);

impl<Q: Copy + PartialEq> Switches<Q> {
    /// These and no others.
    pub fn of(quirks: &[Q]) -> Self {
        Self(RwLock::new(quirks.to_vec()))
    }

    /// Whether a quirk is on.
    pub fn has(&self, quirk: Q) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&quirk)
    }

    /// The quirks that are on.
    pub fn on(&self) -> Vec<Q> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Switches these on and all others off.
    pub fn set(&self, quirks: Vec<Q>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = quirks;
    }
}
