//! The uploader and the service together, over sockets.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use ivt_base::address_rule::AddressRule;
use tokio::sync::watch;
use tokio::time::timeout;

use super::rig::Session;
use super::*;
use crate::config::Backfill;
use crate::http::scripted::{Reply, Scripted, Seen, sha256};
use crate::http::{Deadlines, Http};
use crate::record::clock::Anchor;
use crate::record::service::Service;
use crate::record::stock::StockOptions;
use crate::record::{Segment, Start};
use crate::tls::TrustStore;

const LENGTH: Duration = Duration::from_millis(200);
const PATIENT: Duration = Duration::from_secs(60);
/// Longer than a peer takes that is only slow, on a busy machine.
const SLOW: Duration = Duration::from_secs(4);
/// How many pieces a segment has. All of them are hashed by the thread that also answers.
const CHUNKS: u8 = 8;

fn segment(number: u64) -> Segment {
    let chunks: Arc<[Bytes]> =
        (0..CHUNKS).map(|i| Bytes::from(vec![i ^ number as u8; 65_424])).collect();
    Segment {
        number,
        start: Start::Media(LENGTH * number as u32),
        duration: LENGTH,
        discontinuity: number == 0,
        bytes: u64::from(CHUNKS) * 65_424,
        chunks,
    }
}

/// A service that answers uploads by `puts` in turn and then well, and calls as it should, after as
/// many `creates`.
async fn service(creates: Vec<Reply>, puts: Vec<Reply>) -> Scripted {
    let (creates, puts) = (Mutex::new(creates.into_iter()), Mutex::new(puts.into_iter()));
    let names = AtomicUsize::new(0);
    Scripted::new(move |seen: &Seen| {
        let next = |replies: &Mutex<std::vec::IntoIter<Reply>>| replies.lock().unwrap().next();
        match &*seen.op() {
            "PUT" => next(&puts).unwrap_or(Reply::status(201)),
            "create" => next(&creates).unwrap_or_else(|| {
                let name = names.fetch_add(1, Ordering::Relaxed);
                let host = seen.header("host").unwrap();
                let uri = format!("http://{host}/store/{name}?signature=geheim");
                Reply::json(format!(r#"{{"name": "n{name}", "uri": "{uri}"}}"#))
            }),
            _ => Reply::json("{}"),
        }
    })
    .await
}

/// Uploads this many segments, and returns what the server saw.
async fn upload(server: &Scripted, count: u64) -> Vec<Seen> {
    let deadlines = Deadlines { connect: SLOW, call: SLOW, stall: SLOW, answer: SLOW };
    let http =
        Http::new(TrustStore::new(None).unwrap(), AddressRule::for_cloud("127.0.0.1"), deadlines);
    let session = Session::new(StockOptions {
        name: "channel 1".into(),
        recorder: None,
        max_segments: 10,
        prerecord: Duration::ZERO,
        backfill: Backfill::Beside,
        spool: None,
        share: None,
        anchor: Anchor::new(Some(1_900_000_000), Instant::now(), SystemTime::now),
        stats: watch::Sender::default(),
    });
    (0..count).for_each(|number| session.push(segment(number)));
    session.close();
    let service = Service::new(http, server.url("/cb?signature=geheim").into());
    let upload = session.upload(service, UploadOptions::default(), 1, std::future::ready(()));
    timeout(PATIENT, upload).await.unwrap().unwrap();
    server.seen()
}

fn words(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(Seen::op).collect()
}

#[tokio::test]
async fn a_session_arrives_in_order_and_byte_for_byte() {
    let server = service(vec![], vec![]).await;
    let seen = upload(&server, 3).await;
    assert_eq!(words(&seen), ["create", "PUT", "create", "PUT", "create", "PUT", "save"]);
    for (number, pair) in seen.chunks(2).take(3).enumerate() {
        let (create, put) = (&pair[0], &pair[1]);
        assert_eq!(create.field("start").unwrap(), format!("1900000000.{:06}", number * 200_000));
        assert_eq!(create.field("duration").as_deref(), Some("0.200000"));
        assert_eq!(create.field("size").unwrap(), put.length.to_string());
        let last = number.checked_sub(1).map(|number| format!("n{number}"));
        assert_eq!(create.field("last_file_name"), last);
        assert_eq!(create.field("discontinue").unwrap(), u8::from(number == 0).to_string());
        assert_eq!(put.line, format!("PUT /store/{number}?signature=geheim"));
        assert_eq!(put.sha256, sha256(&segment(number as u64).chunks));
    }
    assert_eq!(seen[6].field("name").as_deref(), Some("n2"));
    let connections = 1 + seen.iter().map(|seen| seen.connection).max().unwrap();
    assert_eq!(connections, 1, "one is enough");
}

#[tokio::test]
async fn whatever_a_store_does_the_segment_arrives() {
    let elsewhere = Reply::Answer(302, "location: http://192.0.2.1/\r\n", String::new());
    let again = ["create", "PUT", "PUT", "save"];
    let anew = ["create", "PUT", "fail", "create", "PUT", "save"];
    let busy = Reply::Answer(503, "retry-after: 1\r\n", String::new());
    let cases: [(Reply, &[&str]); 12] = [
        (Reply::Hangup, &again),
        (Reply::Silence, &again),
        (Reply::Trickle, &again),
        (Reply::Endless, &again),
        (Reply::status(500), &again),
        (Reply::status(408), &again),
        (Reply::status(504), &again),
        (Reply::status(429), &anew),
        (busy, &anew),
        (Reply::status(400), &anew),
        (Reply::status(403), &anew),
        (elsewhere, &anew),
    ];
    for (reply, expected) in cases {
        let server = service(vec![], vec![reply.clone()]).await;
        let seen = upload(&server, 1).await;
        assert_eq!(words(&seen), expected, "{reply:?}");
        let puts: Vec<&Seen> = seen.iter().filter(|seen| seen.op() == "PUT").collect();
        assert_eq!(puts[1].sha256, sha256(&segment(0).chunks), "{reply:?}");
        if expected == again {
            assert_eq!(puts[0].line, puts[1].line, "{reply:?}: the same address");
            assert_ne!(puts[0].connection, puts[1].connection, "{reply:?}");
        }
    }
}

#[tokio::test]
async fn whatever_a_service_answers_it_is_asked_again() {
    let elsewhere = Reply::Answer(303, "location: http://192.0.2.1/\r\n", String::new());
    let page = Reply::json("<html>a page</html>");
    let replies = [
        Reply::Hangup,
        Reply::Silence,
        Reply::Trickle,
        Reply::Endless,
        page,
        Reply::status(500),
        Reply::status(429),
        Reply::status(400),
        Reply::status(410),
        elsewhere,
    ];
    for reply in replies {
        let server = service(vec![reply.clone()], vec![]).await;
        let seen = upload(&server, 1).await;
        assert_eq!(words(&seen), ["create", "create", "PUT", "save"], "{reply:?}");
    }
}

#[tokio::test]
async fn a_store_that_redirects_gets_the_whole_segment_where_it_says() {
    for (status, location) in
        [(307, "location: /elsewhere?sign='|\r\n"), (308, "location: /elsewhere?sign='|\r\n")]
    {
        let server = service(vec![], vec![Reply::Answer(status, location, String::new())]).await;
        let seen = upload(&server, 1).await;
        assert_eq!(words(&seen), ["create", "PUT", "PUT", "save"]);
        assert_eq!(seen[2].line, "PUT /elsewhere?sign='|");
        assert_eq!(seen[2].sha256, sha256(&segment(0).chunks));
    }
    let around = || Reply::Answer(307, "location: /again\r\n", String::new());
    let server = service(vec![], vec![around(), around()]).await;
    let seen = upload(&server, 1).await;
    assert_eq!(words(&seen), ["create", "PUT", "PUT", "fail", "create", "PUT", "save"]);
}

#[tokio::test]
async fn what_is_there_already_is_this_segment_if_its_answer_was_lost() {
    let again = ["create", "PUT", "PUT", "save"];
    let anew = ["create", "PUT", "fail", "create", "PUT", "save"];
    let refused = ["create", "PUT", "PUT", "fail", "create", "PUT", "save"];
    for status in [409, 412] {
        let there = || Reply::status(status);
        let cases: [(Vec<Reply>, &[&str]); 4] = [
            (vec![Reply::Hangup, there()], &again),
            (vec![Reply::status(504), there()], &again),
            (vec![Reply::status(500), there()], &refused),
            (vec![there()], &anew),
        ];
        for (puts, expected) in cases {
            let case = format!("{puts:?}");
            let seen = upload(&service(vec![], puts).await, 1).await;
            assert_eq!(words(&seen), expected, "{case}");
        }
    }
}
