use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ivt_base::address_rule::{AddressRule, Terms};
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::config::Record;
use crate::http::address::Address;
use crate::http::scripted::{Reply, Scripted, Seen};
use crate::http::{Deadlines, Http};
use crate::record::context::RecordingContext;
use crate::record::spool::{Pending, SegmentHead};
use crate::tls::TrustStore;

const SOON: Duration = Duration::from_secs(20);

fn context(dir: &TempDir) -> RecordingContext {
    let spool = config::Spool { dir: dir.path().into(), mode: SpoolMode::Overflow, limit: 1 << 30 };
    let config = Record { disconnect: None, spool: Some(spool), backfill: Backfill::default() };
    RecordingContext::new(
        &config,
        32 << 20,
        Http::new(
            TrustStore::new(None).unwrap(),
            AddressRule::for_cloud("127.0.0.1"),
            Deadlines::default(),
        ),
        watch::channel(None).1,
    )
}

fn head(session: &str, url: &Address) -> SessionHead {
    SessionHead { session_id: session.into(), channel: 0, cbk_url: url.as_ref().to_owned().into() }
}

/// A session of an earlier run that left this many segments of 10 ms, so short that none is paced.
async fn left(spool: &Spool, head: &SessionHead, segments: u64) -> SpoolSession {
    let part = spool.session(head.clone());
    for number in 0..segments {
        let start_micros = 1_700_000_000_000_000 + number as i64 * 10_000;
        let head = SegmentHead { number, start_micros, discontinuity: false };
        let chunks: Arc<[Bytes]> = [Bytes::from(vec![number as u8; 188])].into();
        part.store(head, Duration::from_millis(10), chunks).await.unwrap();
    }
    part
}

/// A service that accepts everything. It gives itself as the address of each upload.
async fn service() -> Scripted {
    let listener = Arc::new(Mutex::new(None::<String>));
    let base = Arc::clone(&listener);
    let server = Scripted::new(move |seen: &Seen| match &*seen.op() {
        "create" => {
            let base = base.lock().unwrap().clone().unwrap();
            Reply::json(format!(r#"{{"name":"n{}","uri":"{base}/put"}}"#, seen.connection))
        }
        _ => Reply::json("{}"),
    })
    .await;
    *listener.lock().unwrap() = Some(format!("http://{}", server.address));
    server
}

fn puts(server: &Scripted) -> usize {
    server.seen().iter().filter(|seen| seen.op() == "PUT").count()
}

async fn empty(parts: &[SpoolSession]) {
    let all = || parts.iter().all(|part| part.stored().is_empty());
    let wait = async {
        while !all() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, wait).await.expect("everything is uploaded");
}

#[tokio::test]
async fn every_session_is_uploaded_one_after_the_other() {
    let (dir, server) = (tempfile::tempdir().unwrap(), service().await);
    let (context, spool) =
        (context(&dir), Spool::open(dir.path().into(), 1 << 30).await.unwrap().0);
    let mut parts = Vec::new();
    for session in ["a", "b", "c"] {
        let leftover = left(&spool, &head(session, &server.url(&format!("/{session}"))), 3).await;
        parts.push(leftover.clone());
        context.leftovers.add(leftover);
    }
    tokio::select! {
        () = context.leftovers.upload(&context.http, SpoolMode::Overflow) => {}
        () = empty(&parts) => {}
    }
    assert_eq!(puts(&server), 9);
    let created = server.seen().into_iter().filter(|seen| seen.op() == "create");
    let order: Vec<_> =
        created.map(|seen| seen.line.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(order, ["/a", "/a", "/a", "/b", "/b", "/b", "/c", "/c", "/c"]);
}

#[tokio::test]
async fn a_recording_that_goes_on_takes_over_what_its_session_left() {
    let (dir, server) = (tempfile::tempdir().unwrap(), service().await);
    let (context, spool) =
        (context(&dir), Spool::open(dir.path().into(), 1 << 30).await.unwrap().0);
    // The service of this session never answers, so that its upload does not end by itself.
    let silent = Scripted::new(|_: &Seen| Reply::Silence).await;
    let (stuck, idle) = (head("stuck", &silent.url("/s")), head("idle", &server.url("/i")));
    context.leftovers.add(left(&spool, &stuck, 2).await);
    context.leftovers.add(left(&spool, &idle, 1).await);

    let claims = async {
        while silent.seen().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        let waiting = context.leftovers.claim(&idle).await.expect("it waits");
        assert_eq!(waiting.stored().len(), 1);
        let uploading = context.leftovers.claim(&stuck).await.expect("it is being uploaded");
        assert_eq!(uploading.stored().len(), 2);
        assert!(context.leftovers.claim(&stuck).await.is_none(), "only once");
        assert!(context.leftovers.claim(&head("other", &server.url("/o"))).await.is_none());
    };
    tokio::select! {
        () = context.leftovers.upload(&context.http, SpoolMode::Overflow) => {}
        claimed = timeout(SOON, claims) => claimed.expect("claims are quick"),
    }
    assert_eq!(puts(&server), 0, "what was claimed is not uploaded here");
}

#[tokio::test]
async fn a_session_that_ends_with_segments_left_is_not_forgotten() {
    let (dir, server) = (tempfile::tempdir().unwrap(), service().await);
    let (context, spool) =
        (context(&dir), Spool::open(dir.path().into(), 1 << 30).await.unwrap().0);
    let late = async {
        // By now the uploader has found that there is nothing to do.
        tokio::task::yield_now().await;
        let leftover = left(&spool, &head("late", &server.url("/l")), 2).await;
        let part = leftover.clone();
        context.leftovers.add(leftover);
        empty(&[part]).await;
    };
    tokio::select! {
        () = context.leftovers.upload(&context.http, SpoolMode::Overflow) => {}
        () = late => {}
    }
    assert_eq!(puts(&server), 2);
}

#[tokio::test]
async fn what_a_session_left_waits_while_that_session_uploads_by_itself() {
    let (dir, server) = (tempfile::tempdir().unwrap(), service().await);
    let (context, spool) =
        (context(&dir), Spool::open(dir.path().into(), 1 << 30).await.unwrap().0);
    let (goes_on, over) = (head("r", &server.url("/r")), head("o", &server.url("/o")));
    let live = [0, 1].map(|_| context.leftovers.busy(goes_on.clone()));
    let (waits, other) = (left(&spool, &goes_on, 2).await, left(&spool, &over, 1).await);
    let parts = [waits.clone(), other.clone()];
    context.leftovers.add(waits);
    context.leftovers.add(other);
    let ends = async {
        empty(&parts[1..]).await;
        for live in live {
            assert_eq!(parts[0].stored().len(), 2);
            drop(live);
        }
        empty(&parts).await;
    };
    tokio::select! {
        () = context.leftovers.upload(&context.http, SpoolMode::Overflow) => {}
        () = ends => {}
    }
    assert_eq!(puts(&server), 3);
}

#[tokio::test]
async fn addresses_in_the_spool_are_checked_like_those_of_the_cloud() {
    let (dir, server) = (tempfile::tempdir().unwrap(), service().await);
    let (mut context, spool) =
        (context(&dir), Spool::open(dir.path().into(), 1 << 30).await.unwrap().0);
    let rule = AddressRule::default();
    context.http = Http::new(TrustStore::new(None).unwrap(), rule.clone(), Deadlines::default());
    let part = left(&spool, &head("a", &server.url("/a")), 2).await;
    let uri = server.url("/put").as_ref().to_owned().into();
    part.set_pending(Some(Pending { number: 0, name: "n0".into(), uri })).await.unwrap();
    context.leftovers.add(part.clone());
    let upload = context.leftovers.upload(&context.http, SpoolMode::Overflow);
    timeout(Duration::from_secs(1), upload).await.unwrap_err();
    assert!(server.seen().is_empty(), "{:?}", server.seen());
    assert_eq!(part.stored().len(), 2, "a refused address loses nothing");

    rule.exchange(Terms { cloud: "127.0.0.1".into(), ..Terms::default() });
    tokio::select! {
        () = context.leftovers.upload(&context.http, SpoolMode::Overflow) => {}
        () = empty(std::slice::from_ref(&part)) => {}
    }
}
