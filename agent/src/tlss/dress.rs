//! The form of replies. It follows the line of the camera family that the server takes the device for, and the
//! server finds that out during each call, by which of its probes is answered.

use super::policy::Request;
use super::reply::Reply;

/// The form of the replies from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Dress {
    /// Status line, headers, blank line, body: of IPN and IPE devices servers take what follows the blank line.
    #[default]
    Headed,
    /// The body alone: of IPAI devices servers take the whole reply for the body.
    Bare,
}

/// Whether servers try by this command which line a device is of: one of the network, of parameters, or of debugging,
/// which each line has under a path of its own.
pub(super) fn is_probe(request: &Request) -> bool {
    let file = request.path().rsplit('/').next().unwrap_or_default();
    ["network.", "debug.", "param.", "vca."].iter().any(|name| file.starts_with(name))
}

impl Dress {
    /// Notes that the camera has answered a command. Reports and pictures are asked of every line by the same
    /// paths and tell nothing.
    pub(super) fn note(&mut self, answered: &Request) {
        match answered.path() {
            "/cgi-bin/admin/network.cgi" | "/cgi-bin/operator/param.cgi" => *self = Self::Bare,
            path if !path.starts_with("/cgi-bin/") => *self = Self::Headed,
            _ => {}
        }
    }

    /// The reply in this form.
    pub(super) fn on(self, reply: Reply) -> Reply {
        match self {
            Self::Headed => reply,
            Self::Bare => Reply { head: Vec::new(), ..reply },
        }
    }
}
