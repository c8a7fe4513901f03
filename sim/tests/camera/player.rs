//! A paced, endless source for the tests: the frames of an FLV file, faster than real time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ivt_media::flv::{Demuxer, file};
use ivt_media::frame::{Frame, ticks_to_duration};
use ivt_media::source::{FrameSource, Opener, SourceError};
use ivt_sim::camera::ChannelOptions;
use tokio::time::{Instant, sleep_until};

/// Seconds of stream in a second of the test.
pub const SPEED: u32 = 4;

/// Opens players of one file.
pub struct Player {
    frames: Arc<[Frame]>,
    /// Whether the source ends after one round.
    once: bool,
}

struct Playing {
    frames: Arc<[Frame]>,
    next: usize,
    once: bool,
    start: Instant,
}

/// The frames of a file in `tests/fixtures` or `media/clips`.
pub fn fixture(name: &str) -> Vec<Frame> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let path = match name {
        "main" | "sub" => format!("{root}/media/clips/{name}.flv"),
        _ => format!("{root}/tests/fixtures/{name}.flv"),
    };
    let mut demuxer = Demuxer::new();
    let received = std::time::Instant::now();
    let tags = file::tags(Bytes::from(std::fs::read(path).unwrap())).unwrap();
    tags.filter_map(|tag| demuxer.push(&tag.unwrap(), received).unwrap()).collect()
}

impl Player {
    pub fn looping(frames: Vec<Frame>) -> Arc<Self> {
        Arc::new(Self { frames: frames.into(), once: false })
    }

    pub fn once(frames: Vec<Frame>) -> Arc<Self> {
        Arc::new(Self { frames: frames.into(), once: true })
    }
}

/// A channel that plays two fixtures.
pub fn channel(main: &str, sub: &str) -> ChannelOptions {
    ChannelOptions { main: Player::looping(fixture(main)), sub: Player::looping(fixture(sub)) }
}

#[async_trait]
impl Opener for Player {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let (frames, once) = (self.frames.clone(), self.once);
        Ok(Box::new(Playing { frames, next: 0, once, start: Instant::now() }))
    }
}

#[async_trait]
impl FrameSource for Playing {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        let count = self.frames.len();
        let (round, i) = (self.next / count, self.next % count);
        if self.once && round > 0 {
            let peer = "player".to_owned();
            return Err(SourceError::Unreachable { peer, reason: "the end".to_owned() });
        }
        let first = self.frames[0].dts;
        // The clips loop without a seam at the distance of a picture; their sound overlaps.
        let mut pictures = self.frames.iter().filter(|f| f.is_video()).map(|f| f.dts);
        let (start, next) = (pictures.next().unwrap(), pictures.next().unwrap());
        let length = pictures.next_back().unwrap() + (next - start) - start;
        let shift = length * round as i64;
        let mut frame = self.frames[i].clone();
        frame.dts += shift;
        frame.pts += shift;
        let at: Duration = ticks_to_duration(frame.dts - first) / SPEED;
        sleep_until(self.start + at).await;
        self.next += 1;
        Ok(frame)
    }
}
