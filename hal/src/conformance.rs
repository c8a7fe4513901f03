//! The checks that every backend must pass. They panic with what was expected, as tests do.
#![allow(clippy::panic)]

use std::time::Duration;

use crate::{Encoder, Kind, Source, Stream};

/// `reach` has to answer within this.
const REACH_LIMIT: Duration = Duration::from_secs(5);

/// Checks an encoder whose camera is there.
pub async fn encoder(encoder: &dyn Encoder) {
    reach(encoder).await.unwrap_or_else(|e| panic!("the camera is there, yet: {e}"));
    for stream in [Stream::Main, Stream::Sub] {
        let source = encoder.source(stream).await;
        let source = source.unwrap_or_else(|e| panic!("{stream} stream has no source: {e}"));
        check_source(stream, &source);
        let rate = encoder.bitrate(stream).await;
        let rate = rate.unwrap_or_else(|e| panic!("{stream} bit rate: {e}"));
        assert!(rate != Some(0), "{stream}: an unknown bit rate is None, not 0");
    }
}

/// Checks an encoder whose camera is away: it says so by the two kinds that mean error 103, in time.
pub async fn offline_encoder(encoder: &dyn Encoder) {
    let Err(error) = reach(encoder).await else {
        panic!("the camera is away, yet it could be reached");
    };
    let kind = error.kind;
    assert!(matches!(kind, Kind::Offline | Kind::Timeout), "away must be Offline, got {kind:?}");
}

async fn reach(encoder: &dyn Encoder) -> crate::Result<()> {
    match tokio::time::timeout(REACH_LIMIT, encoder.reach()).await {
        Ok(answer) => answer,
        Err(_) => panic!("reach took longer than {REACH_LIMIT:?}"),
    }
}

fn check_source(stream: Stream, source: &Source) {
    match source {
        Source::Rtsp(rtsp) => {
            assert!(rtsp.url.starts_with("rtsp://"), "{stream}: not an RTSP address");
            assert!(!rtsp.url.contains('@'), "{stream}: credentials must stay out of the address");
        }
        Source::Clip { stream: clip, .. } => assert_eq!(*clip, stream, "the other stream's clip"),
        Source::Command(words) => assert!(!words.is_empty(), "{stream}: no program named"),
    }
}
