use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use ivt_base::address_rule::AddressRule;
use ivt_base::secret::Secret;
use ivt_hal::emulator::Emulator;
use ivt_hal::rtsp::Rtsp;
use ivt_hal::{Bitrates, Encoder, Kind, Power as _, Transport};
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::frame::Track;
use ivt_media::rtmp::RtmpUrl;
use ivt_media::rtmp::server::{ServerLimits, accept};
use ivt_media::source::Opener as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::*;
use crate::config;
use crate::http::{Deadlines, Http};
use crate::record::context::RecordingContext;
use crate::shutdown::{Stopper, stopper};
use crate::tls::TrustStore;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// An RTMP server that takes every stream.
struct Server {
    addr: SocketAddr,
    /// The key of each publish, with an event of that publish: a tag or the end.
    seen: mpsc::UnboundedReceiver<Seen>,
    tasks: JoinSet<()>,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Publish(String),
    Video,
    End,
}

impl Server {
    async fn start(addr: SocketAddr) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (sender, seen) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut streams = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                streams.spawn(receive(tcp, sender.clone()));
            }
        });
        Self { addr, seen, tasks }
    }

    async fn anywhere() -> Self {
        Self::start(([127, 0, 0, 1], 0).into()).await
    }

    async fn sees(&mut self, want: Seen) {
        let found = async { while self.seen.recv().await.expect("it runs") != want {} };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("never saw {want:?}"));
    }

    /// Ends the server with all its connections.
    async fn die(mut self) -> SocketAddr {
        self.tasks.shutdown().await;
        self.addr
    }
}

async fn receive(tcp: TcpStream, seen: mpsc::UnboundedSender<Seen>) {
    let Ok(mut session) = accept(tcp, ServerLimits::default()).await else { return };
    let Ok(request) = session.publish().await else { return };
    session.accept().await.unwrap();
    seen.send(Seen::Publish(request.key)).ok();
    while let Ok(Some(tag)) = session.next_tag().await {
        if tag.kind == ivt_media::flv::TagKind::Video {
            seen.send(Seen::Video).ok();
        }
    }
    seen.send(Seen::End).ok();
}

struct Channel {
    handle: Handle,
    link: watch::Sender<Link>,
    stopper: Stopper,
    tasks: JoinSet<()>,
}

fn channel(encoder: impl Encoder + 'static, retry: Duration) -> Channel {
    let text = format!(
        "[cloud]\nurl = 'ws://h/'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
         [[channel]]\nbackend = 'emulator'\n[publish]\nretry_seconds = {}",
        retry.as_secs()
    );
    let config: config::Config = text.parse().unwrap();
    let link = watch::Sender::new(Link::down());
    let setup = Setup {
        number: 0,
        encoder: Arc::new(encoder),
        config: config.channels[0].clone(),
        ring_bytes: config.budget.rings[0],
        publish: config.publish,
        trust: TrustStore::new(None).unwrap(),
        rule: AddressRule::for_cloud("127.0.0.1"),
        context: RecordingContext::new(
            &config.record,
            config.budget.recordings,
            Http::new(
                TrustStore::new(None).unwrap(),
                AddressRule::for_cloud("127.0.0.1"),
                Deadlines::default(),
            ),
            watch::channel(None).1,
        ),
        link: link.subscribe(),
        stop_with_link: true,
    };
    let (stopper, stop) = stopper();
    let mut tasks = JoinSet::new();
    let handle = setup.spawn(&mut tasks, stop);
    Channel { handle, link, stopper, tasks }
}

fn emulated() -> Channel {
    channel(Emulator::default(), Duration::from_secs(60))
}

fn ask(addr: SocketAddr, stream_id: &str) -> PublishRequest {
    PublishRequest {
        stream: Stream::Main,
        url: Secret::untold(RtmpUrl::parse(&format!("rtmp://{addr}/live/{stream_id}")).unwrap()),
        stream_id: stream_id.into(),
        max_bitrate: None,
    }
}

impl Channel {
    async fn live(&self, want: Option<&str>) {
        let mut live = self.handle.status().live;
        let found = timeout(PATIENCE, live.wait_for(|live| live.as_deref() == want)).await;
        found.unwrap_or_else(|_| panic!("never became {want:?}")).unwrap();
    }

    async fn camera(&self, want: Reachability) {
        let mut reachability = self.handle.status().reachability;
        let found = timeout(PATIENCE, reachability.wait_for(|now| *now == want)).await;
        found.unwrap_or_else(|_| panic!("never became {want:?}")).unwrap();
    }

    async fn publish(&self, ask: PublishRequest) -> Result<(), Refusal> {
        timeout(PATIENCE, self.handle.publish(ask)).await.expect("an answer")
    }
}

/// An address where nobody listens.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_stream_flows_from_publish_to_stop() {
    let (mut server, channel) = (Server::anywhere().await, emulated());
    channel.publish(ask(server.addr, "a")).await.unwrap();
    channel.live(Some("a")).await;
    channel.camera(Reachability::Reachable).await;
    assert!(channel.handle.publish_stats().accepted);
    server.sees(Seen::Publish("a".into())).await;
    server.sees(Seen::Video).await;
    channel.handle.stop("a".into()).await.unwrap();
    channel.live(None).await;
    server.sees(Seen::End).await;
    let stats = || channel.handle.publish_stats();
    let ended = async {
        while stats().accepted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, ended).await.expect("the server is left");
    assert!(stats().frames > 0, "what was counted stays");
}

/// Pictures of a built-in clip as a program would write them.
async fn annex_b() -> Vec<u8> {
    let mut source = ClipOpener::built_in(BuiltIn::Sub).unpaced().open().await.unwrap();
    let mut stream = Vec::new();
    let mut write = |mut units: &[u8], length_size: usize, count: usize| {
        for _ in 0..count {
            let (length, rest) = units.split_at(length_size);
            let length = length.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
            stream.extend([0, 0, 0, 1]);
            stream.extend(&rest[..length]);
            units = &rest[length..];
            if units.is_empty() {
                break;
            }
        }
        units.to_vec()
    };
    for _ in 0..100 {
        let frame = source.frame().await.unwrap();
        let Track::Video(params) = &frame.track else { continue };
        if frame.key {
            // AVCDecoderConfigurationRecord: one SPS, the number of PPS, one PPS.
            let rest = write(&params.record[6..], 2, 1);
            write(&rest[1..], 2, 1);
        }
        write(&frame.data, 4, usize::MAX);
    }
    stream
}

#[tokio::test]
async fn a_program_of_the_device_is_a_camera() {
    let stream = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(stream.path(), annex_b().await).unwrap();
    let script = format!("cat {}; exec sleep 600", stream.path().display());
    let command = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    let emulator = Emulator { command, ..Emulator::default() };
    let channel = channel(emulator, Duration::from_secs(60));
    let mut server = Server::anywhere().await;
    channel.publish(ask(server.addr, "a")).await.unwrap();
    channel.live(Some("a")).await;
    // Twenty tags are the sequence header, a key frame and more.
    for _ in 0..20 {
        server.sees(Seen::Video).await;
    }
}

#[tokio::test]
async fn a_restart_of_an_emulated_camera_ends_its_picture_and_it_comes_back() {
    let emulator = Emulator::default();
    let (world, mut reboots) = (emulator.world.clone(), emulator.world.reboots());
    let channel = channel(emulator.clone(), Duration::from_secs(60));
    let mut server = Server::anywhere().await;
    channel.publish(ask(server.addr, "a")).await.unwrap();
    channel.live(Some("a")).await;
    server.sees(Seen::Video).await;
    emulator.reboot().await.unwrap();
    reboots.changed().await.unwrap();
    channel.camera(Reachability::Unreachable).await;
    assert!(world.is_away());
    channel.camera(Reachability::Reachable).await;
    assert!(!world.is_away());
    while server.seen.try_recv().is_ok() {}
    server.sees(Seen::Video).await;
}

#[tokio::test]
async fn the_same_stream_again_changes_nothing_and_another_is_refused() {
    let (mut server, channel) = (Server::anywhere().await, emulated());
    channel.publish(ask(server.addr, "a")).await.unwrap();
    channel.publish(ask(nowhere().await, "a")).await.unwrap();
    let refusal = channel.publish(ask(server.addr, "b")).await.unwrap_err();
    assert_eq!(refusal, Refusal::Busy { running: "a".into() });
    channel.handle.stop("b".into()).await.unwrap();
    channel.live(Some("a")).await;
    server.sees(Seen::Video).await;
    server.tasks.abort_all();
    while let Ok(seen) = server.seen.try_recv() {
        assert!(!matches!(seen, Seen::Publish(_)), "a second publish reached the server");
    }
}

#[tokio::test]
async fn a_dead_server_is_an_error_and_leaves_nothing_behind() {
    let channel = emulated();
    let refusal = channel.publish(ask(nowhere().await, "a")).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Server { .. }), "{refusal:?}");
    let server = Server::anywhere().await;
    channel.publish(ask(server.addr, "b")).await.unwrap();
    channel.live(Some("b")).await;
}

#[tokio::test]
async fn a_stream_that_nobody_waits_for_any_more_does_not_start() {
    let channel = emulated();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = channel.handle.publish(ask(silent.local_addr().unwrap(), "a"));
    let dialled = silent.accept();
    let _held = tokio::select! {
        outcome = asked => panic!("a silent server did not consent: {outcome:?}"),
        dialled = dialled => dialled.unwrap(),
    };
    let server = Server::anywhere().await;
    channel.publish(ask(server.addr, "b")).await.unwrap();
    channel.live(Some("b")).await;
}

#[tokio::test]
async fn an_unreachable_camera_is_offline_and_said_so_at_once() {
    let camera = format!("rtsp://{}/main", nowhere().await);
    let camera = Rtsp::new(&camera, None, None, Transport::Tcp).unwrap();
    let channel = channel(camera, Duration::from_secs(60));
    let server = Server::anywhere().await;
    let start = Instant::now();
    let refusal = channel.publish(ask(server.addr, "a")).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Camera { kind: Kind::Offline, .. }), "{refusal:?}");
    channel.camera(Reachability::Unreachable).await;
    assert!(start.elapsed() < Duration::from_secs(5));
    let away = Status { reachability: Reachability::Unreachable, ..Status::default() };
    assert_eq!(channel.handle.status().now(), away);
}

#[tokio::test]
async fn a_bit_rate_above_the_limit_is_refused() {
    let server = Server::anywhere().await;
    let limited =
        |limit| PublishRequest { max_bitrate: NonZeroU64::new(limit), ..ask(server.addr, "a") };

    let bitrates = Bitrates { main: Some(2_000_000), sub: None };
    let known = channel(Emulator { bitrates, ..Emulator::default() }, Duration::from_secs(60));
    let refusal = known.publish(limited(1_999_999)).await.unwrap_err();
    assert_eq!(refusal, Refusal::Bitrate { bitrate: 2_000_000, limit: 1_999_999 });
    known.publish(limited(2_000_000)).await.unwrap();

    let measured = emulated();
    let refusal = measured.publish(limited(1000)).await.unwrap_err();
    let Refusal::Bitrate { bitrate, limit: 1000 } = refusal else { panic!("{refusal:?}") };
    assert!((50_000..5_000_000).contains(&bitrate), "{bitrate} bit/s");
    measured.publish(limited(5_000_000)).await.unwrap();
    measured.live(Some("a")).await;
}

#[tokio::test]
async fn a_server_that_dies_is_not_live_and_resumes_when_it_is_back() {
    let channel = emulated();
    let server = Server::anywhere().await;
    channel.publish(ask(server.addr, "a")).await.unwrap();
    let addr = server.die().await;
    channel.live(None).await;
    let camera = channel.handle.status().now().reachability;
    assert_eq!(camera, Reachability::Reachable, "the camera is there");
    let mut server = Server::start(addr).await;
    channel.live(Some("a")).await;
    server.sees(Seen::Publish("a".into())).await;
    server.sees(Seen::Video).await;
}

#[tokio::test]
async fn a_stream_being_retried_gives_way_to_another() {
    let channel = emulated();
    let server = Server::anywhere().await;
    channel.publish(ask(server.addr, "a")).await.unwrap();
    server.die().await;
    channel.live(None).await;
    let other = Server::anywhere().await;
    channel.publish(ask(other.addr, "b")).await.unwrap();
    channel.live(Some("b")).await;
}

#[tokio::test]
async fn retries_are_given_up_in_time() {
    let channel = channel(Emulator::default(), Duration::from_secs(1));
    let server = Server::anywhere().await;
    channel.publish(ask(server.addr, "a")).await.unwrap();
    let addr = server.die().await;
    channel.live(None).await;
    // A repeated request for a stream that is being retried succeeds. A stream that was given up
    // starts anew, which fails.
    let given_up = async {
        while channel.publish(ask(addr, "a")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), given_up).await.expect("it is given up");
    let mut server = Server::start(addr).await;
    let late = timeout(Duration::from_secs(2), server.seen.recv()).await;
    assert!(late.is_err(), "it came back: {late:?}");
}

#[tokio::test]
async fn a_lost_cloud_ends_the_stream() {
    let channel = emulated();
    let mut server = Server::anywhere().await;
    channel.publish(ask(server.addr, "a")).await.unwrap();
    channel.link.send_modify(|link| link.losses += 1);
    channel.live(None).await;
    server.sees(Seen::End).await;
    channel.publish(ask(server.addr, "b")).await.unwrap();
    channel.live(Some("b")).await;
}

#[tokio::test]
async fn a_stop_ends_the_task_and_its_stream() {
    let mut channel = emulated();
    let mut server = Server::anywhere().await;
    channel.publish(ask(server.addr, "a")).await.unwrap();
    channel.stopper.stop();
    timeout(Duration::from_secs(2), channel.tasks.join_next()).await.unwrap().unwrap().unwrap();
    server.sees(Seen::End).await;
    assert_eq!(channel.publish(ask(server.addr, "b")).await, Err(Refusal::Stopped));
}
