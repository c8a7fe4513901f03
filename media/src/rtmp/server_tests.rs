use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::rtmp::chunk::{Writer, channel};

/// A publisher that did its handshake and says `commands`.
async fn client(commands: &[(&str, f64, &[Value])]) -> (DuplexStream, DuplexStream) {
    let (mut near, far) = duplex(1 << 20);
    let mut out = Writer::new();
    for (name, transaction, args) in commands {
        command::send(&mut out, 0, name, *transaction, args);
    }
    let mut hello = vec![3; 1 + 1536 + 1536];
    hello.extend(out.copy_to_bytes(out.remaining()));
    near.write_all(&hello).await.unwrap();
    (near, far)
}

fn app(name: &str) -> Value {
    Value::Object(vec![("app".into(), name.into())])
}

#[tokio::test]
async fn the_usual_commands_of_encoders_are_answered() {
    let key = Value::from("key");
    let (mut near, far) = client(&[
        ("connect", 1.0, &[app("live/")]),
        ("releaseStream", 2.0, &[Value::Null, key.clone()]),
        ("FCPublish", 3.0, &[Value::Null, key.clone()]),
        ("createStream", 4.0, &[Value::Null]),
        ("_checkbw", 5.0, &[Value::Null]),
        ("somethingElse", 6.0, &[]),
        ("publish", 0.0, &[Value::Null, key, "live".into()]),
    ])
    .await;
    let mut session = accept(far, ServerLimits::default()).await.unwrap();
    let request = session.publish().await.unwrap();
    assert_eq!(request, PublishRequest { app: "live".into(), key: "key".into() });
    session.accept().await.unwrap();
    drop(session);
    let mut said = Vec::new();
    near.read_to_end(&mut said).await.unwrap();
    let count = |text: &str| said.windows(text.len()).filter(|w| *w == text.as_bytes()).count();
    assert_eq!((count("_result"), count("_error"), count("NetStream.Publish.Start")), (5, 1, 1));
}

#[tokio::test]
async fn players_and_strangers_are_turned_away() {
    let unexpected = |result: Result<PublishRequest, RtmpError>| {
        assert!(matches!(result, Err(RtmpError::Unexpected { .. })), "{result:?}");
    };
    let (_near, far) = client(&[("createStream", 1.0, &[Value::Null])]).await;
    assert!(matches!(
        accept(far, ServerLimits::default()).await,
        Err(RtmpError::Unexpected { .. })
    ));
    let connect = ("connect", 1.0, &[app("live")][..]);
    for last in [("play", 0.0, &[Value::Null][..]), ("publish", 0.0, &[][..])] {
        let (_near, far) = client(&[connect, last]).await;
        let mut session = accept(far, ServerLimits::default()).await.unwrap();
        unexpected(session.publish().await);
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_session_at_every_stage() {
    let (_near, far) = duplex(8192);
    let silent = accept(far, ServerLimits::default()).await;
    assert!(matches!(silent, Err(RtmpError::Silent)));
    let connect = ("connect", 1.0, &[app("live")][..]);
    let (_near, far) = client(&[connect]).await;
    let mut session = accept(far, ServerLimits::default()).await.unwrap();
    assert!(matches!(session.publish().await, Err(RtmpError::Silent)));
    assert!(matches!(session.next_tag().await, Err(RtmpError::Silent)));
}

#[tokio::test]
async fn tags_come_without_the_wrapping_of_metadata() {
    let (mut near, far) =
        client(&[("connect", 1.0, &[app("live")]), ("publish", 0.0, &[Value::Null, "key".into()])])
            .await;
    let mut out = Writer::new();
    out.set_chunk_size(4096);
    let wrapped = Bytes::from_static(b"\x02\0\x0d@setDataFrame\x02\0\x01m");
    out.message(channel::DATA, kind::DATA, STREAM, 0, &[], &wrapped);
    out.message(channel::DATA, kind::DATA_AMF3, STREAM, 0, &[0], &wrapped);
    out.message(channel::AUDIO, kind::AUDIO, STREAM, 7, &[0xaf, 1], &Bytes::from_static(b"aac"));
    command::send(&mut out, 0, "FCUnpublish", 6.0, &[]);
    near.write_all(&out.copy_to_bytes(out.remaining())).await.unwrap();
    let mut session = accept(far, ServerLimits::default()).await.unwrap();
    session.publish().await.unwrap();
    session.accept().await.unwrap();
    for _ in 0..2 {
        let tag = session.next_tag().await.unwrap().unwrap();
        assert_eq!((tag.kind, &tag.body[..]), (TagKind::Script, &b"\x02\0\x01m"[..]));
    }
    let tag = session.next_tag().await.unwrap().unwrap();
    assert_eq!((tag.timestamp_ms, &tag.payload()[..]), (7, &b"\xaf\x01aac"[..]));
    assert_eq!(session.next_tag().await.unwrap(), None);
    assert_eq!(session.next_tag().await.unwrap(), None, "and stays so");
}

#[tokio::test]
async fn received_bytes_are_acknowledged() {
    let (mut near, far) =
        client(&[("connect", 1.0, &[app("live")]), ("publish", 0.0, &[Value::Null, "key".into()])])
            .await;
    let mut out = Writer::new();
    out.control(kind::WINDOW_ACK_SIZE, &1000u32.to_be_bytes());
    out.message(channel::VIDEO, kind::VIDEO, STREAM, 0, &[], &Bytes::from(vec![0; 5000]));
    near.write_all(&out.copy_to_bytes(out.remaining())).await.unwrap();
    let mut session = accept(far, ServerLimits::default()).await.unwrap();
    session.publish().await.unwrap();
    assert!(session.next_tag().await.unwrap().is_some());
    session.accept().await.unwrap();
    drop(session);
    let mut said = Vec::new();
    near.read_to_end(&mut said).await.unwrap();
    let header = [0, 0, 4, kind::ACKNOWLEDGEMENT];
    assert!(said.windows(4).any(|window| window == header), "no acknowledgement");
}

#[tokio::test]
async fn a_publish_without_a_key_is_taken() {
    let (_near, far) = client(&[
        ("connect", 1.0, &[app("stream?user=a")]),
        ("publish", 0.0, &[Value::Null, "".into()]),
    ])
    .await;
    let mut session = accept(far, ServerLimits::default()).await.unwrap();
    let request = session.publish().await.unwrap();
    assert_eq!(request, PublishRequest { app: "stream?user=a".into(), key: String::new() });
}
