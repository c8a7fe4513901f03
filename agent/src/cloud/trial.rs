//! Tries a login at a cloud hop by hop, up to the first answer to a Keepalive, and serves nothing.

use std::net::IpAddr;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use ivt_base::address_rule::AddressRule;
use ivt_base::byte_stream::ByteStream;
use ivt_base::dial::addresses;
use ivt_base::mask::mask;
use ivt_base::tls::{self, Certificate};
use ivt_proto::rpc::message::Call;
use ivt_proto::rpc::{Options, Peer, Violation};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::dial::{Dial as _, DialError, Socket, TcpDial, connect};
use super::fault;
use super::link::{CLOSE_TIMEOUT, Reason, now};
use super::login::CloudLogin;
use super::progress::{Progress, Seen, Step, Trouble};
use super::status::KeepaliveSource;
use crate::tls::TrustStore;

/// How long the name may take.
const NAME: Duration = Duration::from_secs(8);
/// How long TCP and TLS may take where the login is not tried.
const REACH: Duration = Duration::from_secs(10);
/// How long the cloud may take to answer the Keepalive.
const ANSWER: Duration = Duration::from_secs(20);

/// A login to try.
pub(crate) struct Trial {
    pub(crate) login: CloudLogin,
    pub(crate) trust: TrustStore,
    /// Where the cloud may redirect to.
    pub(crate) rule: AddressRule,
    pub(crate) options: Options,
    /// Tells the cloud how the channels are, as later.
    pub(crate) keepalives: KeepaliveSource,
}

/// What is told of a hop.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    /// The hop begins.
    Begun(Step),
    /// The hop works, and took so long.
    Passed(Step, Duration, Detail),
    /// The hop fails, after so long.
    Failed(Duration, Trouble),
}

/// What was learnt at a hop.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Detail {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) certificate: Option<Certificate>,
}

impl Trial {
    /// Tries all hops, and tells of each; returns whether all of them work. Takes 40 s at most.
    pub(crate) async fn run(self, tell: impl Fn(Told)) -> bool {
        let hops = Hops { tell, since: Instant::now(), at: Step::Name };
        self.name_and_login(hops).await.is_ok()
    }

    async fn name_and_login(self, mut hops: Hops<impl Fn(Told)>) -> Result<(), Failed> {
        find(&self.login.host, self.login.port, &mut hops).await?;
        let Self { login, trust, rule, options, keepalives } = self;
        let secure = login.secure;
        let dial = TcpDial::new(login, trust).by_rule(rule);
        let progress = dial.progress();
        let mut seen = progress.seen();
        seen.mark_unchanged();
        let mut dialling = dial.dial();
        let dialled = loop {
            tokio::select! {
                biased;
                dialled = &mut dialling => break dialled,
                // The sender is `progress`, so that waiting cannot fail.
                _ = seen.changed() => hops.follow(&seen.borrow_and_update().clone(), secure),
            }
        };
        match dialled {
            Ok(socket) => {
                hops.follow(&seen.borrow().clone(), secure);
                hops.pass(Detail::default(), Step::Keepalive);
                if let Err(reason) = answered(socket, options, &keepalives).await {
                    progress.ended(fault::of_link(&reason, false), &mask(&reason.to_string()));
                    return Err(hops.fail(&progress));
                }
                hops.last(Detail::default());
                Ok(())
            }
            Err(error) => Err(hops.failed(&progress, &error, secure)),
        }
    }
}

/// A server that is reached before anything is said to it.
#[derive(Clone, Copy)]
pub(crate) struct Server<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// Whom to trust, where the connection is to be encrypted.
    pub(crate) trust: Option<&'a TrustStore>,
}

/// Tries the hops before a login, and tells of each; returns the connection. Takes 20 s at most.
pub(crate) async fn reach(server: Server<'_>, tell: impl Fn(Told)) -> Option<Box<dyn ByteStream>> {
    let mut hops = Hops { tell, since: Instant::now(), at: Step::Name };
    find(server.host, server.port, &mut hops).await.ok()?;
    let secure = server.trust.is_some();
    let progress = Progress::default();
    progress.begin(Step::Tcp);
    match timeout(REACH, open(server, &progress)).await.unwrap_or(Err(DialError::Timeout)) {
        Ok(stream) => {
            progress.begin(Step::Login);
            hops.behind(&progress.seen().borrow().clone(), secure);
            Some(stream)
        }
        Err(error) => {
            hops.failed(&progress, &error, secure);
            None
        }
    }
}

async fn open(server: Server<'_>, progress: &Progress) -> Result<Box<dyn ByteStream>, DialError> {
    let Server { host, port, trust } = server;
    let tcp = connect(host, port, Instant::now() + REACH, None).await?;
    progress.connected(tcp.peer_addr().ok(), Step::Tls);
    let Some(trust) = trust else { return Ok(Box::new(tcp)) };
    let failed = |source| DialError::Tls { host: host.to_owned(), source };
    let config = trust.config().await.map_err(failed)?;
    let stream = tls::connect(config, host, tcp).await.map_err(failed)?;
    progress.encrypted(&stream);
    Ok(Box::new(stream))
}

/// Looks a name up.
async fn find(host: &str, port: u16, hops: &mut Hops<impl Fn(Told)>) -> Result<(), Failed> {
    (hops.tell)(Told::Begun(Step::Name));
    match addresses(host, port, Instant::now() + NAME).await {
        Ok(found) => {
            let addresses = found.iter().map(|address| address.ip()).collect();
            hops.pass(Detail { addresses, ..Detail::default() }, Step::Tcp);
            Ok(())
        }
        Err(source) => {
            let host = host.to_owned();
            Err(hops.failed(&Progress::default(), &DialError::Resolve { host, source }, false))
        }
    }
}

/// Sends a Keepalive, and waits for its answer.
async fn answered(
    mut socket: Socket,
    options: Options,
    keepalives: &KeepaliveSource,
) -> Result<(), Reason> {
    let answered = timeout(ANSWER, exchange(&mut socket, options, keepalives)).await;
    timeout(CLOSE_TIMEOUT, socket.close(None)).await.ok();
    let silent = || Err(Violation::NoAnswer { method: "Keepalive".into(), seq: 0 }.into());
    answered.unwrap_or_else(|_| silent())
}

async fn exchange(
    socket: &mut Socket,
    options: Options,
    keepalives: &KeepaliveSource,
) -> Result<(), Reason> {
    let mut peer = Peer::new(options);
    let call = Call::from(keepalives.keepalive());
    // Only a Keepalive that is too long is refused, and the longest one is not.
    peer.call(now(), call.method(), call.params()).ok();
    while let Some(text) = peer.poll_transmit() {
        socket.send(Message::text(text)).await?;
    }
    while peer.poll_reply().is_none() {
        // What the cloud asks for meanwhile is left to the connection that is served.
        match socket.next().await.ok_or(Reason::Closed)?? {
            Message::Text(text) => peer.handle_text(now(), &text)?,
            Message::Binary(bytes) => {
                let text = str::from_utf8(&bytes).map_err(|_| Reason::Binary)?;
                peer.handle_text(now(), text)?;
            }
            Message::Close(Some(frame)) => return Err(Reason::ClosedWith(frame.into())),
            Message::Close(None) => return Err(Reason::Closed),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    Ok(())
}

/// The trial ends at a hop, which was told.
struct Failed;

/// The hop that is under way.
struct Hops<F> {
    tell: F,
    since: Instant,
    at: Step,
}

impl<F: Fn(Told)> Hops<F> {
    /// The hop works; the next one begins.
    fn pass(&mut self, detail: Detail, next: Step) {
        (self.tell)(Told::Passed(self.at, self.since.elapsed(), detail));
        (self.since, self.at) = (Instant::now(), next);
        (self.tell)(Told::Begun(next));
    }

    /// Tells that the hops before the login work.
    fn behind(&mut self, seen: &Seen, secure: bool) {
        let certificate = seen.certificate.clone();
        let addresses = seen.peer.iter().map(|peer| peer.ip()).collect();
        if secure {
            self.pass(Detail { addresses, ..Detail::default() }, Step::Tls);
            self.last(Detail { certificate, ..Detail::default() });
        } else {
            self.last(Detail { addresses, ..Detail::default() });
        }
    }

    /// The last hop works.
    fn last(&mut self, detail: Detail) {
        (self.tell)(Told::Passed(self.at, self.since.elapsed(), detail));
    }

    /// Tells of the hops that a dialled connection has left behind.
    fn follow(&mut self, seen: &Seen, secure: bool) {
        if self.at == Step::Tcp && seen.step > Step::Tcp {
            let addresses = seen.peer.iter().map(|peer| peer.ip()).collect();
            let next = if secure { Step::Tls } else { Step::Login };
            self.pass(Detail { addresses, ..Detail::default() }, next);
        }
        if self.at == Step::Tls && seen.step > Step::Tls {
            let certificate = seen.certificate.clone();
            self.pass(Detail { certificate, ..Detail::default() }, Step::Login);
        }
    }

    fn failed(&mut self, progress: &Progress, error: &DialError, secure: bool) -> Failed {
        progress.ended(fault::of_dial(error, progress.step()), &mask(&error.to_string()));
        self.follow(&progress.seen().borrow().clone(), secure);
        self.fail(progress)
    }

    fn fail(&mut self, progress: &Progress) -> Failed {
        let trouble = progress.seen().borrow().trouble.clone();
        if let Some(mut trouble) = trouble {
            if trouble.step == Step::Network {
                trouble.step = Step::Tcp;
            } else if trouble.step < self.at && self.at == Step::Tcp {
                // The name was found before.
                (trouble.step, trouble.reason) = (Step::Tcp, "no_answer");
            }
            // The advice is about names of settings; whoever tries has them before their eyes.
            let said = trouble.said.split("; check ").next().unwrap_or_default().into();
            (self.tell)(Told::Failed(self.since.elapsed(), Trouble { said, ..trouble }));
        }
        Failed
    }
}
