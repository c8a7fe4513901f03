use std::fs;
use std::path::Path;

use tokio::time::{sleep, timeout};

use super::super::conditions::{Conditions, Way};
use super::super::journal::replay;
use super::super::net::BadNet;
use super::super::options::{BadNetOptions, LinkOptions};
use super::super::outage::Cut;
use super::*;

/// Longest time that a test waits for something that happens.
const PATIENCE: Duration = Duration::from_secs(30);
/// Packets that come without a pause. The usual buffer of Linux holds them all, as long as they are short.
const BURST: u16 = 200;

/// A network with one link `u` to this upstream, which writes its decisions to `log`.
async fn start(upstream: &str, log: &Path, options: BadNetOptions) -> BadNet {
    let links = vec![LinkOptions::udp("u", "127.0.0.1:0", upstream).unwrap()];
    BadNet::start(BadNetOptions { links, log: Some(log.to_owned()), ..options }).await.unwrap()
}

/// A socket whose calls never wait for badnet, which runs in the same thread.
fn sender(net: &BadNet) -> std::net::UdpSocket {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(net.addr("u").unwrap()).unwrap();
    socket
}

async fn until(what: &str, mut probe: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !probe() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The number of steps in the file that have this text, once all of them are decided again as they were.
fn steps(log: &Path, text: &str) -> u64 {
    replay(log).unwrap();
    fs::read_to_string(log).unwrap().lines().filter(|line| line.contains(text)).count() as u64
}

#[tokio::test]
async fn a_burst_goes_over_a_clean_line_whole_also_while_the_name_is_looked_up() {
    let folder = tempfile::tempdir().unwrap();
    // The name may be that of either version of IP.
    for (host, any) in [("127.0.0.1", "127.0.0.1:0"), ("localhost", "[::]:0")] {
        let log = folder.path().join(host);
        let server = bind(any.parse().unwrap()).await.unwrap();
        let upstream = format!("{host}:{}", server.local_addr().unwrap().port());
        let net = start(&upstream, &log, BadNetOptions::default()).await;
        let client = sender(&net);
        for number in 0..BURST {
            client.send(&number.to_be_bytes()).unwrap();
        }
        let mut packet = [0; 16];
        for number in 0..BURST {
            let heard = timeout(PATIENCE, server.recv(&mut packet)).await;
            let length = heard.expect("a packet was lost").unwrap();
            assert_eq!(packet[..length], number.to_be_bytes());
        }
        let counters = net.counters("u").unwrap();
        assert_eq!((counters.overflowed, counters.lost, counters.connections), (0, 0, 1));
        drop(net);
        assert_eq!(steps(&log, r#""packet""#), u64::from(BURST));
    }
}

#[tokio::test]
async fn every_packet_that_is_lost_stands_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let upstream = server.local_addr().unwrap().to_string();
    // Nothing leaves the line while the test runs, so that it fills.
    let way = Way { delay_ms: 60_000, ..Way::default() };
    let options = BadNetOptions {
        conditions: Conditions::both(way),
        connections: 1,
        buffer: 4096,
        ..BadNetOptions::default()
    };
    let net = start(&upstream, &log, options).await;
    let (client, second) = (sender(&net), sender(&net));
    for _ in 0..BURST {
        client.send(&[0; 64]).unwrap();
    }
    let fit = 4096 / (64 + OVERHEAD as u64);
    let counters = || net.counters("u").unwrap();
    until("full", || counters().overflowed == u64::from(BURST) - fit).await;
    second.send(b"x").unwrap();
    until("crowded", || counters().overflowed == u64::from(BURST) - fit + 1).await;
    net.cut("u", Cut::Hold).unwrap();
    client.send(b"x").unwrap();
    until("cut", || counters().lost == 1).await;
    drop(net);
    assert_eq!(steps(&log, r#""packet""#), fit);
    for (why, count) in [("full", u64::from(BURST) - fit), ("crowded", 1), ("cut", 1)] {
        assert_eq!(steps(&log, &format!(r#""{why}"]"#)), count, "{why}");
    }
}

#[tokio::test]
async fn what_waits_for_an_upstream_that_is_none_is_lost_and_stands_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    // No resolver is asked for a name with a zero.
    let net = start("no\0name:9", &log, BadNetOptions::default()).await;
    sender(&net).send(b"x").unwrap();
    until("failure", || net.counters("u").unwrap().failed == 1).await;
    let counters = net.counters("u").unwrap();
    assert_eq!((counters.lost, counters.open), (1, 0));
    let what = &net.events_since(0)[1].what;
    assert!(what.contains("is the address right?"), "{what}");
    drop(net);
    assert_eq!((steps(&log, r#""packet""#), steps(&log, r#""gone""#)), (1, 1));
}
