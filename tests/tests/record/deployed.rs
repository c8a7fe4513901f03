//! What deployed recording services, operators and cards do in the middle of a recording.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::*;

/// A stage with a spool in this folder.
async fn spooled(folder: &Path, more: &str) -> Stage {
    let settings = format!("[record]\nspool_dir = '{}'\n{more}", folder.display());
    let stage = Plan { settings, ..Plan::default() }.start().await;
    until("the spool is open", || stage.agent.view().device().spool.is_some()).await;
    stage
}

fn on_card(stage: &Stage) -> usize {
    stage.agent.view().device().spool.unwrap().segments
}

fn fault(stage: &Stage, record: RecordFaults) {
    stage.cloud.set_faults(Faults { record, ..Faults::default() });
}

fn away() -> RecordFaults {
    RecordFaults { put: StepFault::always(RecordFault::Status(503)), ..none() }
}

/// The files of the segments on the card, the oldest first.
fn files(folder: &Path) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let folders = list(folder).into_iter().filter(|path| path.is_dir());
    let mut files: Vec<_> = folders.flat_map(|folder| list(&folder)).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "seg"));
    files.sort();
    files
}

/// The number and seconds of the losses that the service was told of.
fn told(info: &RecordingInfo) -> (u64, f64) {
    let number = info.drops.iter().map(|drop| drop.dropped).sum();
    (number, info.drops.iter().map(|drop| drop.seconds).sum())
}

/// Fails if a moment is there twice.
fn nothing_twice(info: &RecordingInfo) {
    let mut stored: Vec<_> = info.stored().collect();
    stored.sort_by_key(|segment| segment.start_us);
    for pair in stored.windows(2) {
        let overlap = pair[0].end_us() - pair[1].start_us;
        assert!(overlap < 100_000, "{overlap} µs of {} are in {}", pair[0].name, pair[1].name);
    }
}

#[tokio::test]
async fn a_not_now_in_the_middle_is_the_pre_record_state() {
    let paused = async |mode: &str| {
        let card = tempfile::tempdir().unwrap();
        let stage = spooled(card.path(), &format!("spool = '{mode}'")).await;
        let mut params = order(&stage, 0, "r");
        params["prerecord_seconds"] = json!(2);
        params["seg_max_count"] = json!(4);
        stage.call("StartCloudRecord", params).await.unwrap();
        stored(&stage, "r", 3).await;
        fault(&stage, RecordFaults { not_now: true, ..none() });
        let recording = stage.cloud.recording("r");
        let mut most = 0;
        let asked = |info: &RecordingInfo| info.calls.not_now >= 12;
        until("it is asked again and again", || {
            most = most.max(on_card(&stage));
            asked(&recording.info())
        })
        .await;
        let before = recording.info();
        let confirmed = before.stored().all(|s| s.state == SegmentState::Confirmed);
        assert!(confirmed, "{mode}: the question confirms: {before:?}");
        // In "always" the newest are written as they grow, as many as are kept and the next one.
        let kept = if mode == "always" { 5 } else { 0 };
        assert!(most <= kept, "{mode}: {most} segments on the card");

        fault(&stage, none());
        let count = before.stored().count();
        let info = stored(&stage, "r", count + 5).await;
        assert!(info.violations.is_empty() && info.drops.is_empty(), "{mode}: {info:?}");
        let new: Vec<_> = info.stored().skip(count).collect();
        let asked = new[0].created.duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
        let past = (asked - new[0].start_us) as f64 / 1e6;
        assert!((1.9..5.0).contains(&past), "{mode}: it goes on {past} s before the address");
        let marks: Vec<_> = new.iter().map(|segment| segment.discontinue == Some(true)).collect();
        assert!(marks[0] && !marks[1..].contains(&true), "{mode}: {marks:?}");
        nothing_twice(&info);
        assert_eq!(stage.agent.view().channel(0).unwrap().recordings[0].counts.dropped.number, 0);
    };
    join_all(["overflow", "always"].map(paused)).await;
}

#[tokio::test]
async fn a_session_that_ends_while_nothing_is_wanted_ends_soon() {
    let stage = Plan::default().start().await;
    record(&stage, "r").await.unwrap();
    stored(&stage, "r", 3).await;
    fault(&stage, RecordFaults { not_now: true, ..none() });
    let recording = stage.cloud.recording("r");
    soon("it is paused", recording.wait_for(|info| info.calls.not_now >= 3)).await;
    stop(&stage, "r").await;
    until("it is over", || stage.agent.view().channel(0).unwrap().recordings[0].ended).await;
    let info = saved(&stage, "r").await;
    assert!(info.violations.is_empty() && info.drops.is_empty(), "{info:?}");
    assert_eq!(info.calls.save, 1, "the last one is confirmed at the end, whatever was asked");
}

#[tokio::test]
async fn what_an_outage_piled_up_outlives_a_not_now_behind_it() {
    let card = tempfile::tempdir().unwrap();
    let stage = spooled(card.path(), "").await;
    let mut params = order(&stage, 0, "r");
    params["seg_max_count"] = json!(3);
    stage.call("StartCloudRecord", params).await.unwrap();
    stored(&stage, "r", 2).await;
    fault(&stage, away());
    until("the card has some", || on_card(&stage) >= 4).await;
    fault(&stage, RecordFaults { not_now: true, ..none() });
    let recording = stage.cloud.recording("r");
    let asked = recording.info().calls.not_now;
    soon("it is asked", recording.wait_for(|info| info.calls.not_now >= asked + 4)).await;
    let waiting = on_card(&stage);
    assert!(waiting >= 4, "what was wanted stays: {waiting}");
    fault(&stage, none());
    until("the card is empty", || on_card(&stage) == 0).await;
    stop(&stage, "r").await;
    let info = saved(&stage, "r").await;
    assert!(info.violations.is_empty() && info.drops.is_empty(), "{info:?}");
    nothing_twice(&info);
}

#[tokio::test]
async fn a_service_that_expects_rising_times_has_the_oldest_first() {
    let card = tempfile::tempdir().unwrap();
    let stage = spooled(card.path(), "backfill = 'before'").await;
    let mut params = order(&stage, 0, "r");
    params["seg_max_count"] = json!(3);
    stage.call("StartCloudRecord", params).await.unwrap();
    stored(&stage, "r", 1).await;
    fault(&stage, away());
    until("the card has some", || on_card(&stage) >= 5).await;
    fault(&stage, none());
    until("the card is empty", || on_card(&stage) == 0).await;
    stop(&stage, "r").await;
    let info = saved(&stage, "r").await;
    assert!(info.violations.is_empty() && info.drops.is_empty(), "{info:?}");
    let stored: Vec<_> = info.stored().collect();
    for pair in stored.windows(2) {
        assert!(pair[0].start_us < pair[1].start_us, "{} after {}", pair[1].name, pair[0].name);
        assert_eq!(pair[1].discontinue, Some(false), "{} follows {}", pair[1].name, pair[0].name);
    }
}

#[tokio::test]
async fn a_session_that_goes_on_records_nothing_twice() {
    let channel_settings = "always_on = ['main']\nring_bytes = 8388608".into();
    let settings = "[runtime]\nmemory_limit = 67108864".into();
    let stage = Plan { settings, channel_settings, ..Plan::default() }.start().await;
    let held = || {
        let stats = stage.agent.view().channel(0).unwrap().main;
        stats.duration > Duration::from_secs(8)
    };
    until("the ring holds eight seconds", held).await;
    let mut params = order(&stage, 0, "r");
    params["prerecord_seconds"] = json!(8);
    params["seg_max_count"] = json!(12);
    for (session, segments) in [("r", 4), ("r", 8), ("other", 2), ("r", 12)] {
        params["session_id"] = json!(session);
        params["cbk_url"] = json!(stage.cloud.record_url(session).as_str());
        stage.call("StartCloudRecord", params.clone()).await.unwrap();
        stored(&stage, session, segments).await;
        stop(&stage, session).await;
    }
    let recording = stage.cloud.recording("r");
    let info = soon("each part is saved", recording.wait_for(|info| info.calls.save == 3)).await;
    assert!(info.violations.is_empty() && info.drops.is_empty(), "{info:?}");
    nothing_twice(&info);
    let other = saved(&stage, "other").await;
    let first = &other.segments[0];
    assert!(first.created > UNIX_EPOCH + Duration::from_micros(first.start_us as u64 + 6_000_000));
}

#[tokio::test]
async fn a_running_session_takes_another_callback_for_what_follows() {
    let card = tempfile::tempdir().unwrap();
    let stage = spooled(card.path(), "spool = 'always'").await;
    record(&stage, "r").await.unwrap();
    stored(&stage, "r", 2).await;
    let mut params = order(&stage, 0, "r");
    params["cbk_url"] = json!(stage.cloud.record_url("moved").as_str());
    stage.call("StartCloudRecord", params).await.unwrap();
    let moved = stored(&stage, "moved", 4).await;
    let before = saved(&stage, "r").await;
    stop(&stage, "r").await;
    let after = saved(&stage, "moved").await;
    flawless(&before);
    assert!(moved.violations.is_empty() && after.violations.is_empty(), "{after:?}");
    let last = before.stored().last().unwrap();
    let apart = after.segments[0].start_us - last.end_us();
    assert!(apart.abs() < 40_000, "{apart} µs are missing or doubled between the two");
    assert_eq!(stage.cloud.recording("r").info().calls.create, before.calls.create);
}

#[tokio::test]
async fn what_is_lost_on_the_card_is_told() {
    let card = tempfile::tempdir().unwrap();
    let stage = spooled(card.path(), "").await;
    let mut params = order(&stage, 0, "r");
    params["seg_max_count"] = json!(3);
    stage.call("StartCloudRecord", params).await.unwrap();
    stored(&stage, "r", 1).await;
    fault(&stage, away());
    until("the card has some", || on_card(&stage) >= 6).await;
    let found = files(card.path());
    // One segment is damaged in its first group, another one is gone.
    let mut bytes = std::fs::read(&found[1]).unwrap();
    bytes[1000] ^= 0x55;
    std::fs::write(&found[1], bytes).unwrap();
    std::fs::remove_file(&found[3]).unwrap();
    fault(&stage, none());
    until("the card is empty", || on_card(&stage) == 0).await;
    stop(&stage, "r").await;
    let info = saved(&stage, "r").await;
    assert!(info.violations.is_empty(), "{:?}", info.violations);
    let recording = stage.cloud.recording("r");
    let info = soon("it is told", recording.wait_for(|info| told(info).0 >= 2)).await;
    let (number, seconds) = told(&info);
    assert!(number == 2 && (1.5..3.5).contains(&seconds), "{number} segments, {seconds} s");
    let mut stored: Vec<_> = info.stored().collect();
    stored.sort_by_key(|segment| segment.start_us);
    let gaps = stored
        .windows(2)
        .map(|pair| pair[1].start_us - pair[0].end_us())
        .filter(|gap| *gap > 40_000);
    let missing = gaps.sum::<i64>() as f64 / 1e6;
    assert!((missing - seconds).abs() < 0.1, "{missing} s are missing, {seconds} s were told");
}

#[tokio::test]
async fn a_card_that_vanishes_keeps_no_session_from_ending() {
    let parent = tempfile::tempdir().unwrap();
    let card = parent.path().join("card");
    std::fs::create_dir(&card).unwrap();
    let stage = spooled(&card.join("spool"), "").await;
    let mut params = order(&stage, 0, "r");
    params["seg_max_count"] = json!(3);
    stage.call("StartCloudRecord", params).await.unwrap();
    stored(&stage, "r", 1).await;
    fault(&stage, away());
    until("the card has some", || on_card(&stage) >= 3).await;
    std::fs::rename(&card, parent.path().join("pocket")).unwrap();
    fault(&stage, none());
    let seen = stage.cloud.recording("r").info().stored().count();
    stored(&stage, "r", seen + 3).await;
    let lost = on_card(&stage) as u64;
    assert!(lost >= 3);
    stop(&stage, "r").await;
    let stopped = Instant::now();
    let recording = stage.cloud.recording("r");
    soon("it is saved", recording.wait_for(|info| info.calls.save >= 1)).await;
    saved(&stage, "r").await;
    let took = stopped.elapsed();
    assert!(took < Duration::from_secs(30), "saved {took:?} after the stop");
    let info = soon("it is told", recording.wait_for(|info| told(info).0 >= lost)).await;
    let took = stopped.elapsed();
    assert!(took < Duration::from_secs(30), "told {took:?} after the stop");
    assert_eq!(told(&info).0, lost);
    assert!(info.violations.is_empty(), "{:?}", info.violations);
}
