//! `[sandbox]`: the rights that the agent gives up before it talks to anybody.

use std::path::PathBuf;

use toml::de::DeValue;

use super::error::Error;
use super::section::{NAME, PATH, Section, boolean, list, text};

/// Most folders and files in a list.
const PATHS: usize = 64;

/// The rights that the agent gives up before it talks to anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// `user`: whom an agent becomes that root has started; by default it stays who it is.
    pub user: Option<String>,
    /// `landlock`: the kernel refuses files and folders that the configuration does not name; default true.
    pub landlock: bool,
    /// `seccomp`: the kernel refuses system calls that the agent does not make; default true.
    pub seccomp: bool,
    /// `require`: the agent does not start where the kernel lacks one of these; default false.
    pub require: bool,
    /// `read`: further folders, files and devices that may be read; default none.
    pub read: Vec<PathBuf>,
    /// `write`: further folders, files and devices that may be read and written; default none.
    pub write: Vec<PathBuf>,
}

/// Reads the section; `None` while `enable` is false. What is wrong is an error in a newer file, too: no default is as
/// safe as what was meant.
pub(super) fn sandbox(mut section: Section<'_, '_>) -> Result<Option<Sandbox>, Error> {
    let mut paths = |key| {
        let folder = section.folder(key);
        let path = |value: &DeValue<'_>| text(1..=PATH)(value).map(|path| folder.join(path));
        section.insist(key, |value| match list(path)(value)? {
            paths if paths.len() <= PATHS => Ok(paths),
            _ => Err(format!("a list of at most {PATHS} paths")),
        })
    };
    let (read, write) = (paths("read")?, paths("write")?);
    let mut flag = |key| section.insist(key, boolean);
    let is_on = flag("enable")?.unwrap_or(false);
    let [landlock, seccomp] = [flag("landlock")?, flag("seccomp")?].map(|on| on.unwrap_or(true));
    let require = flag("require")?.unwrap_or(false);
    let user = section.insist("user", text(1..=NAME))?;
    section.finish()?;
    let (read, write) = (read.unwrap_or_default(), write.unwrap_or_default());
    Ok(is_on.then_some(Sandbox { user, landlock, seccomp, require, read, write }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn read(keys: &str) -> Result<Option<Sandbox>, String> {
        let text = format!(
            "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
             [[channel]]\nbackend = 'emulator'\n[sandbox]\n{keys}"
        );
        text.parse::<Config>().map(|config| config.sandbox).map_err(|e| e.to_string())
    }

    #[test]
    fn it_is_off_until_it_is_enabled_and_then_takes_all_that_the_kernel_has() {
        assert_eq!(read("user = 'ivt'"), Ok(None));
        let sandbox = read("enable = true").unwrap().unwrap();
        assert!(sandbox.landlock && sandbox.seccomp && !sandbox.require);
        assert_eq!((sandbox.user, sandbox.read.len(), sandbox.write.len()), (None, 0, 0));
        let keys = "enable = true\nuser = 'ivt'\nseccomp = false\nwrite = ['/dev/video0', 'x']";
        let sandbox = read(keys).unwrap().unwrap();
        assert_eq!((sandbox.user.as_deref(), sandbox.seccomp), (Some("ivt"), false));
        assert_eq!(sandbox.write, [Path::new("/dev/video0"), Path::new("x")]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (keys, want) in [
            ("enable = 'yes'", "sandbox.enable must be true or false"),
            ("enabel = true", "did you mean \"enable\"?"),
            ("user = ''", "sandbox.user must be a string of 1 to"),
            ("read = '/srv'", "sandbox.read must be a list"),
            ("write = ['']", "sandbox.write must be a list of a string of 1 to"),
            (&format!("read = {:?}", ["/a"; 65]), "a list of at most 64 paths"),
        ] {
            let error = read(keys).unwrap_err();
            assert!(error.contains(want), "{keys}: {error}");
        }
    }
}
