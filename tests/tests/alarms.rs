//! Alarms, from the camera to the cloud's log with its picture.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::time::{Duration, Instant};

use futures::future::join_all;
use ivt_hal::{Trigger, WallTime};
use ivt_proto::rpc::message::{AlarmEdge, AlarmKind};
use ivt_sim::camera::{AlarmQuirk, CameraOptions, WebFault, WebFaultRule};
use ivt_sim::cloud::{
    AlarmFaults, AlarmInfo, CloudSim, Device, Faults, LinkFaults, RecordFault, StepFault,
};
use ivt_tests::{PATIENCE, soon, until};
use serde_json::json;
use tokio::time::timeout;

use crate::methods::backends::{Backend, Rig};

/// Everything is reported, and ends a second after it was detected last.
pub const ALL: &str = "[alarm]\nenable = ['external', 'motion', 'line']\ndelay_seconds = 1\n";
/// How long an alarm may take before it is raised again: the agent may not be listening yet.
const HEARD: Duration = Duration::from_secs(4);

pub fn kind(trigger: Trigger) -> AlarmKind {
    match trigger {
        Trigger::Input => AlarmKind::External,
        Trigger::Motion => AlarmKind::Motion,
        Trigger::Line => AlarmKind::Tripwire,
    }
}

/// Number of reports of a kind with this edge.
fn count(alarms: &[AlarmInfo], kind: AlarmKind, edge: AlarmEdge) -> usize {
    alarms.iter().filter(|alarm| (alarm.kind, alarm.state) == (kind, edge)).count()
}

/// Raises an alarm at the camera until its start is reported, and leaves it raised.
async fn raised(rig: &Rig, trigger: Trigger) -> AlarmInfo {
    soon(&format!("{trigger:?} is reported"), raise(rig, trigger)).await
}

async fn raise(rig: &Rig, trigger: Trigger) -> AlarmInfo {
    let (device, kind) = (rig.stage.device(), kind(trigger));
    let before = count(&device.alarms(), kind, AlarmEdge::Start);
    let began = |alarms: &[AlarmInfo]| count(alarms, kind, AlarmEdge::Start) > before;
    loop {
        rig.world.trigger(trigger, true);
        if let Ok(alarms) = timeout(HEARD, device.wait_alarms(began)).await {
            return alarms.into_iter().rev().find(|alarm| alarm.kind == kind).unwrap();
        }
        end(rig, trigger).await;
    }
}

/// Ends an alarm at the camera, and waits until every start of it has its end.
async fn ended(rig: &Rig, trigger: Trigger) {
    soon(&format!("the end of {trigger:?}"), end(rig, trigger)).await;
}

async fn end(rig: &Rig, trigger: Trigger) {
    let kind = kind(trigger);
    rig.world.trigger(trigger, false);
    let over = |alarms: &[AlarmInfo]| {
        count(alarms, kind, AlarmEdge::Start) == count(alarms, kind, AlarmEdge::End)
    };
    rig.stage.device().wait_alarms(over).await;
}

/// Waits until the alarm of this number has its picture, and returns how often it was sent.
pub async fn pictured(cloud: &CloudSim, device: &Device, number: u64) -> u64 {
    let of = |alarms: &[AlarmInfo]| {
        alarms.iter().find(|alarm| alarm.number == number).and_then(|alarm| alarm.picture.clone())
    };
    let alarms = device.wait_alarms(|alarms| of(alarms).is_some());
    let picture = of(&soon("the alarm's picture", alarms).await).unwrap();
    assert!(picture.jpeg && picture.content_type == "image/jpeg", "{picture:?}");
    assert_eq!(cloud.picture(&picture.id).unwrap().len() as u64, picture.bytes);
    picture.posts
}

#[tokio::test]
async fn an_alarm_at_each_camera_is_reported_with_its_picture_and_its_end() {
    let families = Backend::ALL.into_iter().chain([Backend::DAHUA]);
    join_all(families.map(async |backend| {
        let triggers = backend.triggers;
        let rig = backend.start_beside(ALL).await;
        let device = rig.stage.device();
        let pictures = rig.stage.agent.camera(0).unwrap().snapshot.is_some();
        for &trigger in triggers {
            let what = format!("{}: {trigger:?} is reported", backend.name);
            let start = soon(&what, raise(&rig, trigger)).await;
            assert_eq!(start.channel, 0, "{}", backend.name);
            assert!(!start.desc.is_empty() && start.desc.len() < 300, "{}", start.desc);
            if pictures {
                assert_eq!(pictured(&rig.stage.cloud, &device, start.number).await, 1);
            }
            ended(&rig, trigger).await;
        }
        let alarms = device.alarms();
        for pair in alarms.windows(2) {
            assert!(pair[0].number + 1 == pair[1].number && pair[0].at <= pair[1].at);
        }
        for trigger in triggers {
            let of = alarms.iter().filter(|alarm| alarm.kind == kind(*trigger));
            let edges: Vec<_> = of.map(|alarm| alarm.state).collect();
            let alternate = edges.chunks(2).all(|two| two == [AlarmEdge::Start, AlarmEdge::End]);
            assert!(alternate, "{}: {trigger:?} {edges:?}", backend.name);
        }
        assert_eq!(device.logins(), 1, "{}", backend.name);
    }))
    .await;
}

#[tokio::test]
async fn cameras_with_the_quirks_of_the_field_are_heard() {
    let hikvision = Backend::ALL.into_iter().find(|b| b.name == "cgi, hikvision").unwrap();
    let each = [(hikvision, "Dahua:"), (Backend::DAHUA, "Hikvision:")].into_iter();
    let each = each.flat_map(|(backend, others)| {
        let own = move |quirk: &AlarmQuirk| !quirk.what().starts_with(others);
        AlarmQuirk::ALL.into_iter().filter(own).map(move |quirk| (backend, quirk))
    });
    let wrong = join_all(each.map(async |(backend, quirk)| {
        let options = CameraOptions { alarm_quirks: vec![quirk], ..CameraOptions::default() };
        let rig = backend.start_with(ALL, options).await;
        // The silence of one is noticed by the heartbeats that lack; the other one's are not to be relied upon, so that
        // it takes minutes (in virtual time beside the reader of the stream).
        let many = match (quirk, backend.name) {
            (AlarmQuirk::GoesSilent, "cgi, dahua") => 2,
            (AlarmQuirk::GoesSilent, _) => 1,
            _ => 3,
        };
        for trigger in [Trigger::Motion, Trigger::Line, Trigger::Input].into_iter().take(many) {
            // One that tells of no end holds its alarm.
            let ends = quirk != AlarmQuirk::NoStop;
            let heard = async {
                rig.stage.cameras[0].wait_web(|counters| counters.streams == 1).await;
                raise(&rig, trigger).await;
                if ends {
                    end(&rig, trigger).await;
                }
            };
            if timeout(PATIENCE, heard).await.is_err() {
                let alarms = rig.stage.device().alarms();
                let told: Vec<_> = alarms.iter().map(|alarm| (alarm.kind, alarm.state)).collect();
                return Some(format!("{}, {quirk:?}: {trigger:?}: {told:?}", backend.name));
            }
        }
        None
    }))
    .await;
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn motion_and_line_are_reported_once_the_cloud_has_switched_them_on() {
    let rig = Backend::ALL[0].start_beside("[alarm]\ndelay_seconds = 1\n").await;
    let kinds = || -> Vec<_> { rig.stage.device().alarms().iter().map(|a| a.kind).collect() };
    let both = |active| {
        rig.world.trigger(Trigger::Motion, active);
        rig.world.trigger(Trigger::Line, active);
    };
    both(true);
    raised(&rig, Trigger::Input).await;
    ended(&rig, Trigger::Input).await;
    both(false);
    assert_eq!(kinds(), [AlarmKind::External; 2]);

    let mut params = json!({ "channel": 0, "enable": true, "sensitivity": 50, "delay": 1 });
    rig.stage.call("AlarmMoveDetectConfig", params.clone()).await.unwrap();
    raised(&rig, Trigger::Motion).await;
    assert_eq!(kinds()[2..], [AlarmKind::Motion]);
    params["enable"] = json!(false);
    rig.stage.call("AlarmMoveDetectConfig", params.clone()).await.unwrap();
    rig.world.trigger(Trigger::Motion, false);
    rig.world.trigger(Trigger::Motion, true);
    raised(&rig, Trigger::Input).await;
    assert_eq!(kinds()[3..], [AlarmKind::External], "nothing of what is switched off");
}

#[tokio::test]
async fn nothing_is_reported_outside_the_arming_window_of_the_cameras_day() {
    let rig = Backend::ALL[0].start_beside("[alarm]\ndelay_seconds = 1\n").await;
    // Another day than the device's, as a camera in another time zone may show.
    let now = rig.world.clock().unwrap().seconds().unwrap();
    let noon = WallTime::from_seconds(now - now % 86_400 + 86_400 + 43_200).unwrap();
    rig.world.set_clock(noon).unwrap();
    let date = noon.to_string()[..10].to_owned();
    let mut params = json!({ "channel": 0, "enable": true, "sensitivity": 50, "delay": 1 });
    // The night over midnight, seen at noon.
    params["start"] = json!(79_200);
    params["end"] = json!(21_600);
    rig.stage.call("AlarmMoveDetectConfig", params.clone()).await.unwrap();
    for _ in 0..3 {
        rig.world.trigger(Trigger::Motion, true);
        rig.world.trigger(Trigger::Motion, false);
    }
    raised(&rig, Trigger::Input).await;
    assert_eq!(count(&rig.stage.device().alarms(), AlarmKind::Motion, AlarmEdge::Start), 0);
    // The day, which noon lies in.
    params["start"] = json!(21_600);
    params["end"] = json!(79_200);
    rig.stage.call("AlarmMoveDetectConfig", params).await.unwrap();
    let start = raised(&rig, Trigger::Motion).await;
    assert!(start.desc.contains(&date), "the camera's date: {}", start.desc);
}

#[tokio::test]
async fn an_alarm_during_an_outage_is_reported_after_it_with_its_picture_and_its_time() {
    let rig = Backend::ALL[0].start_beside(ALL).await;
    let device = rig.stage.device();
    raised(&rig, Trigger::Motion).await;
    ended(&rig, Trigger::Motion).await;
    let known = device.alarms().len();
    let link = LinkFaults { refuse_login: Some(503), ..LinkFaults::default() };
    rig.stage.cloud.set_faults(Faults { link, ..Faults::default() });
    device.hang_up().await.unwrap();
    soon("the outage", device.wait_offline()).await;
    let before = rig.world.clock().unwrap();
    rig.world.trigger(Trigger::Motion, true);
    until("the agent has heard it", || rig.stage.agent.view().device().alarms.begun >= 2).await;
    let heard = rig.world.clock().unwrap();
    rig.stage.cloud.set_faults(Faults::default());
    soon("the end of the outage", device.wait_online()).await;
    let alarms = soon("the alarm", device.wait_alarms(|all| all.len() > known)).await;
    let alarm = &alarms[known];
    assert_eq!((alarm.kind, alarm.state), (AlarmKind::Motion, AlarmEdge::Start));
    let happened = alarm.desc.split(", ").find_map(|part| part.replace(' ', "T").parse().ok());
    let happened: WallTime = happened.unwrap_or_else(|| panic!("{} has no time", alarm.desc));
    assert!(before <= happened && happened <= heard, "{happened}");
    pictured(&rig.stage.cloud, &device, alarm.number).await;
    ended(&rig, Trigger::Motion).await;
}

#[tokio::test]
async fn a_camera_that_flaps_costs_one_report_in_a_delay() {
    let rig = Backend::ALL[0].start_beside(ALL).await;
    let device = rig.stage.device();
    raised(&rig, Trigger::Motion).await;
    ended(&rig, Trigger::Motion).await;
    let (known, began) = (device.alarms().len(), Instant::now());
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    for n in 0..800 {
        tick.tick().await;
        rig.world.trigger(Trigger::Motion, n % 2 == 0);
    }
    ended(&rig, Trigger::Motion).await;
    let starts = count(&device.alarms()[known..], AlarmKind::Motion, AlarmEdge::Start) as u64;
    assert!((1..=began.elapsed().as_secs() + 1).contains(&starts), "{starts} reports");
    assert!(device.online() && device.logins() == 1);
}

#[tokio::test]
async fn the_keepalive_has_a_bit_until_the_end_was_reported() {
    let with = |bits: &str| format!("{ALL}bits = {bits}\n");
    let each = [("[2, 3, 4]", [2, 3, 4]), ("[1, 2, 3]", [1, 2, 3])];
    join_all(each.map(async |(text, bits)| {
        let rig = Backend::ALL[0].start_beside(&with(text)).await;
        let wanted = |bits: &[u32]| bits.iter().map(|bit| 1 << bit).sum::<u32>();
        raised(&rig, Trigger::Motion).await;
        raised(&rig, Trigger::Input).await;
        let both = wanted(&[bits[0], bits[1]]);
        rig.stage.keepalive(|k| k.channels[0].alarm == Some(both)).await;
        ended(&rig, Trigger::Input).await;
        rig.stage.keepalive(|k| k.channels[0].alarm == Some(wanted(&[bits[1]]))).await;
        ended(&rig, Trigger::Motion).await;
        rig.stage.keepalive(|k| k.channels[0].alarm.is_none()).await;
    }))
    .await;
}

#[tokio::test]
async fn whatever_becomes_of_a_picture_the_next_alarm_has_its_own() {
    let faults = |picture| AlarmFaults { picture, ..AlarmFaults::default() };
    let step = |fault| faults(StepFault::times(1, fault));
    let each = [
        ("403", step(RecordFault::Status(403))),
        ("500", step(RecordFault::Status(500))),
        ("a reset", step(RecordFault::Reset)),
        ("a silent server", step(RecordFault::Stall)),
        ("a redirect elsewhere", step(RecordFault::Redirect("http://169.254.1.1/".into()))),
        ("an endless answer", step(RecordFault::Huge)),
        ("no address", AlarmFaults { no_url: true, ..AlarmFaults::default() }),
        ("an odd address", AlarmFaults { url: Some("ftp://h/p".into()), ..AlarmFaults::default() }),
        ("an error", AlarmFaults { refuse: Some(1), ..AlarmFaults::default() }),
        ("a late answer", AlarmFaults { delay_ms: 3000, ..AlarmFaults::default() }),
    ];
    join_all(each.map(async |(what, alarm)| {
        let rig = Backend::ALL[0].start_beside(ALL).await;
        let device = rig.stage.device();
        rig.stage.cloud.set_faults(Faults { alarm, ..Faults::default() });
        raised(&rig, Trigger::Motion).await;
        rig.stage.cloud.set_faults(Faults::default());
        let start = raised(&rig, Trigger::Line).await;
        pictured(&rig.stage.cloud, &device, start.number).await;
        ended(&rig, Trigger::Line).await;
        assert_eq!(device.logins(), 1, "{what}");
    }))
    .await;
}

/// The cloud may not make the agent POST to a camera.
#[tokio::test]
async fn no_picture_goes_to_the_web_server_of_a_camera() {
    let hikvision = Backend::ALL.into_iter().find(|b| b.name == "cgi, hikvision").unwrap();
    let rig = hikvision.start_beside(ALL).await;
    let camera = &rig.stage.cameras[0];
    let url = Some(format!("http://{}/ISAPI/System/reboot", camera.http_addr()));
    let alarm = AlarmFaults { url, ..AlarmFaults::default() };
    rig.stage.cloud.set_faults(Faults { alarm, ..Faults::default() });
    raised(&rig, Trigger::Motion).await;
    ended(&rig, Trigger::Motion).await;
    rig.stage.cloud.set_faults(Faults::default());
    let start = raised(&rig, Trigger::Line).await;
    pictured(&rig.stage.cloud, &rig.stage.device(), start.number).await;
    let posts = camera.web_requests().into_iter().filter(|r| r.method == "POST").count();
    assert_eq!((posts, *rig.world.reboots().borrow()), (0, 0));
}

#[tokio::test]
async fn an_alarm_of_a_camera_without_a_picture_is_reported_all_the_same() {
    let uapi = Backend::ALL.into_iter().find(|backend| backend.name == "onvif").unwrap();
    let rig = uapi.start_beside(ALL).await;
    let fault = WebFaultRule { path: "/snapshot".into(), fault: WebFault::Hang };
    rig.stage.cameras[0].set_web_faults(vec![fault]);
    let start = raised(&rig, Trigger::Motion).await;
    ended(&rig, Trigger::Motion).await;
    assert_eq!(start.kind, AlarmKind::Motion);
}
