//! Configurations of several files: base, product, and what the device itself has changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;

const BASE: &str = "[cloud]\nurl = 'ws://base.example/ivc'\nlogin_code = 'nobody'\nlogin_passwd = 'Fx-20-none'\n\
    hardware_model = 'base'\n[log]\nlevel = 'warn'\n[record]\nspool_dir = 'spool'\n\
    [[channel]]\nbackend = 'emulator'\n[[channel]]\nbackend = 'emulator'\n";
const PRODUCT: &str = "base = '../base.toml'\nchanges = '../data/settings.toml'\n[cloud]\nhardware_model = 'CAM-200'\n\
    [log]\nlevel = 'debug'\n[[channel]]\nbackend = 'emulator'\nquality = { hd = 'sub' }\n";
const CHANGES: &str = "[cloud]\nlogin_code = 'cam-7'\n[log]\nlevel = 'error'\n";

/// A folder with `base.toml`, `products/cam.toml` and `data/settings.toml`.
struct Device(tempfile::TempDir);

impl Device {
    fn new(base: &str, product: &str, changes: Option<&str>) -> Self {
        let device = Self(tempfile::tempdir().unwrap());
        device.write("base.toml", base);
        device.write("products/cam.toml", product);
        if let Some(changes) = changes {
            device.write("data/settings.toml", changes);
        }
        device
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.at(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn load(&self) -> Result<Config, Error> {
        Config::load(&self.at("products/cam.toml"), Access::Private)
    }

    fn error(&self) -> String {
        self.load().unwrap_err().to_string()
    }

    fn origins(&self) -> String {
        let text = origins(&self.at("products/cam.toml"), Access::Private).unwrap();
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

#[test]
fn each_file_counts_more_than_the_ones_below_it() {
    let config = Device::new(BASE, PRODUCT, Some(CHANGES)).load().unwrap();
    let account = config.cloud.account.unwrap();
    assert_eq!((account.url.as_str(), &*account.login_code), ("ws://base.example/ivc", "cam-7"));
    assert_eq!((&*config.cloud.hardware_model, config.log_level), ("CAM-200", LevelFilter::Error));
    assert_eq!(config.channels.len(), 1, "a list of channels counts as a whole");
    assert_eq!(config.channels[0].quality.hd, ivt_hal::Stream::Sub);
}

#[test]
fn a_device_that_changed_nothing_yet_is_as_its_product() {
    let device = Device::new(BASE, PRODUCT, None);
    let config = device.load().unwrap();
    assert_eq!(config.log_level, LevelFilter::Debug);
    let beside = device.at("products/../data/state");
    assert_eq!(config.state_dir, Some(beside), "the state is kept where something can be written");
}

#[test]
fn a_relative_path_counts_from_the_folder_of_the_file_that_says_it() {
    let changes = "[cloud]\nca_file = 'ca.pem'\n";
    let device = Device::new(BASE, PRODUCT, Some(changes));
    let config = device.load().unwrap();
    assert_eq!(config.record.spool.unwrap().dir, device.at("spool"));
    assert_eq!(config.cloud.ca_file, Some(device.at("products/../data/ca.pem")));
}

#[test]
fn what_is_wrong_is_told_with_the_file_and_the_line_that_say_it() {
    let changed = |changes: &str| Device::new(BASE, PRODUCT, Some(changes)).error();
    let product = |line: &str| Device::new(BASE, &format!("{PRODUCT}{line}\n"), None).error();
    let base = |line: &str| Device::new(&format!("{BASE}{line}\n"), PRODUCT, None).error();
    for (error, want) in [
        (
            base("[publish]\nretry_second = 1"),
            "base.toml:15: unknown key \"retry_second\" in publish; did you mean \"retry_seconds\"?",
        ),
        (
            product("[publish]\nretry_seconds = 'x'"),
            "products/cam.toml:11: publish.retry_seconds must be a whole number",
        ),
        (product("[publish]\n[publsih]"), "products/cam.toml:11: unknown key \"publsih\""),
        (product("frobnicate"), "products/cam.toml:10: "),
        (
            changed("\n[log]\nlevle = 'info'"),
            "data/settings.toml:3: unknown key \"levle\" in log; did you mean \"level\"?",
        ),
        (changed("\n\n["), "data/settings.toml:3: "),
        (changed("log = 5"), "data/settings.toml:1: log must be a table"),
        (
            changed("[cloud]\nlogin_code = ''"),
            "data/settings.toml:2: cloud.login_code must be a string",
        ),
        (changed("base = 'x'"), "data/settings.toml:1: base must be in "),
        (
            changed("[log]\n[device]\nmodel = 'nvr'\n[[channel]]\nbackend = 'x'"),
            "data/settings.toml:5: channel.backend",
        ),
    ] {
        assert!(error.contains(want), "want {want}\ngot  {error}");
    }
}

#[test]
fn a_base_that_is_no_file_or_itself_is_told() {
    let base = |base: &str| Device::new(base, PRODUCT, None).error();
    let error = base("\nbase = 'none.toml'");
    assert!(error.contains("base.toml:2: base must be a file, and there is no "), "{error}");
    for name in ["products/cam.toml", "base.toml", "products/../base.toml"] {
        let error = base(&format!("base = '{name}'"));
        assert!(error.contains("base.toml:1: base must be another file"), "{error}");
    }
    let device = Device::new("base = '0.toml'", PRODUCT, None);
    (0..9).for_each(|n| device.write(&format!("{n}.toml"), &format!("base = '{}.toml'", n + 1)));
    assert!(
        device.error().contains("4.toml:1: base must be left out: 8 files"),
        "{}",
        device.error()
    );
}

#[test]
fn the_permissions_of_each_file_count() {
    for name in ["base.toml", "products/cam.toml", "data/settings.toml"] {
        let device = Device::new(BASE, PRODUCT, Some(CHANGES));
        for (mode, want) in [(0o644, "is readable by everyone"), (0o602, "is writable by everyone")]
        {
            fs::set_permissions(device.at(name), PermissionsExt::from_mode(mode)).unwrap();
            let error = device.error();
            let file = name.rsplit('/').next().unwrap();
            assert!(error.contains(want) && error.contains(file), "{error}");
            Config::load(&device.at("products/cam.toml"), Access::Any).unwrap();
        }
    }
    let device = Device::new(BASE, PRODUCT, None);
    fs::create_dir(device.at("data")).unwrap();
    fs::set_permissions(device.at("data"), PermissionsExt::from_mode(0o777)).unwrap();
    assert!(device.error().contains("everyone may exchange it"), "{}", device.error());
}

#[test]
fn a_file_leaves_out_what_the_files_below_say() {
    let without = |names: &str| {
        Device::new(BASE, &format!("without = [{names}]\n{PRODUCT}[web]\nenable = true\n"), None)
    };
    let config =
        without("'cloud.url', 'cloud.login_code', 'cloud.login_passwd', 'record'").load().unwrap();
    assert_eq!((config.cloud.account, config.record.spool), (None, None));
    assert_eq!(config.cloud.hardware_model, "CAM-200");
    for (names, want) in [
        ("'cloud.ulr'", "where there is no \"cloud.ulr\"; did you mean \"cloud.url\"?"),
        ("'cluod.url'", "no \"cluod.url\""),
        ("'web'", "no \"web\""),
        ("5", "without must be a list of a string"),
    ] {
        let error = without(names).error();
        assert!(error.contains("products/cam.toml:1: ") && error.contains(want), "{error}");
    }
}

#[test]
fn one_file_alone_may_be_of_a_newer_version() {
    let newer = format!("version = 9\n{BASE}[cloudy]\n");
    let config = Device::new(&newer, PRODUCT, Some(CHANGES)).load().unwrap();
    assert!(config.notes.iter().any(|note| note.contains("base.toml:15: unknown key \"cloudy\"")));
    let error = Device::new(&newer, &format!("{PRODUCT}[cloudx]\n"), None).error();
    assert!(error.contains("products/cam.toml:10: unknown key \"cloudx\""), "{error}");
}

#[test]
fn the_credentials_file_may_be_named_by_any_file_below() {
    let product = format!("without = ['cloud.login_passwd']\n{PRODUCT}");
    let device =
        Device::new(&format!("credentials = 'secret.toml'\n{BASE}"), &product, Some(CHANGES));
    device.write("secret.toml", "[cloud]\nlogin_passwd = 'qX9-apart-2'\n");
    let account = device.load().unwrap().cloud.account.unwrap();
    assert_eq!(account.login_passwd.expose(), "qX9-apart-2");
    assert!(device.origins().contains("secret.toml:2: cloud.login_passwd = ***"));
}

#[test]
fn what_is_in_force_is_told_with_its_origin_and_without_secrets() {
    let product = "[[channel]]\nbackend = ['rtsp']\nmain = 'rtsp://u:zQ7canary55@192.0.2.1/a'\nusername = 'u'\npassword = 'zQ8canary56'\n";
    let product =
        PRODUCT.replace("[[channel]]\nbackend = 'emulator'\nquality = { hd = 'sub' }\n", product);
    let device = Device::new(
        BASE,
        &product,
        Some(
            "[log]\nlevel = 'error'\n[[channel]]\nbackend = 'emulator'\ncommand = ['x', 'zQ9canary57']\n",
        ),
    );
    let _config = device.load().unwrap();
    let text = device.origins();
    for want in [
        "base.toml:2: cloud.url = 'ws://base.example/ivc'",
        "base.toml:4: cloud.login_passwd = ***",
        "products/cam.toml:4: cloud.hardware_model = 'CAM-200'",
        "products/../data/settings.toml:2: log.level = 'error'",
        "products/../data/settings.toml:5: channel.0.command = ***",
    ] {
        assert!(text.lines().any(|line| line == want), "{want}\n{text}");
    }
    assert!(
        !text.contains("canary") && !text.contains("Fx-20") && !text.contains("changes ="),
        "{text}"
    );
    let single = Device::new(BASE, BASE, None);
    assert!(single.load().is_err(), "a camera has one channel");
    assert_eq!(origins(&single.at("base.toml"), Access::Any).unwrap(), "");
}

#[test]
fn every_product_loads_over_the_base() {
    let products = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/products");
    let mut seen = 0;
    for entry in fs::read_dir(products).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nbase = \"../base.toml\"\n"), "{}", path.display());
        if !cfg!(all(feature = "onvif", feature = "pattern", feature = "profiles", feature = "ui"))
        {
            continue;
        }
        let config = Config::load(&path, Access::Any).unwrap_or_else(|e| panic!("{e}"));
        let nvr = path.file_name().unwrap().to_str().unwrap().starts_with("nvr");
        assert_eq!(config.channels.len(), if nvr { 8 } else { 1 }, "{}", path.display());
        // What base.toml shows as an example is in no product.
        assert_ne!(
            config.cloud.account.map(|account| account.login_code),
            Some("device-name".to_owned())
        );
        seen += 1;
    }
    assert!(seen >= 4 || cfg!(not(feature = "ui")), "{seen}");
}
