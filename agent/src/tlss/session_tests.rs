use std::pin::Pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use ivt_proto::tlss::header;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, DuplexStream, ReadBuf, copy, duplex};
use tokio::task::JoinHandle;

use super::*;
use crate::tlss::fake::{
    DOWN, Deployed, HANGS, JPEG, LARGE, LIST, MISSING, SNAPSHOT, WebServer, responder,
};
use crate::tlss::schedule::Schedule;
use crate::tlss::{Audit, Camera};

const IDENTITY: &[u8] = b"mac=001323A007AD&brand=CAP&model=NS6202HD";
const SILENCE: Duration = Duration::from_secs(2);

/// A call in memory: the server's end of the connection, the end of the call, and the audit log.
fn call(camera: Camera) -> (DuplexStream, JoinHandle<Ended>, Audit) {
    let (ours, theirs) = duplex(64 * 1024);
    let responder = responder(camera);
    let audit = responder.audit.clone();
    let connection = Connection { stream: Box::new(ours), local: None };
    (theirs, tokio::spawn(async move { run(connection, &responder).await }), audit)
}

async fn identified(stream: DuplexStream) -> Deployed<DuplexStream> {
    let mut server = Deployed::new(stream, SILENCE);
    assert_eq!(server.receive().await.unwrap(), IDENTITY);
    server
}

#[tokio::test(start_paused = true)]
async fn a_typical_session_with_the_deployed_server() {
    let (camera_server, camera) = WebServer::camera();
    let (stream, call, audit) = call(camera);
    let mut server = identified(stream).await;
    let (line, body) = server.ask(LIST).await.unwrap();
    assert_eq!((&*line, &body[..]), ("HTTP/1.1 200 OK", &b"asked=action=list&group=VERSION\n"[..]));
    let (_, body) = server.ask(&LIST[1..]).await.unwrap();
    assert_eq!(body, b"asked=action=list&group=VERSION\n", "without its slash");
    let (_, body) = server.ask(format!("{SNAPSHOT}\0")).await.unwrap();
    assert_eq!(body, JPEG, "byte for byte");
    server.send(b"done\0").await.unwrap();
    let ended = call.await.unwrap();
    assert!(matches!(ended.reason, Reason::Done), "{:?}", ended.reason);
    assert_eq!((ended.commands, ended.outcome()), (3, Outcome::Over));
    assert_eq!(camera_server.targets().len(), 3);
    assert_eq!(audit.entries().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_camera_in_trouble_does_not_end_the_session() {
    let (_, camera) = WebServer::camera();
    let (stream, call, _) = call(camera);
    let mut server = identified(stream).await;
    for (command, expected) in [
        (MISSING, "HTTP/1.1 404 Not Found"),
        (DOWN, "HTTP/1.1 502 Bad Gateway"),
        ("/uapi-cgi/testcmd.cgi?command=$(id)", "HTTP/1.1 403 Forbidden"),
        (LIST, "HTTP/1.1 200 OK"),
    ] {
        let (line, _) = server.ask(command).await.unwrap();
        assert_eq!(line, expected, "{command}");
    }
    let (line, body) = server.ask(HANGS).await.unwrap();
    assert_eq!(line, "HTTP/1.1 504 Gateway Timeout");
    assert!(body.starts_with(b"504"));
    server.send(b"done").await.unwrap();
    assert_eq!(call.await.unwrap().commands, 5);
}

#[tokio::test(start_paused = true)]
async fn seven_seconds_of_silence_end_the_call() {
    let (_, camera) = WebServer::camera();
    let (stream, call, _) = call(camera);
    let start = Instant::now();
    let server = identified(stream).await;
    let ended = call.await.unwrap();
    assert!(matches!(ended.reason, Reason::Violation(Violation::Silent)), "{:?}", ended.reason);
    assert_eq!(ended.outcome(), Outcome::Silent { spoke: false });
    assert_eq!(start.elapsed().as_secs(), 7);
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn seven_seconds_of_silence_after_a_reply_end_the_call() {
    let (_, camera) = WebServer::camera();
    let (stream, call, _) = call(camera);
    let mut server = identified(stream).await;
    server.ask(LIST).await.unwrap();
    let replied = Instant::now() - SILENCE;
    let ended = call.await.unwrap();
    assert_eq!(ended.outcome(), Outcome::Silent { spoke: true });
    assert_eq!(replied.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_is_called_an_interval_later() {
    let (_, camera) = WebServer::camera();
    let (stream, call, _) = call(camera);
    drop(identified(stream).await);
    let ended = call.await.unwrap();
    assert!(matches!(ended.reason, Reason::Closed), "{:?}", ended.reason);
    let minute = Duration::from_secs(60);
    for seed in 0..100 {
        let rng = &mut StdRng::seed_from_u64(seed);
        let delay = Schedule::new(minute).after(ended.outcome(), rng);
        assert!(delay >= minute.mul_f64(0.9) && delay <= minute.mul_f64(1.1), "{delay:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn four_mebibytes_arrive_without_a_pause_of_ours() {
    const LENGTH: usize = 4 << 20;
    let (camera_server, camera) = WebServer::camera();
    camera_server.large.store(LENGTH, SeqCst);
    let (stream, _call, _) = call(camera);
    let mut server = identified(stream).await;
    server.send(LARGE.as_bytes()).await.unwrap();
    let mut stream = server.into_inner();
    let length = stream.read_u32_le().await.unwrap() as usize;
    let begun = Instant::now();
    let mut reply = vec![0; length];
    stream.read_exact(&mut reply).await.unwrap();
    assert!(length > LENGTH && reply.ends_with(&[b'x'; LENGTH]));
    assert_eq!(begun.elapsed(), Duration::ZERO, "the clock only runs while the agent waits");
}

#[tokio::test(start_paused = true)]
async fn a_huge_length_ends_the_call_at_once_and_is_written_down() {
    let (_, camera) = WebServer::camera();
    let (stream, call, audit) = call(camera);
    let mut server = identified(stream).await;
    server.ask(LIST).await.unwrap();
    let start = Instant::now();
    let mut stream = server.into_inner();
    stream.write_all(&header(usize::MAX)).await.unwrap();
    let ended = call.await.unwrap();
    assert!(matches!(ended.reason, Reason::Violation(Violation::TooLong(_))), "{:?}", ended.reason);
    assert!(start.elapsed() <= SILENCE);
    let [read, unread] = &audit.entries()[..] else { panic!("two commands") };
    assert_eq!(read.refused, None);
    let why = unread.refused.as_ref().expect("not carried out").to_string();
    assert!(why.contains("4294967295"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn one_byte_a_minute_ends_within_seven_and_a_half_seconds() {
    let (_, camera) = WebServer::camera();
    let (mut stream, call, _) = call(camera);
    stream.read_exact(&mut [0; 4 + IDENTITY.len()]).await.unwrap();
    let start = Instant::now();
    let trickle = tokio::spawn(async move {
        for byte in frame(LIST.as_bytes()) {
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    });
    let ended = call.await.unwrap();
    assert!(matches!(ended.reason, Reason::Violation(Violation::Slow)), "{:?}", ended.reason);
    assert!(start.elapsed() <= Duration::from_millis(7_500), "{:?}", start.elapsed());
    trickle.abort();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_sends_ahead_has_its_commands_run_one_at_a_time() {
    let (camera_server, camera) = WebServer::camera();
    let (stream, call, _) = call(camera);
    let mut stream = identified(stream).await.into_inner();
    let mut bytes: Vec<u8> = (0..100).flat_map(|_| frame(LIST.as_bytes())).collect();
    bytes.extend(frame(b"done"));
    let (mut reading, mut writing) = tokio::io::split(&mut stream);
    let (written, replies) = tokio::join!(writing.write_all(&bytes), async {
        let mut replies = Vec::new();
        reading.read_to_end(&mut replies).await.map(|_| replies)
    });
    written.unwrap();
    let lines = replies.unwrap().windows(15).filter(|w| *w == b"HTTP/1.1 200 OK").count();
    assert_eq!((lines, call.await.unwrap().commands), (100, 100));
    assert_eq!(camera_server.most.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_twenty_commands_a_second_are_carried_out() {
    let (camera_server, camera) = WebServer::camera();
    let (stream, call, _) = call(camera);
    let mut stream = identified(stream).await.into_inner();
    let junk = ["/x", LIST, "/../x"].into_iter().cycle();
    let bytes: Vec<u8> = junk.take(1_000).flat_map(|text| frame(text.as_bytes())).collect();
    let start = Instant::now();
    let (mut reading, mut writing) = tokio::io::split(&mut stream);
    let mut replies = tokio::io::sink();
    tokio::select! {
        _ = async { tokio::join!(writing.write_all(&bytes), copy(&mut reading, &mut replies)) } => {}
        () = tokio::time::sleep(Duration::from_secs(10)) => {}
    }
    drop(stream);
    let ended = call.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(11));
    assert!((190..=201).contains(&ended.commands), "{} in 10 s", ended.commands);
    assert!(camera_server.targets().len() <= 67);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_trickles_in_late_ends_within_seven_and_a_half_seconds() {
    let (_, camera) = WebServer::camera();
    let (mut stream, call, _) = call(camera);
    stream.read_exact(&mut [0; 4 + IDENTITY.len()]).await.unwrap();
    let start = Instant::now();
    tokio::time::sleep(Duration::from_millis(6_600)).await;
    let trickle = async {
        for byte in frame(LIST.as_bytes()) {
            tokio::time::sleep(Duration::from_millis(300)).await;
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    };
    let end = async { (call.await.unwrap(), start.elapsed()) };
    let ((ended, elapsed), ()) = tokio::join!(end, trickle);
    assert!(matches!(ended.reason, Reason::Violation(Violation::Slow)), "{:?}", ended.reason);
    assert!(elapsed <= Duration::from_millis(7_510), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn whatever_a_server_sends_the_call_holds_less_than_64_kib() {
    let half = [&header(8192)[..], &[b'/'; 8191]].concat();
    for (pause, bytes) in [
        (0, [&header(usize::MAX)[..], &[b'x'; 1 << 20]].concat()),
        (1, half.clone()),
        (0, [frame(&[b' '; 8192]).repeat(100), half].concat()),
        (60_000, frame(LIST.as_bytes())),
        (0, frame(LIST.as_bytes()).repeat(2_000)),
    ] {
        let (_, camera) = WebServer::camera();
        let responder = responder(camera);
        let (ours, mut theirs) = duplex(1 << 16);
        let mut call = Call::new(Connection { stream: Box::new(ours), local: None });
        let size = if pause == 0 { bytes.len() } else { 1 };
        let server = async {
            let (mut reading, mut writing) = tokio::io::split(&mut theirs);
            let write = async {
                for part in bytes.chunks(size) {
                    if writing.write_all(part).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                std::future::pending().await
            };
            let mut replies = tokio::io::sink();
            tokio::join!(write, copy(&mut reading, &mut replies))
        };
        tokio::select! {
            _ = server => {}
            _ = call.serve(&responder) => {}
            () = tokio::time::sleep(Duration::from_secs(8)) => {}
        }
        let held = call.buffer.capacity() + call.session.capacity();
        assert!(held < 64 * 1024 && held > 0, "{held} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_reading_is_cut_off() {
    let (camera_server, camera) = WebServer::camera();
    camera_server.large.store(4 * 1024 * 1024, SeqCst);
    let (stream, call, _) = call(camera);
    let mut server = identified(stream).await;
    let start = Instant::now();
    server.send(LARGE.as_bytes()).await.unwrap();
    let ended = call.await.unwrap();
    assert!(matches!(ended.reason, Reason::Stalled), "{:?}", ended.reason);
    assert!(start.elapsed() <= STALL + Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_reads_ever_so_slowly_is_cut_off_too() {
    let (camera_server, camera) = WebServer::camera();
    camera_server.large.store(4 * 1024 * 1024, SeqCst);
    let (stream, call, _) = call(camera);
    let mut server = identified(stream).await;
    server.send(LARGE.as_bytes()).await.unwrap();
    let start = Instant::now();
    let mut stream = server.into_inner();
    let slow = tokio::spawn(async move {
        while stream.read_u8().await.is_ok() {
            tokio::time::sleep(Duration::from_secs(9)).await;
        }
    });
    let ended = call.await.unwrap();
    assert!(matches!(ended.reason, Reason::Stalled), "{:?}", ended.reason);
    assert!(start.elapsed() <= SLOWEST + Duration::from_secs(1), "{:?}", start.elapsed());
    slow.abort();
}

/// A stream that takes everything and keeps the sizes of the writes.
#[derive(Debug)]
struct Sizes {
    io: DuplexStream,
    sizes: Arc<Mutex<Vec<usize>>>,
}

impl AsyncRead for Sizes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Sizes {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let size = bufs.iter().map(|buf| buf.len()).sum();
        self.sizes.lock().unwrap().push(size);
        Poll::Ready(Ok(size))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_leaves_in_one_write() {
    let (camera_server, camera) = WebServer::camera();
    camera_server.large.store(1024 * 1024, SeqCst);
    let (io, mut server) = duplex(1024);
    let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
    let stream = Box::new(Sizes { io, sizes: sizes.clone() });
    server.write_all(&[frame(LARGE.as_bytes()), frame(b"done")].concat()).await.unwrap();
    let responder = responder(camera);
    let ended = run(Connection { stream, local: None }, &responder).await;
    assert!(matches!(ended.reason, Reason::Done));
    let bytes = responder.audit.entries()[0].answered.unwrap().bytes;
    assert!(bytes > 1024 * 1024);
    assert_eq!(*sizes.lock().unwrap(), [4 + IDENTITY.len(), 4 + bytes]);
}
