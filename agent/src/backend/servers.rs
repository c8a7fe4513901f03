//! The clients of a device's web servers.

use std::cell::RefCell;

use ivt_hal::Credentials;
use ivt_hal::http::{Http, Limits};

/// One client for each web server and login, for all channels and backends that speak to that server: cameras
/// lock accounts, and a client knows that its login was refused.
#[derive(Default)]
pub struct Servers {
    servers: RefCell<Vec<Server>>,
    /// Clients of a configuration before, which are used on.
    former: Vec<Server>,
}

#[derive(Clone)]
struct Server {
    host: String,
    port: u16,
    credentials: Option<Credentials>,
    http: Http,
}

impl Servers {
    /// The clients of the configuration that follows: those that it needs on go over to it, so that all that speaks
    /// to one server goes on sharing its login and its streams of alarms.
    #[must_use]
    pub(crate) fn next(&self) -> Self {
        Self { servers: RefCell::default(), former: self.servers.borrow().clone() }
    }

    /// Drops the clients of the configuration before that nobody needs any longer.
    pub(crate) fn settle(&mut self) {
        self.former.clear();
    }

    /// The client of the server at `host`, a name or an address, with the usual limits.
    pub fn client(&self, host: &str, port: u16, credentials: Option<Credentials>) -> Http {
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let mut servers = self.servers.borrow_mut();
        let same = |server: &&Server| {
            server.host == host && server.port == port && server.credentials == credentials
        };
        if let Some(server) = servers.iter().find(same) {
            return server.http.clone();
        }
        if let Some(server) = self.former.iter().find(same) {
            servers.push(server.clone());
            return server.http.clone();
        }
        let http = Http::new(&host, port, credentials.clone(), Limits::default());
        servers.push(Server { host, port, credentials, http: http.clone() });
        http
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.servers.borrow().len()
    }
}
