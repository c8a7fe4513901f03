//! preview_server: off unless it is configured, and then one picture of channel 0 where the cloud wants it.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use ivt_agent::Agent;
use ivt_agent::config::Config;
use ivt_sim::cloud::{
    AlarmFaults, Answers, CloudOptions, CloudSim, Faults, RecordFault, StepFault,
};
use ivt_tests::{DEVICE, hasty, soon, until};

async fn start(preview: bool, answers: Answers) -> (CloudSim, Agent) {
    let cloud = CloudSim::start(CloudOptions { answers, ..CloudOptions::default() }).await.unwrap();
    let text = format!(
        "[cloud]\nurl = '{}'\nlogin_code = '{DEVICE}'\nlogin_passwd = 'p'\npreview = {preview}\n\
         [[channel]]\nbackend = 'emulator'\n",
        cloud.device_url(),
    );
    let agent = hasty(&text.parse::<Config>().unwrap());
    soon("the agent logs in", cloud.device(DEVICE).wait_online()).await;
    (cloud, agent)
}

/// How often the device has asked.
fn asked(cloud: &CloudSim) -> usize {
    let (packets, _) = cloud.device(DEVICE).packets();
    packets.iter().filter(|packet| packet.text.contains("\"preview_server\"")).count()
}

fn wanted() -> Answers {
    Answers { previews: true, ..Answers::default() }
}

#[tokio::test]
async fn a_preview_goes_to_the_cloud_that_wants_one() {
    let (cloud, _agent) = start(true, wanted()).await;
    let previews = soon("a preview", cloud.device(DEVICE).wait_previews(1)).await;
    assert!(previews[0].jpeg && previews[0].content_type == "image/jpeg", "{previews:?}");
    assert_eq!((asked(&cloud), cloud.device(DEVICE).logins()), (1, 1));
}

#[tokio::test]
async fn a_device_asks_for_previews_only_where_it_is_configured() {
    let (cloud, _agent) = start(false, wanted()).await;
    let mut keepalives = cloud.device(DEVICE).keepalive();
    let keepalive = keepalives.wait_for(Option::is_some);
    soon("a keepalive", keepalive).await.unwrap();
    soon("another keepalive", keepalives.changed()).await.unwrap();
    assert_eq!((asked(&cloud), cloud.device(DEVICE).previews().len()), (0, 0));
}

#[tokio::test]
async fn whatever_the_cloud_answers_the_connection_stays() {
    let url = |url: &str| Answers { preview_url: url.into(), ..Answers::default() };
    for answers in [Answers::default(), url("ftp://h/p"), url("http://169.254.1.1/p"), url("?")] {
        let (cloud, _agent) = start(true, answers).await;
        until("it is asked", || asked(&cloud) == 1).await;
        let mut keepalives = cloud.device(DEVICE).keepalive();
        soon("a keepalive", keepalives.wait_for(Option::is_some)).await.unwrap();
        assert_eq!(cloud.device(DEVICE).logins(), 1);
    }
    let (cloud, _agent) = start(true, wanted()).await;
    let picture = StepFault::always(RecordFault::Status(500));
    let alarm = AlarmFaults { picture, ..AlarmFaults::default() };
    cloud.set_faults(Faults { alarm, ..Faults::default() });
    until("it is asked", || asked(&cloud) == 1).await;
    assert!(cloud.device(DEVICE).online());
}
