//! `"linux"` in the list of `backend`: the board that the agent runs on, where the agent is the camera's system. It has
//! no streams, which come from another backend of the list.

use std::path::Path;
use std::sync::Arc;

use ivt_hal::linux::{RebootCommand, SystemClock, SystemNetwork, SystemWifi};
use ivt_hal::{Channel, Power};

use super::unknown::UnknownCamera;
use crate::config::error::Error;
use crate::config::section::{PATH, Section, list, text};
use crate::local_time;

/// The board that the agent runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Board {
    /// `wifi_interface`: default the first interface that wpa_supplicant serves.
    wifi_interface: Option<String>,
    /// `reboot_command`: program with its arguments that restarts the device; default none, here empty: the board is
    /// not restarted.
    reboot_command: Vec<String>,
}

impl Board {
    #[cfg(feature = "sandbox")]
    pub(super) fn program(&self) -> Vec<String> {
        self.reboot_command.clone()
    }

    pub(super) fn channel(&self) -> Channel {
        let root = Path::new("/");
        let reboot = RebootCommand::new(&self.reboot_command);
        Channel {
            network: Some(Arc::new(SystemNetwork::new(root))),
            wifi: Some(Arc::new(SystemWifi::new(root, self.wifi_interface.clone()))),
            clock: Some(Arc::new(SystemClock::new(local_time::zone()))),
            power: reboot.map(|reboot| Arc::new(reboot) as Arc<dyn Power>),
            ..Channel::new(Arc::new(UnknownCamera))
        }
    }
}

pub(super) fn read(section: &mut Section<'_, '_>) -> Result<Board, Error> {
    // The kernel's names of interfaces have up to 15 bytes.
    let wifi_interface = section.read("wifi_interface", |value| {
        let name = text(1..=15)(value)?;
        match name.contains(['/', '\0']) || name.starts_with('.') {
            true => Err("the name of an interface, such as wlan0".to_owned()),
            false => Ok(name),
        }
    })?;
    let words = section.read("reboot_command", list(|word| text(0..=PATH)(word)))?;
    if words.as_ref().is_some_and(|words| words.first().is_none_or(String::is_empty)) {
        return Err(section.error("channel.reboot_command must begin with a program"));
    }
    Ok(Board { wifi_interface, reboot_command: words.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{camera, described, refused};

    const BESIDE: &str = "backend = ['rtsp', 'linux']\nmain = 'rtsp://h/a'\n";

    #[tokio::test]
    async fn beside_a_camera_it_brings_network_wifi_and_clock() {
        let channel = camera(BESIDE).channel;
        assert!(channel.network.is_some() && channel.wifi.is_some() && channel.clock.is_some());
        assert!(channel.power.is_none(), "no program was named");
        assert!(channel.encoder.source(ivt_hal::Stream::Main).await.is_ok());
        assert!(channel.clock.unwrap().now().await.is_ok());
        let restarts = camera(&format!("{BESIDE}reboot_command = ['/sbin/reboot']"));
        assert!(restarts.channel.power.is_some());
    }

    #[test]
    fn a_camera_beside_it_stays_what_it_is_alone() {
        let web = camera(&format!("{BESIDE}web = 'http://h'"));
        assert!(web.channel.snapshot.is_some() && web.cgi.is_some());
        let emulator = described("backend = ['emulator', 'linux']\nmain = 'a.flv'");
        assert_eq!(emulator.files().len(), 1);
        assert!(!described(&format!("{BESIDE}wifi_interface = 'wlan1'")).has_sub());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (keys, want) in [
            ("backend = 'linux'", "\"linux\" has no streams: name a camera before it"),
            ("backend = ['linux', 'emulator']", "\"linux\" has no streams"),
            ("backend = 'emulator'\nreboot_command = ['reboot']", "unknown key"),
            (&format!("{BESIDE}reboot_command = []"), "must begin with a program"),
            (&format!("{BESIDE}reboot_command = ['']"), "must begin with a program"),
            (&format!("{BESIDE}wifi_interface = '../wlan0'"), "the name of an interface"),
            (&format!("{BESIDE}wifi_interface = ''"), "a string of 1 to 15"),
            (&format!("{BESIDE}abilities = {{ streams = 'linux' }}"), "must be \"rtsp\""),
            (&format!("{BESIDE}abilities = {{ power = 'linux' }}"), "cannot do that here"),
        ] {
            let error = refused(keys);
            assert!(error.contains(want), "{keys}: {error}");
        }
    }
}
