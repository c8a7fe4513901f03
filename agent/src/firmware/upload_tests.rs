//! Images that a person uploads, and trials that a person ends.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use ivt_hal::Running;
use ivt_hal::WallTime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::order::Wish;
use super::rig::{Rig, Signer, comment, image};
use super::seen::{Seen, Work};
use super::{Refusal, Upgrades};
use crate::channel::Link;

/// Generous: nothing here takes so long.
const LIMIT: Duration = Duration::from_secs(60);
const SIZE: usize = 300_000;

/// The task of an agent that starts now, once it waits.
async fn started(rig: &Rig) -> JoinHandle<()> {
    let mut updater = rig.updater();
    let noon = || "2026-11-30T12:00:00".parse::<WallTime>().unwrap();
    let task = tokio::spawn(async move { updater.serve(Box::new(noon)).await });
    until(&rig.upgrades, |seen| seen.work == Work::Idle).await;
    task
}

async fn until(upgrades: &Upgrades, is_so: impl Fn(&Seen) -> bool) -> Seen {
    let look = async {
        loop {
            let seen = upgrades.orders().seen();
            if is_so(&seen) {
                return seen;
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LIMIT, look).await.expect("it comes so far")
}

fn sent(image: &[u8]) -> BoxStream<'static, io::Result<Bytes>> {
    let chunks = image.chunks(100_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk)));
    stream::iter(chunks.collect::<Vec<_>>()).boxed()
}

async fn take(rig: &Rig, signature: &str, image: &[u8]) -> Result<String, Refusal> {
    let (signature, size) = (signature.as_bytes().to_vec(), Some(image.len() as u64));
    timeout(LIMIT, rig.upgrades.orders().take(signature, size, sent(image))).await.unwrap()
}

#[tokio::test]
async fn an_image_that_is_signed_right_is_installed_and_the_device_restarts() {
    let (rig, image) = (Rig::new(), image(SIZE));
    let task = started(&rig).await;
    let signature = rig.signer.sign(&image, &comment(&image, &[]));
    let judged = rig.upgrades.orders().judge(signature.clone().into_bytes()).await.unwrap();
    assert_eq!((&*judged.version, judged.size), ("1.5.0", SIZE as u64));
    assert!(rig.device.told().is_empty(), "a question changes nothing");
    assert_eq!(take(&rig, &signature, &image).await.unwrap(), "1.5.0");
    let seen = until(&rig.upgrades, |seen| seen.work == Work::Restart).await;
    assert_eq!(seen.attempts.back().unwrap().outcome, Ok("installed"));
    assert_eq!(seen.installed, Some(("1.5.0".to_owned(), Some(42), false)));
    until(&rig.upgrades, |_| rig.device.told().contains(&"restart".to_owned())).await;
    assert_eq!(rig.device.told(), ["open 1.5.0 Some(42)", "install", "restart"]);
    assert!(rig.device.bytes() == image && *rig.upgrading.borrow());
    task.abort();
    // An upload is nothing that the cloud would be asked for again.
    assert!(rig.updater().journal.under_way().is_none());
}

#[tokio::test]
async fn nothing_is_installed_that_the_rules_do_not_take() {
    let (rig, image) = (Rig::new(), image(SIZE));
    rig.rules.send_modify(|rules| rules.max_size = SIZE as u64);
    let task = started(&rig).await;
    let sign = |changes: &[(&str, &str)]| rig.signer.sign(&image, &comment(&image, changes));
    let (good, mut other, long) = (sign(&[]), image.clone(), [&image[..], b"x"].concat());
    other[SIZE - 1] ^= 1;
    let larger = rig.signer.sign(&long, &comment(&long, &[]));
    let stranger = Signer::new().sign(&image, &comment(&image, &[]));
    for (signature, image, code) in [
        (String::new(), &image, "firmware_unsigned"),
        ("x".to_owned(), &image, "firmware_no_signature"),
        (stranger, &image, "firmware_unknown_key"),
        (sign(&[("model", "IPC-2")]), &image, "firmware_model"),
        (sign(&[("counter", "40")]), &image, "firmware_older"),
        (sign(&[("expires", "2001-01-01")]), &image, "firmware_expired"),
        (larger, &long, "firmware_too_large"),
        (good.clone(), &long, "firmware_size"),
        (good.clone(), &other, "firmware_forged"),
    ] {
        let refusal = take(&rig, &signature, image).await.unwrap_err();
        assert_eq!(refusal.code(), code, "{refusal}");
        let seen = rig.upgrades.orders().seen();
        let (found, text) = seen.attempts.back().unwrap().outcome.clone().unwrap_err();
        assert_eq!((found, text), (code, refusal.to_string()));
        until(&rig.upgrades, |seen| seen.work == Work::Idle).await;
    }
    assert_eq!(rig.device.told(), ["open 1.5.0 Some(42)", "clear"], "only the last came so far");
    assert!(rig.device.bytes().is_empty() && !*rig.upgrading.borrow());
    // The one that runs is installed again, as a person insists.
    assert!(take(&rig, &sign(&[("counter", "41")]), &image).await.is_ok());
    task.abort();
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_no_trace_and_a_second_one_waits_for_nobody() {
    let (rig, image) = (Rig::new(), image(SIZE));
    let task = started(&rig).await;
    let signature = rig.signer.sign(&image, &comment(&image, &[]));
    let (sender, mut receiver) = mpsc::channel(1);
    let bytes = stream::poll_fn(move |cx| receiver.poll_recv(cx)).boxed();
    let orders = rig.upgrades.orders();
    let (upgrades, file) = (rig.upgrades.clone(), signature.clone().into_bytes());
    let first = tokio::spawn(async move { upgrades.orders().take(file, None, bytes).await });
    sender.send(Ok(Bytes::copy_from_slice(&image[..1000]))).await.unwrap();
    let part = Work::Upload { bytes: 1000, size: SIZE as u64 };
    until(&rig.upgrades, |seen| seen.work == part).await;
    assert_eq!(take(&rig, &signature, &image).await.unwrap_err().code(), "firmware_busy");
    assert_eq!(orders.check().unwrap_err().code(), "firmware_busy");
    sender.send(Err(io::Error::other("the browser has gone"))).await.unwrap();
    assert_eq!(first.await.unwrap().unwrap_err().code(), "firmware_broken_off");
    until(&rig.upgrades, |seen| seen.work == Work::Idle).await;
    assert!(rig.device.bytes().is_empty() && !*rig.upgrading.borrow());
    assert!(rig.updater().journal.installed().is_none());
    assert!(take(&rig, &signature, &image).await.is_ok());
    task.abort();
}

#[tokio::test]
async fn an_upload_that_comes_too_slowly_is_left() {
    let (rig, image) = (Rig::new(), image(SIZE));
    let task = started(&rig).await;
    let signature = rig.signer.sign(&image, &comment(&image, &[])).into_bytes();
    let taken = rig.upgrades.orders().take(signature, None, stream::pending().boxed());
    let refusal = timeout(LIMIT, taken).await.unwrap().unwrap_err();
    assert_eq!(refusal.code(), "firmware_slow");
    task.abort();
}

#[tokio::test]
async fn a_person_ends_a_trial_either_way() {
    for (wish, told) in [(Wish::Stay, &["commit"][..]), (Wish::GoBack, &["roll back", "restart"])] {
        let rig = Rig::new();
        assert!(!rig.upgrades.orders().wish(wish), "nothing is on trial");
        rig.device.run(true, Some(42));
        rig.link.send_replace(Link::down());
        let mut updater = rig.updater();
        let task = tokio::spawn(async move {
            updater.settle().await;
            updater
        });
        let seen = until(&rig.upgrades, |seen| seen.work == Work::Trial).await;
        assert_eq!(seen.running, Some(Running { trial: true, counter: Some(42), failed: None }));
        let refusal = take(&rig, "", b"").await.unwrap_err();
        assert_eq!(refusal.code(), "firmware_on_trial");
        assert!(rig.upgrades.orders().wish(wish));
        until(&rig.upgrades, |_| rig.device.told() == told).await;
        let failed = rig.updater().journal.installed().is_some_and(|it| it.failed);
        assert_eq!(failed, wish == Wish::GoBack);
        task.abort();
    }
}

#[tokio::test]
async fn the_cloud_is_asked_when_a_person_wants_it() {
    let rig = Rig::new();
    let task = started(&rig).await;
    rig.upgrades.orders().check().unwrap();
    let seen = until(&rig.upgrades, |seen| !seen.attempts.is_empty()).await;
    assert_eq!(seen.attempts[0].outcome, Ok("nothing_new"));
    task.abort();
}
