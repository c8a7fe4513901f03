//! Opens what a camera's encoder describes, and sees when its frames arrive.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ivt_hal::{Encoder, Source, Stream, Transport};
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::frame::Frame;
use ivt_media::rtsp::{self, RtspOpener};
use ivt_media::source::{FrameSource, Opener, SourceError};
use tokio::sync::watch;
use tokio::time::timeout;
use url::Url;

/// How often a source that still waits for its key frame is asked whether anything came.
const LOOK: Duration = Duration::from_millis(50);

/// Opens one stream of one camera.
pub(super) struct EncoderOpener {
    encoder: Arc<dyn Encoder>,
    stream: Stream,
    arriving: watch::Sender<bool>,
    /// Asked to settle before the next one opens.
    last: Mutex<Option<Arc<dyn Opener>>>,
}

impl EncoderOpener {
    /// `arriving` is kept true while the camera sends, also before the first key frame, which may
    /// be a minute away.
    pub(super) fn new(
        encoder: Arc<dyn Encoder>,
        stream: Stream,
        arriving: watch::Sender<bool>,
    ) -> Self {
        Self { encoder, stream, arriving, last: Mutex::default() }
    }
}

#[async_trait]
impl Opener for EncoderOpener {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let source = self.encoder.source(self.stream).await;
        let opener = opener(source.map_err(|e| unusable(self.stream, &e))?, self.stream)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&opener));
        let source = opener.open().await?;
        Ok(Box::new(Observed { source, arrived: false, arriving: self.arriving.clone() }))
    }

    async fn settle(&self) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(last) = last {
            last.settle().await;
        }
    }
}

/// A source gives nothing before its first key frame, yet it counts what it passes over.
struct Observed {
    source: Box<dyn FrameSource>,
    arrived: bool,
    arriving: watch::Sender<bool>,
}

#[async_trait]
impl FrameSource for Observed {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        while !self.arrived {
            let frame = timeout(LOOK, self.source.frame()).await;
            self.arrived = matches!(frame, Ok(Ok(_))) || self.source.dropped() > 0;
            if self.arrived {
                self.arriving.send_replace(true);
            }
            if let Ok(frame) = frame {
                return frame;
            }
        }
        self.source.frame().await
    }

    fn dropped(&self) -> u64 {
        self.source.dropped()
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.arriving.send_replace(false);
    }
}

fn opener(source: Source, stream: Stream) -> Result<Arc<dyn Opener>, SourceError> {
    match source {
        Source::Rtsp(source) => {
            let url = Url::parse(&source.url).map_err(|e| unusable(stream, &e))?;
            let credentials = source
                .credentials
                .map(|c| rtsp::Credentials { username: c.username, password: c.password });
            let transport = match source.transport {
                Transport::Tcp => rtsp::Transport::Tcp,
                Transport::Udp => rtsp::Transport::Udp,
            };
            Ok(Arc::new(RtspOpener::new(url, credentials, transport)?))
        }
        Source::Clip { file: Some(file), .. } => Ok(Arc::new(ClipOpener::file(file))),
        Source::Clip { file: None, stream: Stream::Main } => {
            Ok(Arc::new(ClipOpener::built_in(BuiltIn::Main)))
        }
        Source::Clip { file: None, stream: Stream::Sub } => {
            Ok(Arc::new(ClipOpener::built_in(BuiltIn::Sub)))
        }
        Source::Command(_) => Err(SourceError::Unsupported {
            peer: format!("program of the {stream} stream"),
            reason: "programs as sources are not served".into(),
        }),
    }
}

fn unusable(stream: Stream, error: &dyn std::error::Error) -> SourceError {
    let peer = format!("of the {stream} stream");
    SourceError::Unreachable { peer, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::*;

    /// Gives what it is sent; counts the `None`s as passed over.
    struct Scripted {
        frames: mpsc::UnboundedReceiver<Option<Frame>>,
        dropped: u64,
    }

    #[async_trait]
    impl FrameSource for Scripted {
        async fn frame(&mut self) -> Result<Frame, SourceError> {
            loop {
                match self.frames.recv().await {
                    Some(Some(frame)) => return Ok(frame),
                    Some(None) => self.dropped += 1,
                    None => return Err(SourceError::Silent { peer: "c".into(), seconds: 1 }),
                }
            }
        }

        fn dropped(&self) -> u64 {
            self.dropped
        }
    }

    async fn key_frame() -> Frame {
        let clip = ClipOpener::built_in(BuiltIn::Sub).unpaced();
        clip.open().await.unwrap().frame().await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn frames_arrive_before_the_first_key_frame_does() {
        let (send, frames) = mpsc::unbounded_channel();
        let (arriving, mut seen) = watch::channel(false);
        let source = Box::new(Scripted { frames, dropped: 0 });
        let mut source = Observed { source, arrived: false, arriving };
        let reader = tokio::spawn(async move {
            source.frame().await.unwrap();
            assert!(source.frame().await.is_err());
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!*seen.borrow_and_update(), "nothing came yet");
        let sent = Instant::now();
        send.send(None).unwrap();
        seen.wait_for(|arriving| *arriving).await.unwrap();
        assert!(sent.elapsed() <= 2 * LOOK, "{:?}", sent.elapsed());
        tokio::time::sleep(Duration::from_secs(60)).await;
        send.send(Some(key_frame().await)).unwrap();
        drop(send);
        reader.await.unwrap();
        assert!(!*seen.borrow(), "the source is gone");
    }

    #[tokio::test]
    async fn a_program_as_a_source_is_refused() {
        let source = Source::Command(vec!["true".into()]);
        let error = opener(source, Stream::Main).err().expect("not served");
        assert!(matches!(error, SourceError::Unsupported { .. }));
    }
}
