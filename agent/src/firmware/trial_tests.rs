//! Trials of what was installed, restarts, and what becomes of it.

use std::time::Duration;

use ivt_hal::Installed::Restart;
use ivt_hal::Running;
use tokio::time::{Instant, timeout};

use super::attempt::Outcome;
use super::journal::{Installed, wall};
use super::rig::{Rig, Server, image, store, words};
use crate::channel::Link;

/// Generous: nothing here takes so long.
const LIMIT: Duration = Duration::from_secs(60);

/// Watches the trial of firmware 42, which key `signer` has signed; the cloud is reached and lost at these seconds.
async fn trial(rig: &Rig, link: &[u64]) -> (Vec<String>, u64) {
    rig.device.run(true, Some(42));
    let mut updater = rig.updater();
    let signer = Some(rig.signer.key().text);
    let installed = Installed {
        version: "1.5.0".into(),
        counter: Some(42),
        signer,
        done: true,
        ..Installed::default()
    };
    updater.journal.install(installed, wall()).await;
    rig.link.send_replace(Link::down());
    let (sender, start) = (rig.link.clone(), Instant::now());
    let link = link.to_owned();
    let changes = tokio::spawn(async move {
        for (number, second) in (0..).zip(link) {
            tokio::time::sleep_until(start + Duration::from_secs(second)).await;
            sender.send_modify(|link| match number % 2 {
                0 => link.down_since = None,
                _ => *link = Link { losses: link.losses + 1, ..Link::down() },
            });
        }
    });
    updater.settle().await;
    changes.abort();
    (rig.device.told(), start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_firmware_stays_after_five_minutes_with_the_cloud_on_end() {
    for (link, seconds) in
        [(&[20][..], 320), (&[20, 200, 230], 530), (&[0, 299, 300, 599, 600], 900)]
    {
        let rig = Rig::new();
        let (told, after) = trial(&rig, link).await;
        assert_eq!((told, after), (vec!["commit".to_owned()], seconds), "{link:?}");
        let updater = rig.updater();
        let floor = updater.journal.floor(&Running::default(), &[rig.signer.key()]);
        assert_eq!(floor, Some(42), "older ones are refused from now on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_firmware_without_a_lasting_connection_gives_way() {
    for (link, least) in [
        (&[][..], 900),
        // It is lost again and again.
        (&[10, 300, 310, 600, 610, 890], 900),
        // It comes just before the end, and does not last.
        (&[890, 1000], 1000),
    ] {
        let rig = Rig::new();
        let (told, after) = trial(&rig, link).await;
        assert_eq!(told, ["roll back", "restart"], "{link:?}");
        assert_eq!(after, least + 60, "{link:?}");
        let updater = rig.updater();
        assert!(updater.journal.installed().unwrap().failed);
        assert_eq!(updater.journal.floor(&Running::default(), &[rig.signer.key()]), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_does_not_keep_a_firmware_at_once_is_told_again() {
    let rig = Rig::new();
    rig.device.0.lock().unwrap().stuck = 3;
    let (told, after) = trial(&rig, &[0]).await;
    assert_eq!((told, after), (vec!["commit".to_owned()], 300 + 3 * 60));
}

#[tokio::test]
async fn a_firmware_that_did_not_start_is_not_installed_again_by_night() {
    let (rig, file) = (Rig::new(), image(1000));
    let server = store(&rig, &file, &[]).await;
    rig.offer("1.5.0", &server, "/image");
    let mut updater = rig.updater();
    updater.attempt(true).await.unwrap();
    // The boot loader went back to the one before.
    rig.device.run(false, Some(41));
    let mut updater = rig.updater();
    updater.settle().await;
    assert!(updater.journal.installed().unwrap().failed);
    rig.forget();
    let mut updater = rig.updater();
    updater.journal.install(failed(&rig), wall()).await;
    assert!(words(updater.attempt(false).await).contains("did not stay"));
    assert_eq!(updater.attempt(true).await.unwrap(), Outcome::Installed(Restart), "forced");
}

fn failed(rig: &Rig) -> Installed {
    let signer = Some(rig.signer.key().text);
    Installed {
        version: "1.5.0".into(),
        counter: Some(42),
        signer,
        done: true,
        failed: true,
        ..Installed::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_firmware_in_which_the_agent_ends_again_and_again_gives_way() {
    let rig = Rig::new();
    rig.device.run(true, Some(42));
    rig.link.send_replace(Link::down());
    for _ in 0..10 {
        let mut updater = rig.updater();
        assert!(timeout(Duration::from_secs(120), updater.settle()).await.is_err());
        assert!(rig.device.told().is_empty());
    }
    rig.updater().settle().await;
    assert_eq!(rig.device.told(), ["roll back", "restart"]);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_cannot_go_back_keeps_a_firmware_that_works_in_the_end() {
    let rig = Rig::new();
    rig.device.0.lock().unwrap().one_way = true;
    let (told, after) = trial(&rig, &[2000]).await;
    assert_eq!((told, after), (vec!["commit".to_owned()], 2300));
    assert!(!rig.updater().journal.installed().unwrap().failed);
}

/// The firmware 42 is whole, and the device is told to install it by an agent that ends then.
async fn ends_in_installing(rig: &Rig) -> Server {
    let server = store(rig, &image(1000), &[]).await;
    rig.device.0.lock().unwrap().ends = true;
    let mut updater = rig.updater();
    assert!(timeout(LIMIT, updater.attempt(true)).await.is_err());
    rig.device.0.lock().unwrap().ends = false;
    server
}

#[tokio::test(start_paused = true)]
async fn a_program_that_restarts_the_device_is_run_once() {
    let rig = Rig::new();
    let server = ends_in_installing(&rig).await;
    rig.device.run(false, Some(42));
    let mut updater = rig.updater();
    assert!(updater.journal.under_way().is_none(), "the download is over");
    updater.settle().await;
    assert_eq!(updater.journal.floor(&Running::default(), &[rig.signer.key()]), Some(42));
    assert_eq!(rig.device.told(), ["open 1.5.0 Some(42)", "install"]);
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_trial_is_watched_once_the_device_answers() {
    let rig = Rig::new();
    rig.device.0.lock().unwrap().silent = 5;
    let (told, after) = trial(&rig, &[0]).await;
    assert_eq!(told, ["commit"]);
    assert_eq!(after, 5 + 10 + 20 + 40 + 60 + 300);
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_the_agents_end_has_cut_off_is_made_good() {
    let (rig, file) = (Rig::new(), image(1000));
    let server = store(&rig, &file, &[]).await;
    rig.channel.show_recording(Some("r1".into()));
    rig.rules.send_modify(|rules| rules.defer = Duration::from_secs(7200));
    let mut updater = rig.updater();
    // The agent ends while it waits for the recording.
    assert!(timeout(Duration::from_secs(600), updater.upgrade(true)).await.is_err());
    assert!(!*rig.upgrading.borrow(), "it only waits");
    let start = Instant::now();
    let mut updater = rig.updater();
    updater.settle().await;
    assert_eq!(start.elapsed().as_secs(), 7200 + 60, "the recording is waited for again");
    assert_eq!(rig.device.told(), ["open 1.5.0 Some(42)", "install", "restart"]);
    assert!(!updater.journal.installed().unwrap().failed);
    // The device does not restart. The night does not install it again.
    tokio::time::advance(Duration::from_secs(3600)).await;
    let before = server.targets().len();
    assert!(words(updater.attempt(false).await).contains("installed already"));
    assert_eq!(server.targets().len(), before + 1, "only the signature");
    // The device has restarted at last.
    rig.device.run(false, Some(42));
    let mut updater = rig.updater();
    updater.settle().await;
    assert_eq!(updater.journal.floor(&Running::default(), &[rig.signer.key()]), Some(42));
}

/// How often the device was told to restart.
fn restarts(rig: &Rig) -> usize {
    rig.device.told().iter().filter(|told| *told == "restart").count()
}

#[tokio::test(start_paused = true)]
async fn a_device_that_does_not_restart_is_told_again() {
    let rig = Rig::new();
    rig.link.send_replace(Link::down());
    rig.device.run(true, Some(42));
    let noon = || ivt_hal::WallTime::from_seconds(12 * 3600).unwrap();
    let mut updater = rig.updater();
    assert!(timeout(Duration::from_secs(4 * 3600), updater.serve(Box::new(noon))).await.is_err());
    assert_eq!(rig.device.told()[..2], ["roll back", "restart"]);
    assert!((5..10).contains(&restarts(&rig)), "{}", restarts(&rig));
    // An agent that starts anew in the same start of the device goes on with it.
    let before = restarts(&rig);
    let mut updater = rig.updater();
    updater.settle().await;
    assert_eq!(restarts(&rig), before + 1);
    assert_eq!(rig.device.told().iter().filter(|told| *told == "roll back").count(), 1);
}

#[tokio::test]
async fn what_the_device_has_refused_counts_for_nothing() {
    for (runs, trial) in [(None, false), (Some(41), false), (Some(41), true)] {
        let (rig, file) = (Rig::new(), image(1000));
        rig.device.run(false, runs);
        rig.device.0.lock().unwrap().refuses = true;
        let _server = store(&rig, &file, &[]).await;
        assert!(words(rig.updater().attempt(true).await).contains("Refused"));
        rig.device.run(trial, runs);
        tokio::time::pause();
        let mut updater = rig.updater();
        updater.settle().await;
        tokio::time::resume();
        let installed = updater.journal.installed().unwrap();
        assert!(!installed.done && !installed.failed);
        let floor = updater.journal.floor(&Running::default(), &[rig.signer.key()]);
        assert_eq!(floor, None, "{runs:?} {trial}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_try_that_works_makes_good_the_first() {
    let rig = Rig::new();
    rig.device.0.lock().unwrap().running.failed = Some(42);
    let (told, _) = trial(&rig, &[0]).await;
    assert_eq!(told, ["commit"]);
    let mut updater = rig.updater();
    assert!(!updater.journal.installed().unwrap().failed);
    updater.settle().await;
    assert_eq!(updater.journal.floor(&Running::default(), &[rig.signer.key()]), Some(42));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_cannot_go_back_keeps_what_ended_again_and_again_in_the_end() {
    let rig = Rig::new();
    rig.device.0.lock().unwrap().one_way = true;
    rig.device.run(true, Some(42));
    rig.link.send_replace(Link::down());
    for _ in 0..10 {
        let mut updater = rig.updater();
        assert!(timeout(Duration::from_secs(1), updater.settle()).await.is_err());
    }
    rig.link.send_modify(|link| link.down_since = None);
    rig.updater().settle().await;
    assert_eq!(rig.device.told(), ["commit"]);
}

#[tokio::test]
async fn what_gave_way_for_want_of_a_cloud_is_tried_on_three_more_nights() {
    let (rig, file) = (Rig::new(), image(1000));
    let _server = store(&rig, &file, &[]).await;
    for night in 0..4 {
        let mut updater = rig.updater();
        let outcome = updater.attempt(night == 0).await;
        assert_eq!(outcome.unwrap(), Outcome::Installed(Restart), "night {night}");
        rig.device.run(true, Some(42));
        rig.link.send_replace(Link::down());
        tokio::time::pause();
        rig.updater().settle().await;
        // The boot loader has gone back.
        rig.device.run(false, Some(41));
        rig.link.send_modify(|link| link.down_since = None);
        let mut updater = rig.updater();
        updater.settle().await;
        tokio::time::advance(Duration::from_secs(3700)).await;
        tokio::time::resume();
        rig.hour();
    }
    assert!(words(rig.updater().attempt(false).await).contains("did not stay"));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_has_no_way_to_keep_a_firmware_is_not_asked_for_ever() {
    let rig = Rig::new();
    rig.device.0.lock().unwrap().keeps_nothing = true;
    let (told, after) = trial(&rig, &[0]).await;
    assert_eq!((told, after), (vec![], 300));
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_hangs_is_no_upgrade_for_ever() {
    let rig = Rig::new();
    let _server = store(&rig, &image(1000), &[]).await;
    rig.device.0.lock().unwrap().hangs = true;
    let mut updater = rig.updater();
    updater.upgrade(true).await;
    assert_eq!(rig.device.told(), ["open 1.5.0 Some(42)", "install", "restart"]);
    assert!(!*rig.upgrading.borrow());
}
