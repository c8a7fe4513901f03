//! The log of a device's alarms and previews, and the pictures of all devices; bounded.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use ivt_proto::rpc::message::{AlarmEdge, AlarmKind, AlarmNotify};
use serde::Serialize;

use crate::cloud::now;
use crate::cloud::packet::unix_ms;
use crate::cloud::record::Store;

/// Most alarms kept of a device.
const MAX_ALARMS: usize = 200;
/// Most previews kept of a device.
const MAX_PREVIEWS: usize = 20;
/// Bytes of pictures kept of all devices together.
const MAX_PICTURE_BYTES: u64 = 32 << 20;
/// Most characters kept of a description.
const MAX_DESC: usize = 1000;

/// An alarm as a device reported it.
#[derive(Clone, Debug, Serialize)]
pub struct AlarmInfo {
    /// Number of the alarm, from 1 for each device.
    pub number: u64,
    /// When it was answered, in milliseconds since 1970.
    pub time_ms: u64,
    /// When it was answered.
    #[serde(skip)]
    pub at: Instant,
    /// The channel number.
    pub channel: u32,
    /// What raised it.
    #[serde(rename = "type")]
    pub kind: AlarmKind,
    /// Whether it begins or ends.
    pub state: AlarmEdge,
    /// The device's description of it.
    pub desc: String,
    /// Whether an address for a picture was answered.
    pub wanted: bool,
    /// The picture that came last.
    pub picture: Option<PictureInfo>,
    /// The secret of the address for its picture.
    #[serde(skip)]
    token: String,
}

/// A picture that a device sent.
#[derive(Clone, Debug, Serialize)]
pub struct PictureInfo {
    /// The name by which `/api/pictures` knows its bytes.
    pub id: String,
    /// When it was complete, in milliseconds since 1970.
    pub time_ms: u64,
    /// When it was complete.
    #[serde(skip)]
    pub at: Instant,
    /// Its length in bytes.
    pub bytes: u64,
    /// The content type that the device named; empty when it named none.
    pub content_type: String,
    /// Whether it begins and ends as a JPEG does.
    pub jpeg: bool,
    /// Number of pictures that were taken in its place, this one included.
    pub posts: u64,
}

/// The alarms and previews of one device, oldest first.
#[derive(Clone, Debug, Default)]
pub(in crate::cloud) struct AlarmLog {
    alarms: VecDeque<AlarmInfo>,
    previews: VecDeque<PictureInfo>,
    /// Number of alarms ever reported.
    total: u64,
    /// Number of previews ever taken.
    previewed: u64,
}

/// The bytes of the pictures of all devices; the oldest are dropped first.
pub(in crate::cloud) struct Album(Store);

impl AlarmLog {
    /// Notes an alarm and returns the secret of the address for its picture.
    pub(in crate::cloud) fn note(&mut self, alarm: AlarmNotify, wanted: bool) -> String {
        self.total += 1;
        let token = secret();
        self.alarms.push_back(AlarmInfo {
            number: self.total,
            time_ms: unix_ms(),
            at: now(),
            channel: alarm.channel,
            kind: alarm.kind,
            state: alarm.state,
            desc: alarm.desc.chars().take(MAX_DESC).collect(),
            wanted,
            picture: None,
            token: token.clone(),
        });
        while self.alarms.len() > MAX_ALARMS {
            self.alarms.pop_front();
        }
        token
    }

    /// The alarms kept, oldest first.
    pub(in crate::cloud) fn alarms(&self) -> impl Iterator<Item = &AlarmInfo> {
        self.alarms.iter()
    }

    /// The previews kept, oldest first.
    pub(in crate::cloud) fn previews(&self) -> impl Iterator<Item = &PictureInfo> {
        self.previews.iter()
    }

    /// Whether the address of this secret takes the picture of an alarm that is kept.
    pub(super) fn awaits(&self, token: &str) -> bool {
        self.alarms.iter().any(|alarm| alarm.token == token)
    }

    /// Keeps a picture with its alarm.
    pub(super) fn add_picture(&mut self, token: &str, mut picture: PictureInfo) {
        if let Some(alarm) = self.alarms.iter_mut().find(|alarm| alarm.token == token) {
            picture.posts += alarm.picture.as_ref().map_or(0, |before| before.posts);
            alarm.picture = Some(picture);
        }
    }

    /// Keeps a preview.
    pub(super) fn add_preview(&mut self, mut picture: PictureInfo) {
        self.previewed += 1;
        picture.posts = self.previewed;
        self.previews.push_back(picture);
        while self.previews.len() > MAX_PREVIEWS {
            self.previews.pop_front();
        }
    }
}

impl Album {
    pub(in crate::cloud) fn new() -> Self {
        Self(Store::new(MAX_PICTURE_BYTES))
    }

    /// Keeps the bytes of a picture.
    pub(super) fn keep(&self, body: Bytes, content_type: String) -> PictureInfo {
        let id = secret();
        let picture = PictureInfo {
            id: id.clone(),
            time_ms: unix_ms(),
            at: now(),
            bytes: body.len() as u64,
            content_type,
            jpeg: body.starts_with(&[0xff, 0xd8, 0xff]) && body.ends_with(&[0xff, 0xd9]),
            posts: 1,
        };
        self.0.put(&id, body);
        picture
    }

    /// The bytes of a picture, as long as they are kept.
    pub(in crate::cloud) fn find(&self, id: &str) -> Option<Bytes> {
        self.0.find(id)
    }
}

/// A path that nobody guesses.
pub(in crate::cloud) fn secret() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(desc: &str) -> AlarmNotify {
        let (kind, state) = (AlarmKind::Motion, AlarmEdge::Start);
        AlarmNotify { channel: 0, kind, state, desc: desc.to_owned() }
    }

    #[test]
    fn the_newest_alarms_are_kept_and_their_words_are_bounded() {
        let mut log = AlarmLog::default();
        let first = log.note(alarm(&"ü".repeat(MAX_DESC + 1)), true);
        assert_eq!(log.alarms().next().unwrap().desc.chars().count(), MAX_DESC);
        assert!(log.awaits(&first) && !log.awaits(""));
        for n in 0..MAX_ALARMS {
            log.note(alarm(&n.to_string()), true);
        }
        assert!(!log.awaits(&first));
        let numbers: Vec<u64> = log.alarms().map(|alarm| alarm.number).collect();
        assert_eq!((numbers.len(), numbers[0]), (MAX_ALARMS, 2));
    }

    #[test]
    fn a_picture_stays_with_its_alarm_and_takes_the_place_of_one_before() {
        let (mut log, album) = (AlarmLog::default(), Album::new());
        let tokens = [log.note(alarm("a"), true), log.note(alarm("b"), true)];
        for body in [&b"x"[..], b"\xff\xd8\xff\xff\xd9"] {
            log.add_picture(&tokens[1], album.keep(Bytes::copy_from_slice(body), String::new()));
        }
        let alarms: Vec<_> = log.alarms().collect();
        let picture = alarms[1].picture.as_ref().unwrap();
        assert!(alarms[0].picture.is_none() && picture.jpeg);
        assert_eq!((picture.posts, album.find(&picture.id).unwrap().len()), (2, 5));
    }

    #[test]
    fn pictures_and_previews_are_bounded() {
        let (mut log, album) = (AlarmLog::default(), Album::new());
        let first = album.keep(Bytes::from(vec![0; 1 << 20]), String::new());
        for _ in 0..MAX_PREVIEWS + 20 {
            log.add_preview(album.keep(Bytes::from(vec![0; 1 << 20]), String::new()));
        }
        assert!(album.find(&first.id).is_none());
        let posts: Vec<u64> = log.previews().map(|preview| preview.posts).collect();
        assert_eq!((posts.len(), posts[0]), (MAX_PREVIEWS, 21));
    }
}
