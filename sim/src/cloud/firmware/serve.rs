//! Serves the image and its signature: `GET /firmware/{token}/{file}`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream;
use tokio::time::sleep;

use super::FirmwareFaults;
use super::hosted::{Image, SIGNATURE};
use super::range::Part;
use crate::cloud::Cloud;
use crate::cloud::alarms::secret;
use crate::cloud::record::misbehave::{afterwards, answer, hopped, instead};
use crate::cloud::record::{RecordFault, StepFault};
use crate::listener::Remote;

/// Bytes that are read and sent at once.
const PIECE: u64 = 64 << 10;
/// Number of pieces a second of an image that is sent slowly.
const TICKS: u64 = 10;
/// Time for what was sent to leave before the connection is cut.
const LEAVING: Duration = Duration::from_millis(50);

/// Answers with the image, a part of it, or its signature.
pub(super) async fn file(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(remote): ConnectInfo<Remote>,
    Path((token, file)): Path<(String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let of = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let range = of(RANGE).unwrap_or_default();
    let signature = file.ends_with(SIGNATURE);
    let fault = if hopped(&uri) { None } else { take(&cloud, signature) };
    if let Some(response) = instead(fault.as_ref(), &cloud, &remote.wire, &uri).await {
        let cut =
            matches!(fault, Some(RecordFault::Stall | RecordFault::Reset | RecordFault::Close));
        let status = if cut { 0 } else { response.status().as_u16() };
        cloud.hosted.note(signature, range, status, Arc::default());
        return response;
    }
    if let Some(signature) = cloud.hosted.signature(&token, &file) {
        let response = match signature {
            Some(signature) => ([(CONTENT_TYPE, "text/plain")], signature).into_response(),
            None => answer(Err((404, "the image has no signature".into()))),
        };
        cloud.hosted.note(true, range, response.status().as_u16(), Arc::default());
        return afterwards(fault.as_ref(), &remote.wire, response).await;
    }
    let Some(image) = cloud.hosted.image(&token, &file) else {
        cloud.hosted.note(signature, range, 404, Arc::default());
        return answer(Err((404, "no such firmware".into())));
    };
    let mut faults = cloud.faults.borrow().firmware.clone();
    if let Some(RecordFault::Slow(rate)) = fault {
        faults.bytes_per_second = Some(rate);
    }
    let (status, response, sent) = Served { image, faults }.answer(range, of(IF_RANGE), &method);
    cloud.hosted.note(false, range, status.as_u16(), sent);
    let fault = fault.as_ref().filter(|fault| !matches!(fault, RecordFault::Slow(_)));
    afterwards(fault, &remote.wire, response).await
}

fn take(cloud: &Cloud, signature: bool) -> Option<RecordFault> {
    cloud.take_fault(|faults| {
        let faults = &mut faults.firmware;
        StepFault::take(if signature { &mut faults.signature } else { &mut faults.image })
    })
}

/// An image and how it is served.
struct Served {
    image: Image,
    faults: FirmwareFaults,
}

impl Served {
    /// The answer with the part that is asked for, and the count of the bytes sent.
    fn answer(
        self,
        range: &str,
        if_range: Option<&str>,
        method: &Method,
    ) -> (StatusCode, Response, Arc<AtomicU64>) {
        let sent = Arc::new(AtomicU64::new(0));
        let length = self.image.bytes;
        let etag = match self.faults.new_etag {
            true => format!("\"{}\"", secret()),
            false => format!("\"{}\"", &self.image.sha256[..32]),
        };
        let same = if_range.is_none_or(|known| known == etag);
        let part = match same && !self.faults.ignore_range {
            true => Part::of(range, length),
            false => Part::Whole,
        };
        let (status, begin, end) = match part {
            Part::Whole => (StatusCode::OK, 0, length),
            Part::Bytes(begin, end) => {
                let begin = begin.saturating_add_signed(self.faults.range_off).min(end);
                (StatusCode::PARTIAL_CONTENT, begin, end)
            }
            Part::Beyond => {
                let head = [(CONTENT_RANGE, format!("bytes */{length}")), (ETAG, etag)];
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                return (status, (status, head).into_response(), sent);
            }
        };
        let body = match *method == Method::HEAD {
            true => Body::empty(),
            false => Body::from_stream(self.pieces(begin, end, sent.clone())),
        };
        let mut response = (status, body).into_response();
        let head = response.headers_mut();
        let mut put = |name: HeaderName, value: String| {
            if let Ok(value) = value.parse() {
                head.insert(name, value);
            }
        };
        put(CONTENT_TYPE, "application/octet-stream".into());
        put(ETAG, etag);
        if !self.faults.ignore_range {
            put(ACCEPT_RANGES, "bytes".into());
        }
        if !self.faults.chunked {
            let told = (end - begin).saturating_add_signed(self.faults.length_off);
            put(CONTENT_LENGTH, told.to_string());
        }
        if status == StatusCode::PARTIAL_CONTENT {
            let last = end.saturating_sub(1);
            put(CONTENT_RANGE, format!("bytes {begin}-{last}/{length}"));
        }
        (status, response, sent)
    }

    /// The bytes from `begin` up to `end`, as the faults have them.
    fn pieces(
        &self,
        begin: u64,
        end: u64,
        sent: Arc<AtomicU64>,
    ) -> impl futures::Stream<Item = io::Result<Bytes>> + Send + 'static {
        let (image, faults) = (self.image.clone(), self.faults.clone());
        let cut = faults.cut_after.map(|bytes| begin.saturating_add(bytes));
        stream::unfold(Some(begin), move |at| {
            let (image, faults, sent) = (image.clone(), faults.clone(), sent.clone());
            async move {
                let at = at?;
                if cut.is_some_and(|cut| at >= cut) {
                    sleep(LEAVING).await;
                    return Some((Err(io::Error::other("cut on request")), None));
                }
                let mut most = PIECE.min(end - at);
                if let Some(cut) = cut {
                    most = most.min(cut - at);
                }
                if let Some(rate) = faults.bytes_per_second {
                    most = most.min((rate / TICKS).max(1));
                    sleep(Duration::from_secs_f64(most as f64 / rate.max(1) as f64)).await;
                }
                if most == 0 {
                    return None;
                }
                let mut bytes = match image.read(at, usize::try_from(most).unwrap_or(0)) {
                    Ok(bytes) if bytes.is_empty() => return None,
                    Ok(bytes) => bytes,
                    Err(error) => return Some((Err(error), None)),
                };
                let damaged = faults.damage_at.and_then(|damage| damage.checked_sub(at));
                if let Some(damaged) = damaged.and_then(|offset| usize::try_from(offset).ok())
                    && damaged < bytes.len()
                {
                    let mut wrong = bytes.to_vec();
                    wrong[damaged] ^= 0xff;
                    bytes = wrong.into();
                }
                sent.fetch_add(bytes.len() as u64, Relaxed);
                let next = at + bytes.len() as u64;
                Some((Ok(bytes), Some(next)))
            }
        })
    }
}
