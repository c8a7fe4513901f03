//! The clock of the emulated camera.

use async_trait::async_trait;

use super::Emulator;
use crate::{Clock, Error, Kind, Result, WallTime};

#[async_trait]
impl Clock for Emulator {
    async fn now(&self) -> Result<WallTime> {
        let op = "clock now";
        drop(self.world.present(op)?);
        self.world.clock().ok_or_else(|| Error::new(op, Kind::Other))
    }

    async fn set(&self, time: WallTime) -> Result<()> {
        self.world.set_clock(time)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::conformance;

    #[tokio::test(start_paused = true)]
    async fn passes_conformance() {
        let camera = Emulator::default();
        conformance::clock(&camera).await;
        camera.world.go_away(Duration::from_secs(5));
        conformance::offline_clock(&camera).await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_from_what_it_was_set_to() {
        let camera = Emulator::default();
        camera.set("2024-02-28T23:59:58".parse().unwrap()).await.unwrap();
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(camera.now().await.unwrap().to_string(), "2024-02-29T00:00:01");
        let early = camera.set("1969-12-31T23:59:59".parse().unwrap()).await.unwrap_err();
        assert_eq!(early.kind, Kind::Invalid);
        camera.world.go_away(Duration::from_secs(5));
        assert_eq!(camera.now().await.unwrap_err().kind, Kind::Offline);
    }
}
