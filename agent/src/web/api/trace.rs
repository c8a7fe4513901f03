//! `/api/v1/trace`: the newest packets between the device and its servers.

use futures::stream::{self, StreamExt as _};
use futures::{FutureExt as _, Stream};
use hyper::header::{CONTENT_DISPOSITION, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use crate::trace::trace;
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;
use crate::web::viewers;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/trace", |call| packets(call).boxed()),
    Route::get("/api/v1/trace/events", |call| events(call).boxed()).endless(),
    Route::get("/api/v1/trace/download", |call| download(call).boxed()),
];

async fn packets(call: Call) -> Result<Reply, Refusal> {
    let since = number(&call)?;
    Ok(Reply::json(&json!({ "packets": trace().since(since) })))
}

/// The packets behind a number, and each new one as it comes.
async fn events(call: Call) -> Result<Reply, Refusal> {
    Ok(Reply::events(follow(number(&call)?, viewers::permit()?)))
}

fn follow(
    since: u64,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = (&'static str, Value)> + Send {
    let state = (since, trace().newest(), permit);
    let batches = stream::unfold(state, |(since, mut newest, permit)| async move {
        loop {
            newest.borrow_and_update();
            let packets = trace().since(since);
            if let Some(last) = packets.last().and_then(|packet| packet["number"].as_u64()) {
                let packets = packets.into_iter().map(|packet| ("packet", packet));
                return Some((packets.collect::<Vec<_>>(), (last, newest, permit)));
            }
            newest.changed().await.ok()?;
        }
    });
    batches.flat_map(stream::iter)
}

async fn download(_: Call) -> Result<Reply, Refusal> {
    let name = HeaderValue::from_static("attachment; filename=\"trace.jsonl\"");
    let reply = Reply::bytes("application/x-ndjson", trace().lines());
    Ok(reply.with_header(CONTENT_DISPOSITION, name))
}

/// The number behind which packets are wanted: all of them unless it is given.
fn number(call: &Call) -> Result<u64, Refusal> {
    let since = call.query("since").map(|since| since.parse());
    since.unwrap_or(Ok(0)).map_err(|_| Refusal::invalid("since", "must be a whole number"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::pin_mut;
    use hyper::{Method, StatusCode};
    use tokio::time::timeout;

    use super::*;
    use crate::trace::{Peer, Way};
    use crate::web::testing::Bench;

    #[tokio::test]
    async fn packets_are_shown_followed_and_downloaded() {
        let bench = Bench::start("[web]\nenable = true\n");
        trace().turn(true);
        trace().packet(Peer::Cloud, Way::In, r#"{"req":"T1","password":"Canary.8"}"#);
        let (status, told) = bench.call(Method::GET, "/api/v1/trace", "").await;
        assert_eq!(status, StatusCode::OK);
        let packets = told["packets"].as_array().unwrap();
        let ours = packets.iter().find(|p| p["text"].as_str().unwrap().contains("T1")).unwrap();
        assert_eq!(ours["text"], r#"{"req":"T1","password":"***"}"#);
        let events = follow(ours["number"].as_u64().unwrap(), viewers::permit().unwrap());
        pin_mut!(events);
        trace().packet(Peer::Cloud, Way::Out, r#"{"req":"T2"}"#);
        let next = async { while !events.next().await.unwrap().1.to_string().contains("T2") {} };
        timeout(Duration::from_secs(10), next).await.unwrap();
        let (_, lines) = bench.bytes(Method::GET, "/api/v1/trace/download", "").await;
        let lines = String::from_utf8(lines.to_vec()).unwrap();
        assert!(lines.contains("T2") && !lines.contains("Canary"));
        assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
        let (status, _) = bench.call(Method::GET, "/api/v1/trace?since=x", "").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}
