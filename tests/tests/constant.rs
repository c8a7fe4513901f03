//! `SetRTMPPublishConfig`: what is pushed for ever, over restarts of the agent and beside RTMPPublish.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::path::Path;

use ivt_agent::config::Config;
use ivt_proto::rpc::message::ChannelState;
use ivt_sim::camera::CameraSim;
use ivt_sim::cloud::{CloudOptions, CloudSim};
use ivt_tests::{Plan, Stage, hasty, soon, until};
use serde_json::{Value, json};

const DUPLICATE: i64 = 12;

/// A stage whose agent keeps its state in `folder`.
async fn stage(cloud: CloudSim, cameras: Vec<CameraSim>, folder: &Path) -> Stage {
    let config = Plan::default().config(&cloud, &cameras);
    let agent = hasty(&Config { state_dir: Some(folder.to_owned()), ..config });
    let stage = Stage { agent, cloud, cameras };
    soon("the agent logs in", stage.device().wait_online()).await;
    stage
}

async fn fresh(folder: &Path) -> Stage {
    let cloud = CloudSim::start(CloudOptions::default()).await.unwrap();
    let mut cameras = Vec::new();
    for options in Plan::default().cameras {
        cameras.push(CameraSim::start(options).await.unwrap());
    }
    stage(cloud, cameras, folder).await
}

fn rows(stage: &Stage, enable: bool, stream: &str) -> Value {
    json!([{ "enable": enable, "channel": 0, "quality": "hd", "url": stage.cloud.rtmp_url(stream) }])
}

#[tokio::test]
async fn a_list_is_pushed_for_ever_also_by_the_next_run_and_keeps_other_streams_away() {
    let folder = tempfile::tempdir().unwrap();
    let first = fresh(folder.path()).await;
    assert_eq!(first.call("GetRTMPPublishConfig", Value::Null).await.unwrap(), json!([]));
    let pushed = rows(&first, true, "pushed");
    first.call("SetRTMPPublishConfig", pushed.clone()).await.unwrap();
    soon("it is pushed", first.cloud.stream("pushed").wait_frames(30)).await;
    first.reported(0, ChannelState::Live, None).await;
    assert_eq!(first.call("GetRTMPPublishConfig", Value::Null).await.unwrap(), pushed);
    assert_eq!(first.publish(0, "asked").await.unwrap_err().code, DUPLICATE);

    let Stage { agent, cloud, cameras } = first;
    agent.stop().await;
    soon("it ends with the agent", cloud.stream("pushed").wait_for(|s| !s.live)).await;
    let again = stage(cloud, cameras, folder.path()).await;
    soon("the next run pushes it", again.cloud.stream("pushed").wait_for(|s| s.live)).await;
    assert_eq!(again.call("GetRTMPPublishConfig", Value::Null).await.unwrap(), pushed);

    let before = again.cloud.stream("pushed").info().publishes;
    let mut both = pushed.as_array().unwrap().clone();
    both.push(json!({ "enable": false, "channel": 0, "quality": "ld", "url": "" }));
    again.call("SetRTMPPublishConfig", json!(both)).await.unwrap();
    let frames = again.cloud.stream("pushed").info().frames;
    soon("it flows on", again.cloud.stream("pushed").wait_frames(frames + 30)).await;
    assert_eq!(
        again.cloud.stream("pushed").info().publishes,
        before,
        "a row that is alike goes on"
    );

    again.call("SetRTMPPublishConfig", rows(&again, false, "pushed")).await.unwrap();
    soon("a row that is disabled ends", again.cloud.stream("pushed").wait_for(|s| !s.live)).await;
    again.publish(0, "asked").await.unwrap();
    again.call("SetRTMPPublishConfig", pushed).await.unwrap();
    soon("the stream of the cloud flows on", again.cloud.stream("asked").wait_frames(60)).await;
    assert!(!again.cloud.stream("pushed").info().live, "the row waits");
    again.stop(0, "asked").await.unwrap();
    soon("and begins", again.cloud.stream("pushed").wait_for(|s| s.live)).await;
}

#[tokio::test]
async fn a_wrong_row_changes_nothing_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let stage = fresh(folder.path()).await;
    let good = rows(&stage, true, "pushed");
    stage.call("SetRTMPPublishConfig", good.clone()).await.unwrap();
    for (row, code, word) in [
        (
            json!({ "enable": true, "channel": 7, "quality": "hd", "url": "rtmp://h/a/b" }),
            102,
            "params[0].channel",
        ),
        (
            json!({ "enable": true, "channel": 0, "quality": "hd", "url": "http://h/a/b" }),
            1,
            "params[0].url",
        ),
        (json!({ "enable": 1, "channel": 0, "quality": "hd", "url": "rtmp://h/a/b" }), 1, "enable"),
        (
            json!({ "enable": true, "channel": 0, "quality": "uhd", "url": "rtmp://h/a/b" }),
            1,
            "quality",
        ),
        (json!({ "enable": true, "channel": 0, "quality": "hd" }), 1, "url"),
    ] {
        let error = stage.call("SetRTMPPublishConfig", json!([row])).await.unwrap_err();
        assert!(error.code == code && error.msg.contains(word), "{row}: {error}");
        assert_eq!(stage.call("GetRTMPPublishConfig", Value::Null).await.unwrap(), good);
    }
    until("it is pushed all the while", || stage.cloud.stream("pushed").info().live).await;
}
