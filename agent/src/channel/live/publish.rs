//! The work on one live stream: publishes the stream, and publishes it again when the server is
//! lost. The task of the live stream decides what a loss means for the cloud.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;

use ivt_base::address_rule::{AddressRule, UNREACHABLE};
use ivt_base::mask::mask;
use ivt_base::tls::TlsError;
use ivt_hal::Encoder;
use ivt_media::hub::Start;
use ivt_media::publish::{self, PublishStats};
use ivt_media::pull::{Pull, PullState, Subscription};
use ivt_media::rtmp::{Options, PublishError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};

use super::super::bitrate;
use super::super::request::{PublishRequest, Refusal};
use crate::backoff::{Backoff, PUBLISH};
use crate::tls::TrustStore;

/// The work on one stream.
pub(super) struct Job {
    pub(super) encoder: Arc<dyn Encoder>,
    pub(super) pull: Arc<Pull>,
    pub(super) trust: TrustStore,
    pub(super) rule: AddressRule,
    pub(super) ask: PublishRequest,
    /// The counts of this work. Only this work writes them.
    pub(super) stats: watch::Sender<PublishStats>,
}

/// What the work reports.
#[derive(Debug)]
pub(super) enum Progress {
    /// The server takes what the camera sends.
    Flowing,
    /// Camera or server was lost. The work goes on trying.
    Broken(Refusal),
    /// The stream cannot be published. The work has ended.
    Refused(Refusal),
}

type Reports = mpsc::Sender<Progress>;

impl Job {
    /// Works until `stop` is ready or the stream is refused. Closes the connection to the server
    /// within a second.
    pub(super) async fn run(self, reports: Reports, mut stop: oneshot::Receiver<Infallible>) {
        // Subscribing opens the camera while the server is dialled.
        let mut subscription = self.pull.subscribe(Start::LastKey);
        if let Some(limit) = self.ask.max_bitrate {
            let checked = tokio::select! {
                checked = self.check(limit, &reports) => checked,
                _ = &mut stop => return,
            };
            if let Err(refusal) = checked {
                return report(&reports, Progress::Refused(refusal)).await;
            }
            // Pictures from before the measurement are old by now, so reading begins anew.
            subscription = self.pull.subscribe(Start::LastKey);
        }
        // This reader keeps the camera open between two attempts at the server.
        let _held = self.pull.subscribe(Start::Live);
        let mut backoff = Backoff::new(&PUBLISH);
        loop {
            let began = Instant::now();
            let Err(error) = self.attempt(subscription, &reports, &mut stop).await else { return };
            let refusal = self.refusal(&error);
            let flowed = self.stats.borrow().last_frame_at.is_some();
            if is_final(&error, flowed) {
                return report(&reports, Progress::Refused(refusal)).await;
            }
            report(&reports, Progress::Broken(refusal)).await;
            backoff.lived(began.elapsed());
            let delay = backoff.next(&mut rand::rng());
            tokio::select! {
                () = sleep(delay) => {}
                _ = &mut stop => return,
            }
            subscription = self.pull.subscribe(Start::LastKey);
        }
    }

    /// Checks the stream's bit rate. A camera that fails is reported, and asked again.
    async fn check(&self, limit: NonZeroU64, reports: &Reports) -> Result<(), Refusal> {
        loop {
            let checked = bitrate::check(&*self.encoder, self.ask.stream, &self.pull, limit).await;
            let Err(refusal) = checked else { return Ok(()) };
            let mut camera = self.pull.state();
            if !matches!(*camera.borrow_and_update(), PullState::Failed(_)) {
                return Err(refusal);
            }
            report(reports, Progress::Broken(refusal)).await;
            // The sender lives in `pull`, so waiting does not fail.
            camera.changed().await.ok();
        }
    }

    /// Publishes until the server is lost. `Ok` means that `stop` ended it.
    async fn attempt(
        &self,
        subscription: Subscription,
        reports: &Reports,
        stop: &mut oneshot::Receiver<Infallible>,
    ) -> Result<(), PublishError> {
        let url = self.ask.url.expose();
        let mut options = Options { rule: Some(self.rule.clone()), ..Options::default() };
        if url.tls {
            let untrusted =
                |e: TlsError| PublishError::Tls { peer: url.peer(), reason: e.to_string() };
            options.tls = Some(self.trust.config().await.map_err(untrusted)?);
        }
        let stop = async {
            stop.await.ok();
        };
        let ended = tokio::select! {
            ended = publish::run(subscription, url, &options, stop, &self.stats) => ended,
            never = self.follow(reports) => match never {},
        };
        self.stats.send_modify(|stats| stats.accepted = false);
        ended
    }

    /// Reports when frames begin to flow, and when the camera is lost.
    async fn follow(&self, reports: &Reports) -> Infallible {
        let (mut camera, mut server) = (self.pull.state(), self.stats.subscribe());
        let mut flowing = false;
        loop {
            // A live camera may send its first key frame much later, which is no error.
            let live = matches!(*camera.borrow(), PullState::Live);
            let flows = live && server.borrow_and_update().accepted;
            if flows && !flowing {
                report(reports, Progress::Flowing).await;
            }
            flowing = flows;
            tokio::select! {
                // A failure from before the subscription is not reported, since the camera is being
                // opened again.
                Ok(()) = camera.changed() => {
                    let lost = Refusal::of_camera(&camera.borrow());
                    if let Some(refusal) = lost {
                        report(reports, Progress::Broken(refusal)).await;
                    }
                }
                Ok(()) = server.changed() => {}
            }
        }
    }

    /// What the cloud and the log are told of an error. From anything but the words of an RTMP server
    /// the cloud could tell which ports are open in our network.
    fn refusal(&self, error: &PublishError) -> Refusal {
        let reason = mask(&error.to_string());
        let told = match error {
            PublishError::Forbidden { .. } => return Refusal::Address { reason },
            PublishError::Refused { .. } | PublishError::Login { .. } | PublishError::Url(_) => {
                reason.clone()
            }
            _ => format!("RTMP server {}: {UNREACHABLE}", self.ask.url.expose().peer()),
        };
        Refusal::Server { told, reason }
    }
}

/// Whether a stream that has `flowed` or not is given up. Servers lock out whoever goes on knocking
/// with a wrong login. A name that led to the server before leads there again, once the network has
/// recovered.
fn is_final(error: &PublishError, flowed: bool) -> bool {
    match error {
        PublishError::Login { .. } => true,
        PublishError::Forbidden { peer, .. } => !flowed || peer.parse::<SocketAddr>().is_ok(),
        _ => false,
    }
}

async fn report(reports: &Reports, progress: Progress) {
    // The receiver is gone if the task has dropped this work at the same moment.
    reports.send(progress).await.ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_astray_for_a_moment_ends_no_stream_that_has_flowed() {
        let forbidden =
            |peer: &str| PublishError::Forbidden { peer: peer.into(), reason: "loopback".into() };
        for (peer, literal) in [
            ("live.example:1935", false),
            ("127.0.0.1.example:443", false),
            ("127.0.0.1:1935", true),
            ("[::1]:443", true),
        ] {
            assert!(is_final(&forbidden(peer), false), "{peer}");
            assert_eq!(is_final(&forbidden(peer), true), literal, "{peer}");
        }
        let peer = || "live.example:1935".to_owned();
        let login = PublishError::Login { peer: peer(), reason: "does not take it".into() };
        let lost = PublishError::Unreachable { peer: peer(), reason: "refused".into() };
        for flowed in [false, true] {
            assert!(is_final(&login, flowed) && !is_final(&lost, flowed));
        }
    }
}
