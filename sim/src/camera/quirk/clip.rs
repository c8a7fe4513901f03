//! The pictures of a camera with quirks: clips of their own, and frames that are changed before they are
//! packed.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use ivt_media::annexb::Splitter;
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::flv::{Demuxer, file};
use ivt_media::frame::{
    Frame, Track, VideoCodec, VideoParams, duration_to_ticks, ticks_to_duration,
};
use ivt_media::source::{FrameSource, Opener, SourceError};
use tokio::time::{Duration, Instant, sleep_until};

use super::rewrite::{enlarge, with_reordering, with_second_pps, with_slice_type};
use super::{Quirk, Quirks};

const BFRAMES: &[u8] = include_bytes!("../../../../tests/fixtures/h264_bframes.flv");
const HEVC: &[u8] = include_bytes!("../../../../tests/fixtures/hevc.flv");
const SLICES: &[u8] = include_bytes!("../../../../tests/fixtures/slices.h264");
const INTRA_REFRESH: &[u8] = include_bytes!("../../../../tests/fixtures/intrarefresh.h264");
/// Time from one picture of a byte stream to the next, in 90 kHz ticks: 15 pictures a second.
const STEP: i64 = 6000;
/// Length of a large key picture, in bytes.
const BIG: usize = 1_200_000;

/// The stream of a camera with quirks; `plain` is its stream without them.
pub fn opener(quirks: &Quirks, plain: Arc<dyn Opener>) -> Arc<dyn Opener> {
    use Quirk::{Bframes, Bigkey, HevcAp, HevcCra, HevcMark, MarkerSlices, NoIdr, SlicesOk};
    use Quirk::{SpsChange, TwoPps};
    let clip = |frames: Option<Vec<Frame>>| -> Arc<dyn Opener> {
        Arc::new(Loop { frames: frames.unwrap_or_default().into() })
    };
    let base = match () {
        () if quirks.has(Bframes) => clip(flv(BFRAMES)),
        () if quirks.has_any(&[HevcAp, HevcCra, HevcMark]) => clip(flv(HEVC)),
        () if quirks.has_any(&[MarkerSlices, SlicesOk]) => clip(byte_stream(SLICES)),
        () if quirks.has(NoIdr) => clip(byte_stream(INTRA_REFRESH)),
        () if quirks.has(SpsChange) => Arc::new(Alternating),
        () => plain,
    };
    if quirks.has_any(&[TwoPps, Bigkey, HevcCra]) {
        return Arc::new(Changing { base, quirks: quirks.clone() });
    }
    base
}

/// The frames of an FLV file that is part of the program.
fn flv(data: &'static [u8]) -> Option<Vec<Frame>> {
    let (mut demuxer, mut frames) = (Demuxer::new(), Vec::new());
    for tag in file::tags(Bytes::from_static(data)).ok()? {
        frames.extend(demuxer.push(&tag.ok()?, std::time::Instant::now()).ok()?);
    }
    frames.iter_mut().filter(|f| !f.is_video()).for_each(|f| f.key = false);
    Some(frames)
}

/// The pictures of an H.264 byte stream. A recovery point counts as a key picture.
fn byte_stream(data: &[u8]) -> Option<Vec<Frame>> {
    let mut splitter = Splitter::new();
    splitter.push(data, ()).ok()?;
    splitter.push(&[0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1], ()).ok()?; // This ends the last picture.
    let units = std::iter::from_fn(|| splitter.pop());
    let frame = |(i, unit): (usize, ivt_media::annexb::AccessUnit<()>)| {
        let dts = STEP * i as i64;
        Frame {
            key: unit.key || unit.data.get(4..6) == Some(&[6, 6]),
            track: Track::Video(unit.params),
            discontinuity: false,
            leading: false,
            pts: dts,
            dts,
            received: std::time::Instant::now(),
            data: unit.data,
        }
    };
    Some(units.enumerate().map(frame).collect())
}

/// A clip that is repeated for ever.
struct Loop {
    frames: Arc<[Frame]>,
}

struct Looping {
    frames: Arc<[Frame]>,
    /// Length of the clip in 90 kHz ticks.
    length: i64,
    next: usize,
    start: Instant,
}

#[async_trait]
impl Opener for Loop {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let mut pictures = self.frames.iter().filter(|f| f.is_video()).map(|f| f.dts);
        let (Some(first), Some(second)) = (pictures.next(), pictures.next()) else {
            let reason = "expected a clip with pictures".to_owned();
            return Err(SourceError::Protocol { peer: "clip".into(), reason });
        };
        let length = pictures.last().unwrap_or(second) - first + (second - first);
        Ok(Box::new(Looping {
            frames: self.frames.clone(),
            length,
            next: 0,
            start: Instant::now(),
        }))
    }
}

#[async_trait]
impl FrameSource for Looping {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        let (round, i) = (self.next / self.frames.len(), self.next % self.frames.len());
        let mut frame = self.frames[i].clone();
        let shift = self.length * round as i64 - self.frames[0].dts;
        frame.dts += shift;
        frame.pts += shift;
        sleep_until(self.start + ticks_to_duration(frame.dts)).await;
        self.next += 1;
        Ok(frame)
    }
}

/// Eight seconds of the main clip and eight of the sub clip, in turn.
struct Alternating;

struct Alternate {
    source: Box<dyn FrameSource>,
    main: bool,
    /// Where this clip ends, in 90 kHz ticks.
    end: i64,
}

#[async_trait]
impl Opener for Alternating {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let source = ClipOpener::built_in(BuiltIn::Main).open().await?;
        Ok(Box::new(Alternate {
            source,
            main: true,
            end: duration_to_ticks(Duration::from_secs(8)),
        }))
    }
}

#[async_trait]
impl FrameSource for Alternate {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        let mut frame = self.source.frame().await?;
        let over = frame.dts >= self.end && frame.is_video();
        if over {
            self.main = !self.main;
            let clip = if self.main { BuiltIn::Main } else { BuiltIn::Sub };
            self.source = ClipOpener::built_in(clip).open().await?;
            frame = self.source.frame().await?;
        }
        frame.discontinuity |= over;
        Ok(frame)
    }
}

/// A source whose frames are changed by quirks.
struct Changing {
    base: Arc<dyn Opener>,
    quirks: Quirks,
}

struct Changed {
    source: Box<dyn FrameSource>,
    quirks: Quirks,
    params: Option<(Arc<VideoParams>, Arc<VideoParams>)>,
    /// Pictures since the last key picture; `None` before the first one.
    since_key: Option<usize>,
    /// Time from one picture to the next, in 90 kHz ticks.
    step: i64,
    last: Option<i64>,
}

#[async_trait]
impl Opener for Changing {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let (source, quirks) = (self.base.open().await?, self.quirks.clone());
        Ok(Box::new(Changed { source, quirks, params: None, since_key: None, step: 0, last: None }))
    }
}

#[async_trait]
impl FrameSource for Changed {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        let mut frame = self.source.frame().await?;
        let Track::Video(params) = &frame.track else { return Ok(frame) };
        let new = match &self.params {
            Some((old, new)) if Arc::ptr_eq(old, params) => new.clone(),
            _ => {
                let new = Arc::new(self.change(params));
                self.params = Some((params.clone(), new.clone()));
                new
            }
        };
        frame.track = Track::Video(new);
        if self.quirks.has(Quirk::Bigkey) && frame.key {
            frame.data = enlarge(&frame.data, BIG);
        }
        if self.quirks.has(Quirk::HevcCra) {
            self.open_gop(&mut frame);
        }
        Ok(frame)
    }
}

impl Changed {
    fn change(&self, params: &VideoParams) -> VideoParams {
        let record = match params.codec {
            VideoCodec::H264 if self.quirks.has(Quirk::TwoPps) => with_second_pps(&params.record),
            VideoCodec::H265 if self.quirks.has(Quirk::HevcCra) => with_reordering(&params.record),
            _ => None,
        };
        VideoParams { record: record.unwrap_or_else(|| params.record.clone()), ..params.clone() }
    }

    /// Puts a CRA picture in place of each IDR picture, and two RASL pictures behind it that are shown before
    /// it. These three are shown in another order than they are decoded in.
    fn open_gop(&mut self, frame: &mut Frame) {
        if let Some(last) = self.last.replace(frame.dts) {
            self.step = frame.dts - last;
        }
        self.since_key = match self.since_key {
            _ if frame.key => Some(0),
            Some(pictures) => Some(pictures + 1),
            None => None,
        };
        let (kind, shift) = match self.since_key {
            Some(0) => (21, 2),     // NAL unit type CRA_NUT.
            Some(1 | 2) => (9, -1), // NAL unit type RASL_R.
            _ => return,
        };
        frame.pts += shift * if self.step > 0 { self.step } else { 3600 };
        frame.leading = kind == 9;
        frame.data = with_slice_type(&frame.data, kind);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::params::parameter_sets;
    use super::super::bits::{pps_with_id, sps_with_reordering};
    use super::super::rewrite::length_at;
    use super::*;

    async fn pictures(quirk: Quirk, count: usize) -> Vec<Frame> {
        let plain = Arc::new(ClipOpener::built_in(BuiltIn::Main));
        let mut source = opener(&quirk.into(), plain).open().await.unwrap();
        let mut frames = Vec::new();
        while frames.len() < count {
            let frame = source.frame().await.unwrap();
            if frame.is_video() {
                frames.push(frame);
            }
        }
        frames
    }

    fn kinds(frame: &Frame) -> Vec<u8> {
        let Track::Video(params) = &frame.track else { panic!("want a picture") };
        let mut data = &frame.data[..];
        let mut kinds = Vec::new();
        while let Some(length) = length_at(data, 0) {
            kinds.push(match params.codec {
                VideoCodec::H264 => data[4] & 0x1f,
                VideoCodec::H265 => data[4] >> 1 & 0x3f,
            });
            data = &data[4 + length..];
        }
        kinds
    }

    fn params(frame: &Frame) -> &VideoParams {
        let Track::Video(params) = &frame.track else { panic!("want a picture") };
        params
    }

    #[tokio::test(start_paused = true)]
    async fn slices_have_four_nal_units_and_loop_without_a_seam() {
        let frames = pictures(Quirk::SlicesOk, 40).await;
        assert!(frames.iter().all(|f| kinds(f).len() == 4));
        let keys: Vec<_> = (0..40).filter(|i| frames[*i].key).collect();
        assert_eq!(keys, [0, 15, 30]);
        assert!(frames.windows(2).all(|pair| pair[1].dts - pair[0].dts == STEP));
        assert_eq!(params(&frames[0]).dimensions, (320, 180));
    }

    #[tokio::test(start_paused = true)]
    async fn intra_refresh_has_recovery_points_and_never_an_idr() {
        let frames = pictures(Quirk::NoIdr, 40).await;
        assert!(frames.iter().all(|f| !kinds(f).contains(&5)));
        let keys: Vec<_> = (0..40).filter(|i| frames[*i].key).collect();
        assert_eq!(keys, [0, 15, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn two_pps_differ_in_their_id_only() {
        let frames = pictures(Quirk::TwoPps, 1).await;
        let sets = parameter_sets(params(&frames[0]));
        assert_eq!(sets.len(), 3);
        assert_eq!(pps_with_id(&sets[2], 0).unwrap(), sets[1]);
    }

    #[tokio::test(start_paused = true)]
    async fn large_key_pictures_are_one_nal_unit() {
        let frames = pictures(Quirk::Bigkey, 16).await;
        for i in [0, 15] {
            assert!(frames[i].data.len() >= BIG && kinds(&frames[i]).ends_with(&[5]));
        }
        assert!(frames[1].data.len() < 10_000);
    }

    #[tokio::test(start_paused = true)]
    async fn open_gops_are_shown_in_order_and_decoded_out_of_it() {
        let frames = pictures(Quirk::HevcCra, 45).await;
        let firsts: Vec<_> = frames.iter().map(|f| kinds(f)[0]).collect();
        assert_eq!(firsts[20..24], [21, 9, 9, 1]);
        assert!(!firsts.contains(&19) && !firsts.contains(&20));
        let mut shown: Vec<_> = frames.iter().map(|f| f.pts).collect();
        shown.sort_unstable();
        assert!(shown.windows(2).all(|pair| pair[1] - pair[0] == 3600), "{shown:?}");
        assert!(frames.iter().filter(|f| f.key).all(|f| f.pts - f.dts == 7200));
        let sets = parameter_sets(params(&frames[0]));
        assert_eq!(sets.len(), 3);
        assert_eq!(sps_with_reordering(&sets[1]).unwrap(), sets[1], "done already");
    }

    #[tokio::test(start_paused = true)]
    async fn the_resolution_changes_at_a_key_picture() {
        let frames = pictures(Quirk::SpsChange, 122).await;
        let sizes: Vec<_> = frames.iter().map(|f| params(f).dimensions).collect();
        assert_eq!((sizes[119], sizes[120]), ((640, 360), (320, 180)));
        assert!(frames[120].key && frames[120].discontinuity);
    }
}
