//! The reset: when its file appears, the device forgets its owner and every secret.
//!
//! The file goes last, so that a reset that a power cut interrupts is carried out at the next start, before the page
//! opens.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use ivt_base::task::spawn_blocking;

use crate::config::Config;
use crate::record::spool;
use crate::settings::Store;
use crate::state::StateStore;

/// What outlasts a reset: it holds no secret, and guards which firmware may run.
const KEPT: [&str; 1] = ["firmware"];

/// Whether a reset is asked for.
pub(super) fn is_asked(file: &Path) -> bool {
    file.symlink_metadata().is_ok()
}

/// Asks for a reset.
///
/// # Errors
/// The file cannot be made.
pub(super) fn ask(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).open(file)?.sync_all()
}

/// Carries out a reset that is asked for: wipes the secrets of the configuration in `files` and of what is kept in
/// `state`, drops the recordings on the card, and removes the file. Returns whether one was asked for. No agent may run
/// meanwhile, which would write what it knows.
pub(super) async fn carry_out(config: &Config, files: &Store, state: &StateStore) -> bool {
    let Some(web) = &config.web else { return false };
    let (file, files, state) = (web.reset_file.clone(), files.clone(), state.clone());
    let spool = config.record.spool.as_ref().map(|spool| spool.dir.clone());
    let done = spawn_blocking(move || {
        if !is_asked(&file) {
            return false;
        }
        if let Err(e) = files.wipe() {
            log::error!("the reset: the configuration keeps its secrets: {e}");
        }
        if let Err(e) = state.wipe(&KEPT) {
            log::error!("the reset: what is kept in device.state_dir stays: {e}");
        }
        if let Some(folder) = spool
            && let Err(e) = spool::wipe(&folder)
        {
            log::error!("the reset: recordings stay in {}: {e}", folder.display());
        }
        match remove(&file) {
            Ok(()) => log::warn!("the reset: done; the device belongs to nobody"),
            Err(e) => log::error!("the reset: {}: cannot be removed: {e}", file.display()),
        }
        true
    });
    done.await.unwrap_or(false)
}

/// The configuration in the files, or the one of before where it is refused.
pub(super) async fn read_again(files: &Store, before: &Config) -> Config {
    let files = files.clone();
    match spawn_blocking(move || files.load()).await {
        Ok(Ok(config)) => config,
        Ok(Err(e)) => {
            log::error!("configuration: {e}; the settings stay as they were");
            before.clone()
        }
        Err(_) => before.clone(),
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(e) if file.is_dir() => fs::remove_dir(file).map_err(|_| e)?,
        removed => removed?,
    }
    File::open(file.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Access;

    const TEXT: &str = "\
        credentials = 'secrets.toml'\n\
        [web]\nenable = true\nreset_file = 'reset'\nfirst_password = 'On the 4th label'\n\
        [cloud]\nurl = 'wss://cloud.example/ivc'\nlogin_code = 'code-4711'\n\
        [device]\nmodel = 'nvr'\nstate_dir = 'state'\n\
        [record]\nspool_dir = 'card'\n\
        # The door.\n\
        [[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://us3r:pa55-a@192.0.2.1/main'\n\
        sub = 'rtsp://192.0.2.1/sub'\n\
        [[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://192.0.2.2/main'\nweb = 'http://192.0.2.2'\n\
        [[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://192.0.2.4/main'\nusername = 'us3r'\n\
        password = 'pa55-b'\n\
        [[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://192.0.2.5/user=us3r_password=pa55-g_channel=1'\n\
        sub = 'rtsp://192.0.2.5/sub?channel=1&user=us3r&password=pa55-h'\n\
        snapshot = '/snap.cgi?user=us3r&pwd=pa55-i'\nweb = 'http://192.0.2.5'\n\
        [[channel]]\nbackend = 'emulator'\n\
        command = ['ffmpeg', '-i', 'rtsp://us3r:pa55-c@192.0.2.3/a', 'rtmp://192.0.2.3/live/pa55-j',\n\
        'curl http://us3r:pa55-k@192.0.2.3/b?token=pa55-l']\n";

    struct Rig {
        folder: tempfile::TempDir,
        files: Store,
        state: StateStore,
    }

    async fn rig() -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("ivt.toml"), TEXT).unwrap();
        let secrets = "[cloud]\nlogin_passwd = 'pa55-d'\n[[channel]]\n[[channel]]\n\
                       username = 'us3r'\npassword = 'pa55-e'\n";
        fs::write(at("secrets.toml"), secrets).unwrap();
        let state = StateStore::new(Some(at("state")));
        for subject in ["web", "publishes", "wifi_trials", "certificate", "firmware"] {
            state.write(subject, &json!({ "of": subject })).await.unwrap();
        }
        fs::write(at("state/web.json.damaged"), "pa55-f").unwrap();
        let session = at("card/session-00000001");
        fs::create_dir_all(&session).unwrap();
        fs::write(session.join("0000000000000001.seg"), "pa55-m").unwrap();
        let files = Store::new(at("ivt.toml"), Access::Any);
        Rig { folder, files, state }
    }

    fn texts(rig: &Rig) -> String {
        ["ivt.toml", "secrets.toml"]
            .map(|name| fs::read_to_string(rig.folder.path().join(name)).unwrap())
            .concat()
    }

    #[tokio::test]
    async fn nothing_secret_outlasts_a_reset() {
        let rig = rig().await;
        let config = rig.files.load().unwrap();
        let web = config.web.as_ref().unwrap();
        let before = texts(&rig);
        assert!(!carry_out(&config, &rig.files, &rig.state).await);
        assert_eq!(texts(&rig), before, "nobody asked");
        ask(&web.reset_file).unwrap();
        assert!(carry_out(&config, &rig.files, &rig.state).await);
        assert_eq!(fs::read_dir(rig.folder.path().join("card")).unwrap().count(), 0);
        let after = texts(&rig);
        for secret in ["pa55", "us3r", "code-4711", "cloud.example"] {
            assert!(!after.contains(secret), "{secret}: {after}");
        }
        assert!(after.contains("# The door.") && after.contains("rtsp://192.0.2.3/a"), "{after}");
        let left = rig.files.load().unwrap();
        assert!(left.cloud.account.is_none() && left.channels.len() == 5);
        let first = left.web.unwrap().first_password.unwrap();
        assert_eq!(first.expose(), "On the 4th label", "it is printed on the device");
        assert!(rig.state.read::<Value>("firmware").is_some());
        let left = fs::read_dir(rig.folder.path().join("state")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["firmware.json"]);
        assert!(!is_asked(&web.reset_file));
        assert!(!carry_out(&config, &rig.files, &rig.state).await);
    }

    #[tokio::test]
    async fn a_configuration_that_cannot_be_written_does_not_keep_the_owner() {
        let rig = rig().await;
        let config = rig.files.load().unwrap();
        let web = config.web.as_ref().unwrap();
        fs::write(rig.folder.path().join("ivt.toml"), "torn = [").unwrap();
        ask(&web.reset_file).unwrap();
        assert!(carry_out(&config, &rig.files, &rig.state).await);
        assert!(rig.state.read::<Value>("web").is_none() && !is_asked(&web.reset_file));
    }
}
