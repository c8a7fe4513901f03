//! The Keepalive: what is really happening, as the channels report it.

use std::time::Duration;

use ivt_proto::rpc::message::{ChannelState, ChannelStatus, DeviceState, Keepalive};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::channel::Status;

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

    /// The Keepalive of this moment.
    pub fn keepalive(&self) -> Keepalive {
        let reports = self.0.iter().enumerate();
        let channels: Vec<_> = reports.map(|(n, report)| line(n, &report.borrow())).collect();
        let reachable = channels.iter().any(|c| c.state != ChannelState::Offline);
        let state = if reachable { DeviceState::Online } else { DeviceState::Abnormal };
        Keepalive { state, channels }
    }
}

fn line(number: usize, status: &Status) -> ChannelStatus {
    let state = match status {
        Status { live: Some(_), .. } => ChannelState::Live,
        Status { reachable: true, .. } => ChannelState::Online,
        _ => ChannelState::Offline,
    };
    ChannelStatus {
        channel: u32::try_from(number).unwrap_or(u32::MAX),
        state,
        stream_id: status.live.clone(),
        record_session: status.recording.clone(),
        alarm: (status.alarm != 0).then_some(status.alarm),
    }
}

#[cfg(test)]
mod tests {
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
