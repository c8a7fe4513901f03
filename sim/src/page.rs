//! What the pages of the simulators have in common: headers that keep text of a device harmless, and a guard
//! against pages of other sites.

use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ivt_page::PARTS;
use serde_json::json;
use tokio::time::timeout;

const CSP: &str = "default-src 'self'; media-src 'self' blob:; connect-src 'self'; object-src 'none'; \
                   base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Longest body of a request to a page's server, in bytes.
pub const MAX_BODY: usize = 128 << 10;
/// Longest time that such a body may take.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// A file that `GET` is answered with: path, type, bytes.
pub type Asset = (&'static str, &'static str, &'static str);

/// The type of a page.
pub const HTML: &str = "text/html; charset=utf-8";
/// The type of a style sheet.
pub const CSS: &str = "text/css; charset=utf-8";
/// The type of a script.
pub const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The files that the pages of both servers use.
pub const COMMON: [Asset; 3] = [
    ("/page/style.css", CSS, include_str!("page/style.css")),
    ("/page/api.js", SCRIPT, include_str!("page/api.js")),
    ("/page/rows.js", SCRIPT, include_str!("page/rows.js")),
];

/// Routes to the files, and to the parts that all pages have, which are kept compressed.
pub fn assets<S: Clone + Send + Sync + 'static>(
    assets: impl IntoIterator<Item = Asset>,
) -> Router<S> {
    let parts = PARTS.iter().fold(Router::new(), |page, part| {
        let head = [(CONTENT_TYPE, part.kind), (CONTENT_ENCODING, "gzip")];
        page.route(part.path, get(async move || (head, part.gzip)))
    });
    assets.into_iter().fold(parts, |page, (path, kind, body)| {
        page.route(path, get(async move || ([(CONTENT_TYPE, kind)], body)))
    })
}

/// Why a request was not carried out; the answer is `{"error": …}`.
#[derive(Debug)]
pub struct Refusal(
    /// Status of the answer.
    pub StatusCode,
    /// What to do about it.
    pub String,
);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// Middleware that refuses requests of other sites' pages, which send their `Origin`: they must not steer the
/// simulator.
pub async fn same_origin(request: Request, next: Next) -> Response {
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

/// Middleware that reads the whole body before the request is carried out, so that one that drips ends in time.
pub async fn whole_body(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match timeout(BODY_PATIENCE, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => next.run(Request::from_parts(parts, body.into())).await,
        Ok(Err(_)) => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long").into_response(),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the body takes too long").into_response(),
    }
}

/// Middleware that adds the headers by which a browser runs nothing that a device made up.
pub async fn harden(request: Request, next: Next) -> Response {
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
pub(crate) mod tests {
    use super::*;

    /// The files of a simulator that a page or a module names. Each part that it names is there.
    pub(crate) fn named(text: &str) -> Vec<String> {
        let quoted = text.split('"');
        for part in quoted.clone().filter(|part| part.starts_with("/parts/")) {
            assert!(PARTS.iter().any(|asset| asset.path == part), "{part}");
        }
        let own = quoted.filter_map(|part| match part.strip_prefix("./") {
            Some(module) => Some(format!("/page/{module}")),
            None => part.starts_with("/page/").then(|| part.to_owned()),
        });
        own.collect()
    }

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
