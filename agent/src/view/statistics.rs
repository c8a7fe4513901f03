//! Statistics of an agent, in the log once a minute.

use std::mem;
use std::time::Duration;

use ivt_media::publish::PublishStats;
use ivt_media::stats::StreamStats;
use tokio::time::{MissedTickBehavior, interval};

use super::{ChannelView, View};
use crate::channel::RecordingStatus;
use crate::dispatch::EventCounts;
use crate::record::spool;
use crate::shutdown::Stop;

/// Time between two lines about the same subject.
const PERIOD: Duration = Duration::from_secs(60);

/// Logs until `stop` is requested. Each minute has a line per stream that had frames, per live
/// publish and per recording whose uploads have not ended, a line for a spool that is not empty or
/// does not work, and a line each if events of the cloud or alarms of the cameras came.
pub(crate) async fn log(view: View, mut stop: Stop) {
    let mut minute = interval(PERIOD);
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = vec![[0; 2]; view.channels.len()];
    let mut events = EventCounts::default();
    #[cfg(feature = "alarms")]
    let mut alarms = crate::alarm::AlarmCounts::default();
    loop {
        tokio::select! {
            _ = minute.tick() => {}
            () = stop.requested() => return,
        }
        for (number, (channel, seen)) in view.channels().iter().zip(&mut seen).enumerate() {
            for line in channel_lines(channel, seen) {
                log::debug!("channel {number} {line}");
            }
        }
        let device = view.device();
        if mem::replace(&mut events, device.events) != device.events {
            log::debug!("events of the cloud: {events:?}");
        }
        #[cfg(feature = "alarms")]
        if mem::replace(&mut alarms, device.alarms) != device.alarms {
            log::debug!("alarms: {alarms:?}");
        }
        if let Some(line) = device.spool.and_then(|spool| spool_line(&spool)) {
            log::debug!("{line}");
        }
    }
}

/// The lines about one channel. `seen` holds the frame counts of main and sub stream a minute ago.
fn channel_lines(channel: &ChannelView, seen: &mut [u64; 2]) -> Vec<String> {
    let ChannelView { main, sub, publish, recordings, .. } = channel;
    let mut lines = Vec::new();
    for ((name, stream), seen) in [("main", main), ("sub", sub)].into_iter().zip(seen) {
        if mem::replace(seen, stream.frames) != stream.frames {
            lines.push(format!("{name}: {}", stream_line(stream)));
        }
    }
    if publish.accepted {
        let PublishStats { frames, gaps, dropped_frames, .. } = publish;
        lines.push(format!("publish: {frames} frames, {gaps} gaps of {dropped_frames}"));
    }
    lines.extend(recordings.iter().filter(|recording| !recording.ended).map(recording_line));
    lines
}

fn stream_line(stats: &StreamStats) -> String {
    let incidents = stats.incidents;
    format!(
        "{} kbit/s, {:.1} fps, {} drops, {} packets lost, {} skipped, {} reconnects, {} redirects, \
         {} transports refused, {} sounds left out, {} pictures late, last error: {}",
        stats.bitrate / 1000,
        stats.fps,
        stats.drops,
        stats.packets_lost,
        stats.packets_skipped,
        stats.reconnects,
        incidents.redirects,
        incidents.transports_refused,
        incidents.sounds_left_out,
        stats.pictures_late,
        stats.last_error.as_deref().unwrap_or("none"),
    )
}

fn recording_line(recording: &RecordingStatus) -> String {
    let RecordingStatus { session_id, counts, .. } = recording;
    format!(
        "recording {session_id:?}: {} segments uploaded, {} waiting, {} lost ({:.1} s), {} KiB in \
         memory{}, last error: {}",
        counts.uploaded,
        counts.waiting,
        counts.dropped.number,
        counts.dropped.time.as_secs_f64(),
        counts.bytes >> 10,
        if counts.not_now { ", the service wants nothing yet" } else { "" },
        counts.last_error.as_deref().unwrap_or("none"),
    )
}

/// The line about the spool; `None` if it is empty and works.
fn spool_line(spool: &spool::Stats) -> Option<String> {
    let spool::Stats { bytes, limit, segments, healthy } = *spool;
    let trouble = if healthy { "" } else { "; its disk fails" };
    (segments > 0 || !healthy).then(|| {
        let free = limit.saturating_sub(bytes);
        format!("spool: {segments} segments, {} KiB, {} KiB free{trouble}", bytes >> 10, free >> 10)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Status;
    use crate::record::ledger::{Dropped, RecordingStats};

    fn channel() -> ChannelView {
        ChannelView {
            status: Status::default(),
            main: StreamStats::default(),
            sub: StreamStats::default(),
            publish: PublishStats::default(),
            recordings: Vec::new(),
        }
    }

    #[test]
    fn a_stream_is_told_of_when_it_had_frames_since_the_last_line() {
        let mut seen = [0; 2];
        let sub = StreamStats { frames: 25, bitrate: 512_000, ..StreamStats::default() };
        let channel = ChannelView { sub, ..channel() };
        let lines = channel_lines(&channel, &mut seen);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("sub: 512 kbit/s, "), "{lines:?}");
        assert!(channel_lines(&channel, &mut seen).is_empty(), "none came since");
    }

    #[test]
    fn a_publish_is_told_of_while_the_server_takes_it() {
        let mut publish =
            PublishStats { frames: 100, gaps: 2, dropped_frames: 7, ..PublishStats::default() };
        let lines = |publish| channel_lines(&ChannelView { publish, ..channel() }, &mut [0; 2]);
        assert!(lines(publish).is_empty());
        publish.accepted = true;
        assert_eq!(lines(publish), ["publish: 100 frames, 2 gaps of 7"]);
    }

    #[test]
    fn a_recording_is_told_of_until_its_uploads_have_ended() {
        let counts = RecordingStats {
            waiting: 3,
            bytes: 5 << 20,
            uploaded: 40,
            dropped: Dropped { number: 2, time: Duration::from_millis(20_500) },
            not_now: true,
            last_error: Some("503".into()),
        };
        let status =
            |ended| RecordingStatus { session_id: "r".into(), ended, counts: counts.clone() };
        let channel = ChannelView { recordings: vec![status(true), status(false)], ..channel() };
        assert_eq!(
            channel_lines(&channel, &mut [0; 2]),
            [
                "recording \"r\": 40 segments uploaded, 3 waiting, 2 lost (20.5 s), 5120 KiB in memory, \
              the service wants nothing yet, last error: 503"
            ]
        );
    }

    #[test]
    fn a_spool_is_told_of_when_it_holds_something_or_fails() {
        let empty = spool::Stats { bytes: 0, limit: 8 << 20, segments: 0, healthy: true };
        assert_eq!(spool_line(&empty), None);
        let filling = spool::Stats { bytes: 3 << 20, segments: 5, ..empty };
        let told = "spool: 5 segments, 3072 KiB, 5120 KiB free";
        assert_eq!(spool_line(&filling).as_deref(), Some(told));
        let failing = spool::Stats { healthy: false, ..empty };
        assert!(spool_line(&failing).unwrap().ends_with("; its disk fails"));
    }
}
