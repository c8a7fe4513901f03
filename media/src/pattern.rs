//! A live test pattern in place of a camera, drawn and encoded here: H.264 and sound. It shows a text, the time
//! in UTC, a counter, where the camera looks, and what it detects.

mod bit_writer;
mod canvas;
mod card;
mod font;
mod h264;
mod jpeg;
mod sound;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::{Duration, Instant, sleep_until};

use self::h264::Encoder;
use self::sound::Loop;
pub use self::sound::Sound;
use crate::frame::{CLOCK_HZ, Frame, Track, VideoCodec, VideoParams, ticks_to_duration};
use crate::record;
use crate::source::{FrameSource, Opener, SourceError};

/// Seconds from key frame to key frame.
const KEY_EVERY: u64 = 2;
/// A pattern that is late by more than this goes on from now instead of catching up.
const MAX_LATE: Duration = Duration::from_secs(1);

/// What a pattern shows, asked for each picture.
pub trait Scene: Send + Sync {
    /// The scene at this moment.
    fn view(&self) -> View;
}

/// A scene at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// Whether the camera is there; while it is not, there is no stream.
    pub present: bool,
    /// A line of text; letters outside ASCII are shown as boxes.
    pub title: String,
    /// −1, left, to 1, right.
    pub pan: f64,
    /// −1, down, to 1, up.
    pub tilt: f64,
    /// 0, the widest view, to 1.
    pub zoom: f64,
    /// Whether the camera moves.
    pub moving: bool,
    /// Whether motion is detected.
    pub motion: bool,
    /// Whether the tripwire is touched.
    pub line: bool,
    /// Whether the alarm input is active.
    pub input: bool,
}

/// The two sizes of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 640×360 at 15 fps.
    Main,
    /// 320×180 at 10 fps.
    Sub,
}

impl Size {
    /// Width and height that are shown.
    pub fn shown(self) -> (u16, u16) {
        match self {
            Self::Main => (640, 360),
            Self::Sub => (320, 180),
        }
    }

    fn fps(self) -> u32 {
        match self {
            Self::Main => 15,
            Self::Sub => 10,
        }
    }

    /// Width and height in whole macroblocks.
    fn coded(self) -> (usize, usize) {
        let (width, height) = self.shown();
        (width.into(), usize::from(height).next_multiple_of(16))
    }

    fn scale(self) -> usize {
        match self {
            Self::Main => 2,
            Self::Sub => 1,
        }
    }
}

/// Opens a pattern as often as asked. All openings show the same scene.
#[derive(Clone)]
pub struct PatternOpener {
    scene: Arc<dyn Scene>,
    size: Size,
    sound: Sound,
}

impl PatternOpener {
    /// A pattern of this scene, with silence.
    pub fn new(scene: Arc<dyn Scene>, size: Size) -> Self {
        Self { scene, size, sound: Sound::default() }
    }

    /// Has other sound.
    #[must_use]
    pub fn with_sound(self, sound: Sound) -> Self {
        Self { sound, ..self }
    }
}

#[async_trait]
impl Opener for PatternOpener {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let view = self.scene.view();
        if !view.present {
            return Err(away(view));
        }
        Ok(Box::new(PatternSource {
            scene: Arc::clone(&self.scene),
            size: self.size,
            params: Arc::new(params(self.size)),
            encoder: Encoder::new(),
            sound: self.sound.looped(),
            pictures: 0,
            sounds: 0,
            first: count(SystemTime::now(), self.size),
            start: Instant::now(),
        }))
    }
}

/// A JPEG file of the pattern at this moment.
pub fn picture(view: &View, size: Size) -> Bytes {
    let now = SystemTime::now();
    let canvas = card::draw(view, size, now, count(now, size));
    jpeg::encode(&canvas, size.shown()).into()
}

struct PatternSource {
    scene: Arc<dyn Scene>,
    size: Size,
    params: Arc<VideoParams>,
    encoder: Encoder,
    sound: Option<Loop>,
    /// Number of pictures and of frames of sound that were given.
    pictures: u64,
    sounds: i64,
    /// The number that the first picture shows.
    first: u64,
    /// When the first picture was due.
    start: Instant,
}

impl PatternSource {
    /// When the next picture is due, in 90 kHz ticks after the first one.
    fn next_picture(&self) -> i64 {
        let pictures = i64::try_from(self.pictures).unwrap_or(i64::MAX);
        pictures.saturating_mul(CLOCK_HZ / i64::from(self.size.fps()))
    }

    async fn wait(&mut self, ticks: i64) {
        let due = self.start + ticks_to_duration(ticks);
        let late = Instant::now().saturating_duration_since(due);
        if late > MAX_LATE {
            self.start += late;
        }
        sleep_until(due).await;
    }
}

#[async_trait]
impl FrameSource for PatternSource {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        let picture_at = self.next_picture();
        let sound_at = self.sound.as_ref().map(|sound| self.sounds.saturating_mul(sound.step));
        let sound_at = sound_at.filter(|at| *at < picture_at);
        self.wait(sound_at.unwrap_or(picture_at)).await;
        let view = self.scene.view();
        if !view.present {
            return Err(away(view));
        }
        let (track, key, at, data) = match (sound_at, &self.sound) {
            (Some(at), Some(sound)) => {
                self.sounds += 1;
                (Track::Audio(Arc::clone(&sound.params)), false, at, sound.data.clone())
            }
            _ => {
                let key = self.pictures.is_multiple_of(KEY_EVERY * u64::from(self.size.fps()));
                let number = self.first.wrapping_add(self.pictures);
                let canvas = card::draw(&view, self.size, SystemTime::now(), number);
                let data = self.encoder.encode(canvas, key).into();
                self.pictures += 1;
                (Track::Video(Arc::clone(&self.params)), key, picture_at, data)
            }
        };
        let received = Instant::now().into_std();
        Ok(Frame {
            track,
            key,
            discontinuity: false,
            leading: false,
            pts: at,
            dts: at,
            received,
            data,
        })
    }

    fn has_sound(&self) -> bool {
        self.sound.is_some()
    }
}

/// The number of the picture of a moment.
fn count(time: SystemTime, size: Size) -> u64 {
    let millis = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    (millis as u64).wrapping_mul(u64::from(size.fps())) / 1000
}

fn params(size: Size) -> VideoParams {
    let (width, height) = size.coded();
    let (shown_width, shown_height) = size.shown();
    let coded = (width as u32, height as u32);
    let (sps, pps) = h264::parameter_sets(coded, shown_height.into(), size.fps());
    let sets = (&mut [&sps[..]].into_iter(), &mut [&pps[..]].into_iter());
    let record = record::avc(&sps, sets.0, sets.1).expect("both sets are short");
    VideoParams {
        codec: VideoCodec::H264,
        record: record.into(),
        dimensions: (shown_width.into(), shown_height.into()),
        frame_rate: Some((size.fps(), 1)),
    }
}

fn away(view: View) -> SourceError {
    let reason = "the emulated camera restarts".to_owned();
    SourceError::Unreachable { peer: view.title, reason }
}
