//! Looks names up, in bounded numbers: the system's resolver takes a thread for each question, and keeps
//! it for half a minute when no DNS server answers.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Threads that may wait for a resolver, for the names that the configuration holds and again for those
/// that the cloud names: a cloud that names silent domains does not keep us from our cameras.
const THREADS: usize = 2;
/// Longest wait for an answer.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest wait for an answer about a name whose last good address is known.
const LIMIT_WITH_GOOD: Duration = Duration::from_secs(1);
/// Most names whose last good address is remembered.
const NAMES: usize = 32;

static CONFIGURED: Lookups = Lookups::new(system);
static CLOUD: Lookups = Lookups::new(system);
/// The addresses that took a connection last, the newest first.
static GOOD: Mutex<VecDeque<(String, IpAddr)>> = Mutex::new(VecDeque::new());

/// Asks the system's resolver, which blocks.
type Ask = fn(&str) -> io::Result<Vec<SocketAddr>>;
/// What the resolver said; `None` until it has said something.
type Answer = Option<Arc<io::Result<Vec<SocketAddr>>>>;

/// The look-ups that run, with their bound.
struct Lookups {
    ask: Ask,
    threads: Semaphore,
    running: Mutex<Vec<(String, watch::Receiver<Answer>)>>,
}

/// A look-up that others may join. It is forgotten when this is dropped.
struct Lookup {
    lookups: &'static Lookups,
    name: String,
    answer: watch::Sender<Answer>,
}

/// The addresses of `host`, which is a name or an address in any notation that the system knows. When
/// the resolver fails or is silent, the address that took a connection last.
///
/// # Errors
/// The name has no address, or the resolver does not answer within 5 s.
pub(crate) async fn resolve(host: &str, port: u16, by_cloud: bool) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    // Not every system knows this name with the dot of the root.
    let host = if host.eq_ignore_ascii_case("localhost.") { "localhost" } else { host };
    let good = last_good(host);
    let limit = if good.is_some() { LIMIT_WITH_GOOD } else { LIMIT };
    let lookups = if by_cloud { &CLOUD } else { &CONFIGURED };
    let silent = || io::Error::new(io::ErrorKind::TimedOut, "the DNS server does not answer");
    let found = timeout(limit, lookups.find(host)).await.unwrap_or_else(|_| Err(silent()));
    match (found, good) {
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
    good.iter().find(|(name, _)| name == host).map(|(_, address)| *address)
}

/// Notes that an address of `host` took a connection.
pub(crate) fn works(host: &str, address: IpAddr) {
    if host.parse::<IpAddr>().is_ok() {
        return;
    }
    let mut good = lock(&GOOD);
    good.retain(|(name, _)| name != host);
    good.push_front((host.to_owned(), address));
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
                    lookup.answer.send_replace(Some(Arc::new((self.ask)(&lookup.name))));
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
        if let Some((_, answer)) = running.iter().find(|(other, _)| other == name) {
            return (None, answer.clone());
        }
        let (sender, answer) = watch::channel(None);
        running.push((name.to_owned(), answer.clone()));
        (Some(Lookup { lookups: self, name: name.to_owned(), answer: sender }), answer)
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        lock(&self.lookups.running).retain(|(name, _)| *name != self.name);
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
