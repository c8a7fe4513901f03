//! Packets of UDP over a line. Each sender has a socket of its own to the upstream.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::flow::Fate;
use super::line::Link;
use super::plan::{Direction, Step};

/// Longest packet, in bytes.
const MOST_PACKET: usize = 65_535;
/// Bytes that a packet takes beside its own, so that empty ones are counted, too.
const OVERHEAD: usize = 64;
/// Packets of a sender that wait to be looked at.
const INBOX: usize = 16;
/// A sender who is silent for this time, both ways, is forgotten.
const IDLE: Duration = Duration::from_secs(60);

/// Hands packets on for ever.
pub(super) async fn serve(link: Arc<Link>, socket: UdpSocket, seats: Arc<Semaphore>) {
    let socket = Arc::new(socket);
    let mut senders: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut number = 0;
    let mut packet = vec![0; MOST_PACKET];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut packet).await else {
            // An answer that a sender refused is told here, and concerns nobody else.
            tokio::task::yield_now().await;
            continue;
        };
        while tasks.try_join_next().is_some() {}
        senders.retain(|_, inbox| !inbox.is_closed());
        let inbox = match senders.get(&from) {
            Some(inbox) => inbox,
            None => {
                let Ok(seat) = seats.clone().try_acquire_owned() else {
                    link.count(|counters| counters.overflowed += 1);
                    continue;
                };
                let (inbox, packets) = mpsc::channel(INBOX);
                let (flow, connection) =
                    (Flow::new(link.clone(), socket.clone(), from, number), number);
                number += 1;
                tasks.spawn(async move {
                    let link = flow.link.clone();
                    if let Err(error) = flow.run(packets).await {
                        link.count(|counters| counters.failed += 1);
                        link.note(
                            Some(connection),
                            format!(
                                "cannot reach {}: {error}; is the address right?",
                                link.upstream
                            ),
                        );
                    }
                    link.count(|counters| counters.open -= 1);
                    link.step(&Step::Close(link.place(connection)));
                    drop(seat);
                });
                senders.entry(from).or_insert(inbox)
            }
        };
        if inbox.try_send(packet[..length].to_vec()).is_err() {
            link.count(|counters| counters.overflowed += 1);
        }
    }
}

/// Both directions of one sender.
struct Flow {
    link: Arc<Link>,
    socket: Arc<UdpSocket>,
    from: SocketAddr,
    connection: u64,
    /// What is on its way, by the time at which it is due and the order in which it came.
    waiting: BTreeMap<(u64, u64), (Direction, Vec<u8>)>,
    held: usize,
    came: u64,
}

impl Flow {
    fn new(link: Arc<Link>, socket: Arc<UdpSocket>, from: SocketAddr, connection: u64) -> Self {
        link.count(|counters| {
            (counters.connections, counters.open) = (counters.connections + 1, counters.open + 1)
        });
        link.note(Some(connection), format!("packets of {from}"));
        Self { link, socket, from, connection, waiting: BTreeMap::new(), held: 0, came: 0 }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
        self.link.step(&Step::Open(self.link.place(self.connection)));
        let upstream = call(&self.link.upstream).await?;
        let mut packet = vec![0; MOST_PACKET];
        let mut heard = Instant::now();
        loop {
            let due = self.waiting.keys().next().map(|(due, _)| Duration::from_nanos(*due));
            let due = due.map_or(heard + IDLE, |due| self.link.line.instant(due));
            tokio::select! {
                packet = inbox.recv() => match packet {
                    Some(packet) => {
                        heard = Instant::now();
                        self.comes(Direction::Up, &packet);
                    }
                    None => return Ok(()),
                },
                // A refusal of the upstream is told by an error, and the next packet may be taken.
                read = upstream.recv(&mut packet) => if let Ok(length) = read {
                    heard = Instant::now();
                    self.comes(Direction::Down, &packet[..length]);
                },
                () = sleep_until(due) => {
                    if self.waiting.is_empty() && heard.elapsed() >= IDLE {
                        return Ok(());
                    }
                    self.hand_on(&upstream).await;
                }
            }
        }
    }

    /// Takes a packet, unless the line is cut or too much is held.
    fn comes(&mut self, direction: Direction, packet: &[u8]) {
        if self.is_cut() || self.held + packet.len() + OVERHEAD > self.link.buffer {
            self.link.count(|counters| counters.lost += 1);
            return;
        }
        let place = self.link.place(self.connection);
        for piece in self.link.step(&Step::Packet(place, direction, packet.len() as u64)) {
            if matches!(piece.fate, Fate::Pass | Fate::Overtaken | Fate::Copy) {
                self.came += 1;
                self.held += packet.len() + OVERHEAD;
                self.waiting.insert((piece.due, self.came), (direction, packet.to_vec()));
            }
        }
    }

    async fn hand_on(&mut self, upstream: &UdpSocket) {
        let now = self.link.line.now();
        while let Some(entry) = self.waiting.first_entry()
            && Duration::from_nanos(entry.key().0) <= now
        {
            let (direction, packet) = entry.remove();
            self.held -= packet.len() + OVERHEAD;
            if self.is_cut() {
                self.link.count(|counters| counters.lost += 1);
                continue;
            }
            // As on any network, what cannot be sent is lost.
            let sent = match direction {
                Direction::Up => upstream.send(&packet).await,
                Direction::Down => self.socket.send_to(&packet, self.from).await,
            };
            self.link.count(|counters| match sent {
                Ok(count) => counters.moved(direction, count),
                Err(_) => counters.lost += 1,
            });
        }
    }

    fn is_cut(&self) -> bool {
        self.link.line.is_cut().0.is_some()
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
        let socket = UdpSocket::bind(any).await?;
        match socket.connect(addr).await {
            Ok(()) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}
