//! The tracks that the first metadata of a publish names, and what becomes of others. Pure.

use ivt_media::flv::{Tag, TagKind, metadata};

use super::super::faults::FirstMetadata;

/// Upper half of the first byte of AAC, whose sequence header has to come before the first picture.
const AAC: u8 = 10;

/// Judges the tags of one publish.
pub(super) struct Named {
    rule: FirstMetadata,
    /// Whether the first metadata names a picture and sound; `None` before it came.
    first: Option<[bool; 2]>,
    /// Whether the sequence headers of the picture and of the sound came.
    described: [bool; 2],
    /// Whether the sound that the first metadata names is AAC, which needs a sequence header.
    is_aac: bool,
}

impl Named {
    /// A judge before the first tag.
    pub(super) fn new(rule: FirstMetadata) -> Self {
        Self { rule, first: None, described: [false; 2], is_aac: false }
    }

    /// Whether a tag is taken.
    ///
    /// # Errors
    /// The publisher is hung up on. The text says why.
    pub(super) fn admits(&mut self, tag: &Tag) -> Result<bool, &'static str> {
        let payload = tag.payload();
        if tag.kind == TagKind::Script {
            if let (None, Some(first)) = (self.first, metadata::parse(&payload)) {
                self.first = Some([first.video, first.audio]);
                self.is_aac = first.audio_id == Some(AAC.into());
            }
            return Ok(true);
        }
        if self.rule == FirstMetadata::Any {
            return Ok(true);
        }
        let track = usize::from(tag.kind == TagKind::Audio);
        let is_named = self.first.is_some_and(|named| named[track]);
        if !is_named {
            return match self.rule {
                FirstMetadata::HangUp => Err("the first metadata does not name this track"),
                _ => Ok(false),
            };
        }
        if is_header(tag.kind, &payload) {
            self.described[track] = true;
        } else if self.rule == FirstMetadata::HangUp && !self.is_described(tag.kind) {
            return Err("a picture or sound came before the sequence headers of all tracks");
        }
        Ok(true)
    }

    fn is_described(&self, kind: TagKind) -> bool {
        let [picture, sound] = self.described;
        let picture = picture || self.first.is_some_and(|[video, _]| !video);
        let sound = sound || !self.is_aac;
        picture && sound || kind == TagKind::Audio && !self.is_aac
    }
}

/// Whether a tag is a sequence header: packet type 0 of AVC, HEVC and AAC, also in the enhanced form.
fn is_header(kind: TagKind, payload: &[u8]) -> bool {
    match (kind, payload) {
        (TagKind::Video, [first, ..]) if first & 0x80 != 0 => first & 0xf == 0,
        (TagKind::Video, [_, packet, ..]) => *packet == 0,
        (TagKind::Audio, [first, packet, ..]) => first >> 4 == AAC && *packet == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ivt_media::frame::{AudioCodec, AudioParams, VideoCodec, VideoParams};

    use super::*;

    fn first(video: bool, audio: bool) -> Tag {
        let picture = VideoParams {
            codec: VideoCodec::H264,
            record: Bytes::new(),
            dimensions: (0, 0),
            frame_rate: None,
        };
        let (codec, config) = (AudioCodec::Aac, Bytes::new());
        let sound = AudioParams { codec, sample_rate: 16_000, channels: 1, config };
        metadata::tag(video.then_some(&picture), audio.then_some(&sound), 0)
    }

    fn tag(kind: TagKind, bytes: &'static [u8]) -> Tag {
        Tag { body: Bytes::from_static(bytes), kind, ..first(false, false) }
    }

    fn publish(rule: FirstMetadata, tags: &[Tag]) -> Result<Vec<bool>, &'static str> {
        let mut named = Named::new(rule);
        tags.iter().map(|tag| named.admits(tag)).collect()
    }

    #[test]
    fn tracks_without_a_name_meet_the_rule() {
        let sps = tag(TagKind::Video, &[0x17, 0, 0, 0, 0]);
        let picture = tag(TagKind::Video, &[0x17, 1, 0, 0, 0]);
        let (asc, aac) = (tag(TagKind::Audio, &[0xaf, 0]), tag(TagKind::Audio, &[0xaf, 1]));
        let late = [
            first(true, false),
            sps.clone(),
            picture.clone(),
            first(true, true),
            asc.clone(),
            aac.clone(),
        ];
        assert_eq!(publish(FirstMetadata::Any, &late), Ok(vec![true; 6]));
        let taken = [true, true, true, true, false, false];
        assert_eq!(publish(FirstMetadata::Drop, &late), Ok(taken.to_vec()));
        assert!(publish(FirstMetadata::HangUp, &late).is_err());
        let good = [first(true, true), sps.clone(), asc.clone(), picture.clone(), aac];
        for rule in [FirstMetadata::Any, FirstMetadata::Drop, FirstMetadata::HangUp] {
            assert_eq!(publish(rule, &good), Ok(vec![true; 5]), "{rule:?}");
        }
        let early = [first(true, true), sps, picture, asc];
        assert!(publish(FirstMetadata::Drop, &early).is_ok());
        assert!(publish(FirstMetadata::HangUp, &early).is_err(), "the sound's header comes late");
    }
}
