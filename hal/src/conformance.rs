//! The checks that every backend must pass. They panic with what was expected, as tests do.
#![allow(clippy::panic)]

mod alarms;
mod clock;
mod detection;
mod device;
#[cfg(feature = "update")]
mod firmware;
mod movement;

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

pub use alarms::{alarms, offline_alarms};
pub use clock::{clock, offline_clock};
pub use detection::{motion, offline_motion, offline_tripwire, tripwire};
pub use device::{network, offline_network, offline_power, offline_wifi, power, wifi};
#[cfg(feature = "update")]
pub use firmware::firmware;
pub use movement::{
    Unknown, offline_patrol, offline_presets, offline_ptz, offline_tours, patrol, presets, ptz,
    tours,
};

use crate::{
    Answer, Cgi, Encoder, Error, Kind, MOST_NAMED, Named, Result, Snapshot, Source, Stream,
};

/// How long `reach` may take to answer.
const REACH_LIMIT: Duration = Duration::from_secs(5);
/// How long `get` and `jpeg` may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long every other ability may take to answer.
const LIMIT: Duration = Duration::from_secs(8);

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

/// Checks an encoder whose camera is away. It has to answer in time, by one of the two kinds that
/// mean error 103.
pub async fn offline_encoder(encoder: &dyn Encoder) {
    away(reach(encoder).await.err());
}

/// Checks a web interface whose camera is there and knows `path`.
pub async fn cgi(cgi: &dyn Cgi, path: &str) {
    let answer = get(cgi, path).await;
    let answer = answer.unwrap_or_else(|e| panic!("the camera is there, yet: {e}"));
    assert_eq!(answer.status, 200, "{path}");
    let missing = get(cgi, "/no/such.cgi").await;
    let missing = missing.unwrap_or_else(|e| panic!("404 is an answer, not an error: {e}"));
    assert_eq!(missing.status, 404, "a path that no camera has");
}

/// Checks a web interface whose camera is away.
pub async fn offline_cgi(cgi: &dyn Cgi) {
    away(get(cgi, "/").await.err());
}

/// Checks the snapshots of a camera that is there.
pub async fn snapshot(snapshot: &dyn Snapshot) {
    for stream in [Stream::Main, Stream::Sub] {
        let jpeg = jpeg(snapshot, stream).await;
        let jpeg = jpeg.unwrap_or_else(|e| panic!("{stream}: the camera is there, yet: {e}"));
        assert!(jpeg.starts_with(&[0xff, 0xd8]), "{stream}: no start of a JPEG file");
        assert!(jpeg.ends_with(&[0xff, 0xd9]), "{stream}: no end of a JPEG file");
    }
}

/// Checks the snapshots of a camera that is away.
pub async fn offline_snapshot(snapshot: &dyn Snapshot) {
    away(jpeg(snapshot, Stream::Main).await.err());
}

fn away(error: Option<Error>) {
    let Some(error) = error else { panic!("the camera is away, yet it answered") };
    let kind = error.kind;
    assert!(matches!(kind, Kind::Offline | Kind::Timeout), "away must be Offline, got {kind:?}");
}

/// The answer of an ability that is asked `what`, which has to come in time.
async fn timed<T>(what: &str, answer: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(LIMIT, answer).await {
        Ok(answer) => answer,
        Err(_) => panic!("{what} took longer than {LIMIT:?}"),
    }
}

/// What a camera that is there answers.
async fn done<T>(what: &str, answer: impl Future<Output = Result<T>>) -> T {
    let answer = timed(what, answer).await;
    answer.unwrap_or_else(|e| panic!("{what}: the camera is there, yet: {}", reason(&e)))
}

/// Checks that a camera that is away says so.
async fn offline<T>(what: &str, answer: impl Future<Output = Result<T>>) {
    away(timed(what, answer).await.err());
}

/// An error with all its causes.
fn reason(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Checks a list of presets or tours.
fn check_named(what: &str, list: &[Named]) {
    assert!(list.len() <= MOST_NAMED, "{what}: {} are too many", list.len());
    let mut tokens = HashSet::new();
    for Named { token, name } in list {
        assert!(!token.is_empty(), "{what}: {name:?} has no token");
        assert!(!name.is_empty(), "{what}: {token:?} has no name, not even its token");
        assert!(tokens.insert(token), "{what}: {token:?} is listed twice");
    }
}

async fn get(cgi: &dyn Cgi, path: &str) -> Result<Answer> {
    match tokio::time::timeout(ANSWER_LIMIT, cgi.get(path, "")).await {
        Ok(answer) => answer,
        Err(_) => panic!("get took longer than {ANSWER_LIMIT:?}"),
    }
}

async fn jpeg(snapshot: &dyn Snapshot, stream: Stream) -> Result<bytes::Bytes> {
    match tokio::time::timeout(ANSWER_LIMIT, snapshot.jpeg(stream)).await {
        Ok(jpeg) => jpeg,
        Err(_) => panic!("jpeg took longer than {ANSWER_LIMIT:?}"),
    }
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
            let schemes = ["rtsp://", "rtsps://"];
            let known = schemes.iter().any(|scheme| rtsp.url.starts_with(scheme));
            assert!(known, "{stream}: not an RTSP address");
            assert!(!rtsp.url.contains('@'), "{stream}: credentials must stay out of the address");
        }
        Source::Clip { stream: clip, .. } => assert_eq!(*clip, stream, "the other stream's clip"),
        #[cfg(feature = "emulator")]
        Source::Pattern { stream: shown, .. } => assert_eq!(*shown, stream, "the other stream"),
        Source::Command(words) => assert!(!words.is_empty(), "{stream}: no program named"),
    }
}
