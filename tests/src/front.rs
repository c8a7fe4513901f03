//! Fronts of a server: TLS, or a network that breaks connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

/// Carries connections to a server.
pub struct Front {
    addr: SocketAddr,
    authority: Arc<NamedTempFile>,
    tls: Option<TlsAcceptor>,
    seen: Arc<Mutex<Seen>>,
    cut: watch::Sender<Option<Cut>>,
    _tasks: JoinSet<()>,
}

/// What has come to a front so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The first byte of each connection.
    pub first: Vec<u8>,
    /// Number of connections that were carried on to the server.
    pub carried: usize,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// By FIN, as a process closes that exits.
    Close,
    /// By RST, as a router resets that has forgotten the connection.
    Reset,
}

impl Front {
    /// Carries connections from a free port to `server`.
    pub async fn plain(server: SocketAddr) -> Self {
        Self::start(server, None, NamedTempFile::new().unwrap().into()).await
    }

    /// Takes TLS off, with a new certificate for `localhost`, and carries connections to `server`.
    pub async fn tls(server: SocketAddr) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let authority = NamedTempFile::new().unwrap();
        std::fs::write(authority.path(), made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self::start(server, Some(Arc::new(config).into()), authority.into()).await
    }

    /// Another front, with the same certificate, for another server.
    pub async fn beside(&self, server: SocketAddr) -> Self {
        Self::start(server, self.tls.clone(), self.authority.clone()).await
    }

    async fn start(
        server: SocketAddr,
        tls: Option<TlsAcceptor>,
        authority: Arc<NamedTempFile>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (seen, cut) = (Arc::<Mutex<Seen>>::default(), watch::Sender::new(None));
        let (report, cuts, acceptor) = (seen.clone(), cut.clone(), tls.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (tls, report, mut cut) = (acceptor.clone(), report.clone(), cuts.subscribe());
                cut.mark_unchanged();
                connections.spawn(async move {
                    let mut first = [0];
                    let n = client.peek(&mut first).await.unwrap_or(0);
                    report.lock().unwrap().first.extend(&first[..n]);
                    match tls {
                        Some(tls) => {
                            let Ok(client) = tls.accept(client).await else { return };
                            carry(client, server, &report, &mut cut, |client| client.get_ref().0)
                                .await;
                        }
                        None => carry(client, server, &report, &mut cut, |client| client).await,
                    }
                });
            }
        });
        Self { addr, authority, tls, seen, cut, _tasks: tasks }
    }

    /// The address of the front.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The PEM file of the authority of the front's certificate.
    pub fn authority(&self) -> &str {
        self.authority.path().to_str().unwrap()
    }

    /// The connections that have come so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Ends every open connection.
    pub fn cut(&self, cut: Cut) {
        self.cut.send_replace(Some(cut));
    }
}

async fn carry<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: S,
    server: SocketAddr,
    seen: &Mutex<Seen>,
    cut: &mut watch::Receiver<Option<Cut>>,
    tcp: impl Fn(&S) -> &TcpStream,
) {
    seen.lock().unwrap().carried += 1;
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = cut.changed() => if *cut.borrow() == Some(Cut::Reset) {
            tcp(&client).set_zero_linger().unwrap();
        }
    }
}
