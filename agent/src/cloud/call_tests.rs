//! Calls from the device to a cloud whose answers are scripted.

use ivt_proto::rpc::message::{
    AlarmEdge, AlarmKind, AlarmNotify, AlarmPicture, Firmware, GetFirmware, PreviewServer,
    PreviewUrl, ToCloud,
};
use ivt_proto::rpc::{Refused, RpcError};
use tokio::time::sleep;

use super::*;
use crate::cloud::calls::MAX_WAITING;

/// Makes a call as a task of the agent does.
fn call<T>(cloud: &Cloud, request: T) -> JoinHandle<Result<T::Answer, CallError>>
where
    T: ToCloud + Send + 'static,
    T::Answer: Send,
{
    let calls = cloud.calls.clone();
    tokio::spawn(async move { calls.call(request).await })
}

fn alarm(desc: impl Into<String>) -> AlarmNotify {
    let (kind, state) = (AlarmKind::Motion, AlarmEdge::Start);
    AlarmNotify { channel: 0, kind, state, desc: desc.into() }
}

/// Lets calls reach the queue in the order in which they were made.
async fn queued() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

impl Cloud {
    /// Receives a request of the device; answers that come before it are put into `answers`.
    async fn asked(&mut self, answers: &mut Vec<Value>) -> Value {
        loop {
            let packet = self.receive().await;
            match packet.get("req") {
                Some(_) => return packet,
                None => answers.push(packet),
            }
        }
    }

    async fn answer(&mut self, request: &Value, resp: Value) {
        self.send(json!({"seq": request["seq"], "resp": resp})).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_call_has_its_answer_while_requests_and_keepalives_go_on() {
    let (slow, _inbox) = deaf();
    let mut cloud = connected_with(64 * 1024, vec![slow]).await;
    cloud.keepalive().await;
    let stop = json!({"channel": 0, "stream_id": "s"});
    cloud.send(json!({"req": "RTMPStopPublish", "params": stop, "seq": 70})).await;

    let firmware = call(&cloud, GetFirmware);
    queued().await;
    let picture = call(&cloud, alarm("door"));
    let preview = call(&cloud, PreviewServer);
    queued().await;
    let mut answers = Vec::new();
    let mut asked = Vec::new();
    while asked.len() < 5 {
        let request = cloud.asked(&mut answers).await;
        // One call is outstanding at a time, so nothing else comes before the answer.
        sleep(Duration::from_secs(3)).await;
        cloud.send(json!({"req": "GetNetConfig", "params": {"channel": 1}, "seq": 71})).await;
        let resp = match request["req"].as_str().unwrap() {
            "GetFirmware" => json!({"firmware_model": "2.0", "url": "http://h/2?key=1"}),
            "AlarmNotify" => json!({"pic_upload_url": "http://h/p"}),
            "preview_server" => json!(""),
            _ => json!({}),
        };
        cloud.answer(&request, resp).await;
        asked.push(request["req"].as_str().unwrap().to_owned());
    }
    // The second Keepalive fell due at 10 s, after the third call had been answered.
    let expected = ["GetFirmware", "AlarmNotify", "preview_server", "Keepalive", "Keepalive"];
    assert_eq!(asked, expected);

    let firmware = firmware.await.unwrap().unwrap();
    let url = "http://h/2?key=1".to_owned().into();
    assert_eq!(firmware, Firmware { firmware_model: "2.0".into(), url });
    let picture = picture.await.unwrap().unwrap();
    assert_eq!(picture, AlarmPicture { pic_upload_url: "http://h/p".to_owned().into() });
    assert_eq!(preview.await.unwrap(), Ok(PreviewUrl::default()), "nothing means no address");

    let seqs: Vec<_> = answers.iter().map(|answer| answer["seq"].as_u64().unwrap()).collect();
    assert_eq!((seqs[0], answers[0]["err"]["code"].as_i64()), (70, Some(1)), "the camera is deaf");
    assert!(seqs.len() > 2 && seqs[1..].iter().all(|seq| *seq == 71), "{seqs:?}");
}

#[tokio::test(start_paused = true)]
async fn a_keepalive_waits_for_one_call_at_most() {
    let mut cloud = connected(64 * 1024).await;
    cloud.keepalive().await;
    let calls: Vec<_> = (0..MAX_WAITING).map(|n| call(&cloud, alarm(n.to_string()))).collect();
    let latency = Duration::from_secs(4);
    let (mut keepalives, mut alarms) = (vec![Duration::ZERO], Vec::new());
    while alarms.len() < calls.len() {
        let request = cloud.receive().await;
        if request["req"] == "Keepalive" {
            keepalives.push(cloud.start.elapsed());
        } else {
            alarms.push(request["params"]["desc"].as_str().unwrap().to_owned());
            sleep(latency).await;
        }
        cloud.answer(&request, json!({})).await;
    }
    let order: Vec<_> = (0..calls.len()).map(|n| n.to_string()).collect();
    assert_eq!(alarms, order, "in the order they were made");
    assert!(keepalives.len() >= 7, "{keepalives:?}");
    for (n, at) in (0..).zip(keepalives) {
        let late = at.saturating_sub(KEEPALIVE * n);
        assert!(late <= latency, "the {n}th is {late:?} late");
    }
    for answered in calls {
        assert_eq!(answered.await.unwrap(), Ok(AlarmPicture::default()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once_and_loses_nothing() {
    let mut cloud = connected(64 * 1024).await;
    cloud.keepalive().await;
    // The first call is sent, the others wait in the queue.
    let first = call(&cloud, GetFirmware);
    let request = cloud.receive().await;
    let waiting: Vec<_> = (0..MAX_WAITING).map(|_| call(&cloud, GetFirmware)).collect();
    queued().await;
    let before = Instant::now();
    assert_eq!(cloud.calls.call(GetFirmware).await, Err(CallError::Full));
    assert_eq!(before.elapsed(), Duration::ZERO);

    cloud.answer(&request, json!({})).await;
    for answered in [first].into_iter().chain(waiting) {
        while !answered.is_finished() {
            let request = cloud.receive().await;
            cloud.answer(&request, json!({})).await;
            queued().await;
        }
        assert_eq!(answered.await.unwrap(), Ok(Firmware::default()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_loses_its_calls_and_takes_no_more() {
    let mut cloud = connected(4096).await;
    cloud.keepalive().await;
    let (sent, waiting) = (call(&cloud, GetFirmware), call(&cloud, alarm("door")));
    assert_eq!(cloud.receive().await["req"], "GetFirmware");
    let calls = cloud.calls.clone();
    cloud.socket.close(None).await.unwrap();
    let (reason, ..) = cloud.ended().await;
    assert!(matches!(reason, Reason::Closed), "{reason}");
    assert_eq!(sent.await.unwrap(), Err(CallError::Lost));
    assert_eq!(waiting.await.unwrap(), Err(CallError::Lost));
    assert_eq!(calls.call(GetFirmware).await, Err(CallError::Offline));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_for_twenty_seconds_costs_the_connection() {
    let mut cloud = connected(4096).await;
    cloud.keepalive().await;
    let unanswered = call(&cloud, GetFirmware);
    assert_eq!(cloud.receive().await["req"], "GetFirmware");
    let (reason, after, _) = cloud.ended().await;
    assert!(matches!(reason, Reason::Violation(Violation::NoAnswer { .. })), "{reason}");
    assert!(reason.to_string().contains("GetFirmware"), "{reason}");
    assert_eq!(after.as_secs(), 20);
    assert_eq!(unanswered.await.unwrap(), Err(CallError::Lost));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_costs_nothing_else() {
    let mut cloud = connected(128 * 1024).await;
    cloud.keepalive().await;
    let rejected = call(&cloud, GetFirmware);
    let request = cloud.receive().await;
    cloud.send(json!({"seq": request["seq"], "err": {"code": 101, "msg": "no"}})).await;
    let error = RpcError::new(RpcError::UNSUPPORTED, "no");
    assert_eq!(rejected.await.unwrap(), Err(CallError::Rejected(error)));

    let unreadable = call(&cloud, alarm("door"));
    let request = cloud.receive().await;
    cloud.answer(&request, json!({"pic_upload_url": 7, "secret": "hunter2"})).await;
    let error = unreadable.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Unreadable(_)), "{error}");
    assert!(error.to_string().contains("pic_upload_url"), "{error}");

    let error = cloud.calls.call(alarm("x".repeat(70_000))).await.unwrap_err();
    assert!(matches!(error, CallError::Unsendable(Refused::TooLong { .. })), "{error}");
    assert_eq!(cloud.keepalive().await.as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_waits_for_is_not_made() {
    let mut cloud = connected(4096).await;
    cloud.keepalive().await;
    let sent = call(&cloud, GetFirmware);
    let request = cloud.receive().await;
    let (dropped, kept) = (call(&cloud, alarm("dropped")), call(&cloud, alarm("kept")));
    queued().await;
    // The answer to the call that was sent already is still taken.
    sent.abort();
    dropped.abort();
    queued().await;
    cloud.answer(&request, json!({})).await;
    let request = cloud.receive().await;
    assert_eq!(request["params"]["desc"], "kept");
    cloud.answer(&request, json!({})).await;
    assert_eq!(kept.await.unwrap(), Ok(AlarmPicture::default()));
    assert_eq!(cloud.keepalive().await.as_secs(), 10);
}
