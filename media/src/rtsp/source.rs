//! The frames of an open RTSP session.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Instant;

use async_trait::async_trait;

use super::Patience;
use super::connection::{Connection, Step, now};
use super::error::Peer;
use super::leave::Leaving;
use super::media::{Media, Stage};
use super::progress::{Awaits, Progress};
use crate::frame::Frame;
use crate::source::{FrameSource, Losses, SourceError};

/// A session that plays. Dropping it takes leave of the camera.
pub(super) struct RtspSource {
    /// There until it is dropped.
    connection: Option<Connection>,
    setting: Setting,
    opened: Instant,
    /// When the first packet came.
    first: Option<Instant>,
    /// Pictures (or, without any, sounds) so far, and when the last one came.
    life: (u64, Instant),
    stage: Stage,
    /// The frame that `arriving` met.
    kept: Option<Frame>,
}

/// What an opener gives to its sources.
pub(super) struct Setting {
    pub(super) leaving: Arc<Leaving>,
    pub(super) progress: Progress,
    pub(super) peer: Peer,
    pub(super) patience: Patience,
    /// Which transport to begin with the next time, where there is a choice.
    pub(super) prefers_udp: Option<Arc<AtomicBool>>,
}

impl RtspSource {
    pub(super) fn new(connection: Connection, setting: Setting) -> Self {
        let opened = now();
        let stage = Stage::Silent;
        setting.progress.set(Awaits::Media(stage));
        let connection = Some(connection);
        Self { connection, setting, opened, first: None, life: (0, opened), stage, kept: None }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, SourceError>> {
        loop {
            let due = self.due();
            let Some(connection) = &mut self.connection else {
                return Poll::Ready(Err(self.setting.peer.hung_up()));
            };
            match connection.poll(cx, due) {
                Poll::Ready(Ok(Step::Frame(frame))) => {
                    self.look();
                    return Poll::Ready(Ok(frame));
                }
                // The session has no news for one who plays.
                Poll::Ready(Ok(Step::Event(_))) => {}
                Poll::Ready(Err(end)) => return Poll::Ready(Err(self.setting.peer.end(end))),
                Poll::Pending => {
                    self.look();
                    return match self.given_up() {
                        Some(error) => Poll::Ready(Err(error)),
                        None => Poll::Pending,
                    };
                }
            }
        }
    }

    fn media(&self) -> Option<&Media> {
        self.connection.as_ref().and_then(|connection| connection.media.as_ref())
    }

    /// Looks at what has come.
    fn look(&mut self) {
        let Some(media) = self.media() else { return };
        let (has_packets, life, stage) =
            (media.has_packets(), media.signs_of_life(), media.stage());
        if has_packets && self.first.is_none() {
            self.first = Some(now());
        }
        if life != self.life.0 {
            self.life = (life, now());
        }
        if stage != self.stage {
            self.stage = stage;
            self.setting.progress.set(Awaits::Media(stage));
        }
    }

    /// When patience ends if nothing comes.
    fn due(&self) -> Instant {
        let Some(first) = self.first else {
            return self.opened + self.setting.patience.first_packet;
        };
        let silence = self.life.1.max(first) + self.setting.patience.silence;
        let arrived = self.media().is_some_and(Media::has_arrived);
        if arrived { silence } else { silence.min(first + self.setting.patience.first_packet) }
    }

    fn given_up(&self) -> Option<SourceError> {
        let now = now();
        if now < self.due() {
            return None;
        }
        Some(match self.stage {
            Stage::Silent => {
                // Perhaps the other transport gets through.
                if let Some(prefers_udp) = &self.setting.prefers_udp {
                    prefers_udp.fetch_not(Relaxed);
                }
                self.setting.peer.silent(self.setting.patience.first_packet)
            }
            Stage::Flowing | Stage::NoKey => {
                self.setting.peer.silent(self.setting.patience.silence)
            }
            stage => self.setting.peer.protocol(format!("it sends nothing to decode: {stage}")),
        })
    }
}

#[async_trait]
impl FrameSource for RtspSource {
    async fn arriving(&mut self) -> Result<(), SourceError> {
        poll_fn(|cx| {
            if self.kept.is_some() || self.media().is_some_and(Media::has_arrived) {
                return Poll::Ready(Ok(()));
            }
            match self.poll_frame(cx) {
                Poll::Ready(Ok(frame)) => {
                    self.kept = Some(frame);
                    Poll::Ready(Ok(()))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending if self.media().is_some_and(Media::has_arrived) => {
                    Poll::Ready(Ok(()))
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    async fn frame(&mut self) -> Result<Frame, SourceError> {
        if let Some(frame) = self.kept.take() {
            return Ok(frame);
        }
        poll_fn(|cx| self.poll_frame(cx)).await
    }

    fn has_sound(&self) -> bool {
        self.media().is_some_and(Media::has_sound)
    }

    fn losses(&self) -> Losses {
        self.media().map(Media::losses).unwrap_or_default()
    }
}

impl Drop for RtspSource {
    fn drop(&mut self) {
        self.setting.progress.clear();
        if let Some(connection) = self.connection.take() {
            self.setting.leaving.say_goodbye(connection);
        }
    }
}
