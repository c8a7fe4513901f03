use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use url::Url;

use super::camera::*;
use super::*;
use crate::frame::{AudioCodec, Frame, Track, VideoCodec, VideoParams};
use crate::hub::Start;
use crate::pull::{Pull, PullConfig};
use crate::source::{FrameSource, Opener as _, SourceError};

const LOGIN: Answer = Answer::Status(
    "401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"camera\", nonce=\"n0nce\", algorithm=MD5",
);

const SECOND: Duration = Duration::from_secs(1);

fn opener(camera: &Camera, transport: Transport) -> RtspOpener {
    let (username, password) = ("viewer".to_owned(), "open sesame".to_owned());
    let credentials = Some(Credentials { username, password });
    RtspOpener::new(camera.url(), Options { credentials, transport, ..Options::default() }).unwrap()
}

async fn open(camera: &Camera) -> Box<dyn FrameSource> {
    opener(camera, Transport::Tcp).open().await.unwrap()
}

async fn refusal(script: Script) -> SourceError {
    let camera = Camera::start(script).await;
    opener(&camera, Transport::Tcp).open().await.err().expect("an error")
}

fn params(frame: &Frame) -> &Arc<VideoParams> {
    match &frame.track {
        Track::Video(params) => params,
        Track::Audio(_) => panic!("want a picture"),
    }
}

#[tokio::test]
async fn pictures_and_sound_share_one_clock_without_rtp_info() {
    let media = [
        packet(1, 1, 160, true, &[0xd5; 160]),
        picture(10, 90_000, true),
        packet(1, 2, 320, true, &[0xd5; 160]),
        picture(11, 93_600, false),
        packet(1, 3, 480, true, &[0xd5; 160]),
    ];
    let sdp = sdp(&[&h264(PLAIN), PCMA]);
    let camera = Camera::start(Script { sdp, media: media.concat(), ..Script::default() }).await;
    let mut source = open(&camera).await;

    let first = source.frame().await.unwrap();
    assert!(first.key, "sound before the first picture is dropped");
    assert_eq!((first.pts, first.dts), (0, 0));
    assert_eq!(first.data, b"\0\0\0\x06\x65\x88\x84key"[..]);
    assert_eq!(params(&first).codec, VideoCodec::H264);
    assert_eq!(params(&first).dimensions, (320, 180));
    assert_eq!(params(&first).record[0], 1, "an AVCDecoderConfigurationRecord");

    let second = source.frame().await.unwrap();
    let Track::Audio(audio) = &second.track else { panic!("want sound") };
    assert_eq!((audio.codec, audio.sample_rate, audio.channels), (AudioCodec::Pcma, 8000, 1));
    assert!(!second.key);
    assert_eq!((second.pts, second.data.len()), (1800, 160), "160 samples at 8 kHz are 20 ms");

    let (third, fourth) = (source.frame().await.unwrap(), source.frame().await.unwrap());
    // A picture may be held for its marker to prove right.
    let (picture, sound) = if third.is_video() { (third, fourth) } else { (fourth, third) };
    assert_eq!((picture.key, picture.dts), (false, 3600));
    assert!(Arc::ptr_eq(params(&first), params(&picture)));
    assert_eq!(sound.pts, 3600);
}

#[tokio::test]
async fn rtp_info_places_the_tracks() {
    let media = [picture(10, 99_000, true), packet(1, 2, 960, true, &[0xd5; 160])].concat();
    let script = Script {
        sdp: sdp(&[&h264(PLAIN), PCMA]),
        media,
        rtp_info: "RTP-Info: url=track0;seq=10;rtptime=90000,url=track1;seq=2;rtptime=160",
        ..Script::default()
    };
    let camera = Camera::start(script).await;
    let mut source = open(&camera).await;
    assert_eq!(source.frame().await.unwrap().pts, 9000);
    assert_eq!(source.frame().await.unwrap().pts, 9000, "800 samples are 100 ms");
}

#[tokio::test]
async fn datagrams_carry_the_same_frames() {
    let media = [picture(1, 0, true), picture(2, 3600, false)].concat();
    let camera = Camera::start(Script { media, ..Script::default() }).await;
    let mut source = opener(&camera, Transport::Udp).open().await.unwrap();
    assert!(source.frame().await.unwrap().key);
    assert_eq!(source.frame().await.unwrap().dts, 3600);
}

#[tokio::test]
async fn reordered_pictures_get_decode_times() {
    let order = [0u32, 3, 1, 2, 6, 4, 5];
    let media: Vec<u8> =
        (0..).zip(order).flat_map(|(n, shown)| picture(n, 90_000 + shown * 3600, n == 0)).collect();
    let sdp = sdp(&[&h264(REORDERED)]);
    let camera = Camera::start(Script { sdp, media, ..Script::default() }).await;
    let mut source = open(&camera).await;
    for (n, shown) in (0..).zip(order) {
        let frame = source.frame().await.unwrap();
        assert_eq!((frame.pts, frame.dts), (i64::from(shown) * 3600, (n - 2) * 3600));
    }
}

#[tokio::test]
async fn only_different_parameters_are_new_parameters() {
    let other_pps = b"\x68\xeb\xe3\xcb\x22\xc0";
    let key_with = |seq, time, pps: &[u8]| {
        [
            packet(0, seq, time, false, PLAIN_SPS),
            packet(0, seq + 1, time, false, pps),
            picture(seq + 2, time, true),
        ]
        .concat()
    };
    let media = [key_with(0, 0, PPS), key_with(3, 3600, PPS), key_with(6, 7200, other_pps)];
    // The SDP has no parameter sets: they come with the first frame.
    let track =
        "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n";
    let script = Script { sdp: sdp(&[track]), media: media.concat(), ..Script::default() };
    let camera = Camera::start(script).await;
    let mut source = open(&camera).await;
    let mut frames = Vec::new();
    for _ in 0..3 {
        frames.push(source.frame().await.unwrap());
    }
    assert!(Arc::ptr_eq(params(&frames[0]), params(&frames[1])));
    assert!(!Arc::ptr_eq(params(&frames[1]), params(&frames[2])));
    assert_ne!(params(&frames[1]).record, params(&frames[2]).record);
    assert_eq!(frames[0].data, b"\0\0\0\x06\x65\x88\x84key"[..], "without parameter sets");
}

#[tokio::test]
async fn lost_packets_cost_everything_up_to_the_next_key_frame() {
    let media = [
        picture(1, 0, false),
        picture(2, 3600, true),
        picture(3, 7200, false),
        picture(5, 14_400, false),
        picture(6, 18_000, false),
        picture(7, 21_600, true),
    ];
    let camera = Camera::start(Script { media: media.concat(), ..Script::default() }).await;
    let mut source = open(&camera).await;
    let mut times = Vec::new();
    for _ in 0..4 {
        times.push(source.frame().await.unwrap().pts / 3600);
    }
    assert_eq!(times, [0, 1, 2, 6]);
    assert_eq!(source.losses().frames, 3, "one lost, two useless");
}

#[tokio::test]
async fn frames_before_the_first_key_frame_are_given_where_the_description_has_the_parameters() {
    let media = [
        picture(1, 0, false),
        packet(1, 2, 320, true, &[0xd5; 160]),
        picture(2, 3600, false),
        picture(3, 7200, true),
    ];
    let sdp = sdp(&[&h264(PLAIN), PCMA]);
    let camera = Camera::start(Script { sdp, media: media.concat(), ..Script::default() }).await;
    let mut source = open(&camera).await;
    source.arriving().await.unwrap();
    source.arriving().await.unwrap();
    let mut frames = Vec::new();
    for _ in 0..4 {
        let frame = source.frame().await.unwrap();
        frames.push((frame.is_video(), frame.key, frame.pts));
    }
    let sound = frames.remove(1);
    assert_eq!(frames, [(true, false, 0), (true, false, 3600), (true, true, 7200)]);
    assert!(!sound.0 && !sound.1);
}

#[tokio::test]
async fn a_camera_arrives_when_its_parameters_are_known_and_a_picture_was_there() {
    let track =
        "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n";
    let sound = packet(1, 1, 160, true, &[0xd5; 160]);
    let sets = |seq| [packet(0, seq, 7200, false, PLAIN_SPS), packet(0, seq + 1, 7200, false, PPS)];
    let media = [sound.clone(), picture(1, 0, false), sound, picture(2, 3600, false)].concat();
    let script = Script { sdp: sdp(&[track, PCMA]), media, ..Script::default() };
    let camera = Camera::start(script).await;
    let without = opener(&camera, Transport::Tcp);
    let mut source = without.open().await.unwrap();
    assert!(timeout(SECOND, source.arriving()).await.is_err(), "nothing of it can be decoded");
    assert_eq!(
        without.awaits().as_deref(),
        Some("pictures come, but no parameter sets (SPS, PPS)")
    );
    let media = [sets(1).concat(), picture(3, 7200, false)].concat();
    let script = Script { sdp: sdp(&[track, PCMA]), media, ..Script::default() };
    let camera = Camera::start(script).await;
    let opener = opener(&camera, Transport::Tcp);
    opener.open().await.unwrap().arriving().await.unwrap();
}

#[tokio::test]
async fn sound_alone_of_a_camera_with_pictures_does_not_arrive() {
    let media = packet(1, 1, 160, true, &[0xd5; 160]);
    let sdp = sdp(&[&h264(PLAIN), PCMA]);
    let script = Script { sdp, media, hang_up: true, ..Script::default() };
    let camera = Camera::start(script).await;
    assert!(open(&camera).await.arriving().await.is_err());
}

#[tokio::test]
async fn a_camera_that_does_not_answer_is_given_up_after_fifteen_seconds() {
    let script = Script { answer: |_| Answer::Silence, ..Script::default() };
    let mut camera = Camera::start(script).await;
    let opener = opener(&camera, Transport::Tcp);
    let opening = tokio::spawn(async move { opener.open().await.err() });
    camera.request("DESCRIBE").await;
    tokio::time::pause();
    let start = Instant::now();
    let error = opening.await.unwrap().expect("an error");
    assert!(
        matches!(&error, SourceError::Unreachable { reason, .. } if reason.contains("DESCRIBE"))
    );
    assert!(start.elapsed() <= Duration::from_secs(16));
}

#[tokio::test]
async fn frozen_camera_is_given_up_after_ten_seconds() {
    let camera = Camera::start(Script { media: picture(1, 0, true), ..Script::default() }).await;
    let mut source = open(&camera).await;
    source.frame().await.unwrap();
    tokio::time::pause();
    let start = Instant::now();
    let error = source.frame().await.unwrap_err();
    assert!(matches!(error, SourceError::Silent { seconds: 10, .. }), "{error}");
    assert!(start.elapsed() <= Duration::from_secs(11), "after {:?}", start.elapsed());
}

#[tokio::test]
async fn the_camera_of_these_tests_hears_requests_behind_reports_of_any_bytes() {
    let mut camera = Camera::start(Script::default()).await;
    let addr = camera.url().socket_addrs(|| None).unwrap()[0];
    let mut client = TcpStream::connect(addr).await.unwrap();
    client
        .write_all(b"$\x01\0\x04\x80\xc9\n\xffOPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        .await
        .unwrap();
    assert!(camera.request("OPTIONS").await.contains("CSeq: 1"));
}

#[tokio::test]
async fn hang_up_mid_stream_ends_the_source() {
    let media = [picture(1, 0, true), picture(2, 3600, false)].concat();
    let camera = Camera::start(Script { media, hang_up: true, ..Script::default() }).await;
    let mut source = open(&camera).await;
    source.frame().await.unwrap();
    source.frame().await.unwrap();
    let error = source.frame().await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn garbage_is_an_error_and_its_text_is_fit_for_a_log() {
    const GARBAGE: &[u8] = b"\0\x1b[31mHTTP/9.9 \xff\xfe nonsense\r\n\r\n\r\nmore";
    let error = refusal(Script { answer: |_| Answer::Raw(GARBAGE), ..Script::default() }).await;
    assert!(matches!(error, SourceError::Protocol { .. }), "{error}");
    let text = error.to_string();
    assert!(!text.contains(char::is_control) && text.len() < 400, "{text:?}");
}

#[tokio::test]
async fn garbage_between_packets_is_passed_over() {
    let garbage = b"\xde\xad$ \xbe\xef garbage \r\n\r\n";
    let media = [&picture(1, 0, true)[..], garbage, &picture(2, 3600, false)].concat();
    let camera = Camera::start(Script { media, ..Script::default() }).await;
    let mut source = open(&camera).await;
    source.frame().await.unwrap();
    assert_eq!(source.frame().await.unwrap().dts, 3600);
    assert!(source.losses().skipped > 0);
}

#[tokio::test]
async fn wrong_login_is_told_apart_and_no_password_shows() {
    let answer = |_: &str| LOGIN;
    let mut camera = Camera::start(Script { answer, ..Script::default() }).await;
    let opener = opener(&camera, Transport::Tcp);
    let error = opener.open().await.err().expect("an error");
    assert!(matches!(error, SourceError::Unauthorized { .. }), "{error}");
    camera.request("DESCRIBE").await;
    let second = camera.request("DESCRIBE").await;
    assert!(second.contains("Digest username=\"viewer\"") && !second.contains("sesame"));
    for text in [error.to_string(), format!("{error:?}"), format!("{opener:?}")] {
        assert!(!text.contains("sesame") && !text.contains("viewer"), "{text}");
    }
}

#[tokio::test]
async fn digest_and_basic_logins_are_accepted() {
    fn digest(head: &str) -> Answer {
        match head.contains("Authorization: Digest") && head.contains("response=") {
            true => Answer::Usual,
            false => LOGIN,
        }
    }
    fn basic(head: &str) -> Answer {
        // The login is `viewer:open sesame`.
        match head.contains("Authorization: Basic dmlld2VyOm9wZW4gc2VzYW1l") {
            true => Answer::Usual,
            false => Answer::Status("401 No\r\nWWW-Authenticate: Basic realm=\"camera\""),
        }
    }
    for answer in [digest as fn(&str) -> Answer, basic] {
        let script = Script { answer, media: picture(1, 0, true), ..Script::default() };
        let camera = Camera::start(script).await;
        assert!(open(&camera).await.frame().await.unwrap().key);
    }
}

#[tokio::test]
async fn camera_that_refuses_to_set_up_sound_gives_its_picture() {
    let answer = |head: &str| match head.contains("track1 ") {
        true => Answer::Status("461 Unsupported Transport"),
        false => Answer::Usual,
    };
    let sdp = sdp(&[&h264(PLAIN), PCMA]);
    let media = picture(1, 0, true);
    let camera = Camera::start(Script { sdp, answer, media, ..Script::default() }).await;
    assert!(open(&camera).await.frame().await.unwrap().is_video());
}

#[tokio::test]
async fn sound_alone_is_all_key_frames() {
    let media = packet(1, 1, 0, true, &[0xd5; 160]);
    let sdp = sdp(&["m=video 0 RTP/AVP 26\r\na=rtpmap:26 JPEG/90000\r\n", PCMA]);
    // Only the supported track is set up; it becomes channel 0.
    let media = [&[b'$', 0], &media[2..]].concat();
    let mut camera = Camera::start(Script { sdp, media, ..Script::default() }).await;
    assert!(open(&camera).await.frame().await.unwrap().key);
    assert!(camera.request("SETUP").await.contains("track1"));
}

#[tokio::test]
async fn nothing_to_carry_is_said_so() {
    let sdp = sdp(&["m=video 0 RTP/AVP 26\r\na=rtpmap:26 JPEG/90000\r\n"]);
    let error = refusal(Script { sdp, ..Script::default() }).await;
    assert!(matches!(&error, SourceError::Unsupported { reason, .. } if reason.contains("jpeg")));
}

#[tokio::test]
async fn dropped_source_is_torn_down() {
    let mut camera =
        Camera::start(Script { media: picture(1, 0, true), ..Script::default() }).await;
    let opener = opener(&camera, Transport::Tcp);
    let mut source = opener.open().await.unwrap();
    source.frame().await.unwrap();
    drop(source);
    opener.settle().await;
    assert!(camera.request("TEARDOWN").await.contains("Session: 7"));
}

/// Dropping a session starts a task for its TEARDOWN, which a dying runtime has no place for.
#[test]
fn a_runtime_may_end_with_a_session_open() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (pull, camera) = runtime.block_on(async {
        let script = Script { media: picture(1, 0, true), ..Script::default() };
        let camera = Camera::start(script).await;
        let pull = Pull::new(Arc::new(opener(&camera, Transport::Tcp)), PullConfig::default());
        assert!(pull.subscribe(Start::Live).next().await.is_some());
        (pull, camera)
    });
    drop(runtime);
    drop((pull, camera));
}

#[tokio::test]
async fn unreachable_camera_is_named_with_its_address() {
    let camera = Camera::start(Script::default()).await;
    let opener = opener(&camera, Transport::Tcp);
    let address = camera.url().socket_addrs(|| None).unwrap()[0].to_string();
    drop(camera);
    let error = opener.open().await.err().expect("an error");
    assert!(matches!(&error, SourceError::Unreachable { peer, .. } if *peer == address), "{error}");
}

#[test]
fn addresses_with_credentials_or_of_another_kind_are_refused() {
    for url in ["rtsp://a:b@host/x", "http://host/x", "rtsp:///x"] {
        let error = RtspOpener::new(Url::parse(url).unwrap(), Options::default()).err();
        assert!(!error.expect("an error").to_string().contains("a:b"));
    }
}

#[tokio::test]
async fn an_address_that_holds_a_password_is_left_out_of_errors() {
    let answer = |_: &str| {
        Answer::Raw(
            b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n",
        )
    };
    let camera = Camera::start(Script { answer, ..Script::default() }).await;
    let url = Url::parse(&format!("{}?user=admin&password=canary", camera.url())).unwrap();
    let opener = RtspOpener::new(url, Options::default()).unwrap();
    let error = opener.open().await.err().expect("no description").to_string();
    assert!(!error.contains("canary"), "{error}");
    assert!(error.contains("text/html"), "{error}");
}

#[tokio::test]
async fn a_picture_of_any_size_costs_its_group_and_no_more() {
    let fragment = |seq, head, last| {
        packet(0, seq, 93_600, last, &[&[0x7c, head], vec![0x9a; 60_000].as_slice()].concat())
    };
    let mut media = picture(10, 90_000, true);
    media.extend(fragment(11, 0x81, false));
    (12..160).for_each(|seq| media.extend(fragment(seq, 0x01, false)));
    media.extend(fragment(160, 0x41, true));
    media.extend(picture(161, 97_200, false));
    media.extend(picture(162, 100_800, true));
    let camera = Camera::start(Script { media, ..Script::default() }).await;
    let mut source = open(&camera).await;
    assert_eq!(source.frame().await.unwrap().pts, 0);
    let next = source.frame().await.unwrap();
    assert_eq!((next.pts, next.key), (10_800, true));
    assert_eq!(source.losses().frames, 2);
}
