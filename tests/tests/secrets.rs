//! Runs everything the agent does with all of its log written down: no password is in it.

use futures::future::{join, join_all};
use ivt_agent::logger::allows;
use ivt_media::rtmp::server::{ServerLimits, accept};
use ivt_proto::rpc::message::ChannelState;
use ivt_sim::camera::{CameraSim, Credentials, Fault, Scheme};
use ivt_sim::cloud::{CloudOptions, CloudSim, Faults, Login, RtmpFault};
use ivt_tests::front::Front;
use ivt_tests::log::Written;
use ivt_tests::{DEVICE, Plan, Stage, hasty, soon};
use log::{LevelFilter, Log, Metadata, Record};
use serde_json::json;
use tokio::net::TcpListener;

/// Words that must not be in the log, in lower case: the secrets' common beginning as it is, in base64, as it is in
/// "admin:canary-camera" as Basic sends it, in hexadecimal digits, and with escapes.
const SECRETS: [&str; 8] = [
    "canary",
    "y2fuyxj5",
    "ywrtaw46y2fuyxj5lwnhbwvyyq",
    "63616e617279",
    "%61%72",
    "u0063anary",
    "can\\x61ry",
    "&#99;anary",
];

/// A logger that keeps the agent's log at the finest level, without that of the simulators.
struct Everything(env_logger::Logger);

impl Log for Everything {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let simulator =
            ["sim", "camera", "ivt_sim"].iter().any(|s| metadata.target().starts_with(s));
        allows(metadata) && !simulator
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {}
}

/// A stage behind TLS whose every password holds "canary".
async fn stage(scheme: Scheme) -> (Stage, Front) {
    let logins = vec![Login { code: DEVICE.into(), password: "canary-login".into() }];
    let cloud = CloudOptions { logins, ..CloudOptions::default() };
    let cloud = CloudSim::start(cloud).await.expect("a cloud");
    let front = Front::tls(cloud.http_addr()).await;
    let mut plan =
        Plan { settings: format!("ca_file = '{}'", front.authority()), ..Plan::default() };
    plan.password = "canary-login";
    plan.channel_settings = "username = 'admin'\npassword = 'canary-camera'".into();
    let credentials = Credentials { user: "admin".into(), password: "canary-camera".into() };
    plan.cameras[0].credentials = Some(credentials);
    plan.cameras[0].scheme = scheme;
    let camera = CameraSim::start(plan.cameras[0].clone()).await.expect("a camera");
    let address = format!("wss://localhost:{}/ivc", front.addr().port());
    let config = plan.config_of(&address, std::slice::from_ref(&camera));
    log::trace!("{config:?}");
    let stage = Stage { cloud, cameras: vec![camera], agent: hasty(&config) };
    soon("the agent logs in", stage.device().wait_online()).await;
    (stage, front)
}

/// Publishes to servers that refuse, and repeat the stream key in one spelling after the other.
async fn refused_with_the_key_in_any_spelling(stage: &Stage) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    let url = format!("rtmp://127.0.0.1:{port}/live/canary-key%2Fa?token=canary%20token");
    for said in [
        "canary-key/a canary token",
        "canary%2Dkey%2Fa canary%20token",
        "%63%61%6e%61%72%79-key/%61 canary+token",
        "canary%252dkey%252Fa canary%2520token",
        "Y2FuYXJ5LWtleS9h Y2FuYXJ5IHRva2Vu Y2FuYXJ5LWtleSUyRmE",
        "63616e6172792d6b65792f61 63616E61727920746F6B656E",
        "\\u0063anary-key\\/a can\\x61ry token",
        "&#99;anary-key&#x2F;a canary&#32;token",
        "can\u{7}ary-key/a ca\r\nnary token",
        "the stream canary-k... with canary tok…",
        "CANARY-KEY/A CANARY TOKEN",
    ] {
        let server = async {
            let (tcp, _) = listener.accept().await.expect("the agent");
            let mut session = accept(tcp, ServerLimits::default()).await.expect("RTMP");
            session.publish().await.expect("a publish");
            let said = format!("{said} is taken");
            session.refuse("NetStream.Publish.BadName", &said).await.expect("it listens");
        };
        let (refused, ()) = join(stage.publish_to(0, "t", &url), server).await;
        let refused = refused.expect_err("a refusal").msg;
        let spelling = SECRETS.iter().find(|secret| refused.to_lowercase().contains(**secret));
        assert_eq!(spelling, None, "{said}: {refused}");
    }
}

async fn live_lost_and_refused(scheme: Scheme) {
    let (stage, front) = stage(scheme).await;
    // The publish runs over TLS, is lost, and goes on.
    let rtmps = front.beside(stage.cloud.rtmp_addr()).await;
    let url = format!("rtmps://localhost:{}/live/s?token=canary-token", rtmps.addr().port());
    let rtmp = RtmpFault::CloseMidStream;
    stage.cloud.set_faults(Faults { rtmp, ..Faults::default() });
    stage.publish_to(0, "s", &url).await.expect("a stream");
    let stream = stage.cloud.stream("s");
    soon("the server dies", stream.wait_for(|s| s.ended.is_some())).await;
    stage.becomes(0, ChannelState::Online, None).await;
    stage.cloud.set_faults(Faults::default());
    soon("the stream is back", stream.wait_for(|s| s.publishes >= 2 && s.live)).await;
    stage.stop(0, "s").await.expect("an end");

    // The publish runs in clear and is refused, and the server's answer names the key.
    stage.cloud.set_faults(Faults { rtmp: RtmpFault::Refuse, ..Faults::default() });
    let url = stage.cloud.rtmp_url("canary-key");
    let refused = stage.publish_to(0, "t", &url).await.expect_err("a refusal");
    let wrong = stage.publish_to(0, "t", "ftp://h/live/canary-key").await.expect_err("no RTMP");
    refused_with_the_key_in_any_spelling(&stage).await;
    stage.cameras[0].inject(None, Fault::RefuseLogin(true)).expect("a fault");
    stage.cameras[0].inject(None, Fault::Garbage).expect("a fault");
    for error in [refused, wrong] {
        assert!(!error.msg.contains("canary"), "{error}");
    }
    for _ in 0..3 {
        stage.call("Unheard", json!({ "password": "canary-call" })).await.expect_err("unknown");
    }
    // A network's password, well formed and not.
    for password in [json!("canary-wifi"), json!(["canary-wifi"]), json!({ "canary": 1 })] {
        let network = json!({ "channel": 0, "ssid": "home", "password": password });
        let error = stage.call("SetWifiConfig", network).await.expect_err("no wireless network");
        assert!(!error.msg.contains("canary"), "{error}");
    }
    let event = json!({ "event": "CtrlPTZ", "params": "canary" });
    stage.device().send_raw(event.to_string()).await.expect("it is online");
    stage.device().send_raw("canary garbage").await.expect("it is online");
    soon("garbage ends the connection", stage.device().wait_offline()).await;
    soon("it comes back", stage.device().wait_online()).await;
    stage.agent.stop().await;
}

#[tokio::test]
async fn no_password_and_no_key_is_in_the_log_at_any_level() {
    let written = Written::default();
    let pipe = env_logger::Target::Pipe(Box::new(written.clone()));
    let logger = env_logger::Builder::new().filter_level(LevelFilter::Trace).target(pipe).build();
    log::set_boxed_logger(Box::new(Everything(logger))).expect("the first logger");
    log::set_max_level(LevelFilter::Trace);

    join_all([Scheme::Basic, Scheme::Digest].map(live_lost_and_refused)).await;

    let log = written.text();
    for said in ["logged in to the cloud", "is live", "is interrupted", "did not start"] {
        assert!(log.contains(said), "{said:?} is not in the log:\n{log}");
    }
    let refusals = log.lines().filter(|line| line.contains("WARN") && line.contains("Unheard"));
    assert_eq!(refusals.count(), 2, "each of two devices tells of it once");
    for secret in SECRETS {
        let line = log.lines().find(|line| line.to_lowercase().contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
