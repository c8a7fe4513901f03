//! A device without any camera raises alarms, for tests of the cloud.
#![allow(clippy::unwrap_used)]

use ivt_agent::config::Config;
use ivt_proto::rpc::message::{AlarmEdge, AlarmKind};
use ivt_sim::cloud::{AlarmInfo, CloudOptions, CloudSim};
use ivt_tests::{DEVICE, hasty, soon};

use crate::alarms::{ALL, pictured};

#[tokio::test]
async fn a_scheduled_alarm_is_reported_with_its_picture_again_and_again() {
    let cloud = CloudSim::start(CloudOptions::default()).await.unwrap();
    let text = format!(
        "[cloud]\nurl = '{}'\nlogin_code = '{DEVICE}'\nlogin_passwd = 'p'\n\
         [[channel]]\nbackend = 'emulator'\n\
         alarms = ['motion:at=200ms,every=3s,for=500ms', 'input:at=300ms,for=200ms']\n{ALL}",
        cloud.device_url(),
    );
    let _agent = hasty(&text.parse::<Config>().unwrap());
    let device = cloud.device(DEVICE);
    let edges = |alarms: &[AlarmInfo], kind| -> Vec<_> {
        alarms.iter().filter(|alarm| alarm.kind == kind).map(|alarm| alarm.state).collect()
    };
    let enough = |alarms: &[AlarmInfo]| {
        edges(alarms, AlarmKind::Motion).len() >= 4 && edges(alarms, AlarmKind::External).len() >= 2
    };
    let alarms = soon("the alarms of the schedule", device.wait_alarms(enough)).await;
    let twice = [AlarmEdge::Start, AlarmEdge::End];
    assert_eq!(edges(&alarms, AlarmKind::Motion)[..4], [twice, twice].concat());
    assert_eq!(edges(&alarms, AlarmKind::External), twice, "a single one");
    for start in alarms.iter().filter(|alarm| alarm.state == AlarmEdge::Start) {
        pictured(&cloud, &device, start.number).await;
    }
}
