//! Connections of TCP over a line.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::conditions::Connect;
use super::gate::{Gate, SYSTEM_BUFFER};
use super::lane::{End, Lane};
use super::line::{Link, Weather};
use super::outage::Cut;
use super::plan::{Direction, Step};

/// Time in which the upstream has to answer a call.
const CALL_PATIENCE: Duration = Duration::from_secs(10);
/// Pause before a port that was lost is taken again, or after an error of accept.
const RETRY: Duration = Duration::from_millis(200);

/// Accepts callers and joins each to the upstream, for ever.
pub(super) async fn serve(link: Arc<Link>, mut gate: Gate, seats: Arc<Semaphore>) {
    let mut weather = link.line.weather();
    let mut tasks = JoinSet::new();
    let mut number = 0;
    let mut lost = false;
    loop {
        let now = *weather.borrow_and_update();
        let connect = treatment(now);
        if !gate.is(connect)
            && let Err(error) = gate.become_such(connect)
        {
            if !lost {
                let addr = gate.addr();
                log::warn!(target: "badnet", "{}: another program took {addr} ({error}); end it", link.name);
            }
            lost = true;
            sleep(RETRY).await;
            continue;
        }
        lost = false;
        while tasks.try_join_next().is_some() {}
        let accepted = async {
            let seat = seats.clone().acquire_owned().await;
            (gate.accept().await, seat)
        };
        tokio::select! {
            _ = weather.changed() => {}
            (accepted, seat) = accepted => match (accepted, seat) {
                (Ok((client, from)), Ok(seat)) => {
                    let link = link.clone();
                    let connection = number;
                    number += 1;
                    tasks.spawn(async move {
                        join(&link, client, (from, connection), now).await;
                        drop(seat);
                    });
                }
                (Err(error), _) => {
                    log::warn!(target: "badnet", "{}: accept: {error}", link.name);
                    sleep(RETRY).await;
                }
                (Ok(_), Err(_)) => return,
            }
        }
    }
}

/// How callers are treated in this weather.
fn treatment(weather: Weather) -> Connect {
    match weather.cut {
        None => weather.connect,
        Some(Cut::Reset) => Connect::Refuse,
        Some(Cut::Hold | Cut::HalfOpen) => Connect::BlackHole,
    }
}

/// Joins a caller, who came in this weather, to the upstream until the connection ends.
async fn join(
    link: &Link,
    mut client: TcpStream,
    (from, connection): (SocketAddr, u64),
    weather: Weather,
) {
    link.count(|counters| {
        (counters.connections, counters.open) = (counters.connections + 1, counters.open + 1)
    });
    link.note(Some(connection), format!("opened by {from}"));
    let place = link.place(connection);
    link.step(&Step::Open(place));
    let end = match call(&link.upstream).await {
        Ok(mut server) => {
            let _ = client.set_nodelay(true);
            let _ = SockRef::from(&client).set_send_buffer_size(SYSTEM_BUFFER);
            let end = carry_both(link, &mut client, &mut server, connection, weather).await;
            match end {
                End::Closed => {}
                End::Reset => reset(&server),
                End::HalfOpen => {
                    link.count(|counters| counters.half_open += 1);
                    link.note(
                        Some(connection),
                        "forgotten: nothing goes on, and nobody is told".to_owned(),
                    );
                    tokio::join!(swallow(&mut client), swallow(&mut server));
                }
            }
            end
        }
        Err(error) => {
            link.count(|counters| counters.failed += 1);
            let what = format!(
                "cannot reach {}: {error}; is it running, and is the address right?",
                link.upstream
            );
            log::warn!(target: "badnet", "{}: {what}", link.name);
            link.note(Some(connection), what);
            End::Reset
        }
    };
    if end == End::Reset {
        reset(&client);
        link.count(|counters| counters.resets += 1);
    }
    link.step(&Step::Close(place));
    link.count(|counters| counters.open -= 1);
    let how = if end == End::Reset { "reset" } else { "closed" };
    link.note(Some(connection), how.to_owned());
}

/// Calls the upstream at each of its addresses in turn.
async fn call(upstream: &str) -> io::Result<TcpStream> {
    let call = async {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for addr in lookup_host(upstream).await? {
            let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_recv_buffer_size(SYSTEM_BUFFER as u32)?;
            socket.set_send_buffer_size(SYSTEM_BUFFER as u32)?;
            match socket.connect(addr).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer within 10 s");
    timeout(CALL_PATIENCE, call).await.map_err(|_| late())?
}

/// Lets the connection end by RST.
fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Takes what comes and answers nothing, until the other end closes.
async fn swallow(stream: &mut TcpStream) {
    let mut bytes = [0; 4096];
    while matches!(stream.read(&mut bytes).await, Ok(1..)) {}
}

async fn carry_both(
    link: &Link,
    client: &mut TcpStream,
    server: &mut TcpStream,
    connection: u64,
    weather: Weather,
) -> End {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let lane = |direction| Lane::new(link, connection, direction, weather);
    let mut up = pin!(lane(Direction::Up).carry(from_client, to_server));
    let mut down = pin!(lane(Direction::Down).carry(from_server, to_client));
    let mut closed = [false; 2];
    while closed != [true; 2] {
        let (direction, end) = tokio::select! {
            end = &mut up, if !closed[0] => (Direction::Up, end),
            end = &mut down, if !closed[1] => (Direction::Down, end),
        };
        if end != End::Closed {
            return end;
        }
        closed[direction as usize] = true;
    }
    End::Closed
}
