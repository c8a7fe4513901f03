//! The body of a request, and how much of an upload the peer has taken.

use std::convert::Infallible;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::BoxStream;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

/// The content of an upload. It sets the pace, by how long the chunks take to come.
pub struct Body {
    /// Bytes of all chunks together.
    pub length: u64,
    /// The chunks; nothing is copied.
    pub chunks: BoxStream<'static, Bytes>,
}

/// The progress of a body that was handed over to the HTTP client.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    /// Since when the peer has not asked for more; `None` while we owe it the next chunk.
    since: Option<Instant>,
    complete: bool,
}

/// What a request carries.
pub(super) enum Outgoing {
    /// Bytes that are at hand.
    Whole(Whole),
    Segment(Watched),
    /// Nothing: it asks for a file, or for what is left of one.
    #[cfg(feature = "update")]
    Nothing(Option<Resume>),
}

/// A body that is at hand. Clones share the bytes.
#[derive(Clone)]
pub(super) struct Whole {
    pub(super) content_type: &'static str,
    pub(super) content: Bytes,
    /// Whether it may come twice.
    pub(super) twice: bool,
}

/// From where a file is fetched of which the beginning is there.
#[cfg(feature = "update")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Number of bytes that are there.
    pub from: u64,
    /// What tells whether the file is still the same, the `validator` of the earlier download; `None` where there was
    /// none, and the caller knows the file by its content.
    pub validator: Option<String>,
}

/// A body that notes its progress.
pub(super) struct Watched {
    body: Body,
    left: u64,
    progress: Progress,
}

impl Progress {
    /// Whether the peer has taken everything.
    pub(super) fn complete(&self) -> bool {
        self.lock().complete
    }

    /// Returns when nothing was taken for `limit`, or no answer came for `answer` after everything
    /// was taken.
    pub(super) async fn stalled(&self, limit: Duration, answer: Duration) {
        loop {
            let due = {
                let taken = self.lock();
                let patience = if taken.complete { answer } else { limit };
                match taken.since {
                    Some(since) if since.elapsed() >= patience => return,
                    Some(since) => since + patience,
                    None => Instant::now() + limit,
                }
            };
            sleep_until(due).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    pub(super) fn new(body: Body) -> (Self, Progress) {
        let progress = Progress::default();
        (Self { left: body.length, body, progress: progress.clone() }, progress)
    }
}

impl Outgoing {
    /// The same once more, where that may be.
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Self::Whole(whole) => whole.twice.then(|| Self::Whole(whole.clone())),
            Self::Segment(_) => None,
            #[cfg(feature = "update")]
            Self::Nothing(resume) => Some(Self::Nothing(resume.clone())),
        }
    }
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = match self.get_mut() {
            Self::Whole(Whole { content, .. }) => {
                Poll::Ready((!content.is_empty()).then(|| mem::take(content)))
            }
            Self::Segment(watched) => Pin::new(watched).poll_next(cx),
            #[cfg(feature = "update")]
            Self::Nothing(_) => Poll::Ready(None),
        };
        chunk.map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    #[cfg(feature = "update")]
    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing(_))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(whole) => whole.content.len() as u64,
            Self::Segment(watched) => watched.left,
            #[cfg(feature = "update")]
            Self::Nothing(_) => 0,
        })
    }
}

impl Stream for Watched {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = self.body.chunks.as_mut().poll_next(cx);
        if let Poll::Ready(Some(chunk)) = &chunk {
            self.left = self.left.saturating_sub(chunk.len() as u64);
        }
        let complete = self.left == 0;
        let mut taken = self.progress.lock();
        // The peer does not stall while it waits for our next chunk.
        taken.since = chunk.is_ready().then(Instant::now);
        taken.complete = complete;
        drop(taken);
        chunk
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use futures::stream;
    use tokio::time::{sleep, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);
    const ANSWER: Duration = Duration::from_secs(30);

    /// Two chunks that come a minute apart.
    fn slow() -> Body {
        let chunks = stream::iter([1, 2]).then(|n| async move {
            sleep(Duration::from_secs(60 * (n - 1))).await;
            Bytes::from_static(b"abc")
        });
        Body { length: 6, chunks: chunks.boxed() }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_other_side_stalls() {
        let (mut watched, progress) = Watched::new(slow());
        watched.next().await;
        let reading = async {
            sleep(Duration::from_secs(9)).await;
            watched.next().await
        };
        tokio::select! {
            biased;
            chunk = reading => assert!(chunk.is_some()),
            () = progress.stalled(LIMIT, ANSWER) => panic!("it was we who waited"),
        }
        assert!(progress.complete());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stays_away_is_noticed() {
        let (mut watched, progress) = Watched::new(slow());
        watched.next().await;
        let taken = Instant::now();
        progress.stalled(LIMIT, ANSWER).await;
        assert_eq!(taken.elapsed(), LIMIT);
        assert!(!progress.complete());
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_has_more_time_than_a_chunk() {
        let (mut watched, progress) = Watched::new(slow());
        while watched.next().await.is_some() {}
        assert!(timeout(ANSWER - LIMIT, progress.stalled(LIMIT, ANSWER)).await.is_err());
        assert!(timeout(ANSWER, progress.stalled(LIMIT, ANSWER)).await.is_ok());
    }
}
