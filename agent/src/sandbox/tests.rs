//! A process of its own enters the sandbox and tries what it may do: the test starts this program once more.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rustix::thread::CapabilitySet;

use super::rights::{Named, Rights};
use super::{enter, user};
use crate::config::{Access, Config};
use crate::settings::{self, Change, Store};

/// Names the folder in which a child tries what it may do.
const CHILD: &str = "IVT_SANDBOX_TEST";
const CLOUD: &str = "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'pq7x'\n";
const CHANNEL: &str = "[[channel]]\nbackend = 'emulator'\n";

fn config(more: &str) -> Config {
    let channel = if more.contains("[[channel]]") { "" } else { CHANNEL };
    format!("{CLOUD}{channel}{more}").parse().unwrap_or_else(|e| panic!("{more}: {e}"))
}

/// A configuration of one file.
fn named(file: impl Into<PathBuf>) -> Named {
    Named { written: vec![file.into()], ..Named::default() }
}

fn rights(more: &str) -> Rights {
    Rights::of(&config(more), &named("/etc/ivt/agent.toml"))
}

fn paths(set: &BTreeSet<PathBuf>) -> Vec<&str> {
    set.iter().map(|path| path.to_str().unwrap()).collect()
}

/// Runs the test `name` in a process of its own, in `folder`.
fn in_child(name: &str, folder: &Path) {
    let program = std::env::current_exe().unwrap();
    let name = format!("sandbox::tests::{name}");
    let arguments = ["--exact", &name, "--ignored", "--nocapture", "--test-threads=1"];
    let done = Command::new(program).args(arguments).env(CHILD, folder).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&said));
    assert!(String::from_utf8_lossy(&said).contains("1 passed"));
}

/// The folder of a child; `None` where the test was not started by [`in_child`].
fn folder() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

fn status(key: &str) -> String {
    let text = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.trim_start_matches(':').trim().to_owned()
}

fn kind<T>(tried: std::io::Result<T>) -> Option<ErrorKind> {
    tried.err().map(|e| e.kind())
}

#[test]
fn an_agent_without_programs_opens_what_it_names_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("conf")).unwrap();
    fs::write(folder.path().join("other"), "other").unwrap();
    in_child("without_programs", folder.path());
}

#[test]
#[ignore = "run in a process of its own"]
fn without_programs() {
    let Some(folder) = folder() else { return };
    let named = named(folder.join("conf/agent.toml"));
    let state = folder.join("data/state");
    let text = format!("[device]\nstate_dir = '{}'\n[sandbox]\nenable = true\n", state.display());
    let (file, own) = (named.written[0].clone(), [CLOUD, CHANNEL, &text].concat());
    fs::write(&file, &own).unwrap();
    let config = Config::load(&file, Access::Any).unwrap();
    let confined = enter(&config, named).unwrap().unwrap();
    assert_eq!((status("NoNewPrivs").as_str(), status("Seccomp").as_str()), ("1", "2"));

    assert!(confined.allows(&config).is_ok());
    assert_eq!(fs::read_to_string(&file).unwrap(), own);
    fs::write(state.join("a"), "1").unwrap();
    fs::rename(state.join("a"), state.join("b")).unwrap();
    if confined.has_files() {
        let denied = Some(ErrorKind::PermissionDenied);
        assert_eq!(kind(File::open(folder.join("other"))), denied);
        assert_eq!(kind(fs::write(folder.join("conf/new"), "")), denied, "it is read only");
        assert_eq!(kind(fs::rename(state.join("b"), folder.join("b"))), denied);
        // What it changes or reads again has to be within its rights.
        let store = Store::new(&file, Access::Any).confined(confined);
        assert!(store.read().is_ok());
        let set = |folder: PathBuf| {
            let change = Change::text("record.spool_dir", folder.to_str().unwrap()).unwrap();
            store.change(&[change], None).unwrap_err()
        };
        let refused = set(folder.join("elsewhere"));
        let said = refused.to_string();
        assert!(matches!(refused, settings::Error::Confined(_)), "{said}");
        assert!(said.contains("elsewhere: start the process again"), "{said}");
        let unwritten = set(state.join("spool"));
        assert!(matches!(unwritten, settings::Error::Write(_)), "no page writes it: {unwritten}");
    }
    // A program that cannot be started, by whichever call the library tries.
    assert!(kind(Command::new("/bin/true").spawn()).is_some());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let threaded = thread::spawn(move || {
        let confined = status("Seccomp");
        TcpStream::connect(address).map(|_| confined)
    });
    listener.accept().unwrap();
    assert_eq!(threaded.join().unwrap().unwrap(), "2", "a thread inherits it");
}

#[test]
fn programs_of_the_configuration_run_within_the_same_bounds() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("conf")).unwrap();
    fs::write(folder.path().join("other"), "other").unwrap();
    in_child("with_programs", folder.path());
}

#[test]
#[ignore = "run in a process of its own"]
fn with_programs() {
    let Some(folder) = folder() else { return };
    let named = named(folder.join("conf/agent.toml"));
    let more = "[[channel]]\nbackend = 'emulator'\ncommand = ['cat']\n[sandbox]\nenable = true\n";
    let confined = enter(&config(more), named).unwrap().unwrap();
    assert!(Command::new("/bin/true").status().unwrap().success());
    if confined.has_files() {
        let other = folder.join("other");
        assert!(!Command::new("cat").arg(&other).status().unwrap().success());
    }
    // Namespaces are a way around many bounds.
    assert!(!Command::new("unshare").args(["-U", "true"]).status().is_ok_and(|s| s.success()));
}

#[test]
fn root_becomes_the_user_for_good() {
    if user::is_root() {
        let folder = tempfile::tempdir().unwrap();
        in_child("as_nobody", folder.path());
    }
}

#[test]
#[ignore = "run in a process of its own"]
fn as_nobody() {
    let Some(folder) = folder() else { return };
    let config = config(&format!(
        "[device]\nstate_dir = '{}/made/state'\n[web]\nenable = true\nreset_file = '/proc/reset'\n\
         [sandbox]\nenable = true\nuser = 'nobody'\nlandlock = false\nseccomp = false\n",
        folder.display()
    ));
    enter(&config, named("/proc/agent.toml")).unwrap();
    let nobody = user::find("nobody").unwrap();
    let number = nobody.uid.to_string();
    assert_eq!(status("Uid").split_whitespace().collect::<Vec<_>>(), [&*number; 4]);
    assert_eq!(status("CapEff"), "0000000000000400", "to listen on port 80");
    assert_eq!(status("CapBnd"), status("CapEff"));
    assert_eq!((status("CapAmb"), status("CapInh")), (format!("{:016}", 0), format!("{:016}", 0)));
    assert!(nix::unistd::setuid(nix::unistd::ROOT).is_err());
    for made in ["made", "made/state"] {
        assert_eq!(fs::metadata(folder.join(made)).unwrap().uid(), nobody.uid.as_raw());
    }
    fs::write(folder.join("made/state/a"), "").unwrap();
}

#[test]
fn a_user_that_is_not_there_is_told() {
    let config = config("[sandbox]\nenable = true\nuser = 'zq-none'\n");
    let error = user::check(&config).unwrap_err().to_string();
    assert!(error.contains("there is no user zq-none"), "{error}");
}

#[test]
fn a_camera_alone_needs_its_state_and_nothing_else() {
    let rights =
        rights("[device]\nstate_dir = '/var/lib/ivt'\n[record]\nspool_dir = '/mnt/sd/ivt'\n");
    assert_eq!(paths(&rights.read), ["/etc/ivt"]);
    assert_eq!(paths(&rights.write), ["/mnt", "/mnt/sd/ivt", "/var/lib/ivt"], "for any card");
    assert!(rights.run.is_empty() && rights.capabilities.is_empty());
}

#[test]
fn each_right_is_there_for_what_is_configured() {
    let board = "[[channel]]\nbackend = ['emulator', 'linux']\n";
    let reboots = format!("{board}reboot_command = ['/opt/reboot.sh']\n");
    let restarts = CapabilitySet::SYS_BOOT | CapabilitySet::KILL;
    let time = CapabilitySet::SYS_TIME;
    for (more, want, inherited) in [
        (board, time, CapabilitySet::empty()),
        (&reboots, time | restarts, restarts),
        ("[web]\nenable = true\n", CapabilitySet::NET_BIND_SERVICE, CapabilitySet::empty()),
        (
            "[web]\nenable = true\nlisten = 'lan:8080'\n",
            CapabilitySet::empty(),
            CapabilitySet::empty(),
        ),
        (
            "[firmware]\nbackend = 'slots'\nslot_a = '/dev/a'\nslot_b = '/dev/b'\nmarker = '/boot/m'\nmodel = 'm'\n",
            CapabilitySet::SYS_BOOT,
            CapabilitySet::empty(),
        ),
        (
            "[firmware]\nbackend = 'command'\nfolder = '/d'\ninstall = ['rauc', '{image}']\nrestart = []\nmodel = 'm'\n",
            CapabilitySet::empty(),
            CapabilitySet::empty(),
        ),
    ] {
        let rights = rights(more);
        assert_eq!((rights.capabilities, rights.inherited), (want, inherited), "{more}");
    }
    assert!(paths(&rights(&reboots).run).contains(&"/opt/reboot.sh"));
    assert!(rights(board).run.is_empty());
    let page = rights(
        "[web]\nenable = true\nreset_file = '/data/reset'\nhttps_certificate = '/c/a'\nhttps_key = '/k/a'\n",
    );
    assert_eq!(paths(&page.write), ["/data", "/etc/ivt"]);
    assert_eq!(paths(&page.read), ["/c", "/etc/ivt", "/k"]);
    let slots = "[firmware]\nbackend = 'slots'\nslot_a = '/dev/a'\nslot_b = '/dev/b'\nmarker = '/boot/m'\nmodel = 'm'\nstarted = '/run/s'\n";
    assert_eq!(paths(&rights(slots).write), ["/boot/m", "/dev/a", "/dev/b"]);
    let more = rights("[sandbox]\nenable = true\nread = ['/srv']\nwrite = ['/mnt']\n");
    assert_eq!((paths(&more.read), paths(&more.write)), (vec!["/etc/ivt", "/srv"], vec!["/mnt"]));
}

#[test]
fn a_configuration_that_needs_more_is_told_what() {
    let small = rights("[record]\nspool_dir = '/srv/sd'\n");
    for (more, want) in [
        ("[record]\nspool_dir = '/srv/sd/deeper'\n", vec![]),
        ("[record]\nspool_dir = '/srv/sda'\n", vec!["writing /srv/sda"]),
        (
            "[tlss]\nenable = true\nserver = 'h'\nport = 1\nprofile = '/opt/p.toml'\n",
            vec!["reading /opt"],
        ),
        ("[tlss]\nenable = true\nserver = 'h'\nport = 1\nprofile = '/etc/p.toml'\n", vec![]),
        ("[[channel]]\nbackend = 'emulator'\ncommand = ['x']\n", vec!["running programs"]),
        (
            "[[channel]]\nbackend = ['emulator', 'linux']\n",
            vec!["reading /tmp/wpa_supplicant", "CAP_SYS_TIME"],
        ),
    ] {
        assert_eq!(small.lacks(&rights(more), true), want, "{more}");
    }
    let elsewhere = rights("[record]\nspool_dir = '/srv/sda'\n");
    assert!(small.lacks(&elsewhere, false).is_empty(), "no kernel refuses files");
    assert!(elsewhere.lacks(&elsewhere, true).is_empty());
}
