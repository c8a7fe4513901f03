//! A device whose firmware lies in two slots of files, and who signs images for it.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use ivt_hal::firmware::{Places, Restart, Slots};
use minisign::KeyPair;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// The model for which the images of a [`Board`] are made.
pub const MODEL: &str = "IPC-1";
/// What lies in the slots at first.
pub const FACTORY: &[u8] = b"as it was made";

/// The storage of a device, and the keys whose signatures count there.
pub struct Board {
    folder: TempDir,
    keys: KeyPair,
}

/// How an image is signed.
#[derive(Clone)]
pub struct Signer<'a> {
    /// Whose keys.
    pub keys: &'a KeyPair,
    /// The model that is named.
    pub model: &'a str,
    /// The version's counter.
    pub counter: u64,
    /// The last day on which it is good.
    pub expires: &'a str,
}

impl Board {
    /// A device as it was made.
    ///
    /// # Panics
    /// When the temporary folder cannot be written.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for slot in ["a", "b"] {
            fs::write(folder.path().join(slot), FACTORY).unwrap();
        }
        fs::create_dir(folder.path().join("marker")).unwrap();
        Self { folder, keys: KeyPair::generate_unencrypted_keypair().unwrap() }
    }

    /// A file of the device: `a`, `b`, `started`, and `restarted` after a restart.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The section of the agent's configuration.
    pub fn settings(&self) -> String {
        let path = |name: &str| self.path(name).display().to_string();
        format!(
            "[firmware]\nbackend = 'slots'\nslot_a = '{}'\nslot_b = '{}'\nmarker = '{}'\nstarted = '{}'\n\
             restart = ['touch', '{}']\nmodel = '{MODEL}'\nkeys = ['{}']\n",
            path("a"),
            path("b"),
            path("marker"),
            path("started"),
            path("restarted"),
            self.keys.pk.to_base64(),
        )
    }

    /// The slots, as the boot script sees them.
    ///
    /// # Panics
    /// When they are gone.
    pub fn slots(&self) -> Slots {
        let [a, b, marker, started] = ["a", "b", "marker", "started"].map(|name| self.path(name));
        Slots::new(Places { a, b, marker, started: Some(started) }, Restart::Nothing).unwrap()
    }

    /// Whether the device was told to restart.
    pub fn is_restarted(&self) -> bool {
        Path::new(&self.path("restarted")).exists()
    }

    /// What lies in slot B.
    ///
    /// # Panics
    /// When the file is gone.
    pub fn slot_b(&self) -> Vec<u8> {
        fs::read(self.path("b")).unwrap()
    }

    /// Signs for this device.
    pub fn signer(&self) -> Signer<'_> {
        Signer { keys: &self.keys, model: MODEL, counter: 42, expires: "9999-12-31" }
    }
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Signer<'_> {
    /// The text of the signature of an image.
    ///
    /// # Panics
    /// Never: the keys are whole.
    pub fn sign(&self, image: &[u8]) -> String {
        let sha256: String =
            Sha256::digest(image).iter().map(|byte| format!("{byte:02x}")).collect();
        let comment = format!(
            "model={} version=2.0.1 counter={} size={} sha256={sha256} expires={}",
            self.model,
            self.counter,
            image.len(),
            self.expires,
        );
        let (public, secret) = (&self.keys.pk, &self.keys.sk);
        let signed = minisign::sign(Some(public), secret, Cursor::new(image), Some(&comment), None);
        signed.unwrap().into_string()
    }
}

/// An image of so many bytes, none of which is like the next.
pub fn image(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n * 31 + n / 251) as u8).collect()
}
