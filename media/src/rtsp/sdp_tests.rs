use proptest::prelude::*;

use super::*;

const HEAD: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=cam\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n";
const VIDEO: &str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z00AKQ==,aO4xsg==\r\na=control:track0\r\n";
const SHOWN_VIDEO: &str = "video(track0) 96=h264/90000/1\
    [packetization-mode=1;sprop-parameter-sets=Z00AKQ==,aO4xsg==]";

/// A description on one line: `SESSION | NAME(CONTROL) DIRECTION PT=ENCODING/RATE/CHANNELS[FMTP]`.
fn show(sdp: &Description) -> String {
    let mut text = sdp.control.clone().unwrap_or_default();
    for (i, media) in sdp.media.iter().enumerate() {
        text += &format!(" | {}", media.name);
        if let Some(control) = &media.control {
            text += &format!("({control})");
        }
        if media.direction != Direction::Unsaid {
            text += &format!(" {:?}", media.direction);
        }
        if sdp.is_talk_back(i) {
            text += " talk-back";
        }
        for f in &media.formats {
            let Format { payload_type, encoding, clock_rate, channels, .. } = f;
            text += &format!(" {payload_type}={encoding}/{clock_rate}/{channels}");
            if let Some(fmtp) = &f.fmtp {
                text += &format!("[{fmtp}]");
            }
        }
    }
    text
}

fn parse(text: &str) -> Description {
    Description::parse(text.as_bytes()).unwrap()
}

fn only(media: &str) -> Format {
    let mut sdp = parse(media);
    assert_eq!((sdp.media.len(), sdp.media[0].formats.len()), (1, 1), "{}", show(&sdp));
    sdp.media[0].formats.remove(0)
}

#[test]
fn what_cameras_write_is_understood() {
    let aac = "a=rtpmap:104 MPEG4-GENERIC/16000/1\r\na=fmtp:97 mode=AAC-hbr;config=1408\r\n";
    let rows: &[(&str, String, String)] = &[
        ("in order", format!("{HEAD}{VIDEO}"), format!("* | {SHOWN_VIDEO}")),
        (
            "nothing but m=, rtpmap and control",
            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n".into(),
            " | video(trackID=0) 96=h264/90000/1".into(),
        ),
        (
            "c= and o= cut short, a metadata track",
            "v=0\r\no=- 1001 1 IN\r\ns=VCP IPC Realtime stream\r\nm=video 0 RTP/AVP 105\r\nc=IN\r\n\
             a=control:rtsp://127.0.0.1/media/video1/video\r\na=rtpmap:105 H264/90000\r\n\
             a=fmtp:105 packetization-mode=1\r\na=recvonly\r\nm=application 0 RTP/AVP 107\r\nc=IN\r\n\
             a=control:metadata\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n\
             a=fmtp:107 DecoderTag=h3c-v3 RTCP=0\r\na=recvonly\r\n"
                .into(),
            " | video(rtsp://127.0.0.1/media/video1/video) RecvOnly \
             105=h264/90000/1[packetization-mode=1] | application(metadata) RecvOnly \
             107=vnd.onvif.metadata/90000/1[DecoderTag=h3c-v3 RTCP=0]"
                .into(),
        ),
        (
            "o= without an address",
            format!("v=0\r\no=Channel1 3910280086 3910366486 IN IP4\r\ns=x\r\n{VIDEO}"),
            format!(" | {SHOWN_VIDEO}"),
        ),
        (
            "no microphone, empty i=",
            format!(
                "{HEAD}i=\r\n{VIDEO}m=audio 0 RTP/AVP (null)\r\nc=IN IP4 0.0.0.0\r\nb=AS:64\r\n\
                 a=rtpmap\r\na=control:track=2\r\n"
            ),
            format!("* | {SHOWN_VIDEO} | audio(track=2)"),
        ),
        (
            "no o=, c= after a=, b= in the media",
            format!(
                "v=0\r\ns=streamed by the macro-video rtsp server\r\nt=0 0\r\na=control:*\r\n\
                 a=range:npt=0-\r\nc=IN IP4 0.0.0.0\r\n{VIDEO}b=AS:2000\r\n"
            ),
            format!("* | {SHOWN_VIDEO}"),
        ),
        (
            "LF and a NUL at the end",
            format!("{HEAD}{VIDEO}\0").replace("\r\n", "\n"),
            format!("* | {SHOWN_VIDEO}"),
        ),
        ("CR", format!("{HEAD}{VIDEO}").replace("\r\n", "\r"), format!("* | {SHOWN_VIDEO}")),
        (
            "leading spaces, empty lines, a byte order mark",
            format!("\u{feff}\r\n\r\n{HEAD}{VIDEO}").replace("\r\n", "\r\n\r\n  "),
            format!("* | {SHOWN_VIDEO}"),
        ),
        (
            "names in any case",
            "M=Video 0 RTP/AVP 96\r\nA=RtpMap:96 h264/90000\r\na=FMTP:96 Packetization-Mode=1\r\n\
             a=Control:t\r\na=RecvOnly\r\n"
                .into(),
            " | Video(t) RecvOnly 96=h264/90000/1[Packetization-Mode=1]".into(),
        ),
        (
            "spaces where none belong",
            "m = video  0  RTP/AVP  96 \r\na = rtpmap : 96  H264 / 90000 \r\na=fmtp 96  x=1\r\n\
             a=control:  t \r\n"
                .into(),
            " | video(t) 96=h264/90000/1[x=1]".into(),
        ),
        (
            "a line without =",
            format!("{HEAD}garbage\r\n=\r\n\r\nm\r\na\r\na=\r\n{VIDEO}x\r\n"),
            format!("* | {SHOWN_VIDEO}"),
        ),
        (
            "no format in m=, taken from the rtpmap lines",
            "m=video 0 RTP/AVP \r\na=rtpmap:96 H264/90000\r\na=rtpmap:97 H265/90000\r\n".into(),
            " | video 96=h264/90000/1 97=h265/90000/1".into(),
        ),
        (
            "no format in m= and no rtpmap, taken from the fmtp line",
            "m=video\r\na=fmtp:96 packetization-mode=1\r\n".into(),
            " | video 96=h264/90000/1[packetization-mode=1]".into(),
        ),
        ("nothing but m=video", "m=video".into(), " | video".into()),
        ("nothing but m=", "m=\r\n".into(), " | ".into()),
        (
            "rtpmap without a value",
            "m=video 0 RTP/AVP 96\r\na=rtpmap\r\na=rtpmap:\r\na=rtpmap:96\r\na=rtpmap:96 /90000"
                .into(),
            " | video 96=/90000/1".into(),
        ),
        (
            "fmtp of another payload type",
            format!("m=audio 0 RTP/AVP 104\r\n{aac}"),
            " | audio 104=mpeg4-generic/16000/1[mode=AAC-hbr;config=1408]".into(),
        ),
        (
            "fmtp of another payload type where there are two",
            format!("m=audio 0 RTP/AVP 104 0\r\n{aac}"),
            " | audio 104=mpeg4-generic/16000/1 0=pcmu/8000/1".into(),
        ),
        (
            "rtpmap of another payload type",
            "m=video 0 RTP/AVP 96\r\na=rtpmap:97 H265/90000\r\n".into(),
            " | video 96=h265/90000/1".into(),
        ),
        (
            "rtpmap of another payload type beside one that needs none",
            "m=audio 0 RTP/AVP 8\r\na=rtpmap:97 PCMU/16000\r\n".into(),
            " | audio 8=pcma/8000/1".into(),
        ),
        (
            "two rtpmaps for one payload type, and none in m=",
            "m=video 0 RTP/AVP\r\na=rtpmap:96 H264/90000\r\na=rtpmap:96 H265/90000\r\n".into(),
            " | video 96=h264/90000/1".into(),
        ),
        (
            "fmtp without a payload type",
            "m=audio 0 RTP/AVP 96\r\na=rtpmap:96 MP4A-LATM/16000/2\r\na=fmtp:cpresent=0\r\n".into(),
            " | audio 96=mp4a-latm/16000/2[cpresent=0]".into(),
        ),
        (
            "fmtp before rtpmap",
            "m=video 0 RTP/AVP 96\r\na=fmtp:96 x=1\r\na=control:t\r\na=rtpmap:96 H264/90000".into(),
            " | video(t) 96=h264/90000/1[x=1]".into(),
        ),
        (
            "fmtp on two lines",
            "m=video 0 RTP/AVP 96\r\na=fmtp:96 a=1;\r\na=fmtp:96\r\na=fmtp:96 b=2\r\n".into(),
            " | video 96=/90000/1[a=1;;b=2]".into(),
        ),
        (
            "rtpmap and fmtp before any m=",
            format!("a=rtpmap:96 H265/90000\r\na=fmtp:96 x=1\r\n{VIDEO}m=audio 0 RTP/AVP 96\r\n"),
            format!(" | {SHOWN_VIDEO} | audio 96=/8000/1"),
        ),
        (
            "two rtpmaps and two controls",
            "m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMU/16000\r\na=rtpmap:8 PCMA/8000\r\na=control:\r\n\
             a=control:1\r\na=control:2"
                .into(),
            " | audio(1) 8=pcmu/16000/1".into(),
        ),
        (
            "payload types above 127, twice, and no numbers",
            "m=audio 0 RTP/AVP 128 300 8 -1 8 99999999999 x\r\na=rtpmap:128 PCMU/8000\r\n\
             a=fmtp:300 x=1"
                .into(),
            " | audio 8=pcma/8000/1".into(),
        ),
        ("only MJPEG", "m=video 0 RTP/AVP 26\r\n".into(), " | video 26=jpeg/90000/1".into()),
        (
            "payload types without rtpmap",
            "m=audio 0 RTP/AVP 0 8 3 9 14 33 10 2 1 96\r\nm=video 0 RTP/AVP 32 33 0\r\nm=x 0 y 0\r\n"
                .into(),
            " | audio 0=pcmu/8000/1 8=pcma/8000/1 3=gsm/8000/1 9=g722/8000/1 14=mpa/90000/1 \
             33=mp2t/90000/1 10=l16/44100/2 2=g726-32/8000/1 1=/8000/1 96=/8000/1 | video \
             32=mpv/90000/1 33=mp2t/90000/1 0=/90000/1 | x 0=/90000/1"
                .into(),
        ),
        (
            "rtpmap of a payload type with a meaning of its own",
            "m=video 0 RTP/AVP 26\r\na=rtpmap:26 H264/90000\r\n".into(),
            " | video 26=h264/90000/1".into(),
        ),
        (
            "no rtpmap, parameters of H.264",
            "m=video 0 RTP/AVP 96\r\na=fmtp:96 sprop-parameter-sets=Z00=,aO4=\r\n".into(),
            " | video 96=h264/90000/1[sprop-parameter-sets=Z00=,aO4=]".into(),
        ),
        (
            "no rtpmap, parameters of H.265",
            "m=video 0 RTP/AVP 96\r\na=fmtp:96 sprop-vps=QAE=;sprop-sps=QgE=;packetization-mode=1"
                .into(),
            " | video 96=h265/90000/1[sprop-vps=QAE=;sprop-sps=QgE=;packetization-mode=1]".into(),
        ),
        (
            "no rtpmap, and parameters of sound",
            "m=audio 0 RTP/AVP 96\r\na=fmtp:96 packetization-mode=1\r\n".into(),
            " | audio 96=/8000/1[packetization-mode=1]".into(),
        ),
        (
            "a direction for the session",
            format!("{HEAD}a=recvonly\r\n{VIDEO}a=sendrecv\r\nm=audio 0 RTP/AVP 0\r\na=inactive"),
            format!("* | {SHOWN_VIDEO} | audio Inactive 0=pcmu/8000/1")
                .replace("track0)", "track0) SendRecv"),
        ),
    ];
    for (what, sdp, want) in rows {
        assert_eq!(&show(&parse(sdp)), want, "{what}");
    }
}

#[test]
fn encodings_have_one_name_and_clock_rates_are_as_declared() {
    let rows = [
        ("video", "H264/90000", "h264/90000/1"),
        ("video", "H264/30000", "h264/30000/1"),
        ("video", "H264", "h264/90000/1"),
        ("video", "H264/0", "h264/90000/1"),
        ("video", "H264/x", "h264/90000/1"),
        ("video", "H264/99999999999", "h264/90000/1"),
        ("video", "H265/90000", "h265/90000/1"),
        ("video", "HEVC/90000", "h265/90000/1"),
        ("video", "hevc/90000", "h265/90000/1"),
        ("audio", "MPEG4-GENERIC/16000/1", "mpeg4-generic/16000/1"),
        ("audio", "mpeg4-generic/48000/2", "mpeg4-generic/48000/2"),
        ("audio", "Mp4a-Latm/8000", "mp4a-latm/8000/1"),
        ("audio", "PCMA", "pcma/8000/1"),
        ("audio", "pcmU/16000/0", "pcmu/16000/1"),
        ("audio", "PCMA/8000/99999", "pcma/8000/1"),
        ("audio", "G726-32/8000", "g726-32/8000/1"),
        ("application", "vnd.onvif.metadata", "vnd.onvif.metadata/90000/1"),
    ];
    for (kind, rtpmap, want) in rows {
        let format = only(&format!("m={kind} 0 RTP/AVP 97\r\na=rtpmap:97 {rtpmap}\r\n"));
        let Format { encoding, clock_rate, channels, .. } = format;
        assert_eq!(format!("{encoding}/{clock_rate}/{channels}"), want, "{rtpmap}");
    }
    assert_eq!(only("m=audio 0 RTP/AVP 14\r\na=rtpmap:14 MPA").clock_rate, 90_000);
}

#[test]
fn parameters_are_found_whatever_surrounds_them() {
    let format = only(
        "m=video 0 RTP/AVP 96\r\na=fmtp:96 ;; packetization-mode = 1 ;Profile-Level-Id=4d001f;\
         sprop-parameter-sets=Z00AKQ==,aO4xsg==;octet-align; config=\"1408\";empty=; ;\r\n",
    );
    let rows = [
        ("packetization-mode", Some("1")),
        ("profile-level-id", Some("4d001f")),
        ("SPROP-PARAMETER-SETS", Some("Z00AKQ==,aO4xsg==")),
        ("octet-align", Some("")),
        ("config", Some("1408")),
        ("empty", Some("")),
        ("mode", None),
    ];
    for (name, want) in rows {
        assert_eq!(format.parameter(name), want, "{name}");
    }
    assert_eq!(only("m=video 0 RTP/AVP 96\r\n").parameter("x"), None);
    // scottlamb/retina#103
    let format = only("m=video 0 RTP/AVP 96\r\na=fmtp:96 sprop-parameter-sets=Z00=,KO4CXLA=;\r\n");
    assert_eq!(format.parameter("sprop-parameter-sets"), Some("Z00=,KO4CXLA="));
}

#[test]
fn talk_back_is_the_track_whose_direction_differs_from_the_pictures() {
    let rows: &[(&str, &[&str], &[bool])] = &[
        ("ONVIF", &["video", "audio sendonly", "audio"], &[false, true, false]),
        (
            "ONVIF in full",
            &["video recvonly", "audio recvonly", "audio sendonly"],
            &[false, false, true],
        ),
        ("no microphone", &["video", "audio sendonly"], &[false, true]),
        ("everything sendonly", &["video sendonly", "audio sendonly"], &[false, false]),
        (
            "RFC 8866",
            &["video sendonly", "audio sendonly", "audio recvonly"],
            &[false, false, true],
        ),
        ("recvonly alone", &["video sendonly", "audio recvonly"], &[false, false]),
        ("sound told apart", &["video sendonly", "audio", "audio sendonly"], &[false, false, true]),
        ("sound only", &["audio sendonly"], &[false]),
        ("two sounds only", &["audio sendonly", "audio"], &[true, false]),
        ("unsaid", &["video", "audio", "audio"], &[false, false, false]),
        ("inactive", &["video inactive", "audio sendonly", "audio inactive"], &[false; 3]),
        ("pictures sent", &["video sendonly", "video", "application sendonly"], &[false; 3]),
    ];
    for (what, media, want) in rows {
        let lines = media.iter().map(|line| {
            let (kind, direction) = line.split_once(' ').unwrap_or((line, "x"));
            format!("m={kind} 0 RTP/AVP 0\r\na={direction}\r\n")
        });
        let sdp = parse(&lines.collect::<String>());
        let found: Vec<_> = (0..media.len()).map(|i| sdp.is_talk_back(i)).collect();
        assert_eq!(&found, want, "{what}");
        assert!(!sdp.is_talk_back(media.len()));
    }
    let sdp = parse(&format!(
        "{HEAD}{VIDEO}m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendonly\r\na=control:9\r\n\
         m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\na=control:track1\r\n"
    ));
    assert_eq!([0, 1, 2].map(|i| sdp.is_talk_back(i)), [false, true, false]);
}

#[test]
fn what_is_no_description_is_named() {
    let says = |body: &[u8]| Description::parse(body).unwrap_err().to_string();
    assert!(says(b"\r\n <!DOCTYPE html><html>\nm=1\n").contains("web page"));
    for empty in [&b""[..], b" \r\n\0\r\n ", b"\xef\xbb\xbf"] {
        assert_eq!(Description::parse(empty), Err(SdpError::Empty));
    }
    let text = says(b"v=0\r\no=- 1 1 IN IP4\x1b[31m \xff at rtsp://a:canary@b/?password=canary");
    assert!(text.ends_with("\"v=0 o=- 1 1 IN IP4 [31m \u{fffd} at …\""), "{text}");
    let long = Description::parse(&[b'x'; 1000]);
    assert_eq!(long, Err(SdpError::NoMedia("x".repeat(60))));
    let quotes = says(&[b'"'; 1000]);
    assert!(quotes.contains(&"\"".repeat(60)) && quotes.len() < 160, "an escape makes it longer");
}

#[test]
fn no_description_is_long_or_has_many_media() {
    let long = "x".repeat(MAX_BYTES - VIDEO.len() - 2) + "\r\n" + VIDEO;
    assert_eq!(show(&parse(&long)), format!(" | {SHOWN_VIDEO}"));
    assert_eq!(
        Description::parse(format!("{long} ").as_bytes()),
        Err(SdpError::TooLong(MAX_BYTES + 1))
    );
    assert_eq!(parse(&"m=x\n".repeat(MAX_MEDIA)).media.len(), MAX_MEDIA);
    let many = "m=x\n".repeat(MAX_BYTES / 4);
    assert_eq!(Description::parse(many.as_bytes()), Err(SdpError::TooManyMedia));
}

/// Each line costs its own length only, so that bounds on what is kept bound the work.
#[test]
fn a_description_of_one_kind_of_line_keeps_little() {
    let fill = |line: &dyn Fn(usize) -> String| {
        let mut sdp = "m=video 0 RTP/AVP\n".to_owned();
        for n in 0.. {
            let line = line(n);
            if sdp.len() + line.len() > MAX_BYTES {
                return parse(&sdp).media.remove(0);
            }
            sdp += &line;
        }
        unreachable!()
    };
    let rtpmaps = fill(&|n| format!("a=rtpmap:{} x/1\n", n % 128));
    assert_eq!((rtpmaps.formats.len(), rtpmaps.formats[31].payload_type), (MAX_FORMATS, 31));
    assert_eq!(fill(&|n| format!("a=fmtp:{} x\n", n % 128)).formats.len(), MAX_FORMATS);
    let fmtp = fill(&|_| "a=fmtp:96 x\n".to_owned()).formats.remove(0).fmtp.unwrap();
    assert!((MAX_VALUE - 2..=MAX_VALUE).contains(&fmtp.len()), "{}", fmtp.len());

    let types: String = (0..MAX_BYTES / 5).map(|n| format!(" {}", 10 + n % 118)).collect();
    for endless in [format!("m=video 0 RTP/AVP{types}"), format!("m=video 0 RTP/AVP {types}")] {
        let sdp = parse(&endless[..endless.len().min(MAX_BYTES)]);
        assert_eq!(sdp.media[0].formats.len(), MAX_FORMATS);
    }
    let name = parse(&format!("m={}", "x".repeat(MAX_BYTES - 2))).media.remove(0).name;
    assert_eq!(name.len(), 64);
    let endless = format!("m=video 0 RTP/AVP 96\na=control:{}", "x".repeat(MAX_VALUE));
    assert_eq!(parse(&endless).media[0].control, None);
}

fn check(body: &[u8]) -> Result<(), TestCaseError> {
    match Description::parse(body) {
        Ok(sdp) => {
            prop_assert!(!sdp.media.is_empty() && sdp.media.len() <= MAX_MEDIA);
            for (i, media) in sdp.media.iter().enumerate() {
                sdp.is_talk_back(i);
                prop_assert!(media.formats.len() <= MAX_FORMATS && media.name.len() <= 64);
                let control = media.control.iter().chain(&sdp.control);
                let fmtp = media.formats.iter().filter_map(|format| format.fmtp.as_ref());
                for kept in control.chain(fmtp) {
                    prop_assert!(kept.len() <= MAX_VALUE && !kept.contains(char::is_control));
                }
                for format in &media.formats {
                    format.parameter("config");
                    prop_assert!(format.payload_type < 128 && format.clock_rate > 0);
                    prop_assert!(format.channels > 0 && format.encoding.len() <= 64);
                }
            }
        }
        Err(error) => {
            let text = error.to_string();
            prop_assert!(text.chars().count() < 160 && !text.contains(char::is_control));
        }
    }
    Ok(())
}

fn good() -> Vec<u8> {
    let sound = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/2\r\na=sendonly\r\n\
        a=fmtp:97 mode=AAC-hbr;sizelength=13;config=1408\r\na=control:track1\r\n";
    format!("{HEAD}{VIDEO}{sound}").into_bytes()
}

#[test]
fn any_byte_may_be_cut_doubled_or_missing() {
    let good = good();
    for at in 0..good.len() {
        check(&good[..at]).unwrap();
        check(&good[at..]).unwrap();
        let without = [&good[..at], &good[at + 1..]].concat();
        check(&without).unwrap();
        check(&[&good[..=at], &good[at..]].concat()).unwrap();
    }
}

proptest! {
    #[test]
    fn anything_at_all_is_survived(body in proptest::collection::vec(any::<u8>(), 0..600)) {
        check(&body)?;
    }

    #[test]
    fn anything_that_looks_like_lines_is_survived(
        lines in proptest::collection::vec(
            ("[ma]=(rtpmap|fmtp|control|video|audio|sendonly|)[: ]?", "[ -~\u{80}\\t]{0,40}"), 0..40,
        ),
    ) {
        let body: String = lines.iter().map(|(a, b)| format!("{a}{b}\n")).collect();
        check(body.as_bytes())?;
    }

    #[test]
    fn one_wrong_byte_is_survived(at in any::<proptest::sample::Index>(), byte: u8, put: bool) {
        let mut body = good();
        let at = at.index(body.len());
        if put { body.insert(at, byte) } else { body[at] = byte }
        check(&body)?;
        // Only an m= line costs a media, and only a page begins like one.
        let media = Description::parse(&body).map_or(0, |sdp| sdp.media.len());
        prop_assert!((1..=3).contains(&media) || body[0] == b'<');
    }
}
