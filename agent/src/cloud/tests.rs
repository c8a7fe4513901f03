use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use futures::{SinkExt as _, StreamExt as _};
use ivt_base::byte_stream::ByteStream;
use ivt_proto::rpc::message::GetFirmware;
use rand::SeedableRng as _;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::calls::{CallError, Calls};
use super::dial::{Socket, limits};
use super::*;
use crate::shutdown::{Stopper, stopper};

type Server = WebSocketStream<DuplexStream>;

/// What happens to one attempt.
enum Attempt {
    Accept,
    Refuse,
    /// The cloud takes no logins, and asks to be left alone for so many seconds.
    Busy(u64),
    Down,
    Hang,
}

/// A cloud in memory. Attempts meet the scripted fates in turn; after these every attempt is
/// accepted.
struct Script {
    fates: Mutex<VecDeque<Attempt>>,
    attempts: mpsc::UnboundedSender<(Instant, Option<Server>)>,
}

#[async_trait]
impl Dial for Script {
    async fn dial(&self) -> Result<Socket, DialError> {
        let at = Instant::now();
        let fate = self.fates.lock().unwrap().pop_front().unwrap_or(Attempt::Accept);
        if !matches!(fate, Attempt::Accept) {
            self.attempts.send((at, None)).unwrap();
        }
        match fate {
            Attempt::Accept => {
                let (ours, theirs) = tokio::io::duplex(4096);
                let ours: Box<dyn ByteStream> = Box::new(ours);
                let server = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
                self.attempts.send((at, Some(server))).unwrap();
                Ok(WebSocketStream::from_raw_socket(ours, Role::Client, Some(limits())).await)
            }
            Attempt::Refuse => Err(DialError::Refused { status: 401 }),
            Attempt::Busy(seconds) => {
                let wait = Some(Duration::from_secs(seconds));
                Err(DialError::Busy { said: "HTTP 503 (later)".into(), wait })
            }
            Attempt::Down => Err(DialError::Timeout),
            Attempt::Hang => std::future::pending().await,
        }
    }
}

struct Setup {
    calls: Calls,
    attempts: mpsc::UnboundedReceiver<(Instant, Option<Server>)>,
    state: watch::Receiver<CloudState>,
    ended: watch::Receiver<Option<Arc<str>>>,
    link: watch::Receiver<Link>,
    stopper: Stopper,
    task: JoinHandle<()>,
    #[cfg(feature = "ui")]
    hold: super::hold::Hold,
}

fn start(seed: u64, fates: impl IntoIterator<Item = Attempt>) -> Setup {
    let (sender, attempts) = mpsc::unbounded_channel();
    let script = Script { fates: Mutex::new(fates.into_iter().collect()), attempts: sender };
    let state = watch::Sender::new(CloudState::Dialling);
    let ended = watch::Sender::new(None);
    let link = watch::Sender::new(Link::down());
    let (stopper, stop) = stopper();
    let queue = CallQueue::default();
    let calls = queue.calls();
    #[cfg(feature = "ui")]
    let hold = super::hold::Hold::default();
    let cloud = Cloud {
        rules: Options::default(),
        dial: Some(Arc::new(script)),
        dispatch: crate::dispatch::testing::dispatch(Vec::new()),
        keepalives: KeepaliveSource::new(Vec::new()),
        calls: queue,
        state: state.clone(),
        ended: ended.clone(),
        #[cfg(feature = "ui")]
        progress: Default::default(),
        #[cfg(feature = "ui")]
        hold: hold.clone(),
        link: link.clone(),
        rng: StdRng::seed_from_u64(seed),
    };
    let task = tokio::spawn(cloud.run(stop));
    let (state, ended, link) = (state.subscribe(), ended.subscribe(), link.subscribe());
    Setup {
        calls,
        attempts,
        state,
        ended,
        link,
        stopper,
        task,
        #[cfg(feature = "ui")]
        hold,
    }
}

impl Setup {
    async fn attempt(&mut self) -> (Instant, Option<Server>) {
        self.attempts.recv().await.expect("it dials for ever")
    }

    async fn server(&mut self) -> Server {
        loop {
            if let (_, Some(server)) = self.attempt().await {
                return server;
            }
        }
    }
}

/// Answers Keepalives for a while.
async fn serve(server: &mut Server, time: Duration) {
    let end = sleep(time);
    tokio::pin!(end);
    loop {
        let text = tokio::select! {
            () = &mut end => return,
            message = server.next() => match message {
                Some(Ok(Message::Text(text))) => text,
                other => panic!("unexpected {other:?}"),
            },
        };
        let packet: Value = serde_json::from_str(&text).unwrap();
        let answer = json!({"seq": packet["seq"], "resp": {}});
        server.send(Message::text(answer.to_string())).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_dial_is_immediate() {
    let begin = Instant::now();
    let (at, server) = start(1, []).attempt().await;
    assert_eq!(at, begin);
    assert!(server.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_is_down_is_dialled_for_ever_in_growing_windows() {
    let mut setup = start(2, (0..60).map(|_| Attempt::Down));
    let (mut last, _) = setup.attempt().await;
    for n in 0..60 {
        let (at, _) = setup.attempt().await;
        let window = [15, 30, 60][..].get(n).copied().unwrap_or(120);
        let delay = at - last;
        let range = Duration::from_millis(500)..=Duration::from_secs(window);
        assert!(range.contains(&delay), "attempt {n}: {delay:?}");
        last = at;
    }
    setup.state.wait_for(|s| *s == CloudState::Online).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_a_minute_of_health_a_loss_is_mended_within_fifteen_seconds() {
    for seed in 0..30 {
        let mut setup = start(seed, (0..6).map(|_| Attempt::Down));
        let mut server = setup.server().await;
        serve(&mut server, Duration::from_secs(61)).await;
        drop(server);
        let lost = Instant::now();
        setup.link.wait_for(|link| link.losses == 1).await.unwrap();
        let (at, _) = setup.attempt().await;
        assert!(at - lost <= Duration::from_secs(16), "seed {seed}: {:?}", at - lost);
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_connection_does_not_start_the_schedule_anew() {
    let mut longest = Duration::ZERO;
    for seed in 0..30 {
        let mut setup = start(seed, (0..6).map(|_| Attempt::Down));
        let mut server = setup.server().await;
        serve(&mut server, Duration::from_secs(30)).await;
        drop(server);
        let lost = Instant::now();
        let (at, _) = setup.attempt().await;
        longest = longest.max(at - lost);
    }
    assert!(longest > Duration::from_secs(60), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_reported_as_such() {
    let mut setup = start(3, [Attempt::Refuse]);
    setup.attempt().await;
    let waits = |s: &CloudState| matches!(s, CloudState::Waiting { wrong_login: true, .. });
    setup.state.wait_for(waits).await.unwrap();
    setup.server().await;
}

#[tokio::test(start_paused = true)]
async fn three_closes_before_the_first_answer_are_a_wrong_login() {
    let mut setup = start(4, []);
    for n in 1..=4 {
        let mut server = setup.server().await;
        server.next().await.expect("its Keepalive").unwrap();
        drop(server);
        let waiting = |s: &CloudState| matches!(s, CloudState::Waiting { .. });
        let state = *setup.state.wait_for(waiting).await.unwrap();
        let CloudState::Waiting { wrong_login, .. } = state else { panic!("{state:?}") };
        assert_eq!(wrong_login, n >= 3, "close {n}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_asks_for_patience_is_left_alone_for_so_long() {
    for (asked, least, most) in [(0, 0, 15), (100, 100, 115), (3600, 3600, 3615)] {
        let mut setup = start(7, [Attempt::Busy(asked)]);
        let (first, _) = setup.attempt().await;
        let (second, _) = setup.attempt().await;
        let pause = (second - first).as_secs_f64();
        assert!((f64::from(least)..=f64::from(most) + 0.01).contains(&pause), "{asked}: {pause}");
        let ended = setup.ended.borrow().clone().unwrap();
        let told = format!("takes no logins now: HTTP 503 (later); it asks to wait {asked} s");
        assert!(ended.contains(&told), "{ended}");
    }
}

/// The pause after the cloud closed a connection of more than a minute with this code, whether that is
/// a wrong login, and what is told.
async fn closed_with(seed: u64, code: u16, reason: &'static str) -> (Duration, bool, Arc<str>) {
    let mut setup = start(seed, []);
    let mut server = setup.server().await;
    serve(&mut server, Duration::from_secs(61)).await;
    let frame = CloseFrame { code: code.into(), reason: reason.into() };
    server.close(Some(frame)).await.unwrap();
    let waiting = |s: &CloudState| matches!(s, CloudState::Waiting { .. });
    let state = *setup.state.wait_for(waiting).await.unwrap();
    let CloudState::Waiting { until, wrong_login } = state else { panic!("{state:?}") };
    let told = setup.ended.borrow().clone().unwrap();
    (until - Instant::now(), wrong_login, told)
}

#[tokio::test(start_paused = true)]
async fn a_close_is_told_with_code_and_words_and_its_meaning_decides_the_pause() {
    for (code, reason, window, wrong, told) in [
        (4002, "newer instance", 120, false, "4002: newer instance; another device has logged in"),
        (1008, "duplicate device", 120, false, "1008, policy violation: duplicate device; another"),
        (1013, "", 120, false, "1013, try again later"),
        (4403, "disabled", 120, true, "4403: disabled"),
        (1012, "restart", 15, false, "1012, service restart: restart"),
        (1000, "bye\r\n", 15, false, "1000, normal closure: bye"),
        (4711, "whatever", 15, false, "4711: whatever"),
    ] {
        let mut longest = Duration::ZERO;
        for seed in 0..25 {
            let (pause, wrong_login, said) = closed_with(seed, code, reason).await;
            assert!(wrong_login == wrong && said.contains(told), "{code}: {wrong_login} {said}");
            longest = longest.max(pause);
        }
        let window = Duration::from_secs(window);
        assert!(longest <= window && longest > window / 2, "{code} {reason}: {longest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_restarts_before_its_first_answer_has_not_refused_the_login() {
    let mut setup = start(8, []);
    for _ in 0..5 {
        let mut server = setup.server().await;
        server.next().await.expect("its Keepalive").unwrap();
        let frame = CloseFrame { code: CloseCode::Restart, reason: "".into() };
        server.close(Some(frame)).await.unwrap();
        let waiting = |s: &CloudState| matches!(s, CloudState::Waiting { .. });
        let state = *setup.state.wait_for(waiting).await.unwrap();
        assert!(matches!(state, CloudState::Waiting { wrong_login: false, .. }), "{state:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_wait_a_dial_and_a_connection() {
    let mut waiting = start(5, [Attempt::Down]);
    waiting.state.wait_for(|s| matches!(s, CloudState::Waiting { .. })).await.unwrap();
    let mut dialling = start(5, [Attempt::Hang]);
    dialling.attempt().await;
    let mut online = start(5, []);
    let mut server = online.server().await;
    serve(&mut server, Duration::from_secs(1)).await;
    for setup in [waiting, dialling, online] {
        let begin = Instant::now();
        setup.stopper.stop();
        setup.task.await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_made_over_whatever_connection_there_is() {
    let mut setup = start(6, []);
    assert_eq!(setup.calls.call(GetFirmware).await, Err(CallError::Offline), "not dialled yet");
    for _ in 0..2 {
        let mut server = setup.server().await;
        setup.state.wait_for(|s| *s == CloudState::Online).await.unwrap();
        let answers = serve(&mut server, Duration::from_secs(1));
        // The link may not have begun yet when the first call is made.
        let answered = async {
            while let Err(error) = setup.calls.call(GetFirmware).await {
                assert_eq!(error, CallError::Offline);
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(answers, answered);
        drop(server);
        setup.state.wait_for(|s| matches!(s, CloudState::Waiting { .. })).await.unwrap();
        assert_eq!(setup.calls.call(GetFirmware).await, Err(CallError::Offline), "lost");
    }
}

#[cfg(feature = "ui")]
#[tokio::test(start_paused = true)]
async fn the_agent_stays_away_while_its_login_is_tried() {
    let mut setup = start(1, []);
    let mut server = setup.server().await;
    let held = setup.hold.begin();
    let closed = async { while server.next().await.is_some_and(|m| !m.unwrap().is_close()) {} };
    closed.await;
    drop(server);
    let again = tokio::time::timeout(Duration::from_secs(300), setup.attempts.recv());
    assert!(again.await.is_err(), "it dialled while it was held");
    let lifted = Instant::now();
    drop(held);
    setup.server().await;
    assert!(lifted.elapsed() < Duration::from_secs(1), "it comes back without a pause");
    setup.stopper.stop();
    setup.task.await.unwrap();
}
