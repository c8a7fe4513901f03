use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::thread;

use super::*;

const MAIN: &str = "\
# The door.
credentials = 'secret.toml'
[cloud]
url = 'ws://h/' # ours
[device]
model = 'nvr'
[[channel]]
backend = 'rtsp'
main = 'rtsp://h/a' # wide
[[channel]]
backend = 'emulator'
";
const APART: &str = "\
# Secret.
[cloud]
login_code = 'c'
login_passwd = 'canary'
";

/// A configuration in a folder of its own.
struct Files {
    folder: tempfile::TempDir,
    store: Store,
}

impl Files {
    fn new(main: &str, apart: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("agent.toml"), Access::Private);
        let files = Self { folder, store };
        files.write("agent.toml", main, 0o640);
        files.write("secret.toml", apart, 0o600);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn main(&self) -> String {
        fs::read_to_string(self.path("agent.toml")).unwrap()
    }

    fn apart(&self) -> String {
        fs::read_to_string(self.path("secret.toml")).unwrap()
    }

    fn set(&self, pairs: &[(&str, &str)]) -> Result<Changed, Error> {
        let changes: Vec<_> =
            pairs.iter().map(|(key, value)| Change::set(key, value).unwrap()).collect();
        self.store.change(&changes, None)
    }

    fn refusal(&self, pairs: &[(&str, &str)]) -> String {
        self.set(pairs).expect_err("it is refused").to_string()
    }

    /// Does as [`Store::change`], and waits for other writers without a limit.
    fn patiently(&self, change: &Change, seen: Option<&str>) -> Result<Changed, Error> {
        loop {
            match self.store.change(std::slice::from_ref(change), seen) {
                Err(Error::Write(e)) if e.source.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }

    /// Names of the files in the folder.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Whether the folder holds the two files as they were made, and nothing else.
    fn untouched(&self) -> bool {
        self.main() == MAIN
            && self.apart() == APART
            && self.names() == ["agent.toml", "secret.toml"]
    }
}

fn files() -> Files {
    Files::new(MAIN, APART)
}

#[test]
fn a_change_keeps_comments_order_and_mode() {
    let files = files();
    let changed = files.set(&[("channel.0.main", "rtsp://h/b"), ("log.level", "debug")]).unwrap();
    let want = MAIN.replace("'rtsp://h/a'", "\"rtsp://h/b\"") + "\n[log]\nlevel = \"debug\"\n";
    assert_eq!((files.main(), files.apart()), (want, APART.to_owned()));
    assert_eq!(files.names(), ["agent.toml", "secret.toml"]);
    assert_eq!(fs::metadata(files.path("agent.toml")).unwrap().mode() & 0o777, 0o640);
    assert_eq!(changed.config, Config::load(&files.path("agent.toml"), Access::Private).unwrap());
    assert_eq!(changed.files, [files.path("agent.toml")]);
    let differences = Differences::between(&changed.before.unwrap(), &changed.config);
    assert_eq!((differences.now().len(), differences.restart.len()), (2, 0), "{differences:?}");
}

#[test]
fn logins_stay_in_the_credentials_file_and_keep_its_mode() {
    let files = files();
    let inode = || fs::metadata(files.path("agent.toml")).unwrap().ino();
    let before = inode();
    files.set(&[("cloud.login_passwd", "canary-2"), ("channel.0.username", "u")]).unwrap();
    let want = APART.replace("'canary'", "\"canary-2\"") + "\n[[channel]]\nusername = \"u\"\n";
    assert_eq!((files.main(), files.apart(), inode()), (MAIN.to_owned(), want, before));
    assert_eq!(fs::metadata(files.path("secret.toml")).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_login_stays_in_the_file_it_is_in_and_a_channel_has_its_number_in_both() {
    let main = MAIN.replace("'emulator'", "'rtsp'\nmain = 'rtsp://h/c'");
    let main = main.replace("'rtsp://h/a' # wide", "'rtsp://h/a'\nusername = 'here'");
    let files = Files::new(&main, APART);
    files.set(&[("channel.0.username", "u"), ("channel.1.username", "v")]).unwrap();
    assert_eq!(files.main(), main.replace("'here'", "\"u\""));
    assert!(files.apart().ends_with("\n[[channel]]\n\n[[channel]]\nusername = \"v\"\n"));
}

#[test]
fn without_a_credentials_file_logins_stand_with_the_rest() {
    let main = MAIN.replace("credentials = 'secret.toml'\n", "");
    let main = main.replace("# ours", "\nlogin_code = 'c'\nlogin_passwd = 'p'");
    let files = Files::new(&main, APART);
    files.set(&[("channel.0.username", "u")]).unwrap();
    assert_eq!(files.main(), main.replace("# wide\n", "# wide\nusername = \"u\"\n"));
}

#[test]
fn a_link_stays_a_link_and_its_target_is_exchanged() {
    let files = files();
    fs::create_dir(files.path("real")).unwrap();
    fs::rename(files.path("agent.toml"), files.path("real/config")).unwrap();
    symlink("real/config", files.path("agent.toml")).unwrap();
    files.set(&[("log.level", "warn")]).unwrap();
    assert!(fs::symlink_metadata(files.path("agent.toml")).unwrap().is_symlink());
    assert!(files.main().contains("level = \"warn\""));
    let beside = fs::read_dir(files.path("real")).unwrap().count();
    assert_eq!((beside, files.names().len()), (1, 3));
}

#[test]
fn what_the_reader_refuses_is_refused_in_its_words_and_not_written() {
    for (pairs, want) in [
        (&[("log.level", "loud")][..], "agent.toml:14: log.level must be \"error\" or"),
        (&[("log.lvel", "info")], "unknown key \"lvel\" in log; did you mean \"level\"?"),
        (&[("lgo.level", "info")], "unknown key \"lgo\" at the top level; did you mean \"log\"?"),
        (
            &[("channel.0.main", "http://h/")],
            "agent.toml:9: channel.main must be an address rtsp://",
        ),
        (&[("cloud.login_passwd", "''")], "secret.toml:4: cloud.login_passwd must be a string"),
        (&[("channel.1.username", "u")], "an emulator takes no user name and password"),
        (&[("device.model", "camera")], "a camera has exactly one channel"),
        (&[("runtime.memory_limit", "1048576")], "which does not hold the least:"),
        (&[("log.level", "debug"), ("channel.0.sub", "x")], "channel.sub must be an address"),
        (&[("cloud.ca_file", "gone.pem")], "gone.pem: "),
        (&[("channel.1.main", "gone.flv")], "gone.flv: cannot be read: No such file"),
        (&[("channel.5.main", "x")], "there is no channel 5: the file has 2"),
        (&[("cloud", "x")], "cloud is a section"),
        (&[("credentials", "x")], "credentials is about the file itself"),
    ] {
        let files = files();
        let said = files.refusal(pairs);
        assert!(said.contains(want) && !said.contains("canary"), "want {want}\ngot  {said}");
        assert!(files.untouched(), "{want}");
    }
}

#[test]
fn a_refusal_is_what_the_check_says_of_such_a_file() {
    let files = files();
    let said = files.refusal(&[("channel.0.transport", "quic")]);
    let text = MAIN.replace("# wide\n", "# wide\ntransport = \"quic\"\n");
    files.write("agent.toml", &text, 0o640);
    assert_eq!(
        said,
        Config::load(&files.path("agent.toml"), Access::Private).unwrap_err().to_string()
    );
}

#[test]
fn files_that_everyone_may_read_are_refused() {
    let files = files();
    files.write("secret.toml", APART, 0o644);
    assert!(files.refusal(&[("log.level", "warn")]).contains("chmod 600"));
    let store = Store::new(files.path("agent.toml"), Access::Any);
    store.change(&[Change::set("cloud.login_code", "d").unwrap()], None).unwrap();
    assert_eq!(fs::metadata(files.path("secret.toml")).unwrap().mode() & 0o777, 0o644);
}

#[test]
fn a_configuration_that_is_refused_can_be_mended() {
    let files = Files::new(&MAIN.replace("ws://h/", "http://h/"), APART);
    let changed = files.set(&[("cloud.url", "ws://i/")]).unwrap();
    assert!(changed.before.is_none());
    files.store.read().unwrap();
}

#[test]
fn the_second_of_two_writers_is_told_and_nothing_is_lost() {
    let files = files();
    let (_, seen) = files.store.read().unwrap();
    let change = |key: &str, value: &str| {
        files.store.change(&[Change::set(key, value).unwrap()], Some(&seen))
    };
    let first = change("log.level", "debug").unwrap();
    let second = change("cloud.login_code", "second").unwrap_err();
    assert!(
        matches!(second, Error::Outdated) && second.to_string().contains("nothing was changed")
    );
    assert!(files.main().contains("debug") && files.apart() == APART);
    let (_, now) = files.store.read().unwrap();
    assert_eq!(now, first.version);
    let again = [Change::set("cloud.login_code", "second").unwrap()];
    let second = files.store.change(&again, Some(&now)).unwrap();
    assert_ne!(second.version, now, "the credentials file counts, too");
}

#[test]
fn who_waits_too_long_for_another_writer_is_told() {
    let files = files();
    let other = fs::File::open(files.folder.path()).unwrap();
    other.lock().unwrap();
    let said = files.refusal(&[("log.level", "debug")]);
    assert!(said.contains("another program changes it; nothing was changed: try again"), "{said}");
    assert!(files.untouched());
    drop(other);
    files.set(&[("log.level", "debug")]).unwrap();
}

#[test]
fn writers_at_the_same_time_take_turns() {
    let files = files();
    let keys =
        ["publish.retry_seconds", "publish.linger_seconds", "tlss.port", "runtime.read_batch_ms"];
    thread::scope(|scope| {
        for key in keys {
            let files = &files;
            scope.spawn(move || {
                for value in 1..=10 {
                    let change = Change::set(key, &value.to_string()).unwrap();
                    files.patiently(&change, None).unwrap();
                }
            });
        }
    });
    let text = files.main();
    for key in keys {
        let line = format!("\n{} = 10\n", key.split_once('.').unwrap().1);
        assert_eq!(text.matches(&line).count(), 1, "{key}: {text}");
    }
    assert_eq!(files.names().len(), 2);
}

#[test]
fn of_many_writers_that_saw_the_same_one_succeeds() {
    let files = files();
    let (_, seen) = files.store.read().unwrap();
    let done = thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|n| {
                let (files, seen) = (&files, &seen);
                let change = Change::set("cloud.hardware_model", &format!("m{n}")).unwrap();
                scope.spawn(move || files.patiently(&change, Some(seen)))
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1);
    let others = done.iter().filter_map(|done| done.as_ref().err());
    assert!(others.into_iter().all(|error| matches!(error, Error::Outdated)));
}

#[test]
fn what_cannot_be_written_is_said_and_leaves_nothing() {
    for blocked in [".agent.toml.new", ".secret.toml.new"] {
        let files = files();
        fs::create_dir(files.path(blocked)).unwrap();
        let both = [("log.level", "debug"), ("cloud.login_code", "d")];
        let said = files.refusal(&both);
        assert!(
            said.contains("cannot be written: ") && said.ends_with("nothing was changed"),
            "{said}"
        );
        assert_eq!((files.main(), files.apart()), (MAIN.to_owned(), APART.to_owned()));
        assert_eq!(files.names(), [blocked, "agent.toml", "secret.toml"]);
    }
}

#[test]
fn what_a_killed_writer_left_is_no_hindrance() {
    let files = files();
    files.write(".agent.toml.new", "[half", 0o000);
    files.write(".secret.toml.new", "[half", 0o600);
    files.set(&[("log.level", "debug")]).unwrap();
    assert_eq!(files.names(), ["agent.toml", "secret.toml"]);
}

#[test]
fn a_change_that_is_there_already_writes_nothing() {
    let files = files();
    let inode = || fs::metadata(files.path("agent.toml")).unwrap().ino();
    let before = inode();
    let same = [
        Change::set("channel.0.main", "'rtsp://h/a'").unwrap(),
        Change::unset("log.level").unwrap(),
    ];
    assert!(files.store.change(&same, None).unwrap().files.is_empty());
    assert_eq!(inode(), before);
}

/// Whichever file is exchanged first, what stands on the disk in between is a configuration.
#[test]
fn of_both_files_that_one_goes_first_which_stands_by_itself() {
    let camera = [("channel.1.backend", "rtsp"), ("channel.1.main", "rtsp://h/b")];
    let files = files();
    let changed = files.set(&[&camera[..], &[("channel.1.username", "u")]].concat()).unwrap();
    assert_eq!(changed.files, [files.path("agent.toml"), files.path("secret.toml")]);
    let back = [
        Change::set("channel.1.backend", "emulator").unwrap(),
        Change::unset("channel.1.main").unwrap(),
        Change::unset("channel.1.username").unwrap(),
    ];
    let changed = files.store.change(&back, None).unwrap();
    assert_eq!(changed.files, [files.path("secret.toml"), files.path("agent.toml")]);
    assert_eq!(files.main(), MAIN.replace("'emulator'", "\"emulator\""));

    let main = MAIN.replace("'emulator'", "'rtsp'\nmain = 'rtsp://h/c'");
    let main = main.replacen("'rtsp'\nmain = 'rtsp://h/a' # wide", "'emulator'", 1);
    let apart = format!("{APART}[[channel]]\n[[channel]]\nusername = 'u'\n");
    let files = Files::new(&main, &apart);
    let swap = [
        Change::set("channel.0.backend", "rtsp").unwrap(),
        Change::set("channel.0.main", "rtsp://h/d").unwrap(),
        Change::set("channel.0.username", "v").unwrap(),
        Change::set("channel.1.backend", "emulator").unwrap(),
        Change::unset("channel.1.main").unwrap(),
        Change::unset("channel.1.username").unwrap(),
    ];
    let refused = files.store.change(&swap, None).unwrap_err();
    assert!(matches!(refused, Error::Apart), "{refused}");
    assert_eq!((files.main(), files.apart()), (main, apart));
    assert_eq!(files.names(), ["agent.toml", "secret.toml"]);
    for half in [&swap[3..], &swap[..3]] {
        files.store.change(half, None).unwrap();
    }
}

/// Tells whether `T` can be printed: the type's own constant goes before that of the trait.
struct Printed<T>(std::marker::PhantomData<T>);

trait Unprinted {
    const PRINTS: bool = false;
}

impl<T> Unprinted for Printed<T> {}

impl<T: std::fmt::Debug> Printed<T> {
    const PRINTS: bool = true;
}

#[test]
fn no_secret_is_printed() {
    const { assert!(Printed::<String>::PRINTS && !Printed::<Files>::PRINTS) };
    let change = Change::set("cloud.login_passwd", "canary").unwrap();
    assert!(!format!("{change:?}").contains("canary"));
    assert!(
        !Change::set("cloud.login_passwd", "'canary").unwrap_err().to_string().contains("canary")
    );
}

#[test]
fn in_the_file_that_shows_every_key_a_new_one_stands_below_its_explanation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/base.toml");
    let base = fs::read_to_string(path).unwrap();
    for (key, value, shown) in [
        ("tlss.mac", "\"00:13:23:A0:07:AE\"", "# mac = \"00:13:23:A0:07:AD\""),
        ("tlss.port", "8001", "# port = 8000"),
        ("runtime.memory_limit", "50000000", "# memory_limit = 41943040"),
    ] {
        let files = Files::new(&base, APART);
        files.set(&[(key, value)]).unwrap();
        let line = format!("{} = {value}", key.split_once('.').unwrap().1);
        assert_eq!(files.main(), base.replace(shown, &format!("{shown}\n{line}")), "{key}");
    }
}
