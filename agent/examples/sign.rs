//! Signs a firmware as the tests do, by the minisign crate, for other programs to verify: `sign IMAGE COMMENT`.
//!
//! Writes IMAGE.minisig beside the image, by a key made for it, and prints the public key.

use std::error::Error;
use std::fs::{self, File};

use minisign::KeyPair;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [image, comment] = arguments.as_slice() else {
        return Err("expected: IMAGE COMMENT".into());
    };
    let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair()?;
    let signature = minisign::sign(Some(&pk), &sk, File::open(image)?, Some(comment), None)?;
    fs::write(format!("{image}.minisig"), signature.into_string())?;
    println!("{}", pk.to_base64());
    Ok(())
}
