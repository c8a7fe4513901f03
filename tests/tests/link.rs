//! The connection to the cloud is cut, half open, or away for long. Real agents run in virtual time where only
//! the connection matters, and over loopback elsewhere.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::time::Duration;

use futures::future::join_all;
use ivt_agent::cloud::CloudState;
use ivt_agent::{Agent, View};
use ivt_proto::rpc::message::ChannelState;
use ivt_sim::camera::{CameraOptions, CameraSim};
use ivt_sim::cloud::{CloudOptions, CloudSim, Faults, LinkFaults, RtmpFault};
use ivt_tests::front::{Cut, Front};
use ivt_tests::memory::{Cloud, Lost};
use ivt_tests::{Plan, Stage, hasty, soon, until};
use serde_json::json;
use tokio::time::{Instant, sleep};

/// The moment at which the agent was no longer online.
async fn noticed(view: View) -> Instant {
    view.cloud().wait_for(|state| *state != CloudState::Online).await.unwrap();
    Instant::now()
}

fn online(agents: &[Agent]) -> usize {
    agents.iter().filter(|agent| *agent.view().cloud().borrow() == CloudState::Online).count()
}

#[tokio::test(start_paused = true)]
async fn a_half_open_link_is_noticed_within_31_seconds_whichever_way_is_lost() {
    const AGENTS: usize = 40;
    for (up, down) in [(true, true), (true, false), (false, true)] {
        // Events of the cloud are no sign of life: only an answer is.
        let cloud = Cloud::new(true, true);
        let mut agents = Vec::new();
        for device in 0..AGENTS {
            agents.push(cloud.agent(device, 1));
            sleep(Duration::from_millis(250)).await; // The devices cover every phase of ten seconds.
        }
        sleep(Duration::from_secs(90)).await;
        assert_eq!((online(&agents), cloud.lines()), (AGENTS, AGENTS));

        cloud.lose(Lost { up, down });
        let lost = Instant::now();
        for at in join_all(agents.iter().map(|agent| noticed(agent.view()))).await {
            let after = at - lost;
            let limits = Duration::from_secs(20)..=Duration::from_secs(31);
            assert!(limits.contains(&after), "up {up}, down {down}: {after:?}");
        }

        cloud.lose(Lost::default());
        sleep(Duration::from_secs(180)).await;
        let open = cloud.lines();
        assert_eq!((online(&agents), open), (AGENTS, AGENTS), "one connection each, no old one");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_away_for_a_day_from_the_start_is_dialled_rarely_and_found_soon() {
    const AGENTS: usize = 100;
    let minute = Duration::from_secs(60);
    let cloud = Cloud::new(false, false);
    let agents: Vec<_> = (0..AGENTS).map(|device| cloud.agent(device, 2)).collect();
    let most = || {
        let mut each = [0; AGENTS];
        cloud.take_attempts().iter().for_each(|attempt| each[attempt.device] += 1);
        each.into_iter().max().unwrap()
    };
    sleep(10 * minute).await;
    let attempts = most();
    assert!(attempts <= 24, "{attempts} in the first ten minutes");
    for hour in 0..24 {
        sleep(60 * minute).await;
        let attempts = most();
        assert!((1..=85).contains(&attempts), "{attempts} in hour {hour}");
    }

    cloud.set_up(true);
    let repaired = Instant::now();
    let back = agents.iter().map(async |agent| {
        agent.view().cloud().wait_for(|state| *state == CloudState::Online).await.unwrap();
        repaired.elapsed()
    });
    let mut back = join_all(back).await;
    back.sort();
    assert!(back[AGENTS / 2] <= Duration::from_secs(60), "half are back after {back:?}");
    assert!(back[AGENTS - 1] <= Duration::from_secs(130), "all are back after {back:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_seen_at_once_and_made_again_within_sixteen_seconds() {
    let cloud = Cloud::new(true, false);
    let agents: Vec<_> = (0..100).map(|device| cloud.agent(device, 3)).collect();
    sleep(Duration::from_secs(90)).await;
    cloud.take_attempts();
    cloud.set_up(false);
    cloud.set_up(true);
    let lost = Instant::now();
    for at in join_all(agents.iter().map(|agent| noticed(agent.view()))).await {
        assert!(at - lost <= Duration::from_secs(1), "{:?}", at - lost);
    }
    sleep(Duration::from_secs(16)).await;
    assert_eq!((online(&agents), cloud.take_attempts().len()), (100, 100), "at the first try");
}

#[tokio::test(start_paused = true)]
async fn an_agent_stops_within_three_seconds_wherever_its_cloud_is() {
    let healthy = Lost::default();
    let half_open = Lost { up: true, down: true };
    for (up, lost) in [(true, healthy), (true, half_open), (false, healthy)] {
        let cloud = Cloud::new(up, false);
        let agent = cloud.agent(0, 4);
        sleep(Duration::from_secs(90)).await;
        cloud.lose(lost);
        sleep(Duration::from_secs(1)).await;
        let asked = Instant::now();
        agent.stop().await;
        let took = asked.elapsed();
        assert!(took <= Duration::from_secs(3), "up {up}, {lost:?}: {took:?}");
        assert_eq!(cloud.lines(), 0, "up {up}, {lost:?}");
    }
}

#[tokio::test]
async fn a_closed_and_a_reset_connection_are_seen_long_before_silence_would_be() {
    let seen = async |cut| {
        let cloud = CloudSim::start(CloudOptions::default()).await.unwrap();
        let front = Front::plain(cloud.http_addr()).await;
        let camera = CameraSim::start(CameraOptions::default()).await.unwrap();
        let address = format!("ws://{}/ivc", front.addr());
        let agent = hasty(&Plan::default().config_of(&address, std::slice::from_ref(&camera)));
        let stage = Stage { cloud, cameras: vec![camera], agent };
        soon("the agent logs in", stage.device().wait_online()).await;
        stage.keepalive(|_| true).await;

        let lost = Instant::now();
        front.cut(cut);
        let after = soon("it is seen", noticed(stage.agent.view())).await - lost;
        // Silence is noticed after 20 s at the earliest.
        assert!(after <= Duration::from_secs(15), "{cut:?}: {after:?}");
        until("it is back", || stage.device().logins() == 2 && stage.device().online()).await;
    };
    join_all([Cut::Close, Cut::Reset].map(seen)).await;
}

#[tokio::test]
async fn a_cloud_that_stops_reading_is_left_while_the_picture_flows_on() {
    let link = LinkFaults { stop_reading: true, ..LinkFaults::default() };
    let faults = Faults { link, ..Faults::default() };
    let cloud = CloudOptions { faults, ..CloudOptions::default() };
    let settings = "stop_publish_on_disconnect = false".into();
    let stage = Plan { cloud, settings, ..Plan::default() }.start().await;
    // The cloud does not read the answer either.
    let publish = json!({ "req": "RTMPPublish", "seq": 1, "params": {
        "channel": 0, "quality": "hd", "url": stage.cloud.rtmp_url("s"), "stream_id": "s",
        "max_bitrate": 0 } });
    stage.device().send_raw(publish.to_string()).await.unwrap();
    let stream = stage.cloud.stream("s");
    soon("the picture flows", stream.wait_frames(1)).await;
    let begun = stream.info().frames;

    soon("the agent hangs up", noticed(stage.agent.view())).await;
    let info = stream.info();
    assert!(info.frames > begun + 200, "nobody waited for the cloud: {info:?}");

    stage.cloud.set_faults(Faults::default());
    until("it dials again", || stage.device().logins() >= 2 && stage.device().online()).await;
    stage.reported(0, ChannelState::Live, Some("s")).await;
    let info = stream.info();
    assert!(info.live && info.publishes == 1 && info.dts_violations == 0, "{info:?}");
}

#[tokio::test]
async fn a_stream_that_cannot_take_leave_does_not_hold_up_the_next_dial() {
    let stage = Plan::default().start().await;
    stage.publish(0, "s").await.unwrap();
    soon("the picture flows", stage.cloud.stream("s").wait_frames(1)).await;
    // From here on the RTMP server reads nothing, so that no goodbye arrives.
    let rtmp = RtmpFault::StallReading;
    stage.cloud.set_faults(Faults { rtmp, ..Faults::default() });
    let lost = Instant::now();
    stage.device().hang_up().await.unwrap();
    until("it dials again", || stage.device().logins() == 2).await;
    // Chance gives the dial up to two seconds, and a server that reads nothing is noticed after ten.
    assert!(lost.elapsed() < Duration::from_secs(9), "{:?}", lost.elapsed());
    stage.becomes(0, ChannelState::Online, None).await;
}
