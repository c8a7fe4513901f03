//! A camera with ONVIF: its streams, pictures, movements, presets, preset tours, network interfaces, restart, alarms
//! and clock. ONVIF has no patrol, no tripwire of one form, and no Wi-Fi that cameras agree on, so their slots stay empty.
//!
//! What a camera can do is known only after it was asked: its slots are filled, and a camera without PTZ answers
//! `Unsupported`. What it said of its services, profiles and ranges is kept until it finds fault with it.

mod address;
mod client;
mod clock;
mod describe;
mod discovery;
mod encoder;
mod envelope;
mod events;
mod media;
mod network;
mod power;
mod presets;
mod ptz;
mod rest;
mod security;
mod service;
mod services;
mod snapshot;
#[cfg(test)]
mod tests;
mod time;
mod tours;
mod zone;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::timeout;

use crate::http::{ABILITY_DEADLINE, Http};
use crate::xml::Element;
use crate::{Bitrates, Channel, Credentials, Error, Kind, Result, Transport};
use client::{Call, Client, Service};
use clock::Clock;
pub use clock::DateAndTime;
pub use describe::Description;
pub use discovery::{Found, MULTICAST, Search, discover, merged};
use encoder::Address;
use media::Media;
pub use media::MediaProfile;
use ptz::{Moves, Moving};
use services::Services;
use snapshot::Picture;

/// Where nearly every camera has its device service.
pub const DEVICE_PATH: &str = "/onvif/device_service";
/// Longest time for a call of an ability.
const DEADLINE: Duration = ABILITY_DEADLINE;
/// Longest token that ONVIF allows, in characters.
const LONGEST_TOKEN: usize = 64;

/// What is known of a camera beside its address and login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How the camera sends its streams; default TCP.
    pub transport: Transport,
    /// The bit rates of a camera that does not tell them.
    pub bitrates: Bitrates,
    /// The number of the video input of an NVR, from 1; default 1.
    pub input: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self { transport: Transport::Tcp, bitrates: Bitrates::default(), input: 1 }
    }
}

/// A camera, or one video input of an NVR. It is every ability that ONVIF has.
pub struct Onvif {
    client: Arc<Client>,
    options: Options,
    services: Kept<Services>,
    media: Kept<Media>,
    moves: Kept<Moves>,
    /// Addresses of the main and the sub stream.
    addresses: [Kept<Address>; 2],
    /// Where pictures of the main and the sub stream are.
    pictures: [Kept<Picture>; 2],
    /// Longest picture, in bytes.
    longest: usize,
    moving: Mutex<Moving>,
}

impl Onvif {
    /// A camera whose device service is at `path` of the host and port of `http`, such as [`DEVICE_PATH`]. `login` is
    /// for WS-Security; `http` has the same for HTTP's own login, which all that use the camera share, and the limit
    /// of a picture's length. Talks to nobody.
    pub fn new(http: Http, path: &str, login: Option<Credentials>, options: Options) -> Arc<Self> {
        Arc::new(Self {
            longest: http.longest(),
            client: Arc::new(Client::new(http, path, login)),
            options,
            services: Kept::default(),
            media: Kept::default(),
            moves: Kept::default(),
            addresses: Default::default(),
            pictures: Default::default(),
            moving: Mutex::default(),
        })
    }

    /// The camera as a channel: encoder, snapshot, ptz, presets, tours, network, power, alarms
    /// and clock.
    pub fn channel(self: &Arc<Self>) -> Channel {
        Channel {
            snapshot: Some(Arc::clone(self) as _),
            ptz: Some(Arc::clone(self) as _),
            presets: Some(Arc::clone(self) as _),
            tours: Some(Arc::clone(self) as _),
            network: Some(Arc::clone(self) as _),
            power: Some(Arc::clone(self) as _),
            alarms: Some(Arc::clone(self) as _),
            clock: Some(Arc::clone(self) as _),
            ..Channel::new(Arc::clone(self) as _)
        }
    }

    /// The camera's date and time. Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported`, `Offline`, `Timeout`, `Refused` or `Other`.
    pub async fn date_and_time(&self) -> Result<DateAndTime> {
        const OP: &str = "date and time";
        within(OP, self.client.date_and_time(OP, self.client.login())).await
    }

    async fn ask_device(
        &self,
        op: &'static str,
        action: &'static str,
        body: &str,
    ) -> Result<Element> {
        let (at, service) = (self.client.device(), Service::Device);
        self.client.call(Call { op, at, service, action, body }).await
    }

    async fn services(&self, op: &'static str) -> Result<Arc<Services>> {
        self.services.or_ask(Services::ask(&self.client, op)).await
    }

    async fn media(&self, op: &'static str) -> Result<Arc<Media>> {
        let ask = async {
            let services = self.services(op).await?;
            Media::ask(&self.client, &services, op, self.options.input).await
        };
        self.media.or_ask(ask).await
    }

    /// Forgets what was learnt of the camera, since it may have been set up in another way.
    fn forget(&self) {
        self.services.forget();
        self.media.forget();
        self.moves.forget();
        self.forget_addresses();
    }

    fn forget_addresses(&self) {
        self.addresses.iter().for_each(Kept::forget);
        self.pictures.iter().for_each(Kept::forget);
    }
}

/// What a camera said once. Who asks while another one does waits for that answer.
struct Kept<T>(tokio::sync::Mutex<Option<Arc<T>>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::new(None))
    }
}

impl<T> Kept<T> {
    async fn or_ask(&self, ask: impl Future<Output = Result<T>>) -> Result<Arc<T>> {
        let mut kept = self.0.lock().await;
        if let Some(kept) = &*kept {
            return Ok(Arc::clone(kept));
        }
        let answer = Arc::new(ask.await?);
        *kept = Some(Arc::clone(&answer));
        Ok(answer)
    }

    /// Drops the answer. One that is being asked for is new already.
    fn forget(&self) {
        self.forget_if(|_| true);
    }

    fn forget_if(&self, is_old: impl Fn(&T) -> bool) {
        if let Ok(mut kept) = self.0.try_lock()
            && kept.as_deref().is_some_and(is_old)
        {
            *kept = None;
        }
    }
}

/// Ends a call in the time that the abilities promise.
async fn within<T>(op: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
    match timeout(DEADLINE, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::new(op, Kind::Timeout)),
    }
}

/// Checks a token that came from outside.
fn check_token(op: &'static str, token: &str) -> Result<()> {
    let is_token = !token.trim().is_empty()
        && token.chars().count() <= LONGEST_TOKEN
        && !token.contains(char::is_control);
    if is_token { Ok(()) } else { Err(Error::new(op, Kind::Invalid)) }
}

/// Whether the camera has answered, and found fault with the request.
fn is_fault(error: &Error) -> bool {
    matches!(error.kind, Kind::Invalid | Kind::Refused | Kind::Unsupported)
}
