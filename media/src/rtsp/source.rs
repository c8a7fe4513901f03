//! The frames of an open RTSP session.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use retina::Timestamp;
use retina::client::Demuxed;
use retina::codec::{
    AudioFrame, AudioParameters, CodecItem, ParametersRef, VideoFrame, VideoParameters,
    VideoParametersCodec,
};

use crate::coalesce;
use crate::dts::Reorder;
use crate::frame::{AudioCodec, AudioParams, CLOCK_HZ, Frame, Track, VideoCodec, VideoParams};
use crate::rtsp::Peer;
use crate::silence::Silence;
use crate::source::{FrameSource, Losses, SourceError};
use crate::sps;

/// A camera that sends no picture (or, without pictures, no sound) for this long is given up.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// A larger picture is none, and RTMP could not tell its length.
const MAX_PICTURE: usize = 8 << 20;

pub(super) struct RtspSource {
    demuxed: Demuxed,
    peer: Peer,
    video: Option<Video>,
    audio: Option<Audio>,
    /// The camera sends: a picture came or, from a camera without, sound.
    arrived: bool,
    /// The frame that `arriving` met.
    kept: Option<Frame>,
    dropped: u64,
    silence: Silence,
    /// An item came since the last time there was nothing to do.
    progressed: bool,
}

struct Video {
    index: usize,
    params: Option<Arc<VideoParams>>,
    reorder: Reorder,
    reorder_depth: Option<usize>,
    /// What the next pictures are made from is missing, up to a key frame.
    need_key: bool,
}

struct Audio {
    index: usize,
    params: Option<Arc<AudioParams>>,
}

impl RtspSource {
    /// `video` and `audio` are the indices of the streams set up.
    pub(super) fn new(
        demuxed: Demuxed,
        video: Option<usize>,
        audio: Option<usize>,
        peer: Peer,
    ) -> Self {
        let video = video.map(|index| Video {
            index,
            params: None,
            reorder: Reorder::new(None),
            reorder_depth: None,
            need_key: false,
        });
        Self {
            demuxed,
            peer,
            video,
            audio: audio.map(|index| Audio { index, params: None }),
            arrived: false,
            kept: None,
            dropped: 0,
            silence: Silence::new(SILENCE_LIMIT),
            progressed: true,
        }
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Result<CodecItem, SourceError>> {
        if let Poll::Ready(item) = self.demuxed.poll_next_unpin(cx) {
            self.progressed = true;
            return Poll::Ready(match item {
                Some(Ok(item)) => Ok(item),
                Some(Err(error)) => Err(self.peer.error(&error)),
                None => Err(self.peer.hung_up()),
            });
        }
        // Woken, and nothing complete came of it: there is more of this frame on its way.
        if !std::mem::take(&mut self.progressed) {
            coalesce::hint_mid_frame();
        }
        self.silence.poll_over(cx).map(|()| Err(self.peer.silent(SILENCE_LIMIT)))
    }

    /// The frame that an item makes, if it makes one.
    fn take(&mut self, item: CodecItem) -> Result<Option<Frame>, SourceError> {
        match item {
            CodecItem::VideoFrame(frame) => self.video_frame(frame),
            CodecItem::AudioFrame(frame) => Ok(self.audio_frame(&frame)),
            _ => Ok(None),
        }
    }

    fn video_frame(&mut self, frame: VideoFrame) -> Result<Option<Frame>, SourceError> {
        let Some(video) = &mut self.video else { return Ok(None) };
        self.silence.end();
        self.arrived = true;
        let key = frame.is_random_access_point();
        if video.params.is_none() || frame.has_new_parameters() {
            let stream = &self.demuxed.streams()[video.index];
            if let Some(ParametersRef::Video(params)) = stream.parameters() {
                video.update(params, &self.peer)?;
            }
        }
        if frame.loss() > 0 {
            self.dropped += u64::from(frame.loss());
            video.need_key = true;
        }
        if frame.data().len() > MAX_PICTURE {
            self.dropped += 1;
            video.need_key = true;
            return Ok(None);
        }
        let params = match &video.params {
            Some(params) if key || !video.need_key => Arc::clone(params),
            _ => {
                self.dropped += 1;
                return Ok(None);
            }
        };
        video.need_key = false;
        let (pts, dts) = video.reorder.place(ticks(frame.timestamp()));
        Ok(Some(Frame {
            track: Track::Video(params),
            key,
            discontinuity: false,
            leading: false,
            pts,
            dts,
            received: frame.end_ctx().received(),
            data: Bytes::from(frame.into_data()),
        }))
    }

    fn audio_frame(&mut self, frame: &AudioFrame) -> Option<Frame> {
        let audio = self.audio.as_mut()?;
        self.dropped += u64::from(frame.loss());
        if self.video.is_none() {
            self.silence.end();
            self.arrived = true;
        }
        if audio.params.is_none() {
            let stream = &self.demuxed.streams()[audio.index];
            if let Some(ParametersRef::Audio(params)) = stream.parameters() {
                audio.params = audio_params(stream.encoding_name(), params).map(Arc::new);
            }
        }
        let params = audio.params.clone().filter(|_| self.arrived)?;
        let pts = ticks(frame.timestamp());
        Some(Frame {
            track: Track::Audio(params),
            key: self.video.is_none(),
            discontinuity: false,
            leading: false,
            pts,
            dts: pts,
            received: frame.ctx().received(),
            data: Bytes::copy_from_slice(frame.data()),
        })
    }
}

#[async_trait]
impl FrameSource for RtspSource {
    async fn arriving(&mut self) -> Result<(), SourceError> {
        while !self.arrived {
            let item = poll_fn(|cx| self.poll_item(cx)).await?;
            self.kept = self.take(item)?;
        }
        Ok(())
    }

    async fn frame(&mut self) -> Result<Frame, SourceError> {
        loop {
            if let Some(frame) = self.kept.take() {
                return Ok(frame);
            }
            let item = poll_fn(|cx| self.poll_item(cx)).await?;
            self.kept = self.take(item)?;
        }
    }

    fn losses(&self) -> Losses {
        Losses { frames: self.dropped, ..Losses::default() }
    }
}

impl Video {
    /// Takes new parameters. Cameras repeat theirs: only different bytes are a change.
    fn update(&mut self, new: &VideoParameters, peer: &Peer) -> Result<(), SourceError> {
        let (codec, depth) = match new.codec_params() {
            VideoParametersCodec::H264 { sps, .. } => {
                (VideoCodec::H264, sps::h264_reorder_depth(sps))
            }
            VideoParametersCodec::H265 { sps, .. } => {
                (VideoCodec::H265, sps::h265(sps).map(|sps| sps.reorder_depth))
            }
            _ => return Err(peer.protocol("expected H.264 or H.265 parameters")),
        };
        if self.params.as_ref().is_some_and(|p| p.codec == codec && p.record == new.extra_data()) {
            return Ok(());
        }
        if self.params.is_none() || depth != self.reorder_depth {
            self.reorder = Reorder::new(depth);
            self.reorder_depth = depth;
        }
        // Those known from the start are no change.
        self.need_key |= self.params.is_some();
        self.params = Some(Arc::new(VideoParams {
            codec,
            record: Bytes::copy_from_slice(new.extra_data()),
            dimensions: new.pixel_dimensions(),
            // retina gives the duration of a frame.
            frame_rate: new.frame_rate().map(|(seconds, per)| (per, seconds)),
        }));
        Ok(())
    }
}

fn audio_params(encoding: &str, params: &AudioParameters) -> Option<AudioParams> {
    let codec = match encoding {
        "mpeg4-generic" => AudioCodec::Aac,
        "pcma" => AudioCodec::Pcma,
        "pcmu" => AudioCodec::Pcmu,
        _ => return None,
    };
    let config = match codec {
        AudioCodec::Aac => Bytes::copy_from_slice(params.extra_data()),
        AudioCodec::Pcma | AudioCodec::Pcmu => Bytes::new(),
    };
    let channels = params.channels().get();
    Some(AudioParams { codec, sample_rate: params.clock_rate(), channels, config })
}

/// Time since the start of the session in 90 kHz.
fn ticks(timestamp: Timestamp) -> i64 {
    let (elapsed, rate) = (timestamp.elapsed(), i64::from(timestamp.clock_rate().get()));
    if rate == CLOCK_HZ {
        return elapsed;
    }
    let scaled = i128::from(elapsed) * i128::from(CLOCK_HZ) / i128::from(rate);
    i64::try_from(scaled).unwrap_or(if scaled < 0 { i64::MIN } else { i64::MAX })
}
