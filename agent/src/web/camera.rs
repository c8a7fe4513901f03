//! What handlers ask of a channel's camera.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use ivt_base::text::shorten;
use ivt_hal::{Kind, Stream};
use tokio::time::timeout;

use super::call::Call;
use super::reply::Refusal;
use crate::channel::Handle;
use crate::deadlines::HANDLER;

/// The channel whose number is the parameter `channel` of the path, and its camera.
///
/// # Errors
/// There is no such channel, or no agent runs.
pub(crate) fn channel(call: &Call) -> Result<(Handle, ivt_hal::Channel), Refusal> {
    let (number, console) = (call.number("channel")?, call.site.console()?);
    let device = console.device.now();
    let found = console.channels.get(number).cloned().zip(device.channels.get(number).cloned());
    found.ok_or_else(Refusal::not_found)
}

/// The stream that the query names; the main stream where it names none.
///
/// # Errors
/// It names another.
pub(crate) fn stream(call: &Call) -> Result<Stream, Refusal> {
    match call.query("stream").as_deref() {
        None | Some("main") => Ok(Stream::Main),
        Some("sub") => Ok(Stream::Sub),
        Some(_) => Err(Refusal::invalid("stream", "either main or sub")),
    }
}

/// What the camera has in a slot.
///
/// # Errors
/// The slot is empty.
pub(crate) fn slot<T: ?Sized>(slot: &Option<Arc<T>>, what: &str) -> Result<Arc<T>, Refusal> {
    slot.clone().ok_or_else(|| Refusal::unsupported(format!("this camera has no {what}")))
}

/// What a camera says within [`HANDLER`].
///
/// # Errors
/// It failed, or said nothing in time.
pub(crate) async fn told<T>(work: impl Future<Output = ivt_hal::Result<T>>) -> Result<T, Refusal> {
    told_within(HANDLER, work).await
}

/// What a camera says within a time.
///
/// # Errors
/// It failed, or said nothing in time.
pub(crate) async fn told_within<T>(
    limit: Duration,
    work: impl Future<Output = ivt_hal::Result<T>>,
) -> Result<T, Refusal> {
    match timeout(limit, work).await {
        Ok(told) => told.map_err(|error| refused(&error)),
        Err(_) => Err(refused(&ivt_hal::Error::new("camera", Kind::Timeout))),
    }
}

/// Why a camera did not do what it was asked, with all that is known of the reason.
pub(crate) fn refused(error: &ivt_hal::Error) -> Refusal {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(reason) = cause {
        message = format!("{message}: {reason}");
        cause = reason.source();
    }
    let (status, code) = match error.kind {
        Kind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "camera_invalid"),
        Kind::Unsupported => (StatusCode::NOT_IMPLEMENTED, "unsupported"),
        Kind::Timeout => (StatusCode::GATEWAY_TIMEOUT, "camera_silent"),
        Kind::Offline => (StatusCode::BAD_GATEWAY, "camera_offline"),
        Kind::Refused => (StatusCode::BAD_GATEWAY, "camera_refused"),
        _ => (StatusCode::BAD_GATEWAY, "camera_failed"),
    };
    Refusal::new(status, code, shorten(&message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_camera_that_fails_or_is_silent_is_told_apart() {
        for (kind, status, code) in [
            (Kind::Invalid, 422, "camera_invalid"),
            (Kind::Unsupported, 501, "unsupported"),
            (Kind::Timeout, 504, "camera_silent"),
            (Kind::Offline, 502, "camera_offline"),
            (Kind::Refused, 502, "camera_refused"),
            (Kind::Other, 502, "camera_failed"),
        ] {
            let error = ivt_hal::Error::new("ptz start", kind).because(std::fmt::Error);
            let told = told(async { Err::<(), _>(error) }).await.unwrap_err();
            assert_eq!((told.status.as_u16(), told.code), (status, code));
            assert!(told.message.ends_with(&std::fmt::Error.to_string()), "{}", told.message);
        }
        let silent = told(std::future::pending::<ivt_hal::Result<()>>()).await.unwrap_err();
        assert_eq!(silent.code, "camera_silent");
    }
}
