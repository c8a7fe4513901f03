//! A port that accepts, refuses, or lets callers hang.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::conditions::Connect;

/// Bytes that the system keeps for each direction of a connection. Small, so that a slow line slows down who sends.
pub(super) const SYSTEM_BUFFER: usize = 64 << 10;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// Calls to ourselves that fill a backlog of none: the system takes one more than that, and lets all others hang.
const FILLERS: usize = 2;

/// A port that accepts, refuses, or lets callers hang.
#[derive(Debug)]
pub(super) struct Gate {
    addr: SocketAddr,
    state: State,
}

#[derive(Debug)]
enum State {
    Accepts(TcpListener),
    /// A socket that is bound and does not listen keeps the port, and the system refuses callers.
    Refuses {
        _bound: Socket,
    },
    /// Of a listener whose backlog is full the system answers no caller at all.
    Hangs {
        _full: Socket,
        _fillers: Vec<Socket>,
    },
    /// The port could not be taken back.
    Lost,
}

impl Gate {
    /// Takes the port, and accepts.
    pub(super) fn open(addr: SocketAddr) -> io::Result<Self> {
        let listener = listener(addr)?;
        Ok(Self { addr: listener.local_addr()?, state: State::Accepts(listener) })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Whether callers are treated so already.
    pub(super) fn is(&self, connect: Connect) -> bool {
        matches!(
            (&self.state, connect),
            (State::Accepts(_), Connect::Accept)
                | (State::Refuses { .. }, Connect::Refuse)
                | (State::Hangs { .. }, Connect::BlackHole)
        )
    }

    /// Treats callers so from now on. After an error the port is lost, and may be taken again by another call.
    pub(super) fn become_such(&mut self, connect: Connect) -> io::Result<()> {
        // The port is free only once the old socket is gone.
        self.state = State::Lost;
        self.state = match connect {
            Connect::Accept => State::Accepts(listener(self.addr)?),
            Connect::Refuse => State::Refuses { _bound: bound(self.addr)? },
            Connect::BlackHole => {
                let full = bound(self.addr)?;
                full.listen(0)?;
                let fillers =
                    (0..FILLERS).map(|_| calling(self.addr)).collect::<io::Result<_>>()?;
                State::Hangs { _full: full, _fillers: fillers }
            }
        };
        Ok(())
    }

    /// The next caller; never any while none is accepted.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.state {
            State::Accepts(listener) => listener.accept().await,
            _ => std::future::pending().await,
        }
    }
}

fn listener(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(addr)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn bound(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_recv_buffer_size(SYSTEM_BUFFER)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// A socket that calls the port.
fn calling(mut addr: SocketAddr) -> io::Result<Socket> {
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // The call goes on by itself.
    let _ = socket.connect(&addr.into());
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn callers_are_accepted_refused_or_hang_and_one_that_hangs_comes_in_at_last() {
        for listen in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
            let mut gate = Gate::open(listen.parse().unwrap()).unwrap();
            let mut addr = gate.addr();
            if addr.ip().is_unspecified() {
                addr.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            let (_kept, _) = tokio::join!(TcpStream::connect(addr), gate.accept());
            gate.become_such(Connect::Refuse).unwrap();
            let refused = TcpStream::connect(addr).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            gate.become_such(Connect::BlackHole).unwrap();
            let mut call = Box::pin(TcpStream::connect(addr));
            assert!(timeout(Duration::from_millis(300), &mut call).await.is_err(), "{listen}");
            gate.become_such(Connect::Accept).unwrap();
            assert!(gate.is(Connect::Accept) && !gate.is(Connect::Refuse));
            // The system calls again after a second.
            let (called, accepted) =
                timeout(Duration::from_secs(20), async { tokio::join!(call, gate.accept()) })
                    .await
                    .unwrap();
            assert!(called.is_ok() && accepted.is_ok());
        }
    }
}
