//! Descriptions as cameras of the field write them, made from a right one.

use super::{Quirk, Quirks, hostile};

/// What a description needs besides the text of the right one.
pub struct Place<'a> {
    /// `rtsp://host:port` as the client knows the camera.
    pub root: &'a str,
}

/// The description that the camera sends instead of `sdp`.
pub fn describe(quirks: &Quirks, sdp: &str, place: &Place<'_>) -> Vec<u8> {
    let mut sdp = sound(quirks, pictures(quirks, Media::split(sdp), place)).join();
    let has = |quirk| quirks.has(quirk);
    if has(Quirk::SdpOaddr) {
        sdp =
            sdp.replacen("o=- 1 1 IN IP4 127.0.0.1", "o=Channel1 3910280086 3910366486 IN IP4", 1);
    }
    if has(Quirk::SdpUpper) {
        for (usual, other) in [
            (" H264/", " h264/"),
            ("sprop-parameter-sets=", "SPROP-PARAMETER-SETS="),
            ("MPEG4-GENERIC", "mpeg4-generic"),
            ("sizelength=", "SizeLength="),
            ("indexlength=", "IndexLength="),
            ("config=", "Config="),
        ] {
            sdp = sdp.replace(usual, other);
        }
    }
    if has(Quirk::SdpNoEquals) {
        sdp = sdp.replacen("t=0 0\r\n", "t=0 0\r\nnonsense\r\n\r\na\r\n=\r\n", 1);
    }
    if has(Quirk::SdpSpaces) {
        let lines = sdp.lines().map(|line| format!("\t {line}  \r\n\r\n"));
        sdp = "\u{feff}".to_owned() + &lines.collect::<String>();
    }
    let mut bytes = match () {
        () if has(Quirk::SdpNul) => (sdp.replace("\r\n", "\n") + "\0").into_bytes(),
        () if has(Quirk::SdpCr) => sdp.replace("\r\n", "\r").into_bytes(),
        () if has(Quirk::SdpEmpty) => Vec::new(),
        () => sdp.into_bytes(),
    };
    if has(Quirk::SdpLatin)
        && let Some(at) = bytes.windows(4).position(|w| w == b"\r\ns=")
    {
        bytes.splice(at + 4..at + 4, *b"Kamera T\xfcr \xff\xfe ");
    }
    if has(Quirk::SdpHuge) {
        hostile::pad_sdp(&mut bytes);
    }
    bytes
}

/// A description, split into its sections.
struct Media {
    session: Vec<String>,
    /// The lines of each medium, beginning with `m=`.
    media: Vec<Vec<String>>,
}

impl Media {
    fn split(sdp: &str) -> Self {
        let mut all = Self { session: Vec::new(), media: Vec::new() };
        for line in sdp.lines() {
            if line.starts_with("m=") {
                all.media.push(Vec::new());
            }
            all.media.last_mut().unwrap_or(&mut all.session).push(line.to_owned());
        }
        all
    }

    fn join(self) -> String {
        let lines = self.session.into_iter().chain(self.media.into_iter().flatten());
        lines.map(|line| line + "\r\n").collect()
    }

    /// Removes the sound.
    fn mute(&mut self) {
        self.media.retain(|lines| !is(lines, "m=audio"));
    }

    fn video(&mut self) -> Option<&mut Vec<String>> {
        self.media.iter_mut().find(|lines| is(lines, "m=video"))
    }
}

fn is(lines: &[String], medium: &str) -> bool {
    lines.first().is_some_and(|line| line.starts_with(medium))
}

fn lines(text: &[&str]) -> Vec<String> {
    text.iter().map(|line| (*line).to_owned()).collect()
}

/// Changes the section of pictures, and what is around it.
fn pictures(quirks: &Quirks, mut sdp: Media, place: &Place<'_>) -> Media {
    let has = |quirk| quirks.has(quirk);
    if quirks.has_any(&[
        Quirk::SdpBare,
        Quirk::SdpCin,
        Quirk::SdpNull,
        Quirk::SdpMacro,
        Quirk::SdpNoControl,
    ]) {
        sdp.mute();
    }
    if has(Quirk::SdpBare) {
        sdp.session.clear();
        let keep =
            |line: &String| ["m=", "a=rtpmap", "a=control"].iter().any(|p| line.starts_with(p));
        sdp.media.iter_mut().for_each(|lines| lines.retain(keep));
    }
    if has(Quirk::SdpMacro) {
        let head = ["v=0", "s=streamed by the macro-video rtsp server", "t=0 0", "a=control:*"];
        sdp.session = lines(&head);
        sdp.session.extend(lines(&["a=range:npt=0-", "c=IN IP4 0.0.0.0"]));
        if let Some(video) = sdp.video() {
            video.insert(1, "b=AS:500".to_owned());
        }
    }
    if has(Quirk::SdpNull) {
        sdp.session.insert(2, "i=".to_owned());
        sdp.media.push(lines(&[
            "m=audio 0 RTP/AVP (null)",
            "c=IN IP4 0.0.0.0",
            "b=AS:64",
            "a=rtpmap",
            "a=control:track=2",
        ]));
    }
    if has(Quirk::SdpCin) {
        cut_short(&mut sdp, place);
    }
    if let Some(video) = sdp.video() {
        format(quirks, video);
        if has(Quirk::SdpOrder) {
            video[1..].reverse();
        }
        if has(Quirk::SdpNoControl) {
            video.retain(|line| !line.starts_with("a=control"));
        }
        if has(Quirk::SdpTwoFormats) {
            video[0] = video[0].replacen("RTP/AVP ", "RTP/AVP 98 ", 1);
        }
        if has(Quirk::SdpNoFormat) {
            *video = lines(&["m=video 0 RTP/AVP ", "a=control:trackID=0"]);
        }
        if has(Quirk::Mjpeg) {
            *video = lines(&["m=video 0 RTP/AVP 26", "a=control:trackID=0"]);
        }
    }
    if quirks.has_any(&[Quirk::Mjpeg, Quirk::SdpNoFormat]) {
        sdp.mute();
    }
    if has(Quirk::SdpNoControl) {
        sdp.session.retain(|line| !line.starts_with("a=control"));
    }
    let unknown = ["m=application 0 RTP/AVP 107", "a=rtpmap:107 vnd.onvif.metadata/90000"];
    let count = if has(Quirk::SdpManyMedia) { 5000 } else { 2 * usize::from(has(Quirk::SdpOrder)) };
    sdp.media.splice(0..0, (0..count).map(|_| lines(&unknown)));
    sdp
}

/// Uniview's description: lines that end too early, absolute addresses, a track of metadata.
fn cut_short(sdp: &mut Media, place: &Place<'_>) {
    sdp.session = lines(&["v=0", "o=- 1001 1 IN", "s=VCP IPC Realtime stream"]);
    let root = place.root;
    if let Some(video) = sdp.video() {
        video.retain(|line| !line.starts_with("a=control"));
        video.insert(1, "c=IN".to_owned());
        video.insert(2, format!("a=control:{root}/media/video1/video"));
        video.push("a=recvonly".to_owned());
    }
    let mut metadata = lines(&["m=application 0 RTP/AVP 107", "c=IN"]);
    metadata.push(format!("a=control:{root}/media/video1/metadata"));
    metadata.extend(lines(&[
        "a=rtpmap:107 vnd.onvif.metadata/90000",
        "a=fmtp:107 DecoderTag=h3c-v3 RTCP=0",
        "a=recvonly",
    ]));
    sdp.media.push(metadata);
}

/// Changes the parameter sets in the format of the pictures.
fn format(quirks: &Quirks, video: &mut Vec<String>) {
    let Some(at) = video.iter().position(|line| line.starts_with("a=fmtp:")) else { return };
    if quirks.has(Quirk::SpropNone) || quirks.has(Quirk::HevcAp) {
        video.remove(at);
        return;
    }
    let Some((head, sets)) = video[at].split_once("sprop-parameter-sets=") else { return };
    let (head, sets) = (head.to_owned(), sets.to_owned());
    let sets = match () {
        () if quirks.has(Quirk::SpropBad) => "6QBkAB6s,6QDuPIA=".to_owned(),
        // A start code of four bytes changes all of the base64 text, so it is put before the bytes and these
        // are encoded anew.
        () if quirks.has(Quirk::SpropAnnexb) => {
            sets.split(',').map(with_start_code).collect::<Vec<_>>().join(",")
        }
        () if quirks.has(Quirk::SpropSemi) => sets + ";",
        () => return,
    };
    video[at] = format!("{head}sprop-parameter-sets={sets}");
}

fn with_start_code(set: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    let set = BASE64.decode(set).unwrap_or_default();
    BASE64.encode([&[0, 0, 0, 1], &set[..]].concat())
}

/// Changes the section of sound.
fn sound(quirks: &Quirks, mut sdp: Media) -> Media {
    let has = |quirk| quirks.has(quirk);
    let Some(at) = sdp.media.iter().position(|lines| is(lines, "m=audio")) else { return sdp };
    let control = "a=control:trackID=1";
    let plain: Option<&[&str]> = match () {
        () if has(Quirk::Pcma) => Some(&["m=audio 0 RTP/AVP 8", "a=rtpmap:8 PCMA/8000", control]),
        () if has(Quirk::G711Wide) => {
            Some(&["m=audio 0 RTP/AVP 97", "a=rtpmap:97 PCMU/16000", control])
        }
        () if has(Quirk::G726) => {
            Some(&["m=audio 0 RTP/AVP 97", "a=rtpmap:97 G726-32/8000", control])
        }
        () if has(Quirk::Mp2) => Some(&["m=audio 0 RTP/AVP 14", control]),
        () => None,
    };
    let audio = &mut sdp.media[at];
    if let Some(plain) = plain {
        *audio = lines(plain);
    }
    for line in audio.iter_mut() {
        if has(Quirk::AacFmtpPt) {
            *line = line.replacen("a=fmtp:104", "a=fmtp:97", 1);
        }
        if has(Quirk::AacRate) && line.starts_with("a=rtpmap") {
            *line = line.replacen("/16000", "/8000", 1);
        }
        if has(Quirk::AacInterleaved) && line.starts_with("a=fmtp") {
            line.push_str("; constantDuration=1024; maxDisplacement=6");
        }
        if has(Quirk::AacLatm) {
            *line = line.replacen("MPEG4-GENERIC", "MP4A-LATM", 1);
            if let Some((_, config)) = line.split_once("config=") {
                let config = stream_mux_config(config.trim());
                *line =
                    format!("a=fmtp:97 profile-level-id=15; object=2; cpresent=0; config={config}");
            }
        }
    }
    if has(Quirk::Backchannel) {
        let talk =
            ["m=audio 0 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=sendonly", "a=control:trackID=9"];
        sdp.media.insert(at, lines(&talk));
    }
    sdp
}

/// The `StreamMuxConfig` (ISO/IEC 14496-3 1.7.3) of an `AudioSpecificConfig`, both in hexadecimal.
fn stream_mux_config(config: &str) -> String {
    let digits = config.chars().filter_map(|digit| digit.to_digit(16));
    // The fields are: version 0, same time framing, one subframe, one program, one layer.
    let mut bits: String = "0".to_owned() + "1" + "000000" + "0000" + "000";
    digits.for_each(|digit| bits.push_str(&format!("{digit:04b}")));
    bits.push_str("000"); // Frame length type.
    bits.push_str("11111111"); // Buffer fullness.
    bits.push_str("00"); // No other data, no checksum.
    while !bits.len().is_multiple_of(8) {
        bits.push('0');
    }
    let nibbles = bits.as_bytes().chunks(4).map(|nibble| {
        let value = nibble.iter().fold(0u32, |value, bit| value << 1 | u32::from(*bit == b'1'));
        char::from_digit(value, 16).unwrap_or('0')
    });
    nibbles.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera-sim\r\nt=0 0\r\na=control:*\r\n\
        m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
        a=fmtp:96 packetization-mode=1; sprop-parameter-sets=ZwE=,aA==\r\na=control:trackID=0\r\n\
        m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\n\
        a=fmtp:97 mode=AAC-hbr; config=1408\r\na=control:trackID=1\r\n";

    fn told(quirk: Quirk) -> String {
        let place = Place { root: "rtsp://cam:554" };
        String::from_utf8_lossy(&describe(&quirk.into(), SDP, &place)).into_owned()
    }

    #[test]
    fn a_quirk_of_another_kind_leaves_the_description_alone() {
        assert_eq!(told(Quirk::Busy), SDP);
    }

    #[test]
    fn parameter_sets_are_told_as_the_quirk_has_them() {
        assert!(told(Quirk::SpropSemi).contains("=ZwE=,aA==;\r\n"));
        assert!(told(Quirk::SpropAnnexb).contains("=AAAAAWcB,AAAAAWg=\r\n"));
        assert!(told(Quirk::SpropBad).contains("=6QBkAB6s,6QDuPIA=\r\n"));
        assert!(!told(Quirk::SpropNone).contains("sprop"));
        assert!(
            told(Quirk::SdpUpper).contains("h264/90000") && told(Quirk::SdpUpper).contains("SPROP")
        );
    }

    #[test]
    fn lines_are_missing_cut_or_more_than_wanted() {
        let bare = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n";
        assert_eq!(told(Quirk::SdpBare), bare);
        let cin = told(Quirk::SdpCin);
        assert!(cin.contains("o=- 1001 1 IN\r\n") && cin.contains("\r\nc=IN\r\n"));
        assert!(cin.contains("a=control:rtsp://cam:554/media/video1/video\r\n"));
        assert!(told(Quirk::SdpOaddr).contains("3910366486 IN IP4\r\n"));
        assert!(told(Quirk::SdpNull).contains("(null)\r\n"));
        assert!(!told(Quirk::SdpMacro).contains("o="));
        assert!(told(Quirk::SdpNul).ends_with("trackID=1\n\0"));
        assert!(told(Quirk::SdpNoEquals).contains("nonsense\r\n"));
        assert!(told(Quirk::SdpNoFormat).contains("m=video 0 RTP/AVP \r\n"));
        assert_eq!(told(Quirk::SdpManyMedia).matches("m=").count(), 5002);
        assert!(told(Quirk::SdpHuge).len() > 20_000_000);
        assert!(!told(Quirk::SdpNoControl).contains("control"));
        let order = told(Quirk::SdpOrder);
        assert!(order.find("a=fmtp:96") < order.find("a=rtpmap:96"));
        assert!(describe(&Quirk::SdpLatin.into(), SDP, &Place { root: "" }).contains(&0xfc));
    }

    #[test]
    fn sound_is_described_as_the_quirk_has_it() {
        assert!(told(Quirk::AacRate).contains("MPEG4-GENERIC/8000/1"));
        assert!(told(Quirk::G726).contains("a=rtpmap:97 G726-32/8000\r\n"));
        assert!(told(Quirk::G711Wide).contains("PCMU/16000"));
        let talk = told(Quirk::Backchannel);
        assert!(talk.find("a=sendonly") < talk.find("MPEG4-GENERIC"));
        // The bits are 0 1 000000 0000 000, 0001 0100 0000 1000, 000 11111111 00 and padding.
        assert!(
            told(Quirk::AacLatm).contains("cpresent=0; config=400028103fc0\r\n"),
            "{}",
            told(Quirk::AacLatm)
        );
    }
}
