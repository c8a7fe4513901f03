//! The device's own wireless network, by the control socket of wpa_supplicant.
//!
//! A network that is joined is a new one beside those that wpa_supplicant has, and is not written to its file before
//! [`Wifi::keep`]: a power cut brings the networks of before back.

mod answers;
mod before;
mod control;
#[cfg(test)]
mod fake;
mod psk;
#[cfg(test)]
mod tests;

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ivt_base::secret::Secret;
use tokio::time::{Instant, timeout};

use super::network::SystemNetwork;
use crate::{Error, Kind, Result, Wifi, WifiNetwork, WifiStatus};
use answers::{Configured, configured, encrypt, in_reach, values};
use before::{Before, NotNoted, hex};
use control::{Control, Failure, Told};
use psk::psk;

/// Where wpa_supplicant puts its sockets, one for each interface.
const FOLDERS: [&str; 3] = ["run/wpa_supplicant", "var/run/wpa_supplicant", "tmp/wpa_supplicant"];
/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(7);
/// How long a scan may take; what was heard before is told then.
const SCAN: Duration = Duration::from_millis(4_500);
/// Most networks that wpa_supplicant may be set up for when one is added.
const MOST_CONFIGURED: usize = 64;

/// The wireless interface of the system that the agent runs on.
pub struct SystemWifi {
    root: PathBuf,
    interface: Option<String>,
    network: SystemNetwork,
    /// Name and password of the network that was joined last. wpa_supplicant tells no password.
    joined: Mutex<Option<(String, Secret)>>,
}

impl SystemWifi {
    /// The interface of this name, or the first one that wpa_supplicant serves, of a device whose files are in the
    /// folder `root`, which is `/` but for tests.
    pub fn new(root: &Path, interface: Option<String>) -> Self {
        let network = SystemNetwork::new(root);
        Self { root: root.to_owned(), interface, network, joined: Mutex::default() }
    }

    /// The socket of the interface, and its name.
    fn socket(&self) -> Told<(PathBuf, String)> {
        let folders = FOLDERS.map(|folder| self.root.join(folder));
        let wanted = |name: &str| match &self.interface {
            Some(interface) => name == interface,
            None => name != "global" && !name.starts_with("p2p-dev-"),
        };
        for folder in &folders {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let sockets = entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_socket()));
            let names = sockets.filter_map(|entry| entry.file_name().into_string().ok());
            if let Some(name) = names.filter(|name| wanted(name)).min() {
                return Ok((folder.join(&name), name));
            }
        }
        let [place, ..] = folders;
        Err(Failure::Absent { place: place.join(self.interface.as_deref().unwrap_or("INTERFACE")) })
    }

    fn open(&self) -> Told<Control> {
        Control::open(&self.socket()?.0)
    }

    async fn listed(control: &mut Control) -> Told<Vec<Configured>> {
        Ok(configured(&control.ask("LIST_NETWORKS").await?))
    }

    async fn look(&self) -> Result<WifiStatus> {
        let op = "wifi status";
        let (path, name) = self.socket().map_err(|e| e.of(op))?;
        let asked = async {
            let mut control = Control::open(&path)?;
            let answer = control.ask("STATUS").await?;
            let told = values(&answer);
            let value = |name| told.get(name).copied().unwrap_or_default();
            if matches!(value("wpa_state"), "" | "INTERFACE_DISABLED") {
                return Ok(WifiStatus::default());
            }
            let networks = Self::listed(&mut control).await?;
            let used = used(&networks);
            let ssid = match value("ssid") {
                "" => used.map(|network| network.ssid.clone()).unwrap_or_default(),
                ssid => answers::unescaped(ssid),
            };
            let status = match value("wpa_state") {
                "COMPLETED" => "connected",
                _ if used.is_some_and(|network| network.resting) => "wrong password",
                "SCANNING" => "scanning",
                "DISCONNECTED" | "INACTIVE" => "disconnected",
                _ => "connecting",
            };
            let poll = match status {
                "connected" => control.ask("SIGNAL_POLL").await?,
                _ => String::new(),
            };
            let signal = values(&poll).get("RSSI").and_then(|rssi| rssi.parse().ok());
            let keys = [value("key_mgmt"), value("pairwise_cipher")].concat();
            let encrypt = if status == "connected" { encrypt(&keys) } else { "" };
            Ok(WifiStatus {
                enable: true,
                ssid: String::from_utf8_lossy(&ssid).into_owned(),
                encrypt: encrypt.to_owned(),
                status: status.to_owned(),
                signal,
                ..WifiStatus::default()
            })
        };
        let mut status = asked.await.map_err(|e: Failure| e.of(op))?;
        if status.enable {
            status.interface = self.network.interface(&name).await?;
            let joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
            let joined = joined.as_ref().filter(|(ssid, _)| *ssid == status.ssid);
            status.password = joined.map(|(_, password)| password.clone());
        }
        Ok(status)
    }

    async fn scan(&self) -> Told<Vec<WifiNetwork>> {
        let mut control = self.open()?;
        let until = Instant::now() + SCAN;
        // Who attaches is told when the scan ends.
        let attached = control.order("ATTACH").await.is_ok();
        let scans = matches!(control.ask("SCAN").await?.trim(), "OK" | "FAIL-BUSY");
        if attached && scans {
            control.scanned(until).await;
        }
        if attached {
            control.ask("DETACH").await.ok();
        }
        Ok(in_reach(&control.ask("SCAN_RESULTS").await?))
    }

    /// Sets up a network and uses it alone.
    async fn add(&self, ssid: Option<&str>, password: Option<&Secret>) -> Told<String> {
        let mut control = self.open()?;
        let networks = Self::listed(&mut control).await?;
        let used = used(&networks);
        let refused = |command: &str| Failure::Refused { command: command.to_owned() };
        let name = match (ssid, used) {
            (Some(ssid), _) => ssid.as_bytes().to_vec(),
            (None, Some(used)) => used.ssid.clone(),
            (None, None) => return Err(Failure::Gone),
        };
        let known = networks.iter().find(|network| network.ssid == name);
        match (password, known) {
            (None, Some(known)) => select(&mut control, known.id).await?,
            _ if networks.len() >= MOST_CONFIGURED => return Err(refused("ADD_NETWORK")),
            _ => {
                let id = control.ask("ADD_NETWORK").await?;
                let id = id.trim().parse().map_err(|_| refused("ADD_NETWORK"))?;
                let set = match password {
                    Some(password) => set(&mut control, id, &name, password).await,
                    None => copy(&mut control, id, &name, used).await,
                };
                let selected = match set {
                    Ok(()) => select(&mut control, id).await,
                    failed => failed,
                };
                if let Err(failure) = selected {
                    control.ask(&format!("REMOVE_NETWORK {id}")).await.ok();
                    return Err(failure);
                }
            }
        }
        Ok(String::from_utf8_lossy(&name).into_owned())
    }
}

#[async_trait]
impl Wifi for SystemWifi {
    async fn status(&self) -> Result<WifiStatus> {
        within("wifi status", self.look()).await
    }

    async fn networks(&self) -> Result<Vec<WifiNetwork>> {
        let op = "wifi networks";
        within(op, async { self.scan().await.map_err(|e| e.of(op)) }).await
    }

    async fn known(&self) -> Result<Vec<String>> {
        let op = "wifi networks";
        let asked = async { Self::listed(&mut self.open()?).await };
        let listed = within(op, async { asked.await.map_err(|e: Failure| e.of(op)) }).await?;
        let names = listed.into_iter().filter_map(|known| String::from_utf8(known.ssid).ok());
        Ok(names.filter(|name| !name.is_empty()).collect())
    }

    fn cuts_at_once(&self) -> bool {
        true
    }

    async fn check(&self, ssid: Option<&str>, password: Option<&Secret>) -> Result<()> {
        let named = ssid.is_none_or(|ssid| (1..=32).contains(&ssid.len()) && is_storable(ssid));
        match password.is_none_or(is_key) && named {
            true => self.socket().map(drop).map_err(|e| e.of("wifi join")),
            false => Err(Error::new("wifi join", Kind::Invalid).because(NoKey)),
        }
    }

    async fn join(&self, ssid: Option<&str>, password: Option<&Secret>) -> Result<()> {
        let op = "wifi join";
        self.check(ssid, password).await?;
        let name = within(op, async { self.add(ssid, password).await.map_err(|e| e.of(op)) });
        let name = name.await?;
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        *joined = password.map(|password| (name, password.clone()));
        Ok(())
    }

    /// All networks with their names, those in use, and the one that is used now.
    async fn before(&self) -> Result<Option<Secret>> {
        let op = "wifi status";
        let asked = async {
            let networks = Self::listed(&mut self.open()?).await?;
            let used = used(&networks).map(|network| network.id);
            Ok(Before {
                used,
                enabled: networks.iter().filter(|n| n.enabled).map(|n| n.id).collect(),
                all: networks.iter().map(|n| (n.id, n.ssid.clone())).collect(),
            })
        };
        let before = within(op, async { asked.await.map_err(|e: Failure| e.of(op)) }).await?;
        Ok(Some(Secret::untold(before.to_string())))
    }

    async fn is_joined(&self, ssid: Option<&str>) -> Result<bool> {
        let op = "wifi status";
        let asked = async {
            let answer = self.open()?.ask("STATUS").await?;
            let told = values(&answer);
            let name = told.get("ssid").map(|ssid| answers::unescaped(ssid));
            let is_named = ssid.is_none_or(|ssid| name.as_deref() == Some(ssid.as_bytes()));
            Ok(told.get("wpa_state") == Some(&"COMPLETED") && is_named)
        };
        within(op, async { asked.await.map_err(|e: Failure| e.of(op)) }).await
    }

    async fn keep(&self) -> Result<()> {
        let op = "wifi keep";
        let kept = async {
            let mut control = self.open()?;
            let networks = Self::listed(&mut control).await?;
            // Others of the same name are what this network was before.
            if let Some(used) = used(&networks) {
                let same = |n: &&Configured| n.id != used.id && n.ssid == used.ssid;
                for network in networks.iter().filter(same) {
                    control.ask(&format!("REMOVE_NETWORK {}", network.id)).await?;
                }
            }
            control.order("SAVE_CONFIG").await.map_err(|e| match e {
                Failure::Refused { .. } => Failure::NotKept,
                other => other,
            })
        };
        within(op, async { kept.await.map_err(|e| e.of(op)) }).await
    }

    async fn go_back(&self, before: &Secret) -> Result<()> {
        let op = "wifi go back";
        let before: Before =
            before.expose().parse().map_err(|NotNoted| Error::new(op, Kind::Invalid))?;
        let back = async {
            let mut control = self.open()?;
            let networks = Self::listed(&mut control).await?;
            // One that was started anew has read its file, and may number the networks in another way. The file is
            // that of before.
            if !before
                .all
                .iter()
                .all(|(id, ssid)| networks.iter().any(|n| n.id == *id && n.ssid == *ssid))
            {
                return control.order("RECONFIGURE").await;
            }
            // Using one network alone ends the use of all others.
            if let Some(used) = before.used {
                select(&mut control, used).await?;
            }
            for id in before.enabled.iter().filter(|id| before.used != Some(**id)) {
                control.order(&format!("ENABLE_NETWORK {id}")).await?;
            }
            let is_new = |n: &&Configured| before.all.iter().all(|(id, _)| *id != n.id);
            for network in networks.iter().filter(is_new) {
                match control.order(&format!("REMOVE_NETWORK {}", network.id)).await {
                    // Somebody else has removed it.
                    Ok(()) | Err(Failure::Refused { .. }) => {}
                    Err(failure) => return Err(failure),
                }
            }
            Ok(())
        };
        within(op, async { back.await.map_err(|e| e.of(op)) }).await?;
        *self.joined.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}

/// Text that no network can have as its name or password.
#[derive(Debug, thiserror::Error)]
#[error(
    "a network has a name of 1 to 32 bytes, and a password of 8 to 63 bytes without control characters, 64 hexadecimal \
     digits, or none; wpa_supplicant keeps no name with a # behind a quotation mark"
)]
struct NoKey;

async fn within<T>(op: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(DEADLINE, work).await.unwrap_or_else(|_| Err(Error::new(op, Kind::Timeout)))
}

/// The network that is used, or tried first.
fn used(networks: &[Configured]) -> Option<&Configured> {
    let current = networks.iter().find(|network| network.current);
    current.or_else(|| networks.iter().find(|network| network.enabled))
}

/// Uses network `id` alone.
async fn select(control: &mut Control, id: u32) -> Told<()> {
    control.order(&format!("SELECT_NETWORK {id}")).await
}

/// Sets up network `id` by name and password.
async fn set(control: &mut Control, id: u32, ssid: &[u8], password: &Secret) -> Told<()> {
    named(control, id, ssid).await?;
    let password = password.expose();
    if password.is_empty() {
        return control.order(&format!("SET_NETWORK {id} key_mgmt NONE")).await;
    }
    if is_raw(password) {
        control.order(&format!("SET_NETWORK {id} psk {password}")).await?;
    } else if is_cut(password) {
        let key = psk(password, ssid);
        control.order(&format!("SET_NETWORK {id} psk {key}")).await?;
    } else {
        control.order(&format!("SET_NETWORK {id} psk \"{password}\"")).await?;
        let modern = format!("SET_NETWORK {id} key_mgmt WPA-PSK WPA-PSK-SHA256 SAE");
        let protect = format!("SET_NETWORK {id} ieee80211w 1");
        // One that is built without WPA3 refuses the word.
        if control.order(&modern).await.is_ok() {
            return control.order(&protect).await;
        }
    }
    control.order(&format!("SET_NETWORK {id} key_mgmt WPA-PSK")).await
}

/// Sets up network `id` with another name and the password of the network in use.
async fn copy(control: &mut Control, id: u32, ssid: &[u8], used: Option<&Configured>) -> Told<()> {
    let from = used.ok_or(Failure::Gone)?.id;
    named(control, id, ssid).await?;
    control.order(&format!("DUP_NETWORK {from} {id} key_mgmt")).await?;
    // An open network has no password.
    for part in ["psk", "ieee80211w"] {
        match control.order(&format!("DUP_NETWORK {from} {id} {part}")).await {
            Ok(()) | Err(Failure::Refused { .. }) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// Names network `id`, which may hide its name.
async fn named(control: &mut Control, id: u32, ssid: &[u8]) -> Told<()> {
    control.order(&format!("SET_NETWORK {id} ssid {}", hex(ssid))).await?;
    control.order(&format!("SET_NETWORK {id} scan_ssid 1")).await
}

fn is_key(password: &Secret) -> bool {
    let text = password.expose();
    let plain = !text.bytes().any(|byte| byte.is_ascii_control());
    text.is_empty() || (8..=63).contains(&text.len()) && plain || is_raw(text)
}

/// Whether wpa_supplicant reads a name again that it has written. It writes others than plain text as digits.
fn is_storable(ssid: &str) -> bool {
    !ssid.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !is_cut(ssid)
}

/// Whether wpa_supplicant would take the end of a quoted text for a comment: it would not read its file again, and the
/// device would have no network after its next start.
fn is_cut(text: &str) -> bool {
    text.split_once('"').is_some_and(|(_, rest)| rest.contains('#'))
}

/// Whether a password is the key itself, in hexadecimal digits.
fn is_raw(password: &str) -> bool {
    password.len() == 64 && password.bytes().all(|byte| byte.is_ascii_hexdigit())
}
