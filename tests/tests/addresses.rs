//! Addresses that the cloud names, and addresses that do not answer.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures::future::join_all;
use ivt_base::resolver::testing::answer;
use ivt_sim::camera::{CameraSim, Stream};
use ivt_sim::cloud::{CloudOptions, CloudSim, Faults, RtmpFault};
use ivt_tests::server::FullPort;
use ivt_tests::{DEVICE, Plan, Stage, closed_port, hasty, soon};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A command that opens the camera to whoever sends it.
const ATTACK: &str = "/uapi-cgi/certmngr.cgi?action=import";

/// A stage whose camera has its web server in the configuration, beside these settings of the cloud.
async fn stage(settings: &str) -> Stage {
    let plan = Plan::default();
    let cloud = CloudSim::start(plan.cloud.clone()).await.unwrap();
    let camera = CameraSim::start(plan.cameras[0].clone()).await.unwrap();
    let agent = hasty(&config(&cloud, &camera, settings).parse().unwrap());
    let stage = Stage { cloud, cameras: vec![camera], agent };
    soon("the agent logs in", stage.device().wait_online()).await;
    stage
}

fn config(cloud: &CloudSim, camera: &CameraSim, settings: &str) -> String {
    format!(
        "[cloud]\nurl = '{}'\nlogin_code = '{DEVICE}'\nlogin_passwd = 'p'\n{settings}\n\
         [[channel]]\nbackend = 'rtsp'\nmain = '{}'\nweb = 'http://{}'\n",
        cloud.device_url(),
        camera.rtsp_url(0, Stream::Main),
        camera.http_addr(),
    )
}

async fn record_to(stage: &Stage, session: &str, url: &str) -> Result<Value, String> {
    let order = json!({
        "session_id": session, "channel": 0, "quality": "hd", "max_bitrate": 0,
        "seg_duration": 1, "seg_max_size": 1 << 20, "seg_max_count": 5,
        "prerecord_seconds": 0, "start_ts": 0, "cbk_url": url,
    });
    stage.call("StartCloudRecord", order).await.map_err(|e| e.msg)
}

/// The loopback's first address in many notations.
const NOTATIONS: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
];

#[tokio::test]
async fn the_cloud_does_not_reach_a_cameras_web_server() {
    let stage = stage("").await;
    let port = stage.cameras[0].http_addr().port();
    answer("camera-alias.test", &[&[Ipv4Addr::LOCALHOST.into()]]);
    let hosts = NOTATIONS.iter().chain(&["camera-alias.test"]);
    for (n, host) in hosts.clone().enumerate() {
        let url = format!("http://{host}:{port}/{ATTACK}");
        let told = record_to(&stage, &format!("r{n}"), &url).await.unwrap_err();
        assert!(told.contains("allow_hosts") && !told.contains("camera"), "{url}: {told}");
    }
    for (n, host) in hosts.enumerate() {
        let url = format!("rtmp://{host}:{port}/live/s");
        let told = stage.publish_to(0, &format!("s{n}"), &url).await.unwrap_err().msg;
        assert!(told.contains("allow_hosts") && !told.contains("camera"), "{url}: {told}");
    }
    // The recording service names the store of each segment.
    let service = stage.cloud.record_url("r");
    let store = format!("http://127.0.0.1:{port}/{ATTACK}").parse().unwrap();
    stage.cloud.set_public_base(&store);
    record_to(&stage, "r", service.as_str()).await.unwrap();
    let recording = stage.cloud.recording("r");
    soon("segments fail", recording.wait_for(|info| info.calls.fail >= 3)).await;
    let requests = stage.cameras[0].web_requests();
    assert!(requests.is_empty(), "{requests:?}");
}

#[tokio::test]
async fn an_address_with_a_login_is_refused() {
    let stage = stage("").await;
    let service = stage.cloud.record_url("r").to_string().replace("://", "://user:secret@");
    let told = record_to(&stage, "r", &service).await.unwrap_err();
    assert!(told.contains("user name") && !told.contains("secret"), "{told}");
    assert_eq!(stage.cloud.recording("r").info().calls.create, 0);
}

/// A port of another address of the loopback, and how many connections came to it.
async fn neighbour() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn the_cloud_does_not_reach_other_addresses_of_the_device() {
    let stage = stage("").await;
    let (listener, address) = neighbour().await;
    let port = address.port();
    answer("neighbour.test", &[&[address.ip()]]);
    let own = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = own.connect("198.51.100.1:9").and_then(|()| own.local_addr()).ok();
    let mut hosts: Vec<_> = own.iter().map(|own| own.ip().to_string()).collect();
    hosts.extend(
        ["127.0.0.2", "127.2", "0x7f000002", "neighbour.test", "[::1]", "0.0.0.0", "[::]"]
            .map(str::to_owned),
    );
    hosts.extend(
        ["169.254.169.254", "[fe80::1]", "224.0.0.1", "255.255.255.255"].map(str::to_owned),
    );
    for host in hosts {
        let url = format!("http://{host}:{port}/cb");
        let told = record_to(&stage, "r", &url).await.unwrap_err();
        assert!(told.contains("allow_hosts"), "{url}: {told}");
        let url = format!("rtmp://{host}:{port}/live/s");
        let told = stage.publish_to(0, "s", &url).await.unwrap_err().msg;
        assert!(told.contains("allow_hosts"), "{url}: {told}");
    }
    assert!(timeout(Duration::from_millis(100), listener.accept()).await.is_err());
}

#[tokio::test]
async fn a_name_that_changes_its_address_leads_nowhere() {
    let stage = stage("").await;
    let (listener, address) = neighbour().await;
    answer("rebound.test", &[&[[198, 51, 100, 1].into()], &[address.ip()]]);
    let url = format!("http://rebound.test:{}/cb", address.port());
    record_to(&stage, "r", &url).await.unwrap();
    for n in 0..2 {
        let url = format!("rtmp://rebound.test:{}/live/s", address.port());
        stage.publish_to(0, &format!("s{n}"), &url).await.unwrap_err();
    }
    assert!(timeout(Duration::from_secs(1), listener.accept()).await.is_err());
}

#[tokio::test]
async fn a_name_that_leads_astray_for_a_moment_ends_no_running_stream() {
    let stage = stage("").await;
    let here = stage.cloud.rtmp_addr();
    answer("astray.test", &[&[here.ip()], &[Ipv4Addr::UNSPECIFIED.into()], &[here.ip()]]);
    stage.cloud.set_faults(Faults { rtmp: RtmpFault::CloseMidStream, ..Faults::default() });
    let url = format!("rtmp://astray.test:{}/live/s", here.port());
    stage.publish_to(0, "s", &url).await.unwrap();
    let stream = stage.cloud.stream("s");
    soon("the stream at the server again", stream.wait_for(|info| info.publishes == 2)).await;
}

#[tokio::test]
async fn a_list_of_hosts_opens_and_narrows_and_changes_without_a_restart() {
    let mut stage = stage("").await;
    let loopback = SocketAddr::from(([127, 0, 0, 2], 0));
    let options = CloudOptions { http: loopback, rtmp: loopback, ..CloudOptions::default() };
    let other = CloudSim::start(options).await.unwrap();
    let url = other.rtmp_url("s");
    stage.publish_to(0, "s", &url).await.unwrap_err();
    record_to(&stage, "r", other.record_url("r").as_str()).await.unwrap_err();

    let apply = async |stage: &mut Stage, list: &str| {
        let text = config(&stage.cloud, &stage.cameras[0], &format!("allow_hosts = [{list}]"));
        stage.agent.apply(&text.parse().unwrap()).await;
    };
    for list in ["'127.0.0.2'", "'127.0.0.0/8'"] {
        apply(&mut stage, list).await;
        stage.publish_to(0, list, &url).await.unwrap();
        stage.stop(0, list).await.unwrap();
    }
    record_to(&stage, "r", other.record_url("r").as_str()).await.unwrap();
    soon("segments of the other cloud", other.recording("r").wait_segments(1)).await;

    apply(&mut stage, "'store.example.com'").await;
    let told = stage.publish_to(0, "t", &url).await.unwrap_err().msg;
    assert!(told.contains("allow_hosts"), "{told}");
    let told = stage.publish_to(0, "t", "rtmp://192.168.254.1/live/t").await.unwrap_err().msg;
    assert!(told.contains("allow_hosts"), "{told}");
    let own = stage.cloud.rtmp_url("t");
    stage.publish_to(0, "t", &own).await.unwrap();
}

/// A port where somebody says these words to each who comes, and hangs up or waits.
async fn says(words: &'static [u8], waits: bool, tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tcp.write_all(words).await.ok();
            while waits && tcp.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {}
        }
    });
    address
}

#[tokio::test]
async fn the_cloud_is_not_told_which_ports_are_open() {
    let mut tasks = JoinSet::new();
    let (closed, _kept) = closed_port();
    let full = FullPort::start().await;
    let faults = Faults { rtmp: RtmpFault::BlackHole, ..Faults::default() };
    let hole = CloudSim::start(CloudOptions { faults, ..CloudOptions::default() }).await.unwrap();
    let ports = [
        closed,
        full.addr,
        hole.rtmp_addr(),
        hole.http_addr(),
        says(b"", false, &mut tasks).await,
        says(b"", true, &mut tasks).await,
        says(b"SSH-2.0-dropbear\r\n", true, &mut tasks).await,
        says(&[3; 5000], false, &mut tasks).await,
    ];
    let told = join_all(ports.map(async |address| {
        let stage = stage("").await;
        let mut told = Vec::new();
        for scheme in ["rtmp", "rtmps"] {
            let url = format!("{scheme}://{address}/live/s");
            let error = stage.publish_to(0, scheme, &url).await.unwrap_err();
            told.push((error.code, error.msg.replace(&address.to_string(), "PEER")));
        }
        told
    }));
    let told = told.await.concat();
    assert!(told.iter().all(|one| *one == told[0]), "{told:#?}");
}

/// An address of the other family, where possible, at which nobody answers a connection to this port.
fn dead(port: u16) -> (IpAddr, Vec<std::net::TcpStream>, TcpListener) {
    for ip in [IpAddr::from(Ipv6Addr::LOCALHOST), [127, 0, 0, 77].into()] {
        let socket = if ip.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }.unwrap();
        if socket.bind((ip, port).into()).is_err() {
            continue;
        }
        let Ok(listener) = socket.listen(1) else { continue };
        let mut queued = Vec::new();
        let at = SocketAddr::new(ip, port);
        while let Ok(tcp) = std::net::TcpStream::connect_timeout(&at, Duration::from_millis(300)) {
            queued.push(tcp);
        }
        return (ip, queued, listener);
    }
    panic!("no second address of the loopback");
}

#[tokio::test]
async fn a_dead_address_costs_little_at_login_and_at_a_publish() {
    const TRIES: usize = 3;
    let cloud = CloudSim::start(CloudOptions::default()).await.unwrap();
    let camera = CameraSim::start(Plan::default().cameras[0].clone()).await.unwrap();
    let alive = IpAddr::from(Ipv4Addr::LOCALHOST);
    // Each has a name of its own, so that no address is remembered as the good one.
    let held = [("login", cloud.http_addr(), 1), ("publish", cloud.rtmp_addr(), TRIES)].map(
        |(name, addr, names)| {
            let dead = dead(addr.port());
            (0..names).for_each(|n| answer(&format!("{name}-{n}.dual.test"), &[&[dead.0, alive]]));
            dead
        },
    );
    let url = cloud.device_url().replace("127.0.0.1", "login-0.dual.test");
    let begun = Instant::now();
    let agent = hasty(&Plan::default().config_of(&url, std::slice::from_ref(&camera)));
    let stage = Stage { cloud, cameras: vec![camera], agent };
    soon("the agent logs in", stage.device().wait_online()).await;
    let login = begun.elapsed();

    let publish = async |id: &str, name: &str| {
        let url = stage.cloud.rtmp_url(id).replace("127.0.0.1", name);
        let begun = Instant::now();
        stage.publish_to(0, id, &url).await.unwrap();
        let took = begun.elapsed();
        stage.stop(0, id).await.unwrap();
        took
    };
    // The best of some tries counts, since the machine may be busy.
    let (mut warm, mut first, mut again) = (Duration::MAX, Duration::MAX, Duration::MAX);
    for n in 0..TRIES {
        let name = format!("publish-{n}.dual.test");
        warm = warm.min(publish(&format!("warm-{n}"), "127.0.0.1").await);
        first = first.min(publish(&format!("first-{n}"), &name).await);
        again = again.min(publish(&format!("again-{n}"), &name).await);
    }
    drop(held);
    println!("login {login:?}, publish {warm:?} without, {first:?} at first, {again:?} again");
    // Each cost 5 s and 2.5 s when the addresses had their turns one after the other.
    assert!(login < Duration::from_secs(5), "{login:?}");
    assert!(first < warm + Duration::from_secs(2), "{first:?}");
    assert!(again < warm + Duration::from_secs(2), "{again:?}");
}
