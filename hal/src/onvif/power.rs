//! Restarting the camera.

use async_trait::async_trait;

use super::{Onvif, within};
use crate::http::hung_up;
use crate::{Power, Result};

const REBOOT: &str = "power reboot";

#[async_trait]
impl Power for Onvif {
    async fn reboot(&self) -> Result<()> {
        let outcome = within(REBOOT, self.ask_device(REBOOT, "SystemReboot", "")).await;
        match outcome {
            Err(error) if !hung_up(&error) => Err(error),
            _ => {
                self.rests();
                self.forget();
                Ok(())
            }
        }
    }
}
