//! Recordings, from StartCloudRecord to the service's confirmation, over loopback.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

mod deployed;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::Keepalive;
use ivt_sim::cloud::{
    CloudOptions, Faults, RecordFault, RecordFaults, RecordingInfo, SegmentState, StepFault,
};
use ivt_tests::front::Front;
use ivt_tests::recording::assert_gapless;
use ivt_tests::{Plan, Stage, camera, closed_port, fixture, soon, until};
use serde_json::{Value, json};

/// The parameters of `StartCloudRecord`, with segments of a second.
fn order(stage: &Stage, channel: u32, session: &str) -> Value {
    json!({
        "session_id": session, "channel": channel, "quality": "hd", "max_bitrate": 0,
        "seg_duration": 1, "seg_max_size": 1 << 20, "seg_max_count": 5,
        "prerecord_seconds": 0, "start_ts": 0, "cbk_url": stage.cloud.record_url(session).as_str(),
    })
}

async fn record(stage: &Stage, session: &str) -> Result<Value, RpcError> {
    stage.call("StartCloudRecord", order(stage, 0, session)).await
}

async fn stop(stage: &Stage, session: &str) {
    let params = json!({ "session_id": session, "channel": 0 });
    stage.call("StopCloudRecord", params).await.unwrap();
}

/// Waits until `count` segments of the session are stored.
async fn stored(stage: &Stage, session: &str, count: usize) -> RecordingInfo {
    let recording = stage.cloud.recording(session);
    soon("segments are stored", recording.wait_segments(count)).await
}

/// Waits until the session is over: its last segment is confirmed.
async fn saved(stage: &Stage, session: &str) -> RecordingInfo {
    let recording = stage.cloud.recording(session);
    let all_confirmed = |info: &RecordingInfo| {
        let mut live = info.segments.iter().filter(|s| s.state != SegmentState::Failed).peekable();
        live.peek().is_some() && live.all(|s| s.state == SegmentState::Confirmed)
    };
    soon("the last segment is confirmed", recording.wait_for(all_confirmed)).await
}

fn records(keepalive: &Keepalive, session: Option<&str>) -> bool {
    keepalive.channels[0].record_session.as_deref().filter(|s| !s.is_empty()) == session
}

/// Fails unless every segment is there once, begins where the one before ended, and breaks no rule.
fn flawless(info: &RecordingInfo) {
    assert_gapless(info);
    for segment in info.stored().skip(1) {
        assert_eq!(segment.discontinue, Some(false), "{}", segment.name);
    }
}

fn unix_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64
}

fn none() -> RecordFaults {
    RecordFaults::default()
}

fn with_faults(record: RecordFaults) -> Plan {
    let faults = Faults { record, ..Faults::default() };
    Plan { cloud: CloudOptions { faults, ..CloudOptions::default() }, ..Plan::default() }
}

#[tokio::test]
async fn a_recording_is_cut_uploaded_and_confirmed_from_start_to_stop() {
    let stage = Plan::default().start().await;
    record(&stage, "r").await.unwrap();
    stage.keepalive(|k| records(k, Some("r"))).await;
    stored(&stage, "r", 4).await;
    stop(&stage, "r").await;
    let info = saved(&stage, "r").await;
    flawless(&info);
    assert_eq!(info.calls.save, 1);
    for segment in info.stored() {
        let file = stage.cloud.object(&segment.name).unwrap();
        assert_eq!(file.len() as u64, segment.size);
        assert!(file.len() % 188 == 0 && file.chunks(188).all(|packet| packet[0] == 0x47));
    }
    stage.keepalive(|k| records(k, None)).await;
}

#[tokio::test]
async fn every_codec_is_recorded() {
    let clips = ["h264_bframes.flv", "hevc.flv", "pcma.flv"];
    let works = async |clip: &&str| {
        let stage = Plan { cameras: vec![camera(fixture(clip))], ..Plan::default() }.start().await;
        record(&stage, "r").await.unwrap();
        stored(&stage, "r", 2).await;
        stop(&stage, "r").await;
        flawless(&saved(&stage, "r").await);
    };
    join_all(clips.iter().map(works)).await;
}

#[tokio::test]
async fn what_cannot_be_recorded_has_its_code() {
    let stage = Plan::default().start().await;
    let with = |field: &str, value: Value| {
        let mut params = order(&stage, 0, "r");
        params[field] = value;
        params
    };
    let gigabytes = |count: u32| {
        let mut params = with("seg_max_size", json!(1u64 << 30));
        params["seg_max_count"] = json!(count);
        params
    };
    for (params, code, word) in [
        (order(&stage, 1, "r"), 102, "no channel 1"),
        (with("max_bitrate", json!(1000)), 11, "1000"),
        (with("seg_duration", json!(0)), 1, "seg_duration"),
        (with("seg_duration", json!(100_000_000)), 1, "seg_duration"),
        (with("seg_max_size", json!(0)), 1, "seg_max_size"),
        (gigabytes(4), 1, "memory"),
        (gigabytes(u32::MAX), 1, "memory"),
        (with("cbk_url", json!(format!("http://h/{}", "a".repeat(10_000)))), 1, "cbk_url"),
        (with("cbk_url", json!("ftp://h/a")), 1, "cbk_url"),
        (with("session_id", json!("")), 1, "session_id"),
        (with("session_id", json!("a\nb")), 1, "session_id"),
        (with("quality", json!("uhd")), 1, "quality"),
    ] {
        let error = stage.call("StartCloudRecord", params.clone()).await.unwrap_err();
        assert!(error.code == code && error.msg.contains(word), "{params}: {error}");
    }
    stage.keepalive(|k| records(k, None)).await;

    record(&stage, "good").await.unwrap();
    flawless(&stored(&stage, "good", 2).await);
}

#[tokio::test]
async fn a_camera_that_is_away_is_103() {
    let (address, _kept) = closed_port();
    let plan = Plan::default();
    let cloud = ivt_sim::cloud::CloudSim::start(plan.cloud.clone()).await.unwrap();
    let text = format!(
        "[cloud]\nurl = '{}'\nlogin_code = '{}'\nlogin_passwd = 'p'\n\
         [[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://{address}/main'",
        cloud.device_url(),
        ivt_tests::DEVICE,
    );
    let agent = ivt_tests::hasty(&text.parse().unwrap());
    let stage = Stage { cloud, cameras: Vec::new(), agent };
    soon("the agent logs in", stage.device().wait_online()).await;
    let error = record(&stage, "r").await.unwrap_err();
    assert_eq!(error.code, 103, "{error}");
}

#[tokio::test]
async fn the_same_session_again_changes_nothing_and_stop_is_idempotent() {
    let stage = Plan::default().start().await;
    stop(&stage, "never").await;
    record(&stage, "r").await.unwrap();
    stored(&stage, "r", 1).await;
    record(&stage, "r").await.unwrap();
    stop(&stage, "other").await;
    stored(&stage, "r", 3).await;
    stop(&stage, "r").await;
    stop(&stage, "r").await;
    flawless(&saved(&stage, "r").await);
}

#[tokio::test]
async fn a_new_session_takes_over_and_the_old_one_is_uploaded_to_its_own_address() {
    let stage = Plan::default().start().await;
    record(&stage, "old").await.unwrap();
    stored(&stage, "old", 2).await;
    record(&stage, "new").await.unwrap();
    stage.keepalive(|k| records(k, Some("new"))).await;
    flawless(&saved(&stage, "old").await);
    flawless(&stored(&stage, "new", 2).await);
}

#[tokio::test]
async fn a_session_that_is_stopped_and_goes_on_stays_in_order() {
    let put = StepFault::always(RecordFault::Status(503));
    let stage = with_faults(RecordFaults { put, ..none() }).start().await;
    let recording = stage.cloud.recording("r");
    for _ in 0..3 {
        record(&stage, "r").await.unwrap();
        let before = recording.info().calls.put;
        soon("it is tried", recording.wait_for(|info| info.calls.put > before + 5)).await;
        stop(&stage, "r").await;
    }
    stage.cloud.set_faults(Faults::default());
    let info = soon("each is saved", recording.wait_for(|info| info.calls.save == 3)).await;
    assert!(info.violations.is_empty() && info.drops.is_empty(), "{info:?}");
    let stored: Vec<_> = info.stored().collect();
    assert!(stored.windows(2).all(|p| p[0].start_us < p[1].start_us + 100_000), "{info:?}");
    let resumed = stored.iter().filter(|s| s.discontinue == Some(true)).count();
    assert_eq!(resumed, 3, "{info:?}");
}

#[tokio::test]
async fn recordings_have_what_the_memory_limit_leaves_and_no_more() {
    let settings = "[runtime]\nmemory_limit = 20971520".into();
    let stage = Plan { settings, ..Plan::default() }.start().await;
    let mut params = order(&stage, 0, "r");
    params["seg_max_count"] = json!(8);
    let refused = stage.call("StartCloudRecord", params).await.unwrap_err();
    assert!(refused.code == 1 && refused.msg.contains("raise memory_limit"), "{refused}");
    record(&stage, "r").await.unwrap();
    flawless(&stored(&stage, "r", 2).await);
}

#[tokio::test]
async fn a_refused_session_leaves_the_running_one_alone() {
    let stage = Plan::default().start().await;
    record(&stage, "old").await.unwrap();
    let mut greedy = order(&stage, 0, "new");
    greedy["seg_max_count"] = json!(1_000_000);
    assert_eq!(stage.call("StartCloudRecord", greedy).await.unwrap_err().code, 1);
    stage.keepalive(|k| records(k, Some("old"))).await;
    flawless(&stored(&stage, "old", 3).await);
}

#[tokio::test]
async fn the_cloud_dates_the_first_segment() {
    let stage = Plan::default().start().await;
    let mut params = order(&stage, 0, "r");
    params["start_ts"] = json!(1_700_000_000);
    stage.call("StartCloudRecord", params).await.unwrap();
    let info = stored(&stage, "r", 3).await;
    assert_eq!(info.segments[0].start_us, 1_700_000_000_000_000);
    flawless(&info);
}

#[tokio::test]
async fn what_was_before_the_first_address_is_delivered_without_a_gap() {
    let stage = with_faults(RecordFaults { not_now: true, ..none() }).start().await;
    let mut params = order(&stage, 0, "r");
    params["prerecord_seconds"] = json!(3);
    stage.call("StartCloudRecord", params).await.unwrap();
    let recording = stage.cloud.recording("r");
    soon("it asks again and again", recording.wait_for(|info| info.calls.not_now >= 6)).await;
    let mut info = recording.info();
    assert!(info.segments.is_empty());

    stage.cloud.set_faults(Faults::default());
    info = stored(&stage, "r", 6).await;
    flawless(&info);
    let first = &info.segments[0];
    let before = unix_micros() - first.created_at.elapsed().as_micros() as i64 - first.start_us;
    assert!((3_000_000..9_000_000).contains(&before), "began {before} µs before the address");
}

#[tokio::test]
async fn a_ring_that_runs_lets_a_recording_begin_in_the_past() {
    let channel_settings = "always_on = ['main']\nring_bytes = 8388608".into();
    let settings = "[runtime]\nmemory_limit = 67108864".into();
    let stage = Plan { settings, channel_settings, ..Plan::default() }.start().await;
    let held = || {
        let stats = stage.agent.view().channel(0).unwrap().main;
        stats.duration > Duration::from_secs(6)
    };
    until("the ring holds six seconds", held).await;
    let now = unix_micros();
    let mut params = order(&stage, 0, "r");
    params["prerecord_seconds"] = json!(4);
    stage.call("StartCloudRecord", params).await.unwrap();
    let info = stored(&stage, "r", 5).await;
    flawless(&info);
    let before = now - info.segments[0].start_us;
    assert!((3_800_000..7_000_000).contains(&before), "began {before} µs before it was asked for");
}

#[tokio::test]
async fn a_service_that_fails_for_a_while_loses_and_doubles_nothing() {
    let survives = async |record: RecordFaults| {
        let what = format!("{record:?}");
        let stage = with_faults(record).start().await;
        self::record(&stage, "r").await.unwrap();
        stored(&stage, "r", 5).await;
        stop(&stage, "r").await;
        let info = saved(&stage, "r").await;
        assert!(info.violations.is_empty() && info.drops.is_empty(), "{what}: {info:?}");
        let stored: Vec<_> = info.stored().collect();
        let apart = |pair: &[&ivt_sim::cloud::SegmentInfo]| pair[1].start_us - pair[0].end_us();
        assert!(stored.windows(2).all(|pair| apart(pair).abs() < 40_000), "{what}: {info:?}");
    };
    let twice = |fault| StepFault::times(2, fault);
    join_all([
        survives(RecordFaults { create: twice(RecordFault::Status(503)), ..none() }),
        survives(RecordFaults { create: twice(RecordFault::NotJson), ..none() }),
        survives(RecordFaults { create: twice(RecordFault::Reset), ..none() }),
        survives(RecordFaults { create: twice(RecordFault::Huge), ..none() }),
        survives(RecordFaults { put: twice(RecordFault::Status(500)), ..none() }),
        survives(RecordFaults { put: twice(RecordFault::Reset), ..none() }),
        survives(RecordFaults { put: StepFault::times(1, RecordFault::Status(403)), ..none() }),
        survives(RecordFaults { put: StepFault::times(1, RecordFault::LoseAnswer), ..none() }),
        survives(RecordFaults { stat: twice(RecordFault::Status(404)), ..none() }),
    ])
    .await;
}

#[tokio::test]
async fn what_waits_in_memory_and_spool_during_an_outage_can_be_seen() {
    let spool = tempfile::tempdir().unwrap();
    let settings = format!("[record]\nspool_dir = '{}'", spool.path().display());
    let stage = Plan { settings, ..Plan::default() }.start().await;
    let view = stage.agent.view();
    until("the spool is open", || view.device().spool.is_some()).await;
    let spool = || view.device().spool.unwrap();
    assert!(spool().bytes == 0 && spool().segments == 0 && spool().healthy, "{:?}", spool());
    let mut params = order(&stage, 0, "r");
    params["seg_max_count"] = json!(3);
    stage.call("StartCloudRecord", params).await.unwrap();
    stored(&stage, "r", 1).await;

    let put = StepFault::always(RecordFault::Status(503));
    stage.cloud.set_faults(Faults { record: RecordFaults { put, ..none() }, ..Faults::default() });
    let recording = || {
        let recordings = view.channel(0).unwrap().recordings;
        assert_eq!(recordings.len(), 1, "{recordings:?}");
        recordings.into_iter().next().unwrap()
    };
    // More than memory may hold.
    until("the spool takes segments", || spool().segments >= 2).await;
    let (held, seen) = (spool(), recording());
    assert!(held.bytes > 0 && held.bytes < held.limit && held.healthy, "{held:?}");
    assert!(seen.session_id == "r" && !seen.ended, "{seen:?}");
    assert!(seen.counts.waiting > held.segments && seen.counts.bytes > 0, "{seen:?}");
    assert_eq!(seen.counts.dropped.number, 0, "{seen:?}");
    until("the failure is told", || recording().counts.last_error.is_some()).await;

    stage.cloud.set_faults(Faults::default());
    until("the spool is empty", || spool().segments == 0).await;
    stop(&stage, "r").await;
    until("all is uploaded", || recording().ended).await;
    let (info, counts) = (saved(&stage, "r").await, recording().counts);
    assert!(info.violations.is_empty() && info.drops.is_empty(), "{info:?}");
    assert_eq!((counts.waiting, counts.dropped.number), (0, 0), "{counts:?}");
    assert_eq!(counts.uploaded, info.stored().count() as u64, "{counts:?}");
    assert_eq!(counts.last_error, None);
}

#[tokio::test]
async fn a_segment_that_is_refused_for_good_is_dropped_and_told() {
    let stage = Plan::default().start().await;
    record(&stage, "r").await.unwrap();
    stored(&stage, "r", 1).await;
    let put = StepFault::times(2, RecordFault::Status(403));
    stage.cloud.set_faults(Faults { record: RecordFaults { put, ..none() }, ..Faults::default() });
    let recording = stage.cloud.recording("r");
    let told = |info: &RecordingInfo| !info.drops.is_empty() && info.stored().count() >= 3;
    let info = soon("the drop is reported", recording.wait_for(told)).await;
    assert_eq!(info.drops.iter().map(|drop| drop.dropped).sum::<u64>(), 1);
    assert!(info.violations.is_empty(), "{:?}", info.violations);
    let marked: Vec<_> = info.stored().skip(1).filter(|s| s.discontinue == Some(true)).collect();
    assert_eq!(marked.len(), 1, "behind what is missing: {info:?}");
}

#[tokio::test]
async fn a_recording_outlives_the_connection_to_the_cloud() {
    let stage = Plan::default().start().await;
    record(&stage, "r").await.unwrap();
    stored(&stage, "r", 2).await;
    stage.device().hang_up().await.unwrap();
    let seen = stage.cloud.recording("r").info().stored().count();
    flawless(&stored(&stage, "r", seen + 3).await);
    soon("the agent logs in again", stage.device().wait_online()).await;
    stage.keepalive(|k| records(k, Some("r"))).await;
}

#[tokio::test]
async fn a_recording_ends_when_the_cloud_stays_away() {
    let settings = "[record]\ndisconnect_seconds = 2".into();
    let stage = Plan { settings, ..Plan::default() }.start().await;
    record(&stage, "r").await.unwrap();
    stored(&stage, "r", 1).await;
    let mut faults = stage.cloud.faults();
    faults.link.refuse_login = Some(503);
    stage.cloud.set_faults(faults);
    stage.device().hang_up().await.unwrap();
    let ended = || stage.agent.view().channels()[0].status.recording.is_none();
    until("the recording ends", ended).await;
    flawless(&saved(&stage, "r").await);
}

#[tokio::test]
async fn a_stream_that_is_published_and_recorded_is_pulled_once() {
    let stage = Plan::default().start().await;
    stage.publish(0, "s").await.unwrap();
    record(&stage, "r").await.unwrap();
    stored(&stage, "r", 2).await;
    soon("frames", stage.cloud.stream("s").wait_frames(60)).await;
    assert_eq!(stage.cameras[0].counters().total().plays, 1);
}

#[tokio::test]
async fn a_dead_service_disturbs_no_other_session_and_no_live_stream() {
    let cameras = vec![camera(ClipOpener::built_in(BuiltIn::Main)); 2];
    let stage = Plan { cameras, ..Plan::default() }.start().await;
    let (address, _kept) = closed_port();
    let mut dead = order(&stage, 0, "dead");
    dead["cbk_url"] = json!(format!("http://{address}/cb"));
    stage.call("StartCloudRecord", dead).await.unwrap();
    stage.call("StartCloudRecord", order(&stage, 1, "good")).await.unwrap();
    stage.publish(0, "s").await.unwrap();
    flawless(&stored(&stage, "good", 8).await);
    let info = soon("frames", stage.cloud.stream("s").wait_frames(100)).await;
    assert_eq!((info.dts_violations, info.malformed), (0, 0), "{info:?}");
}

#[tokio::test]
async fn segments_travel_over_https_to_a_pinned_authority() {
    let cloud = ivt_sim::cloud::CloudSim::start(CloudOptions::default()).await.unwrap();
    let front = Front::tls(cloud.http_addr()).await;
    let base = format!("https://localhost:{}", front.addr().port());
    cloud.set_public_base(&base.parse().unwrap());
    let cam = ivt_sim::camera::CameraSim::start(Plan::default().cameras.remove(0)).await.unwrap();
    let settings = format!("ca_file = '{}'", front.authority());
    let plan = Plan { settings, ..Plan::default() };
    let config = plan.config_of(&cloud.device_url(), std::slice::from_ref(&cam));
    let stage = Stage { agent: ivt_tests::hasty(&config), cloud, cameras: vec![cam] };
    soon("the agent logs in", stage.device().wait_online()).await;
    assert!(stage.cloud.record_url("r").as_str().starts_with(&base));
    record(&stage, "r").await.unwrap();
    stored(&stage, "r", 2).await;
    stop(&stage, "r").await;
    flawless(&saved(&stage, "r").await);
}
