//! Each fault of a channel shows at its hop.

use super::super::state::State::{self, Bad, Off, Ok, Unknown, Warn};
use super::*;
use crate::channel::{RecordingStatus, Status};
use crate::record::ledger::{Dropped, RecordingStats};

const NAMES: [&str; 5] = ["camera", "rtsp", "live", "recording", "alarms"];

/// A camera that answers while nobody watches it.
fn facts() -> Facts {
    let status = Status { reachability: Reachability::Reachable, ..Status::default() };
    let (main, sub, publish, recordings) = Default::default();
    Facts {
        view: ChannelView { status, main, sub, publish, recordings },
        pulls: [PullState::Idle, PullState::Idle],
        control: Some(Asked::Answered),
        is_pushed: false,
        alarms: Some(vec!["external"]),
        lately: Lately::default(),
    }
}

/// One that is watched and recorded.
fn busy() -> Facts {
    let mut busy = facts();
    busy.pulls[0] = PullState::Live;
    busy.view.status.live = Some("live".into());
    busy.view.status.recording = Some("session".into());
    let counts = RecordingStats { waiting: 2, uploaded: 9, ..RecordingStats::default() };
    let session = RecordingStatus { session_id: "session".into(), ended: false, counts };
    busy.view.recordings.push(session);
    busy
}

fn failed(error: SourceError) -> Facts {
    Facts { pulls: [PullState::Failed(error), PullState::Idle], ..busy() }
}

fn shown(facts: &Facts) -> Vec<(State, &'static str)> {
    let hops = hops(3, facts, Instant::now(), &|_| "date".into());
    assert!(hops.iter().all(|hop| hop.channel == Some(3)));
    assert!(hops.iter().map(|hop| hop.name).eq(NAMES));
    hops.into_iter().map(|hop| (hop.state, hop.reason)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_nobody_needs_is_well() {
    let idle = (Ok, "stream_idle");
    let want = [(Ok, ""), idle, (Off, "live_off"), (Off, "not_recording"), (Ok, "")];
    assert_eq!(shown(&facts()), want);
    let plain = Facts { control: None, alarms: None, ..facts() };
    let want = [(Off, "no_control"), idle, (Off, "live_off"), (Off, "not_recording")];
    assert_eq!(shown(&plain)[..4], want);
    assert_eq!(shown(&plain)[4], (Off, "alarms_cannot"));
    assert_eq!(shown(&busy()), [(Ok, ""); 5]);
    let fresh = Facts { control: Some(Asked::Never), alarms: Some(vec![]), ..facts() };
    assert_eq!((shown(&fresh)[0], shown(&fresh)[4]), ((Unknown, "not_asked"), (Off, "alarms_off")));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_is_the_reason_for_what_needs_it() {
    let peer = || "192.0.2.9".to_owned();
    let reason = || "r".to_owned();
    for (error, want) in [
        (SourceError::Unreachable { peer: peer(), reason: reason() }, "stream_unreachable"),
        (SourceError::Unauthorized { peer: peer() }, "stream_login"),
        (SourceError::Protocol { peer: peer(), reason: reason() }, "stream_protocol"),
        (SourceError::Silent { peer: peer(), seconds: 10 }, "stream_silent"),
        (SourceError::Unsupported { peer: peer(), reason: reason() }, "stream_codec"),
    ] {
        let shown = shown(&failed(error));
        let behind = (Unknown, "behind");
        assert_eq!(shown[..4], [(Ok, ""), (Bad, want), behind, behind], "{want}");
    }
    let mut away = facts();
    away.view.status.reachability = Reachability::Unreachable;
    assert_eq!(shown(&away)[1], (Bad, "stream_unreachable"));
    away.view.status.reachability = Reachability::Unknown;
    assert_eq!(shown(&away)[1], (Unknown, "not_asked"));
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_does_not_answer_takes_its_alarms_with_it() {
    let control = Some(Asked::Failed("camera_refused", "HTTP 401".into()));
    let shown = shown(&Facts { control, ..facts() });
    assert_eq!((shown[0], shown[4]), ((Bad, "camera_refused"), (Unknown, "behind")));
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_is_worth_a_look_for_a_minute() {
    let mut slow = busy();
    slow.lately.gap = Some(Instant::now());
    assert_eq!(shown(&slow)[2], (Warn, "live_slow"));
    tokio::time::advance(LATELY).await;
    assert_eq!(shown(&slow)[2], (Ok, ""));
    let pushed = Facts { is_pushed: true, ..facts() };
    assert_eq!(shown(&pushed)[2], (Bad, "push_lost"));
}

#[tokio::test(start_paused = true)]
async fn uploads_that_fail_and_segments_that_are_lost_are_told_of() {
    let mut failing = busy();
    failing.view.recordings[0].counts.last_error = Some("HTTP 500".into());
    assert_eq!(shown(&failing)[3], (Warn, "uploads_fail"));
    failing.lately.upload = Some(Instant::now());
    assert_eq!(shown(&failing)[3], (Ok, ""), "one of them failed, the next one did not");
    failing.lately.loss = Some(Instant::now());
    let dropped = Dropped { number: 1, time: Duration::from_secs(4) };
    failing.view.recordings[0].counts.dropped = dropped;
    assert_eq!(shown(&failing)[3], (Warn, "segments_lost"));
    let hops = hops(0, &failing, Instant::now(), &|_| "date".into());
    let want = json!({
        "waiting": 2, "uploaded": 9, "dropped": 1, "dropped_seconds": 4, "memory_bytes": 0,
        "last_upload": "date",
    });
    assert_eq!(json!(hops[3].facts), want);
    tokio::time::advance(LOSS).await;
    assert_eq!(shown(&failing)[3], (Warn, "uploads_fail"), "the last upload is long ago");
}
