//! Events of the cloud. Events have no answers, so what became of them is counted.

use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::Event;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Dispatch, unsupported};
use crate::deadlines::HANDLER;

/// What became of the cloud's events since the start of the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Events that were carried out.
    pub served: u64,
    /// Events that were understood, but need an ability that the device lacks.
    pub unsupported: u64,
    /// Events that failed: params that cannot be read, no such channel, or a camera that failed.
    pub failed: u64,
    /// Events that the specification does not have.
    pub unknown: u64,
}

impl Dispatch {
    /// Serves one event, within 8 s. Events and requests do not wait for each other.
    pub async fn event(&self, event: Event) {
        let (name, known) = (event.event().to_owned(), !matches!(event, Event::Unknown(_)));
        let done = timeout(HANDLER, self.carry_out(&name, event)).await.unwrap_or_else(|_| {
            Err(RpcError::internal(format!("not finished within {} s", HANDLER.as_secs())))
        });
        self.events.send_modify(|counts| match &done {
            Ok(()) => counts.served += 1,
            Err(_) if !known => counts.unknown += 1,
            Err(e) if e.code == RpcError::UNSUPPORTED => counts.unsupported += 1,
            Err(_) => counts.failed += 1,
        });
        if let Err(error) = done {
            log::debug!("event {name:?} of the cloud: {error}");
        }
    }

    /// The counts of events so far; changes can be awaited.
    pub fn events(&self) -> watch::Receiver<EventCounts> {
        self.events.subscribe()
    }

    /// Checks an event's params and channel. No hardware has any of these abilities yet, so nothing
    /// more can be done.
    async fn carry_out(&self, name: &str, event: Event) -> Result<(), RpcError> {
        let camera = match event {
            Event::CtrlPtz(event) => Some(event?.channel),
            Event::GotoPtzPreset(event) => Some(event?.channel),
            Event::CtrlPtzPresetTour(event) => Some(event?.channel),
            Event::CtrlPtzPatrol(event) => Some(event?.channel),
            Event::SyncTime(event) => event.map(|_| None)?,
            Event::UpgradeFirmware | Event::Unknown(_) => None,
        };
        camera.map(|number| self.camera(number)).transpose()?;
        Err(unsupported(name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::channel::testing::deaf;
    use crate::dispatch::testing::dispatch;

    #[tokio::test]
    async fn each_event_is_counted_by_what_became_of_it() {
        let (channel, _inbox) = deaf();
        let dispatch = dispatch(vec![channel]);
        let counts = dispatch.events();
        let ptz = |channel: u32| Some(json!({ "channel": channel, "op": "up" }));
        let time = Some(json!({ "datetime": "2016-12-05T02:15:32", "offset": 5 }));
        let (unsupported, failed, unknown) = ([1, 0, 0], [0, 1, 0], [0, 0, 1]);
        for (name, params, expected) in [
            ("CtrlPTZ", ptz(0), unsupported),
            ("CtrlPTZ", ptz(1), failed),
            ("CtrlPTZ", None, failed),
            ("GotoPTZPreset", Some(json!({ "channel": 0, "token": "1" })), unsupported),
            ("GotoPTZPreset", Some(json!({ "channel": 9, "token": "1" })), failed),
            ("CtrlPTZPresetTour", Some(json!({ "channel": 0, "op": "stop" })), unsupported),
            ("CtrlPTZPatrol", Some(json!({ "channel": 0, "op": "sideways" })), failed),
            ("SyncTime", time, unsupported),
            ("SyncTime", Some(json!({})), failed),
            ("UpgradeFirmware", None, unsupported),
            ("Nonsense", None, unknown),
            ("RTMPPublish", None, unknown),
        ] {
            let before = *counts.borrow();
            dispatch.event(Event::parse(name, params.clone())).await;
            let now = *counts.borrow();
            let news = [
                now.unsupported - before.unsupported,
                now.failed - before.failed,
                now.unknown - before.unknown,
            ];
            assert_eq!(news, expected, "{name} {params:?}");
            assert_eq!(now.served, 0, "{name}");
        }
    }
}
