//! The commands that a server may give to the camera. A command is taken apart, checked against the
//! [`Profile`], and built anew from what was checked; the text that came is never passed on.

mod profile;
mod uri;
mod value;

use std::fmt;

use ivt_proto::tlss::Violation;

pub use profile::{Profile, ProfileError};

use profile::Rule;
use uri::Param;

/// The allow-list in force.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<(Rule, Allowed)>,
}

/// Whether the rule's write group is switched on, or the rule only reads.
type Allowed = bool;

/// Why a command does not reach the camera.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Control characters, spaces, or bytes outside ASCII.
    #[error("bytes that no command has")]
    Bytes,
    /// Dots, double slashes, escapes or other tricks in the path.
    #[error("not a plain path")]
    Path,
    /// A query that is not `name=value` joined by `&`, each name once, in plain characters.
    #[error("not a plain query")]
    Query,
    /// The groups hold the camera's logins or keys, which no server is told.
    #[error("groups of the camera's logins or keys")]
    Secret,
    /// The profile does not know the path.
    #[error("no command of the profile")]
    Unknown,
    /// The profile knows the path, with other parameters or values.
    #[error("parameters that the profile does not allow")]
    Params,
    /// The command would write, and its write group is off.
    #[error("would write, and the write group {group:?} is off")]
    Write {
        /// The group that the configuration would have to name.
        group: String,
    },
    /// The command could not be read at all, and the call ended.
    #[error(transparent)]
    Unread(#[from] Violation),
}

/// A command that may be carried out: made of the profile's own words, and of values that fit its grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    path: String,
    params: Vec<Param>,
    writes: bool,
}

/// A write group that the profile does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`write` names a group that the profile lacks; it has {}", .known.join(", "))]
pub struct UnknownGroup {
    /// The group that was asked for.
    pub name: String,
    /// The groups that the profile has.
    pub known: Vec<String>,
}

impl Policy {
    /// Allows the reading commands of the profile, and the writing ones of these groups.
    ///
    /// # Errors
    /// When the profile lacks one of the groups.
    pub fn new(profile: Profile, write_groups: &[String]) -> Result<Self, UnknownGroup> {
        let known = profile.groups();
        if let Some(name) = write_groups.iter().find(|name| !known.contains(name)) {
            return Err(UnknownGroup { name: name.clone(), known });
        }
        let allowed = |rule: &Rule| match &rule.write {
            None => true,
            Some(group) => write_groups.contains(group),
        };
        let rules = profile.rules.into_iter().map(|rule| (allowed(&rule), rule));
        Ok(Self { rules: rules.map(|(allowed, rule)| (rule, allowed)).collect() })
    }

    /// The command as it may be carried out. It begins with a slash.
    ///
    /// # Errors
    /// The reason why the command is not allowed.
    pub fn check(&self, command: &[u8]) -> Result<Request, Refusal> {
        let parts = uri::split(command)?;
        let mut refusal = Refusal::Unknown;
        for (rule, allowed) in self.rules.iter().filter(|(rule, _)| rule.path == parts.path) {
            match (rule.fits(&parts.params), allowed) {
                (true, true) => {
                    let writes = rule.write.is_some();
                    return Ok(Request { path: rule.path.clone(), params: parts.params, writes });
                }
                (true, false) => {
                    let group = rule.write.clone().unwrap_or_default();
                    refusal = Refusal::Write { group };
                }
                (false, _) if refusal == Refusal::Unknown => refusal = Refusal::Params,
                (false, _) => {}
            }
        }
        Err(refusal)
    }
}

impl Request {
    /// The path, from its slash on and without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the command changes the camera's settings.
    pub fn writes(&self) -> bool {
        self.writes
    }

    /// The query as it goes on the wire, without the question mark; may be empty.
    pub fn query(&self) -> String {
        let pairs: Vec<_> =
            self.params.iter().map(|param| format!("{}={}", param.name, param.spelt)).collect();
        pairs.join("&")
    }

    /// A parameter's value, unescaped.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|param| param.name == name).map(|param| &*param.value)
    }
}

/// Path and query.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if self.params.is_empty() { Ok(()) } else { write!(f, "?{}", self.query()) }
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
