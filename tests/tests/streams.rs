//! The event streams of the simulated families, with the faults of the field, as their profiles read them.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ivt_hal::http::{Http, Limits};
use ivt_hal::profile::{Options, Profile};
use ivt_hal::{Channel, Heard, Kind, Signal, Trigger, conformance};
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_sim::camera::{AlarmQuirk, CameraOptions, CameraSim, Credentials, Make};
use ivt_tests::camera;
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENT: Duration = Duration::from_secs(20);
const FAMILIES: [&str; 5] = ["hikvision", "dahua", "uapi", "nvc", "merlin"];

/// A device of a family and its inputs as the profile of the same name describes them.
async fn device(family: &str, inputs: u16, quirks: &[AlarmQuirk]) -> (CameraSim, Vec<Channel>) {
    let units = camera(ClipOpener::built_in(BuiltIn::Main)).channels;
    let units = units.into_iter().cycle().take(inputs.into()).collect();
    let family_of: Make = family.parse().unwrap();
    let credentials = Credentials { user: "admin".into(), password: "str3ams-9".into() };
    let options = CameraOptions {
        family: family_of,
        alarm_quirks: quirks.to_vec(),
        credentials: Some(credentials),
        ..CameraOptions::new(units)
    };
    let camera = CameraSim::start(options).await.unwrap();
    let at = camera.http_addr();
    let login = ivt_hal::Credentials { username: "admin".into(), password: "str3ams-9".into() };
    let http = Http::new(&at.ip().to_string(), at.port(), Some(login), Limits::default());
    let profile = Arc::new(Profile::builtin(family).unwrap());
    let channel = |input| profile.channel(&http, &Options { input, ..Options::default() });
    let channels = (1..=inputs).map(|input| channel(input).unwrap()).collect();
    (camera, channels)
}

fn listen(channel: &Channel) -> (tokio::task::JoinHandle<ivt_hal::Error>, mpsc::Receiver<Heard>) {
    let (heard, hears) = mpsc::channel(64);
    let alarms = channel.alarms.clone().unwrap();
    (tokio::spawn(async move { alarms.listen(&heard).await }), hears)
}

async fn next(hears: &mut mpsc::Receiver<Heard>, row: &str) -> Option<Heard> {
    timeout(PATIENT, hears.recv()).await.unwrap_or_else(|_| panic!("{row}: nothing is heard"))
}

/// Waits until a trigger is told, whatever comes before.
async fn told(hears: &mut mpsc::Receiver<Heard>, wanted: Trigger, ends: bool, row: &str) {
    loop {
        match next(hears, row).await {
            Some(Heard::Alarm(alarm))
                if alarm.trigger == wanted && (alarm.signal == Signal::Ends) == ends =>
            {
                return;
            }
            Some(_) => {}
            None => panic!("{row}: the stream ended before {wanted:?}"),
        }
    }
}

fn raise(camera: &CameraSim, channel: usize, trigger: Trigger, active: bool) {
    camera.unit(channel).unwrap().emulator.world.trigger(trigger, active);
}

#[tokio::test]
async fn alarms_and_clocks_of_the_families_pass_conformance() {
    let check = async |family| {
        let (camera, channels) = device(family, 1, &[]).await;
        let raise = async |trigger, active| raise(&camera, 0, trigger, active);
        conformance::alarms(&**channels[0].alarms.as_ref().unwrap(), &Trigger::ALL, raise).await;
        conformance::clock(&**channels[0].clock.as_ref().unwrap()).await;
    };
    for family in FAMILIES {
        println!("{family}");
        check(family).await;
    }
}

#[tokio::test]
async fn every_odd_stream_tells_its_alarms() {
    use AlarmQuirk as Q;
    let rows = Q::ALL.into_iter().filter(|quirk| !matches!(quirk, Q::HangsUp | Q::GoesSilent));
    let rows = rows.flat_map(|quirk| ["hikvision", "dahua"].map(|family| (family, quirk)));
    join_all(rows.map(async |(family, quirk)| {
        for inputs in [1, 2] {
            let row = format!("{family} of {inputs}, {}", quirk.name());
            let (camera, channels) = device(family, inputs, &[quirk]).await;
            let last = usize::from(inputs) - 1;
            let (_task, mut hears) = listen(&channels[last]);
            assert_eq!(next(&mut hears, &row).await, Some(Heard::Listening), "{row}");
            for trigger in Trigger::ALL {
                raise(&camera, last, trigger, true);
                told(&mut hears, trigger, false, &row).await;
                raise(&camera, last, trigger, false);
            }
            let ends = match (family, quirk) {
                ("dahua", Q::NoStop) => None,
                ("dahua", _) => Some(Trigger::Motion),
                (_, Q::MotionEnd) => Some(Trigger::Motion),
                (_, Q::LineEnd) => Some(Trigger::Line),
                _ => Some(Trigger::Input),
            };
            if let Some(trigger) = ends {
                raise(&camera, last, trigger, true);
                told(&mut hears, trigger, false, &row).await;
                raise(&camera, last, trigger, false);
                told(&mut hears, trigger, true, &row).await;
            }
        }
    }))
    .await;
}

#[tokio::test]
async fn a_recorder_is_heard_on_one_connection_and_each_input_hears_its_own() {
    join_all(["hikvision", "dahua"].map(async |family| {
        let (camera, channels) = device(family, 3, &[]).await;
        let mut ears: Vec<_> = channels.iter().map(listen).collect();
        for (_, hears) in &mut ears {
            assert_eq!(next(hears, family).await, Some(Heard::Listening));
        }
        camera.wait_web(|counters| counters.streams == 1).await;
        for of in [2, 0, 1] {
            raise(&camera, of, Trigger::Input, true);
            told(&mut ears[of].1, Trigger::Input, false, family).await;
            for (at, (_, hears)) in ears.iter_mut().enumerate().filter(|(at, _)| *at != of) {
                let heard = hears.try_recv();
                assert!(heard.is_err(), "{family}: {at} hears {heard:?} of {of}");
            }
        }
    }))
    .await;
}

#[tokio::test]
async fn a_stream_that_the_camera_ends_is_told_to_all_and_can_be_heard_again() {
    let (camera, channels) = device("dahua", 2, &[AlarmQuirk::HangsUp]).await;
    for _ in 0..2 {
        let mut ears: Vec<_> = channels.iter().map(listen).collect();
        for (_, hears) in &mut ears {
            assert_eq!(next(hears, "dahua").await, Some(Heard::Listening));
        }
        raise(&camera, 1, Trigger::Motion, true);
        told(&mut ears[1].1, Trigger::Motion, false, "dahua").await;
        for (task, _) in ears {
            assert_eq!(timeout(PATIENT, task).await.unwrap().unwrap().kind, Kind::Other);
        }
        raise(&camera, 1, Trigger::Motion, false);
    }
}
