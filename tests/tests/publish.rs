//! `RTMPPublish` and `RTMPStopPublish`, from the cloud's request to the picture at its server.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use futures::future::join_all;
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_proto::rpc::message::ChannelState;
use ivt_sim::cloud::{CloudOptions, CloudSim};
use ivt_tests::{DEVICE, Plan, Stage, camera, soon, until};
use serde_json::json;

const BITRATE: i64 = 11;
const INTERNAL: i64 = 1;
const UNSUPPORTED: i64 = 101;
const NO_CHANNEL: i64 = 102;
const OFFLINE: i64 = 103;
/// Pictures and pieces of sound from one key frame of the clip `long_gop` to the next, four seconds later.
const GROUP: u64 = 103;

async fn flows(stage: &Stage, id: &str) {
    soon("frames reach the cloud", stage.cloud.stream(id).wait_frames(30)).await;
}

#[tokio::test]
async fn low_qualities_are_the_sub_stream_unless_the_channel_says_otherwise() {
    let shows = async |(settings, quality, dimensions): (&str, &str, (u32, u32))| {
        let channel_settings = settings.into();
        let stage = Plan { channel_settings, ..Plan::default() }.start().await;
        let params = json!({
            "channel": 0, "quality": quality, "url": stage.cloud.rtmp_url("s"),
            "stream_id": "s", "max_bitrate": 0,
        });
        stage.call("RTMPPublish", params).await.unwrap();
        flows(&stage, "s").await;
        let shown = stage.cloud.stream("s").info().dimensions;
        assert_eq!(shown, Some(dimensions), "{quality} with {settings:?}");
    };
    let (main, sub) = ((640, 360), (320, 180));
    let swapped = "[channel.quality]\nsd = 'main'\nfhd = 'sub'";
    let cases = [
        ("", "ld", sub),
        ("", "sd", sub),
        ("", "hd", main),
        ("", "fhd", main),
        (swapped, "sd", main),
        (swapped, "fhd", sub),
    ];
    join_all(cases.map(shows)).await;
}

#[tokio::test]
async fn the_same_stream_again_while_it_starts_shares_the_outcome() {
    let stage = Plan::default().start().await;
    // Measuring takes three seconds, which leaves the time to ask again.
    let ask = || {
        let url = stage.cloud.rtmp_url("s");
        json!({ "channel": 0, "quality": "hd", "url": url, "stream_id": "s", "max_bitrate": 50_000_000 })
    };
    let other = async {
        until("the camera is pulled", || stage.cameras[0].counters().total().plays == 1).await;
        stage.becomes(0, ChannelState::Online, None).await;
        stage.call("RTMPPublish", ask()).await
    };
    let (first, second) = tokio::join!(stage.call("RTMPPublish", ask()), other);
    assert_eq!((first.is_ok(), second.is_ok()), (true, true), "{first:?} {second:?}");
    flows(&stage, "s").await;
    assert_eq!(stage.cloud.stream("s").info().publishes, 1);
}

#[tokio::test]
async fn a_running_ring_starts_the_picture_at_a_key_frame_from_before_the_request() {
    // The clip has a key frame every four seconds, the first at the moment when the clip is opened.
    let clip = format!("{}/fixtures/long_gop.flv", env!("CARGO_MANIFEST_DIR"));
    let cloud = CloudSim::start(CloudOptions::default()).await.unwrap();
    let config = format!(
        "[cloud]\nurl = '{}'\nlogin_code = '{DEVICE}'\nlogin_passwd = 'p'\n\
         [[channel]]\nbackend = 'emulator'\nmain = '{clip}'\nalways_on = ['main']",
        cloud.device_url(),
    );
    let agent = ivt_tests::hasty(&config.parse().unwrap());
    let stage = Stage { cloud, cameras: Vec::new(), agent };
    soon("the agent logs in", stage.device().wait_online()).await;
    // The request comes in the middle of a group: one key frame is some time past, and the next is some time
    // away.
    let frames = || stage.agent.view().channel(0).unwrap().main.frames;
    until("the ring fills", || (20..60).contains(&(frames() % GROUP))).await;
    let before = frames() / GROUP * GROUP;

    stage.publish(0, "s").await.unwrap();
    let stream = stage.cloud.stream("s");
    flows(&stage, "s").await;
    // A frame that is missing in the cloud came before that key frame, or is on its way.
    let missing = || frames() - stream.info().frames;
    until("all since the key frame has come", || missing() < before + GROUP / 2).await;
    assert_eq!(stream.info().dts_violations, 0);
}

#[tokio::test]
async fn stopping_another_stream_leaves_the_running_one_alone() {
    let stage = Plan::default().start().await;
    stage.publish(0, "s1").await.unwrap();
    stage.stop(0, "other").await.unwrap();
    flows(&stage, "s1").await;
    assert_eq!(stage.cloud.stream("s1").info().publishes, 1);
    stage.stop(0, "s1").await.unwrap();
    stage.becomes(0, ChannelState::Online, None).await;
    stage.stop(0, "s1").await.unwrap();
}

#[tokio::test]
async fn what_does_not_exist_is_named_by_its_code() {
    let stage = Plan::default().start().await;
    assert_eq!(stage.publish(7, "s").await.unwrap_err().code, NO_CHANNEL);
    let unknown = stage.call("GetTheMoon", json!({})).await.unwrap_err();
    assert_eq!(unknown.code, UNSUPPORTED);
    let mistyped =
        json!({ "channel": 0, "quality": "hd", "url": 5, "stream_id": "s", "max_bitrate": 0 });
    let error = stage.call("RTMPPublish", mistyped).await.unwrap_err();
    assert_eq!(error.code, INTERNAL);
    assert!(error.msg.contains("url"), "{error}");
    for url in ["http://127.0.0.1/live/x", "file:///etc/passwd", "rtmp://", "", "rtmp://127.0.0.1"]
    {
        let error = stage.publish_to(0, "s", url).await.unwrap_err();
        assert_eq!(error.code, INTERNAL, "{url}: {error}");
    }
}

#[tokio::test]
async fn an_unreachable_camera_is_103_and_the_device_state_3() {
    let stage = Plan::default().start().await;
    let Stage { cloud, mut cameras, agent } = stage;
    drop(cameras.remove(0));
    let stage = Stage { cloud, cameras, agent };
    assert_eq!(stage.publish(0, "s").await.unwrap_err().code, OFFLINE);
    stage.reported(0, ChannelState::Offline, None).await;
    let kept = stage.keepalive(|_| true).await;
    assert_eq!(serde_json::to_value(&kept).unwrap()["state"], 3);
}

#[tokio::test]
async fn one_bad_channel_leaves_the_others_alone() {
    let mut plan = Plan::default();
    plan.cameras.push(camera(ClipOpener::built_in(BuiltIn::Sub)));
    let mut stage = plan.start().await;
    drop(stage.cameras.remove(0));
    assert_eq!(stage.publish(0, "bad").await.unwrap_err().code, OFFLINE);
    stage.publish(1, "good").await.unwrap();
    flows(&stage, "good").await;
    stage.reported(1, ChannelState::Live, Some("good")).await;
    let kept = stage.keepalive(|_| true).await;
    assert_eq!(serde_json::to_value(&kept).unwrap()["state"], 1);
}

#[tokio::test]
async fn a_stream_above_the_limit_is_11() {
    let told = Plan { channel_settings: "bitrate = 4000000".into(), ..Plan::default() };
    let measured = Plan::default();
    let refused_then_taken = async |plan: Plan| {
        let stage = plan.start().await;
        let ask = |max: i64| {
            let url = stage.cloud.rtmp_url("s");
            json!({ "channel": 0, "quality": "hd", "url": url, "stream_id": "s", "max_bitrate": max })
        };
        let refused = stage.call("RTMPPublish", ask(10_000)).await.unwrap_err();
        assert_eq!(refused.code, BITRATE, "{refused}");
        stage.becomes(0, ChannelState::Online, None).await;
        stage.call("RTMPPublish", ask(50_000_000)).await.unwrap();
        flows(&stage, "s").await;
    };
    join_all([told, measured].map(refused_then_taken)).await;
}

#[tokio::test]
async fn the_main_streams_bit_rate_is_no_reason_to_refuse_the_sub_stream() {
    let channel_settings = "bitrate = 4000000".into();
    let stage = Plan { channel_settings, ..Plan::default() }.start().await;
    let ask = json!({ "channel": 0, "quality": "ld", "url": stage.cloud.rtmp_url("s"),
                      "stream_id": "s", "max_bitrate": 1_000_000 });
    stage.call("RTMPPublish", ask).await.unwrap();
    flows(&stage, "s").await;
}

#[tokio::test]
async fn losing_the_cloud_stops_the_stream() {
    let stage = Plan::default().start().await;
    stage.publish(0, "s").await.unwrap();
    flows(&stage, "s").await;
    stage.device().hang_up().await.unwrap();
    soon("the stream ends", stage.cloud.stream("s").wait_for(|s| !s.live)).await;
}

#[tokio::test]
async fn losing_the_cloud_may_leave_the_stream() {
    let settings = "stop_publish_on_disconnect = false".to_owned();
    let stage = Plan { settings, ..Plan::default() }.start().await;
    stage.publish(0, "s").await.unwrap();
    flows(&stage, "s").await;
    stage.device().hang_up().await.unwrap();
    soon("the device is back", async {
        stage.device().wait_offline().await;
        stage.device().wait_online().await;
    })
    .await;
    stage.reported(0, ChannelState::Live, Some("s")).await;
    let info = stage.cloud.stream("s").info();
    assert!(info.live && info.publishes == 1, "{info:?}");
}

#[tokio::test]
async fn the_camera_is_pulled_once_and_not_for_ever() {
    let plan = Plan { settings: "[publish]\nlinger_seconds = 1".into(), ..Plan::default() };
    let stage = plan.start().await;
    stage.publish(0, "s1").await.unwrap();
    flows(&stage, "s1").await;
    stage.stop(0, "s1").await.unwrap();
    stage.publish(0, "s2").await.unwrap();
    flows(&stage, "s2").await;
    assert_eq!(stage.cameras[0].counters().total().plays, 1, "the second reader shares the pull");
    stage.stop(0, "s2").await.unwrap();
    until("the pull ends", || stage.cameras[0].counters().total().sessions == 0).await;
}
