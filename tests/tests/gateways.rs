//! What clouds and the gateways before them do that is right, or harmless, or means something: redirects, pauses
//! they ask for, codes of a close, and packets in other spellings than the specification's.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ivt_agent::Agent;
use ivt_agent::cloud::CloudState;
use ivt_proto::rpc::message::ChannelState;
use ivt_sim::camera::{CameraOptions, CameraSim};
use ivt_sim::cloud::{
    CloseQuirk, CloudOptions, CloudSim, Faults, LinkFaults, LoginQuirks, PacketQuirks,
};
use ivt_tests::{DEVICE, Plan, Stage, hasty, soon};
use serde_json::json;
use tokio::time::Instant;

fn with_link(link: LinkFaults) -> Plan {
    let faults = Faults { link, ..Faults::default() };
    Plan { cloud: CloudOptions { faults, ..CloudOptions::default() }, ..Plan::default() }
}

fn with_login(login: LoginQuirks) -> Plan {
    with_link(LinkFaults { login, ..LinkFaults::default() })
}

/// A cloud with these faults, and an agent that dials it, but need not be taken in.
async fn dialling(link: LinkFaults) -> (CloudSim, Agent, CameraSim) {
    let plan = with_link(link);
    let cloud = CloudSim::start(plan.cloud.clone()).await.unwrap();
    let camera = CameraSim::start(CameraOptions::default()).await.unwrap();
    let agent = hasty(&plan.config(&cloud, std::slice::from_ref(&camera)));
    (cloud, agent, camera)
}

/// The end of the first attempt or connection: what is told of it, the pause that follows it, and whether the
/// login is to blame.
async fn end(agent: &Agent) -> (Arc<str>, Duration, bool) {
    let mut state = agent.view().cloud();
    let waits = |state: &CloudState| matches!(state, CloudState::Waiting { .. });
    let state = *soon("it waits", state.wait_for(waits)).await.unwrap();
    let CloudState::Waiting { until, wrong_login } = state else { panic!("{state:?}") };
    let told = agent.view().device().cloud_end.expect("there was an end");
    (told, until - Instant::now(), wrong_login)
}

#[tokio::test]
async fn a_redirect_is_followed_once_whatever_its_status_and_spelling() {
    let follows = async |(status, location): (u16, &str)| {
        let login = LoginQuirks { redirect: Some(status), ..LoginQuirks::default() };
        let (cloud, agent, _camera) =
            dialling(LinkFaults { refuse_login: Some(503), ..LinkFaults::default() }).await;
        let location = location.replace("HOST", &cloud.http_addr().to_string());
        let login = LoginQuirks { location, ..login };
        cloud.set_faults(Faults {
            link: LinkFaults { login, ..LinkFaults::default() },
            ..Faults::default()
        });
        let device = cloud.device(DEVICE);
        soon(&format!("{status}: a login"), device.wait_online()).await;
        let mut keepalive = device.keepalive();
        soon("a keepalive", keepalive.wait_for(Option::is_some)).await.unwrap();
        agent.stop().await;
    };
    join_all(
        [
            (301, "/ivc2"),
            (302, "ivc2"),
            (303, "//HOST/ivc2"),
            (307, "http://HOST/ivc2"),
            (308, "ws://HOST/ivc2?node=2"),
        ]
        .map(follows),
    )
    .await;
}

#[tokio::test]
async fn a_redirect_that_leads_nowhere_is_told_with_the_reason_and_without_a_query() {
    let refused = async |(location, told): (&str, &str)| {
        let login = LoginQuirks {
            redirect: Some(307),
            location: location.into(),
            ..LoginQuirks::default()
        };
        let (cloud, agent, _camera) = dialling(LinkFaults { login, ..LinkFaults::default() }).await;
        let (said, pause, wrong_login) = end(&agent).await;
        assert!(said.contains(told) && !said.contains("canary"), "{location}: {said}");
        assert!(!wrong_login && pause <= Duration::from_secs(15), "{location}: {pause:?}");
        assert!(!cloud.device(DEVICE).online());
        agent.stop().await;
    };
    join_all(
        [
            ("/ivc?token=canary", "and from there again"),
            ("", "HTTP 307 Temporary Redirect"),
            ("ftp://127.0.0.1/?canary", "to ftp:, expected ws or wss"),
            ("ws://user:canary@127.0.0.1/ivc", "a login in it"),
            ("ws://[::ffff:169.254.169.254]/canary?canary", "is a link-local address"),
            ("ws://:1", "no address"),
        ]
        .map(refused),
    )
    .await;
}

#[tokio::test]
async fn a_cloud_that_takes_no_logins_is_left_alone_as_long_as_it_asks() {
    let waits = async |(status, after, least): (u16, &str, u64)| {
        let login = LoginQuirks { retry_after: after.into(), ..LoginQuirks::default() };
        let link = LinkFaults { refuse_login: Some(status), login, ..LinkFaults::default() };
        let (_cloud, agent, _camera) = dialling(link).await;
        let (said, pause, wrong_login) = end(&agent).await;
        assert!(!wrong_login, "{status}: {said}");
        let words = format!("takes no logins now: HTTP {status}");
        assert!(said.contains(&words) && said.contains("login refused on request"), "{said}");
        let least = Duration::from_secs(least);
        // Some of the pause has passed, on a busy machine seconds of it.
        let most = least + Duration::from_secs(15);
        let range = least.saturating_sub(Duration::from_secs(10))..=most;
        assert!(range.contains(&pause), "{status} {after}: {pause:?}");
        agent.stop().await;
    };
    join_all(
        [
            (503, "40", 40),
            (429, "120", 120),
            (502, "27", 27),
            (504, "", 0),
            (503, "Thu, 01 Jan 2099 00:00:00 GMT", 3600),
            (503, "999999999999999999999", 3600),
            (429, "soon", 0),
        ]
        .map(waits),
    )
    .await;
}

#[tokio::test]
async fn the_code_and_the_words_of_a_close_are_told_and_a_newer_instance_is_not_fought() {
    let closed = async |(code, reason, told): (u16, &str, &str)| {
        let close = CloseQuirk { code: Some(code), reason: reason.into() };
        let (_cloud, agent, _camera) =
            dialling(LinkFaults { close, ..LinkFaults::default() }).await;
        let (said, ..) = end(&agent).await;
        assert!(said.contains(told), "{code}: {said}");
        agent.stop().await;
    };
    join_all(
        [
            (4002, "newer instance", "4002: newer instance; another device has logged in"),
            (1001, "node 3 goes\n", "1001, going away: node 3 goes"),
            (1012, "", "1012, service restart"),
            (4999, "é", "4999: é"),
        ]
        .map(closed),
    )
    .await;
}

/// Logs in, is asked for a picture and answers, over more than one Keepalive.
async fn serves(stage: &Stage, what: &str) {
    stage.keepalive(|_| true).await;
    let before = stage.device().logins();
    stage.publish(0, "s").await.unwrap_or_else(|error| panic!("{what}: {error}"));
    stage.reported(0, ChannelState::Live, Some("s")).await;
    let error = stage.call("GetNetConfig", json!({ "channel": 0.0 })).await.unwrap_err();
    assert_eq!(error.code, 101, "{what}: {error}");
    stage.stop(0, "s").await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(stage.device().logins(), before, "{what}");
}

#[tokio::test]
async fn packets_in_the_spellings_of_deployed_clouds_are_served() {
    let serves = async |(what, packets): (&str, PacketQuirks)| {
        let stage = with_link(LinkFaults { packets, ..LinkFaults::default() }).start().await;
        serves(&stage, what).await;
    };
    let none = PacketQuirks::default();
    let all = PacketQuirks {
        binary: true,
        bom: true,
        nul: true,
        blank: true,
        empty: true,
        null_err: true,
        float_seq: true,
        string_seq: false,
    };
    join_all(
        [
            ("binary", PacketQuirks { binary: true, ..none }),
            ("bom", PacketQuirks { bom: true, ..none }),
            ("nul", PacketQuirks { nul: true, ..none }),
            ("blank", PacketQuirks { blank: true, ..none }),
            ("empty", PacketQuirks { empty: true, ..none }),
            ("null_err", PacketQuirks { null_err: true, ..none }),
            ("float_seq", PacketQuirks { float_seq: true, ..none }),
            ("string_seq", PacketQuirks { string_seq: true, ..none }),
            ("all", all),
        ]
        .map(serves),
    )
    .await;
}

#[tokio::test]
async fn a_login_is_taken_as_gateways_answer_it() {
    let login = LoginQuirks {
        connection: "keep-alive, Upgrade".into(),
        subprotocol: "ivc".into(),
        pieces: true,
        ..LoginQuirks::default()
    };
    let stage = with_login(login).start().await;
    serves(&stage, "keep-alive, Upgrade").await;
    let upper = LoginQuirks { connection: "UPGRADE".into(), ..LoginQuirks::default() };
    serves(&with_login(upper).start().await, "UPGRADE").await;
}

#[tokio::test]
async fn a_publish_and_a_recording_need_no_bit_rate() {
    let stage = Plan::default().start().await;
    let url = stage.cloud.rtmp_url("s");
    let params = json!({ "channel": 0, "quality": "hd", "url": url, "stream_id": "s" });
    stage.call("RTMPPublish", params).await.unwrap();
    soon("the picture flows", stage.cloud.stream("s").wait_frames(1)).await;
    let params = json!({
        "session_id": "r", "channel": 0, "quality": "hd", "seg_duration": 1, "seg_max_size": 8_388_608.0,
        "seg_max_count": 3.0, "prerecord_seconds": 0, "start_ts": 0, "cbk_url": stage.cloud.record_url("r").as_str(),
        "max_bitrate": null,
    });
    stage.call("StartCloudRecord", params).await.unwrap();
    stage.call("StopCloudRecord", json!({ "session_id": "r", "channel": 0 })).await.unwrap();
}
