//! The RTMP server, with the publisher of `ivt_media` on the other side.

use ivt_media::flv::Demuxer;
use ivt_media::rtmp::{Options, PublishError, Publisher, RtmpUrl};

use super::play::{CLIP, tags};
use super::*;

async fn publish(cloud: &CloudSim, key: &str) -> Result<Publisher, PublishError> {
    let url = RtmpUrl::parse(&cloud.rtmp_url(key)).unwrap();
    timeout(LONG, Publisher::connect(&url, &Options::default())).await.unwrap()
}

fn rtmp(cloud: &CloudSim, rtmp: RtmpFault) {
    cloud.set_faults(Faults { rtmp, ..Faults::default() });
}

/// Sends the clip's tags until the end or an error.
async fn send(publisher: &mut Publisher) -> Result<(), PublishError> {
    for tag in tags(CLIP) {
        publisher.send(&tag).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_published_stream_is_counted_frame_by_frame() {
    let cloud = cloud().await;
    let mut demuxer = Demuxer::new();
    let sent = tags(CLIP).iter().filter_map(|t| demuxer.push(t, now()).unwrap()).count() as u64;
    let mut publisher = publish(&cloud, "k?token=1").await.unwrap();
    send(&mut publisher).await.unwrap();
    let stream = cloud.stream("k");
    let info = timeout(LONG, stream.wait_frames(sent)).await.unwrap();
    assert_eq!((info.frames, info.dts_violations, info.malformed), (sent, 0, 0));
    assert_eq!((info.live, info.video, info.audio), (true, Some("H.264"), Some("AAC")));
    assert!(info.first_key_at >= info.published_at);
    publisher.finish().await;
    let info = timeout(LONG, stream.wait_for(|info| !info.live)).await.unwrap();
    assert_eq!(info.ended.as_deref(), Some("the publisher finished"));
    let (_, _, json) = get(&cloud, "/api/streams").await;
    assert!(json.contains(&format!("\"frames\":{sent}")), "{json}");
}

#[tokio::test]
async fn a_newer_publisher_takes_the_key() {
    let cloud = cloud().await;
    let mut older = publish(&cloud, "k").await.unwrap();
    send(&mut older).await.unwrap();
    let mut newer = publish(&cloud, "k").await.unwrap();
    timeout(LONG, older.ended()).await.unwrap();
    send(&mut newer).await.unwrap();
    let info = timeout(LONG, cloud.stream("k").wait_for(|info| info.publishes == 2)).await.unwrap();
    assert!(info.live);
    assert_eq!(info.dts_violations, 0);
}

#[tokio::test]
async fn a_refused_publish_names_the_reason() {
    let cloud = cloud().await;
    rtmp(&cloud, RtmpFault::Refuse);
    let error = publish(&cloud, "k").await.unwrap_err();
    assert!(error.to_string().contains("NetStream.Publish.BadName"), "{error}");
    rtmp(&cloud, RtmpFault::Close);
    assert!(publish(&cloud, "k").await.is_err());
    rtmp(&cloud, RtmpFault::Garbage);
    assert!(publish(&cloud, "k").await.is_err());
    assert!(cloud.streams().is_empty());
}

#[tokio::test]
async fn a_black_hole_takes_bytes_and_says_nothing() {
    let cloud = cloud().await;
    rtmp(&cloud, RtmpFault::BlackHole);
    let mut socket = TcpStream::connect(cloud.rtmp_addr()).await.unwrap();
    socket.write_all(&[3; 1537]).await.unwrap();
    let silence = timeout(Duration::from_millis(300), socket.read_u8()).await;
    assert!(silence.is_err(), "{silence:?}");
    rtmp(&cloud, RtmpFault::None);
    assert!(timeout(LONG, socket.read_u8()).await.unwrap().is_err(), "let go with the fault");
}

#[tokio::test]
async fn a_stalled_server_lets_the_stream_begin_and_then_reads_nothing() {
    let cloud = cloud().await;
    rtmp(&cloud, RtmpFault::StallReading);
    let mut publisher = publish(&cloud, "k").await.unwrap();
    send(&mut publisher).await.unwrap();
    let stream = cloud.stream("k");
    let flowing = timeout(Duration::from_millis(300), stream.wait_frames(1)).await;
    assert!(flowing.is_err());
    assert!(stream.info().live);
    rtmp(&cloud, RtmpFault::None);
    timeout(LONG, stream.wait_frames(1)).await.unwrap();
}

#[tokio::test]
async fn a_stream_is_cut_after_two_seconds_of_it() {
    let cloud = cloud().await;
    rtmp(&cloud, RtmpFault::CloseMidStream);
    let mut publisher = publish(&cloud, "k").await.unwrap();
    let cut = async {
        while send(&mut publisher).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, cut).await.unwrap();
    let info = timeout(LONG, cloud.stream("k").wait_for(|info| !info.live)).await.unwrap();
    assert_eq!(info.ended.as_deref(), Some("closed mid-stream on request"));
    assert!(info.last_timestamp_ms.unwrap() >= 1_800);
}

/// Does the handshake and sends all but the last byte of a message of 2 MB on each of 16 chunk streams.
async fn hoard(cloud: &CloudSim) -> std::io::Result<()> {
    const LENGTH: u32 = (2 << 20) - 1;
    let mut stream = TcpStream::connect(cloud.rtmp_addr()).await?;
    let mut hello = vec![0; 1537];
    hello[0] = 3;
    stream.write_all(&hello).await?;
    stream.read_exact(&mut [0; 3073]).await?;
    stream.write_all(&hello[1..]).await?;
    let mut set_chunk_size = vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
    set_chunk_size.extend((LENGTH - 1).to_be_bytes());
    stream.write_all(&set_chunk_size).await?;
    let [_, a, b, c] = LENGTH.to_be_bytes();
    for id in 3..19 {
        stream.write_all(&[id, 0, 0, 0, a, b, c, 9, 1, 0, 0, 0]).await?;
        stream.write_all(&vec![0; LENGTH as usize - 1]).await?;
    }
    stream.read_u8().await.map(|_| ())
}

#[tokio::test]
async fn publishers_that_hoard_bytes_are_hung_up_on_and_the_others_are_served() {
    let cloud = cloud().await;
    let under_way = || cloud.cloud.incoming.bytes();
    let mut hoarders = std::pin::pin!(futures::future::join_all((0..6).map(|_| hoard(&cloud))));
    let mut publisher = publish(&cloud, "good").await.unwrap();
    let mut most = 0;
    timeout(LONG, async {
        loop {
            tokio::select! {
                biased;
                ends = &mut hoarders => return assert!(ends.iter().all(Result::is_err)),
                () = tokio::task::yield_now() => most = most.max(under_way()),
            }
        }
    })
    .await
    .unwrap();
    assert!((8 << 20..17 << 20).contains(&most), "{most} bytes were held");
    send(&mut publisher).await.unwrap();
    let stream = cloud.stream("good");
    timeout(LONG, stream.wait_for(|info| info.live && info.key_frames > 0)).await.unwrap();
}
