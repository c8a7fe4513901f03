//! A configuration that changes while the agent works: cameras, logins, the hosted service.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ivt_agent::config::Config;
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_proto::rpc::message::ChannelState;
use ivt_sim::camera::{CameraSim, Credentials, Stream};
use ivt_sim::cloud::SegmentState;
use ivt_sim::tlss::{TlssOptions, TlssSim};
use ivt_tests::{DEVICE, Plan, Stage, camera, soon, until};
use serde_json::json;

const MAC: &str = "001323A007AD";

/// The stage's configuration with other cameras and other settings.
fn config(stage: &Stage, cameras: &[(&CameraSim, &str)], settings: &str) -> Config {
    let mut text = format!(
        "{settings}\n[cloud]\nurl = '{}'\nlogin_code = '{DEVICE}'\nlogin_passwd = 'p'\n",
        stage.cloud.device_url(),
    );
    if cameras.len() > 1 {
        text += "[device]\nmodel = 'nvr'\n";
    }
    for (camera, keys) in cameras {
        text += &format!(
            "[[channel]]\nbackend = 'rtsp'\nmain = '{}'\nsub = '{}'\ntransport = 'tcp'\n{keys}\n",
            camera.rtsp_url(0, Stream::Main),
            camera.rtsp_url(0, Stream::Sub),
        );
    }
    text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"))
}

async fn locked_camera() -> CameraSim {
    let mut options = camera(ClipOpener::built_in(BuiltIn::Main));
    options.credentials = Some(Credentials { user: "u".into(), password: "pw".into() });
    CameraSim::start(options).await.unwrap()
}

/// `[tlss]` with this server and more keys.
fn service(server: &TlssSim, keys: &str) -> String {
    let port = server.addr().port();
    format!("[tlss]\nenable = true\nserver = '127.0.0.1'\nport = {port}\nmac = '{MAC}'\n{keys}")
}

fn sessions(camera: &CameraSim) -> usize {
    camera.counters().total().sessions
}

#[tokio::test]
async fn publish_and_recording_go_on_from_another_camera() {
    let mut stage = Plan::default().start().await;
    let second = locked_camera().await;
    stage.publish(0, "s").await.unwrap();
    let order = json!({
        "session_id": "r", "channel": 0, "quality": "hd", "max_bitrate": 0,
        "seg_duration": 1, "seg_max_size": 1 << 20, "seg_max_count": 5,
        "prerecord_seconds": 0, "start_ts": 0, "cbk_url": stage.cloud.record_url("r").as_str(),
    });
    stage.call("StartCloudRecord", order).await.unwrap();
    soon("segments of the first", stage.cloud.recording("r").wait_segments(2)).await;

    let new = config(&stage, &[(&second, "username = 'u'\npassword = 'pw'")], "");
    stage.agent.apply(&new).await;
    until("the second camera is asked", || sessions(&second) > 0).await;
    until("the first is left alone", || sessions(&stage.cameras[0]) == 0).await;
    let (frames, segments) = {
        let kept = stage.cloud.recording("r").info().segments.len();
        (stage.cloud.stream("s").info().frames, kept)
    };
    soon("frames of the second", stage.cloud.stream("s").wait_frames(frames + 60)).await;
    soon("its segments", stage.cloud.recording("r").wait_segments(segments + 2)).await;

    let info = stage.cloud.stream("s").info();
    assert_eq!((info.publishes, info.dts_violations, info.malformed), (1, 0, 0));
    let info = stage.cloud.recording("r").info();
    assert!(info.violations.is_empty(), "{:?}", info.violations);
    assert!(info.segments.iter().all(|segment| segment.state != SegmentState::Failed));
    let marked =
        info.segments.iter().skip(1).filter(|segment| segment.discontinue == Some(true)).count();
    assert_eq!(marked, 1, "one gap: {:?}", info.segments);

    let describes = second.counters().total().describes;
    stage.agent.apply(&new).await;
    let frames = stage.cloud.stream("s").info().frames;
    soon("it flows on", stage.cloud.stream("s").wait_frames(frames + 60)).await;
    assert_eq!(second.counters().total().describes, describes, "what is the same is left alone");
}

#[tokio::test]
async fn a_camera_of_a_profile_is_another_one_when_the_profile_has_changed() {
    let mut stage = Plan::default().start().await;
    let second = CameraSim::start(camera(ClipOpener::built_in(BuiltIn::Main))).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.toml");
    let written = |of: &CameraSim| {
        let url = of.rtsp_url(0, Stream::Main);
        let (address, path) = url["rtsp://".len()..].split_once('/').unwrap();
        let port = address.rsplit(':').next().unwrap();
        let text = format!("title = 'mine'\n[rtsp]\nport = {port}\nmain = '/{path}'\n");
        std::fs::write(&file, text).unwrap();
        format!(
            "[cloud]\nurl = '{}'\nlogin_code = '{DEVICE}'\nlogin_passwd = 'p'\n[[channel]]\n\
             backend = 'cgi'\nweb = 'http://127.0.0.1:9'\nprofile = '{}'\ntransport = 'tcp'\n",
            stage.cloud.device_url(),
            file.display(),
        )
        .parse::<Config>()
        .unwrap()
    };
    let (first, same) = (written(&stage.cameras[0]), written(&stage.cameras[0]));
    let changed = written(&second);
    stage.agent.apply(&first).await;
    stage.publish(0, "s").await.unwrap();
    soon("frames", stage.cloud.stream("s").wait_frames(30)).await;
    let describes = stage.cameras[0].counters().total().describes;
    stage.agent.apply(&same).await;
    let frames = stage.cloud.stream("s").info().frames;
    soon("it flows on", stage.cloud.stream("s").wait_frames(frames + 30)).await;
    assert_eq!(stage.cameras[0].counters().total().describes, describes, "the same profile");
    stage.agent.apply(&changed).await;
    until("the camera of the changed profile is asked", || sessions(&second) > 0).await;
    until("the first is left alone", || sessions(&stage.cameras[0]) == 0).await;
}

#[tokio::test]
async fn a_login_that_is_set_right_counts_at_once() {
    let mut stage = Plan::default().start().await;
    let second = locked_camera().await;
    let wrong = config(&stage, &[(&second, "username = 'u'\npassword = 'no'")], "");
    stage.agent.apply(&wrong).await;
    stage.publish(0, "s").await.unwrap_err();
    let right = config(&stage, &[(&second, "username = 'u'\npassword = 'pw'")], "");
    let begin = Instant::now();
    stage.agent.apply(&right).await;
    stage.publish(0, "s").await.unwrap();
    soon("frames", stage.cloud.stream("s").wait_frames(30)).await;
    // A camera that refused a login is asked again after 30 s.
    assert!(begin.elapsed().as_secs() < 25, "{:?}", begin.elapsed());
    stage.becomes(0, ChannelState::Live, Some("s")).await;
}

#[tokio::test]
async fn a_stream_that_stays_the_same_is_not_interrupted() {
    let plan = || camera(ClipOpener::built_in(BuiltIn::Main));
    let mut stage = Plan { cameras: vec![plan(), plan()], ..Plan::default() }.start().await;
    let second = locked_camera().await;
    stage.publish(0, "s").await.unwrap();
    soon("frames", stage.cloud.stream("s").wait_frames(30)).await;
    let plays = || stage.cameras[0].counters().total().plays;
    let before = plays();
    let cameras = [
        (&stage.cameras[0], "web = 'http://127.0.0.1:9'"),
        (&second, "username = 'u'\npassword = 'pw'"),
    ];
    let new = config(&stage, &cameras, "");
    stage.agent.apply(&new).await;
    stage.publish(1, "t").await.unwrap();
    soon("the other one's frames", stage.cloud.stream("t").wait_frames(30)).await;
    assert!(sessions(&second) > 0);
    assert_eq!(stage.cameras[0].counters().total().plays, before);
}

#[tokio::test]
async fn the_hosted_service_comes_changes_and_goes() {
    let first = TlssSim::start(TlssOptions::default()).await.unwrap();
    let second = TlssSim::start(TlssOptions::default()).await.unwrap();
    let mut stage = Plan::default().start().await;
    let off = config(&stage, &[(&stage.cameras[0], "")], "");
    assert!(stage.agent.view().hosted().is_none());
    for server in [&first, &second] {
        let new = config(&stage, &[(&stage.cameras[0], "")], &service(server, ""));
        stage.agent.apply(&new).await;
        soon("the session is done", server.device(MAC).wait_done(1)).await;
        assert!(stage.agent.view().hosted().is_some());
    }
    // The same settings, and another profile behind them.
    let profile = tempfile::NamedTempFile::new().unwrap();
    let command = "[[command]]\npath = '/a'\n";
    std::fs::write(profile.path(), command).unwrap();
    let settings = service(&second, &format!("profile = '{}'", profile.path().display()));
    let new = config(&stage, &[(&stage.cameras[0], "")], &settings);
    for sessions in 2..=4 {
        stage.agent.apply(&new).await;
        if sessions == 3 {
            std::fs::write(profile.path(), command.replace("/a", "/b")).unwrap();
            stage.agent.apply(&new).await;
        } else if sessions == 4 {
            break;
        }
        soon("another session", second.device(MAC).wait_done(sessions)).await;
    }
    stage.agent.apply(&off).await;
    assert!(stage.agent.view().hosted().is_none());
}

#[tokio::test]
async fn what_needs_a_restart_changes_nothing() {
    let mut stage = Plan::default().start().await;
    stage.publish(0, "s").await.unwrap();
    let second = locked_camera().await;
    let keys = "[publish]\nretry_seconds = 0\n[runtime]\nworker_threads = 4\n\
                [tlss]\nenable = true\nserver = '127.0.0.1'\nport = 9\n\
                reply_limit = 8388608\n";
    let cameras = [(&stage.cameras[0], "always_on = ['sub']"), (&second, "")];
    let mut new = config(&stage, &cameras, keys);
    new.cloud.account.as_mut().unwrap().url = "ws://127.0.0.1:9/".parse().unwrap();
    stage.agent.apply(&new).await;
    assert_eq!(stage.agent.view().channels().len(), 1);
    assert!(stage.agent.view().hosted().is_none(), "no memory is set aside for it");
    let frames = stage.cloud.stream("s").info().frames;
    soon("it flows on", stage.cloud.stream("s").wait_frames(frames + 60)).await;
    assert_eq!(sessions(&second), 0);
}

#[tokio::test]
async fn a_channel_that_is_taken_out_moves_no_other_camera() {
    let plan = || camera(ClipOpener::built_in(BuiltIn::Main));
    let mut stage = Plan { cameras: vec![plan(), plan()], ..Plan::default() }.start().await;
    stage.publish(0, "s").await.unwrap();
    soon("frames", stage.cloud.stream("s").wait_frames(30)).await;
    let plays = || stage.cameras.iter().map(|of| of.counters().total().plays).collect::<Vec<_>>();
    let before = plays();
    let less = config(&stage, &[(&stage.cameras[1], "")], "");
    stage.agent.apply(&less).await;
    assert_eq!(stage.agent.view().channels().len(), 2);
    let frames = stage.cloud.stream("s").info().frames;
    soon("it flows on", stage.cloud.stream("s").wait_frames(frames + 60)).await;
    assert_eq!(plays(), before);
}

#[tokio::test]
async fn the_hosted_service_goes_on_while_a_camera_changes_and_its_audit_log_stays() {
    let server = TlssSim::start(TlssOptions::default()).await.unwrap();
    let every = |minutes| service(&server, &format!("interval_minutes = {minutes}"));
    let plan = || camera(ClipOpener::built_in(BuiltIn::Main));
    let cameras = vec![plan(), plan()];
    let mut stage = Plan { cameras, settings: every(60), ..Plan::default() }.start().await;
    soon("the session is done", server.device(MAC).wait_done(1)).await;
    let (running, audit) = stage.agent.view().hosted().unwrap();
    let commands = audit.entries().len();
    assert!(commands > 0);

    let second = locked_camera().await;
    let cameras = [(&stage.cameras[0], ""), (&second, "username = 'u'\npassword = 'pw'")];
    let new = config(&stage, &cameras, &every(60));
    stage.agent.apply(&new).await;
    stage.publish(1, "s").await.unwrap();
    soon("frames of the second", stage.cloud.stream("s").wait_frames(30)).await;
    assert!(running.same_channel(&stage.agent.view().hosted().unwrap().0), "it is the same one");

    let new = config(&stage, &cameras, &every(30));
    stage.agent.apply(&new).await;
    soon("another session", server.device(MAC).wait_done(2)).await;
    let (anew, audit) = stage.agent.view().hosted().unwrap();
    assert!(!running.same_channel(&anew) && audit.entries().len() > commands, "{audit:?}");
}

#[tokio::test]
async fn a_disk_that_is_slow_with_the_profile_holds_nothing_up() {
    let server = TlssSim::start(TlssOptions::default()).await.unwrap();
    let mut stage = Plan { settings: service(&server, ""), ..Plan::default() }.start().await;
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile.toml");
    assert!(Command::new("mkfifo").arg(&profile).status().unwrap().success());
    let keys = format!("profile = '{}'", profile.display());
    let new = config(&stage, &[(&stage.cameras[0], "")], &service(&server, &keys));
    // The profile can be read once the runtime has done something else; else what is read is wrong.
    let (free, waits) = mpsc::channel();
    thread::spawn(move || {
        let was_free = waits.recv_timeout(Duration::from_secs(10)).is_ok();
        let text = if was_free { "[[command]]\npath = '/a'\n" } else { "held up" };
        std::fs::write(&profile, text).unwrap();
        thread::sleep(Duration::from_secs(1));
        // Whoever reads it once more is not held up for good.
        std::fs::write(&profile, text).ok();
    });
    tokio::join!(stage.agent.apply(&new), async { free.send(()).unwrap() });
    assert!(stage.agent.view().hosted().is_some());
}
