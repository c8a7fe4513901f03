use std::sync::Arc;

use bytes::{Buf, Bytes};
use ivt_base::address_rule::AddressRule;
use ivt_base::mask::mask;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::*;
use crate::flv::Head;
use crate::rtmp::amf::{self, Value};
use crate::rtmp::chunk::{Writer, kind};
use crate::rtmp::server::{self, ServerLimits};
use crate::rtmp::{command, handshake};

fn url() -> RtmpUrl {
    RtmpUrl::parse("rtmp://server/live/stream-key?token=1").unwrap()
}

fn picture(timestamp_ms: u32, len: usize) -> Tag {
    let body = Bytes::from(vec![timestamp_ms as u8; len]);
    Tag { kind: TagKind::Video, timestamp_ms, head: Head::default(), body }
}

/// A server that does the handshake and then what the test wants.
async fn scripted<F: Future<Output = ()>>(
    room: usize,
    script: impl FnOnce(DuplexStream) -> F,
) -> Result<Publisher, PublishError> {
    let (near, mut far) = duplex(room);
    let server = async {
        handshake::server(&mut far).await.unwrap();
        script(far).await;
    };
    let (url, options) = (url(), Options::default());
    let (published, ()) = tokio::join!(Publisher::over(near, &url, &options), server);
    published
}

/// The bytes of commands, each with its transaction number.
fn commands(list: &[(&str, f64, &[Value])]) -> Bytes {
    let mut out = Writer::new();
    for (name, transaction, args) in list {
        command::send(&mut out, 0, name, *transaction, args);
    }
    let len = out.remaining();
    out.copy_to_bytes(len)
}

fn info(members: &[(&str, &str)]) -> Value {
    Value::Object(members.iter().map(|(name, value)| (name.to_string(), (*value).into())).collect())
}

#[tokio::test]
async fn a_server_sees_the_stream_as_it_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (io, _) = listener.accept().await.unwrap();
        let mut session = server::accept(io, ServerLimits::default()).await.unwrap();
        let request = session.publish().await.unwrap();
        session.accept().await.unwrap();
        let mut tags = Vec::new();
        while let Some(tag) = session.next_tag().await.unwrap() {
            tags.push(tag);
        }
        (request, tags)
    };
    let sent = [picture(0, 400_000), picture(40, 1), picture(80, 65_536)];
    let client = async {
        let url = RtmpUrl::parse(&format!("rtmp://{address}/live/x?token=1")).unwrap();
        let mut publisher = Publisher::connect(&url, &Options::default()).await.unwrap();
        for tag in &sent {
            publisher.send(tag).await.unwrap();
        }
        publisher.finish().await;
    };
    let ((request, tags), ()) = tokio::join!(server, client);
    assert_eq!((request.app.as_str(), request.key.as_str()), ("live", "x?token=1"));
    assert_eq!(tags, sent);
}

#[tokio::test]
async fn a_refusal_says_what_the_server_said_but_not_the_key() {
    // The text is longer than what is kept of it, and the key lies across the cut.
    let long = "k".repeat(300);
    let url = RtmpUrl::parse(&format!("rtmp://127.0.0.1/live/{long}?token=canary")).unwrap();
    let (near, far) = duplex(8192);
    let server = async {
        let mut session = server::accept(far, ServerLimits::default()).await.unwrap();
        let key = session.publish().await.unwrap().key;
        let said = format!("token canary: {key} is taken");
        session.refuse("NetStream.Publish.BadName", &said).await.unwrap();
    };
    let options = Options::default();
    let (published, ()) = tokio::join!(Publisher::over(near, &url, &options), server);
    let error = published.unwrap_err();
    assert!(matches!(&error, PublishError::Refused { code, .. } if code.ends_with("BadName")));
    assert!(error.to_string().contains("token …: … is taken"), "{error}");
    assert!(!error.to_string().contains("kkk"), "{error}");
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = RtmpUrl::parse(&format!("rtmp://{address}/live/x")).unwrap();
    let error = Publisher::connect(&url, &Options::default()).await.unwrap_err();
    assert!(matches!(error, PublishError::Unreachable { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn silence_at_every_step_is_a_timeout_that_names_it() {
    let (near, _far) = duplex(8192);
    let started = Instant::now();
    let error = Publisher::over(near, &url(), &Options::default()).await.unwrap_err();
    assert!(matches!(error, PublishError::Timeout { step: Step::Handshake, .. }), "{error}");
    assert_eq!(started.elapsed(), Duration::from_secs(8));

    let mut said: Vec<(&str, f64, &[Value])> = Vec::new();
    let result = ("_result", 1.0, &[Value::Null][..]);
    let created = ("_result", 4.0, &[Value::Null, Value::Number(1.0)][..]);
    for (answer, step) in [
        (None, Step::Application),
        (Some(result), Step::CreateStream),
        (Some(created), Step::Publish),
    ] {
        said.extend(answer);
        let bytes = commands(&said);
        let (near, mut far) = duplex(8192);
        let server = tokio::spawn(async move {
            handshake::server(&mut far).await.unwrap();
            far.write_all(&bytes).await.unwrap();
            std::future::pending::<()>().await;
        });
        let error = Publisher::over(near, &url(), &Options::default()).await.unwrap_err();
        server.abort();
        assert!(matches!(&error, PublishError::Timeout { step: at, .. } if *at == step), "{error}");
    }
}

#[tokio::test]
async fn odd_servers_are_put_up_with() {
    let start = info(&[("level", "status"), ("code", "NetStream.Publish.Start")]);
    let odd = commands(&[
        ("onBWDone", 0.0, &[]),
        ("onStatus", 0.0, &[]),
        ("_result", 1.0, &[]),
        ("_error", 2.0, &[Value::Null, info(&[("level", "error")])]),
        ("getStreamLength", 9.0, &[Value::Null, "x".into()]),
        ("onFCPublish", 0.0, &[Value::Null]),
        ("_result", 4.0, &[Value::Null, 1.0.into()]),
        ("onStatus", 0.0, &[Value::Null]),
        ("onStatus", 0.0, &[Value::Null, start]),
    ]);
    let published = scripted(8192, |mut far| async move { far.write_all(&odd).await.unwrap() });
    published.await.unwrap();
}

/// What comes of a publish whose server says `last` after it has made the stream.
async fn answered(last: &[(&str, f64, &[Value])]) -> Result<Publisher, PublishError> {
    let stream = &[Value::Null, Value::Number(1.0)][..];
    let created = [("_result", 1.0, &[][..]), ("_result", 4.0, stream)];
    let said = commands(&[&created[..], last].concat());
    scripted(8192, |mut far| async move {
        far.write_all(&said).await.unwrap();
        let _ = far.read_to_end(&mut Vec::new()).await;
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn any_status_but_consent_refuses_the_publish_whatever_its_level() {
    for (level, code) in [
        ("status", "NetStream.Publish.BadName"),
        ("warning", "NetStream.Publish.Denied"),
        ("", "netstream.publish.rejected"),
        ("status", "NetStream.Publish.Idle"),
        ("status", "NetConnection.Connect.Rejected"),
        ("error", "NetStream.Failed"),
    ] {
        let status = info(&[("level", level), ("code", code), ("description", "not today")]);
        let error = answered(&[("onStatus", 0.0, &[Value::Null, status])]).await.unwrap_err();
        let want = format!("RTMP server server:1935 refused: {code} not today");
        assert_eq!(error.to_string(), want, "{level}");
    }
    let taken = info(&[("code", "NetStream.Publish.BadName"), ("description", "taken")]);
    let error = answered(&[("onFCPublish", 0.0, &[Value::Null, taken])]).await.unwrap_err();
    let want = "RTMP server server:1935 refused: NetStream.Publish.BadName taken";
    assert_eq!(error.to_string(), want);
    let start = info(&[("level", "status"), ("code", "NetStream.Publish.Start")]);
    let error = answered(&[("onFCPublish", 0.0, &[Value::Null, start])]).await.unwrap_err();
    assert!(matches!(error, PublishError::Timeout { step: Step::Publish, .. }), "{error}");
    let rejected = info(&[("level", "error"), ("code", "NetConnection.Connect.Rejected")]);
    let said = commands(&[("_result", 1.0, &[Value::Null, rejected])]);
    let published = scripted(8192, |mut far| async move {
        far.write_all(&said).await.unwrap();
        let _ = far.read_to_end(&mut Vec::new()).await;
    });
    assert!(matches!(published.await, Err(PublishError::Refused { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_may_follow_the_consent_until_media_flows() {
    let taken = info(&[("level", "status"), ("code", "NetStream.Publish.BadName")]);
    let late = commands(&[("onStatus", 0.0, &[Value::Null, taken])]);
    let (mut publisher, mut far) = consented(8192).await;
    far.write_all(&late).await.unwrap();
    let error = publisher.ended().await;
    assert!(matches!(&error, PublishError::Refused { code, .. } if code.ends_with("BadName")));

    let (mut publisher, mut far) = consented(8192).await;
    publisher.send(&picture(0, 10)).await.unwrap();
    far.write_all(&late).await.unwrap();
    let ended = timeout(Duration::from_secs(5), publisher.ended()).await;
    assert!(ended.is_err(), "a status in the stream ends nothing: {ended:?}");
}

#[tokio::test]
async fn a_server_that_measures_the_bandwidth_is_answered() {
    let (mut publisher, mut far) = consented(8192).await;
    for name in ["_onbwcheck", "onBWCheck"] {
        far.write_all(&commands(&[(name, 33.0, &[Value::Null, "x".into()])])).await.unwrap();
        let answer = amf::encode(&["_result".into(), 33.0.into(), Value::Null]);
        let mut said = Vec::new();
        tokio::select! {
            error = publisher.ended() => panic!("{error}"),
            () = async {
                while !said.windows(answer.len()).any(|window| window == answer) {
                    far.read_buf(&mut said).await.unwrap();
                }
            } => {}
        }
    }
}

#[tokio::test]
async fn a_flood_of_calls_to_a_server_that_never_reads_costs_nothing() {
    let (mut publisher, far) = consented(8192).await;
    let (_read, mut write) = tokio::io::split(far);
    let calls = commands(&[("_onbwcheck", 33.0, &[Value::Null][..]); 1000]);
    tokio::select! {
        error = publisher.ended() => panic!("{error}"),
        result = async {
            for _ in 0..20 {
                write.write_all(&calls).await?;
            }
            Ok::<_, std::io::Error>(())
        } => result.unwrap(),
    }
    assert!(publisher.unwritten() < 32 << 10);
}

#[tokio::test]
async fn long_messages_and_objects_of_amf3_are_passed_over() {
    let mut out = Writer::new();
    let greeting =
        amf::encode(&["onGreeting".into(), 0.0.into(), "x".repeat(100 << 10).as_str().into()]);
    out.message(3, kind::COMMAND, 0, 0, &[], &greeting.into());
    let data = Bytes::from(vec![9; 100 << 10]);
    out.message(5, kind::DATA, 0, 0, &[], &data);
    let object: &[u8] = &[0x11, 10, 0x0b, 1, 3, b'a', 4, 5, 1];
    let amf3 = |values: &[Value], last: &[Value]| {
        Bytes::from([&[0][..], &amf::encode(values), object, &amf::encode(last)].concat())
    };
    let result = amf3(&["_result".into(), 1.0.into()], &[]);
    out.message(3, kind::COMMAND_AMF3, 0, 0, &[], &result);
    let created = amf3(&["_result".into(), 4.0.into()], &[7.0.into()]);
    out.message(3, kind::COMMAND_AMF3, 0, 0, &[], &created);
    let start = info(&[("code", "NetStream.Publish.Start")]);
    command::send(&mut out, 0, "onStatus", 0.0, &[Value::Null, start]);
    let len = out.remaining();
    let said = out.copy_to_bytes(len);
    let published = scripted(1 << 20, |mut far| async move { far.write_all(&said).await.unwrap() });
    assert_eq!(published.await.unwrap().dialogue.stream_id, 7);
}

#[tokio::test]
async fn garbage_is_named_as_such() {
    let deep = [10u8, 0, 0, 0, 1].repeat(10_000);
    let mut nested = Writer::new();
    nested.message(
        3,
        kind::COMMAND,
        0,
        0,
        &amf::encode(&["_result".into(), 1.0.into()]),
        &deep.into(),
    );
    let len = nested.remaining();
    let nested = nested.copy_to_bytes(len);
    let odd_stream =
        commands(&[("_result", 1.0, &[]), ("_result", 4.0, &[Value::Null, f64::NAN.into()])]);
    let rows: [(&str, &[u8]); 5] = [
        ("HTTP in place of chunks", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ("a message of 16 MiB", &[3, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0]),
        ("a chunk size of 0", &[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("deep AMF", &nested),
        ("no stream number", &odd_stream),
    ];
    for (what, bytes) in rows {
        let bytes = bytes.to_vec();
        let published = scripted(1 << 20, |mut far| async move {
            far.write_all(&bytes).await.unwrap();
            let mut rest = Vec::new();
            let _ = far.read_to_end(&mut rest).await;
        });
        let error = published.await.unwrap_err();
        assert!(matches!(error, PublishError::Garbage { .. }), "{what}: {error}");
    }
}

/// A publisher whose server has consented and then does nothing.
async fn consented(room: usize) -> (Publisher, DuplexStream) {
    let (near, far) = duplex(room);
    let start = info(&[("level", "status"), ("code", "NetStream.Publish.Start")]);
    let consent = commands(&[
        ("_result", 1.0, &[]),
        ("_result", 4.0, &[Value::Null, 1.0.into()]),
        ("onStatus", 0.0, &[Value::Null, start]),
    ]);
    let server = async move {
        let mut far = far;
        handshake::server(&mut far).await.unwrap();
        far.write_all(&consent).await.unwrap();
        far
    };
    let (url, options) = (url(), Options::default());
    let (published, far) = tokio::join!(Publisher::over(near, &url, &options), server);
    (published.unwrap(), far)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_reading_is_cut_after_ten_seconds() {
    let (mut publisher, _far) = consented(8192).await;
    let started = Instant::now();
    let error = loop {
        if let Err(error) = publisher.send(&picture(0, 5000)).await {
            break error;
        }
    };
    assert!(matches!(error, PublishError::Stalled { .. }), "{error}");
    assert_eq!(started.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_byte_a_second_is_no_progress() {
    let (mut publisher, mut far) = consented(8192).await;
    tokio::spawn(async move {
        while far.read_u8().await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let started = Instant::now();
    let error = publisher.send(&picture(0, 100_000)).await.unwrap_err();
    assert!(matches!(error, PublishError::Stalled { .. }), "{error}");
    assert!(started.elapsed() <= Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_that_gets_on_is_waited_for() {
    let (mut publisher, mut far) = consented(8192).await;
    tokio::spawn(async move {
        let mut buffer = [0; 8192];
        while far.read_exact(&mut buffer).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    });
    let started = Instant::now();
    publisher.send(&picture(0, 100_000)).await.unwrap();
    assert!(started.elapsed() > Duration::from_secs(30));
}

#[tokio::test]
async fn a_server_that_closes_is_noticed_between_frames() {
    let (mut publisher, far) = consented(8192).await;
    drop(far);
    let error = publisher.ended().await;
    assert!(matches!(error, PublishError::Lost { step: Step::Stream, .. }), "{error}");
}

#[tokio::test]
async fn an_error_status_ends_the_stream() {
    let (mut publisher, mut far) = consented(8192).await;
    let failed = info(&[("level", "error"), ("code", "NetStream.Publish.Denied")]);
    far.write_all(&commands(&[("onStatus", 0.0, &[Value::Null, failed])])).await.unwrap();
    let error = publisher.ended().await;
    assert!(matches!(error, PublishError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn pings_are_answered() {
    let (mut publisher, mut far) = consented(8192).await;
    let ping = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 1, 2, 3, 4];
    far.write_all(&ping).await.unwrap();
    let mut said = Vec::new();
    tokio::select! {
        error = publisher.ended() => panic!("{error}"),
        () = async {
            while !said.ends_with(&[0, 7, 1, 2, 3, 4]) {
                far.read_buf(&mut said).await.unwrap();
            }
        } => {}
    }
}

#[tokio::test]
async fn a_flood_of_pings_to_a_server_that_never_reads_costs_nothing() {
    let (mut publisher, far) = consented(8192).await;
    let (_read, mut write) = tokio::io::split(far);
    let ping = [0x42, 0, 0, 0, 0, 0, 6, 4, 0, 6, 1, 2, 3, 4].repeat(1000);
    tokio::select! {
        error = publisher.ended() => panic!("{error}"),
        () = async {
            write.write_all(&[2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 1, 2, 3, 4]).await.unwrap();
            for _ in 0..100 {
                write.write_all(&ping).await.unwrap();
            }
        } => {}
    }
    assert!(publisher.unwritten() < 32 << 10);
}

/// Counts the writes that reach the socket.
#[derive(Debug)]
struct Counting(DuplexStream, Arc<std::sync::atomic::AtomicUsize>);

mod counting {
    use std::io;
    use std::pin::Pin;
    use std::sync::atomic::Ordering;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::Counting;

    impl AsyncRead for Counting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut self.0).poll_write(cx, buf)
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }
}

#[tokio::test]
async fn a_frame_is_one_write() {
    use std::sync::atomic::Ordering;

    let (near, far) = duplex(1 << 20);
    let writes = Arc::default();
    let server = async {
        let mut session = server::accept(far, ServerLimits::default()).await.unwrap();
        session.publish().await.unwrap();
        session.accept().await.unwrap();
        session
    };
    let near = Counting(near, Arc::clone(&writes));
    let (url, options) = (url(), Options::default());
    let (published, _session) = tokio::join!(Publisher::over(near, &url, &options), server);
    let mut publisher = published.unwrap();
    writes.store(0, Ordering::Relaxed);
    for (n, len) in [20, 700, 20_000, 300_000].into_iter().enumerate() {
        publisher.send(&picture(n as u32 * 40, len)).await.unwrap();
    }
    assert_eq!(writes.load(Ordering::Relaxed), 4);
}

#[test]
fn error_texts_name_the_peer_and_the_step() {
    let error = PublishError::timeout("h:1935".into(), Step::Publish, Duration::from_secs(8));
    assert_eq!(error.to_string(), "RTMP server h:1935: no answer to publish within 8 s");
}

#[path = "client_turned_tests.rs"]
mod turned;
