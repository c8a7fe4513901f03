//! Tells a person what ended a session: which camera, what it did, what helps.

use std::io;
use std::time::Duration;

use url::Url;

use super::connection::End;
use super::session::Failure;
use crate::source::SourceError;

/// A camera as errors name it: host and port.
#[derive(Clone, Debug)]
pub(super) struct Peer(pub(super) String);

impl Peer {
    /// The camera at this address.
    pub(super) fn of(url: &Url) -> Self {
        let host = url.host().map(|host| format!("{host}:{}", port(url)));
        Self(host.unwrap_or_else(|| "without host".into()))
    }

    /// The error that the end of a connection means.
    pub(super) fn end(&self, end: End) -> SourceError {
        match end {
            End::Closed => self.hung_up(),
            End::Io(error) => self.unreachable(format!("the connection is lost: {error}")),
            End::TooMuch(too_much) => self.protocol(too_much.to_string()),
            End::Session(Failure::Login) => self.unauthorized(),
            End::Session(Failure::Forgotten) => {
                self.unreachable("it no longer knows the session, which is opened again")
            }
            End::Session(Failure::Unanswered(method, limit)) => self.no_answer(method, limit),
            End::Session(Failure::Protocol(reason)) => self.protocol(reason),
        }
    }

    /// The camera refused the login.
    pub(super) fn unauthorized(&self) -> SourceError {
        SourceError::Unauthorized { peer: self.0.clone() }
    }

    /// The camera did something else than it should, which `reason` tells.
    pub(super) fn protocol(&self, reason: impl Into<String>) -> SourceError {
        SourceError::Protocol { peer: self.0.clone(), reason: reason.into() }
    }

    /// The camera offers nothing the agent can carry.
    pub(super) fn unsupported(&self, reason: impl Into<String>) -> SourceError {
        SourceError::Unsupported { peer: self.0.clone(), reason: reason.into() }
    }

    /// There is no connection, or it is lost.
    pub(super) fn unreachable(&self, reason: impl Into<String>) -> SourceError {
        SourceError::Unreachable { peer: self.0.clone(), reason: reason.into() }
    }

    /// The camera cannot be connected to.
    pub(super) fn unconnected(&self, error: &io::Error) -> SourceError {
        let port = match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                ": nothing listens at that port; is RTSP on in the camera, and is it this port?"
            }
            _ => "",
        };
        self.unreachable(format!("{error}{port}"))
    }

    /// The camera let `limit` pass without an answer.
    pub(super) fn no_answer(&self, method: &str, limit: Duration) -> SourceError {
        self.unreachable(format!("no answer to {method} within {} s", limit.as_secs()))
    }

    /// The camera closed the connection.
    pub(super) fn hung_up(&self) -> SourceError {
        self.unreachable("it closed the connection")
    }

    /// The camera sent nothing for `limit`.
    pub(super) fn silent(&self, limit: Duration) -> SourceError {
        SourceError::Silent { peer: self.0.clone(), seconds: limit.as_secs() }
    }
}

/// The port of an address, or the usual one of its scheme.
pub(super) fn port(url: &Url) -> u16 {
    url.port().unwrap_or(if url.scheme() == "rtsps" { 322 } else { 554 })
}
