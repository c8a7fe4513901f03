//! What a person at the page orders of the task of the firmware.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use ivt_hal::manifest::Manifest;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::attempt::Outcome;
use super::refusal::Refusal;
use super::seen::{Seen, Work};

/// How long a person waits for the task.
const PATIENCE: Duration = Duration::from_secs(8);

/// What a person orders.
pub(crate) enum Order {
    /// The cloud is asked.
    Check,
    /// The file of a signature is judged.
    Judge { signature: Vec<u8>, answer: oneshot::Sender<Result<Manifest, Refusal>> },
    /// An image is taken.
    Take(Upload),
}

/// An image that a person uploads.
pub(crate) struct Upload {
    /// The file of its signature; empty where there is none.
    pub(crate) signature: Vec<u8>,
    /// Its size, where that is told before.
    pub(crate) size: Option<u64>,
    /// Its bytes.
    pub(crate) bytes: BoxStream<'static, io::Result<Bytes>>,
    /// Told the version once the image is whole and checked, before it is installed.
    pub(crate) answer: oneshot::Sender<Result<String, Refusal>>,
}

/// What a person wishes for the firmware on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Stay,
    GoBack,
}

/// The orders to the task, and what is seen of it.
pub(crate) struct Orders {
    sender: mpsc::Sender<Order>,
    /// Held by the task alone.
    receiver: Mutex<mpsc::Receiver<Order>>,
    /// Whether the firmware on trial is to stay, where a person says so.
    stays: watch::Sender<Option<bool>>,
    seen: watch::Sender<Seen>,
}

impl Default for Orders {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(1);
        let (stays, seen) = (watch::Sender::default(), watch::Sender::default());
        Self { sender, receiver: Mutex::new(receiver), stays, seen }
    }
}

impl Orders {
    /// What is seen of the task.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Has the cloud asked for a firmware, which is installed if it is a newer one.
    ///
    /// # Errors
    /// The task does something else.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        self.give(Order::Check)
    }

    /// What the file of a signature says of its image, if the device would take that.
    ///
    /// # Errors
    /// Why the device would not take it, or the task does something else.
    pub(crate) async fn judge(&self, signature: Vec<u8>) -> Result<Manifest, Refusal> {
        let (answer, judged) = oneshot::channel();
        self.give(Order::Judge { signature, answer })?;
        match timeout(PATIENCE, judged).await {
            Ok(Ok(judged)) => judged,
            _ => Err(Refusal::Busy),
        }
    }

    /// Takes an image to its place. Returns its version once it is whole and checked; it is installed then.
    ///
    /// # Errors
    /// Why the device does not take it, or the task does something else.
    pub(crate) async fn take(
        &self,
        signature: Vec<u8>,
        size: Option<u64>,
        bytes: BoxStream<'static, io::Result<Bytes>>,
    ) -> Result<String, Refusal> {
        let (answer, taken) = oneshot::channel();
        self.give(Order::Take(Upload { signature, size, bytes, answer }))?;
        taken.await.unwrap_or(Err(Refusal::Busy))
    }

    /// Ends the trial of a firmware; false where none is on trial.
    pub(crate) fn wish(&self, wish: Wish) -> bool {
        let is_on_trial = self.seen.borrow().work == Work::Trial;
        if is_on_trial {
            self.stays.send_replace(Some(wish == Wish::Stay));
        }
        is_on_trial
    }

    /// The next order.
    pub(super) async fn next(&self) -> Order {
        match self.receiver.lock().await.recv().await {
            Some(order) => order,
            // A sender lives here.
            None => std::future::pending().await,
        }
    }

    /// Returns once a person has ended the trial: whether the firmware stays.
    pub(super) async fn wished(&self) -> bool {
        let mut stays = self.stays.subscribe();
        // The sender lives as long as this.
        let _ = stays.wait_for(Option::is_some).await;
        self.stays.send_replace(None) == Some(true)
    }

    /// Shows something else.
    pub(super) fn show(&self, change: impl FnOnce(&mut Seen)) {
        self.seen.send_modify(change);
    }

    /// Shows an attempt.
    pub(super) fn note(&self, by: &'static str, version: &str, outcome: &Result<Outcome, Refusal>) {
        self.show(|seen| seen.note(by, version, outcome));
    }

    fn give(&self, order: Order) -> Result<(), Refusal> {
        match self.seen.borrow().work {
            Work::Idle => {}
            Work::Trial => return Err(Refusal::OnTrial),
            _ => return Err(Refusal::Busy),
        }
        self.sender.try_send(order).map_err(|_| Refusal::Busy)
    }
}
