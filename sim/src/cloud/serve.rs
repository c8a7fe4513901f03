//! The HTTP side: the routes, and the headers that keep a page of device-made text harmless.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::{Cloud, api, feed, link, play, record};

const MAX_BODY: usize = 128 << 10;
const CSP: &str = "default-src 'self'; media-src 'self' blob:; connect-src 'self'; object-src 'none'; \
                   base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What `GET` answers without asking anybody: path, type, bytes.
const ASSETS: [(&str, &str, &str); 15] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/recordings", "text/html; charset=utf-8", include_str!("page/recordings.html")),
    ("/page/recordings.css", "text/css; charset=utf-8", include_str!("page/recordings.css")),
    ("/page/style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
    ("/page/app.js", "text/javascript; charset=utf-8", include_str!("page/app.js")),
    ("/page/packets.js", "text/javascript; charset=utf-8", include_str!("page/packets.js")),
    ("/page/forms.js", "text/javascript; charset=utf-8", include_str!("page/forms.js")),
    ("/page/player.js", "text/javascript; charset=utf-8", include_str!("page/player.js")),
    ("/page/api.js", "text/javascript; charset=utf-8", include_str!("page/api.js")),
    (
        "/page/recordfaults.js",
        "text/javascript; charset=utf-8",
        include_str!("page/recordfaults.js"),
    ),
    ("/page/recordings.js", "text/javascript; charset=utf-8", include_str!("page/recordings.js")),
    ("/page/replay.js", "text/javascript; charset=utf-8", include_str!("page/replay.js")),
    ("/page/rows.js", "text/javascript; charset=utf-8", include_str!("page/rows.js")),
    ("/page/timeline.js", "text/javascript; charset=utf-8", include_str!("page/timeline.js")),
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
        .merge(record::page_routes())
        // Devices send no Origin; a page of another site does, and must not steer the cloud.
        .layer(from_fn(same_origin))
        .route("/ivc", get(link::login))
        .merge(record::device_routes())
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
