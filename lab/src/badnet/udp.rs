//! Packets of UDP over a line. Each sender has a socket of its own to the upstream.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::flow::Fate;
use super::line::Link;
use super::plan::{Direction, Refusal, Step};

/// Longest packet, in bytes.
const MOST_PACKET: usize = 65_535;
/// Bytes that a packet takes beside its own, so that empty ones are counted, too.
const OVERHEAD: usize = 64;
/// Bytes that the system is asked to keep of each socket until they are read. What it loses beyond that, nobody can write down.
const SYSTEM_BUFFER: usize = 4 << 20;
/// A sender who is silent for this time, both ways, is forgotten.
const IDLE: Duration = Duration::from_secs(60);

/// A socket of UDP that listens at this address.
pub(super) async fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(addr).await?;
    // The system gives as much as it allows.
    let _ = SockRef::from(&socket).set_recv_buffer_size(SYSTEM_BUFFER);
    Ok(socket)
}

/// Hands packets on for ever. What becomes of one is decided as it is read, whatever its sender's task does meanwhile.
pub(super) async fn serve(link: Arc<Link>, socket: UdpSocket, seats: Arc<Semaphore>) {
    let socket = Arc::new(socket);
    let mut senders: HashMap<SocketAddr, Arc<Flow>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut number = 0;
    let mut packet = vec![0; MOST_PACKET];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut packet).await else {
            // An answer that a sender refused is told here, and concerns nobody else.
            tokio::task::yield_now().await;
            continue;
        };
        let packet = &packet[..length];
        if senders.get(&from).is_some_and(|flow| flow.comes(Direction::Up, packet)) {
            continue;
        }
        while tasks.try_join_next().is_some() {}
        senders.retain(|_, flow| !flow.held().ended);
        let Ok(seat) = seats.clone().try_acquire_owned() else {
            let place = link.place(number);
            link.step(&Step::Refused(place, Direction::Up, length as u64, Refusal::Crowded));
            continue;
        };
        let flow = Arc::new(Flow::open(link.clone(), socket.clone(), from, number));
        number += 1;
        flow.comes(Direction::Up, packet);
        senders.insert(from, flow.clone());
        tasks.spawn(async move {
            flow.run().await;
            drop(seat);
        });
    }
}

/// Both directions of one sender.
struct Flow {
    link: Arc<Link>,
    socket: Arc<UdpSocket>,
    from: SocketAddr,
    connection: u64,
    held: Mutex<Held>,
    /// A packet came from the sender.
    came: Notify,
}

/// What of a sender is on its way.
struct Held {
    /// The packets, by the time at which each is due and the order in which they came.
    waiting: BTreeMap<(u64, u64), (Direction, Vec<u8>)>,
    /// Bytes of each direction.
    bytes: [usize; 2],
    came: u64,
    heard: Instant,
    /// Whether the sender is forgotten. Nothing comes behind that.
    ended: bool,
}

impl Flow {
    fn open(link: Arc<Link>, socket: Arc<UdpSocket>, from: SocketAddr, connection: u64) -> Self {
        link.count(|counters| {
            (counters.connections, counters.open) = (counters.connections + 1, counters.open + 1)
        });
        link.note(Some(connection), format!("packets of {from}"));
        link.step(&Step::Open(link.place(connection)));
        let held = Held {
            waiting: BTreeMap::new(),
            bytes: [0; 2],
            came: 0,
            heard: Instant::now(),
            ended: false,
        };
        Self { link, socket, from, connection, held: Mutex::new(held), came: Notify::new() }
    }

    /// Decides what becomes of a packet. False where the sender is forgotten, and nothing is decided.
    fn comes(&self, direction: Direction, packet: &[u8]) -> bool {
        let mut held = self.held();
        if held.ended {
            return false;
        }
        held.heard = Instant::now();
        let (place, length) = (self.link.place(self.connection), packet.len() as u64);
        let (size, bytes) = (packet.len() + OVERHEAD, held.bytes[direction as usize]);
        let step = if self.is_cut() {
            Step::Refused(place, direction, length, Refusal::Cut)
        } else if bytes + size > self.link.buffer {
            Step::Refused(place, direction, length, Refusal::Full)
        } else {
            Step::Packet(place, direction, length)
        };
        for piece in self.link.step(&step) {
            if matches!(piece.fate, Fate::Pass | Fate::Overtaken | Fate::Copy) {
                held.came += 1;
                held.bytes[direction as usize] += size;
                let key = (piece.due, held.came);
                held.waiting.insert(key, (direction, packet.to_vec()));
            }
        }
        self.came.notify_one();
        true
    }

    /// Hands on what is due until the sender is forgotten.
    async fn run(&self) {
        match call(&self.link.upstream).await {
            Ok(upstream) => self.carry(&upstream).await,
            Err(error) => {
                self.link.count(|counters| counters.failed += 1);
                let upstream = &self.link.upstream;
                let what = format!("cannot reach {upstream}: {error}; is the address right?");
                self.link.note(Some(self.connection), what);
                self.end(&mut self.held());
            }
        }
    }

    async fn carry(&self, upstream: &UdpSocket) {
        let mut packet = vec![0; MOST_PACKET];
        while let Some(next) = self.next() {
            tokio::select! {
                () = self.came.notified() => {}
                // A refusal of the upstream is told by an error, and the next packet may be taken.
                read = upstream.recv(&mut packet) => if let Ok(length) = read {
                    self.comes(Direction::Down, &packet[..length]);
                },
                () = sleep_until(next) => {}
            }
            self.hand_on(upstream).await;
        }
    }

    /// When there is something to do; `None` once the sender is forgotten.
    fn next(&self) -> Option<Instant> {
        let mut held = self.held();
        if let Some(((due, _), _)) = held.waiting.first_key_value() {
            return Some(self.link.line.instant(Duration::from_nanos(*due)));
        }
        if held.heard.elapsed() < IDLE {
            return Some(held.heard + IDLE);
        }
        self.end(&mut held);
        None
    }

    async fn hand_on(&self, upstream: &UdpSocket) {
        let now = self.link.line.now();
        while let Some((direction, packet)) = self.due(now) {
            let sent = match direction {
                _ if self.is_cut() => None,
                Direction::Up => upstream.send(&packet).await.ok(),
                Direction::Down => self.socket.send_to(&packet, self.from).await.ok(),
            };
            match sent {
                Some(count) => self.link.count(|counters| counters.moved(direction, count)),
                // As on any network, what cannot be sent is lost.
                None => self.lose(direction, &packet),
            }
        }
    }

    fn due(&self, now: Duration) -> Option<(Direction, Vec<u8>)> {
        let mut held = self.held();
        let first = held.waiting.first_entry()?;
        if Duration::from_nanos(first.key().0) > now {
            return None;
        }
        let (direction, packet) = first.remove();
        held.bytes[direction as usize] -= packet.len() + OVERHEAD;
        Some((direction, packet))
    }

    fn lose(&self, direction: Direction, packet: &[u8]) {
        let place = self.link.place(self.connection);
        self.link.step(&Step::Gone(place, direction, packet.len() as u64));
    }

    /// Forgets the sender. What is still on its way is lost.
    fn end(&self, held: &mut Held) {
        held.ended = true;
        for (direction, packet) in std::mem::take(&mut held.waiting).into_values() {
            self.lose(direction, &packet);
        }
        self.link.step(&Step::Close(self.link.place(self.connection)));
        self.link.count(|counters| counters.open -= 1);
    }

    fn is_cut(&self) -> bool {
        self.link.line.is_cut().0.is_some()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket to the first address of the upstream that can be called.
async fn call(upstream: &str) -> io::Result<UdpSocket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for addr in lookup_host(upstream).await? {
        let any: SocketAddr = match addr {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = bind(any).await?;
        match socket.connect(addr).await {
            Ok(()) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;
