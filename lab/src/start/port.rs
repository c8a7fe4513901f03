//! Where a program listens.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

/// A port of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The one that people expect; a free one where it is taken.
    Usual(u16),
    /// The one that was asked for.
    Given(u16),
}

impl Port {
    /// An address that is free at this moment.
    ///
    /// # Errors
    /// The port that was asked for is taken, or the machine does not have the address: the text says by whom and what to do.
    pub fn free(self, host: IpAddr, option: &str) -> Result<SocketAddr, String> {
        let bound = |port| {
            let address = SocketAddr::new(host, port);
            let listener = TcpListener::bind(address).map_err(|error| (address, error))?;
            listener.local_addr().map_err(|error| (address, error))
        };
        let told = |(address, error): (SocketAddr, io::Error)| {
            ivt_sim::port::refusal(address, option, &error)
        };
        match self {
            Self::Given(port) => bound(port).map_err(told),
            Self::Usual(port) => bound(port).or_else(|taken| {
                let free = bound(0).map_err(told)?;
                log::warn!(target: "lab", "{}: {free} is taken instead", told(taken));
                Ok(free)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_usual_port_gives_way_and_a_given_one_is_insisted_on() {
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let held = TcpListener::bind((host, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        assert_ne!(Port::Usual(port).free(host, "--x-port").unwrap().port(), port);
        let error = Port::Given(port).free(host, "--x-port").unwrap_err();
        assert!(error.contains(&format!(":{port}")) && error.contains("--x-port"), "{error}");
        drop(held);
        assert_eq!(Port::Given(port).free(host, "--x-port").unwrap().port(), port);
    }
}
