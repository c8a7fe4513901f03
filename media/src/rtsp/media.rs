//! Makes frames of the packets of a session: finds the track of each packet, notices what is
//! missing, has the depacketisers make pictures and sounds, and gives them times. No I/O and no
//! clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use super::progress::Stage;
use super::setup::{Path, Wanted};
use super::track::RtpTrack;
use super::tracks::Tracks;
use crate::dts::Reorder;
use crate::frame::{Frame, Track as FrameTrack, VideoParams};
use crate::rtp::audio::Audio;
use crate::rtp::clock::Slew;
use crate::rtp::rtcp::{self, Identity, RECEIVER_REPORT, Report};
use crate::rtp::video::Video;
use crate::rtp::{Packet, Picture, Sound, is_rtcp};
use crate::source::Losses;

/// How often the camera is told how it is received (RFC 3550 6.2).
const REPORT_PERIOD: Duration = Duration::from_secs(5);

/// Most bytes of frames that wait until the camera is known to play. Packets beyond these are lost.
const MOST_WAITING: usize = 4 << 20;
/// Bytes that a frame takes beside its data.
const FRAME: usize = 256;

/// The tracks of one session.
pub struct Media {
    video: Option<Video>,
    audio: Option<Audio>,
    /// The picture's and the sound's packets; there exactly where the depacketiser is.
    tracks: [Option<RtpTrack>; 2],
    reorder: Reorder,
    reorder_depth: Option<usize>,
    params: Option<Arc<VideoParams>>,
    slew: Slew,
    /// Whether packets came by the channels that were settled, so that others are not meant.
    settled: bool,
    ready: VecDeque<Frame>,
    /// Bytes that the frames in `ready` take.
    waiting: usize,
    /// Packets of no track.
    strange: u64,
    /// Payload type of the newest packet of no track.
    strange_type: Option<u8>,
    packets: u64,
    pictures: u64,
    /// When the first picture came.
    began: Option<Instant>,
    keys: u64,
    sounds: u64,
    report_due: Option<Instant>,
    identity: Identity,
}

/// Which of the session's tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackKind {
    /// The picture.
    Video,
    /// The sound.
    Audio,
}

impl Media {
    /// The media of a session before any packet. `identity` names this receiver in its reports.
    pub fn new(tracks: Tracks, identity: Identity) -> Self {
        let (video, picture) = tracks.video.map(RtpTrack::new).unzip();
        let (audio, sound) = tracks.audio.map(RtpTrack::new).unzip();
        Self {
            video,
            audio,
            tracks: [picture, sound],
            reorder: Reorder::new(None),
            reorder_depth: None,
            params: None,
            slew: Slew::default(),
            settled: false,
            ready: VecDeque::new(),
            waiting: 0,
            strange: 0,
            strange_type: None,
            packets: 0,
            pictures: 0,
            began: None,
            keys: 0,
            sounds: 0,
            report_due: None,
            identity,
        }
    }

    /// What to set up, in the order in which tracks are numbered.
    pub fn wanted(&self) -> Vec<Wanted> {
        let needed = |which| which == TrackKind::Video || self.video.is_none();
        let wanted = |which| {
            let control = self.track(which)?.control().map(str::to_owned);
            Some(Wanted { control, needed: needed(which) })
        };
        [TrackKind::Video, TrackKind::Audio].into_iter().filter_map(wanted).collect()
    }

    /// The track of this number.
    pub fn which(&self, number: usize) -> TrackKind {
        if number == 0 && self.video.is_some() { TrackKind::Video } else { TrackKind::Audio }
    }

    /// The number of a track.
    pub fn number(&self, track: TrackKind) -> usize {
        usize::from(track == TrackKind::Audio && self.video.is_some())
    }

    /// Notes how the packets of a track come, since it was set up.
    pub fn set_path(&mut self, track: TrackKind, path: Path) {
        if let Some(track) = self.track_mut(track) {
            track.set_path(path);
        }
    }

    /// Goes on without sound.
    pub fn drop_sound(&mut self) {
        self.audio = None;
        let [_, sound] = &mut self.tracks;
        *sound = None;
    }

    /// Notes the RTP times at which the camera says that its tracks begin.
    pub fn start_at(&mut self, times: &[Option<u32>]) {
        for (number, time) in times.iter().enumerate() {
            let track = self.which(number);
            if let (Some(track), Some(time)) = (self.track_mut(track), *time) {
                track.start_at(time);
            }
        }
    }

    /// Takes a packet of an interleaved channel.
    pub fn handle_interleaved(&mut self, channel: u8, bytes: &[u8], now: Instant) {
        let uses = |which| self.track(which).is_some_and(|track| track.uses(channel));
        let track = match (uses(TrackKind::Video), uses(TrackKind::Audio)) {
            (true, _) => TrackKind::Video,
            (false, true) => TrackKind::Audio,
            // Some cameras settle channels and use others.
            (false, false) if self.settled => return self.skip(),
            (false, false) => TrackKind::Video,
        };
        self.settled = self.settled || uses(track);
        self.handle_packet(track, bytes, now);
    }

    /// Takes a data packet or a compound of reports that came the way of `track`. The packet itself
    /// tells its track: some cameras send all on one channel, or on channels that were not settled.
    pub fn handle_packet(&mut self, track: TrackKind, bytes: &[u8], now: Instant) {
        if is_rtcp(bytes) {
            return self.handle_reports(track, bytes, now);
        }
        let Ok(packet) = Packet::parse(bytes) else { return self.skip() };
        self.packets = self.packets.saturating_add(1);
        let is = |which| {
            self.track(which).is_some_and(|track| track.payload_type() == packet.payload_type)
        };
        let track = match (is(TrackKind::Video), is(TrackKind::Audio)) {
            (true, true) => track,
            (true, false) => TrackKind::Video,
            (false, true) => TrackKind::Audio,
            (false, false) => return self.strange(track, &packet),
        };
        let full = self.waiting >= MOST_WAITING;
        let Some(packets) = self.track_mut(track) else { return };
        let Some(lost) = packets.accept(&packet) else { return };
        if full || packet.payload.is_empty() {
            // An empty packet counts for the numbering only.
            packets.miss(lost.saturating_add(full.into()));
            return;
        }
        match (track, &mut self.video, &mut self.audio) {
            (TrackKind::Video, Some(video), _) => {
                video.push(&packet, lost, now);
                self.take_pictures();
            }
            (TrackKind::Audio, _, Some(audio)) => {
                audio.push(&packet, lost, now);
                self.take_sounds();
            }
            _ => {}
        }
    }

    fn handle_reports(&mut self, track: TrackKind, bytes: &[u8], now: Instant) {
        for report in rtcp::read(bytes) {
            // A goodbye is passed over: whether the camera means it shows by its silence.
            let Report::Sender(report) = report else { continue };
            let of = |which| {
                let track = self.track(which);
                track.is_some_and(|track| track.ssrc() == Some(report.ssrc)).then_some(which)
            };
            let track = of(TrackKind::Video).or(of(TrackKind::Audio)).unwrap_or(track);
            if let Some(track) = self.track_mut(track) {
                track.report(&report, now);
            }
        }
    }

    /// Counts bytes that are no packet.
    pub fn skip(&mut self) {
        self.strange = self.strange.saturating_add(1);
    }

    /// The next frame. While nobody asks, 4 MiB of frames are kept, and packets beyond are lost.
    pub fn poll(&mut self) -> Option<Frame> {
        let frame = self.ready.pop_front()?;
        self.waiting = self.waiting.saturating_sub(frame.data.len() + FRAME);
        Some(frame)
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let video = self.video.as_ref().and_then(Video::poll_timeout);
        [video, self.report_due].into_iter().flatten().min()
    }

    /// Gives a picture out that was held until now.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(video) = &mut self.video
            && video.poll_timeout().is_some_and(|due| due <= now)
        {
            video.handle_timeout(now);
            self.take_pictures();
        }
    }

    /// Gives everything out that is held, since nothing more comes.
    pub fn finish(&mut self, now: Instant) {
        self.handle_timeout(now + Duration::from_secs(60));
    }

    /// Receiver reports, when they are due, each with its track and the way it goes.
    pub fn poll_reports(&mut self, now: Instant) -> Vec<(TrackKind, Path, [u8; RECEIVER_REPORT])> {
        let due = *self.report_due.get_or_insert(now + REPORT_PERIOD);
        if now < due {
            return Vec::new();
        }
        self.report_due = Some(now + REPORT_PERIOD);
        let identity = self.identity;
        let mut report = |which| {
            let (path, report) = self.track_mut(which)?.receiver_report(&identity, now)?;
            Some((which, path, report))
        };
        [report(TrackKind::Video), report(TrackKind::Audio)].into_iter().flatten().collect()
    }

    /// Whether part of a picture is held.
    pub fn is_mid_picture(&self) -> bool {
        self.video.as_ref().is_some_and(Video::is_mid_picture)
    }

    /// Whether what comes can be decoded from the next key frame on.
    pub fn has_arrived(&self) -> bool {
        match &self.video {
            Some(video) => video.has_parameter_sets() && video.complete() > 0,
            None => self.sounds > 0,
        }
    }

    /// Whether the session has a track of sound.
    pub fn has_sound(&self) -> bool {
        self.audio.is_some()
    }

    /// Whether anything came.
    pub fn has_packets(&self) -> bool {
        self.packets > 0
    }

    /// How many pictures or, where there are none, sounds came whole, those included that cannot be
    /// decoded for want of a key frame.
    pub fn signs_of_life(&self) -> u64 {
        match &self.video {
            Some(video) => video.complete(),
            None => self.sounds,
        }
    }

    /// How far the stream has come.
    pub fn stage(&self) -> Stage {
        let (Some(video), Some(track)) = (&self.video, self.track(TrackKind::Video)) else {
            return match (self.sounds, self.packets) {
                (0, 0) => Stage::Silent,
                (0, _) => Stage::Packets,
                _ => Stage::Flowing,
            };
        };
        let sets = video.has_parameter_sets();
        let pictures = if sets { video.complete() > 0 } else { video.slices_seen() };
        match (sets, pictures, self.strange_type) {
            (true, true, _) if self.keys > 0 => Stage::Flowing,
            (true, true, _) => Stage::NoKey,
            (false, true, _) => Stage::NoParameterSets,
            _ if self.packets == 0 => Stage::Silent,
            (_, _, Some(came)) if track.ssrc().is_none() => {
                Stage::Foreign(came, track.payload_type())
            }
            (true, ..) => Stage::NoPictures,
            (false, ..) => Stage::Packets,
        }
    }

    /// What was lost so far.
    pub fn losses(&self) -> Losses {
        let dropped = [
            self.video.as_ref().map_or(0, Video::dropped),
            self.audio.as_ref().map_or(0, Audio::dropped),
        ];
        let counts = self.tracks.iter().flatten().map(RtpTrack::counts);
        let start = Losses { skipped: self.strange, ..Losses::default() };
        let packets = counts.fold(start, |sum, counts| Losses {
            packets: sum.packets.saturating_add(counts.lost),
            skipped: sum.skipped.saturating_add(counts.stale),
            ..sum
        });
        Losses { frames: dropped.into_iter().fold(0, u64::saturating_add), ..packets }
    }

    fn track(&self, which: TrackKind) -> Option<&RtpTrack> {
        let [picture, sound] = &self.tracks;
        if which == TrackKind::Video { picture.as_ref() } else { sound.as_ref() }
    }

    fn track_mut(&mut self, which: TrackKind) -> Option<&mut RtpTrack> {
        let [picture, sound] = &mut self.tracks;
        if which == TrackKind::Video { picture.as_mut() } else { sound.as_mut() }
    }

    /// Takes a packet of a payload type that nobody asked for, which came the way of `track`.
    fn strange(&mut self, track: TrackKind, packet: &Packet<'_>) {
        self.strange = self.strange.saturating_add(1);
        self.strange_type = Some(packet.payload_type);
        if let Some(track) = self.track_mut(track) {
            track.strange(packet);
        }
    }

    fn take_pictures(&mut self) {
        while let (Some(video), [Some(track), sound]) = (&mut self.video, &mut self.tracks)
            && let Some(picture) = video.poll()
        {
            let ticks = track.ticks(picture.timestamp, picture.received);
            let depth = video.reorder_depth();
            self.pictures = self.pictures.saturating_add(1);
            self.keys = self.keys.saturating_add(u64::from(picture.key));
            if self.pictures == 1 {
                self.began = Some(picture.received);
                // A camera that told one track's start wrong is believed on neither.
                let wrong = ticks == 0 && track.starts_elsewhere(picture.timestamp);
                if let Some(sound) = sound.as_mut().filter(|_| wrong) {
                    sound.forget_start();
                }
            }
            self.take_picture(picture, ticks, depth);
        }
        self.take_sounds();
    }

    fn take_picture(&mut self, picture: Picture, ticks: i64, depth: Option<usize>) {
        let known = self.params.as_ref().is_some_and(|params| Arc::ptr_eq(params, &picture.params));
        if !known {
            if self.params.is_none() || depth != self.reorder_depth {
                self.reorder = Reorder::new(depth);
                self.reorder_depth = depth;
            }
            self.params = Some(Arc::clone(&picture.params));
        }
        let (pts, dts) = self.reorder.place(ticks);
        let Picture { params, key, leading, received, data, .. } = picture;
        let track = FrameTrack::Video(params);
        let frame = Frame { track, key, discontinuity: false, leading, pts, dts, received, data };
        self.give(frame);
    }

    fn give(&mut self, frame: Frame) {
        self.waiting = self.waiting.saturating_add(frame.data.len() + FRAME);
        self.ready.push_back(frame);
    }

    fn take_sounds(&mut self) {
        let due = |video: &Video| video.has_parameter_sets() && video.slices_seen();
        if self.began.is_none() && self.video.as_ref().is_some_and(due) {
            // The first picture may be held for its marker to prove right, and this sound comes
            // after it.
            return;
        }
        while let (Some(audio), [picture, Some(track)]) = (&mut self.audio, &mut self.tracks)
            && let Some(sound) = audio.poll()
        {
            track.set_rate(audio.clock_rate());
            let ticks = track.ticks(sound.timestamp, sound.received);
            let shift = picture.as_ref().and_then(|picture| track.shift_to(picture));
            let pts = self.slew.place(ticks, shift);
            self.sounds = self.sounds.saturating_add(1);
            // Sound before the first picture would make a beginning that nobody can see.
            if self.video.is_some() && self.began.is_none_or(|began| sound.received < began) {
                continue;
            }
            let Sound { params, received, data, .. } = sound;
            let (track, key) = (FrameTrack::Audio(params), self.video.is_none());
            let (discontinuity, leading) = (false, false);
            let frame = Frame { track, key, discontinuity, leading, pts, dts: pts, received, data };
            self.give(frame);
        }
    }
}

#[cfg(test)]
#[path = "media_tests.rs"]
mod tests;
