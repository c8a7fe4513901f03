//! How far the agent gets with its cloud: which step is under way, and which one failed how.

use std::net::SocketAddr;
use std::sync::Arc;

use ivt_base::tls::{Certificate, TlsStream};
use tokio::sync::watch;
use tokio::time::Instant;

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
    /// Name of the reason, of which the overview has the words.
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

    /// The step that is under way, or the last one of the attempt before.
    pub(super) fn step(&self) -> Step {
        self.0.borrow().step
    }

    /// An attempt or a connection ended, at a step and for a reason as `fault.rs` names them; `said` says how,
    /// without secrets.
    pub(super) fn ended(&self, (step, reason): (Step, &'static str), said: &str) {
        self.0.send_modify(|seen| {
            seen.online = None;
            seen.trouble = Some(Trouble { step, reason, said: said.into() });
        });
    }
}
