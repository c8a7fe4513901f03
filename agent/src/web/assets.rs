//! The files of the page.

use hyper::header::{CACHE_CONTROL, CONTENT_ENCODING, ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::{HeaderMap, StatusCode};
use ivt_page::{Asset, DEVICE, PARTS};

use super::reply::Reply;

/// What the path `/` stands for.
const INDEX: &str = "/index.html";

/// The file at a path; `None` if there is none.
pub(super) fn asset(path: &str, headers: &HeaderMap) -> Option<Reply> {
    let path = if path == "/" { INDEX } else { path };
    file(DEVICE, path, headers).or_else(|| file(PARTS, path, headers))
}

/// The file at a path among these files.
pub(super) fn file(files: &[Asset], path: &str, headers: &HeaderMap) -> Option<Reply> {
    let Asset { kind, tag, gzip, .. } = files.iter().find(|asset| asset.path == path)?;
    let known = headers.get(IF_NONE_MATCH).is_some_and(|known| known == *tag);
    let reply = if known {
        Reply::bytes("", "").with_status(StatusCode::NOT_MODIFIED)
    } else {
        Reply::bytes(kind, *gzip).with_header(CONTENT_ENCODING, HeaderValue::from_static("gzip"))
    };
    // A browser asks each time, so that the page fits the program after an upgrade.
    let reply = reply.with_header(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Some(reply.with_header(ETAG, HeaderValue::from_static(tag)))
}
