//! `wss` and `rtmps`: the servers that the agent trusts, and what others can read of it.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::time::Duration;

use futures::future::join_all;
use ivt_agent::cloud::CloudState;
use ivt_proto::rpc::message::ChannelState;
use ivt_sim::camera::{CameraOptions, CameraSim};
use ivt_sim::cloud::{CloudOptions, CloudSim, Login};
use ivt_tests::front::Front;
use ivt_tests::{DEVICE, Plan, Stage, hasty, soon, until};

/// The first byte of TLS.
const HANDSHAKE: u8 = 22;

/// A cloud behind TLS, whose RTMP server is behind TLS as well.
async fn cloud() -> (CloudSim, Front) {
    let logins = vec![Login { code: DEVICE.into(), password: "p".into() }];
    let cloud = CloudSim::start(CloudOptions { logins, ..CloudOptions::default() }).await.unwrap();
    let front = Front::tls(cloud.http_addr()).await;
    (cloud, front)
}

async fn stage(cloud: CloudSim, address: &str, settings: String) -> Stage {
    let camera = CameraSim::start(CameraOptions::default()).await.unwrap();
    let plan = Plan { settings, ..Plan::default() };
    let agent = hasty(&plan.config_of(address, std::slice::from_ref(&camera)));
    Stage { cloud, cameras: vec![camera], agent }
}

#[tokio::test]
async fn a_pinned_authority_carries_login_requests_and_the_picture() {
    let (cloud, front) = cloud().await;
    let address = format!("wss://localhost:{}/ivc", front.addr().port());
    let rtmp = front.beside(cloud.rtmp_addr()).await;
    let stage = stage(cloud, &address, format!("ca_file = '{}'", front.authority())).await;
    soon("the agent logs in", stage.device().wait_online()).await;
    stage.keepalive(|_| true).await;

    let url = format!("rtmps://localhost:{}/live/s", rtmp.addr().port());
    stage.publish_to(0, "s", &url).await.unwrap();
    let info = soon("the picture", stage.cloud.stream("s").wait_frames(30)).await;
    assert_eq!((info.dts_violations, info.malformed), (0, 0), "{info:?}");
    stage.becomes(0, ChannelState::Live, Some("s")).await;
    for front in [&front, &rtmp] {
        assert!(front.seen().first.iter().all(|byte| *byte == HANDSHAKE));
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_reads_nothing_and_there_is_no_way_back_to_clear_text() {
    let unknown = async {
        let (cloud, front) = cloud().await;
        let address = format!("wss://localhost:{}/ivc", front.addr().port());
        (cloud, front, address, String::new(), None)
    };
    let another = async {
        let (cloud, front) = cloud().await;
        let other = Front::tls(cloud.http_addr()).await;
        let address = format!("wss://localhost:{}/ivc", front.addr().port());
        let pin = format!("ca_file = '{}'", other.authority());
        (cloud, front, address, pin, Some(other))
    };
    let wrong_name = async {
        let (cloud, front) = cloud().await;
        let address = format!("wss://127.0.0.1:{}/ivc", front.addr().port());
        let pin = format!("ca_file = '{}'", front.authority());
        (cloud, front, address, pin, None)
    };
    let cases = tokio::join!(unknown, another, wrong_name);
    type Case = (CloudSim, Front, String, String, Option<Front>);
    let refused = async |(cloud, front, address, settings, _other): Case| {
        let stage = stage(cloud, &address, settings).await;
        // After three dials in TLS the agent would have fallen back to plain TCP if it ever did.
        until("it dials again and again", || front.seen().first.len() >= 3).await;
        let seen = front.seen();
        assert!(seen.first.iter().all(|byte| *byte == HANDSHAKE), "{address}: {seen:?}");
        assert_eq!(seen.carried, 0, "{address}: nothing was said inside");
        assert!(stage.cloud.devices().is_empty(), "{address}");
        let state = *stage.agent.view().cloud().borrow();
        assert!(!matches!(
            state,
            CloudState::Online | CloudState::Waiting { wrong_login: true, .. }
        ));
    };
    join_all([cases.0, cases.1, cases.2].map(refused)).await;
}

#[tokio::test]
async fn an_rtmps_server_that_is_not_trusted_is_error_1_and_never_sees_the_key() {
    let stage = Plan::default().start().await;
    let front = Front::tls(stage.cloud.rtmp_addr()).await;
    let url = format!("rtmps://localhost:{}/live/canary", front.addr().port());
    let error = stage.publish_to(0, "s", &url).await.unwrap_err();
    assert_eq!(error.code, 1, "{error}");
    assert!(!error.msg.contains("canary"), "{error}");
    let seen = front.seen();
    assert_eq!((seen.first, seen.carried), (vec![HANDSHAKE], 0));
    stage.becomes(0, ChannelState::Online, None).await;
    assert_eq!(stage.cloud.stream("canary").info().publishes, 0);
}

#[tokio::test]
async fn a_server_without_tls_is_never_talked_to_in_clear() {
    let (cloud, _) = cloud().await;
    let front = Front::plain(cloud.http_addr()).await;
    let address = format!("wss://localhost:{}/ivc", front.addr().port());
    let stage = stage(cloud, &address, String::new()).await;
    until("it dials again", || front.seen().first.len() >= 2).await;
    assert!(front.seen().first.iter().all(|byte| *byte == HANDSHAKE));
    assert!(stage.cloud.devices().is_empty());
    let refused = tokio::time::timeout(Duration::ZERO, stage.device().wait_online()).await;
    assert!(refused.is_err());
}
