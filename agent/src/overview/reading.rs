//! What the system tells of the process, the memory, the load, the network and the disk.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;

/// Most bytes that are read of a file of the system.
const LONGEST: usize = 16 << 10;
/// Most name servers and interfaces that are told of.
const MOST: usize = 8;
/// Clock ticks in a second, as the kernel tells times to programs on every platform of ours.
const TICKS: u64 = 100;

/// Bytes of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// What the process has in memory.
    pub(crate) resident: u64,
    /// What programs may still take of the device's memory.
    pub(crate) available: Option<u64>,
    /// The device's memory.
    pub(crate) total: Option<u64>,
}

/// A disk, by one of its folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) free: u64,
    pub(crate) total: u64,
    /// Whether it takes files.
    pub(crate) is_writable: bool,
    /// Whether it has not answered.
    pub(crate) is_silent: bool,
}

/// The memory of this process and of the device.
pub(crate) fn memory() -> Memory {
    let (status, info) = (text("/proc/self/status"), text("/proc/meminfo"));
    Memory {
        resident: field(&status, "VmRSS").unwrap_or(0),
        available: field(&info, "MemAvailable"),
        total: field(&info, "MemTotal"),
    }
}

/// The time that this process has spent on all cores since its start, in milliseconds.
pub(crate) fn cpu_time() -> Option<u64> {
    spent(&text("/proc/self/stat"))
}

/// The system's load over a minute, in percent of one core.
pub(super) fn load() -> Option<u64> {
    let load = text("/proc/loadavg");
    let load: f64 = load.split_whitespace().next()?.parse().ok()?;
    Some((load * 100.0) as u64)
}

/// Number of open files of this process.
pub(crate) fn open_files() -> Option<usize> {
    fs::read_dir("/proc/self/fd").ok().map(Iterator::count)
}

/// The interfaces but the loopback, and whether each has a link.
pub(super) fn interfaces(root: &Path) -> Vec<(String, bool)> {
    let Ok(folder) = fs::read_dir(root.join("sys/class/net")) else { return Vec::new() };
    let names = folder.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| name != "lo").take(MOST).collect();
    names.sort();
    let told = names.into_iter().filter_map(|name| {
        let folder = root.join("sys/class/net").join(&name);
        // A tunnel or a bridge without members has no device, and no cable that could be plugged in.
        let is_real = folder.join("device").exists() || name.starts_with("eth");
        let carrier = fs::read_to_string(folder.join("carrier"));
        // Of an interface that is down, the carrier cannot be read.
        is_real.then(|| (name, carrier.is_ok_and(|carrier| carrier.trim() == "1")))
    });
    told.collect()
}

/// The device's own address on the way out; `None` without a way out. Nothing is sent.
pub(super) fn address() -> Option<IpAddr> {
    // Addresses for documentation, which are routed as every other one.
    let ways = [([0, 0, 0, 0], [198, 51, 100, 1])];
    let ways = ways.map(|(own, there)| [own, there].map(IpAddr::from));
    let v6 = [[0; 8], [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]].map(IpAddr::from);
    ways.into_iter().chain([v6]).find_map(|[own, there]| way(own, there).ok())
}

fn way(own: IpAddr, there: IpAddr) -> io::Result<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(own, 0))?;
    socket.connect(SocketAddr::new(there, 9))?;
    Ok(socket.local_addr()?.ip())
}

/// The system's name servers.
pub(super) fn name_servers() -> Vec<String> {
    servers(&text("/etc/resolv.conf"))
}

/// A folder's disk. Blocks, for long if the disk is bad.
pub(super) fn disk(folder: &Path) -> Option<Disk> {
    use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};
    // The folder is made with the first file in it.
    let folder = folder.ancestors().find(|at| at.exists())?;
    let stats = statvfs(folder).ok()?;
    let allowed = access(folder, Access::WRITE_OK).is_ok();
    Some(Disk {
        free: stats.f_bavail.saturating_mul(stats.f_frsize),
        total: stats.f_blocks.saturating_mul(stats.f_frsize),
        is_writable: allowed && !stats.f_flag.contains(StatVfsMountFlags::RDONLY),
        is_silent: false,
    })
}

fn text(file: &str) -> String {
    let mut text = String::new();
    let read = fs::File::open(file).and_then(|file| {
        use std::io::Read as _;
        file.take(LONGEST as u64).read_to_string(&mut text)
    });
    // What cannot be read is told of as unknown.
    if read.is_err() {
        text.clear();
    }
    text
}

/// A field of `/proc/meminfo` or `/proc/self/status` in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

/// The times of user and system in `/proc/self/stat`, in milliseconds.
fn spent(stat: &str) -> Option<u64> {
    // The name of the program is in parentheses, and may hold blanks.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) * (1000 / TICKS))
}

fn servers(conf: &str) -> Vec<String> {
    let servers = conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next())?
    });
    servers.filter(|server| server.parse::<IpAddr>().is_ok()).take(MOST).map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_s_files_are_read() {
        let info = "MemTotal:       62016 kB\nMemFree: 1 kB\nMemAvailable:   20480 kB\n";
        assert_eq!(field(info, "MemAvailable"), Some(20 << 20));
        assert_eq!((field(info, "Mem"), field("", "MemTotal")), (None, None));
        let stat = "12 (a b) c) S 1 12 12 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 9 1 2";
        assert_eq!(spent(stat), Some(3_000));
        assert_eq!((spent(""), spent("1 (a) S 1")), (None, None));
        let conf = "# nameserver 9.9.9.9\nnameserver 192.0.2.1\nsearch lan\nnameserver x\n nameserver ::1\n";
        assert_eq!(servers(conf), ["192.0.2.1", "::1"]);
    }

    #[test]
    fn this_process_has_memory_time_and_a_disk() {
        let memory = memory();
        assert!(memory.resident > 1 << 20 && memory.total > memory.available, "{memory:?}");
        assert!(cpu_time().is_some() && load().is_some() && open_files() > Some(2));
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(&folder.path().join("not/yet")).unwrap();
        assert!(disk.is_writable && disk.free > 0 && disk.total >= disk.free, "{disk:?}");
    }

    #[test]
    fn an_interface_without_a_cable_has_no_link() {
        let root = tempfile::tempdir().unwrap();
        for (name, carrier) in [("lo", "1"), ("eth0", "0\n"), ("eth1", "1\n")] {
            let folder = root.path().join("sys/class/net").join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("carrier"), carrier).unwrap();
        }
        fs::create_dir_all(root.path().join("sys/class/net/wlan0/device")).unwrap();
        fs::create_dir_all(root.path().join("sys/class/net/tun0")).unwrap();
        let want = [("eth0", false), ("eth1", true), ("wlan0", false)];
        assert_eq!(interfaces(root.path()), want.map(|(name, up)| (name.to_owned(), up)));
        assert_eq!(interfaces(Path::new("/nowhere")), []);
    }
}
