//! The emulated camera as a device: detections, networks, restart.

use std::time::Duration;

use async_trait::async_trait;
use ivt_base::secret::Secret;
use tokio::time::Instant;

use super::Emulator;
use super::networks::{KNOWN, KnownNetwork};
use super::world::{Join, State};
use crate::{
    Area, Detection, Error, Interface, Kind, Motion, Network, Power, Result, Tripwire, Wifi,
    WifiNetwork, WifiStatus,
};

/// How long a restart takes.
const REBOOT: Duration = Duration::from_secs(5);
/// How long joining a network takes.
const JOINING: Duration = Duration::from_secs(2);
/// Longest name of a network, in bytes (IEEE 802.11, 9.4.2.2).
const LONGEST_SSID: usize = 32;

#[async_trait]
impl Motion for Emulator {
    async fn configure(&self, detection: Detection) -> Result<()> {
        self.world.act(
            "motion configure",
            || format!("motion {detection:?}"),
            |state| {
                state.motion = detection;
                Ok(())
            },
        )
    }
}

#[async_trait]
impl Tripwire for Emulator {
    async fn configure(&self, detection: Detection, area: Option<Area>) -> Result<()> {
        self.world.act(
            "tripwire configure",
            || format!("tripwire {detection:?}"),
            |state| {
                state.tripwire = (detection, area.unwrap_or(state.tripwire.1));
                Ok(())
            },
        )
    }
}

#[async_trait]
impl Network for Emulator {
    async fn interfaces(&self) -> Result<Vec<Interface>> {
        drop(self.world.present("network interfaces")?);
        Ok(vec![interface("eth0", "192.0.2.10", "02:00:5e:10:00:01")])
    }
}

#[async_trait]
impl Wifi for Emulator {
    async fn status(&self) -> Result<WifiStatus> {
        let state = self.world.present("wifi status")?;
        let join = &state.join;
        let known = KNOWN.iter().find(|known| known.ssid == join.ssid);
        let link = link(&state, known);
        let connected = known.filter(|_| link == "connected");
        let address = if connected.is_some() { "192.0.2.74" } else { "" };
        Ok(WifiStatus {
            enable: true,
            interface: interface("wlan0", address, "02:00:5e:10:00:02"),
            ssid: join.ssid.clone(),
            password: Some(join.password.clone()),
            encrypt: known.map_or_else(String::new, |known| known.encrypt.to_owned()),
            status: link.to_owned(),
            signal: connected.map(|known| known.signal),
        })
    }

    async fn networks(&self) -> Result<Vec<WifiNetwork>> {
        drop(self.world.present("wifi networks")?);
        let network = |known: KnownNetwork| WifiNetwork {
            ssid: known.ssid.to_owned(),
            signal: known.signal,
            encrypt: known.encrypt.to_owned(),
        };
        Ok(KNOWN.map(network).into())
    }

    async fn join(&self, ssid: Option<&str>, password: Option<&Secret>) -> Result<()> {
        let op = "wifi join";
        let order = || format!("wifi {}", ssid.unwrap_or("with another password"));
        self.world.act(op, order, |state| {
            let ssid = ssid.unwrap_or(&state.join.ssid).to_owned();
            let password = password.unwrap_or(&state.join.password).clone();
            if !(1..=LONGEST_SSID).contains(&ssid.len()) || !is_key(password.expose()) {
                return Err(Error::new(op, Kind::Invalid));
            }
            state.join = Join { ssid, password, at: state.now() };
            Ok(())
        })
    }
}

#[async_trait]
impl Power for Emulator {
    async fn reboot(&self) -> Result<()> {
        self.world.act("power reboot", || "reboot".to_owned(), |_| Ok(()))?;
        self.world.go_away(REBOOT);
        Ok(())
    }
}

/// How the wireless connection is.
fn link(state: &State, known: Option<&KnownNetwork>) -> &'static str {
    let passed: fn(Instant, Instant) -> bool = |now, at| now >= at + JOINING;
    match known {
        _ if !passed(state.now(), state.join.at) => "connecting",
        None => "not found",
        Some(known) if known.password.is_empty() => "connected",
        Some(known) if known.password == state.join.password.expose() => "connected",
        Some(_) => "wrong password",
    }
}

/// Whether a camera can have it as a password: none, a passphrase, or a key in hexadecimal digits (WPA).
fn is_key(password: &str) -> bool {
    match password.len() {
        0 | 8..=63 => true,
        64 => password.bytes().all(|byte| byte.is_ascii_hexdigit()),
        _ => false,
    }
}

/// An interface with this address, or without any.
fn interface(name: &str, ip: &str, mac: &str) -> Interface {
    let beside = |address: &str| if ip.is_empty() { String::new() } else { address.to_owned() };
    Interface {
        name: name.to_owned(),
        ip: ip.to_owned(),
        gateway: beside("192.0.2.1"),
        netmask: beside("255.255.255.0"),
        dns: [beside("192.0.2.1"), beside("192.0.2.2")],
        mac: mac.to_owned(),
        dhcp: true,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::{Armed, Point, conformance};

    #[tokio::test(start_paused = true)]
    async fn passes_conformance_there_and_away() {
        let emulator = Emulator::default();
        conformance::motion(&emulator).await;
        conformance::tripwire(&emulator).await;
        conformance::network(&emulator).await;
        conformance::wifi(&emulator).await;
        conformance::power(&emulator).await;
        conformance::offline_motion(&emulator).await;
        conformance::offline_tripwire(&emulator).await;
        conformance::offline_network(&emulator).await;
        conformance::offline_wifi(&emulator).await;
        conformance::offline_power(&emulator).await;
        conformance::offline_encoder(&emulator).await;
        conformance::offline_snapshot(&emulator).await;
        advance(REBOOT).await;
        conformance::encoder(&emulator).await;
    }

    #[tokio::test]
    async fn detections_are_kept_and_an_area_stays_where_none_is_given() {
        let emulator = Emulator::default();
        let detection = Detection {
            enable: true,
            armed: Armed { start: 79_200, end: 21_600 },
            sensitivity: 77,
            delay: Duration::from_secs(20),
        };
        let area = Area([(1, 2), (98, 3), (97, 96), (4, 95)].map(|(x, y)| Point { x, y }));
        Motion::configure(&emulator, detection).await.unwrap();
        Tripwire::configure(&emulator, detection, Some(area)).await.unwrap();
        Tripwire::configure(&emulator, detection, None).await.unwrap();
        assert_eq!(emulator.world.motion(), detection);
        assert_eq!(emulator.world.tripwire(), (detection, area));
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_is_joined_by_its_password_alone() {
        let emulator = Emulator::default();
        advance(JOINING).await;
        for (ssid, password, status, signal) in [
            ("office", "office-password", "connected", Some(-41)),
            ("office", "another-password", "wrong password", None),
            ("\u{529e}\u{516c}\u{5ba4}", KNOWN[2].password, "connected", Some(-66)),
            ("guests", "", "connected", Some(-79)),
            ("nowhere", "password", "not found", None),
        ] {
            emulator.join(Some(ssid), Some(&Secret::new(password.to_owned()))).await.unwrap();
            assert_eq!(emulator.status().await.unwrap().status, "connecting");
            advance(JOINING).await;
            let now = emulator.status().await.unwrap();
            assert_eq!((now.status.as_str(), now.signal), (status, signal), "{ssid}");
            assert_eq!(now.interface.ip.is_empty(), signal.is_none());
        }
    }

    #[tokio::test]
    async fn a_password_is_kept_exactly_or_refused_and_never_shown() {
        let emulator = Emulator::default();
        let join = async |ssid: &str, password: &str| {
            emulator.join(Some(ssid), Some(&Secret::new(password.to_owned()))).await
        };
        let longest = " \u{e9}'\"\\ ".repeat(9);
        assert_eq!(longest.len(), 63);
        join("a b", &longest).await.unwrap();
        let told = emulator.status().await.unwrap().password.unwrap();
        assert_eq!(told.expose(), &longest);
        assert!(!emulator.world.orders().concat().contains(&longest));
        for (ssid, password) in [
            ("", "password"),
            ("an name of thirty-three bytes ....", "password"),
            ("short", "seven.."),
            ("long", "z".repeat(64).as_str()),
        ] {
            assert_eq!(join(ssid, password).await.unwrap_err().kind, Kind::Invalid, "{ssid}");
        }
        join("hexadecimal", &"0f".repeat(32)).await.unwrap();
    }
}
