use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::{Duration, sleep, timeout};

use super::super::conditions::{Connect, Way};
use super::super::journal::replay;
use super::*;

/// Longest time that a test waits for something that happens.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time in which nothing happens, where nothing is to happen.
const QUIET: Duration = Duration::from_millis(300);

/// A server and a network before it.
struct Bench {
    server: TcpListener,
    net: BadNet,
}

impl Bench {
    async fn new(conditions: Conditions) -> Self {
        Self::with(BadNetOptions { conditions, ..BadNetOptions::default() }).await
    }

    /// With one link `cloud` to the server, over the line `wan`.
    async fn with(options: BadNetOptions) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = server.local_addr().unwrap().to_string();
        let link = LinkOptions::tcp("cloud", "127.0.0.1:0", &upstream).unwrap().over("wan");
        let net =
            BadNet::start(BadNetOptions { seed: 42, links: vec![link], ..options }).await.unwrap();
        Self { server, net }
    }

    async fn call(&self) -> std::io::Result<TcpStream> {
        TcpStream::connect(self.net.addr("cloud").unwrap()).await
    }

    /// A connection: the caller's end and the server's.
    async fn joined(&self) -> (TcpStream, TcpStream) {
        let (client, server) = tokio::join!(self.call(), self.server.accept());
        (client.unwrap(), server.unwrap().0)
    }

    fn events(&self, text: &str) -> usize {
        self.net.events_since(0).iter().filter(|event| event.what.contains(text)).count()
    }
}

fn way(way: Way) -> Conditions {
    Conditions::both(way)
}

async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    timeout(PATIENCE, stream.read_exact(&mut bytes)).await.unwrap().unwrap();
    bytes
}

/// What the next read of one byte says, within the time that is for something that happens.
async fn next(stream: &mut TcpStream) -> std::io::Result<usize> {
    timeout(PATIENCE, stream.read(&mut [0])).await.unwrap()
}

async fn is_quiet(stream: &mut TcpStream) -> bool {
    timeout(QUIET, stream.read(&mut [0])).await.is_err()
}

async fn until(what: &str, mut probe: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !probe() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn noise(count: u32) -> Vec<u8> {
    (0..count).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[tokio::test]
async fn bytes_and_ends_go_through_unchanged_in_rough_weather() {
    let rough =
        Way { delay_ms: 10, jitter_ms: 20, rate_kbit: 20_000, loss: 0.002, ..Way::default() };
    let bench = Bench::new(way(rough)).await;
    let (mut client, mut server) = bench.joined().await;
    let sent = noise(200_000);
    let (_, received) = tokio::join!(
        async {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
        },
        read(&mut server, 200_000)
    );
    assert_eq!(received, sent);
    // The caller has ended its stream, and still hears.
    assert_eq!(next(&mut server).await.unwrap(), 0);
    server.write_all(&sent).await.unwrap();
    drop(server);
    assert_eq!(read(&mut client, 200_000).await, sent);
    assert_eq!(next(&mut client).await.unwrap(), 0);
    until("end", || bench.events("closed") == 1).await;
    let counters = bench.net.counters("cloud").unwrap();
    assert_eq!((counters.bytes_up, counters.bytes_down, counters.open), (200_000, 200_000, 0));
    assert!(counters.connections == 1 && counters.resets == 0);
}

#[tokio::test]
async fn the_sixth_version_of_ip_and_names_go_through() {
    let server = TcpListener::bind("[::1]:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    let named = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = format!("localhost:{}", named.local_addr().unwrap().port());
    let links = vec![
        LinkOptions::tcp("six", "[::1]:0", &format!("[::1]:{port}")).unwrap(),
        LinkOptions::tcp("name", "127.0.0.1:0", &name).unwrap(),
    ];
    let net = BadNet::start(BadNetOptions { links, ..BadNetOptions::default() }).await.unwrap();
    for (link, server) in [("six", server), ("name", named)] {
        let (client, accepted) =
            tokio::join!(TcpStream::connect(net.addr(link).unwrap()), server.accept());
        let (mut client, mut accepted) = (client.unwrap(), accepted.unwrap().0);
        client.write_all(b"x").await.unwrap();
        assert_eq!(read(&mut accepted, 1).await, b"x");
    }
}

#[tokio::test]
async fn a_delay_is_felt_both_ways() {
    let bench = Bench::new(way(Way { delay_ms: 150, ..Way::default() })).await;
    let (mut client, mut server) = bench.joined().await;
    client.write_all(b"x").await.unwrap();
    read(&mut server, 1).await;
    let begin = Instant::now();
    server.write_all(b"y").await.unwrap();
    read(&mut client, 1).await;
    client.write_all(b"z").await.unwrap();
    read(&mut server, 1).await;
    assert!(begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_slow_line_slows_down_who_sends_and_holds_little() {
    let slow = Way { rate_kbit: 800, queue_ms: 200, ..Way::default() };
    let bench = Bench::new(way(slow)).await;
    let (mut client, mut server) = bench.joined().await;
    let counted = tokio::spawn(async move {
        let (mut bytes, mut count) = (vec![0; 4096], 0);
        while let Ok(more @ 1..) = server.read(&mut bytes).await {
            count += more;
        }
        count
    });
    let (begin, chunk, mut sent) = (Instant::now(), noise(8192), 0);
    while begin.elapsed() < Duration::from_secs(2) {
        if let Ok(written) = timeout(Duration::from_millis(100), client.write(&chunk)).await {
            sent += written.unwrap();
        }
    }
    let took = begin.elapsed().as_secs_f64();
    let passed = bench.net.counters("cloud").unwrap().bytes_up as f64;
    // 100,000 bytes a second.
    assert!(passed > 50_000.0 && passed < 100_000.0 * took + 20_000.0, "{passed} in {took} s");
    // The system's buffers of both ends are what is left; the sender's own grows to some megabytes where it may.
    assert!(sent < 8_000_000, "{sent}");
    bench.net.set("wan", Conditions::default()).unwrap();
    drop(client);
    assert_eq!(timeout(PATIENCE, counted).await.unwrap().unwrap(), sent);
}

#[tokio::test]
async fn a_cable_that_is_pulled_holds_everything_until_it_is_back() {
    let bench = Bench::new(Conditions::default()).await;
    let (mut client, mut server) = bench.joined().await;
    bench.net.cut("cloud", Cut::Hold).unwrap();
    let status = bench.net.status();
    assert_eq!(
        (status[0].name.as_str(), status[0].cut, status[0].by_hand),
        ("wan", Some(Cut::Hold), true)
    );
    let sent = noise(300_000);
    let send = async { client.write_all(&sent).await.unwrap() };
    let hear = async {
        assert!(is_quiet(&mut server).await);
        assert!(timeout(QUIET, bench.call()).await.is_err(), "a new connection has to hang");
        bench.net.heal("wan").unwrap();
        read(&mut server, 300_000).await
    };
    let ((), received) = tokio::join!(send, hear);
    assert_eq!(received, sent);
    assert_eq!((bench.events("cut by hand: hold"), bench.events("healed")), (1, 1));
    let (mut client, mut server) = timeout(PATIENCE, bench.joined()).await.unwrap();
    client.write_all(b"x").await.unwrap();
    read(&mut server, 1).await;
}

#[tokio::test]
async fn connections_are_reset_at_both_ends_and_new_ones_are_refused_while_it_lasts() {
    let bench = Bench::new(Conditions::default()).await;
    let (mut client, mut server) = bench.joined().await;
    bench.net.cut("wan", Cut::Reset).unwrap();
    for end in [&mut client, &mut server] {
        assert_eq!(next(end).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
    let begin = Instant::now();
    loop {
        match bench.call().await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => break,
            _ => assert!(begin.elapsed() < PATIENCE),
        }
    }
    bench.net.heal("wan").unwrap();
    until("port", || std::net::TcpStream::connect(bench.net.addr("cloud").unwrap()).is_ok()).await;
    let (mut client, _server) = (bench.call().await.unwrap(), bench.server.accept().await.unwrap());
    until("connection", || bench.net.counters("cloud").unwrap().open > 0).await;
    bench.net.reset("wan").unwrap();
    assert_eq!(next(&mut client).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_forgotten_connection_tells_nobody_and_stays_so() {
    let bench = Bench::new(Conditions::default()).await;
    let (mut client, mut server) = bench.joined().await;
    client.write_all(b"x").await.unwrap();
    read(&mut server, 1).await;
    bench.net.cut("wan", Cut::HalfOpen).unwrap();
    until("event", || bench.events("forgotten") == 1).await;
    bench.net.heal("wan").unwrap();
    client.write_all(&noise(500_000)).await.unwrap();
    assert!(is_quiet(&mut server).await && is_quiet(&mut client).await);
    drop(client);
    assert!(is_quiet(&mut server).await, "no end is told");
    drop(server);
    until("end of it", || bench.net.counters("cloud").unwrap().open == 0).await;
    assert_eq!(bench.net.counters("cloud").unwrap().half_open, 1);
    let (mut client, mut server) = timeout(PATIENCE, bench.joined()).await.unwrap();
    client.write_all(b"x").await.unwrap();
    read(&mut server, 1).await;
}

#[tokio::test]
async fn packets_of_a_stream_decide_that_it_is_reset_or_forgotten() {
    let bench = Bench::new(way(Way { reset: 1.0, ..Way::default() })).await;
    let (mut client, mut server) = bench.joined().await;
    client.write_all(b"x").await.unwrap();
    for end in [&mut client, &mut server] {
        assert_eq!(next(end).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
    bench.net.set("wan", way(Way { half_open: 1.0, ..Way::default() })).unwrap();
    let (mut client, mut server) = bench.joined().await;
    client.write_all(b"x").await.unwrap();
    until("event", || bench.events("forgotten") == 1).await;
    assert!(is_quiet(&mut client).await && is_quiet(&mut server).await);
}

#[tokio::test]
async fn new_connections_are_refused_or_hang_as_the_conditions_say() {
    let bench = Bench::new(Conditions { connect: Connect::Refuse, ..Conditions::default() }).await;
    let addr = bench.net.addr("cloud").unwrap();
    until("refusal", || {
        std::net::TcpStream::connect(addr)
            .is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
    })
    .await;
    bench
        .net
        .set("wan", Conditions { connect: Connect::BlackHole, ..Conditions::default() })
        .unwrap();
    until("silence", || {
        let call = std::net::TcpStream::connect_timeout(&addr, Duration::from_millis(100));
        call.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)
    })
    .await;
    bench.net.set("wan", Conditions::default()).unwrap();
    let call = async {
        loop {
            if let Ok(call) = bench.call().await {
                break call;
            }
        }
    };
    timeout(PATIENCE, call).await.unwrap();
}

#[tokio::test]
async fn outages_come_at_their_times_and_end() {
    let outages = vec!["every=700ms,for=300ms,how=reset".parse().unwrap()];
    let bench = Bench::new(Conditions { outages, ..Conditions::default() }).await;
    let (mut client, _server) = bench.joined().await;
    assert_eq!(next(&mut client).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    until("two outages", || bench.events("cut by an outage: reset") >= 2).await;
    assert!(bench.events("healed") >= 1);
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_named_with_what_to_do() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let links = vec![LinkOptions::tcp("cloud", "127.0.0.1:0", &upstream).unwrap()];
    let net = BadNet::start(BadNetOptions { links, ..BadNetOptions::default() }).await.unwrap();
    let mut client = TcpStream::connect(net.addr("cloud").unwrap()).await.unwrap();
    assert!(next(&mut client).await.is_err());
    let events = net.events_since(0);
    let event = events.iter().find(|event| event.what.contains("is it running")).unwrap();
    assert!(event.what.contains(&upstream) && event.link.as_deref() == Some("cloud"), "{event:?}");
    until("end", || net.counters("cloud").unwrap().open == 0).await;
    assert_eq!(net.counters("cloud").unwrap().failed, 1);
}

#[tokio::test]
async fn no_more_connections_are_taken_than_allowed() {
    let bench = Bench::with(BadNetOptions { connections: 1, ..BadNetOptions::default() }).await;
    let (client, server) = bench.joined().await;
    let mut second = bench.call().await.unwrap();
    second.write_all(b"x").await.unwrap();
    assert!(timeout(QUIET, bench.server.accept()).await.is_err());
    drop((client, server));
    let (mut server, _) = timeout(PATIENCE, bench.server.accept()).await.unwrap().unwrap();
    assert_eq!(read(&mut server, 1).await, b"x");
}

#[tokio::test]
async fn what_was_decided_for_a_real_run_is_decided_again_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("decisions");
    let conditions = Conditions {
        up: Way { loss: 0.01, jitter_ms: 5, rate_kbit: 50_000, ..Way::default() },
        ..Conditions::default()
    };
    let bench = Bench::with(BadNetOptions {
        conditions,
        log: Some(log.clone()),
        ..BadNetOptions::default()
    })
    .await;
    for _ in 0..3 {
        let (mut client, mut server) = bench.joined().await;
        client.write_all(&noise(100_000)).await.unwrap();
        read(&mut server, 100_000).await;
        bench.net.profile("wan", "wifi-edge").unwrap();
        bench.net.set("wan", Conditions::default()).unwrap();
    }
    drop(bench);
    let replayed = replay(&log).unwrap();
    assert!(replayed.seed == 42 && replayed.bytes >= 300_000 && replayed.steps > 9, "{replayed:?}");
}

#[tokio::test]
async fn packets_go_both_ways_and_are_lost_doubled_and_held_back() {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let server = UdpSocket::bind(any).await.unwrap();
        let links =
            vec![LinkOptions::udp("u", any, &server.local_addr().unwrap().to_string()).unwrap()];
        let net = BadNet::start(BadNetOptions { seed: 7, links, ..BadNetOptions::default() })
            .await
            .unwrap();
        let client = UdpSocket::bind(any).await.unwrap();
        client.connect(net.addr("u").unwrap()).await.unwrap();
        let mut packet = [0; 2000];
        client.send(&[1; 1200]).await.unwrap();
        let (length, from) =
            timeout(PATIENCE, server.recv_from(&mut packet)).await.unwrap().unwrap();
        assert_eq!(length, 1200);
        server.send_to(b"answer", from).await.unwrap();
        assert_eq!(timeout(PATIENCE, client.recv(&mut packet)).await.unwrap().unwrap(), 6);

        let rough = Way { loss: 0.2, duplicate: 0.2, reorder: 0.2, delay_ms: 10, ..Way::default() };
        net.set("u", way(rough)).unwrap();
        let mut seen: Vec<u8> = Vec::new();
        for number in 0..200_u8 {
            client.send(&[number]).await.unwrap();
            sleep(Duration::from_millis(1)).await;
            while let Ok(length) = server.try_recv(&mut packet) {
                seen.extend(&packet[..length]);
            }
        }
        while let Ok(Ok(length)) = timeout(QUIET, server.recv(&mut packet)).await {
            seen.extend(&packet[..length]);
        }
        let counters = net.counters("u").unwrap();
        assert!(
            counters.lost > 15 && counters.doubled > 15 && counters.overtaken > 15,
            "{counters:?}"
        );
        assert!(!seen.is_sorted() && (100..240).contains(&seen.len()), "{seen:?}");

        net.cut("u", Cut::Hold).unwrap();
        client.send(b"x").await.unwrap();
        assert!(timeout(QUIET, server.recv(&mut packet)).await.is_err());
        net.heal("u").unwrap();
        net.set("u", Conditions::default()).unwrap();
        client.send(b"hello").await.unwrap();
        assert_eq!(timeout(PATIENCE, server.recv(&mut packet)).await.unwrap().unwrap(), 5);
    }
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let link =
        |name: &str, line: &str| LinkOptions::tcp(name, "127.0.0.1:0", "a:1").unwrap().over(line);
    let defaults = BadNetOptions::default();
    let busy = LinkOptions::tcp("cloud", &listen, "a:1").unwrap();
    let wrong = way(Way { loss: 2.0, ..Way::default() });
    for (options, named) in [
        (defaults.clone(), "there is no link"),
        (
            BadNetOptions { links: vec![busy], ..defaults.clone() },
            "end the program that uses the port",
        ),
        (BadNetOptions { links: vec![link("a", "a"); 2], ..defaults.clone() }, "named `a`"),
        (
            BadNetOptions { links: vec![link("a", "b"), link("c", "a")], ..defaults.clone() },
            "named `a`",
        ),
        (BadNetOptions { links: vec![link("a", "b c")], ..defaults.clone() }, "`b c` is no name"),
        (
            BadNetOptions {
                links: (0..33).map(|i| link(&format!("l{i}"), "x")).collect(),
                ..defaults.clone()
            },
            "33 links",
        ),
        (
            BadNetOptions { links: vec![link("a", "a")], connections: 0, ..defaults.clone() },
            "connections is 0",
        ),
        (
            BadNetOptions { links: vec![link("a", "a")], buffer: 1, ..defaults.clone() },
            "bytes of a connection is 1",
        ),
        (
            BadNetOptions { links: vec![link("a", "a")], conditions: wrong, ..defaults.clone() },
            "up.loss is 2",
        ),
        (
            BadNetOptions {
                links: vec![link("a", "a")],
                log: Some("/nowhere/log".into()),
                ..defaults
            },
            "/nowhere/log",
        ),
    ] {
        let error = BadNet::start(options).await.unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    let net = Bench::new(Conditions::default()).await.net;
    let unknown = net.cut("clout", Cut::Hold).unwrap_err().to_string();
    assert!(unknown.contains("`clout`: cloud, wan are"), "{unknown}");
    assert!(net.profile("wan", "adsl").unwrap_err().to_string().contains("adsl-512"));
    assert!(net.set("wan", way(Way { loss: 2.0, ..Way::default() })).is_err());
}

#[tokio::test]
async fn a_start_that_fails_leaves_the_decisions_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("decisions");
    let bench =
        Bench::with(BadNetOptions { log: Some(log.clone()), ..BadNetOptions::default() }).await;
    let (mut client, mut server) = bench.joined().await;
    client.write_all(&noise(10_000)).await.unwrap();
    read(&mut server, 10_000).await;
    let taken = bench.net.addr("cloud").unwrap().to_string();
    for (listen, named) in
        [(taken.as_str(), "cannot listen on"), ("127.0.0.1:0", "another badnet writes to it; end")]
    {
        // The first port is free, so that the start fails at the second.
        let links = [("a", "127.0.0.1:0"), ("b", listen)];
        let links = links.map(|(name, listen)| LinkOptions::tcp(name, listen, "a:1").unwrap());
        let options = BadNetOptions {
            links: links.into(),
            log: Some(log.clone()),
            ..BadNetOptions::default()
        };
        let error = BadNet::start(options).await.unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
        let replayed = replay(&log).unwrap();
        assert_eq!((replayed.seed, replayed.bytes), (42, 10_000));
    }
}

#[tokio::test]
async fn a_file_of_decisions_that_cannot_be_written_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for (log, named) in [
        (std::path::PathBuf::from("/dev/full"), "(os error 28); make room"),
        (folder.path().join("none/log"), "make its folder"),
        (folder.path().to_owned(), "name a file in it"),
        (file.join("log"), "name another file"),
    ] {
        let links = vec![LinkOptions::tcp("a", "127.0.0.1:0", "a:1").unwrap()];
        let options = BadNetOptions { links, log: Some(log.clone()), ..BadNetOptions::default() };
        let error = BadNet::start(options).await.unwrap_err().to_string();
        assert!(error.contains(named) && error.contains(log.to_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn a_network_that_is_dropped_frees_its_ports_and_its_connections() {
    let bench = Bench::new(Conditions::default()).await;
    let (mut client, _server) = bench.joined().await;
    let addr = bench.net.addr("cloud").unwrap();
    drop(bench.net);
    assert!(matches!(next(&mut client).await, Ok(0) | Err(_)));
    drop(client);
    until("port", || std::net::TcpListener::bind(addr).is_ok()).await;
}
