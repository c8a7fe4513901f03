//! Answers to calls.

use std::convert::Infallible;
use std::time::Duration;

use bytes::buf::Chain;
use bytes::{Buf as _, Bytes};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Body as _, Frame};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::config;

/// Longest silence of server-sent events: who hears nothing for some more takes the device for lost.
const ALIVE: Duration = Duration::from_secs(5);

/// What goes out, piece by piece.
pub(super) type Outgoing = UnsyncBoxBody<Piece, Infallible>;

/// A piece of an answer, in two parts that go out as one: the data of a frame need not be copied behind its head.
pub(super) type Piece = Chain<Bytes, Bytes>;

/// An answer.
pub(crate) struct Reply(Response<Outgoing>);

/// Why a call is not carried out. The answer is `{"error": {"code", "message", "field"}}`: the code is for programs
/// and for the languages of the page, the message for people, and the field names the value that is wrong.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Name of the wrong value; empty where it is none alone.
    pub(crate) field: String,
    /// After so many seconds a try may succeed; 0 where nobody knows.
    pub(crate) retry_seconds: u64,
}

impl Reply {
    /// 200 with JSON.
    pub(crate) fn json(value: &Value) -> Self {
        Self::bytes("application/json", Bytes::from(value.to_string()))
    }

    /// 204, without a body.
    pub(crate) fn nothing() -> Self {
        Self::bytes("", Bytes::new()).with_status(StatusCode::NO_CONTENT)
    }

    /// 200 with bytes of a media type.
    pub(crate) fn bytes(kind: &'static str, bytes: impl Into<Bytes>) -> Self {
        Self::of(kind, Full::new(whole(bytes.into())).boxed_unsync())
    }

    /// 200 with pieces of a media type, each sent as it comes. The stream ends when the browser has gone.
    pub(crate) fn pieces(
        kind: &'static str,
        pieces: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Self {
        Self::parts(kind, pieces.map(whole))
    }

    /// The same, of pieces in two parts.
    pub(super) fn parts(
        kind: &'static str,
        pieces: impl Stream<Item = Piece> + Send + 'static,
    ) -> Self {
        Self::of_pieces(kind, pieces.boxed())
    }

    /// 200 with server-sent events: their names, and their data as JSON. While there is none, `alive` tells that the device
    /// is there.
    pub(crate) fn events(
        events: impl Stream<Item = (&'static str, Value)> + Send + 'static,
    ) -> Self {
        let events = events.map(|(name, data)| event(name, &data)).boxed();
        Self::pieces("text/event-stream", living(events))
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        *self.0.status_mut() = status;
        self
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().insert(name, value);
        self
    }

    /// The same answer, which breaks off when `end` is ready if it goes on for long.
    pub(super) fn until(self, end: impl Future<Output = ()> + Send + 'static) -> Self {
        let (parts, body) = self.0.into_parts();
        if body.size_hint().exact().is_some() {
            return Self(Response::from_parts(parts, body));
        }
        let pieces = body.into_data_stream().map(|piece| piece.map(Frame::data));
        let body = StreamBody::new(pieces.take_until(end)).boxed_unsync();
        Self(Response::from_parts(parts, body))
    }

    pub(super) fn into_response(self) -> Response<Outgoing> {
        self.0
    }

    /// One code for all streams: each kind of its own would cost kilobytes.
    fn of_pieces(kind: &'static str, pieces: BoxStream<'static, Piece>) -> Self {
        let frames = pieces.map(|piece| Ok(Frame::data(piece)));
        Self::of(kind, StreamBody::new(frames).boxed_unsync())
    }

    fn of(kind: &'static str, body: Outgoing) -> Self {
        let mut response = Response::new(body);
        if !kind.is_empty() {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        Self(response)
    }
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: String::new(), retry_seconds: 0 }
    }

    /// 422: a value is wrong; `field` names it.
    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message);
        Self { field: field.into(), ..refusal }
    }

    /// 404.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "nothing is found here")
    }

    /// 501: the camera or the device cannot do it.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "unsupported", message)
    }

    /// 409: something else was changed or is under way.
    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 502: a camera or a server that was asked failed.
    pub(crate) fn failed(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, code, message)
    }

    /// 503.
    pub(crate) fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// 401: nobody is logged in.
    pub(super) fn logged_out() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "logged_out", "log in first")
    }

    /// 401: the device has no owner yet.
    pub(super) fn unclaimed() -> Self {
        let message = "the device has no password yet: open its page and choose one";
        Self::new(StatusCode::UNAUTHORIZED, "unclaimed", message)
    }

    pub(super) fn too_long(longest: usize) -> Self {
        let message = format!("more than {longest} bytes, or broken off");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", message)
    }

    pub(super) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the call took too long to arrive")
    }
}

/// A piece that is there in one part.
pub(super) fn whole(bytes: Bytes) -> Piece {
    bytes.chain(Bytes::new())
}

/// The same events with signs of life between them.
fn living(events: BoxStream<'static, Bytes>) -> impl Stream<Item = Bytes> + Send + 'static {
    stream::unfold(events, |mut events| async move {
        let next = timeout(ALIVE, events.next()).await;
        let piece = next.unwrap_or(Some(Bytes::from_static(b"event: alive\ndata: {}\n\n")));
        piece.map(|piece| (piece, events))
    })
}

/// A server-sent event.
fn event(name: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// A configuration that its reader refuses: 422, with the key that the reader's message begins with.
impl From<config::Error> for Refusal {
    fn from(error: config::Error) -> Self {
        match error {
            config::Error::Value { message, .. } => {
                let field = message.split(' ').next().unwrap_or_default().to_owned();
                Self::invalid(field, message)
            }
            other => Self::invalid("", other.to_string()),
        }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, code, message, field, retry_seconds } = refusal;
        let error = json!({ "error": { "code": code, "message": message, "field": field } });
        let reply = Self::json(&error).with_status(status);
        match retry_seconds {
            0 => reply,
            seconds => reply.with_header(RETRY_AFTER, seconds.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn events_that_are_silent_show_signs_of_life() {
        let (tell, told) = futures::channel::mpsc::unbounded();
        let mut body = Reply::events(told).into_response().into_body();
        let mut next = async || {
            let frame = body.frame().await?.unwrap().into_data().unwrap();
            Some(String::from_utf8(frame.into_iter().collect()).unwrap())
        };
        tell.unbounded_send(("one", json!(1))).unwrap();
        assert_eq!(next().await.unwrap(), "event: one\ndata: 1\n\n");
        for _ in 0..2 {
            let began = tokio::time::Instant::now();
            assert_eq!(next().await.unwrap(), "event: alive\ndata: {}\n\n");
            assert_eq!(began.elapsed(), ALIVE);
        }
        tell.unbounded_send(("two", json!({}))).unwrap();
        drop(tell);
        assert_eq!(next().await.unwrap(), "event: two\ndata: {}\n\n");
        assert_eq!(next().await, None);
    }

    #[tokio::test]
    async fn what_goes_on_for_long_breaks_off_and_what_is_there_does_not() {
        let (end, ended) = oneshot::channel::<()>();
        let endless = stream::iter([Bytes::from_static(b"a")]).chain(stream::pending());
        let reply = Reply::pieces("text/plain", endless).until(ended.map(drop));
        let mut body = reply.into_response().into_body();
        let mut piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece.copy_to_bytes(piece.remaining()), "a");
        assert!(body.frame().now_or_never().is_none());
        drop(end);
        assert!(body.frame().await.is_none());
        let whole = Reply::bytes("text/plain", "whole").until(std::future::ready(()));
        let body = whole.into_response().into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "whole");
    }
}
