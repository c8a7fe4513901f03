//! Calls of one camera's services, with the login in the form that the camera takes.
//!
//! The first form is the token of WS-Security in the camera's time. HTTP's own login is answered beside it whenever the
//! camera asks for one. When the camera refuses the token, its clock is read again, and what differs from the first try
//! is tried once: the new time; our own time, where the camera calls its local time UTC; no token at all. The form
//! that passed is kept. One request at a time tries a login that has not passed yet.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::address::Endpoint;
use super::clock::{Clock, DateAndTime};
use super::envelope::{self, Denied, Failure, PULL};
use super::events::addressing;
use super::rest::Rest;
use super::security;
pub(super) use super::service::Service;
use crate::http::{Http, Limits, Method, Request};
use crate::xml::Element;
use crate::{Answer, Credentials, Error, Kind, Result};

/// The limits of one request.
const LIMITS: Limits = Limits { body: 1 << 20, deadline: Duration::from_secs(7) };
/// The limits of a pull, which the camera answers after its time at the latest.
const PULL_LIMITS: Limits = Limits { deadline: PULL_TIME.saturating_add(PULL_GRACE), ..LIMITS };
/// How long a camera is asked to wait for a message before it answers a pull.
pub(super) const PULL_TIME: Duration = Duration::from_secs(60);
/// How much longer its answer may take.
const PULL_GRACE: Duration = Duration::from_secs(15);
/// How long a port may take that is not the only one that the service may have.
const FIRST_PORT: Duration = Duration::from_secs(2);
/// Most ports beside the dialled one.
const MAX_PORTS: usize = 4;
/// Actions that cameras answer without a login, so that they do not say whether it is right.
const OPEN: [&str; 3] = ["GetSystemDateAndTime", "GetServices", "GetCapabilities"];
/// The action that reads the clock.
pub(super) const READ_CLOCK: &str = "GetSystemDateAndTime";

/// One camera, as it is called.
pub(super) struct Client {
    http: Http,
    device: Endpoint,
    login: Option<Credentials>,
    /// Held while a login is tried that has not passed.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Clients of the ports beside the dialled one.
    ports: Mutex<Vec<(u16, Http)>>,
}

/// One call.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    /// The ability and call, for errors.
    pub(super) op: &'static str,
    pub(super) at: &'a Endpoint,
    pub(super) service: Service,
    pub(super) action: &'static str,
    /// What is inside the element of the action.
    pub(super) body: &'a str,
}

#[derive(Default)]
struct State {
    /// The form that is tried first; `None` before the camera's clock is known.
    form: Option<Form>,
    rest: Rest,
}

/// The forms of a login.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// A token made at this clock.
    Token(Clock),
    /// Only what HTTP asks for.
    Bare,
}

impl Client {
    pub(super) fn new(http: Http, device: &str, login: Option<Credentials>) -> Self {
        let http = http.with_limits(LIMITS);
        Self {
            device: Endpoint::at(&http, device),
            http,
            login,
            turn: tokio::sync::Mutex::default(),
            state: Mutex::default(),
            ports: Mutex::default(),
        }
    }

    /// The client of the host and port that were dialled.
    pub(super) fn http(&self) -> &Http {
        &self.http
    }

    /// Where the device service was configured to be.
    pub(super) fn device(&self) -> &Endpoint {
        &self.device
    }

    /// The client of the same host at a port.
    pub(super) fn http_at(&self, port: u16) -> Http {
        if port == self.http.port() {
            return self.http.clone();
        }
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, http)) = ports.iter().find(|(other, _)| *other == port) {
            return http.clone();
        }
        let http = self.http.at_port(port);
        if ports.len() == MAX_PORTS {
            ports.remove(0);
        }
        ports.push((port, http.clone()));
        http
    }

    /// Calls with the login. Returns the element of the answer; one without a name where the camera took an order
    /// without a word.
    ///
    /// # Errors
    /// `Refused` for a login that is refused or rests, and for faults that say nothing better; `Invalid` or
    /// `Unsupported` for a fault that says so; `Offline`, `Timeout` or `Other`.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Element> {
        self.ask(call).await.map_err(Failure::into_error)
    }

    /// As [`call`](Self::call), with a refused login told from the other failures.
    pub(super) async fn ask(&self, call: Call<'_>) -> std::result::Result<Element, Failure> {
        let Some(login) = &self.login else { return self.send(call, "").await };
        let mut turn = None;
        if !self.state().rest.has_passed() {
            turn = Some(self.turn.lock().await);
        }
        if self.state().rest.rests(call.action, Instant::now()) {
            let why = "an earlier request by refusing the login, which rests for some minutes";
            let error = Error::new(call.op, Kind::Refused).because(Denied(why.into()));
            return Err(Failure::Login(error));
        }
        let known = self.state().form;
        let first = match known {
            Some(form) => form,
            None => {
                let clock = self.read_clock(call.op, login).await.map_err(Failure::Other)?;
                let form = Form::Token(clock);
                self.state().form = Some(form);
                form
            }
        };
        let refusal = match self.send_as(call, login, first).await {
            Err(Failure::Login(refusal)) => refusal,
            answer => return answer,
        };
        if turn.is_none() {
            turn = Some(self.turn.lock().await);
        }
        // While the turn was awaited, another call may have been refused in every form.
        if self.state().rest.rests(call.action, Instant::now()) {
            return Err(Failure::Login(refusal));
        }
        let others = self.others(call.op, login, first, known.is_some()).await;
        for form in others.map_err(Failure::Other)? {
            match self.send_as(call, login, form).await {
                Err(Failure::Login(_)) => {}
                answer => return answer,
            }
        }
        self.state().rest.refused(call.action, Instant::now());
        drop(turn);
        Err(Failure::Login(refusal))
    }

    /// The forms that are worth a try after one that was refused: at most three.
    async fn others(
        &self,
        op: &'static str,
        login: &Credentials,
        refused: Form,
        is_old: bool,
    ) -> Result<Vec<Form>> {
        let mut forms = Vec::new();
        // While the turn was awaited, another call may have found the form that passes.
        let found = self.state().form.filter(|form| *form != refused);
        forms.extend(found);
        let mut clock = match refused {
            Form::Token(clock) => clock,
            Form::Bare => Clock::own(),
        };
        if is_old && found.is_none() {
            let fresh = self.read_clock(op, login).await?;
            if refused == Form::Bare || !fresh.is_same(&clock) {
                forms.push(Form::Token(fresh));
            }
            clock = fresh;
        }
        if clock.may_be_local() {
            forms.push(Form::Token(Clock::own()));
        }
        if refused != Form::Bare && found != Some(Form::Bare) {
            forms.push(Form::Bare);
        }
        forms.truncate(3);
        Ok(forms)
    }

    async fn send_as(
        &self,
        call: Call<'_>,
        login: &Credentials,
        form: Form,
    ) -> std::result::Result<Element, Failure> {
        let header = match form {
            Form::Token(clock) => security::header(login, &clock.created()),
            Form::Bare => String::new(),
        };
        let answer = self.send(call, &header).await;
        let judged = match &answer {
            Ok(_) => true,
            // A fault about anything but the login comes from a camera that has accepted it.
            Err(Failure::Other(error)) => matches!(error.kind, Kind::Invalid),
            Err(Failure::Login(_)) => false,
        };
        if judged {
            let mut state = self.state();
            state.form = Some(form);
            if !OPEN.contains(&call.action) {
                state.rest.accepted();
            }
        }
        answer
    }

    /// Reads the camera's clock: without the login, and with it where the camera insists. Our own clock serves where
    /// the camera does not tell its time.
    async fn read_clock(&self, op: &'static str, login: &Credentials) -> Result<Clock> {
        match self.date_and_time(op, Some(login)).await {
            Ok(told) => Ok(told.utc.map_or_else(Clock::own, Clock::of)),
            Err(error) if matches!(error.kind, Kind::Offline | Kind::Timeout) => Err(error),
            Err(_) => Ok(Clock::own()),
        }
    }

    /// The camera's date and time, asked without the login, and with `login` where the camera insists.
    pub(super) async fn date_and_time(
        &self,
        op: &'static str,
        login: Option<&Credentials>,
    ) -> Result<DateAndTime> {
        let call =
            Call { op, at: &self.device, service: Service::Device, action: READ_CLOCK, body: "" };
        let answer = match (self.send(call, "").await, login) {
            (Err(Failure::Login(_)), Some(login)) => {
                let header = security::header(login, &Clock::own().created());
                self.send(call, &header).await
            }
            (answer, _) => answer,
        };
        answer.map(|answer| DateAndTime::read(&answer)).map_err(Failure::into_error)
    }

    /// The camera's clock, as far as it is known; else ours.
    pub(super) fn clock(&self) -> Clock {
        match self.state().form {
            Some(Form::Token(clock)) => clock,
            _ => Clock::own(),
        }
    }

    /// Takes this as the camera's clock.
    pub(super) fn set_clock(&self, clock: Clock) {
        let mut state = self.state();
        if let Some(Form::Token(before)) = &mut state.form {
            *before = clock;
        }
    }

    /// The camera's login.
    pub(super) fn login(&self) -> Option<&Credentials> {
        self.login.as_ref()
    }

    async fn send(&self, call: Call<'_>, header: &str) -> std::result::Result<Element, Failure> {
        let Call { op, service, action, .. } = call;
        let header = match service {
            Service::Events | Service::Subscription => {
                header.to_owned() + &addressing::headers(service, action, call.at)
            }
            _ => header.to_owned(),
        };
        let text = envelope::write(&header, service.namespace(), action, call.body);
        let kind = format!(
            "application/soap+xml; charset=utf-8; action=\"{}\"",
            addressing::action(service, action)
        );
        let request = Request::with_body(Method::Post, &*call.at.target, kind, text);
        let answer = self.exchange(call, &request).await.map_err(Failure::Other)?;
        envelope::read(op, action, &answer)
    }

    /// Sends a request to the first of the service's ports that answers.
    async fn exchange(&self, call: Call<'_>, request: &Request) -> Result<Answer> {
        let Call { op, at, .. } = call;
        let (is_pull, last) = (call.action == PULL, at.ports.len().saturating_sub(1));
        let mut outcome = Err(Error::new(op, Kind::Offline));
        for (tried, (number, port)) in at.order().enumerate() {
            let mut http = self.http_at(port);
            if is_pull {
                http = http.with_limits(PULL_LIMITS);
            } else if tried < last {
                http = http.with_limits(Limits { deadline: FIRST_PORT, ..LIMITS });
            }
            outcome = http.send(op, request).await;
            match &outcome {
                Ok(answer) if !matches!(answer.status, 404 | 405) => {
                    at.works(number);
                    break;
                }
                // Whoever was asked to wait may be silent, or close the connection.
                Err(error) if is_pull && error.kind != Kind::Offline => break,
                _ => {}
            }
        }
        outcome
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Login(error) | Self::Other(error) => error,
        }
    }
}
