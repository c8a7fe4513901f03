//! At which step an attempt or a connection ended, and for which reason. The overview has the words for the reasons.

use std::io::{self, ErrorKind};

use ivt_base::tls::TlsError;
use ivt_proto::rpc::Violation;

use super::dial::DialError;
use super::goodbye::Meaning;
use super::link::Reason;
use super::progress::Step;

/// The step at which an attempt failed, and the name of the reason; `step` was the last one that began.
pub(super) fn of_dial(error: &DialError, step: Step) -> (Step, &'static str) {
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

/// The step that a connection's end is about, and the name of the reason.
pub(super) fn of_link(reason: &Reason, healthy: bool) -> (Step, &'static str) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(error: DialError) -> (Step, &'static str) {
        of_dial(&error, Step::Login)
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
            assert_eq!(of_dial(&error, Step::Login), want, "{error}");
        }
        assert_eq!(placed(tls("something else")).1, "tls_failed");
    }

    #[test]
    fn a_dial_that_takes_too_long_failed_at_the_step_that_was_under_way() {
        for (step, reason) in [
            (Step::Name, "name_server_silent"),
            (Step::Tcp, "no_answer"),
            (Step::Tls, "tls_silent"),
            (Step::Login, "login_silent"),
        ] {
            assert_eq!(of_dial(&DialError::Timeout, step), (step, reason));
        }
    }

    #[test]
    fn a_connection_that_ends_before_a_keepalive_was_answered_is_a_matter_of_the_login() {
        assert_eq!(of_link(&Reason::Closed, false), (Step::Login, "closed_early"));
        assert_eq!(of_link(&Reason::Closed, true), (Step::Keepalive, "connection_lost"));
        let unanswered = Violation::NoAnswer { method: "Keepalive".into(), seq: 1 };
        let unanswered = Reason::Violation(unanswered);
        assert_eq!(of_link(&unanswered, true), (Step::Keepalive, "keepalive_unanswered"));
    }
}
