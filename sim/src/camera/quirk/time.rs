//! Clocks that are wrong.

use ivt_media::frame::{CLOCK_HZ, duration_to_ticks};

use super::super::rtp::Source;
use super::{Kind, Quirk, Quirks};

/// Error of the time of one picture that stands out: 9,800 s, in 90 kHz ticks.
const OUTLIER: i64 = 9800 * CLOCK_HZ;

/// Changes the identity of a track as the quirks of its clock need.
pub fn source(quirks: &Quirks, source: &mut Source) {
    if let Some(time) = quirks.time(Quirk::TsWrap) {
        let left = time.as_secs_f64() * f64::from(source.clock_hz);
        source.base = 0u32.wrapping_sub(left as u32);
    }
}

/// The error of the RTP time at the stream time `ticks`, in 90 kHz. `picture` is the number of a picture;
/// `None` for sound.
pub fn shift(quirks: &Quirks, source: Source, picture: Option<u64>, ticks: i64) -> u32 {
    let mut told = ticks;
    if let Some(picture) = picture {
        if quirks.has_any(&[Quirk::TsFrozen, Quirk::TsFrozenNomark]) {
            told = 0;
        }
        if quirks.has(Quirk::TsMillis) {
            told /= CLOCK_HZ / 1000;
        }
        if quirks.has(Quirk::TsFast) {
            told = told * 6 / 5;
        }
        if quirks.has(Quirk::FpsLies) {
            told = told * 5 / 6;
        }
        if picture % 30 == 20 {
            told -= if quirks.has(Quirk::TsHours) { OUTLIER } else { 0 };
            told += if quirks.has(Quirk::TsFuture) { OUTLIER } else { 0 };
        }
    } else {
        if quirks.has(Quirk::AacHalf) {
            told /= 2;
        }
        if quirks.has(Quirk::AacClock90k) {
            told = told * CLOCK_HZ / i64::from(source.clock_hz.max(1));
        }
    }
    let times = |quirk| {
        let period = quirks.time(quirk).map(duration_to_ticks).filter(|period| *period > 0);
        period.map_or(0, |period| ticks / period)
    };
    told += 3600 * CLOCK_HZ * times(Quirk::TsJump);
    told -= CLOCK_HZ / 2 * times(Quirk::TsBack);
    source.timestamp(told).wrapping_sub(source.timestamp(ticks))
}

/// Whether the camera sends no sender reports, since its clock is wrong.
pub fn hides_reports(quirks: &Quirks) -> bool {
    quirks.has_kind(Kind::Time) && !quirks.has_any(&[Quirk::ReportsWrong, Quirk::TsWrap])
}

/// Changes a sender report, whose NTP time is at byte 8 and whose RTP time is at byte 16.
pub fn report(quirks: &Quirks, bytes: &mut [u8]) {
    if !quirks.has(Quirk::ReportsWrong) {
        return;
    }
    if let Some(field) = bytes.get_mut(8..12)
        && let Ok(seconds) = <[u8; 4]>::try_from(&*field)
    {
        let backwards = 2_208_988_800u32.wrapping_sub(u32::from_be_bytes(seconds) % 100_000);
        field.copy_from_slice(&backwards.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIDEO: Source = Source { track: 0, payload_type: 96, clock_hz: 90_000, ssrc: 1, base: 7 };
    const SOUND: Source = Source { clock_hz: 16_000, ..VIDEO };

    fn told(quirk: Quirk, source: Source, picture: Option<u64>, seconds: i64) -> i32 {
        let ticks = seconds * CLOCK_HZ;
        let time =
            source.timestamp(ticks).wrapping_add(shift(&quirk.into(), source, picture, ticks));
        time.wrapping_sub(source.base) as i32
    }

    #[test]
    fn each_clock_runs_as_told() {
        assert_eq!(told(Quirk::TsFrozen, VIDEO, Some(9), 10), 0);
        assert_eq!(told(Quirk::TsFrozen, SOUND, None, 10), 160_000, "sound is right");
        assert_eq!(told(Quirk::TsMillis, VIDEO, Some(9), 10), 10_000);
        assert_eq!(told(Quirk::TsFast, VIDEO, Some(9), 10), 1_080_000);
        assert_eq!(told(Quirk::FpsLies, VIDEO, Some(9), 12), 900_000);
        assert_eq!(told(Quirk::TsHours, VIDEO, Some(9), 10), 900_000);
        assert_eq!(told(Quirk::TsHours, VIDEO, Some(20), 10), 900_000 - 9800 * 90_000);
        assert_eq!(told(Quirk::TsJump, VIDEO, Some(9), 10), 900_000 + 2 * 3600 * 90_000);
        assert_eq!(told(Quirk::TsBack, SOUND, None, 11), 160_000);
        assert_eq!(told(Quirk::AacHalf, SOUND, None, 10), 80_000);
        assert_eq!(told(Quirk::AacClock90k, SOUND, None, 10), 900_000);
    }

    #[test]
    fn the_wrap_comes_after_three_seconds() {
        let mut video = VIDEO;
        source(&Quirk::TsWrap.into(), &mut video);
        assert_eq!(video.timestamp(3 * CLOCK_HZ), 0);
    }
}
