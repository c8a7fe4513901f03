//! The control socket of wpa_supplicant: one command, one answer, and messages that nobody asked for in between.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram as Std};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::time::{Instant, timeout_at};

use crate::{Error, Kind};

/// How long wpa_supplicant may take to answer.
const ANSWER: Duration = Duration::from_secs(3);
/// Most bytes of an answer; wpa_supplicant cuts its own at 4096.
const LONGEST: usize = 8192;

/// One connection. It receives from an abstract address, of which nothing is left on the disk.
pub(super) struct Control {
    socket: UnixDatagram,
    path: PathBuf,
    /// Whether wpa_supplicant told that a scan has ended.
    scanned: bool,
}

/// What came of a command.
pub(super) type Told<T> = Result<T, Failure>;

/// Why wpa_supplicant did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(
        "there is no control socket {}: is wpa_supplicant running, with ctrl_interface in its configuration?",
        .place.display()
    )]
    Absent { place: PathBuf },
    #[error("{}: {source}; who may use it is told by ctrl_interface of wpa_supplicant", .path.display())]
    Socket { path: PathBuf, source: io::Error },
    #[error("{}: wpa_supplicant does not answer {command} within {} s", .path.display(), ANSWER.as_secs())]
    Silent { path: PathBuf, command: String },
    #[error("wpa_supplicant refuses {command}")]
    Refused { command: String },
    #[error("wpa_supplicant does not keep the network: set update_config=1 in its configuration")]
    NotKept,
    #[error("the network before is not known to wpa_supplicant any more")]
    Gone,
}

impl Failure {
    pub(super) fn of(self, op: &'static str) -> Error {
        let kind = match &self {
            Self::Absent { .. } => Kind::Unsupported,
            Self::Socket { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Kind::Refused,
                _ => Kind::Offline,
            },
            Self::Silent { .. } => Kind::Timeout,
            Self::Refused { .. } | Self::Gone => Kind::Refused,
            Self::NotKept => Kind::Other,
        };
        Error::new(op, kind).because(self)
    }
}

impl Control {
    pub(super) fn open(path: &Path) -> Told<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let open = || {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("ivt-agent-wpa-{}-{number}", std::process::id());
            let socket = Std::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
            socket.connect(path)?;
            socket.set_nonblocking(true)?;
            UnixDatagram::from_std(socket)
        };
        let socket = open().map_err(|source| Failure::Socket { path: path.to_owned(), source })?;
        Ok(Self { socket, path: path.to_owned(), scanned: false })
    }

    /// The answer to a command. Only the command's name is ever told in an error.
    pub(super) async fn ask(&mut self, command: &str) -> Told<String> {
        let until = Instant::now() + ANSWER;
        let answered = async {
            self.socket.send(command.as_bytes()).await?;
            loop {
                let message = self.message().await?;
                if !is_event(&message) {
                    return Ok(message);
                }
            }
        };
        match timeout_at(until, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) => Err(Failure::Socket { path: self.path.clone(), source }),
            Err(_) => {
                let command = name(command);
                Err(Failure::Silent { path: self.path.clone(), command })
            }
        }
    }

    /// Does as [`ask`](Self::ask), where the answer has to be OK.
    pub(super) async fn order(&mut self, command: &str) -> Told<()> {
        match self.ask(command).await?.trim() {
            "OK" => Ok(()),
            _ => Err(Failure::Refused { command: name(command) }),
        }
    }

    /// Returns once wpa_supplicant has told that a scan ended, or at `until`.
    pub(super) async fn scanned(&mut self, until: Instant) {
        let told = async { while !self.scanned && self.message().await.is_ok() {} };
        timeout_at(until, told).await.ok();
    }

    async fn message(&mut self) -> io::Result<String> {
        let mut buffer = vec![0; LONGEST];
        let length = self.socket.recv(&mut buffer).await?;
        let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let ends = ["CTRL-EVENT-SCAN-RESULTS", "CTRL-EVENT-SCAN-FAILED"];
        self.scanned |= is_event(&message) && ends.iter().any(|end| message.contains(end));
        Ok(message)
    }
}

/// Messages that nobody asked for begin with their level, as in `<3>CTRL-EVENT-CONNECTED`.
fn is_event(message: &str) -> bool {
    let level = message.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    level.is_some_and(|(level, _)| level.len() == 1 && level.bytes().all(|b| b.is_ascii_digit()))
}

/// The first word of a command, and what it sets: the rest may be a password.
fn name(command: &str) -> String {
    let words = command.split(' ');
    let most = if command.starts_with("SET_NETWORK") { 3 } else { 1 };
    words.take(most).collect::<Vec<_>>().join(" ")
}
