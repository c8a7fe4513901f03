//! What RTSP header lines say, read leniently: Session (RFC 2326 12.37), Transport (12.39), RTP-Info
//! (12.33), Public (12.28), and the addresses that a description's controls stand for (C.1.1).

use std::time::Duration;

use url::Url;

/// Time without a sign of life after which a session ends, where the camera names none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// Session timeouts that a camera may name, in seconds.
const TIMEOUTS: std::ops::RangeInclusive<u64> = 2..=3600;
/// Longest identifier of a session, in bytes.
const MAX_ID: usize = 256;

/// A Session header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionHeader {
    /// Identifier that every request repeats; empty where the camera names none.
    pub id: String,
    /// How long the session outlives the last sign of life.
    pub timeout: Duration,
}

/// Reads `1A2B;timeout=60`.
pub fn session(value: &str) -> SessionHeader {
    let (id, rest) = value.split_once(';').unwrap_or((value, ""));
    let id = id.trim();
    let printable = id.len() <= MAX_ID && id.bytes().all(|byte| byte.is_ascii_graphic());
    let seconds = parameter(rest, "timeout").and_then(|seconds| seconds.parse::<u64>().ok());
    let timeout = seconds.map_or(DEFAULT_TIMEOUT, |seconds| {
        Duration::from_secs(seconds.clamp(*TIMEOUTS.start(), *TIMEOUTS.end()))
    });
    SessionHeader { id: if printable { id.to_owned() } else { String::new() }, timeout }
}

/// What a Transport header settles; `None` for what it leaves open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransportHeader {
    /// Channels of data and reports within the connection.
    pub channels: Option<(u8, u8)>,
    /// The camera's ports of data and reports.
    pub server_ports: Option<(u16, u16)>,
    /// Whether datagrams are meant, although they may not have been asked for.
    pub datagrams: bool,
}

/// Reads `RTP/AVP/TCP;unicast;interleaved=0-1`, the first of several.
pub fn transport(value: &str) -> TransportHeader {
    let first = value.split(',').next().unwrap_or_default();
    let (profile, rest) = first.split_once(';').unwrap_or((first, ""));
    let channels = parameter(rest, "interleaved").and_then(pair).and_then(|(data, reports)| {
        let data = u8::try_from(data).ok()?;
        Some((data, u8::try_from(reports).ok().unwrap_or(data.wrapping_add(1))))
    });
    let server_ports = parameter(rest, "server_port").and_then(pair).filter(|(port, _)| *port > 0);
    let tcp = profile.trim().to_ascii_uppercase().ends_with("/TCP");
    let datagrams = !tcp && channels.is_none() && !profile.trim().is_empty();
    TransportHeader { channels, server_ports, datagrams }
}

/// Reads `8-9`; `8` means the same.
fn pair(value: &str) -> Option<(u16, u16)> {
    let (first, second) = value.split_once('-').unwrap_or((value, ""));
    let first = first.trim().parse().ok()?;
    Some((first, second.trim().parse().unwrap_or(u16::saturating_add(first, 1))))
}

/// The value of one of several `;name=value`.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// RTP times at which the tracks of `controls` begin, by an RTP-Info header. Its addresses may be
/// whole, the end of one, or missing; without any, the tracks come in their order.
pub fn rtp_times(value: &str, controls: &[String]) -> Vec<Option<u32>> {
    let entries: Vec<_> = value.split(',').map(str::trim).collect();
    let mut times = vec![None; controls.len()];
    let named = |entry: &str| {
        let url = parameter(entry, "url").filter(|url| !url.is_empty())?;
        controls.iter().position(|control| control.ends_with(url) || url.ends_with(&**control))
    };
    let in_order = entries.len() == controls.len() && !entries.iter().any(|e| named(e).is_some());
    for (number, entry) in entries.iter().enumerate() {
        let track = if in_order { Some(number) } else { named(entry) };
        let time = parameter(entry, "rtptime").and_then(|time| time.parse().ok());
        if let Some(slot) = track.and_then(|track| times.get_mut(track)) {
            *slot = time;
        }
    }
    times
}

/// Whether `method` is among those of a Public header.
pub fn offers(public: &str, method: &str) -> bool {
    public.split([',', ' ']).any(|word| word.trim().eq_ignore_ascii_case(method))
}

/// The address that controls are relative to: the one the camera says where that can be one, or
/// else the address that was asked for.
pub fn base(request: &Url, said: Option<&str>) -> String {
    let asked = || request.as_str().to_owned();
    let Some(said) = said.map(str::trim).filter(|said| is_address(said)) else { return asked() };
    match said.strip_prefix('/') {
        Some(_) => root(request.as_str()).to_owned() + said,
        None if is_absolute(said) => said.to_owned(),
        None => asked(),
    }
}

/// The address of a track or session whose description says `control`. Cameras append, whatever the
/// rules for relative addresses are: `rtsp://host/live?channel=1` and `track1` make
/// `rtsp://host/live?channel=1/track1`.
pub fn control(base: &str, control: Option<&str>) -> String {
    let control = control.map(|control| control.trim().replace(' ', "%20"));
    match control.as_deref().filter(|control| is_address(control) && *control != "*") {
        None => base.to_owned(),
        Some(control) if is_absolute(control) => control.to_owned(),
        Some(control) if control.starts_with('/') => root(base).to_owned() + control,
        Some(control) if base.ends_with('/') => base.to_owned() + control,
        Some(control) => format!("{base}/{control}"),
    }
}

fn is_absolute(address: &str) -> bool {
    let scheme = address.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("rtsp" | "rtsps" | "rtspu"))
}

/// Whether a text fits into a request line as its address.
fn is_address(text: &str) -> bool {
    !text.is_empty() && text.len() <= 2048 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Scheme and host of an address.
fn root(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let path = address.get(host..).and_then(|rest| rest.find('/'));
    path.and_then(|at| address.get(..host + at)).unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_a_name_and_a_timeout() {
        let read = |value| {
            let SessionHeader { id, timeout } = session(value);
            (id, timeout.as_secs())
        };
        assert_eq!(read("1A2B"), ("1A2B".into(), 60));
        assert_eq!(read(" 1A2B ; timeout = 10 "), ("1A2B".into(), 10));
        assert_eq!(read("7;Timeout=\"20\""), ("7".into(), 20));
        assert_eq!(read(";timeout=5"), (String::new(), 5));
        assert_eq!(read("a b;timeout=x"), (String::new(), 60), "what would break a request");
        assert_eq!(read("7;timeout=0"), ("7".into(), 2));
        assert_eq!(read("7;timeout=18446744073709551615"), ("7".into(), 3600));
    }

    #[test]
    fn a_transport_says_what_it_says() {
        let tcp = |channels| TransportHeader { channels, ..TransportHeader::default() };
        let table = [
            ("RTP/AVP/TCP;unicast;interleaved=0-1", tcp(Some((0, 1)))),
            ("RTP/AVP/TCP;ssrc=22345684;interleaved=8-9", tcp(Some((8, 9)))),
            ("RTP/AVP/TCP; interleaved = 4", tcp(Some((4, 5)))),
            ("RTP/AVP/TCP;unicast", tcp(None)),
            ("RTP/AVP/TCP;interleaved=900-1", tcp(None)),
            ("rtp/avp/tcp;interleaved=2-3,RTP/AVP;unicast", tcp(Some((2, 3)))),
            ("", tcp(None)),
        ];
        for (value, want) in table {
            assert_eq!(transport(value), want, "{value}");
        }
        let udp = transport("RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001");
        assert_eq!((udp.server_ports, udp.datagrams), (Some((6000, 6001)), true));
        let silent = transport("RTP/AVP/UDP; unicast; client_port=5000-5001");
        assert_eq!((silent.server_ports, silent.datagrams), (None, true));
        assert_eq!(transport("RTP/AVP;server_port=0-1").server_ports, None);
    }

    #[test]
    fn rtp_times_find_their_tracks() {
        let controls = ["rtsp://h/x/track0".to_owned(), "rtsp://h/x/track1".to_owned()];
        let read = |value| rtp_times(value, &controls);
        let both = [Some(5), Some(7)];
        assert_eq!(
            read("url=rtsp://h/x/track1;seq=1;rtptime=7,url=rtsp://h/x/track0;rtptime=5"),
            both
        );
        assert_eq!(read("url=track0;seq=9;rtptime=5, url=track1;rtptime=7"), both);
        assert_eq!(read("url=;rtptime=5,rtptime=7"), both, "by their order");
        assert_eq!(read("url=rtsp://h/x/track0;seq=;rtptime="), [None, None]);
        assert_eq!(read("rtptime=5"), [None, None], "of which?");
        assert_eq!(read(""), [None, None]);
        assert_eq!(read("url=rtsp://h/x/track1;rtptime=99999999999"), [None, None]);
    }

    #[test]
    fn controls_are_appended_as_cameras_expect() {
        let url = Url::parse("rtsp://cam:8554/live?channel=1").unwrap();
        let asked = "rtsp://cam:8554/live?channel=1";
        for (said, want) in [
            (None, asked),
            (Some("127.0.0.1:554/"), asked),
            (Some(""), asked),
            (Some("rtsp://other/a b"), asked),
            (Some("rtsp://10.0.0.1/live/"), "rtsp://10.0.0.1/live/"),
            (Some("/live/"), "rtsp://cam:8554/live/"),
        ] {
            assert_eq!(base(&url, said), want, "{said:?}");
        }
        for (said, want) in [
            (None, asked.to_owned()),
            (Some("*"), asked.to_owned()),
            (Some("track1"), format!("{asked}/track1")),
            (Some("/media/track1"), "rtsp://cam:8554/media/track1".to_owned()),
            (Some("rtsp://cam/y"), "rtsp://cam/y".to_owned()),
            (Some("track 1"), format!("{asked}/track%201")),
            (Some("http://cam/y"), format!("{asked}/http://cam/y")),
            (Some("bad\r\nX: y"), asked.to_owned()),
        ] {
            assert_eq!(control(asked, said), want, "{said:?}");
        }
        assert_eq!(control("rtsp://h/x/", Some("track1")), "rtsp://h/x/track1");
    }

    #[test]
    fn methods_are_found_in_any_case() {
        assert!(offers("OPTIONS, DESCRIBE,get_parameter", "GET_PARAMETER"));
        assert!(!offers("OPTIONS, SET_PARAMETER", "GET_PARAMETER"));
    }
}
