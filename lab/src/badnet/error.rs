//! Why a bad network cannot start, or do as it is told.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::conditions::WrongConditions;
use super::journal::cure;
use super::options::WrongLink;
use super::profile::UnknownProfile;

/// Why a bad network cannot start, or an order to it cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum BadNetError {
    /// There is nothing to forward.
    #[error("there is no link: give at least one, such as cloud=127.0.0.1:9000,127.0.0.1:8080")]
    NoLink,
    /// Too many links.
    #[error("{0} links are too many: 32 at most")]
    Links(usize),
    /// A name is there twice.
    #[error("two links, or a link and another line, are named `{0}`: rename one")]
    Twice(String),
    /// A name or an address of a link is none.
    #[error(transparent)]
    Link(#[from] WrongLink),
    /// A number is out of its range.
    #[error("{what} is {value}: expected {least} to {most}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// What it is.
        value: usize,
        /// Its lowest value.
        least: usize,
        /// Its highest value.
        most: usize,
    },
    /// The port of a link cannot be listened on.
    #[error(
        "link {link}: cannot listen on {addr}: {error}; {cure}", cure = port_cure(error)
    )]
    Listen {
        /// The link.
        link: String,
        /// Where it should listen.
        addr: SocketAddr,
        /// Why it cannot.
        error: io::Error,
    },
    /// The file of decisions cannot be made.
    #[error("cannot write the decisions to {path}: {error}; {cure}", path = path.display(), cure = cure(error))]
    Log {
        /// The file.
        path: PathBuf,
        /// Why it cannot.
        error: io::Error,
    },
    /// There is neither a line nor a link of this name.
    #[error("there is no line and no link `{0}`: {1} are")]
    Unknown(String, String),
    /// Conditions that no line can have.
    #[error(transparent)]
    Conditions(#[from] WrongConditions),
    /// A profile that there is not.
    #[error(transparent)]
    Profile(#[from] UnknownProfile),
}

/// What a person can do where an address cannot be listened on.
fn port_cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "choose an address of this machine (`ip -br address` lists them)"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 are for root: choose another one",
        _ => "end the program that uses the port, or choose another one",
    }
}

#[cfg(test)]
mod tests {
    use crate::badnet::{BadNet, BadNetOptions, LinkOptions};

    #[tokio::test]
    async fn an_address_of_another_machine_is_told_apart_from_a_port_in_use() {
        let links = vec![LinkOptions::tcp("a", "192.0.2.1:0", "127.0.0.1:1").unwrap()];
        let started = BadNet::start(BadNetOptions { links, ..BadNetOptions::default() }).await;
        let error = started.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("an address of this machine"), "{error}");
        assert!(!error.contains("end the program"), "{error}");
    }
}
