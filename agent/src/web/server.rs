//! The page's server: listens where the configuration says, beside that where the page moves to, and takes connections in.

use std::convert::Infallible;
use std::future::pending;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ivt_base::byte_stream::ByteStream;
use ivt_base::task::work;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connections::{Connections, Seat};
use super::guard::Way;
use super::moves::{Phase, TRIAL, is_same_place};
use super::serving::{Purpose, Served, Serving};
use super::site::Site;
use super::sockets::{self, Listening, listen, places};
use super::{admission, https, interfaces};
use crate::config::{Listen, PagePlace as Place, Web};
use crate::shutdown::Stop;

/// How long the head of a call, and the agreement on encryption, may take; also how long an unused connection is kept.
const HEAD: Duration = Duration::from_secs(10);
/// Longest head of a call, in bytes.
const LONGEST_HEAD: usize = 16 << 10;
/// How long a browser may take nothing of what it is sent.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the server waits before it tries again to listen.
const AGAIN: Duration = Duration::from_secs(10);

/// Serves the page where it is `wanted`, until `stop`.
pub(super) async fn run(site: Arc<Site>, mut wanted: watch::Receiver<Option<Web>>, mut stop: Stop) {
    let mut server = Server::new(site);
    loop {
        let web = wanted.borrow_and_update().clone();
        let is_there = server.turn_to(web).await;
        loop {
            let until = match server.site.moves.phase() {
                Phase::Trial { until, .. } => Some(until),
                _ => None,
            };
            let late = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None if is_there => pending().await,
                    None => sleep(AGAIN).await,
                }
            };
            tokio::select! {
                // The sender lives as long as this task is waited for.
                _ = wanted.changed() => break,
                () = server.site.moves.confirmed.notified() => server.keep(),
                () = late => match until {
                    Some(_) => server.end_trial().await,
                    None => break,
                },
                () = stop.requested() => return,
            }
        }
    }
}

struct Server {
    site: Arc<Site>,
    serving: Arc<Mutex<Serving>>,
    connections: Connections,
    listening: Vec<Listening>,
    tasks: JoinSet<()>,
}

impl Server {
    fn new(site: Arc<Site>) -> Self {
        let (serving, connections, tasks) = Default::default();
        Self { site, serving, connections, listening: Vec::new(), tasks }
    }

    /// Serves the page as it is wanted, or begins its trial there. False if that has to be tried again.
    async fn turn_to(&mut self, web: Option<Web>) -> bool {
        let Some(web) = web else {
            *lock(&self.serving) = Serving::default();
            self.listening.clear();
            return true;
        };
        let Serving { now, trial } = lock(&self.serving).clone();
        let moves = now.as_ref().is_some_and(|now| !is_same_place(&now.web, &web));
        let is_announced = self.site.moves.is_announced();
        let is_tried = trial.is_some_and(|trial| is_same_place(&trial.web, &web));
        match self.opened(&web).await {
            // Something else has changed meanwhile.
            Ok(served) if is_tried => {
                lock(&self.serving).trial = Some(served);
                true
            }
            Ok(served) if moves && is_announced => {
                log::info!("the page: also at {}, until that is confirmed", self.place(&served));
                lock(&self.serving).trial = Some(served);
                let until = Instant::now() + TRIAL;
                self.site.moves.set(Phase::Trial { web: Box::new(web), until });
                true
            }
            Ok(served) => {
                if now.is_none() || moves {
                    log::info!("the page: {}", self.place(&served));
                }
                *lock(&self.serving) = Serving { now: Some(served), trial: None };
                self.tidy();
                if matches!(self.site.moves.phase(), Phase::Trial { .. }) {
                    self.site.moves.forget(Phase::Still).await;
                }
                true
            }
            Err(e) if moves && is_announced => {
                self.give_up(e).await;
                true
            }
            Err(e) => {
                log::error!("the page: {e}");
                self.tidy();
                false
            }
        }
    }

    /// The new place is the page's from now on.
    fn keep(&mut self) {
        {
            let mut serving = lock(&self.serving);
            if let Some(served) = serving.trial.take() {
                log::info!("the page: its new address is confirmed");
                serving.now = Some(served);
            }
        }
        self.tidy();
    }

    /// The time is over in which the new place had to be confirmed.
    async fn end_trial(&mut self) {
        match self.site.moves.settle() {
            true => self.give_up("nobody confirmed it there in time".into()).await,
            // It was confirmed a moment ago.
            false => self.keep(),
        }
    }

    async fn give_up(&mut self, reason: String) {
        lock(&self.serving).trial = None;
        self.tidy();
        self.site.moves.take_back(reason).await;
    }

    /// Listens where `web` is found, beside what is there.
    async fn opened(&mut self, web: &Web) -> Result<Served, String> {
        let tls = match web.https {
            true => Some(https::acceptor(web, &self.site.store).await.map_err(|e| e.to_string())?),
            false => None,
        };
        for at in places(web) {
            if self.listening.iter().any(|listening| listening.at == at) {
                continue;
            }
            let socket = Arc::new(listen(&at, &self.listening)?);
            let accepting = accept(
                Arc::clone(&self.site),
                Arc::clone(&self.serving),
                self.connections.clone(),
                Arc::clone(&socket),
                at.clone(),
            );
            let task = self.tasks.spawn(work(accepting));
            self.listening.push(Listening { at, socket, task });
        }
        Ok(Served { web: Arc::new(web.clone()), tls, port: sockets::port(web, &self.listening) })
    }

    /// Closes what is not needed any more.
    fn tidy(&mut self) {
        let needed = lock(&self.serving).places();
        self.listening.retain(|listening| needed.contains(&listening.at));
        while self.tasks.try_join_next().is_some() {}
    }

    /// Where a page is found, for the log.
    fn place(&self, served: &Served) -> String {
        let urls = sockets::urls(&served.web, served.port);
        urls.first().map_or_else(|| served.web.listen.to_string(), |url| format!("{url}/"))
    }
}

async fn accept(
    site: Arc<Site>,
    serving: Arc<Mutex<Serving>>,
    connections: Connections,
    listener: Arc<TcpListener>,
    at: Listen,
) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let peer = peer.ip().to_canonical();
                    let Ok(local) = socket.local_addr() else { continue };
                    let (local, port) = (local.ip().to_canonical(), local.port());
                    let is_wanted = at.place != Place::Lan
                        || interfaces::is_near(peer, local, &interfaces::own());
                    if !is_wanted {
                        log::debug!("the page: {peer} is in no local network");
                        continue;
                    }
                    let Some(seat) = connections.enter(peer.into()) else { continue };
                    let (site, serving, at) = (Arc::clone(&site), Arc::clone(&serving), at.clone());
                    let way = Way { local, port, is_secure: false, is_on_trial: false };
                    running.spawn(work(connection(site, serving, at, socket, peer, way, seat)));
                }
                // There is no room for another socket at the moment.
                Err(_) => sleep(Duration::from_millis(100)).await,
            },
            Some(_) = running.join_next() => {}
        }
    }
}

async fn connection(
    site: Arc<Site>,
    serving: Arc<Mutex<Serving>>,
    at: Listen,
    socket: TcpStream,
    peer: IpAddr,
    way: Way,
    mut seat: Seat,
) {
    let known = seat.known();
    let served = async {
        sockets::prepare(&socket, PATIENCE);
        let is_any_secure = lock(&serving).is_any_secure();
        let is_secure = is_any_secure && timeout(HEAD, is_encrypted(&socket)).await.ok()?;
        let purpose = lock(&serving).purpose(&at, is_secure)?;
        match purpose {
            Purpose::Page { served, tls: Some(tls), is_on_trial } => {
                let socket = timeout(HEAD, tls.accept(socket)).await.ok()?.ok()?;
                let way = Way { is_secure: true, is_on_trial, ..way };
                talk(site, served, Box::new(socket), peer, way, false, known).await
            }
            Purpose::Page { served, tls: None, is_on_trial } => {
                let way = Way { is_on_trial, ..way };
                talk(site, served, Box::new(socket), peer, way, false, known).await
            }
            Purpose::Redirect(served) => {
                talk(site, served, Box::new(socket), peer, way, true, known).await
            }
        }
        Some(())
    };
    tokio::select! {
        _ = served => {}
        () = seat.taken() => log::debug!("the page: {peer} makes way"),
    }
}

/// Whether a connection begins as encrypted ones do.
async fn is_encrypted(socket: &TcpStream) -> bool {
    /// First byte of a handshake's record.
    const HANDSHAKE: u8 = 0x16;
    let mut first = [0];
    matches!(socket.peek(&mut first).await, Ok(1)) && first[0] == HANDSHAKE
}

/// Answers the calls of a connection.
async fn talk(
    site: Arc<Site>,
    served: Served,
    socket: Box<dyn ByteStream>,
    peer: IpAddr,
    way: Way,
    is_redirect: bool,
    known: impl Fn() + Send + Sync + 'static,
) {
    let (web, port, known) = (served.web, served.port, Arc::new(known));
    let service = service_fn(move |request: Request<Incoming>| {
        let (site, web, known) = (Arc::clone(&site), Arc::clone(&web), Arc::clone(&known));
        async move {
            let answer = match is_redirect {
                true => admission::redirect(request, way, &web, port),
                false => admission::answer(site, &web, peer, way, request, &*known).await,
            };
            Ok::<_, Infallible>(answer)
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LONGEST_HEAD);
    if let Err(e) = server.serve_connection(TokioIo::new(socket), service).await {
        log::debug!("the page: {peer}: {e}");
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
