//! Upgrades from the cloud's word to the trial of what was installed.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ivt_hal::Installed::{Done, Restart};
use ivt_hal::Running;
use tokio::time::{Instant, sleep, timeout};

use super::attempt::{OUTAGE, Outcome, QUESTIONS};
use super::journal::{Installed, Journal, wall};
use super::rig::{Answer, Asked, Rig, Server, Signer, comment, image, store, words};
use crate::channel::Link;
use crate::cloud::calls::CallError;
use crate::shutdown::stopper;

const SIZE: usize = 200_000;
/// Generous: nothing here takes so long.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_signed_image_is_installed_and_the_device_restarts() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let server = store(&rig, &file, &[]).await;
    let (stop, stopping) = stopper();
    let mut upgrading = rig.upgrading.subscribe();
    let task = tokio::spawn(rig.setup().run(ready(rig.place()), rig.upgrades.clone(), stopping));
    rig.upgrades.request();
    timeout(LIMIT, upgrading.wait_for(|is| *is)).await.unwrap().unwrap();
    // The cloud insists again in the middle of it.
    rig.upgrades.request();
    let restarted = async {
        while !rig.device.told().contains(&"restart".to_owned()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, restarted).await.unwrap();
    assert!(*upgrading.borrow(), "until the device is away");
    assert_eq!(rig.device.told(), ["open 1.5.0 Some(42)", "install", "restart"]);
    assert_eq!(rig.device.bytes(), file);
    assert_eq!(server.targets(), ["/image.minisig?sign=geheim", "/image?sign=geheim"]);
    stop.stop();
    timeout(LIMIT, task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_device_whose_own_program_has_done_it_all_is_not_restarted() {
    let (rig, file) = (Rig::new(), image(1000));
    rig.device.0.lock().unwrap().installed = Some(Done);
    let _server = store(&rig, &file, &[]).await;
    let mut updater = rig.updater();
    updater.upgrade(true).await;
    assert_eq!(rig.device.told(), ["open 1.5.0 Some(42)", "install"]);
}

#[tokio::test]
async fn a_cut_is_made_good_from_where_it_was() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let signature = rig.signer.sign(&file, &comment(&file, &[]));
    let body = file.clone();
    let (outcome, server) =
        rig.upgrade(&file, signature, move |asked| Answer::part(asked, &body, 70_000)).await;
    assert_eq!(outcome.unwrap(), Outcome::Installed(Restart));
    assert_eq!(rig.device.bytes(), file);
    let asked = server.asked.lock().unwrap().clone();
    let from: Vec<_> = asked.iter().map(Asked::from).collect();
    assert_eq!(from, [None, None, Some(70_000), Some(140_000)]);
    assert_eq!(asked[2].headers["if-range"], "\"v1\"");
    assert_eq!(rig.device.0.lock().unwrap().written, SIZE as u64, "each byte once");
}

/// How often a server was asked.
fn counter() -> impl Fn() -> usize {
    let count = AtomicUsize::new(0);
    move || count.fetch_add(1, Ordering::SeqCst)
}

#[tokio::test]
async fn a_server_that_begins_anew_is_followed() {
    let file = image(SIZE);
    let whole = |sent: usize, tag: &str, file: &[u8]| {
        let head = format!("200 OK\r\ncontent-length: {SIZE}\r\netag: \"{tag}\"");
        Answer::new(&head, &file[..sent])
    };
    let part = |from: usize, length: usize, tag: &str, file: &[u8]| {
        let head = format!(
            "206 P\r\ncontent-range: bytes {from}-{}/{length}\r\ncontent-length: {}\r\netag: \"{tag}\"",
            length - 1,
            length - from
        );
        Answer::new(&head, &file[from..])
    };
    // Each answers the first request for the rest, after which the whole is asked for, or comes, from the beginning.
    for odd in [
        whole(SIZE, "v1", &file),
        part(70_000, SIZE, "v2", &file),
        part(70_000, SIZE + 5, "v1", &[&file[..], b"abcde"].concat()),
        part(60_000, SIZE, "v1", &file),
        Answer::status("416 Range Not Satisfiable"),
        Answer::status("400 Bad Request"),
    ] {
        let rig = Rig::new();
        let signature = rig.signer.sign(&file, &comment(&file, &[]));
        let (body, asked, is_whole) = (file.clone(), counter(), odd.head.starts_with("200"));
        let (outcome, server) = rig
            .upgrade(&file, signature, move |_| match asked() {
                0 => whole(70_000, "v1", &body),
                1 => odd.clone(),
                _ => whole(SIZE, "v2", &body),
            })
            .await;
        assert_eq!(outcome.unwrap(), Outcome::Installed(Restart));
        assert_eq!(rig.device.bytes(), file);
        let from: Vec<_> = server.asked.lock().unwrap().iter().map(Asked::from).collect();
        let more = if is_whole { &[][..] } else { &[None] };
        assert_eq!(from, [&[None, None, Some(70_000)], more].concat());
        assert!(rig.device.told().contains(&"clear".to_owned()));
    }
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let signature = rig.signer.sign(&file, &comment(&file, &[]));
    let (signed, body, asked) = (signature.clone(), file.clone(), counter());
    let server = Server::new(move |it| match (asked(), it.target.contains(".minisig")) {
        (0 | 2, _) => Answer::status("503 Service Unavailable"),
        (_, true) => Answer::whole(signed.as_bytes()),
        (3, _) => Answer::new("", b""),
        _ => Answer::part(it, &body, usize::MAX),
    })
    .await;
    rig.offer("1.5.0", &server, "/image");
    assert_eq!(rig.updater().attempt(true).await.unwrap(), Outcome::Installed(Restart));
    assert_eq!(server.targets().len(), 5);
    // One that has no such file is not.
    let (rig, signature) = (Rig::new(), rig.signer.sign(&file, &comment(&file, &[])));
    rig.rules.send_modify(|rules| rules.allow_unsigned = true);
    let (outcome, server) =
        rig.upgrade(&file, signature, |_| Answer::status("404 Not Found")).await;
    assert!(words(outcome).contains("404"));
    assert_eq!(server.targets().len(), 2);
}

#[tokio::test]
async fn there_is_nothing_to_do_without_a_version_or_an_address() {
    let rig = Rig::new();
    for (version, url) in [
        ("", "http://127.0.0.1:9/a"),
        (" ", "http://127.0.0.1:9/a"),
        ("1.5.0", ""),
        ("1.5.0", "ftp://127.0.0.1/a"),
        ("1.5.0", "file:///etc/passwd"),
        ("1.5.0", "/image"),
        ("1.5.0", "http://user:geheim@127.0.0.1/a"),
        ("1.5.0", "javascript:alert(1)"),
    ] {
        *rig.offer.lock().unwrap() = (version.to_owned(), url.to_owned());
        let outcome = rig.updater().attempt(true).await;
        assert_eq!(outcome.unwrap(), Outcome::Nothing, "{version:?} {url:?}");
    }
    assert!(rig.device.told().is_empty());
}

#[tokio::test]
async fn the_night_installs_only_another_version_and_a_higher_counter() {
    let (rig, file) = (Rig::new(), image(1000));
    let server = store(&rig, &file, &[("counter", "41")]).await;
    rig.offer("1.4.2", &server, "/image");
    assert_eq!(rig.updater().attempt(false).await.unwrap(), Outcome::Nothing);
    assert!(server.targets().is_empty(), "the version runs");
    rig.offer("1.4.3", &server, "/image");
    assert!(words(rig.updater().attempt(false).await).contains("installed already"));
    assert!(rig.device.told().is_empty());
    rig.offer("1.4.2", &server, "/image");
    assert_eq!(rig.updater().attempt(true).await.unwrap(), Outcome::Installed(Restart), "forced");
}

#[tokio::test]
async fn there_is_one_upgrade_an_hour_also_over_a_restart_and_a_clock_of_1970() {
    let (rig, file) = (Rig::new(), image(1000));
    let server = store(&rig, &file, &[]).await;
    let mut updater = rig.updater();
    rig.device.0.lock().unwrap().bad = Some(10);
    updater.upgrade(true).await;
    assert!(updater.journal.wait().unwrap() > Duration::from_secs(3590));
    let before = server.targets().len();
    assert!(words(updater.attempt(true).await).contains("there was one within the hour"));
    assert!(words(rig.updater().attempt(true).await).contains("there was one within the hour"));
    assert_eq!(server.targets().len(), before, "the server is left alone");
    let reopened = |wall| Journal::open(rig.setup().store, wall, None).wait();
    let hour = Duration::from_secs(3600);
    assert_eq!(reopened(30), Some(hour), "1970");
    assert!(reopened(wall() + 1800).unwrap() <= hour / 2 + Duration::from_secs(1));
    assert_eq!(reopened(wall() + 3601), None);
}

#[tokio::test]
async fn what_is_refused_before_the_download_costs_no_hour() {
    let (rig, file) = (Rig::new(), image(1000));
    let _old = store(&rig, &file, &[("counter", "1")]).await;
    assert!(words(rig.updater().attempt(true).await).contains("older"));
    let _new = store(&rig, &file, &[]).await;
    assert_eq!(rig.updater().attempt(true).await.unwrap(), Outcome::Installed(Restart));
}

#[tokio::test]
async fn an_unsigned_image_is_installed_only_where_that_is_allowed() {
    let (file, stranger) = (image(SIZE), Signer::new());
    let rig = Rig::new();
    let theirs = stranger.sign(&file, &comment(&file, &[]));
    let forged = rig.signer.sign(b"other", &comment(&file, &[]));
    let short = rig.signer.sign(&file[1..], &comment(&file[1..], &[]));
    for (signature, words) in [
        (None, "not signed"),
        (Some(theirs), "firmware.keys"),
        (Some(forged), "not those that were signed"),
        (Some(short), "199999 were signed"),
        (Some(rig.signer.sign(&file, "timestamp:1")), "key=value words"),
    ] {
        let body = file.clone();
        let server =
            Server::new(move |asked| match (&signature, asked.target.contains(".minisig")) {
                (Some(signature), true) => Answer::whole(signature.as_bytes()),
                (None, true) => Answer::status("404 Not Found"),
                (_, false) => Answer::part(asked, &body, usize::MAX),
            })
            .await;
        rig.offer("1.5.0", &server, "/image?sign=geheim");
        rig.rules.send_modify(|rules| rules.allow_unsigned = false);
        let refused = self::words(rig.updater().attempt(true).await);
        assert!(refused.contains(words), "{words}: {refused}");
        rig.forget();
        rig.rules.send_modify(|rules| rules.allow_unsigned = true);
        assert_eq!(
            rig.updater().attempt(true).await.unwrap(),
            Outcome::Installed(Restart),
            "{words}"
        );
        assert_eq!(rig.device.bytes(), file);
        rig.forget();
    }
    // An older one that is signed right is refused all the same, as a slip of who offers it.
    let _server = store(&rig, &file, &[("counter", "7")]).await;
    assert!(self::words(rig.updater().attempt(true).await).contains("older"));
}

#[tokio::test]
async fn an_unsigned_image_has_a_size_that_is_taken() {
    let (rig, file) = (Rig::new(), image(SIZE));
    rig.rules.send_modify(|rules| (rules.allow_unsigned, rules.max_size) = (true, SIZE as u64 - 1));
    for (head, words) in
        [("200 OK\r\ncontent-length: 200000", "max_size"), ("200 OK", "Content-Length")]
    {
        let answer = Answer::new(head, &file);
        let server = Server::new(move |asked| match asked.target.contains(".minisig") {
            true => Answer::status("404 Not Found"),
            false => answer.clone(),
        })
        .await;
        rig.offer("1.5.0", &server, "/image");
        let refused = self::words(rig.updater().attempt(true).await);
        assert!(refused.contains(words), "{refused}");
        rig.forget();
    }
    assert!(rig.device.told().is_empty());
}

#[tokio::test]
async fn a_download_that_the_agents_end_interrupted_goes_on_by_itself() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let _server = store(&rig, &file, &[]).await;
    let mut journal = Journal::open(rig.setup().store, wall(), None);
    journal.begin("1.5.0", true, wall()).await;
    assert!(journal.wait().is_some());
    drop(journal);
    let (stop, stopping) = stopper();
    let task = tokio::spawn(rig.setup().run(ready(rig.place()), rig.upgrades.clone(), stopping));
    let restarted = async {
        while !rig.device.told().contains(&"restart".to_owned()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, restarted).await.unwrap();
    stop.stop();
    timeout(LIMIT, task).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_download_goes_on_three_times_and_is_another_upgrade_then() {
    let rig = Rig::new();
    let mut journal = Journal::open(rig.setup().store, 1_000_000, None);
    journal.begin("1.5.0", true, 1_000_000).await;
    for _ in 0..3 {
        journal = Journal::open(rig.setup().store, 1_000_100, None);
        assert!(journal.under_way().is_some_and(|it| it.forced));
        journal.begin("1.5.0", false, 1_000_100).await;
        assert_eq!(journal.wait(), Some(Duration::from_secs(3500)));
    }
    assert!(Journal::open(rig.setup().store, 1_000_100, None).under_way().is_none());
    journal.begin("1.5.0", false, 1_000_200).await;
    assert_eq!(journal.wait(), Some(Duration::from_secs(3600)), "another one");
    journal.end(1_000_200).await;
    assert!(Journal::open(rig.setup().store, 1_000_200, None).under_way().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_recording_defers_the_restart_but_not_for_ever() {
    let rig = Rig::new();
    let updater = rig.updater();
    let waited = async || {
        let start = Instant::now();
        updater.recorded().await;
        start.elapsed().as_secs()
    };
    rig.channel.show_recording(Some("r1".into()));
    assert_eq!(waited().await, 0, "unless that is configured");
    rig.rules.send_modify(|rules| rules.defer = Duration::from_secs(2 * 3600));
    assert_eq!(waited().await, 7200);
    let ends = async {
        sleep(Duration::from_secs(600)).await;
        rig.channel.show_recording(None);
    };
    let (seconds, ()) = tokio::join!(waited(), ends);
    assert!((600..=605).contains(&seconds), "{seconds}");
    assert_eq!(waited().await, 0, "nothing is recorded");
}

#[tokio::test]
async fn fast_forward_by_a_key_that_was_taken_out_locks_nobody_out() {
    let (rig, thief) = (Rig::new(), Signer::new());
    let (ours, theirs) = (rig.signer.key(), thief.key());
    let store = || rig.setup().store;
    let mut journal = Journal::open(store(), 0, None);
    for (key, counter) in [(&ours, 41), (&theirs, u64::MAX)] {
        let signer = Some(key.text.clone());
        let installed = Installed { counter: Some(counter), signer, ..Installed::default() };
        journal.install(installed, 0).await;
        journal.stay(&Running { counter: Some(counter), ..Running::default() }, 0).await;
    }
    let journal = Journal::open(store(), 0, None);
    let running = Running { counter: Some(u64::MAX), ..Running::default() };
    let both = [ours.clone(), theirs];
    assert_eq!(journal.floor(&running, &both), Some(u64::MAX));
    assert_eq!(journal.floor(&running, &[ours]), Some(41), "the thief's key was taken out");
    let unknown = Running { counter: Some(7), ..Running::default() };
    assert_eq!(journal.floor(&unknown, &[]), Some(7), "who signed what runs is not known");
}

#[tokio::test(start_paused = true)]
async fn the_cloud_is_asked_again_after_an_outage_and_not_for_ever() {
    let asked = Arc::new(AtomicUsize::new(0));
    for (answers, times) in [(2, 3), (usize::MAX, QUESTIONS as usize)] {
        let rig = Rig::new();
        let (count, mut updater) = (Arc::clone(&asked), rig.updater());
        asked.store(0, Ordering::SeqCst);
        updater.setup.calls = crate::cloud::calls::testing::answered(move |_| {
            match count.fetch_add(1, Ordering::SeqCst) < answers {
                true => Err(CallError::Lost),
                false => Ok(serde_json::json!({})),
            }
        });
        let outcome = updater.attempt(true).await;
        assert_eq!(outcome.is_ok(), times == 3);
        assert_eq!(asked.load(Ordering::SeqCst), times);
    }
    // While the cloud is away it is waited for, an hour at most.
    let (rig, start) = (Rig::new(), Instant::now());
    rig.link.send_replace(Link::down());
    let mut updater = rig.updater();
    updater.setup.calls = crate::cloud::calls::testing::answered(|_| Err(CallError::Offline));
    assert!(words(updater.attempt(true).await).contains("not connected"));
    assert_eq!(start.elapsed(), OUTAGE);
}

#[tokio::test]
async fn a_key_that_is_taken_out_during_the_download_counts_no_more() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let signature = rig.signer.sign(&file, &comment(&file, &[]));
    let (rules, body) = (rig.rules.clone(), file.clone());
    let (outcome, _server) = rig
        .upgrade(&file, signature, move |asked| {
            rules.send_modify(|rules| rules.keys.clear());
            Answer::part(asked, &body, usize::MAX)
        })
        .await;
    assert!(words(outcome).contains("firmware.keys"));
    assert!(!rig.device.told().contains(&"install".to_owned()));
    assert!(rig.device.bytes().is_empty(), "cleared away");
}

#[tokio::test]
async fn unsigned_images_that_are_forbidden_during_the_download_are_refused() {
    let (rig, file) = (Rig::new(), image(SIZE));
    rig.rules.send_modify(|rules| rules.allow_unsigned = true);
    let (rules, body) = (rig.rules.clone(), file.clone());
    let (outcome, _server) = rig
        .upgrade(&file, "none".into(), move |asked| {
            rules.send_modify(|rules| rules.allow_unsigned = false);
            Answer::part(asked, &body, usize::MAX)
        })
        .await;
    assert!(words(outcome).contains("firmware.allow_unsigned is off"));
    assert!(!rig.device.told().contains(&"install".to_owned()));
}

#[tokio::test]
async fn a_part_without_a_validator_is_no_other_file() {
    let (rig, file) = (Rig::new(), image(SIZE));
    let signature = rig.signer.sign(&file, &comment(&file, &[]));
    let body = file.clone();
    let date = "last-modified: Sat, 01 Aug 2026 10:00:00 GMT";
    let (outcome, server) = rig
        .upgrade(&file, signature, move |asked| {
            let Answer { head, body, .. } = Answer::part(asked, &body, 70_000);
            let with = if asked.from().is_some() { "" } else { date };
            Answer::new(head.replace("etag: \"v1\"", with).trim_end(), &body)
        })
        .await;
    assert_eq!(outcome.unwrap(), Outcome::Installed(Restart));
    assert_eq!(rig.device.0.lock().unwrap().written, SIZE as u64, "each byte once");
    let asked = server.asked.lock().unwrap().clone();
    assert_eq!(asked[3].headers["if-range"], "Sat, 01 Aug 2026 10:00:00 GMT");
}

#[tokio::test]
async fn a_line_that_cuts_and_brings_something_each_time_is_enough() {
    let (rig, file) = (Rig::new(), image(13 * 256 * 1024));
    let signature = rig.signer.sign(&file, &comment(&file, &[]));
    let body = file.clone();
    let (outcome, server) =
        rig.upgrade(&file, signature, move |asked| Answer::part(asked, &body, 256 * 1024)).await;
    assert_eq!(outcome.unwrap(), Outcome::Installed(Restart));
    assert_eq!(server.targets().len(), 1 + 13);
}

#[tokio::test]
async fn what_came_before_an_address_expired_is_kept_for_the_next() {
    for status in ["403 Forbidden", "404 Not Found", "410 Gone"] {
        let (rig, file) = (Rig::new(), image(SIZE));
        let signature = rig.signer.sign(&file, &comment(&file, &[]));
        let body = file.clone();
        let (outcome, _server) = rig
            .upgrade(&file, signature.clone(), move |asked| match asked.from() {
                None => Answer::part(asked, &body, 70_000),
                Some(_) => Answer::status(status),
            })
            .await;
        assert!(words(outcome).contains(&status[..3]));
        rig.forget();
        let body = file.clone();
        let (outcome, server) = rig
            .upgrade(&file, signature, move |asked| Answer::part(asked, &body, usize::MAX))
            .await;
        assert_eq!(outcome.unwrap(), Outcome::Installed(Restart));
        let from: Vec<_> = server.asked.lock().unwrap().iter().map(Asked::from).collect();
        assert_eq!(from, [None, Some(70_000)], "{status}");
    }
}

#[tokio::test]
async fn upgrade_firmware_during_the_look_of_the_night_follows_it() {
    let upgrades = crate::firmware::Upgrades::default();
    let asked = async || timeout(Duration::from_millis(50), upgrades.requested()).await.is_ok();
    upgrades.begin(false);
    upgrades.request();
    assert!(asked().await, "the night does not swallow it");
    upgrades.begin(true);
    upgrades.request();
    assert!(!asked().await, "one that is forced is under way");
    upgrades.begin(false);
    upgrades.request();
    upgrades.request();
    assert!(asked().await && !asked().await, "twice is once");
}

#[cfg(feature = "ui")]
#[tokio::test(start_paused = true)]
async fn a_device_without_an_owner_asks_for_no_firmware_by_night() {
    let (claimed, asked) = (tokio::sync::watch::Sender::new(false), Arc::new(AtomicUsize::new(0)));
    let mut rig = Rig::new();
    rig.owner = crate::owner::Owner::known(claimed.subscribe());
    let (mut updater, counted) = (rig.updater(), Arc::clone(&asked));
    updater.setup.calls = crate::cloud::calls::testing::answered(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(serde_json::json!({ "firmware_model": "1.4.2", "url": "" }))
    });
    let start = Instant::now();
    let local = move || ivt_hal::WallTime::from_seconds(1_795_219_200 + start.elapsed().as_secs());
    let served = async {
        updater.serve(Box::new(move || local().unwrap())).await;
    };
    let (day, mut served) = (Duration::from_secs(24 * 3600), std::pin::pin!(served));
    assert!(timeout(3 * day, &mut served).await.is_err());
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    claimed.send_replace(true);
    assert!(timeout(2 * day, &mut served).await.is_err());
    assert!(asked.load(Ordering::SeqCst) > 0);
}
