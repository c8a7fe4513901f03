//! Opens a camera's streams, one after the other.

use std::time::Duration;

use ivt_hal::{Channel, RtspSource, Source, Stream, Transport};
use ivt_media::frame::{Track, VideoCodec};
use ivt_media::rtsp::{Options, Patience, RtspOpener};
use ivt_media::source::{Opener as _, SourceError};
use url::Url;

use super::{Probe, SeenStream, Trouble, plain};
use crate::backend::RtspPolicy;
use crate::tls::TrustStore;

/// Longest time for the address of a stream, which the camera may have to be asked for.
const ADDRESS: Duration = Duration::from_secs(6);
/// Longest time for one stream by one transport.
const STREAM: Duration = Duration::from_secs(8);
/// Words of paths that hold a login, as with `/user=admin&password=…`.
const LOGIN: [&str; 6] = ["user", "usr", "pass", "pwd", "auth", "token"];
/// Longest time for a camera to let go of a stream.
const SETTLE: Duration = Duration::from_secs(1);

/// Opens the main and then the sub stream, by TCP and, where that fails, by UDP, until a key frame has come.
pub(super) async fn look(probe: &mut Probe<'_>, channel: &Channel, policy: RtspPolicy) {
    let mut before = None;
    for stream in [Stream::Main, Stream::Sub] {
        let what = format!("{stream} stream");
        let asked = async { Ok(channel.encoder.source(stream).await?) };
        let source = match probe.step(ADDRESS, Box::pin(asked)).await {
            Ok(Source::Rtsp(source)) => source,
            Ok(_) => return,
            Err(trouble) => {
                fail(probe, stream, &format!("{what}: {}", trouble.text));
                continue;
            }
        };
        if before.as_ref() == Some(&source.url) {
            probe.tell(&format!("{what}: the main stream serves"));
            continue;
        }
        before = Some(source.url.clone());
        probe.tell(&format!("{what}: {}", shown(&source.url)));
        if probe.refused {
            return;
        }
        let transports: &[Transport] = match source.transport {
            Transport::Auto => &[Transport::Tcp, Transport::Udp],
            Transport::Tcp => &[Transport::Tcp],
            Transport::Udp => &[Transport::Udp],
        };
        for &transport in transports {
            let way = if transport == Transport::Udp { "UDP" } else { "TCP" };
            let opened = open(stream, &source, transport, policy);
            match probe.step(STREAM, Box::pin(opened)).await {
                Ok(seen) => {
                    let SeenStream { codec, size: (width, height), has_sound, .. } = seen;
                    let sound = if has_sound { ", with sound" } else { "" };
                    probe.tell(&format!("{what} by {way}: {codec}, {width}x{height}{sound}"));
                    probe.outcome.streams.push(seen);
                    break;
                }
                Err(trouble) => {
                    let text = format!("{what} by {way}: {}", trouble.text);
                    let is_last = Some(&transport) == transports.last() || probe.refused;
                    if is_last {
                        fail(probe, stream, &text)
                    } else {
                        probe.tell(&text)
                    }
                    if probe.refused {
                        return;
                    }
                }
            }
        }
    }
}

/// An address as it can be shown: without a login, without a query, and cut where the path may hold a login.
fn shown(address: &str) -> String {
    let Ok(url) = Url::parse(address) else { return "no address".into() };
    let path = url.path();
    let lower = path.to_ascii_lowercase();
    let cut = LOGIN.iter().filter_map(|word| lower.find(word)).min();
    let rest = match (cut, url.query()) {
        (Some(at), _) => format!("{}***", &path[..at]),
        (None, Some(_)) => format!("{path}?***"),
        (None, None) => path.to_owned(),
    };
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    plain(&format!("{}://{}{port}{rest}", url.scheme(), url.host_str().unwrap_or_default()))
}

/// A camera can be used without a sub stream.
fn fail(probe: &mut Probe<'_>, stream: Stream, text: &str) {
    match stream {
        Stream::Main => probe.fail(text),
        Stream::Sub => probe.tell(text),
    }
}

/// Opens a stream, waits for its first key frame, and closes it again.
async fn open(
    stream: Stream,
    source: &RtspSource,
    transport: Transport,
    policy: RtspPolicy,
) -> Result<SeenStream, Trouble> {
    let trouble = |text: String| Trouble { refused: false, text };
    let url = Url::parse(&source.url).map_err(|e| trouble(e.to_string()))?;
    let tls = match url.scheme() {
        "rtsps" => {
            let trust = TrustStore::new(None).map_err(|e| trouble(e.to_string()))?;
            Some(trust.config().await.map_err(|e| trouble(e.to_string()))?)
        }
        _ => None,
    };
    let Patience { describe, first_packet, silence } = policy.patience;
    let patience = Patience {
        describe: describe.min(STREAM),
        first_packet: first_packet.min(STREAM),
        silence: silence.min(STREAM),
    };
    let options = Options {
        credentials: source.credentials.clone(),
        transport,
        patience,
        tls,
        login_follows_redirects: policy.login_follows_redirects,
    };
    let refusal = |error: SourceError| Trouble {
        refused: matches!(error, SourceError::Unauthorized { .. }),
        text: plain(&error),
    };
    let opener = RtspOpener::new(url, options).map_err(refusal)?;
    let seen = async {
        let mut frames = opener.open().await?;
        loop {
            let frame = frames.frame().await?;
            if let Track::Video(video) = &frame.track
                && frame.key
            {
                let codec = match video.codec {
                    VideoCodec::H264 => "H.264",
                    VideoCodec::H265 => "H.265",
                };
                let (size, has_sound) = (video.dimensions, frames.has_sound());
                return Ok(SeenStream { stream, codec, size, has_sound });
            }
        }
    };
    let seen = seen.await.map_err(refusal);
    // The next connection comes when this one is gone.
    let _ = tokio::time::timeout(SETTLE, opener.settle()).await;
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_camera_is_shown_without_what_may_be_a_login() {
        for (address, want) in [
            ("rtsp://h/Streaming/Channels/101", "rtsp://h/Streaming/Channels/101"),
            ("rtsp://u:canary@h:8554/stream=0", "rtsp://h:8554/stream=0"),
            ("rtsp://[::1]/a?user=u&password=canary", "rtsp://[::1]/a?***"),
            ("rtsp://h/user=u&password=canary&channel=1", "rtsp://h/***"),
            ("rtsp://h/live/User=u_Password=canary_channel=1.sdp?x", "rtsp://h/live/***"),
            ("rtsp://h/pwd%3Dcanary", "rtsp://h/***"),
            ("canary", "no address"),
        ] {
            assert_eq!(shown(address), want);
        }
        let _known = ivt_base::mask::learn_login("u", "canary-of-login");
        assert_eq!(shown("rtsp://h/0/u:canary-of-login/main"), "rtsp://h/0/u:***/main");
    }
}
