//! The Keepalive: what is really happening, as the channels report it.

use std::time::Duration;

use ivt_proto::rpc::message::{ChannelState, ChannelStatus, DeviceState, Keepalive};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::channel::Status;

/// Bytes that streams' and recordings' names may have together in one Keepalive: with all else of
/// 256 channels they stay below the longest message.
const NAMES: usize = 40 << 10;

/// Reads the channels' reports, in the order of their numbers.
#[derive(Clone)]
pub struct Board(Vec<watch::Receiver<Status>>);

impl Board {
    /// One report per channel.
    pub fn new(reports: Vec<watch::Receiver<Status>>) -> Self {
        Self(reports)
    }

    /// Returns when every camera has been asked once, or after `limit`: before that a Keepalive
    /// would call them all offline.
    pub async fn settled(&self, limit: Duration) {
        let mut reports = self.0.clone();
        let known = async {
            for report in &mut reports {
                // An error means that the channel has ended: nothing more will be known.
                report.wait_for(|status| status.known).await.ok();
            }
        };
        timeout(limit, known).await.ok();
    }

    /// The Keepalive of this moment. It lists every channel with its state; names that no longer fit
    /// are left out, as by devices that send none.
    pub fn keepalive(&self) -> Keepalive {
        let mut room = NAMES;
        let reports = self.0.iter().enumerate();
        let line =
            |(n, report): (usize, &watch::Receiver<Status>)| line(n, &report.borrow(), &mut room);
        let channels: Vec<_> = reports.map(line).collect();
        let reachable = channels.iter().any(|c| c.state != ChannelState::Offline);
        let state = if reachable { DeviceState::Online } else { DeviceState::Abnormal };
        Keepalive { state, channels }
    }
}

/// `room`: bytes left for names.
fn line(number: usize, status: &Status, room: &mut usize) -> ChannelStatus {
    let state = match status {
        Status { live: Some(_), .. } => ChannelState::Live,
        Status { reachable: true, .. } => ChannelState::Online,
        _ => ChannelState::Offline,
    };
    ChannelStatus {
        channel: u32::try_from(number).unwrap_or(u32::MAX),
        state,
        stream_id: fitting(status.live.as_deref(), room),
        record_session: fitting(status.recording.as_deref(), room),
        alarm: (status.alarm != 0).then_some(status.alarm),
    }
}

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
    use serde_json::json;

    use super::*;

    fn body(reports: &[Status]) -> serde_json::Value {
        let channel = |status: &Status| watch::channel(status.clone()).1;
        let board = Board::new(reports.iter().map(channel).collect());
        serde_json::to_value(board.keepalive()).unwrap()
    }

    #[test]
    fn every_channel_is_listed_as_it_is() {
        let offline = Status::default();
        let online = Status { reachable: true, ..Status::default() };
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
        let (first, second) = (watch::Sender::new(Status::default()), watch::Sender::default());
        let board = Board::new(vec![first.subscribe(), second.subscribe()]);
        let limit = Duration::from_millis(500);
        let start = tokio::time::Instant::now();
        board.settled(limit).await;
        assert_eq!(start.elapsed(), limit);

        for report in [first, second] {
            report.send_modify(|status| status.known = true);
        }
        board.settled(limit).await;
        assert_eq!(start.elapsed(), limit);
    }

    #[test]
    fn a_device_without_a_reachable_channel_is_abnormal() {
        let offline = Status::default();
        let body = body(&[offline.clone(), offline]);
        assert_eq!(body["state"], 3);
        assert_eq!(body["channels"].as_array().unwrap().len(), 2);
    }
}
