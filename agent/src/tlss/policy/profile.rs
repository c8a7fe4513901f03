//! The profile of a camera family, read from TOML: the only way to allow a command.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde::Deserialize;

use super::uri::{Param, is_name, is_path};
use super::value::{Grammar, Words};

/// The commands of one camera family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub(super) rules: Vec<Rule>,
}

/// Why a profile is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The text is no TOML, or has other keys than a profile.
    #[error("{0}")]
    Syntax(String),
    /// A command of the profile that must not be allowed.
    #[error("command {path:?}: {reason}")]
    Command {
        /// Path of the command.
        path: String,
        /// What is wrong with the command.
        reason: String,
    },
}

/// One form of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) path: String,
    /// The write group that has to be switched on; `None` for a command that only reads.
    pub(super) write: Option<String>,
    params: BTreeMap<String, Value>,
    others: Option<Others>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Value {
    grammar: Grammar,
    optional: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Others {
    max: usize,
    names: Words,
    grammar: Grammar,
}

impl Profile {
    /// The profile of the uapi/nvc family, which is part of the program.
    pub fn built_in() -> Self {
        let text = include_str!("../../../../configs/tlss/uapi.toml");
        text.parse().expect("the built-in profile is read by a test")
    }

    /// The names of the write groups, each once.
    pub fn groups(&self) -> Vec<String> {
        let groups: BTreeSet<_> = self.rules.iter().filter_map(|rule| rule.write.clone()).collect();
        groups.into_iter().collect()
    }
}

impl FromStr for Profile {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let file: File = toml::from_str(text).map_err(|e| syntax(text, &e))?;
        let rules = file.command.into_iter().map(|command| {
            let path = command.path.clone();
            command.rule().map_err(|reason| ProfileError::Command { path, reason })
        });
        Ok(Self { rules: rules.collect::<Result<_, _>>()? })
    }
}

/// The error of a text that is no profile, without the line that it is about: it may be another file by mistake.
fn syntax(text: &str, error: &toml::de::Error) -> ProfileError {
    let at = error.span().map_or(0, |span| span.start);
    let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let said = error.message();
    let ends = said.split_once('"').zip(said.rsplit_once('"'));
    let said = ends.map_or(said.to_owned(), |((begin, _), (_, end))| format!("{begin}\"…\"{end}"));
    ProfileError::Syntax(format!("line {line}: {said}"))
}

impl Rule {
    pub(super) fn fits(&self, params: &[Param]) -> bool {
        let mut others = 0;
        let each = params.iter().all(|param| match (self.params.get(&param.name), &self.others) {
            (Some(known), _) => known.grammar.fits(&param.value),
            (None, Some(other)) => {
                others += 1;
                others <= other.max
                    && other.names.have(&param.name)
                    && other.grammar.fits(&param.value)
            }
            (None, None) => false,
        });
        let there = |name: &String| params.iter().any(|param| param.name == *name);
        each && self.params.iter().all(|(name, value)| value.optional || there(name))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    command: Vec<CommandEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandEntry {
    path: String,
    write: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, ValueEntry>,
    others: Option<OthersEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueEntry {
    one_of: Option<Vec<String>>,
    number: Option<[u64; 2]>,
    chars: Option<String>,
    length: Option<[usize; 2]>,
    #[serde(default)]
    time: bool,
    #[serde(default)]
    optional: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OthersEntry {
    max: usize,
    names: Vec<String>,
    chars: String,
    length: [usize; 2],
}

impl CommandEntry {
    fn rule(self) -> Result<Rule, String> {
        if !is_path(&self.path) {
            return Err("the path must be /like/this.cgi, without tricks".to_owned());
        }
        let params = self.params.into_iter().map(|(name, entry)| {
            if !is_name(&name) {
                return Err(format!("{name:?} is no name of a parameter"));
            }
            let optional = entry.optional;
            let grammar = entry.grammar().map_err(|reason| format!("{name}: {reason}"))?;
            Ok((name, Value { grammar, optional }))
        });
        let params = params.collect::<Result<_, _>>()?;
        let others = self.others.map(OthersEntry::others).transpose();
        let others = others.map_err(|reason| format!("others: {reason}"))?;
        Ok(Rule { path: self.path, write: self.write, params, others })
    }
}

impl ValueEntry {
    fn grammar(self) -> Result<Grammar, String> {
        match (self.one_of, self.number, self.chars, self.length, self.time) {
            (Some(words), None, None, None, false) => Words::parse(words).map(Grammar::OneOf),
            (None, Some([from, to]), None, None, false) => Ok(Grammar::Number(from..=to)),
            (None, None, Some(chars), Some([from, to]), false) => Grammar::text(&chars, from..=to),
            (None, None, None, None, true) => Ok(Grammar::Time),
            _ => Err("expected one_of, or number, or time, or chars with length".to_owned()),
        }
    }
}

impl OthersEntry {
    fn others(self) -> Result<Others, String> {
        let [from, to] = self.length;
        let grammar = Grammar::text(&self.chars, from..=to)?;
        if let Some(name) = self.names.iter().find(|name| !is_name(&name.replace('#', "0"))) {
            return Err(format!("{name:?} is no name of a parameter"));
        }
        Ok(Others { max: self.max, names: Words::parse(self.names)?, grammar })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<Profile>().unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_profile_is_read() {
        let profile = Profile::built_in();
        assert_eq!(profile.groups(), ["datetime", "timezone", "vca"]);
        assert!(profile.rules.len() >= 20);
    }

    #[test]
    fn a_slip_in_a_profile_is_named() {
        let error = refused("[[command]]\npath = '/a'\nparams.x = { one_of = ['$(id)'] }");
        assert!(
            error.contains("/a") && error.contains("x: ") && error.contains("never"),
            "{error}"
        );
        let error = refused("[[command]]\npath = '/a'\nparams.x = { chars = 'a-z' }");
        assert!(error.contains("chars with length"), "{error}");
        assert!(refused("[[command]]\npath = '/a'\nwirte = 'x'").contains("wirte"));
        assert!(refused("[[command]]\npath = '/a'\nothers = { max = 1, names = ['*'], chars = 'a', length = [0, 1] }").contains("others"));
        assert!(
            refused("[[command]]\npath = '/a'\nparams.'a b' = { number = [0, 1] }").contains("a b")
        );
    }

    #[test]
    fn a_file_that_is_none_by_mistake_is_not_quoted() {
        for text in
            ["[cloud]\nlogin_passwd = 'canary'", "command = 'canary'", "x = \"canary", "canary"]
        {
            let error = refused(text);
            assert!(error.starts_with("line ") && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn no_profile_can_name_a_path_of_tricks() {
        for path in
            ["", "a", "/", "//a", "/a/", "/a/../b", "/.a", "/a?b", "/a%2e", "/a b", "/a;b", "/é"]
        {
            let text = format!("[[command]]\npath = '{path}'");
            assert!(text.parse::<Profile>().is_err(), "{path}");
        }
    }
}
