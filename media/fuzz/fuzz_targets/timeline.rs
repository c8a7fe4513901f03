//! Frames with any times: decode times of a track strictly increase and are no later than
//! presentation.
//!
//! An input is a row of 8 bytes: what comes (see `Step`), how often, after how long, by how much it
//! is shown later than decoded, and the step of the camera's clock.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ivt_media::frame::{AudioCodec, AudioParams, Frame, Track, VideoCodec, VideoParams};
use ivt_media_fuzz::check::Line;
use ivt_media_fuzz::pieces::wait;
use libfuzzer_sys::fuzz_target;

struct Step {
    video: bool,
    /// Whether another source begins.
    reopens: bool,
    /// Whether each frame is followed by one of the other track.
    both: bool,
    /// How much earlier than the frame before it each frame is received.
    early: Duration,
    times: u8,
    wait: Duration,
    shown: i64,
    delta: i64,
}

impl Step {
    fn read(&[flags, times, wait_code, shown, d0, d1, d2, d3]: &[u8; 8]) -> Self {
        let scale = [0, 8, 20, 31][usize::from(flags >> 4 & 3)];
        Self {
            video: flags & 1 != 0,
            reopens: flags & 2 != 0,
            both: flags & 4 != 0,
            early: Duration::from_millis(if flags & 8 != 0 { 15 } else { 0 }),
            times,
            wait: wait(wait_code),
            shown: i64::from(shown) << (flags >> 6) << (flags >> 6) << (flags >> 6 << 2),
            delta: i64::from(i32::from_be_bytes([d0, d1, d2, d3])) << scale,
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let video = Track::Video(Arc::new(VideoParams {
        codec: VideoCodec::H264,
        record: Bytes::new(),
        dimensions: (16, 16),
        frame_rate: None,
    }));
    let audio = Track::Audio(Arc::new(AudioParams {
        codec: AudioCodec::Pcma,
        sample_rate: 8000,
        channels: 1,
        config: Bytes::new(),
    }));
    let start = Instant::now() + Duration::from_secs(1);
    let mut now = start;
    let mut line = Line::default();
    let mut raw = 0i64;
    for step in input.as_chunks::<8>().0.iter().map(Step::read) {
        if step.reopens {
            line.reopen();
        }
        for n in 0..=step.times {
            now += step.wait;
            raw = raw.saturating_add(step.delta);
            for video_now in [step.video, !step.video].into_iter().take(1 + usize::from(step.both))
            {
                let track = if video_now { &video } else { &audio };
                line.place(&mut Frame {
                    track: track.clone(),
                    key: n % 32 == 0,
                    discontinuity: false,
                    leading: false,
                    pts: raw.saturating_add(step.shown),
                    dts: raw,
                    received: now - step.early,
                    data: Bytes::new(),
                });
            }
        }
    }
});
