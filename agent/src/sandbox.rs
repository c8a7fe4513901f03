//! The rights that the agent gives up before it talks to anybody: another user, no new privileges, no capabilities but
//! those that the configuration takes, no files but those that it names (Landlock), no system calls but those that the
//! agent makes (seccomp).
//!
//! All of this is entered by the only thread that there is then, and every later one inherits it. None of it can be
//! taken back: a configuration that needs more has to wait for the next start of the process.

mod calls;
mod confined;
mod files;
mod numbers;
mod rights;
#[cfg(test)]
mod tests;
mod user;

use std::io;
use std::path::PathBuf;

use rustix::thread::set_no_new_privs;

use crate::config::Config;
use rights::Rights;

pub use confined::Confined;
pub use user::check;

/// What the log says where the kernel has no Landlock.
const NO_LANDLOCK: &str =
    "the kernel has no Landlock (Linux 5.13, CONFIG_SECURITY_LANDLOCK and landlock in lsm=)";
/// What the log says where the kernel has no seccomp.
const NO_SECCOMP: &str = "the kernel has no seccomp filters (CONFIG_SECCOMP_FILTER), or this program no list of system calls for the \
     processor";

/// Why an agent does not start in its sandbox. Starting again does not help.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user is not there.
    #[error(
        "sandbox.user: there is no user {0}: make one (adduser -S -D -H {0}), or name another one"
    )]
    NoUser(String),
    /// The system does not let the agent become the user.
    #[error("sandbox.user: the agent cannot become {user}: {step}: {source}")]
    User {
        /// The name of the user.
        user: String,
        /// What failed.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What was given up can be had again.
    #[error("sandbox.user: the agent is {0}, and could become root again: it does not start so")]
    Regained(String),
    /// The system does not let the agent give up rights.
    #[error("sandbox: {step}: {source}")]
    System {
        /// What failed.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The files that the agent may use cannot be told to the kernel.
    #[error("sandbox.landlock: {0}")]
    Files(String),
    /// The kernel lacks what the configuration requires.
    #[error("sandbox.require: {0}; take it out to start without")]
    Lacking(&'static str),
}

/// Enters the sandbox of `config`, which was read from the files `named`, where it has one. To be called while the
/// process has one thread.
///
/// # Errors
/// The user is not there, or the system lacks what is required.
pub fn enter(config: &Config, named: Vec<PathBuf>) -> Result<Option<Confined>, Error> {
    let Some(sandbox) = &config.sandbox else { return Ok(None) };
    let rights = Rights::of(config, &named);
    let account = sandbox.user.as_deref().map(user::find).transpose()?;
    let becomes = account.as_ref().filter(|_| user::is_root());
    for folder in &rights.folders {
        user::make(folder, becomes);
    }
    user::reduce(account.as_ref(), &rights)?;
    let step = |step| move |e: rustix::io::Errno| Error::System { step, source: e.into() };
    set_no_new_privs(true).map_err(step("no_new_privs"))?;
    let mut lacks = Vec::new();
    let has_files = sandbox.landlock && files::confine(&rights).map_err(Error::Files)?;
    if sandbox.landlock && !has_files {
        lacks.push((NO_LANDLOCK, "files are not confined"));
    }
    if sandbox.seccomp && !calls::confine(&rights) {
        lacks.push((NO_SECCOMP, "system calls are not confined"));
    }
    for (what, hence) in lacks {
        if sandbox.require {
            return Err(Error::Lacking(what));
        }
        log::warn!("sandbox: {what}: {hence}");
    }
    log::info!("sandbox: {}", rights.summary());
    let confined = Confined::new(rights, named, has_files);
    confined.complain(sandbox.user.as_deref());
    Ok(Some(confined))
}
