//! Whether the device has an owner. While it has none, nobody sets it up from afar.

use tokio::sync::watch;

/// Whether the device has an owner. Without a page it has one always: who installed it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owner(Option<watch::Receiver<bool>>);

impl Owner {
    /// An owner that is there while `claimed` says so.
    pub(crate) fn known(claimed: watch::Receiver<bool>) -> Self {
        Self(Some(claimed))
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.as_ref().is_none_or(|claimed| *claimed.borrow())
    }
}
