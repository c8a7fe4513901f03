//! The HTTP side: a listener with a bound on connections, the routes, and the headers that keep a
//! page of device-made text harmless.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Cloud, api, feed, link, play};

const MAX_BODY: usize = 128 << 10;
const CSP: &str = "default-src 'self'; media-src 'self' blob:; connect-src 'self'; object-src 'none'; \
                   base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What `GET` answers without asking anybody: path, type, bytes.
const ASSETS: [(&str, &str, &str); 7] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/page/style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
    ("/page/app.js", "text/javascript; charset=utf-8", include_str!("page/app.js")),
    ("/page/packets.js", "text/javascript; charset=utf-8", include_str!("page/packets.js")),
    ("/page/forms.js", "text/javascript; charset=utf-8", include_str!("page/forms.js")),
    ("/page/player.js", "text/javascript; charset=utf-8", include_str!("page/player.js")),
    ("/page/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

/// Every route of the HTTP port.
pub(super) fn router(cloud: Arc<Cloud>) -> Router {
    let mut page = Router::new();
    for (path, kind, body) in ASSETS {
        page = page.route(path, get(async move || ([(CONTENT_TYPE, kind)], body)));
    }
    page.route("/api/info", get(api::info))
        .route("/api/devices", get(api::devices))
        .route("/api/packets", get(api::packets))
        .route("/api/streams", get(api::streams))
        .route("/api/faults", get(api::faults).post(api::set_faults))
        .route("/api/call", post(api::call))
        .route("/api/event", post(api::event))
        .route("/api/raw", post(api::raw))
        .route("/api/hang_up", post(api::hang_up))
        .route("/feed", get(feed::open))
        .route("/play/{key}", get(play::open))
        // Devices send no Origin; a page of another site does, and must not steer the cloud.
        .layer(from_fn(same_origin))
        .route("/ivc", get(link::login))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(harden))
        .with_state(cloud)
}

async fn same_origin(request: Request, next: Next) -> Response {
    if from_elsewhere(request.headers()) {
        return (StatusCode::FORBIDDEN, "requests from pages of other sites are refused")
            .into_response();
    }
    next.run(request).await
}

fn from_elsewhere(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|text| text.split_once("://"));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    origin.map(|(_, origin)| origin) != host
}

async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, CSP),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Accepts at most so many connections at a time; the rest wait in the backlog.
pub(super) struct Seated {
    listener: TcpListener,
    seats: Arc<Semaphore>,
}

impl Seated {
    pub(super) fn new(listener: TcpListener, seats: usize) -> Self {
        Self { listener, seats: Arc::new(Semaphore::new(seats)) }
    }
}

/// A connection and its seat.
pub(super) struct Seat {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

/// The address of the other end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote(pub(super) SocketAddr);

impl Listener for Seated {
    type Io = Seat;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Seat, SocketAddr) {
        loop {
            let permit = self.seats.clone().acquire_owned().await;
            match (self.listener.accept().await, permit) {
                (Ok((stream, remote)), Ok(_permit)) => {
                    let _ = stream.set_nodelay(true);
                    return (Seat { stream, _permit }, remote);
                }
                (Err(error), _) => {
                    // Out of descriptors: without a pause this would spin.
                    log::warn!(target: "sim", "HTTP accept: {error}");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                (Ok(_), Err(_)) => {}
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Seated>> for Remote {
    fn connect_info(stream: IncomingStream<'_, Seated>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl AsyncRead for Seat {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Seat {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn a_page_of_another_site_is_told_apart() {
        let own = headers(&[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:8080")]);
        let script = headers(&[("host", "127.0.0.1:8080")]);
        let other = headers(&[("host", "127.0.0.1:8080"), ("origin", "http://evil.example")]);
        let null = headers(&[("host", "127.0.0.1:8080"), ("origin", "null")]);
        assert!(!from_elsewhere(&own) && !from_elsewhere(&script));
        assert!(from_elsewhere(&other) && from_elsewhere(&null));
    }
}
