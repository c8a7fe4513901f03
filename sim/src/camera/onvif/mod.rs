//! The camera's ONVIF services: device, media, PTZ and events, over the emulated cameras, with the login and
//! the quirks of cameras of the field; and its answer to WS-Discovery.

mod clock;
mod device;
mod device_io;
pub mod discovery;
mod envelope;
mod events;
mod fault;
mod login;
mod media;
mod media2;
mod moves;
mod node;
mod ptz;
mod quirk;
mod site;
mod span;

use std::sync::Arc;

use async_trait::async_trait;

use envelope::{Call, Service as Called, envelope};
use events::Subscriptions;
use fault::Fault;
use login::Login;
use moves::Moves;
use node::{Node, Spelling};

pub use quirk::{Quirk, Switches, UnknownQuirk, listing};
pub use site::Site;

use super::auth::Credentials;
use super::web::{Answer, Request, Service};

const KIND: &str = "application/soap+xml; charset=utf-8";
/// Where the pictures are.
const SNAPSHOT: &str = "/onvif/snapshot";

/// The ONVIF services of one device.
pub struct Onvif {
    site: Arc<Site>,
    user: String,
    login: Login,
    moves: Moves,
    subscriptions: Subscriptions,
}

impl Onvif {
    /// Services for `site`, with this login.
    pub fn new(site: Arc<Site>, credentials: Option<Credentials>) -> Self {
        Self {
            site,
            user: credentials.as_ref().map(|login| login.user.clone()).unwrap_or_default(),
            login: Login::new(credentials),
            moves: Moves::default(),
            subscriptions: Subscriptions::default(),
        }
    }

    /// The answer to a call, which may be that the camera hangs up, and whether the camera restarts after it.
    async fn call(&self, request: &Request) -> (Option<Call>, Result<Option<Node>, Fault>, bool) {
        let call = match Call::read(&request.body) {
            Ok(call) => call,
            Err(fault) => return (None, Err(fault), false),
        };
        if !self.admits(request, &call) {
            return (Some(call), Err(Fault::not_authorized()), false);
        }
        let (site, host) = (&*self.site, request.host);
        let answer = match call.service {
            Called::Device => device::answer(site, host, &self.user, &call).await.map(Some),
            Called::Media => media::answer(site, host, &call).await.map(Some),
            Called::Media2 => media2::answer(site, host, &call).await.map(Some),
            Called::DeviceIo => device_io::answer(site, &call).map(Some),
            Called::Ptz => ptz::answer(site, &self.moves, &call).await.map(Some),
            Called::Events | Called::Subscription => {
                events::answer(site, host, &self.subscriptions, &request.target, &call).await
            }
        };
        let reboots = answer.is_ok() && call.name() == "SystemReboot";
        (Some(call), answer, reboots)
    }

    fn admits(&self, request: &Request, call: &Call) -> bool {
        let quirks = &self.site.quirks;
        let Request { method, target, authorization, .. } = request;
        let digest = || {
            !quirks.has(Quirk::WsseOnly)
                && self.login.digest(method, target, authorization.as_deref())
        };
        let token = || {
            !quirks.has(Quirk::DigestOnly) && self.login.token(call, self.site.clock.now(quirks))
        };
        // The pre-authentication class is of the device service, but for the capabilities of each service.
        let open = device::is_open(&self.site, call.name())
            && (call.service == Called::Device || call.name() == "GetServiceCapabilities");
        open || self.login.is_open() || digest() || token()
    }

    /// The status of an answer that is a fault. HTTP asks for a login where no token of WS-Security came, or where
    /// none is taken.
    fn status(&self, fault: &Fault, call: Option<&Call>) -> u16 {
        let quirks = &self.site.quirks;
        let token = call.is_some_and(|call| call.header("Security/UsernameToken").is_some());
        let asks = !quirks.has(Quirk::WsseOnly) && (!token || quirks.has(Quirk::DigestOnly));
        match fault.is_login() && asks {
            true => 401,
            false if quirks.has(Quirk::Fault200) => 200,
            false => fault.status(),
        }
    }

    fn spelling(&self) -> Spelling {
        match () {
            () if self.site.quirks.has(Quirk::Bare) => Spelling::Bare,
            () if self.site.quirks.has(Quirk::Letters) => Spelling::Letters,
            () => Spelling::Usual,
        }
    }

    /// A picture, for a client that proves its login by HTTP.
    async fn snapshot(&self, request: &Request) -> Answer {
        let Request { method, target, authorization, .. } = request;
        if method != "GET" {
            return Answer::new(405, "text/plain", "expected GET\n");
        }
        if !self.login.digest(method, target, authorization.as_deref()) {
            let answer = Answer::new(401, "text/plain", "login needed\n");
            return Answer { challenge: Some(self.login.challenge()), ..answer };
        }
        let token = target.split_once("?profile=").map(|(_, token)| token).unwrap_or_default();
        let Ok(profile) = self.site.profile(token) else {
            return Answer::new(404, "text/plain", "there is no such profile\n");
        };
        let stream = match profile.stream {
            super::Stream::Main => ivt_hal::Stream::Main,
            super::Stream::Sub => ivt_hal::Stream::Sub,
        };
        let unit = self.site.world.unit(profile.channel);
        match unit.and_then(|unit| unit.channel.snapshot.as_ref()) {
            Some(snapshot) => match snapshot.jpeg(stream).await {
                Ok(picture) => Answer::new(200, "image/jpeg", picture),
                Err(error) => Answer::new(503, "text/plain", format!("{error}\n")),
            },
            None => Answer::new(404, "text/plain", "the channel has no pictures\n"),
        }
    }
}

#[async_trait]
impl Service for Onvif {
    fn takes(&self, target: &str) -> bool {
        target.starts_with("/onvif/")
    }

    async fn answer(&self, request: &Request) -> Answer {
        if request.target.starts_with(SNAPSHOT) {
            return self.snapshot(request).await;
        }
        if request.method != "POST" {
            return Answer::new(405, "text/plain", "expected POST\n");
        }
        let (call, answer, reboots) = self.call(request).await;
        let (status, content) = match answer {
            Ok(Some(content)) => (200, content),
            Ok(None) => return Answer { hangs_up: true, ..Answer::new(200, KIND, "") },
            Err(fault) => (self.status(&fault, call.as_ref()), fault.node()),
        };
        let name = call.as_ref().map_or("?", |call| call.name());
        log::debug!(target: "camera", "ONVIF: {} -> {status}", name.escape_debug());
        let body = envelope(call.as_ref(), content).document(self.spelling());
        let challenge = (status == 401).then(|| self.login.challenge());
        Answer { challenge, reboots, ..Answer::new(status, KIND, body) }
    }
}

#[cfg(test)]
mod tests;
