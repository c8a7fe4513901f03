//! The signature beside an image: a file of minisign, whose trusted comment says what the image is.
//!
//! ```text
//! untrusted comment: signature from minisign secret key
//! RU... (of the image's BLAKE2b, by a key that stands in firmware.keys)
//! trusted comment: model=IPC-1 version=1.4.2 counter=42 size=16777216 sha256=... expires=2027-06-30
//! ... (of the line above and of the signature before)
//! ```
//!
//! Both signatures are checked when the last byte of the image was seen. Until then the comment is what a stranger
//! may have written: it bounds what is done, and allows nothing.

use ivt_hal::manifest::Manifest;
use sha2::{Digest as _, Sha256};

use super::refusal::Refusal;
use crate::config::Key;
use crate::minisign::{Signature, Unfit, Verifier};

/// Longest file of a signature, in bytes.
pub(super) const LONGEST: usize = 4096;

/// A signature whose form is right and whose key is trusted. Nothing is proved yet.
pub(super) struct Signed {
    /// The key that is said to have signed it.
    pub(super) key: Key,
    /// What is said of the image.
    pub(super) manifest: Manifest,
    signature: Signature,
}

/// Checks an image while it is fetched.
pub(super) struct Check<'a> {
    /// Without a verifier nothing is proved.
    of: Option<(&'a Signed, Option<Verifier<'a>>)>,
    sha256: Sha256,
    seen: u64,
}

impl Signed {
    /// Reads the file of a signature.
    pub(super) fn read(file: &[u8], keys: &[Key]) -> Result<Self, Refusal> {
        let text = match str::from_utf8(file) {
            _ if file.len() > LONGEST => {
                return Err(Refusal::NoSignature("it is longer than 4 KiB"));
            }
            Ok(text) => text,
            Err(_) => return Err(Refusal::NoSignature("it is no text")),
        };
        if text.lines().count() != 4 || !text.starts_with("untrusted comment: ") {
            return Err(Refusal::NoSignature("it has not the four lines of one"));
        }
        let signature =
            Signature::read(text).ok_or(Refusal::NoSignature("its lines are not those of one"))?;
        let mut known = Err(Refusal::UnknownKey);
        for key in keys {
            match key.public.verifier(&signature) {
                Ok(_) => {
                    known = Ok(key.clone());
                    break;
                }
                Err(Unfit::Legacy) => known = Err(Refusal::Legacy),
                Err(Unfit::Number) => {}
            }
        }
        let key = known?;
        let manifest = signature.comment().parse()?;
        Ok(Self { key, manifest, signature })
    }
}

impl<'a> Check<'a> {
    /// Checks an image from its first byte on; one that nobody has signed is only counted.
    pub(super) fn new(of: Option<&'a Signed>) -> Self {
        let of = of.map(|it| (it, it.key.public.verifier(&it.signature).ok()));
        Self { of, sha256: Sha256::new(), seen: 0 }
    }

    /// Takes the next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        if let Some((_, verifier)) = &mut self.of {
            if let Some(verifier) = verifier {
                verifier.update(bytes);
            }
            self.sha256.update(bytes);
        }
        self.seen += bytes.len() as u64;
    }

    /// Number of bytes that were seen.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether the image and the comment are what the owner of the key has signed.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        let Some((signed, verifier)) = self.of else { return Ok(()) };
        let Manifest { size, sha256, .. } = &signed.manifest;
        if *size != self.seen {
            return Err(Refusal::Size { found: self.seen, signed: *size });
        }
        let same = self.sha256.finalize()[..] == sha256[..];
        let is_signed = verifier.is_some_and(Verifier::finish);
        if same && is_signed { Ok(()) } else { Err(Refusal::Forged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firmware::rig::{Signer, comment};

    #[test]
    fn without_a_verifier_nothing_is_proved() {
        let (signer, other) = (Signer::new(), Signer::new());
        let file = signer.sign(b"image", &comment(b"image", &[]));
        let read = || Signed::read(file.as_bytes(), &[signer.key()]).unwrap();
        for (signed, want) in [(read(), true), (Signed { key: other.key(), ..read() }, false)] {
            let mut check = Check::new(Some(&signed));
            check.update(b"image");
            assert_eq!(check.finish().is_ok(), want);
        }
    }
}
