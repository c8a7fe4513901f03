//! What an agent does to a device with two slots, from one start to the next: `slots FOLDER COUNTER IMAGE`.
//!
//! FOLDER holds the slots `a` and `b`, the folder `marker`, and `started`, which the boot script writes. An image on trial is committed.
//! Otherwise IMAGE is installed under COUNTER, unless it runs already; what is kept of an attempt before is read and not written
//! again. The program prints what it has done. `tests/interop/slots` kills it at each of its system calls.

use std::error::Error;
use std::path::Path;

use bytes::Bytes;
use ivt_hal::firmware::{Places, Restart, Slots};
use ivt_hal::{Firmware, Image};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Builder;

/// Bytes that are written at once.
const CHUNK: usize = 64 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [folder, counter, image] = arguments.as_slice() else {
        return Err("expected: FOLDER COUNTER IMAGE".into());
    };
    // One thread does all that may wait for the disk, so that strace can count its calls.
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    runtime.block_on(run(Path::new(folder), counter.parse()?, Path::new(image)))
}

async fn run(folder: &Path, counter: u64, path: &Path) -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let at = |name: &str| folder.join(name);
    let started = Some(at("started"));
    let places = Places { a: at("a"), b: at("b"), marker: at("marker"), started };
    let slots = Slots::new(places, Restart::Nothing)?;
    let running = slots.running().await?;
    if running.trial {
        slots.commit().await?;
        println!("committed");
        return Ok(());
    }
    if running.counter == Some(counter) {
        println!("nothing to do");
        return Ok(());
    }
    let size = bytes.len() as u64;
    let sha256 = Sha256::digest(&bytes).into();
    let image =
        Image { version: counter.to_string(), counter: Some(counter), size, sha256: Some(sha256) };
    let mut incoming = slots.open(&image).await?;
    let kept = usize::try_from(incoming.kept())?;
    let mut sum = Sha256::new();
    for offset in (0..kept).step_by(CHUNK) {
        sum.update(incoming.written(offset as u64).await?);
    }
    if sum.finalize() != Sha256::digest(&bytes[..kept]) {
        return Err(format!("what is kept is not the first {kept} bytes of the image").into());
    }
    for chunk in bytes[kept..].chunks(CHUNK) {
        incoming.write(Bytes::copy_from_slice(chunk)).await?;
    }
    incoming.install().await?;
    println!("installed after {kept} kept bytes");
    Ok(())
}
