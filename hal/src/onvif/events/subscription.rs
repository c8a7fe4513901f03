//! A subscription to a camera's events: made, renewed, asked for messages and ended.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ivt_base::date::Utc;
use tokio::time::Instant;

use super::addressing;
use super::times::{LIFETIME, Term, UNTOLD};
use crate::onvif::address::{Address, Endpoint};
use crate::onvif::client::{Call, Client, PULL_TIME, Service};
use crate::onvif::clock::Clock;
use crate::onvif::envelope::{Failure, PULL, SUBSCRIBE, Said};
use crate::xml::Element;
use crate::{Error, Kind, Result};

/// The ability and call, for errors.
pub(super) const OP: &str = "alarms listen";
/// Least time between two renewals.
const LEAST_RENEWAL: Duration = Duration::from_secs(48);
/// How long the end of a subscription may take.
const END_LIMIT: Duration = Duration::from_secs(2);

/// A subscription, as one camera holds it.
pub(super) struct Subscription {
    /// Where it is asked for messages, renewed and ended.
    pub(super) at: Arc<Endpoint>,
    pub(super) lease: Lease,
    /// When it was made.
    pub(super) since: Instant,
}

/// How long a subscription lives.
pub(super) struct Lease {
    /// When it has to be renewed.
    pub(super) renew_at: Instant,
    /// When it ends without a renewal.
    pub(super) ends: Instant,
    /// Whether pulls alone have made it longer.
    is_extended: bool,
    /// Whether the other form of the time was tried, which is done once.
    has_tried_other: bool,
    /// When it ends by the camera's clock, as was told last.
    end: Option<i64>,
    /// The camera's clock.
    clock: Clock,
    form: Form,
}

/// How a camera wants to be told how long a subscription shall live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// As a duration.
    #[default]
    Relative,
    /// As the time of its end by the camera's clock.
    Absolute,
    /// Not at all.
    Untold,
}

/// What became of a renewal.
pub(super) enum Renewal {
    /// The subscription lives on.
    Done,
    /// It ends, and another one has to be made.
    Lost,
}

impl Subscription {
    /// Subscribes at the event service `at`. Where the camera does not take the time in one form, the others are tried;
    /// `form` is tried first, and becomes the one that passed.
    ///
    /// # Errors
    /// `Refused` for a login that is refused, or where the camera holds too many subscriptions; `Unsupported`,
    /// `Offline`, `Timeout` or `Other`.
    pub(super) async fn create(client: &Client, at: &Endpoint, form: &mut Form) -> Result<Self> {
        let mut forms = vec![*form, Form::Relative, Form::Absolute, Form::Untold];
        let mut outcome = None;
        while !forms.is_empty() {
            let tried = forms.remove(0);
            forms.retain(|other| *other != tried);
            let clock = client.clock();
            let body = tried.body("InitialTerminationTime", clock);
            let call =
                Call { op: OP, at, service: Service::Events, action: SUBSCRIBE, body: &body };
            match client.ask(call).await {
                Ok(answer) => {
                    *form = tried;
                    return Self::begin(client, at, tried, &answer).await.inspect(|begun| {
                        *form = begun.lease.form;
                    });
                }
                Err(Failure::Other(error)) if is_about_time(&error) => outcome = Some(error),
                Err(failure) => return Err(failure.into_error()),
            }
        }
        Err(outcome.unwrap_or_else(|| Error::new(OP, Kind::Other)))
    }

    async fn begin(client: &Client, at: &Endpoint, form: Form, answer: &Element) -> Result<Self> {
        let told = answer.text_at("SubscriptionReference/Address");
        // A camera without an address tells its subscriptions apart by their reference parameters alone.
        let told = if told.is_empty() { &at.told } else { told };
        let address = Address::read(told).map(|address| address.endpoint(client.http()));
        let mut at = address.unwrap_or_else(|| Endpoint::at(client.http(), &at.target));
        at.headers = addressing::reference(answer);
        let now = Instant::now();
        let clock = client.clock();
        let mut lease = Lease {
            renew_at: now,
            ends: now,
            is_extended: false,
            has_tried_other: false,
            end: None,
            clock,
            form,
        };
        let term = lease.read(answer);
        lease.grant(term.left());
        if lease.form == Form::Relative && term.left().is_some_and(is_short) {
            // Some cameras misread a duration, and take the time of the end.
            lease.try_other(client, &at).await;
        }
        let begun = Self { at: Arc::new(at), lease, since: now };
        begun.synchronize(client).await?;
        Ok(begun)
    }

    /// Asks for how things are. That a camera cannot do this is nothing.
    async fn synchronize(&self, client: &Client) -> Result<()> {
        let (at, action) = (&self.at, "SetSynchronizationPoint");
        let call = Call { op: OP, at, service: Service::Events, action, body: "" };
        match client.call(call).await {
            Err(error) if error.kind == Kind::Offline => Err(error),
            _ => Ok(()),
        }
    }

    /// Ends the subscription in 2 s at most, whether or not the camera takes it.
    pub(super) async fn end(&self, client: &Client) {
        let call = Call {
            op: OP,
            at: &self.at,
            service: Service::Subscription,
            action: "Unsubscribe",
            body: "",
        };
        // A camera that is away ends it by itself.
        let _ = tokio::time::timeout(END_LIMIT, client.call(call)).await;
    }
}

/// Waits for messages: for a minute, or for a short time and few of them where `is_modest`.
pub(super) async fn pull(
    client: &Client,
    at: &Endpoint,
    is_modest: bool,
) -> std::result::Result<Element, Failure> {
    let (seconds, most) = if is_modest { (10, 10) } else { (PULL_TIME.as_secs(), 32) };
    let body = format!("<Timeout>PT{seconds}S</Timeout><MessageLimit>{most}</MessageLimit>");
    client.ask(Call { op: OP, at, service: Service::Events, action: PULL, body: &body }).await
}

impl Lease {
    /// Renews the subscription. Where the camera does not move its end, another one has to be made.
    ///
    /// # Errors
    /// `Refused` for a login that is refused.
    pub(super) async fn renew(&mut self, client: &Client, at: &Endpoint) -> Result<Renewal> {
        self.renew_at = Instant::now() + LEAST_RENEWAL;
        let before = self.end;
        let left = match self.ask(client, at, self.form).await {
            Ok(left) => left,
            Err(Failure::Login(error)) => return Err(error),
            // Whether the camera is there is seen by the pull.
            Err(Failure::Other(error)) if is_away(&error) => return Ok(Renewal::Done),
            Err(Failure::Other(_)) => return Ok(self.unless_extended()),
        };
        let has_moved = self.end != before || before.is_none();
        if has_moved && !left.is_some_and(is_short) {
            self.grant(left);
            return Ok(Renewal::Done);
        }
        self.grant(left);
        if self.try_other(client, at).await || has_moved {
            return Ok(Renewal::Done);
        }
        Ok(self.unless_extended())
    }

    /// Takes what a pull says of the end.
    pub(super) fn pulled(&mut self, answer: &Element) {
        let before = self.end;
        let term = self.read(answer);
        if let (Some(left), true) = (term.left(), term.end > before) {
            self.is_extended = true;
            self.ends = Instant::now() + left;
        } else {
            self.end = before;
        }
    }

    /// Renews in the other form at once, where the camera granted little in this one. True if it grants more so.
    async fn try_other(&mut self, client: &Client, at: &Endpoint) -> bool {
        if std::mem::replace(&mut self.has_tried_other, true) {
            return false;
        }
        let (first, first_ends, end) = (self.form, self.ends, self.end);
        let other = if first == Form::Relative { Form::Absolute } else { Form::Relative };
        if let Ok(Some(left)) = self.ask(client, at, other).await
            && Instant::now() + left > first_ends
            && self.end > end
        {
            self.form = other;
            self.grant(Some(left));
            return true;
        }
        self.end = end;
        false
    }

    /// Asks for a renewal in a form. Returns how long the camera grants.
    async fn ask(
        &mut self,
        client: &Client,
        at: &Endpoint,
        form: Form,
    ) -> std::result::Result<Option<Duration>, Failure> {
        let form = if form == Form::Untold { Form::Relative } else { form };
        let body = form.body("TerminationTime", self.clock);
        let service = Service::Subscription;
        let call = Call { op: OP, at, service, action: "Renew", body: &body };
        let answer = client.ask(call).await?;
        Ok(self.read(&answer).left())
    }

    fn read(&mut self, answer: &Element) -> Term {
        let clock = i64::try_from(self.clock.now().as_secs()).unwrap_or(i64::MAX);
        let term = Term::read(answer, clock);
        if let Some(now) = term.now.and_then(|now| u64::try_from(now).ok()) {
            self.clock = Clock::of(UNIX_EPOCH + Duration::from_secs(now));
        }
        self.end = term.end;
        term
    }

    /// Renews at four fifths of what was granted.
    fn grant(&mut self, left: Option<Duration>) {
        let (now, left) = (Instant::now(), left.unwrap_or(UNTOLD));
        self.ends = now + left;
        self.renew_at = now + left.mul_f32(0.8).max(LEAST_RENEWAL);
    }

    /// A subscription that cannot be renewed lives on as long as pulls make it longer.
    fn unless_extended(&mut self) -> Renewal {
        let left = self.ends.saturating_duration_since(Instant::now());
        if self.is_extended && left > LEAST_RENEWAL { Renewal::Done } else { Renewal::Lost }
    }
}

impl Form {
    /// The element of this name that says how long a subscription shall live.
    fn body(self, name: &str, clock: Clock) -> String {
        let time = match self {
            Self::Relative => format!("PT{}S", LIFETIME.as_secs()),
            Self::Absolute => {
                let end: SystemTime = UNIX_EPOCH + clock.now() + LIFETIME;
                Utc::from(end).to_string()
            }
            Self::Untold => return String::new(),
        };
        format!("<{name}>{time}</{name}>")
    }
}

/// Whether a camera grants so little that it may have misread what it was asked for.
fn is_short(left: Duration) -> bool {
    left < LIFETIME / 2
}

/// Whether a fault is about the time that a subscription shall live.
fn is_about_time(error: &Error) -> bool {
    let text = error.source.as_ref().and_then(|source| source.downcast_ref::<Said>());
    let text = text.map(|Said(text)| text.to_lowercase()).unwrap_or_default();
    error.kind == Kind::Invalid || text.contains("termination") || text.contains("time")
}

fn is_away(error: &Error) -> bool {
    matches!(error.kind, Kind::Offline | Kind::Timeout)
}
