//! A device, a signer, a server of images and a cloud for the tests of upgrades.

use std::collections::HashMap;
use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use ivt_base::address_rule::AddressRule;
use ivt_base::clock::Clock;
use ivt_hal::{Error, Firmware, Image, Incoming, Installed, Kind, Running};
use minisign::KeyPair;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use super::attempt::Outcome;
use super::journal::{Journal, wall};
use super::updater::Updater;
use super::{Names, Patience, Refusal, Setup, Upgrades};
use crate::channel::testing::Owners;
use crate::channel::{Link, Status};
use crate::cloud::calls::testing::answered;
use crate::config::{Config, Key, Rules};
use crate::http::{Deadlines, Http};
use crate::state::StateStore;
use crate::tls::TrustStore;

/// What a device was told, and has.
#[derive(Clone, Default)]
pub(super) struct Device(pub(super) Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    pub(super) running: Running,
    /// What is not written, in the order of the calls.
    pub(super) told: Vec<String>,
    /// The image that is being written, and what of it is there.
    pub(super) place: Option<(Image, Vec<u8>)>,
    /// How many bytes were ever written.
    pub(super) written: u64,
    /// The byte at which the disk fails.
    pub(super) bad: Option<usize>,
    /// The largest chunk.
    pub(super) largest: usize,
    /// What an installation says; `Restart` where there is nothing.
    pub(super) installed: Option<Installed>,
    /// Whether the device cannot go back.
    pub(super) one_way: bool,
    /// How often the device cannot keep what runs.
    pub(super) stuck: usize,
    /// How often the device does not tell what runs.
    pub(super) silent: usize,
    /// Whether the device knows of trials but keeps nothing.
    pub(super) keeps_nothing: bool,
    /// Whether a restart does not come to its end.
    pub(super) hangs: bool,
    /// Whether the device refuses to install an image.
    pub(super) refuses: bool,
    /// Whether an installation does not answer, as the device restarts in it.
    pub(super) ends: bool,
    /// How often the device has started.
    pub(super) starts: u32,
}

struct Place(Device);

impl Device {
    pub(super) fn told(&self) -> Vec<String> {
        self.0.lock().unwrap().told.clone()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().place.as_ref().map(|place| place.1.clone()).unwrap_or_default()
    }

    /// The device starts, and this is what runs.
    pub(super) fn run(&self, trial: bool, counter: Option<u64>) {
        let mut state = self.0.lock().unwrap();
        state.running = Running { trial, counter, failed: state.running.failed };
        state.starts += 1;
    }

    /// This start of the device.
    pub(super) fn boot(&self) -> Option<String> {
        Some(self.0.lock().unwrap().starts.to_string())
    }

    fn tell(&self, what: &str) {
        self.0.lock().unwrap().told.push(what.to_owned());
    }
}

#[async_trait]
impl Firmware for Device {
    async fn open(&self, image: &Image) -> ivt_hal::Result<Box<dyn Incoming>> {
        let mut state = self.0.lock().unwrap();
        state.told.push(format!("open {} {:?}", image.version, image.counter));
        let known = image.sha256.is_some() && state.place.as_ref().is_some_and(|it| it.0 == *image);
        if !known {
            state.place = Some((image.clone(), Vec::new()));
        }
        Ok(Box::new(Place(self.clone())))
    }

    async fn running(&self) -> ivt_hal::Result<Running> {
        let mut state = self.0.lock().unwrap();
        if state.silent > 0 {
            state.silent -= 1;
            return Err(Error::new("firmware running", Kind::Other));
        }
        Ok(state.running)
    }

    async fn commit(&self) -> ivt_hal::Result<()> {
        let mut state = self.0.lock().unwrap();
        if state.keeps_nothing {
            return Err(Error::new("firmware commit", Kind::Unsupported));
        }
        if state.stuck > 0 {
            state.stuck -= 1;
            return Err(Error::new("firmware commit", Kind::Other));
        }
        state.running = Running { trial: false, failed: None, ..state.running };
        state.told.push("commit".into());
        Ok(())
    }

    async fn roll_back(&self) -> ivt_hal::Result<()> {
        if self.0.lock().unwrap().one_way {
            return Err(Error::new("firmware roll back", Kind::Unsupported));
        }
        let mut state = self.0.lock().unwrap();
        state.told.push("roll back".into());
        state.running.failed = state.running.counter;
        Ok(())
    }

    async fn restart(&self) -> ivt_hal::Result<()> {
        self.tell("restart");
        let hangs = self.0.lock().unwrap().hangs;
        if hangs {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

#[async_trait]
impl Incoming for Place {
    fn kept(&self) -> u64 {
        self.0.bytes().len() as u64
    }

    async fn written(&mut self, offset: u64) -> ivt_hal::Result<Bytes> {
        let bytes = self.0.bytes();
        let from = offset as usize;
        Ok(Bytes::copy_from_slice(&bytes[from..bytes.len().min(from + 65_536)]))
    }

    async fn write(&mut self, bytes: Bytes) -> ivt_hal::Result<()> {
        let mut state = self.0.0.lock().unwrap();
        state.largest = state.largest.max(bytes.len());
        state.written += bytes.len() as u64;
        let bad = state.bad;
        let (image, place) = state.place.as_mut().unwrap();
        place.extend_from_slice(&bytes);
        assert!(place.len() as u64 <= image.size, "beyond the end");
        match bad {
            Some(bad) if place.len() > bad => {
                let io = std::io::Error::other("/dev/mmcblk0p3: Input/output error");
                Err(Error::new("firmware write", Kind::Other).because(io))
            }
            _ => Ok(()),
        }
    }

    async fn clear(&mut self) -> ivt_hal::Result<()> {
        let mut state = self.0.0.lock().unwrap();
        state.told.push("clear".into());
        state.place.as_mut().unwrap().1.clear();
        Ok(())
    }

    async fn install(self: Box<Self>) -> ivt_hal::Result<Installed> {
        let (ends, refuses, installed) = {
            let mut state = self.0.0.lock().unwrap();
            state.told.push("install".into());
            (state.ends, state.refuses, state.installed.unwrap_or(Installed::Restart))
        };
        if ends {
            std::future::pending::<()>().await;
        }
        match refuses {
            true => Err(Error::new("firmware install", Kind::Refused)),
            false => Ok(installed),
        }
    }
}

/// Who signs images.
pub(super) struct Signer(KeyPair);

impl Signer {
    pub(super) fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().unwrap())
    }

    pub(super) fn key(&self) -> Key {
        Key::parse(&self.0.pk.to_base64()).unwrap()
    }

    /// The file of a signature with a comment.
    pub(super) fn sign(&self, image: &[u8], comment: &str) -> String {
        let signed =
            minisign::sign(Some(&self.0.pk), &self.0.sk, Cursor::new(image), Some(comment), None);
        signed.unwrap().to_string()
    }
}

/// What a signature says of an image of model IPC-1, but for these words.
pub(super) fn comment(image: &[u8], changes: &[(&str, &str)]) -> String {
    let sha256: String = Sha256::digest(image).iter().map(|byte| format!("{byte:02x}")).collect();
    let size = image.len().to_string();
    let words = [
        ("model", "IPC-1"),
        ("version", "1.5.0"),
        ("counter", "42"),
        ("size", &size),
        ("sha256", &sha256),
        ("expires", "2099-12-31"),
    ];
    let value = |key, value| changes.iter().find(|(k, _)| *k == key).map_or(value, |(_, v)| *v);
    words.map(|(key, usual)| format!("{key}={}", value(key, usual))).join(" ")
}

/// An image of so many bytes, each time the same.
pub(super) fn image(size: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// A request for a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) target: String,
    pub(super) headers: HashMap<String, String>,
}

impl Asked {
    /// The first byte that is asked for.
    pub(super) fn from(&self) -> Option<usize> {
        self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// An answer with a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    /// A pause after each of so many bytes.
    pub(super) drip: Option<(usize, Duration)>,
    /// The body is sent again and again.
    pub(super) endless: bool,
}

impl Answer {
    pub(super) fn new(head: &str, body: &[u8]) -> Self {
        Self { head: head.to_owned(), body: body.to_owned(), ..Self::default() }
    }

    /// A success with the length.
    pub(super) fn whole(body: &[u8]) -> Self {
        let head = format!("200 OK\r\ncontent-length: {}\r\netag: \"v1\"", body.len());
        Self::new(&head, body)
    }

    /// What is asked for of a file, of which `sent` bytes arrive at most.
    pub(super) fn part(asked: &Asked, file: &[u8], sent: usize) -> Self {
        let Some(from) = asked.from() else {
            let answer = Self::whole(file);
            return Self { body: file[..sent.min(file.len())].to_owned(), ..answer };
        };
        let (length, last) = (file.len(), file.len() - 1);
        let head = format!(
            "206 Partial\r\ncontent-length: {}\r\ncontent-range: bytes {from}-{last}/{length}\r\netag: \"v1\"",
            length - from
        );
        Self::new(&head, &file[from..from.saturating_add(sent).min(length)])
    }

    pub(super) fn status(status: &str) -> Self {
        Self::new(&format!("{status}\r\ncontent-length: 0"), b"")
    }
}

/// A server whose answers a test makes. Each connection has one answer.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) asked: Arc<Mutex<Vec<Asked>>>,
}

type Script = Arc<dyn Fn(&Asked) -> Answer + Send + Sync>;

impl Server {
    pub(super) async fn new(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (script, log): (Script, _) = (Arc::new(script), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&script), Arc::clone(&log)));
            }
        });
        Self { address, asked }
    }

    pub(super) fn targets(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|asked| asked.target.clone()).collect()
    }
}

async fn serve(socket: TcpStream, script: Script, log: Arc<Mutex<Vec<Asked>>>) {
    let mut socket = BufReader::new(socket);
    let mut asked = Asked::default();
    loop {
        let mut line = String::new();
        match socket.read_line(&mut line).await {
            Ok(read) if read > 0 => {}
            _ => return,
        }
        match (line.trim_end(), line.split_once(':')) {
            ("", _) => break,
            (first, _) if asked.target.is_empty() => {
                asked.target = first.split(' ').nth(1).unwrap().to_owned();
            }
            (_, Some((name, value))) => {
                asked.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            _ => {}
        }
    }
    let Answer { head, body, drip, endless } = script(&asked);
    log.lock().unwrap().push(asked);
    let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n");
    if socket.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let (size, pause) = drip.unwrap_or((65_536, Duration::ZERO));
    loop {
        for chunk in body.chunks(size) {
            if socket.write_all(chunk).await.is_err() {
                return;
            }
            if !pause.is_zero() {
                sleep(pause).await;
            }
        }
        if !endless {
            return;
        }
    }
}

/// A device with all that an upgrade needs.
pub(super) struct Rig {
    pub(super) device: Device,
    pub(super) signer: Signer,
    pub(super) rules: watch::Sender<Rules>,
    pub(super) link: watch::Sender<Link>,
    pub(super) channel: Owners,
    pub(super) upgrading: watch::Sender<bool>,
    pub(super) upgrades: Upgrades,
    pub(super) folder: tempfile::TempDir,
    /// Version and address that the cloud answers.
    pub(super) offer: Arc<Mutex<(String, String)>>,
    pub(super) clock: fn() -> SystemTime,
    #[cfg(feature = "ui")]
    pub(super) owner: crate::owner::Owner,
}

impl Rig {
    /// A device of model IPC-1 with version 1.4.2, whose counter is 41.
    pub(super) fn new() -> Self {
        let device = Device::default();
        device.run(false, Some(41));
        let signer = Signer::new();
        let mut rules = config().firmware.rules;
        rules.keys = vec![signer.key()];
        let link = Link { down_since: None, losses: 0 };
        Self {
            device,
            signer,
            rules: watch::Sender::new(rules),
            link: watch::Sender::new(link),
            channel: Owners::new(&Status::default()),
            upgrading: watch::Sender::new(false),
            upgrades: Upgrades::default(),
            folder: tempfile::tempdir().unwrap(),
            offer: Arc::default(),
            clock: SystemTime::now,
            #[cfg(feature = "ui")]
            owner: crate::owner::Owner::default(),
        }
    }

    /// The cloud offers what is at a path of a server.
    pub(super) fn offer(&self, version: &str, server: &Server, path: &str) {
        let url = format!("http://{}{path}", server.address);
        *self.offer.lock().unwrap() = (version.to_owned(), url);
    }

    pub(super) fn setup(&self) -> Setup {
        let rule = AddressRule::for_cloud("127.0.0.1");
        let offer = Arc::clone(&self.offer);
        let calls = answered(move |_| {
            let (version, url) = offer.lock().unwrap().clone();
            Ok(json!({ "firmware_model": version, "url": url }))
        });
        let (millis, rest) = (Duration::from_millis, Duration::from_millis(10));
        Setup {
            rules: self.rules.subscribe(),
            names: Names::of(&config()),
            http: Http::new(TrustStore::new(None).unwrap(), rule, Deadlines::default()),
            calls,
            link: self.link.subscribe(),
            channels: vec![self.channel.source()],
            store: StateStore::new(Some(self.folder.path().join("state"))),
            upgrading: self.upgrading.clone(),
            patience: Patience { pauses: [millis(1); 6], slow: millis(400), rest },
            #[cfg(feature = "ui")]
            owner: self.owner.clone(),
        }
    }

    /// Where a new firmware goes.
    pub(super) fn place(&self) -> Arc<dyn Firmware> {
        Arc::new(self.device.clone())
    }

    /// Lets the hour pass after which there may be another upgrade.
    pub(super) fn forget(&self) {
        std::fs::remove_dir_all(self.folder.path().join("state")).ok();
    }

    /// Lets the hour pass, and forgets nothing else.
    pub(super) fn hour(&self) {
        let file = self.folder.path().join("state/firmware.json");
        let mut kept: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        kept["begun"] = (wall() - 3601).into();
        std::fs::write(&file, kept.to_string()).unwrap();
    }

    /// The task of an agent that starts now.
    pub(super) fn updater(&self) -> Updater {
        self.upgrading.send_replace(false);
        let setup = self.setup();
        let journal = Journal::open(setup.store.clone(), wall(), self.device.boot());
        let clock = Clock::new(self.clock, SystemTime::UNIX_EPOCH);
        let firmware = self.place();
        Updater { setup, firmware, journal, clock, upgrades: self.upgrades.clone() }
    }

    /// One upgrade that the cloud insists on, of an image that is signed right or as `change` makes it, by an agent
    /// that starts now.
    pub(super) async fn upgrade(
        &self,
        image: &[u8],
        signature: String,
        script: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> (Result<Outcome, Refusal>, Server) {
        let image = image.to_owned();
        let server = Server::new(move |asked| match asked.target.contains(".minisig") {
            true => Answer::whole(signature.as_bytes()),
            false if asked.target.contains("/image") => script(asked),
            false => Answer::whole(&image),
        })
        .await;
        self.offer("1.5.0", &server, "/image?sign=geheim");
        (self.updater().attempt(true).await, server)
    }
}

/// The configuration of the device.
fn config() -> Config {
    let cloud = "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n";
    let device = "hardware_model = 'IPC-1'\nfirmware_model = '1.4.2'\n";
    format!("{cloud}{device}[[channel]]\nbackend = 'emulator'\n").parse().unwrap()
}

/// Why an upgrade was refused.
pub(super) fn words(outcome: Result<Outcome, Refusal>) -> String {
    outcome.unwrap_err().to_string()
}

/// A server of this image and its signature.
pub(super) async fn store(rig: &Rig, file: &[u8], changes: &[(&str, &str)]) -> Server {
    let (signature, file) = (rig.signer.sign(file, &comment(file, changes)), file.to_owned());
    let server = Server::new(move |asked| match asked.target.contains(".minisig") {
        true => Answer::whole(signature.as_bytes()),
        false => Answer::part(asked, &file, usize::MAX),
    })
    .await;
    rig.offer("1.5.0", &server, "/image?sign=geheim");
    server
}
