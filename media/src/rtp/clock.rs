//! The clock of a track: timestamps of 32 bits made a line of 90 kHz ticks, and set against the wall clock.

use crate::frame::CLOCK_HZ;

mod slew;

pub use slew::Slew;

/// Furthest, in seconds, that a first timestamp told may be from the first packet; beyond that it
/// is wrong.
const TOLD_WITHIN: i64 = 10;
/// Furthest, in seconds, that the moment of a first sender report may lie from the newest packet.
const NEAR: i64 = 1;
/// Shortest time, in seconds, over which reports are compared: their timestamps may be those of the
/// last picture, which is 5 % of it at 5 pictures a second.
const PACE_OVER: i64 = 4;
/// A report is doubted that lies further than a 50th of a second from where the one before it has the
/// same moment.
const STEADY: u64 = 50;
/// Furthest that sound and picture may be apart, in ticks; beyond that their wall clocks have
/// nothing to do with each other.
const APART: i64 = 5 * CLOCK_HZ;

/// The clock of one track.
#[derive(Clone, Debug)]
pub struct RtpClock {
    rate: u32,
    /// The first timestamp, as `RTP-Info` has it.
    told: Option<u32>,
    /// Timestamp that ticks count from, in ticks of `rate`, extended to 64 bits.
    zero: Option<i64>,
    /// The newest timestamp, extended to 64 bits.
    newest: Option<i64>,
    report: Option<Moment>,
    /// A report that was left out because it lies elsewhere than `report` has it.
    doubted: Option<Moment>,
    believed: bool,
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
struct Moment {
    ntp: u64,
    at: i64,
}

impl RtpClock {
    /// A clock that ticks `rate` times a second, as the session description declares it; 0 is 90 000.
    pub fn new(rate: u32) -> Self {
        let rate = if rate == 0 { CLOCK_HZ as u32 } else { rate };
        Self {
            rate,
            told: None,
            zero: None,
            newest: None,
            report: None,
            doubted: None,
            believed: false,
        }
    }

    /// Tells the timestamp of the first packet as `RTP-Info` has it, so that all tracks count from one moment.
    /// Without effect after the first packet, and where it is not within 10 s of it.
    pub fn start_at(&mut self, rtptime: u32) {
        self.told = Some(rtptime);
    }

    /// A timestamp in 90 kHz ticks since the start; negative before it. It is taken for the one nearest to the
    /// timestamp before it, so that pictures may come in another order than they are shown.
    pub fn ticks(&mut self, timestamp: u32) -> i64 {
        let at = self.extend(timestamp);
        self.newest = Some(at);
        let zero = self.zero.unwrap_or_else(|| self.begin(timestamp, at));
        scale(at.saturating_sub(zero), self.rate)
    }

    /// Takes the clocks of a sender report: wall-clock time as seconds since 1900 with 32 bits of fraction, and
    /// the same moment as a timestamp. Both must go at the same pace, to 5 %, or neither is believed until they
    /// do. A first report is believed when its moment is that of the packets around it. One that lies more than
    /// 20 ms from where the report before it has the same moment counts only once the next one bears it out: a
    /// busy camera sends a report later than it read its clock.
    pub fn report(&mut self, ntp: u64, timestamp: u32) {
        if ntp == 0 {
            return;
        }
        let now = Moment { ntp, at: self.extend(timestamp) };
        if let Some(before) = self.report {
            let (media, wall) = self.since(before, now);
            if media.saturating_abs().max(wall.saturating_abs()) < PACE_OVER * i64::from(self.rate)
            {
                return;
            }
            self.believed = media.abs_diff(wall) <= wall.unsigned_abs() / 20;
            let borne_out = self.doubted.is_some_and(|doubted| self.agree(doubted, now));
            if self.believed && !borne_out && !self.agree(before, now) {
                self.doubted = Some(now);
                return;
            }
        } else {
            self.believed = self.newest.is_some_and(|newest| self.within(NEAR, newest, now.at));
        }
        self.newest.get_or_insert(now.at);
        self.report = Some(now);
        self.doubted = None;
    }

    /// The wall-clock time of a moment, in the form of [`RtpClock::report`]. As wrong as the camera's clock.
    pub fn wall(&self, ticks: i64) -> Option<u64> {
        let (ntp, at) = self.moment()?;
        let since = ticks.saturating_sub(at);
        let fraction = (since.rem_euclid(CLOCK_HZ) << 32) / CLOCK_HZ;
        let seconds = (since.div_euclid(CLOCK_HZ) as u64) << 32;
        Some(ntp.wrapping_add(seconds).wrapping_add(fraction as u64))
    }

    /// The wall-clock time of the last report, and its ticks, where it is believed.
    fn moment(&self) -> Option<(u64, i64)> {
        let report = self.report.filter(|_| self.believed)?;
        Some((report.ntp, scale(report.at.saturating_sub(self.zero?), self.rate)))
    }

    /// The time between two moments on the media's clock and on the wall clock, in ticks of `rate`.
    fn since(&self, before: Moment, now: Moment) -> (i64, i64) {
        (now.at.saturating_sub(before.at), span(now.ntp.wrapping_sub(before.ntp), self.rate))
    }

    fn agree(&self, before: Moment, now: Moment) -> bool {
        let (media, wall) = self.since(before, now);
        media.abs_diff(wall) <= u64::from(self.rate) / STEADY
    }

    fn extend(&self, timestamp: u32) -> i64 {
        self.newest.map_or(timestamp.into(), |newest| {
            newest.saturating_add(timestamp.wrapping_sub(newest as u32).cast_signed().into())
        })
    }

    /// Counts from the first packet, or from the start that was told.
    fn begin(&mut self, timestamp: u32, at: i64) -> i64 {
        let told = self.told.map_or(at, |told| {
            at.saturating_add(told.wrapping_sub(timestamp).cast_signed().into())
        });
        let zero = if self.within(TOLD_WITHIN, told, at) { told } else { at };
        self.zero = Some(zero);
        self.believed |= self.report.is_some_and(|report| self.within(NEAR, report.at, at));
        zero
    }

    fn within(&self, seconds: i64, a: i64, b: i64) -> bool {
        a.saturating_sub(b).saturating_abs() <= seconds * i64::from(self.rate)
    }
}

/// What must be added to the ticks of the sound so that sound and picture of one moment have the same ticks:
/// known once the reports of both tracks are believed, and at most 5 s.
pub fn shift(video: &RtpClock, audio: &RtpClock) -> Option<i64> {
    let (video, audio) = (video.moment()?, audio.moment()?);
    let apart = span(audio.0.wrapping_sub(video.0), CLOCK_HZ as u32);
    let shift = video.1.saturating_sub(audio.1).saturating_add(apart);
    (shift.saturating_abs() <= APART).then_some(shift)
}

/// Ticks of `rate` as 90 kHz ticks, rounded down. Exact at any distance, since nothing is summed up.
fn scale(ticks: i64, rate: u32) -> i64 {
    let rate = i64::from(rate.max(1));
    if rate == CLOCK_HZ {
        return ticks;
    }
    let part = ticks.rem_euclid(rate) * CLOCK_HZ / rate;
    ticks.div_euclid(rate).saturating_mul(CLOCK_HZ).saturating_add(part)
}

/// A signed span of wall-clock time in ticks of `rate`.
fn span(ntp: u64, rate: u32) -> i64 {
    ((i128::from(ntp.cast_signed()) * i128::from(rate)) >> 32) as i64
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
