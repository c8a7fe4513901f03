//! Checks of the place for a new firmware.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{done, reason};
use crate::{Error, Firmware, Image, Incoming, Installed, Kind, Running};

/// Checks a device that takes firmware and on which nothing is on trial. `restart` is a restart of the device, after
/// which what was installed runs. `trials` says whether an image is on trial then.
pub async fn firmware(firmware: &dyn Firmware, trials: bool, mut restart: impl FnMut()) {
    let before = running(firmware).await;
    assert!(!before.trial, "nothing was installed, yet something is on trial");
    done("firmware commit of nothing", firmware.commit()).await;
    refused("roll back of nothing", firmware.roll_back().await.err());
    let monstrous = Image { size: u64::MAX / 2, ..image(1, &[]) };
    invalid("an image larger than the device", firmware.open(&monstrous).await.err());

    invalid("an image without a byte", firmware.open(&image(1, &[])).await.err());

    let bytes = pattern(2_500_000);
    let wanted = image(7, &bytes);
    kept(firmware, &wanted, &bytes).await;
    let unsigned = Image { counter: None, sha256: None, ..wanted.clone() };
    let mut incoming = open(firmware, &unsigned).await;
    write(&mut *incoming, &bytes[..2_000_000]).await;
    drop(incoming);
    assert_eq!(open(firmware, &unsigned).await.kept(), 0, "an image without a sum is not kept");

    whole(firmware, &wanted, &bytes).await;
    if !trials {
        restart();
        assert!(!running(firmware).await.trial, "nothing is ever on trial");
        return;
    }
    assert_eq!(running(firmware).await, before, "what is installed runs only after a restart");
    restart();
    let trial = running(firmware).await;
    assert_eq!(trial, Running { trial: true, counter: Some(7), failed: None });
    let next = image(8, &bytes);
    refused("another image while one is on trial", firmware.open(&next).await.err());
    done("firmware commit", firmware.commit()).await;
    assert_eq!(running(firmware).await, Running { trial: false, ..trial });
    restart();
    assert_eq!(running(firmware).await, Running { trial: false, ..trial }, "it stays");

    whole(firmware, &next, &bytes).await;
    restart();
    assert_eq!(running(firmware).await, Running { trial: true, counter: Some(8), failed: None });
    done("firmware roll back", firmware.roll_back()).await;
    refused("another image before the restart", firmware.open(&next).await.err());
    restart();
    let back = Running { trial: false, counter: Some(7), failed: Some(8) };
    assert_eq!(running(firmware).await, back, "rolled back");
    whole(firmware, &image(9, &bytes), &bytes).await;
    restart();
    done("firmware commit", firmware.commit()).await;
    assert_eq!(running(firmware).await, Running { trial: false, counter: Some(9), failed: None });
}

/// Checks what is kept of an image that is given up.
async fn kept(firmware: &dyn Firmware, wanted: &Image, bytes: &[u8]) {
    let mut incoming = open(firmware, wanted).await;
    assert_eq!(incoming.kept(), 0, "nothing was written yet");
    write(&mut *incoming, &bytes[..2_000_000]).await;
    assert_eq!(read(&mut *incoming, 2_000_000).await, &bytes[..2_000_000]);
    let end = done("firmware read at the end", incoming.written(2_000_000)).await;
    assert!(end.is_empty(), "behind the end there is nothing");
    drop(incoming);

    let mut incoming = open(firmware, wanted).await;
    let kept = incoming.kept();
    assert!((1_000_000..=2_000_000).contains(&kept), "{kept} of 2,000,000 bytes are kept");
    let place = usize::try_from(kept).unwrap_or(usize::MAX);
    assert_eq!(read(&mut *incoming, kept).await, &bytes[..place], "what is kept");
    let beyond = Bytes::from(vec![0; bytes.len() - place + 1]);
    invalid("a byte too many", incoming.write(beyond).await.err());
    invalid("the end is missing", incoming.install().await.err());

    let other = Image { version: "other".to_owned(), ..wanted.clone() };
    assert_eq!(open(firmware, &other).await.kept(), 0, "another version");
    let mut incoming = open(firmware, wanted).await;
    assert_eq!(incoming.kept(), 0, "another image was begun since");
    write(&mut *incoming, &bytes[..2_000_000]).await;
    done("firmware clear", incoming.clear()).await;
    assert_eq!(incoming.kept(), 0, "it was cleared");
    assert!(read(&mut *incoming, 0).await.is_empty(), "it was cleared");
    drop(incoming);
    assert_eq!(open(firmware, wanted).await.kept(), 0, "it was cleared");

    let mut incoming = open(firmware, wanted).await;
    write(&mut *incoming, &pattern(2_500_001)[1..]).await;
    let error = incoming.install().await.err();
    assert!(error.is_some(), "another image than the one that was begun is installed");
}

async fn whole(firmware: &dyn Firmware, image: &Image, bytes: &[u8]) {
    let mut incoming = open(firmware, image).await;
    done("firmware clear", incoming.clear()).await;
    write(&mut *incoming, bytes).await;
    match incoming.install().await {
        Ok(Installed::Restart | Installed::Done) => {}
        Err(e) => panic!("firmware install: {}", reason(&e)),
    }
}

async fn open(firmware: &dyn Firmware, image: &Image) -> Box<dyn Incoming> {
    firmware.open(image).await.unwrap_or_else(|e| panic!("firmware open: {}", reason(&e)))
}

async fn write(incoming: &mut dyn Incoming, bytes: &[u8]) {
    for bytes in bytes.chunks(60_000) {
        done("firmware write", incoming.write(Bytes::copy_from_slice(bytes))).await;
    }
}

/// The first `size` bytes that were written.
async fn read(incoming: &mut dyn Incoming, size: u64) -> Vec<u8> {
    let mut all = Vec::new();
    while (all.len() as u64) < size {
        let bytes = done("firmware read", incoming.written(all.len() as u64)).await;
        assert!((1..=64 << 10).contains(&bytes.len()), "{} bytes at once", bytes.len());
        all.extend_from_slice(&bytes);
    }
    all.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    all
}

async fn running(firmware: &dyn Firmware) -> Running {
    done("firmware running", firmware.running()).await
}

fn image(counter: u64, bytes: &[u8]) -> Image {
    let sha256 = Some(Sha256::digest(bytes).into());
    Image {
        version: format!("1.{counter}"),
        counter: Some(counter),
        size: bytes.len() as u64,
        sha256,
    }
}

fn pattern(size: u32) -> Vec<u8> {
    (0..size).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn invalid(what: &str, error: Option<Error>) {
    kind(what, error, Kind::Invalid);
}

fn refused(what: &str, error: Option<Error>) {
    kind(what, error, Kind::Refused);
}

fn kind(what: &str, error: Option<Error>, wanted: Kind) {
    let Some(error) = error else { panic!("{what}: it was taken") };
    assert_eq!(error.kind, wanted, "{what}: {}", reason(&error));
}
