//! Files and folders: what the kernel lets the process open, by Landlock.

use std::env;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope,
};

use super::rights::{Rights, SYSTEM};

/// The newest rights that are told apart here; a kernel that knows fewer is asked for those that it has.
const KNOWN: ABI = ABI::V5;
/// Devices that every program may use, for what is thrown away.
const SINK: &str = "/dev/null";
/// Devices that every program may read.
const SOURCES: [&str; 2] = ["/dev/random", "/dev/urandom"];
/// Variables of the environment that say where the system's authorities are.
const AUTHORITIES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
/// Files of the system that are links on many devices, to a folder where others exchange them.
const LINKED: [&str; 4] = ["/etc/TZ", "/etc/hosts", "/etc/localtime", "/etc/resolv.conf"];

/// Has the kernel refuse every file beyond the rights. Returns false where it has no Landlock.
pub(super) fn confine(rights: &Rights) -> Result<bool, String> {
    let read = AccessFs::from_read(KNOWN) & !AccessFs::Execute;
    // Neither programs nor devices are made.
    let made = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::Execute;
    let write = AccessFs::from_all(KNOWN) & !made;
    let run = read | AccessFs::Execute;
    let mut ruleset = Ruleset::default();
    ruleset = ruleset.handle_access(AccessFs::from_all(KNOWN)).map_err(|e| e.to_string())?;
    if rights.run.is_empty() {
        // Programs may have to signal others, such as the first process to restart the device.
        ruleset = ruleset.scope(Scope::Signal).map_err(|e| e.to_string())?;
    }
    let mut rules = ruleset.create().map_err(|e| e.to_string())?;
    let system = SYSTEM.iter().chain(&SOURCES).map(PathBuf::from);
    let authorities = AUTHORITIES.iter().flat_map(|name| {
        let places = env::var_os(name).unwrap_or_default();
        env::split_paths(&places).collect::<Vec<_>>()
    });
    let links = LINKED.iter().map(PathBuf::from).chain(rights.links.iter().cloned());
    let linked = links.filter_map(|file| Some(file.canonicalize().ok()?.parent()?.to_owned()));
    // A file in the root of all folders would open everything.
    let linked = linked.filter(|folder| folder.parent().is_some());
    for path in system.chain(authorities).chain(linked).chain(rights.read.iter().cloned()) {
        rules = allow(rules, &path, read)?;
    }
    for path in rights.write.iter().map(PathBuf::as_path).chain([Path::new(SINK)]) {
        rules = allow(rules, path, write)?;
    }
    for path in &rights.run {
        rules = allow(rules, path, run)?;
    }
    let status = rules.restrict_self().map_err(|e| e.to_string())?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// Allows the access to a folder and all in it, or to a file. What is not there now stays closed.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, String> {
    // Some rights make sense for folders alone.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(KNOWN) };
    match PathFd::new(path) {
        Ok(open) => rules.add_rule(PathBeneath::new(open, access)).map_err(|e| e.to_string()),
        Err(_) => {
            log::debug!("sandbox: {}: is not there, and stays closed", path.display());
            Ok(rules)
        }
    }
}
