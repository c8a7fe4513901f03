//! How the page's password is kept: as a memory-hard hash, so that who reads the file has the password not yet.

use argon2::{Algorithm, Argon2, Params, Version};
use rand::Rng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// KiB of memory that one hash takes: a sixteenth of what a small device has.
const MEMORY: u32 = 4 << 10;
/// How often the memory is passed over.
const PASSES: u32 = 3;
/// Bytes of a salt, and of a hash.
const SALT: usize = 16;
const HASH: usize = 32;
/// Fewest and most characters of a password.
const SHORTEST: usize = 8;
const LONGEST: usize = 128;

/// A password's hash, with what it was made by.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hashed {
    memory: u32,
    passes: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

/// What is wrong with a password that somebody chose; `None` if nothing is.
pub(super) fn complaint(password: &str) -> Option<String> {
    let characters = password.chars().count();
    if !(SHORTEST..=LONGEST).contains(&characters) {
        return Some(format!("choose a password of {SHORTEST} to {LONGEST} characters"));
    }
    let unseen = password.chars().any(char::is_control);
    unseen.then(|| "choose a password without line breaks and control characters".into())
}

/// Whether two texts are equal, in a time that tells nothing about where they differ.
pub(super) fn is_same(left: &str, right: &str) -> bool {
    Sha256::digest(left) == Sha256::digest(right)
}

impl Hashed {
    /// Hashes a password with a salt of its own. Takes a tenth of a second or more.
    pub(super) fn new(password: &str) -> Result<Self, argon2::Error> {
        let mut salt = vec![0; SALT];
        rand::make_rng::<StdRng>().fill_bytes(&mut salt);
        let hash = hash(password, &salt, MEMORY, PASSES)?;
        Ok(Self { memory: MEMORY, passes: PASSES, salt, hash })
    }

    /// Whether this is the hash of a password. Takes as long as [`new`](Self::new).
    pub(super) fn is_of(&self, password: &str) -> bool {
        let hash = hash(password, &self.salt, self.memory, self.passes);
        // Of two digests, what differs says nothing about the hashes.
        hash.is_ok_and(|hash| Sha256::digest(hash) == Sha256::digest(&self.hash))
    }

    /// The text for the disk.
    pub(super) fn write(&self) -> Value {
        let Self { memory, passes, salt, hash } = self;
        json!({ "argon2id": { "kib": memory, "passes": passes, "salt": salt, "hash": hash } })
    }

    /// What [`write`](Self::write) wrote; `None` if it is something else.
    pub(super) fn read(text: &Value) -> Option<Self> {
        let kept = &text["argon2id"];
        let number = |name: &str| kept[name].as_u64().and_then(|number| u32::try_from(number).ok());
        let bytes = |name: &str| -> Option<Vec<u8>> {
            let bytes = kept[name].as_array()?.iter();
            bytes.map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect()
        };
        let (memory, passes) = (number("kib")?, number("passes")?);
        let (salt, hash) = (bytes("salt")?, bytes("hash")?);
        let is_ours = (1..=MEMORY).contains(&memory) && (1..=PASSES).contains(&passes);
        (is_ours && salt.len() == SALT && hash.len() == HASH).then_some(Self {
            memory,
            passes,
            salt,
            hash,
        })
    }
}

fn hash(password: &str, salt: &[u8], memory: u32, passes: u32) -> Result<Vec<u8>, argon2::Error> {
    let parameters = Params::new(memory, passes, 1, Some(HASH))?;
    let mut hash = vec![0; HASH];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters).hash_password_into(
        password.as_bytes(),
        salt,
        &mut hash,
    )?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password_and_no_other() {
        let password = "  Käse 摄像机  ";
        let kept = Hashed::new(password).unwrap();
        let text = kept.write().to_string();
        assert!(!text.contains(password.trim()), "{text}");
        let read = Hashed::read(&serde_json::from_str(&text).unwrap()).unwrap();
        assert!(read == kept && read.is_of(password));
        for other in ["Käse 摄像机", "  käse 摄像机  ", "  Käse 摄像机 ", ""] {
            assert!(!read.is_of(other), "{other:?}");
        }
        assert!(Hashed::new(password).unwrap() != kept, "each has a salt of its own");
    }

    #[test]
    fn a_file_that_is_no_hash_is_nobodys_password() {
        let good = Hashed::new("a password").unwrap().write();
        for (name, value) in [
            ("kib", json!(0)),
            ("kib", json!(1 << 30)),
            ("passes", json!(-1)),
            ("passes", json!(1_000_000)),
            ("salt", json!([])),
            ("salt", json!("text")),
            ("hash", json!([1, 2])),
            ("hash", json!(vec![256; 32])),
        ] {
            let mut text = good.clone();
            text["argon2id"][name] = value;
            assert!(Hashed::read(&text).is_none(), "{text}");
        }
        assert!(Hashed::read(&json!({})).is_none() && Hashed::read(&json!([1])).is_none());
    }

    #[test]
    fn a_password_is_neither_short_nor_endless_and_may_be_in_any_language() {
        for good in ["12345678", "        ", "密码密码密码密码", "pass word 1", &"ä".repeat(128)]
        {
            assert_eq!(complaint(good), None, "{good:?}");
        }
        for bad in
            ["", "1234567", "密码密码密码密", "12345678\n", "1234\u{0}5678", &"a".repeat(129)]
        {
            assert!(complaint(bad).is_some(), "{bad:?}");
        }
    }
}
