//! Cameras that reboot, freeze, change their parameters or jump in time, seen from the cloud.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::future::join_all;
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::flv::{TagKind, file};
use ivt_proto::rpc::message::ChannelState;
use ivt_sim::camera::{CameraOptions, CameraSim, Credentials, Fault, Scheme, Stream};
use ivt_sim::cloud::{CloudOptions, CloudSim};
use ivt_tests::{DEVICE, Plan, Stage, camera, closed_port, fixture, soon, until};
use rand::RngExt as _;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

/// A stage on which the stream "s" of channel 0 flows.
async fn live(plan: Plan) -> Stage {
    let stage = plan.start().await;
    stage.publish(0, "s").await.unwrap();
    flows_on(&stage).await;
    stage
}

/// Waits for forty more frames, and fails if one of them is malformed or not later than the one before.
async fn flows_on(stage: &Stage) {
    let stream = stage.cloud.stream("s");
    let frames = stream.info().frames;
    let info = soon("frames flow", stream.wait_frames(frames + 40)).await;
    assert_eq!((info.dts_violations, info.malformed), (0, 0), "{info:?}");
}

#[tokio::test]
async fn every_codec_travels_over_tcp_and_udp() {
    let clips = [
        ("h264_bframes.flv", "H.264", "AAC"),
        ("hevc.flv", "H.265", "AAC"),
        ("pcma.flv", "H.264", "G.711 A-law"),
        ("pcmu.flv", "H.264", "G.711 µ-law"),
    ];
    let all = clips.iter().flat_map(|clip| ["tcp", "udp"].map(|transport| (clip, transport)));
    let arrives = async |((clip, video, audio), transport): (&(&str, _, _), _)| {
        let cameras = vec![camera(fixture(clip))];
        let stage = live(Plan { cameras, transport, ..Plan::default() }).await;
        let info = stage.cloud.stream("s").info();
        let codecs = (info.video, info.audio);
        assert_eq!(codecs, (Some(*video), Some(*audio)), "{clip} over {transport}");
    };
    join_all(all.map(arrives)).await;
}

#[tokio::test]
async fn basic_and_digest_logins_are_served() {
    let flows = async |scheme| {
        let mut options = camera(ClipOpener::built_in(BuiltIn::Main));
        options.credentials = Some(Credentials { user: "admin".into(), password: "a b/ü".into() });
        options.scheme = scheme;
        let channel_settings = "username = 'admin'\npassword = 'a b/ü'".into();
        live(Plan { cameras: vec![options], channel_settings, ..Plan::default() }).await;
    };
    join_all([Scheme::Basic, Scheme::Digest].map(flows)).await;
}

#[tokio::test]
async fn a_wrong_camera_password_is_103() {
    let mut options = camera(ClipOpener::built_in(BuiltIn::Main));
    options.credentials = Some(Credentials { user: "admin".into(), password: "right".into() });
    let channel_settings = "username = 'admin'\npassword = 'wrong'".into();
    let plan = Plan { cameras: vec![options], channel_settings, ..Plan::default() };
    let error = plan.start().await.publish(0, "s").await.unwrap_err();
    assert_eq!(error.code, 103, "{error}");
    assert!(!error.msg.contains("wrong"), "{error}");
}

#[tokio::test]
async fn a_camera_that_reboots_or_freezes_comes_back_into_the_same_stream() {
    let comes_back = async |fault| {
        let stage = live(Plan::default()).await;
        stage.cameras[0].inject(None, fault).unwrap();
        let two_plays = || stage.cameras[0].counters().total().plays >= 2;
        until(&format!("{fault:?}: the camera is pulled again"), two_plays).await;
        flows_on(&stage).await;
        assert_eq!(stage.cloud.stream("s").info().publishes, 1, "{fault:?}");
        stage.becomes(0, ChannelState::Live, Some("s")).await;
    };
    let away = [2, 12].map(Duration::from_secs);
    join_all([Fault::Reboot(away[0]), Fault::Freeze(away[1])].map(comes_back)).await;
}

#[tokio::test]
async fn garbage_between_the_packets_of_a_camera_ends_nothing() {
    let stage = live(Plan::default()).await;
    for _ in 0..3 {
        stage.cameras[0].inject(None, Fault::Garbage).unwrap();
        flows_on(&stage).await;
    }
    assert_eq!(stage.cameras[0].counters().total().plays, 1, "one session");
    assert_eq!(stage.cloud.stream("s").info().publishes, 1);
}

#[tokio::test]
async fn the_session_with_a_camera_is_kept_alive() {
    let lasts = async |transport| {
        let mut options = camera(ClipOpener::built_in(BuiltIn::Main));
        options.session_timeout = Duration::from_secs(3);
        let stage = live(Plan { cameras: vec![options], transport, ..Plan::default() }).await;
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            flows_on(&stage).await;
        }
        assert_eq!(stage.cameras[0].counters().total().plays, 1, "{transport}: one session");
    };
    join_all(["tcp", "udp"].map(lasts)).await;
}

#[tokio::test]
async fn a_camera_away_for_longer_than_the_retries_is_given_up() {
    let settings = "[publish]\nretry_seconds = 2".into();
    let stage = live(Plan { settings, ..Plan::default() }).await;
    stage.cameras[0].inject(None, Fault::Reboot(Duration::from_secs(6))).unwrap();
    // A stream that is being retried can be asked for again. Once it was given up it starts anew, which cannot
    // succeed.
    let (address, _kept) = closed_port();
    let url = format!("rtmp://{address}/live/s");
    let mut look = tokio::time::interval(Duration::from_millis(100));
    soon("it is given up", async {
        while stage.publish_to(0, "s", &url).await.is_ok() {
            look.tick().await;
        }
    })
    .await;

    soon("the camera is back", async {
        while stage.publish(0, "other").await.is_err() {
            look.tick().await;
        }
    })
    .await;
    soon("frames flow", stage.cloud.stream("other").wait_frames(40)).await;
    stage.becomes(0, ChannelState::Live, Some("other")).await;
    let given_up = stage.cloud.stream("s").info();
    assert!(given_up.publishes == 1 && !given_up.live, "{given_up:?}");
}

#[tokio::test]
async fn changed_parameters_reach_the_cloud_before_the_picture_that_needs_them() {
    let stage = live(Plan::default()).await;
    let stream = stage.cloud.stream("s");
    stage.cameras[0].change_parameters();
    let small = stream.wait_for(|s| s.dimensions == Some((320, 180)));
    soon("the sub stream's picture", small).await;
    flows_on(&stage).await;
    assert_eq!(stage.cloud.stream("s").info().publishes, 1, "the same publish goes on");
}

#[tokio::test]
async fn timestamps_that_jump_leave_decode_times_increasing() {
    const SECOND: i64 = 90_000;
    let survives = async |jump| {
        let stage = live(Plan::default()).await;
        stage.cameras[0].inject(None, Fault::Jump(jump)).unwrap();
        flows_on(&stage).await;
        flows_on(&stage).await;
    };
    join_all([SECOND, -SECOND, 3600 * SECOND, -3600 * SECOND].map(survives)).await;
}

/// A clip of 14 s whose only key frame is the first.
fn distant_key_frames() -> tempfile::NamedTempFile {
    let clip = format!("{}/fixtures/long_gop.flv", env!("CARGO_MANIFEST_DIR"));
    let tags = file::tags(std::fs::read(clip).unwrap().into()).unwrap().map(Result::unwrap);
    let video: Vec<_> = tags.filter(|tag| tag.kind == TagKind::Video).collect();
    let is_key = |i: &usize| video[*i].body[0] >> 4 == 1;
    // The clip has the sequence header, the key frame and the pictures that depend on it.
    let [_, _, end] = (0..video.len()).filter(is_key).take(3).collect::<Vec<_>>()[..] else {
        panic!("want two key frames");
    };
    let mut writer = file::Writer::new(Vec::new()).unwrap();
    let followers = video[2..end].iter().cycle().take(350);
    for (tag, i) in video[..2].iter().chain(followers).zip(0u32..) {
        let timestamp_ms = 40 * i.saturating_sub(1);
        writer.write(&ivt_media::flv::Tag { timestamp_ms, ..tag.clone() }).unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), writer.into_inner()).unwrap();
    file
}

#[tokio::test]
async fn a_far_key_frame_delays_the_picture_and_not_the_answer() {
    let clip = distant_key_frames();
    let mut options = camera(ClipOpener::file(clip.path()));
    options.join_mid_gop = true;
    let stage = Plan { cameras: vec![options], ..Plan::default() }.start().await;
    let asked = Instant::now();
    // With a limit, the bit rate is measured too.
    let params = json!({
        "channel": 0, "quality": "hd", "url": stage.cloud.rtmp_url("s"), "stream_id": "s",
        "max_bitrate": 10_000_000,
    });
    stage.call("RTMPPublish", params).await.unwrap();
    let stream = stage.cloud.stream("s");
    assert_eq!(stream.info().video_frames, 0, "the key frame is yet to come");
    flows_on(&stage).await;
    let info = stream.info();
    assert!(info.key_frames >= 1 && asked.elapsed() > Duration::from_secs(10), "{info:?}");
}

#[tokio::test]
async fn a_camera_that_falls_silent_after_its_description_is_103() {
    let stage = Plan::default().start().await;
    stage.cameras[0].inject(None, Fault::SilenceAfterDescribe(true)).unwrap();
    let error = stage.publish(0, "s").await.unwrap_err();
    assert_eq!(error.code, 103, "{error}");
}

/// A stage of two channels: the first has its camera at `camera`, the second a good one.
async fn beside(camera: SocketAddr) -> Stage {
    let cloud = CloudSim::start(CloudOptions::default()).await.unwrap();
    let good = CameraSim::start(CameraOptions::default()).await.unwrap();
    let config = format!(
        "[cloud]\nurl = '{}'\nlogin_code = '{DEVICE}'\nlogin_passwd = 'p'\n\
         [device]\nmodel = 'nvr'\n\
         [[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://{camera}/ch0/main'\n\
         [[channel]]\nbackend = 'rtsp'\nmain = '{}'\n",
        cloud.device_url(),
        good.rtsp_url(0, Stream::Main),
    );
    let agent = ivt_tests::hasty(&config.parse().unwrap());
    let stage = Stage { cloud, cameras: vec![good], agent };
    soon("the agent logs in", stage.device().wait_online()).await;
    stage
}

#[tokio::test]
async fn a_camera_away_at_start_is_103_until_it_is_there() {
    let (address, _kept) = closed_port();
    let stage = beside(address).await;
    assert_eq!(stage.publish(0, "bad").await.unwrap_err().code, 103);
    stage.becomes(0, ChannelState::Offline, None).await;
    stage.publish(1, "s").await.unwrap();
    flows_on(&stage).await;

    let bind = address;
    let _camera =
        CameraSim::start(CameraOptions { bind, ..CameraOptions::default() }).await.unwrap();
    stage.publish(0, "late").await.unwrap();
    let late = stage.cloud.stream("late");
    soon("the picture of the camera that came late", late.wait_frames(20)).await;
    stage.becomes(0, ChannelState::Live, Some("late")).await;
}

#[tokio::test]
async fn a_camera_that_sends_noise_from_the_first_byte_is_103_and_disturbs_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let noise = tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                loop {
                    rand::rng().fill(&mut bytes);
                    if tcp.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let stage = beside(address).await;
    stage.publish(1, "s").await.unwrap();
    let error = stage.publish(0, "bad").await.unwrap_err();
    assert_eq!(error.code, 103, "{error}");
    assert!(error.msg.len() < 1024 && !error.msg.contains('\0'), "{error}");
    flows_on(&stage).await;
    noise.abort();
}
