//! Whether a stream keeps to the bit rate the cloud allows (error 11).

use std::num::NonZeroU64;

use ivt_hal::{Encoder, Kind, Stream};
use ivt_media::pull::{Pull, PullState};
use tokio::time::sleep;

use super::request::Refusal;
use crate::deadlines::BITRATE_MEASURE;

/// Asks the encoder for its bit rate or, where the encoder does not know it, measures it. While it
/// is measured, somebody has to read `pull`.
pub(super) async fn check(
    encoder: &dyn Encoder,
    stream: Stream,
    pull: &Pull,
    limit: NonZeroU64,
) -> Result<(), Refusal> {
    let known = encoder.bitrate(stream).await;
    let known = known.map_err(|e| Refusal::Camera { kind: e.kind, reason: e.to_string() })?;
    let bitrate = match known {
        Some(bitrate) => u64::from(bitrate),
        None => measure(pull).await?,
    };
    if bitrate > limit.get() {
        return Err(Refusal::Bitrate { bitrate, limit: limit.get() });
    }
    Ok(())
}

/// Mean bits per second over the first [`BITRATE_MEASURE`] of a stream.
async fn measure(pull: &Pull) -> Result<u64, Refusal> {
    let before = pull.stats();
    let mut camera = pull.state();
    while !matches!(*camera.borrow_and_update(), PullState::Live) {
        // The sender lives in `pull`, so waiting does not fail.
        camera.changed().await.ok();
        let lost = Refusal::of_camera(&camera.borrow());
        if let Some(refusal) = lost {
            return Err(refusal);
        }
    }
    sleep(BITRATE_MEASURE).await;
    let after = pull.stats();
    let too_little = || Refusal::Camera {
        kind: Kind::Other,
        reason: "the camera sends too little to measure its bit rate, or its key frames are too \
                 far apart: set the channel's bitrate"
            .into(),
    };
    // A measurement of one key frame alone would give a very high rate.
    let enough = after.duration.saturating_sub(before.duration) >= BITRATE_MEASURE / 2;
    after.mean_bitrate_since(&before).filter(|_| enough).ok_or_else(too_little)
}
