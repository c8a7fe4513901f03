//! RTMPPublish and RTMPStopPublish.

use std::num::NonZeroU64;

use ivt_hal::Stream;
use ivt_media::rtmp::RtmpUrl;
use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::{Quality, RtmpPublish, RtmpStopPublish};

use super::{Dispatch, codes};
use crate::channel::PublishRequest;
use crate::config::QualityMap;

const START: &str = "RTMPPublish";

/// Longest address, in bytes; real ones with their keys have some hundred.
const URL: usize = 2048;
/// Longest name of a stream, in bytes. Every Keepalive repeats the name.
const STREAM_ID: usize = 256;

pub(super) async fn start(dispatch: &Dispatch, request: RtmpPublish) -> Result<(), RpcError> {
    let channel = dispatch.channel(request.channel)?;
    let ask = ask(request, channel.quality())?;
    channel.publish(ask).await.map_err(codes::refusal)
}

pub(super) async fn stop(dispatch: &Dispatch, request: RtmpStopPublish) -> Result<(), RpcError> {
    let channel = dispatch.channel(request.channel)?;
    channel.stop(request.stream_id).await.map_err(codes::refusal)
}

fn ask(request: RtmpPublish, map: &QualityMap) -> Result<PublishRequest, RpcError> {
    let url = request.url.try_map(|url| rtmp_url(&url, &format!("{START}: params.url")))?;
    check_stream_id(&request.stream_id)?;
    Ok(PublishRequest {
        stream: stream(map, request.quality),
        url,
        stream_id: request.stream_id,
        max_bitrate: NonZeroU64::new(request.max_bitrate),
    })
}

/// The camera's stream that serves one of the four qualities of the wire.
pub(super) fn stream(map: &QualityMap, quality: Quality) -> Stream {
    match quality {
        Quality::Ld => map.ld,
        Quality::Sd => map.sd,
        Quality::Hd => map.hd,
        Quality::Fhd => map.fhd,
    }
}

/// Reads an address that came from the network. Nothing but RTMP may be reached by it. An error names `place`.
pub(super) fn rtmp_url(url: &str, place: &str) -> Result<RtmpUrl, RpcError> {
    let wrong = |what: String| RpcError::internal(format!("{place}: {what}"));
    if url.len() > URL {
        return Err(wrong(format!("{} bytes, more than {URL}", url.len())));
    }
    RtmpUrl::parse(url).map_err(|e| wrong(e.to_string()))
}

fn check_stream_id(stream_id: &str) -> Result<(), RpcError> {
    let printable = !stream_id.chars().any(char::is_control);
    if stream_id.is_empty() || stream_id.len() > STREAM_ID || !printable {
        let msg = format!("{START}: params.stream_id must have 1 to {STREAM_ID} printable bytes");
        return Err(RpcError::internal(msg));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_qualities_are_the_sub_stream_unless_overridden() {
        let (main, sub) = (Stream::Main, Stream::Sub);
        let map = QualityMap { ld: sub, sd: sub, hd: main, fhd: main };
        let all = [Quality::Ld, Quality::Sd, Quality::Hd, Quality::Fhd];
        assert_eq!(all.map(|q| stream(&map, q)), [sub, sub, main, main]);
        let swapped = QualityMap { sd: main, fhd: sub, ..map };
        assert_eq!(all.map(|q| stream(&swapped, q)), [sub, main, main, sub]);
    }

    #[test]
    fn only_rtmp_addresses_are_taken() {
        for url in ["rtmp://h/app/key", "rtmps://[::1]:1936/app/a?token=b%20c", "RTMP://h/a/b"] {
            assert!(rtmp_url(url, "params.url").is_ok(), "{url}");
        }
        let long = format!("rtmp://h/a/{}", "secret".repeat(URL));
        for url in ["http://h/a/secret", "file:///etc/secret", "rtmp:///a/secret", "", &long] {
            let error = rtmp_url(url, "params.url").expect_err(url);
            assert!(
                error.code == RpcError::INTERNAL && error.msg.contains("params.url"),
                "{error}"
            );
            assert!(!error.msg.contains("secret"), "{error}");
        }
    }

    #[test]
    fn no_request_prints_its_address() {
        let (main, sub) = (Stream::Main, Stream::Sub);
        let map = QualityMap { ld: sub, sd: sub, hd: main, fhd: main };
        let request = RtmpPublish {
            channel: 0,
            quality: Quality::Hd,
            url: "rtmp://h/live/secret/secret?token=secret".to_owned().into(),
            stream_id: "s".into(),
            max_bitrate: 0,
        };
        let read = format!("{request:?}");
        let asked = format!("{:?}", ask(request, &map).unwrap());
        for shown in [read, asked] {
            assert!(shown.contains("***") && !shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn a_stream_needs_a_printable_name_of_bearable_length() {
        assert_eq!(check_stream_id("s"), Ok(()));
        assert_eq!(check_stream_id("摄像头 \"1\""), Ok(()));
        assert!(check_stream_id("").is_err());
        assert!(check_stream_id("a\nb").is_err());
        assert!(check_stream_id(&"x".repeat(STREAM_ID + 1)).is_err());
    }
}
