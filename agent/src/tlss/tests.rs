use std::sync::Mutex;

use async_trait::async_trait;
use ivt_hal::http::{Http, Limits};
use rand::SeedableRng as _;
use tokio::io::duplex;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::connector::{ConnectError, Connection};
use super::fake::{Deployed, JPEG, LIST, MISSING, SNAPSHOT, WebServer, settings, settings_with};
use super::*;
use crate::shutdown::stopper;
use crate::testing::web_server;

const DEADLINE: Duration = Duration::from_secs(20);
const IDENTITY: &[u8] = b"mac=001323A007AD&brand=CAP&model=NS6202HD";

fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn untrusting() -> TrustStore {
    TrustStore::new(None).unwrap()
}

/// Starts the web server of a camera that has parameters, a picture, and nothing else; returns its port.
async fn camera() -> u16 {
    web_server(|request| match request.split(' ').nth(1).unwrap() {
        LIST => b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nVERSION.firmware=1\n".to_vec(),
        SNAPSHOT => [
            b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n",
            format!("{:x}\r\n", JPEG.len()).as_bytes(),
            JPEG,
            b"\r\n0\r\n\r\n",
        ]
        .concat(),
        _ => b"HTTP/1.1 404 Not Found\r\nContent-Length: 15\r\n\r\n404 - Not Found".to_vec(),
    })
    .await
}

#[tokio::test]
async fn the_deployed_server_has_its_session_over_real_sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = Http::new("127.0.0.1", camera().await, None, Limits::default());
    let camera = Camera { cgi: Some(Arc::new(http)), snapshots: Vec::new() };
    let port = listener.local_addr().unwrap().port();
    let tlss = Tlss::new(settings_with(|config| config.port = port), camera, untrusting(), rng(1))
        .unwrap();
    let (audit, mut state) = (tlss.audit(), tlss.state());
    let (stopper, stop) = stopper();
    let task = tokio::spawn(tlss.run(stop));
    let session = async {
        let (tcp, _) = listener.accept().await.unwrap();
        // The deployed server waits for 2 s; less keeps the test short.
        let mut server = Deployed::new(tcp, Duration::from_millis(200));
        assert_eq!(server.receive().await.unwrap(), IDENTITY);
        let (line, body) = server.ask(LIST).await.unwrap();
        assert_eq!((&*line, &body[..]), ("HTTP/1.1 200 OK", &b"VERSION.firmware=1\n"[..]));
        assert_eq!(server.ask(SNAPSHOT).await.unwrap().1, JPEG);
        let (line, body) = server.ask(MISSING).await.unwrap();
        assert_eq!((&*line, &body[..]), ("HTTP/1.1 404 Not Found", &b"404 - Not Found"[..]));
        assert_eq!(server.ask("/../etc/passwd").await.unwrap().0, "HTTP/1.1 403 Forbidden");
        server.send(b"done\0").await.unwrap();
        state.wait_for(|state| matches!(state, HostedState::Waiting { .. })).await.unwrap();
    };
    timeout(DEADLINE, session).await.unwrap();
    let statuses: Vec<_> =
        audit.entries().iter().map(|entry| entry.answered.unwrap().status).collect();
    assert_eq!(statuses, [200, 200, 404, 403]);
    stopper.stop();
    timeout(DEADLINE, task).await.unwrap().unwrap();
}

/// Starts a TLS server with a self-signed certificate for `localhost`; returns a file that pins the certificate
/// as well.
async fn secure_server() -> (TcpListener, tokio_rustls::TlsAcceptor, tempfile::NamedTempFile) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let pin = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(pin.path(), made.cert.pem()).unwrap();
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener, Arc::new(config).into(), pin)
}

#[tokio::test]
async fn over_tls_only_a_trusted_server_learns_who_calls() {
    let (listener, acceptor, pin) = secure_server().await;
    let port = listener.local_addr().unwrap().port();
    let pinned = TrustStore::new(Some(pin.path().into())).unwrap();
    for (host, trust, trusted) in [
        ("localhost", untrusting(), false),
        ("127.0.0.1", pinned.clone(), false),
        ("localhost", pinned, true),
    ] {
        let connector = TcpConnector::new(host, port, Some(trust));
        let serve = async {
            let (tcp, _) = listener.accept().await.unwrap();
            acceptor.accept(tcp).await.is_ok()
        };
        let (connected, served) =
            timeout(DEADLINE, async { tokio::join!(connector.connect(), serve) }).await.unwrap();
        match connected {
            Ok(_) => assert!(trusted && served, "{host}"),
            Err(error) => {
                assert!(!trusted && matches!(error, ConnectError::Tls { .. }), "{error}");
                assert!(error.to_string().contains(host), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_closed_port_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = TcpConnector::new("127.0.0.1", port, None).connect().await.err().unwrap();
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[tokio::test]
async fn our_end_of_the_connection_is_known() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connection = TcpConnector::new("127.0.0.1", port, None).connect().await.unwrap();
    assert_eq!(connection.local, Some([127, 0, 0, 1].into()));
    let _: TcpStream = listener.accept().await.unwrap().0;
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let refused = |settings| {
        let (_, camera) = WebServer::camera();
        Tlss::new(settings, camera, untrusting(), rng(0)).err().unwrap().to_string()
    };
    assert!(refused(settings_with(|config| config.brand = "a&b".into())).contains("brand"));
    let groups = vec!["everything".to_owned()];
    assert!(refused(settings_with(|config| config.write = groups)).contains("datetime"));
}

#[tokio::test(start_paused = true)]
async fn an_interface_that_comes_up_late_is_waited_for() {
    let interfaces = tempfile::tempdir().unwrap();
    let memory = Arc::new(Memory { brief: true, ..Memory::default() });
    memory.up.send_replace(true);
    let unnamed = settings_with(|config| config.mac = None);
    let (_, camera) = WebServer::camera();
    let connector = Arc::new(Way(memory.clone()));
    let mut tlss = Tlss::with_connector(unnamed, camera, connector, rng(1)).unwrap();
    tlss.interfaces = Some(interfaces.path().into());
    let state = tlss.state();
    let (stopper, stop) = stopper();
    let task = tokio::spawn(tlss.run(stop));
    sleep(Duration::from_secs(100)).await;
    assert!(memory.take_calls().is_empty(), "nobody to be");
    let HostedState::Waiting { last, .. } = state.borrow().clone() else { panic!("waits") };
    assert!(last.contains("interface"), "{last}");
    setup::tests::interface(interfaces.path(), "eth0", 2, "00:13:23:a0:07:ad", "0", true);
    sleep(Duration::from_secs(31)).await;
    assert_eq!(memory.take_calls().len(), 1);
    assert_eq!(*memory.identities.lock().unwrap(), [IDENTITY]);
    stopper.stop();
    task.await.unwrap();
}

/// A server in memory, with the moment of each call and whether the server was up.
#[derive(Default)]
struct Memory {
    up: watch::Sender<bool>,
    calls: Mutex<Vec<(Instant, bool)>>,
    /// The identity sent in each call.
    identities: Mutex<Vec<Vec<u8>>>,
    /// Whether each session ends at once.
    brief: bool,
}

impl Memory {
    fn start(self: &Arc<Self>, seed: u64) -> tokio::task::JoinHandle<()> {
        let (_, camera) = WebServer::camera();
        let connector = Arc::new(Way(self.clone()));
        let tlss = Tlss::with_connector(settings(), camera, connector, rng(seed)).unwrap();
        let (stopper, stop) = stopper();
        tokio::spawn(async move {
            tlss.run(stop).await;
            drop(stopper);
        })
    }

    fn take_calls(&self) -> Vec<(Instant, bool)> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

struct Way(Arc<Memory>);

#[async_trait]
impl Connector for Way {
    async fn connect(&self) -> Result<Connection, ConnectError> {
        let mut up = self.0.up.subscribe();
        let there = *up.borrow_and_update();
        self.0.calls.lock().unwrap().push((Instant::now(), there));
        if !there {
            return Err(ConnectError::Timeout { peer: "memory".into() });
        }
        let (ours, theirs) = duplex(4096);
        let memory = self.0.clone();
        tokio::spawn(async move {
            let mut server = Deployed::new(theirs, Duration::from_millis(10));
            let identity = server.receive().await.unwrap();
            memory.identities.lock().unwrap().push(identity);
            if memory.brief {
                server.send(b"done").await.unwrap();
                return;
            }
            loop {
                tokio::select! {
                    _ = up.changed() => return,
                    () = sleep(Duration::from_secs(5)) => drop(server.ask(LIST).await.unwrap()),
                }
            }
        });
        Ok(Connection { stream: Box::new(ours), local: None })
    }
}

#[tokio::test(start_paused = true)]
async fn after_done_the_next_call_is_due_one_interval_later() {
    let memory = Arc::new(Memory { brief: true, ..Memory::default() });
    memory.up.send_replace(true);
    let task = memory.start(1);
    sleep(Duration::from_secs(600)).await;
    let calls = memory.take_calls();
    let gaps: Vec<_> = calls.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps.len() >= 8, "{gaps:?}");
    for gap in gaps {
        assert!((53.9..=66.1).contains(&gap.as_secs_f64()), "{gap:?}");
    }
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_it_whatever_it_is_doing() {
    for there in [true, false] {
        let memory = Arc::new(Memory::default());
        memory.up.send_replace(there);
        let (_, camera) = WebServer::camera();
        let tlss = Tlss::with_connector(settings(), camera, Arc::new(Way(memory.clone())), rng(2))
            .unwrap();
        let (stopper, stop) = stopper();
        let task = tokio::spawn(tlss.run(stop));
        sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        stopper.stop();
        task.await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(10), "{there}");
    }
}

/// The most calls in any one second.
fn peak(calls: &[(Instant, bool)]) -> usize {
    let mut first = 0;
    let widths = calls.iter().enumerate().map(|(last, (at, _))| {
        while *at - calls[first].0 >= Duration::from_secs(1) {
            first += 1;
        }
        last + 1 - first
    });
    widths.max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn a_thousand_devices_do_not_call_together_when_their_server_comes_back() {
    const DEVICES: usize = 1_000;
    for outage in [Duration::ZERO, Duration::from_secs(60)] {
        let memory = Arc::new(Memory::default());
        memory.up.send_replace(true);
        let devices: Vec<_> = (0..DEVICES).map(|seed| memory.start(seed as u64)).collect();
        sleep(Duration::from_secs(30)).await;
        assert_eq!(memory.take_calls().len(), DEVICES, "all are in a session");
        memory.up.send_replace(false);
        sleep(outage).await;
        memory.up.send_replace(true);
        sleep(Duration::from_secs(180)).await;
        let calls = memory.take_calls();
        let peak = peak(&calls);
        assert!(peak <= DEVICES * 15 / 100, "{outage:?}: {peak} calls in a second");
        let back = calls.iter().filter(|(_, there)| *there).count();
        assert_eq!(back, DEVICES, "{outage:?}: each is back, and stays");
        devices.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
