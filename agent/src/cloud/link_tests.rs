use std::sync::Arc;

use async_trait::async_trait;
use ivt_base::byte_stream::ByteStream;
use ivt_hal::Power;
use ivt_proto::rpc::message::GetFirmware;
use ivt_proto::rpc::{MAX_BLANKS, Violation};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::*;
use crate::channel::Handle;
use crate::channel::testing::{deaf, slow};
use crate::cloud::calls::Calls;
use crate::cloud::dial::limits;
use crate::dispatch::EventCounts;
use crate::dispatch::testing::{dispatch, one};
use crate::shutdown::{Stopper, stopper};

/// The cloud's end of a connection in memory.
struct Cloud {
    socket: WebSocketStream<DuplexStream>,
    link: JoinHandle<Ended>,
    stop: Stopper,
    start: Instant,
    events: watch::Receiver<EventCounts>,
    calls: Calls,
}

/// A link over a pipe that holds `buffer` bytes each way.
async fn connected(buffer: usize) -> Cloud {
    connected_with(buffer, Vec::new()).await
}

async fn connected_with(buffer: usize, channels: Vec<Handle>) -> Cloud {
    connected_by(Options::default(), buffer, channels).await
}

async fn connected_by(options: Options, buffer: usize, channels: Vec<Handle>) -> Cloud {
    connected_over(dispatch(channels), options, buffer).await
}

async fn connected_over(dispatch: Dispatch, options: Options, buffer: usize) -> Cloud {
    let (ours, theirs) = tokio::io::duplex(buffer);
    let ours: Box<dyn ByteStream> = Box::new(ours);
    let socket = WebSocketStream::from_raw_socket(ours, Role::Client, Some(limits())).await;
    let (stop, mut stopping) = stopper();
    let events = dispatch.events();
    let queue = CallQueue::default();
    let calls = queue.calls();
    let link = tokio::spawn(async move {
        let keepalives = KeepaliveSource::new(vec![deaf().0.status()]);
        run(socket, options, &dispatch, &keepalives, &queue, &mut stopping).await
    });
    let socket = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
    Cloud { socket, link, stop, start: Instant::now(), events, calls }
}

impl Cloud {
    async fn receive(&mut self) -> Value {
        loop {
            match self.socket.next().await.expect("the link is open").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    async fn send(&mut self, packet: Value) {
        self.socket.send(Message::text(packet.to_string())).await.unwrap();
    }

    /// Receives a Keepalive and answers it.
    async fn keepalive(&mut self) -> Duration {
        let packet = self.receive().await;
        assert_eq!(packet["req"], "Keepalive", "{packet}");
        self.send(json!({"seq": packet["seq"], "resp": {}})).await;
        self.start.elapsed()
    }

    /// Reads without answering anything until the link ends.
    async fn ended(mut self) -> (Reason, Duration, bool) {
        let ended = loop {
            tokio::select! {
                ended = &mut self.link => break ended.unwrap(),
                message = self.socket.next() => if !matches!(message, Some(Ok(_))) {
                    break self.link.await.unwrap();
                }
            }
        };
        (ended.reason, self.start.elapsed(), ended.healthy_since.is_some())
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_keepalive_comes_at_once_and_then_every_ten_seconds() {
    let mut cloud = connected(4096).await;
    for n in 0..5 {
        assert_eq!(cloud.keepalive().await.as_secs(), n * 10);
    }
}

#[tokio::test]
async fn a_call_that_waits_at_the_login_goes_behind_the_first_keepalive() {
    let mut cloud = connected(4096).await;
    let calls = cloud.calls.clone();
    let asking = tokio::spawn(async move { calls.call(GetFirmware).await });
    cloud.keepalive().await;
    let packet = cloud.receive().await;
    assert_eq!((&packet["req"], &packet["seq"]), (&json!("GetFirmware"), &json!(2)));
    asking.abort();
}

#[tokio::test(start_paused = true)]
async fn the_keepalive_lists_every_channel() {
    let mut cloud = connected(4096).await;
    let packet = cloud.receive().await;
    let channels = json!([{"channel": 0, "state": 0}]);
    assert_eq!(packet["params"], json!({"state": 3, "channels": channels}));
    assert_eq!(packet["seq"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_answers_nothing_is_left_after_twenty_seconds() {
    let (reason, after, healthy) = connected(4096).await.ended().await;
    assert!(matches!(reason, Reason::Violation(Violation::NoAnswer { .. })), "{reason}");
    assert_eq!(after.as_secs(), 20);
    assert!(!healthy);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_link_is_noticed_within_31_seconds() {
    let mut cloud = connected(4096).await;
    cloud.keepalive().await;
    cloud.keepalive().await;
    let lost = cloud.start.elapsed();
    let (reason, end, healthy) = cloud.ended().await;
    assert!(matches!(reason, Reason::Violation(Violation::NoAnswer { .. })), "{reason}");
    let noticed = end - lost;
    assert!(noticed <= Duration::from_secs(31), "{noticed:?}");
    assert!(healthy);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_stops_reading_is_left() {
    let mut cloud = connected(600).await;
    for seq in 0..12 {
        cloud.send(json!({"req": "GetNetConfig", "params": {"channel": 0}, "seq": seq})).await;
    }
    // The cloud holds the connection open and reads nothing.
    let ended = cloud.link.await.unwrap();
    assert!(matches!(ended.reason, Reason::Stalled), "{}", ended.reason);
    assert!(cloud.start.elapsed() <= Duration::from_secs(31));
    drop(cloud.socket);
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_in_order_and_unknown_ones_with_101() {
    let mut cloud = connected(64 * 1024).await;
    cloud.keepalive().await;
    let methods =
        [("Nonsense", 101), ("GetNetConfig", 1), ("RTMPPublish", 1), ("RTMPStopPublish", 102)];
    for (seq, (method, _)) in methods.iter().enumerate() {
        let params = match *method {
            "RTMPStopPublish" => json!({"channel": 7, "stream_id": "s"}),
            _ => json!({}),
        };
        cloud.send(json!({"req": method, "params": params, "seq": seq})).await;
    }
    for (seq, (method, code)) in methods.iter().enumerate() {
        let answer = cloud.receive().await;
        assert_eq!(answer["seq"], seq, "{answer}");
        assert_eq!(answer["err"]["code"], *code, "{method}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_packets_costs_no_keepalive_and_no_answer() {
    let mut cloud = connected(16 * 1024).await;
    cloud.keepalive().await;
    let (mut sink, mut stream) = cloud.socket.split();
    let flood = async {
        for seq in 0..10_000 {
            let request = json!({"req": "GetNetConfig", "params": {"channel": 0}, "seq": seq});
            sink.feed(Message::text(request.to_string())).await.unwrap();
            let event = json!({"event": "CtrlPTZ", "params": {"channel": 0, "op": "up"}});
            sink.feed(Message::text(event.to_string())).await.unwrap();
        }
        sink.flush().await.unwrap();
    };
    let answers = async {
        for seq in 0..10_000 {
            let Some(Ok(Message::Text(text))) = stream.next().await else {
                panic!("{seq}: closed")
            };
            let answer: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(answer["seq"], seq);
        }
        let Some(Ok(Message::Text(text))) = stream.next().await else { panic!("closed") };
        assert!(text.contains("Keepalive"), "{text}");
    };
    tokio::join!(flood, answers);
    assert_eq!(cloud.start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn garbage_ends_the_connection_at_once() {
    for garbage in [
        Message::text("{"),
        Message::text("[]"),
        Message::text("{}"),
        Message::text("null"),
        Message::text("\0{}"),
        Message::text(json!({"seq": 1}).to_string()),
        Message::text(json!({"seq": 99, "resp": {}}).to_string()),
        Message::text("x".repeat(65 * 1024)),
        Message::text("x".repeat(70 * 1024)),
        Message::binary(vec![1, 2, 3]),
    ] {
        let mut cloud = connected(128 * 1024).await;
        let shown: String = format!("{garbage:?}").chars().take(60).collect();
        cloud.keepalive().await;
        cloud.socket.send(garbage).await.unwrap();
        let (reason, after, _) = cloud.ended().await;
        assert!(!matches!(reason, Reason::Closed | Reason::Stopped), "{shown}: {reason}");
        assert!(after <= Duration::from_secs(1), "{shown}: {after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_content_counts_where_the_configuration_says_so() {
    for accept_bare_answers in [true, false] {
        let mut cloud = connected_by(Options { accept_bare_answers }, 4096, Vec::new()).await;
        let first = cloud.receive().await;
        cloud.send(json!({"seq": first["seq"]})).await;
        if accept_bare_answers {
            assert_eq!(cloud.keepalive().await.as_secs(), 10);
        } else {
            let (reason, ..) = cloud.ended().await;
            assert!(matches!(reason, Reason::Violation(Violation::Malformed { .. })), "{reason}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn packets_are_taken_as_deployed_clouds_write_them() {
    let mut cloud = connected(4096).await;
    let answers = [
        |seq: u64| Message::binary(json!({"seq": seq, "resp": {}}).to_string().into_bytes()),
        |seq: u64| Message::text(format!("\u{feff}{}", json!({"seq": seq, "resp": {}}))),
        |seq: u64| Message::text(format!("{}\0", json!({"seq": seq, "resp": {}}))),
        |seq: u64| Message::binary(format!("\u{feff}{}\r\n\0", json!({"seq": seq, "resp": null}))),
        |seq: u64| Message::text(json!({"seq": seq, "resp": {}, "err": null}).to_string()),
        |seq: u64| Message::text(json!({"seq": seq as f64, "resp": {}}).to_string()),
        |seq: u64| Message::text(json!({"seq": seq.to_string(), "resp": {}}).to_string()),
    ];
    for (n, answer) in answers.iter().enumerate() {
        for blank in [Message::text(""), Message::text("\n"), Message::binary(vec![])] {
            cloud.socket.send(blank).await.unwrap();
        }
        let packet = cloud.receive().await;
        assert_eq!(packet["req"], "Keepalive");
        assert_eq!(cloud.start.elapsed().as_secs(), n as u64 * 10);
        cloud.socket.send(answer(packet["seq"].as_u64().unwrap())).await.unwrap();
    }
    for seq in [json!(1.0), json!("2"), json!(3)] {
        let request = json!({"req": "GetNetConfig", "params": {"channel": 0.0}, "seq": seq});
        cloud.socket.send(Message::binary(request.to_string().into_bytes())).await.unwrap();
        assert_eq!(cloud.receive().await["seq"], seq);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_empty_messages_ends_the_connection() {
    let mut cloud = connected(64 * 1024).await;
    cloud.keepalive().await;
    for _ in 0..=MAX_BLANKS {
        cloud.socket.send(Message::text("")).await.unwrap();
    }
    let (reason, after, _) = cloud.ended().await;
    assert!(matches!(reason, Reason::Violation(Violation::TooManyBlanks)), "{reason}");
    assert!(after <= Duration::from_secs(1), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_close_before_the_first_answer_is_told_from_a_later_one() {
    let mut early = connected(4096).await;
    early.receive().await;
    early.socket.close(None).await.unwrap();
    let (reason, _, healthy) = early.ended().await;
    assert!(matches!(reason, Reason::Closed) && !healthy, "{reason}");

    let mut dropped = connected(4096).await;
    dropped.keepalive().await;
    tokio::task::yield_now().await;
    drop(dropped.socket);
    let ended = dropped.link.await.unwrap();
    assert!(matches!(ended.reason, Reason::Closed), "{}", ended.reason);
    assert!(ended.healthy_since.is_some());
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered() {
    let mut cloud = connected(4096).await;
    cloud.socket.send(Message::Ping("p".into())).await.unwrap();
    let mut pong = false;
    while !pong {
        pong = matches!(cloud.socket.next().await, Some(Ok(Message::Pong(p))) if p == "p");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_says_goodbye() {
    let mut cloud = connected(4096).await;
    cloud.keepalive().await;
    cloud.stop.stop();
    assert!(matches!(cloud.socket.next().await, Some(Ok(Message::Close(_)))));
    let ended = cloud.link.await.unwrap();
    assert!(matches!(ended.reason, Reason::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_slow_request_holds_up_the_answers_behind_it_but_nothing_else() {
    let (slow, _inbox) = deaf();
    let mut cloud = connected_with(64 * 1024, vec![slow]).await;
    cloud.keepalive().await;
    let stop = json!({"channel": 0, "stream_id": "s"});
    cloud.send(json!({"req": "RTMPStopPublish", "params": stop, "seq": 1})).await;
    for seq in 2..=20 {
        cloud.send(json!({"req": "GetNetConfig", "params": {"channel": 1}, "seq": seq})).await;
    }
    let sent = cloud.start.elapsed();
    for seq in 1..=20 {
        let answer = cloud.receive().await;
        assert_eq!(answer["seq"], seq, "{answer}");
        let waited = cloud.start.elapsed() - sent;
        assert!(waited <= Duration::from_secs(9), "{seq} after {waited:?}");
    }
    assert_eq!(cloud.keepalive().await.as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn events_wait_for_no_request() {
    let (slow, _inbox) = deaf();
    let mut cloud = connected_with(64 * 1024, vec![slow]).await;
    cloud.keepalive().await;
    let stop = json!({"channel": 0, "stream_id": "s"});
    cloud.send(json!({"req": "RTMPStopPublish", "params": stop, "seq": 1})).await;
    cloud.send(json!({"req": "GetNetConfig", "params": {"channel": 0}, "seq": 2})).await;
    let sent = Instant::now();
    let ptz = |op: &str| json!({"event": "CtrlPTZ", "params": {"channel": 0, "op": op}});
    for event in [ptz("up"), json!({"event": "UpgradeFirmware"}), ptz("?"), json!({"event": "?"})] {
        cloud.send(event).await;
    }
    let expected = EventCounts { served: 0, replaced: 0, unsupported: 2, failed: 1, unknown: 1 };
    cloud.events.wait_for(|counts| *counts == expected).await.unwrap();
    assert_eq!(sent.elapsed(), Duration::ZERO, "both requests are still running or waiting");
    assert_eq!(cloud.receive().await["seq"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_refused_for_its_lateness_does_not_start_later() {
    let (first, _) = slow(Duration::from_millis(9_400));
    let (second, came_about) = slow(Duration::from_secs(9));
    let mut cloud = connected_with(64 * 1024, vec![first, second]).await;
    cloud.keepalive().await;
    let publish = |channel| {
        json!({"channel": channel, "quality": "hd", "url": "rtmp://h/live/a", "stream_id": "s",
               "max_bitrate": 0})
    };
    // The second publish starts only once the request before it on its channel may start.
    cloud.send(json!({"req": "RTMPPublish", "params": publish(0), "seq": 1})).await;
    cloud.send(json!({"req": "GetNetConfig", "params": {"channel": 0}, "seq": 2})).await;
    cloud.send(json!({"req": "RTMPPublish", "params": publish(1), "seq": 3})).await;
    let sent = cloud.start.elapsed();
    let mut answers = Vec::new();
    while answers.len() < 3 {
        let packet = cloud.receive().await;
        match packet.get("req") {
            Some(_) => cloud.send(json!({"seq": packet["seq"], "resp": {}})).await,
            None => answers.push(packet),
        }
    }
    let waited = cloud.start.elapsed() - sent;
    assert_eq!(answers[0], json!({"seq": 1, "resp": {}}));
    assert_eq!((&answers[2]["seq"], &answers[2]["err"]["code"]), (&json!(3), &json!(1)));
    assert!(waited <= Duration::from_secs(18), "{waited:?}");
    assert!(!came_about.await.unwrap(), "it is live, and the cloud was told that it is not");
}

#[tokio::test(start_paused = true)]
async fn all_that_256_channels_can_be_asked_at_once_is_answered_in_order_and_in_time() {
    let (channels, _inboxes): (Vec<_>, Vec<_>) = (0..256).map(|_| deaf()).unzip();
    let mut cloud = connected_with(64 * 1024, channels).await;
    cloud.keepalive().await;
    let publish = |channel| {
        json!({"channel": channel, "quality": "hd", "url": "rtmp://h/live/a", "stream_id": "s",
               "max_bitrate": 0})
    };
    let record = |channel| {
        json!({"channel": channel, "session_id": "s", "quality": "hd", "max_bitrate": 0,
               "seg_duration": 5, "seg_max_size": 1 << 20, "seg_max_count": 3,
               "prerecord_seconds": 0, "start_ts": 0, "cbk_url": "http://h/record/s"})
    };
    for channel in 0..256 {
        let packet = json!({"req": "RTMPPublish", "params": publish(channel), "seq": channel});
        cloud.send(packet).await;
    }
    for channel in 0..256 {
        let seq = 256 + channel;
        let packet = json!({"req": "StartCloudRecord", "params": record(channel), "seq": seq});
        cloud.send(packet).await;
    }
    let sent = cloud.start.elapsed();
    let mut next = 0;
    while next < 512 {
        let packet = cloud.receive().await;
        if packet.get("req").is_some() {
            cloud.send(json!({"seq": packet["seq"], "resp": {}})).await;
            continue;
        }
        assert_eq!((&packet["seq"], &packet["err"]["code"]), (&json!(next), &json!(1)), "{packet}");
        let waited = cloud.start.elapsed() - sent;
        // All publishes begin at once; a recording begins when the publish of its channel has ended.
        let limit = if next < 256 { 10 } else { 18 };
        assert!(waited <= Duration::from_secs(limit), "{next} after {waited:?}");
        next += 1;
    }
    assert!(!cloud.link.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_flood_behind_a_slow_request_costs_no_keepalive_and_not_the_connection() {
    let (slow, _inbox) = deaf();
    let mut cloud = connected_with(16 * 1024, vec![slow]).await;
    cloud.keepalive().await;
    const REQUESTS: usize = 6_000;
    let (mut sink, mut stream) = cloud.socket.split();
    let (packets, mut more) = tokio::sync::mpsc::unbounded_channel();
    for seq in 0..REQUESTS {
        let params = json!({"channel": 0, "stream_id": "s"});
        packets.send(json!({"req": "RTMPStopPublish", "params": params, "seq": seq})).unwrap();
    }
    let writing = tokio::spawn(async move {
        while let Some(packet) = more.recv().await {
            sink.send(Message::text(packet.to_string())).await.unwrap();
        }
        sink
    });
    let (mut next, mut keepalives) = (0, 0);
    while next < REQUESTS {
        let Some(Ok(message)) = stream.next().await else { panic!("closed after {next}") };
        let Message::Text(text) = message else { continue };
        let packet: Value = serde_json::from_str(&text).unwrap();
        if packet.get("req").is_some() {
            keepalives += 1;
            packets.send(json!({"seq": packet["seq"], "resp": {}})).unwrap();
            continue;
        }
        assert_eq!(packet["seq"], next, "{packet}");
        next += 1;
    }
    let took = cloud.start.elapsed();
    assert!(keepalives >= took.as_secs() / 20, "{keepalives} keepalives in {took:?}");
    drop(packets);
    drop(writing);
}

/// One frame of the wire; a message may consist of many.
fn frame(opcode: Data, payload: &[u8], last: bool) -> Message {
    let payload = payload.to_vec();
    Message::Frame(Frame::message(payload, OpCode::Data(opcode), last))
}

#[tokio::test(start_paused = true)]
async fn frames_that_make_no_text_end_the_connection_at_once() {
    let piece = [b' '; 10 * 1024];
    let mut endless = vec![frame(Data::Text, &piece, false)];
    endless.resize(7, frame(Data::Continue, &piece, false));
    let rows = [
        ("no UTF-8", vec![frame(Data::Text, b"{\"seq\":1,\"resp\":\"\xff\"}", true)]),
        ("half a surrogate pair", vec![frame(Data::Text, b"\"\xed\xa0\x80\"", true)]),
        ("half a character", vec![frame(Data::Text, b"\"\xe9\x95", true)]),
        (
            "no UTF-8 over two frames",
            vec![
                frame(Data::Text, b"{\"seq\":\"\xe9", false),
                frame(Data::Continue, b"x\"}", true),
            ],
        ),
        (
            "a message within a message",
            vec![frame(Data::Text, b"{\"seq\"", false), frame(Data::Text, b"{}", true)],
        ),
        ("an end without a beginning", vec![frame(Data::Continue, b"{}", true)]),
        ("frames without an end", endless),
    ];
    for (what, frames) in rows {
        let mut cloud = connected(128 * 1024).await;
        cloud.keepalive().await;
        for frame in frames {
            cloud.socket.send(frame).await.unwrap();
        }
        let (reason, after, _) = cloud.ended().await;
        assert!(matches!(reason, Reason::Broken(_)), "{what}: {reason}");
        assert!(after <= Duration::from_secs(1), "{what}: {after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_in_pieces_is_answered() {
    let mut cloud = connected(4096).await;
    cloud.keepalive().await;
    let request =
        json!({"req": "GetNetConfig", "params": {"channel": 0, "name": "\u{955c}"}, "seq": 7});
    let text = request.to_string();
    let cut = text.find('\u{955c}').unwrap() + 1; // Within the character.
    cloud.socket.send(frame(Data::Text, &text.as_bytes()[..cut], false)).await.unwrap();
    cloud.socket.send(Message::Ping("between".into())).await.unwrap();
    cloud.socket.send(frame(Data::Continue, &text.as_bytes()[cut..], false)).await.unwrap();
    cloud.socket.send(frame(Data::Continue, b"", true)).await.unwrap();
    let answer = cloud.receive().await;
    assert_eq!((&answer["seq"], &answer["err"]["code"]), (&json!(7), &json!(102)), "{answer}");
    assert_eq!(cloud.keepalive().await.as_secs(), 10);
}

/// Tells of each restart.
struct Restarts(mpsc::UnboundedSender<()>);

#[async_trait]
impl Power for Restarts {
    async fn reboot(&self) -> ivt_hal::Result<()> {
        self.0.send(()).unwrap();
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_waits_until_its_answer_has_left_and_is_left_out_if_it_is_lost() {
    for lost in [false, true] {
        let (told, mut restarts) = mpsc::unbounded_channel();
        let dispatch = one(|camera| camera.power = Some(Arc::new(Restarts(told))));
        // An answer is longer than what the pipe holds, so it leaves when the cloud reads.
        let mut cloud = connected_over(dispatch, Options::default(), 16).await;
        cloud.keepalive().await;
        let params = json!({"channel": 0});
        cloud.send(json!({"req": "RebootChannel", "params": params, "seq": 1})).await;
        let early = timeout(SEND / 2, restarts.recv()).await;
        assert!(early.is_err(), "before the answer has left");
        if lost {
            // A cloud that was not answered asks again.
            drop(cloud.socket);
        } else {
            assert_eq!(cloud.receive().await, json!({"seq": 1, "resp": {}}));
            assert_eq!(restarts.recv().await, Some(()));
        }
        let more = timeout(SEND / 2, restarts.recv()).await;
        assert!(!matches!(more, Ok(Some(()))), "once too often; lost: {lost}");
    }
}

#[path = "call_tests.rs"]
mod calls;
