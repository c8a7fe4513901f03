use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::time::sleep;

use super::*;
use crate::resolver::testing::answer;

const LIMIT: Duration = Duration::from_secs(10);

/// Addresses of these families, in this order, numbered from 1.
fn addresses(families: &str) -> Vec<SocketAddr> {
    let each = families.chars().enumerate();
    let each = each.map(|(at, family)| match family {
        '4' => format!("192.0.2.{}:9", at + 1),
        _ => format!("[2001:db8::{}]:9", at + 1),
    });
    each.map(|text| text.parse().unwrap()).collect()
}

/// The last figures of the addresses in their order of tries.
fn order(families: &str, good: Option<usize>) -> Vec<usize> {
    let all = addresses(families);
    let good = good.map(|number| all[number - 1].ip());
    let number = |address: &SocketAddr| 1 + all.iter().position(|other| other == address).unwrap();
    ordered(all.clone(), good).iter().map(number).collect()
}

#[test]
fn families_take_turns_behind_the_address_that_worked_last() {
    assert_eq!(order("6664", None), [1, 4, 2, 3]);
    assert_eq!(order("4466", None), [1, 3, 2, 4]);
    assert_eq!(order("66444", Some(5)), [5, 1, 3, 2, 4]);
    assert_eq!(order("64", Some(1)), [1, 2]);
    assert_eq!(order("6666666666664", None), [1, 13, 2, 3, 4, 5, 6, 7], "both families are tried");
    let twice = [addresses("4"), addresses("4")].concat();
    assert_eq!(ordered(twice, None).len(), 1);
    let elsewhere = Some(Ipv4Addr::LOCALHOST.into());
    assert_eq!(ordered(addresses("64"), elsewhere), addresses("64"), "no address is added");
}

/// Races addresses of which each opens after so many milliseconds: never for 0, with an error for a
/// negative number. Returns the winner's number, after how long it won, and how many were tried.
async fn raced(delays: &'static [i64]) -> (Result<usize, Unconnected>, Duration, usize) {
    let all = addresses(&"4".repeat(delays.len()));
    let (begun, tried) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let open = |address: SocketAddr| {
        tried.fetch_add(1, Ordering::Relaxed);
        let at = all.iter().position(|other| *other == address).unwrap();
        async move {
            if delays[at] == 0 {
                pending().await
            }
            sleep(Duration::from_millis(delays[at].unsigned_abs())).await;
            if delays[at] < 0 {
                Err(io::Error::from(io::ErrorKind::ConnectionRefused))
            } else {
                Ok(at)
            }
        }
    };
    let outcome = race(&all, begun + LIMIT, open).await;
    (outcome, begun.elapsed(), tried.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn a_dead_address_costs_its_head_start_and_no_more() {
    let millis = Duration::from_millis;
    let won = async |delays: &'static [i64]| {
        let (outcome, after, tried) = raced(delays).await;
        (outcome.unwrap(), after, tried)
    };
    assert_eq!(won(&[10, 10]).await, (0, millis(10), 1), "the second one is not bothered");
    assert_eq!(won(&[0, 10]).await, (1, millis(260), 2));
    assert_eq!(won(&[0, 0, 0, 10]).await, (3, millis(760), 4));
    assert_eq!(won(&[-5, 10]).await, (1, millis(15), 2), "a failure waits for nobody");
    assert_eq!(won(&[0, -5, 10]).await, (2, millis(265), 3));
    assert_eq!(won(&[300, 1000]).await, (0, millis(300), 2), "the slow first one may still win");
}

#[tokio::test(start_paused = true)]
async fn without_a_connection_the_last_failure_is_told_by_the_deadline() {
    let (outcome, after, tried) = raced(&[-5, -10]).await;
    assert!(matches!(&outcome, Err(Unconnected::Connect(at, e))
        if at.to_string() == "192.0.2.2:9" && e.kind() == io::ErrorKind::ConnectionRefused));
    assert_eq!((after, tried), (Duration::from_millis(15), 2));
    let (outcome, after, _) = raced(&[0, -5, 0]).await;
    assert!(
        matches!(&outcome, Err(Unconnected::Connect(_, e)) if e.kind() == io::ErrorKind::TimedOut)
    );
    assert_eq!(after, LIMIT);
    let (outcome, after, _) = raced(&[]).await;
    assert!(matches!(outcome, Err(Unconnected::Resolve(_))));
    assert_eq!(after, Duration::ZERO);
}

/// A port of the loopback whose first address takes no connection, and answers no attempt either, and
/// whose second address does.
fn half_dead() -> (u16, TcpListener, impl Sized) {
    loop {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 77], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let at = socket.local_addr().unwrap().as_socket().unwrap();
        // A queue of no length holds one connection.
        let filling = std::net::TcpStream::connect(at).unwrap();
        let Ok(alive) = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, at.port())) else {
            continue;
        };
        alive.set_nonblocking(true).unwrap();
        return (at.port(), TcpListener::from_std(alive).unwrap(), (socket, filling));
    }
}

#[tokio::test]
async fn the_address_that_worked_last_comes_first_the_next_time() {
    let (port, alive, _dead) = half_dead();
    let dead = IpAddr::from([127, 0, 0, 77]);
    answer("half-dead.test", &[&[dead, Ipv4Addr::LOCALHOST.into()]]);
    let mut took = Vec::new();
    for _ in 0..2 {
        let begun = Instant::now();
        let tcp = connect("half-dead.test", port, begun + LIMIT, None).await.unwrap();
        took.push(begun.elapsed());
        assert!(tcp.peer_addr().unwrap().ip().is_loopback() && tcp.nodelay().unwrap());
        alive.accept().await.unwrap();
    }
    assert!(took[0] >= HEAD_START, "{took:?}");
    assert!(took[1] < took[0], "{took:?}");
    assert_eq!(resolver::last_good("half-dead.test"), Some(Ipv4Addr::LOCALHOST.into()));
    // Nobody else came in.
    let more = timeout_at(Instant::now() + HEAD_START, alive.accept()).await;
    assert!(more.is_err(), "a second connection");
}

#[tokio::test]
async fn what_the_rule_refuses_is_not_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let rule = AddressRule::default();
    answer("rebound.test", &[&[Ipv4Addr::LOCALHOST.into()]]);
    for host in ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "::ffff:127.0.0.1", "rebound.test"] {
        let deadline = Instant::now() + LIMIT;
        let error = connect(host, port, deadline, Some(&rule)).await.unwrap_err();
        assert!(matches!(error, Unconnected::Forbidden(_)), "{host}: {error}");
        connect(host, port, deadline, Some(&AddressRule::for_cloud("127.0.0.1"))).await.unwrap();
        listener.accept().await.unwrap();
    }
}
