//! The tracks of a stream as they go out: the track of each frame, and its packets.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ivt_media::frame::{Frame, Track, ticks_to_duration};
use tokio::time::Instant;

use super::params::parameter_sets;
use super::quirk::{Media, Quirks};
use super::rtp::{MTU, Packetizer, Unit};
use super::sdp::Description;
use super::timeline::Place;

/// A stream's clock that differs by more from the time of day has jumped.
const DRIFT: Duration = Duration::from_millis(500);

/// The tracks of the description in force, with their packetizers.
pub struct Tracks {
    /// The description that clients get.
    pub description: Description,
    packetizers: Vec<Packetizer>,
    /// The parameter sets that go before each key picture.
    parameter_sets: Vec<Bytes>,
    quirks: Option<Media>,
    /// When the last sender reports were made.
    reported: Option<Instant>,
    /// The time of day of stream time 0. It is kept, since the jitter of the simulator's timers would move a
    /// client's clock with every report.
    epoch: Option<SystemTime>,
}

/// How a frame relates to the description.
#[derive(Debug, PartialEq, Eq)]
pub enum Fit {
    /// The frame belongs to this track.
    Track(usize),
    /// The frame belongs to this track and has other parameter sets of the same codec.
    Changed(usize),
    /// The frame has another codec, so that the stream has to be described anew.
    Stranger,
    /// The frame is of a kind that the description does not have.
    Ignored,
}

impl Tracks {
    /// Tracks with fresh identities.
    pub fn new(tracks: Vec<Track>, quirks: &Quirks) -> Self {
        let mut description = Description::new(tracks);
        let quirks = Media::new(quirks);
        if let Some(quirks) = &quirks {
            quirks.sources(&mut description);
        }
        let mtu = quirks.as_ref().map_or(MTU, |quirks| quirks.mtu(MTU));
        let packetizer = |source| Packetizer::new(source).with_mtu(mtu);
        let packetizers = description.tracks.iter().map(|(_, s)| packetizer(*s)).collect();
        let parameter_sets = description.tracks.iter().find_map(|(track, _)| match track {
            Track::Video(params) => Some(parameter_sets(params)),
            Track::Audio(_) => None,
        });
        let parameter_sets = parameter_sets.unwrap_or_default();
        Self { description, packetizers, parameter_sets, quirks, reported: None, epoch: None }
    }

    /// How the frame relates to the description.
    pub fn fit(&self, frame: &Frame) -> Fit {
        for (i, (track, _)) in self.description.tracks.iter().enumerate() {
            match (track, &frame.track) {
                (Track::Video(old), Track::Video(new)) => {
                    return match () {
                        () if Arc::ptr_eq(old, new) || old == new => Fit::Track(i),
                        () if old.codec == new.codec => Fit::Changed(i),
                        () => Fit::Stranger,
                    };
                }
                (Track::Audio(old), Track::Audio(new)) => {
                    let same = Arc::ptr_eq(old, new) || old == new;
                    return if same { Fit::Track(i) } else { Fit::Stranger };
                }
                _ => {}
            }
        }
        Fit::Ignored
    }

    /// Takes over new parameter sets of the same codec: they go out in the stream, before the next key frame.
    pub fn change(&mut self, track: usize, frame: &Frame) {
        self.description.tracks[track].0 = frame.track.clone();
        if let Track::Video(params) = &frame.track {
            self.parameter_sets = parameter_sets(params);
        }
    }

    /// The packets of a frame, and the sender reports when they are due.
    pub fn pack(&mut self, track: usize, frame: &Frame, place: Place) -> Vec<Unit> {
        let sets = match frame.key && frame.is_video() {
            true => &self.parameter_sets[..],
            false => &[],
        };
        let packetizer = &mut self.packetizers[track];
        let mut units = match &mut self.quirks {
            None => vec![packetizer.frame(frame, place.pts, sets)],
            Some(quirks) => quirks.frame(packetizer, frame, place),
        };
        let due = |at: Instant| {
            let age = at.elapsed();
            age >= Duration::from_secs(5) || frame.key && age >= Duration::from_secs(1)
        };
        if self.reported.is_none_or(due) {
            self.reported = Some(Instant::now());
            let wall = self.time_of_day(place.dts, SystemTime::now());
            let reports = self.packetizers.iter().map(|p| p.report(wall, place.dts));
            match &mut self.quirks {
                None => units.extend(reports),
                Some(quirks) => units.extend(reports.filter_map(|report| quirks.report(&report))),
            }
        }
        units
    }

    /// The time of day of a stream time in 90 kHz ticks, which is about `now`.
    fn time_of_day(&mut self, ticks: i64, now: SystemTime) -> SystemTime {
        let elapsed = ticks_to_duration(ticks);
        let off = |wall: SystemTime| match now.duration_since(wall) {
            Ok(late) => late,
            Err(early) => early.duration(),
        };
        let kept = self.epoch.map(|epoch| epoch + elapsed).filter(|wall| off(*wall) < DRIFT);
        kept.unwrap_or_else(|| {
            self.epoch = now.checked_sub(elapsed);
            now
        })
    }
}

#[cfg(test)]
mod tests {
    use ivt_media::frame::{AudioCodec, VideoCodec, VideoParams};

    use super::super::rtp::{Kind, testutil};
    use super::*;

    fn with(frame: &Frame, change: impl FnOnce(&mut VideoParams)) -> Frame {
        let Track::Video(params) = &frame.track else { panic!("expected a picture") };
        let mut params = VideoParams::clone(params);
        change(&mut params);
        Frame { track: Track::Video(Arc::new(params)), ..frame.clone() }
    }

    #[test]
    fn a_frame_fits_changes_or_breaks_the_description() {
        let picture = testutil::video(&[&[0x65, 1]]);
        let sound = testutil::audio(AudioCodec::Pcma, 8000, 1, &[]);
        let tracks =
            Tracks::new(vec![picture.track.clone(), sound.track.clone()], &Quirks::default());
        assert_eq!(tracks.fit(&picture), Fit::Track(0));
        assert_eq!(tracks.fit(&sound), Fit::Track(1));
        assert_eq!(tracks.fit(&with(&picture, |_| {})), Fit::Track(0), "equal is the same");
        assert_eq!(tracks.fit(&with(&picture, |p| p.dimensions = (8, 8))), Fit::Changed(0));
        assert_eq!(tracks.fit(&with(&picture, |p| p.codec = VideoCodec::H265)), Fit::Stranger);
        let other = testutil::audio(AudioCodec::Pcmu, 8000, 1, &[]);
        assert_eq!(tracks.fit(&other), Fit::Stranger);
        assert_eq!(Tracks::new(vec![picture.track], &Quirks::default()).fit(&sound), Fit::Ignored);
    }

    #[tokio::test(start_paused = true)]
    async fn reports_follow_the_first_frame_and_then_key_frames() {
        let picture = testutil::video(&[&[0x65, 1]]);
        let mut tracks = Tracks::new(vec![picture.track.clone()], &Quirks::default());
        let mut reports = async |key, wait_ms| {
            tokio::time::advance(Duration::from_millis(wait_ms)).await;
            let frame = Frame { key, ..picture.clone() };
            let units = tracks.pack(0, &frame, Place { pts: 0, dts: 0 });
            assert_eq!((units[0].kind, units[0].key), (Kind::Rtp, key));
            units.len() - 1
        };
        assert_eq!(reports(true, 0).await, 1);
        assert_eq!(reports(true, 999).await, 0);
        assert_eq!(reports(true, 1).await, 1);
        assert_eq!(reports(false, 4999).await, 0);
        assert_eq!(reports(false, 1).await, 1, "a stream of few key frames has them too");
    }

    #[test]
    fn the_time_of_day_runs_with_the_stream_and_not_with_our_timers() {
        let mut tracks = Tracks::new(Vec::new(), &Quirks::default());
        let start = SystemTime::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(tracks.time_of_day(9000, at(100)), at(100));
        assert_eq!(tracks.time_of_day(18_000, at(220)), at(200), "20 ms late is jitter");
        assert_eq!(tracks.time_of_day(900_000, at(300)), at(300), "a jump is not");
        assert_eq!(tracks.time_of_day(909_000, at(390)), at(400));
        assert_eq!(tracks.time_of_day(0, at(500)), at(500), "and backwards");
    }
}
