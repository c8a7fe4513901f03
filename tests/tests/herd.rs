//! A thousand agents and one cloud that restarts, in virtual time: they come back spread out.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use ivt_agent::Agent;
use ivt_agent::cloud::dial::{Dial, DialError, Socket, Transport, limits};
use ivt_agent::config::Config;
use ivt_agent::tls::Trust;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

const DEVICES: usize = 1000;

/// A cloud in memory. Taking it down ends every connection.
#[derive(Clone)]
struct Cloud {
    up: watch::Sender<bool>,
    attempts: Arc<Mutex<Vec<Attempt>>>,
}

#[derive(Clone, Copy)]
struct Attempt {
    device: usize,
    at: Instant,
    connected: bool,
}

/// One device's way to the cloud.
struct Way {
    device: usize,
    cloud: Cloud,
}

#[async_trait::async_trait]
impl Dial for Way {
    async fn dial(&self) -> Result<Socket, DialError> {
        let connected = *self.cloud.up.borrow();
        let attempt = Attempt { device: self.device, at: Instant::now(), connected };
        self.cloud.attempts.lock().unwrap().push(attempt);
        if !connected {
            return Err(DialError::Timeout);
        }
        let (ours, theirs) = tokio::io::duplex(4096);
        tokio::spawn(serve(theirs, self.cloud.up.subscribe()));
        let ours: Box<dyn Transport> = Box::new(ours);
        Ok(WebSocketStream::from_raw_socket(ours, Role::Client, Some(limits())).await)
    }
}

/// Answers every request with success until the cloud goes down.
async fn serve(stream: DuplexStream, mut up: watch::Receiver<bool>) {
    up.mark_unchanged();
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    loop {
        let message = tokio::select! {
            _ = up.changed() => return,
            message = socket.next() => message,
        };
        let Some(Ok(Message::Text(text))) = message else { return };
        let packet: Value = serde_json::from_str(&text).unwrap();
        let answer = json!({ "seq": packet["seq"], "resp": {} }).to_string();
        if socket.send(Message::text(answer)).await.is_err() {
            return;
        }
    }
}

impl Cloud {
    /// Starts `DEVICES` agents and lets them be connected and healthy.
    async fn with_devices(seed: u64) -> (Self, Vec<Agent>) {
        let cloud = Self { up: watch::Sender::new(true), attempts: Arc::default() };
        let text = "[cloud]\nurl = 'ws://cloud.invalid/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
                    [[channel]]\nbackend = 'emulator'";
        let config: Config = text.parse().unwrap();
        let trust = Trust::new(None).unwrap();
        let agents = (0..DEVICES).map(|device| {
            let way = Arc::new(Way { device, cloud: cloud.clone() });
            let rng = StdRng::seed_from_u64(seed * 1_000_003 + device as u64);
            Agent::start_with(&config, trust.clone(), way, rng).unwrap()
        });
        let agents = agents.collect();
        sleep(Duration::from_secs(90)).await;
        assert_eq!(cloud.attempts.lock().unwrap().len(), DEVICES, "each dials once, at once");
        (cloud, agents)
    }

    /// Ends all connections and is away for `outage`. Returns the attempts since then, each with
    /// its time after the fall, seen for `watch`.
    async fn restart(&self, outage: Duration, watch: Duration) -> Vec<(Duration, Attempt)> {
        self.attempts.lock().unwrap().clear();
        let fell = Instant::now();
        self.up.send_replace(false);
        if outage.is_zero() {
            // The tasks of the old connections see the change; new ones are accepted at once.
            self.up.send_replace(true);
        } else {
            sleep(outage).await;
            self.up.send_replace(true);
        }
        sleep(watch).await;
        let attempts = self.attempts.lock().unwrap();
        attempts.iter().map(|a| (a.at - fell, *a)).collect()
    }
}

/// The most attempts in any one second.
fn peak(attempts: &[(Duration, Attempt)]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, (at, _)) in attempts.iter().enumerate() {
        while *at - attempts[first].0 >= Duration::from_secs(1) {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

/// When 99 % of the devices were connected again.
fn nearly_all_back(attempts: &[(Duration, Attempt)]) -> Duration {
    let mut back = vec![None; DEVICES];
    for (at, attempt) in attempts.iter().filter(|(_, a)| a.connected) {
        back[attempt.device].get_or_insert(*at);
    }
    let mut back: Vec<_> = back.into_iter().map(|at| at.unwrap_or(Duration::MAX)).collect();
    back.sort();
    back[DEVICES * 99 / 100 - 1]
}

#[tokio::test(start_paused = true)]
async fn after_an_instant_restart_at_most_12_percent_call_in_any_second() {
    for seed in 0..3 {
        let (cloud, _agents) = Cloud::with_devices(seed).await;
        let attempts = cloud.restart(Duration::ZERO, Duration::from_secs(60)).await;
        assert_eq!(attempts.len(), DEVICES, "each is back with its first attempt");
        let most = peak(&attempts);
        assert!(most <= DEVICES * 12 / 100, "seed {seed}: {most} attempts in a second");
        let back = nearly_all_back(&attempts);
        assert!(back <= Duration::from_secs(20), "seed {seed}: 99 % back after {back:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_minute_of_outage_makes_no_herd_and_no_second_wave() {
    const OUTAGE: Duration = Duration::from_secs(60);
    for seed in 0..3 {
        let (cloud, _agents) = Cloud::with_devices(seed).await;
        let attempts = cloud.restart(OUTAGE, Duration::from_secs(180)).await;
        let most = peak(&attempts);
        assert!(most <= DEVICES * 15 / 100, "seed {seed}: {most} attempts in a second");
        let after: Vec<_> = attempts.iter().copied().filter(|(at, _)| *at >= OUTAGE).collect();
        let wave = peak(&after);
        assert!(wave <= DEVICES * 6 / 100, "seed {seed}: {wave} in a second after the repair");
        let back = nearly_all_back(&attempts) - OUTAGE;
        assert!(back <= Duration::from_secs(120), "seed {seed}: 99 % back after {back:?}");
    }
}
