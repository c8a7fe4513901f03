use std::path::Path;
use std::time::Duration;

use ivt_hal::{Stream, Transport};
use ivt_media::rtsp::Patience;

use super::section::File;
use super::*;
use crate::backend::{Network, RtspPolicy, Web};

const MINIMAL: &str = r#"
[cloud]
url = "ws://127.0.0.1:8080/ivc"
login_code = "cam1"
login_passwd = "pw"

[[channel]]
backend = "emulator"
"#;

fn error(text: &str) -> String {
    match text.parse::<Config>() {
        Ok(_) => panic!("accepted: {text}"),
        Err(e) => e.to_string(),
    }
}

/// The minimal file with `line` inserted behind the line `after`.
fn with(after: &str, line: &str) -> String {
    MINIMAL.replace(after, &format!("{after}\n{line}"))
}

fn configs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs")
}

#[test]
fn defaults_are_as_documented() {
    let config: Config = MINIMAL.parse().unwrap();
    assert_eq!(config.cloud.hardware_model, "ivt");
    assert_eq!(config.cloud.firmware_model, env!("CARGO_PKG_VERSION"));
    assert!(config.cloud.stop_publish_on_disconnect);
    assert!(!config.cloud.accept_bare_answers);
    assert_eq!(config.cloud.ca_file, None);
    assert!(config.cloud.allow_hosts.is_empty());
    assert_eq!(config.model, Model::Camera);
    assert_eq!(config.publish.retry, Duration::from_secs(60));
    assert_eq!(config.publish.linger, Duration::from_secs(5));
    assert_eq!(config.budget.limit, 40 << 20);
    assert_eq!(config.record.disconnect, Some(Duration::from_secs(600)));
    assert_eq!(config.record.spool, None);
    assert_eq!(config.tlss, None);
    assert_eq!(config.runtime.worker_threads, 0);
    assert_eq!(config.log_level, LevelFilter::Info);
    let [channel] = &config.channels[..] else { panic!("one channel") };
    assert_eq!((channel.ring_bytes, &*config.budget.rings), (None, &[1 << 20][..]));
    assert_eq!(channel.quality.ld, Stream::Sub);
    assert_eq!(channel.quality.fhd, Stream::Main);
    assert!(channel.always_on.is_empty());
}

#[test]
fn every_file_in_configs_loads() {
    let mut seen = 0;
    for entry in std::fs::read_dir(configs()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            Config::load(&path, Access::Any).unwrap_or_else(|e| panic!("{e}"));
            seen += 1;
        }
    }
    assert!(seen >= 2, "base.toml and demo.toml, found {seen}");
}

#[test]
fn base_toml_shows_every_key_with_its_default() {
    let text = std::fs::read_to_string(configs().join("base.toml")).unwrap();
    let file = File::new("base.toml", &text);
    let mut root = file.root().unwrap();
    for key in super::files::NAMES {
        root.insist(key, section::text(1..=section::PATH)).unwrap();
    }
    let full = load::sections(root, None).unwrap();

    let shown = |key: &str| {
        let line = |l: &str| l.trim_start_matches("# ").starts_with(&format!("{key} = "));
        text.lines().any(line) || text.contains(&format!("[{key}]"))
    };
    // Each kind of camera has keys of its own.
    let others = File::new(
        "others",
        "[[channel]]\nbackend = ['cgi', 'onvif', 'emulator', 'linux']\nweb = 'http://h'\nprofile = 'hikvision'\n",
    );
    #[cfg(all(feature = "linux", feature = "onvif", feature = "pattern", feature = "profiles"))]
    channel::channels(&mut others.root().unwrap(), Model::Camera, Vec::new(), false).unwrap();
    for key in file.known().into_iter().chain(others.known()) {
        let last = key.rsplit('.').next().unwrap();
        assert!(shown(last) || shown(&key), "{key} is missing in base.toml");
    }

    // The required keys alone give the same configuration: all other values in the file are the
    // defaults.
    let keep = ["url", "login_code", "login_passwd", "backend", "main"];
    let required =
        |l: &&str| l.starts_with('[') || keep.iter().any(|k| l.starts_with(&format!("{k} =")));
    let minimal: Vec<_> =
        text.lines().filter(required).filter(|l| *l != "[channel.quality]").collect();
    let minimal: Config = minimal.join("\n").parse().unwrap();
    assert_eq!(full, minimal);
}

#[test]
fn unknown_keys_name_file_line_and_the_nearest_key() {
    for (text, want) in [
        (with("[cloud]", "login_password = 1"), ["configuration:3:", "\"login_passwd\"?"]),
        (MINIMAL.replace("login_code", "login_cod"), ["configuration:4:", "\"login_code\"?"]),
        (MINIMAL.replace("backend", "bakcend"), ["configuration:8:", "\"backend\"?"]),
        (with("[cloud]", "ulr = 1"), ["configuration:3:", "in cloud; did you mean \"url\"?"]),
        (format!("clowd = 1\n{MINIMAL}"), ["configuration:1:", "did you mean \"cloud\"?"]),
        (with("backend = \"emulator\"", "ringbytes = 3"), ["configuration:9:", "\"ring_bytes\"?"]),
        (with("backend = \"emulator\"", "quality = { uhd = 1 }"), ["configuration:9:", "\"hd\"?"]),
        (with("[cloud]", "frobnicate = 1"), ["configuration:3:", "known keys are "]),
        (format!("{MINIMAL}[publish]\nretry = 3"), ["configuration:10:", "retry_seconds"]),
    ] {
        let got = error(&text);
        for part in want {
            assert!(got.contains(part), "{text}\nwant {part}\ngot  {got}");
        }
    }
}

#[test]
fn values_out_of_range_name_line_and_what_is_allowed() {
    let emulator = "backend = \"emulator\"";
    for (text, want) in [
        (
            with(emulator, "ring_bytes = 10"),
            ":9: channel.ring_bytes must be a whole number from 65536",
        ),
        (with(emulator, "ring_bytes = -1"), "to 268435456, found another one"),
        (with(emulator, "ring_bytes = \"1\""), "found string"),
        (with(emulator, "bitrate = 0"), ":9: channel.bitrate must be a whole number from 1"),
        (with(emulator, "sub_bitrate = 0"), ":9: channel.sub_bitrate must be a whole number"),
        (with(emulator, "number = 1"), ":9: channel.number must be 0"),
        (
            with(emulator, "always_on = [\"both\"]"),
            "a list of \"main\" or \"sub\", found another word",
        ),
        (with(emulator, "quality = { hd = \"big\" }"), "channel.quality.hd must be \"main\" or"),
        (with(emulator, "command = []"), ":7: channel.command must begin with a program"),
        (with(emulator, "command = ['']"), "channel.command must begin with a program"),
        (with(emulator, "command = 'sh'"), ":9: channel.command must be a list, found string"),
        (
            with(emulator, "command = ['sh']\nmain = 'a.flv'"),
            ":7: channel.main and channel.command exclude each other",
        ),
        (with(emulator, "quality = 3"), "channel.quality must be a table"),
        (with("[cloud]", "stop_publish_on_disconnect = 1"), ":3: cloud.stop_publish_on_disc"),
        (MINIMAL.replace("ws:", "http:"), ":3: cloud.url must be ws://HOST"),
        (MINIMAL.replace("ws://", "ws://me:pw@"), ":3: cloud.url"),
        (MINIMAL.replace("/ivc", "/ivc?login_code=x"), ":3: cloud.url"),
        (MINIMAL.replace("\"cam1\"", "\"\""), ":4: cloud.login_code must be a string of 1 to 256"),
        (MINIMAL.replace("login_passwd", "# "), "cloud.login_passwd is missing"),
        (MINIMAL.replace("emulator", "quantum"), ":8: channel.backend must be \"rtsp\" or \""),
        (MINIMAL.replace("emulator", "rtsp"), "channel.main is missing"),
        (MINIMAL.replace("[[channel]]", "[channel]"), "must be written as [[channel]]"),
        (format!("{MINIMAL}[runtime]\nworker_threads = 65"), "from 0 to 64, found another one"),
        (format!("{MINIMAL}[log]\nlevel = \"loud\""), "log.level must be \"error\" or"),
        (MINIMAL.split("[[").next().unwrap().into(), "no channel"),
        ("[cloud\n".into(), "configuration:1: "),
        ("x = 1\nx = 2".into(), "configuration:2: "),
    ] {
        let got = error(&text);
        assert!(got.contains(want), "{text}\nwant {want}\ngot  {got}");
    }
}

#[test]
fn a_camera_has_exactly_one_channel() {
    let two = format!("{MINIMAL}[[channel]]\nbackend = \"emulator\"\n");
    assert!(
        error(&two).contains(":9: a camera has exactly one channel, number 0"),
        "{}",
        error(&two)
    );
    let nvr: Config = format!("{two}[device]\nmodel = \"nvr\"").parse().unwrap();
    assert_eq!(nvr.channels.len(), 2);
}

#[test]
fn without_a_sub_stream_every_quality_is_the_main_one() {
    let rtsp = MINIMAL.replace("\"emulator\"", "\"rtsp\"\nmain = \"rtsp://10.0.0.2/a\"");
    let config: Config = rtsp.parse().unwrap();
    assert_eq!(config.channels[0].quality.ld, Stream::Main);
    let config: Config = format!("{rtsp}sub = \"rtsp://10.0.0.2/b\"").parse().unwrap();
    assert_eq!(config.channels[0].quality.ld, Stream::Sub);
    let program = with("backend = \"emulator\"", "command = ['encoder']");
    let config: Config = program.parse().unwrap();
    assert_eq!(config.channels[0].quality.ld, Stream::Main);
    let config: Config = format!("{program}sub = 'b.flv'").parse().unwrap();
    assert_eq!(config.channels[0].quality.ld, Stream::Sub);
}

#[test]
fn no_secret_is_printed() {
    let text = MINIMAL.replace("\"pw\"", "\"canary-1\"").replace(
        "\"emulator\"",
        "\"rtsp\"\nmain = \"rtsp://u:canary-2@h/\"\nusername = \"u\"\npassword = \"canary-3\"",
    );
    let config: Config = text.parse().unwrap();
    assert!(!format!("{config:?}").contains("canary"), "{config:?}");
    let program = with("backend = \"emulator\"", "command = ['encoder', 'canary-4']");
    let program: Config = program.parse().unwrap();
    assert!(!format!("{program:?}").contains("canary"), "{program:?}");
    for wrong in [
        text.replace("rtsp://", "http://"),
        text.replace("\"canary-1\"", "\"canary-1"),
        text.replace("\"canary-1\"", &format!("\"{}\"", "canary".repeat(100))),
        text.replace("\"canary-3\"", "[\"canary-3\"]"),
        text.replace("login_code = \"cam1\"", ""),
    ] {
        assert!(!error(&wrong).contains("canary"), "{}", error(&wrong));
    }
}

/// Each key of a configuration with a canary, in every form that a slip of the keyboard can give it.
#[test]
fn no_error_repeats_a_value_of_the_file() {
    let base = std::fs::read_to_string(configs().join("base.toml")).unwrap();
    let lines = base.lines().map(|line| line.trim_start_matches("# "));
    let mut keys: Vec<_> = lines.filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    keys.retain(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
    assert!(keys.len() > 40, "the file shows every key: {keys:?}");
    let mut refused = 0;
    for key in keys {
        for value in [
            "'canary'",
            "\"canary",
            "'''canary",
            "canary",
            "['canary']",
            "[canary",
            "{ canary = 'canary' }",
            "{ canary",
            "'canary' 'canary'",
            r#""\canary""#,
            "1canary",
            "0xcanary",
            "-71077345",
            "71077345",
            "7107.7345",
            "2026-71-07T73:45",
            "'canary://canary:canary@canary'",
            "'rtsp://canary@:canary'",
            "'rtsp://canary:99999/'",
            "'canary:canary@canary'",
            "'http://[canary]/'",
            "'ws://canary:99999/canary'",
            "\"canary\nlevel = 1",
        ] {
            let line = format!("{key} = {value}");
            let sections = ["device", "network", "publish", "record", "tlss", "runtime", "log"];
            let sections = sections.map(|section| format!("{MINIMAL}[{section}]\n{line}\n"));
            let camera = with("backend = \"emulator\"", &line);
            let rtsp = camera.replace("\"emulator\"", "\"rtsp\"\nweb = 'http://h'");
            for text in sections.into_iter().chain([with("[cloud]", &line), camera, rtsp]) {
                let Err(error) = text.parse::<Config>() else { continue };
                refused += 1;
                // A key is named, also one that is a slip; its value is not.
                let error = error.to_string().replace("unknown key \"canary\"", "");
                assert!(!error.contains("canary") && !error.contains("7107"), "{text}\n{error}");
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn a_camera_on_the_network_has_its_transport_and_its_time() {
    let channel = |keys: &str| {
        let rtsp = format!("backend = \"rtsp\"\nmain = \"rtsp://h/a\"\n{keys}");
        MINIMAL.replace("backend = \"emulator\"", &rtsp)
    };
    let parsed = |keys: &str| {
        let channel = channel(keys).parse::<Config>().unwrap().channels.remove(0);
        let Network { transport, policy, .. } = channel.backend.network;
        let RtspPolicy { patience, login_follows_redirects } = policy;
        let Patience { describe, first_packet, silence } = patience;
        let seconds = [describe, first_packet, silence].map(|d| d.as_secs());
        (transport, seconds, login_follows_redirects)
    };
    assert_eq!(parsed(""), (Transport::Auto, [15, 20, 10], false));
    assert_eq!(parsed("transport = 'tcp'").0, Transport::Tcp);
    assert_eq!(parsed("transport = 'udp'").0, Transport::Udp);
    let keys = "describe_seconds = 1\nfirst_packet_seconds = 300\nsilence_seconds = 60\n\
                login_follows_redirects = true";
    assert_eq!(parsed(keys), (Transport::Auto, [1, 300, 60], true));
    for (keys, want) in [
        ("transport = 'quic'", "channel.transport must be \"auto\" or \"tcp\" or \"udp\""),
        ("describe_seconds = 0", "channel.describe_seconds must be a whole number from 1 to 300"),
        ("first_packet_seconds = 301", "first_packet_seconds must be a whole number from 1 to 300"),
        ("silence_seconds = 0.5", "channel.silence_seconds must be a whole number from 1 to 300"),
        ("login_follows_redirects = 1", "login_follows_redirects must be true or false"),
        ("silent_seconds = 3", "did you mean \"silence_seconds\"?"),
    ] {
        let got = error(&channel(keys));
        assert!(got.contains(want), "{keys}: {got}");
    }
    assert!(error(&with("backend = \"emulator\"", "silence_seconds = 3")).contains("unknown key"));
}

#[test]
fn an_encrypted_camera_needs_a_program_with_tls() {
    let channel = |url: &str| {
        let rtsp = format!("backend = \"rtsp\"\nmain = \"{url}\"");
        MINIMAL.replace("backend = \"emulator\"", &rtsp)
    };
    for url in ["rtsps://cam/a", "rtsps://u:p@cam:1/a", "RTSPS://cam/a"] {
        let refusal = channel(url).parse::<Config>().err().map(|e| e.to_string());
        let reason = "this program is built without TLS";
        let refused = refusal.as_ref().is_some_and(|refusal| refusal.ends_with(reason));
        assert_eq!(refused, cfg!(not(feature = "tls")), "{url}: {refusal:?}");
    }
    for url in ["http://cam/a", "rtsps://", "rtsp://cam:70000/a", "rtspx://cam/a"] {
        let got = error(&channel(url));
        assert!(got.contains("channel.main must be an address rtsp://HOST[:PORT]/PATH: "), "{got}");
    }
}

#[test]
fn a_program_without_the_sandbox_refuses_its_section() {
    let refused = format!("{MINIMAL}[sandbox]\nenable = true\n").parse::<Config>();
    let refused = refused.err().map(|e| e.to_string());
    let said = refused.as_ref().is_some_and(|e| e.ends_with("built without the sandbox"));
    assert_eq!(said, cfg!(not(feature = "sandbox")), "{refused:?}");
}

mod files {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn write(dir: &Path, name: &str, mode: u32, text: &str) -> std::path::PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    const CREDENTIALS: &str = r#"
[cloud]
login_code = "cam1"
login_passwd = "apart"
[[channel]]
username = "admin"
password = "a-key-for-it"
"#;

    fn main_file() -> String {
        let rtsp = "\"rtsp\"\nmain = \"rtsp://10.0.0.2/a\"";
        let without =
            MINIMAL.replace("login_code = \"cam1\"", "").replace("login_passwd = \"pw\"", "");
        format!("credentials = \"secret.toml\"\n{}", without.replace("\"emulator\"", rtsp))
    }

    #[test]
    fn credentials_may_live_in_a_file_beside() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "secret.toml", 0o600, CREDENTIALS);
        let main = write(dir.path(), "agent.toml", 0o640, &main_file());
        let config = Config::load(&main, Access::Private).unwrap();
        assert_eq!(config.cloud.account.unwrap().login_passwd.expose(), "apart");
        let Network { username, password, .. } = &config.channels[0].backend.network;
        assert_eq!(
            (username.as_deref(), password.expose().as_str()),
            (Some("admin"), "a-key-for-it")
        );
    }

    #[test]
    fn world_readable_files_are_refused_unless_overridden() {
        for (main_mode, secret_mode, culprit) in
            [(0o644, 0o600, "agent.toml"), (0o600, 0o604, "secret.toml")]
        {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), "secret.toml", secret_mode, CREDENTIALS);
            let main = write(dir.path(), "agent.toml", main_mode, &main_file());
            let e = Config::load(&main, Access::Private).unwrap_err().to_string();
            assert!(e.contains("chmod 600") && e.contains(culprit), "{e}");
            Config::load(&main, Access::Any).unwrap();
        }
    }

    #[test]
    fn files_that_everyone_may_write_are_refused_unless_overridden() {
        // Configuration, credentials, authorities, profile, their folder; and who is told of.
        for (modes, culprit) in [
            ([0o602, 0o600, 0o644, 0o644, 0o755], "agent.toml: is writable by everyone"),
            ([0o662, 0o600, 0o644, 0o644, 0o755], "agent.toml: is writable by everyone"),
            ([0o600, 0o602, 0o644, 0o644, 0o755], "secret.toml: is writable by everyone"),
            ([0o600, 0o600, 0o646, 0o644, 0o755], "ca.pem: is writable by everyone"),
            ([0o600, 0o600, 0o644, 0o666, 0o755], "profile.toml: is writable by everyone"),
            ([0o600, 0o600, 0o644, 0o644, 0o777], "agent.toml: everyone may exchange it"),
            ([0o660, 0o660, 0o664, 0o664, 0o775], ""),
            ([0o600, 0o600, 0o644, 0o644, 0o1777], ""),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("folder");
            std::fs::create_dir(&folder).unwrap();
            let [main_mode, secret_mode, ca_mode, profile_mode, folder_mode] = modes;
            write(&folder, "secret.toml", secret_mode, CREDENTIALS);
            write(&folder, "ca.pem", ca_mode, "");
            write(&folder, "profile.toml", profile_mode, "");
            let text = main_file().replace("[cloud]", "[cloud]\nca_file = 'ca.pem'");
            let tlss = "[tlss]\nenable = true\nserver = 'h'\nport = 1\nprofile = 'profile.toml'\n";
            let main = write(&folder, "agent.toml", main_mode, &format!("{text}{tlss}"));
            let mode = std::fs::Permissions::from_mode(folder_mode);
            std::fs::set_permissions(&folder, mode).unwrap();
            let refusal = Config::load(&main, Access::Private).err().map(|e| e.to_string());
            match (culprit, refusal) {
                ("", refusal) => assert_eq!(refusal, None, "{modes:?}"),
                (culprit, refusal) => {
                    let refusal = refusal.unwrap_or_default();
                    let cured = refusal.contains("chmod o-w");
                    assert!(refusal.contains(culprit) && cured, "{modes:?}: {refusal}");
                }
            }
            Config::load(&main, Access::Any).unwrap();
        }
    }

    #[test]
    fn the_folder_of_a_file_behind_a_link_counts_too() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        std::fs::create_dir(&open).unwrap();
        let real = write(&open, "real.toml", 0o600, MINIMAL);
        let link = dir.path().join("agent.toml");
        std::os::unix::fs::symlink(real, &link).unwrap();
        Config::load(&link, Access::Private).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        let refusal = Config::load(&link, Access::Private).unwrap_err().to_string();
        assert!(refusal.contains("agent.toml: everyone may exchange it"), "{refusal}");
    }

    #[test]
    fn a_value_in_both_files_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "secret.toml", 0o600, CREDENTIALS);
        let twice = main_file().replace("[cloud]", "[cloud]\nlogin_passwd = \"x\"");
        let main = write(dir.path(), "agent.toml", 0o600, &twice);
        let e = Config::load(&main, Access::Private).unwrap_err().to_string();
        assert!(e.contains("login_passwd stands here and in the credentials file"), "{e}");
    }

    #[test]
    fn a_missing_credentials_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let main = write(dir.path(), "agent.toml", 0o600, &main_file());
        let e = Config::load(&main, Access::Private).unwrap_err().to_string();
        assert!(e.contains("secret.toml: cannot be read"), "{e}");
    }
}

#[test]
fn a_spool_makes_recordings_outlive_the_cloud() {
    let text = |keys: &str| format!("{MINIMAL}[record]\n{keys}");
    let config: Config = text("spool_dir = '/mnt/sd'").parse().unwrap();
    let spool = Spool { dir: "/mnt/sd".into(), mode: SpoolMode::Overflow, limit: 1 << 30 };
    assert_eq!((config.record.spool, config.record.disconnect), (Some(spool), None));
    let keys = "spool_dir = '/s'\nspool = 'always'\nspool_limit = 1048576\ndisconnect_seconds = 5";
    let config: Config = text(keys).parse().unwrap();
    let spool = Spool { dir: "/s".into(), mode: SpoolMode::Always, limit: 1 << 20 };
    assert_eq!(config.record.spool, Some(spool));
    assert_eq!(config.record.disconnect, Some(Duration::from_secs(5)));
    let config: Config = text("disconnect_seconds = 0").parse().unwrap();
    assert_eq!(config.record.disconnect, None);

    assert_eq!(config.record.backfill, Backfill::Beside);
    let config: Config = text("backfill = 'before'").parse().unwrap();
    assert_eq!(config.record.backfill, Backfill::Before);
    assert!(error(&text("backfill = 'after'")).contains("\"before\""));

    assert!(error(&text("spool = 'always'")).contains("record.spool_dir"));
    assert!(error(&text("spool_dir = '/s'\nspool = 'never'")).contains("\"overflow\""));
}

#[test]
fn the_hosted_service_is_off_until_it_is_enabled() {
    let text = |keys: &str| format!("{MINIMAL}[tlss]\n{keys}");
    let config: Config = text("server = 'h'\nport = 1").parse().unwrap();
    assert_eq!(config.tlss, None);
    let config: Config = text("enable = true\nserver = 'h'\nport = 8000").parse().unwrap();
    let tlss = config.tlss.unwrap();
    assert_eq!((&*tlss.server, tlss.port, tlss.tls), ("h", 8000, false));
    assert_eq!(tlss.interval, Duration::from_secs(3_600));
    assert_eq!((&*tlss.brand, &*tlss.model, tlss.mac), ("ivt", "ivt", None));
    assert!(tlss.write.is_empty() && tlss.reply_limit == 4 << 20);

    let keys = "enable = true\nserver = 'h'\nport = 1\nmac = '00-13-23-A0-07-ad'\nwrite = ['vca']";
    let tlss = text(keys).parse::<Config>().unwrap().tlss.unwrap();
    assert_eq!(tlss.mac, Some([0x00, 0x13, 0x23, 0xa0, 0x07, 0xad]));
    assert_eq!(tlss.write, ["vca"]);
    for (keys, want) in [
        ("enable = true\nport = 1", "tlss.server is missing"),
        ("enable = true\nserver = 'h'", "tlss.port is missing"),
        ("port = 0", "1 to 65535"),
        ("interval_minutes = 0", "1 to 1440"),
        ("interval_minutes = 1441", "1 to 1440"),
        ("mac = '00132'", "12 hexadecimal digits"),
        ("mac = '00:13:23:A0:07:AG'", "12 hexadecimal digits"),
        ("sever = 'h'", "\"server\"?"),
        ("brand = 'a&b'", ":10: tlss.brand must be 1 to 64 printable ASCII"),
        ("\nmodel = 'a=b'", ":11: tlss.model must be 1 to 64 printable ASCII"),
        ("model = 'caméra'", "tlss.model must be 1 to 64 printable ASCII"),
    ] {
        let got = error(&text(keys));
        assert!(got.contains(want), "{keys}: {got}");
    }
}

#[test]
fn any_hardware_model_makes_a_model_for_the_hosted_service() {
    let model = |hardware: &str| {
        let text = with("[cloud]", &format!("hardware_model = '{hardware}'"));
        let text = format!("{text}[tlss]\nenable = true\nserver = 'h'\nport = 1");
        text.parse::<Config>().unwrap().tlss.unwrap().model
    };
    assert_eq!(model("NS6202HD"), "NS6202HD");
    assert_eq!(model("摄像机 A&B=1"), "AB1");
    assert_eq!(model("摄像机"), "ivt");
    assert_eq!(model(&"x".repeat(200)), "x".repeat(64));
}

#[test]
fn a_cameras_web_server_is_an_address_without_login_and_path() {
    let channel = |keys: &str| {
        let rtsp = format!("backend = \"rtsp\"\nmain = \"rtsp://h/a\"\n{keys}");
        MINIMAL.replace("backend = \"emulator\"", &rtsp)
    };
    let parsed = |keys: &str| {
        let channel = channel(keys).parse::<Config>().unwrap().channels.remove(0);
        channel.backend.network.web
    };
    assert_eq!(parsed(""), None);
    let web = |host: &str, port| Some(Web { host: host.into(), port, snapshot: None, cgi: None });
    assert_eq!(parsed("web = 'http://192.0.2.1'"), web("192.0.2.1", 80));
    assert_eq!(parsed("web = 'http://cam:8080/'"), web("cam", 8080));
    for wrong in ["https://h", "http://u:p@h", "http://h/a", "http://h/?a", "h", "http://"] {
        let got = error(&channel(&format!("web = '{wrong}'")));
        assert!(got.contains("http://HOST[:PORT]") && !got.contains("u:p"), "{wrong}: {got}");
    }
    assert_eq!(parsed("web = 'http://h'\nweb_cgi = false").unwrap().cgi, Some(false));
    assert!(error(&channel("snapshot = '/a'")).contains("channel.snapshot needs channel.web"));
    assert!(error(&channel("web_cgi = true")).contains("channel.web_cgi needs channel.web"));
    assert!(error(&channel("web = 'http://h'\nsnapshot = 'a'")).contains("begins with /"));
}

#[test]
fn allowed_hosts_are_names_domains_addresses_and_networks() {
    let line =
        "allow_hosts = ['store.example.com', '*.cdn.example.com', '192.168.1.9', '10.0.0.0/8']";
    let config: Config = with(r#"login_passwd = "pw""#, line).parse().unwrap();
    assert_eq!(config.cloud.allow_hosts.len(), 4);
    for wrong in ["'http://canary/'", "'canary:80'", "'10.0.0.0/canary'", "'*'", "''", "7"] {
        let e = error(&with(r#"login_passwd = "pw""#, &format!("allow_hosts = [{wrong}]")));
        assert!(e.contains("cloud.allow_hosts must be a list of") && !e.contains("canary"), "{e}");
    }
}
