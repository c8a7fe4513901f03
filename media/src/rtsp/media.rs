//! Makes frames of the packets of a session: finds the track of each packet, notices what is
//! missing, has the depacketisers make pictures and sounds, and gives them times. No I/O and no
//! clock.

use std::collections::VecDeque;
use std::fmt;
use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::setup::{Path, Wanted};
use super::tracks::{Chosen, Tracks};
use crate::dts::Reorder;
use crate::frame::{Frame, Track as FrameTrack, VideoParams};
use crate::rtp::audio::Audio;
use crate::rtp::clock::{self, Clock, Slew};
use crate::rtp::rtcp::{self, Identity, RECEIVER_REPORT, Reception, Report};
use crate::rtp::sequence::{Sequence, Verdict};
use crate::rtp::video::Video;
use crate::rtp::{Packet, Picture, Sound, is_rtcp};
use crate::source::Losses;

/// How often the camera is told how it is received (RFC 3550 6.2).
const REPORT_PERIOD: Duration = Duration::from_secs(5);

/// Most bytes of frames that wait until the camera is known to play. Packets beyond these are lost.
const MOST_WAITING: usize = 4 << 20;
/// Bytes that a frame takes beside its data.
const FRAME: usize = 256;

/// Number of packets of another payload type than described, and none of that, after which a track
/// is taken to mean the other one.
const FOREIGN: u32 = 32;

/// The tracks of one session.
pub struct Media {
    video: Option<Video>,
    audio: Option<Audio>,
    /// The picture's and the sound's lane; there exactly where the depacketiser is.
    lanes: [Option<Lane>; 2],
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
pub enum Which {
    /// The picture.
    Video,
    /// The sound.
    Audio,
}

/// How far a stream has come on its way to pictures that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing came.
    Silent,
    /// Packets of the first payload type came, none of the second, which was described.
    Foreign(u8, u8),
    /// Packets came, but neither pictures nor parameter sets.
    Packets,
    /// Pictures came, but no parameter sets.
    NoParameterSets,
    /// Parameter sets are there, but no pictures.
    NoPictures,
    /// Pictures and parameter sets came, but no key frame.
    NoKey,
    /// Pictures come that can be decoded.
    Flowing,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "it plays, but sends nothing",
            Self::Foreign(came, described) => {
                return write!(
                    f,
                    "packets of payload type {came} come, it described {described} for its picture"
                );
            }
            Self::Packets => "packets come, but no pictures and no parameter sets (SPS, PPS)",
            Self::NoParameterSets => "pictures come, but no parameter sets (SPS, PPS)",
            Self::NoPictures => "packets come, but no pictures",
            Self::NoKey => "pictures come, but no key frame yet",
            Self::Flowing => "pictures come",
        })
    }
}

/// The packets of one track.
struct Lane {
    control: Option<String>,
    payload_type: u8,
    path: Option<Path>,
    /// Source of the newest packet that belongs to the track.
    ssrc: Option<u32>,
    /// Packets of other payload types that came the track's way before any of its own.
    foreign: u32,
    sequence: Sequence,
    /// Packets missing before the next one that belongs to the track.
    missing: u32,
    rate: u32,
    /// RTP time at which the track begins, where the camera says so.
    start: Option<u32>,
    clock: Clock,
    reception: Reception,
}

impl Media {
    /// The media of a session before any packet. `identity` names this receiver in its reports.
    pub fn new(tracks: Tracks, identity: Identity) -> Self {
        let (video, picture) = tracks.video.map(Lane::new).unzip();
        let (audio, sound) = tracks.audio.map(Lane::new).unzip();
        Self {
            video,
            audio,
            lanes: [picture, sound],
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
        let needed = |which| which == Which::Video || self.video.is_none();
        let tracks = [Which::Video, Which::Audio].into_iter();
        let lanes = tracks.filter_map(|which| Some((which, self.lane(which)?)));
        let all = lanes.map(|(which, lane)| (lane.control.clone(), needed(which)));
        all.map(|(control, needed)| Wanted { control, needed }).collect()
    }

    /// The track of this number.
    pub fn which(&self, number: usize) -> Which {
        if number == 0 && self.video.is_some() { Which::Video } else { Which::Audio }
    }

    /// The number of a track.
    pub fn number(&self, track: Which) -> usize {
        usize::from(track == Which::Audio && self.video.is_some())
    }

    /// Notes how the packets of a track come, since it was set up.
    pub fn set_path(&mut self, track: Which, path: Path) {
        if let Some(lane) = self.lane_mut(track) {
            lane.path = Some(path);
        }
    }

    /// Goes on without sound.
    pub fn drop_sound(&mut self) {
        self.audio = None;
        let [_, sound] = &mut self.lanes;
        *sound = None;
    }

    /// Notes the RTP times at which the camera says that its tracks begin.
    pub fn start_at(&mut self, times: &[Option<u32>]) {
        for (number, time) in times.iter().enumerate() {
            let track = self.which(number);
            if let (Some(lane), Some(time)) = (self.lane_mut(track), *time) {
                lane.start = Some(time);
                lane.clock.start_at(time);
            }
        }
    }

    /// Takes a packet of an interleaved channel.
    pub fn handle_interleaved(&mut self, channel: u8, bytes: &[u8], now: Instant) {
        let uses = |which| self.lane(which).is_some_and(|lane| lane.uses(channel));
        let track = match (uses(Which::Video), uses(Which::Audio)) {
            (true, _) => Which::Video,
            (false, true) => Which::Audio,
            // Some cameras settle channels and use others.
            (false, false) if self.settled => return self.skip(),
            (false, false) => Which::Video,
        };
        self.settled = self.settled || uses(track);
        self.handle_packet(track, bytes, now);
    }

    /// Takes a data packet or a compound of reports that came the way of `track`. The packet itself
    /// tells its track: some cameras send all on one channel, or on channels that were not settled.
    pub fn handle_packet(&mut self, track: Which, bytes: &[u8], now: Instant) {
        if is_rtcp(bytes) {
            return self.handle_reports(track, bytes, now);
        }
        let Ok(packet) = Packet::parse(bytes) else { return self.skip() };
        self.packets = self.packets.saturating_add(1);
        let is =
            |which| self.lane(which).is_some_and(|lane| lane.payload_type == packet.payload_type);
        let track = match (is(Which::Video), is(Which::Audio)) {
            (true, true) => track,
            (true, false) => Which::Video,
            (false, true) => Which::Audio,
            (false, false) => return self.strange(track, &packet),
        };
        let full = self.waiting >= MOST_WAITING;
        let Some(lane) = self.lane_mut(track) else { return };
        let Some(lost) = lane.accept(&packet) else { return };
        if full || packet.payload.is_empty() {
            // An empty packet counts for the numbering only.
            lane.missing = lost.saturating_add(full.into());
            return;
        }
        match (track, &mut self.video, &mut self.audio) {
            (Which::Video, Some(video), _) => {
                video.push(&packet, lost, now);
                self.take_pictures();
            }
            (Which::Audio, _, Some(audio)) => {
                audio.push(&packet, lost, now);
                self.take_sounds();
            }
            _ => {}
        }
    }

    fn handle_reports(&mut self, track: Which, bytes: &[u8], now: Instant) {
        for report in rtcp::read(bytes) {
            // A goodbye is passed over: whether the camera means it shows by its silence.
            let Report::Sender(report) = report else { continue };
            let of = |which| {
                let lane = self.lane(which);
                lane.is_some_and(|lane| lane.ssrc == Some(report.ssrc)).then_some(which)
            };
            let track = of(Which::Video).or(of(Which::Audio)).unwrap_or(track);
            if let Some(lane) = self.lane_mut(track) {
                lane.clock.report(report.ntp, report.timestamp);
                lane.reception.report(&report, now);
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
    pub fn poll_reports(&mut self, now: Instant) -> Vec<(Which, Path, [u8; RECEIVER_REPORT])> {
        let due = *self.report_due.get_or_insert(now + REPORT_PERIOD);
        if now < due {
            return Vec::new();
        }
        self.report_due = Some(now + REPORT_PERIOD);
        let identity = self.identity;
        let mut report = |which| {
            let lane = self.lane_mut(which)?;
            let report = lane.reception.receiver_report(&identity, &lane.sequence, now)?;
            Some((which, lane.path?, report))
        };
        [report(Which::Video), report(Which::Audio)].into_iter().flatten().collect()
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
        let (Some(video), Some(lane)) = (&self.video, self.lane(Which::Video)) else {
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
            (_, _, Some(came)) if lane.ssrc.is_none() => Stage::Foreign(came, lane.payload_type),
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
        let lanes = self.lanes.iter().flatten().map(|lane| lane.sequence.counts());
        let start = Losses { skipped: self.strange, ..Losses::default() };
        let packets = lanes.fold(start, |sum, counts| Losses {
            packets: sum.packets.saturating_add(counts.lost),
            skipped: sum.skipped.saturating_add(counts.stale),
            ..sum
        });
        Losses { frames: dropped.into_iter().fold(0, u64::saturating_add), ..packets }
    }

    fn lane(&self, which: Which) -> Option<&Lane> {
        let [picture, sound] = &self.lanes;
        if which == Which::Video { picture.as_ref() } else { sound.as_ref() }
    }

    fn lane_mut(&mut self, which: Which) -> Option<&mut Lane> {
        let [picture, sound] = &mut self.lanes;
        if which == Which::Video { picture.as_mut() } else { sound.as_mut() }
    }

    /// Takes a packet of a payload type that nobody asked for. Its number counts where it is
    /// numbered with the packets of `track`, whose way it came.
    fn strange(&mut self, track: Which, packet: &Packet<'_>) {
        self.strange = self.strange.saturating_add(1);
        self.strange_type = Some(packet.payload_type);
        let Some(lane) = self.lane_mut(track) else { return };
        if lane.ssrc.is_none() && packet.payload_type >= 96 {
            // Some cameras describe another number than they send.
            lane.foreign = lane.foreign.saturating_add(1);
            if lane.foreign >= FOREIGN {
                lane.payload_type = packet.payload_type;
            }
        }
        if lane.ssrc == Some(packet.ssrc)
            && let Verdict::Next { lost } =
                lane.sequence.accept(packet.sequence, packet.timestamp, packet.ssrc)
        {
            lane.missing = lane.missing.saturating_add(lost);
        }
    }

    fn take_pictures(&mut self) {
        while let (Some(video), [Some(lane), sound]) = (&mut self.video, &mut self.lanes)
            && let Some(picture) = video.poll()
        {
            lane.reception.arrive(picture.timestamp, picture.received);
            let (ticks, depth) = (lane.clock.ticks(picture.timestamp), video.reorder_depth());
            self.pictures = self.pictures.saturating_add(1);
            self.keys = self.keys.saturating_add(u64::from(picture.key));
            if self.pictures == 1 {
                self.began = Some(picture.received);
                // A camera that told one track's start wrong is believed on neither.
                let wrong =
                    lane.start.is_some_and(|start| start != picture.timestamp && ticks == 0);
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
        while let (Some(audio), [picture, Some(lane)]) = (&mut self.audio, &mut self.lanes)
            && let Some(sound) = audio.poll()
        {
            lane.reception.arrive(sound.timestamp, sound.received);
            lane.set_rate(audio.clock_rate());
            let ticks = lane.clock.ticks(sound.timestamp);
            let shift = picture.as_ref().and_then(|video| clock::shift(&video.clock, &lane.clock));
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

impl Lane {
    fn new<D>(chosen: Chosen<D>) -> (D, Self) {
        let lane = Self {
            control: chosen.control,
            payload_type: chosen.payload_type,
            path: None,
            ssrc: None,
            foreign: 0,
            sequence: Sequence::default(),
            missing: 0,
            rate: chosen.clock_rate,
            start: None,
            clock: Clock::new(chosen.clock_rate),
            reception: Reception::new(chosen.clock_rate),
        };
        (chosen.depacketizer, lane)
    }

    /// Whether data or reports come by this interleaved channel.
    fn uses(&self, channel: u8) -> bool {
        matches!(self.path, Some(Path::Channels(a, b)) if a == channel || b == channel)
    }

    /// Sets the real rate of the clock, which may show only in the first packets.
    fn set_rate(&mut self, rate: u32) {
        if rate != self.rate {
            self.rate = rate;
            self.clock = Clock::new(rate);
            if let Some(start) = self.start {
                self.clock.start_at(start);
            }
        }
    }

    /// Forgets the start that was told: the track begins with the next packet.
    fn forget_start(&mut self) {
        self.start = None;
        self.clock = Clock::new(self.rate);
    }

    /// Judges a packet by its number. Returns how many packets are missing before it; `None` where
    /// it came before.
    fn accept(&mut self, packet: &Packet<'_>) -> Option<u32> {
        self.ssrc = Some(packet.ssrc);
        match self.sequence.accept(packet.sequence, packet.timestamp, packet.ssrc) {
            Verdict::Next { lost } => Some(lost.saturating_add(take(&mut self.missing))),
            Verdict::Stale => None,
        }
    }
}

#[cfg(test)]
#[path = "media_tests.rs"]
mod tests;
