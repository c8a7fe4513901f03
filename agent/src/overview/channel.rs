//! The hops of a channel: its camera, the camera's streams, and what they are used for.

use std::time::Duration;

use ivt_media::pull::PullState;
use ivt_media::source::SourceError;
use serde_json::json;
use tokio::time::Instant;

use super::hop::Hop;
use super::state::State;
use crate::channel::Reachability;
use crate::view::ChannelView;

/// How long a loss of segments stays worth a look.
const LOSS: Duration = Duration::from_secs(3600);
/// How long a server that was too slow for a live stream stays worth a look, and how long uploads may fail before they
/// are.
const LATELY: Duration = Duration::from_secs(60);

/// What is known of a channel.
pub(super) struct Facts {
    pub(super) view: ChannelView,
    /// The states of the main and of the sub stream.
    pub(super) pulls: [PullState; 2],
    /// What the camera said when it was asked; `None` where it has nothing that can be asked.
    pub(super) control: Option<Asked>,
    /// Whether the configuration has the stream published for ever.
    pub(super) is_pushed: bool,
    /// Names of the alarms that are reported; `None` where the camera raises none.
    pub(super) alarms: Option<Vec<&'static str>>,
    pub(super) lately: Lately,
}

/// When some counts grew last; `None` if they did not since the start.
#[derive(Clone, Copy, Default)]
pub(super) struct Lately {
    pub(super) gap: Option<Instant>,
    pub(super) upload: Option<Instant>,
    pub(super) loss: Option<Instant>,
}

/// The last question to a camera.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Asked {
    /// It was not asked yet.
    #[default]
    Never,
    /// It answered.
    Answered,
    /// It did not do what it was asked: the reason's name, and its own words.
    Failed(&'static str, String),
}

/// The hops of a channel at a moment. `date` makes dates of moments.
pub(super) fn hops(
    number: usize,
    facts: &Facts,
    now: Instant,
    date: &dyn Fn(Instant) -> String,
) -> Vec<Hop> {
    let (camera, rtsp) = (camera(facts), rtsp(facts));
    let live = live(facts, &rtsp, now);
    let recording = recording(facts, &rtsp, now, date);
    let alarms = alarms(facts, &camera);
    let hops = [camera, rtsp, live, recording, alarms];
    hops.into_iter().map(|hop| hop.of_channel(number)).collect()
}

fn camera(facts: &Facts) -> Hop {
    const NAME: &str = "camera";
    match &facts.control {
        None => Hop::because(NAME, "no_control"),
        Some(Asked::Never) => Hop::because(NAME, "not_asked"),
        Some(Asked::Answered) => Hop::ok(NAME),
        Some(Asked::Failed(reason, said)) => Hop::because(NAME, reason).said(said),
    }
}

fn rtsp(facts: &Facts) -> Hop {
    const NAME: &str = "rtsp";
    let ChannelView { main, sub, status, .. } = &facts.view;
    let failed = facts.pulls.iter().find_map(|pull| match pull {
        PullState::Failed(error) => Some(error),
        _ => None,
    });
    let is = |wanted: &PullState| {
        facts
            .pulls
            .iter()
            .any(|pull| std::mem::discriminant(pull) == std::mem::discriminant(wanted))
    };
    let hop = match failed {
        Some(error) => Hop::because(NAME, stream(error)).said(&error.to_string()),
        None if is(&PullState::Live) => Hop::ok(NAME),
        None if is(&PullState::Opening) => Hop::because(NAME, "opening"),
        // Nobody reads a stream: the camera is asked now and then.
        None => match status.reachability {
            // Whether it takes the login shows when somebody watches; how that ended last is told.
            Reachability::Reachable => {
                let error = main.last_error.as_deref().or(sub.last_error.as_deref());
                Hop::because(NAME, "stream_idle").said(error.unwrap_or_default())
            }
            Reachability::Unreachable => Hop::because(NAME, "stream_unreachable"),
            Reachability::Unknown => Hop::because(NAME, "not_asked"),
        },
    };
    let streams = [("main", main, &facts.pulls[0]), ("sub", sub, &facts.pulls[1])];
    streams.into_iter().fold(hop, |hop, (name, stats, pull)| {
        let running = json!({
            "bitrate": stats.bitrate,
            "fps": (stats.fps * 10.0).round() / 10.0,
            "packets_lost": stats.packets_lost,
            "reconnects": stats.reconnects,
        });
        hop.with(name, (!matches!(pull, PullState::Idle)).then_some(running))
    })
}

fn stream(error: &SourceError) -> &'static str {
    match error {
        SourceError::Unreachable { .. } => "stream_unreachable",
        SourceError::Unauthorized { .. } => "stream_login",
        SourceError::Protocol { .. } => "stream_protocol",
        SourceError::Silent { .. } => "stream_silent",
        SourceError::Unsupported { .. } => "stream_codec",
    }
}

fn live(facts: &Facts, rtsp: &Hop, now: Instant) -> Hop {
    const NAME: &str = "live";
    let publish = &facts.view.publish;
    let is_slow = facts.lately.gap.is_some_and(|gap| now < gap + LATELY);
    let hop = match &facts.view.status.live {
        Some(_) if rtsp.state == State::Bad => Hop::behind(NAME, rtsp.name),
        Some(_) if is_slow => Hop::because(NAME, "live_slow"),
        Some(_) => Hop::ok(NAME),
        None if !facts.is_pushed => return Hop::because(NAME, "live_off"),
        None if rtsp.state == State::Bad => Hop::behind(NAME, rtsp.name),
        None => Hop::because(NAME, "push_lost"),
    };
    hop.with("frames", publish.frames)
        .with("gaps", publish.gaps)
        .with("dropped_frames", publish.dropped_frames)
}

fn recording(facts: &Facts, rtsp: &Hop, now: Instant, date: &dyn Fn(Instant) -> String) -> Hop {
    const NAME: &str = "recording";
    let sessions = &facts.view.recordings;
    let recent = |moment: Option<Instant>, span| moment.is_some_and(|moment| now < moment + span);
    let error = sessions.iter().find_map(|session| session.counts.last_error.as_deref());
    let waiting: usize = sessions.iter().map(|session| session.counts.waiting).sum();
    let is_recording = facts.view.status.recording.is_some();
    let hop = if recent(facts.lately.loss, LOSS) {
        Hop::because(NAME, "segments_lost").said(error.unwrap_or_default())
    } else if !is_recording && sessions.iter().all(|session| session.ended) {
        Hop::because(NAME, "not_recording")
    } else if is_recording && rtsp.state == State::Bad {
        Hop::behind(NAME, rtsp.name)
    } else if let Some(error) = error
        && waiting > 0
        && !recent(facts.lately.upload, LATELY)
    {
        Hop::because(NAME, "uploads_fail").said(error)
    } else {
        Hop::ok(NAME)
    };
    let sum = |count: fn(&crate::record::ledger::RecordingStats) -> u64| -> u64 {
        sessions.iter().map(|session| count(&session.counts)).sum()
    };
    hop.with("waiting", waiting)
        .with("uploaded", sum(|counts| counts.uploaded))
        .with("dropped", sum(|counts| counts.dropped.number))
        .with("dropped_seconds", sum(|counts| counts.dropped.time.as_secs()))
        .with("memory_bytes", sum(|counts| counts.bytes))
        .with("last_upload", facts.lately.upload.map(date))
}

fn alarms(facts: &Facts, camera: &Hop) -> Hop {
    const NAME: &str = "alarms";
    let Some(enabled) = &facts.alarms else { return Hop::because(NAME, "alarms_cannot") };
    let hop = match camera.state {
        _ if enabled.is_empty() => Hop::because(NAME, "alarms_off"),
        State::Bad => Hop::behind(NAME, camera.name),
        _ => Hop::ok(NAME),
    };
    hop.with("enabled", enabled.as_slice()).with("is_raised", facts.view.status.alarm != 0)
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
