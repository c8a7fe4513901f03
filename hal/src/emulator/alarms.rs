//! The alarms of the emulated camera: its triggers, as they are set off.

use async_trait::async_trait;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::Emulator;
use crate::{Alarm, Alarms, Error, Heard, Kind, Signal, Trigger};

#[async_trait]
impl Alarms for Emulator {
    async fn listen(&self, heard: &mpsc::Sender<Heard>) -> Error {
        let (mut changes, mut reboots) = (self.world.changes(), self.world.reboots());
        let gone = |kind| Error::new("alarms listen", kind);
        if let Err(error) = self.world.present("alarms listen").map(drop) {
            return error;
        }
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

    #[tokio::test]
    async fn a_listener_that_has_gone_is_noticed() {
        let (heard, alarms) = mpsc::channel(1);
        drop(alarms);
        assert_eq!(Emulator::default().listen(&heard).await.kind, Kind::Other);
    }
}
