//! Chooses the tracks that are pulled: the first picture of a description that the agent carries,
//! and the first sound that it carries and that is no talk-back.

use ivt_base::text::shorten;

use crate::frame::VideoCodec;
use crate::rtp::audio::Audio;
use crate::rtp::video::Video;

use super::sdp::{Description, Direction, Format, MediaKind};

/// The tracks to be set up; at least one.
pub struct Tracks {
    /// The picture.
    pub video: Option<Chosen<Video>>,
    /// The sound.
    pub audio: Option<Chosen<Audio>>,
    /// Why there is no sound although the camera describes some.
    pub soundless: Option<String>,
}

/// A track, and what makes frames of its packets.
pub struct Chosen<D> {
    /// Control of the track, as described.
    pub control: Option<String>,
    /// Payload type of the track's packets.
    pub payload_type: u8,
    /// Ticks per second of the track's timestamps.
    pub clock_rate: u32,
    /// What makes frames of the packets.
    pub depacketizer: D,
}

/// Chooses the tracks of a description.
///
/// # Errors
///
/// There is nothing the agent can carry. The text tells a person what the camera offers instead.
pub fn choose(description: &Description) -> Result<Tracks, String> {
    let (audio, soundless) = sound(description);
    let tracks = Tracks { video: picture(description), audio, soundless };
    if tracks.video.is_none() && tracks.audio.is_none() {
        return Err(nothing(description));
    }
    Ok(tracks)
}

fn picture(description: &Description) -> Option<Chosen<Video>> {
    let videos = description.media.iter().filter(|media| media.kind == MediaKind::Video);
    videos.filter(|media| media.direction != Direction::Inactive).find_map(|media| {
        media.formats.iter().find_map(|format| {
            let depacketizer = video(format)?;
            Some(chosen(media.control.as_ref(), format, format.clock_rate, depacketizer))
        })
    })
}

fn video(format: &Format) -> Option<Video> {
    let (codec, sets): (_, &[&str]) = match &*format.encoding {
        "h264" => (VideoCodec::H264, &["sprop-parameter-sets"]),
        "h265" | "hevc" => (VideoCodec::H265, &["sprop-vps", "sprop-sps", "sprop-pps"]),
        _ => return None,
    };
    let mut video = Video::new(codec);
    sets.iter().filter_map(|name| format.parameter(name)).for_each(|sets| video.describe(sets));
    let distance = format.parameter("sprop-max-don-diff").and_then(|n| n.parse::<u32>().ok());
    video.with_don(distance.is_some_and(|distance| distance > 0));
    Some(video)
}

/// The sound, or why there is none.
fn sound(description: &Description) -> (Option<Chosen<Audio>>, Option<String>) {
    let mut soundless = None;
    for (number, media) in description.media.iter().enumerate() {
        if media.kind != MediaKind::Audio || media.direction == Direction::Inactive {
            continue;
        }
        if description.is_talk_back(number) {
            soundless.get_or_insert_with(|| "its only sound is a talk-back channel".to_owned());
            continue;
        }
        for format in &media.formats {
            let made = Audio::new(&format.encoding, format.clock_rate, format.channels, &|name| {
                format.parameter(name)
            });
            match made {
                Ok(audio) => {
                    let rate = audio.clock_rate();
                    return (Some(chosen(media.control.as_ref(), format, rate, audio)), None);
                }
                Err(unsupported) => soundless = Some(shorten(&unsupported.to_string())),
            }
        }
    }
    (None, soundless)
}

fn chosen<D>(
    control: Option<&String>,
    format: &Format,
    clock_rate: u32,
    depacketizer: D,
) -> Chosen<D> {
    let (control, payload_type) = (control.cloned(), format.payload_type);
    Chosen { control, payload_type, clock_rate, depacketizer }
}

fn nothing(description: &Description) -> String {
    let offered = description.media.iter().map(|media| {
        let encodings = media.formats.iter().map(|format| &*format.encoding);
        format!("{}/{}", media.name, encodings.collect::<Vec<_>>().join("+"))
    });
    let offered = offered.collect::<Vec<_>>().join(", ");
    shorten(&format!(
        "it offers [{offered}], expected H.264 or H.265, or sound alone as AAC or G.711: change its \
         encoding, or the path of its address"
    ))
}
