//! The camera's alarms: the messages of one pull point of the device, which all its video inputs share.
//!
//! Cameras hold few subscriptions, cannot list them, and keep one until it ends. So there is one for each device, it
//! outlives a connection that breaks, and it is ended only when nobody listens any longer, since some cameras end every
//! client's with it. A camera that has forgotten it is asked for another one at once, and then once a minute at most.

pub(super) mod addressing;
pub(super) mod message;
mod route;
mod states;
mod subscription;
mod times;
mod topic;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ivt_base::task::work;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::address::{Address, Endpoint};
use super::client::{Client, Service};
use super::envelope::{Failure, passing};
use super::{Onvif, is_fault, within};
use crate::http::hung_up;
use crate::shared::{Raised, Shared};
use crate::xml::Element;
use crate::{Alarm, Alarms, Error, Heard, Kind, Result};
use message::Told;
use states::States;
use subscription::{Form, OP, Renewal, Subscription, pull};

/// How long after the begin of a subscription a camera may tell how things are.
const SETTLING: Duration = Duration::from_secs(10);
/// The pause after an answer without a message that came at once.
const PAUSE: Duration = Duration::from_millis(750);
/// The pause after answers with messages that come at once, one behind the other.
const BREATH: Duration = Duration::from_millis(100);
/// Answers that may come at once, one behind the other, without a pause.
const BURST: u32 = 10;
/// Pulls in a row that may fail before the camera is given up: connections that are closed at once and answers that
/// cannot be read, and pulls without any answer.
const MOST_BROKEN: u32 = 10;
const MOST_SILENT: u32 = 2;
/// Time after which a subscription may be made as if for the first time.
const CALM: Duration = Duration::from_secs(45);

/// What is kept of one device.
#[derive(Default)]
struct Device {
    listeners: Shared,
    /// Locked by the listener that leads.
    point: tokio::sync::Mutex<Point>,
}

/// The pull point of a device.
#[derive(Default)]
struct Point {
    subscription: Option<Subscription>,
    /// The pull that waits for an answer. It outlives the listener that leads: what the camera tells a connection that
    /// was closed is lost.
    pulling: Option<Pulling>,
    states: States,
    form: Form,
    /// Whether the camera finds fault with long pulls.
    is_modest: bool,
    /// When a subscription was made last, and whether that was sooner than usual.
    made: Option<(Instant, bool)>,
    /// When another one may be asked for, after the camera has refused one.
    not_before: Option<Instant>,
}

/// One pull.
struct Pulling {
    answer: Pin<Box<dyn Future<Output = PullAnswer> + Send>>,
    began: Instant,
}

type PullAnswer = std::result::Result<Element, Failure>;

/// How asking for messages ended.
enum End {
    /// The camera has no such subscription any more.
    Lost,
    Failed(Error),
}

#[async_trait]
impl Alarms for Onvif {
    async fn listen(&self, heard: &mpsc::Sender<Heard>) -> Error {
        let media = match within(OP, self.media(OP)).await {
            Ok(media) => Some(media),
            // A device without streams may raise alarms yet.
            Err(error) if is_fault(&error) && self.options.input <= 1 => None,
            Err(error) => return passing(error),
        };
        let is_mine =
            |names: &[String]| media.as_ref().is_none_or(|media| route::is_mine(media, names));
        let device = self.client.http().shared::<Device>("onvif");
        let mut leaving = Leaving { device: &device, client: &self.client, stays: false };
        let lead = Box::pin(async { passing(self.lead(&device).await) });
        let error = device.listeners.listen(OP, heard, &is_mine, lead).await;
        // A camera that is away may hold the subscription yet.
        leaving.stays = true;
        if heard.is_closed() {
            Leaving::end(&device, &self.client).await;
        }
        error
    }
}

impl Onvif {
    /// Asks for messages until the camera fails, and returns why.
    async fn lead(&self, device: &Device) -> Error {
        let mut point = device.point.lock().await;
        loop {
            let now = Instant::now();
            let lives = point.subscription.as_ref().is_some_and(|one| one.lease.ends > now);
            if !lives && let Err(error) = self.subscribe(&mut point).await {
                return error;
            }
            device.listeners.listening(!lives).await;
            let end = self.pull_all(device, &mut point).await;
            point.pulling = None;
            match end {
                End::Lost => point.subscription = None,
                End::Failed(error) => return error,
            }
        }
    }

    async fn subscribe(&self, point: &mut Point) -> Result<()> {
        point.subscription = None;
        if let Some(at) = point.next_try(Instant::now()) {
            sleep_until(at).await;
        }
        match self.create(point).await {
            Ok(subscription) => {
                point.subscription = Some(subscription);
                Ok(())
            }
            Err(error) => {
                if is_fault(&error) {
                    self.services.forget();
                    point.not_before = Some(Instant::now() + pause());
                }
                Err(error)
            }
        }
    }

    /// Subscribes where the camera makes subscriptions. What it says of whether it does is not believed, as some say so
    /// wrongly.
    async fn create(&self, point: &mut Point) -> Result<Subscription> {
        let (client, form) = (&*self.client, &mut point.form);
        let services = within(OP, self.services(OP)).await?;
        if let Some(at) = services.at(Service::Events) {
            return Subscription::create(client, at, form).await;
        }
        let told = match self.ask_device(OP, "GetCapabilities", "<Category>All</Category>").await {
            Err(error) if !is_fault(&error) => return Err(error),
            told => told.unwrap_or_default(),
        };
        let told = Address::read(told.text_at("Capabilities/Events/XAddr"));
        let at = match told {
            Some(address) => address.endpoint(client.http()),
            None => Endpoint::at(client.http(), &client.device().target),
        };
        Subscription::create(client, &at, form).await
    }

    fn pull(&self, at: &Arc<Endpoint>, is_modest: bool) -> Pulling {
        let (client, at) = (Arc::clone(&self.client), Arc::clone(at));
        let answer = Box::pin(async move { pull(&client, &at, is_modest).await });
        Pulling { answer, began: Instant::now() }
    }

    /// Asks for messages until the camera does not know the subscription any more, or fails.
    async fn pull_all(&self, device: &Device, point: &mut Point) -> End {
        let client = &*self.client;
        let Point { subscription, pulling, states, is_modest, .. } = point;
        let Some(Subscription { at, lease, since }) = subscription else { return End::Lost };
        let mut ports_left = at.ports.len().saturating_sub(1);
        let (mut has_answered, mut quick, mut broken, mut silent) = (false, 0, 0, 0);
        loop {
            let next = pulling.get_or_insert_with(|| self.pull(at, *is_modest));
            let answer = loop {
                tokio::select! {
                    answer = &mut next.answer => break answer,
                    () = sleep_until(lease.renew_at) => {}
                }
                match lease.renew(client, at).await {
                    Ok(Renewal::Done) => {}
                    Ok(Renewal::Lost) => return End::Lost,
                    Err(error) => return End::Failed(error),
                }
            };
            let is_quick = next.began.elapsed() < PAUSE;
            *pulling = None;
            let answer = match answer {
                Ok(answer) => answer,
                Err(Failure::Login(error)) => return End::Failed(error),
                Err(Failure::Other(error)) if is_fault(&error) => {
                    if !has_answered && ports_left > 0 {
                        // Another server may have answered in the place of the camera's events.
                        ports_left -= 1;
                        at.turn_to_next();
                    } else if !has_answered && !*is_modest && !is_unknown(&error) {
                        *is_modest = true;
                    } else {
                        return End::Lost;
                    }
                    continue;
                }
                Err(Failure::Other(error)) => {
                    // Some cameras close the connection, or say nothing, in the place of an empty answer.
                    match error.kind {
                        Kind::Offline => return End::Failed(error),
                        Kind::Timeout => silent += 1,
                        _ if hung_up(&error) && !is_quick => {}
                        _ => broken += 1,
                    }
                    if silent > MOST_SILENT || broken > MOST_BROKEN {
                        return End::Failed(error);
                    }
                    if is_quick {
                        sleep(PAUSE).await;
                    }
                    continue;
                }
            };
            (has_answered, broken, silent) = (true, 0, 0);
            lease.pulled(&answer);
            let is_empty = message::count(&answer) == 0;
            for told in message::read(&answer) {
                if let Some(signal) = states.judge(&told, since.elapsed() < SETTLING) {
                    let Told { trigger, input, key, what, .. } = told;
                    let alarm = Alarm { trigger, signal, what };
                    device.listeners.tell(Raised { input, key, alarm }).await;
                }
            }
            quick = if is_quick { quick + 1 } else { 0 };
            match is_empty {
                true if is_quick => sleep(PAUSE).await,
                false if quick > BURST => sleep(BREATH).await,
                _ => {}
            }
        }
    }
}

impl Point {
    /// When a subscription may be made that is needed now; `None` is at once. Notes that it is made then.
    fn next_try(&mut self, now: Instant) -> Option<Instant> {
        let calm = self.made.is_none_or(|(made, _)| now >= made + CALM);
        let at = match self.made {
            Some((made, true)) if !calm => Some(made + pause()),
            _ => None,
        };
        let at = at.max(self.not_before.take()).filter(|at| *at > now);
        self.made = Some((at.unwrap_or(now), !calm && at.is_none()));
        at
    }
}

/// The pause between subscriptions that a camera forgets or refuses, so that clients do not come all at once.
fn pause() -> Duration {
    Duration::from_millis(rand::random_range(40_000..=60_000))
}

/// Whether a fault says that the camera does not know the subscription.
fn is_unknown(error: &Error) -> bool {
    let said = error.source.as_ref().map(|said| said.to_string().to_lowercase());
    said.is_some_and(|said| said.contains("unknown"))
}

/// Ends the subscription when the last listener leaves, even when that is no longer asked to listen.
struct Leaving<'a> {
    device: &'a Arc<Device>,
    client: &'a Arc<Client>,
    /// Whether the subscription is kept for the next listener.
    stays: bool,
}

impl Leaving<'_> {
    /// Ends the subscription if nobody listens any longer.
    async fn end(device: &Device, client: &Client) {
        // The one that leads holds the lock as long as it listens.
        if !device.listeners.is_deserted() {
            return;
        }
        let mut point = device.point.lock().await;
        if !device.listeners.is_deserted() {
            return;
        }
        point.pulling = None;
        // Whoever comes next has not made the camera forget anything.
        point.made = None;
        if let Some(subscription) = point.subscription.take()
            && subscription.lease.ends > Instant::now()
        {
            subscription.end(client).await;
        }
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if self.stays || !self.device.listeners.is_deserted() {
            return;
        }
        if let Ok(mut point) = self.device.point.try_lock() {
            // The connection is closed at once.
            point.pulling = None;
        }
        let (device, client) = (Arc::clone(self.device), Arc::clone(self.client));
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(work(async move { Self::end(&device, &client).await }));
        }
    }
}
