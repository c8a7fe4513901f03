//! Frames to transport packets, key-frame group by key-frame group.

use std::sync::Arc;

use bytes::Bytes;

use crate::frame::{AudioParams, CLOCK_HZ, Frame, Track, VideoParams};
use crate::ts::adts::{self, Adts};
use crate::ts::packet::{Lane, Marks, PACKET, Packets};
use crate::ts::pes::{self, Header};
use crate::ts::psi::{Program, Tables};
use crate::ts::{nal, pid};

/// Longest time between two clock references, in ticks (2.7.2).
const CLOCK_STEP: i64 = CLOCK_HZ / 10;
/// Longest hole, in ticks, over which the clock ticks; over a longer one it jumps.
const MAX_HOLE: i64 = 10 * CLOCK_HZ;
/// Ticks by which the clock is behind the frames: sound is gathered, and may come later than the
/// picture.
const DELAY: i64 = CLOCK_HZ / 2;
/// Longest time, in ticks, that sound is gathered for one PES packet.
const GATHERED: i64 = CLOCK_HZ / 5;
/// Furthest, in ticks, that sound may be from the end of the samples before it without a time of
/// its own. FLV rounds to milliseconds.
const JITTER: i64 = CLOCK_HZ / 500;
/// Bytes of the longest PES packet header.
const PES_HEADER: usize = 19;

/// Writes groups of frames that begin with PAT and PMT. Continuity counters and time run on from
/// group to group; times are cut to 33 bits.
#[derive(Debug)]
pub struct Muxer {
    out: Packets,
    tables: Tables,
    video: Lane,
    audio: Lane,
    /// The newest clock reference, without [`DELAY`].
    clock: Option<i64>,
    /// Whether the time base is to be marked as a new one.
    broken: bool,
    /// Whether the next picture is the first since [`open`](Muxer::open).
    sets_due: bool,
    /// Whether pictures are in this group, which carry the clock then.
    pictures: bool,
    sets: Option<(Arc<VideoParams>, Vec<u8>)>,
    format: Option<(Arc<AudioParams>, Option<Adts>)>,
    sound: Gathered,
}

/// The elementary streams of a group; at least one.
#[derive(Clone, Debug, Default)]
pub struct Tracks {
    /// Parameters of the pictures.
    pub video: Option<Arc<VideoParams>>,
    /// Parameters of the sound.
    pub audio: Option<Arc<AudioParams>>,
}

/// Sound that waits for its PES packet.
#[derive(Debug, Default)]
struct Gathered {
    units: Vec<Bytes>,
    pts: i64,
    /// Bytes of all units with their ADTS headers.
    bytes: usize,
}

impl Muxer {
    /// A muxer at the start of a stream.
    pub fn new() -> Self {
        Self {
            out: Packets::default(),
            tables: Tables::new(),
            video: Lane::new(pid::VIDEO),
            audio: Lane::new(pid::AUDIO),
            clock: None,
            broken: false,
            sets_due: true,
            pictures: false,
            sets: None,
            format: None,
            sound: Gathered::default(),
        }
    }

    /// Whether the frame can be carried: sound of a kind that can, and not too long; pictures of
    /// whole NAL units, at least one.
    pub fn carries(&mut self, frame: &Frame) -> bool {
        match &frame.track {
            Track::Video(params) => nal::measure(params.codec, &frame.data).is_some(),
            Track::Audio(params) => {
                self.carries_sound(params) && (1..=adts::MAX_UNIT).contains(&frame.data.len())
            }
        }
    }

    /// Whether sound is AAC of a kind that ADTS can tell.
    pub fn carries_sound(&mut self, params: &Arc<AudioParams>) -> bool {
        self.adts(params).is_some()
    }

    /// Begins a group, with or without pictures. After a break, frames and clock need not continue
    /// those before.
    pub fn open(&mut self, pictures: bool, after_break: bool) {
        // These packets become PAT and PMT when the group is complete.
        self.out.put(&[0; PACKET]);
        self.out.put(&[0; PACKET]);
        self.sets_due = true;
        self.broken |= after_break;
        self.clock = self.clock.filter(|_| !after_break && self.pictures == pictures);
        self.pictures = pictures;
    }

    /// Writes a frame, parameter sets before a picture that is a key or the group's first. What
    /// [`carries`](Muxer::carries) refuses is left out.
    pub fn push(&mut self, frame: &Frame) {
        match &frame.track {
            Track::Video(params) => self.push_picture(params, frame),
            Track::Audio(params) => self.push_sound(params, frame),
        }
    }

    /// Bytes of the group if it were complete now, to within a packet that may not be needed.
    pub fn bytes(&self) -> u64 {
        let due = match self.sound.bytes {
            0 => 0,
            bytes => self.ticks(self.sound.pts) + sound_packets(bytes),
        };
        (self.out.len() + due * PACKET) as u64
    }

    /// An upper bound of [`bytes`](Muxer::bytes) after this frame.
    pub fn bytes_with(&self, frame: &Frame) -> u64 {
        let packets = match &frame.track {
            Track::Video(params) => {
                let sets = self.sets.as_ref().filter(|(known, _)| Arc::ptr_eq(known, params));
                let sets = sets.map_or(params.record.len() * 4, |(_, sets)| sets.len());
                let unit = nal::delimiter(params.codec).len() + sets + frame.data.len();
                clock_marks().packets(PES_HEADER + unit)
            }
            Track::Audio(_) => sound_packets(adts::HEADER + frame.data.len()),
        };
        self.bytes() + ((packets + self.ticks(frame.dts)) * PACKET) as u64
    }

    /// Writes the sound gathered so far; until more comes, [`bytes`](Muxer::bytes) is exact.
    pub fn flush(&mut self) {
        let Some(adts) = self.format.as_ref().and_then(|(_, adts)| *adts) else { return };
        let Gathered { units, pts, bytes } = std::mem::take(&mut self.sound);
        if units.is_empty() {
            return;
        }
        self.put_ticks(pts);
        let marks = if self.pictures { Marks::default() } else { self.marks(pts, true) };
        let header = Header::new(pes::AUDIO, bytes, pts, pts);
        let header = header.as_slice();
        let mut unit = self.out.unit(&mut self.audio, header.len() + bytes, marks);
        unit.put(header);
        for data in &units {
            unit.put(&adts.header(data.len()));
            unit.put(data);
        }
    }

    /// Lets the clock tick to just before a frame of the next group, with packets of at most `room`
    /// bytes in all: otherwise they would be at the front of that group.
    pub fn tick(&mut self, until: i64, room: u64) {
        if (self.ticks(until) * PACKET) as u64 <= room {
            self.put_ticks(until);
        }
    }

    /// Completes the group. `tracks` are what its PMT lists.
    pub fn close(&mut self, tracks: &Tracks) -> Vec<Bytes> {
        self.flush();
        let video = tracks.video.as_ref().map(|params| params.codec);
        let program = Program { video, audio: tracks.audio.is_some() };
        self.out.put_first(&self.tables.packets(program));
        self.out.take()
    }

    fn push_picture(&mut self, params: &Arc<VideoParams>, frame: &Frame) {
        let Some(units) = nal::measure(params.codec, &frame.data) else { return };
        if self.sound.bytes > 0 && frame.dts.saturating_sub(self.sound.pts) >= GATHERED {
            self.flush();
        }
        let with_sets = std::mem::take(&mut self.sets_due) || frame.key;
        if self.sets.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, params)) {
            self.sets = Some((Arc::clone(params), nal::parameter_sets(params)));
        }
        self.put_ticks(frame.dts);
        let marks = self.marks(frame.dts, frame.key);
        let sets = self.sets.as_ref().filter(|_| with_sets);
        let sets = sets.map_or(&[][..], |(_, sets)| sets);
        let delimiter = nal::delimiter(params.codec);
        let payload = delimiter.len() + sets.len() + units;
        let header = Header::new(pes::VIDEO, payload, frame.pts, frame.dts);
        let header = header.as_slice();
        let mut unit = self.out.unit(&mut self.video, header.len() + payload, marks);
        for piece in [header, delimiter, sets] {
            unit.put(piece);
        }
        for nal in nal::units(params.codec, &frame.data).flatten() {
            unit.put(&nal::START_CODE);
            unit.put(nal);
        }
    }

    fn push_sound(&mut self, params: &Arc<AudioParams>, frame: &Frame) {
        let Some(adts) = self.adts(params).filter(|_| frame.data.len() <= adts::MAX_UNIT) else {
            return;
        };
        let gathered = &self.sound;
        let bytes = adts::HEADER + frame.data.len();
        let expected = gathered.pts.saturating_add(adts.span(gathered.units.len()));
        if frame.pts.abs_diff(expected) > JITTER as u64 || gathered.bytes + bytes > pes::MAX_SIZED {
            self.flush();
        }
        let gathered = &mut self.sound;
        if gathered.units.is_empty() {
            gathered.pts = frame.pts;
        }
        gathered.units.push(frame.data.clone());
        gathered.bytes += bytes;
        if adts.span(gathered.units.len() + 1) > GATHERED {
            self.flush();
        }
    }

    /// The marks of a frame on the track with the clock.
    fn marks(&mut self, at: i64, key: bool) -> Marks {
        let jump = self.clock.is_some_and(|clock| at.saturating_sub(clock) > MAX_HOLE);
        let pcr = self.clock.is_none_or(|clock| at > clock).then(|| at.saturating_sub(DELAY));
        self.clock = self.clock.max(Some(at));
        let discontinuity = std::mem::take(&mut self.broken) || jump;
        Marks { pcr, random_access: key, discontinuity }
    }

    /// Packets that only carry the clock, so that no two references before `until` are too far
    /// apart.
    fn put_ticks(&mut self, until: i64) {
        for _ in 0..self.ticks(until) {
            let at = self.clock.unwrap_or_default().saturating_add(CLOCK_STEP);
            let lane = if self.pictures { &self.video } else { &self.audio };
            let marks = Marks { pcr: Some(at.saturating_sub(DELAY)), ..Marks::default() };
            self.out.put_clock(lane, marks);
            self.clock = Some(at);
        }
    }

    fn ticks(&self, until: i64) -> usize {
        let hole = self.clock.map_or(0, |clock| until.saturating_sub(clock));
        if (1..=MAX_HOLE).contains(&hole) { ((hole - 1) / CLOCK_STEP) as usize } else { 0 }
    }

    fn adts(&mut self, params: &Arc<AudioParams>) -> Option<Adts> {
        match &self.format {
            Some((known, adts)) if Arc::ptr_eq(known, params) => *adts,
            _ => {
                self.flush();
                let adts = Adts::new(params);
                self.format = Some((Arc::clone(params), adts));
                adts
            }
        }
    }
}

impl Default for Muxer {
    fn default() -> Self {
        Self::new()
    }
}

impl Tracks {
    /// The one track of a frame.
    pub fn of(frame: &Frame) -> Self {
        match &frame.track {
            Track::Video(params) => Self { video: Some(Arc::clone(params)), audio: None },
            Track::Audio(params) => Self { video: None, audio: Some(Arc::clone(params)) },
        }
    }
}

fn sound_packets(bytes: usize) -> usize {
    clock_marks().packets(PES_HEADER + bytes)
}

fn clock_marks() -> Marks {
    Marks { pcr: Some(0), ..Marks::default() }
}
