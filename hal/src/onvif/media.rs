//! The media profiles of a camera, and which of them are its main and its sub stream.

use std::cmp::Reverse;

use ivt_base::text;

use super::client::{Client, Service};
use super::services::Services;
use crate::xml::Element;
use crate::{Error, Kind, MOST_NAMED, Result, Stream};

/// One media profile. Text that the camera does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaProfile {
    /// How the camera knows it.
    pub token: String,
    /// For people to read.
    pub name: String,
    /// The encoding of the picture in the camera's words, such as `H264`.
    pub codec: String,
    /// Pixels in a row; 0 without a picture.
    pub width: u32,
    /// Rows of pixels; 0 without a picture.
    pub height: u32,
    /// Bits per second that the encoder is limited to; `None` is unknown.
    pub bitrate: Option<u32>,
    /// The number of its video input, from 1; 0 without one.
    pub input: u16,
    /// The PTZ configuration of the profile.
    pub(super) ptz: Option<PtzConfiguration>,
    /// The token of the video input.
    source: String,
    /// Tokens of its configurations of the video source and of what looks at the picture.
    configurations: [String; 2],
}

/// The PTZ configuration of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PtzConfiguration {
    pub(super) token: String,
    /// The space of velocities that is meant where a movement names none, of pan and tilt, and of zoom.
    pub(super) default_spaces: [String; 2],
}

/// The profiles of one video input.
#[derive(Debug)]
pub(super) struct Media {
    /// Which service told of the profiles.
    pub(super) service: Service,
    pub(super) profiles: Vec<MediaProfile>,
    input: u16,
}

impl MediaProfile {
    /// Whether a camera can be moved with it.
    pub fn has_ptz(&self) -> bool {
        self.ptz.is_some()
    }

    fn area(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Reads a profile of either edition of the media service.
    fn read(profile: &Element) -> Option<Self> {
        let either = |old: &str, new: &str| {
            profile.child(old).or_else(|| profile.find(&format!("Configurations/{new}")))
        };
        let token = profile.attribute("token").filter(|token| !token.trim().is_empty())?;
        let video = either("VideoEncoderConfiguration", "VideoEncoder");
        let at = |path| video.map_or("", |video| video.text_at(path));
        let number = |path| at(path).parse().unwrap_or(0);
        let kilobits = at("RateControl/BitrateLimit").parse::<f64>().unwrap_or(0.0);
        let source = either("VideoSourceConfiguration", "VideoSource");
        let ptz = either("PTZConfiguration", "PTZ").map(|ptz| PtzConfiguration {
            token: ptz.attribute("token").unwrap_or_default().to_owned(),
            default_spaces: ["PanTilt", "Zoom"].map(|axes| {
                ptz.text_at(&format!("DefaultContinuous{axes}VelocitySpace")).to_owned()
            }),
        });
        Some(Self {
            token: token.to_owned(),
            name: text::name(profile.text_at("Name")),
            codec: text::name(at("Encoding")),
            width: number("Resolution/Width"),
            height: number("Resolution/Height"),
            // A rate of zero is none.
            bitrate: (1.0..4_000_000.0).contains(&kilobits).then_some((kilobits * 1000.0) as u32),
            input: 0,
            ptz,
            source: source.map_or_else(String::new, |one| one.text_at("SourceToken").to_owned()),
            configurations: [source, either("VideoAnalyticsConfiguration", "Analytics")]
                .map(|one| one.and_then(|one| one.attribute("token")).unwrap_or_default().into()),
        })
    }
}

impl Media {
    /// Asks the later edition of the media service, which alone knows H.265, and the earlier one where the later is
    /// missing, fails, or tells of no picture. `input` is the number of the video input, from 1.
    ///
    /// # Errors
    /// `Unsupported` from a camera without a media service or such an input, `Refused`, `Offline`, `Timeout` or
    /// `Other`.
    pub(super) async fn ask(
        client: &Client,
        services: &Services,
        op: &'static str,
        input: u16,
    ) -> Result<Self> {
        let ask = async |service, body| {
            let at = services.require(op, service)?;
            let call = super::client::Call { op, at, service, action: "GetProfiles", body };
            client.call(call).await.map(|answer| read(&answer))
        };
        let mut media = Self { service: Service::Media2, profiles: Vec::new(), input };
        if services.at(Service::Media2).is_some() {
            match ask(Service::Media2, "<Type>All</Type>").await {
                Ok(profiles) if profiles.iter().any(|profile| profile.area() > 0) => {
                    media.profiles = profiles;
                }
                Err(error) if matches!(error.kind, Kind::Offline | Kind::Timeout) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        let lacks_ptz = services.at(Service::Ptz).is_some()
            && !media.profiles.iter().any(MediaProfile::has_ptz);
        if media.profiles.is_empty() {
            media =
                Self { service: Service::Media, profiles: ask(Service::Media, "").await?, input };
        } else if lacks_ptz && services.at(Service::Media).is_some() {
            // Some cameras tell of PTZ in the earlier edition alone.
            for old in ask(Service::Media, "").await.unwrap_or_default() {
                let same = media.profiles.iter_mut().find(|new| new.token == old.token);
                if let Some(new) = same {
                    new.ptz = old.ptz;
                }
            }
        }
        let inputs = number_inputs(&mut media.profiles);
        match inputs < input && input > 1 {
            true => Err(Error::new(op, Kind::Unsupported)),
            false => Ok(media),
        }
    }

    /// The profile of a stream. The main stream is the largest picture; the sub stream is the largest of at most a
    /// quarter of its area, else the smallest, and the main stream where there is only one.
    pub(super) fn stream(&self, stream: Stream) -> Option<&MediaProfile> {
        let pictures = || self.own().filter(|profile| profile.area() > 0);
        let is_video = |profile: &&MediaProfile| {
            !["JPEG", "MJPEG", "MPEG4", "MPV4-ES"].contains(&&*profile.codec.to_ascii_uppercase())
        };
        // Where all is equal, the first in the camera's order is the main stream.
        let size = |profile: &&MediaProfile| (profile.area(), profile.bitrate.unwrap_or(0));
        let order = |profile: &&MediaProfile| {
            (is_video(profile), size(profile), is_widespread(&profile.codec))
        };
        let main = pictures().min_by_key(|profile| Reverse(order(profile)))?;
        if stream == Stream::Main {
            return Some(main);
        }
        let smaller = || {
            pictures().filter(|profile| {
                is_video(profile) == is_video(&main) && size(profile) < size(&main)
            })
        };
        let quarter = smaller().filter(|profile| profile.area() * 4 <= main.area());
        let quarter = quarter.min_by_key(|profile| Reverse(order(profile)));
        quarter.or_else(|| smaller().min_by_key(size)).or(Some(main))
    }

    /// The profile to move the camera with: that of the main stream where it can, else the first that can.
    pub(super) fn mover(&self) -> Option<&MediaProfile> {
        let main = self.stream(Stream::Main).filter(|profile| profile.has_ptz());
        main.or_else(|| self.own().find(|profile| profile.has_ptz()))
    }

    /// The numbers of the video inputs that have this token, or a configuration or profile with it.
    pub(super) fn inputs_of(&self, token: &str) -> impl Iterator<Item = u16> {
        let named = self.profiles.iter().filter(move |profile| {
            let [video, analytics] = &profile.configurations;
            [&profile.source, video, analytics, &profile.token].into_iter().any(|one| one == token)
        });
        named.map(|profile| profile.input.max(1))
    }

    /// Whether the device has one video input at most.
    pub(super) fn is_single(&self) -> bool {
        self.profiles.iter().all(|profile| profile.input <= 1)
    }

    /// The number of this video input, from 1.
    pub(super) fn input(&self) -> u16 {
        self.input.max(1)
    }

    /// The profiles of the input. Those without any input belong to the first.
    fn own(&self) -> impl Iterator<Item = &MediaProfile> {
        let input = self.input.max(1);
        self.profiles.iter().filter(move |profile| profile.input.max(1) == input)
    }
}

/// Whether every player knows an encoding.
fn is_widespread(codec: &str) -> bool {
    codec.eq_ignore_ascii_case("H264")
}

/// The profiles of an answer. One whose token came before is left out.
fn read(answer: &Element) -> Vec<MediaProfile> {
    let mut profiles: Vec<MediaProfile> = Vec::new();
    for profile in answer.children("Profiles").filter_map(MediaProfile::read) {
        if profiles.len() < MOST_NAMED && !profiles.iter().any(|one| one.token == profile.token) {
            profiles.push(profile);
        }
    }
    profiles
}

/// Numbers the video inputs from 1 in the order in which they come. Returns how many there are.
fn number_inputs(profiles: &mut [MediaProfile]) -> u16 {
    let mut inputs: Vec<String> = Vec::new();
    for profile in profiles.iter_mut().filter(|profile| !profile.source.is_empty()) {
        let known = inputs.iter().position(|source| *source == profile.source);
        let at = known.unwrap_or_else(|| {
            inputs.push(profile.source.clone());
            inputs.len() - 1
        });
        profile.input = u16::try_from(at + 1).unwrap_or(u16::MAX);
    }
    u16::try_from(inputs.len()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(rows: &[(&str, u32, u32, &str, &str)], input: u16) -> Media {
        let mut profiles: Vec<_> = rows
            .iter()
            .map(|(token, width, height, codec, source)| MediaProfile {
                token: (*token).to_owned(),
                width: *width,
                height: *height,
                codec: (*codec).to_owned(),
                source: (*source).to_owned(),
                ..MediaProfile::default()
            })
            .collect();
        number_inputs(&mut profiles);
        Media { service: Service::Media, profiles, input }
    }

    fn streams(media: &Media) -> [Option<&str>; 2] {
        [Stream::Main, Stream::Sub].map(|stream| media.stream(stream).map(|one| &*one.token))
    }

    #[test]
    fn main_and_sub_are_told_by_their_size() {
        for (rows, main, sub) in [
            (&[("s", 640, 360, "H264", ""), ("m", 1920, 1080, "H264", "")][..], "m", "s"),
            (&[("m", 640, 360, "H264", "")], "m", "m"),
            (
                &[
                    ("m", 1920, 1080, "H264", ""),
                    ("x", 1280, 720, "H264", ""),
                    ("s", 640, 360, "H264", ""),
                    ("t", 176, 144, "H264", ""),
                ],
                "m",
                "s",
            ),
            (&[("m", 1280, 720, "H264", ""), ("s", 960, 540, "H264", "")], "m", "s"),
            (
                &[
                    ("j", 3840, 2160, "JPEG", ""),
                    ("m", 1280, 720, "H265", ""),
                    ("s", 640, 360, "H264", ""),
                ],
                "m",
                "s",
            ),
            (&[("a", 1280, 720, "H265", ""), ("b", 1280, 720, "H264", "")], "b", "b"),
            (&[("a", 1280, 720, "H264", ""), ("b", 1280, 720, "H264", "")], "a", "a"),
            (&[("j", 1280, 720, "JPEG", ""), ("k", 320, 180, "JPEG", "")], "j", "k"),
            (&[("none", 0, 0, "", ""), ("m", 640, 360, "", "")], "m", "m"),
        ] {
            assert_eq!(streams(&media(rows, 1)), [Some(main), Some(sub)], "{rows:?}");
        }
        assert_eq!(streams(&media(&[("a", 0, 0, "", "")], 1)), [None, None]);
    }

    #[test]
    fn an_nvr_has_its_inputs_one_behind_the_other() {
        let rows = [
            ("a1", 1920, 1080, "H264", "src_a"),
            ("b1", 3840, 2160, "H265", "src_b"),
            ("a2", 640, 360, "H264", "src_a"),
            ("b2", 704, 576, "H264", "src_b"),
        ];
        assert_eq!(streams(&media(&rows, 1)), [Some("a1"), Some("a2")]);
        assert_eq!(streams(&media(&rows, 2)), [Some("b1"), Some("b2")]);
    }
}
