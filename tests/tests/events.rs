//! Alarms and the clock of simulated ONVIF cameras with every quirk, heard by the client of the agent.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use ivt_hal::http::{Http, Limits};
use ivt_hal::onvif::{DEVICE_PATH, Onvif, Options};
use ivt_hal::{Alarms as _, Clock as _, Credentials, Heard, Kind, Signal, Trigger, conformance};
use ivt_sim::camera::onvif::Quirk;
use ivt_sim::camera::{self, CameraOptions, CameraSim, ChannelOptions, OnvifOptions};
use tokio::sync::mpsc;
use tokio::time::timeout;

const USER: &str = "operator";
const PASSWORD: &str = "tr1cky-pass";
/// Far longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

async fn camera(channels: usize, quirks: &[Quirk]) -> CameraSim {
    CameraSim::start(CameraOptions {
        credentials: Some(camera::Credentials { user: USER.into(), password: PASSWORD.into() }),
        onvif: OnvifOptions { quirks: quirks.to_vec(), ..OnvifOptions::default() },
        ..CameraOptions::new(vec![ChannelOptions::built_in(); channels])
    })
    .await
    .expect("the ports of the loopback are free")
}

fn client(camera: &CameraSim) -> Http {
    let login = Credentials { username: USER.into(), password: PASSWORD.into() };
    let port = camera.http_addr().port();
    Http::new("127.0.0.1", port, Some(login), Limits::default())
}

fn onvif(http: Http, input: u16) -> Arc<Onvif> {
    let login = Credentials { username: USER.into(), password: PASSWORD.into() };
    Onvif::new(http, DEVICE_PATH, Some(login), Options { input, ..Options::default() })
}

#[tokio::test]
async fn alarms_are_heard_whatever_the_quirk() {
    each_quirk(async |quirk| {
        let camera = camera(1, &[quirk]).await;
        let onvif = onvif(client(&camera), 1);
        let world = &camera.unit(0).unwrap().emulator.world;
        let raise = async |trigger, active| world.trigger(trigger, active);
        let triggers: &[Trigger] = match quirk {
            // It is heard anew once a minute, when it was made to forget more often than once.
            Quirk::Forgets(_) => return,
            // A line that is crossed right after the subscription is told as a state of before it.
            Quirk::OnlyInitialized => &[Trigger::Input, Trigger::Motion],
            // It never tells the end of motion.
            Quirk::NoEnd => &[Trigger::Input, Trigger::Line],
            _ => &Trigger::ALL,
        };
        conformance::alarms(&*onvif, triggers, raise).await;
    })
    .await;
}

#[tokio::test]
async fn clocks_are_set_whatever_the_quirk() {
    each_quirk(async |quirk| {
        let camera = camera(1, &[quirk]).await;
        let onvif = onvif(client(&camera), 1);
        conformance::clock(&*onvif).await;
        onvif.set("2031-05-06T07:08:09".parse().unwrap()).await.unwrap();
        let shown = camera.unit(0).unwrap().emulator.world.clock().unwrap().to_string();
        // What this one tells is 20 years behind what it holds.
        let year = if quirk == Quirk::OtherYear { "2051" } else { "2031" };
        assert!(shown.starts_with(year) && shown.contains("T07:08:"), "{shown}");
        // The login holds after the step.
        onvif.channel().power.unwrap().reboot().await.unwrap();
    })
    .await;
}

/// Tries all quirks beside each other, and tells which of them fail.
async fn each_quirk(case: impl AsyncFn(Quirk)) {
    let cases = Quirk::ALL.iter().map(|quirk| {
        let case = Box::pin(AssertUnwindSafe(case(*quirk)).catch_unwind());
        async move { case.await.is_err().then(|| quirk.name()) }
    });
    let failed: Vec<_> = join_all(cases).await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test]
async fn a_camera_that_forgets_is_heard_again() {
    let camera = camera(1, &[Quirk::Forgets(Duration::from_secs(1))]).await;
    let onvif = onvif(client(&camera), 1);
    let (heard, mut hears) = mpsc::channel(64);
    let hearing = async {
        assert_eq!(hears.recv().await, Some(Heard::Listening));
        assert_eq!(hears.recv().await, Some(Heard::Listening), "with another subscription");
        camera.unit(0).unwrap().emulator.world.trigger(Trigger::Input, true);
        loop {
            if let Some(Heard::Alarm(alarm)) = hears.recv().await {
                return (alarm.trigger, alarm.signal);
            }
        }
    };
    tokio::select! {
        error = onvif.listen(&heard) => panic!("{error}"),
        alarm = timeout(PATIENCE, hearing) => {
            assert_eq!(alarm.unwrap(), (Trigger::Input, Signal::Begins));
        }
    }
}

#[tokio::test]
async fn the_inputs_of_a_recorder_share_one_subscription() {
    // A third subscription would be refused.
    let camera = camera(4, &[Quirk::FewSubscriptions]).await;
    let http = client(&camera);
    let channels: Vec<_> = (1..=4).map(|input| onvif(http.clone(), input)).collect();
    let (ears, mut heads): (Vec<_>, Vec<_>) = channels.iter().map(|_| mpsc::channel(64)).unzip();
    let listening = channels.iter().zip(&ears).map(|(onvif, heard)| onvif.listen(heard));
    let hearing = async {
        for (number, hears) in heads.iter_mut().enumerate() {
            assert_eq!(hears.recv().await, Some(Heard::Listening), "{number}");
        }
        for (number, hears) in heads.iter_mut().enumerate() {
            let world = &camera.unit(number).unwrap().emulator.world;
            for (active, want) in [(true, Signal::Begins), (false, Signal::Ends)] {
                world.trigger(Trigger::Motion, active);
                // What goes on may be told again.
                while !matches!(hears.recv().await, Some(Heard::Alarm(alarm)) if alarm.signal == want)
                {
                }
            }
        }
        for hears in &mut heads {
            assert!(hears.try_recv().is_err(), "an alarm of another input");
        }
    };
    tokio::select! {
        errors = join_all(listening) => panic!("{errors:?}"),
        done = timeout(PATIENCE, hearing) => done.unwrap(),
    }
}

#[tokio::test]
async fn a_login_that_is_refused_is_told() {
    let camera = camera(1, &[]).await;
    let login = Credentials { username: USER.into(), password: "an0ther-one".into() };
    let port = camera.http_addr().port();
    let http = Http::new("127.0.0.1", port, Some(login.clone()), Limits::default());
    let onvif = Onvif::new(http, DEVICE_PATH, Some(login), Options::default());
    let (heard, _hears) = mpsc::channel(1);
    let error = timeout(PATIENCE, onvif.listen(&heard)).await.unwrap();
    assert_eq!(error.kind, Kind::Refused);
}
