//! Public keys and signatures of minisign, checked by the Ed25519 and the BLAKE2b that the device's TLS and its page's
//! password need anyway. Of the two kinds of signature only the one of a hash (`ED`) is taken, so that an image can be
//! checked while it comes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest as _};
use ring::signature::{ED25519, UnparsedPublicKey};

/// What both the key and the signature begin with: two letters of the kind, then the key's number.
const NUMBER: usize = 8;
/// The kind of each key, and of signatures of a whole file.
const WHOLE: &[u8; 2] = b"Ed";
/// The kind of signatures of a file's BLAKE2b.
const HASHED: &[u8; 2] = b"ED";
/// What stands before the comment that is signed.
const TRUSTED: &str = "trusted comment: ";

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    number: [u8; NUMBER],
    key: [u8; 32],
}

/// A file of a signature.
pub(crate) struct Signature {
    is_hashed: bool,
    number: [u8; NUMBER],
    of_image: [u8; 64],
    comment: String,
    of_comment: [u8; 64],
}

/// Why a key cannot have made a signature.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Another key is named.
    Number,
    /// The signature is one of the whole file.
    Legacy,
}

/// Takes an image piece by piece.
pub(crate) struct Verifier<'a> {
    key: &'a PublicKey,
    signature: &'a Signature,
    hash: Blake2b512,
}

impl PublicKey {
    /// Reads the second line of a key's file.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let (kind, number, key) = parts(line)?;
        // Minisign writes the first kind. Keys that name the other one have always been taken here.
        (&kind == WHOLE || &kind == HASHED).then_some(Self { number, key })
    }

    /// Begins to check an image.
    pub(crate) fn verifier<'a>(&'a self, signature: &'a Signature) -> Result<Verifier<'a>, Unfit> {
        match signature.is_hashed {
            _ if self.number != signature.number => Err(Unfit::Number),
            false => Err(Unfit::Legacy),
            true => Ok(Verifier { key: self, signature, hash: Blake2b512::new() }),
        }
    }
}

impl Signature {
    /// Reads the four lines of a file. What follows them is left alone.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let (kind, number, of_image) = parts(lines.next()?)?;
        let is_hashed = match &kind {
            HASHED => true,
            WHOLE => false,
            _ => return None,
        };
        let comment = lines.next()?.strip_prefix(TRUSTED)?.to_owned();
        let of_comment = STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
        Some(Self { is_hashed, number, of_image, comment, of_comment })
    }

    /// The comment that is signed, too. Nothing is proved of it until [`Verifier::finish`] has said so.
    pub(crate) fn comment(&self) -> &str {
        &self.comment
    }
}

impl Verifier<'_> {
    /// Takes the next bytes of the image.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// Whether the key has signed the image, and this signature together with its comment.
    pub(crate) fn finish(self) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.key.key);
        let Signature { of_image, comment, of_comment, .. } = self.signature;
        let both = [of_image, comment.as_bytes()].concat();
        key.verify(&self.hash.finalize(), of_image).is_ok() && key.verify(&both, of_comment).is_ok()
    }
}

/// The kind, the number and what follows them in a line of base64.
fn parts<const N: usize>(line: &str) -> Option<([u8; 2], [u8; NUMBER], [u8; N])> {
    let bytes = STANDARD.decode(line).ok()?;
    let (kind, rest) = bytes.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    Some((*kind, *number, rest.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key and a signature that minisign made; the file was "test".
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
        wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";

    fn is_signed(key: &str, signature: &str, pieces: &[&[u8]]) -> bool {
        let (key, signature) = (PublicKey::read(key).unwrap(), Signature::read(signature).unwrap());
        let mut verifier = key.verifier(&signature).unwrap();
        pieces.iter().for_each(|piece| verifier.update(piece));
        verifier.finish()
    }

    #[test]
    fn a_signature_of_minisign_holds_for_its_file_alone() {
        assert!(is_signed(KEY, SIGNATURE, &[b"test"]));
        assert!(is_signed(KEY, SIGNATURE, &[b"te", b"", b"st"]), "piece by piece");
        for other in [&b"Test"[..], b"tes", b"test\n", b""] {
            assert!(!is_signed(KEY, SIGNATURE, &[other]), "{other:?}");
        }
        let other = SIGNATURE.replace("1633700835", "1633700836");
        assert!(!is_signed(KEY, &other, &[b"test"]), "the comment was changed");
        assert_eq!(
            Signature::read(SIGNATURE).unwrap().comment(),
            "timestamp:1633700835\tfile:test\tprehashed"
        );
    }

    #[test]
    fn each_bit_of_a_signature_and_of_a_key_counts() {
        let lines: Vec<_> = SIGNATURE.lines().collect();
        let (image, comment) =
            (STANDARD.decode(lines[1]).unwrap(), STANDARD.decode(lines[3]).unwrap());
        let file = |image: &[u8], comment: &[u8]| {
            let [image, comment] = [image, comment].map(|bytes| STANDARD.encode(bytes));
            [lines[0], &image, lines[2], &comment].join("\n")
        };
        let flipped = |bytes: &[u8], bit: usize| {
            let mut bytes = bytes.to_owned();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        };
        // The first ten bytes are kind and number, which are compared before.
        for bit in 80..image.len() * 8 {
            assert!(!is_signed(KEY, &file(&flipped(&image, bit), &comment), &[b"test"]), "{bit}");
        }
        for bit in 0..comment.len() * 8 {
            assert!(!is_signed(KEY, &file(&image, &flipped(&comment, bit)), &[b"test"]), "{bit}");
        }
        let key = STANDARD.decode(KEY).unwrap();
        for bit in 80..key.len() * 8 {
            let other = STANDARD.encode(flipped(&key, bit));
            assert!(!is_signed(&other, SIGNATURE, &[b"test"]), "{bit}");
        }
    }

    #[test]
    fn another_key_and_a_signature_of_the_whole_file_are_told_apart() {
        let key = PublicKey::read(KEY).unwrap();
        let told = |signature: &str| {
            let signature = Signature::read(signature).unwrap();
            key.verifier(&signature).err()
        };
        assert_eq!(told(SIGNATURE), None);
        assert_eq!(told(&SIGNATURE.replace("RUQf", "RUQg")), Some(Unfit::Number));
        assert_eq!(told(&SIGNATURE.replace("RUQf", "RWQf")), Some(Unfit::Legacy));
    }

    #[test]
    fn what_is_no_key_and_no_signature_is_not_read() {
        for text in ["", "RWQf", &KEY[..52], &format!("{KEY}AAAA"), &KEY.replace("RWQ", "RXQ")] {
            assert!(PublicKey::read(text).is_none(), "{text}");
        }
        let lines: Vec<_> = SIGNATURE.lines().collect();
        for count in 0..4 {
            assert!(Signature::read(&lines[..count].join("\n")).is_none(), "{count} lines");
        }
        for (line, to) in [
            ("RUQf", "RUUf"),
            ("RUQf", "RUQf="),
            ("RUQf", "RUQfAAAA"),
            ("trusted comment: timestamp", "trusted comment:timestamp"),
            ("wLMDjy9F", ""),
            ("BQ==", "BQ"),
        ] {
            assert!(Signature::read(&SIGNATURE.replace(line, to)).is_none(), "{line} {to}");
        }
    }
}
