//! Keeps the agent away from its cloud while somebody else uses its login: two logins would push each other out.

use std::future::{Future, pending};
use std::pin::pin;

use futures::future::{Either, select};
use tokio::sync::watch;

/// Keeps the agent away from its cloud. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Hold(watch::Sender<usize>);

/// The agent stays away from its cloud until this is dropped.
pub(crate) struct Held(watch::Sender<usize>);

impl Hold {
    /// Has the agent close its connection, and stay away.
    pub(crate) fn begin(&self) -> Held {
        self.0.send_modify(|holders| *holders += 1);
        Held(self.0.clone())
    }

    /// How many have it stay away.
    pub(super) fn seen(&self) -> watch::Receiver<usize> {
        self.0.subscribe()
    }

    /// Returns once the agent has to stay away.
    pub(super) async fn begun(&self) {
        self.wait(|holders| *holders > 0).await;
    }

    /// Returns once the agent may go on.
    pub(super) async fn lifted(&self) {
        self.wait(|holders| *holders == 0).await;
    }

    /// What comes of `work`; `None` if the agent has to stay away before it is done.
    pub(super) async fn cut<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match select(pin!(self.begun()), pin!(work)).await {
            Either::Left(_) => None,
            Either::Right((done, _)) => Some(done),
        }
    }

    async fn wait(&self, is: impl FnMut(&usize) -> bool) {
        // The sender is our own, so that waiting cannot fail.
        if self.0.subscribe().wait_for(is).await.is_err() {
            pending().await
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.send_modify(|holders| *holders -= 1);
    }
}
