//! A wpa_supplicant for tests: it has networks, a file that it saves them to, and manners that a test chooses.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a network was set to.
pub(super) type Settings = BTreeMap<String, String>;

#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) networks: BTreeMap<u32, Settings>,
    pub(super) disabled: Vec<u32>,
    pub(super) current: Option<u32>,
    /// What a restart of the device would begin with.
    pub(super) saved: Option<Box<State>>,
    pub(super) commands: Vec<String>,
    next: u32,
}

/// What the fake answers instead of what it would; `None` leaves the answer as it is.
type Manners = Box<dyn Fn(&str) -> Option<Vec<Vec<u8>>> + Send>;

/// The fake for the interface wlan0 of the device in `root`. It ends with the test.
pub(super) fn start(root: &Path, manners: Manners) -> Arc<Mutex<State>> {
    let folder = root.join("run/wpa_supplicant");
    std::fs::create_dir_all(&folder).unwrap();
    let socket = UnixDatagram::bind(folder.join("wlan0")).unwrap();
    let state = Arc::new(Mutex::new(State::default()));
    let shared = Arc::clone(&state);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            let command = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let usual = shared.lock().unwrap().serve(&command);
            let messages = manners(&command).unwrap_or_else(|| vec![usual.into_bytes()]);
            for message in messages {
                // A client that has gone, or does not read, is its own affair.
                socket.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
                if socket.send_to_addr(&message, &from).is_err() {
                    break;
                }
            }
        }
    });
    state
}

impl State {
    /// Adds a network with a name that is written in hexadecimal digits.
    pub(super) fn with(&mut self, ssid: &[u8], psk: &str) -> u32 {
        let id = self.next;
        self.next += 1;
        let hex = ssid.iter().map(|byte| format!("{byte:02x}")).collect();
        let psk = ("psk".to_owned(), psk.to_owned());
        let key_mgmt = ("key_mgmt".to_owned(), "WPA-PSK".to_owned());
        self.networks.insert(id, [("ssid".to_owned(), hex), psk, key_mgmt].into());
        id
    }

    /// Starts again with what was saved, as after a power cut, and numbers the networks anew.
    pub(super) fn restart(&mut self) {
        let commands = std::mem::take(&mut self.commands);
        let saved = self.saved.take().map(|saved| *saved).unwrap_or_default();
        let old: Vec<u32> = saved.networks.keys().copied().collect();
        let anew = |id: &u32| (0..).zip(&old).find(|(_, old)| *old == id).map(|(new, _)| new);
        let networks = saved.networks.iter();
        let networks: BTreeMap<_, _> =
            networks.filter_map(|(id, settings)| Some((anew(id)?, settings.clone()))).collect();
        let disabled: Vec<u32> = saved.disabled.iter().filter_map(anew).collect();
        let current = networks.keys().copied().find(|id| !disabled.contains(id));
        let next = u32::try_from(networks.len()).unwrap();
        *self = Self { networks, disabled, current, saved: Some(Box::new(saved)), commands, next };
    }

    /// The psk of the network that is used.
    pub(super) fn used(&self) -> Option<&str> {
        self.networks.get(&self.current?)?.get("psk").map(String::as_str)
    }

    fn serve(&mut self, command: &str) -> String {
        self.commands.push(command.to_owned());
        let words: Vec<_> = command.splitn(4, ' ').collect();
        let id = |at: usize| words.get(at).and_then(|word| word.parse::<u32>().ok());
        let done = match *words {
            ["LIST_NETWORKS"] => return self.list(),
            ["ADD_NETWORK"] => {
                let id = self.with(b"", "");
                self.networks.insert(id, Settings::new());
                self.disabled.push(id);
                return format!("{id}\n");
            }
            ["SET_NETWORK", _, name, value] => id(1)
                .and_then(|id| self.networks.get_mut(&id))
                .map(|network| drop(network.insert(name.to_owned(), value.to_owned()))),
            ["DUP_NETWORK", _, _, name] => {
                let value = id(1).and_then(|id| self.networks.get(&id)?.get(name).cloned());
                let to = id(2).and_then(|id| self.networks.get_mut(&id));
                to.zip(value).map(|(to, value)| drop(to.insert(name.to_owned(), value)))
            }
            ["SELECT_NETWORK", _] => {
                let all = self.networks.keys().copied().filter(|other| Some(*other) != id(1));
                self.disabled = all.collect();
                self.current = id(1);
                Some(())
            }
            ["ENABLE_NETWORK", _] => {
                self.disabled.retain(|disabled| Some(*disabled) != id(1));
                Some(())
            }
            ["REMOVE_NETWORK", _] => {
                let removed = id(1).and_then(|id| self.networks.remove(&id));
                if removed.is_some() {
                    self.disabled.retain(|disabled| Some(*disabled) != id(1));
                }
                removed.map(drop)
            }
            ["SAVE_CONFIG"] => {
                let saved = Self { saved: None, commands: Vec::new(), ..self.clone() };
                self.saved = Some(Box::new(saved));
                Some(())
            }
            ["RECONFIGURE"] => {
                self.restart();
                Some(())
            }
            ["ATTACH" | "DETACH" | "SCAN"] => Some(()),
            _ => return "UNKNOWN COMMAND\n".to_owned(),
        };
        if done.is_some() { "OK\n" } else { "FAIL\n" }.to_owned()
    }

    fn list(&self) -> String {
        let mut text = "network id / ssid / bssid / flags\n".to_owned();
        for (id, network) in &self.networks {
            let hex = network.get("ssid").cloned().unwrap_or_default();
            let pairs = hex.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair));
            let ssid: String = pairs.map(|pair| format!("\\x{pair}")).collect();
            let flags = match (self.current == Some(*id), self.disabled.contains(id)) {
                (true, _) => "[CURRENT]",
                (false, true) => "[DISABLED]",
                _ => "",
            };
            text += &format!("{id}\t{ssid}\tany\t{flags}\n");
        }
        text
    }
}
