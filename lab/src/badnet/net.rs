//! A bad network: its lines, and the links over them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::book::{Book, Counters, Event};
use super::conditions::Conditions;
use super::error::BadNetError;
use super::gate::Gate;
use super::journal::{Journal, LineHead};
use super::line::{Line, LineStatus, Link};
use super::options::{BadNetOptions, LinkOptions, Transport, check_name};
use super::outage::Cut;
use super::plan::Plan;
use super::profile::Profile;
use super::{tcp, udp};

/// Most links.
const MOST_LINKS: usize = 32;
/// Limits of the bytes that are held for each connection and direction.
const BUFFER: (usize, usize) = (4 << 10, 4 << 20);
/// Most connections that can be allowed.
const MOST_CONNECTIONS: usize = 4096;

/// A bad network at work. Dropping it closes everything.
#[derive(Debug)]
pub struct BadNet {
    seed: u64,
    lines: Vec<Arc<Line>>,
    links: Vec<Arc<Link>>,
    book: Arc<Book>,
    tasks: JoinSet<()>,
}

impl BadNet {
    /// Listens at every link and forwards until it is dropped.
    ///
    /// # Errors
    /// When a setting is wrong, a port is in use, or the file of decisions cannot be made.
    pub async fn start(options: BadNetOptions) -> Result<Self, BadNetError> {
        check(&options)?;
        let BadNetOptions { seed, links: wanted, conditions, log, connections, buffer } = options;
        let mut names: Vec<&str> = wanted.iter().map(|link| link.line.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let over = |line: &str| -> Vec<String> {
            wanted.iter().filter(|link| link.line == line).map(|link| link.name.clone()).collect()
        };
        let heads = names.iter().map(|name| LineHead {
            name: (*name).to_owned(),
            links: over(name),
            conditions: conditions.clone(),
        });
        let mut ports = Vec::new();
        for LinkOptions { name, transport, listen, .. } in &wanted {
            let bound = Port::bind(*transport, *listen).await;
            ports.push(bound.map_err(|error| BadNetError::Listen {
                link: name.clone(),
                addr: *listen,
                error,
            })?);
        }
        // Only now: a start that fails for want of a port leaves the file of the one before as it is.
        let journal = match log {
            Some(path) => match Journal::create(&path, seed, heads.collect()) {
                Ok(journal) => Some(Arc::new(journal)),
                Err(error) => return Err(BadNetError::Log { path, error }),
            },
            None => None,
        };
        let book = Arc::new(Book::default());
        let lines: Vec<Arc<Line>> = (0..)
            .zip(&names)
            .map(|(number, name)| {
                let plan = Plan::new(seed, name, &over(name), conditions.clone());
                Arc::new(Line::new(name, number, plan, journal.clone(), book.clone()))
            })
            .collect();
        let seats = Arc::new(Semaphore::new(connections));
        let mut net = Self { seed, lines, links: Vec::new(), book, tasks: JoinSet::new() };
        for (options, port) in wanted.iter().zip(ports) {
            net.add(options, port, buffer, &seats);
        }
        for line in &net.lines {
            let line = line.clone();
            net.tasks.spawn(async move { line.follow().await });
        }
        Ok(net)
    }

    fn add(
        &mut self,
        options: &LinkOptions,
        (addr, port): (SocketAddr, Port),
        buffer: usize,
        seats: &Arc<Semaphore>,
    ) {
        let LinkOptions { name, line, transport, upstream, .. } = options;
        let line = self.lines.iter().find(|known| known.name == *line).cloned();
        let line = line.expect("a line was made for each link");
        let number = self.links.iter().filter(|link| link.line.name == line.name).count();
        let place = (name.as_str(), number, line);
        let link = Arc::new(Link::new(place, (*transport, addr, upstream), buffer));
        match port {
            Port::Tcp(gate) => self.tasks.spawn(tcp::serve(link.clone(), gate, seats.clone())),
            Port::Udp(socket) => self.tasks.spawn(udp::serve(link.clone(), socket, seats.clone())),
        };
        self.links.push(link);
    }

    /// The number that everything is drawn from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Where a link listens; `None` if there is no such link.
    pub fn addr(&self, link: &str) -> Option<SocketAddr> {
        self.link(link).map(|link| link.addr)
    }

    /// What went over a link; `None` if there is no such link.
    pub fn counters(&self, link: &str) -> Option<Counters> {
        self.link(link).map(|link| link.counters())
    }

    /// Sets the conditions of a line. The name of a link stands for its line.
    ///
    /// # Errors
    /// When there is no such line, or a number is out of its range.
    pub fn set(&self, name: &str, conditions: Conditions) -> Result<(), BadNetError> {
        let line = self.line(name)?;
        conditions.check()?;
        line.note(None, None, "new conditions".to_owned());
        line.set(conditions);
        Ok(())
    }

    /// Sets the conditions of a line to those of a profile.
    ///
    /// # Errors
    /// When there is no such line or no such profile.
    pub fn profile(&self, name: &str, profile: &str) -> Result<(), BadNetError> {
        let line = self.line(name)?;
        let profile: Profile = profile.parse()?;
        line.note(None, None, format!("profile {profile}"));
        line.set(profile.conditions());
        Ok(())
    }

    /// Cuts a line until it is healed.
    ///
    /// # Errors
    /// When there is no such line.
    pub fn cut(&self, name: &str, how: Cut) -> Result<(), BadNetError> {
        self.line(name)?.cut(Some(how));
        Ok(())
    }

    /// Ends a cut by [`Self::cut`]; outages of the conditions stay.
    ///
    /// # Errors
    /// When there is no such line.
    pub fn heal(&self, name: &str) -> Result<(), BadNetError> {
        self.line(name)?.cut(None);
        Ok(())
    }

    /// Resets all connections of now, and accepts new ones.
    ///
    /// # Errors
    /// When there is no such line.
    pub fn reset(&self, name: &str) -> Result<(), BadNetError> {
        self.line(name)?.reset();
        Ok(())
    }

    /// All lines as they are now.
    pub fn status(&self) -> Vec<LineStatus> {
        let status = |line: &Arc<Line>| {
            let (cut, by_hand) = line.is_cut();
            let over = self.links.iter().filter(|link| link.line.name == line.name);
            LineStatus {
                name: line.name.clone(),
                conditions: line.conditions(),
                cut,
                by_hand,
                links: over.map(|link| link.status()).collect(),
            }
        };
        self.lines.iter().map(status).collect()
    }

    /// The kept events with a number above this one, oldest first. The newest 256 are kept.
    pub fn events_since(&self, number: u64) -> Vec<Event> {
        self.book.since(number)
    }

    fn link(&self, name: &str) -> Option<&Arc<Link>> {
        self.links.iter().find(|link| link.name == name)
    }

    fn line(&self, name: &str) -> Result<&Arc<Line>, BadNetError> {
        let own = self.lines.iter().find(|line| line.name == name);
        own.or_else(|| self.link(name).map(|link| &link.line)).ok_or_else(|| {
            let names = self.lines.iter().map(|line| line.name.as_str());
            let mut names: Vec<&str> =
                names.chain(self.links.iter().map(|link| link.name.as_str())).collect();
            names.sort_unstable();
            names.dedup();
            BadNetError::Unknown(name.to_owned(), names.join(", "))
        })
    }
}

/// A port of a link.
enum Port {
    Tcp(Gate),
    Udp(UdpSocket),
}

impl Port {
    /// Takes the port at this address, and returns which it is.
    async fn bind(transport: Transport, addr: SocketAddr) -> io::Result<(SocketAddr, Self)> {
        Ok(match transport {
            Transport::Tcp => {
                let gate = Gate::open(addr)?;
                (gate.addr(), Self::Tcp(gate))
            }
            Transport::Udp => {
                let socket = udp::bind(addr).await?;
                (socket.local_addr()?, Self::Udp(socket))
            }
        })
    }
}

/// Checks the settings of a network.
fn check(options: &BadNetOptions) -> Result<(), BadNetError> {
    let links = &options.links;
    match links.len() {
        0 => return Err(BadNetError::NoLink),
        1..=MOST_LINKS => {}
        more => return Err(BadNetError::Links(more)),
    }
    for (number, link) in links.iter().enumerate() {
        check_name(&link.line)?;
        // The name of a link stands for its line, and must not be that of another one.
        let twice = links[..number].iter().any(|other| other.name == link.name);
        let another = links.iter().any(|other| other.line == link.name && link.line != link.name);
        if twice || another {
            return Err(BadNetError::Twice(link.name.clone()));
        }
    }
    let limits = [
        ("the number of connections", options.connections, 1, MOST_CONNECTIONS),
        ("the number of bytes of a connection", options.buffer, BUFFER.0, BUFFER.1),
    ];
    for (what, value, least, most) in limits {
        if !(least..=most).contains(&value) {
            return Err(BadNetError::Limit { what, value, least, most });
        }
    }
    Ok(options.conditions.check()?)
}

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;
