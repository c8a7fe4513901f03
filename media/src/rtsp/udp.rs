//! The datagrams of a session: for each track a port for its data and the next one for its reports.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use crate::coalesce::{Counted, Streams};

/// Receive buffer in bytes: room for a key frame that comes at the speed of the wire. The kernel
/// may give less.
const RECEIVE_BUFFER: usize = 1 << 20;
/// Tries to find two free ports in a row.
const TRIES: usize = 64;
/// Most datagrams of others than the camera that are dropped before anything else has its turn.
const MOST_OTHERS: u32 = 64;

/// How long the ports that a camera names are believed while nothing comes from them.
const BELIEF: Duration = Duration::from_millis(500);

/// Sockets of one or two tracks.
pub struct Udp {
    pairs: Vec<Pair>,
    local: IpAddr,
    /// Address of the camera, whose datagrams alone count.
    camera: IpAddr,
    buf: Box<[u8]>,
    /// When sockets are opened to all ports of the camera, unless something comes before.
    doubt: Option<Instant>,
    _counted: Counted<'static>,
}

struct Pair {
    data: UdpSocket,
    reports: UdpSocket,
    /// Ports that the camera says it sends data and reports from.
    peer: Option<(u16, u16)>,
    /// Whether a data packet came.
    heard: bool,
}

impl Udp {
    /// Binds ports for so many `tracks` at the address `local`, for what `camera` will send.
    pub fn bind(local: IpAddr, camera: IpAddr, tracks: usize) -> io::Result<Self> {
        let pairs = (0..tracks).map(|_| Pair::bind(local)).collect::<io::Result<_>>()?;
        let buf = vec![0; u16::MAX.into()].into();
        let counted = Streams::of_program().take_datagrams();
        Ok(Self { pairs, local, camera, buf, doubt: None, _counted: counted })
    }

    /// The ports of the data of each track.
    pub fn ports(&self) -> io::Result<[u16; 2]> {
        let mut ports = [0; 2];
        for (port, pair) in ports.iter_mut().zip(&self.pairs) {
            *port = pair.data.local_addr()?.port();
        }
        Ok(ports)
    }

    /// Notes that the camera sends the track of this number from these ports, and from nowhere else
    /// until that proves wrong. Something is sent there at once, so that a firewall on the way lets
    /// the answers through.
    pub fn expect(&mut self, number: usize, peer: Option<(u16, u16)>, now: Instant) {
        let Some(pair) = self.pairs.get_mut(number) else { return };
        pair.peer = peer;
        if let Some((data, reports)) = peer {
            self.doubt = Some(now + BELIEF);
            let (data, reports) =
                (SocketAddr::new(self.camera, data), SocketAddr::new(self.camera, reports));
            // An RTP header without payload, and an empty receiver report.
            send(&pair.data, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], data);
            send(&pair.reports, &[0x80, 201, 0, 1, 0, 0, 0, 0], reports);
            close_to_others(&pair.data, data);
            close_to_others(&pair.reports, reports);
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.doubt
    }

    /// Opens the sockets to all ports of the camera, where nothing came in time from those that it
    /// named.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.doubt.take_if(|doubt| *doubt <= now).is_none() {
            return;
        }
        for pair in self.pairs.iter_mut().filter(|pair| !pair.heard) {
            if let Err(error) = pair.rebind(self.local) {
                log::debug!("ports of a silent track stay closed to others: {error}");
            }
        }
    }

    /// Sends a report about the track of this number. What the socket does not take is left out.
    pub fn send_report(&self, number: usize, report: &[u8]) {
        if let Some(pair) = self.pairs.get(number)
            && let Some((_, port)) = pair.peer
        {
            send(&pair.reports, report, SocketAddr::new(self.camera, port));
        }
    }

    /// The next datagram of the camera, with the number of its track and whether it came where
    /// reports do. The ports it came from do not matter: cameras send from others than they say.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(usize, bool, &[u8])> {
        let mut found = None;
        let mut others = 0;
        'sockets: for (number, pair) in self.pairs.iter_mut().enumerate() {
            for (reports, socket) in [(false, &pair.data), (true, &pair.reports)] {
                let mut buf = ReadBuf::new(&mut self.buf);
                while let Poll::Ready(came) = socket.poll_recv_from(cx, &mut buf) {
                    // An error is about a datagram that could not be sent; the next one may be
                    // data.
                    if let Some(from) = came.ok().filter(|from| from.ip() == self.camera) {
                        if !reports && !pair.heard {
                            pair.heard = true;
                            close_to_others(socket, from);
                            // Reports come from where the camera says, or from the next port.
                            let next = from.port().saturating_add(1);
                            let said = pair.peer.filter(|(data, _)| *data == from.port());
                            let port = said.map_or(next, |(_, reports)| reports);
                            close_to_others(&pair.reports, SocketAddr::new(from.ip(), port));
                        }
                        found = Some((number, reports, buf.filled().len()));
                        break 'sockets;
                    }
                    others += 1;
                    if others == MOST_OTHERS {
                        cx.waker().wake_by_ref();
                        break 'sockets;
                    }
                    buf.clear();
                }
            }
        }
        match found {
            Some((number, reports, len)) => {
                Poll::Ready((number, reports, self.buf.get(..len).unwrap_or_default()))
            }
            None => Poll::Pending,
        }
    }
}

/// Sends a datagram without waiting: one that the kernel does not take is lost, as others are on
/// the way. The runtime would call a new socket not ready before it has looked at it.
fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) {
    SockRef::from(socket).send_to(bytes, &to.into()).ok();
}

/// Makes the kernel keep datagrams of everybody but `peer` away. Where it will not, they are
/// dropped here.
fn close_to_others(socket: &UdpSocket, peer: SocketAddr) {
    SockRef::from(socket).connect(&peer.into()).ok();
}

impl Pair {
    /// Binds two ports in a row, the even one for data (RFC 3550 11).
    fn bind(local: IpAddr) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..TRIES {
            let first = open(local, 0)?;
            let port = first.local_addr()?.port();
            let (other, even) = if port % 2 == 0 { (port + 1, true) } else { (port - 1, false) };
            match open(local, other) {
                Ok(second) => {
                    let (data, reports) = if even { (first, second) } else { (second, first) };
                    return Ok(Self { data, reports, peer: None, heard: false });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Binds the same ports anew, open to all ports of the camera.
    fn rebind(&mut self, local: IpAddr) -> io::Result<()> {
        for socket in [&mut self.data, &mut self.reports] {
            let port = socket.local_addr()?.port();
            // The port is free only once the old socket is closed.
            *socket = open(local, 0)?;
            *socket = open(local, port)?;
        }
        Ok(())
    }
}

fn open(local: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind((local, port))?;
    socket.set_nonblocking(true)?;
    SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER)?;
    UdpSocket::from_std(socket)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn ports_are_even_and_what_comes_there_has_its_track() {
        let mut udp = Udp::bind(HERE, HERE, 2).unwrap();
        let ports = udp.ports().unwrap();
        assert!(ports.iter().all(|port| port % 2 == 0) && ports[0] != ports[1]);
        let camera = UdpSocket::bind((HERE, 0)).await.unwrap();
        for (port, want) in [(ports[0], (0, false)), (ports[1] + 1, (1, true))] {
            camera.send_to(b"datagram", (HERE, port)).await.unwrap();
            let (number, reports, bytes) =
                poll_fn(|cx| udp.poll(cx).map(|(n, r, b)| (n, r, b.to_vec()))).await;
            assert_eq!((number, reports), want);
            assert_eq!(bytes, b"datagram");
        }
    }

    #[tokio::test]
    async fn others_than_the_camera_are_not_heard() {
        let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
        let mut udp = Udp::bind(HERE, elsewhere, 1).unwrap();
        let [port, _] = udp.ports().unwrap();
        let stranger = UdpSocket::bind((HERE, 0)).await.unwrap();
        let camera = UdpSocket::bind((elsewhere, 0)).await.unwrap();
        stranger.send_to(b"stranger", (HERE, port)).await.unwrap();
        camera.send_to(b"camera", (HERE, port)).await.unwrap();
        let heard = poll_fn(|cx| udp.poll(cx).map(|(_, _, bytes)| bytes.to_vec())).await;
        assert_eq!(heard, b"camera");
    }

    #[tokio::test]
    async fn the_way_to_the_camera_is_opened_and_reports_go_there() {
        let mut udp = Udp::bind(HERE, HERE, 2).unwrap();
        let (data, reports) =
            (UdpSocket::bind((HERE, 0)).await.unwrap(), UdpSocket::bind((HERE, 0)).await.unwrap());
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        udp.expect(1, Some((port(&data), port(&reports))), Instant::now());
        udp.send_report(1, b"report");
        udp.send_report(0, b"to nobody");
        let mut buf = [0; 64];
        assert_eq!(data.recv(&mut buf).await.unwrap(), 12);
        assert_eq!(reports.recv(&mut buf).await.unwrap(), 8);
        let len = reports.recv(&mut buf).await.unwrap();
        assert_eq!(&buf[..len], b"report");
    }

    #[tokio::test]
    async fn a_camera_that_sends_from_another_port_than_it_says_is_heard_after_a_while() {
        let mut udp = Udp::bind(HERE, HERE, 1).unwrap();
        let [port, _] = udp.ports().unwrap();
        let (said, real) =
            (UdpSocket::bind((HERE, 0)).await.unwrap(), UdpSocket::bind((HERE, 0)).await.unwrap());
        let (start, other) = (Instant::now(), said.local_addr().unwrap().port());
        udp.expect(0, Some((other, other)), start);
        assert_eq!(udp.poll_timeout(), Some(start + BELIEF));
        real.send_to(b"unheard", (HERE, port)).await.unwrap();
        udp.handle_timeout(start + BELIEF);
        assert_eq!(udp.poll_timeout(), None);
        assert_eq!(udp.ports().unwrap()[0], port, "the camera sends there");
        real.send_to(b"heard", (HERE, port)).await.unwrap();
        let heard = poll_fn(|cx| udp.poll(cx).map(|(_, _, bytes)| bytes.to_vec())).await;
        assert_eq!(heard, b"heard");
        // The socket has found the camera's port and hears nobody else any more.
        said.send_to(b"too late", (HERE, port)).await.unwrap();
        real.send_to(b"heard again", (HERE, port)).await.unwrap();
        let heard = poll_fn(|cx| udp.poll(cx).map(|(_, _, bytes)| bytes.to_vec())).await;
        assert_eq!(heard, b"heard again");
    }
}
