//! Which interfaces DHCP sets up. The kernel does not know: an interface counts as set up by DHCP while a client that is
//! known here runs for it, or systemd-networkd has a lease of it. What another program sets up counts as not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::files::text;

/// Most processes that are looked at.
const MOST_PROCESSES: usize = 8192;
/// The clients, each with the interface that it serves where it is told none; `None` is every interface.
const CLIENTS: [(&str, Option<&str>); 4] =
    [("udhcpc", Some("eth0")), ("dhclient", None), ("dhcpcd", None), ("dhcpcd5", None)];

/// The clients of DHCP that run on the device.
pub(super) struct Clients {
    /// The devices that are served by name.
    named: BTreeSet<String>,
    /// Whether a client serves every device.
    all: bool,
}

impl Clients {
    pub(super) fn look(root: &Path) -> Self {
        let devices = names(&root.join("sys/class/net"));
        let mut clients = Self { named: BTreeSet::new(), all: false };
        let proc = root.join("proc");
        let own = fs::read_link(proc.join("self/ns/net")).ok();
        let processes = names(&proc).into_iter().filter(|name| name.parse::<u32>().is_ok());
        for process in processes {
            let process = proc.join(process);
            let Some(line) = text(&process.join("cmdline")) else { continue };
            let words: Vec<_> = line.split('\0').collect();
            let Some((usual, rest)) = client(&words) else { continue };
            let space = fs::read_link(process.join("ns/net")).ok();
            // A process of a container speaks for the container's network.
            if own.is_some() && space.is_some() && space != own {
                continue;
            }
            let served =
                devices.iter().filter(|device| rest.iter().any(|word| names_it(word, device)));
            let served: Vec<_> = served.cloned().collect();
            match (usual, served.is_empty()) {
                (_, false) => clients.named.extend(served),
                (Some(usual), true) => drop(clients.named.insert(usual.to_owned())),
                (None, true) => clients.all = true,
            }
        }
        for device in devices {
            let index = text(&root.join("sys/class/net").join(&device).join("ifindex"));
            let leases = root.join("run/systemd/netif/leases");
            if index.is_some_and(|index| leases.join(index.trim()).is_file()) {
                clients.named.insert(device);
            }
        }
        clients
    }

    /// Whether a client serves the device.
    pub(super) fn serve(&self, device: &str) -> bool {
        self.all || self.named.contains(device)
    }
}

/// The client that a command line starts, directly or by the name of an applet: what it serves without being told, and
/// its arguments.
fn client<'a>(words: &'a [&'a str]) -> Option<(Option<&'static str>, &'a [&'a str])> {
    let base = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    let first = words.iter().take(2).enumerate();
    let mut found = first.filter_map(|(at, word)| {
        // Some clients rewrite their command line to `dhcpcd: wlan0 [ip4]`.
        let name = base(word.split([':', ' ']).next().unwrap_or_default());
        let (_, usual) = CLIENTS.iter().find(|(client, _)| *client == name)?;
        Some((*usual, words.get(at..).unwrap_or_default()))
    });
    found.next()
}

/// Whether a word of a command line is the name of a device, alone or behind an option.
fn names_it(word: &str, device: &str) -> bool {
    let parts = word.split([' ', '=']);
    let option = ["-i", "--interface"];
    parts.into_iter().any(|part| {
        part == device || option.iter().any(|option| part.strip_prefix(option) == Some(device))
    })
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().take(MOST_PROCESSES);
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::device;

    /// Whether eth0, wlan0 and eth1 are served on a device with these files.
    fn served(files: &[(&str, &[u8])]) -> [bool; 3] {
        let devices = ["eth0", "wlan0", "eth1"];
        let root = device(files);
        for (index, device) in devices.iter().enumerate() {
            let folder = root.path().join("sys/class/net").join(device);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("ifindex"), format!("{}\n", index + 2)).unwrap();
        }
        let clients = Clients::look(root.path());
        devices.map(|device| clients.serve(device))
    }

    #[test]
    fn a_client_that_runs_serves_the_interfaces_that_it_names() {
        for (line, want) in [
            (&b"udhcpc\0-i\0wlan0\0-b\0"[..], [false, true, false]),
            (b"/sbin/udhcpc\0-iwlan0\0", [false, true, false]),
            (b"/bin/busybox\0udhcpc\0--interface=eth1\0", [false, false, true]),
            (b"udhcpc\0-b\0-p\0/var/run/udhcpc.pid\0", [true, false, false]),
            (b"/sbin/dhclient\0-4\0-pf\0/run/dhclient.eth1.pid\0eth1\0", [false, false, true]),
            (b"dhclient\0-4\0eth0\0eth1\0", [true, false, true]),
            (b"dhcpcd\0", [true, true, true]),
            (b"dhcpcd: wlan0 [ip4]\0", [false, true, false]),
            (b"/usr/sbin/udhcpd\0eth0\0", [false, false, false]),
            (b"vi\0/etc/udhcpc/default.script\0eth0\0", [false, false, false]),
            (b"", [false, false, false]),
            (b"\xff\xfe\0\0\0", [false, false, false]),
        ] {
            let text = String::from_utf8_lossy(line);
            assert_eq!(served(&[("proc/77/cmdline", line)]), want, "{text}");
        }
        let other = &[("proc/self/cmdline", &b"udhcpc\0"[..]), ("proc/sys/cmdline", b"udhcpc\0")];
        assert_eq!(served(other), [false; 3], "no processes");
    }

    #[test]
    fn a_lease_of_networkd_is_known_by_the_number_of_its_interface() {
        let leases = [("run/systemd/netif/leases/3", &b"ADDRESS=192.0.2.7\n"[..])];
        assert_eq!(served(&leases), [false, true, false]);
    }
}
