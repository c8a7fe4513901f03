//! The alarms of the emulated camera: its triggers, as they are set off.

use async_trait::async_trait;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};

use super::{Emulator, schedule};
use crate::{Alarm, Alarms, Error, Heard, Kind, Signal, Trigger};

#[async_trait]
impl Alarms for Emulator {
    async fn listen(&self, heard: &mpsc::Sender<Heard>) -> Error {
        let (changes, reboots) = (self.world.changes(), self.world.reboots());
        if let Err(error) = self.world.present("alarms listen").map(drop) {
            return error;
        }
        tokio::select! {
            never = schedule::run(&self.schedule, &self.world) => match never {},
            error = self.tell(heard, changes, reboots) => error,
        }
    }
}

impl Emulator {
    /// Tells what is active, and each change, until the camera goes away or nobody reads it.
    async fn tell(
        &self,
        heard: &mpsc::Sender<Heard>,
        mut changes: broadcast::Receiver<(Trigger, bool)>,
        mut reboots: watch::Receiver<u64>,
    ) -> Error {
        let gone = |kind| Error::new("alarms listen", kind);
        if heard.send(Heard::Listening).await.is_err() {
            return gone(Kind::Other);
        }
        for trigger in self.world.triggers().active() {
            if heard.send(alarm(trigger, true)).await.is_err() {
                return gone(Kind::Other);
            }
        }
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                _ = reboots.changed() => return gone(Kind::Offline),
                () = heard.closed() => return gone(Kind::Other),
            };
            let (trigger, active) = match change {
                Ok(change) => change,
                // What was missed is not known: the listener begins anew, with what is active then.
                Err(RecvError::Lagged(_) | RecvError::Closed) => return gone(Kind::Other),
            };
            if heard.send(alarm(trigger, active)).await.is_err() {
                return gone(Kind::Other);
            }
        }
    }
}

fn alarm(trigger: Trigger, active: bool) -> Heard {
    let what = match trigger {
        Trigger::Input => "input 1",
        Trigger::Motion => "motion",
        Trigger::Line => "tripwire",
    };
    let signal = if active { Signal::Begins } else { Signal::Ends };
    Heard::Alarm(Alarm { trigger, signal, what: what.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::conformance;

    #[tokio::test(start_paused = true)]
    async fn passes_conformance() {
        let emulator = Emulator::default();
        let raise = async |trigger, active| emulator.world.trigger(trigger, active);
        conformance::alarms(&emulator, &Trigger::ALL, raise).await;
        emulator.world.go_away(Duration::from_secs(5));
        conformance::offline_alarms(&emulator).await;
    }

    #[tokio::test(start_paused = true)]
    async fn triggers_are_heard_as_they_change() {
        let emulator = Arc::new(Emulator::default());
        emulator.world.trigger(Trigger::Input, true);
        let (heard, mut alarms) = mpsc::channel(8);
        let listening = tokio::spawn({
            let emulator = emulator.clone();
            async move { emulator.listen(&heard).await }
        });
        assert_eq!(alarms.recv().await, Some(Heard::Listening));
        assert_eq!(
            alarms.recv().await,
            Some(alarm(Trigger::Input, true)),
            "what is active already"
        );
        for active in [true, true, false, false, true] {
            emulator.world.trigger(Trigger::Motion, active);
        }
        for active in [true, false, true] {
            assert_eq!(alarms.recv().await, Some(alarm(Trigger::Motion, active)));
        }
        emulator.world.go_away(Duration::from_secs(5));
        while alarms.recv().await.is_some() {}
        assert_eq!(listening.await.unwrap().kind, Kind::Offline);
        let (heard, mut alarms) = mpsc::channel(8);
        assert_eq!(emulator.listen(&heard).await.kind, Kind::Offline);
        assert!(alarms.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_schedule_raises_alarms_while_somebody_listens() {
        let schedule = ["motion:every=30s,for=5s", "input:at=12s,for=2s", "line:at=31s"];
        let schedule = schedule.map(|text| text.parse().unwrap()).into();
        let emulator = Arc::new(Emulator { schedule, ..Emulator::default() });
        let mut changes = emulator.world.changes();
        tokio::time::advance(Duration::from_secs(29)).await;
        assert!(changes.try_recv().is_err(), "nobody listens");
        let (heard, mut alarms) = mpsc::channel(1);
        let listening = tokio::spawn({
            let emulator = emulator.clone();
            async move { emulator.listen(&heard).await }
        });
        assert_eq!(alarms.recv().await, Some(Heard::Listening));
        for (trigger, active, at) in [
            (Trigger::Motion, true, 30),
            (Trigger::Line, true, 31),
            (Trigger::Line, false, 32),
            (Trigger::Motion, false, 35),
            (Trigger::Motion, true, 60),
        ] {
            assert_eq!(alarms.recv().await, Some(alarm(trigger, active)));
            assert_eq!(emulator.world.began().elapsed().as_secs(), at);
        }
        drop(alarms);
        listening.await.unwrap();
        assert_eq!(emulator.world.triggers().active().count(), 0, "it ends with its listener");
    }

    #[tokio::test]
    async fn a_listener_that_has_gone_is_noticed() {
        let (heard, alarms) = mpsc::channel(1);
        drop(alarms);
        assert_eq!(Emulator::default().listen(&heard).await.kind, Kind::Other);
    }
}
