//! Tells systemd, by the protocol of sd_notify, that the agent is ready, alive or stopping. Without
//! systemd nothing is sent.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::future::pending;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// The connection to the service manager, where there is one.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    period: Option<Duration>,
}

impl Notifier {
    /// Reads the environment: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` where `WATCHDOG_PID` is this process.
    pub fn from_env() -> Self {
        let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return Self::default() };
        let text = |name| std::env::var(name).ok();
        let ours = text("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let limit = text("WATCHDOG_USEC").filter(|_| ours).and_then(|usec| usec.parse().ok());
        Self::new(&path, limit.map(Duration::from_micros)).unwrap_or_else(|e| {
            log::warn!("the service manager cannot be told anything: {}: {e}", path.display());
            Self::default()
        })
    }

    /// Sends to the socket at `path`, where `@` begins an abstract name; a sign of life at least twice
    /// within `limit`, or none without a limit.
    ///
    /// # Errors
    /// When `path` is no name of a socket, or nobody listens there.
    pub fn new(path: &OsStr, limit: Option<Duration>) -> io::Result<Self> {
        let address = match path.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(path)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A service manager that does not read must not block the agent.
        socket.set_nonblocking(true)?;
        socket.connect_addr(&address)?;
        let period = limit.map(|limit| limit / 2).filter(|period| !period.is_zero());
        Ok(Self { socket: Some(socket), period })
    }

    /// Tells that the agent has started; it need not be logged in yet.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// Tells that the agent ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Whether the service manager expects signs of life.
    pub fn is_watched(&self) -> bool {
        self.period.is_some()
    }

    /// Sends signs of life for as long as the future is polled and the agent is `healthy`.
    pub async fn stay_alive(&self, healthy: impl Fn() -> bool) -> Infallible {
        let Some(period) = self.period else { return pending().await };
        let mut beat = interval(period);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            if healthy() {
                self.tell("WATCHDOG=1");
            }
        }
    }

    fn tell(&self, state: &str) {
        if let Some(Err(e)) = self.socket.as_ref().map(|socket| socket.send(state.as_bytes())) {
            log::debug!("the service manager was not told {state}: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    /// All messages that have arrived and were not read yet.
    fn heard(manager: &UnixDatagram) -> Vec<String> {
        let mut buffer = [0; 64];
        let mut all = Vec::new();
        while let Ok(length) = manager.recv(&mut buffer) {
            all.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        all
    }

    fn manager(address: &SocketAddr) -> UnixDatagram {
        let manager = UnixDatagram::bind_addr(address).unwrap();
        manager.set_nonblocking(true).unwrap();
        manager
    }

    #[tokio::test(start_paused = true)]
    async fn the_manager_hears_twice_within_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = manager(&SocketAddr::from_pathname(&path).unwrap());
        let notifier = Notifier::new(path.as_os_str(), Some(Duration::from_secs(10))).unwrap();
        notifier.ready();
        assert_eq!(heard(&manager), ["READY=1"]);
        assert!(timeout(Duration::from_secs(21), notifier.stay_alive(|| true)).await.is_err());
        assert_eq!(heard(&manager), ["WATCHDOG=1"; 5], "at 0, 5, 10, 15 and 20 s");
        notifier.stopping();
        assert_eq!(heard(&manager), ["STOPPING=1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_is_not_healthy_is_silent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = manager(&SocketAddr::from_pathname(&path).unwrap());
        let notifier = Notifier::new(path.as_os_str(), Some(Duration::from_secs(10))).unwrap();
        assert!(timeout(Duration::from_secs(60), notifier.stay_alive(|| false)).await.is_err());
        assert!(heard(&manager).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn no_limit_means_no_sign_of_life() {
        let name = format!("ivt-notify-{}", std::process::id());
        let manager = manager(&SocketAddr::from_abstract_name(&name).unwrap());
        let notifier = Notifier::new(OsStr::new(&format!("@{name}")), None).unwrap();
        assert!(timeout(Duration::from_secs(60), notifier.stay_alive(|| true)).await.is_err());
        assert!(heard(&manager).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_manager_that_does_not_read_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = manager(&SocketAddr::from_pathname(&path).unwrap());
        let notifier = Notifier::new(path.as_os_str(), Some(Duration::from_micros(2))).unwrap();
        let alive = tokio::spawn(async move { notifier.stay_alive(|| true).await });
        for _ in 0..5_000 {
            advance(Duration::from_micros(1)).await;
        }
        assert!(!alive.is_finished());
        assert!(!heard(&manager).is_empty());
    }
}
