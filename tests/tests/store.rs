//! What deployed recording services and object stores answer, and what becomes of a recording. A program of
//! its own, since a process has one log.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::sync::LazyLock;
use std::time::Duration;

use ivt_sim::cloud::{
    CloudOptions, CloudSim, Faults, RecordFault, RecordFaults, RecordingInfo, SegmentState,
    StepFault,
};
use ivt_tests::front::Front;
use ivt_tests::log::Written;
use ivt_tests::recording::assert_gapless;
use ivt_tests::{Plan, Stage, hasty, soon, until};
use log::LevelFilter;
use serde_json::json;

/// The lines of the agents' logs.
static LOG: LazyLock<Written> = LazyLock::new(|| {
    let written = Written::default();
    let pipe = env_logger::Target::Pipe(Box::new(written.clone()));
    env_logger::Builder::new().filter_level(LevelFilter::Info).target(pipe).init();
    written
});

/// The lines of the log that hold all these words.
fn lines(words: &[&str]) -> Vec<String> {
    let log = LOG.text();
    let holds = |line: &&str| words.iter().all(|word| line.contains(word));
    log.lines().filter(holds).map(str::to_owned).collect()
}

fn none() -> RecordFaults {
    RecordFaults::default()
}

/// A stage whose cloud has these faults.
async fn stage(record: RecordFaults) -> Stage {
    LazyLock::force(&LOG);
    let faults = Faults { record, ..Faults::default() };
    Plan { cloud: CloudOptions { faults, ..CloudOptions::default() }, ..Plan::default() }
        .start()
        .await
}

/// Starts a recording with segments of a second.
async fn start(stage: &Stage, session: &str) {
    let order = json!({
        "session_id": session, "channel": 0, "quality": "hd", "max_bitrate": 0,
        "seg_duration": 1, "seg_max_size": 1 << 20, "seg_max_count": 20,
        "prerecord_seconds": 0, "start_ts": 0, "cbk_url": stage.cloud.record_url(session).as_str(),
    });
    stage.call("StartCloudRecord", order).await.unwrap();
}

/// Waits until `count` segments are stored, stops the recording, and waits until its last one is confirmed.
async fn finish(stage: &Stage, session: &str, count: usize) -> RecordingInfo {
    let recording = stage.cloud.recording(session);
    soon("segments are stored", recording.wait_segments(count)).await;
    let params = json!({ "session_id": session, "channel": 0 });
    stage.call("StopCloudRecord", params).await.unwrap();
    let all_confirmed = |info: &RecordingInfo| {
        let mut live = info.segments.iter().filter(|s| s.state != SegmentState::Failed).peekable();
        live.peek().is_some() && live.all(|s| s.state == SegmentState::Confirmed)
    };
    soon("the last segment is confirmed", recording.wait_for(all_confirmed)).await
}

/// Records a few segments, and fails unless each is there once and follows the one before it.
async fn flawless(stage: &Stage, session: &str) -> RecordingInfo {
    start(stage, session).await;
    let info = finish(stage, session, 3).await;
    assert_gapless(&info);
    info
}

/// Waits until nothing more is told to the service.
async fn over(stage: &Stage) {
    let ended = || stage.agent.view().channel(0).unwrap().recordings.iter().all(|r| r.ended);
    until("the session is over", ended).await;
}

fn last_error(stage: &Stage) -> String {
    let recordings = stage.agent.view().channel(0).unwrap().recordings;
    recordings.into_iter().find_map(|recording| recording.counts.last_error).unwrap_or_default()
}

#[tokio::test]
async fn redirects_by_307_and_308_are_followed_and_told_without_the_query() {
    for status in [307, 308] {
        let hop = || StepFault::always(RecordFault::Hop(status));
        let faults = RecordFaults { create: hop(), put: hop(), save: hop(), ..none() };
        let stage = stage(faults).await;
        let session = format!("hop-{status}");
        let info = flawless(&stage, &session).await;
        assert_eq!(info.calls.fail, 0, "{info:?}");
        let said = lines(&["which is followed", &stage.cloud.http_addr().to_string()]);
        assert!(said.len() == 1 && !said[0].contains("token"), "{said:?}");
        assert!(!said[0].contains('?'), "{said:?}");
    }
}

#[tokio::test]
async fn other_redirects_are_said_and_cost_no_segment() {
    for status in [301, 302, 303] {
        let put = StepFault::times(1, RecordFault::Hop(status));
        let stage = stage(RecordFaults { put, ..none() }).await;
        let info = flawless(&stage, &format!("other-{status}")).await;
        assert_eq!(info.calls.fail, 1, "{info:?}");
        let at = stage.cloud.http_addr().to_string();
        let said = lines(&["only redirects by 307 and 308 are followed", &at]);
        assert_eq!(said.len(), 1, "{said:?}");
    }
}

#[tokio::test]
async fn a_circle_of_redirects_ends() {
    let stage = stage(none()).await;
    let circle = stage.cloud.record_url("circle").to_string();
    let create = StepFault::times(4, RecordFault::Redirect(circle));
    stage
        .cloud
        .set_faults(Faults { record: RecordFaults { create, ..none() }, ..Faults::default() });
    // Each question goes around once, and a segment that is refused twice is given up.
    start(&stage, "circle").await;
    let info = finish(&stage, "circle", 3).await;
    assert!(info.violations.is_empty(), "{info:?}");
    assert_eq!(lines(&["redirects again", &stage.cloud.http_addr().to_string()]).len(), 1);
}

#[tokio::test]
async fn an_encrypted_upload_is_never_led_into_the_clear() {
    LazyLock::force(&LOG);
    let cloud = CloudSim::start(CloudOptions::default()).await.unwrap();
    let front = Front::tls(cloud.http_addr()).await;
    let base = format!("https://localhost:{}", front.addr().port());
    cloud.set_public_base(&base.parse().unwrap());
    let clear = format!("http://{}/sink/clear?token=canary", cloud.http_addr());
    let put = StepFault::times(1, RecordFault::Redirect(clear));
    cloud.set_faults(Faults { record: RecordFaults { put, ..none() }, ..Faults::default() });
    let camera = Plan::default().cameras.remove(0);
    let camera = ivt_sim::camera::CameraSim::start(camera).await.unwrap();
    let settings = format!("ca_file = '{}'", front.authority());
    let login = format!("wss://localhost:{}/ivc", front.addr().port());
    let plan = Plan { settings, ..Plan::default() };
    let config = plan.config_of(&login, std::slice::from_ref(&camera));
    let stage = Stage { agent: hasty(&config), cloud, cameras: vec![camera] };
    soon("the agent logs in", stage.device().wait_online()).await;
    flawless(&stage, "clear").await;
    assert_eq!(stage.cloud.sink().puts, 0);
    assert_eq!(lines(&["leads from https to http", &base]).len(), 1);
    assert!(lines(&["canary"]).is_empty());
}

#[tokio::test]
async fn a_segment_whose_answer_was_lost_is_not_stored_twice() {
    for status in [409, 412] {
        let put = StepFault::times(1, RecordFault::LoseAnswer);
        let stage = stage(RecordFaults { put, stored_again: Some(status), ..none() }).await;
        let info = flawless(&stage, &format!("lost-{status}")).await;
        assert_eq!(info.calls.fail, 0, "{info:?}");
        assert!(info.segments.iter().all(|segment| segment.puts == 1), "{info:?}");
    }
}

#[tokio::test]
async fn a_first_upload_that_finds_something_there_is_refused() {
    let put = StepFault::times(1, RecordFault::Status(412));
    let stage = stage(RecordFaults { put, ..none() }).await;
    let info = flawless(&stage, "there").await;
    assert_eq!(info.calls.fail, 1, "{info:?}");
    assert_eq!(info.segments[0].state, SegmentState::Failed);
}

#[tokio::test]
async fn a_busy_store_is_left_alone_for_as_long_as_it_says() {
    for status in [429, 503] {
        let busy = RecordFault::Busy { status, retry_after: "3".into() };
        let stage = stage(RecordFaults { put: StepFault::times(2, busy), ..none() }).await;
        let info = flawless(&stage, &format!("busy-{status}")).await;
        for pair in info.segments[..3].windows(2) {
            let apart = pair[1].created_at - pair[0].created_at;
            assert!(apart >= Duration::from_secs(3), "asked again after {apart:?}");
        }
    }
}

#[tokio::test]
async fn a_busy_service_is_left_alone_for_as_long_as_it_says() {
    let busy = RecordFault::Busy { status: 503, retry_after: "13".into() };
    let stage = stage(RecordFaults { create: StepFault::always(busy), ..none() }).await;
    start(&stage, "busy").await;
    let recording = stage.cloud.recording("busy");
    soon("it is asked", recording.wait_for(|info| info.calls.create == 1)).await;
    let again = recording.wait_for(|info| info.calls.create > 1);
    assert!(tokio::time::timeout(Duration::from_secs(3), again).await.is_err(), "too soon");
    stage.cloud.set_faults(Faults::default());
    assert_gapless(&finish(&stage, "busy", 3).await);
}

#[tokio::test]
async fn a_wrong_clock_is_told_and_costs_nothing() {
    for (date_off, words) in [
        (-5400, "the device's clock is wrong by 1 h 30 min: it is ahead"),
        (86_400, "the device's clock is wrong by 1 d 0 h: it is behind"),
    ] {
        let skewed = RecordFault::Xml {
            status: 403,
            code: "RequestTimeTooSkewed".into(),
            message: "The difference is too large.".into(),
            date_off,
        };
        let stage = stage(RecordFaults { put: StepFault::always(skewed), ..none() }).await;
        let session = format!("skewed{date_off}");
        start(&stage, &session).await;
        until("the clock is told", || last_error(&stage).contains(words)).await;
        let said = last_error(&stage);
        assert!(said.contains("RequestTimeTooSkewed: The difference is too large."), "{said}");
        assert!(!said.contains("token"), "{said}");
        stage.cloud.set_faults(Faults::default());
        assert_gapless(&finish(&stage, &session, 4).await);
        assert_eq!(lines(&[words, &session]).len(), 1, "said once");
    }
}

#[tokio::test]
async fn errors_of_stores_are_told_by_code_and_message() {
    let denied = RecordFault::Xml {
        status: 403,
        code: "AccessDenied".into(),
        message: "Request has &lt;expired&gt; &amp; gone".into(),
        date_off: 0,
    };
    let stage = stage(RecordFaults { put: StepFault::times(1, denied), ..none() }).await;
    flawless(&stage, "denied").await;
    let words = "403 Forbidden (AccessDenied: Request has <expired> & gone)";
    assert_eq!(lines(&[words, "denied"]).len(), 1);
}

#[tokio::test]
async fn a_signed_address_reaches_the_store_as_it_was_given() {
    for (number, query) in
        ["s='a|b^c{d}`e\\f", "s=%2f%2F+%20;x&&y=?/", "a[0]=~!*()$,:@&", "sign="].iter().enumerate()
    {
        let odd_query = Some((*query).to_owned());
        let stage = stage(RecordFaults { odd_query, ..none() }).await;
        let info = flawless(&stage, &format!("signed-{number}")).await;
        assert_eq!((info.calls.fail, info.calls.put), (0, info.segments.len() as u64), "{query}");
    }
}

#[tokio::test]
async fn what_is_told_is_taken_with_any_body() {
    for (number, body) in ["OK", "", "<html>saved</html>", "null"].iter().enumerate() {
        let odd = || StepFault::always(RecordFault::Odd((*body).to_owned()));
        let put = StepFault::times(2, RecordFault::Status(500));
        let faults = RecordFaults { put, save: odd(), fail: odd(), ..none() };
        let stage = stage(faults).await;
        let session = format!("odd-{number}");
        flawless(&stage, &session).await;
        over(&stage).await;
        let calls = stage.cloud.recording(&session).info().calls;
        assert_eq!((calls.save, calls.fail), (1, 1), "{body:?}");
        assert!(lines(&["is not confirmed", &session]).is_empty());
    }
}

#[tokio::test]
async fn a_byte_order_mark_and_odd_members_hide_no_address() {
    let beside = "\"fee\":1e400,\"city\":\"K\u{f6}ln\",\"k\u{f6}ln\":[-1e999,{}]";
    for (session, beside) in [("bom", None), ("beside", Some(beside)), ("both", Some(beside))] {
        let create =
            beside.and_then(|members| StepFault::always(RecordFault::Beside(members.into())));
        let faults = RecordFaults { bom: session != "beside", create, ..none() };
        let stage = stage(faults).await;
        let info = flawless(&stage, session).await;
        assert_eq!(info.calls.create, info.segments.len() as u64, "{session}");
    }
}

#[tokio::test]
async fn an_answer_without_an_address_is_told_once_and_means_not_now() {
    let answer = r#"{"code":0,"data":{"uri":"http://h/?sign=canary"},"token":"canary"}"#;
    let create = StepFault::times(5, RecordFault::Body(answer.into()));
    let stage = stage(RecordFaults { create, ..none() }).await;
    start(&stage, "foreign").await;
    let recording = stage.cloud.recording("foreign");
    soon("it is asked", recording.wait_for(|info| info.calls.create > 5)).await;
    let info = finish(&stage, "foreign", 3).await;
    assert!(info.violations.is_empty(), "{info:?}");
    let at = stage.cloud.http_addr().to_string();
    let said = lines(&["not now, the service answered {\"code\":0,\"data\":…", &at]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(lines(&["canary"]).is_empty());
    assert!(lines(&["uploads fail", "foreign"]).is_empty());
}

#[tokio::test]
async fn save_and_fail_are_repeated_to_a_busy_service_and_not_to_one_that_refuses() {
    for (status, told) in [(429, 3), (503, 3), (500, 3), (400, 1), (404, 1)] {
        let refused = || StepFault::times(2, RecordFault::Status(status));
        let put = StepFault::times(2, RecordFault::Status(500));
        let faults = RecordFaults { put, save: refused(), fail: refused(), ..none() };
        let stage = stage(faults).await;
        let session = format!("told-{status}");
        start(&stage, &session).await;
        let recording = stage.cloud.recording(&session);
        soon("segments are stored", recording.wait_segments(3)).await;
        let params = json!({ "session_id": session, "channel": 0 });
        stage.call("StopCloudRecord", params).await.unwrap();
        over(&stage).await;
        let info = recording.info();
        assert_eq!((info.calls.save, info.calls.fail), (told, told), "{status}: {info:?}");
        assert_eq!(lines(&["op=fail", &session]).len(), 1, "{status}");
        let unsaved = lines(&["the last segment is not confirmed", &session]).len();
        assert_eq!(unsaved, usize::from(told == 1), "{status}");
    }
}
