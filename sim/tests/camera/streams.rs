//! The frames of the clip arrive unchanged.

use ivt_media::frame::Frame;
use ivt_sim::camera::{CameraOptions, CameraSim, ChannelOptions, Stream};

use crate::client::{Client, Raw, Received};
use crate::player::{Player, channel, fixture};
use crate::protocol::start;

/// Pulls the fixture and compares some rounds of it with the file, frame by frame.
async fn arrives_unchanged(name: &str, over: &str) {
    let camera = CameraSim::start(CameraOptions::new(vec![channel(name, "sub")])).await.unwrap();
    let mut client = Client::play(&camera, 0, Stream::Main, over).await;
    let clip = fixture(name);
    let (video, audio): (Vec<&Frame>, Vec<&Frame>) = clip.iter().partition(|f| f.is_video());
    let (mut pictures, mut sounds) = (Vec::new(), Vec::new());
    while pictures.len() < 2 * video.len() || sounds.len() < audio.len() {
        let frame = client.next().await.unwrap();
        assert_eq!(frame.loss, 0, "{name} over {over}");
        if frame.video { pictures.push(frame) } else { sounds.push(frame) }
    }
    assert!(pictures[0].key, "a stream starts with a key frame");
    is_a_run_of(&pictures, &video);
    is_a_run_of(&sounds, &audio);
}

/// Whether the frames follow each other as in the looping clip, in bytes and in time.
fn is_a_run_of(received: &[Received], clip: &[&Frame]) {
    let same = |frame: &&Frame| frame.data == received[0].data;
    let starts = (0..clip.len()).filter(|&i| same(&clip[i]));
    let run = |start: &usize| {
        received.iter().zip(clip.iter().cycle().skip(*start)).all(|(r, c)| r.data == c.data)
    };
    assert!(starts.clone().any(|start| run(&start)), "the frames of the clip, in its order");
    // Pictures come in decoding order; sorted by time, each follows the one before.
    let mut shown: Vec<i64> = received.iter().filter(|r| r.video).map(|r| r.timestamp).collect();
    shown.sort_unstable();
    let settled = shown.len().saturating_sub(4); // Pictures shown before the last ones may still be missing.
    for pair in shown[..settled].windows(2) {
        let step = pair[1] - pair[0];
        assert!((3500..=3700).contains(&step), "no jump of the time: {step}");
    }
}

#[tokio::test]
async fn h264_and_aac_arrive_unchanged_over_tcp() {
    arrives_unchanged("h264_bframes", "tcp").await;
}

#[tokio::test]
async fn h264_and_aac_arrive_unchanged_over_udp() {
    arrives_unchanged("h264_bframes", "udp").await;
}

#[tokio::test]
async fn h265_arrives_unchanged_over_tcp() {
    arrives_unchanged("hevc", "tcp").await;
}

#[tokio::test]
async fn h265_arrives_unchanged_over_udp() {
    arrives_unchanged("hevc", "udp").await;
}

#[tokio::test]
async fn pcma_arrives_unchanged_over_tcp() {
    arrives_unchanged("pcma", "tcp").await;
}

#[tokio::test]
async fn pcma_arrives_unchanged_over_udp() {
    arrives_unchanged("pcma", "udp").await;
}

#[tokio::test]
async fn pcmu_arrives_unchanged_over_tcp() {
    arrives_unchanged("pcmu", "tcp").await;
}

#[tokio::test]
async fn pcmu_arrives_unchanged_over_udp() {
    arrives_unchanged("pcmu", "udp").await;
}

#[tokio::test]
async fn packets_written_one_at_a_time_are_the_same_stream() {
    let options = CameraOptions {
        packet_at_a_time: true,
        ..CameraOptions::new(vec![channel("h264_bframes", "sub")])
    };
    let camera = CameraSim::start(options).await.unwrap();
    let mut client = Client::play(&camera, 0, Stream::Main, "tcp").await;
    let clip = fixture("h264_bframes");
    let video: Vec<_> = clip.iter().filter(|f| f.is_video()).collect();
    let mut pictures = Vec::new();
    while pictures.len() < video.len() {
        pictures.push(client.picture().await);
    }
    is_a_run_of(&pictures, &video);
}

#[tokio::test]
async fn clients_begin_at_a_key_frame_unless_told_to_join_in_between() {
    for join_mid_gop in [false, true] {
        let options =
            CameraOptions { join_mid_gop, ..CameraOptions::new(vec![channel("main", "sub")]) };
        let camera = CameraSim::start(options).await.unwrap();
        // The camera has read the first key frame to describe the stream.
        let mut client = Client::play(&camera, 0, Stream::Main, "tcp").await;
        assert_eq!(client.picture().await.key, !join_mid_gop);
    }
}

#[tokio::test]
async fn a_source_that_ends_starts_over_without_a_jump() {
    let clip = fixture("h264_bframes");
    let main = Player::once(clip.clone());
    let channel = ChannelOptions { main: main.clone(), sub: main };
    let camera = CameraSim::start(CameraOptions::new(vec![channel])).await.unwrap();
    let mut client = Client::play(&camera, 0, Stream::Main, "tcp").await;
    let video: Vec<_> = clip.iter().filter(|f| f.is_video()).collect();
    let mut pictures = Vec::new();
    while pictures.len() < 2 * video.len() {
        pictures.push(client.picture().await);
    }
    is_a_run_of(&pictures, &video);
}

#[tokio::test]
async fn channels_and_streams_are_told_apart() {
    let channels = vec![channel("main", "sub"), channel("h264_bframes", "sub")];
    let camera = CameraSim::start(CameraOptions::new(channels)).await.unwrap();
    for (channel, stream, size) in [
        (0, Stream::Main, (640, 360)),
        (0, Stream::Sub, (320, 180)),
        (1, Stream::Main, (256, 144)),
        (1, Stream::Sub, (320, 180)),
    ] {
        let client = Client::play(&camera, channel, stream, "tcp").await;
        assert_eq!(client.dimensions(), size, "channel {channel}, {stream:?}");
    }
}

#[tokio::test]
async fn sound_can_be_left_out() {
    let options =
        CameraOptions { audio: false, ..CameraOptions::new(vec![channel("main", "sub")]) };
    let camera = CameraSim::start(options).await.unwrap();
    let mut client = Client::play(&camera, 0, Stream::Main, "tcp").await;
    for _ in 0..60 {
        assert!(client.next().await.unwrap().video);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_pictures_and_disturbs_no_other() {
    let mut clip = fixture("main");
    for frame in clip.iter_mut().filter(|f| f.is_video()) {
        // A NAL unit of filler (type 12) makes the stream too large for any socket buffer.
        let mut data = frame.data.to_vec();
        data.extend_from_slice(&100_001u32.to_be_bytes());
        data.push(12);
        data.resize(data.len() + 100_000, 0xff);
        frame.data = data.into();
    }
    let main = Player::looping(clip);
    let channel = ChannelOptions { main: main.clone(), sub: main };
    let camera = CameraSim::start(CameraOptions::new(vec![channel])).await.unwrap();
    let mut stuck = Raw::connect_with_buffer(&camera, 4096).await;
    start(&mut stuck, &camera.rtsp_url(0, Stream::Main), "interleaved=0-1").await;
    let mut client = Client::play(&camera, 0, Stream::Main, "tcp").await;
    for _ in 0..150 {
        assert_eq!(client.picture().await.loss, 0);
    }
    let mut last: Option<u16> = None;
    loop {
        let (channel, packet) = stuck.packet().await.expect("the connection stays");
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let gap = last.is_some_and(|last| sequence != last.wrapping_add(1));
        match (channel, gap) {
            (0, false) => last = Some(sequence),
            (0, true) => {
                assert_eq!(packet[12] & 0x1f, 7, "it resumes at a key frame, with its SPS");
                return;
            }
            _ => {}
        }
    }
}
