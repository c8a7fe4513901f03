//! Alarms by pull points of cameras that have their own ways.

mod lives;
mod messages;
mod places;
mod pulls;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::UNIX_EPOCH;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::{Alarm, Alarms as _, Heard, Signal, Trigger, conformance};

/// The time that cameras of these tests show when they start, in seconds since 1970.
const EPOCH: u64 = 1_000_000_000;

/// Answers in the place of the hub, where it gives an answer.
type Quirk = dyn Fn(&Asked, &Hub) -> Option<(u16, String)> + Send + Sync;

/// A camera's pull points.
struct Hub {
    state: Mutex<State>,
    more: Notify,
    began: Instant,
    port: OnceLock<u16>,
    quirk: Box<Quirk>,
}

#[derive(Default)]
struct State {
    /// Number and end of each subscription.
    live: Vec<(u32, Instant)>,
    last: u32,
    messages: VecDeque<String>,
    /// Pulls that wait at the moment, and the most that ever did.
    waiting: (u32, u32),
}

struct EventCamera {
    camera: Camera,
    hub: Arc<Hub>,
}

impl Hub {
    /// The camera's time, so many seconds from now, as it is written.
    fn time(&self, seconds: u64) -> String {
        let at = EPOCH + self.began.elapsed().as_secs() + seconds;
        Utc::from(UNIX_EPOCH + Duration::from_secs(at)).to_string()
    }

    fn times(&self, seconds: u64) -> String {
        let [now, end] = [self.time(0), self.time(seconds)];
        format!("<a:CurrentTime>{now}</a:CurrentTime><b:TerminationTime>{end}</b:TerminationTime>")
    }

    /// The time that a request asks for, in seconds.
    fn wanted(&self, text: &str) -> Option<u64> {
        if let Some(seconds) = text.strip_prefix("PT") {
            return seconds.strip_suffix('S')?.parse().ok();
        }
        (0..100_000).find(|seconds| self.time(*seconds) == text)
    }

    fn subscribe(&self, seconds: u64) -> u32 {
        let mut state = self.state.lock().unwrap();
        state.last += 1;
        let number = state.last;
        state.live.push((number, Instant::now() + Duration::from_secs(seconds)));
        number
    }

    /// An answer to CreatePullPointSubscription that names an address.
    fn made(&self, address: &str, times: &str) -> String {
        format!(
            "<t:CreatePullPointSubscriptionResponse><t:SubscriptionReference><w:Address>{address}</w:Address>\
             </t:SubscriptionReference>{times}</t:CreatePullPointSubscriptionResponse>"
        )
    }

    fn address(&self, number: u32) -> String {
        format!("http://127.0.0.1:{}/onvif/events?sub={number}", self.port.get().unwrap())
    }

    fn forget(&self) {
        self.state.lock().unwrap().live.clear();
        self.more.notify_waiters();
    }

    fn say(&self, message: String) {
        self.state.lock().unwrap().messages.push_back(message);
        self.more.notify_waiters();
    }

    fn live(&self) -> usize {
        let now = Instant::now();
        self.state.lock().unwrap().live.iter().filter(|(_, end)| *end > now).count()
    }

    fn is_live(&self, number: u32) -> bool {
        let now = Instant::now();
        let live = &self.state.lock().unwrap().live;
        live.iter().any(|(other, end)| *other == number && *end > now)
    }

    async fn answer(&self, asked: &Asked) -> (u16, String) {
        if let Some(answer) = (self.quirk)(asked, self) {
            return answer;
        }
        let number = asked.path.split_once("?sub=").and_then(|(_, n)| n.parse().ok()).unwrap_or(0);
        let unknown = (400, fault("wsrf-rw:ResourceUnknownFault", ""));
        match &*asked.action {
            "GetSystemDateAndTime" => {
                let at = EPOCH + self.began.elapsed().as_secs();
                (200, clock(UNIX_EPOCH + Duration::from_secs(at)))
            }
            "CreatePullPointSubscription" => {
                let wanted = self.wanted(asked.body.text_at("InitialTerminationTime"));
                let number = self.subscribe(wanted.unwrap_or(60));
                let times = self.times(wanted.unwrap_or(60));
                (200, self.made(&self.address(number), &times))
            }
            "SetSynchronizationPoint" | "Renew" | "PullMessages" if !self.is_live(number) => {
                unknown
            }
            "Renew" => {
                let seconds = self.wanted(asked.body.text_at("TerminationTime")).unwrap();
                let end = Instant::now() + Duration::from_secs(seconds);
                let mut state = self.state.lock().unwrap();
                state.live.iter_mut().filter(|(n, _)| *n == number).for_each(|one| one.1 = end);
                (200, format!("<b:RenewResponse>{}</b:RenewResponse>", self.times(seconds)))
            }
            "Unsubscribe" => {
                self.state.lock().unwrap().live.retain(|(other, _)| *other != number);
                (200, "<b:UnsubscribeResponse/>".into())
            }
            "PullMessages" => self.pull(asked, number).await.unwrap_or(unknown),
            _ => (0, String::new()),
        }
    }

    async fn pull(&self, asked: &Asked, number: u32) -> Option<(u16, String)> {
        let seconds = self.wanted(asked.body.text_at("Timeout")).unwrap();
        let until = Instant::now() + Duration::from_secs(seconds);
        {
            let mut state = self.state.lock().unwrap();
            state.waiting.0 += 1;
            state.waiting.1 = state.waiting.1.max(state.waiting.0);
        }
        let messages = loop {
            let more = self.more.notified();
            let messages: String = {
                let mut state = self.state.lock().unwrap();
                state.messages.drain(..).collect()
            };
            if !messages.is_empty() || Instant::now() >= until || !self.is_live(number) {
                break messages;
            }
            let _ = tokio::time::timeout_at(until, more).await;
        };
        self.state.lock().unwrap().waiting.0 -= 1;
        self.is_live(number).then(|| (200, pulled(&messages)))
    }
}

fn pulled(messages: &str) -> String {
    format!("<t:PullMessagesResponse>{messages}</t:PullMessagesResponse>")
}

/// A message with one source item and one data item, each `name=value`.
fn message(topic: &str, operation: &str, source: &str, data: &str) -> String {
    let [source, data] = [source, data].map(|item| match item.split_once('=') {
        Some((name, value)) => format!("<tt:SimpleItem Name='{name}' Value='{value}'/>"),
        None => String::new(),
    });
    format!(
        "<n:NotificationMessage><n:Topic>{topic}</n:Topic><n:Message><tt:Message PropertyOperation='{operation}'>\
         <tt:Source>{source}</tt:Source><tt:Data>{data}</tt:Data></tt:Message></n:Message></n:NotificationMessage>"
    )
}

fn motion(state: bool) -> String {
    message("tns1:VideoSource/MotionAlarm", "Changed", "Source=vs", &format!("State={state}"))
}

impl EventCamera {
    async fn usual() -> Self {
        Self::start(|_, _| None).await
    }

    async fn start(
        quirk: impl Fn(&Asked, &Hub) -> Option<(u16, String)> + Send + Sync + 'static,
    ) -> Self {
        let hub = Arc::new(Hub {
            state: Mutex::default(),
            more: Notify::new(),
            began: Instant::now(),
            port: OnceLock::new(),
            quirk: Box::new(quirk),
        });
        let answering = Arc::clone(&hub);
        let camera = Camera::start_slow(move |asked| {
            let hub = Arc::clone(&answering);
            Box::pin(async move { hub.answer(&asked).await })
        })
        .await;
        hub.port.set(camera.fake.port).unwrap();
        Self { camera, hub }
    }

    fn count(&self, action: &str) -> usize {
        self.camera.calls(action).len()
    }

    /// Listens in a task.
    fn listen(&self) -> Listener {
        Listener::new(self.camera.onvif())
    }
}

/// A listener, and what it hears.
struct Listener {
    task: JoinHandle<Error>,
    hears: mpsc::Receiver<Heard>,
}

impl Listener {
    fn new(onvif: Arc<Onvif>) -> Self {
        let (heard, hears) = mpsc::channel(64);
        let task = tokio::spawn(async move { onvif.listen(&heard).await });
        Self { task, hears }
    }

    async fn next(&mut self) -> Heard {
        let next = patiently(self.hears.recv()).await;
        next.expect("listening has ended")
    }

    async fn listening(&mut self) {
        assert_eq!(self.next().await, Heard::Listening);
    }

    async fn alarm(&mut self) -> Alarm {
        match self.next().await {
            Heard::Alarm(alarm) => alarm,
            Heard::Listening => panic!("listening anew"),
        }
    }

    async fn hears(&mut self, trigger: Trigger, signal: Signal) {
        let alarm = self.alarm().await;
        assert_eq!((alarm.trigger, alarm.signal), (trigger, signal), "{}", alarm.what);
    }

    fn is_silent(&mut self) -> bool {
        self.hears.try_recv().is_err()
    }

    async fn ended(self) -> Error {
        let Self { task, hears: _hears } = self;
        patiently(task).await.unwrap()
    }
}

/// Waits for what takes no time at all by the camera's clock, as the machine may be slow.
async fn patiently<T>(what: impl Future<Output = T>) -> T {
    let mut what = std::pin::pin!(what);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let polled = poll_fn(|context| Poll::Ready(what.as_mut().poll(context))).await;
        if let Poll::Ready(value) = polled {
            return value;
        }
        assert!(std::time::Instant::now() < until, "nothing happens");
        tokio::task::yield_now().await;
    }
}

/// Waits until something is so.
async fn until(is: impl Fn() -> bool) {
    patiently(async {
        while !is() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Stops the clock, which then moves by [`pass`] alone, though the sockets are real.
fn stop_the_clock() {
    tokio::time::pause();
    // A runtime that is never idle leaves its clock alone.
    tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
}

/// Lets time pass in small steps, with time for the sockets in each.
async fn pass(seconds: u64) {
    for _ in 0..seconds {
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..60 {
            // The sockets are looked at each time.
            tokio::task::yield_now().await;
        }
    }
}
