//! Events of the cloud. Events have no answers, so what became of them is counted.

use std::sync::Arc;

use ivt_proto::rpc::message::Event;
use ivt_proto::rpc::{RpcError, Subject};
use tokio::sync::watch;

use super::refusals::{About, Refusals};
use super::{Dispatch, codes, nth, ptz, unsupported};
use crate::ptz::{Order, Outcome};

/// What became of the cloud's events since the start of the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Events that were carried out.
    pub served: u64,
    /// Movements, and times of the clock, that a newer order replaced before the camera was told.
    pub replaced: u64,
    /// Events that were understood, but need an ability that the device lacks.
    pub unsupported: u64,
    /// Events that failed: params that cannot be read, no such channel, or a camera that failed.
    pub failed: u64,
    /// Events that the specification does not have.
    pub unknown: u64,
}

/// Counts events, and tells the log of those that fail, of each once.
#[derive(Default)]
pub(super) struct Events {
    counts: watch::Sender<EventCounts>,
    refusals: Refusals,
}

impl Events {
    fn note(&self, about: &About, known: bool, done: &Result<(), RpcError>) {
        self.count(known, done);
        self.tell(about, done);
    }

    /// Counts an event by what became of it; `known` is whether the specification has it.
    pub(super) fn count(&self, known: bool, done: &Result<(), RpcError>) {
        self.counts.send_modify(|counts| match done {
            Ok(()) => counts.served += 1,
            Err(_) if !known => counts.unknown += 1,
            Err(e) if e.code == RpcError::UNSUPPORTED => counts.unsupported += 1,
            Err(_) => counts.failed += 1,
        });
    }

    /// Tells the log what became of an event, of each refusal once.
    pub(super) fn tell(&self, about: &About, done: &Result<(), RpcError>) {
        self.refusals.note(about, done.as_ref().map(drop));
    }

    /// The counts so far; changes can be awaited.
    pub(super) fn counts(&self) -> watch::Receiver<EventCounts> {
        self.counts.subscribe()
    }

    /// Counts an event whose place a newer one took.
    pub(super) fn replaced(&self) {
        self.counts.send_modify(|counts| counts.replaced += 1);
    }
}

impl Dispatch {
    /// Takes one event. What has to be done at a camera is done by the camera's own task, which counts what
    /// became of it; nobody waits for it here.
    pub async fn event(&self, event: Event) {
        let known = !matches!(event, Event::Unknown(_));
        let mut about = About { method: event.event().to_owned(), subject: Subject::default() };
        log::debug!("event {:?} of the cloud", about.method);
        #[cfg(feature = "ui")]
        if let (Event::SyncTime(_) | Event::UpgradeFirmware, Err(error)) =
            (&event, super::unowned::check(&self.owner))
        {
            return self.events.note(&about, known, &Err(error));
        }
        #[cfg(any(feature = "alarms", feature = "linux"))]
        let event = match event {
            Event::SyncTime(Ok(sync)) if self.clocks.any() => return self.clocks.sync(sync),
            other => other,
        };
        #[cfg(feature = "update")]
        if let (Event::UpgradeFirmware, Some(upgrades)) = (&event, &self.upgrades) {
            upgrades.request();
            return self.events.note(&about, known, &Ok(()));
        }
        let (number, order) = match self.order(event) {
            Ok(ordered) => ordered,
            Err(error) => return self.events.note(&about, known, &Err(error)),
        };
        about.subject.channel = Some(number.into());
        let remote = match nth(&self.remotes, number) {
            Ok(remote) => remote,
            Err(error) => return self.events.note(&about, known, &Err(error)),
        };
        let events = Arc::clone(&self.events);
        remote.give(
            order,
            Box::new(move |outcome| match outcome {
                Outcome::Done(done) => {
                    events.note(&about, known, &done.map_err(|error| codes::camera(&error)));
                }
                Outcome::Replaced => events.replaced(),
            }),
        );
    }

    /// The counts of events so far; changes can be awaited.
    pub fn events(&self) -> watch::Receiver<EventCounts> {
        self.events.counts()
    }

    /// The channel and the order to its camera that an event means.
    fn order(&self, event: Event) -> Result<(u32, Order), RpcError> {
        let name = event.event().to_owned();
        match event {
            Event::CtrlPtz(event) => {
                let event = event?;
                Ok((event.channel, ptz::movement(self, &event)?))
            }
            Event::GotoPtzPreset(event) => {
                let event = event?;
                Ok((event.channel, ptz::preset(self, event)?))
            }
            Event::CtrlPtzPresetTour(event) => {
                let event = event?;
                Ok((event.channel, ptz::tour(self, event)?))
            }
            Event::CtrlPtzPatrol(event) => {
                let event = event?;
                Ok((event.channel, ptz::patrol(self, &event)?))
            }
            Event::SyncTime(event) => event.and_then(|_| Err(unsupported(&name))),
            Event::UpgradeFirmware | Event::Unknown(_) => Err(unsupported(&name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use ivt_hal::{Error, Kind, Named, Presets};
    use serde_json::json;
    use tokio::time::timeout;

    use super::*;
    use crate::channel::testing::deaf;
    use crate::dispatch::testing::{dispatch, one};

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

    #[cfg(feature = "update")]
    #[tokio::test]
    async fn an_upgrade_is_served_where_the_device_takes_firmware() {
        let (channel, _inbox) = deaf();
        let upgrades = Some(crate::firmware::Upgrades::default());
        let dispatch = dispatch(vec![channel]).with_upgrades(upgrades);
        for served in 1..=2 {
            dispatch.event(Event::parse("UpgradeFirmware", None)).await;
            let expected = EventCounts { served, ..EventCounts::default() };
            assert_eq!(*dispatch.events().borrow(), expected);
        }
    }

    /// Has presets, of which it knows "1" alone.
    struct Camera;

    #[async_trait]
    impl Presets for Camera {
        async fn list(&self) -> ivt_hal::Result<Vec<Named>> {
            Ok(Vec::new())
        }

        async fn go_to(&self, token: &str) -> ivt_hal::Result<()> {
            match token {
                "1" => Ok(()),
                _ => Err(Error::new("presets go to", Kind::Invalid)),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_camera_says_to_an_event_is_counted() {
        let dispatch = one(|camera| camera.presets = Some(Arc::new(Camera)));
        let mut counts = dispatch.events();
        let mut expected = EventCounts::default();
        for (token, served) in [("1", true), ("97", false), ("", false), (&"1".repeat(300), false)]
        {
            let params = json!({ "channel": 0, "token": token });
            dispatch.event(Event::parse("GotoPTZPreset", Some(params))).await;
            if served {
                expected.served += 1;
            } else {
                expected.failed += 1;
            }
            let counted = counts.wait_for(|counts| *counts == expected);
            timeout(Duration::from_secs(5), counted).await.expect(token).unwrap();
        }
    }
}
