//! Looks names up, in bounded numbers: the system's resolver takes a thread for each question, and keeps
//! it for half a minute when no DNS server answers.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::task::spawn_blocking;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// Threads that may wait for a resolver, for each kind of names: neither a cloud that names silent domains
/// nor cameras with silent names keep us from our servers.
const THREADS: usize = 2;
/// Longest wait for an answer: the system asks its second DNS server after 5 s, and those who connect have
/// 10 s.
const LIMIT: Duration = Duration::from_secs(8);
/// Longest wait for an answer about a name whose last address took the last connection, too.
const LIMIT_WITH_GOOD: Duration = Duration::from_secs(1);
/// Answers that took this long are kept, as they may have come too late for those who asked.
const SLOW: Duration = Duration::from_millis(500);
/// How long they are kept.
const KEPT: Duration = Duration::from_secs(60);
/// Most names whose last good address is remembered.
const NAMES: usize = 32;

/// Look-ups of the servers in the configuration.
pub(crate) static SERVERS: Lookups = Lookups::new(system);
/// Look-ups of the cameras in the configuration.
pub(crate) static CAMERAS: Lookups = Lookups::new(system);
/// Look-ups of what the cloud names.
pub(crate) static CLOUD: Lookups = Lookups::new(system);
/// The addresses that took a connection last, the newest first.
static GOOD: Mutex<VecDeque<Good>> = Mutex::new(VecDeque::new());

/// Asks the system's resolver, which blocks.
type Ask = fn(&str) -> io::Result<Vec<SocketAddr>>;
/// What the resolver said; `None` until it has said something.
type Answer = Option<Arc<io::Result<Vec<SocketAddr>>>>;

/// An address that took a connection.
struct Good {
    name: String,
    address: IpAddr,
    /// Whether a connection to the name was begun since, and none was made.
    doubted: bool,
}

/// The look-ups of one kind of names, with their bound.
pub(crate) struct Lookups {
    ask: Ask,
    threads: Semaphore,
    running: Mutex<Vec<Running>>,
}

/// A look-up that runs, or whose answer is kept.
struct Running {
    name: String,
    answer: watch::Receiver<Answer>,
    /// Until when the answer is kept; `None` while the look-up runs.
    until: Option<Instant>,
}

/// A look-up that others may join. It is forgotten when this is dropped, unless its answer is kept.
struct Lookup {
    lookups: &'static Lookups,
    name: String,
    begun: Instant,
    answer: watch::Sender<Answer>,
}

/// The addresses of `host`, which is a name or an address in any notation that the system knows. When
/// the resolver fails or is silent, the address that took a connection last.
///
/// # Errors
/// The name has no address, or the resolver does not answer within 8 s.
pub(crate) async fn resolve(
    host: &str,
    port: u16,
    lookups: &'static Lookups,
) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    // Not every system knows this name with the dot of the root.
    let host = if host.eq_ignore_ascii_case("localhost.") { "localhost" } else { host };
    let is_good = |good: &Good| good.name == host && !good.doubted;
    let limit = if lock(&GOOD).iter().any(is_good) { LIMIT_WITH_GOOD } else { LIMIT };
    let silent = || io::Error::new(io::ErrorKind::TimedOut, "the DNS server does not answer");
    let found = timeout(limit, lookups.find(host)).await.unwrap_or_else(|_| Err(silent()));
    match (found, last_good(host)) {
        (Ok(mut addresses), _) => {
            addresses.iter_mut().for_each(|address| address.set_port(port));
            Ok(addresses)
        }
        (Err(_), Some(good)) => Ok(vec![SocketAddr::new(good, port)]),
        (Err(error), None) => Err(error),
    }
}

/// The address of `host` that took a connection last.
pub(crate) fn last_good(host: &str) -> Option<IpAddr> {
    let good = lock(&GOOD);
    good.iter().find(|good| good.name == host).map(|good| good.address)
}

/// Notes that a connection to `host` is begun. Until one is made, the resolver has its full time to tell
/// where the host has moved.
pub(crate) fn doubt(host: &str) {
    lock(&GOOD).iter_mut().filter(|good| good.name == host).for_each(|good| good.doubted = true);
}

/// Notes that an address of `host` took a connection.
pub(crate) fn works(host: &str, address: IpAddr) {
    if host.parse::<IpAddr>().is_ok() {
        return;
    }
    remember(&mut lock(&GOOD), host, address);
}

fn remember(good: &mut VecDeque<Good>, host: &str, address: IpAddr) {
    good.retain(|good| good.name != host);
    good.push_front(Good { name: host.to_owned(), address, doubted: false });
    good.truncate(NAMES);
}

impl Lookups {
    const fn new(ask: Ask) -> Self {
        Self { ask, threads: Semaphore::const_new(THREADS), running: Mutex::new(Vec::new()) }
    }

    /// Joins the look-up of this name that runs, or begins one. A thread that a silent resolver holds
    /// counts until it is free, whoever still waits for it.
    async fn find(&'static self, name: &str) -> io::Result<Vec<SocketAddr>> {
        loop {
            let (begun, mut answer) = self.join(name);
            if let Some(lookup) = begun {
                let Ok(thread) = self.threads.acquire().await else { continue };
                spawn_blocking(move || {
                    let _thread = thread;
                    let answer = (self.ask)(&lookup.name);
                    if answer.is_ok() && lookup.begun.elapsed() >= SLOW {
                        lookup.keep();
                    }
                    lookup.answer.send_replace(Some(Arc::new(answer)));
                });
            }
            // A look-up whose beginner went away before it had a thread is begun anew.
            let Ok(answer) = answer.wait_for(Option::is_some).await else { continue };
            let Some(answer) = &*answer else { continue };
            return match &**answer {
                Ok(addresses) => Ok(addresses.clone()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
        }
    }

    fn join(&'static self, name: &str) -> (Option<Lookup>, watch::Receiver<Answer>) {
        let mut running = lock(&self.running);
        running.retain(|other| other.until.is_none_or(|until| until > Instant::now()));
        if let Some(other) = running.iter().find(|other| other.name == name) {
            return (None, other.answer.clone());
        }
        let (sender, answer) = watch::channel(None);
        running.push(Running { name: name.to_owned(), answer: answer.clone(), until: None });
        let (name, begun) = (name.to_owned(), Instant::now());
        (Some(Lookup { lookups: self, name, begun, answer: sender }), answer)
    }
}

impl Lookup {
    /// Leaves the answer to those who ask within the next minute.
    fn keep(&self) {
        let mut running = lock(&self.lookups.running);
        let own = running.iter_mut().filter(|other| other.name == self.name);
        own.for_each(|own| own.until = Some(Instant::now() + KEPT));
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let mut running = lock(&self.lookups.running);
        running.retain(|other| other.name != self.name || other.until.is_some());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn system(name: &str) -> io::Result<Vec<SocketAddr>> {
    #[cfg(any(test, feature = "testing"))]
    if let Some(addresses) = testing::addresses(name) {
        return Ok(addresses);
    }
    (name, 0).to_socket_addrs().map(Iterator::collect)
}

/// Names that tests make up.
#[cfg(any(test, feature = "testing"))]
pub mod testing {
    use super::*;

    static NAMES: Mutex<Vec<(String, VecDeque<Vec<IpAddr>>)>> = Mutex::new(Vec::new());

    /// Answers each question for `name` with the next of these lists, and with the last one for ever.
    pub fn answer(name: &str, answers: &[&[IpAddr]]) {
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        lock(&NAMES).push((name.to_owned(), answers));
    }

    /// Takes all threads of these look-ups, as silent names do.
    #[cfg(test)]
    pub(crate) async fn silence(
        lookups: &'static Lookups,
    ) -> tokio::sync::SemaphorePermit<'static> {
        lookups.threads.acquire_many(THREADS as u32).await.unwrap()
    }

    pub(super) fn addresses(name: &str) -> Option<Vec<SocketAddr>> {
        let mut names = lock(&NAMES);
        let (_, answers) = names.iter_mut().find(|(known, _)| known == name)?;
        let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Some(next?.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
    }
}

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
