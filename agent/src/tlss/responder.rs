//! From a command to its reply: the policy first, then the camera, then the audit log.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ivt_base::task::spawn_blocking;
use ivt_base::text::shorten;
use ivt_base::told::Told;
use ivt_hal::{Answer, Cgi, Error, Kind};
use ivt_proto::tlss::{Identity, Violation};
use tokio::time::{Instant, timeout};

use super::Camera;
use super::audit::{Answered, Audit, Entry, printable};
use super::builtin_cgi::{self, Facts};
use super::dress::{self, Dress};
use super::policy::{Policy, Refusal, Request};
use super::reply::{Reply, takes_long, without_secret_parameters};

/// Time for the camera's web server to answer.
const CGI_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers every command, also one that is refused or fails.
pub(super) struct Responder {
    pub(super) identity: Identity,
    pub(super) audit: Audit,
    policy: Policy,
    camera: Camera,
    /// Longest body of a reply, in bytes.
    limit: usize,
    /// Whether the log was told that the camera's web server is in trouble.
    trouble: Mutex<Told>,
}

impl Responder {
    /// Answers by `policy` for `camera`; `limit` is the longest body of a reply, in bytes.
    pub(super) fn new(policy: Policy, camera: Camera, identity: Identity, limit: usize) -> Self {
        let (audit, trouble) = (Audit::default(), Mutex::default());
        Self { identity, audit, policy, camera, limit, trouble }
    }

    /// Puts the hardware address into the identity.
    pub(super) fn set_mac(&mut self, mac: [u8; 6]) {
        self.identity = self.identity.clone().with_mac(mac);
    }

    /// The reply to one command. `address` is the agent's own on the connection to the server, and `dress` the form
    /// of the replies of this call so far.
    pub(super) async fn answer(
        &self,
        command: &[u8],
        address: Option<IpAddr>,
        dress: &mut Dress,
    ) -> Reply {
        let (at, began) = (SystemTime::now(), Instant::now());
        let checked = self.policy.check(command);
        let writes = checked.as_ref().is_ok_and(Request::writes);
        let command = printable(command, writes);
        if let Err(refusal) = &checked {
            self.tell(refusal, &command);
        }
        let refused = checked.as_ref().err().cloned();
        let number = self.audit.begin(Entry { at, command, writes, refused, answered: None });
        let reply = match checked {
            Ok(request) => {
                let reply = self.carry_out(&request, at, address).await;
                if reply.is_found() {
                    dress.note(&request);
                }
                reply
            }
            // A server tries commands of several families, and tells them apart by this status.
            Err(Refusal::Unknown) => Reply::error(404, "This camera has no such command."),
            Err(refusal) => Reply::error(403, &format!("Refused: {refusal}.")),
        };
        let reply = dress.on(reply);
        let (status, bytes) = (reply.status, reply.len());
        self.audit.end(number, Answered { status, bytes, took: began.elapsed() });
        reply
    }

    /// Enters a command into the audit log that was too long or too slow to be read.
    pub(super) fn unread(&self, violation: Violation) {
        let (at, command, refused) = (SystemTime::now(), String::new(), Some(violation.into()));
        self.audit.begin(Entry { at, command, writes: false, refused, answered: None });
    }

    fn tell(&self, refusal: &Refusal, command: &str) {
        let (level, unsaid) = match self.audit.warning(command) {
            Some(unsaid) => (log::Level::Warn, unsaid),
            None => (log::Level::Debug, 0),
        };
        let others = match unsaid {
            0 => String::new(),
            n => format!(" (and {n} others since the last such line)"),
        };
        log::log!(level, "TLSS: refused a command of the server: {refusal}: {command}{others}");
    }

    async fn carry_out(
        &self,
        request: &Request,
        now: SystemTime,
        address: Option<IpAddr>,
    ) -> Reply {
        let reply = match &self.camera.cgi {
            Some(cgi) => self.run(&**cgi, request).await,
            None => {
                let facts = Facts { identity: &self.identity, address, now };
                builtin_cgi::answer(request, &facts, &self.camera.snapshots).await
            }
        };
        if reply.body.len() <= self.limit {
            return reply;
        }
        self.trouble(&format!(
            "{}: the answer is longer than {} bytes",
            request.path(),
            self.limit
        ));
        Reply::error(502, "The camera's answer is too long.")
    }

    async fn run(&self, cgi: &dyn Cgi, request: &Request) -> Reply {
        let login = cgi.login();
        let answer = timeout(CGI_TIMEOUT, cgi.get(request.path(), &request.query())).await;
        match answer.unwrap_or_else(|_| Err(Error::new("cgi get", Kind::Timeout))) {
            Ok(answer) => {
                self.examine(&answer);
                let answer = match request.path().contains("/param.") {
                    true => without_secret_parameters(answer),
                    false => answer,
                };
                let (takes_long, is_probe) = (takes_long(&answer), dress::is_probe(request));
                let make = move || match is_probe {
                    true => Reply::to_probe(answer, &login),
                    false => Reply::of(answer, &login),
                };
                if !takes_long {
                    return make();
                }
                let made = spawn_blocking(make).await;
                made.unwrap_or_else(|_| Reply::error(502, "The camera gives no answer."))
            }
            Err(error) => {
                let cause = error.source.as_deref().map(|cause| format!(": {cause}"));
                self.trouble(&format!("{error}{}", cause.unwrap_or_default()));
                match error.kind {
                    Kind::Timeout => Reply::error(504, "The camera did not answer in time."),
                    Kind::Unsupported => Reply::error(404, "This camera has no such command."),
                    _ => Reply::error(502, "The camera gives no answer."),
                }
            }
        }
    }

    fn examine(&self, answer: &Answer) {
        if answer.status == 401 {
            self.trouble("it does not take our login: check its username and password");
        } else if self.told().is_over() {
            log::info!("TLSS: the camera's web server answers again");
        }
    }

    /// Warns of trouble with the camera's web server, once until it is over.
    fn trouble(&self, what: &str) {
        let level = match self.told().is_news(()) {
            true => log::Level::Warn,
            false => log::Level::Debug,
        };
        log::log!(level, "TLSS: the camera's web server: {}", shorten(what));
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "responder_tests.rs"]
mod tests;
