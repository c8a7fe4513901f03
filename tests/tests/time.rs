//! SyncTime, through every backend, and what it must not disturb.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::time::SystemTime;

use futures::future::join_all;
use ivt_agent::build_date::BUILT;
use ivt_agent::dispatch::EventCounts;
use ivt_hal::WallTime;
use ivt_tests::recording::assert_gapless;
use ivt_tests::{soon, until};
use serde_json::json;

use crate::methods::backends::{Backend, Rig};

const HOUR: u64 = 3600;

/// A year after the build, so that a day before is after the build, too.
fn now() -> u64 {
    BUILT + 365 * 24 * HOUR
}

fn wall(seconds: u64) -> WallTime {
    WallTime::from_seconds(seconds).unwrap()
}

/// Tells the agent a time, waits until it has counted what became of that, and returns the counts.
async fn told(rig: &Rig, time: WallTime, offset: u64) -> EventCounts {
    let counts = || rig.stage.agent.view().device().events;
    let sum = |c: EventCounts| c.served + c.unsupported + c.failed;
    let before = sum(counts());
    let params = json!({ "datetime": time.to_string(), "offset": offset });
    rig.stage.device().notify("SyncTime", Some(params)).await.unwrap();
    until("SyncTime is counted", || sum(counts()) > before).await;
    counts()
}

/// How far the camera's clock is behind or before a time, in seconds.
fn off(rig: &Rig, from: u64) -> u64 {
    rig.world.clock().unwrap().seconds().unwrap().abs_diff(from)
}

/// The camera of a rig has a clock that this project knows to set.
fn has_clock(rig: &Rig) -> bool {
    rig.stage.agent.camera(0).unwrap().clock.is_some()
}

#[tokio::test]
async fn each_camera_is_set_when_it_is_off_by_more_than_the_offset() {
    join_all(Backend::ALL.map(async |backend| {
        let rig = backend.start().await;
        if !has_clock(&rig) {
            assert_eq!(told(&rig, wall(now()), 5).await.unsupported, 1, "{}", backend.name);
            return;
        }
        rig.world.set_clock(wall(now())).unwrap();
        let counts = told(&rig, wall(now() + 2 * HOUR), 5).await;
        assert_eq!((counts.served, counts.failed), (1, 0), "{}", backend.name);
        assert!(off(&rig, now() + 2 * HOUR) < 60, "{}: {:?}", backend.name, rig.world.clock());
        // Within the offset it stays as it is.
        told(&rig, wall(now() + 3 * HOUR), 2 * HOUR).await;
        assert!(off(&rig, now() + 2 * HOUR) < 120, "{}: {:?}", backend.name, rig.world.clock());
        for far in [now() + 40 * HOUR, now() - 40 * HOUR, BUILT - 48 * HOUR, 0] {
            let failed = told(&rig, wall(far), 5).await.failed;
            assert!(failed > 0 && off(&rig, now() + 2 * HOUR) < 180, "{}: {far}", backend.name);
        }
        // A camera that forgot the time takes any that can be right.
        rig.world.set_clock(wall(100)).unwrap();
        told(&rig, wall(now() + 40 * HOUR), 5).await;
        assert!(off(&rig, now() + 40 * HOUR) < 60, "{}: {:?}", backend.name, rig.world.clock());
        assert_eq!(rig.stage.device().logins(), 1, "{}", backend.name);
    }))
    .await;
}

#[tokio::test]
async fn any_step_is_taken_where_the_configuration_says_so() {
    let rig = Backend::ALL[0].start_beside("[device]\nclock_steps = 'any'\n").await;
    rig.world.set_clock(wall(now())).unwrap();
    for far in [now() + 400 * HOUR, 1_000_000_000] {
        told(&rig, wall(far), 5).await;
        assert!(off(&rig, far) < 60, "{:?}", rig.world.clock());
    }
    assert_eq!(rig.stage.agent.view().device().events.served, 2);
}

#[tokio::test]
async fn params_that_are_no_time_reach_no_camera() {
    let rig = Backend::ALL[0].start().await;
    rig.world.set_clock(wall(now())).unwrap();
    let bad = [
        json!({ "datetime": "2026-02-30T00:00:00", "offset": 5 }),
        json!({ "datetime": "2026-02-03 00:00:00", "offset": 5 }),
        json!({ "datetime": "2026-02-03T24:00:00", "offset": 5 }),
        json!({ "datetime": "2026-02-03T00:00:00Z", "offset": 5 }),
        json!({ "datetime": wall(now() + HOUR).to_string(), "offset": -1 }),
        json!({ "datetime": wall(now() + HOUR).to_string() }),
        json!({ "datetime": 1_795_265_611, "offset": 5 }),
        json!([]),
    ];
    for params in &bad {
        rig.stage.device().notify("SyncTime", Some(params.clone())).await.unwrap();
    }
    let all = bad.len() as u64;
    until("all are counted", || rig.stage.agent.view().device().events.failed == all).await;
    assert!(off(&rig, now()) < 60);
    // The largest offset keeps every clock as it is.
    assert_eq!(told(&rig, wall(now() + HOUR), u64::MAX).await.served, 1);
    assert!(off(&rig, now()) < 60);
}

#[tokio::test]
async fn a_recording_goes_on_over_a_step_of_the_cameras_clock() {
    let of = |name| Backend::ALL.into_iter().find(|backend| backend.name == name).unwrap();
    join_all(["emulator", "cgi, uapi"].map(of).map(async |backend| {
        let rig = backend.start().await;
        rig.world.set_clock(wall(now())).unwrap();
        let session = "step";
        let params = json!({
            "session_id": session, "channel": 0, "quality": "hd", "max_bitrate": 0,
            "seg_duration": 1, "seg_max_size": 1 << 20, "seg_max_count": 5, "prerecord_seconds": 0,
            "start_ts": 0, "cbk_url": rig.stage.cloud.record_url(session).as_str(),
        });
        rig.stage.call("StartCloudRecord", params).await.unwrap();
        let recording = rig.stage.cloud.recording(session);
        let began = SystemTime::now();
        for (count, hours) in [(2, 20), (4, 1), (6, 24)] {
            soon("segments before the step", recording.wait_segments(count)).await;
            let time = wall(now() + hours * HOUR);
            if has_clock(&rig) {
                told(&rig, time, 0).await;
                assert!(off(&rig, now() + hours * HOUR) < 60, "{}", backend.name);
            } else {
                rig.world.set_clock(time).unwrap();
            }
        }
        let info = soon("segments after the steps", recording.wait_segments(8)).await;
        assert_gapless(&info);
        let took = i64::try_from(began.elapsed().unwrap().as_micros()).unwrap();
        let stored: Vec<_> = info.stored().collect();
        let length = stored.last().unwrap().end_us() - stored[0].start_us;
        assert!(length < took + 10_000_000, "{length} us in {took} us");
        for segment in &stored {
            let seconds = segment.duration_us / 1_000_000;
            assert!((0..10).contains(&seconds), "{}: {seconds} s", segment.name);
        }
    }))
    .await;
}
