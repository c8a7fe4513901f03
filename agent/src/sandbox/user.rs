//! Becoming another user, and giving up capabilities.

use std::ffi::CString;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, lchown};
use std::path::Path;

use nix::unistd::{ROOT, Uid, User, geteuid, getgrouplist, setgroups, setresgid, setresuid};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities,
};

use super::Error;
use super::rights::Rights;
use crate::config::Config;

/// What root keeps where it becomes nobody else: its right to files, within what Landlock leaves.
const FILES: CapabilitySet =
    CapabilitySet::CHOWN.union(CapabilitySet::DAC_OVERRIDE).union(CapabilitySet::FOWNER);

/// Whether the user that the configuration names is there.
///
/// # Errors
/// The user is not there.
pub fn check(config: &Config) -> Result<(), Error> {
    let user = config.sandbox.as_ref().and_then(|sandbox| sandbox.user.as_deref());
    user.map(find).transpose().map(drop)
}

pub(super) fn is_root() -> bool {
    geteuid() == ROOT
}

/// The user of this name.
pub(super) fn find(name: &str) -> Result<User, Error> {
    User::from_name(name).ok().flatten().ok_or_else(|| Error::NoUser(name.to_owned()))
}

/// Makes a folder that is missing, with those that it is in, for the user.
pub(super) fn make(folder: &Path, user: Option<&User>) {
    if folder.exists() {
        return;
    }
    if let Some(above) = folder.parent() {
        make(above, user);
    }
    let made = DirBuilder::new().mode(0o700).create(folder);
    let owner = user.map(|user| (user.uid.as_raw(), user.gid.as_raw()));
    let given = made.and_then(|()| match owner {
        Some((uid, gid)) => lchown(folder, Some(uid), Some(gid)),
        None => Ok(()),
    });
    if let Err(e) = given {
        log::warn!("sandbox: {}: cannot be made: {e}", folder.display());
    }
}

/// Becomes `user` where root runs this, and gives up every capability that the rights do not name.
pub(super) fn reduce(user: Option<&User>, rights: &Rights) -> Result<(), Error> {
    let step = |step| move |e: Errno| Error::System { step, source: e.into() };
    let mut keeps = rights.capabilities;
    let is_root = is_root();
    match user {
        Some(user) if !is_root && user.uid != geteuid() => {
            log::warn!(
                "sandbox.user: only root can become {}: the agent stays user {}",
                user.name,
                geteuid()
            );
        }
        None if is_root => {
            log::warn!("sandbox.user names nobody: the agent stays root");
            keeps |= FILES;
        }
        _ => {}
    }
    if is_root {
        // Nothing that is started later has more, whatever its file says.
        limit(keeps)?;
        set_keep_capabilities(true).map_err(step("keeping capabilities"))?;
        if let Some(user) = user {
            change(user)?;
        }
    }
    let has = capabilities(None).map_err(step("capabilities"))?.permitted;
    let permitted = keeps.intersection(has);
    let lost = rights.capabilities.difference(has);
    if !lost.is_empty() {
        log::warn!("sandbox: was started without {lost:?}, which the configuration takes");
    }
    let inheritable = rights.inherited.intersection(has);
    clear_ambient_capability_set().ok();
    let sets = CapabilitySets { effective: permitted, permitted, inheritable };
    set_capabilities(None, sets).map_err(step("capabilities"))?;
    for capability in inheritable.iter() {
        configure_capability_in_ambient_set(capability, true)
            .map_err(step("capabilities of programs"))?;
    }
    match user {
        Some(user) if is_root && user.uid != ROOT && is_root_again() => {
            Err(Error::Regained(user.name.clone()))
        }
        _ => Ok(()),
    }
}

/// Takes all capabilities but `keeps` from what this process and its programs may ever have.
fn limit(keeps: CapabilitySet) -> Result<(), Error> {
    let all = (0..u64::BITS).map(|number| CapabilitySet::from_bits_retain(1 << number));
    for capability in all.filter(|capability| !keeps.contains(*capability)) {
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // The kernel has no more.
            Err(Errno::INVAL) => break,
            // Root of a container may lack the right to; what is not permitted below is not had all the same.
            Err(Errno::PERM) => {
                log::warn!("sandbox: the capabilities of programs cannot be limited");
                break;
            }
            Err(e) => return Err(Error::System { step: "capabilities", source: e.into() }),
        }
    }
    Ok(())
}

/// Takes the user's groups, group and number, in this order, as each takes the right to the next.
fn change(user: &User) -> Result<(), Error> {
    let failed = |step| {
        let user = user.name.clone();
        move |e: nix::errno::Errno| Error::User { user, step, source: e.into() }
    };
    let name = CString::new(&*user.name).map_err(|_| Error::NoUser(user.name.clone()))?;
    let groups = getgrouplist(&name, user.gid).map_err(failed("its groups"))?;
    setgroups(&groups).map_err(failed("setgroups"))?;
    setresgid(user.gid, user.gid, user.gid).map_err(failed("setresgid"))?;
    setresuid(user.uid, user.uid, user.uid).map_err(failed("setresuid"))
}

fn is_root_again() -> bool {
    setresuid(ROOT, ROOT, ROOT).is_ok() || Uid::effective() == ROOT
}
