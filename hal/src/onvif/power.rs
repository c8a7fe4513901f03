//! Restarting the camera.

use async_trait::async_trait;

use super::{Onvif, within};
use crate::{Error, Kind, Power, Result};

const REBOOT: &str = "power reboot";

#[async_trait]
impl Power for Onvif {
    async fn reboot(&self) -> Result<()> {
        let outcome = within(REBOOT, self.ask_device(REBOOT, "SystemReboot", "")).await;
        match outcome {
            Err(error) if !has_hung_up(&error) => Err(error),
            _ => {
                self.rests();
                self.forget().await;
                Ok(())
            }
        }
    }
}

/// Whether the camera closed the connection instead of an answer.
fn has_hung_up(error: &Error) -> bool {
    let source = error.source.as_deref().and_then(|source| source.downcast_ref::<hyper::Error>());
    let is_reset = |e: &hyper::Error| {
        let source = std::error::Error::source(e).and_then(|e| e.downcast_ref::<std::io::Error>());
        source.is_some_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
    };
    error.kind == Kind::Other
        && source.is_some_and(|e| e.is_incomplete_message() || e.is_canceled() || is_reset(e))
}
