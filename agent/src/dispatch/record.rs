//! StartCloudRecord and StopCloudRecord.

use std::num::NonZeroU64;
use std::time::Duration;

use ivt_media::segment::Limits;
use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::{StartCloudRecord, StopCloudRecord};

use super::{Dispatch, codes, publish};
use crate::channel::RecordRequest;
use crate::config::QualityMap;
use crate::record::service::callback_url;
use crate::record::session::RecordingOrder;

const START: &str = "StartCloudRecord";

/// Longest name of a session, in bytes. Every Keepalive repeats the name.
const SESSION_ID: usize = 128;
/// Length of the session names that current clouds use, in bytes.
const USUAL_SESSION_ID: usize = 22;
/// Longest segment that may be ordered, in seconds.
const DURATION: u32 = 3600;
/// Smallest size limit of a segment that may be ordered, in bytes. A smaller segment does not hold
/// one picture.
const SIZE: u64 = 64 << 10;

pub(super) async fn start(dispatch: &Dispatch, request: StartCloudRecord) -> Result<(), RpcError> {
    let channel = dispatch.channel(request.channel)?;
    let ask = ask(request, channel.quality())?;
    channel.record(ask).await.map_err(codes::refusal)
}

pub(super) async fn stop(dispatch: &Dispatch, request: StopCloudRecord) -> Result<(), RpcError> {
    let channel = dispatch.channel(request.channel)?;
    channel.stop_record(request.session_id).await.map_err(codes::refusal)
}

fn ask(request: StartCloudRecord, map: &QualityMap) -> Result<RecordRequest, RpcError> {
    Ok(RecordRequest {
        stream: publish::stream(map, request.quality),
        max_bitrate: NonZeroU64::new(request.max_bitrate),
        order: order(request)?,
    })
}

fn order(request: StartCloudRecord) -> Result<RecordingOrder, RpcError> {
    check_session_id(&request.session_id)?;
    if !(1..=DURATION).contains(&request.seg_duration) {
        return Err(wrong("seg_duration", format!("must be 1 to {DURATION} s")));
    }
    if request.seg_max_size < SIZE {
        return Err(wrong("seg_max_size", format!("must be at least {SIZE} bytes")));
    }
    if request.seg_max_count == 0 {
        return Err(wrong("seg_max_count", "must be at least 1".into()));
    }
    let callback = request.cbk_url.try_map(|url| callback_url(&url));
    let callback = callback.map_err(|e| wrong("cbk_url", e))?;
    Ok(RecordingOrder {
        session_id: request.session_id,
        limits: Limits {
            duration: Duration::from_secs(request.seg_duration.into()),
            max_bytes: request.seg_max_size,
        },
        max_segments: request.seg_max_count,
        prerecord: Duration::from_secs(request.prerecord_seconds.into()),
        start: u64::try_from(request.start_ts).ok().filter(|seconds| *seconds > 0),
        callback,
    })
}

fn check_session_id(session_id: &str) -> Result<(), RpcError> {
    let printable = !session_id.chars().any(char::is_control);
    if session_id.is_empty() || session_id.len() > SESSION_ID || !printable {
        let msg = format!("must have 1 to {SESSION_ID} printable bytes");
        return Err(wrong("session_id", msg));
    }
    if session_id.len() != USUAL_SESSION_ID {
        let length = session_id.len();
        log::info!("{START}: session_id has {length} bytes instead of {USUAL_SESSION_ID}");
    }
    Ok(())
}

fn wrong(field: &str, what: String) -> RpcError {
    RpcError::internal(format!("{START}: params.{field}: {what}"))
}

#[cfg(test)]
mod tests {
    use ivt_hal::Stream;
    use ivt_proto::rpc::message::Quality;

    use super::*;

    fn request() -> StartCloudRecord {
        StartCloudRecord {
            session_id: "0123456789012345678901".into(),
            channel: 0,
            quality: Quality::Hd,
            max_bitrate: 0,
            seg_duration: 10,
            seg_max_size: 8 << 20,
            seg_max_count: 3,
            prerecord_seconds: 5,
            start_ts: 0,
            cbk_url: "https://record.example.com/cb?sign=secret".to_owned().into(),
        }
    }

    #[test]
    fn what_the_cloud_asks_for_is_taken_over() {
        let order = order(request()).unwrap();
        assert_eq!(order.session_id.len(), USUAL_SESSION_ID);
        assert_eq!(order.limits.duration, Duration::from_secs(10));
        assert_eq!((order.limits.max_bytes, order.max_segments), (8 << 20, 3));
        assert_eq!((order.prerecord, order.start), (Duration::from_secs(5), None));
        assert_eq!(order.callback.expose().path(), "/cb");
    }

    #[test]
    fn no_request_prints_its_address() {
        let (main, sub) = (Stream::Main, Stream::Sub);
        let map = QualityMap { ld: sub, sd: sub, hd: main, fhd: main };
        let read = format!("{:?}", request());
        let asked = format!("{:?}", ask(request(), &map).unwrap());
        for shown in [read, asked] {
            assert!(shown.contains("***") && !shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn only_a_positive_time_stamp_dates_the_recording() {
        for (start_ts, start) in [(1_700_000_000, Some(1_700_000_000)), (0, None), (-1, None)] {
            let request = StartCloudRecord { start_ts, ..request() };
            assert_eq!(order(request).unwrap().start, start);
        }
    }

    #[test]
    fn nonsense_is_refused_and_named() {
        type Change = fn(&mut StartCloudRecord);
        let cases: &[(&str, Change)] = &[
            ("session_id", |r| r.session_id.clear()),
            ("session_id", |r| r.session_id = "x".repeat(129)),
            ("session_id", |r| r.session_id = "a\nb".into()),
            ("seg_duration", |r| r.seg_duration = 0),
            ("seg_duration", |r| r.seg_duration = u32::MAX),
            ("seg_max_size", |r| r.seg_max_size = 0),
            ("seg_max_count", |r| r.seg_max_count = 0),
            ("cbk_url", |r| r.cbk_url = String::new().into()),
            ("cbk_url", |r| r.cbk_url = "ftp://h/secret".to_owned().into()),
            ("cbk_url", |r| r.cbk_url = "file:///etc/secret".to_owned().into()),
            ("cbk_url", |r| r.cbk_url = format!("http://h/{}", "secret".repeat(2_000)).into()),
        ];
        for (field, change) in cases {
            let mut request = request();
            change(&mut request);
            let error = order(request).expect_err(field);
            assert_eq!(error.code, RpcError::INTERNAL);
            assert!(error.msg.contains(&format!("params.{field}")), "{error}");
            assert!(!error.msg.contains("secret"), "{error}");
        }
    }

    #[test]
    fn counts_that_multiply_to_gigabytes_are_only_numbers() {
        let request =
            StartCloudRecord { seg_max_count: u32::MAX, seg_max_size: u64::MAX, ..request() };
        assert_eq!(order(request).unwrap().memory(None), u64::MAX);
    }

    #[test]
    fn names_of_other_lengths_are_taken() {
        for session_id in ["a", "录像", &"x".repeat(128)] {
            assert_eq!(check_session_id(session_id), Ok(()), "{session_id}");
        }
    }
}
