//! RTMP servers that refuse, hang, stall, die or send garbage.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{join, join_all, join3};
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_proto::rpc::message::ChannelState;
use ivt_sim::camera::{CameraOptions, ChannelOptions};
use ivt_sim::cloud::{CloudOptions, Faults, RtmpFault};
use ivt_tests::picture::Filled;
use ivt_tests::server::{FullPort, Server, Wrong};
use ivt_tests::{Plan, Stage, camera, closed_port, soon, until};

const INTERNAL: i64 = 1;

async fn flows(stage: &Stage, id: &str) {
    let stream = stage.cloud.stream(id);
    let frames = stream.info().frames;
    soon("frames reach the cloud", stream.wait_frames(frames + 30)).await;
}

fn with_rtmp(rtmp: RtmpFault) -> Plan {
    let faults = Faults { rtmp, ..Faults::default() };
    Plan { cloud: CloudOptions { faults, ..CloudOptions::default() }, ..Plan::default() }
}

/// A stage whose stream "s" is lost, on a server that refuses the stream from now on.
async fn interrupted(plan: Plan) -> Stage {
    let stage = plan.start().await;
    stage.publish(0, "s").await.unwrap();
    let stream = stage.cloud.stream("s");
    soon("the server dies", stream.wait_for(|s| s.ended.is_some())).await;
    stage.cloud.set_faults(Faults { rtmp: RtmpFault::Refuse, ..Faults::default() });
    stage.becomes(0, ChannelState::Online, None).await;
    stage
}

#[tokio::test]
async fn a_publish_to_every_bad_server_is_answered_while_the_cloud_waits() {
    let then_a_good_one = async |fault| {
        let stage = with_rtmp(fault).start().await;
        let error = stage.publish(0, "s").await.unwrap_err();
        // The cloud ends a connection on which an answer takes 20 s, with another code.
        assert_eq!(error.code, INTERNAL, "{fault:?}: {error}");
        assert_eq!(stage.device().logins(), 1, "{fault:?}");
        stage.becomes(0, ChannelState::Online, None).await;

        stage.cloud.set_faults(Faults::default());
        stage.publish(0, "s").await.unwrap();
        flows(&stage, "s").await;
    };
    let nobody_there = async {
        let stage = Plan::default().start().await;
        let (address, _kept) = closed_port();
        let url = format!("rtmp://{address}/live/s");
        assert_eq!(stage.publish_to(0, "s", &url).await.unwrap_err().code, INTERNAL);
    };
    let nobody_answers = async {
        let (stage, port) = join(Plan::default().start(), FullPort::start()).await;
        let url = format!("rtmp://{}/live/s", port.addr);
        assert_eq!(stage.publish_to(0, "s", &url).await.unwrap_err().code, INTERNAL);
        assert_eq!(stage.device().logins(), 1);
    };
    let faults = [RtmpFault::Refuse, RtmpFault::Close, RtmpFault::BlackHole, RtmpFault::Garbage];
    join3(join_all(faults.map(then_a_good_one)), nobody_there, nobody_answers).await;
}

#[tokio::test]
async fn a_server_that_dies_is_tried_again() {
    let stage = with_rtmp(RtmpFault::CloseMidStream).start().await;
    stage.publish(0, "s").await.unwrap();
    let stream = stage.cloud.stream("s");
    soon("the server dies", stream.wait_for(|s| s.ended.is_some())).await;
    stage.cloud.set_faults(Faults::default());
    let again = stream.wait_for(|s| s.publishes >= 2 && s.live && s.key_frames > 0);
    soon("the stream is back", again).await;
    stage.becomes(0, ChannelState::Live, Some("s")).await;
}

#[tokio::test]
async fn a_publish_being_retried_is_not_live_and_gives_way() {
    let stage = interrupted(with_rtmp(RtmpFault::CloseMidStream)).await;
    stage.cloud.set_faults(Faults::default());
    stage.publish(0, "new").await.unwrap();
    flows(&stage, "new").await;
    stage.becomes(0, ChannelState::Live, Some("new")).await;
}

#[tokio::test]
async fn a_retry_ends_after_its_time() {
    let settings = "[publish]\nretry_seconds = 1".into();
    let stage = interrupted(Plan { settings, ..with_rtmp(RtmpFault::CloseMidStream) }).await;
    // A stream that is being retried can be asked for again. Once it was given up, the server is asked, and
    // refuses.
    let mut look = tokio::time::interval(Duration::from_millis(100));
    soon("it is given up", async {
        while stage.publish(0, "s").await.is_ok() {
            look.tick().await;
        }
    })
    .await;
    // The server is good again, but the stream must not come back by itself.
    stage.cloud.set_faults(Faults::default());
    stage.publish(0, "other").await.unwrap();
    flows(&stage, "other").await;
    stage.stop(0, "other").await.unwrap();
    assert_eq!(stage.cloud.stream("s").info().publishes, 1);
    stage.becomes(0, ChannelState::Online, None).await;
}

/// A stage of two channels: one sends 2 MB/s to a server of its own, the other a good stream to the cloud.
async fn beside_a_good_one(wrong: Wrong) -> (Stage, Server) {
    let server = Server::start(wrong).await;
    let filled = Arc::new(Filled(128 << 10));
    let loud = CameraOptions::new(vec![ChannelOptions { main: filled.clone(), sub: filled }]);
    let good = camera(ClipOpener::built_in(BuiltIn::Main));
    let stage = Plan { cameras: vec![loud, good], ..Plan::default() }.start().await;
    stage.publish(1, "good").await.unwrap();
    stage.publish_to(0, "bad", &server.url()).await.unwrap();
    (stage, server)
}

/// Fails if the good stream has lost anything.
async fn nothing_is_lost(stage: &Stage) {
    flows(stage, "good").await;
    let info = stage.cloud.stream("good").info();
    assert_eq!((info.publishes, info.dts_violations, info.malformed), (1, 0, 0), "{info:?}");
    let sent = stage.agent.view().channel(1).unwrap().publish;
    let pulled = stage.agent.view().channel(1).unwrap().main;
    assert_eq!((sent.gaps, sent.dropped_frames, pulled.drops), (0, 0, 0), "{sent:?} {pulled:?}");
}

#[tokio::test]
async fn a_server_that_does_not_get_on_is_cut_and_tried_again() {
    let cut = async |wrong| {
        let (stage, server) = beside_a_good_one(wrong).await;
        stage.becomes(0, ChannelState::Live, Some("bad")).await;
        stage.becomes(0, ChannelState::Online, None).await;
        soon("it is tried again", server.wait_publishes(2)).await;
        nothing_is_lost(&stage).await;
    };
    join_all([Wrong::Stall, Wrong::Trickle].map(cut)).await;
}

#[tokio::test]
async fn a_server_that_stalls_is_noticed_at_a_low_bit_rate_too() {
    let server = Server::start(Wrong::Stall).await;
    let low = camera(ClipOpener::built_in(BuiltIn::Sub));
    let stage = Plan { cameras: vec![low], ..Plan::default() }.start().await;
    stage.publish_to(0, "bad", &server.url()).await.unwrap();
    // At this bit rate the buffers between would take minutes to fill.
    soon("it is tried again", server.wait_publishes(2)).await;
}

#[tokio::test]
async fn a_stalled_server_costs_whole_groups_of_pictures_of_its_own_stream() {
    let (stage, _server) = beside_a_good_one(Wrong::Stall).await;
    // The ring of 1 MiB overflows long before the server is cut.
    let pulled = || stage.agent.view().channel(0).unwrap().main;
    let before = pulled().frames;
    until("the camera is read on", || pulled().frames > before + 60).await;
    stage.stop(0, "bad").await.unwrap();
    stage.publish(0, "again").await.unwrap();
    flows(&stage, "again").await;
    assert_eq!(stage.cloud.stream("again").info().dts_violations, 0);
    nothing_is_lost(&stage).await;
}

#[tokio::test]
async fn garbage_or_a_reset_mid_stream_is_left_and_tried_again() {
    let tried_again = async |wrong| {
        let (stage, server) = beside_a_good_one(wrong).await;
        soon("it is tried again", server.wait_publishes(3)).await;
        nothing_is_lost(&stage).await;
    };
    join(tried_again(Wrong::Garbage), tried_again(Wrong::Reset)).await;
}
