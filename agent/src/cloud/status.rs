//! The Keepalive: what is really happening, read from the channels at the moment it is sent.

use std::time::Duration;

use futures::future::join_all;
use ivt_proto::rpc::message::{ChannelState, ChannelStatus, DeviceState, Keepalive};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::channel::{Reachability, Status, StatusSource};

/// Bytes that all names of streams and recordings may have together in one Keepalive. With the
/// states of 256 channels they stay below the longest message.
const NAMES: usize = 40 << 10;

/// Makes Keepalives of what the channels show.
#[derive(Clone)]
pub struct KeepaliveSource {
    channels: Vec<StatusSource>,
    /// Whether a new firmware is under way.
    upgrading: watch::Receiver<bool>,
    /// When the newest one was answered.
    #[cfg(feature = "ui")]
    answered: watch::Sender<Option<tokio::time::Instant>>,
}

impl KeepaliveSource {
    /// Reads the status of these channels; the index is the channel's number.
    pub fn new(channels: Vec<StatusSource>) -> Self {
        Self {
            channels,
            upgrading: watch::channel(false).1,
            #[cfg(feature = "ui")]
            answered: watch::Sender::new(None),
        }
    }

    /// Tells the cloud of upgrades, too, while `upgrading` is true.
    #[cfg(feature = "update")]
    #[must_use]
    pub fn with_upgrades(self, upgrading: watch::Receiver<bool>) -> Self {
        Self { upgrading, ..self }
    }

    /// When the newest Keepalive was answered.
    #[cfg(feature = "ui")]
    pub(crate) fn answered(&self) -> watch::Sender<Option<tokio::time::Instant>> {
        self.answered.clone()
    }

    /// Returns when every camera has been asked once, or after `limit`: before that a Keepalive
    /// would call them all offline.
    pub async fn settled(&self, limit: Duration) {
        let mut channels = self.channels.clone();
        timeout(limit, join_all(channels.iter_mut().map(StatusSource::known))).await.ok();
    }

    /// The Keepalive of this moment. It lists every channel with its state; names that no longer fit
    /// are left out, as by devices that send none.
    pub fn keepalive(&self) -> Keepalive {
        let mut room = NAMES;
        let channels = self.channels.iter().zip(0..);
        let channels: Vec<_> =
            channels.map(|(source, number)| line(number, &source.now(), &mut room)).collect();
        let reachable = channels.iter().any(|c| c.state != ChannelState::Offline);
        let state = match reachable {
            _ if *self.upgrading.borrow() => DeviceState::Upgrading,
            true => DeviceState::Online,
            false => DeviceState::Abnormal,
        };
        Keepalive { state, channels }
    }
}

/// One channel's part of a Keepalive. `room` is the number of bytes left for names.
fn line(channel: u32, status: &Status, room: &mut usize) -> ChannelStatus {
    let state = match (&status.live, status.reachability) {
        (Some(_), _) => ChannelState::Live,
        (None, Reachability::Reachable) => ChannelState::Online,
        (None, Reachability::Unreachable | Reachability::Unknown) => ChannelState::Offline,
    };
    ChannelStatus {
        channel,
        state,
        stream_id: fitting(status.live.as_deref(), room),
        record_session: fitting(status.recording.as_deref(), room),
        alarm: (status.alarm != 0).then_some(status.alarm),
    }
}

/// The name, if it fits into the `room` in bytes, which then shrinks by the name's length.
fn fitting(name: Option<&str>, room: &mut usize) -> Option<String> {
    let name = name?;
    *room = room.checked_sub(name.chars().map(width).sum())?;
    Some(name.to_owned())
}

/// Bytes of a character within JSON, at most.
fn width(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        c if c.is_control() => 6,
        c => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use ivt_proto::rpc::MAX_MESSAGE;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::channel::testing::{Owners, deaf};

    fn body(statuses: &[Status]) -> serde_json::Value {
        let owners: Vec<_> = statuses.iter().map(Owners::new).collect();
        let keepalives = KeepaliveSource::new(owners.iter().map(Owners::source).collect());
        serde_json::to_value(keepalives.keepalive()).unwrap()
    }

    /// A change of what one owner shows.
    #[derive(Clone, Debug)]
    enum Change {
        Reachability(Reachability),
        Live(Option<String>),
        Recording(Option<String>),
        Alarm(u32),
    }

    impl Change {
        fn show(&self, owners: &Owners) {
            match self.clone() {
                Self::Reachability(now) => owners.show_reachability(now),
                Self::Live(now) => owners.show_live(now),
                Self::Recording(now) => owners.show_recording(now),
                Self::Alarm(now) => owners.show_alarm(now),
            }
        }

        /// Makes the same change in a status with a single writer.
        fn note(&self, status: &mut Status) {
            match self.clone() {
                Self::Reachability(now) => status.reachability = now,
                Self::Live(now) => status.live = now,
                Self::Recording(now) => status.recording = now,
                Self::Alarm(now) => status.alarm = now,
            }
        }
    }

    fn change() -> impl Strategy<Value = Change> {
        let name = || proptest::option::of("[ab]".prop_map(String::from));
        let reachability = prop_oneof![
            Just(Reachability::Unknown),
            Just(Reachability::Reachable),
            Just(Reachability::Unreachable),
        ];
        prop_oneof![
            reachability.prop_map(Change::Reachability),
            name().prop_map(Change::Live),
            name().prop_map(Change::Recording),
            (0u32..4).prop_map(Change::Alarm),
        ]
    }

    proptest! {
        #[test]
        fn the_keepalive_is_what_the_owners_show_whatever_the_order_of_their_changes(
            changes in proptest::collection::vec((0usize..3, change()), 0..40),
        ) {
            let mut statuses = vec![Status::default(); 3];
            let owners: Vec<_> = statuses.iter().map(Owners::new).collect();
            let keepalives = KeepaliveSource::new(owners.iter().map(Owners::source).collect());
            for (channel, change) in changes {
                change.show(&owners[channel]);
                change.note(&mut statuses[channel]);
                let keepalive = keepalives.keepalive();
                prop_assert_eq!(keepalive.channels.len(), 3);
                for (said, status) in keepalive.channels.iter().zip(&statuses) {
                    let state = match status {
                        Status { live: Some(_), .. } => ChannelState::Live,
                        Status { reachability: Reachability::Reachable, .. } => ChannelState::Online,
                        _ => ChannelState::Offline,
                    };
                    prop_assert_eq!(said.state, state);
                    prop_assert_eq!(&said.stream_id, &status.live);
                    prop_assert_eq!(&said.record_session, &status.recording);
                    prop_assert_eq!(said.alarm.unwrap_or(0), status.alarm);
                }
                let reachable = keepalive.channels.iter().any(|c| c.state != ChannelState::Offline);
                prop_assert_eq!(keepalive.state == DeviceState::Online, reachable);
            }
        }
    }

    #[test]
    fn an_alarm_that_is_raised_is_in_the_next_keepalive() {
        let (handle, _inbox) = deaf();
        let keepalives = KeepaliveSource::new(vec![handle.status()]);
        handle.alarm().send_modify(|alarms| *alarms |= 1 << 3);
        assert_eq!(keepalives.keepalive().channels[0].alarm, Some(8));
        handle.alarm().send_modify(|alarms| *alarms &= !(1 << 3));
        assert_eq!(keepalives.keepalive().channels[0].alarm, None);
    }

    #[test]
    fn every_channel_is_listed_as_it_is() {
        let offline = Status::default();
        let online = Status { reachability: Reachability::Reachable, ..Status::default() };
        let live = Status { live: Some("s1".into()), ..online.clone() };
        let recording = Status { recording: Some("r1".into()), ..online.clone() };
        let alarm = Status { alarm: 1 << 3, ..online.clone() };
        assert_eq!(
            body(&[offline, online, live, alarm, recording]),
            json!({"state": 1, "channels": [
                {"channel": 0, "state": 0},
                {"channel": 1, "state": 1},
                {"channel": 2, "state": 2, "stream_id": "s1"},
                {"channel": 3, "state": 1, "alarm": 8},
                {"channel": 4, "state": 1, "record_session": "r1"},
            ]})
        );
    }

    #[test]
    fn the_keepalive_of_any_device_fits_into_a_message() {
        for name in ["x".repeat(256), "\"".repeat(256), "\u{1}".repeat(256), "录".repeat(80)] {
            let live = Status { live: Some(name.clone()), ..Status::default() };
            let busy = Status { recording: Some(name.clone()), alarm: u32::MAX, ..live };
            let body = body(&vec![busy; 256]);
            let packet = json!({"req": "Keepalive", "seq": u64::MAX, "params": body}).to_string();
            assert!(packet.len() <= MAX_MESSAGE, "{} bytes of {name:?}", packet.len());
            let channels = body["channels"].as_array().unwrap();
            assert_eq!(channels.len(), 256);
            assert!(channels.iter().all(|channel| channel["state"] == 2));
            assert_eq!(channels[0]["stream_id"], name);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_answer_of_every_camera_is_awaited_but_not_for_long() {
        let (first, second) = (Owners::new(&Status::default()), Owners::new(&Status::default()));
        let keepalives = KeepaliveSource::new(vec![first.source(), second.source()]);
        let limit = Duration::from_millis(500);
        let start = tokio::time::Instant::now();
        keepalives.settled(limit).await;
        assert_eq!(start.elapsed(), limit);

        first.show_reachability(Reachability::Reachable);
        second.show_reachability(Reachability::Unreachable);
        keepalives.settled(limit).await;
        assert_eq!(start.elapsed(), limit);
    }

    #[cfg(feature = "update")]
    #[test]
    fn a_device_is_upgrading_until_that_is_over() {
        let upgrading = watch::Sender::new(false);
        let keepalives = KeepaliveSource::new(vec![Owners::new(&Status::default()).source()])
            .with_upgrades(upgrading.subscribe());
        for (now, state) in [(true, DeviceState::Upgrading), (false, DeviceState::Abnormal)] {
            upgrading.send_replace(now);
            assert_eq!(keepalives.keepalive().state, state);
        }
    }

    #[test]
    fn a_device_without_a_reachable_channel_is_abnormal() {
        let offline = Status::default();
        let body = body(&[offline.clone(), offline]);
        assert_eq!(body["state"], 3);
        assert_eq!(body["channels"].as_array().unwrap().len(), 2);
    }
}
