//! Reading the body of a `PUT`: counted, hashed, kept, at a bounded rate and length.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep, timeout};

use super::store::Bodies;

/// Longest body of a segment, in bytes.
pub(super) const MAX_BODY: u64 = 64 << 20;
/// A device that sends no byte for this time is cut off.
const PATIENCE: Duration = Duration::from_secs(60);
/// Least rate of a body in bytes per second, beyond the first [`PATIENCE`]; one that drips is cut off.
const LEAST_RATE: u64 = 1 << 10;
/// Bytes reserved at once at most: the announced length is only a device's word.
const FIRST_ROOM: u64 = 1 << 20;

/// A body that was read.
#[derive(Debug, Default)]
pub(in crate::cloud) struct Received {
    pub(super) bytes: u64,
    /// The SHA-256 in hexadecimal; `None` where bodies are only counted.
    pub(super) sha256: Option<String>,
    pub(in crate::cloud) body: Option<Bytes>,
}

/// Reads at most `length` bytes; `None` when the device ends or pauses before.
pub(in crate::cloud) async fn receive(
    body: Body,
    length: u64,
    rate: Option<u64>,
    bodies: Bodies,
) -> Option<Received> {
    let mut stream = body.into_data_stream();
    let mut sum = (bodies != Bodies::Count).then(Sha256::new);
    let room = if bodies == Bodies::Keep { length.min(FIRST_ROOM) } else { 0 };
    let mut kept = BytesMut::with_capacity(usize::try_from(room).unwrap_or(0));
    let (mut bytes, mut waited) = (0, Duration::ZERO);
    while bytes < length {
        let chunk = chunk(&mut stream, bytes, &mut waited).await??;
        bytes += chunk.len() as u64;
        if let Some(sum) = &mut sum {
            sum.update(&chunk);
        }
        if bodies == Bodies::Keep {
            kept.extend_from_slice(&chunk);
        }
        if let Some(rate) = rate {
            sleep(Duration::from_secs_f64(chunk.len() as f64 / rate.max(1) as f64)).await;
        }
    }
    let sha256 = sum.map(|sum| sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
    Some(Received { bytes, sha256, body: (bodies == Bodies::Keep).then(|| kept.freeze()) })
}

/// Reads a body of any length to its end and returns the number of bytes.
pub(super) async fn discard(body: Body) -> Option<u64> {
    let mut stream = body.into_data_stream();
    let (mut bytes, mut waited) = (0, Duration::ZERO);
    while let Some(chunk) = chunk(&mut stream, bytes, &mut waited).await? {
        bytes += chunk.len() as u64;
    }
    Some(bytes)
}

/// The next piece of a body of which `bytes` have come, `waited` for so far: `Some(None)` at the end, `None` when the
/// device breaks off or is too slow.
async fn chunk(
    stream: &mut BodyDataStream,
    bytes: u64,
    waited: &mut Duration,
) -> Option<Option<Bytes>> {
    let allowed = PATIENCE + Duration::from_secs(bytes / LEAST_RATE);
    let (began, left) = (Instant::now(), allowed.checked_sub(*waited)?);
    let piece = timeout(left.min(PATIENCE), stream.next()).await.ok()?;
    *waited += began.elapsed();
    piece.transpose().ok()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use tokio::time::Instant;

    use super::*;

    fn body(pieces: &[&'static [u8]]) -> Body {
        let pieces: Vec<_> =
            pieces.iter().map(|p| Ok::<_, Infallible>(Bytes::from_static(p))).collect();
        Body::from_stream(stream::iter(pieces))
    }

    #[tokio::test]
    async fn what_is_kept_is_what_the_options_say() {
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for (bodies, sha256, kept) in [
            (Bodies::Keep, Some(sum), Some(&b"abc"[..])),
            (Bodies::Sum, Some(sum), None),
            (Bodies::Count, None, None),
        ] {
            let got = receive(body(&[b"a", b"bc"]), 3, None, bodies).await.unwrap();
            assert_eq!((got.bytes, got.sha256.as_deref(), got.body.as_deref()), (3, sha256, kept));
        }
    }

    #[tokio::test]
    async fn a_body_that_ends_early_is_nothing() {
        assert!(receive(body(&[b"ab"]), 3, None, Bodies::Keep).await.is_none());
        assert_eq!(discard(body(&[b"ab", b"c"])).await, Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_ends() {
        let drip = |pause: u64| {
            Body::from_stream(stream::unfold((), move |()| async move {
                sleep(Duration::from_secs(pause)).await;
                Some((Ok::<_, Infallible>(Bytes::from_static(&[0; 100])), ()))
            }))
        };
        let began = Instant::now();
        assert!(receive(drip(1), 1 << 20, None, Bodies::Count).await.is_none());
        assert!(discard(drip(1)).await.is_none());
        let took = began.elapsed().as_secs();
        assert!((120..140).contains(&took), "{took} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_and_silence_ends() {
        let began = Instant::now();
        receive(body(&[b"0123456789", b"0123456789"]), 20, Some(10), Bodies::Sum).await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 2);
        let silent = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        assert!(receive(silent, 1, None, Bodies::Sum).await.is_none());
        assert_eq!(began.elapsed().as_secs(), 62);
    }
}
