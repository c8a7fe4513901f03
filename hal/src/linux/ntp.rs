//! What the system tells of NTP. The kernel's own word, `adjtimex`, takes unsafe code; files and the list of processes
//! tell which program keeps the clock, which servers it asks, and of some programs whether they have set it.

use std::fs;
use std::path::Path;

use super::files::text;

/// Most processes that are looked at.
const MOST_PROCESSES: usize = 8192;
/// Most servers that are told.
const MOST_SERVERS: usize = 8;
/// Longest name of a server, in bytes (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 255;
/// The programs that keep a clock by NTP.
const PROGRAMS: [&str; 6] = ["chronyd", "ntpd", "ntpsec", "openntpd", "sntp", "systemd-timesyncd"];
/// Files in which such programs are told their servers, and the words before one.
const FILES: [(&str, &[&str]); 5] = [
    ("etc/chrony/chrony.conf", &["server", "pool"]),
    ("etc/chrony.conf", &["server", "pool"]),
    ("etc/ntp.conf", &["server", "pool", "servers"]),
    ("etc/systemd/timesyncd.conf", &["NTP="]),
    ("usr/lib/systemd/timesyncd.conf.d/dhcp.conf", &["NTP="]),
];
/// Made by systemd-timesyncd when it has set the clock.
const SYNCHRONIZED: &str = "run/systemd/timesync/synchronized";

/// How a clock is kept by NTP, as far as the system tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ntp {
    /// The program that runs; `None` where none is found.
    pub program: Option<String>,
    /// The servers that it asks, as far as they are known.
    pub servers: Vec<String>,
    /// Whether the clock was set by it; `None` where nothing tells.
    pub synchronized: Option<bool>,
}

impl Ntp {
    /// Looks at a device whose files are in the folder `root`, which is `/` but for tests. Blocks.
    pub fn look(root: &Path) -> Self {
        let Some((program, words)) = running(&root.join("proc")) else { return Self::default() };
        let mut servers = told(&words);
        for (file, before) in FILES {
            if servers.is_empty() {
                let text = text(&root.join(file)).unwrap_or_default();
                servers = text.lines().flat_map(|line| listed(line, before)).collect();
            }
        }
        servers.retain(|server| (1..=LONGEST_NAME).contains(&server.len()));
        servers.truncate(MOST_SERVERS);
        let tells = program == "systemd-timesyncd";
        let synchronized = tells.then(|| root.join(SYNCHRONIZED).exists());
        Self { program: Some(program), servers, synchronized }
    }
}

/// The first program that runs, and the words of its command line.
fn running(proc: &Path) -> Option<(String, Vec<String>)> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten().take(MOST_PROCESSES);
    let mut processes = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok()));
    processes.find_map(|process| {
        let line = text(&process.path().join("cmdline"))?;
        let words: Vec<String> = line.split('\0').map(str::to_owned).collect();
        let named = |word: &String| {
            let name = word.rsplit('/').next().and_then(|name| name.split([':', ' ']).next())?;
            PROGRAMS.into_iter().find(|program| *program == name)
        };
        // Behind "busybox" or a shell the program is the second word.
        let program = words.iter().take(2).find_map(named)?;
        Some((program.to_owned(), words))
    })
}

/// The servers that a command line names by `-p`, as busybox' ntpd is told them.
fn told(words: &[String]) -> Vec<String> {
    let pairs = words.iter().zip(words.iter().skip(1));
    pairs.filter(|(option, _)| *option == "-p").map(|(_, server)| server.clone()).collect()
}

/// The servers of a line of a file.
fn listed(line: &str, before: &[&str]) -> Vec<String> {
    let line = line.trim();
    for word in before {
        let Some(rest) = line.strip_prefix(word) else { continue };
        if word.ends_with('=') {
            return rest.split_ascii_whitespace().map(str::to_owned).collect();
        }
        if rest.starts_with([' ', '\t']) {
            return rest.split_ascii_whitespace().take(1).map(str::to_owned).collect();
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::device;

    fn ntp(program: &str, servers: &[&str], synchronized: Option<bool>) -> Ntp {
        let servers = servers.iter().map(|&server| server.to_owned()).collect();
        Ntp { program: Some(program.to_owned()), servers, synchronized }
    }

    #[test]
    fn the_program_that_runs_is_named_with_its_servers() {
        let chrony = (
            "etc/chrony/chrony.conf",
            &b"# pool no.example\npool a.example iburst\n server\tb.example\nserverless x\n"[..],
        );
        let timesyncd = (
            "etc/systemd/timesyncd.conf",
            &b"[Time]\n#NTP=c.example\nNTP=d.example e.example\n"[..],
        );
        for (files, want) in [
            (
                &[("proc/7/cmdline", &b"/usr/sbin/chronyd\0-F\x001\0"[..]), chrony][..],
                ntp("chronyd", &["a.example", "b.example"], None),
            ),
            (
                &[("proc/7/cmdline", b"busybox\0ntpd\0-n\0-p\0f.example\0-p\0g.example\0")],
                ntp("ntpd", &["f.example", "g.example"], None),
            ),
            (&[("proc/7/cmdline", b"ntpd: ntp engine\0")], ntp("ntpd", &[], None)),
            (
                &[("proc/7/cmdline", b"/lib/systemd/systemd-timesyncd\0"), timesyncd],
                ntp("systemd-timesyncd", &["d.example", "e.example"], Some(false)),
            ),
            (
                &[
                    ("proc/7/cmdline", b"/lib/systemd/systemd-timesyncd\0"),
                    ("run/systemd/timesync/synchronized", b""),
                ],
                ntp("systemd-timesyncd", &[], Some(true)),
            ),
            (&[("proc/7/cmdline", b"vi\0/etc/ntp.conf\0ntpd\0"), chrony], Ntp::default()),
            (&[("proc/self/cmdline", b"ntpd\0")], Ntp::default()),
            (&[], Ntp::default()),
        ] {
            assert_eq!(Ntp::look(device(files).path()), want, "{files:?}");
        }
    }

    #[test]
    fn what_is_told_is_bounded() {
        let many = "server x\n".repeat(100) + &format!("server {}\n", "y".repeat(300));
        let root = device(&[("proc/1/cmdline", b"ntpd\0"), ("etc/ntp.conf", many.as_bytes())]);
        assert_eq!(Ntp::look(root.path()).servers.len(), MOST_SERVERS);
    }
}
