use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::*;
use crate::flv::{Tag, TagKind};
use crate::frame::{AudioCodec, AudioParams, Track, VideoCodec, VideoParams};
use crate::hub::{Hub, Start};
use crate::rtmp::server::{self, IngestSession, ServerLimits};

const SECOND: i64 = 90_000;

fn params(width: u32) -> Arc<VideoParams> {
    let record = Bytes::from_static(&[1, 0x42, 0, 30, 0xff, 0xe0, 0]);
    let dimensions = (width, 360);
    Arc::new(VideoParams { codec: VideoCodec::H264, record, dimensions, frame_rate: None })
}

/// A picture received now, whose body holds its number.
fn picture(key: bool, number: i64, size: usize) -> Frame {
    let body = vec![number as u8; size];
    let data = [&(size as u32).to_be_bytes()[..], &body].concat().into();
    Frame {
        track: Track::Video(params(640)),
        key,
        discontinuity: false,
        leading: false,
        pts: number * SECOND,
        dts: number * SECOND,
        received: Instant::now().into_std(),
        data,
    }
}

/// A publisher and the session that has accepted it, joined by a pipe that holds `room` bytes.
async fn pair(room: usize) -> (Publisher, IngestSession<DuplexStream>) {
    let (publisher, session, _) = counted_pair(room).await;
    (publisher, session)
}

/// A publisher and its session as [`pair`] gives them, and the bytes of each write of the
/// publisher.
async fn counted_pair(room: usize) -> (Publisher, IngestSession<DuplexStream>, Writes) {
    let (near, far) = duplex(room);
    let writes = Writes::default();
    let near = Counted { pipe: near, writes: Arc::clone(&writes) };
    let url = RtmpUrl::parse("rtmp://server/live/x").unwrap();
    let options = Options::default();
    let server = async {
        let mut session = server::accept(far, ServerLimits::default()).await.unwrap();
        session.publish().await.unwrap();
        session.accept().await.unwrap();
        session
    };
    let (publisher, session) = tokio::join!(Publisher::over(near, &url, &options), server);
    (publisher.unwrap(), session, writes)
}

type Writes = Arc<Mutex<Vec<usize>>>;

/// A pipe that takes slices in one go, as a socket does, and notes the bytes of each write.
#[derive(Debug)]
struct Counted {
    pipe: DuplexStream,
    writes: Writes,
}

impl Counted {
    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.writes.lock().unwrap().push(*bytes);
        }
        written
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.pipe).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.pipe).poll_write_vectored(cx, bufs);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.pipe.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// The number of the next picture; sequence headers and metadata are passed over.
async fn number(session: &mut IngestSession<DuplexStream>) -> Option<u8> {
    loop {
        let tag = session.next_tag().await.unwrap()?;
        let payload = tag.payload();
        if tag.kind == TagKind::Video && payload[1] == 1 {
            return payload.last().copied();
        }
    }
}

fn start(
    publisher: Publisher,
    hub: &Arc<Hub>,
) -> (
    tokio::task::JoinHandle<Result<(), PublishError>>,
    oneshot::Sender<()>,
    watch::Receiver<PublishStats>,
) {
    let mut reader = hub.reader(Start::LastKey);
    let (stats, seen) = watch::channel(PublishStats::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        relay(publisher, &mut reader, stopped, &stats).await
    });
    (task, stop, seen)
}

#[tokio::test(start_paused = true)]
async fn a_stream_starts_with_headers_and_the_newest_key_frame() {
    let hub = Hub::new(1 << 20);
    for n in 0..6 {
        hub.push(picture(n % 4 == 0, n, 10));
    }
    let (publisher, mut session) = pair(1 << 20).await;
    let (task, stop, seen) = start(publisher, &hub);
    let mut tags: Vec<Tag> = Vec::new();
    for _ in 0..4 {
        tags.push(session.next_tag().await.unwrap().unwrap());
    }
    let kinds: Vec<_> = tags.iter().map(|tag| (tag.kind as u8, tag.timestamp_ms)).collect();
    assert_eq!(kinds, [(18, 0), (9, 0), (9, 0), (9, 1000)]);
    assert_eq!(tags[1].payload()[..2], [0x17, 0], "sequence header");
    assert_eq!(tags[2].payload().last(), Some(&4));
    stop.send(()).unwrap();
    assert_eq!(session.next_tag().await.unwrap(), None);
    assert_eq!(task.await.unwrap(), Ok(()));
    let seen = *seen.borrow();
    assert_eq!((seen.accepted, seen.frames, seen.gaps, seen.dropped_frames), (true, 2, 0, 0));
    assert_eq!(seen.bytes, tags.iter().map(|tag| tag.len() as u64).sum::<u64>());
}

/// What the next tag is: its kind, whether it is a sequence header, and for metadata whether that
/// names a picture and sound.
async fn told(session: &mut IngestSession<DuplexStream>) -> String {
    let tag = session.next_tag().await.unwrap().unwrap();
    let payload = tag.payload();
    match (tag.kind, payload.get(1)) {
        (TagKind::Script, _) => {
            let said = crate::rtmp::amf::decode(&payload).unwrap();
            let names = |name| said[1].member(name).is_some();
            format!("metadata {} {}", names("videocodecid"), names("audiocodecid"))
        }
        (kind, Some(0)) => format!("{kind:?} header"),
        (kind, _) => format!("{kind:?}"),
    }
}

/// A piece of AAC that came now.
fn aac(dts: i64) -> Frame {
    let params = AudioParams {
        codec: AudioCodec::Aac,
        sample_rate: 16_000,
        channels: 1,
        config: Bytes::from_static(&[0x14, 0x08]),
    };
    let track = Track::Audio(Arc::new(params));
    Frame { track, ..crate::testing::sound(dts, Instant::now().into_std()) }
}

#[tokio::test(start_paused = true)]
async fn the_first_metadata_names_sound_that_comes_within_a_second() {
    let hub = Hub::new(1 << 20);
    hub.expect_sound(true);
    let (publisher, mut session) = pair(1 << 20).await;
    let (_task, _stop, _seen) = start(publisher, &hub);
    let started = Instant::now();
    hub.push(picture(true, 0, 10));
    sleep(Duration::from_millis(700)).await;
    hub.push(picture(false, 1, 10));
    hub.push(aac(SECOND + 900));
    let mut tags = Vec::new();
    for _ in 0..6 {
        tags.push(told(&mut session).await);
    }
    let want = ["metadata true true", "Video header", "Audio header", "Video", "Video", "Audio"];
    assert_eq!(tags, want);
    assert_eq!(started.elapsed(), Duration::from_millis(700));
}

#[tokio::test(start_paused = true)]
async fn the_picture_waits_a_second_at_most_for_declared_sound() {
    let hub = Hub::new(1 << 20);
    hub.expect_sound(true);
    let (publisher, mut session) = pair(1 << 20).await;
    let (_task, _stop, seen) = start(publisher, &hub);
    let started = Instant::now();
    hub.push(picture(true, 0, 10));
    assert_eq!(told(&mut session).await, "metadata true false");
    assert_eq!(started.elapsed(), Duration::from_secs(1));
    assert_eq!(number(&mut session).await, Some(0));
    hub.push(aac(SECOND));
    assert_eq!(
        told(&mut session).await,
        "metadata true true",
        "sound that comes later still counts"
    );
    assert_eq!(told(&mut session).await, "Audio header");
    assert_eq!(seen.borrow().dropped_frames, 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_sound_costs_no_key_frame_where_the_ring_holds_less_than_a_second() {
    let hub = Hub::new(64 << 10);
    hub.expect_sound(true);
    let (publisher, mut session) = pair(1 << 20).await;
    let (_task, _stop, seen) = start(publisher, &hub);
    let started = Instant::now();
    for n in 0..30 {
        hub.push(picture(n == 0, n, 4000));
        sleep(Duration::from_millis(40)).await;
        if n == 7 {
            assert_eq!(number(&mut session).await, Some(0), "half of the ring is filled");
            assert_eq!(started.elapsed(), Duration::from_millis(320));
        }
    }
    for n in 1..30 {
        assert_eq!(number(&mut session).await, Some(n));
    }
    assert_eq!(seen.borrow().dropped_frames, 0);
}

#[tokio::test(start_paused = true)]
async fn a_running_ring_whose_sound_is_known_is_not_held_up() {
    let hub = Hub::new(1 << 20);
    hub.expect_sound(true);
    hub.push(aac(0));
    hub.push(picture(true, 1, 10));
    let (publisher, mut session) = pair(1 << 20).await;
    let (_task, _stop, _seen) = start(publisher, &hub);
    let started = Instant::now();
    let mut tags = Vec::new();
    for _ in 0..4 {
        tags.push(told(&mut session).await);
    }
    assert_eq!(tags, ["metadata true true", "Video header", "Audio header", "Video"]);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_up_while_sound_is_awaited_is_noticed() {
    let hub = Hub::new(1 << 20);
    hub.expect_sound(true);
    hub.push(picture(true, 0, 10));
    let (publisher, session) = pair(1 << 20).await;
    let (task, _stop, _seen) = start(publisher, &hub);
    drop(session);
    let ended = task.await.unwrap();
    assert!(matches!(ended, Err(PublishError::Lost { .. })), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn changed_parameters_are_announced_in_the_stream() {
    let hub = Hub::new(1 << 20);
    let (publisher, mut session) = pair(1 << 20).await;
    let (task, _stop, _seen) = start(publisher, &hub);
    hub.push(picture(true, 0, 10));
    assert_eq!(number(&mut session).await, Some(0));
    hub.push(Frame { track: Track::Video(params(1280)), ..picture(true, 1, 10) });
    hub.close();
    let metadata = session.next_tag().await.unwrap().unwrap().payload();
    let metadata = crate::flv::metadata::parse(&metadata).unwrap();
    assert_eq!(metadata.dimensions, Some((1280, 360)));
    let header = session.next_tag().await.unwrap().unwrap();
    assert_eq!(header.payload()[..2], [0x17, 0]);
    assert_eq!(number(&mut session).await, Some(1));
    assert_eq!(session.next_tag().await.unwrap(), None);
    assert_eq!(task.await.unwrap(), Err(PublishError::SourceEnded));
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_there_together_take_one_write() {
    let hub = Hub::new(1 << 20);
    let (publisher, mut session, writes) = counted_pair(1 << 20).await;
    let (_task, _stop, _seen) = start(publisher, &hub);
    hub.push(picture(true, 0, 1000));
    assert_eq!(number(&mut session).await, Some(0));
    writes.lock().unwrap().clear();
    for n in 1..4 {
        hub.push_silently(crate::testing::sound(n * SECOND - 100, Instant::now().into_std()));
        hub.push(picture(false, n, 5000));
    }
    let mut kinds = Vec::new();
    while kinds.len() < 7 {
        let tag = session.next_tag().await.unwrap().unwrap();
        kinds.push((tag.kind as u8, tag.timestamp_ms));
    }
    let sent = [8, 9, 8, 9, 8, 9].into_iter().zip([998, 1000, 1998, 2000, 2998, 3000]);
    assert_eq!(kinds[1..], sent.collect::<Vec<_>>(), "in order, after the metadata");
    let writes = writes.lock().unwrap();
    assert!(writes.len() == 1 && writes[0] > 3 * 5000, "{writes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_past_is_not_written_in_one_go() {
    let hub = Hub::new(10 << 20);
    for n in 0..20 {
        hub.push(picture(n == 0, n, 50_000));
    }
    let (publisher, mut session, writes) = counted_pair(10 << 20).await;
    let (_task, _stop, _seen) = start(publisher, &hub);
    for n in 0..20 {
        assert_eq!(number(&mut session).await, Some(n));
    }
    let writes = writes.lock().unwrap();
    assert!(writes.iter().all(|bytes| *bytes < BATCH + 51_000), "{writes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_server_costs_frames_up_to_a_key_frame_and_they_are_counted() {
    let hub = Hub::new(64 << 10);
    let (publisher, mut session) = pair(16 << 10).await;
    let (task, stop, mut seen) = start(publisher, &hub);
    for n in 0..40 {
        hub.push(picture(n % 4 == 0, n, 8000));
        sleep(Duration::from_millis(40)).await;
    }
    let mut numbers = Vec::new();
    while numbers.last() != Some(&39) {
        numbers.push(number(&mut session).await.unwrap());
    }
    let jump = numbers.windows(2).position(|pair| pair[1] != pair[0] + 1).unwrap();
    assert_eq!(numbers[jump + 1] % 4, 0, "goes on at a key frame: {numbers:?}");
    hub.push(picture(false, 40, 100));
    assert_eq!(number(&mut session).await, Some(40));
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
    let seen = *seen.borrow_and_update();
    assert_eq!(seen.gaps, 1);
    assert_eq!(seen.frames + seen.dropped_frames, 41, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_picture_too_large_for_servers_is_left_out_with_those_made_from_it() {
    let hub = Hub::new(10 << 20);
    let (publisher, mut session) = pair(1 << 20).await;
    let (task, _stop, mut seen) = start(publisher, &hub);
    let large = 3 << 20;
    for (n, key, size) in [
        (0, true, large), // The first picture may be too large, too.
        (1, false, 100),
        (2, true, LARGEST - 4),
        (3, false, 100),
        (4, false, large),
        (5, false, 100),
        (6, true, large),
        (7, false, 100),
        (8, true, 100),
        (9, false, 100),
    ] {
        hub.push(picture(key, n, size));
        if [2, 3, 8, 9].contains(&n) {
            assert_eq!(number(&mut session).await, Some(n as u8));
        }
        sleep(Duration::from_millis(40)).await;
    }
    hub.close();
    assert_eq!(session.next_tag().await.unwrap(), None);
    assert_eq!(task.await.unwrap(), Err(PublishError::SourceEnded), "the connection stays");
    let seen = *seen.borrow_and_update();
    assert_eq!((seen.frames, seen.oversized, seen.dropped_frames), (4, 3, 6), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_left_out_counts_also_when_the_server_hangs_up() {
    let hub = Hub::new(10 << 20);
    let (publisher, mut session) = pair(1 << 20).await;
    let (task, _stop, mut seen) = start(publisher, &hub);
    hub.push(picture(true, 0, 100));
    assert_eq!(number(&mut session).await, Some(0));
    sleep(Duration::from_millis(40)).await;
    drop(session);
    hub.push(picture(true, 1, LARGEST + 1));
    hub.push(picture(true, 2, 100));
    assert!(task.await.unwrap().is_err());
    let seen = *seen.borrow_and_update();
    assert_eq!((seen.frames, seen.oversized), (1, 1), "{seen:?}");
}

/// A picture of an open group of four: the two pictures behind the key frame are leading ones.
fn open_group(number: i64) -> Frame {
    let leading = matches!(number % 4, 1 | 2);
    Frame { leading, ..picture(number % 4 == 0, number, 10) }
}

async fn numbers(session: &mut IngestSession<DuplexStream>, last: u8) -> Vec<u8> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last) {
        numbers.push(number(session).await.unwrap());
    }
    numbers
}

#[tokio::test(start_paused = true)]
async fn leading_pictures_are_sent_in_flow_and_left_out_where_the_stream_begins() {
    let hub = Hub::new(10 << 20);
    let mut reader = hub.reader(Start::LastKey);
    (0..5).for_each(|number| hub.push(open_group(number)));
    let (publisher, mut session) = pair(1 << 20).await;
    let (stats, _seen) = watch::channel(PublishStats::default());
    let (_stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    tokio::spawn(async move { relay(publisher, &mut reader, stopped, &stats).await });
    sleep(Duration::from_millis(10)).await;
    // The reader was running while the connection was made; the publish begins at picture 4.
    (5..12).for_each(|number| hub.push(open_group(number)));
    assert_eq!(numbers(&mut session, 11).await, [4, 7, 8, 9, 10, 11]);
    // A picture that is too large is left out, and with it the rest of its group.
    hub.push(open_group(12));
    hub.push(picture(false, 13, LARGEST + 1));
    (14..24).for_each(|number| hub.push(open_group(number)));
    assert_eq!(numbers(&mut session, 23).await, [12, 16, 19, 20, 21, 22, 23]);
}

#[tokio::test(start_paused = true)]
async fn leading_pictures_are_left_out_where_a_late_stream_goes_on() {
    let hub = Hub::new(10 << 20);
    let (publisher, mut session) = pair(1 << 20).await;
    let (_task, _stop, seen) = start(publisher, &hub);
    hub.push(open_group(0));
    assert_eq!(numbers(&mut session, 0).await, [0]);
    // These pictures grow old before anybody reads them.
    (3..10).for_each(|number| hub.push(open_group(number)));
    tokio::time::advance(2 * LATE).await;
    (10..13).for_each(|number| hub.push(open_group(number)));
    let sent = numbers(&mut session, 12).await;
    assert_eq!(sent, [8, 11, 12], "the newest key frame, and no leading ones");
    hub.push(open_group(13));
    assert_eq!(numbers(&mut session, 13).await, [13], "in flow");
    assert_eq!(seen.borrow().gaps, 1);
}

#[tokio::test(start_paused = true)]
async fn old_pictures_are_not_sent_when_there_are_new_ones() {
    let hub = Hub::new(10 << 20);
    let (publisher, mut session) = pair(16 << 10).await;
    let (_task, _stop, _seen) = start(publisher, &hub);
    // The ring holds all of these pictures, but the server does not read for six seconds.
    for n in 0..6 {
        hub.push(picture(n % 2 == 0, n, 20_000));
        sleep(Duration::from_secs(1)).await;
    }
    let mut numbers = Vec::new();
    while numbers.last() != Some(&5) {
        numbers.push(number(&mut session).await.unwrap());
    }
    assert_eq!(numbers, [0, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_long_gop_is_sent_whole_however_old() {
    let hub = Hub::new(10 << 20);
    for n in 0..6 {
        hub.push(picture(n == 0, n, 100));
        sleep(Duration::from_secs(1)).await;
    }
    let (publisher, mut session) = pair(1 << 20).await;
    let (_task, _stop, seen) = start(publisher, &hub);
    for n in 0..6 {
        assert_eq!(number(&mut session).await, Some(n));
    }
    assert_eq!(seen.borrow().gaps, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_stuck_for_ten_seconds_is_given_up() {
    let hub = Hub::new(1 << 20);
    let (publisher, _session) = pair(8 << 10).await;
    let (task, _stop, _seen) = start(publisher, &hub);
    hub.push(picture(true, 0, 100_000));
    let started = Instant::now();
    let ended = task.await.unwrap();
    assert!(matches!(ended, Err(PublishError::Stalled { .. })), "{ended:?}");
    assert_eq!(started.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn stopping_a_stalled_publish_takes_a_second_at_most() {
    let hub = Hub::new(1 << 20);
    let (publisher, _session) = pair(8 << 10).await;
    let (task, stop, _seen) = start(publisher, &hub);
    hub.push(picture(true, 0, 100_000));
    sleep(Duration::from_secs(3)).await;
    stop.send(()).unwrap();
    let started = Instant::now();
    assert_eq!(task.await.unwrap(), Ok(()));
    assert_eq!(started.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_away_between_frames_is_noticed() {
    let hub = Hub::new(1 << 20);
    let (publisher, session) = pair(8 << 10).await;
    let (task, _stop, _seen) = start(publisher, &hub);
    drop(session);
    let ended = task.await.unwrap();
    assert!(matches!(ended, Err(PublishError::Lost { .. })), "{ended:?}");
}

#[tokio::test]
async fn a_publish_can_be_stopped_while_it_is_being_made() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = RtmpUrl::parse(&format!("rtmp://{address}/live/x")).unwrap();
    let hub = Hub::new(1 << 20);
    let (stats, seen) = watch::channel(PublishStats::default());
    let (held, kept) = oneshot::channel();
    let stop = async { drop(held.send(listener.accept().await)) };
    let mut reader = hub.reader(Start::Live);
    let ended = run(&mut reader, &url, &Options::default(), stop, &stats).await;
    assert_eq!(ended, Ok(()));
    assert!(!seen.borrow().accepted);
    drop(kept);
}
