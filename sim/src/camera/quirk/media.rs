//! The packets of a camera with quirks: packed by the rules, then taken apart, changed and numbered anew.

use ivt_media::frame::{Frame, Track};

use super::super::params::parameter_sets;
use super::super::rtp::{Kind as Half, Packetizer, Source, Unit};
use super::super::sdp::Description;
use super::super::timeline::Place;
use super::packet::Packet;
use super::rtp::Numbering;
use super::sound::Sound;
use super::{Quirk, Quirks, sound, time, video};

/// The state of one stream that the quirks of its packets need.
#[derive(Debug)]
pub struct Media {
    quirks: Quirks,
    numberings: Vec<Numbering>,
    sound: Sound,
    /// Number of pictures so far.
    pictures: u64,
    /// Number of pictures that the endless access unit has replaced.
    endless: u32,
}

impl Media {
    /// The state of a new stream; `None` for a camera without quirks.
    pub fn new(quirks: &Quirks) -> Option<Self> {
        (!quirks.is_empty()).then(|| Self {
            quirks: quirks.clone(),
            numberings: Vec::new(),
            sound: Sound::default(),
            pictures: 0,
            endless: 0,
        })
    }

    /// Changes the identity of the tracks on the wire.
    pub fn sources(&self, description: &mut Description) {
        for (track, source) in &mut description.tracks {
            match track {
                Track::Video(_) => video::source(&self.quirks, source),
                Track::Audio(_) => sound::source(&self.quirks, source),
            }
            time::source(&self.quirks, source);
        }
    }

    /// Longest payload of a picture in bytes; `usual` without quirks.
    pub fn mtu(&self, usual: usize) -> usize {
        let small = [Quirk::Midframe, Quirk::FuaEmpty, Quirk::FuaMarkEarly, Quirk::FuaNoStart];
        if self.quirks.has_any(&small) { 400 } else { usual }
    }

    /// The units of packets in which a frame goes out.
    pub fn frame(&mut self, packetizer: &mut Packetizer, frame: &Frame, place: Place) -> Vec<Unit> {
        let source = packetizer.source();
        let sets = match &frame.track {
            Track::Video(params) if frame.key && self.in_band() => parameter_sets(params),
            _ => Vec::new(),
        };
        let unit = packetizer.frame(frame, place.pts, &sets);
        let mut packets: Vec<Packet> = unit.datagrams().filter_map(Packet::parse).collect();
        let picture = frame.is_video().then_some(self.pictures);
        let shift = time::shift(&self.quirks, source, picture, place.pts);
        packets.iter_mut().for_each(|p| p.timestamp = p.timestamp.wrapping_add(shift));
        match &frame.track {
            Track::Video(params) => {
                self.pictures += 1;
                packets = if self.quirks.has(Quirk::UnitEndless) {
                    video::endless(packets, &mut self.endless)
                } else {
                    video::shape(&self.quirks, params.codec, packets, frame.key)
                };
            }
            Track::Audio(params) => packets = self.sound.shape(&self.quirks, params, packets),
        }
        let numbering = self.numbering(source.track);
        let (media, reports) = numbering.finish(packets, frame, source);
        let mut units = vec![Unit::of(source.track, Half::Rtp, frame.key, &media)];
        units.extend(
            reports.iter().map(|report| {
                Unit::of(source.track, Half::Rtcp, false, std::slice::from_ref(report))
            }),
        );
        units
    }

    /// A sender report as the camera sends it; `None` when it sends none.
    pub fn report(&mut self, report: &Unit) -> Option<Unit> {
        let silent = self.quirks.has(Quirk::NoReports)
            || time::hides_reports(&self.quirks)
            || self.quirks.has(Quirk::SeqFrozen);
        let mut bytes = report.datagrams().next().filter(|_| !silent)?.to_vec();
        let track = report.track;
        self.numbering(track).report(&mut bytes);
        time::report(&self.quirks, &mut bytes);
        Some(Unit::of(track, Half::Rtcp, false, &[bytes]))
    }

    fn in_band(&self) -> bool {
        let outside = [Quirk::SpropOnly, Quirk::SpropSemi, Quirk::SpropNone];
        !self.quirks.has_any(&outside)
    }

    fn numbering(&mut self, track: usize) -> &mut Numbering {
        while self.numberings.len() <= track {
            self.numberings.push(Numbering::new(self.quirks.clone()));
        }
        &mut self.numberings[track]
    }
}

/// The RTP time that the camera tells for the stream time `ticks`, in 90 kHz.
pub fn rtp_time(quirks: &Quirks, source: &Source, video: bool, ticks: i64) -> u32 {
    let shift = time::shift(quirks, *source, video.then_some(0), ticks);
    source.timestamp(ticks).wrapping_add(shift)
}
