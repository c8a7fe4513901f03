//! From files to a [`Config`].

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::access::{Access, directory, unwritable};
use super::credentials::CredentialsFile;
use super::files::{Files, NAMES, Text};
use super::section::{File, PATH, Section, text};
use super::{
    Config, Error, channel, cloud, credentials, device, log, publish, record, runtime, tlss,
};

/// What a build without the sandbox expects of `[sandbox]`: who wrote it would take the agent for confined.
#[cfg(not(feature = "sandbox"))]
const UNCONFINED: &str = "left out: this program is built without the sandbox";

impl Config {
    /// Reads `file` and the files it names. A relative path counts from the folder of the file that says it.
    ///
    /// # Errors
    /// The first thing that is wrong, with file and line.
    pub fn load(file: &Path, access: Access) -> Result<Self, Error> {
        Self::of(&Files::read(file, access)?, access)
    }

    /// Reads the texts of `files`.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub(crate) fn of(files: &Files, access: Access) -> Result<Self, Error> {
        let mut config = assemble(files)?;
        config.state_dir = config.state_dir.or_else(|| Some(state_dir(&files.main.path)));
        if access == Access::Private {
            // Who writes these decides whom the agent trusts, and what its server may do.
            let profile = config.tlss.as_ref().and_then(|tlss| tlss.profile.as_deref());
            let files = [config.cloud.ca_file.as_deref(), profile].into_iter().flatten();
            let cameras = config.channels.iter().flat_map(|channel| channel.backend.profiles());
            for file in files.chain(cameras) {
                // A file that is missing is told of by whoever reads it.
                if let Ok(metadata) = file.metadata() {
                    unwritable(file, &metadata)?;
                }
            }
        }
        Ok(config)
    }
}

impl FromStr for Config {
    type Err = Error;

    /// Reads `text` as [`Config::load`] reads a file; relative paths count from the working
    /// directory.
    fn from_str(text: &str) -> Result<Self, Error> {
        let text = Text { path: "configuration".into(), text: text.to_owned() };
        assemble(&Files::of(text, Access::Private)?)
    }
}

/// Where the state of a device is kept unless its configuration says otherwise: where systemd has made a folder for it, or
/// beside the `file` into which changes are written.
fn state_dir(file: &Path) -> PathBuf {
    let made = std::env::var_os("STATE_DIRECTORY").unwrap_or_default();
    let made = std::env::split_paths(&made).next().filter(|folder| folder.is_absolute());
    made.unwrap_or_else(|| directory(file).join("state"))
}

fn assemble(files: &Files) -> Result<Config, Error> {
    let texts = files.padded();
    let file = File::layered(texts.iter().map(|(path, text)| (path.clone(), &**text)));
    let mut root = file.root()?;
    // What they name was read before.
    NAMES.into_iter().try_for_each(|key| root.insist(key, text(1..=PATH)).map(drop))?;
    let Some(apart) = &files.apart else {
        let config = sections(root, None)?;
        return Ok(Config { notes: file.notes(), ..config });
    };
    let apart = File::new(&*apart.path, &apart.text);
    let credentials = credentials::credentials(apart.root()?)?;
    let config = sections(root, Some(credentials))?;
    Ok(Config { notes: [file.notes(), apart.notes()].concat(), ..config })
}

/// Reads the sections of the file, one after the other.
pub(super) fn sections(
    mut root: Section<'_, '_>,
    credentials: Option<CredentialsFile>,
) -> Result<Config, Error> {
    let mut apart = credentials.unwrap_or_default();
    #[cfg(feature = "ui")]
    let web = super::web::web(root.section("web")?, &mut apart)?;
    #[cfg(feature = "ui")]
    let has_page = web.is_some();
    #[cfg(not(feature = "ui"))]
    let has_page = false;
    let cloud = cloud::cloud(root.section("cloud")?, &mut apart, has_page)?;
    let (model, state_dir, clock_steps) = device::device(root.section("device")?)?;
    let channels = channel::channels(&mut root, model, apart.channels, has_page)?;
    #[cfg(any(feature = "alarms", feature = "linux"))]
    let network = super::network::network(root.section("network")?)?;
    let publish = publish::publish(root.section("publish")?)?;
    let record = record::record(root.section("record")?)?;
    let tlss = match tlss::tlss(root.section("tlss")?, &cloud.hardware_model) {
        // Settings that guard the service have no default as safe as no service.
        Err(error) => root.pass(error, "the hosted service stays off").map(|()| None)?,
        Ok(tlss) => tlss,
    };
    #[cfg(feature = "update")]
    let firmware = super::firmware::firmware(root.section("firmware")?, &cloud.hardware_model)?;
    #[cfg(feature = "alarms")]
    let alarm = super::alarm::alarm(root.section("alarm")?)?;
    #[cfg(feature = "sandbox")]
    let sandbox = super::sandbox::sandbox(root.section("sandbox")?)?;
    #[cfg(not(feature = "sandbox"))]
    root.insist::<()>("sandbox", |_| Err(UNCONFINED.to_owned()))?;
    let spool = record.spool.as_ref();
    let (runtime, budget) =
        runtime::runtime(root.section("runtime")?, &channels, spool, tlss.as_ref())?;
    let log_level = log::log(root.section("log")?)?;
    root.finish()?;
    let notes = Vec::new();
    Ok(Config {
        cloud,
        model,
        state_dir,
        clock_steps,
        channels,
        #[cfg(any(feature = "alarms", feature = "linux"))]
        network,
        publish,
        record,
        tlss,
        #[cfg(feature = "update")]
        firmware,
        #[cfg(feature = "alarms")]
        alarm,
        #[cfg(feature = "ui")]
        web,
        #[cfg(feature = "sandbox")]
        sandbox,
        runtime,
        budget,
        log_level,
        notes,
    })
}
