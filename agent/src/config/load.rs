//! From files to a [`Config`].

use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::credentials::CredentialsFile;
use super::section::{File, Section};
use super::{
    Config, Error, channel, cloud, credentials, device, log, publish, record, runtime, tlss,
};

/// Mode bit of a file that everyone on the system may read.
const WORLD_READABLE: u32 = 0o004;
/// Mode bit of a file that everyone on the system may write, and of a folder in which everyone may rename files.
const WORLD_WRITABLE: u32 = 0o002;
/// Mode bit of a folder in which everyone may rename but their own files.
const STICKY: u32 = 0o1000;
/// What a build without the sandbox expects of `[sandbox]`: who wrote it would take the agent for confined.
#[cfg(not(feature = "sandbox"))]
const UNCONFINED: &str = "left out: this program is built without the sandbox";

/// The permissions that a configuration's files must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nobody but owner and group may write the files, those that they name, or the folders that these are in; and
    /// those with passwords are not readable by everyone.
    Private,
    /// Any permissions will do.
    Any,
}

impl Config {
    /// Reads `file` and the credentials file it names. Relative paths inside count from the
    /// directory of `file`.
    ///
    /// # Errors
    /// The first thing that is wrong, with file and line.
    pub fn load(file: &Path, access: Access) -> Result<Self, Error> {
        Self::load_from(file, access, |path| read(path, access))
    }

    /// Does as [`Config::load`], with `text` in the place of reading a file.
    pub(crate) fn load_from(
        file: &Path,
        access: Access,
        text: impl Fn(&Path) -> Result<String, Error>,
    ) -> Result<Self, Error> {
        let mut config =
            assemble(&file.display().to_string(), &text(file)?, directory(file), text)?;
        config.state_dir = config.state_dir.or_else(|| Some(state_dir(file)));
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
        assemble("configuration", text, Path::new(""), |path| read(path, Access::Private))
    }
}

/// The credentials file that the `text` of `file` names.
///
/// # Errors
/// The text is not TOML, or `credentials` is not a path.
pub(crate) fn credentials_file(file: &Path, text: &str) -> Result<Option<PathBuf>, Error> {
    let read = File::new(file.display().to_string(), text);
    credentials::credentials_path(&mut read.root()?, directory(file))
}

/// The text of `file`.
///
/// # Errors
/// The file cannot be read, or may be read or written by more people than `access` allows.
pub(crate) fn read(file: &Path, access: Access) -> Result<String, Error> {
    let name = || file.display().to_string();
    let failed = |source| Error::Read { file: name(), source };
    let mut open = std::fs::File::open(file).map_err(failed)?;
    let metadata = open.metadata().map_err(failed)?;
    if access == Access::Private {
        if metadata.permissions().mode() & WORLD_READABLE != 0 {
            return Err(Error::WorldReadable { file: name() });
        }
        unwritable(file, &metadata)?;
    }
    let mut text = String::new();
    open.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Refuses a file that everyone may write or exchange.
fn unwritable(file: &Path, metadata: &Metadata) -> Result<(), Error> {
    if metadata.permissions().mode() & WORLD_WRITABLE != 0 {
        return Err(Error::WorldWritable { file: file.display().to_string() });
    }
    // Where the path is a link, the folder of the link counts as well as that of the file.
    let real = file.canonicalize().unwrap_or_default();
    for folder in [directory(file), directory(&real)] {
        let folder = if folder == Path::new("") { Path::new(".") } else { folder };
        let mode = folder.metadata().map_or(0, |metadata| metadata.permissions().mode());
        if mode & (WORLD_WRITABLE | STICKY) == WORLD_WRITABLE {
            let (file, folder) = (file.display().to_string(), folder.display().to_string());
            return Err(Error::OpenFolder { file, folder });
        }
    }
    Ok(())
}

/// Where the state of a device is kept unless its configuration `file` says otherwise: where systemd has made
/// a folder for it, or beside the file.
fn state_dir(file: &Path) -> PathBuf {
    let made = std::env::var_os("STATE_DIRECTORY").unwrap_or_default();
    let made = std::env::split_paths(&made).next().filter(|folder| folder.is_absolute());
    made.unwrap_or_else(|| directory(file).join("state"))
}

fn directory(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

fn assemble(
    name: &str,
    text: &str,
    base: &Path,
    read: impl Fn(&Path) -> Result<String, Error>,
) -> Result<Config, Error> {
    let file = File::new(name.to_owned(), text);
    let mut root = file.root()?;
    let Some(path) = credentials::credentials_path(&mut root, base)? else {
        let config = sections(root, None, base)?;
        return Ok(Config { notes: file.notes(), ..config });
    };
    let text = read(&path)?;
    let apart = File::new(path.display().to_string(), &text);
    let credentials = credentials::credentials(apart.root()?)?;
    let config = sections(root, Some(credentials), base)?;
    Ok(Config { notes: [file.notes(), apart.notes()].concat(), ..config })
}

/// Reads the sections of the file, one after the other.
pub(super) fn sections(
    mut root: Section<'_, '_>,
    credentials: Option<CredentialsFile>,
    base: &Path,
) -> Result<Config, Error> {
    let mut apart = credentials.unwrap_or_default();
    #[cfg(feature = "ui")]
    let web = super::web::web(root.section("web")?, &mut apart, base)?;
    #[cfg(feature = "ui")]
    let has_page = web.is_some();
    #[cfg(not(feature = "ui"))]
    let has_page = false;
    let cloud = cloud::cloud(root.section("cloud")?, &mut apart, base, has_page)?;
    let (model, state_dir, clock_steps) = device::device(root.section("device")?, base)?;
    let channels = channel::channels(&mut root, model, apart.channels, base, has_page)?;
    #[cfg(any(feature = "alarms", feature = "linux"))]
    let network = super::network::network(root.section("network")?)?;
    let publish = publish::publish(root.section("publish")?)?;
    let record = record::record(root.section("record")?, base)?;
    let tlss = match tlss::tlss(root.section("tlss")?, &cloud.hardware_model, base) {
        // Settings that guard the service have no default as safe as no service.
        Err(error) => root.pass(error, "the hosted service stays off").map(|()| None)?,
        Ok(tlss) => tlss,
    };
    #[cfg(feature = "update")]
    let firmware =
        super::firmware::firmware(root.section("firmware")?, &cloud.hardware_model, base)?;
    #[cfg(feature = "alarms")]
    let alarm = super::alarm::alarm(root.section("alarm")?)?;
    #[cfg(feature = "sandbox")]
    let sandbox = super::sandbox::sandbox(root.section("sandbox")?, base)?;
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
