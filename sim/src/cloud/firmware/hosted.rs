//! The image that the cloud hosts with its signature, and who fetched it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::cloud::alarms::secret;
use crate::cloud::packet::unix_ms;

/// Longest image, in bytes.
pub(super) const MAX_IMAGE: u64 = 64 << 20;
/// Longest signature, in bytes.
pub(super) const MAX_SIGNATURE: u64 = 64 << 10;
/// Longest name of an image, in bytes.
const MAX_NAME: usize = 100;
/// Most requests kept.
const MAX_REQUESTS: usize = 200;
/// What the name of an image's signature ends with.
pub(super) const SIGNATURE: &str = ".minisig";

/// The hosted image, of which there is one at a time.
#[derive(Default)]
pub(in crate::cloud) struct Hosted(Mutex<State>);

#[derive(Default)]
struct State {
    /// The secret of its address; empty before the first image.
    token: String,
    name: String,
    image: Option<Image>,
    signature: Option<Bytes>,
    requests: VecDeque<Request>,
}

/// A file of the temporary folder without a name: it is gone with the program.
#[derive(Clone)]
pub(super) struct Image {
    file: Arc<File>,
    pub(super) bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub(super) sha256: String,
}

/// An image that is being received.
pub(super) struct Incoming {
    file: File,
    bytes: u64,
    sum: Sha256,
}

struct Request {
    told: FirmwareRequest,
    sent: Arc<AtomicU64>,
}

/// What the cloud hosts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FirmwareInfo {
    /// The name of the image; empty where there is none.
    pub name: String,
    /// The path of its address, with its secret.
    pub path: String,
    /// The length of the image in bytes; `None` where there is none.
    pub bytes: Option<u64>,
    /// The SHA-256 of the image in hexadecimal.
    pub sha256: Option<String>,
    /// The length of the signature in bytes; `None` where there is none.
    pub signature_bytes: Option<u64>,
    /// The newest requests, oldest first.
    pub requests: Vec<FirmwareRequest>,
}

/// A request for the image or its signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FirmwareRequest {
    /// When it came, in milliseconds since 1970.
    pub time_ms: u64,
    /// Whether it was for the signature.
    pub signature: bool,
    /// The value of `Range`; empty where there was none.
    pub range: String,
    /// The status of the answer; 0 where a fault of the connection took its place.
    pub status: u16,
    /// Number of bytes of the image that were sent.
    pub sent: u64,
}

impl Hosted {
    /// What is hosted at the moment.
    pub(in crate::cloud) fn info(&self) -> FirmwareInfo {
        let state = self.lock();
        let requests = state.requests.iter().map(|request| FirmwareRequest {
            sent: request.sent.load(Relaxed),
            ..request.told.clone()
        });
        FirmwareInfo {
            name: state.name.clone(),
            path: state.path().unwrap_or_default(),
            bytes: state.image.as_ref().map(|image| image.bytes),
            sha256: state.image.as_ref().map(|image| image.sha256.clone()),
            signature_bytes: state.signature.as_ref().map(|signature| signature.len() as u64),
            requests: requests.collect(),
        }
    }

    /// The path of the image; `None` where there is none.
    pub(in crate::cloud) fn path(&self) -> Option<String> {
        self.lock().path()
    }

    /// Hosts an image under a new address. A signature that was there before is dropped.
    pub(super) fn host(&self, name: &str, image: Image) {
        let mut state = self.lock();
        state.token = secret();
        state.name = plain(name);
        state.image = Some(image);
        state.signature = None;
    }

    /// Puts the signature beside the image.
    pub(super) fn sign(&self, signature: Option<Bytes>) {
        self.lock().signature = signature;
    }

    /// Hosts nothing any more.
    pub(super) fn withdraw(&self) {
        *self.lock() = State::default();
    }

    /// Hosts the bytes of an image and of its signature.
    pub(in crate::cloud) fn host_bytes(
        &self,
        name: &str,
        image: &[u8],
        signature: Option<&[u8]>,
    ) -> io::Result<()> {
        let mut incoming = Incoming::new()?;
        incoming.write(image)?;
        self.host(name, incoming.finish());
        self.sign(signature.map(Bytes::copy_from_slice));
        Ok(())
    }

    /// The image, where the address is its own.
    pub(super) fn image(&self, token: &str, file: &str) -> Option<Image> {
        let state = self.lock();
        state.image.clone().filter(|_| state.token == token && state.name == file)
    }

    /// The signature, where the address is its own: `Some(None)` where there is none.
    pub(super) fn signature(&self, token: &str, file: &str) -> Option<Option<Bytes>> {
        let state = self.lock();
        let own = state.image.is_some()
            && state.token == token
            && file.strip_suffix(SIGNATURE) == Some(&*state.name);
        own.then(|| state.signature.clone())
    }

    /// Notes a request; bytes of the image that are sent are counted by `sent`.
    pub(super) fn note(&self, signature: bool, range: &str, status: u16, sent: Arc<AtomicU64>) {
        let range = range.chars().take(MAX_NAME).collect();
        let told = FirmwareRequest { time_ms: unix_ms(), signature, range, status, sent: 0 };
        let mut state = self.lock();
        state.requests.push_back(Request { told, sent });
        while state.requests.len() > MAX_REQUESTS {
            state.requests.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn path(&self) -> Option<String> {
        self.image.as_ref().map(|_| format!("/firmware/{}/{}", self.token, self.name))
    }
}

impl Image {
    /// At most `most` bytes from `offset` on; empty at the end.
    pub(super) fn read(&self, offset: u64, most: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; most];
        let read = self.file.read_at(&mut bytes, offset)?;
        bytes.truncate(read);
        Ok(bytes.into())
    }
}

impl Incoming {
    pub(super) fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("ivc-sim-{}", secret()));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(Self { file, bytes: 0, sum: Sha256::new() })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes + bytes.len() as u64 > MAX_IMAGE {
            let most = format!("images have at most {MAX_IMAGE} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, most));
        }
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        self.sum.update(bytes);
        Ok(())
    }

    pub(super) fn finish(self) -> Image {
        let sha256 = self.sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Image { file: Arc::new(self.file), bytes: self.bytes, sha256 }
    }
}

/// A name that needs no escapes in an address.
fn plain(name: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    let name: String = name.chars().filter(plain).take(MAX_NAME).collect();
    if name.trim_matches('.').is_empty() { "firmware.img".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_found_by_its_address_alone() {
        let hosted = Hosted::default();
        assert!(hosted.path().is_none() && hosted.signature("", SIGNATURE).is_none());
        hosted.host_bytes("a b/../c.img", b"image", Some(b"signed")).unwrap();
        let path = hosted.path().unwrap();
        let (token, name) = path.strip_prefix("/firmware/").unwrap().split_once('/').unwrap();
        assert_eq!((token.len(), name), (32, "ab..c.img"));
        let image = hosted.image(token, name).unwrap();
        assert_eq!(image.read(1, 3).unwrap(), "mag");
        assert!(image.read(5, 3).unwrap().is_empty());
        assert_eq!(hosted.signature(token, "ab..c.img.minisig").unwrap().unwrap(), "signed");
        assert!(hosted.image("0", name).is_none() && hosted.image(token, "x").is_none());
        hosted.host_bytes("..", b"next", None).unwrap();
        assert!(hosted.image(token, name).is_none());
        assert!(hosted.path().unwrap().ends_with("/firmware.img"));
        assert_eq!(hosted.info().signature_bytes, None);
    }

    #[test]
    fn an_image_is_bounded_and_so_is_what_is_known_of_requests() {
        let mut incoming = Incoming::new().unwrap();
        incoming.bytes = MAX_IMAGE - 1;
        assert!(incoming.write(b"12").is_err() && incoming.write(b"1").is_ok());
        let hosted = Hosted::default();
        for _ in 0..MAX_REQUESTS + 3 {
            hosted.note(false, &"x".repeat(1000), 200, Arc::new(7.into()));
        }
        let requests = hosted.info().requests;
        assert_eq!((requests.len(), requests[0].range.len()), (MAX_REQUESTS, MAX_NAME));
        assert_eq!(requests[0].sent, 7);
    }
}
