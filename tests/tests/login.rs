//! Logins, keepalives and the faults of the connection to the cloud.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::time::Duration;

use futures::future::join_all;
use futures::{SinkExt as _, StreamExt as _};
use ivt_sim::camera::{CameraOptions, CameraSim};
use ivt_sim::cloud::{CloudOptions, Direction, Faults, LinkFaults, Login};
use ivt_tests::{DEVICE, Plan, Stage, hasty, soon, until};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::tungstenite::Message;

fn with_link(link: LinkFaults) -> Plan {
    let faults = Faults { link, ..Faults::default() };
    Plan { cloud: CloudOptions { faults, ..CloudOptions::default() }, ..Plan::default() }
}

async fn comes_back(stage: &Stage, logins: u64) {
    let device = stage.device();
    until("the device logs in again", || device.logins() > logins && device.online()).await;
}

#[tokio::test]
async fn the_keepalive_comes_first_and_lists_every_channel() {
    let mut plan = Plan::default();
    plan.cameras.push(plan.cameras[0].clone());
    let stage = plan.start().await;
    stage.keepalive(|_| true).await;
    let (packets, _) = stage.device().packets();
    let first = packets.iter().find(|p| p.direction == Direction::FromDevice).unwrap();
    let first: Value = serde_json::from_str(&first.text).unwrap();
    assert_eq!((&first["req"], &first["seq"]), (&json!("Keepalive"), &json!(1)));
    let channels = first["params"]["channels"].as_array().unwrap();
    assert_eq!(channels.len(), 2);
    assert_eq!(first["params"]["state"], 1, "the cameras were asked before: {first}");
    assert!(channels.iter().all(|c| c["state"] == 1), "{first}");
}

#[tokio::test]
async fn credentials_of_any_characters_arrive_as_they_are() {
    let (password, hardware, firmware) =
        ("p ss/?#%+&=ü", "IPC 100%+&=?#/摄像头", "1.0+b&login_code=x");
    let login = Login { code: DEVICE.into(), password: password.into() };
    let cloud = CloudOptions { logins: vec![login], ..CloudOptions::default() };
    let settings = format!("hardware_model = '{hardware}'\nfirmware_model = '{firmware}'");
    let stage = Plan { cloud, password, settings, ..Plan::default() }.start().await;
    let models = stage.device().info().models;
    assert_eq!((&*models.hardware_model, &*models.firmware_model), (hardware, firmware));
}

#[tokio::test]
async fn an_answer_that_is_no_packet_ends_the_connection() {
    let stage = with_link(LinkFaults { garbage: true, ..LinkFaults::default() }).start().await;
    soon("the device hangs up", stage.device().wait_offline()).await;
    stage.cloud.set_faults(Faults::default());
    comes_back(&stage, 1).await;
}

#[tokio::test]
async fn a_cloud_that_answers_without_content_is_kept_where_the_configuration_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}/ivc", listener.local_addr().unwrap());
    let camera = CameraSim::start(CameraOptions::default()).await.unwrap();
    let settings = "accept_bare_answers = true".into();
    let plan = Plan { settings, ..Plan::default() };
    let _agent = hasty(&plan.config_of(&address, std::slice::from_ref(&camera)));
    let (tcp, _) = soon("the agent dials", listener.accept()).await.unwrap();
    let mut cloud = tokio_tungstenite::accept_async(tcp).await.unwrap();
    for _ in 0..2 {
        let message = soon("a keepalive", cloud.next()).await.unwrap().unwrap();
        let packet: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        assert_eq!(packet["req"], "Keepalive");
        cloud.send(Message::text(json!({"seq": packet["seq"]}).to_string())).await.unwrap();
    }
}

#[tokio::test]
async fn malformed_packets_end_the_connection_and_only_that() {
    let ends = async |text: &str| {
        let stage = Plan::default().start().await;
        stage.device().send_raw(text).await.unwrap();
        soon("the device hangs up", stage.device().wait_offline()).await;
        comes_back(&stage, 1).await;
    };
    let texts = ["{", "[]", "{}", r#"{"seq":1}"#, r#"{"seq":99,"resp":{}}"#, "null", "\u{0}{}"];
    join_all(texts.map(ends)).await;
}

#[tokio::test]
async fn a_flood_of_events_leaves_the_picture_alone() {
    let stage = Plan::default().start().await;
    stage.publish(0, "s").await.unwrap();
    let stream = stage.cloud.stream("s");
    soon("frames flow", stream.wait_frames(20)).await;
    let link = LinkFaults { flood: 10_000, ..LinkFaults::default() };
    stage.cloud.set_faults(Faults { link, ..Faults::default() });
    let frames = stream.info().frames;
    let info = soon("frames flow on", stream.wait_frames(frames + 150)).await;
    assert!(info.live && info.publishes == 1 && info.dts_violations == 0, "{info:?}");
    assert!(stage.device().online(), "events alone are no reason to hang up");
}

#[tokio::test]
async fn a_flood_of_requests_and_events_leaves_picture_and_keepalives_alone() {
    let stage = Plan::default().start().await;
    stage.publish(0, "s").await.unwrap();
    let stream = stage.cloud.stream("s");
    soon("frames flow", stream.wait_frames(20)).await;
    let before = stream.info().frames;
    // Five thousand requests and events come in a second, and every request is answered.
    let (_, mut packets) = stage.device().packets();
    let mut last = 1000;
    let mut keepalives = stage.device().keepalive();
    keepalives.mark_unchanged();
    soon("two keepalives during the flood", async {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut kept = 0;
        while kept < 2 {
            tick.tick().await;
            for _ in 0..50 {
                last += 1;
                let request =
                    json!({ "req": "GetNetConfig", "params": { "channel": 0 }, "seq": last });
                let event = json!({ "event": "CtrlPTZ", "params": { "channel": 0, "op": "stop" } });
                stage.device().send_raw(request.to_string()).await.unwrap();
                stage.device().send_raw(event.to_string()).await.unwrap();
            }
            kept += i32::from(keepalives.has_changed().unwrap());
            keepalives.mark_unchanged();
        }
    })
    .await;
    let answers_last = |text: &str| {
        let packet: Value = serde_json::from_str(text).unwrap();
        packet["seq"] == last && packet.get("err").is_some()
    };
    soon("the last answer", async {
        loop {
            match packets.recv().await {
                Ok(p) if p.direction == Direction::FromDevice && answers_last(&p.text) => break,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
    let info = soon("frames flow on", stream.wait_frames(before + 60)).await;
    assert!(info.live && info.publishes == 1 && info.dts_violations == 0, "{info:?}");
    let sent = stage.agent.view().channel(0).unwrap().publish;
    assert_eq!((sent.gaps, sent.dropped_frames), (0, 0));
    assert_eq!(stage.device().logins(), 1);
}

#[tokio::test]
async fn a_flood_of_requests_behind_a_slow_one_is_answered_in_order_and_ends_no_connection() {
    // Requests and answers together stay below the 1,024 packets that a receiver may be behind.
    const REQUESTS: i64 = 400;
    let stage = Plan::default().start().await;
    let (_, mut packets) = stage.device().packets();
    // A slow request holds back the answers to those behind it.
    let slow = json!({ "req": "RTMPPublish", "seq": 1, "params": {
        "channel": 0, "quality": "hd", "url": "rtmp://127.0.0.1:9/live/x", "stream_id": "x",
        "max_bitrate": 1_000_000_000 } });
    stage.device().send_raw(slow.to_string()).await.unwrap();
    let flood = async {
        for seq in 2..=REQUESTS {
            let request = json!({ "req": "GetNetConfig", "params": { "channel": 0 }, "seq": seq });
            stage.device().send_raw(request.to_string()).await.unwrap();
        }
    };
    let answers = async {
        let mut next = 1;
        while next <= REQUESTS {
            let packet = soon("an answer", packets.recv()).await.unwrap();
            let text: Value = serde_json::from_str(&packet.text).unwrap();
            if packet.direction == Direction::FromDevice && text.get("err").is_some() {
                assert_eq!(text["seq"], next, "{text}");
                next += 1;
            }
        }
    };
    tokio::join!(flood, answers);
    assert_eq!(stage.device().logins(), 1);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let stage = Plan::default().start().await;
    let (_, mut packets) = stage.device().packets();
    let url = stage.cloud.rtmp_url("s");
    for seq in 100..120 {
        let request = match seq {
            100 => json!({ "req": "RTMPPublish", "seq": seq, "params": {
                "channel": 0, "quality": "hd", "url": url, "stream_id": "s", "max_bitrate": 0 } }),
            _ => json!({ "req": "RebootTheMoon", "seq": seq, "params": { "channel": seq } }),
        };
        stage.device().send_raw(request.to_string()).await.unwrap();
    }
    let mut answered = Vec::new();
    while answered.len() < 20 {
        let packet = soon("an answer", packets.recv()).await.unwrap();
        let text: Value = serde_json::from_str(&packet.text).unwrap();
        let answer = text.get("resp").or(text.get("err")).is_some();
        if packet.direction == Direction::FromDevice && answer {
            answered.push(text["seq"].as_i64().unwrap());
        }
    }
    assert_eq!(answered, (100..120).collect::<Vec<_>>());
}
