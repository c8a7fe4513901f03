//! A session description: what is understood is bounded, and survives being written and read again.
#![no_main]

use std::fmt::Write as _;

use ivt_media::rtsp::sdp::{
    Description, Direction, Format, MAX_FORMATS, MAX_MEDIA, MediaDescription,
};
use ivt_media::rtsp::tracks;
use libfuzzer_sys::fuzz_target;

const PARAMETERS: [&str; 5] =
    ["sprop-parameter-sets", "config", "mode", "SIZELENGTH", "packetization-mode"];

fuzz_target!(|body: &[u8]| {
    let description = match Description::parse(body) {
        Ok(description) => description,
        Err(error) => {
            let text = error.to_string();
            assert!(text.len() < 1000 && !text.contains(char::is_control), "{text:?}");
            return;
        }
    };
    assert!((1..=MAX_MEDIA).contains(&description.media.len()));
    for (number, media) in description.media.iter().enumerate() {
        assert!(media.formats.len() <= MAX_FORMATS);
        description.is_talk_back(number);
        for format in &media.formats {
            assert!(format.payload_type < 128 && format.clock_rate > 0);
            for name in PARAMETERS {
                let value = format.parameter(name);
                assert!(value.is_none_or(|value| value.trim() == value));
            }
        }
    }
    if let Err(nothing) = tracks::choose(&description) {
        assert!(nothing.len() < 1000 && !nothing.contains(char::is_control), "{nothing:?}");
    }
    // Control characters are left out, and each byte that is no UTF-8 becomes a character of three
    // bytes.
    let plain = |c: char| matches!(c, '\r' | '\n') || !c.is_control();
    if body.len() < 2000 && String::from_utf8_lossy(body).chars().all(plain) {
        let text = write(&description);
        assert_eq!(Description::parse(text.as_bytes()).as_ref(), Ok(&description), "{text}");
    }
});

fn write(description: &Description) -> String {
    let mut text = "v=0\n".to_owned();
    if let Some(control) = &description.control {
        writeln!(text, "a=control:{control}").expect("a string");
    }
    for media in &description.media {
        write_media(&mut text, media).expect("a string");
    }
    text
}

fn write_media(text: &mut String, media: &MediaDescription) -> std::fmt::Result {
    // A control character alone makes a word of the line, and no name.
    let name = if media.name.is_empty() { "\u{1}" } else { &media.name };
    write!(text, "m={name} 0 RTP/AVP")?;
    for format in &media.formats {
        write!(text, " {}", format.payload_type)?;
    }
    writeln!(text)?;
    for format in &media.formats {
        let Format { payload_type: number, encoding, clock_rate, channels, .. } = format;
        if !encoding.is_empty() {
            writeln!(text, "a=rtpmap:{number} {encoding}/{clock_rate}/{channels}")?;
        }
        if let Some(fmtp) = &format.fmtp {
            writeln!(text, "a=fmtp:{number} {fmtp}")?;
        }
    }
    if let Some(control) = &media.control {
        writeln!(text, "a=control:{control}")?;
    }
    let direction = match media.direction {
        Direction::Unsaid => return Ok(()),
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    };
    writeln!(text, "a={direction}")
}
