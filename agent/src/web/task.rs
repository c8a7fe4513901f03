//! A task whose reports are the answer to a call.

use std::future::Future;

use futures::stream;
use ivt_base::task::work;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::reply::Reply;

/// Reports that wait for a slow browser. A task that says more at once than this waits, or leaves some out.
const WAITING: usize = 128;

/// An event's name and its data.
pub(crate) type Event = (&'static str, Value);

/// Starts a task and answers with what it tells, as server-sent events, until the task ends. It is ended when the
/// browser goes.
pub(crate) fn events<F>(start: impl FnOnce(mpsc::Sender<Event>) -> F) -> Reply
where
    F: Future<Output = ()> + Send + 'static,
{
    answer(WAITING, start)
}

/// Does as [`events`] for a task whose reports are long, such as pictures: only one of them waits.
pub(crate) fn long_events<F>(start: impl FnOnce(mpsc::Sender<Event>) -> F) -> Reply
where
    F: Future<Output = ()> + Send + 'static,
{
    answer(1, start)
}

fn answer<F>(waiting: usize, start: impl FnOnce(mpsc::Sender<Event>) -> F) -> Reply
where
    F: Future<Output = ()> + Send + 'static,
{
    let (tell, told) = mpsc::channel(waiting);
    let mut tasks = JoinSet::new();
    tasks.spawn(work(start(tell)));
    Reply::events(stream::unfold((told, tasks), |(mut told, tasks)| async move {
        told.recv().await.map(|event| (event, (told, tasks)))
    }))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::json;
    use tokio::sync::{oneshot, watch};

    use super::*;

    #[tokio::test]
    async fn what_the_task_tells_is_sent_and_its_end_ends_the_answer() {
        let reply = events(|tell| async move {
            tell.send(("line", json!({ "text": "a\nb" }))).await.ok();
            tell.send(("end", json!({}))).await.ok();
        });
        let body = reply.into_response().into_body().collect().await.unwrap().to_bytes();
        let want = "event: line\ndata: {\"text\":\"a\\nb\"}\n\nevent: end\ndata: {}\n\n";
        assert_eq!(body, want);
    }

    #[tokio::test]
    async fn a_task_with_long_reports_is_one_ahead_of_its_browser() {
        let (count, mut told) = watch::channel(0);
        let reply = long_events(|tell| async move {
            for number in 1..=9 {
                tell.send(("picture", json!(number))).await.ok();
                count.send_replace(number);
            }
            std::future::pending::<()>().await;
        });
        let mut body = reply.into_response().into_body();
        told.wait_for(|told| *told == 1).await.unwrap();
        for number in 1..=8 {
            body.frame().await.unwrap().unwrap();
            told.wait_for(|told| *told > number).await.unwrap();
            tokio::task::yield_now().await;
            assert_eq!(*told.borrow(), number + 1);
        }
    }

    #[tokio::test]
    async fn the_task_ends_when_nobody_listens_any_more() {
        let (alive, ended) = oneshot::channel::<()>();
        let reply = events(|_tell| async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        drop(reply.into_response());
        assert!(ended.await.is_err());
    }
}
