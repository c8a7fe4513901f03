//! Changes on a device whose configuration has a base and a file of changes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::config::Access;

const BASE: &str = "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c0'\nlogin_passwd = 'Vb-41-base'\n[device]\nmodel = 'nvr'\n\
    [log]\nlevel = 'warn'\n";
const PRODUCT: &str = "base = '../base.toml'\nchanges = '../../data/ivt/settings.toml'\n\
    # The door.\n[[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://192.0.2.1/a'\nusername = 'adm'\npassword = 'Vb-42-door'\n\
    [channel.quality]\nhd = 'main'\n\
    [[channel]]\nbackend = 'emulator'\nmain = 'clips/a.flv'\n";

struct Device {
    folder: tempfile::TempDir,
    store: Store,
}

impl Device {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let etc = folder.path().join("etc");
        fs::create_dir_all(etc.join("products/clips")).unwrap();
        fs::write(etc.join("products/clips/a.flv"), "FLV").unwrap();
        for (name, text) in [("base.toml", BASE), ("products/cam.toml", PRODUCT)] {
            fs::write(etc.join(name), text).unwrap();
            fs::set_permissions(etc.join(name), PermissionsExt::from_mode(0o400)).unwrap();
        }
        let store = Store::new(etc.join("products/cam.toml"), Access::Private);
        Self { folder, store }
    }

    fn set(&self, key: &str, value: &str) -> Changed {
        self.store.change(&[Change::set(key, value).unwrap()], None).unwrap()
    }

    fn unset(&self, key: &str) -> Changed {
        self.store.change(&[Change::unset(key).unwrap()], None).unwrap()
    }

    fn changes(&self) -> PathBuf {
        self.folder.path().join("data/ivt/settings.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.changes()).unwrap()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Whatever a test does, what the device was delivered with stays.
        for (name, text) in [("base.toml", BASE), ("products/cam.toml", PRODUCT)] {
            let kept = fs::read_to_string(self.folder.path().join("etc").join(name));
            assert_eq!(kept.ok().as_deref(), Some(text), "{name}");
        }
    }
}

#[test]
fn a_change_is_written_into_the_file_of_changes_alone_which_is_made() {
    let device = Device::new();
    assert!(!device.changes().parent().unwrap().exists());
    let changed = device.set("log.level", "debug");
    assert_eq!(changed.config.log_level, log::LevelFilter::Debug);
    assert_eq!(device.text(), "\n[log]\nlevel = \"debug\"\n".trim_start());
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&device.changes()), mode(device.changes().parent().unwrap())), (0o600, 0o700));
    let changed = device.unset("log.level");
    assert_eq!(changed.config.log_level, log::LevelFilter::Warn, "the base counts again");
    assert!(
        device.set("log.level", "warn").files.len() == 1,
        "what the base says may be said again"
    );
}

#[test]
fn a_change_that_is_refused_leaves_no_file() {
    let device = Device::new();
    let change = Change::set("log.level", "loud").unwrap();
    let error = device.store.change(&[change], None).unwrap_err().to_string();
    assert!(error.contains("settings.toml:2: log.level must be"), "{error}");
    assert!(!device.changes().exists());
}

#[test]
fn a_channel_of_the_product_is_changed_in_a_copy_of_all_of_them() {
    let device = Device::new();
    let changed = device.set("channel.0.username", "root");
    assert_eq!(changed.config.channels.len(), 2);
    let clip = std::path::absolute(device.folder.path().join("etc/products/clips/a.flv")).unwrap();
    let want = format!(
        "[[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://192.0.2.1/a'\nusername = \"root\"\n\
         password = 'Vb-42-door'\nquality.hd = 'main'\n\n[[channel]]\nbackend = 'emulator'\nmain = \"{}\"\n",
        clip.display()
    );
    assert_eq!(device.text(), want);
    device.unset("channel.0.password");
    assert!(!device.text().contains("Vb-42"));
    device.set("channel.2.backend", "emulator");
    assert_eq!(device.store.load().unwrap().channels.len(), 3);
}

#[test]
fn what_is_unset_and_was_never_changed_makes_no_copy_of_consequence() {
    let device = Device::new();
    let before = device.store.load().unwrap();
    assert_eq!(device.unset("channel.1.sub").config.channels.len(), before.channels.len());
}

#[test]
fn files_of_the_configuration_cannot_be_named_by_a_change() {
    let device = Device::new();
    for key in ["base", "changes", "credentials", "without", "version"] {
        let change = Change::set(key, "x").unwrap();
        let error = device.store.change(&[change], None).unwrap_err();
        assert!(matches!(error, Error::Fixed(_)), "{error}");
    }
}

#[test]
fn a_change_of_a_file_below_is_seen() {
    let device = Device::new();
    let (_, seen) = device.store.read().unwrap();
    let product = device.folder.path().join("etc/products/cam.toml");
    fs::write(&product, format!("{PRODUCT}[log]\nlevel = 'trace'\n")).unwrap();
    assert_eq!(device.store.read().unwrap().0.log_level, log::LevelFilter::Trace);
    let change = Change::set("publish.linger_seconds", "6").unwrap();
    let error = device.store.change(&[change], Some(&seen)).unwrap_err();
    assert!(matches!(error, Error::Outdated), "{error}");
    fs::write(&product, PRODUCT).unwrap();
}

#[cfg(feature = "ui")]
mod page {
    use super::*;

    #[test]
    fn a_channel_of_the_product_is_removed_on_the_device() {
        let device = Device::new();
        let changed = device.store.remove_channel(0, None).unwrap();
        assert_eq!(changed.config.channels.len(), 1);
        assert!(device.text().contains("clips/a.flv") && !device.text().contains("192.0.2.1"));
    }

    #[test]
    fn the_list_of_settings_is_what_is_in_force() {
        let device = Device::new();
        device.set(
            "channel.1.main",
            &device.folder.path().join("etc/products/clips/a.flv").display().to_string(),
        );
        device.store.remove_channel(1, None).unwrap();
        device.set("log.level", "error");
        let listing = device.store.list().unwrap();
        assert_eq!(listing.problem, None);
        let keys: Vec<_> = listing.values.iter().map(|(key, _)| &**key).collect();
        let want = [
            "channel.0.backend",
            "channel.0.main",
            "channel.0.password",
            "channel.0.quality.hd",
            "channel.0.username",
            "cloud.login_code",
            "cloud.login_passwd",
            "cloud.url",
            "device.model",
            "log.level",
        ];
        assert_eq!(keys, want);
        assert_eq!(listing.values.last().unwrap().1, "error");
    }

    #[test]
    fn a_reset_drops_what_was_changed_and_keeps_base_and_product() {
        let device = Device::new();
        let delivered = device.store.load().unwrap();
        device.store.wipe().unwrap();
        assert!(!device.changes().exists() || device.text().is_empty());
        device.set("cloud.login_passwd", "Vb-43-mine");
        device.set("channel.0.password", "Vb-44-mine");
        device.store.wipe().unwrap();
        assert_eq!(device.text(), "");
        assert_eq!(device.store.load().unwrap(), delivered);
    }
}
