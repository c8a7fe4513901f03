//! How far the agent gets with its cloud: which step is under way, and which one failed how.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use ivt_base::tls::{Certificate, TlsError, TlsStream};
use ivt_proto::rpc::Violation;
use tokio::sync::watch;
use tokio::time::Instant;

use super::dial::DialError;
use super::goodbye::Meaning;
use super::link::Reason;

/// A step towards a cloud that works; each one needs those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A way out of the device.
    Network,
    /// The address of the cloud's name.
    #[default]
    Name,
    /// The connection to that address.
    Tcp,
    /// Encryption and the cloud's certificate.
    Tls,
    /// The login, by a WebSocket.
    Login,
    /// The answers to Keepalives.
    Keepalive,
}

/// What is known of the way to the cloud at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The step that is under way, or the last one of the attempt before.
    pub step: Step,
    /// The address that took the last connection.
    pub peer: Option<SocketAddr>,
    /// The certificate of the last encrypted connection.
    pub certificate: Option<Certificate>,
    /// Since when the device is logged in; `None` while it is not.
    pub online: Option<Instant>,
    /// How the last attempt or connection ended; `None` before the first end.
    pub trouble: Option<Trouble>,
}

/// Why the agent is, or was, without its cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The step that failed.
    pub step: Step,
    /// Name of the reason, see [`overview`](crate::overview).
    pub reason: &'static str,
    /// What was said, without secrets.
    pub said: Arc<str>,
}

/// Shows how far the agent gets. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Progress(watch::Sender<Seen>);

impl Progress {
    /// What is known; changes can be awaited.
    pub fn seen(&self) -> watch::Receiver<Seen> {
        self.0.subscribe()
    }

    /// A step begins.
    pub(super) fn begin(&self, step: Step) {
        self.0.send_modify(|seen| seen.step = step);
    }

    /// A step begins over a connection to `peer`.
    pub(super) fn connected(&self, peer: Option<SocketAddr>, next: Step) {
        self.0.send_modify(|seen| (seen.step, seen.peer) = (next, peer));
    }

    /// A connection is encrypted.
    pub(super) fn encrypted<S>(&self, stream: &TlsStream<S>) {
        let certificates = stream.get_ref().1.peer_certificates();
        let certificate = certificates.and_then(|all| Certificate::read(all.first()?));
        self.0.send_modify(|seen| seen.certificate = certificate);
    }

    /// The login is taken.
    pub(super) fn online(&self) {
        self.0
            .send_modify(|seen| (seen.step, seen.online) = (Step::Keepalive, Some(Instant::now())));
    }

    /// An attempt failed; `said` says how, without secrets.
    pub(super) fn failed(&self, error: &DialError, said: &str) {
        self.0.send_modify(|seen| {
            let (step, reason) = place(error, seen.step);
            seen.trouble = Some(Trouble { step, reason, said: said.into() });
        });
    }

    /// A connection ended, after a Keepalive was answered if it was `healthy`.
    pub(super) fn lost(&self, reason: &Reason, healthy: bool, said: &str) {
        let (step, reason) = end(reason, healthy);
        self.0.send_modify(|seen| {
            seen.online = None;
            seen.trouble = Some(Trouble { step, reason, said: said.into() });
        });
    }
}

/// The step at which an attempt failed, and the name of the reason; `step` was the last one that began.
fn place(error: &DialError, step: Step) -> (Step, &'static str) {
    match error {
        DialError::Resolve { source, .. } => (Step::Name, unnamed(source)),
        DialError::Connect { source, .. } => match source.kind() {
            ErrorKind::NetworkUnreachable => (Step::Network, "no_route"),
            ErrorKind::ConnectionRefused => (Step::Tcp, "connection_refused"),
            ErrorKind::TimedOut => (Step::Tcp, "no_answer"),
            ErrorKind::HostUnreachable => (Step::Tcp, "host_unreachable"),
            _ => (Step::Tcp, "connection_failed"),
        },
        DialError::Tls { source, .. } => (Step::Tls, untrusted(source)),
        DialError::Refused { .. } => (Step::Login, "login_refused"),
        DialError::Busy { .. } => (Step::Login, "cloud_busy"),
        DialError::Redirect { .. } | DialError::Forbidden(_) => (Step::Login, "redirect"),
        DialError::Upgrade { .. } => (Step::Login, "no_websocket"),
        DialError::Timeout => match step {
            Step::Network | Step::Name => (Step::Name, "name_server_silent"),
            Step::Tcp => (Step::Tcp, "no_answer"),
            Step::Tls => (Step::Tls, "tls_silent"),
            Step::Login | Step::Keepalive => (Step::Login, "login_silent"),
        },
    }
}

/// Why a name has no address: no name server, or one that does not know the name.
fn unnamed(error: &io::Error) -> &'static str {
    let said = error.to_string();
    // The words of glibc and of musl for a name server that did not answer.
    let silent = ["Temporary failure", "Try again"].iter().any(|words| said.contains(words));
    match silent || error.kind() == ErrorKind::TimedOut {
        true => "name_server_silent",
        false => "name_unknown",
    }
}

/// Why there is no TLS, by the words of the TLS library.
fn untrusted(error: &TlsError) -> &'static str {
    const WORDS: [(&str, &str); 10] = [
        ("is valid from", "certificate_early"),
        ("was valid until", "certificate_expired"),
        ("not valid yet", "certificate_early"),
        ("NotValidYet", "certificate_early"),
        ("xpired", "certificate_expired"),
        ("UnknownIssuer", "certificate_unknown"),
        ("not valid for", "certificate_name"),
        ("NotValidForName", "certificate_name"),
        ("corrupt message", "no_tls"),
        ("certificate", "certificate_bad"),
    ];
    match error {
        TlsError::CaFile { .. } => "ca_file",
        TlsError::Handshake(error) if error.kind() == ErrorKind::UnexpectedEof => "no_tls",
        error => {
            let said = error.to_string();
            let found = WORDS.iter().find(|(words, _)| said.contains(words));
            found.map_or("tls_failed", |(_, reason)| reason)
        }
    }
}

/// The step that a connection's end is about, and the name of the reason.
fn end(reason: &Reason, healthy: bool) -> (Step, &'static str) {
    match reason {
        Reason::ClosedWith(goodbye) => match goodbye.meaning() {
            Meaning::Duplicate => (Step::Login, "login_twice"),
            Meaning::Refused => (Step::Login, "login_refused"),
            Meaning::Overload => (Step::Login, "cloud_busy"),
            Meaning::OwnFault => (Step::Login, "cloud_restarts"),
            Meaning::Other if healthy => (Step::Keepalive, "connection_lost"),
            Meaning::Other => (Step::Login, "closed_early"),
        },
        Reason::Violation(Violation::NoAnswer { .. }) => (Step::Keepalive, "keepalive_unanswered"),
        Reason::Violation(_) | Reason::Binary => (Step::Keepalive, "cloud_unclear"),
        Reason::Closed if !healthy => (Step::Login, "closed_early"),
        Reason::Closed | Reason::Broken(_) | Reason::Stalled | Reason::Stopped => {
            (Step::Keepalive, "connection_lost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(error: DialError) -> (Step, &'static str) {
        place(&error, Step::Login)
    }

    fn connect(kind: ErrorKind) -> DialError {
        DialError::Connect { peer: "192.0.2.1:443".into(), source: kind.into() }
    }

    fn tls(said: &str) -> DialError {
        let source = TlsError::Handshake(io::Error::new(ErrorKind::InvalidData, said));
        DialError::Tls { host: "h".into(), source }
    }

    fn name(source: io::Error) -> DialError {
        DialError::Resolve { host: "h".into(), source }
    }

    #[test]
    fn each_failure_of_a_dial_has_its_step_and_its_reason() {
        let unknown = "failed to lookup address information: Name or service not known";
        let silent = "failed to lookup address information: Temporary failure in name resolution";
        for (error, want) in [
            (name(io::Error::other(unknown)), (Step::Name, "name_unknown")),
            (name(io::Error::other(silent)), (Step::Name, "name_server_silent")),
            (name(ErrorKind::TimedOut.into()), (Step::Name, "name_server_silent")),
            (connect(ErrorKind::NetworkUnreachable), (Step::Network, "no_route")),
            (connect(ErrorKind::ConnectionRefused), (Step::Tcp, "connection_refused")),
            (connect(ErrorKind::TimedOut), (Step::Tcp, "no_answer")),
            (tls("invalid peer certificate: UnknownIssuer"), (Step::Tls, "certificate_unknown")),
            (tls("received corrupt message of type X"), (Step::Tls, "no_tls")),
            (DialError::Refused { status: 401 }, (Step::Login, "login_refused")),
            (DialError::Busy { said: "HTTP 503".into(), wait: None }, (Step::Login, "cloud_busy")),
            (DialError::Upgrade { received: "a page".into() }, (Step::Login, "no_websocket")),
            (DialError::Timeout, (Step::Login, "login_silent")),
        ] {
            assert_eq!(place(&error, Step::Login), want, "{error}");
        }
        assert_eq!(placed(tls("something else")).1, "tls_failed");
    }

    #[test]
    fn a_dial_that_takes_too_long_failed_at_the_step_that_was_under_way() {
        let progress = Progress::default();
        progress.connected(None, Step::Tls);
        progress.failed(&DialError::Timeout, "not connected within 10 s");
        let trouble = progress.seen().borrow().trouble.clone().unwrap();
        assert_eq!((trouble.step, trouble.reason), (Step::Tls, "tls_silent"));
    }

    #[test]
    fn a_connection_that_ends_before_a_keepalive_was_answered_is_a_matter_of_the_login() {
        assert_eq!(end(&Reason::Closed, false), (Step::Login, "closed_early"));
        assert_eq!(end(&Reason::Closed, true), (Step::Keepalive, "connection_lost"));
        let unanswered = Violation::NoAnswer { method: "Keepalive".into(), seq: 1 };
        let unanswered = Reason::Violation(unanswered);
        assert_eq!(end(&unanswered, true), (Step::Keepalive, "keepalive_unanswered"));
    }
}
