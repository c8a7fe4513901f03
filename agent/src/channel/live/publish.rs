//! The work on one live stream: publishes it, and does so again when the server is lost. The task of
//! the live stream decides what a loss means for the cloud.

use std::convert::Infallible;
use std::num::NonZeroU64;
use std::sync::Arc;

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

/// A shorter stream key is no secret; taking it out of a text would only garble it.
const SHORTEST_SECRET: usize = 6;

/// One stream to be published.
pub(super) struct Job {
    pub(super) encoder: Arc<dyn Encoder>,
    pub(super) pull: Arc<Pull>,
    pub(super) trust: TrustStore,
    pub(super) ask: PublishRequest,
    /// The counts of this work, which alone writes them.
    pub(super) stats: watch::Sender<PublishStats>,
}

/// What the work reports.
#[derive(Debug)]
pub(super) enum Progress {
    /// The server takes what the camera sends.
    Flowing,
    /// Camera or server was lost; the work goes on trying.
    Broken(Refusal),
    /// The stream cannot be published: the work has ended.
    Refused(Refusal),
}

type Reports = mpsc::Sender<Progress>;

impl Job {
    /// Works until `stop` is ready or the stream is refused. Takes leave of the server within a second.
    pub(super) async fn run(self, reports: Reports, mut stop: oneshot::Receiver<Infallible>) {
        // The camera is opened while the server is dialled.
        let mut subscription = self.pull.subscribe(Start::LastKey);
        if let Some(limit) = self.ask.max_bitrate {
            let checked = tokio::select! {
                checked = self.check(limit, &reports) => checked,
                _ = &mut stop => return,
            };
            if let Err(refusal) = checked {
                return report(&reports, Progress::Refused(refusal)).await;
            }
            // Measuring took time: do not begin with pictures from before it.
            subscription = self.pull.subscribe(Start::LastKey);
        }
        // The camera stays open between two attempts at the server.
        let _held = self.pull.subscribe(Start::Live);
        let mut backoff = Backoff::new(&PUBLISH);
        loop {
            let began = Instant::now();
            let Err(error) = self.attempt(subscription, &reports, &mut stop).await else { return };
            let reason = self.censored(&error);
            report(&reports, Progress::Broken(Refusal::Server { reason })).await;
            backoff.lived(began.elapsed());
            let delay = backoff.next(&mut rand::rng());
            tokio::select! {
                () = sleep(delay) => {}
                _ = &mut stop => return,
            }
            subscription = self.pull.subscribe(Start::LastKey);
        }
    }

    /// Whether the stream keeps to its bit rate. A camera that fails is reported, and asked again.
    async fn check(&self, limit: NonZeroU64, reports: &Reports) -> Result<(), Refusal> {
        loop {
            let checked = bitrate::check(&*self.encoder, self.ask.stream, &self.pull, limit).await;
            let Err(refusal) = checked else { return Ok(()) };
            let mut camera = self.pull.state();
            if !matches!(*camera.borrow_and_update(), PullState::Failed(_)) {
                return Err(refusal);
            }
            report(reports, Progress::Broken(refusal)).await;
            // The sender lives in the pull.
            camera.changed().await.ok();
        }
    }

    /// Publishes until the server is lost; `Ok` when it was stopped.
    async fn attempt(
        &self,
        subscription: Subscription,
        reports: &Reports,
        stop: &mut oneshot::Receiver<Infallible>,
    ) -> Result<(), PublishError> {
        let url = self.ask.url.expose();
        let mut options = Options::default();
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
            // The first key frame may still be a while away, which is no error.
            let live = matches!(*camera.borrow(), PullState::Live);
            let flows = live && server.borrow_and_update().accepted;
            if flows && !flowing {
                report(reports, Progress::Flowing).await;
            }
            flowing = flows;
            tokio::select! {
                // A failure from before we asked is no news: the camera is asked again.
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

    /// The text of an error without the stream key: servers repeat what they were asked for.
    fn censored(&self, error: &PublishError) -> String {
        match &*self.ask.url.expose().key {
            key if key.len() < SHORTEST_SECRET => error.to_string(),
            key => error.to_string().replace(key, "…"),
        }
    }
}

async fn report(reports: &Reports, progress: Progress) {
    // The task may have dropped the work in this moment.
    reports.send(progress).await.ok();
}
