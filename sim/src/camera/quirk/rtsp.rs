//! Answers in place of the right one, and headers that are missing, late or wrong.

use super::super::message::{Request, Response, Status};
use super::{Quirk, Quirks};

/// The number of a request's connection and of its redirections.
pub struct Place {
    /// Number of the connection, counted from 1.
    pub connection: u64,
    /// Number of redirections that the request has followed.
    pub hop: usize,
}

/// The answer that the camera gives in place of the right one, if any.
pub fn instead(quirks: &Quirks, request: &Request, place: &Place) -> Option<Response> {
    let has = |quirk| quirks.has(quirk);
    match request.method.as_str() {
        "DESCRIBE" => redirection(quirks, request, place.hop),
        "SETUP" if has(Quirk::Busy) && place.connection <= 2 => {
            Some(Status::Other("453 Not Enough Bandwidth").into())
        }
        "SETUP" if has(Quirk::SoundRefused) && request.path().ends_with("trackID=1") => {
            Some(Status::Other("500 Internal Server Error").into())
        }
        "SETUP" if request.path().ends_with("trackID=9") => {
            // This is the talk-back track of `backchannel`.
            let session = request.header("Session").map_or_else(|| "9".to_owned(), str::to_owned);
            let transport = "RTP/AVP/TCP;unicast;interleaved=8-9";
            let answer = Response::from(Status::Ok).header("Session", session);
            has(Quirk::Backchannel).then(|| answer.header("Transport", transport))
        }
        "SET_PARAMETER" if quirks.has_any(&[Quirk::KaOffByOne, Quirk::KaSetOnly]) => {
            Some(Status::BadRequest.into())
        }
        "GET_PARAMETER" if quirks.has_any(&[Quirk::Ka454, Quirk::Ka454Close]) => {
            Some(Status::SessionNotFound.into())
        }
        "GET_PARAMETER" | "SET_PARAMETER" if has(Quirk::PublicAbsent) => {
            Some(Status::Other("501 Not Implemented").into())
        }
        _ => None,
    }
}

fn redirection(quirks: &Quirks, request: &Request, hop: usize) -> Option<Response> {
    let has = |quirk| quirks.has(quirk);
    let authority = request.authority().unwrap_or("127.0.0.1");
    let path = request.path();
    let (status, location) = match hop {
        0 if has(Quirk::Redirect) => {
            ("302 Moved Temporarily", format!("rtsp://{authority}/hop9{path}"))
        }
        0 if has(Quirk::RedirectChain) => {
            ("301 Moved Permanently", format!("rtsp://{authority}/hop1{path}"))
        }
        1 if has(Quirk::RedirectChain) => {
            ("303 See Other", format!("rtsp://{authority}/hop2{path}"))
        }
        2 if has(Quirk::RedirectChain) => ("302 Found", format!("/hop9{path}")),
        0 if has(Quirk::RedirectHost) => {
            let port = authority.rsplit_once(':').map_or("554", |(_, port)| port);
            ("302 Moved Temporarily", format!("rtsp://localhost:{port}/hop9{path}"))
        }
        _ if has(Quirk::RedirectLoop) => ("302 Found", format!("rtsp://{authority}{path}")),
        _ if has(Quirk::RedirectHttp) => ("302 Found", format!("http://{authority}/login.html")),
        _ => return None,
    };
    Some(Response::from(Status::Other(status)).header("Location", location))
}

/// Changes the headers of an answer.
pub fn edit(quirks: &Quirks, request: &Request, answer: &mut Response) {
    if answer.status != Status::Ok {
        return;
    }
    let has = |quirk| quirks.has(quirk);
    match request.method.as_str() {
        "OPTIONS" => {
            let less = |text: String| match () {
                () if has(Quirk::KaSetOnly) => text.replace("GET_PARAMETER, ", ""),
                () => text,
            };
            answer
                .edit("Public", |public| Some(less(public)).filter(|_| !has(Quirk::PublicAbsent)));
        }
        "DESCRIBE" => {
            answer.edit("Content-Base", |base| match () {
                () if has(Quirk::BaseNoscheme) => Some(base.replacen("rtsp://", "", 1)),
                () if has(Quirk::BaseWrong) => Some("rtsp://10.255.255.1:554/other/".to_owned()),
                () => Some(base).filter(|_| !has(Quirk::CtypeMissing)),
            });
            answer.edit("Content-Type", |kind| match () {
                () if has(Quirk::CtypeCharset) => Some(kind + ";charset=utf-8"),
                () => Some(kind).filter(|_| !has(Quirk::CtypeMissing)),
            });
        }
        "SETUP" => {
            answer.edit("Transport", |transport| transport_of(quirks, transport));
            answer.edit("Session", |session| match () {
                () if has(Quirk::SessionEmpty) => Some(";timeout=5".to_owned()),
                () => Some(session).filter(|_| !has(Quirk::SessionLate)),
            });
        }
        "PLAY" => answer.edit("RTP-Info", |info| rtp_info(quirks, info)),
        _ => {}
    }
    if has(Quirk::SessionNever) {
        answer.edit("Session", |_| None);
    }
}

fn transport_of(quirks: &Quirks, transport: String) -> Option<String> {
    let has = |quirk| quirks.has(quirk);
    if has(Quirk::NoTransport) {
        return None;
    }
    let parameter = |name: &str| transport.split(';').find(|p| p.starts_with(name));
    let without = |name: &str| {
        let kept: Vec<_> = transport.split(';').filter(|p| !p.starts_with(name)).collect();
        kept.join(";")
    };
    Some(match () {
        () if has(Quirk::NoInterleaved) => without("interleaved="),
        () if has(Quirk::UdpNoport) && parameter("server_port=").is_some() => {
            let client = parameter("client_port=").unwrap_or_default();
            format!("RTP/AVP/UDP; unicast; {client}")
        }
        () if has(Quirk::UdpOtherport) && parameter("server_port=").is_some() => {
            without("server_port=") + ";server_port=9-10"
        }
        () if has(Quirk::SsrcFirst) && parameter("interleaved=").is_some() => {
            let (ssrc, channels) = (parameter("ssrc="), parameter("interleaved="));
            let (ssrc, channels) = (ssrc.unwrap_or_default(), channels.unwrap_or_default());
            format!("RTP/AVP/TCP;{ssrc};{channels}")
        }
        () if has(Quirk::SsrcWrong) => without("ssrc=") + ";ssrc=22345684",
        () => transport,
    })
}

fn rtp_info(quirks: &Quirks, info: String) -> Option<String> {
    let each = |change: &dyn Fn(&str) -> String| {
        let changed: Vec<_> = info.split(',').map(change).collect();
        Some(changed.join(","))
    };
    match () {
        () if quirks.has_any(&[Quirk::Midframe, Quirk::Backchannel]) => None,
        () if quirks.has(Quirk::RtpinfoRel) => each(&|entry| {
            let track = entry.find("trackID=").map_or(entry, |at| &entry[at..]);
            format!("url={track}")
        }),
        () if quirks.has(Quirk::RtpinfoEmpty) => each(&|entry| {
            let url = entry.split(';').next().unwrap_or_default();
            format!("{url};seq=;rtptime=")
        }),
        () if quirks.has(Quirk::RtpinfoWrong) => {
            let url = info.split(';').next().unwrap_or_default();
            Some(format!("{url};seq=70000;rtptime=17,url=rtsp://nobody/track77;seq=x;rtptime=-5,,"))
        }
        () => Some(info),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::super::message::{Input, take};
    use super::*;

    fn request(method: &str, path: &str) -> Request {
        let text = format!("{method} rtsp://cam:554{path} RTSP/1.0\r\nCSeq: 1\r\n\r\n");
        match take(&mut BytesMut::from(text.as_str())) {
            Ok(Some(Input::Request(request))) => request,
            other => panic!("expected a request, got {other:?}"),
        }
    }

    fn told(quirk: Quirk, method: &str, header: &'static str, value: &str) -> Option<String> {
        let mut answer = Response::from(Status::Ok).header(header, value);
        edit(&quirk.into(), &request(method, "/ch0/main"), &mut answer);
        answer.value(header).map(str::to_owned)
    }

    #[test]
    fn headers_are_dropped_or_changed() {
        let tcp = "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=000000AB";
        let setup = |quirk| told(quirk, "SETUP", "Transport", tcp);
        assert_eq!(setup(Quirk::Busy).as_deref(), Some(tcp));
        assert_eq!(setup(Quirk::NoTransport), None);
        let bare = "RTP/AVP/TCP;unicast;ssrc=000000AB";
        assert_eq!(setup(Quirk::NoInterleaved).as_deref(), Some(bare));
        let first = "RTP/AVP/TCP;ssrc=000000AB;interleaved=0-1";
        assert_eq!(setup(Quirk::SsrcFirst).as_deref(), Some(first));
        let udp = "RTP/AVP;unicast;client_port=4-5;server_port=6-7;ssrc=1";
        let setup = |quirk| told(quirk, "SETUP", "Transport", udp);
        assert_eq!(
            setup(Quirk::UdpNoport).as_deref(),
            Some("RTP/AVP/UDP; unicast; client_port=4-5")
        );
        assert!(setup(Quirk::UdpOtherport).is_some_and(|t| t.ends_with("server_port=9-10")));
        assert_eq!(told(Quirk::SessionLate, "SETUP", "Session", "1"), None);
        assert_eq!(told(Quirk::SessionLate, "PLAY", "Session", "1").as_deref(), Some("1"));
        assert_eq!(told(Quirk::SessionNever, "PLAY", "Session", "1"), None);
        let info = "url=rtsp://cam/ch0/main/trackID=0;rtptime=5";
        let play = |quirk| told(quirk, "PLAY", "RTP-Info", info);
        assert_eq!(play(Quirk::RtpinfoRel).as_deref(), Some("url=trackID=0;rtptime=5"));
        let empty = "url=rtsp://cam/ch0/main/trackID=0;seq=;rtptime=";
        assert_eq!(play(Quirk::RtpinfoEmpty).as_deref(), Some(empty));
        let base = told(Quirk::BaseNoscheme, "DESCRIBE", "Content-Base", "rtsp://cam/ch0/main/");
        assert_eq!(base.as_deref(), Some("cam/ch0/main/"));
    }

    #[test]
    fn requests_are_refused_or_sent_elsewhere() {
        let status = |quirk: Quirk, method, connection, hop| {
            let place = Place { connection, hop };
            let answer = instead(&quirk.into(), &request(method, "/ch0/main"), &place);
            answer.map(|answer| answer.status.line()[..3].to_owned()).unwrap_or_default()
        };
        assert_eq!(status(Quirk::Busy, "SETUP", 2, 0), "453");
        assert_eq!(status(Quirk::Busy, "SETUP", 3, 0), "");
        let chain: Vec<_> =
            [0, 1, 2, 9].map(|hop| status(Quirk::RedirectChain, "DESCRIBE", 1, hop)).into();
        assert_eq!(chain, ["301", "303", "302", ""]);
        assert_eq!(status(Quirk::RedirectLoop, "DESCRIBE", 1, 9), "302");
        assert_eq!(status(Quirk::Ka454, "GET_PARAMETER", 1, 0), "454");
        assert_eq!(status(Quirk::KaSetOnly, "SET_PARAMETER", 1, 0), "400");
    }
}
