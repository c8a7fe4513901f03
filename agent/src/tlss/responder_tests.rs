use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use ivt_hal::emulator::Emulator;

use super::*;
use crate::tlss::fake::{
    DOWN, HANGS, LARGE, LIMIT, LIST, MISSING, SNAPSHOT, WebServer, responder, responder_with,
};

async fn status(responder: &Responder, command: &str) -> u16 {
    responder.answer(command.as_bytes(), None, &mut Dress::default()).await.status
}

#[tokio::test(start_paused = true)]
async fn whatever_the_camera_does_there_is_a_reply() {
    let (server, camera) = WebServer::camera();
    let responder = responder(camera);
    for (command, expected) in [(LIST, 200), (MISSING, 404), (DOWN, 502), (LIST, 200)] {
        assert_eq!(status(&responder, command).await, expected, "{command}");
    }
    let start = Instant::now();
    assert_eq!(status(&responder, HANGS).await, 504);
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(server.targets()[0], "/uapi-cgi/param.fcgi?action=list&group=VERSION");
}

#[tokio::test(start_paused = true)]
async fn an_answer_at_the_limit_passes_and_a_byte_more_is_an_error() {
    let (server, camera) = WebServer::camera();
    let responder = responder(camera);
    for (large, expected) in [(LIMIT, 200), (LIMIT + 1, 502), (1, 200)] {
        server.large.store(large, SeqCst);
        assert_eq!(status(&responder, LARGE).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_command_never_reaches_the_camera() {
    let (server, camera) = WebServer::camera();
    let responder = responder(camera);
    for (command, expected) in [
        ("/uapi-cgi/param.fcgi?action=$(reboot)", 403),
        ("/../uapi-cgi/param.fcgi?action=list", 403),
        ("/uapi-cgi/timezone.cgi?action=set", 403),
        ("/uapi-cgi/param.fcgi?action=list\r\nX: y", 403),
        ("/axis-cgi/param.cgi?action=list", 404),
    ] {
        let reply = responder.answer(command.as_bytes(), None, &mut Dress::default()).await;
        assert_eq!(reply.status, expected, "{command}");
        assert!(reply.head.starts_with(format!("HTTP/1.1 {expected} ").as_bytes()));
    }
    assert_eq!(server.targets(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn whatever_is_not_on_the_list_is_told_in_the_words_that_lead_a_server_on() {
    let (_, camera) = WebServer::camera();
    let responder = responder(camera);
    for command in [
        "/axis-cgi/param.cgi?action=list",
        "/uapi-cgi/network.cgi?x=1",
        "/nvc-cgi/admin/debug.cgi?x=1",
        "/uapi-cgi/timezone.cgi?action=set",
        "//uapi-cgi/network.cgi",
    ] {
        let reply = responder.answer(command.as_bytes(), None, &mut Dress::default()).await;
        let body = String::from_utf8(reply.body.to_vec()).unwrap();
        assert!(body.contains("No input file specified"), "{command}: {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn replies_are_dressed_as_the_line_that_the_server_found() {
    let (_, camera) = WebServer::camera();
    let responder = responder(camera);
    let report = "/cgi-bin/operator/countreport.cgi?reportfmt=csv&from=2018/11/12%2000:00&to=now";
    let mut dress = Dress::default();
    for (command, headed) in [
        (report, true),
        ("/uapi-cgi/network.cgi?x=1", true),
        (MISSING, true),
        ("/cgi-bin/admin/network.cgi", false),
        ("/cgi-bin/operator/param.cgi", false),
        (report, false),
        (MISSING, false),
        ("/x", false),
        ("/cgi-bin/operator/snapshot.cgi?id=0", false),
        (LIST, true),
        (report, true),
        ("/cgi-bin/operator/param.cgi?action=list", false),
        ("/nvc-cgi/admin/debug.cgi", true),
        (report, true),
    ] {
        let reply = responder.answer(command.as_bytes(), None, &mut dress).await;
        assert_eq!(reply.head.starts_with(b"HTTP/1.1 "), headed, "{command}");
        assert_eq!(reply.head.is_empty(), !headed, "{command}");
        assert!(!reply.body.is_empty(), "{command}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_without_a_web_server_is_answered_for() {
    let snapshots = vec![Some(Arc::new(Emulator::default()) as Arc<dyn ivt_hal::Snapshot>)];
    let responder = responder(Camera { cgi: None, snapshots });
    let list = responder.answer(LIST.as_bytes(), None, &mut Dress::default()).await;
    assert!(list.body.starts_with(b"VERSION.firmware="));
    assert!(
        responder
            .answer(SNAPSHOT.as_bytes(), None, &mut Dress::default())
            .await
            .body
            .starts_with(b"\xff\xd8")
    );
    assert_eq!(status(&responder, MISSING).await, 404);
}

#[tokio::test(start_paused = true)]
async fn every_command_is_written_down() {
    let (_, camera) = WebServer::camera();
    let responder = responder(camera);
    let reply = responder.answer(LIST.as_bytes(), None, &mut Dress::default()).await;
    responder.answer(b"/x\r\n[WARN] forged", None, &mut Dress::default()).await;
    responder.answer(HANGS.as_bytes(), None, &mut Dress::default()).await;
    let entries = responder.audit.entries();
    assert_eq!(entries.len(), 3);
    let answered = |n: usize| entries[n].answered.unwrap();
    assert_eq!((&*entries[0].command, &entries[0].refused), (LIST, &None));
    assert_eq!((answered(0).status, answered(0).bytes), (200, reply.len()));
    assert_eq!(entries[1].command, "/x\\r\\n[WARN] forged");
    assert_eq!((answered(1).status, &entries[1].refused), (403, &Some(Refusal::Bytes)));
    assert_eq!((answered(2).status, answered(2).took.as_secs()), (504, 10));
}

#[tokio::test(start_paused = true)]
async fn a_writing_command_is_written_down_whole_before_it_is_carried_out() {
    let names: String = (0..30).map(|n| format!("&Ct{n}.name=Door%20{n}")).collect();
    let command = format!("/uapi-cgi/param.fcgi?action=update&group=VCA.Ch0{names}");
    assert!(command.len() > 500);
    let (server, camera) = WebServer::camera();
    server.stuck.store(true, SeqCst);
    let responder = Arc::new(responder_with(camera, &["vca".to_owned()]));
    let (running, sent) = (responder.clone(), command.clone());
    let task = tokio::spawn(async move {
        running.answer(sent.as_bytes(), None, &mut Dress::default()).await.status
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let entry = responder.audit.entries().remove(0);
    assert_eq!((entry.command, entry.writes, entry.answered), (command, true, None));
    assert_eq!(task.await.unwrap(), 504);
    assert_eq!(responder.audit.entries()[0].answered.unwrap().status, 504);
}
